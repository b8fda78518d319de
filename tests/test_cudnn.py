"""Convolutions by cuDNN, held to the generic methods of Backend: on a strict double of libcudnn, which computes on the
host memory of the double of CuPy; and, marked gpu, on the real one where there is one."""

import contextlib
import ctypes
import gc
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import fakecudnn
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
import minigrad.backend as floor
import minigrad.nn.functional as F
from minigrad import DeviceError, gradcheck, gradgradcheck
from minigrad.backend import Backend, cudnn, libcudnn, report
from minigrad.backend.windows import Windows

cpu = Backend(np)
NAMES = tuple(cudnn.FUNCTIONS)
TOLERANCE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-13}
NCHW, NHWC = libcudnn.CUDNN_TENSOR_NCHW, libcudnn.CUDNN_TENSOR_NHWC


LIBRARY = libcudnn.library


def forget():
    """Forget the library, handles and plans."""
    cudnn._plan.cache_clear()
    cudnn._handles.clear()
    LIBRARY.cache_clear()
    gc.collect()


@pytest.fixture
def fake(double, monkeypatch):
    """The double of libcudnn, which computes the convolutions of CuPy's double. In the end, no descriptor is left."""
    fake = fakecudnn.load()
    forget()
    fake.reset()
    monkeypatch.setattr(libcudnn, "path", lambda: fake.path)
    for name in NAMES:
        monkeypatch.setattr(type(floor.gpu[0]), name, getattr(cudnn, name))
    yield fake
    forget()
    assert fake.notes.descriptors == 0


@pytest.fixture
def cp(fake):
    import cupy

    return cupy


@pytest.fixture
def gpu(fake):
    return floor.gpu[0]


def draw(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def case(x, weight, stride=1, padding=0, dilation=1, groups=1):
    """(x's shape, weight's shape, Windows, groups)"""
    pairs = [(n, n) if isinstance(n, int) else n for n in (stride, padding, dilation)]
    border = tuple(np.repeat(pairs[1], 2).tolist()) if len(pairs[1]) == 2 else pairs[1]
    return x, weight, Windows(weight[2:], pairs[0], border, pairs[2]), groups


CASES = {
    "plain": case((2, 3, 5, 6), (4, 3, 3, 3)),
    "one by one": case((1, 1, 1, 1), (1, 1, 1, 1)),
    "pointwise": case((3, 5, 4, 3), (2, 5, 1, 1)),
    "not square": case((2, 2, 7, 5), (3, 2, 2, 4), padding=(0, 2)),
    "stride with a rest": case((2, 3, 8, 9), (4, 3, 3, 2), stride=(3, 2), padding=1),
    "dilation": case((1, 2, 9, 8), (3, 2, 3, 2), dilation=(2, 3), padding=(2, 0)),
    "all at once": case((2, 4, 9, 7), (6, 2, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
    "depthwise": case((2, 4, 5, 5), (4, 1, 3, 3), padding=1, groups=4),
    "depthwise, two of each": case((2, 3, 5, 5), (6, 1, 3, 3), groups=3),
    "border wider than the kernel": case((1, 1, 2, 2), (1, 1, 2, 2), padding=3),
}


def arrays(x, weight, windows, groups, dtype):
    """x, weight, and a gradient of the result."""
    y = (x[0], weight[0], *windows.output(*x[2:]))
    return draw(*x, dtype=dtype), draw(*weight, dtype=dtype, seed=1), draw(*y, dtype=dtype, seed=2)


def three(library, x, weight, gy, windows, groups, bias=None):
    """conv2d and its two gradients."""
    return (
        library.conv2d(x, weight, bias, windows, groups),
        library.conv2d_input(gy, weight, windows, groups, x.shape),
        library.conv2d_weight(x, gy, windows, groups, weight.shape),
    )


def check(cp, gpu, case, dtype, lay=lambda a: a):
    """What the three are on the GPU is what they are on the CPU, in float64, from the same numbers."""
    x, weight, windows, groups = case
    given = arrays(x, weight, windows, groups, dtype)
    bias = draw(weight[0], dtype=dtype, seed=3)
    wide = [a.astype("float64") for a in (*given, bias)]
    expected = three(cpu, *wide[:3], windows, groups, wide[3])
    actual = three(gpu, *(lay(cp.asarray(a)) for a in given), windows, groups, cp.asarray(bias))
    for a, e in zip(actual, expected, strict=True):
        assert (a.dtype, a.shape) == (np.dtype(dtype), e.shape)
        tolerance = TOLERANCE[dtype] * max(1, np.abs(e).max())
        np.testing.assert_allclose(cp.asnumpy(a).astype("float64"), e, rtol=0, atol=tolerance)
    assert actual[2].flags.c_contiguous
    return actual


# ---- numbers


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_the_three_are_those_of_the_generic_methods(fake, cp, gpu, name, dtype):
    check(cp, gpu, CASES[name], dtype)
    assert fake.notes.runs == 3
    # The channels innermost for float16, where that is supported: the double has no groups so, as old GPUs had none.
    assert fake.notes.format == (NHWC if dtype == "float16" and CASES[name][3] == 1 else NCHW)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.data())
def test_any_geometry(fake, cp, gpu, data):
    def pair(low, high):
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, padding, dilation = pair(1, 3), pair(1, 3), pair(0, 2), pair(1, 3)
    least = [max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    image = [n + data.draw(st.integers(0, 4)) for n in least]
    groups, per_group, outputs, n = data.draw(st.tuples(*[st.integers(1, 3)] * 4))
    shapes = (n, groups * per_group, *image), (groups * outputs, per_group, *kernel)
    before = fake.notes.runs
    check(cp, gpu, case(*shapes, stride, padding, dilation, groups), "float64")
    assert fake.notes.runs == before + 3


LAYOUTS = {
    "batch innermost": lambda a: a.transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2),
    "channels innermost": lambda a: a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
    "backwards": lambda a: a[:, :, ::-1].copy()[:, :, ::-1],
    "a part": lambda a: a.repeat(2, axis=3)[..., ::2],
}


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_that_lie_otherwise(fake, cp, gpu, layout, dtype):
    check(cp, gpu, CASES["stride with a rest"], dtype, LAYOUTS[layout])
    assert fake.notes.runs == 3


def test_arrays_that_begin_anywhere_are_copied(fake, cp, gpu):
    shifted = []

    def off(a):
        room = cp.empty(a.size + 1, a.dtype)
        room[1:] = a.reshape(-1)
        shifted.append(room[1:].data.ptr % 16)
        return room[1:].reshape(a.shape)

    check(cp, gpu, CASES["plain"], "float32", off)
    assert fake.notes.runs == 3 and all(shifted)


def test_results_repeat(fake, cp, gpu):
    x, weight, windows, groups = CASES["plain"]
    given = [cp.asarray(a) for a in arrays(x, weight, windows, groups, "float32")]
    first, second = (three(gpu, *given, windows, groups) for _ in range(2))
    assert all(bool((a == b).all()) for a, b in zip(first, second, strict=True))


def test_tf32_only_where_it_is_allowed(fake, cp, gpu):
    x, weight, windows, groups = CASES["plain"]
    given = [cp.asarray(a) for a in arrays(x, weight, windows, groups, "float32")]
    exact = three(gpu, *given, windows, groups)
    assert fake.notes.math == libcudnn.CUDNN_FMA_MATH
    before = mg.get_float32_matmul_precision()
    try:
        mg.set_float32_matmul_precision("high")
        fast = three(gpu, *given, windows, groups)
        assert fake.notes.math == libcudnn.CUDNN_TENSOR_OP_MATH
        check(cp, gpu, CASES["plain"], "float64")
    finally:
        mg.set_float32_matmul_precision(before)
    for a, b in zip(exact, fast, strict=True):
        assert 1e-5 < float(abs(a - b).max()) < 1e-1, "rounded to 10 bits"
    again = three(gpu, *given, windows, groups)
    assert all(bool((a == b).all()) for a, b in zip(exact, again, strict=True))


def test_gradients_to_the_second_order(fake):
    given = draw(2, 4, 5, 4), draw(4, 2, 3, 2), draw(4)
    given = [mg.tensor(a, device="cuda", requires_grad=True) for a in given]
    for check_gradients in (gradcheck, gradgradcheck):
        before = fake.notes.runs
        assert check_gradients(lambda *xs: F.conv2d(*xs, stride=(2, 1), padding=1, groups=2), *given)
        assert fake.notes.runs > before + 10


# ---- what is left to the generic methods

LEFT = {
    "padding on one side": (case((2, 3, 5, 6), (4, 3, 2, 2), padding=(0, 1, 1, 1)), "float32"),
    "padding on the other": (case((2, 3, 5, 6), (4, 3, 2, 2), padding=(1, 1, 1, 0)), "float32"),
    "no images": (case((0, 3, 5, 6), (4, 3, 3, 3)), "float32"),
    "integers": (case((2, 3, 5, 6), (4, 3, 3, 3)), "int64"),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_generic_methods(fake, cp, gpu, name):
    (x, weight, windows, groups), dtype = LEFT[name]
    given = [(a * 4).astype(dtype) for a in arrays(x, weight, windows, groups, "float32")]
    for a, e in zip(
        three(gpu, *(cp.asarray(a) for a in given), windows, groups),
        three(cpu, *given, windows, groups),
        strict=True,
    ):
        np.testing.assert_allclose(cp.asnumpy(a), e, rtol=1e-5, atol=1e-5)
        assert (a.dtype, a.shape) == (e.dtype, e.shape)
    assert fake.notes.runs == fake.notes.handles == 0


def test_two_dtypes_are_left_too(fake, cp, gpu):
    x, weight, windows, groups = CASES["plain"]
    x, weight, _ = arrays(x, weight, windows, groups, "float32")
    y = gpu.conv2d(cp.asarray(x), cp.asarray(weight.astype("float64")), None, windows, groups)
    np.testing.assert_allclose(cp.asnumpy(y), cpu.conv2d(x, weight, None, windows, groups), rtol=1e-5, atol=1e-5)
    assert fake.notes.runs == 0


def test_arrays_too_large_for_cudnn_are_left_too(fake, cp, gpu, monkeypatch):
    monkeypatch.setattr(cudnn, "MOST", 2 * 4 * 3 * 4 - 1)  # of y
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.runs == 0
    monkeypatch.setattr(cudnn, "MOST", 2 * 3 * 5 * 6)  # of x, the largest
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.runs == 3


def test_an_image_that_is_larger_than_its_windows_make_it(fake, cp, gpu):
    """As a transposed convolution with output_padding = 1 may ask for, whose last row is 0."""
    windows = Windows((3, 3), (1, 1), (0, 0, 0, 0), (2, 2))
    gy, weight = draw(1, 2, 3, 3), draw(2, 1, 3, 3, seed=1)
    given = windows, 1, (1, 1, 8, 8)
    expected = cpu.conv2d_input(gy, weight, *given)
    np.testing.assert_allclose(cp.asnumpy(gpu.conv2d_input(cp.asarray(gy), cp.asarray(weight), *given)), expected)
    assert fake.notes.runs == 0


@pytest.mark.parametrize("status", [3000, 3004])
@pytest.mark.parametrize("name", [f"cudnnGetConvolution{name}Algorithm_v7" for name, _ in cudnn.FUNCTIONS.values()])
def test_without_an_algorithm_the_generic_method_computes(fake, cp, gpu, name, status):
    fake.plan(name, status)
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.runs == 2
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.runs == 4, "it is not asked again"


@pytest.mark.parametrize("name", [f"cudnnConvolution{name}" for name, _ in cudnn.FUNCTIONS.values()])
def test_an_algorithm_that_is_not_supported_after_all(fake, cp, gpu, name):
    fake.plan(name, 3000)
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.runs == 2


def test_an_algorithm_must_fit_into_the_limit(fake, cp, gpu, monkeypatch):
    monkeypatch.setattr(cudnn, "WORKSPACE", 4095)
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.runs == 0
    fake.notes.runs = 0


# ---- plans, handles, devices, threads


def test_plans_are_kept_and_dropped(fake, cp, gpu):
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.descriptors == 12, "x, weight, y and the convolution, for each of three"
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.descriptors == 12 and cudnn._plan.cache_info().hits == 3
    x, weight = cp.asarray(draw(2, 1, 3, 3)), cp.asarray(draw(1, 1, 1, 1))
    for n in range(cudnn.PLANS + 9):
        gpu.conv2d(x[:, :, : 1 + n % 3].repeat(1 + n // 3, axis=3), weight, None, Windows((1, 1)), 1)
    assert fake.notes.descriptors == 4 * cudnn.PLANS
    assert fake.notes.handles == 1


def test_plans_that_fail_leave_nothing(fake, cp, gpu):
    x, weight, windows, groups = CASES["plain"]
    x, weight, _ = (cp.asarray(a) for a in arrays(x, weight, windows, groups, "float32"))
    for name in ("cudnnSetConvolutionGroupCount", "cudnnGetConvolutionForwardAlgorithm_v7", "cudnnConvolutionForward"):
        fake.plan(name, 2000)
        with pytest.raises(DeviceError, match=name):
            gpu.conv2d(x, weight, None, windows, groups)
    cudnn._plan.cache_clear()
    gc.collect()
    assert fake.notes.descriptors == 0


def test_each_gpu_has_its_own_handle(fake, cp, gpu):
    x, weight, bias = (draw(*shape, seed=i) for i, shape in enumerate([(2, 3, 5, 6), (4, 3, 3, 3), (4,)]))
    expected = F.conv2d(*(mg.tensor(a, device="cpu") for a in (x, weight, bias)), padding=1).numpy()
    for device in ("cuda:0", "cuda:1", "cuda:0"):
        y = F.conv2d(*(mg.tensor(a, device=device) for a in (x, weight, bias)), padding=1)
        assert y.device == device
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    assert fake.notes.handles == 2 and fake.notes.runs == 3


def test_work_goes_to_the_current_stream(fake, cp, gpu):
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        check(cp, gpu, CASES["plain"], "float32")
        assert fake.notes.stream == stream.ptr != 0
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.stream == 0 and fake.notes.runs == 6


def in_threads(count, work):
    """Run work(0), work(1), ... at once. Returns what they raised."""
    failures = []

    def run(seed):
        try:
            work(seed)
        except BaseException as error:  # noqa: BLE001 - told by the caller
            failures.append(error.with_traceback(None))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_threads_take_turns(fake, cp, gpu):
    def work(seed):
        with cp.cuda.Device(seed % 2), cp.cuda.Stream(non_blocking=True):
            for _ in range(5):
                check(cp, gpu, CASES["all at once"], "float32")

    fake.notes.microseconds = 500
    assert in_threads(6, work) == []
    assert fake.notes.runs == 90 and fake.notes.handles == 2


def test_nothing_waits(fake, double):
    given = draw(2, 3, 5, 6, dtype="float32"), draw(4, 3, 3, 3, dtype="float32")
    x, weight = (mg.tensor(a, device="cuda", requires_grad=True) for a in given)
    double.synchronizations.clear()
    F.conv2d(x, weight, padding=1).sum().backward()
    assert fake.notes.runs == 3 and double.synchronizations == []


# ---- errors


def failing(fake, cp, gpu, name, status):
    fake.plan(name, status)
    x, weight, windows, groups = CASES["plain"]
    x, weight, _ = (cp.asarray(a) for a in arrays(x, weight, windows, groups, "float32"))
    with pytest.raises(DeviceError) as caught:
        gpu.conv2d(x, weight, None, windows, groups)
    return str(caught.value)


def test_what_a_failure_says(fake, cp, gpu):
    assert failing(fake, cp, gpu, "cudnnConvolutionForward", 5000) == (
        "cudnnConvolutionForward: cuDNN 9.28.0 answers CUDNN_STATUS_EXECUTION_FAILED (a planned failure) to conv2d in "
        "float32 of x (2, 3, 5, 6), weight (4, 3, 3, 3), y (2, 4, 3, 4), Windows(kernel=(3, 3), stride=(1, 1), "
        "padding=(0, 0, 0, 0), dilation=(1, 1)), groups 1 on cuda:0; unset MINIGRAD_CUDNN to compute without it"
    )


@pytest.mark.parametrize(
    "name",
    [
        *("cudnnCreate", "cudnnSetStream", "cudnnCreateTensorDescriptor", "cudnnSetTensor4dDescriptor"),
        *("cudnnCreateFilterDescriptor", "cudnnSetFilter4dDescriptor", "cudnnCreateConvolutionDescriptor"),
        *("cudnnSetConvolution2dDescriptor", "cudnnSetConvolutionGroupCount", "cudnnSetConvolutionMathType"),
        *("cudnnGetConvolutionForwardAlgorithm_v7", "cudnnConvolutionForward"),
    ],
)
def test_no_failure_is_overlooked(fake, cp, gpu, name):
    assert f"{name}: cuDNN 9.28.0 answers CUDNN_STATUS_NOT_INITIALIZED" in failing(fake, cp, gpu, name, 1001)
    check(cp, gpu, CASES["plain"], "float32")
    assert fake.notes.runs == 3, "and the next convolution is none the worse"


def test_a_library_that_is_missing(fake, cp, gpu, monkeypatch):
    monkeypatch.setattr(libcudnn, "path", lambda: "/nowhere/libcudnn.so.9")
    message = failing(fake, cp, gpu, "none", 0)
    assert message.startswith(
        "MINIGRAD_CUDNN=1 asks for cuDNN 9: /nowhere/libcudnn_cnn.so.9: cannot open shared object"
    )
    assert 'pip install "nvidia-cudnn-cu13==9.*" (CUDA 13) or "nvidia-cudnn-cu12==9.*" (CUDA 12)' in message
    assert message.endswith("or unset MINIGRAD_CUDNN to compute without it")


def test_a_library_without_a_function(fake, cp, gpu, monkeypatch):
    monkeypatch.setattr(libcudnn, "DECLARATIONS", libcudnn.DECLARATIONS + "void cudnnIsGone(int);")
    assert "undefined symbol: cudnnIsGone; pip install" in failing(fake, cp, gpu, "none", 0)


@pytest.mark.parametrize("version", [8902, 100000])
def test_a_library_of_another_version(fake, cp, gpu, version):
    fake.notes.version = version
    message = failing(fake, cp, gpu, "none", 0)
    assert f"{fake.path} says that it is version {version}; pip install" in message


# ---- the switch


def test_the_wheel_is_found_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b")])
    assert libcudnn.path() == "libcudnn.so.9"
    folder = tmp_path / "b" / "nvidia" / "cudnn" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudnn.so.8").touch()
    assert libcudnn.path() == "libcudnn.so.9"
    (folder / "libcudnn.so.9").touch()
    assert libcudnn.path() == str(folder / "libcudnn.so.9")


SWITCH = """
import fakecupy
fakecupy.install()
import minigrad.backend as floor
from minigrad.backend import Backend, cudnn
kind = type(floor.load_cuda())
for where in (Backend, cudnn):
    print(*(getattr(kind, name) is getattr(where, name) for name in cudnn.FUNCTIONS))
"""


@pytest.mark.parametrize(("value", "expected"), [("0", [True, False]), ("1", [False, True])])
def test_it_is_off_unless_asked_for(value, expected, double):
    environment = os.environ | {"MINIGRAD_CUDNN": value, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", SWITCH], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [" ".join([str(kind)] * 3) for kind in expected], done.stderr


def test_info_tells_of_it(fake, monkeypatch):
    monkeypatch.delenv("MINIGRAD_CUDNN", raising=False)
    assert "cudnn" not in report.facts() and "cuDNN" not in dict(report.lines(report.facts()))
    monkeypatch.setenv("MINIGRAD_CUDNN", "1")
    assert dict(report.lines(report.facts()))["cuDNN"] == "9.28.0, for convolutions (MINIGRAD_CUDNN=1)"
    libcudnn.library.cache_clear()
    monkeypatch.setattr(libcudnn, "path", lambda: "/nowhere/libcudnn.so.9")
    assert "cannot open shared object" in dict(report.lines(report.facts()))["cuDNN"]


# ---- the double itself: what it must refuse

MUTATIONS = {
    "TF32 that nobody wants": ("float32", {"maths": cudnn.PRECISIONS["TF32"].maths}, "Not equal"),
    "an answer of another math": ("float32", {"maths": (libcudnn.CUDNN_FMA_MATH, 0)}, "Not equal"),
    "sums in float16": ("float16", {"sums": libcudnn.CUDNN_DATA_HALF}, "BAD_PARAM"),
    "scales of another type": ("float64", {"scale": ctypes.c_float}, "BAD_PARAM"),
    "another dtype": ("float32", {"data": libcudnn.CUDNN_DATA_HALF}, "Not equal"),
    "another layout": ("float64", {"formats": (NHWC,)}, "Not equal"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_table_is_noticed(fake, cp, gpu, monkeypatch, name):
    dtype, wrong, noticed = MUTATIONS[name]
    monkeypatch.setitem(cudnn.PRECISIONS, dtype, cudnn.PRECISIONS[dtype]._replace(**wrong))
    if name == "another layout":
        monkeypatch.setitem(cudnn.FORMATS, NHWC, cudnn.FORMATS[NCHW])
    with pytest.raises((DeviceError, AssertionError), match=noticed):
        check(cp, gpu, CASES["plain"], dtype)


class Careless:
    """The library, but for some functions."""

    def __init__(self, library, **functions):
        self.library, self.functions = library, functions

    def __getattr__(self, name):
        return self.functions.get(name) or getattr(self.library, name)


def smaller(library, name):
    def call(*args):
        args = list(args)
        args[9] -= 1  # the bytes of the workspace
        return getattr(library, name)(*args)

    return call


@pytest.mark.parametrize(
    ("left_out", "answer"),
    [
        ("cudnnSetStream", "CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH"),
        ("cudnnSetConvolutionMathType", "CUDNN_STATUS_BAD_PARAM"),
        ("cudnnSetConvolutionGroupCount", "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH"),
        ("cudnnSetConvolution2dDescriptor", "CUDNN_STATUS_BAD_PARAM"),
        ("cudnnSetFilter4dDescriptor", "CUDNN_STATUS_BAD_PARAM"),
        ("cudnnSetTensor4dDescriptor", "CUDNN_STATUS_BAD_PARAM"),
        ("cudnnConvolutionForward", "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT"),
    ],
)
def test_a_call_that_is_left_out_is_noticed(fake, cp, gpu, monkeypatch, left_out, answer):
    real = libcudnn.library()
    change = smaller(real, left_out) if left_out == "cudnnConvolutionForward" else lambda *args: 0
    careless = Careless(real, **{left_out: change})
    monkeypatch.setattr(libcudnn, "library", lambda: careless)
    with pytest.raises(DeviceError, match=answer):
        check(cp, gpu, CASES["depthwise"], "float32")


def test_a_descriptor_that_is_destroyed_is_noticed(fake, cp, gpu):
    check(cp, gpu, CASES["plain"], "float32")
    x, weight, windows, groups = CASES["plain"]
    y = (2, 4, 3, 4)
    plan = cudnn._plan(cudnn.Asked("conv2d", "float32", x, weight, y, windows, groups, 0))
    library = libcudnn.library()
    assert library.cudnnDestroyTensorDescriptor(plan.a) == 0
    assert library.cudnnDestroyTensorDescriptor(plan.a) == 2000, "once only"
    with pytest.raises(DeviceError, match="CUDNN_STATUS_BAD_PARAM"):
        check(cp, gpu, CASES["plain"], "float32")


def test_a_handle_in_two_hands_is_noticed(fake, cp, gpu, monkeypatch):
    monkeypatch.setattr(cudnn, "Lock", contextlib.nullcontext)
    check(cp, gpu, CASES["plain"], "float32")
    fake.notes.microseconds = 10_000
    failures = in_threads(2, lambda seed: check(cp, gpu, CASES["plain"], "float32"))
    assert "in use by another thread" in str(failures[0])


def test_a_handle_of_another_gpu_is_noticed(fake, cp, gpu, monkeypatch):
    check(cp, gpu, CASES["plain"], "float32")
    with cp.cuda.Device(1):
        monkeypatch.setattr(type(gpu), "current", lambda self: 0)
        with pytest.raises(DeviceError, match="of another GPU than the current one"):
            check(cp, gpu, CASES["plain"], "float32")


# ---- a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_the_real_one(name, dtype, monkeypatch):
    import cupy

    gpu = floor.load_cuda()
    try:
        libcudnn.library()
    except DeviceError as error:
        pytest.skip(str(error))
    for function in NAMES:
        monkeypatch.setattr(type(gpu), function, getattr(cudnn, function))
    check(cupy, gpu, CASES[name], dtype)


# ---- the real library, without a GPU


@pytest.fixture
def tool():
    """tools/check_cudnn.py, where there is what it needs."""
    place = Path(__file__).resolve().parents[1] / "tools" / "check_cudnn.py"
    spec = importlib.util.spec_from_file_location("check_cudnn", place)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    forget()
    if tool.missing():
        pytest.skip(tool.missing())
    yield tool
    forget()


def test_the_real_library_is_what_minigrad_takes_it_for(tool, capsys):
    assert tool.main(["--plans", "200"]) == 0
    assert "claims about its headers, 0 wrong\n400 plans, 0 differences" in capsys.readouterr().out


WRONG = {
    "CUDNN_FMA_MATH is 2": ("CUDNN_FMA_MATH", 2),
    "cudnnSetStream is a cudnnStatus_t (*)(cudnnHandle_t, int)": (
        "DECLARATIONS",
        libcudnn.DECLARATIONS.replace("cudnnHandle_t, cudaStream_t", "cudnnHandle_t, int"),
    ),
    "cudnnSetStream is a void (*)(cudnnHandle_t, cudaStream_t)": (
        "DECLARATIONS",
        libcudnn.DECLARATIONS.replace("cudnnStatus_t cudnnSetStream", "void cudnnSetStream"),
    ),
    "cudnnConvolutionBwdDataAlgoPerf_t.memory lies at 12 and has 4 bytes": (
        "Performance",
        type("Performance", (ctypes.Structure,), {"_fields_": [(n, ctypes.c_int) for n in ("a", "b", "c", "memory")]}),
    ),
}


@pytest.mark.parametrize("claim", WRONG)
def test_what_the_headers_say_otherwise_is_found(tool, monkeypatch, claim):
    monkeypatch.setattr(libcudnn, *WRONG[claim])
    assert f"it is not so that {claim}" in tool.wrong_claims(list(tool.claims()))


def test_what_cudnn_understands_otherwise_is_found(tool, monkeypatch):
    libcudnn.declare(libcudnn.library(), tool.GETTERS)
    asked = next(asked for asked in tool.questions(100) if asked.windows.padding[0] != asked.windows.padding[2])
    assert tool.differences(asked, NHWC) == []
    monkeypatch.setitem(cudnn.FORMATS, NHWC, cudnn.FORMATS[NCHW])
    assert all(" to cuDNN" in sentence for sentence in tool.differences(asked, NHWC))
    assert len(tool.differences(asked, NHWC)) == 2, "x and y"
    monkeypatch.setattr(Windows, "output", lambda self, h, w: (h, w))
    other = asked._replace(y=(*asked.y[:3], asked.y[3] + 1))
    assert "the result is " in tool.differences(other, NCHW)[0]
