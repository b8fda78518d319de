"""The strict double of CuPy: each refusal, count and poison; and NumPy's numbers everywhere else."""

import copy
import inspect
import pickle
import types

import fakecupy
import numpy as np
import pytest


@pytest.fixture
def cp():
    """The double with two devices, as `import cupy` finds it."""
    fakecupy.install(devices=2)
    import cupy

    yield cupy
    fakecupy.uninstall()


@pytest.fixture
def e(cp):
    """What the expressions of the tables below are made of."""
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    there = types.SimpleNamespace(cp=cp, h=numbers, a=cp.asarray(numbers), i=cp.asarray([1, 0]))
    there.mask, there.zero, there.one = there.a > 2, there.a[0, 0], cp.asarray(1.5)
    with cp.cuda.Device(1):
        there.far = cp.asarray(numbers)
    fakecupy.reset()
    return there


def call(text):
    """The expression as a function of `e`; its names are cp, np, a, h ..."""
    return pytest.param(lambda e: eval(text, {"np": np} | vars(e)), id=text)


def refused(error, match, *texts):
    return [pytest.param(*call(text).values, error, match, id=text) for text in texts]


REFUSED = [
    *refused(
        TypeError, "Unsupported type <class 'numpy.ndarray'>",
        "a + h", "h + a", "h - a", "a == h", "a < h", "a @ h", "a.__iadd__(h)", "a.__setitem__(0, h[0])",
        "a.__setitem__(i, h)", "a.__setitem__(a > 1, h[0])", "a[h > 1]", "a[np.array([0, 1])]", "a[0, np.array([1])]",
        "cp.exp(h)", "cp.maximum(a, h)", "cp.sum(h)", "cp.concatenate([a, h])",
        "cp.where(mask, a, h)", "cp.take(a, np.array([0]))", "cp.full((2, 3), h)", "cp.add.at(a, i, h)",
        "cp.add.at(a, np.array([0]), 1.0)", "cp.copyto(a, h)", "cp.arange(h)", "cp.linalg.norm(h)", "a.dot(h.T)",
        "a.fill(h[0])", "cp.empty_like(h)", "cp.ascontiguousarray(h)", "cp.matmul(a, h.T)", "np.add(a, h)",
        "cp.array([a, h])",
    ),
    *refused(
        TypeError, "Unsupported type <class 'list'>",
        "a + [1, 2, 3]", "[1, 2, 3] * a", "cp.exp([1.0])", "cp.sum([1.0, 2.0])", "a[[0, 1]]", "a[:, [0, 1]]",
        "a.__setitem__(0, [1, 2, 3])", "cp.take(a, [0, 1])", "cp.add.at(a, [0, 1], 1.0)", "cp.stack([[1.0], [2.0]])",
    ),
    *refused(TypeError, "Unsupported type", "a + None", "a == None", "a + 'b'", "a[True]", "cp.exp(None)"),
    *refused(TypeError, "Implicit conversion to a NumPy array is not allowed", "np.asarray(a)", "np.array([a, a])"),
    *refused(
        TypeError, "by accident",
        "np.exp(a)", "np.add(a, a)", "np.add(a, 1.0)", "np.concatenate([a])", "np.sum(a)", "np.where(a > 1, a, a)",
        "np.add.reduce(a)", "np.mean(a)", "np.stack([a, a])", "np.add.at(a, i, 1.0)", "np.linalg.norm(a)",
    ),
    *refused(
        TypeError, "unexpected keyword|missing a required|too many positional|takes 1 positional",
        "a.sum(where=a)", "cp.max(a, initial=0)", "a.max(initial=0.0)", "cp.clip(a, min=0)", "cp.clip(a, 0)",
        "cp.take(a, i, mode='clip')", "cp.zeros(3, device='cpu')", "a.item(0)", "a.copy('C', 1)",
        "cp.lib.stride_tricks.as_strided(a, writeable=False)", "cp.var(a, correction=1)", "a.var(mean=a)",
        "cp.asarray(a, device=None)", "a.astype()", "cp.arange(3, like=None)", "cp.random.default_rng(0).random(low=1)",
        "a.take(i, mode='wrap')", "cp.where()", "cp.flip(m=a)", "cp.linalg.norm(a, dtype=None)",
    ),
    *refused(TypeError, "Wrong arguments", "cp.exp(a, where=mask)", "cp.add(a, a, order='C')", "cp.abs(a, subok=1)"),
    *refused(TypeError, "Wrong number of arguments", "cp.add(a)", "cp.exp(a, a, a)"),
    *refused(TypeError, "must be cupy.ndarray", "cp.exp(a, out=h)", "a.sum(out=h)", "cp.exp(a, h)", "a.sum(0, 'f', h)"),
    *refused(TypeError, "Cannot cast|cast", "i.__iadd__(0.5)", "cp.add(a, 1.0, out=i)", "i.__itruediv__(2)"),
    *refused(
        AttributeError, "has no attribute",
        "cp.vecdot", "cp.errstate", "cp.nditer", "cp.longdouble", "cp.random.SeedSequence", "cp.linalg.multi_dot",
        "a.__index__", "a.__contains__", "a.__imatmul__", "a.ctypes", "a.resize", "a.flags.writeable", "a.to_device",
        "a.__array_interface__", "a.__dict__", "setattr(a, 'note', 1)", "cp.random.default_rng(0).permutation",
        "cp._core.COMPUTE_TYPE_TF32", "cp.cuda.cudnn", "cp.where(True, a, a)",
    ),
    *refused(NotImplementedError, "not supported yet", "cp.multiply.at(a, i, 2.0)", "cp.maximum.reduce(a)",
             "cp.subtract.reduce(a)", "cp.maximum.accumulate(a)"),
    *refused(TypeError, "only supports", "cp.subtract.at(a, i, 1.0)", "cp.maximum.at(a.astype('e'), i, 1)",
             "cp.add.at(a > 1, i, True)"),
    *refused(NotImplementedError, "the double has no", "cp.fuse", "cp.random.permutation", "a.toDlpack"),
    *refused(NotImplementedError, "several masks", "a[mask[:, 0], mask[0]]", "a[mask[:, 0], i]"),
    *refused(TypeError, "cannot be interpreted as an integer", "range(i[0])"),
    *refused(TypeError, "0-d", "list(zero)"),
    *refused(IndexError, "out of bounds", "a[2]", "a[0, 3]", "a[-3]"),
    *refused(IndexError, "integer", "a[a]", "a[1.0]"),
    *refused(
        ValueError, "Array device must be same as the current device: array device = 1 while current = 0",
        "far + 1", "a + far", "cp.exp(far)", "far.sum()", "far[i]", "far.__setitem__(0, 1.0)", "far.__iadd__(1)",
        "a.__setitem__(0, far[0])", "cp.concatenate([a, far])", "cp.add.at(far, i, 1.0)", "far.astype('d')", "-far",
        "cp.exp(a, out=far)", "cp.where(mask, a, far)", "far.reshape(3, 2).T.ravel()", "far == far", "far.T.reshape(6)",
        "cp.copyto(far, a)", "far.fill(0)", "far.sort()",
    ),
    *refused(
        RuntimeError, "race: a write into an array whose elements share memory",
        "cp.broadcast_to(a, (4, 2, 3)).__setitem__(0, 1.0)", "cp.broadcast_to(zero, (3,)).fill(1)",
        "cp.broadcast_to(a[0], (2, 3)).__iadd__(1)", "cp.exp(a, out=cp.broadcast_to(a[0], (2, 3)))",
        "cp.add.at(cp.broadcast_to(a[0], (2, 3)), i, 1.0)",
        "cp.lib.stride_tricks.sliding_window_view(a[0], 2).fill(0)",
        "cp.lib.stride_tricks.as_strided(a, (4, 2), (4, 4)).fill(0)",
    ),
    *refused(RuntimeError, "race: an assignment", "a.reshape(6)[1:].__setitem__(slice(None), a.reshape(6)[:-1])",
             "a.__setitem__(i, a)"),
    *refused(ValueError, "Unsupported dtype", "cp.asarray(['a'])", "cp.asarray([None])"),
    *refused(ValueError, "can only convert an array of size 1", "a.item()"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "error", "match"), REFUSED)
def test_refusals(e, ask, error, match):
    before = e.a._a.copy()
    with pytest.raises(error, match=match):
        ask(e)
    np.testing.assert_array_equal(e.a._a, before)


WAITS = {
    "float(one)": ["float"], "int(zero)": ["int"], "bool(zero)": ["bool"], "zero.item()": ["item"],
    "a.tolist()": ["tolist"], "a.get()": ["get"], "cp.asnumpy(a)": ["get"], "repr(a)": ["repr"], "str(a)": ["str"],
    "f'{one:.1f}'": ["format"], "a[mask]": ["boolean mask gather"], "a[:, a[0] > 1]": ["boolean mask gather"],
    "a.__setitem__(mask, 0)": ["boolean mask assignment"], "a.nonzero()": ["nonzero"], "cp.nonzero(a)": ["nonzero"],
    "cp.flatnonzero(a)": ["flatnonzero"], "cp.argwhere(a)": ["argwhere"], "cp.unique(a)": ["unique"],
    "cp.where(mask)": ["nonzero"], "bool(cp.array_equal(a, a))": ["bool"], "1 if one > 1 else 0": ["bool"],
    "max(one, zero)": ["bool"], "cp.cuda.Device().synchronize()": ["Device.synchronize"],
    "cp.cuda.Device(1).synchronize()": ["Device.synchronize"],
    "cp.cuda.get_current_stream().synchronize()": ["Stream.synchronize"],
    "cp.cuda.get_current_stream().record().synchronize()": ["Event.synchronize"], "far.get()": ["get"],
    "float(far[0, 0])": ["float"], "cp.bincount(i)": ["bincount"], "a.tobytes()": ["tobytes"],
    "complex(one)": ["complex"], "cp.cuda.runtime.deviceSynchronize()": ["Device.synchronize"],
    "a.get(blocking=False)": [], "a + one": [], "cp.asarray(h)": [],
    "cp.asarray(h, blocking=True)": ["array(blocking=True)"],
    "cp.array([1.0, 2.0])": [], "a.set(h)": [], "a.sum()": [], "a[i]": [], "a.__setitem__(i, 0)": [],
    "cp.array_equal(a, a)": [], "cp.count_nonzero(a)": [], "a.fill(one)": [], "cp.add.at(a, i, one)": [],
    "a == a": [], "len(a), a.shape, a.size": [], "cp.result_type(a, i)": [], "cp.where(mask, a, 0)": [],
    "copy.deepcopy(a)": [], "cp.linalg.norm(a)": [], "cp.asnumpy(h)": [],
}  # fmt: skip


@pytest.mark.parametrize("text", WAITS)
def test_synchronizations_are_counted(e, text):
    eval(text, {"copy": copy} | vars(e))
    assert [reason.split(" at ")[0] for reason in fakecupy.synchronizations] == WAITS[text]


def test_a_synchronization_names_the_line(e):
    line = inspect.currentframe().f_lineno + 1
    float(e.a.sum())
    assert fakecupy.synchronizations == [f"float at {__file__}:{line}"]
    fakecupy.reset()
    assert fakecupy.synchronizations == []


def test_memory_that_nobody_wrote_is_poison(cp):
    import cupyx

    for make in (cp.empty, cp.ndarray, cupyx.empty_pinned, lambda n, t: cp.empty_like(cp.zeros(n, t))):
        for dtype in ("e", "f", "d"):
            assert np.isnan(cp.asnumpy(make(3, dtype))).all()
        for dtype in ("i1", "u1", "i4", "i8"):
            x = cp.asnumpy(make(3, dtype))
            assert (x > np.iinfo(dtype).max // 2).all() and (x % 2 == 1).all()
        assert set(cp.asnumpy(make(99, "?"))) == {True, False}
    assert np.isnan(np.frombuffer(cp.cuda.alloc_pinned_memory(8), np.uint8)).sum() == 0


@pytest.mark.parametrize(
    ("text", "bad"),
    [("x[i]", [1, 2]), ("x[i, 0]", [1, 2]), ("x[:, None][i]", [1, 2]), ("x.T[:, i].T", [1, 2]), ("x[i, i]", [1, 2]),
     ("x.take(i, 0)", [1, 2]), ("xp.take(x[:, 0], i)", [1, 2]), ("xp.take_along_axis(x, i[:, None], 0)", [1, 2]),
     ("x[1:][10 * i]", [0, 1, 2])],
)  # fmt: skip
def test_an_index_out_of_range_reads_poison(cp, text, bad):
    x, i = cp.asarray(np.ones((4, 4), "f")), cp.asarray([-2, 4, -5])
    got = eval(text, {"x": x, "i": i, "xp": cp}).get()
    assert [k for k in range(3) if np.isnan(got[k]).all()] == bad and np.isnan(got).sum() == np.isnan(got[bad]).sum()
    assert fakecupy.wrapped[0].startswith("index") and fakecupy.wrapped[0].endswith("<string>:1")


def test_an_index_out_of_range_writes_where_it_wraps_to(cp):
    x = cp.zeros(4)
    x[cp.asarray([5])] = 1
    cp.add.at(x, cp.asarray([-6]), 2.0)
    assert x.tolist() == [0, 1, 2, 0] and len(fakecupy.wrapped) == 2
    assert fakecupy.wrapped[0].startswith(f"index 5 of 4 at {__file__}:")


def test_which_of_two_values_wins_is_left_to_chance(cp):
    winners = set()
    for _ in range(20):
        x = cp.zeros(2)
        x[cp.asarray([0, 0])] = cp.asarray([1.0, 2.0])
        winners.add(x.tolist()[0])
    assert winners == {1.0, 2.0}
    draws = []
    for _ in range(2):
        fakecupy.reset()
        x = cp.zeros(1)
        x[cp.zeros(50, "i")] = cp.arange(50.0)
        draws.append(x.item())
    assert draws[0] == draws[1]


def test_the_order_of_additions_is_left_to_chance(cp):
    values = cp.asarray(10.0 ** np.arange(-8, 9))
    sums = set()
    for _ in range(20):
        x = cp.zeros(1, "f")
        cp.add.at(x, cp.zeros(17, "i"), values)
        sums.add(x.item())
    assert len(sums) > 1


# --- the array itself ----------------------------------------------------------------------------------------------


def test_an_array_is_what_cupys_is(e):
    a, cp = e.a, e.cp
    assert type(a) is cp.ndarray and type(a).__module__ == "cupy" and not isinstance(a, np.ndarray)
    assert a.base is None and a.T.base is a and a[0][1:].base is a and a.reshape(6).base is a and (a + 1).base is None
    assert (a.flags.c_contiguous, a.flags.f_contiguous, a.flags.owndata, a.T.flags.fnc) == (True, False, True, True)
    assert a.T.flags["F_CONTIGUOUS"] and not a.T.flags.owndata and a.T.flags.forc
    assert a[1].data.ptr == a.data.ptr + a.strides[0] and a.data.mem is a.T.data.mem and a.data.mem.size == 512
    assert (a.device, a.data.device_id, e.far.device.id, e.far.data.device_id) == (cp.cuda.Device(0), 0, 1, 1)
    assert all(cp.ascontiguousarray(x) is x for x in (a, e.i)) and cp.asarray(a) is a and a.astype("f", copy=False) is a
    assert cp.ascontiguousarray(e.one).shape == (1,)  # as CuPy's; NumPy's too
    assert isinstance(next(iter(a)), cp.ndarray) and type(a.sum()) is type(a[0, 0]) is cp.ndarray
    assert cp.get_array_module(a, e.h) is cp and cp.get_array_module(e.h) is np and cp.float32 is np.float32
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


def test_every_layout_of_a_result_is_cupys(e):
    assert (e.a.T + 1).flags.c_contiguous and e.cp.exp(e.a.T).strides == (8, 4)  # NumPy keeps Fortran's order
    assert e.a.T.copy().flags.c_contiguous and e.a.T.astype("d").flags.f_contiguous
    assert e.cp.empty_like(e.a.T).flags.f_contiguous and e.cp.asarray(np.asfortranarray(e.h)).flags.f_contiguous


def test_get_and_set(e):
    out = np.empty((2, 3), "f")
    assert e.a.get(out=out) is out and e.cp.asnumpy(e.a.T, order="C").flags.c_contiguous
    np.testing.assert_array_equal(out, e.h)
    e.a.set(e.h + 1)
    np.testing.assert_array_equal(e.a.get(), e.h + 1)
    for wrong in (np.empty((2, 3)), np.empty((3, 2), "f"), [0.0]):
        with pytest.raises((TypeError, ValueError), match=r"cannot be|mismatch|Only numpy\.ndarray"):
            e.a.set(wrong)
        with pytest.raises((TypeError, ValueError), match=r"cannot be|mismatch|Only numpy\.ndarray"):
            e.a.get(out=wrong)
    with pytest.raises(RuntimeError, match="non-contiguous"):
        e.a[:, 1].set(e.h[:, 1])


def test_what_is_copied_to_the_host_arrives_when_somebody_waits(e):
    for wait in (
        e.cp.cuda.Device().synchronize,
        e.cp.cuda.get_current_stream().synchronize,
        e.a.get,
        lambda: int(e.one),
    ):
        host = e.a.get(blocking=False)
        assert np.isnan(host).all()
        wait()
        np.testing.assert_array_equal(host, e.h)
    before, host = e.cp.cuda.get_current_stream().record(), e.a.get(blocking=False)
    before.synchronize()
    assert np.isnan(host).all()


def test_others_take_it(e):
    class Wrapper:
        __cuda_array_interface__ = property(lambda self: e.a.__cuda_array_interface__)
        __dlpack__, __dlpack_device__ = e.a.__dlpack__, e.a.__dlpack_device__

    interface = e.a.T.__cuda_array_interface__
    assert (interface["shape"], interface["strides"], interface["typestr"]) == ((3, 2), (4, 12), "<f4")
    assert interface["data"] == (e.a.data.ptr, False) and interface["version"] == 3 and interface["stream"] == 1
    assert e.cp.asarray(Wrapper()).data.ptr == e.a.data.ptr == e.cp.from_dlpack(Wrapper()).data.ptr
    assert e.far.__dlpack_device__() == (2, 1)
    with e.cp.cuda.Device(1):
        far = pickle.loads(pickle.dumps(e.a))
    again = copy.deepcopy(e.far)
    assert far.device.id == again.device.id == 1 and again.data.ptr != e.far.data.ptr
    np.testing.assert_array_equal([far.get(), again.get(), copy.copy(e.a).get()], [e.h] * 3)


def test_the_operators_of_other_types_get_their_turn(e):
    class Other:
        __array_ufunc__ = None
        __radd__ = __eq__ = lambda self, x: type(x)

    class Ufuncs(Other):
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return ufunc.__name__

    assert e.a + Other() is e.cp.ndarray and (e.a == Other()) is e.cp.ndarray
    assert e.a + Ufuncs() == "add" and e.a * Ufuncs() == "multiply"
