"""Where checkers go wrong: noise that the outputs do not show, errors that cancel, small parts of large wholes."""

import functools

import numpy as np
import pytest
from mutations import operation

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn


def normal(*shape, seed=0, dtype="float64"):
    return mg.tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


def at(*values, dtype="float64"):
    return mg.tensor(np.array(values, dtype), requires_grad=True)


def verdicts(check, times):
    return {check(seed).verdict for seed in range(times)}


# --- right functions that are hard to difference: never "wrong" --------------------------------------------------

HARD = {
    "saturated cross entropy": lambda s: mg.gradcheck(
        lambda x: F.cross_entropy(x, mg.tensor([1])), at([0, 20.0, 1]), seed=s
    ),
    "half saturated": lambda s: mg.gradcheck(lambda x: F.cross_entropy(x, mg.tensor([1])), at([0, 15.0, 1]), seed=s),
    "saturated bce": lambda s: mg.gradcheck(
        lambda x: F.binary_cross_entropy_with_logits(x, mg.tensor([1.0, 0.0], dtype=mg.float64)), at(30.0, -25), seed=s
    ),
    "saturated tanh": lambda s: mg.gradcheck(mg.tanh, at(17.0), order=2, seed=s),
    "offset": lambda s: mg.gradcheck(lambda x: (x + 1e6) - 1e6, normal(5, seed=s), seed=s),
    "log near 1": lambda s: mg.gradcheck(lambda x: (1 + x).log(), at(1e-10, 2e-10), seed=s),
    "nearly constant": lambda s: mg.gradcheck(lambda x: (x * 1e-8 + 1).std(), normal(6, seed=s), seed=s),
    "cancelling": lambda s: mg.gradcheck(lambda x: (1 - x.cos()) / x**2, at(1e-4), seed=s),
    "through float32": lambda s: mg.gradcheck(lambda x: (x.float() * 3).double(), normal(5, seed=s), seed=s),
    "through float16": lambda s: mg.gradcheck(lambda x: (x.half() * 3).double(), normal(5, seed=s), seed=s),
    "softmax with an offset": lambda s: mg.gradcheck(lambda x: (x + 1e7).softmax(0), normal(5, seed=s), seed=s),
    "fast": lambda s: mg.gradcheck(lambda x: (x * 1e7).sin(), normal(5, seed=s), seed=s),
    "ill-conditioned": lambda s: mg.gradcheck(
        lambda x: (x @ x.t() + 1e-6 * mg.eye(4, dtype=mg.float64)).inverse(), normal(4, 3, seed=s), seed=s
    ),
    "tanh in float32": lambda s: mg.gradcheck(mg.tanh, at(8.0, dtype="float32"), seed=s),
    "layer norm in float32": lambda s: mg.gradcheck(
        lambda x: F.layer_norm(x + 1e5, (5,)), normal(3, 5, seed=s, dtype="float32"), seed=s
    ),
    "sorted in float16": lambda s: mg.gradcheck(
        lambda x: (x * 1.1 + 1).sort(0)[0], normal(40, seed=s, dtype="float16"), seed=s
    ),
    "overflow in float16": lambda s: mg.gradcheck(lambda x: (x * 50) ** 3, normal(5, seed=s, dtype="float16"), seed=s),
    "a bias before batch norm": lambda s: mg.gradcheck(
        nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7)).double(), normal(8, 5, seed=s), seed=s
    ),
    "NaN that is passed over": lambda s: mg.gradcheck(lambda x: mg.fmax(x.var(), x), normal(5, seed=s), seed=s),
    "a mask": lambda s: mg.gradcheck(
        lambda x: x.masked_fill(mg.tensor([False, True, False, True]), -1e9).softmax(0), normal(4, seed=s), seed=s
    ),
    "zeros in a product": lambda s: mg.gradcheck(lambda x: x.prod(), at(0, 0, 3.0), seed=s),
    "overflow": lambda s: mg.gradcheck(lambda x: (x / 1e-200).sin(), at(1e-200, 2e-200), order=2, seed=s),
}


@pytest.mark.parametrize("name", HARD)
def test_what_is_right_is_never_called_wrong(name):
    assert "wrong" not in verdicts(HARD[name], 10)


@pytest.mark.parametrize("name", ["a bias before batch norm", "NaN that is passed over", "a mask", "tanh in float32"])
def test_and_where_it_can_be_told_it_is_right(name):
    assert verdicts(HARD[name], 10) == {"right"}


# --- errors that hide --------------------------------------------------------------------------------------------

half = operation(lambda self, x: x * x, lambda self, gy, x: gy * x)


def cancelling(factors):
    """Equal elements with equal errors: in sums of random signs they could cancel."""

    def backward(self, gy):
        return gy * 3 * (factors if gy.shape == factors.shape else 1)

    return operation(lambda self, x: x * 3, backward)


TWO = np.ones((4, 4))
TWO[0, 1] = TWO[2, 2] = 2
ROW = np.ones((4, 4))
ROW[1] = 2


@pytest.mark.parametrize("factors", [TWO, ROW], ids=["two elements", "a row"])
def test_equal_errors_do_not_cancel(factors):
    wrong, x = cancelling(factors), mg.ones(4, 4, dtype=mg.float64, requires_grad=True)
    assert verdicts(lambda s: mg.gradcheck(lambda x: wrong(x).sum(), x, seed=s), 40) == {"wrong"}


@pytest.mark.parametrize("factor", [1e10, 1e12, 1e14])
def test_a_wrong_output_beside_a_large_one(factor):
    def check(s):
        return mg.gradcheck(lambda a, b: (a * factor, half(b)), normal(3, seed=s), normal(3, seed=s + 1), seed=s)

    assert verdicts(check, 10) == {"wrong"}


@pytest.mark.parametrize("mode", ["probe", "full"])
@pytest.mark.parametrize("factor", [1e-10, 1e-12])
def test_what_is_too_small_to_be_seen_is_not_called_right(factor, mode):
    def check(s):
        a, b = normal(3, seed=s), normal(3, seed=s + 1)
        return mg.gradcheck(lambda a, b: a.sum() + factor * half(b).sum(), a, b, seed=s, mode=mode)

    assert "right" not in verdicts(check, 10)


def test_a_gradient_that_is_not_linear_in_the_incoming_one():
    wrong = operation(lambda self, x: (x * x).sum(), lambda self, gy, x: abs(gy) * 2 * x)
    assert verdicts(lambda s: mg.gradcheck(wrong, normal(4, seed=s), seed=s), 20) == {"wrong"}


def test_a_detached_output_is_noted():
    report = mg.gradcheck(lambda x: (x * x, (x * x).detach()), normal(3))
    assert report and "note: output 1 is off the tape" in str(report)


# --- what a function holds ---------------------------------------------------------------------------------------

net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def helper(x):
    return net(x)


class Holder:
    def __init__(self):
        self.net = net

    def run(self, x):
        return self.net(x)


holder, several = Holder(), [net]
WAYS = {
    "helper": lambda x: helper(x),
    "holder.net": lambda x: holder.net(x),
    "self.net": holder.run,
    "several[0]": lambda x: several[0](x),
    "partial": functools.partial(lambda n, x: n(x), net),
    "default": lambda x, n=net: n(x),
    "nested": lambda x: list(map(lambda z: net(z), [x]))[0],  # noqa: C417, RUF015 - a function in a function
    "comprehension": lambda x: next(net(x) for _ in range(1)),
}


@pytest.mark.parametrize("way", WAYS)
def test_modules_are_found_however_they_are_held(way):
    before = {name: b.numpy().copy() for name, b in net.named_buffers()}
    report = mg.gradcheck(WAYS[way], mg.randn(6, 3))
    assert report.verdict == "right", str(report)
    leaf = report.leaves[0][1].leaf
    assert leaf.endswith("0.weight") and "leaf" not in leaf and (way not in ("self.net", "several[0]") or way in leaf)
    for name, b in net.named_buffers():
        np.testing.assert_array_equal(b.numpy(), before[name])


def test_a_module_as_an_input():
    before = net.running_mean.numpy().copy() if hasattr(net, "running_mean") else net[1].running_mean.numpy().copy()
    assert mg.gradcheck(lambda m, x: m(x), net, mg.randn(6, 3))
    np.testing.assert_array_equal(net[1].running_mean.numpy(), before)


def test_a_function_that_calls_backward_leaves_no_grad():
    x = normal(3)
    mg.gradcheck(lambda x: (x * x).sum().backward() or x * 2, x)
    assert x.grad is None


def test_a_closure_that_is_not_filled_yet():
    def outer():
        def inner(x):
            return later(x) if x is None else x * x

        report = mg.gradcheck(inner, normal(3))
        later = None
        return report

    assert outer()


# --- outputs and arguments that are not as they should be --------------------------------------------------------


def test_outputs_that_change_from_run_to_run():
    calls = []

    def function(x):
        calls.append(1)
        return [x * 2] * (1 + len(calls) % 2)

    report = mg.gradcheck(function, normal(3))
    assert (report.verdict, report.reason) == ("inconclusive", "nondeterminism")
    assert "the outputs have shapes" in str(report)


def test_inputs_in_a_tuple_as_pytorch_takes_them():
    with pytest.raises(TypeError) as caught:
        mg.gradcheck(lambda x, w: x * w, (normal(3), normal(3)))
    assert caught.value.__notes__ == [
        "gradcheck takes the inputs one by one: gradcheck(fn, x, w), or gradcheck(fn, *inputs)"
    ]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="gradcheck: probes must be an int of at least 1, got 0"):
        mg.gradcheck(lambda x: x, normal(3), probes=0)
    with pytest.raises(ValueError, match="gradcheck: order must be an int of at least 1, got '2'"):
        mg.gradcheck(lambda x: x, normal(3), order="2")
    with pytest.raises(TypeError, match="gradcheck: expected a function or module and its inputs, got int"):
        mg.gradcheck(3, normal(3))
    report = mg.gradcheck(lambda x: None, normal(3))
    assert report.reason == "vacuous" and "note: fn returned no Variable of floats" in str(report)
