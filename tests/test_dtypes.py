"""Dtypes: what data becomes, what operations return (PyTorch's promotion), and that float32 stays float32."""

import contextlib
import functools
import operator

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.errors import DTypeError
from minigrad.tape import Variable

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
ALL = (*FLOATS, *INTEGERS, "bool")


@contextlib.contextmanager
def default(dtype):
    before = mg.get_default_dtype()
    mg.set_default_dtype(dtype)
    try:
        yield
    finally:
        mg.set_default_dtype(before)


# --- what data becomes -------------------------------------------------------------------------------------------

DATA = [
    (1.5, "float32"),
    (1, "int64"),
    (True, "bool"),
    ([1.5, 2], "float32"),
    ([[1, 2], [3, 4]], "int64"),
    ([True, False], "bool"),
    ([True, 2], "int64"),
    ([True, 2.0], "float32"),
    ([], "float32"),
    ([[], []], "float32"),
    ((1, 2), "int64"),
    (range(3), "int64"),
    ([np.float64(1), 2.5], "float32"),
    *((np.ones(2, dtype), dtype) for dtype in ALL),
    *((np.ones((), dtype), dtype) for dtype in ALL),
    *((np.dtype(dtype).type(1), dtype) for dtype in ALL),
]


@pytest.mark.parametrize(("data", "dtype"), DATA, ids=lambda x: f"{type(x).__name__} {x!r}" if x is not None else "")
def test_what_data_becomes(data, dtype):
    for make in (mg.tensor, mg.as_tensor, Variable):
        assert make(data).dtype == dtype, make
        assert isinstance(make(data).data, np.ndarray) and make(data).tolist() == np.asarray(data).tolist()
    assert mg.tensor(data, dtype="float16").dtype == "float16" and mg.tensor(mg.tensor(data)).dtype == dtype
    with default("float64"):
        from_python = not hasattr(data, "dtype")
        assert mg.tensor(data).dtype == ("float64" if from_python and dtype == "float32" else dtype)


def test_a_list_of_variables():
    x = [mg.tensor(1.0), mg.tensor(2.0)]
    assert mg.tensor(x).dtype == mg.float32 and mg.tensor(x).tolist() == [1, 2]


CREATED = [
    ("mg.zeros(2)", "float32"),
    ("mg.ones((2, 3))", "float32"),
    ("mg.empty(2, 0)", "float32"),
    ("mg.eye(2)", "float32"),
    ("mg.rand(2)", "float32"),
    ("mg.randn(2)", "float32"),
    ("mg.linspace(0, 1, 3)", "float32"),
    ("mg.full((2,), 1.5)", "float32"),
    ("mg.full((2,), 1)", "int64"),
    ("mg.full((2,), True)", "bool"),
    ("mg.arange(3)", "int64"),
    ("mg.arange(0, 3, 1)", "int64"),
    ("mg.arange(3.0)", "float32"),
    ("mg.arange(0, 1, 0.25)", "float32"),
    ("mg.randint(5, (2,))", "int64"),
    ("mg.randperm(4)", "int64"),
    *((f"mg.{name}(2, dtype=mg.{dtype})", dtype) for name in ("zeros", "ones", "empty", "eye") for dtype in INTEGERS),
    *((f"mg.{name}(2, dtype=mg.{dtype})", dtype) for name in ("rand", "randn") for dtype in FLOATS),
    *((f"mg.{name}_like(mg.ones(2, dtype=mg.{d}))", d) for name in ("zeros", "ones", "rand", "randn") for d in FLOATS),
    *((f"mg.full_like(mg.ones(2, dtype=mg.{dtype}), 3)", dtype) for dtype in (*FLOATS, *INTEGERS)),
]


@pytest.mark.parametrize(("text", "dtype"), CREATED)
def test_creation(text, dtype):
    assert eval(text).dtype == dtype
    for other in ("float64", "float16"):
        with default(other):
            assert eval(text).dtype == (other if dtype == "float32" and "float32" not in text else dtype)


def test_default_dtype():
    assert mg.get_default_dtype() == mg.float32
    with default(mg.float64):
        assert mg.nn.Linear(2, 3).weight.dtype == mg.float64
        assert (mg.arange(3) / 2).dtype == mg.float64 and (mg.arange(3) * 0.5).dtype == mg.float64
        for dtype in INTEGERS:
            assert mg.exp(mg.ones(3, dtype=dtype)).dtype == mg.float64, dtype
    for dtype in ("int64", bool, complex):
        with pytest.raises(DTypeError, match="set_default_dtype: expected float16, float32 or float64, got"):
            mg.set_default_dtype(dtype)
    assert mg.get_default_dtype() == mg.float32


REFUSED = [1j, "text", None, [None], ["a"], object(), np.array([1j]), np.array(["a"]), np.array([object()]), {"a": 1}]


@pytest.mark.parametrize("data", REFUSED, ids=repr)
def test_what_is_no_numbers_is_refused(data):
    for make in (mg.tensor, mg.as_tensor, Variable, lambda x: mg.full((2,), x)):
        with pytest.raises(DTypeError, match="tensor: expected floats, integers or bools, got"):
            make(data)
    x = mg.ones(1)
    if isinstance(data, (complex, np.ndarray)):
        for combine in (operator.add, operator.mul, operator.truediv, operator.pow):
            for a, b in ((x, data), (data, x)):
                with pytest.raises((DTypeError, TypeError)):
                    combine(a, b)


OUT_OF_RANGE = {
    "mul": lambda x: x * -1,
    "sub": lambda x: 300 - x,
    "bitwise_and": lambda x: x & -1,
    "floor_divide": lambda x: x // -1,
    "remainder": lambda x: x % -1,
    "maximum": lambda x: mg.maximum(x, -1),
    "clamp": lambda x: x.clamp(-1, 1),
    "setitem": lambda x: x.__setitem__(0, -1),
    "add": lambda x: x.add_(-1),
    "fill": lambda x: x.fill_(-1),
    "full": lambda x: mg.full_like(x, -1),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_numbers_that_the_dtype_does_not_hold_are_refused(name):
    x = mg.tensor([7, 8], dtype=mg.uint8)
    with pytest.raises(DTypeError, match=rf"^{name}: .* out of bounds for uint8; convert the operand .* x\.long\(\)"):
        OUT_OF_RANGE[name](x)
    assert x.tolist() == [7, 8]
    x.long().clamp(-1, 300)


@pytest.mark.parametrize("dtype", [complex, "complex64", "datetime64[s]", "U3"])
def test_dtypes_that_are_refused(dtype):
    for make in (
        lambda: mg.zeros(2, dtype=dtype),
        lambda: mg.ones(2).to(np.dtype(dtype)),
        lambda: mg.ones(2).astype(dtype),
    ):
        with pytest.raises(DTypeError, match="floats"):
            make()


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
def test_integers_cannot_require_grad(dtype):
    for make in (
        lambda: mg.tensor([1, 0], dtype=dtype, requires_grad=True),
        lambda: mg.zeros(2, dtype=dtype, requires_grad=True),
        lambda: mg.full((2,), 1, dtype=dtype, requires_grad=True),
        lambda: mg.zeros(2, dtype=dtype).requires_grad_(),
        lambda: mg.nn.Parameter(mg.zeros(2, dtype=dtype)),
    ):
        with pytest.raises(DTypeError, match=rf"only floats have gradients, and this is {dtype}; write.*x\.float\(\)"):
            make()
    x = mg.tensor([1.5, 0.0], requires_grad=True)
    assert not x.astype(dtype).requires_grad
    y = mg.zeros(2, dtype=dtype)
    y[0] = x[0]  # the value is cast: what is integer now has no gradient
    assert not y.requires_grad and y.tolist()[0] == 1


# --- float32 stays float32 ---------------------------------------------------------------------------------------

WEAKER = {
    "int": 3,
    "float": 2.5,
    "bool": True,
    "np.float64": np.float64(2.5),
    "np.int64": np.int64(3),
    "np.bool": np.True_,
    "0-d float64": np.array(2.5),
    "0-d float64 Variable": mg.tensor(2.5, dtype=mg.float64),
    "int64": np.array([1, 2, 3]),
    "uint8 Variable": mg.tensor([1, 2, 3], dtype=mg.uint8),
    "bools": np.array([True, False, True]),
}
COMBINE = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "//": operator.floordiv,
    "%": operator.mod,
    "maximum": mg.maximum,
    "minimum": mg.minimum,
    "where": lambda a, b: mg.where(np.array([True, False, True]), a, b),
}


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")  # // and % by False
@pytest.mark.parametrize("name", COMBINE)
@pytest.mark.parametrize("weaker", WEAKER)
@pytest.mark.parametrize("float_dtype", ["float32", "float16"])
def test_nothing_weaker_changes_a_float(name, weaker, float_dtype):
    other = WEAKER[weaker]
    x = mg.tensor([0.5, 1.5, 2.5], dtype=float_dtype, requires_grad=True)
    for y in (COMBINE[name](x, other), COMBINE[name](other, x)):
        assert y.dtype == float_dtype
        if y.requires_grad:
            assert mg.grad(y.sum(), x)[0].dtype == float_dtype


@pytest.mark.parametrize("method", ["add_", "sub_", "mul_", "div_", "pow_"])
def test_nor_in_place(method):
    for name, other in WEAKER.items():
        x = mg.tensor([0.5, 1.5, 2.5])
        getattr(x, method)(other if method != "div_" or "bool" not in name else 1)
        assert x.dtype == mg.float32, name


def test_comparisons_take_numbers_in_the_dtype_of_the_array():
    x = mg.tensor([0.1])
    for number in (0.1, np.float64(0.1), np.array(0.1)):
        assert (
            (x == number).tolist() == [True] and (x >= number).tolist() == [True] and (x < number).tolist() == [False]
        )


def test_functions_of_integers_give_the_default_float_or_refuse():
    x = mg.tensor([1, 2, 3])
    for name in "exp expm1 log log1p sqrt sin cos tanh sigmoid erf softplus".split():
        assert getattr(mg, name)(x).dtype == mg.float32, name
    assert mg.logsumexp(x, 0).dtype == mg.float32
    for function in (lambda x: F.softmax(x, 0), lambda x: F.log_softmax(x, 0), F.gelu, F.leaky_relu):
        with pytest.raises(DTypeError, match="float"):
            function(x)


def test_losses_and_layers_keep_float32():
    x, t = mg.randn(4, 3, requires_grad=True), np.array([0, 1, 2, 0])
    weight = np.array([1.0, 2.0, 3.0])  # float64, as NumPy makes it
    for loss in (
        F.cross_entropy(x, t, weight=weight),
        F.cross_entropy(x, t, weight=weight, label_smoothing=0.1),
        F.nll_loss(x, t, weight=weight),
        F.dropout(x, np.float64(0.5)).sum(),
        F.leaky_relu(x, np.float64(0.1)).sum(),
        mg.clamp(x, np.float64(-1), np.float64(1)).sum(),
        F.pad(x, (1, 1), value=np.float64(1)).sum(),
        (x ** np.float64(2)).sum(),
        (np.float64(2) ** x).sum(),
        x.std() + x.var(0).sum() + x.mean(),
    ):
        assert loss.dtype == mg.float32 and mg.grad(loss, x)[0].dtype == mg.float32


# --- PyTorch's table ---------------------------------------------------------------------------------------------

BINARY = {
    "add": operator.add,
    "mul": operator.mul,
    "div": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "less": operator.lt,
    "equal": operator.eq,
    "where": lambda lib, a, b: lib.where(lib.tensor([True, False]), a, b),
    "maximum": lambda lib, a, b: lib.maximum(a, b),
    "minimum": lambda lib, a, b: lib.minimum(a, b),
}
POWERS = [2, 3.0, 0.5, np.float64(2.0)]
UNARY = "exp log sqrt sin tanh sigmoid abs sign neg relu sum mean amax argmax isnan logical_not softmax_0 std".split()


def _torch_or_skip(function):
    """The result, or None where PyTorch refuses."""
    try:
        return function()
    except (RuntimeError, TypeError):
        return None


def _operands(lib):
    """Each dtype with an axis and without, and the numbers of Python and NumPy."""
    for dtype in ALL:
        for data in ([1, 2], 2):
            yield lib.tensor(data, dtype=getattr(lib, dtype))
    yield from (2, 2.5, True)


def _dtype(x):
    return str(x.dtype).removeprefix("torch.")


@pytest.mark.torch
@pytest.mark.parametrize("name", BINARY)
def test_promotion_is_that_of_torch(name):
    torch = pytest.importorskip("torch")
    function = BINARY[name]
    takes_lib = name in ("where", "maximum", "minimum")
    differ, compared = [], 0
    for a, ta in zip(_operands(mg), _operands(torch), strict=True):
        for b, tb in zip(_operands(mg), _operands(torch), strict=True):
            if not hasattr(a, "dtype") and not hasattr(b, "dtype"):
                continue
            args = (torch, ta, tb) if takes_lib else (ta, tb)
            expected = _torch_or_skip(functools.partial(function, *args))
            if expected is None:
                continue
            y = function(mg, a, b) if takes_lib else function(a, b)
            compared += 1
            if _dtype(y) != _dtype(expected) or not np.allclose(y.data, expected.numpy(), rtol=1e-2):
                operands = [f"{x.dtype} {x.shape}" if hasattr(x, "dtype") else repr(x) for x in (a, b)]
                differ.append(
                    (*operands, f"{_dtype(y)} {y.tolist()}", f"torch: {_dtype(expected)} {expected.tolist()}")
                )
    assert not differ and compared > 300


@pytest.mark.torch
@pytest.mark.parametrize("number", POWERS, ids=repr)
def test_powers_promote_as_in_torch(number):
    torch = pytest.importorskip("torch")
    differ = []
    for dtype in ALL:
        for data in ([1, 2], 2):
            x, tx = mg.tensor(data, dtype=dtype), torch.tensor(data, dtype=getattr(torch, dtype))
            for y, expected in ((x**number, tx**number), (number**x, number**tx)):
                if _dtype(y) != _dtype(expected) or not np.allclose(y.data, expected.numpy(), rtol=1e-2):
                    differ.append((dtype, data, _dtype(y), _dtype(expected), y.tolist(), expected.tolist()))
    assert not differ


@pytest.mark.torch
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_operand_promote_as_in_torch(name):
    torch = pytest.importorskip("torch")
    name, *args = name.split("_") if name == "softmax_0" else [name]
    differ = []
    for dtype in ALL:
        x = torch.tensor([1, 0], dtype=getattr(torch, dtype))
        expected = _torch_or_skip(functools.partial(getattr(torch, name), x, *map(int, args)))
        if expected is None:
            continue
        with np.errstate(divide="ignore"):
            y = getattr(mg, name)(mg.tensor([1, 0], dtype=dtype), *map(int, args))
        if _dtype(y) != _dtype(expected) or not np.allclose(y.data, expected.numpy(), rtol=1e-2):
            differ.append((dtype, _dtype(y), _dtype(expected)))
    assert not differ


@pytest.mark.torch
@pytest.mark.parametrize(
    "scalar", [np.float64(2.5), np.float32(2.5), np.float16(2.5), np.int64(2), np.int8(2)], ids=repr
)
def test_numpy_scalars_promote_as_in_torch(scalar):
    torch = pytest.importorskip("torch")
    differ = []
    for dtype in ALL:
        for data in ([1, 2], 2):
            x, tx = mg.tensor(data, dtype=dtype), torch.tensor(data, dtype=getattr(torch, dtype))
            for y, expected in ((x + scalar, tx + scalar), (x * scalar, tx * scalar), (x < scalar, tx < scalar)):
                if _dtype(y) != _dtype(expected):
                    differ.append((dtype, data, _dtype(y), _dtype(expected)))
    assert not differ


@pytest.mark.parametrize("mode", ["trunc", "floor", None])
def test_integers_divided_by_a_decimal_number_are_floats(mode):
    y = mg.div(mg.tensor([7, -7]), 2.5, rounding_mode=mode)
    assert y.dtype == mg.float32
    assert mg.div(mg.tensor([7, -7]), 2, rounding_mode="trunc").tolist() == [3, -3]
