"""The emulator runs CUDA C++ as CUDA defines it, and reports what a device would answer with garbage or a hang."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakecupy import emulator

pytestmark = pytest.mark.skipif(not emulator.available(), reason="needs Linux and a C++ compiler")

KERNELS = r"""
#include <cuda_fp16.h>

template <typename T> struct Acc { typedef float type; };
template <> struct Acc<double> { typedef double type; };

template <typename A> __device__ A block_sum(A value) {
    __shared__ A parts[32];
    for (int d = 16; d > 0; d /= 2) value += __shfl_down_sync(0xffffffffu, value, d);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    value = 0;
    for (int warp = 0; warp < blockDim.x / 32; warp++) value += parts[warp];
    return value;
}

template <typename T>
__global__ void __launch_bounds__(256) row_sums(const T* __restrict__ x, T* __restrict__ y, long long cols) {
    typename Acc<T>::type sum = 0;
    for (long long j = threadIdx.x; j < cols; j += blockDim.x) sum += (typename Acc<T>::type)x[blockIdx.x * cols + j];
    sum = block_sum(sum);
    if (threadIdx.x == 0) y[blockIdx.x] = (T)sum;
}

template <typename T> __global__ void reverse(T* x) {  // by dynamic shared memory
    extern __shared__ __align__(16) unsigned char memory[];
    T* copy = reinterpret_cast<T*>(memory);
    copy[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x];
}

__global__ void where_am_i(int* y) {
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    atomicAdd(&y[block * blockDim.x * blockDim.y * blockDim.z + thread], block * 1000 + thread + 1);
}

__global__ void warp(const int* x, int* y) {
    const unsigned all = 0xffffffffu;
    int i = threadIdx.x, v = x[i];
    y[i] = __shfl_sync(all, v, 5);
    y[32 + i] = __shfl_xor_sync(all, v, 3);
    y[64 + i] = __shfl_down_sync(all, v, 4);
    y[96 + i] = __shfl_up_sync(all, v, 4);
    y[128 + i] = __shfl_down_sync(all, v, 2, 8);
    y[160 + i] = __shfl_sync(all, v, 9, 8);
    y[192 + i] = __ballot_sync(all, v % 3 == 0);
    y[224 + i] = __any_sync(all, v == 7) * 2 + __all_sync(all, v == 7);
    y[256 + i] = i < 16 ? __shfl_xor_sync(0xffffu, v, 1) : -1;
    __syncwarp();
}

__global__ void atomics(int* i, unsigned long long* u, float* f, double* d, __half* h) {
    atomicAdd(&i[0], 1);
    atomicMax(&i[1], (int)threadIdx.x);
    atomicOr(&i[2], 1 << (threadIdx.x % 31));
    atomicExch(&i[3], 7);
    for (int seen = i[4], old; (old = atomicCAS(&i[4], seen, seen + 2)) != seen;) seen = old;
    atomicAdd(u, 1ull << 40);
    atomicAdd(f, 0.5f);
    atomicAdd(d, 0.25);
    atomicAdd(h, __float2half(2.0f));
}

__global__ void functions(const float* x, float* y, unsigned* u) {
    float v = x[threadIdx.x];
    int i = 16 * threadIdx.x;
    y[i++] = rsqrtf(v); y[i++] = exp(v); y[i++] = log1p(v); y[i++] = fmaxf(v, NAN); y[i++] = max(v, 1.5f);
    y[i++] = min(v, INFINITY); y[i++] = erff(v); y[i++] = __int_as_float(__float_as_int(v) + 1); y[i++] = isnan(NAN);
    y[i++] = __ldg(x + threadIdx.x); y[i++] = rsqrt(v); y[i++] = __half2float(__float2half(v)); y[i++] = fabs(-v);
    u[threadIdx.x] = __umulhi(0xD2511F53u, 0x10000001u * threadIdx.x);
}

struct Table { float* pointers[3]; long long sizes[3]; float factor; };
__global__ void scale(__grid_constant__ const Table table) {
    float* x = table.pointers[blockIdx.x];
    for (long long i = threadIdx.x; i < table.sizes[blockIdx.x]; i += blockDim.x) x[i] *= table.factor;
}

template <typename T> __global__ void copy(const T* x, T* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i];
}

template <typename T> __global__ void take(const T* x, T* y, int n, float scale, bool negate, __half shift) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = (negate ? -scale : scale) * (float)x[i] + (float)shift;
}
"""


def run(expression, grid, block, args, shared=0, code=KERNELS):
    emulator.run(code, expression, grid, block, args, shared)


def test_several_kernels_are_built_at_once(monkeypatch):
    kernels = emulator.compile(KERNELS, ["copy<float>", "copy<long long>", "where_am_i"])
    assert kernels["copy<float>"].parameters == ["*const:f4", "*f4", "i4"]
    assert kernels["copy<long long>"].parameters == ["*const:i8", "*i8", "i4"]
    monkeypatch.setattr(emulator, "_load", None)  # a second build would fail
    assert emulator.compile(KERNELS, ["copy<float>"])["copy<float>"] is kernels["copy<float>"]


@pytest.mark.parametrize(("ctype", "dtype"), [("float", "f4"), ("double", "f8"), ("__half", "f2"), ("float16", "f2")])
@pytest.mark.parametrize("shape", [(1, 1), (7, 100), (3, 257)])
def test_block_reduction(ctype, dtype, shape):
    x = np.random.default_rng(0).random(shape).astype(dtype)
    y = np.empty(shape[0], dtype)
    run(f"row_sums<{ctype}>", (shape[0],), (128,), (x, y, np.int64(shape[1])))
    np.testing.assert_allclose(y, x.sum(1, dtype="f8"), rtol={"f2": 1e-3, "f4": 1e-6, "f8": 1e-14}[dtype])


def test_dynamic_shared_memory():
    x = np.arange(64.0)
    run("reverse<double>", 1, 64, (x,), shared=64 * 8)
    np.testing.assert_array_equal(x, np.arange(64.0)[::-1])


def test_grids_and_blocks_have_three_dimensions():
    y = np.zeros((2 * 3 * 2, 4 * 3 * 2), np.int32)
    run("where_am_i", (2, 3, 2), (4, 3, 2), (y,))
    np.testing.assert_array_equal(y, np.arange(12)[:, None] * 1000 + np.arange(24) + 1)


def test_warp_operations():
    i = np.arange(32)
    x = (i * 7 % 32).astype(np.int32)
    y = np.zeros((9, 32), np.int32)
    run("warp", 1, 32, (x, y))
    ballot = sum(1 << k for k in range(32) if x[k] % 3 == 0)
    expected = [
        x[[5] * 32],
        x[i ^ 3],
        np.where(i < 28, x[(i + 4) % 32], x),
        np.where(i >= 4, x[i - 4], x),
        np.where(i % 8 < 6, x[(i + 2) % 32], x),
        x[i // 8 * 8 + 1],
        np.full(32, ballot).astype(np.uint32).view(np.int32)[:32] if ballot < 2**31 else np.full(32, ballot - 2**32),
        [2] * 32,
        np.where(i < 16, x[i ^ 1], -1),
    ]
    np.testing.assert_array_equal(y, expected)


def test_atomics():
    i, u, f, d, h = np.zeros(5, np.int32), np.zeros(1, np.uint64), np.zeros(1, "f4"), np.zeros(1), np.zeros(1, "f2")
    run("atomics", 2, 64, (i, u, f, d, h))
    assert i.tolist() == [128, 63, 2**31 - 1, 7, 256]
    assert (u[0], f[0], d[0], h[0]) == (128 << 40, 64, 32, 256)


def test_functions():
    x = np.array([0.5, 2.0, 3.25], "f4")
    y, u = np.zeros((3, 16), "f4"), np.zeros(3, np.uint32)
    run("functions", 1, 3, (x, y, u))
    erf = [0.5204998778, 0.9953222650, 0.9999957]
    one = np.ones(3)
    half = x.astype("f2").astype("f4")
    expected = [
        x**-0.5,
        np.exp(x),
        np.log1p(x),
        x,
        np.maximum(x, 1.5),
        x,
        erf,
        np.nextafter(x, np.inf, dtype="f4"),
        one,
    ]
    expected += [x, x**-0.5, half, x]
    np.testing.assert_allclose(y[:, :13].T, expected, rtol=1e-6)
    assert u.tolist() == [0xD2511F53 * (0x10000001 * i) >> 32 for i in range(3)]


def test_a_struct_by_value_points_to_the_arrays_themselves():
    arrays = [np.arange(n, dtype="f4") for n in (5, 1, 40)]
    table = np.zeros((), [("pointers", "u8", 3), ("sizes", "i8", 3), ("factor", "f4"), ("pad", "f4")])
    table["pointers"], table["sizes"], table["factor"] = [a.ctypes.data for a in arrays], [a.size for a in arrays], 3
    for struct in (table, table.reshape(1), table[()]):
        run("scale", 3, 32, (struct,))
    for a in arrays:
        np.testing.assert_array_equal(a, np.arange(a.size) * 27)


def test_scalars_have_the_very_type_of_the_parameter():
    x, y = np.arange(4, dtype="f8"), np.zeros(4)
    good = [x, y, np.int32(4), np.float32(0.5), np.bool_(True), np.float16(10)]
    run("take<double>", 1, 32, good)
    np.testing.assert_array_equal(y, 10 - x / 2)
    wrong = {0: x.astype("f4"), 1: y.astype("i8"), 2: np.int64(4), 3: 0.5, 4: True, 5: np.float32(10)}
    for i, arg in wrong.items():
        with pytest.raises(TypeError, match=rf"take<double>: argument {i} is "):
            run("take<double>", 1, 32, [*good[:i], arg, *good[i + 1 :]])
    for arg in (np.zeros((), [("a", "i8")]), 1.0, np.float64(1), np.int32(0), None, [0.0]):
        with pytest.raises(TypeError, match=r"argument 0 is .* the parameter \*const:f8 .* pass an array"):
            run("take<double>", 1, 32, [arg, *good[1:]])
    for arg in (np.zeros(1, np.int32), np.zeros((), np.int32)):
        with pytest.raises(TypeError, match="argument 2 is i4"):
            run("take<double>", 1, 32, [x, y, arg, *good[3:]])
    with pytest.raises(TypeError, match="takes 6 arguments, got 5"):
        run("take<double>", 1, 32, good[:-1])


@pytest.mark.parametrize("null", [np.intp(0), np.uintp(0)])
def test_null_pointers(null):
    code = "__global__ void f(const float* x, const void* z, int* y) { y[0] = !x + 2 * !z; }"
    y = np.zeros(1, np.int32)
    run("f", 1, 1, (null, null, y), code=code)
    assert y[0] == 3


def test_arrays_that_share_memory_keep_sharing_it():
    code = """__global__ void shift(const float* x, float* y, int n) {
        if (threadIdx.x == 0) for (int i = 0; i < n; i++) y[i] = x[i] + 1;
    }"""
    root = np.zeros(6, "f4")
    run("shift", 1, 32, (root[:5], root[1:], np.int32(5)), code=code)
    assert root.tolist() == [0, 1, 2, 3, 4, 5]


def test_views_have_their_true_extent():
    code = """__global__ void fill(float* x, int n, long long stride) {
        int i = threadIdx.x;
        if (i < n) x[i * stride] = i + 1;
    }"""
    for view in (np.s_[:, 1], np.s_[::-1, 2], np.s_[::2, 0]):
        root = np.zeros((5, 3), "f4")
        expected = root.copy()
        column = root[view]
        expected[view] = np.arange(column.size) + 1
        run("fill", 1, 32, (column, np.int32(column.size), np.int64(column.strides[0] // 4)), code=code)
        np.testing.assert_array_equal(root, expected)
        with pytest.raises(emulator.KernelError, match=r"wrote (between the elements of|after) argument 0"):
            run("fill", 1, 32, (column, np.int32(column.size), np.int64(1)), code=code)


def test_kernels_of_one_name_in_two_sources_are_two():
    codes = [
        f"template <typename T> __global__ void f(int* y) {{ __shared__ T a[{n}]; a[0] = y[0]; y[1] = sizeof a; }}"
        for n in (1, 1000)
    ]
    for code, size in zip(codes, (4, 4000), strict=True):
        y = np.zeros(2, np.int32)
        run("f<int>", 1, 1, (y,), code=code)
        assert y[1] == size


MISTAKES = {  # name: (body of kernel(float* x, const float* z, int n), the message)
    "after": ("x[n] = 1;", "wrote after argument 0"),
    "before": ("x[-1] = 1;", "wrote before argument 0"),
    "far": ("x[1ll << 40] = 1;", r"block \(0, 0, 0\), thread \(\d+, 0, 0\): touched memory that it was not given"),
    "null": ("*(volatile int*)nullptr = 1;", "touched memory that it was not given"),
    "shared array": ("__shared__ float a[8]; a[threadIdx.x] = z[0]; x[0] = a[0];", "an index outside of"),
    "local array": ("float a[8]; a[threadIdx.x] = z[0]; x[0] = a[n - 4];", "an index outside of"),
    "dynamic": ("extern __shared__ float a[]; a[threadIdx.x] = 1;", "wrote behind its dynamic shared memory"),
    "division": ("x[0] = n / (n - 4);", "divided an integer by zero"),
    "stack": (
        "volatile char a[1 << 17]; a[n] = 1; x[0] = a[n];",
        "take more than",
    ),
    "barrier returned": (
        "if (threadIdx.x == 3) return;\n__syncthreads();",
        r"line 2: thread .* waits in __syncthreads, but thread \(3, 0, 0\) has returned",
    ),
    "barrier diverged": (
        "if (threadIdx.x < 3) {\n__syncthreads(); } else {\n__syncthreads(); }",
        "waits in __syncthreads, but thread .* waits at line [23] in __syncthreads",
    ),
    "shuffle returned": (
        "if (threadIdx.x == 3) return;\nx[threadIdx.x % 4] = __shfl_xor_sync(0xffffffffu, z[0], 1);",
        "line 2: __shfl_xor_sync: the mask 0xffffffff names lane 3, which has returned",
    ),
    "shuffle waiting": (
        "if (threadIdx.x == 3) __syncthreads();\nelse __syncwarp();",
        "line 2: __syncwarp: the mask 0xffffffff names lane 3, which waits at line 1 in __syncthreads",
    ),
    "shuffle diverged": (
        "x[0] = threadIdx.x < 3 ? __shfl_sync(~0u, n, 0) :\n__shfl_sync(~0u, n, 0);",
        "names lane .*, which waits at line",
    ),
    "another operation": (
        "x[0] = threadIdx.x < 3 ? __any_sync(~0u, n) : __all_sync(~0u, n);",
        "names lane .*, which waits",
    ),
    "shuffle stranger": ("__syncwarp(1u << ((threadIdx.x + 1) % 32));", "lacks the lane .* that calls"),
    "trap": ("if (n == 4) __trap();", "trapped"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_reported(name):
    body, message = MISTAKES[name]
    code = f"__global__ void kernel(float* x, const float* z, int n) {{ {body} }}"
    x, z = np.zeros(4, "f4"), np.zeros(4, "f4")
    with pytest.raises(emulator.KernelError, match=message):
        run("kernel", 1, 32, (x, z, np.int32(4)), shared=64, code=code)
    run("copy<float>", 1, 32, (z, x, np.int32(4)))  # and the next launch is as if nothing had been


def test_partial_warps_have_no_missing_lanes():
    code = "__global__ void f(int* y) { y[threadIdx.x] = __ballot_sync(0xffffffffu, 1); }"
    with pytest.raises(emulator.KernelError, match="names lane 8, but the warp has 8"):
        run("f", 1, 40, (np.zeros(40, np.int32),), code=code)


def test_what_lies_beside_an_array_is_nan():
    code = "__global__ void f(const float* x, float* y, int n) { y[0] = x[n]; y[1] = x[-1]; }"
    y = np.zeros(2, "f4")
    run("f", 1, 1, (np.ones(3, "f4"), y, np.int32(3)), code=code)
    assert np.isnan(y).all()


def test_shared_memory_is_nan_at_the_start_of_each_block():
    code = """__global__ void f(float* y) {
        __shared__ float a[4];
        extern __shared__ float b[];
        y[blockIdx.x * 2] = a[3]; y[blockIdx.x * 2 + 1] = b[0];
        a[3] = b[0] = 1;
    }"""
    y = np.zeros(6, "f4")
    run("f", 3, 1, (y,), shared=4, code=code)
    assert np.isnan(y).all()


def test_a_read_only_array_is_not_written():
    x = np.arange(64.0)
    x.flags.writeable = False
    with pytest.raises(emulator.KernelError, match=r"argument 0, which is not contiguous, or is read-only"):
        run("reverse<double>", 1, 64, (x,), shared=64 * 8)
    np.testing.assert_array_equal(x, np.arange(64.0))


@pytest.mark.parametrize(
    ("grid", "block", "shared", "message"),
    [
        ((0,), (32,), 0, r"grid \(0, 1, 1\) is out of .* skip a launch"),
        ((1, 70000), (32,), 0, "grid"),
        ((1,), (2048,), 0, "block"),
        ((1,), (64, 32), 0, "too large"),
        ((1,), (32,), 49153, "too large"),
    ],
)
def test_launches_that_a_device_refuses(grid, block, shared, message):
    with pytest.raises(emulator.KernelError, match=message):
        run("copy<float>", grid, block, (np.zeros(1, "f4"), np.zeros(1, "f4"), np.int32(1)), shared)


RACE = """__global__ void f(float* x, float* y) {
    __shared__ float a[64];
    a[threadIdx.x] = x[threadIdx.x];
    %s
    y[threadIdx.x] = a[63 - threadIdx.x];
}"""
ORDER = "__global__ void f(float* x, float* y) { if (blockIdx.x < 64) y[0] = y[0] * 0.9f + x[blockIdx.x]; }"


@pytest.mark.parametrize(
    ("code", "grid", "block", "outcomes"),
    [(RACE % "__syncthreads();", 1, 64, 1), (RACE % "", 1, 64, 5), (ORDER, 64, 1, 5)],
    ids=["synchronized", "race of threads", "race of blocks"],
)
def test_another_seed_shows_a_race(code, grid, block, outcomes, monkeypatch):
    seen = set()
    for seed in range(5):
        monkeypatch.setenv("MINIGRAD_EMULATOR_SEED", str(seed))
        for _ in range(2):  # and the same seed shows the same
            x, y = np.arange(64, dtype="f4"), np.zeros(64, "f4")
            run("f", grid, block, (x, y), code=code)
            seen.add(y.tobytes())
    assert len(seen) == outcomes


def test_sources_that_do_not_compile():
    with pytest.raises(emulator.CompileError, match=r"kernel\.cu:1:.*undefined_name"):
        run("f", 1, 1, (), code="__global__ void f() { undefined_name(); }")
    with pytest.raises(emulator.CompileError, match="lost"):
        run("lost<float>", 1, 1, ())


# ---- the machine below


def test_threads_without_assembly():
    """Where the processor is no x86-64, threads are switched by ucontext: the same results."""
    script = """if True:
        import numpy as np
        from fakecupy import emulator
        from test_emulator import KERNELS
        x, y = np.ones((3, 100), "f4"), np.zeros(3, "f4")
        emulator.run(KERNELS, "row_sums<float>", (3,), (96,), (x, y, np.int64(100)))
        assert y.tolist() == [100, 100, 100], y
        try:
            emulator.run("__global__ void f(int* x) { x[1ll << 40] = 1; }", "f", 2, 64, (np.zeros(1, "i4"),))
        except emulator.KernelError as error:
            assert "touched memory" in str(error)
        else:
            raise AssertionError("no error")
    """
    compiler, _ = emulator._compiler()
    env = {**os.environ, "CXX": f"{compiler[0]} -DEMULATOR_UCONTEXT", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_compiler(monkeypatch):
    monkeypatch.setattr(emulator, "_compiler", lambda: None)
    assert not emulator.available()
    with pytest.raises(emulator.CompileError, match=r"no C\+\+ compiler was found"):
        run("f", 1, 1, (), code="__global__ void f() {}  // never built")
