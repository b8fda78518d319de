"""Beside Python and NumPy: operators in both orders, ufuncs, conversions, display, copies, shared memory."""

import copy
import math
import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import DTypeError, GraphError, MinigradError, ShapeError
from minigrad.tape import Variable

ARRAY = np.array([0.5, 2.0, 3.0])
OTHER = np.array([1.5, 0.5, 2.0])


def variable(array=ARRAY):
    return mg.tensor(array, requires_grad=array.dtype.kind == "f")


# --- operators ---------------------------------------------------------------------------------------------------

ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "@": operator.matmul,
    "//": operator.floordiv,
    "%": operator.mod,
}
COMPARISONS = {name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}
OTHERS = {
    "ndarray": OTHER,
    "read-only ndarray": np.broadcast_to(np.array(2.0), 3),
    "0-d ndarray": np.array(2.0),
    "np.float64": np.float64(2.0),
    "np.int32": np.int32(2),
    "float": 2.0,
    "int": 2,
    "list": [1.5, 0.5, 2.0],
    "Variable": mg.tensor(OTHER),
}


@pytest.mark.parametrize("name", ARITHMETIC | COMPARISONS)
@pytest.mark.parametrize("other", OTHERS)
def test_operators_in_both_orders(name, other):
    function, b = (ARITHMETIC | COMPARISONS)[name], OTHERS[other]
    plain = b.data if isinstance(b, Variable) else np.asarray(b)
    if name == "@" and plain.ndim == 0:
        for a, c in ((variable(), b), (b, variable())):
            with pytest.raises((ShapeError, TypeError)):
                function(a, c)
        return
    v = variable()
    for y, expected in ((function(v, b), function(ARRAY, plain)), (function(b, v), function(plain, ARRAY))):
        assert type(y) is Variable and isinstance(y.data, np.ndarray) and y.dtype == expected.dtype
        np.testing.assert_allclose(y.data, expected, rtol=1e-12)
        if name in ("//", "%") or name in COMPARISONS:
            continue
        assert y.requires_grad
        y.backward(np.ones(y.shape))
        assert v.grad.shape == v.shape and isinstance(v.grad.data, np.ndarray)


@pytest.mark.parametrize("symbol", ["&", "|", "^"])
def test_logic_in_both_orders(symbol):
    a, b = np.array([True, True, False]), np.array([True, False, False])
    expected = eval(f"a {symbol} b")
    for left, right in ((mg.tensor(a), mg.tensor(b)), (a, mg.tensor(b)), (mg.tensor(a), b)):
        y = eval(f"left {symbol} right", {"left": left, "right": right})
        assert type(y) is Variable and y.tolist() == expected.tolist()
    assert eval(f"True {symbol} x", {"x": mg.tensor(b)}).dtype == mg.bool


def test_signs_and_inversion():
    v = variable(np.array([-1.5, 0.5]))
    assert (-v).tolist() == [1.5, -0.5] and abs(v).tolist() == [1.5, 0.5] and (+v).tolist() == [-1.5, 0.5]
    assert (~mg.tensor([True, False])).tolist() == [False, True]
    assert (~mg.tensor([5, 0, -1])).tolist() == [-6, -1, 0]  # bit by bit, as in NumPy and PyTorch
    with pytest.raises((DTypeError, TypeError)):
        ~v  # noqa: B018


def test_the_gradient_of_powers():
    x = variable()
    np.testing.assert_allclose(mg.grad((2.0**x).sum(), x)[0].data, 2**ARRAY * math.log(2))
    np.testing.assert_allclose(mg.grad((OTHER**x).sum(), x)[0].data, OTHER**ARRAY * np.log(OTHER))
    np.testing.assert_allclose(mg.grad((x**x).sum(), x)[0].data, ARRAY**ARRAY * (np.log(ARRAY) + 1))
    np.testing.assert_allclose(mg.grad((x ** np.float64(3)).sum(), x)[0].data, 3 * ARRAY**2)


# --- ufuncs ------------------------------------------------------------------------------------------------------

UNARY = "exp expm1 log log1p sqrt sin cos tanh sign negative absolute isnan isinf isfinite".split()
BINARY = (
    "add subtract multiply divide true_divide power maximum minimum matmul floor_divide remainder less equal".split()
)


@pytest.mark.parametrize("name", UNARY)
def test_numpys_functions_of_one_operand(name):
    ufunc, v = getattr(np, name), variable()
    y = ufunc(v)
    np.testing.assert_allclose(y.data, ufunc(ARRAY), rtol=1e-12)
    assert type(y) is Variable and y.requires_grad == (y.dtype == np.float64)
    if y.requires_grad:
        assert mg.gradcheck(ufunc, v, allow_zero=name == "sign")


@pytest.mark.parametrize("name", BINARY)
def test_numpys_functions_of_two_operands(name):
    ufunc, v, w = getattr(np, name), variable(), variable(OTHER)
    for args in (
        (v, w),
        (v, OTHER),
        (ARRAY, w),
        *([(v, 2.0), (2, w), (v, OTHER.tolist())] if name != "matmul" else []),
    ):
        y = ufunc(*args)
        np.testing.assert_allclose(y.data, ufunc(*(np.asarray(a) for a in args)), rtol=1e-12)
        assert type(y) is Variable


@pytest.mark.parametrize("call", ["np.spacing(v)", "np.divmod(v, 2)", "np.cbrt(v)", "np.nextafter(v, v)"])
def test_functions_that_minigrad_lacks_are_refused(call):
    name = call.split("(")[0]
    with pytest.raises(DTypeError, match=rf"{name}: not defined on a Variable; use an operation.*x\.numpy\(\)"):
        eval(call, {"np": np, "v": variable()})


@pytest.mark.parametrize(
    "call", ["np.add.reduce(v)", "np.multiply.outer(v, v)", "np.add.accumulate(v)", "np.add.at(a, 0, v)"]
)
def test_methods_of_ufuncs_are_refused(call):
    method = call.split("(")[0].split(".")[2]
    a = np.ones(3)
    with pytest.raises(DTypeError, match=rf"np\.(add|multiply).*\.{method}"):
        eval(call, {"np": np, "v": variable(), "a": a})
    assert (a == 1).all()


@pytest.mark.parametrize("option", ["where=[True, False, True]", "dtype=np.float32", "casting='no'", "out=v"])
def test_options_of_ufuncs_are_named_when_refused(option):
    with pytest.raises(DTypeError, match=rf"np\.add.*{option.split('=')[0]}"):
        eval(f"np.add(a, v, {option})", {"np": np, "v": variable(), "a": ARRAY})


def test_out_is_written_without_a_gradient():
    v, out = variable(), np.zeros(3)
    assert np.add(v, 1, out=out) is out and type(out) is np.ndarray and (out == ARRAY + 1).all()
    out += v
    out *= variable(OTHER)
    np.testing.assert_allclose(out, (2 * ARRAY + 1) * OTHER)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "any", "all"])
def test_numpys_reductions(name):
    array = np.arange(6.0).reshape(2, 3) + 1
    v = variable(array)
    for options in ({}, {"axis": 1}, {"axis": 0, "keepdims": True}):
        y, expected = getattr(np, name)(v, **options), getattr(np, name)(array, **options)
        values = y[0] if isinstance(y, tuple) else y
        np.testing.assert_allclose(values.data, expected)
        assert type(values) is Variable and values.requires_grad == (name not in ("any", "all"))


# --- conversions -------------------------------------------------------------------------------------------------


def test_to_arrays():
    v = variable()
    for array in (np.asarray(v), np.array(v), np.array(v, dtype=np.float32), np.asarray([v, v]), np.stack([v, v])):
        assert type(array) is np.ndarray and array.dtype.kind == "f" and (array == ARRAY).all()
    assert np.asarray(v) is v.data and not np.shares_memory(np.array(v), v.data)
    assert np.array(v, dtype=np.float32).dtype == np.float32 and np.asarray(mg.tensor(2.5)).shape == ()
    assert np.allclose(v, ARRAY) and np.shape(v) == (3,) and np.ndim(v) == 1
    array = np.zeros(3)
    array[0], array[1:] = mg.tensor(2.0), mg.tensor([3.0, 4.0])
    assert array.tolist() == [2, 3, 4]
    assert np.arange(5)[mg.tensor([1, 3])].tolist() == [1, 3] and np.arange(2)[mg.tensor([True, False])].tolist() == [0]


def test_numpy():
    v, plain = variable(), mg.tensor(ARRAY)
    with pytest.raises(GraphError, match=r"numpy: this Variable requires grad; write x.detach\(\).numpy\(\)"):
        v.numpy()
    with pytest.raises(GraphError, match="numpy"):
        (v * 2).numpy()
    assert v.detach().numpy() is v.data and v.numpy(force=True) is v.data and plain.numpy() is plain.data
    assert v.tolist() == ARRAY.tolist() and variable()[1].item() == 2.0 and type(mg.tensor(3).item()) is int


def test_from_numpy_shares_memory():
    array = np.zeros(3, np.int16)
    v = mg.from_numpy(array)
    array[0] = 5
    v[1] = 6
    assert v.dtype == np.int16 and v.tolist() == array.tolist() == [5, 6, 0]
    assert mg.as_tensor(array).data is array and mg.as_tensor(v) is v
    assert not np.shares_memory(mg.tensor(array).data, array) and not np.shares_memory(mg.tensor(v).data, array)
    for wrong in ([1.0], 1.0, mg.ones(1), np.float64(1)):
        with pytest.raises(DTypeError, match=r"from_numpy: expected a numpy.ndarray, got .*; write mg.tensor\(...\)"):
            mg.from_numpy(wrong)


def test_numbers():
    for v in (mg.tensor(2.75), mg.tensor([2.75], requires_grad=True), mg.tensor([[2.75]]) * 1):
        assert float(v) == 2.75 and int(v) == 2 and complex(v) == 2.75 and bool(v) and math.floor(float(v)) == 2
    assert not mg.tensor(0) and not mg.tensor([False]) and mg.tensor([0.5])
    assert [10, 20, 30][mg.tensor(1)] == 20 and list(range(mg.tensor([2]))) == [0, 1]
    for convert in (float, int):
        with pytest.raises(
            ShapeError, match=r"only one element can be a Python number, and this Variable has shape \(3,\)"
        ):
            convert(variable())
    for v in (variable(), mg.zeros(0), variable() > 1):
        with pytest.raises(
            ShapeError, match=r"bool: the truth of . elements is not defined; write x.any\(\) or x.all\(\)"
        ):
            bool(v)
    for v in (mg.tensor(1.5), mg.tensor([1, 2]), mg.tensor(True)):
        with pytest.raises(TypeError, match="only an integer of one element can be an index, and this is"):
            [1, 2, 3][v]


CASTS = {"half": "float16", "float": "float32", "double": "float64", "bool": "bool"}
CASTS |= {"long": "int64", "int": "int32", "short": "int16", "byte": "uint8"}


def test_casts():
    v = variable()
    for name, dtype in CASTS.items():
        for y in (
            getattr(v, name)(),
            v.to(dtype=dtype),
            v.to(getattr(np, dtype)),
            v.astype(dtype),
            v.to(mg.zeros(1).astype(dtype)),
        ):
            assert y.dtype == dtype and y.tolist() == ARRAY.astype(dtype).tolist()
            assert y.requires_grad == (y.dtype.kind == "f")
    assert v.double() is v and v.to("cpu") is v and v.to(mg.float64) is v and v.to(v, copy=True) is not v
    (g,) = mg.grad((v.float() * 2).half().sum(), v)
    assert g.dtype == mg.float64 and g.tolist() == [2, 2, 2]


# --- as a sequence -----------------------------------------------------------------------------------------------


def test_len_iteration_and_membership():
    v = variable(np.arange(6.0).reshape(3, 2))
    assert len(v) == 3 and [row.tolist() for row in v] == v.tolist() and all(row.requires_grad for row in v)
    assert (
        len(mg.zeros(0, 3)) == 0
        and list(mg.zeros(0, 3)) == []
        and [x.item() for x in reversed(variable())] == [3, 2, 0.5]
    )
    _, b, _ = v
    assert b.tolist() == [2, 3] and sum(variable()).item() == 5.5
    assert 5 in v and 5.0 in v and np.float64(5) in v and mg.tensor(5.0) in v and 7 not in v and np.nan not in v  # noqa: PLW0177
    for use in (len, iter):
        with pytest.raises(TypeError, match="len: a Variable without axes has no length"):
            use(mg.tensor(1.0))


def test_equality_and_hash():
    v, w = variable(), variable()
    assert (v == w).tolist() == [True] * 3 and (v != w).tolist() == [False] * 3
    assert (v == None) is False and (v != None) is True  # noqa: E711
    assert hash(v) != hash(w) and {v: 1, w: 2}[v] == 1 and len({v, w, v}) == 2
    with pytest.raises(ShapeError, match="eq: shapes"):
        v == mg.zeros(2)  # noqa: B015


# --- display -----------------------------------------------------------------------------------------------------

REPR = [
    (lambda: mg.tensor(1.5), "Variable(1.5)"),
    (lambda: mg.tensor(3), "Variable(3)"),
    (lambda: mg.tensor([1, 2]), "Variable([1, 2])"),
    (lambda: mg.tensor([True, False]), "Variable([ True, False])"),
    (lambda: mg.tensor([]), "Variable([], shape=(0,))"),
    (lambda: mg.zeros(2, 0, dtype=mg.float64), "Variable([], shape=(2, 0), dtype=float64)"),
    (lambda: mg.tensor([[1.0, 2.0], [3.0, 4.5]]), "Variable([[1. , 2. ],\n          [3. , 4.5]])"),
    (lambda: mg.tensor([1.0], requires_grad=True), "Variable([1.], requires_grad=True)"),
    (lambda: mg.tensor([1.0], requires_grad=True) * 2, "Variable([2.], creator=<Mul>)"),
    (lambda: mg.ones(2, dtype=mg.float16), "Variable([1., 1.], dtype=float16)"),
    (lambda: mg.tensor([1, 2], dtype=mg.uint8), "Variable([1, 2], dtype=uint8)"),
    (lambda: mg.tensor([np.nan, np.inf, -np.inf]), "Variable([ nan,  inf, -inf])"),
    (lambda: mg.tensor([1 / 3, 2 / 3]), "Variable([0.3333, 0.6667])"),
    (lambda: nn.Parameter(mg.ones(2)), "Parameter containing:\nVariable([1., 1.], requires_grad=True)"),
]


@pytest.mark.parametrize(("make", "text"), REPR, ids=[text.replace("\n", " ") for _, text in REPR])
def test_repr(make, text):
    assert repr(make()) == text and str(make()) == text and f"{make()}" == text


def test_repr_of_large_ones_is_short():
    text = repr(mg.zeros(1000, 1000, requires_grad=True))
    assert len(text.splitlines()) < 10 and "..." in text and text.endswith("requires_grad=True)")
    assert len(repr(mg.zeros(2000))) < 200


def test_format():
    assert f"{mg.tensor(1.23456):.2f} {mg.tensor([2.0]):>6} {mg.tensor(7):03d}" == "1.23    2.0 007"
    assert (
        f"{variable():>60}".endswith(repr(variable()))
        and f"loss {mg.tensor([0.5], requires_grad=True):.1f}" == "loss 0.5"
    )
    with pytest.raises((TypeError, ValueError)):
        f"{variable():.2f}"


# --- copies ------------------------------------------------------------------------------------------------------


def test_deepcopy():
    v = variable()
    v.grad, v.name = mg.ones(3, dtype=mg.float64), "v"
    v.register_hook(lambda g: g * 100)
    first, second, listed = copy.deepcopy((v, v, [v]))
    assert first is second is listed[0] and first is not v and type(first) is Variable
    assert first.requires_grad and first.is_leaf and first.name == "v" and first.tolist() == v.tolist()
    assert first.grad.tolist() == [1, 1, 1]
    for a, b in ((first.data, v.data), (first.grad.data, v.grad.data)):
        assert not np.shares_memory(a, b)
    first.grad = None
    first.sum().backward()
    assert first.grad.tolist() == [1, 1, 1] and v.grad.tolist() == [1, 1, 1]  # without the hook
    assert not copy.deepcopy(mg.tensor([1, 2])).requires_grad
    with pytest.raises(GraphError, match=r"deepcopy: only leaves can be copied.*x.detach\(\).clone\(\)"):
        copy.deepcopy(v * 2)


@pytest.mark.parametrize(
    "call",
    [
        "x.reshape(n)",
        "x.reshape(n, 1)",
        "x.sum(d)",
        "x.max(d)[0]",
        "x.unsqueeze(d)",
        "x.softmax(d)",
        "x.expand(n, n)",
        "mg.zeros(n)",
        "mg.ones(n, n)",
        "mg.randn(n)",
        "mg.full((n,), 1.0)",
        "mg.arange(n)",
        "mg.cat([x, x], d)",
        "mg.stack([x, x], d)",
        "x.split(n, d)[0]",
        "x.chunk(n, d)[0]",
        "x[d]",
        "x[:n]",
        "x.size(d)",
        "nn.functional.pad(x, (n, n))",
    ],
)
def test_numpys_integers_are_integers(call):
    """Shapes and axes often come out of NumPy."""
    values = [eval(call, {"mg": mg, "nn": nn, "x": mg.ones(3), "n": kind(3), "d": kind(0)}) for kind in (int, np.int64)]
    assert np.shape(values[0]) == np.shape(values[1])


def test_errors_in_ufuncs_are_those_of_the_operation():
    with pytest.raises(MinigradError, match=r"add: shapes \(2,\) and \(3,\) do not broadcast"):
        np.add(np.ones(2), variable())
