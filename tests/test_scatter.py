"""Scattering and masking: where PyTorch leaves something open or fails, in place, on a GPU, and what is refused."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import Backend, load_cuda, moved
from minigrad.errors import DTypeError, GraphError, IndexRangeError, ShapeError

cpu = Backend(np)


def leaf(*values):
    return mg.tensor(list(values), dtype=mg.float64, requires_grad=True)


def ints(*values):
    return mg.tensor(list(values), dtype=mg.int64)


def gradients(y, *xs):
    """The gradients of the sum of y's elements times 1, 2, 3..."""
    weights = mg.arange(1.0, y.numel() + 1).reshape(y.shape).double()
    return [g.tolist() for g in mg.grad((y * weights).sum(), xs)]


# --- where PyTorch's is open, or goes another way ----------------------------------------------------------------


@pytest.mark.parametrize("operation", [mg.scatter, mg.index_copy])
def test_a_value_that_is_lost_to_another_has_its_gradient_too(operation):
    x, src = leaf(1, 2, 3), leaf(7, 8, 9)
    y = operation(x, 0, ints(2, 2, 0), src)
    assert y[2].item() in (7, 8) and y[:2].tolist() == [9, 2]
    assert gradients(y, x, src) == [[0, 2, 0], [3, 3, 1]]


def test_filling_twice_counts_once():
    x, value = leaf(1, 2, 3), leaf(5)
    assert gradients(mg.index_fill(x, 0, ints(2, 2, 0), value[0]), x, value) == [[0, 2, 0], [4]]


@pytest.mark.parametrize("reduce", ["amax", "amin"])
def test_what_is_not_included_has_no_share(reduce):
    x, src = leaf(1, 1, 5), leaf(1, 1, 1)
    y = mg.scatter_reduce(x, 0, ints(0, 0, 1), src, reduce, include_self=False)
    assert y.tolist() == [1, 1, 5]
    assert gradients(y, x, src) == [[0, 0, 3], [0.5, 0.5, 2]]


def test_a_source_may_be_longer_than_its_index():
    x, src = leaf(1, 2, 3), leaf(7, 8, 9)
    for operation in (mg.scatter_add, lambda *args: mg.scatter_reduce(*args, "prod")):
        y = operation(x, 0, ints(1), src)
        assert gradients(y.sum(), src)[0][1:] == [0, 0]


def test_third_derivatives_of_a_product_of_zeros():
    """d3 (x a b c) / da db dc = x, at a = b = c = 0, where all lower ones are 0."""
    x, src = leaf(2), leaf(0, 0, 0)
    y = mg.scatter_reduce(x, 0, ints(0, 0, 0), src, "prod")
    (g,) = mg.grad(y, src, create_graph=True)
    (gg,) = mg.grad(g[0], src, create_graph=True)
    (ggg,) = mg.grad(gg[1], src)
    assert (y.item(), g.tolist(), gg.tolist(), ggg.tolist()) == (0, [0] * 3, [0] * 3, [0, 0, 2])


def test_second_derivatives_where_torch_refuses_them():
    x, src = leaf(3, 0, 2), leaf(0, 0, 2, 0, 1.5)
    index = ints(0, 0, 1, 1, 2)

    def function(x, src):
        return mg.scatter_reduce(x.reshape(3), 0, index, src, "prod")  # for x of another size a GPU would not refuse

    assert mg.gradcheck(function, x, src, order=2)
    (g,) = mg.grad(mg.scatter_reduce(x, 0, index, src, "prod").sum(), src, create_graph=True)
    assert mg.grad(g[0], src)[0].tolist() == [0, 3, 0, 0, 0]


def test_negative_indices_count_from_the_end():
    x = leaf(1, 2, 3)
    assert mg.gather(x, 0, ints(-1, 0)).tolist() == mg.take(x, ints(-1, 0)).tolist() == [3, 1]
    assert mg.index_select(x, 0, ints(-1)).tolist() == [3]
    assert mg.scatter(x, 0, ints(-1), 7).tolist() == mg.index_fill(x, 0, ints(-1), 7).tolist() == [1, 2, 7]
    assert mg.index_add(x, 0, ints(-1), leaf(7)).tolist() == [1, 2, 10]
    assert mg.scatter_reduce(x, 0, ints(-1, 2), leaf(2, 2), "prod").tolist() == [1, 2, 12]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_no_dtype_is_widened(dtype):
    x, src, index = mg.ones(3, 4, dtype=dtype), mg.ones(3, 2, dtype=dtype), mg.zeros(3, 2, dtype=mg.int64)
    calls = [mg.scatter_reduce(x, 1, index, src, how) for how in ("sum", "prod", "mean", "amax", "amin")]
    calls += [mg.scatter(x, 1, index, 2.5), mg.masked_fill(x, x > 0, mg.tensor(2.0, dtype=mg.float64))]
    calls += [
        mg.index_add(x, 1, index[0], src, alpha=0.5),
        mg.masked_scatter(x, x > 0, x),
        mg.masked_fill(x, x > 0, -1e4),
    ]
    assert {str(y.dtype) for y in calls} == {dtype}


def test_in_an_autocast_region_the_wider_dtype_decides():
    x, src = mg.zeros(3), mg.ones(2).half()
    with mg.autocast("cuda" if x.is_cuda else "cpu"):
        assert mg.scatter_add(x, 0, ints(1, 1), src).dtype == mg.float32
        assert mg.index_add(x.half(), 0, ints(1, 1), src).dtype == mg.float16


# --- in place ----------------------------------------------------------------------------------------------------

WRITES = {
    "scatter_": lambda y, v: y.scatter_(0, ints(0, 2), v),
    "scatter_ by names": lambda y, v: y.scatter_(dim=0, index=ints(0, 2), src=v),
    "scatter_add_": lambda y, v: y.scatter_add_(0, ints(0, 2, 0), v),
    "scatter_reduce_": lambda y, v: y.scatter_reduce_(0, ints(0, 2, 0), v, "prod", include_self=False),
    "index_add_": lambda y, v: y.index_add_(0, ints(0, 2, 0), v, alpha=3),
    "index_add_ by names": lambda y, v: y.index_add_(0, index=ints(0, 2, 0), source=v),
    "index_copy_": lambda y, v: y.index_copy_(0, ints(0, 2), source=v[1:]),
    "index_fill_": lambda y, v: y.index_fill_(0, ints(0, 2, 0), v.sum()),
    "masked_fill_": lambda y, v: y.masked_fill_(mask=mg.tensor([True, False, True]), value=v.sum()),
    "masked_scatter_": lambda y, v: y.masked_scatter_(mg.tensor([True, False, True]), v),
    "its own elements": lambda y, v: y.scatter_(0, ints(0), y[1:]).add_(v.sum()),
}


def written(name):
    def function(x, v):
        y = x * 1.0
        assert WRITES[name](y, v) is y
        return y * y

    return function


@pytest.mark.parametrize("name", WRITES)
def test_writes_are_recorded(name):
    assert mg.gradcheck(written(name), leaf(1.5, 2, -3), leaf(0.7, -2, 1), order=2)


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_may_alone_require_grad(name):
    x = leaf(1.5, 2, -3).detach()
    assert mg.gradcheck(lambda v: written(name)(x, v), leaf(0.7, -2, 1), order=2)


@pytest.mark.parametrize("name", WRITES)
def test_writes_go_into_the_same_memory_and_are_noticed(name):
    v = leaf(0.7, -2, 1).detach()
    x = leaf(1.5, 2, -3).detach()
    kept = x.data
    WRITES[name](x, v)
    assert x.data is kept
    y = leaf(1, 2, 3) * 1.0
    loss = (y * y).sum()
    WRITES[name](y, v)
    with pytest.raises(GraphError, match="overwritten in place"):
        loss.backward()
    with pytest.raises(GraphError, match="a leaf that requires grad cannot be changed in place"):
        WRITES[name](leaf(1, 2, 3), v)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x, i: mg.gather(x, 0, i),
        lambda x, i: mg.scatter_add(x, 0, i, x),
        lambda x, i: mg.scatter_reduce(x, 0, i, x, "mean"),
        lambda x, i: mg.index_select(x, 0, i),
        lambda x, i: mg.take(x, i),
    ],
)
def test_an_index_that_is_overwritten_is_noticed(operation):
    index = ints(0, 2, 1)
    y = operation(leaf(1, 2, 3), index)
    index.fill_(0)
    with pytest.raises(GraphError, match="overwritten in place"):
        y.sum().backward()


def test_what_does_not_fit_into_x_is_refused():
    with pytest.raises(ShapeError, match=r"masked_fill_: the result has shape \(2, 3\), and must fit into \(3,\)"):
        mg.zeros(3).masked_fill_(mg.ones(2, 3) > 0, 1)


# --- refusals ----------------------------------------------------------------------------------------------------

REFUSALS = [
    ("mg.gather(x, 1, ints([3]))", IndexRangeError, r"gather: index 3 is out.* axis 1 with size 3; input is \(2, 3\)"),
    ("mg.gather(x, 0, ints([-3]))", IndexRangeError, r"gather: index -3 is out.* axis 0 with size 2"),
    ("mg.gather(x, 2, ints([0]))", IndexRangeError, r"gather: dim 2 is outside of -2\.\.1; x is \(2, 3\)"),
    ("mg.gather(x, 0, ints(0))", ShapeError, r"gather: index needs as many axes .* \(2, 3\), index \(1,\)"),
    ("mg.gather(x, 0, ints([0, 0, 0, 0]))", ShapeError, r"gather: index may be longer than input along dim 0 only"),
    ("mg.gather(x, 0, x)", DTypeError, r"gather: index must be a tensor of integers, got float32; write index\.long"),
    ("mg.gather(x, 0, x > 0)", DTypeError, "gather: index must be a tensor of integers, got bool"),
    ("mg.gather(x, 0, [[0]])", DTypeError, r"gather: index must be a tensor of integers, got list; .* mg\.tensor"),
    ("x.take_along_dim(ints([0], [0], [0]), 1)", ShapeError, r"take_along_dim: shapes \(2, 1\) and \(3, 1\) do not"),
    ("x.index_select(0, ints(2))", IndexRangeError, r"index_select: index 2 .* axis 0 with size 2; input is \(2, 3\)"),
    ("x.index_select(0, ints([0]))", ShapeError, r"index_select: index must be a vector, got shape \(1, 1\)"),
    ("x.take(ints(6))", IndexRangeError, "take: index 6 is out of bounds for axis 0 with size 6"),
    ("x.masked_select(x)", DTypeError, r"masked_select: mask must be a tensor of bools, got float32; write x > 0"),
    ("x.masked_select(x[:, :2] > 0)", ShapeError, r"masked_select: shapes \(2, 3\) and \(2, 2\) do not broadcast"),
    ("x.masked_fill([True], 1)", DTypeError, "masked_fill: mask must be a tensor of bools, got list"),
    ("x.masked_fill(x > 0, x[0])", ShapeError, r"masked_fill: value must be a number .*, got shape \(3,\)"),
    (
        "x.half().masked_fill(x > 0, -1e9)",
        DTypeError,
        "masked_fill: -1000000000.0 is too large for float16; write -inf",
    ),
    ("x.masked_fill(x[:, :2] > 0, 1)", ShapeError, r"masked_fill: shapes \(2, 3\) and \(2, 2\) do not broadcast"),
    ("x.masked_scatter(x < 9, x[0])", ShapeError, r"masked_scatter: mask has 6 true elements, and source \(3,\) fewer"),
    ("x.masked_scatter(x < 9, x.long())", DTypeError, r"masked_scatter: the source is int64 .*write source\.to\(input"),
    ("x.scatter(1, ints([3]), 1)", IndexRangeError, r"scatter: index 3 is out.* axis 1 with size 3; input is \(2, 3\)"),
    ("x.scatter(1, ints([0]))", TypeError, r"scatter: give src \(a tensor\) or value"),
    ("x.scatter(1, ints([0]), x, value=2)", TypeError, r"scatter: give src \(a tensor\) or value"),
    ("x.scatter(1, ints([0]), value=x[0, 0])", TypeError, r"scatter: value must be a number; write src=value\.expand"),
    ("x.scatter(1, ints([0]), 2, reduce='add')", TypeError, "scatter: reduce= is deprecated .* write scatter_add"),
    ("x.scatter(1, ints([0]), x.long())", DTypeError, "scatter: the source is int64 and input float32"),
    ("x.scatter(1, ints([0, 0]), x[:, :1])", ShapeError, r"scatter: src must be at least .* \(2, 1\), index \(1, 2\)"),
    ("x.scatter_add(0, ints([0]), x[0])", ShapeError, r"scatter_add: src must be at least as long as index"),
    (
        "x.scatter_reduce(0, ints([0]), x, 'max')",
        ValueError,
        "scatter_reduce: reduce must be one of 'sum'.*, got 'max'",
    ),
    ("x.scatter_reduce(1, ints([7]), x, 'prod')", IndexRangeError, r"scatter_reduce: index 7 .* size 3; input is"),
    (
        "x.scatter_reduce(1, ints([7]), x, 'amax', include_self=False)",
        IndexRangeError,
        r"scatter_reduce: index 7 .* is",
    ),
    ("x.index_add(0, ints(0), x)", ShapeError, r"index_add: source must be \(1, 3\).*it is \(2, 3\)"),
    ("x.index_add(0, ints(9), x[:1])", IndexRangeError, r"index_add: index 9 .* axis 0 with size 2; input is \(2, 3\)"),
    ("x.long().index_add(0, ints(0), x[:1].long(), alpha=0.5)", DTypeError, "index_add: the source is float32 and inp"),
    ("x.index_copy(1, ints(0, 1), x)", ShapeError, r"index_copy: source must be \(2, 2\).*2 elements .* along dim 1"),
    ("x.index_fill(1, ints(3), 1)", IndexRangeError, r"index_fill: index 3 is outside of the 3 elements of axis 1"),
    ("x.index_fill(1, ints(0), x)", ShapeError, "index_fill: value must be a number or have no axes"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_refusals(call, error, message):
    x = mg.arange(6.0).reshape(2, 3)
    with mg.device("cpu"), pytest.raises(error, match=message):
        eval(call, {"mg": mg, "x": x.cpu(), "ints": ints})


# --- on a GPU ----------------------------------------------------------------------------------------------------


def test_masks_and_reductions_do_not_wait_for_the_gpu(double):
    x = mg.ones(2, 3, device="cuda:1", requires_grad=True)
    index = mg.zeros(2, 3, dtype=mg.int64, device="cuda:1")
    double.synchronizations.clear()
    for how in ("sum", "prod", "mean", "amax", "amin"):
        y = x.scatter_reduce(1, index, x * 2, how, include_self=False)
    y = y.masked_fill(y > 1, 2).masked_scatter(y > 1, x).index_fill(0, index[0], 3).scatter(1, index, 2)
    y.sum().backward()
    assert double.synchronizations == [] and x.grad.device == "cuda:1"


def test_operands_apart_are_refused(double):
    x, index = mg.ones(2, 3, device="cuda:1"), mg.zeros(2, 1, dtype=mg.int64)
    for call in (lambda: mg.gather(x, 1, index), lambda: x.scatter_add(1, index.to("cuda:0"), x)):
        with pytest.raises(
            mg.DeviceError, match=r"(gather|scatter_add): argument 0 \(2, 1\) is on .*argument 1 \(2, 3\)"
        ):
            call()
    with pytest.raises(mg.DeviceError, match="index_select: argument"):
        mg.index_select(x, 1, index[0])


def test_indices_on_a_gpu_are_checked_where_that_is_asked_for(cuda):
    x, wrong = mg.ones(2, 3, device=cuda), mg.tensor([[7]], device=cuda)
    mg.cuda.check_indices()
    try:
        for call in (
            lambda: mg.gather(x, 1, wrong),
            lambda: x.scatter(1, wrong, 2),
            lambda: x.index_fill(1, wrong[0], 2),
        ):
            with pytest.raises(IndexRangeError, match="index 7 is outside of the 3 elements of axis 1; input is"):
                call()
    finally:
        mg.cuda.check_indices(False)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "int32", "int8", "uint8", "bool"])
@pytest.mark.parametrize("name", ["multiply", "maximum", "minimum"])
def test_reductions_on_a_gpu_are_those_of_the_cpu(name, dtype, cuda):
    draw = np.random.default_rng(0)
    x, values = draw.integers(0, 3, (4, 6)).astype(dtype), draw.integers(0, 3, (40, 6)).astype(dtype)
    rows = draw.integers(-4, 4, 40)
    there = moved(x, cuda)
    cpu.reduce_at(name, x, (rows,), values)
    load_cuda().reduce_at(name, there, (moved(rows, cuda),), moved(values, cuda))
    np.testing.assert_array_equal(moved(there, "cpu"), x)


@pytest.mark.parametrize("name", ["multiply", "maximum", "minimum"])
def test_nan_wins_on_a_gpu_as_on_the_cpu(name, cuda):
    x, values = np.array([1.0, np.nan, 2, -0.0], "float32"), np.array([np.nan, 1, 3, np.inf, -np.inf, 0], "float32")
    index = np.array([0, 1, 2, 2, 0, 3])
    there = moved(x[::-1].copy(), cuda)[::-1]  # not contiguous
    cpu.reduce_at(name, x, (index,), values)
    load_cuda().reduce_at(name, there, (moved(index, cuda),), moved(values, cuda))
    np.testing.assert_array_equal(moved(there, "cpu"), x)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "bool"])
def test_small_integers_are_added_up_on_a_gpu(dtype, cuda):
    x, index = mg.ones(3).astype(dtype), ints(0, 2, 0)
    expected = mg.scatter_add(x, 0, index, x)
    y = mg.scatter_add(x.to(cuda), 0, index.to(cuda), x.to(cuda))
    assert y.dtype == dtype and y.tolist() == expected.tolist()
