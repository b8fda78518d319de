"""Every CUDA kernel compiles for a GPU of today, and every name of CuPy's that the backend uses is there.

Needs the real CuPy, but no GPU: pip install cupy-cuda13x==14.2.0 nvidia-cuda-nvrtc nvidia-cuda-runtime
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

cupy = pytest.importorskip("cupy")
if "site-packages" not in str(getattr(cupy, "__file__", "")):
    pytest.skip("cupy is the double", allow_module_level=True)
try:
    cupy.cuda.nvrtc.getVersion()
except Exception as error:  # noqa: BLE001 - what is missing has an error class of its own, in a package of its own
    pytest.skip(f"NVRTC is missing: pip install nvidia-cuda-nvrtc ({type(error).__name__})", allow_module_level=True)

TOOL = Path(__file__).parents[1] / "tools" / "compile_kernels.py"
_spec = importlib.util.spec_from_file_location("compile_kernels", TOOL)
compile_kernels = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(compile_kernels)


def refusal(code, expressions=(), arch="sm_90"):
    """The compiler's log."""
    with pytest.raises(cupy.cuda.compiler.CompileException) as caught:
        compile_kernels.compile_source(code, expressions, arch=arch)
    return caught.value.get_message()


RAW = list(compile_kernels.raw_kernels())
ELEMENTWISE = compile_kernels.elementwise_kernels()


@pytest.mark.parametrize(("source", "kind", "code", "expressions"), RAW, ids=[f"{s}-{k}" for s, k, _, _ in RAW])
def test_raw_kernels_compile(source, kind, code, expressions):
    done = compile_kernels.compile_source(code, expressions, compile_kernels.kernels.OPTIONS)
    assert list(done) == expressions
    assert all("registers" in line for line in done.values())


@pytest.mark.parametrize("kernel", ELEMENTWISE, ids=lambda k: k.name)
@pytest.mark.parametrize("dtype", compile_kernels.FLOATS)
def test_elementwise_kernels_compile(kernel, dtype):
    (line,) = compile_kernels.compile_source(compile_kernels.elementwise_source(kernel, dtype)).values()
    assert "registers" in line


def test_every_float_type_and_every_source_is_there():
    assert {kind for _, kind, _, _ in RAW} >= {"__half", "float", "double"}
    assert len({source for source, _, _, _ in RAW}) > 1 and len(ELEMENTWISE) > 1


def test_an_undefined_name_is_refused():
    code = "template <typename T> __global__ void f(T* x) { x[0] = undefined_name; }"
    assert 'identifier "undefined_name" is undefined' in refusal(code, ["f<float>"])
    kernel = cupy.ElementwiseKernel("T x", "T y", "y = exp(x) + undefined_name", "planted")
    assert 'identifier "undefined_name" is undefined' in refusal(compile_kernels.elementwise_source(kernel, "float32"))


def test_what_is_ambiguous_in_float16_only_is_refused_there():
    kernel = cupy.ElementwiseKernel("T x, float32 slope", "T y", "y = x > T(0) ? x : x * slope", "planted")
    for dtype in ("float32", "float64"):
        assert compile_kernels.compile_source(compile_kernels.elementwise_source(kernel, dtype))
    assert "ambiguous" in refusal(compile_kernels.elementwise_source(kernel, "float16"))
    code = """#include <cuda_fp16.h>
    template <typename T> __global__ void f(T* x, float slope) { x[0] = x[0] > T(0) ? x[0] : x[0] * slope; }"""
    assert compile_kernels.compile_source(code, ["f<float>", "f<double>"])
    assert "more than one operator" in refusal(code, ["f<__half>"])


def test_another_architecture():
    code = 'extern "C" __global__ void f(float* x) { x[0] = __CUDA_ARCH__; }'
    assert compile_kernels.compile_source(code, arch="sm_80").keys() == {"f"}
    assert "invalid value for --gpu-architecture" in refusal(code, arch="sm_1")


# ---- names


def test_every_name_that_the_backend_mentions_exists():
    lacking, count = compile_kernels.check_names()
    assert count > 10
    assert [f"{path.name}:{line}: {name}" for path, line, name in lacking] == []


def test_names_are_found_in_a_text():
    text = """
import cupy, cupyx
import cupyx.scipy.special as special
from cupy.cuda import Device, stream as s
cupy.cuda.runtime.getDevice()[0].x
cupyx.empty_pinned(cupy.float32), special.erf
s.get_current_stream, numpy.cupy.zeros, self.cupy
def f():
    runtime = cupy.cuda.runtime
    return runtime.setDevice(0)
"""
    names = {name for _, name in compile_kernels.mentioned_names(text)}
    assert names == {
        "cupy", "cupyx", "cupyx.scipy.special", "cupy.cuda.Device", "cupy.cuda.stream", "cupy.cuda.runtime.getDevice",
        "cupy.cuda.runtime", "cupy.cuda.runtime.setDevice",
        "cupyx.empty_pinned", "cupy.float32", "cupyx.scipy.special.erf", "cupy.cuda.stream.get_current_stream",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("cupy.cuda.runtime.getDeviceCount", None),
        ("cupyx.scipy.special.erf", None),
        ("cupy.cuda.cublas", None),
        ("cupy.vecdot", "cupy.vecdot"),
        ("cupy.cudnn.version", "cupy.cudnn"),
        ("cupy.cuda.runtime.lost", "cupy.cuda.runtime.lost"),
    ],
)
def test_names_that_cupy_lacks(name, missing):
    assert compile_kernels.missing_part(name) == missing


def test_the_command():
    done = subprocess.run([sys.executable, TOOL, "--check-names"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"names of CuPy {cupy.__version__}, 0 missing" in done.stdout


# ---- the real array class, over memory that is not there


def meta_array(shape, dtype):
    """A true cupy.ndarray: views of it can be taken, anything that computes fails."""
    memory = cupy.cuda.UnownedMemory(1 << 20, 1 << 12, None, 0)
    return cupy.ndarray(shape, dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))


@pytest.fixture
def cuda_backend(monkeypatch):
    """The CUDA backend as it would be on a machine with one GPU."""
    from minigrad import backend
    from minigrad.backend import cuda

    monkeypatch.setattr(cuda, "_device_count", lambda: 1)
    monkeypatch.setattr(backend, "gpu", [])
    monkeypatch.setattr(backend, "many_gpus", [])
    yield backend
    for kind in [k for k in backend.backend if k.__module__.startswith("cupy")]:
        del backend.backend[kind]
        backend.detours.remove(kind)


def test_an_array_of_cupys_belongs_to_the_cuda_backend(cuda_backend):
    from minigrad.backend.cuda import CudaBackend

    x = meta_array((2, 3), np.float32)
    library = cuda_backend.backend[type(x)]
    assert type(library) is CudaBackend and library.xp is cupy
    assert type(cuda_backend.backend[np.ndarray]) is not CudaBackend
    assert str(cuda_backend.device_of(x)) == "cuda:0"
    assert library.number_of(x) == 0


def test_what_cupy_refuses_is_refused():
    x = meta_array((2, 3), np.float32)
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        np.asarray(x)
    assert x.T.shape == (3, 2) and x.reshape(6)[None].shape == (1, 6)
