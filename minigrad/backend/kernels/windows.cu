// Sliding windows over images (c, h, w, n), the batch innermost. A thread takes an element of the result at a time, and
// its neighbours take the neighbouring images: what they read and write lies side by side. Nothing is padded here:
// places outside of the image are skipped.

// Images, windows over them, and what of their results is meant: `rows` of them from row `first` on.
struct Geometry {
    long long c, h, w, n, first, rows, cols, kh, kw, sh, sw, dh, dw, top, left;

    __device__ long long image_size() const { return c * h * w * n; }
    __device__ long long result_size() const { return c * rows * cols * n; }
    __device__ long long image(long long ch, long long row, long long col, long long m) const {
        return ((ch * h + row) * w + col) * n + m;
    }
    __device__ long long result(long long ch, long long a, long long b, long long m) const {
        return ((ch * rows + a) * cols + b) * n + m;
    }
    // Where element (i, j) of window (a, b) lies in the image.
    __device__ long long row(long long a, long long i) const { return (first + a) * sh + i * dh - top; }
    __device__ long long col(long long b, long long j) const { return b * sw + j * dw - left; }
    __device__ bool inside(long long row, long long col) const { return 0 <= row && row < h && 0 <= col && col < w; }
    // The window whose element (i, j) lies at `row`, `col` of the image; false if there is none.
    __device__ bool window(long long row, long long col, long long i, long long j, long long* a, long long* b) const {
        row += top - i * dh - first * sh;
        col += left - j * dw;
        if (row < 0 || col < 0 || row % sh || col % sw) return false;
        *a = row / sh;
        *b = col / sw;
        return *a < rows && *b < cols;
    }
};

// A flat index as (channel, row, column, image), for `rows` and `cols` of the array it indexes.
struct Place {
    long long ch, row, col, m;

    __device__ Place(long long index, long long rows, long long cols, long long n) {
        m = index % n;
        index /= n;
        col = index % cols;
        index /= cols;
        row = index % rows;
        ch = index / rows;
    }
};

// columns[c, i, j, a, b, n] = x at element (i, j) of window (a, b).
template <typename T> __global__ void unfold(const T* x, T* columns, Geometry g) {
    const long long size = g.result_size() * g.kh * g.kw;
    for (long long index = first_index(); index < size; index += index_step()) {
        const Place p(index, g.rows, g.cols, g.n);
        const long long j = p.ch % g.kw, i = p.ch / g.kw % g.kh, ch = p.ch / (g.kw * g.kh);
        const long long row = g.row(p.row, i), col = g.col(p.col, j);
        columns[index] = g.inside(row, col) ? x[g.image(ch, row, col, p.m)] : (T)0.0f;
    }
}

// x += the columns that lie over it; `height` rows of x from row `top_row` on meet any.
template <typename T>
__global__ void fold(const T* columns, T* x, Geometry g, long long top_row, long long height) {
    typedef typename Acc<T>::type A;
    const long long size = g.c * height * g.w * g.n;
    for (long long index = first_index(); index < size; index += index_step()) {
        const Place p(index, height, g.w, g.n);
        const long long at = g.image(p.ch, top_row + p.row, p.col, p.m);
        A sum = x[at];
        for (long long i = 0; i < g.kh; i++)
            for (long long j = 0; j < g.kw; j++) {
                long long a, b;
                if (g.window(top_row + p.row, p.col, i, j, &a, &b))
                    sum += (A)columns[g.result((p.ch * g.kh + i) * g.kw + j, a, b, p.m)];
            }
        x[at] = (T)sum;
    }
}

// y = the largest element of each window; NaN is larger than all.
template <typename T> __global__ void max_pool(const T* x, T* y, Geometry g) {
    typedef typename Acc<T>::type A;
    for (long long index = first_index(); index < g.result_size(); index += index_step()) {
        const Place p(index, g.rows, g.cols, g.n);
        A most = -INFINITY;
        for (long long i = 0; i < g.kh; i++)
            for (long long j = 0; j < g.kw; j++) {
                const long long row = g.row(p.row, i), col = g.col(p.col, j);
                if (g.inside(row, col)) most = Max()((A)x[g.image(p.ch, row, col, p.m)], most);
            }
        y[index] = (T)most;
    }
}

// The number i * kw + j of the first element that is the maximum `y` of the window, -1 if there is none.
template <typename T> __device__ int first_maximum(const T* x, T y, const Place& p, const Geometry& g) {
    typedef typename Acc<T>::type A;
    const A most = y;
    for (long long i = 0; i < g.kh; i++)
        for (long long j = 0; j < g.kw; j++) {
            const long long row = g.row(p.row, i), col = g.col(p.col, j);
            if (!g.inside(row, col)) continue;
            const A value = x[g.image(p.ch, row, col, p.m)];
            if (value == most || (value != value && most != most)) return (int)(i * g.kw + j);
        }
    return -1;
}

// Where in each window its maximum is: what max_scatter needs.
template <typename T> __global__ void max_place(const T* x, const T* y, int* place, Geometry g) {
    for (long long index = first_index(); index < g.result_size(); index += index_step())
        place[index] = first_maximum(x, y[index], Place(index, g.rows, g.cols, g.n), g);
}

// gx = the sum of gy over the windows whose maximum an element is.
template <typename T> __global__ void max_scatter(const T* gy, const int* place, T* gx, Geometry g) {
    typedef typename Acc<T>::type A;
    for (long long index = first_index(); index < g.image_size(); index += index_step()) {
        const Place p(index, g.h, g.w, g.n);
        A sum = 0;
        for (long long i = 0; i < g.kh; i++)
            for (long long j = 0; j < g.kw; j++) {
                long long a, b;
                if (!g.window(p.row, p.col, i, j, &a, &b)) continue;
                const long long from = g.result(p.ch, a, b, p.m);
                if (place[from] == (int)(i * g.kw + j)) sum += (A)gy[from];
            }
        gx[index] = (T)sum;
    }
}

// out = `source`, which is like x, where the maximum of each window is.
template <typename T> __global__ void max_gather(const T* source, const T* x, const T* y, T* out, Geometry g) {
    for (long long index = first_index(); index < g.result_size(); index += index_step()) {
        const Place p(index, g.rows, g.cols, g.n);
        const int k = first_maximum(x, y[index], p, g);
        out[index] = k < 0 ? (T)0.0f : source[g.image(p.ch, g.row(p.row, k / g.kw), g.col(p.col, k % g.kw), p.m)];
    }
}

// y = the sum of each window.
template <typename T> __global__ void sum_pool(const T* x, T* y, Geometry g) {
    typedef typename Acc<T>::type A;
    for (long long index = first_index(); index < g.result_size(); index += index_step()) {
        const Place p(index, g.rows, g.cols, g.n);
        A sum = 0;
        for (long long i = 0; i < g.kh; i++)
            for (long long j = 0; j < g.kw; j++) {
                const long long row = g.row(p.row, i), col = g.col(p.col, j);
                if (g.inside(row, col)) sum += (A)x[g.image(p.ch, row, col, p.m)];
            }
        y[index] = (T)sum;
    }
}

// gx = the sum of gy over the windows in which an element is.
template <typename T> __global__ void sum_scatter(const T* gy, T* gx, Geometry g) {
    typedef typename Acc<T>::type A;
    for (long long index = first_index(); index < g.image_size(); index += index_step()) {
        const Place p(index, g.h, g.w, g.n);
        A sum = 0;
        for (long long i = 0; i < g.kh; i++)
            for (long long j = 0; j < g.kw; j++) {
                long long a, b;
                if (g.window(p.row, p.col, i, j, &a, &b)) sum += (A)gy[g.result(p.ch, a, b, p.m)];
            }
        gx[index] = (T)sum;
    }
}
