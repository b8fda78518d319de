"""Element by element, beyond the tables: what is refused, what has no gradient, accuracy where others lose digits."""

import inspect
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import methods
from minigrad.errors import DTypeError, ShapeError


def leaf(values, dtype="float64"):
    return mg.Variable(np.array(values, dtype), requires_grad=True)


def gradient(function, *xs):
    return [g.data for g in mg.grad(function(*xs).sum(), xs)]


# --- what is refused ---------------------------------------------------------------------------------------------

NAMES = {"mg": mg, "x": mg.ones(2, 3), "n": mg.tensor([1, 2]), "m": mg.tensor([True, False]), "v": mg.ones(2)}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("mg.atan2(x, v)", ShapeError, r"atan2: shapes \(2, 3\) and \(2,\) do not broadcast: axis -1 is 2 and 3"),
        ("mg.xlogy(x, v)", ShapeError, r"xlogy: shapes \(2, 3\) and \(2,\) do not broadcast"),
        ("mg.fmax(x, v)", ShapeError, r"fmax: shapes \(2, 3\) and \(2,\) do not broadcast"),
        ("mg.addcmul(x, x, v)", ShapeError, r"addcmul: shapes \(2, 3\) and \(2, 3\) and \(2,\) do not broadcast"),
        ("mg.addcdiv(x, v, x)", ShapeError, r"addcdiv: shapes \(2, 3\) and \(2,\) and \(2, 3\) do not broadcast"),
        ("mg.lerp(x, v, 0.5)", ShapeError, r"lerp: shapes \(2, 3\) and \(2,\) and \(\) do not broadcast"),
        ("mg.isclose(x, v)", ShapeError, r"isclose: shapes \(2, 3\) and \(2,\) do not broadcast"),
        ("x.allclose(v)", ShapeError, r"isclose: shapes \(2, 3\) and \(2,\) do not broadcast"),
        ("mg.logical_xor(x, v)", ShapeError, r"logical_xor: shapes \(2, 3\) and \(2,\) do not broadcast"),
        (
            "x & 1",
            DTypeError,
            r"bitwise_and: expected integers or bools, got float32; write x > 0, x\.bool\(\) or x\.l",
        ),
        ("n | 1.5", DTypeError, r"bitwise_or: expected integers or bools, got float32"),
        ("x << 1", DTypeError, r"bitwise_left_shift: expected integers or bools, got float32"),
        ("~x", DTypeError, r"bitwise_not: expected integers or bools, got float32; write logical_not\(x\) or x\.long"),
        ("mg.where(m, v)", TypeError, "where: give both input and other, or the condition alone"),
        ("mg.where(m, other=v)", TypeError, "where: give both input and other, or the condition alone"),
        ("mg.where(v)", None, None),
        ("mg.where(v, v, v)", DTypeError, r"where: condition must be bool, got float32; write x > 0"),
        ("mg.round(n, decimals=1)", DTypeError, r"round with decimals: expected floats, got int64; write x\.float\(\)"),
        ("mg.positive(m)", DTypeError, r"positive: expected numbers, got bool; write x\.int\(\)"),
        ("mg.div(x, 2, rounding_mode='up')", ValueError, 'div: rounding_mode must be None, "floor" or "trunc"'),
        ("mg.clamp_min(x, None)", TypeError, "clamp: give min, max or both"),
        ("n.sin_()", DTypeError, r"sin_: the result is float32, and x holds int64"),
    ],
)
def test_refusals(call, error, message):
    if error is None:
        assert len(eval(call, NAMES)) == 1
        return
    with pytest.raises(error, match=message):
        eval(call, NAMES)


# --- what has no gradient ----------------------------------------------------------------------------------------

ASKED = "isnan isinf isposinf isneginf isfinite signbit logical_not".split()
COMPARED = """lt le gt ge eq ne less less_equal greater greater_equal not_equal logical_and logical_or logical_xor
    isclose floor_divide""".split()
ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.0])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "bool"])
@pytest.mark.parametrize("name", [*ASKED, *COMPARED])
def test_arrays_in_arrays_out_and_off_the_tape(name, dtype, cuda):
    a = np.nan_to_num(ODD, posinf=3, neginf=-4).astype(dtype) if dtype in ("int64", "bool") else ODD.astype(dtype)
    arrays = [a] if name in ASKED else [a, a[::-1].copy()]
    if dtype == "bool" and name == "floor_divide":
        return
    with np.errstate(all="ignore"):
        y = getattr(mg, name)(*arrays)
        v = getattr(mg, name)(*(mg.Variable(x, requires_grad=x.dtype.kind == "f") for x in arrays))
    assert isinstance(y, np.ndarray) and isinstance(v, mg.Variable) and not v.requires_grad
    assert y.dtype == v.dtype == (dtype if name == "floor_divide" else bool)
    np.testing.assert_array_equal(v.data, y)
    there = getattr(mg, name)(*(mg.tensor(x, device=cuda) for x in arrays))
    assert there.is_cuda
    np.testing.assert_array_equal(there.cpu().data, y)


def test_closeness_and_equality_are_python_bools(cuda):
    a, b = np.array([1.0, np.nan]), np.array([1.0 + 1e-9, np.nan])
    for make in (lambda x: x, mg.tensor, lambda x: mg.tensor(x, device=cuda)):
        x, y = make(a), make(b)
        answers = mg.allclose(x, y), mg.allclose(x, y, equal_nan=True), mg.equal(x, x), mg.equal(x[:1], x[:1])
        assert all(type(answer) is bool for answer in answers)
        assert answers == (False, True, False, True)
    assert not mg.equal(mg.ones(2), mg.ones(1)) and mg.equal(mg.ones(2), mg.ones(2).long())


def test_only_what_must_waits_for_the_device(double):
    x = mg.tensor(ODD, device="cuda:1")
    double.synchronizations.clear()
    mg.isclose(x, x), mg.nan_to_num(x), mg.sinc(x), mg.erfinv(x), mg.erfc(x), mg.lerp(x, x, x), mg.round(x, decimals=1)
    mg.erf(x.data), mg.erfc(x.data), mg.erfinv(x.data)
    assert double.synchronizations == []
    mg.allclose(x, x)
    assert len(double.synchronizations) == 1


def test_where_alone_gives_places(cuda):
    mask = np.array([[True, False], [False, True]])
    for make in (lambda x: x, mg.tensor, lambda x: mg.tensor(x, device=cuda)):
        rows, columns = mg.where(make(mask))
        assert rows.tolist() == [0, 1] and columns.tolist() == [0, 1] and rows.dtype == "int64"


def test_steps_have_no_gradient_whatever_comes_in():
    x = leaf([0.3, -1.7])
    for step in (mg.floor, mg.ceil, mg.round, mg.trunc, mg.sign, lambda x: mg.round(x, decimals=1)):
        y = step(x)
        (g,) = mg.grad(y, x, np.array([np.inf, np.nan]))
        assert g.tolist() == [0, 0] and y.requires_grad


def test_positive_is_the_thing_itself():
    x = leaf([1.0])
    assert mg.positive(x) is x and mg.positive(x.data) is x.data


# --- NumPy's functions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", methods.UFUNCS)
def test_ufuncs_of_numpy(name):
    ufunc = getattr(np, name)
    a, b = np.array([0.3, 0.6, 0.9]), np.array([0.5, 0.5, -0.5])
    if name in ("invert", "left_shift", "right_shift", "bitwise_and", "bitwise_or", "bitwise_xor"):
        a, b = np.array([5, -3, 2]), np.array([1, 2, 3])
    a = a + 1 if name == "arccosh" else a
    arrays = [a, b][: ufunc.nin]
    y = ufunc(*map(mg.Variable, arrays))
    assert type(y) is mg.Variable
    np.testing.assert_allclose(y.data, ufunc(*arrays), rtol=1e-12)
    if ufunc.nin == 2:
        np.testing.assert_allclose(ufunc(a, mg.Variable(b)).data, ufunc(*arrays), rtol=1e-12)


def test_numpys_round_and_clip_keep_the_gradient():
    x = leaf([0.26, -3.0])
    assert np.clip(x, -1, 1).tolist() == [0.26, -1] and np.clip(x, -1, 1).requires_grad
    assert np.round(x, 1).tolist() == [0.3, -3.0] and np.round(x).requires_grad


# --- accuracy ----------------------------------------------------------------------------------------------------


def test_erfinv_is_exact_to_the_last_digits():
    y = np.concatenate([np.linspace(-1, 1, 201)[1:-1], 1 - 0.5 ** np.arange(1, 54), 10.0 ** -np.arange(1, 300, 20)])
    x = mg.erfinv(y)
    # What erf makes of it differs from y by so much; divided by the slope, x is wrong by so much.
    middle, tail = abs(y) < 0.5, np.sign(y) * (1 - abs(y))
    off = [math.erf(v) - w if near else math.copysign(math.erfc(abs(v)), v) * -1 + t
           for v, w, near, t in zip(x, y, middle, tail, strict=True)]  # fmt: skip
    wrong = np.array(off) * math.sqrt(math.pi) / 2 * np.exp(x * x)
    assert (abs(wrong) <= 2e-15 * abs(x)).all()
    single = y.astype("float32")
    exact = mg.erfinv(single.astype("float64"))
    assert mg.erfinv(single).dtype == "float32"
    np.testing.assert_allclose(mg.erfinv(single), exact, rtol=1e-6, atol=1e-37)


def test_erfc_keeps_its_tail():
    x = np.array([-3.0, 0.1, 5.0, 9.0, 20.0])
    exact = [math.erfc(v) for v in x]
    np.testing.assert_allclose(mg.erfc(x), exact, rtol=1e-15)
    np.testing.assert_allclose(mg.erfc(x.astype("f4")), exact, rtol=1e-6, atol=1e-40)


def test_derivatives_of_sinc_at_and_near_0():
    at_0 = [1, 0, -(math.pi**2) / 3, 0, math.pi**4 / 5]
    for value in (0.0, 1e-9):
        x = leaf(value)
        y = mg.sinc(x)
        for expected in at_0:
            assert y.item() == pytest.approx(expected, rel=1e-12, abs=1e-6)
            (y,) = mg.grad(y, x, create_graph=True)
    x = leaf([1e-4, 1e-3], "float32")
    (g,) = gradient(mg.sinc, x)
    np.testing.assert_allclose(g, -(math.pi**2) / 3 * x.data, rtol=1e-5)  # of (cos - sinc) / x no digit is right


def test_no_overflow_on_the_way():
    assert mg.hypot(leaf(3e200), leaf(4e200)).item() == pytest.approx(5e200)
    assert mg.logaddexp(leaf(1e4), leaf(1e4)).item() == pytest.approx(1e4 + math.log(2))
    ga, gb = gradient(mg.atan2, leaf(3e200), leaf(4e200))
    assert (ga, gb) == (pytest.approx(4 / 25e200), pytest.approx(-3 / 25e200))


def test_lerp_is_exact_at_both_ends():
    a, b = (np.random.default_rng(i).normal(size=100).astype("f4") * 10**i for i in (0, 3))
    for weight in (0, 0.0, np.float32(0), np.zeros(100, "f4")):
        assert (mg.lerp(a, b, weight) == a).all() and (mg.lerp(a, b, 1 - weight) == b).all()


def test_kinks_where_pytorch_has_nan():
    ga, gb = gradient(mg.copysign, leaf([np.inf, -np.inf, 0.0, 2.0]), leaf([-1.0, -1.0, -1.0, -0.0]))
    assert ga.tolist() == [-1, 1, 0, -1] and gb.tolist() == [0, 0, 0, 0]


# --- autocast ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", "acos asin cosh erfinv log10 log2 reciprocal rsqrt sinh tan".split())
def test_autocast_has_in_float32(name):
    h = mg.tensor([0.5], dtype=mg.float16, requires_grad=True)
    assert getattr(mg, name)(h).dtype == mg.float16
    with mg.autocast("cpu"):
        y = getattr(mg, name)(h)
    assert y.dtype == mg.float32
    y.backward()
    assert h.grad.dtype == mg.float16


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", methods.BY_ELEMENT, ids=lambda m: m.__name__)
def test_the_first_argument_is_called_input(module):
    functions = {name: getattr(module, name) for name in module.__all__}
    # a is of those that make.binary makes.
    firsts = {name: next(iter(inspect.signature(f).parameters)) for name, f in functions.items()}
    assert {name: first for name, first in firsts.items() if first not in ("input", "condition")} == {}
