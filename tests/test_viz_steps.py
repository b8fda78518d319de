"""viz.backward_steps: what the steps say is what the engine did, and nothing else has happened; text and pictures."""

import json
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from test_viz_labels import PROGRAMS

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.errors import GraphError, MinigradError, ShapeError
from minigrad.tape.function import Alias, Output
from minigrad.tape.observers import Observer, Observing
from minigrad.viz.pictures import render
from minigrad.viz.pictures.render import VARIABLE, RenderError
from minigrad.viz.stepping import film, telling
from minigrad.viz.stepping.amounts import KEPT, amount_of
from minigrad.viz.stepping.rules import rule_of


def leaf(*shape, name=None):
    x = mg.rand(*shape) + 0.5
    x.requires_grad = True
    x.name = name
    return x


def number(value, name=None):
    return mg.Variable(mg.tensor(value).data, requires_grad=True, name=name)


def chain():
    x, y = number(2.0, "x"), number(3.0, "y")
    return x * y + mg.sin(x)


def first_derivative(y, x):
    return mg.grad(y, x, create_graph=True)[0]


class Doubled(mg.autograd.Function):
    """y = 2 x."""

    def forward(self, x):
        return x * 2

    def backward(self, g):
        return g * 2


def one_twice(x):
    a, b = mg.chunk(x, 2)
    return (a * a * b).sum()


def overwritten(x, y):
    """A graph with a node that is not drawn: z was written in place."""
    z = x * y
    z[0] = y[1]
    return (z * z).sum()


# name -> (the function, shapes of its leaves)
PROGRAMMES = {
    "chain": (lambda x, y: x * y + mg.sin(x), [(), ()]),
    "a leaf": (lambda x: x, [()]),
    "x x": (lambda x: (x * x).sum(), [(3,)]),
    "broadcast": (lambda x, b: ((x + b) * x).mean(), [(3, 4), (4,)]),
    "columns": (lambda x, b: ((x - b) / x).sum(), [(3, 4), (3, 1)]),
    "a number": (lambda x, b: (x * b).sum(), [(3, 4), ()]),
    "matmul": (lambda x, w: (x @ w).tanh().sum(), [(3, 4), (4, 2)]),
    "outputs": (lambda x: (mg.chunk(x, 2)[0] ** 2 * mg.chunk(x, 2)[1]).sum(), [(4, 3)]),
    "an output": (lambda x: mg.chunk(x * x, 2)[1], [(2,)]),
    "one output twice": (one_twice, [(4, 3)]),
    "index": (lambda x: (x[1:] * x[:-1]).sum() + x[0, 0], [(4, 3)]),
    "where": (lambda x, y: mg.where(x > y, x, y * y).sum(), [(5,), (5,)]),
    "in place": (overwritten, [(3,), (3,)]),
    "softmax": (lambda x: F.log_softmax(x, 1)[:, 0].mean(), [(4, 3)]),
    "large": (lambda x, w: F.relu(x @ w).pow(2).mean(), [(20, 30), (30, 10)]),
    "second": (lambda x, y: first_derivative(x**3 * y + mg.sin(x * y), x), [(), ()]),
    "second of a fused": (
        lambda x, w, b: first_derivative(F.linear(x, w, b).exp().sum(), w).sum(), [(3, 2), (4, 2), (4,)],
    ),
    "third": (lambda x: first_derivative(first_derivative(x**4, x), x), [()]),
    "user's": (lambda x: (Doubled()(x) * x).sum(), [(3,)]),
    "dtypes": (lambda x, y: (x.double() * y).sum().float(), [(3,), (3,)]),
    "stack": (lambda x, y: mg.stack([x, y, x]).prod(0).sum(), [(3,), (3,)]),
}  # fmt: skip


class Order(Observer):
    def __init__(self):
        self.nodes = []

    def returned(self, node, gy, gradients):
        if type(node) not in (Output, Alias):
            self.nodes.append(node)


@pytest.mark.parametrize("name", PROGRAMMES)
def test_steps_are_those_of_the_engine(name):
    """Their order, their ids, what each one gets, and what the leaves have in the end."""
    function, shapes = PROGRAMMES[name]
    xs = [leaf(*shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    y = function(*xs)
    steps = viz.backward_steps(y)
    assert all(x.grad is None for x in xs)
    order = Order()
    with Observing(order):
        y.backward(retain_graph=True)
    assert [s.operation for s in steps] == [node.name for node in order.nodes]
    assert [s.number for s in steps] == list(range(1, len(steps) + 1))
    ids = viz.graph(y).graph.nodes
    assert {s.id for s in steps} | steps.leaves.keys() <= ids.keys()
    assert [ids[s.id].label for s in steps] == [node.name for node in order.nodes]
    used = {x.name: x for x in xs if x.grad is not None}
    assert {id: str(found.gradient) for id, found in steps.leaves.items()} == {
        id: str(amount_of(x.grad)) for id, x in used.items()
    }
    for step in steps:  # what comes in is the last sum of what was handed on
        for output, amount in step.incoming.items():
            sums = [f.total for s in steps for f in s.flows if (f.to, f.output) == (step.id, output)]
            assert str(amount) == str(sums[-1] if sums else steps.start[1])
    for id, found in steps.leaves.items():
        parts = [(s.number, str(f.arrived)) for s in steps for f in s.flows if f.to == id]
        assert [(k, str(amount)) for k, amount in found.parts] == parts
    assert str(steps)


PAGE = """\
backward of add:1: 3 steps to 2 leaves
  forward     x = 2, y = 3, mul:1 = 6, sin:1 = 0.909297, add:1 = 6.9093
  begins      add:1 with 1

step 1  add:1                   y = a + b
  comes in              gy = 1
  rule                  d(add): gy, gy
  to mul:1 (operand a)  gy = 1
  to sin:1 (operand b)  gy = 1

step 2  sin:1                   y = sin x, x in radians
  comes in    gy = 1
  rule        d(sin): gy * cos(x)
  values      operand x = 2, from x
  to x        gy * cos(x) = 1 * cos(2) = -0.416147

step 3  mul:1                   y = a * b
  comes in          gy = 1
  rule              d(mul): gy * b, gy * a
  values            operand a = 2, from x
                    operand b = 3, from y
  to x (operand a)  gy * b = 1 * 3 = 3
                    added to what is there: -0.416147 + 3 = 2.58385
  to y (operand b)  gy * a = 1 * 2 = 2

leaves
  x           2.58385, the sum of -0.4161 (step 2), 3 (step 3)
  y           2
"""


def test_a_page():
    text = str(viz.backward_steps(chain))
    assert re.sub(r"  line .*\n", "", text) == PAGE
    assert len(re.findall(r"\n  line +\S*test_viz_steps.py:\d+: return x \* y \+ mg.sin\(x\)\n", text)) == 3


def test_a_page_is_the_same_in_every_process():
    script = (
        "import minigrad as mg; from minigrad import viz; import minigrad.nn.functional as F\n"
        "x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True); a, b = mg.chunk(x * x, 2)\n"
        "print(viz.backward_steps((a * b + F.softmax(a, 1)).sum(), names={'x': x}))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "7")
    }
    assert len(texts) == 1
    assert b"to split:1, output 0 (operand a)" in texts.pop()


# --- rules -------------------------------------------------------------------------------------------------------

RULES = [
    (lambda x, y: x * y, "d(mul): gy * b, gy * a"),
    (lambda x, y: x / y, "d(div): gy / b, -(gy / b * y)"),
    (lambda x, y: x - y, "d(sub): gy, -gy"),
    (lambda x, y: x**3, "d(pow): gy * (3 * x ** 2)"),
    (lambda x, y: 2**x, "d(pow): gy * y * log(2)"),
    (lambda x, y: x**0, "d(pow): gy * 0"),
    (lambda x, y: mg.exp(x), "d(exp): gy * y"),
    (lambda x, y: mg.acos(x / 9), "d(acos): -(gy * rsqrt(1 - x * x))"),
    (lambda x, y: mg.relu(x), "d(relu): where(y != 0, gy, 0)"),
    (lambda x, y: mg.sigmoid(x), "d(sigmoid): gy * y - gy * y * y"),
    (lambda x, y: x.clamp(0, 9), "d(clamp): where(x <= 9, where(x >= 0, gy, 0), 0)"),
    (lambda x, y: x.clamp(max=9), "d(clamp): where(x <= 9, gy, 0)"),
    (lambda x, y: mg.addcmul(x, x, y, value=2.5), "d(addcmul): gy, gy * 2.5 * b, gy * 2.5 * a"),
    (lambda x, y: mg.rand(3, requires_grad=True).prod(), "d(prod): spread(gy) * others(x, 0)"),
    (lambda x, y: x.sum(), "d(sum): stretch(gy)"),
    (lambda x, y: mg.rand(3, requires_grad=True).flip(0), "d(flip): Flip((0,))(gy)"),
    (
        lambda x, y: mg.maximum(x, y),
        "d(maximum): where(gt(b, a), 0, where(a == b, gy * 0.5, gy)), where(gt(a, b), 0, where(a == b, gy * 0.5, gy))",
    ),
    (lambda x, y: Doubled()(x), "d(doubled): g * 2"),
]


@pytest.mark.parametrize(("function", "rule"), RULES, ids=[rule for _, rule in RULES])
def test_rules(function, rule):
    assert str(rule_of(function(number(2.0), number(3.0)).creator)) == rule


SCALARS = (
    "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sin cos tan asin atan sinh cosh tanh".split()
)
SCALARS += "asinh atanh sigmoid erf erfc erfinv abs deg2rad".split()
BINARY = ["__add__", "__sub__", "__mul__", "__truediv__", "__pow__", "__mod__"]
MATH = {name: getattr(math, name) for name in "sin cos sinh cosh exp log sqrt pi inf floor".split()}
MATH |= {"sign": lambda x: math.copysign(1, x), "rsqrt": lambda x: x**-0.5, "floor_divide": lambda a, b: a // b}


@pytest.mark.parametrize("name", SCALARS + BINARY)
def test_a_rule_with_numbers_gives_the_gradient(name):
    """What is written before the last = has the value that stands behind it: the text is what the engine computed."""
    x, y = number(0.3, "x"), number(0.8, "y")
    z = getattr(x, name)(y) if name in BINARY else getattr(mg, name)(x)
    flows = [flow for step in viz.backward_steps(z, gradient=mg.tensor(1.5)) for flow in step.flows]
    worked = [flow for flow in flows if flow.worked]
    assert worked or name == "__pow__"  # whose formula has branches for each element
    for flow in worked:
        assert eval(flow.worked, MATH) == pytest.approx(flow.gradient.number, rel=1e-4)


class Odd(mg.autograd.Function):
    def __init__(self, n):
        self.n = n

    def forward(self, *xs):
        return sum(xs[1:], xs[0])

    def backward(self, gy):
        found = []
        for _ in range(self.n):
            found += [gy]
        return tuple(found)


class Long(mg.autograd.Function):
    def forward(self, x):
        return x * 1

    def backward(self, gy, x):
        """Not shown."""
        factor = (x * x + x * x + x * x + x * x + x * x + x * x + x * x) * 0 + 1
        factor += 0
        return gy * factor


class Starred(mg.autograd.Function):
    def forward(self, x, *others):
        return x * 1

    def backward(self, gy, x, *others):
        if self.wants[0] is None:
            return None
        a, b = gy, 1 / 0 if self.name == "other" else 2
        return a * b / 2, *(None for _ in others)


def test_a_formula_with_a_loop_is_shown_as_it_is():
    rule = rule_of(Odd(2)(number(1.0), number(2.0)).creator)
    assert rule.gradients == {}
    assert str(rule).split("\n") == [
        "d(odd): found = []",
        "for _ in range(self.n):",
        "    found += [gy]",
        "return tuple(found)",
    ]


def test_a_long_formula_keeps_its_names():
    rule = rule_of(Long()(number(1.0)).creator)
    assert rule.gradients == {"x": "gy * factor"}
    assert [name for name, _ in rule.given] == ["factor", "factor"]
    assert "Not shown" not in str(rule)
    assert rule.worked("x", {"gy": 1.0, "x": 1.0}) == ""


def test_a_formula_with_many_inputs():
    node = Starred()(number(1.0), number(2.0), number(3.0)).creator
    assert rule_of(node).gradients == {"x": "gy * 2 / 2", "others[0]": "None", "others[1]": "None"}


SECRET = """
class Secret(Function):
    "y = 3 x."
    def forward(self, x): return x * 3
    def backward(self, gy): return gy * 3
"""


def test_without_source_the_formula_is_told():
    space = {"Function": mg.autograd.Function}
    exec(SECRET, space)
    y = space["Secret"]()(number(2.0, "x"))
    assert str(rule_of(y.creator)) == "d(secret): no source to be had; y = 3 x"
    assert str(viz.backward_steps(y).leaves["x"].gradient) == "3"


def test_numbers_are_put_in_brackets_where_they_must_be():
    assert rule_of((number(-2.0) ** 2).creator).worked("x", {"gy": -1.0, "x": -2.0}) == "-1 * (2 * (-2) ** 1)"
    assert rule_of((number(-2.0) ** 2).creator).worked("x", {"gy": -1.0}) == ""


def test_kernels_of_a_device_have_the_rule_of_their_formula(double):
    x = mg.tensor(2.0, requires_grad=True, device="cuda")
    steps = viz.backward_steps(mg.sin(x) * x)
    assert [str(s.rule) for s in steps] == ["d(mul): gy * b, gy * a", "d(sin): gy * cos(x)"]
    assert str(steps.leaves["leaf"].gradient) == "0.0770037"


# --- what a learner must see -------------------------------------------------------------------------------------


def test_broadcasting_undone_is_a_remark():
    x, b = mg.ones(2, 3, requires_grad=True), mg.ones(3, requires_grad=True)
    steps = viz.backward_steps((x * b).sum(), names={"x": x, "b": b})
    flow = steps[1].flows[1]
    assert (flow.to, flow.gradient.shape, flow.summed.shape) == ("b", (2, 3), (3,))
    assert "it was broadcast from (3,) to (2, 3), so the engine sums over axis 0: [2, 2, 2]" in str(steps)
    column = mg.ones(2, 1, requires_grad=True)
    assert "from (2, 1) to (2, 3), so the engine sums over axis 1: [[3], [3]]" in str(
        viz.backward_steps((x * column).sum())
    )
    one = mg.ones(1, requires_grad=True)
    assert "so the engine sums over axes 0, 1: [6]" in str(viz.backward_steps((x * one).sum()))


def test_dtypes_are_a_remark():
    x, y = mg.ones(2, requires_grad=True), mg.ones(2, dtype=mg.float64, requires_grad=True)
    assert "the engine converts float64 to float32: [1, 1]" in str(viz.backward_steps((x * y).sum(), names={"x": x}))


def test_a_gradient_that_is_added_to():
    x = number(3.0, "x")
    flows = [f for s in viz.backward_steps(x * x + x) for f in s.flows if f.to == "x"]
    assert [(str(f.before), str(f.arrived), str(f.total)) for f in flows] == [
        ("None", "1", "1"),
        ("1", "3", "4"),
        ("4", "3", "7"),
    ]


def test_values_are_what_the_rule_uses():
    x, y = number(2.0, "x"), number(5.0, "y")
    step = viz.backward_steps(mg.exp(x) / y)[0]
    assert [(o.name, str(o.amounts[0]), o.of) for o in step.operands] == [
        ("b", "5", "y"),
        ("y", "1.47781", "div:1"),
    ]


def test_a_shape_is_not_taken_for_a_value():
    x, y = leaf(32, name="x"), leaf(32, name="y")
    text = str(viz.backward_steps((x * y).exp().sum()))
    assert re.search(r"  comes in +gy: shape \(32,\), norm ", text)
    assert re.search(r"operand b, from y: shape \(32,\), norm ", text)
    assert re.search(r"output y: shape \(32,\), norm ", text)
    assert re.search(r"to x \(operand a\)  gy \* b: shape \(32,\), norm ", text)
    assert "= shape" not in text and "= 32" not in text


def test_names_of_an_operation_are_told_from_those_of_the_user():
    steps = viz.backward_steps(mg.exp(number(2.0, "b")) / number(5.0, "a"))
    assert [telling.of_operand(steps[0], o) for o in steps[0].operands] == [
        "operand b = 5, from a",
        "output y = 1.47781",
    ]


def test_a_fused_operation_keeps_more_than_its_rule_uses():
    x, w = leaf(3, 4, name="x"), leaf(2, 4, name="w")
    step = viz.backward_steps(F.linear(x, w).sum())[1]
    assert [(o.name, o.of) for o in step.operands] == [("x", "x"), ("weight", "w")]


def test_what_has_no_gradient_is_a_remark():
    class Half(mg.autograd.Function):
        def forward(self, a, b):
            return a * 1

        def backward(self, gy):
            return gy, None

    steps = viz.backward_steps(Half()(number(1.0, "a"), number(2.0, "b")))
    assert steps[0].remarks == ["no gradient for b"]
    assert list(steps.leaves) == ["a"]


def test_nan_and_infinity_are_shown():
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    y, big = mg.sqrt(x), mg.zeros(KEPT + 1, requires_grad=True)
    z = mg.sqrt(big).sum()
    with np.errstate(divide="ignore"):
        with mg.detect_anomaly():
            assert "[inf, 0.5]" in str(viz.backward_steps(y, gradient=mg.ones(2)))
        assert f"{KEPT + 1} NaN or infinite" in str(viz.backward_steps(z))


# --- nothing has happened ----------------------------------------------------------------------------------------


def test_gradients_hooks_and_the_graph_stay():
    x, y = number(2.0, "x"), number(3.0, "y")
    x.grad = before = mg.tensor(7.0)
    z = x * y
    z.retain_grad()
    calls = []
    x.register_post_accumulate_grad_hook(lambda x: calls.append("late"))
    z.register_hook(lambda g: calls.append("z"))
    u = z * z
    steps = viz.backward_steps(u)
    assert x.grad is before
    assert before.item() == 7.0
    assert (y.grad, z.grad) == (None, None)
    assert calls == ["z"]
    u.backward()
    assert calls == ["z", "z", "late"]
    assert (x.grad.item(), z.grad.item()) == (7 + 36, 12)
    assert str(steps.leaves["x"].gradient) == "36"
    with pytest.raises(GraphError, match=r"freed by an earlier backward.*; or give backward_steps a function"):
        viz.backward_steps(u)


def test_hooks_change_what_flows():
    x = number(2.0, "x")
    y = x * 3
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: -g)
    z = y * 5
    steps = viz.backward_steps(z)
    assert steps[1].remarks == ["a hook made 50 of the gradient 5 that had come in"]
    assert str(steps[1].incoming[None]) == "50"
    assert steps.leaves["x"].remark == "a hook made -150 of 150"
    z.backward()
    assert x.grad.item() == float(str(steps.leaves["x"].gradient)) == -150
    assert "; a hook made -150 of 150\n" in str(steps)


def test_an_error_in_a_hook_leaves_all_as_it_was():
    x = number(2.0)
    y = x * 3
    y.retain_grad()

    def fails(g):
        raise ValueError("mine")

    with y.register_hook(fails), pytest.raises(ValueError, match="mine"):
        viz.backward_steps(y * 2)
    (y * 2).backward()
    assert y.grad.item() == 2


def test_a_function_runs_once_and_is_put_back():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    x, runs = mg.randn(5, 4), []
    buffers = {name: b.numpy().copy() for name, b in net.named_buffers()}

    def loss():
        runs.append(1)
        return net(x).sum()

    steps = viz.backward_steps(loss, net)
    drawn = mg.rand(3)
    mg.manual_seed(0)
    net2 = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    mg.randn(5, 4)
    np.testing.assert_array_equal(drawn.numpy(), mg.rand(3).numpy())
    assert len(net2) == 4
    assert runs == [1]
    assert all(p.grad is None for p in net.parameters())
    for name, b in net.named_buffers():
        np.testing.assert_array_equal(b.numpy(), buffers[name])
    assert list(steps.leaves) == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
    assert steps[-1].id == "0/linear:1"
    assert "test_viz_steps.py" in steps[-1].place


def test_a_leaf_that_was_switched_off_gets_nothing():
    x, y = number(2.0, "x"), number(3.0, "y")
    z = x * y
    y.requires_grad = False
    assert list(viz.backward_steps(z).leaves) == ["x"]


def test_a_checkpoint_is_walked_through():
    x = leaf(3, name="x")
    y = mg.checkpoint(lambda x: mg.sin(x) * x, x).sum()
    steps = viz.backward_steps(y)
    y.backward()
    assert str(steps.leaves["x"].gradient) == str(amount_of(x.grad))


def test_arrays_are_not_kept():
    def arrays(x, seen):
        if id(x) in seen or isinstance(x, (str, int, float, type(None))):
            return []
        seen.add(id(x))
        if hasattr(x, "nbytes") or isinstance(x, (mg.Variable, mg.autograd.Function)):
            return [x]
        children = x.values() if isinstance(x, dict) else x if isinstance(x, (list, tuple)) else vars(x).values()
        return [found for child in children for found in arrays(child, seen)]

    x, w = leaf(40, 30, name="x"), leaf(30, 20, name="w")
    steps = viz.backward_steps(lambda: mg.tanh(x @ w).sum())
    assert arrays([vars(s) | {"rule": str(s.rule)} for s in steps], set()) == []
    assert arrays(steps.leaves, set()) + arrays(steps.values, set()) == []
    assert steps.leaves["w"].gradient.value is None
    assert len(str(steps)) < 4000


# --- refusals ----------------------------------------------------------------------------------------------------

REFUSED = [
    (lambda: 3, {}, TypeError, "y must be a Variable, a function that returns one.*not a int"),
    (
        lambda: [number(1.0), number(2.0)],
        {},
        TypeError,
        "y must be one Variable, and there are 2; add them up, or choose",
    ),
    (list, {}, TypeError, "y must be a Variable"),
    (lambda: mg.ones(3), {}, GraphError, r"this Variable \(3,\) does not require grad: nothing that requires grad"),
    (lambda: mg.ones(3, requires_grad=True) * 2, {}, GraphError, r"this Variable has shape \(3,\); reduce it"),
    (lambda: mg.ones(3, requires_grad=True) * 2, {"gradient": [1.0]}, ShapeError, r"has shape \(3,\), so its gradient"),
    (lambda: number(1.0) * 2, {"names": [3]}, TypeError, r"names is \{name: Variable\}, not a list"),
    (lambda: number(1.0) * 2, {"model": 3}, TypeError, "backward_steps: the model must be a module"),
]


@pytest.mark.parametrize("as_function", [True, False], ids=["function", "result"])
@pytest.mark.parametrize(("make", "options", "kind", "message"), REFUSED, ids=[m for *_, m in REFUSED])
def test_refused(make, options, kind, message, as_function):
    with pytest.raises(kind, match=message):
        viz.backward_steps(make if as_function else make(), **options)


def test_a_module_is_refused():
    with pytest.raises(TypeError, match=r"a module is not an output; write viz.backward_steps\(lambda: loss\)"):
        viz.backward_steps(nn.Linear(2, 3))


def test_a_gradient_to_begin_with():
    x = mg.ones(3, requires_grad=True)
    steps = viz.backward_steps(x * 2, gradient=mg.tensor([1.0, 2.0, 3.0]), names={"x": x})
    assert (str(steps.start[1]), str(steps.leaves["x"].gradient)) == ("[1, 2, 3]", "[2, 4, 6]")


def test_a_gradient_in_a_list():
    x = mg.Variable(np.ones(2, np.float32), requires_grad=True, name="x")
    assert str(viz.backward_steps(x * 2, gradient=[1.0, 2.0]).leaves["x"].gradient) == "[2, 4]"


def test_empty_arrays():
    x = mg.zeros(0, 3, requires_grad=True)
    steps = viz.backward_steps((x * 2).sum(), names={"x": x})
    assert (steps.leaves["x"].gradient.shape, str(steps.leaves["x"].gradient)) == ((0, 3), "[]")


# --- text and table ----------------------------------------------------------------------------------------------


def long(count):
    x = number(0.5, "x")
    z = x
    for _ in range(count):
        z = mg.sin(z)
    return viz.backward_steps(z)


def test_a_sequence():
    steps = viz.backward_steps(chain())
    assert (len(steps), steps[-1].id, [s.id for s in steps[:2]]) == (3, "mul:1", ["add:1", "sin:1"])
    assert repr(steps) == "<BackwardSteps of add:1: 3 steps to 2 leaves>"
    assert str(steps[1]).startswith("step 2  sin:1")


def test_a_long_text_is_cut_and_a_file_is_whole(tmp_path):
    steps = long(telling.SHOWN + 20)
    assert "\n… 20 more steps; .save('steps.txt') writes all\n" in str(steps)
    assert "… 20 more" in steps._repr_html_()
    text = steps.save(tmp_path / "steps.txt").read_text("utf-8")
    assert text.count("\nstep ") == len(steps) == telling.SHOWN + 20
    assert "more steps" not in text


def test_many_nodes_are_no_problem():
    assert len(long(3000)) == 3000


def test_the_suffix_decides(tmp_path):
    with pytest.raises(MinigradError, match=r"'steps.png' must end in .txt, .svg, .html"):
        viz.backward_steps(chain).save(tmp_path / "steps.png")


def test_the_table_of_a_notebook_suits_any_paper():
    table = viz.backward_steps(chain())._repr_html_()
    assert table.count("<tr>") == 1 + 3 + 2
    assert all(" style=" in cell for cell in re.findall(r"<t[hd][^>]*>", table))
    assert not re.search(r"#[0-9a-f]{3}|<style", table)


NAMES = [
    "</script><b>",
    "a -> b",
    'say "x"',
    "back\\slash",
    "two\nlines",
    "\ud800",
    "n1",
    "{{SVG}}",
    "漢字 ∂",
    "&amp;",
    "%",
]


def hostile():
    xs = {name: number(float(i + 1), name) for i, name in enumerate(NAMES)}
    return viz.backward_steps(lambda: mg.stack(list(xs.values())).prod())


def test_names_are_escaped():
    steps = hostile()
    left = re.sub(r"</?(div|p|br|table|tr|th|td)( style=[^>]*)?>", "", steps._repr_html_())
    assert "script><b>" not in left and "<script" not in left
    assert re.findall(r"<b>(?!\d+</b>|leaf</b>|backward of )", left) == []
    str(steps).encode()
    assert "two␊lines" in str(steps)


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=PROGRAMS)
def renderer(request, monkeypatch):
    """Both renderers."""
    if PROGRAMS[request.param] is None:
        pytest.skip(f"needs {request.param}")
    monkeypatch.setenv(VARIABLE, PROGRAMS[request.param])


@pytest.fixture
def any_renderer(monkeypatch):
    found = next(filter(None, PROGRAMS.values()), None)
    if found is None:
        pytest.skip("needs dot or graphviz-pure")
    monkeypatch.setenv(VARIABLE, found)


SVG = "{http://www.w3.org/2000/svg}"


def shown(root, frame, kind):
    """The texts of the elements of a kind that show in a frame of a playing picture."""
    found = []
    for e in root.iter():
        classes = e.get("class", "").split()
        if classes[:1] == [kind]:
            first, last = map(int, classes[-1].removeprefix("bw").split("-"))
            if first <= frame < last:
                found.append((e.text or "").strip())  # of no-break spaces too
    return sorted(found)


@pytest.mark.parametrize("kind", ["svg", "html"])
def test_without_a_renderer_there_is_text(tmp_path, monkeypatch, kind):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    steps = viz.backward_steps(chain())
    with pytest.raises(RenderError) as caught:
        steps.save(tmp_path / f"steps.{kind}")
    assert "there is no such program" in str(caught.value)
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(render.shutil, "which", lambda *_, **__: None)
    with pytest.raises(RenderError, match=r"Graphviz is needed, for .html too: .*; without it, .txt works$") as caught:
        steps.save(tmp_path / f"steps.{kind}")
    assert os.listdir(tmp_path) == []
    assert steps.save(tmp_path / "steps.txt").read_text("utf-8") == str(steps)
    assert "<td" in steps._repr_html_()


@pytest.mark.skipif(sys.platform == "win32", reason="the slow renderer is a script for sh")
def test_what_takes_too_long_is_told_for_steps(tmp_path, monkeypatch):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(slow))
    monkeypatch.setattr(film, "TIMEOUT", 0.0)
    said = "of a part of the computation, or save it as .txt$"
    with pytest.raises(RenderError, match=f"did not draw this graph within 0 s; take it {said}"):
        viz.backward_steps(chain()).save(tmp_path / "steps.svg")


def test_a_film_has_an_end():
    with pytest.raises(
        RenderError, match=f"has {film.MOST + 1} steps, and a film at most {film.MOST}; take it of a part"
    ):
        film.playing(long(film.MOST + 1))


def test_a_playing_picture(renderer):
    text = film.playing(viz.backward_steps(chain))
    root = ET.fromstring(text)
    edges = [[], ["1", "1"], ["-0.4161", "1", "1"], ["-0.4161", "1", "1", "2", "3"], ["-0.4161", "1", "1", "2", "3"]]
    nodes = [
        ["grad 1"],
        ["grad 1"] * 3,
        ["grad -0.4161", *["grad 1"] * 3],
        ["grad 1"] * 3 + ["grad 2", "grad 2.584"],
    ]
    for k, (numbers, grads) in enumerate(zip(edges, [*nodes, nodes[-1]], strict=True)):
        assert shown(root, k, "bw-e") == numbers
        assert shown(root, k, "bw-g") == grads
        assert len(shown(root, k, "bw-f")) == [0, 2, 1, 2, 0][k]
        assert len(shown(root, k, "bw-h")) == [1, 1, 1, 1, 2][k]
    styles = "".join(e.text for e in root.iter(f"{SVG}style"))
    assert "prefers-reduced-motion:reduce" in styles
    spans = {e.get("class").split()[-1] for e in root.iter() if "bw-t" in e.get("class", "")}
    assert spans == set(re.findall(r"@keyframes (bw\d+-\d+)", styles))
    titles = {e.text for e in root.iter(f"{SVG}title")}
    assert {"x", "y", "mul:1", "sin:1", "add:1"} <= titles
    assert film.playing(viz.backward_steps(chain)) == text


def test_edges_side_by_side_have_each_their_gradient(any_renderer):
    x, y = number(3.0, "x"), number(2.0, "y")
    root = ET.fromstring(film.playing(viz.backward_steps(lambda: (x * y) / (x * y + x * x))))
    steps = viz.backward_steps(lambda: (x * y) / (x * y + x * x))
    assert shown(root, len(steps), "bw-e") == sorted(f.arrived.brief for s in steps for f in s.flows)
    root = ET.fromstring(film.playing(viz.backward_steps(lambda: x * x)))
    assert shown(root, 1, "bw-e") == ["3", "3"]


def test_a_label_begins_at_its_own_edge():
    straight = "M10,0C10,10 10,20 10,30"
    assert film._beside(straight, 60, 20, 4) == 16  # nearer than its room
    assert film._beside(straight, 20, 20, 4) == 20 - 2 * film.BOLD  # never to the right
    assert film._beside(straight, 60, 99, 4) == 60 - 2 * film.BOLD  # no edge at this height
    assert film._beside("M90,0C90,10 90,20 90,30", 60, 20, 4) == 60 - 2 * film.BOLD  # the edge is on the other side


def test_outputs_and_modules_are_in_the_picture(any_renderer):
    net, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU()), mg.randn(2, 4)

    def loss():
        a, b = mg.chunk(net(x), 2, dim=1)
        return (a * b).sum()

    steps = viz.backward_steps(loss, net)
    root = ET.fromstring(film.playing(steps))
    last = len(steps) + 1
    assert len(shown(root, last, "bw-e")) == sum(len(s.flows) for s in steps)
    assert len(shown(root, last, "bw-g")) == len(steps) + len(steps.leaves)


def page_of(steps):
    """(the text of a page, its frames, its script)."""
    text = film.stepped(steps)
    data, script = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    return text, json.loads(data), script


def test_a_page_to_step_through(renderer):
    text, frames, script = page_of(viz.backward_steps(chain))
    assert [f["head"].split()[0] for f in frames] == ["backward", "step", "step", "step", "the"]
    assert [len(f["edges"]) for f in frames] == [0, 2, 1, 2, 0]
    assert ["to y (operand b)", "gy * a = 1 * 2 = 2"] in frames[3]["rows"]
    assert len(script.encode()) < 50_000
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", text)
    assert not re.findall(r"https?://(?!www\.w3\.org/)", text)
    assert "{{" not in text


def test_hostile_names_do_no_harm(renderer):
    steps = hostile()
    root = ET.fromstring(film.playing(steps))
    assert shown(root, len(steps) + 1, "bw-g")[0].startswith("grad")
    text, frames, _ = page_of(steps)
    assert text.count("</script>") == 2
    assert "<b>" not in text
    assert len(frames) == len(steps) + 2
    assert {"two␊lines", "漢字 ∂", "{{SVG}}"} <= {name for name, _ in frames[-1]["rows"]}


# --- in a browser ------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(chromium, tmp_path, any_renderer):
    """Opens the page or the picture of steps; in the end, there must have been no complaint."""
    chromium.get_log("browser")

    def open_it(steps, suffix="html", **media):
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        chromium.get(steps.save(tmp_path / f"steps.{suffix}").as_uri())
        return chromium

    yield open_it
    assert chromium.get_log("browser") == []


VISIBLE = """return Array.from(document.querySelectorAll(arguments[0])).filter(e => {
    const s = getComputedStyle(e);
    return s.visibility === 'visible' && s.opacity !== '0'
}).map(e => e.textContent.trim()).sort()"""


def seen(driver, what):
    return driver.execute_script(VISIBLE, what)


def where(driver):
    return driver.find_element("id", "count").text


@pytest.mark.browser
def test_stepping(opened):
    from selenium.webdriver.common.keys import Keys

    driver = opened(viz.backward_steps(chain))
    body = driver.find_element("tag name", "body")
    assert (where(driver), seen(driver, ".bw-e"), seen(driver, ".bw-g")) == ("beginning", [], ["grad 1"])
    assert not driver.find_element("id", "previous").is_enabled()
    driver.find_element("id", "next").click()
    assert (where(driver), seen(driver, ".bw-e")) == ("step 1 of 3", ["1", "1"])
    body.send_keys(Keys.ARROW_RIGHT)
    assert (where(driver), seen(driver, ".bw-g")) == ("step 2 of 3", ["grad -0.4161", "grad 1", "grad 1", "grad 1"])
    body.send_keys(Keys.ARROW_RIGHT)
    assert "2.58385" in driver.find_element("id", "words").text
    assert seen(driver, ".bw-g") == ["grad 1", "grad 1", "grad 1", "grad 2", "grad 2.584"]
    assert [row.text.split()[:2] for row in driver.find_elements("css selector", "#rows tr.now")] == [["3", "mul:1"]]
    assert len(seen(driver, ".bw-f")) == 2
    body.send_keys(Keys.END)
    assert (where(driver), len(seen(driver, ".bw-f"))) == ("the leaves", 0)
    assert not driver.find_element("id", "next").is_enabled()
    body.send_keys(Keys.ARROW_LEFT)
    assert where(driver) == "step 3 of 3"
    driver.find_element("id", "slider").send_keys(Keys.ARROW_LEFT)
    assert (where(driver), driver.find_element("id", "slider").get_attribute("value")) == ("step 2 of 3", "2")
    assert "grad -0.4161" in seen(driver, ".bw-g")
    driver.find_elements("css selector", "#rows tbody tr")[1].click()
    assert where(driver) == "step 1 of 3"
    body.send_keys(Keys.HOME)
    assert (where(driver), seen(driver, ".bw-e")) == ("beginning", [])
    driver.find_element("id", "play").click()
    assert driver.find_element("id", "play").text == "stop"
    driver.find_element("id", "play").click()
    assert driver.find_element("id", "play").text == "play"


@pytest.mark.browser
def test_hostile_names_in_a_browser(opened):
    driver = opened(hostile())
    driver.find_element("id", "last").click()
    assert "</script><b>" in driver.find_element("id", "words").text
    assert driver.find_elements("css selector", "b, script[src]") == []


@pytest.mark.browser
@pytest.mark.parametrize(("theme", "paper"), [("light", "rgba(255, 255, 255, 1)"), ("dark", "rgba(13, 17, 23, 1)")])
def test_dark_surroundings(opened, theme, paper):
    driver = opened(viz.backward_steps(chain), prefers_color_scheme=theme)
    assert driver.find_element("tag name", "body").value_of_css_property("background-color") == paper


@pytest.mark.browser
def test_a_picture_plays_or_stands_still(opened):
    count = "return document.getAnimations().length"
    assert opened(viz.backward_steps(chain), "svg").execute_script(count) > 10
    driver = opened(viz.backward_steps(chain), "svg", prefers_reduced_motion="reduce")
    assert driver.execute_script(count) == 0
    assert seen(driver, ".bw-e") == ["-0.4161", "1", "1", "2", "3"]
    assert seen(driver, ".bw-g") == ["grad 1", "grad 1", "grad 1", "grad 2", "grad 2.584"]
    assert len(seen(driver, ".bw-c")) == 1
