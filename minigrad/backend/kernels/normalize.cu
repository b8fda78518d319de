// Normalization of contiguous rows. A block takes a row at a time, its threads stride along it together.
// `weight` and `bias` may be null; they have one element per row if `per_row`, else one per column.

// The variance is that of the differences from the mean: exact where the mean is large.
template <typename T>
__global__ void normalize(const T* x, const T* weight, const T* bias, T* y, typename Acc<T>::type* mean,
                          typename Acc<T>::type* variance, typename Acc<T>::type* rstd, long long rows, long long cols,
                          int per_row, double eps) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long at = row * cols;
        A sum = 0, squares = 0;
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) sum += (A)x[at + j];
        const A average = block_reduce(sum, Add()) / (A)cols;
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) {
            const A difference = (A)x[at + j] - average;
            squares += difference * difference;
        }
        const A spread = block_reduce(squares, Add()) / (A)cols, r = 1 / sqrt(spread + (A)eps);
        if (threadIdx.x == 0) {
            mean[row] = average;
            variance[row] = spread;
            rstd[row] = r;
        }
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) {
            A v = ((A)x[at + j] - average) * r;
            if (weight) v *= (A)weight[per_row ? row : j];
            if (bias) v += (A)bias[per_row ? row : j];
            y[at + j] = (T)v;
        }
    }
}

// gx = rstd * (g - mean(g) - xhat * mean(g * xhat)), g = gy * weight; with one weight per row, its and the bias's
// gradients are the sums that are made here anyway.
template <typename T>
__global__ void normalize_backward(const T* gy, const T* x, const T* weight, const typename Acc<T>::type* mean,
                                   const typename Acc<T>::type* rstd, T* gx, typename Acc<T>::type* gweight,
                                   typename Acc<T>::type* gbias, long long rows, long long cols, int per_row) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long at = row * cols;
        const A average = mean[row], r = rstd[row], all = weight && per_row ? (A)weight[row] : (A)1;
        const bool each = weight && !per_row;
        A sum = 0, product = 0;
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) {
            const A g = each ? (A)gy[at + j] * (A)weight[j] : (A)gy[at + j];
            sum += g;
            product += g * ((A)x[at + j] - average) * r;
        }
        sum = block_reduce(sum, Add());
        product = block_reduce(product, Add());
        if (gweight && threadIdx.x == 0) {
            gweight[row] = product;
            gbias[row] = sum;
        }
        if (!gx) continue;
        sum /= (A)cols;
        product /= (A)cols;
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) {
            const A g = each ? (A)gy[at + j] * (A)weight[j] : (A)gy[at + j];
            gx[at + j] = (T)(r * all * (g - sum - ((A)x[at + j] - average) * r * product));
        }
    }
}

// The gradients of one weight and bias per column, summed over the rows blockIdx.y, blockIdx.y + gridDim.y, ...: a
// thread takes a column, and the results of each blockIdx.y are to be added up.
template <typename T>
__global__ void normalize_columns(const T* gy, const T* x, const typename Acc<T>::type* mean,
                                  const typename Acc<T>::type* rstd, typename Acc<T>::type* gweight,
                                  typename Acc<T>::type* gbias, long long rows, long long cols) {
    typedef typename Acc<T>::type A;
    for (long long j = first_index(); j < cols; j += index_step()) {
        A sum = 0, product = 0;
        for (long long row = blockIdx.y; row < rows; row += gridDim.y) {
            const A g = gy[row * cols + j];
            sum += g;
            product += g * ((A)x[row * cols + j] - mean[row]) * rstd[row];
        }
        gweight[blockIdx.y * cols + j] = product;
        gbias[blockIdx.y * cols + j] = sum;
    }
}
