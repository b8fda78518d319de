// What all sources share: it stands in front of each.
#include <cuda_fp16.h>

// What numbers of type T are computed with.
template <typename T> struct Acc { typedef float type; };
template <> struct Acc<double> { typedef double type; };

#ifndef INFINITY  // NVRTC has no <math.h>
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#endif

struct Add {
    template <typename A> __device__ A operator()(A a, A b) const { return a + b; }
};

struct Max {  // NaN is larger than all
    template <typename A> __device__ A operator()(A a, A b) const { return a > b || a != a ? a : b; }
};

// op over the values of all threads of the block, the same in every thread: in each warp first, then over the warps.
// The block must be whole warps, and all of its threads must come here.
template <typename A, typename Op> __device__ A block_reduce(A value, Op op) {
    __shared__ A parts[32];
    for (int distance = 16; distance > 0; distance /= 2)
        value = op(value, __shfl_xor_sync(0xffffffffu, value, distance));
    __syncthreads();  // `parts` may still be read for the call before
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    value = parts[0];
    for (int warp = 1; warp < (int)(blockDim.x / 32); warp++) value = op(value, parts[warp]);
    return value;
}

// First index and step of a thread that goes through flat memory along with all threads of axis x of the grid.
__device__ inline long long first_index() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline long long index_step() { return (long long)gridDim.x * blockDim.x; }
