// Softmax and cross-entropy of contiguous rows. A block takes a row at a time, its threads stride along it together.

// The largest element of a row, and the sum of e**(x - top).
template <typename T, typename A> __device__ A sum_of_exp(const T* x, long long cols, A* top) {
    A most = -INFINITY, sum = 0;
    for (long long j = threadIdx.x; j < cols; j += blockDim.x) most = Max()((A)x[j], most);
    *top = most = block_reduce(most, Max());
    for (long long j = threadIdx.x; j < cols; j += blockDim.x) sum += exp((A)x[j] - most);
    return block_reduce(sum, Add());
}

template <typename T> __global__ void softmax(const T* x, T* y, long long rows, long long cols) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long at = row * cols;
        A top;
        const A sum = sum_of_exp(x + at, cols, &top);
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) y[at + j] = (T)(exp((A)x[at + j] - top) / sum);
    }
}

template <typename T>
__global__ void softmax_backward(const T* gy, const T* y, T* gx, long long rows, long long cols) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long at = row * cols;
        A sum = 0;
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) sum += (A)gy[at + j] * (A)y[at + j];
        sum = block_reduce(sum, Add());
        for (long long j = threadIdx.x; j < cols; j += blockDim.x)
            gx[at + j] = (T)((A)y[at + j] * ((A)gy[at + j] - sum));
    }
}

template <typename T> __global__ void log_softmax(const T* x, T* y, long long rows, long long cols) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long at = row * cols;
        A top;
        const A logarithm = log(sum_of_exp(x + at, cols, &top));
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) y[at + j] = (T)((A)x[at + j] - top - logarithm);
    }
}

template <typename T>
__global__ void log_softmax_backward(const T* gy, const T* y, T* gx, long long rows, long long cols) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long at = row * cols;
        A sum = 0;
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) sum += (A)gy[at + j];
        sum = block_reduce(sum, Add());
        for (long long j = threadIdx.x; j < cols; j += blockDim.x)
            gx[at + j] = (T)((A)gy[at + j] - exp((A)y[at + j]) * sum);
    }
}

// `scale` may be null. `ignore` says whether targets may be `ignore_index`. A target outside of the row gives NaN.
template <typename T>
__global__ void cross_entropy(const T* x, const long long* target, const T* scale, T* y, typename Acc<T>::type* lse,
                              long long rows, long long cols, int ignore, long long ignore_index, double smoothing) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const T* scores = x + row * cols;
        A top, sum = 0;
        const A logarithm = log(sum_of_exp(scores, cols, &top));
        if (smoothing != 0) {
            for (long long j = threadIdx.x; j < cols; j += blockDim.x) sum += (A)scores[j] - top;
            sum = block_reduce(sum, Add());
        }
        if (threadIdx.x == 0) {
            const long long t = target[row];
            A loss = NAN;
            if (0 <= t && t < cols) {  // all less `top`, so that nothing large is subtracted from something large
                loss = logarithm - (A)(1 - smoothing) * ((A)scores[t] - top) - (A)smoothing * (sum / (A)cols);
                if (scale) loss *= (A)scale[row];
            }
            if (ignore && t == ignore_index) loss = 0;
            y[row] = (T)loss;
            lse[row] = logarithm + top;
        }
    }
}

template <typename T>
__global__ void cross_entropy_backward(const T* gy, const T* x, const long long* target, const T* scale,
                                       const typename Acc<T>::type* lse, T* gx, long long rows, long long cols,
                                       int ignore, long long ignore_index, double smoothing) {
    typedef typename Acc<T>::type A;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long at = row * cols, t = target[row];
        const bool ignored = ignore && t == ignore_index;
        const A g = 0 <= t && t < cols ? (scale ? (A)gy[row] * (A)scale[row] : (A)gy[row]) : (A)NAN;
        const A all = (A)(smoothing / cols), hit = (A)(1 - smoothing), logarithm = lse[row];
        for (long long j = threadIdx.x; j < cols; j += blockDim.x) {
            const A slope = exp((A)x[at + j] - logarithm) - all - (j == t ? hit : (A)0);
            gx[at + j] = ignored ? (T)(A)0 : (T)(slope * g);
        }
    }
}
