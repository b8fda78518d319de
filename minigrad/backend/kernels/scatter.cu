// x[places[k]] = op(x[places[k]], values[k]) in flat memory, where places may occur more than once, and those outside of
// the `size` elements of x are left out. Floats have no atomic instructions for these operations: a thread tries again
// until no other one came between its reading and its writing.
template <> struct Acc<long long> { typedef long long type; };

template <typename T> struct Bits { typedef unsigned long long type; };
template <> struct Bits<float> { typedef unsigned int type; };
template <> struct Bits<__half> { typedef unsigned short type; };

struct Multiply {
    template <typename A> __device__ A operator()(A a, A b) const { return a * b; }
};

struct Min {  // NaN is smaller than all
    template <typename A> __device__ A operator()(A a, A b) const { return a < b || a != a ? a : b; }
};

template <typename T, typename Op>
__device__ void update(T* x, const long long* places, const T* values, long long count, long long size, Op op) {
    typedef typename Acc<T>::type A;
    typedef typename Bits<T>::type B;
    for (long long k = first_index(); k < count; k += index_step()) {
        if (places[k] < 0 || places[k] >= size) continue;
        B* at = (B*)(x + places[k]);
        B seen = *at, expected, bits;
        do {
            expected = seen;
            T old;
            memcpy((void*)&old, &expected, sizeof(T));
            T made = T(op(A(old), A(values[k])));
            memcpy(&bits, (void*)&made, sizeof(T));
            if (bits == expected) break;
            seen = atomicCAS(at, expected, bits);
        } while (seen != expected);
    }
}

template <typename T>
__global__ void multiply(T* x, const long long* places, const T* values, long long count, long long size) {
    update(x, places, values, count, size, Multiply());
}

template <typename T>
__global__ void maximum(T* x, const long long* places, const T* values, long long count, long long size) {
    update(x, places, values, count, size, Max());
}

template <typename T>
__global__ void minimum(T* x, const long long* places, const T* values, long long count, long long size) {
    update(x, places, values, count, size, Min());
}
