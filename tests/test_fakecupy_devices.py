"""The double of CuPy beyond arrays: devices, memory, streams, random numbers, kernels, and the modules themselves."""

import importlib
import importlib.util
import operator
import subprocess
import sys
import threading
import types
from pathlib import Path

import fakecupy
import numpy as np
import pytest
from fakecupy import emulator, modules, snapshot

ROOT = Path(__file__).resolve().parents[1]
compiler = pytest.mark.skipif(not emulator.available(), reason="needs a C++ compiler")


@pytest.fixture
def cp():
    """The double with two devices, as `import cupy` finds it."""
    fakecupy.install(devices=2)
    import cupy

    yield cupy
    fakecupy.uninstall()


@pytest.fixture
def e(cp):
    """A few arrays: `h` of the host, `a` the same on the first device, `far` on the second, indices `i`."""
    h = np.arange(6, dtype=np.float32).reshape(2, 3)
    with cp.cuda.Device(1):
        far = cp.asarray(h)
    return types.SimpleNamespace(cp=cp, h=h, a=cp.asarray(h), i=cp.asarray([1, 0]), far=far)


# --- devices, memory and streams -----------------------------------------------------------------------------------


def test_devices(e):
    cp, runtime = e.cp, e.cp.cuda.runtime
    assert runtime.getDeviceCount() == 2 and cp.cuda.is_available() and runtime.getDevice() == 0
    first = cp.cuda.Device(0)
    with cp.cuda.Device(1) as second:
        assert (cp.zeros(1) + 1).device == second and cp.cuda.Device().id == runtime.getDevice() == second.id == 1
        with first, first:
            assert cp.zeros(1).device == first
        assert (
            cp.asarray(e.a).device == cp.array(e.a).device == e.a.copy().device == second and e.a[1:].T.device == first
        )
        seen = []
        thread = threading.Thread(target=lambda: seen.append(runtime.getDevice()))
        thread.start()
        thread.join()
        assert seen == [0]
        second.use()
    assert runtime.getDevice() == 0
    with pytest.raises(ZeroDivisionError), cp.cuda.Device(1):
        raise ZeroDivisionError
    assert runtime.getDevice() == 0
    runtime.setDevice(1)
    assert cp.zeros(1).device == second != first and len({second, cp.cuda.Device(1), first}) == 2
    for ask in (cp.cuda.Device(7).use, cp.cuda.Device(2).__enter__, cp.cuda.Device(2).synchronize,
                lambda: runtime.setDevice(-1), lambda: runtime.getDeviceProperties(2)):  # fmt: skip
        with pytest.raises(runtime.CUDARuntimeError, match="cudaErrorInvalidDevice: invalid device ordinal"):
            ask()
    facts = runtime.getDeviceProperties(1)
    assert (facts["name"], facts["major"], second.compute_capability) == (b"Fake GPU 1", 9, "90")
    assert runtime.memGetInfo() == second.mem_info and second.mem_info[1] == facts["totalGlobalMem"]


def test_memory_is_counted_on_each_device(e):
    cp, pool = e.cp, e.cp.get_default_memory_pool()
    fakecupy.reset()
    free = cp.cuda.runtime.memGetInfo()[0]
    a, b = cp.zeros(200, "f"), cp.ones(1, "i1")
    views = a[1:], a.T, a.reshape(20, 10), cp.broadcast_to(a, (9, 200))
    assert (pool.used_bytes(), pool.total_bytes(), pool.free_bytes()) == (1536, 1536, 0)
    with cp.cuda.Device(1):
        assert pool.used_bytes() == 0
    del a, b
    assert pool.used_bytes() == 1024 and pool.total_bytes() == 1536 and pool.n_free_blocks() == 1
    del views
    cp.empty(2)
    assert pool.used_bytes() == 0 and pool.total_bytes() == 1536 and cp.cuda.runtime.memGetInfo()[0] == free - 1536
    pool.free_all_blocks()
    cp.get_default_pinned_memory_pool().free_all_blocks()
    assert pool.total_bytes() == 0 and cp.cuda.runtime.memGetInfo()[0] == free


def test_out_of_memory(e):
    cp, pool = e.cp, e.cp.get_default_memory_pool()
    fakecupy.reset()
    held = cp.zeros(100, "d")
    pool.set_limit(size=4096)
    assert pool.get_limit() == 4096 and issubclass(cp.cuda.memory.OutOfMemoryError, MemoryError)
    text = r"Out of memory allocating [\d,]+ bytes \(allocated so far: 1,024 bytes, limit set to: 4,096 bytes\)\."
    for ask in (lambda: cp.empty((1000, 10**9)), lambda: cp.ndarray(1000), lambda: cp.asarray(np.zeros(1000)),
                lambda: cp.broadcast_to(held[:1], 4096) + 1, lambda: cp.full((1000,), 1.0)):  # fmt: skip
        with pytest.raises(cp.cuda.memory.OutOfMemoryError, match=text):
            ask()
    assert pool.used_bytes() == 1024
    with cp.cuda.Device(1):
        cp.zeros(1000)
    pool.set_limit(size=0)
    cp.zeros(1000)
    pool.set_limit(fraction=0.5)
    assert pool.get_limit() == cp.cuda.runtime.memGetInfo()[1] // 2
    with pytest.raises(MemoryError, match=r"Out of memory allocating 8,000,000,000,000 bytes"):
        cp.zeros(10**12)


def test_streams_that_do_not_wait_race(e):
    cp, main = e.cp, e.cp.cuda.get_current_stream()
    side, other = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
    assert main == cp.cuda.Stream.null and main.ptr == 0 != side.ptr and side.is_non_blocking and side != other

    def written():
        with side:
            assert cp.cuda.get_current_stream() == side
            return cp.asarray(e.h, blocking=False)

    def refused(*uses):
        for use in uses:
            with pytest.raises(RuntimeError, match=r"race: stream \d of device 0 uses an array that stream"):
                use()

    x, event = written(), cp.cuda.Event(disable_timing=True)
    refused(lambda: x + 1, lambda: x.fill(0), lambda: x[e.i], x.get, lambda: float(x[0, 0]), lambda: e.a + x, x.copy,
            lambda: cp.exp(e.a, out=x), lambda: e.a.__setitem__(0, x[0]), lambda: e.a.get(stream=side))  # fmt: skip
    other.record(event)
    main.wait_event(event)
    refused(lambda: x + 1)
    side.record(event)
    refused(lambda: x + 1)
    main.wait_event(event)
    later = x + 1
    with other:
        refused(lambda: x + 1)
        other.wait_event(main.record())  # which comes after the event of `side`
        x.fill(1)
    refused(lambda: x + 1)
    other.synchronize()
    assert x.sum().item() == 6 and later.sum().item() == 21
    y = written()
    cp.cuda.Device().synchronize()
    np.testing.assert_array_equal(y.get(), e.h)
    early = side.record()
    main.wait_event(early)
    side.wait_event(main.record())
    y.set(e.h, stream=side)
    refused(lambda: y + 1)
    early.synchronize()
    refused(lambda: y + 1)
    side.use()
    assert (y + 1).sum().get() == 21
    main.use()
    with cp.cuda.Stream():  # one that the null stream waits for
        z = cp.zeros(1)
    assert (z + 1).item() == 1


def test_copies_between_devices_have_to_wait_too(e):
    cp = e.cp
    with cp.cuda.Device(1):
        far = cp.ones(3)
        written = cp.cuda.get_current_stream().record()
        side = cp.cuda.Stream(non_blocking=True)
    with pytest.raises(RuntimeError, match="is not of the current device, 0: enter Device"):
        side.use()
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="invalid resource handle"):
        e.a.get(stream=side)
    assert cp.asarray(far).device.id == 0  # on the null stream, which waits for both devices
    with cp.cuda.Stream(non_blocking=True) as here:
        with pytest.raises(RuntimeError, match=r"race: stream \d+ of device 0 uses an array that stream 0 of"):
            cp.asarray(far)
        here.wait_event(written)
        assert cp.asarray(far).device.id == 0 and far.copy().tolist() == [1, 1, 1]


# --- random numbers ------------------------------------------------------------------------------------------------


def test_random_numbers(e):
    cp = e.cp
    draw, again = (cp.random.default_rng(cp.random.Philox4x3210(3)) for _ in range(2))
    x = draw.random((2, 500), dtype="f")
    assert type(x) is cp.ndarray and x.dtype == "f" and 0 <= x.min().item() < 0.01 and 0.99 < x.max().item() < 1
    np.testing.assert_array_equal(again.random((2, 500), dtype=np.float32).get(), x.get())
    assert draw.standard_normal(dtype="d").shape == () and draw.uniform(2, 3, 5).min().item() >= 2
    assert set(draw.integers(0, 2, 99).tolist()) == {0, 1} and draw.integers(3, size=2, dtype="i4").dtype == "i4"
    out = cp.empty(4, "f")
    assert draw.random(out=out, dtype="f") is out and not np.isnan(out.get()).any()
    with pytest.raises(TypeError, match="wrong type"):
        draw.random(out=out)
    with pytest.raises(TypeError, match="Unsupported dtype float16"):
        draw.random(3, dtype="e")
    with pytest.raises(ValueError, match="a Generator of device 0 while 1 is current"), cp.cuda.Device(1):
        draw.random(3)


# --- kernels -------------------------------------------------------------------------------------------------------


@compiler
def test_elementwise_kernels(e):
    cp = e.cp
    f = cp.ElementwiseKernel("T x, T y, float64 c", "T z", "z = x + y * T(c)", "muladd")
    got = f(e.a.T, cp.asarray([[1, 2]], dtype="f"), 10)
    np.testing.assert_array_equal(got.get(), e.h.T + np.array([[1, 2]], "f") * 10)
    assert got.dtype == "f" and got.flags.c_contiguous and f(e.a[:0], e.a[:0], 1.0).shape == (0, 3)
    out = cp.zeros((2, 6), "f")[:, ::2]
    assert f(e.a, e.a, 1.0, out) is out and float(out[1, 2]) == 10
    f(out, 2.0, 1.0, out)
    assert (
        float(out[1, 2]) == 12 and cp.ElementwiseKernel("T x", "T y", "y = -x", return_tuple=True)(e.a)[0].dtype == "f"
    )
    two = cp.ElementwiseKernel("T x", "T low, int32 sign", "low = x - T(1); sign = x > T(2) ? 1 : 0")
    low, sign = two(e.a.astype("e"))
    assert (low.dtype, sign.dtype) == ("e", "i4") and sign.get().sum() == 3
    gather = cp.ElementwiseKernel("raw T x, int64 i_", "T y", "y = x[i_ + i]", "gather")
    assert gather(e.a, e.i).get().tolist() == [1, 1]
    turn = cp.ElementwiseKernel("raw T x", "raw T y", "y[i] = x[_ind.size() - 1 - i]", "turn", no_return=True)
    y = cp.empty(6, "f")
    assert turn(e.a, y, size=6) is None and y.tolist() == [5, 4, 3, 2, 1, 0]


@compiler
def test_elementwise_kernels_refuse(e):
    cp = e.cp
    f = cp.ElementwiseKernel("T x, T y", "T z", "z = x + y", "plus")
    for error, match, args in [
        (TypeError, "Unsupported type <class 'numpy.ndarray'>", (e.a, e.h)),
        (TypeError, "Unsupported type <class 'list'>", (e.a, [1.0])),
        (ValueError, "array device = 1 while current = 0", (e.a, e.far)),
        (TypeError, "Type is mismatched", (e.a, e.i[:, None])),
        (TypeError, "Type is mismatched", (e.a, e.a, cp.zeros((2, 3)))),
        (ValueError, "broadcast", (e.a, cp.zeros(2, "f"))),
        (ValueError, "Out shape is mismatched", (e.a, e.a, e.a[0])),
        (ValueError, "Loop size is undecided", (1.0, 2.0)),
        (TypeError, "must be cupy.ndarray", (e.a, e.a, e.h)), (TypeError, "Wrong number of arguments", (e.a,)),
        (RuntimeError, "share memory", (e.a, e.a, cp.broadcast_to(e.a[0], (2, 3)))),
    ]:  # fmt: skip
        with pytest.raises(error, match=match):
            f(*args)
    for params in (("T i", "T y"), ("const T x", "T y")):
        with pytest.raises(ValueError, match=r"Can not use 'i'|Unknown keyword"):
            cp.ElementwiseKernel(*params, "y = 0")


CODE = """
template <typename T> __global__ void scale(const T* x, T* y, T factor, long long n) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] * factor;
}
struct Table { double* to; long long n; };
extern "C" __global__ void fill(Table table, double value, long long plus) {
    for (long long i = threadIdx.x; i < table.n; i += blockDim.x) table.to[i] = value + plus;
}
"""
TABLE = np.dtype([("to", "u8"), ("n", "i8")])


@compiler
def test_raw_kernels(e):
    cp = e.cp
    module = cp.RawModule(code=CODE, options=("-std=c++17",), name_expressions=["scale<float>", "scale<double>"])
    y = cp.empty((2, 3), "f")
    args = e.a, y, np.float32(3), np.int64(6)
    module.get_function("scale<float>")((2,), (4,), args, shared_mem=0)
    np.testing.assert_array_equal(y.get(), e.h * 3)
    x = cp.zeros(4)
    cp.RawKernel(CODE, "fill")((1,), (32,), (np.array((x[1:].data.ptr, 2), TABLE), 1.5, 2))
    assert x.tolist() == [0, 3.5, 3.5, 0]
    with pytest.raises(KeyError, match="scale<int>"):
        module.get_function("scale<int>")
    with pytest.raises(TypeError, match="Exactly one of"):
        cp.RawModule(options=("-std=c++17",))
    scale = module.get_function("scale<float>")
    for error, match, wrong in [
        (TypeError, "Unsupported type <class 'numpy.ndarray'>", (e.h, *args[1:])),
        (TypeError, "argument 2", (*args[:2], 3.0, args[3])),
        (TypeError, "argument 0", (e.a.astype("d"), *args[1:])),
        (ValueError, "array device = 1", (e.far, *args[1:])),
        (TypeError, "Unsupported type <class 'NoneType'>", (None, *args[1:])),
    ]:  # fmt: skip
        with pytest.raises(error, match=match):
            scale((2,), (4,), wrong)
    with pytest.raises(TypeError, match="grid must be a tuple of ints"):
        scale(2, (4,), args)
    with cp.cuda.Stream(non_blocking=True) as side:
        side.wait_event(cp.cuda.Stream.null.record())
        scale((2,), (4,), args)
    with pytest.raises(RuntimeError, match="race"):
        cp.exp(y)


# --- the modules ---------------------------------------------------------------------------------------------------


def test_install_and_uninstall():
    before = {name: m for name, m in sys.modules.items() if name.split(".")[0] in ("cupy", "cupyx")}
    real = sys.modules["cupy"] = before.get("cupy") or types.ModuleType("cupy")
    try:
        fakecupy.install()
        import cupy
        import cupyx.scipy.special
        from cupy.cuda import runtime

        assert cupy is modules.MODULES["cupy"] and cupy.__version__ == snapshot.VERSION
        assert runtime.getDeviceCount() == 1 and importlib.util.find_spec("cupy") is not None
        assert abs(cupyx.scipy.special.erf(cupy.asarray([0.5])).item() - 0.5204998778130465) < 1e-15
        fakecupy.install(devices=3)
        assert runtime.getDeviceCount() == 3 and sys.modules["cupy"] is cupy
        fakecupy.uninstall()
        assert sys.modules["cupy"] is real and not any(sys.modules.get(n) is m for n, m in modules.MODULES.items())
    finally:
        fakecupy.uninstall()
        if "cupy" not in before:
            del sys.modules["cupy"]


def test_importing_the_double_is_not_installing_it():
    code = "import sys, fakecupy; print([name for name in sys.modules if name.startswith('cupy')])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_double_offers_no_more_than_cupy(cp):
    extra = []
    for name, module in modules.MODULES.items():
        public = {n for n in vars(module) if n[0] != "_" and f"{name}.{n}" not in modules.MODULES}
        extra += [f"{name}.{n}" for n in public - snapshot.API.get(name, {}).keys()]
    classes = [place for place in snapshot.API if place.rpartition(".")[2][0].isupper()]
    assert len(classes) == 9
    for name in ("cupy.ndarray", *classes):
        own = vars(operator.attrgetter(name.partition(".")[2])(cp))
        own = {n for n in own if n[0] != "_" or (name == "cupy.ndarray" and n.startswith("__"))}
        extra += [f"{name}.{n}" for n in own - snapshot.API[name].keys() - {"__getattr__", "__weakref__"}]
    assert extra == []
    with pytest.raises(NotImplementedError, match=r"the double has no cupyx\.rsqrt, which CuPy has"):
        _ = importlib.import_module("cupyx").rsqrt
    with pytest.raises(AttributeError, match="module 'cupy' has no attribute 'nonsense'"):
        _ = cp.nonsense


def test_compute_types(cp):
    types_of = cp._core._routines_linalg
    cp._core.set_compute_type(np.float32, types_of.COMPUTE_TYPE_TF32)
    assert cp._core.get_compute_type("f") == types_of.COMPUTE_TYPE_TF32
    assert cp._core.get_compute_type("d") == types_of.COMPUTE_TYPE_DEFAULT
    fakecupy.reset()
    assert cp._core.get_compute_type("f") == types_of.COMPUTE_TYPE_DEFAULT


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="needs the real CuPy, but no GPU")
def test_the_snapshot_is_fresh(tmp_path):
    tool = [sys.executable, "-W", "ignore", str(ROOT / "tools" / "snapshot_cupy_api.py"), "--check"]
    run = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    stale = tmp_path / "api.json"
    text = (ROOT / "tests" / "fakecupy" / "api.json").read_text()
    stale.write_text(text.replace('"tup, axis=..., out=...', '"tup, out=...', 1))
    run = subprocess.run([*tool, "--file", str(stale)], capture_output=True, text=True, check=False)
    assert run.returncode == 1 and '+"column_stack"' not in run.stdout and "tup, axis=" in run.stdout
