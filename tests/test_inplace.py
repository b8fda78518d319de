"""Writing in place: its gradients, what the tape notices of overwritten values, and what it refuses to write."""

import sys
from functools import partial

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from minigrad.errors import DTypeError, GraphError, IndexRangeError, ShapeError
from minigrad.tape import Function, writing

OVERWRITTEN = (
    r"a value \(.*\) that {} saved for its gradient, {}, has been overwritten in place since; write out of place"
)


def leaf(*values):
    return mg.tensor(list(values), dtype=mg.float64, requires_grad=True)


# --- gradients ---------------------------------------------------------------------------------------------------


def written(how, copies=True):
    """The function (x, v) -> x after `how` has written v into a copy of it."""

    def function(x, v):
        y = x.clone() if copies else x * 1
        how(y, v)
        return y * y

    return function


def assign(index):
    def how(y, v):
        y[index] = v

    return how


MASK = np.array([[True, False, True], [False, True, False]])
WRITES = {
    "an element": (assign((1, 2)), (2, 3), ()),
    "a row": (assign(1), (2, 3), (3,)),
    "a row from a matrix of one row": (assign(1), (2, 3), (1, 3)),
    "an element from a vector of one": (assign((1, 2)), (2, 3), (1,)),
    "a column, broadcast": (assign(np.s_[:, ::2]), (2, 3), (2, 1)),
    "everything": (assign(...), (2, 3), (3,)),
    "rows by numbers": (assign([1, 0]), (2, 3), (2, 3)),
    "elements by numbers": (assign(([0, 1], [2, 2])), (2, 3), (2,)),
    "by a Variable": (assign(mg.tensor([1])), (2, 3), (1, 3)),
    "by a mask": (assign(MASK), (2, 3), (3,)),
    "by a mask, one value": (assign(MASK), (2, 3), ()),
    "by a mask of rows": (assign([False, True]), (2, 3), (3,)),
    "a new axis": (assign(np.s_[None, 0]), (2, 3), (3,)),
    "add_": (lambda y, v: y.add_(v), (2, 3), (3,)),
    "sub_": (lambda y, v: y.sub_(v), (2, 3), (2, 1)),
    "mul_": (lambda y, v: y.mul_(v), (2, 3), (2, 3)),
    "div_": (lambda y, v: y.div_(v * v + 1), (2, 3), (2, 3)),
    "pow_": (lambda y, v: y.abs_().add_(1).pow_(v), (2, 3), (2, 3)),
    "copy_": (lambda y, v: y.copy_(v), (2, 3), (3,)),
    "mul_ by itself": (lambda y, v: y.mul_(y).add_(v), (2, 3), (3,)),
    "mul_ by a part of itself": (lambda y, v: y.mul_(y[:1]).add_(v), (2, 3), (3,)),
    "add_ itself": (lambda y, v: y.add_(y).mul_(v), (2, 3), (3,)),
    "one function after the other": (
        lambda y, v: y.exp_().sqrt_().neg_().sigmoid_().tanh_().log_().abs_().relu_().clamp_(max=0.9).mul_(v),
        (2, 3),
        (3,),
    ),
    "its own elements": (lambda y, v: (assign(0)(y, y[1] + v), assign(1)(y, y[0])), (2, 3), (3,)),
    "+= on an element": (lambda y, v: y.__setitem__(0, y[0].__iadd__(v)), (2, 3), (3,)),
}


@pytest.mark.parametrize("name", WRITES)
def test_gradients_to_second_order(name):
    how, *shapes = WRITES[name]
    x, v = (mg.randn(shape, dtype=mg.float64, generator=np.random.default_rng(i)) for i, shape in enumerate(shapes))
    x.requires_grad_(), v.requires_grad_()
    assert mg.gradcheck(written(how), x, v, order=2)


@pytest.mark.parametrize("name", WRITES)
def test_values_that_need_no_gradient_get_recorded_writes(name):
    """x itself requires no grad: what is written into it does."""
    how, *shapes = WRITES[name]
    x, v = (mg.randn(shape, dtype=mg.float64, generator=np.random.default_rng(i)) for i, shape in enumerate(shapes))
    assert mg.gradcheck(lambda v: written(how)(x, v), v.requires_grad_(), order=2)


@pytest.mark.parametrize("method", ["add_", "sub_", "mul_", "div_", "pow_", "copy_"])
def test_in_place_is_out_of_place_written_over_x(method):
    x, v = mg.tensor([1.5, 2.5]), mg.tensor([2.0, 3.0])
    expected = v if method == "copy_" else getattr(x, method[:-1])(v)
    data = x.data
    assert getattr(x, method)(v) is x and x.data is data
    assert x.tolist() == expected.tolist() and not x.requires_grad and x.is_leaf


def test_what_is_overwritten_gets_no_gradient():
    x = leaf(1.0, 2.0)
    overwriting = [lambda h, v: h.fill_(v), lambda h, v: h.zero_(), lambda h, v: h.copy_(mg.full((2,), v)), assign(...)]
    for overwrite in overwriting:
        h = x * 2
        overwrite(h, 4.0)
        y = (h * x).sum()
        y.backward()
        assert x.grad.tolist() == h.tolist()
        x.grad = None


def test_fill_and_draw():
    x = mg.zeros(2, 3)
    assert x.fill_(2.5) is x and (x.data == 2.5).all()
    assert (x.zero_().data == 0).all() and (x.fill_(mg.tensor(3)).data == 3).all() and x.dtype == mg.float32
    x.uniform_(4, 5)
    assert ((x.data >= 4) & (x.data < 5)).all() and len(np.unique(x.data)) > 3
    x.normal_(100, 0.1)
    assert (abs(x.data - 100) < 1).all()
    whole = mg.zeros(3, dtype=mg.int64)
    whole[1:] = 2.7  # as in PyTorch, the assigned values take the dtype
    assert whole.copy_(whole.float() + 0.5).tolist() == [0, 2, 2]


# --- += ----------------------------------------------------------------------------------------------------------

UPDATES = {"+=": "__iadd__", "-=": "__isub__", "*=": "__imul__", "/=": "__itruediv__", "**=": "__ipow__"}


@pytest.mark.parametrize("symbol", UPDATES)
def test_updates_rebind_on_the_tape_and_write_off_it(symbol):
    update = UPDATES[symbol]
    x = leaf(2.0, 3.0)
    old = x * 1
    h = getattr(old, update)(mg.tensor([2.0, 2.0], dtype=mg.float64))
    assert h is not old and not np.shares_memory(h.data, old.data) and old.tolist() == [2, 3]
    (h.sum() + old.exp().sum()).backward()
    free = mg.tensor([2.0, 3.0])
    same = getattr(free, update)(2)
    assert same is free and np.allclose(free.data, h.data)
    with mg.no_grad():
        w = leaf(2.0, 3.0)
        assert getattr(w, update)(2) is w and w.requires_grad and w.is_leaf and np.allclose(w.data, h.data)


@pytest.mark.parametrize("symbol", UPDATES)
def test_an_update_of_a_leaf_is_refused(symbol):
    w = leaf(2.0, 3.0)
    with pytest.raises(GraphError, match=r"=: a leaf that requires grad cannot be changed in place.*mg.no_grad"):
        getattr(w, UPDATES[symbol])(2)
    assert w.tolist() == [2, 3] and w.is_leaf


OF_INTEGERS = {"//=": "floordiv", "%=": "mod", "&=": "and", "|=": "or", "^=": "xor", "<<=": "lshift", ">>=": "rshift"}
INTEGERS = {
    "int64 by a number": ([7, -8], "int64", 2, None),
    "int64": ([7, -8], "int64", [2, 3], "int64"),
    "int64 by uint8": ([7, -8], "int64", [2, 3], "uint8"),
    "uint8 by int64": ([7, 8], "uint8", [2, 3], "int64"),
    "int8 by uint8": ([7, -8], "int8", [2, 3], "uint8"),
}


@pytest.mark.torch
@pytest.mark.parametrize("symbol", [*OF_INTEGERS, "+=", "-=", "*="])
@pytest.mark.parametrize("case", INTEGERS)
def test_updates_of_integers_write_x_and_keep_its_dtype(symbol, case):
    torch = pytest.importorskip("torch")
    values, dtype, operand, other = INTEGERS[case]

    def updated(lib):
        x = a = lib.tensor(values, dtype=getattr(lib, dtype))
        v = operand if other is None else lib.tensor(operand, dtype=getattr(lib, other))
        names = {"a": a, "v": v}
        exec(f"a {symbol} v", names)
        assert names["a"] is x
        return x.numpy()

    mine, theirs = updated(mg), updated(torch)
    assert mine.dtype == theirs.dtype and mine.tolist() == theirs.tolist()


def test_updates_of_bools_and_of_what_is_no_leaf():
    a = b = mg.tensor([True, False])
    a |= mg.tensor([False, True])
    assert a is b and b.tolist() == [True, True] and b.dtype == mg.bool
    a &= mg.tensor([False, True])
    a ^= mg.tensor([True, True])
    assert a is b and b.tolist() == [True, False]
    x = h = leaf(5.0, 7.0) * 1
    h //= 2
    assert x.tolist() == [5, 7] and h.tolist() == [2, 3] and not h.requires_grad
    y = m = mg.eye(2)
    m @= mg.ones(2, 1)  # another shape: as in PyTorch, never in place
    assert y.shape == (2, 2) and m.shape == (2, 1)


def test_integers_of_any_kind_are_written_into_others():
    a = mg.tensor([100, 7], dtype=mg.uint8)
    assert a.cumprod_(0).tolist() == [100, 700 - 512] and a.dtype == mg.uint8
    assert mg.tensor([7], dtype=mg.int32).add_(mg.tensor([1])).dtype == mg.int32
    for update in ("__ifloordiv__", "__imod__"):
        with pytest.raises(DTypeError, match="=: the result is float32, and x holds int64; convert x first"):
            getattr(mg.tensor([7]), update)(2.0)
    with pytest.raises(DTypeError, match=r"\|=: the result is int64, and x holds bool"):
        mg.tensor([True]).__ior__(3)


# --- leaves ------------------------------------------------------------------------------------------------------

LEAF_WRITES = {
    "setitem": lambda w: w.__setitem__(0, 5.0),
    "add_": lambda w: w.add_(1),
    "exp_": lambda w: w.exp_(),
    "fill_": lambda w: w.fill_(5),
    "zero_": lambda w: w.zero_(),
    "copy_": lambda w: w.copy_(mg.ones(w.shape)),
    "uniform_": lambda w: w.uniform_(),
    "normal_": lambda w: w.normal_(),
}
VIEWS = {
    "leaf": lambda w: w,
    "slice": lambda w: w[1:],
    "reshaped": lambda w: w.reshape(1, 3, 1),
    "transposed slice": lambda w: w.reshape(3, 1).T[:, ::2],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", LEAF_WRITES)
def test_leaves_and_their_views_are_not_written(name, view):
    w = leaf(1.0, 2.0, 3.0)
    place = VIEWS[view](w)
    what = "a leaf" if view == "leaf" else "a view of a leaf"
    with pytest.raises(GraphError, match=f"{what} that requires grad cannot be changed in place while.*mg.no_grad"):
        LEAF_WRITES[name](place)
    assert w.tolist() == [1, 2, 3] and w.is_leaf and w.requires_grad
    with mg.no_grad():
        LEAF_WRITES[name](place)
    assert w.tolist() != [1, 2, 3] and w.is_leaf and w.requires_grad
    (w * w).sum().backward()
    assert np.allclose(w.grad.data, 2 * w.data)


def test_a_view_taken_under_no_grad_is_still_a_view_of_the_leaf():
    w = leaf(1.0, 2.0)
    with mg.no_grad():
        view = w[:1]
    with pytest.raises(GraphError, match="view"):
        view.mul_(w[1:])
    assert w.tolist() == [1, 2]


# --- saved values that were overwritten --------------------------------------------------------------------------


class Pair(Function):
    """Saves both of its outputs."""

    def forward(self, x):
        return np.exp(x), x * 2

    def backward(self, gy, y):
        return gy[0] * y[0] + gy[1] * 2


def _through_optimizer(x, w, h):
    y = h * w
    w.grad = mg.ones_like(w)
    optim.SGD([w], lr=0.1).step()
    return y


def _memory(overwrite):
    def function(x, w, h):
        y = h * h
        overwrite(h)
        return y

    return function


def _output(x, w, h):
    y = h.exp()
    z = y + 0
    y.add_(1)
    return z


def _several(x, w, h):
    a, b = Pair()(h)
    z = a + 0
    a.add_(1)
    return z + b


class Reciprocal(Function):
    """Keeps what it returns a part of."""

    residuals = ("inverse",)

    def forward(self, x):
        inverse = 1 / x
        return inverse[:1], inverse

    def backward(self, gy, inverse):
        return -gy * inverse * inverse

    def definition(self, x):
        return (1 / x)[:1]


def _residual(x, w, h):
    y = Reciprocal()(h)
    z = y + 0
    y.add_(1)
    return z


def _index(x, w, h):
    index = mg.tensor([1, 0])
    y = h[index]
    index[0] = 0
    return y


def _constant(x, w, h):
    c = mg.ones(2, dtype=mg.float64)
    y = h * c
    c += 1
    return y


def _alias_of_numpy(x, w, h):
    array = np.ones(2)
    a, b = mg.from_numpy(array), mg.from_numpy(array[:1])
    y = h * a
    b.add_(1)
    return y


def _leaf_under_no_grad(x, w, h):
    y = w * x
    with mg.no_grad():
        w.mul_(2)
    return y


SPOILED = {
    "input": ("mul", "the input a", _memory(lambda h: h.add_(1))),
    "input by index": ("mul", "the input a", _memory(lambda h: h.__setitem__(0, 1.0))),
    "input through a view": ("mul", "the input a", _memory(lambda h: h.reshape(1, 2)[:, :1].add_(1))),
    "input through detach": ("mul", "the input a", _memory(lambda h: h.detach().fill_(0))),
    "input under no_grad": ("mul", "the input a", _memory(mg.no_grad()(lambda h: h.zero_()))),
    "output": ("exp", "the output", _output),
    "one of several outputs": ("pair", "the output", _several),
    "index": ("getitem", r"the input index\[0\]", _index),
    "constant": ("mul", "the input b", _constant),
    "shared NumPy memory": ("mul", "the input b", _alias_of_numpy),
    "leaf under no_grad": ("mul", "the input a", _leaf_under_no_grad),
    "parameter, by an optimizer": ("mul", "the input b", _through_optimizer),
    "a residual": ("reciprocal", "the residual inverse", _residual),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", SPOILED)
def test_overwritten_values_are_noticed(name, create_graph):
    operation, value, function = SPOILED[name]
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = function(x, w, x * w)
    with pytest.raises(GraphError, match=OVERWRITTEN.format(operation, value)):
        y.sum().backward(create_graph=create_graph)
    assert x.grad is None


@pytest.mark.parametrize("name", SPOILED)
def test_the_line_that_overwrote_is_told_where_it_was_noted(name):
    operation, value, function = SPOILED[name]
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    expected = OVERWRITTEN.replace(";", r" at \S*test_inplace\.py:\d+: .+;").format(operation, value)
    with mg.detect_anomaly(check_nan=False):
        y = function(x, w, x * w)
        with pytest.raises(GraphError, match=rf"{expected}.* clone\(\); {operation} was called at \S*test_inplace"):
            y.sum().backward()


def test_what_is_not_saved_may_be_overwritten():
    x = leaf(1.0, 2.0)
    h = x * 3
    y = h + 1  # saves nothing
    h.mul_(h.detach() * 0 + 2)
    z = h.exp()
    y.add_(1)
    (y.sum() + z.sum()).backward()
    assert np.allclose(x.grad.data, 3 + 6 * z.data)


def test_a_write_before_the_operation_is_none_of_its_business():
    x = leaf(1.0, 2.0)
    h = x * 3
    with mg.no_grad():
        h.add_(1)
    (h * h).sum().backward(create_graph=True)
    assert x.grad.tolist() == [24, 42]


def test_raw_writes_are_not_seen():
    """Documented: who writes into .data, or into the array of from_numpy, is alone responsible."""
    array = np.array([1.0, 2.0])
    x, c = leaf(1.0, 1.0), mg.from_numpy(array)
    y = (x * c).sum()
    array[0] = 10
    c.data[1] = 20
    y.backward()
    assert x.grad.tolist() == [10, 20]


# --- other names for the same memory -----------------------------------------------------------------------------


def test_a_stale_alias_is_refused():
    x = leaf(1.0, 2.0)
    h = x * 2
    alias = h.reshape(2, 1)
    h.add_(1)
    with pytest.raises(GraphError, match=r"sum: the operand \(2, 1\) made by reshape shares memory.*take a clone\(\)"):
        alias.sum()
    with pytest.raises(GraphError, match="add: the operand"):
        h.reshape(2, 1) + alias
    with mg.no_grad():
        assert alias.sum().item() == 8  # without a history there is nothing to be wrong about
    h.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_write_that_others_would_not_know_of_is_refused():
    w, base = leaf(5.0).sum(), mg.zeros(2, 2, dtype=mg.float64)
    with pytest.raises(
        GraphError, match=r"setitem: other Variables or arrays look at the memory of x.*x = x.clone\(\)"
    ):
        base[0][0] = w
    assert (base.data == 0).all() and not base.requires_grad
    base[0, 0] = w
    assert mg.grad(base.sum(), w)[0].item() == 1


def lines_run(function, work):
    """How many lines of `function` run while `work` does."""
    count = 0

    def in_function(frame, event, arg):
        nonlocal count
        count += event == "line"
        return in_function

    def trace(frame, event, arg):
        return in_function if frame.f_code is function.__code__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _again_and_again(n):
    h = leaf(1.0) * 1
    for _ in range(n):
        h.add_(1)


def _into_copies(n):
    h = leaf(1.0) * 1
    for _ in range(n):
        h = h * 1
        h.clone().add_(1)


def _into_views(n):
    h = leaf(1.0, 2.0) * 1
    for _ in range(n):
        h = (h * 1).reshape(1, 2)[0]
        h.mul_(1)


@pytest.mark.parametrize("write", [_again_and_again, _into_copies, _into_views])
def test_the_search_for_a_leaf_passes_each_node_once(write):
    few, many = (lines_run(writing.first_leaf_of, partial(write, n)) for n in (50, 100))
    assert few > 0 and many < 2.1 * few


def test_the_search_remembers_the_right_leaf():
    v, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (v * 1).add_(w)
    for _ in range(2):
        view = w.reshape(1, 2)[:, :1]
        for place in (view, view.T, w[:1]):
            with pytest.raises(GraphError, match="a view of a leaf"):
                place.mul_(2)
    copy = w.reshape(1, 2).clone()
    copy.mul_(2), copy.T.mul_(2)
    assert w.tolist() == [3, 4] and copy.tolist() == [[12, 16]]
    constant = mg.zeros(2, dtype=mg.float64)
    constant.add_(w), constant.mul_(w)
    assert constant.tolist() == [9, 16]
    w.data = w.data.copy()  # views from before are of other memory now
    view.mul_(2)


# --- refusals change nothing -------------------------------------------------------------------------------------

REFUSED = {
    "a value too large": (lambda x: x.__setitem__(0, np.ones(3)), ShapeError, "setitem: a value of shape"),
    "an index outside": (lambda x: x.__setitem__(5, 1.0), IndexRangeError, r"setitem: index 5.*x is \(2, 2\)"),
    "a mask of another shape": (lambda x: x.__setitem__([True] * 3, 1.0), IndexRangeError, "setitem: "),
    "a result too large": (lambda x: x.add_(np.ones((3, 2, 2))), ShapeError, r"add_: the result has shape \(3, 2, 2\)"),
    "shapes that do not broadcast": (lambda x: x.mul_(np.ones(3)), ShapeError, "mul: shapes .* do not broadcast"),
    "copy_ of another shape": (lambda x: x.copy_(mg.ones(3)), ShapeError, r"expand: x \(3,\) does not broadcast"),
    "fill_ with too much": (lambda x: x.fill_(np.ones(3)), ShapeError, "fill_"),
    "floats into integers": (lambda x: x.long().add_(0.5), DTypeError, "result is float32, and x holds int64"),
    "division of integers": (lambda x: x.long().div_(2), DTypeError, "div_: the result is float32, and x holds int64"),
    "integers into bools": (lambda x: x.bool().add_(1), DTypeError, "result is int64, and x holds bool"),
    "text": (lambda x: x.__setitem__(0, "a"), DTypeError, "expected floats, integers or bools"),
}


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_a_failed_write_changes_nothing(name, tracked):
    write, error, message = REFUSED[name]
    x = leaf(1.0, 2.0, 3.0, 4.0)
    h = x.reshape(2, 2) * 1 if tracked else x.detach().reshape(2, 2).clone()
    with pytest.raises(error, match=message):
        write(h)
    assert h.tolist() == [[1, 2], [3, 4]] and h.requires_grad == tracked
    if tracked:
        (h * h).sum().backward()
        assert x.grad.tolist() == [2, 4, 6, 8]


@pytest.mark.parametrize("write", [assign(0), lambda y, v: y.add_(v), lambda y, v: y.fill_(1), lambda y, v: y.copy_(v)])
@pytest.mark.parametrize("tracked", [False, True])
def test_read_only_memory(write, tracked):
    x = leaf(1.0)
    spread = (x * 1 if tracked else x.detach()).expand(3)
    with pytest.raises(GraphError, match=r"read-only memory \(as after expand\); write into x = x.clone\(\)"):
        write(spread, 2.0)
    assert spread.tolist() == [1, 1, 1]
    array = np.ones(2)
    array.flags.writeable = False
    with pytest.raises(GraphError, match="read-only memory"):
        write(mg.from_numpy(array), 2.0)
