"""The emulator's float16 is NumPy's and as ambiguous as CUDA's, and elementwise kernels run as CuPy's do."""

import numpy as np
import pytest
from fakecupy import emulator

pytestmark = pytest.mark.skipif(not emulator.available(), reason="needs Linux and a C++ compiler")

CONVERT = r"""
template <typename H> __global__ void from_float(const float* x, H* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = H(x[i]);
}
template <typename H> __global__ void from_double(const double* x, H* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = H(x[i]);
}
template <typename H> __global__ void to_float(const H* x, float* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = float(x[i]);
}
template <typename H> __global__ void calculate(const H* a, const H* b, H* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        y[i] = H(a[i] + b[i]); y[n + i] = H(a[i] - b[i]); y[2 * n + i] = H(a[i] * b[i]); y[3 * n + i] = H(a[i] / b[i]);
    }
}
"""


@pytest.mark.parametrize("half", ["__half", "float16"])
def test_float16_is_numpys(half):
    bits = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide = np.zeros(65536, "f4")
    emulator.run(CONVERT, f"to_float<{half}>", 1, 32, (bits, wide, np.int32(65536)))
    np.testing.assert_array_equal(wide, bits.astype("f4"))
    back = np.zeros(65536, "f2")
    emulator.run(CONVERT, f"from_float<{half}>", 1, 32, (wide, back, np.int32(65536)))
    number = ~np.isnan(bits)
    np.testing.assert_array_equal(back[number].view("u2"), bits[number].view("u2"))
    assert np.isnan(back[~number]).all()


@pytest.mark.parametrize("kernel", ["from_float<__half>", "from_float<float16>", "from_double<__half>"])
def test_float16_is_rounded_as_numpy_rounds(kernel):
    rng = np.random.default_rng(0)
    dtype = "f4" if kernel.startswith("from_float") else "f8"
    halves = np.arange(31744, dtype=np.uint16).view("f2").astype("f8")
    ties = (halves[:-1] + halves[1:]) / 2
    edges = [0.0, -0.0, np.inf, -np.inf, 65504, 65519.99, 65520, 2.0**-25, 2.0**-25 * 1.0001, -(2.0**-24)]
    x = np.concatenate([rng.standard_normal(20000) * 2.0 ** rng.integers(-30, 20, 20000), ties, edges]).astype(dtype)
    y = np.zeros(x.size, "f2")
    emulator.run(CONVERT, kernel, 1, 32, (x, y, np.int32(x.size)))
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_array_equal(y.view("u2"), x.astype("f2").view("u2"))


@pytest.mark.parametrize("half", ["__half", "float16"])
def test_float16_arithmetic_rounds_once(half):
    rng = np.random.default_rng(1)
    a, b = ((rng.standard_normal(2000) * 2.0 ** rng.integers(-8, 8, 2000)).astype("f2") for _ in range(2))
    y = np.zeros((4, 2000), "f2")
    emulator.run(CONVERT, f"calculate<{half}>", 1, 32, (a, b, y, np.int32(2000)))
    with np.errstate(over="ignore", divide="ignore", under="ignore", invalid="ignore"):
        np.testing.assert_array_equal(y, [a + b, a - b, a * b, a / b])


# ---- elementwise kernels

T_X_Y = [("T", "x", False, False), ("T", "y", True, False)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "uint8"])
def test_elementwise(dtype):
    x, y = np.arange(-3, 8).astype(dtype), np.zeros(11, dtype)
    emulator.elementwise(T_X_Y, "y = x > T(2) ? x : T(2)", "", {"T": dtype}, [x, y], 11)
    np.testing.assert_array_equal(y, np.maximum(x, np.array(2, dtype)))


def test_elementwise_with_numbers_raw_arguments_and_a_preamble():
    params = [("T", "x", False, False), ("float32", "slope", False, False), ("int64", "index", False, False),
              ("T", "table", False, True), ("bool", "positive", True, False), ("T", "y", True, True)]  # fmt: skip
    x, table, positive, y = np.array([-1.0, 2, -3]), np.arange(10.0), np.zeros(3, bool), np.zeros(5)
    operation = """positive = x > 0;
        y[i + n - _ind.size()] = half_of(positive ? x : x * slope) + table[index];
        if (i == n - 1) y[3] = i"""
    preamble = "template <typename A> __device__ A half_of(A a) { return a / 2; }"
    args = [x, np.float32(0.5), np.int64(9), table, positive, y]
    emulator.elementwise(params, operation, preamble, {"T": "double"}, args)
    assert positive.tolist() == [False, True, False]
    assert y.tolist() == [8.75, 10, 8.25, 2, 0]
    args[2] = np.int64(10)
    with pytest.raises(emulator.KernelError, match="raw argument table: index 10 is out of its 10 elements"):
        emulator.elementwise(params, operation, preamble, {"T": "double"}, args)


def test_elementwise_nothing():
    emulator.elementwise(T_X_Y, "y = x", "", {"T": "float"}, [np.zeros(0, "f4"), np.zeros(0, "f4")], 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.zeros(3), np.zeros(3, "f4")], "x takes contiguous float32, got float64"),
        ([np.zeros(6, "f4")[::2], np.zeros(3, "f4")], "x takes contiguous float32"),
        ([np.zeros(3, "f4"), np.zeros(4, "f4")], "y has 4 elements, the others 3"),
        ([np.zeros(3, "f4"), np.float32(0)], "the output y is a number"),
        ([1.0, np.zeros(3, "f4")], "x takes contiguous float32, got <class 'float'>"),
        ([np.float32(1), np.broadcast_to(np.float32(0), 1)], "the output y is a number, or a read-only array"),
    ],
)
def test_elementwise_arguments_are_checked(arrays, message):
    with pytest.raises(TypeError, match=message):
        emulator.elementwise(T_X_Y, "y = x", "", {"T": "float32"}, arrays)


def test_float16_is_as_ambiguous_as_in_cuda():
    operation = "y = x > T(0) ? x : x * slope"
    params = [T_X_Y[0], ("float32", "slope", False, False), T_X_Y[1]]
    for dtype in ("float32", "float64"):
        arrays = [np.ones(1, dtype), np.float32(2), np.ones(1, dtype)]
        emulator.elementwise(params, operation, "", {"T": dtype}, arrays)
    arrays = [np.ones(1, "f2"), np.float32(2), np.ones(1, "f2")]
    with pytest.raises(emulator.CompileError, match=r"operation:1.*\?:"):
        emulator.elementwise(params, operation, "", {"T": "float16"}, arrays)
