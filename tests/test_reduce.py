"""Over axes and along them: what the table of operations and the calls of PyTorch do not show."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import DTypeError, GraphError, IndexRangeError, ShapeError

inf, nan = math.inf, math.nan


def leaf(values):
    return mg.tensor(values, dtype=mg.float64, requires_grad=True)


def gradient(y, x):
    return mg.grad(y.sum(), x)[0].tolist()


# --- where PyTorch is not followed -------------------------------------------------------------------------------


def test_the_gradient_of_a_product_needs_no_division():
    """PyTorch divides the product by the element: NaN for the infinite one."""
    x = leaf([inf, 2.0, 3.0])
    assert gradient(x.prod(), x) == [6, inf, inf]
    assert gradient(x.cumprod(0), x) == [9, inf, inf]


def test_the_variance_over_dim_of_nothing_is_that_of_all():
    """PyTorch's gradient counts one element there."""
    x = leaf([[1.0, 3.0], [2.0, 8.0]])
    for f in (mg.var, mg.std):
        assert f(x, ()).item() == f(x).item()
        assert gradient(f(x, ()), x) == gradient(f(x), x)


def test_a_variance_without_degrees_of_freedom():
    """PyTorch's gradient is inf on both sides of the mean."""
    x = leaf([1.0, 3.0])
    with np.errstate(all="ignore"):
        assert mg.var(x, correction=2).item() == inf and gradient(mg.var(x, correction=2), x) == [-inf, inf]
        assert math.isnan(mg.var(x[:1]).item())


# --- to any order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", [mg.prod, lambda x: mg.cumprod(x, 0)[-1]], ids=["prod", "cumprod"])
def test_the_third_derivative_of_a_product_of_zeros(product):
    x = leaf([0.0, 0.0, 0.0])
    y = product(x)
    for i in range(3):
        y = mg.grad(y, x, create_graph=True)[0]
        assert y.tolist() == [0.0, 0.0, 0.0] or i == 2
        y = y[i]
    assert y.item() == 1


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 100])
def test_running_products_of_any_length(n):
    """Their gradient joins neighbors in log n steps, which must come out for all lengths."""
    x = mg.tensor(np.random.default_rng(n).uniform(0.5, 1.5, n), requires_grad=True)
    weights = np.random.default_rng(1).normal(size=n)
    (g,) = mg.grad((x.cumprod(0) * mg.tensor(weights)).sum(), x)
    y = np.cumprod(x.numpy(force=True))
    np.testing.assert_allclose(g.data, np.cumsum((weights * y)[::-1])[::-1] / x.data, rtol=1e-9)


# --- dtypes ------------------------------------------------------------------------------------------------------


def half(values):
    return mg.tensor(values, dtype=mg.float16)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (lambda: half([300.0] * 1000).mean(), 300),
        (lambda: half([300.0, 0.0] * 50).var(), 22727),
        (lambda: half([600.0, 0.0] * 50).std(), 301.5),
        (lambda: half([300.0] * 100).norm(), 3000),
        (lambda: half([200.0] * 10).norm(3), 430.9),
        (lambda: half([1000.0, 1000.0, 0.001]).prod(), 1000),
        (lambda: half([1.01] * 1000).cumprod(0)[-1], 1.009765625**1000),
        (lambda: half([1.0] * 4001).cumsum(0)[-1], 4000),
        (lambda: half([1.0, nan] * 4001).nansum(), 4000),
        (lambda: half([20.0, nan] * 4000).nanmean(), 20),
    ],
)
def test_float16_is_added_up_in_float32(y, expected):
    assert y().dtype == mg.float16
    assert y().item() == pytest.approx(expected, rel=2e-3)


REGION = {
    "prod": lambda h: h.prod(),
    "cumsum": lambda h: h.cumsum(0),
    "cumprod": lambda h: h.cumprod(0),
    "norm": lambda h: h.norm(),
    "norm 3": lambda h: mg.norm(h, 3, 0),
}


@pytest.mark.parametrize("name", REGION)
def test_autocast_takes_them_to_float32(name):
    with mg.autocast("cpu"):
        assert REGION[name](half([1.5, 2.5])).dtype == mg.float32
    assert REGION[name](half([1.5, 2.5])).dtype == mg.float16


def test_a_dtype_that_is_asked_for_is_the_result():
    x = mg.tensor([200, 100], dtype=mg.uint8)
    assert [f(x).dtype for f in (mg.sum, mg.prod, mg.nansum)] == [mg.int64] * 3
    for f in (mg.sum, mg.prod, mg.nansum, lambda x, dtype: mg.cumsum(x, 0, dtype=dtype)):
        assert f(x, dtype=mg.uint8).dtype == mg.uint8
        assert f(x, dtype=mg.float16).dtype == mg.float16
    assert mg.sum(x, dtype=mg.uint8).item() == 44


# --- in order ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [False, True])
def test_equal_elements_keep_their_order(descending):
    x = mg.tensor(np.random.default_rng(0).integers(0, 3, (50, 2)))
    values, indices = x.sort(0, descending)
    for column in range(2):
        for value in range(3):
            places = indices.data[values.data[:, column] == value, column]
            assert (np.diff(places) > 0).all() and len(places)
    assert (x.argsort(0, descending).data == indices.data).all()
    assert (mg.take_along_dim(x, indices, 0).data == values.data).all()


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("k", [0, 1, 3, 8, 9])
def test_the_best_of_equal_ones(k, largest):
    """Which of them is left open; each is there once, and the values are those of the sorted whole."""
    x = mg.tensor([[2.0, nan, 1.0, 2.0, 2.0, nan, -inf, 2.0, 1.0]])
    values, indices = x.topk(k, 1, largest)
    np.testing.assert_array_equal(values.data, x.sort(1, largest)[0].data[:, :k])
    np.testing.assert_array_equal(x.data[0, indices.data[0]], values.data[0])
    assert len(set(indices.tolist()[0])) == k


def test_results_have_names():
    x = mg.tensor([[3.0, 1.0, 2.0]])
    for y in (x.sort(), x.topk(2), x.max(1), x.min(1), x.median(1), x.nanmedian(1), x.kthvalue(2)):
        values, indices = y
        assert y.values is values and y.indices is indices and indices.dtype == mg.int64
    assert x.aminmax().min.item() == 1 and x.aminmax().max.item() == 3


def test_arrays_give_arrays():
    x = np.array([[3.0, 1.0], [2.0, 5.0]])
    for y in (
        mg.argsort(x),
        mg.argmax(x, 1),
        mg.count_nonzero(x),
        mg.all(x),
        mg.sort(x).indices,
        mg.topk(x, 1).indices,
    ):
        assert isinstance(y, np.ndarray | np.generic)
    assert mg.diff(x).tolist() == [[-2], [3]] and mg.norm(x, 1) == 11 and mg.median(x) == 2


# --- in place ----------------------------------------------------------------------------------------------------


def test_running_sums_and_products_in_place():
    x = leaf([2.0, 3.0, 4.0])
    y = x * 1
    assert y.cumprod_(0) is y and y.cumsum_(dim=0) is y
    assert y.tolist() == [2, 8, 32] and gradient(y, x) == [1 * 3 + 3 * 2 + 12, 2 * 2 + 8, 6]
    whole = mg.tensor([1, 2, 3], dtype=mg.int32)
    assert whole.cumsum_(0).tolist() == [1, 3, 6] and whole.dtype == mg.int32
    with pytest.raises(GraphError, match="a leaf that requires grad"):
        x.cumsum_(0)


# --- messages ----------------------------------------------------------------------------------------------------

X, EMPTY, WHOLE = mg.ones(2, 3), mg.zeros(0, 3), mg.arange(3)
REFUSED = {
    "mean of integers": (lambda: WHOLE.mean(), DTypeError, "mean: expected floats, got int64; write x.float()"),
    "nanmean of integers": (lambda: WHOLE.nanmean(), DTypeError, "nanmean: expected floats, got int64"),
    "var of integers": (lambda: WHOLE.var(), DTypeError, "var: expected floats, got int64"),
    "std_mean of integers": (lambda: mg.std_mean(WHOLE), DTypeError, "std: expected floats"),
    "norm of integers": (lambda: WHOLE.norm(), DTypeError, "norm: expected floats, got int64"),
    "norm of a name": (lambda: X.norm("nuc"), ValueError, "norm: p must be .* got 'nuc'; .* mg.linalg.matrix_norm"),
    "norm of a list": (lambda: X.norm([1]), TypeError, r"vector_norm: ord must be a number, inf or -inf, got \[1\]"),
    "norm of nothing": (lambda: EMPTY.norm(inf, 0), ShapeError, r"ord inf has no elements to .*; x is \(0, 3\)"),
    "sum": (lambda: X.sum(2), IndexRangeError, r"sum: dim 2 is outside of -2..1; x is \(2, 3\)"),
    "sum twice": (lambda: X.sum((0, -2)), IndexRangeError, "sum: an axis occurs twice in dim"),
    "nansum": (lambda: X.nansum("a"), IndexRangeError, "nansum: dim must be an int or several, got 'a'"),
    "prod": (lambda: X.prod(-3), IndexRangeError, "prod: dim -3 is outside of"),
    "count_nonzero": (lambda: X.count_nonzero(2), IndexRangeError, "count_nonzero: dim 2 is outside of"),
    "amax of nothing": (lambda: EMPTY.amax(0), ShapeError, r"amax: x \(0, 3\) has no elements to choose from"),
    "min of nothing": (lambda: EMPTY.min(), ShapeError, r"min: x \(0, 3\) has no elements to choose from"),
    "argmax of nothing": (lambda: EMPTY.argmax(0), IndexRangeError, r"argmax: input \(0, 3\) has no elements"),
    "median of nothing": (lambda: EMPTY.median(0), IndexRangeError, r"median: x \(0, 3\) has no elements along dim 0"),
    "cumsum": (lambda: X.cumsum(2), IndexRangeError, "cumsum: dim 2 is outside of"),
    "cumprod of a number": (lambda: mg.tensor(2.0).cumprod(1), IndexRangeError, "cumprod: dim 1 is outside of"),
    "sort": (lambda: X.sort(2), IndexRangeError, "sort: dim 2 is outside of"),
    "argsort": (lambda: X.argsort(-3), IndexRangeError, "argsort: dim -3 is outside of"),
    "topk": (lambda: X.topk(4), IndexRangeError, "topk: k must be from 0 to the 3 elements along dim -1, got 4"),
    "topk of a number": (lambda: mg.tensor(2.0).topk(2), IndexRangeError, "topk: k must be from .* 1 elements"),
    "kthvalue": (lambda: X.kthvalue(0, 0), IndexRangeError, "kthvalue: k must be from 1 to the 2 elements along dim 0"),
    "diff of a number": (lambda: mg.tensor(2.0).diff(), ShapeError, "diff: input needs at least one axis"),
    "diff backwards": (lambda: X.diff(-1), ValueError, "diff: n counts how often, and must be at least 0, got -1"),
    "diff with a row": (lambda: X.diff(prepend=X[0]), ShapeError, r"as many axes as input; .* \(3,\), \(2, 3\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_messages(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()
