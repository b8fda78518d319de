"""detect_anomaly: the operation or formula that made the first NaN or infinity, the line; and nothing when off."""

import asyncio
import gc
import inspect
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from ops_table import ROWS

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.backend import detours
from minigrad.errors import AnomalyError, GraphError
from minigrad.tape import Function
from minigrad.tape.observers import Observer, Observing
from minigrad.tape.versions import memory

NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def _silent_and_clean():
    """NumPy warns of what is tested here; and no test leaves the mode on."""
    if detours:
        gc.collect()  # a context of an earlier test, in a cycle
    before = list(detours)
    with np.errstate(all="ignore"):
        yield
    assert not mg.is_anomaly_enabled() and detours == before


def leaf(*values, dtype=mg.float32):
    return mg.tensor(list(values), dtype=dtype, requires_grad=True)


def line(function):
    """How messages name the line of `function` that ends with `# here`."""
    lines, first = inspect.getsourcelines(function)
    [n] = [n for n, text in enumerate(lines) if "# here" in text]
    return f"test_anomaly.py:{first + n}: {lines[n].strip()}"


def message(function, error=AnomalyError):
    """What is said of the error that `function` raises inside of detect_anomaly."""
    with mg.detect_anomaly(), pytest.raises(error) as caught:
        function()
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])


class SinCos(Function):
    def forward(self, x):
        return mg.sin(x), mg.log(x)

    def backward(self, gy, x):
        return gy[0] * mg.cos(x) + gy[1] / x


class Half(Function):
    """Its backward goes to infinity and back."""

    def forward(self, x):
        return x / 2

    def backward(self, gy, x):
        return mg.where(x == 0, 0.5, x / x * 0.5) * gy


class Kept(Function):
    """Keeps the reciprocal, which may be infinite: nobody sees it."""

    residuals = ("inverse",)

    def forward(self, x):
        return x * 1, 1 / x

    def backward(self, gy, inverse):
        return mg.where(inverse == 0, 0.0, gy)

    def definition(self, x):
        return x * 1


class Reciprocal(Function):
    def forward(self, x):
        return 1 / x

    def backward(self, gy, y):
        return -(gy * y * y)


class Inverse(Function):
    """1 / x, and 0 where there is none; it goes there by infinities, forward and in the definition's backward."""

    residuals = ("inverse",)

    def forward(self, x):
        inverse = mg.where(x == 0, 0.0, Reciprocal()(x))
        return inverse, inverse

    def backward(self, gy, inverse):
        return -(gy * inverse * inverse)

    def definition(self, x):
        return Wild()(Tame()(x))


class Tame(Function):
    def forward(self, x):
        return x * 1

    def backward(self, gy):
        return mg.where(mg.isinf(gy), 0.0, gy)


class Wild(Inverse):
    definition = None
    residuals = ()

    def forward(self, x):
        return mg.where(x == 0, 0.0, 1 / x)

    def backward(self, gy, x):
        return -gy / (x * x)


class Scaled(Function):
    """Returns a wrong gradient of the second input, where nobody asks for it."""

    def forward(self, x, n):
        return x * n

    def backward(self, gy, n):
        return gy * n, gy * NAN


class Filled(Function):
    """A number that stays on the operation."""

    def __init__(self, value):
        self.value = value

    def forward(self, x):
        y = x.copy()
        y[0] = self.value
        return y

    def backward(self, gy):
        return gy


# --- forward -----------------------------------------------------------------------------------------------------

BIRTHS = {
    "log of a negative number": (lambda x: x.log(), "log: NaN was born here, in 1 of 3 elements", "first at (0,)"),
    "one over 0": (lambda x: 1 / x, "div: inf was born here", "first at (1,)"),
    "0 over 0": (lambda x: x / (x * 0), "div: NaN was born here, in 1 of 3 elements", "first at (1,)"),
    "a method": (lambda x: mg.stack([x, x]).sqrt(), "sqrt: NaN", "in 2 of 6 elements of the output, first at (0, 0)"),
    "overflow": (lambda x: (x * 100).exp(), "exp: inf was born", "operand 0 (x): float32 (3,), min -100, max 200"),
    "a matrix product": (lambda x: (x * 1e20).reshape(1, 3) @ (x * 1e20), "matmul: inf was born", "operand 1 (b)"),
    "a sum": (lambda x: ((x + 2) * 0.8e38).sum(), "sum: inf was born here, in 1 of 1 elements", "first at ()"),
    "a power": (lambda x: x**-0.5, "pow: NaN was born", "its n: -0.5"),
    "a cast": (lambda x: (x * 1e5).half(), "cast: inf was born", "operand 0 (x): float32 (3,)"),
    "several outputs": (lambda x: SinCos()(x), "sin_cos: NaN was born", "elements of output 1, first"),
    "fused": (lambda x: F.cross_entropy(x * 3e38, mg.tensor(0)), "mul: inf", "operand 1 (b): 3e+38"),
    "a function of NumPy": (lambda x: np.log(x), "log: NaN was born", "-1 at (0,)"),
    "a module": (lambda x: nn.BatchNorm1d(3)(x.reshape(1, 3) * 2e38), "mul: inf", "operand 0 (a)"),
    "infinities against each other": (
        lambda x: x + INF - INF,
        "sub: NaN was born",
        "operand 0 (a): float32 (3,), inf: 3",
    ),
    "in place": (lambda x: (x * 1).log_(), "log: NaN was born here", "operand 0 (x)"),
    "converted by a write": (
        lambda x: mg.zeros(3, dtype=mg.float16).copy_(mg.full((3,), 1e6)),
        "cast: inf was born",
        "operand 0 (x)",
    ),
    "converted on the way in": (
        lambda x: x.half() + mg.tensor([100000, 1, 1]),
        "add, converting operand 1 (b) to float16,: inf was born here, in 1 of 3 elements of the result, first at (0,)",
        "operand 1 (b): int64 (3,), min 1, max 1e+05, mean 3.333e+04; 1e+05 at (0,)",
    ),
    "converted, a tensor of one number": (
        lambda x: (x + 5) * mg.tensor(1e300, dtype=mg.float64),
        "mul, converting operand 1 (b) to float32,: inf was born here",
        "operand 1 (b): float64 (), 1e+300",
    ),
    "converted to be compared": (
        lambda x: mg.maximum(x.half(), mg.tensor([1, 1, 100000])),
        "maximum, converting operand 1 (b) to float16,: inf was born here",
        "1e+05 at (2,)",
    ),
    "converted to be chosen": (
        lambda x: mg.where(x > 1, mg.tensor([1, 1, 100000]), x.half()),
        "where, converting operand 1 (a) to float16,: inf was born here",
        "operand 1 (a): int64 (3,)",
    ),
    "a list": (lambda x: x.half() * [1e5, 1, 1], "mul, converting operand 1 (b) to float16,: inf", "float64 (3,)"),
    "the mean of nothing": (lambda x: x[:0].mean(), "mean: NaN was born here, in 1 of 1 elements", "its share: nan"),
    "no degree of freedom": (lambda x: x.var(correction=3), "var: inf was born here", "its scale: inf"),
    "nothing counted": (
        lambda x: F.cross_entropy(x.reshape(1, 3), mg.tensor([-100])),
        "cross_entropy: NaN was born here",
        "operand 0 (loss)",
    ),
    "nothing weighed": (
        lambda x: F.nll_loss(x.reshape(1, 3), mg.tensor([1]), weight=mg.zeros(3)),
        "nll_loss: NaN was born here",
        "operand 0 (loss)",
    ),
    "converted at the end of a write": (
        lambda x: mg.zeros(3, dtype=mg.float16).add_(x.detach() * 1e6),
        "add_, converting to float16,: inf was born here, in 2 of 3 elements of the result",
        "the value: float32 (3,), min -1e+06",
    ),
}


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("name", BIRTHS)
def test_births(name, tracked):
    operation, what, detail = BIRTHS[name]
    x = mg.tensor([-1.0, 0.0, 2.0], requires_grad=tracked)

    def run():
        operation(x)  # here

    text = message(run)
    assert text.startswith(what) and detail in text
    if name != "converted at the end of a write":
        assert re.search(r" was called at .*test_anomaly\.py:\d+: ", text)
    with mg.no_grad():
        assert message(run).startswith(what)


def test_births_in_a_floored_quotient():
    for divide in (lambda x: x // 0, lambda x: mg.floor_divide(x, mg.zeros(3))):
        text = message(lambda divide=divide: divide(mg.tensor([-1.0, 2.0, 3.0])))
        assert text.startswith("floor_divide: inf was born here, in 3 of 3 elements of the result, first at (0,)")
        assert "operand 0 (input): float32 (3,), min -1, max 3" in text
    with mg.detect_anomaly():
        assert (mg.tensor([7, -7]) // 2).tolist() == [3, -4]


def test_the_whole_message():
    x = mg.tensor([[1.0, -3.0], [0.0, 4.0]], requires_grad=True)

    def run():
        return mg.log(x).sum()  # here

    first, place, operand = message(run).split("\n  ")
    assert first == "log: NaN was born here, in 1 of 4 elements of the output, first at (0, 1)"
    assert place.startswith("log was called at ") and place.endswith(line(run))
    assert operand == "operand 0 (x): float32 (2, 2), min -3, max 4, mean 0.5, zeros: 1; -3 at (0, 1)"


def test_the_line_is_the_first_outside_of_the_package():
    class Block(nn.Module):
        def forward(self, x):
            return F.relu(x).log()  # here

    model = nn.Sequential(nn.ReLU(), Block())
    assert line(Block) in message(lambda: model(mg.zeros(2)))


def test_the_line_of_a_function_of_numpys():
    def run():
        np.sum(mg.full((2,), 3e38))  # here

    assert line(run) in message(run)


def test_a_failed_write_leaves_the_memory_as_it_was():
    x = mg.tensor([1.0, 2.0])
    message(lambda: x.div_(0.0))
    half = mg.zeros(2, dtype=mg.float16)
    message(lambda: half.add_(mg.full((2,), 1e6)))
    assert x.tolist() == [1, 2] and half.tolist() == [0, 0]


OUTSIDE = {
    "data": (
        lambda x: mg.tensor([NAN, 1.0, NAN]) * x,
        r"mul: operand 0 \(a\) already holds 2 NaN: it was not born here",
    ),
    "a constant": (lambda x: x + mg.tensor([1, NAN, 1]), r"add: operand 1 \(b\) already holds 1 NaN: .* came in from"),
    "a number": (lambda x: x + NAN, r"add: operand 1 \(b\) already is NaN: it was not born here"),
    "a fact": (lambda x: Filled(NAN)(x), r"filled: its value already is NaN: it was not born here"),
    "a leaf": (
        lambda x: leaf(NAN).sum(),
        r"sum: operand 0 \(.*\) already holds 1 NaN: .*it is a leaf, and got it as data or",
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_came_in_was_not_born_here(name):
    operation, expected = OUTSIDE[name]
    text = message(lambda: operation(leaf(1.0, 2.0, 3.0)))
    assert re.match(expected, text) and "was born here" not in text


def test_what_was_made_before_was_not_born_here():
    weight = mg.tensor([NAN, 1], requires_grad=True)
    weight.name = "gain"
    made = leaf(-1.0).log()
    assert "log made it outside of detect_anomaly" in message(lambda: made * 2)
    assert "gain is a leaf, and got it as data or by a step of an optimizer" in message(lambda: weight * 2)


def test_data_with_gaps_may_be_cleaned():
    x = mg.tensor([NAN, 1.0])
    with mg.detect_anomaly():
        assert mg.where(mg.isnan(x), 0.0, x).tolist() == [0, 1]
        half = mg.tensor([NAN, 1.0], dtype=mg.float16)
        assert mg.where(mg.isnan(half), mg.zeros(2), half).tolist() == [0, 1]


def test_what_is_not_in_the_result_was_not_born():
    ints = mg.tensor([100000, 1])
    with mg.detect_anomaly():
        y = mg.where(ints > 60000, mg.ones(2, dtype=mg.float16), ints)
        y += mg.minimum(y, ints)
        assert (y * mg.tensor([INF, 1.0], dtype=mg.float64)).tolist() == [INF, 2]
    with mg.detect_anomaly(check_inf=False):
        assert (y + ints).tolist() == [INF, 3]


def test_infinities_that_are_handed_on_are_no_births():
    x = leaf(1.0, 2.0, 3.0)
    mask = mg.tensor([0.0, 0.0, -INF])
    with mg.detect_anomaly():
        scores = mg.where(mask == 0, x + mask, -INF)
        p = scores.softmax(0)
        p.log_softmax(0)
        p.sum() + (scores + scores).amax() + mg.maximum(scores, mask).sum()
        mg.clamp(x, max=INF) + Filled(INF)(x)
        F.pad(x, (1, 1), value=-INF)
        p.sum().backward()
        mg.tensor([INF]).half() - 1
        mg.zeros(1).fill_(INF)
    assert mg.isfinite(x.grad).all().item()


def test_a_row_that_is_masked_altogether_gives_birth_to_nan():
    text = message(lambda: mg.full((2, 2), -INF).softmax(1))
    assert text.startswith("softmax: NaN was born here, in 4 of 4 elements") and "float32 (2, 2), inf: 4" in text


@pytest.mark.parametrize(
    ("options", "passes"), [({"check_inf": False}, True), ({"check_nan": False}, True), ({}, False)]
)
def test_which_numbers_are_looked_for(options, passes):
    def run():
        with mg.detect_anomaly(**options):
            return 1 / mg.zeros(2)

    if passes:
        assert mg.isinf(run()).all().item()
    else:
        with pytest.raises(AnomalyError):
            run()
    with mg.detect_anomaly(check_inf=False), pytest.raises(AnomalyError, match="NaN was born"):
        mg.zeros(1) / mg.zeros(1)
    with mg.detect_anomaly(check_nan=False, check_inf=True), pytest.raises(AnomalyError, match="inf was born"):
        mg.zeros(1) / mg.zeros(1) + 1 / mg.zeros(1)
    with mg.detect_anomaly(check_nan=False):
        assert not mg.is_anomaly_check_nan_enabled() and mg.is_anomaly_enabled()


def test_what_an_operation_does_on_its_way_does_not_count():
    x = leaf(0.0, 2.0)
    with mg.detect_anomaly():
        y = Kept()(x) + Half()(x) + Inverse()(x) + Scaled()(x, mg.tensor([2.0, 2.0]))
        (g,) = mg.grad(y.sum(), x, create_graph=True)
        y.sum().backward()
    assert g.tolist() == [3.5, 3.25]


def test_operands_are_shown_where_they_are_broadcast_from():
    a, b = mg.tensor([[1.0], [2.0]]), mg.tensor([3.0, 0.0])
    text = message(lambda: a / b)
    assert "first at (0, 1)" in text
    assert "mean 1.5; 1 at (0, 0)\n" in text and text.endswith("zeros: 1; 0 at (1,)")


IGNORED = [
    ("cross_entropy", [-100, -100], None, 0.0),
    ("cross_entropy", [0, 1], [0.0, 0.0, 0.0], 0.0),
    ("cross_entropy", [-100, 1], [1.0, 0.0, 0.0], 0.1),
    ("nll_loss", [-100, -100], [1.0, 1.0, 1.0], None),
    ("nll_loss", [-100, 1], [1.0, 0.0, 0.0], None),
]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "target", "weight", "smoothing"), IGNORED)
def test_a_loss_of_nothing_is_pytorchs(name, target, weight, smoothing):
    torch = pytest.importorskip("torch")
    found = []
    for lib, functions in ((mg, F), (torch, torch.nn.functional)):
        x = lib.tensor([[1.0, 2.0, 3.0], [0.0, 0.5, -1.0]], requires_grad=True)
        options = {"label_smoothing": smoothing} if smoothing else {}
        w = None if weight is None else lib.tensor(weight)
        y = getattr(functions, name)(x, lib.tensor(target), weight=w, **options)
        y.backward()
        found.append([y.item(), *x.grad.reshape(-1).tolist()])
    np.testing.assert_array_equal(*found)
    assert np.isnan(found[0][0])


# --- backward ----------------------------------------------------------------------------------------------------


def late_sqrt(x):
    y = mg.sqrt(x)  # here
    return y.sum()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("through", ["backward", "grad"])
def test_births_in_backward(through, create_graph):
    x = leaf(4.0, 0.0)

    def run():
        y = late_sqrt(x)
        y.backward(create_graph=create_graph) if through == "backward" else mg.grad(y, x, create_graph=create_graph)

    first, place, gy, saved = message(run).split("\n  ")
    assert first == (
        "sqrt.backward: inf was born here, in 1 of 2 elements of the gradient of input 0 (x), first at (1,)"
    )
    assert place.endswith(line(late_sqrt))
    assert gy == "the incoming gradient: float32 (2,), min 1, max 1, mean 1; 1 at (1,)"
    assert saved == "the output that it saved: float32 (2,), min 0, max 2, mean 1, zeros: 1; 0 at (1,)"
    assert x.grad is None


def test_the_second_input_of_a_formula():
    a, b = leaf(1.0), leaf(1e-30)
    text = message(lambda: (a / b).backward())
    assert text.startswith("div.backward: inf was born here, in 1 of 1 elements of the gradient of input 1 (b)")


def test_the_classic_where():
    """Forward is right, and so is the branch that was not taken: 0 / 0."""
    x = leaf(0.0, 4.0)
    text = message(lambda: mg.where(x > 0, x.sqrt(), 0.0).sum().backward())
    assert text.startswith("sqrt.backward: NaN was born here, in 1 of 2 elements of the gradient of input 0 (x)")


def test_several_outputs_in_backward():
    x = leaf(1e-40)
    text = message(lambda: (SinCos()(x)[1] * 1e4).sum().backward())
    assert text.startswith("sin_cos.backward: inf was born here")
    assert "the incoming gradient of output 1: float32 (1,), 1e+04" in text


BETWEEN = {
    "what was given to begin with": (
        lambda x: (x * 1).backward(mg.tensor([1, NAN])),
        "backward: the gradient to begin with already holds 1 NaN: it was not born here",
    ),
    "adding up": (
        lambda x: mg.add(*((y * n).sum() for y in [x * 0.0] for n in (3e38, 2e38))).backward(),
        "backward, adding up the gradients of the output (2,) of mul: inf was born here, in 2 of 2",
    ),
    "adding up at a leaf": (
        lambda x: ((x * 3e38).sum() * 0.5 + (x * 3e38).sum()).backward(),
        "backward, adding up the gradients of the leaf (2,): inf was born here",
    ),
    "summing what was broadcast": (
        lambda x: (x.half().sum() * mg.full((4,), 3e4, dtype=mg.float16)).backward(mg.ones(4)),
        "backward, summing what mul returned to (): inf was born here",
    ),
    "adding to grad": (
        lambda x: [(x * 3e38).sum().backward() for _ in range(2)],
        "backward, adding to the grad of the leaf (2,): inf was born here",
    ),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_births_between_the_formulas(name):
    function, expected = BETWEEN[name]
    x = mg.tensor([1.0, 1.0], requires_grad=True)
    x.data *= 0.25 if name != "adding to grad" else 0.1
    assert message(lambda: function(x)).startswith(expected)


@pytest.mark.parametrize("on_leaf", [True, False])
def test_births_in_hooks(on_leaf):
    def run(hook):
        x = leaf(1.0, 2.0)
        h = x if on_leaf else x * 2  # here
        h.register_hook(hook)
        (h * 3).sum().backward()

    where = "a hook of the leaf (2,)" if on_leaf else "a hook of the output (2,) of mul"
    text = message(lambda: run(lambda g: mg.tensor([NAN, 1])))
    assert text.startswith(f"{where}: NaN was born here, in 1 of 2 elements of the result, first at (0,)")
    assert on_leaf or line(run) in text
    text = message(lambda: run(lambda g: g / 0))
    assert text.startswith("div: inf was born here") and f"in {where}" in text


def test_a_forward_that_was_not_watched():
    x = leaf(-1.0, 4.0)
    y = x.log().exp().sum()
    text = message(y.backward)
    assert text.startswith(
        "exp.backward: the output that it saved already holds 1 NaN: it was not born here; put the forward inside of"
    )
    assert "run it again inside `with mg.detect_anomaly():` to see the line that called exp" in text


def test_births_of_the_second_derivative():
    x = leaf(0.0, 1.0)

    def run():
        y = x**1.5  # here
        (g,) = mg.grad(y.sum(), x, create_graph=True)
        mg.grad(g.sum(), x)

    text = message(run)
    assert text.startswith("pow.backward: inf was born here") and "its n: 0.5" in text
    assert f"{line(run)} (in the gradient of pow)\n" in text


def test_a_definition_is_part_of_its_operation():
    x = leaf(1.0, 1.0)

    def run():
        y = F.layer_norm(x, (2,), eps=0.0)  # here
        mg.grad((y * y).sum(), x, create_graph=True)

    assert line(run) in message(run) and message(run).startswith("normalize: NaN was born here")


# --- places: every error of backward tells the line --------------------------------------------------------------


class Broken(Function):
    def __init__(self, how):
        self.how = how

    def forward(self, x):
        return x * 2

    def backward(self, gy):
        return self.how(gy)


def fail(*_):
    raise KeyError("my own")


def freed(x):
    y = (x * x).sum()  # here
    y.backward()
    y.backward()


def overwritten(x):
    y = x * x  # here
    with mg.no_grad():
        x.mul_(2.0)
    y.sum().backward()


def written_by_an_optimizer(x):
    y = x * x  # here
    x.grad = mg.ones_like(x)
    optim.SGD([x], lr=0.1).step()
    y.sum().backward()


def calling(function):
    def run(x):
        y = Broken(function)(x)  # here
        y.sum().backward()

    return run


def hooked(x):
    y = x.exp()  # here
    y.register_hook(fail)
    y.sum().backward()


def hooked_after_a_write(x):
    y = x + 1  # here
    with mg.no_grad():
        y.mul_(2)
    y.register_hook(fail)
    y.sum().backward()


def hooked_in_shape(x):
    y = x.exp()  # here
    y.register_hook(lambda g: g[:1])
    y.sum().backward()


def hooked_output(x):
    y = SinCos()(x)[0]  # here
    y.register_hook(fail)
    y.sum().backward()


ERRORS = {
    "freed": (freed, GraphError, r"were freed by an earlier backward .* the first time; (sum|mul) was called at "),
    "overwritten": (
        overwritten,
        GraphError,
        r"the input a, has been overwritten in place since at \S*:\d+: x\.mul_\(2\.0\); write .*; mul was called at ",
    ),
    "overwritten by an optimizer": (written_by_an_optimizer, GraphError, r"since at \S*:\d+: optim\.SGD\(\[x\], lr="),
    "an exception of the user's": (calling(fail), KeyError, r"in the backward of broken: broken was called at "),
    "a wrong shape": (calling(lambda g: g[:1]), GraphError, r"in the backward of broken: broken was called at "),
    "no array": (calling(lambda g: "g"), GraphError, r"in the backward of broken: broken was called at "),
    "too many": (calling(lambda g: (g, g)), GraphError, r"in the backward of broken: broken was called at "),
    "an operation in the formula": (
        calling(lambda g: g.reshape(5)),
        ValueError,
        r"in the backward of broken: broken was called at ",
    ),
    "a hook": (hooked, KeyError, r"in a hook of the output \(2,\) of exp: exp was called at "),
    "a hook of what was written": (
        hooked_after_a_write,
        KeyError,
        r"in a hook of the output \(2,\) of alias: alias was",
    ),
    "a hook that returns another shape": (
        hooked_in_shape,
        mg.ShapeError,
        r"for a gradient of shape \(2,\), that of the output \(2,\) of exp; exp was called at ",
    ),
    "a hook of one output": (
        hooked_output,
        KeyError,
        r"in a hook of output 0 \(2,\) of sin_cos: sin_cos was called at ",
    ),
}


@pytest.mark.parametrize("check_nan", [True, False])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", ERRORS)
def test_errors_tell_the_line(name, create_graph, check_nan, monkeypatch):
    function, error, expected = ERRORS[name]
    if create_graph:
        backward = mg.Variable.backward
        monkeypatch.setattr(mg.Variable, "backward", lambda y: backward(y, create_graph=True, retain_graph=False))
    with mg.detect_anomaly(check_nan=check_nan), pytest.raises(error) as caught:
        function(leaf(1.0, 2.0))
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert re.search(expected, text, re.DOTALL) and line(function) in text
    assert text.count("was called at") == 1 and "run it again" not in text


@pytest.mark.parametrize("name", ERRORS)
def test_errors_without_a_line_tell_how_to_get_it(name):
    function, error, _ = ERRORS[name]
    with pytest.raises(error) as caught:
        function(leaf(1.0, 2.0))
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert text.count("run it again inside `with mg.detect_anomaly():` to see the line that called") == 1
    assert "test_anomaly" not in text


def test_a_hook_of_a_leaf_is_told():
    x = leaf(1.0)
    for register in (x.register_hook, x.register_post_accumulate_grad_hook):
        with register(fail), pytest.raises(KeyError) as caught:
            (x * 2).backward()
        assert caught.value.__notes__ == ["in a hook of the leaf (1,)"]


def test_memory_that_runs_out_in_backward(monkeypatch):
    def run(x):
        return Broken(out_of_memory)(x)  # here

    def out_of_memory(g):
        raise MemoryError

    with mg.detect_anomaly(), pytest.raises(mg.OutOfMemoryError) as caught:
        run(leaf(1.0)).backward()
    assert line(run) in caught.value.__notes__[0]


def test_a_place_of_an_earlier_write_is_not_told_of_a_later():
    x = leaf(1.0, 2.0)
    with mg.detect_anomaly(), mg.no_grad():
        x.mul_(2.0)
    y = x * x
    with mg.no_grad():
        x.mul_(2.0)
    with pytest.raises(GraphError, match="has been overwritten in place since; write out of place"):
        y.sum().backward()


# --- the mode ----------------------------------------------------------------------------------------------------


def watched():
    """Whether this context is; an operation must behave as it is said."""
    try:
        with np.errstate(all="ignore"):
            mg.zeros(1).log()
        answer = False
    except AnomalyError:
        answer = True
    assert mg.is_anomaly_enabled() is answer
    return answer


def test_the_names_of_torch():
    for name in ("detect_anomaly", "set_detect_anomaly", "grad", "no_grad", "Function"):
        assert getattr(mg.autograd, name) is getattr(mg, name)


def test_nested_modes():
    with mg.detect_anomaly():
        assert watched()
        with mg.set_detect_anomaly(False):
            assert not watched()
            with mg.detect_anomaly():
                assert watched()
            assert not watched()
        with mg.detect_anomaly(check_nan=False):
            mg.zeros(1).log()
        assert watched()
    assert not watched()


def test_the_same_object_again_inside_of_itself():
    on, off = mg.detect_anomaly(), mg.set_detect_anomaly(False)
    with on, off:
        assert not watched()
        with on, on:
            assert watched()
        assert not watched()
    assert not watched()


def test_set_detect_anomaly_is_also_a_plain_call():
    try:
        mg.set_detect_anomaly(True)
        assert watched()
        mg.set_detect_anomaly(True, check_nan=False)
        assert mg.is_anomaly_enabled() and not mg.is_anomaly_check_nan_enabled()
    finally:
        mg.set_detect_anomaly(False)
    assert not watched() and object not in detours


@pytest.mark.parametrize(
    "decorator", [mg.detect_anomaly(), mg.detect_anomaly, lambda f: mg.set_detect_anomaly(True)(f)]
)
def test_decorators(decorator):
    @decorator
    def f(n, *, key=1):
        """Doc."""
        inner = f(n - 1) if n else []
        assert watched()
        return [n * key, *inner]

    assert f(2, key=5) == [10, 1, 0] and not watched()
    assert f.__name__ == "f" and f.__doc__ == "Doc."


def test_a_decorated_generator():
    @mg.detect_anomaly()
    def numbers():
        for n in range(2):
            assert watched()
            yield n

    assert [(n, watched()) for n in numbers()] == [(0, False), (1, False)]
    running = numbers()
    next(running)
    assert not watched()
    running.close()


def test_exceptions_leave_it_off_even_while_they_are_kept():
    for _ in range(2):
        with pytest.raises(AnomalyError) as caught, mg.detect_anomaly():
            late_sqrt(leaf(0.0)).backward()
        assert caught.value.__traceback__ is not None and object not in detours and not watched()


def test_a_thread_has_its_own_mode():
    answers = {}

    def other():
        answers["before"] = watched()
        with mg.detect_anomaly():
            answers["inside"] = watched()
            inside.set()
            go_on.wait(5)
        answers["after"] = watched()
        mg.set_detect_anomaly(True)  # and ends

    inside, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    with mg.detect_anomaly():
        thread.start()
        assert inside.wait(5)
    assert not watched() and object in detours
    go_on.set()
    thread.join()
    assert answers == {"before": False, "inside": True, "after": False} and object not in detours


def test_a_task_goes_on_in_the_mode_it_was_begun_in():
    async def task(expected):
        for _ in range(3):
            await asyncio.sleep(0)
            assert watched() is expected

    async def main():
        with mg.detect_anomaly():
            inside = asyncio.create_task(task(True))
        outside = asyncio.create_task(task(False))
        await asyncio.gather(inside, outside)

    asyncio.run(main())
    assert object not in detours


# --- off, it leaves no trace -------------------------------------------------------------------------------------


def test_off_operations_go_the_straight_way(monkeypatch):
    x = leaf(1.0, 2.0)
    general = Function.__call__
    with mg.detect_anomaly():
        noted = (x * 2).creator
        assert noted.called_at is not None
    plain = (x * 2).creator
    assert vars(noted).keys() - vars(plain).keys() == {"called_at"}
    monkeypatch.setattr(Function, "__call__", fail)
    x.exp() * 2 + x
    with mg.detect_anomaly(), pytest.raises(KeyError):
        x.exp()
    monkeypatch.setattr(Function, "__call__", general)
    with mg.no_grad():
        x.mul_(2)
    assert memory.place(x.data) is None


def train(steps=3):
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    x, t = mg.randn(16, 6), mg.randint(3, (16,))
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), t).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return [p.data for p in model.parameters()]


def test_training_is_the_same_inside():
    outside = train()
    with mg.detect_anomaly():
        inside = train()
    for a, b in zip(outside, inside, strict=True):
        np.testing.assert_array_equal(a, b)


def results(row):
    """Values and derivatives to the second order."""
    xs = [mg.Variable(a, requires_grad=True) if a.dtype.kind == "f" else a for a in row.arrays()]
    leaves = [x for x in xs if isinstance(x, mg.Variable)]
    y = row.function(*xs)
    seed = np.full(y.shape, 0.5, y.dtype)
    y.backward(seed, retain_graph=True)
    gs = mg.grad(y, leaves, seed, create_graph=True)
    heads = [g for g in gs if g.requires_grad]
    seconds = mg.grad(heads, leaves, [np.ones(g.shape, g.dtype) for g in heads], allow_unused=True) if heads else []
    return [y, *gs, *(g for g in seconds if g is not None), *(x.grad for x in leaves)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_operation_is_the_same_inside(row):
    outside = results(row)
    with mg.detect_anomaly():
        inside = results(row)
    for a, b in zip(outside, inside, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def _backward():
    with mg.detect_anomaly():
        late_sqrt(leaf(1.0, 2.0)).backward()


def _second_order():
    x = leaf(1.0, 2.0)
    with mg.detect_anomaly():
        (g,) = mg.grad(F.layer_norm(x.tanh() * x, 2).exp().sum(), x, create_graph=True)
        mg.grad((g * g).sum(), x)


def _in_place():
    with mg.detect_anomaly():
        h = leaf(1.0, 2.0) * 2
        h.add_(1)
        with mg.no_grad():
            h.mul_(2)
        h.sum().backward()


def _errors():
    x = leaf(0.0, 1.0)
    with pytest.raises(AnomalyError), mg.detect_anomaly():
        late_sqrt(x).backward()
    with pytest.raises(GraphError), mg.detect_anomaly():
        overwritten(x)


@pytest.mark.parametrize("step", [_backward, _second_order, _in_place, _errors], ids=lambda f: f.__name__.strip("_"))
def test_no_growth_without_the_garbage_collector(step):
    def alive():
        kinds = (mg.Variable, Function, Observer)
        return sum(issubclass(type(o), kinds) for o in gc.get_objects()), len(memory.stamps), len(memory._places)

    gc.collect()
    gc.disable()
    try:
        step()
        before = alive()
        for _ in range(5):
            step()
        assert alive() == before
    finally:
        gc.enable()


def test_places_of_writes_go_with_their_memory():
    gc.collect()
    before = len(memory._places)
    with mg.detect_anomaly():
        many = [mg.zeros(1).add_(1) for _ in range(10)]
    assert len(memory._places) == before + 10
    del many
    assert len(memory._places) == before


def test_a_place_keeps_no_frame_alive():
    class Big:
        pass

    def run():
        big = Big()
        with mg.detect_anomaly():
            y = leaf(1.0) * 2
        return y, big

    y, _ = run()
    del _
    assert y.requires_grad and not any(type(o) is Big for o in gc.get_objects())


# --- observers in general ----------------------------------------------------------------------------------------


class Diary(Observer):
    def __init__(self):
        self.seen = []

    def ran(self, node, operands, edges, result):
        self.seen.append(("ran", node.name, [getattr(x, "shape", ()) for x in operands], result.shape))

    def returned(self, node, gy, gradients):
        self.seen.append(("returned", node.name, gy.shape))


def test_observers_are_told_of_each_step():
    diary, other = Diary(), Diary()
    x = leaf(1.0, 2.0)
    with Observing(diary):
        with Observing(other), mg.detect_anomaly():
            y = x * 2
        y.sum().backward()
    x.exp()
    forward = ("ran", "mul", [(2,), ()], (2,))
    assert diary.seen == [
        forward,
        ("ran", "sum", [(2,)], ()),
        ("returned", "sum", ()),
        ("returned", "mul", (2,)),
    ] and other.seen == [forward]


# --- the page ----------------------------------------------------------------------------------------------------


def test_the_message_on_the_page(tmp_path):
    section = (Path(__file__).parents[1] / "docs" / "tape.md").read_text().partition("## Debugging")[2]
    code, text = (re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)[1] for kind in ("python", "text"))
    code = code.replace('np.errstate(all="ignore")', 'np.errstate(all="ignore"), mg.detect_anomaly()')
    (tmp_path / "train.py").write_text(f"import minigrad as mg\n{code}")
    run = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and run.stderr.endswith(text)


# --- on a GPU ----------------------------------------------------------------------------------------------------


def test_on_a_gpu(cuda):
    x = mg.tensor([4.0, 0.0, -1.0], device=cuda, requires_grad=True)
    text = message(lambda: x.log())
    assert text.startswith("log: NaN was born here, in 1 of 3 elements of the output, first at (2,)")
    assert "min -1, max 4, mean 1, zeros: 1; -1 at (2,)" in text
    text = message(lambda: late_sqrt(mg.tensor([0.0], device=cuda, requires_grad=True)).backward())
    assert text.startswith("sqrt.backward: inf was born here") and line(late_sqrt) in text
    text = message(lambda: overwritten(mg.tensor([1.0, 2.0], device=cuda, requires_grad=True)), GraphError)
    assert line(overwritten) in text
    with mg.detect_anomaly():
        y = mg.relu(x * 2 + x).sum()
        y.backward()
    assert x.grad.tolist() == [3, 0, 0]
    assert object not in detours and detours


def test_on_two_gpus(cuda):
    if mg.cuda.device_count() < 2:
        pytest.skip("there is one GPU only")
    x = mg.tensor([1.0, 2.0], device="cuda:1", requires_grad=True)
    with mg.detect_anomaly():
        y = (x * x).to("cuda:0") + (x * 2).to("cuda:0")
        y.sum().backward()
        y = x * x
        y.sum().backward()
    assert x.grad.tolist() == [6, 10]
