// x[index[k]] += values[k], row by row of `cols` elements; atomic, since rows may occur more than once. Negative rows
// count from the end, and those outside of x are left out. A thread takes an element of `values` at a time.
template <typename T>
__global__ void add_rows(T* x, const long long* index, const T* values, long long rows, long long cols,
                         long long count) {
    for (long long at = first_index(); at < count * cols; at += index_step()) {
        long long row = index[at / cols];
        if (row < 0) row += rows;
        if (0 <= row && row < rows) atomicAdd(x + row * cols + at % cols, values[at]);
    }
}
