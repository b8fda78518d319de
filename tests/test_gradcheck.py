"""The checker is checked: it must name what is wrong, say why where it cannot tell, and change nothing."""

import re
import threading

import numpy as np
import pytest
from mutations import MUTATIONS, beside, operation
from ops_table import ROWS

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.errors import GraphError
from minigrad.gradcheck import GradientError
from minigrad.tape import Function


def leaf(shape, seed=0, dtype="float64"):
    return mg.tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


def at(values, dtype="float64"):
    return mg.tensor(np.array(values, dtype), requires_grad=True)


by_name = {mutation.name: mutation for mutation in MUTATIONS}

# --- wrong gradients ---------------------------------------------------------------------------------------------

MODES = ["probe", "full", "local"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutations_are_caught_and_their_originals_are_not(mutation, dtype, mode):
    if mode == "full" and mutation.shapes == ((64, 64),) and dtype == "float32":
        pytest.skip("16384 runs that say what the float64 ones say")
    assert mg.gradcheck(mutation.right, *mutation.inputs(dtype=dtype), mode=mode).verdict == "right"
    report = mg.gradcheck(mutation.wrong, *mutation.inputs(dtype=dtype), mode=mode)
    assert report.verdict == "wrong" and not report and report.findings
    assert (report.op and report.op.name) == mutation.op


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutations_in_the_middle_of_a_network_are_caught(mutation):
    assert mg.gradcheck(beside(mutation.right), *mutation.inputs(1))
    report = mg.gradcheck(beside(mutation.wrong), *mutation.inputs(1))
    assert report.verdict == "wrong"
    if mutation.op:
        assert report.op.number == 0 and f"is {mutation.op}:0" in str(report)
    else:
        assert "note: each operation by itself is right" in str(report)


@pytest.mark.parametrize("factor", [1.5, -1.0, 1.001, 0.0])
def test_bisection_names_one_element_of_4096(factor):
    """In 50 of 50 trials, and at most 40 forward calls."""
    weight = np.ones((64, 64))
    wrong = operation(lambda self, x: 2 * x + 0.1 * np.sin(x), lambda self, gy, x: gy * (mg.cos(x) * 0.1 + 2) * weight)
    for trial in range(50):
        draw = np.random.default_rng(trial)
        place = tuple(draw.integers(64, size=2))
        weight[...] = 1
        weight[place] = factor
        report = mg.gradcheck(wrong, at(draw.normal(size=(64, 64))), seed=trial)
        assert report.verdict == "wrong" and report.calls <= 40
        assert [f.index for f in report.findings] == [place]
        (finding,) = report.findings
        assert finding.analytic == pytest.approx(factor * finding.numeric, abs=1e-6)


class WrongSign(Function):
    name = "broken"

    def forward(self, a, b):
        return a * b

    def backward(self, gy, a, b):
        return gy * b, -gy * a


def test_the_first_wrong_operation_is_named_with_its_line():
    def network(x):
        h = (x * 2).tanh()
        h = WrongSign()(h, h + 1)  # the line
        return WrongSign()(h.exp(), x).sum()

    report = mg.gradcheck(network, leaf((3, 4)))
    line = (
        r"is broken:0, called at .*test_gradcheck.py:\d+: h = WrongSign\(\)\(h, h \+ 1\)  # the line: the gradient of b"
    )
    assert re.search(line, str(report))
    everything = mg.gradcheck(network, leaf((3, 4)), mode="local")
    rows = [row.leaf for _, row in everything.leaves]
    assert rows == "input 0,mul:0 a,tanh:0 x,add:0 a,broken:0 a,broken:0 b,exp:0 x,broken:1 a,broken:1 b,sum:0 x".split(
        ","
    )
    assert [row.verdict for _, row in everything.leaves if row.leaf.startswith("broken")] == ["right", "wrong"] * 2


def test_a_wrong_second_derivative_is_blamed_on_its_operation():
    report = mg.gradcheck(lambda x: HiddenInput()(x.tanh()) * 2, leaf(3), order=2)
    assert report.verdict == "wrong" and report.op.name == "hidden_input"


def test_full_mode_names_every_element():
    wrong = operation(lambda self, x: x * x, lambda self, gy, x: gy * x * np.array([2, 3, 2, 1.0]))
    report = mg.gradcheck(wrong, leaf(4), mode="full")
    assert [f.index for f in report.findings] == [(1,), (3,)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("factor 2 dropped", "it is half what it should be"),
        ("wrong sign", "the sign is wrong"),
        (
            "no sum over a broadcast axis",
            "it is the part of one index along axis 0 of output 0 (3, 4): a sum over that",
        ),
        ("mean for a sum", "it is 1/3 of what it should be, and axis 0 of output 0 (3, 4) has 3 elements: a mean for"),
        ("transposed", "the element opposite of the diagonal has this value: transposed"),
        ("scaled by 1e-6, gradient zero", "it is zero: detached, or a term left out"),
        ("NaN", "it is not finite"),
    ],
)
def test_hints(name, words):
    mutation = by_name[name]
    report = mg.gradcheck(mutation.wrong, *mutation.inputs())
    assert words in str(report)


def test_no_hint_where_there_is_none():
    report = mg.gradcheck(by_name["off by 1e-4"].wrong, leaf(5))
    assert report.findings[0].hint == "" and "(ratio 1.0001)" in str(report)


def test_a_constant_factor_too_much_shows_at_every_scale():
    for scale in (1e-8, 1e-4, 1.0, 1e4, 1e8):
        right = operation(lambda self, x: x * x * scale, lambda self, gy, x: gy * x * 2 * scale)  # noqa: B023
        wrong = operation(lambda self, x: x * x * scale, lambda self, gy, x: gy * x * 2.001 * scale)  # noqa: B023
        assert mg.gradcheck(right, leaf(5))
        assert mg.gradcheck(wrong, leaf(5)).verdict == "wrong"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_false_alarm(row):
    """Every operation of the table, in float32; test_ops.py has them in float64, to the second order."""
    xs = [a if a.dtype.kind != "f" else mg.Variable(a.astype("float32"), requires_grad=True) for a in row.arrays()]
    report = mg.gradcheck(row.function, *xs)
    assert report, str(report)


def test_there_are_300_right_functions():
    assert len(ROWS) >= 300


def test_a_small_part_of_a_large_whole_is_seen():
    """Each leaf is probed alone: an error of 1e-6 beside gradients of 1."""
    wrong = by_name["scaled by 1e-6, gradient zero"].wrong
    report = mg.gradcheck(lambda a, b: a * 3 + wrong(b), leaf((3, 4)), leaf((3, 4), 1))
    assert [f.path for f in report.findings] == ["input 1"]


def test_float16_and_float32_that_are_wrong_by_themselves():
    """Right in float64, wrong in the dtype that is used."""
    wrong = operation(lambda self, x: x * x, lambda self, gy, x: gy * x * (2 if x.dtype == np.float64 else 2.5))
    for dtype in ("float32", "float16"):
        report = mg.gradcheck(wrong, leaf(4, dtype=dtype))
        assert report.verdict == "wrong" and f"in {dtype}; in float64 it is right" in str(report)
    assert mg.gradcheck(wrong, leaf(4))


# --- what cannot be told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "point"),
    [
        (mg.relu, [0.0, 1, -1]),
        (mg.abs, [0.0, 1, -1]),
        (lambda x: mg.max(x, 0)[0], [[1.0, 2], [1, 3]]),
        (lambda x: mg.clamp(x, -1, 1), [1.0, 0.5]),
        (lambda x: F.max_pool2d(x, 2), np.ones((1, 1, 4, 4))),
        (lambda x: mg.relu(x - 1e-12), [0.0, 1.0]),
    ],
)
def test_a_kink_is_called_a_kink(function, point):
    report = mg.gradcheck(function, at(point))
    assert (report.verdict, report.reason) == ("inconclusive", "kink")
    assert "the slopes to the left and right are" in str(report)
    assert "note: a little aside of the kink, the gradient is right" in str(report)


def test_a_wrong_gradient_beside_a_kink_is_wrong():
    wrong = operation(lambda self, x: np.maximum(x, 0), lambda self, gy, x: gy * (x > 0) * 2.0)
    assert mg.gradcheck(wrong, at([0.0, 0, 0])).verdict == "wrong"


def test_a_kink_nearby_does_not_matter():
    for distance in (1e-3, 1e-5, 4e-6, 1e-6):
        assert mg.gradcheck(mg.relu, at([distance, 1, -2, -distance])), distance


@pytest.mark.parametrize(
    ("function", "point"),
    [
        (lambda x: (x * 20).exp(), [0.5, -0.5]),
        (lambda x: (x * 100).sin(), [0.5, -0.5]),
        (lambda x: x * x, [0.0, 1.0]),
        (lambda x: x.sqrt(), [1e-3, 1e-6, 2.0]),
        (lambda x: x.log(), [1e-3, 1e-8, 2.0]),
        (lambda x: x + 1e8, [1.0, 2.0]),
        (lambda x: x**3, [1e-9, 1e9]),
    ],
)
def test_curved_steep_and_large_is_no_kink(function, point):
    assert mg.gradcheck(function, at(point), variants=False)


def test_a_jump():
    jumps = operation(lambda self, x: np.floor(x) + x, lambda self, gy: gy)
    report = mg.gradcheck(jumps, at([2.0, 0.5]))
    assert (report.verdict, report.reason) == ("inconclusive", "jump")


def test_random_outputs():
    draw = np.random.default_rng(0)
    report = mg.gradcheck(lambda x: x * mg.tensor(draw.normal(size=3)), leaf(3))
    assert (report.verdict, report.reason) == ("inconclusive", "nondeterminism")
    assert re.search(r"elements differ by up to [\d.]+ from run to run", str(report))


def test_dropout_is_checked_with_one_mask():
    mg.manual_seed(1)
    before = mg.get_rng_state()
    assert mg.gradcheck(lambda x: F.dropout(x, 0.5) * x, leaf((5, 4)), order=2)
    mg.set_rng_state(before)
    expected = mg.rand(3).tolist()
    mg.manual_seed(1)
    assert mg.rand(3).tolist() == expected


def test_outputs_that_are_not_finite():
    report = mg.gradcheck(lambda x: x.log(), at([1.0, -1.0, 0.0]))
    assert (report.verdict, report.reason) == ("inconclusive", "nonfinite")
    assert "2 of 3 elements are NaN or inf" in str(report)


@pytest.mark.parametrize(
    "function", [lambda x: x * 0, mg.sign, lambda x: (x * 0 + 1).sum(), lambda x: x.softmax(0).sum()]
)
def test_a_check_that_shows_nothing_says_so(function):
    report = mg.gradcheck(function, leaf(4))
    assert (report.verdict, report.reason) == ("inconclusive", "vacuous") and not report
    assert mg.gradcheck(function, leaf(4), allow_zero=True)


def test_outputs_off_the_tape():
    report = mg.gradcheck(lambda x: x.detach() * 2, leaf(3))
    assert report.verdict == "wrong" and "it is zero: detached" in str(report)
    for function in (lambda x: x > 0, lambda x: [x.data], lambda x: (), lambda x: mg.ones(3)):
        report = mg.gradcheck(function, leaf(3))
        assert (report.verdict, report.reason) == ("inconclusive", "vacuous")


def test_a_leaf_without_influence_is_noted():
    report = mg.gradcheck(lambda a, b, c: a * 2 + b * 0, leaf(3), leaf(3, 1), leaf(3, 2))
    assert report and "note: the gradient of input 1 is zero everywhere, and so are the differences" in str(report)
    assert "note: input 2 was not reached" in str(report)


def test_inputs_changed_in_place():
    x = leaf(3)

    def changing(x, y):
        with mg.no_grad():
            y.add_(1)
        return x * y

    y = mg.ones(3)
    report = mg.gradcheck(changing, x, y)
    assert (report.verdict, report.reason) == ("inconclusive", "mutation")
    assert "fn changes a constant input in place" in str(report) and y.tolist() == [1, 1, 1]


def test_functions_that_cannot_be_computed_in_float64():
    def single(x):
        if x.dtype != mg.float32:
            raise mg.DTypeError("float32 only")
        return x * x

    report = mg.gradcheck(single, leaf(3, dtype="float32"))
    assert (report.verdict, report.reason) == ("inconclusive", "precision") and "float32 only" in str(report)


# --- right first derivatives, wrong second ones ------------------------------------------------------------------


class HiddenInput(Function):
    """An array on self is a constant of the second derivative."""

    def forward(self, x):
        self.x = x
        return x**3

    def backward(self, gy):
        return gy * self.x * self.x * 3


class HiddenOutput(Function):
    def forward(self, x):
        self.y = np.exp(x)
        return self.y

    def backward(self, gy):
        return gy * self.y


class DetachedInput(Function):
    """The formula itself loses the history."""

    def forward(self, x):
        return x**3

    def backward(self, gy, x):
        x = x.detach() if isinstance(x, mg.Variable) else x
        return gy * x * x * 3


class DetachedGradient(Function):
    def forward(self, x):
        return x * 3

    def backward(self, gy):
        return (gy.detach() if isinstance(gy, mg.Variable) else gy) * 3


class TwoFaces(Function):
    """Another formula for Variables than for arrays."""

    def forward(self, x):
        return x**3

    def backward(self, gy, x):
        return gy * x * x * (2 if isinstance(x, mg.Variable) else 3)


class WrongDefinition(Function):
    """Fused and right, with a definition of something else."""

    residuals = ("square",)

    def forward(self, x):
        return x**3, x * x

    def backward(self, gy, x, square):
        return gy * square * 3

    def definition(self, x):
        return x**3 + x * 1e-3


class WrongDefinitionOfSecondOrder(WrongDefinition):
    """The definition has the right gradient here, by a formula whose own gradient is wrong."""

    def definition(self, x):
        return HiddenInput()(x)


SECOND = [HiddenInput, HiddenOutput, DetachedInput, DetachedGradient, WrongDefinitionOfSecondOrder]


@pytest.mark.parametrize("cls", SECOND, ids=lambda cls: cls.__name__)
def test_wrong_second_derivatives_are_caught(cls):
    x = leaf(3)
    assert mg.gradcheck(cls.apply, x)
    assert mg.gradcheck(cls.apply, x, order=2).verdict == "wrong"
    assert mg.gradgradcheck(cls.apply, x).verdict == "wrong"


@pytest.mark.parametrize("cls", [TwoFaces, WrongDefinition], ids=lambda cls: cls.__name__)
def test_another_gradient_under_create_graph_is_caught(cls):
    x = leaf(3)
    assert mg.gradcheck(cls.apply, x)
    report = mg.gradcheck(cls.apply, x, order=2)
    assert report.verdict == "wrong" and "under create_graph it is another than without" in str(report)


class LeavesTheTape(Function):
    """NumPy's where turns Variables into arrays: under create_graph the gradient has lost its history."""

    def forward(self, x):
        return np.where(x > 0, x * x, 0.0)

    def backward(self, gy, x):
        return np.where(np.asarray(x) > 0, np.asarray(gy) * np.asarray(x) * 2, 0.0)


@pytest.mark.parametrize(
    "function",
    [lambda a, b: LeavesTheTape()(a), lambda a, b: (LeavesTheTape()(a), b * b), lambda a, b: LeavesTheTape()(a) * b],
)
def test_a_gradient_without_a_history_is_caught_beside_others_that_have_one(function):
    a, b = leaf(3), leaf(3, 1)
    assert mg.gradcheck(function, a, b)
    assert mg.gradcheck(function, a, b, order=2).verdict == "wrong"


def test_a_wrong_third_derivative_is_caught():
    class Cube(Function):
        """Right to the second order: the second derivative comes from HiddenInput."""

        def forward(self, x):
            return x**4 / 4

        def backward(self, gy, x):
            return gy * HiddenInput()(x)

    x = leaf(3)
    assert mg.gradcheck(Cube.apply, x, order=2)
    assert mg.gradcheck(Cube.apply, x, order=3).verdict == "wrong"


# --- which leaves ------------------------------------------------------------------------------------------------


def test_every_leaf_is_found():
    inside, named = leaf(3, 5), leaf(3, 6)
    named.name = "named"
    hidden = [named]
    model = nn.Linear(3, 2).double()

    def function(tree, scale, *, k):
        return {"y": model(tree["a"][0] * tree["b"] * inside * hidden[0] * scale * k)}

    tree = {"a": [leaf(3)], "b": leaf(3, 1), "c": "text"}
    report = mg.gradcheck(function, tree, 2.0, kwargs={"k": leaf(3, 3)})
    assert report.verdict == "right"
    expected = ["input 0['a'][0]", "input 0['b']", "input k", "inside", "model.weight", "model.bias", "hidden[0]"]
    assert sorted(row.leaf for _, row in report.leaves) == sorted(expected)


def test_a_module_is_checked_with_its_parameters():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.GELU(), nn.Linear(4, 2))
    state = {name: x.numpy().copy() for name, x in net.state_dict().items()}
    arrays = [p.data for p in net.parameters()]
    report = mg.gradcheck(net, mg.randn(6, 3), order=2)
    assert report, report
    assert {row.leaf for _, row in report.leaves} >= {name for name, _ in net.named_parameters()}
    for name, x in net.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), state[name])
    assert all(p.data is a and p.grad is None for p, a in zip(net.parameters(), arrays, strict=True))


def test_a_wrong_parameter_is_named_by_its_path():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(mg.ones(4))

        def forward(self, x):
            return by_name["wrong sign"].wrong(x, self.scale + 0)

    net = nn.Sequential(nn.Linear(3, 4), Layer())
    report = mg.gradcheck(net, mg.randn(5, 3))
    assert [f.path for f in report.findings if f.kind == "wrong"] == ["1.scale"]


def test_parameters_that_are_not_reached_are_noted():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    report = mg.gradcheck(lambda x: net[0](x), mg.randn(2, 3))
    assert "note: net.1.weight was not reached" in str(report)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: (a * b, a.exp().sum(), b),
        lambda a, b: [a.sum(0), (b * b).reshape(3, 1)],
        lambda a, b: (a.max(1)[0] * b[:2], a > 0, a.argmax()),
        lambda a, b: a.split(2, 1),
        lambda a, b: (a.detach(), a * a),
        lambda a, b: a,
        lambda a, b: (a + a, a, b, b),
        lambda a, b: a.sum() * 0 + b.sum() ** 2,
    ],
)
def test_outputs_of_any_number_and_shape(function):
    assert mg.gradcheck(function, leaf((2, 3)), leaf(3, 1), order=2)


@pytest.mark.parametrize("shape", [(), (1,), (2, 1, 2)])
def test_inputs_of_any_shape(shape):
    assert mg.gradcheck(lambda x: x**3, leaf(shape), order=3)
    assert mg.gradcheck(by_name["off by 1e-4"].wrong, leaf(shape, 3)).verdict == "wrong"


def test_empty_inputs():
    assert mg.gradcheck(lambda x: x**3, leaf((2, 0)), order=2)


def test_non_leaf_and_repeated_inputs():
    x = leaf(3)
    assert mg.gradcheck(lambda a: a * a, x * 2, order=2)
    assert mg.gradcheck(lambda a, b: a * b, x, x, order=2)


def test_inputs_in_one_memory():
    memory = np.random.default_rng(0).normal(size=6)
    a, b = (mg.Variable(memory[i : i + 4], requires_grad=True) for i in (0, 2))
    spread = mg.Variable(np.broadcast_to(memory[:1], (4,)), requires_grad=True)
    assert mg.gradcheck(lambda a, b, c: a * b.exp() * c, a, b, spread, order=2)


# --- the variants ------------------------------------------------------------------------------------------------


class OnlyContiguous(Function):
    """Right, but for memory that is not contiguous."""

    def forward(self, x):
        return x * x

    def backward(self, gy, x):
        return gy * 2 * x if x.flags.c_contiguous else gy * x


class WritesGradient(Function):
    def forward(self, x):
        return x * 2

    def backward(self, gy):
        if gy.flags.c_contiguous:
            return gy * 2
        gy *= 2
        return gy


class OnceOnly(Function):
    """A state in the node: the second backward is another."""

    def forward(self, x):
        self.count = 0
        return x * 2

    def backward(self, gy):
        self.count += 1
        return gy * 2 * self.count


class SameObject(Function):
    """Takes two inputs in one memory for one input."""

    def forward(self, a, b):
        return a * b

    def backward(self, gy, a, b):
        return (gy * b, gy * a) if a.base is not b and a is not b else (gy * 2 * a, gy * 2 * a)


class BadWithoutAxes(Function):
    def forward(self, x):
        return x * 3

    def backward(self, gy):
        return gy * 3 if gy.ndim else gy


class UnusedOutput(Function):
    """Scales by the number of outputs that were used."""

    def forward(self, x):
        return x * 2, x * 3

    def backward(self, gys):
        used = len(gys.parts)
        return gys[0] * used + gys[1] * (1.5 * used)


class ZeroIsSomething(Function):
    def forward(self, x):
        return x * 2

    def backward(self, gy):
        return gy * 2 if gy.any() else gy + 1


@pytest.mark.parametrize(
    ("cls", "inputs", "words"),
    [
        (OnlyContiguous, 1, "memory it is"),
        (WritesGradient, 1, "backward changes the incoming gradient in place"),
        (OnceOnly, 1, "in a second backward it is"),
        (SameObject, 2, "in the same memory it is"),
        (BadWithoutAxes, 1, "with input 0 without axes"),
        (UnusedOutput, 1, "where output 0 alone is used it is"),
        (ZeroIsSomething, 1, "it is not zero for an incoming gradient of zeros"),
    ],
)
def test_what_only_a_variant_shows(cls, inputs, words):
    xs = [leaf((2, 3), i) for i in range(inputs)]
    assert mg.gradcheck(lambda *xs: cls()(*xs), *xs, variants=False)
    report = mg.gradcheck(lambda *xs: cls()(*xs), *xs)
    assert report.verdict == "wrong" and words in str(report)


def test_shapes_that_a_function_refuses_are_left_out():
    report = mg.gradcheck(lambda x: x @ mg.ones(3, 2, dtype=mg.float64), leaf((2, 3)))
    assert report and not any("without axes" in name for name in report.variants)
    assert "input 0 of size 1 along axis 0" in report.variants


# --- the report --------------------------------------------------------------------------------------------------


def test_the_report_as_text_html_and_error():
    right, wrong = (
        mg.gradcheck(lambda x: x * x, leaf(3)),
        mg.gradcheck(by_name["wrong sign"].wrong, leaf(3), leaf(3, 1)),
    )
    assert right.raise_() is right and bool(right) and not wrong
    assert str(right).startswith("gradcheck of <lambda>: right\n") and repr(right) == str(right)
    with pytest.raises(
        GradientError, match=r"the gradient of input 1 \(3,\) at \[\d\] is .* the sign is wrong"
    ) as caught:
        wrong.raise_()
    assert str(caught.value) == str(wrong) and isinstance(caught.value, AssertionError)
    page = wrong._repr_html_()
    assert page.count("<tr>") == 3 and "&lt;lambda&gt;" in page and "the sign is wrong" in page
    assert "forward calls; variants: layouts," in str(right)


def test_assert_gradcheck():
    assert mg.testing.assert_gradcheck(lambda x: x * x, leaf(3), order=2).verdict == "right"
    with pytest.raises(AssertionError, match="gradcheck of <lambda>: wrong"):
        mg.testing.assert_gradcheck(lambda x: x * x.detach(), leaf(3))


# --- arguments ---------------------------------------------------------------------------------------------------


def test_nothing_to_check():
    with pytest.raises(GraphError, match="gradcheck: none of the inputs requires grad"):
        mg.gradcheck(lambda a: a * 2, leaf(3).detach())


def test_wrong_arguments():
    with pytest.raises(ValueError, match="gradcheck: mode must be one of probe, full, local, got 'fast'"):
        mg.gradcheck(lambda x: x, leaf(3), mode="fast")
    with pytest.raises(ValueError, match="gradcheck: order must be an int of at least 1, got 0"):
        mg.gradcheck(lambda x: x, leaf(3), order=0)


def test_inputs_without_gradients_are_handed_on():
    x, seen = leaf((2, 3)), []

    def function(a, index, factor, name, none):
        seen.append((type(index), factor, name, none))
        return a[index] * factor

    assert mg.gradcheck(function, x, np.array([0, 1, 0]), 2.5, "name", None, order=2)
    assert set(seen) == {(np.ndarray, 2.5, "name", None)}
    assert mg.gradcheck(lambda a, b: a * b, x, mg.ones(3), order=2)  # float32, but not checked


def test_nothing_is_changed():
    x, w = leaf(3), mg.ones(3)
    x.grad = mg.full((3,), 7.0, dtype=mg.float64)
    x.data.flags.writeable = False
    array, before = x.data, (x.data.copy(), w.data.copy())
    with mg.no_grad():  # it records what it needs
        assert mg.gradcheck(lambda x, w: (x * w).exp(), x, w, order=2)
        assert not mg.is_grad_enabled()
    assert not mg.gradcheck(lambda x, w: x * x.detach() * w, x, w)
    assert np.array_equal(x.data, before[0]) and np.array_equal(w.data, before[1]) and x.data is array
    assert x.grad.tolist() == [7, 7, 7] and x.is_leaf and x.requires_grad and not w.requires_grad and w.grad is None


def test_everything_is_put_back_when_the_function_raises():
    x, calls = leaf(3), []
    net = nn.BatchNorm1d(3)
    mean = net.running_mean.numpy().copy()

    def failing(x):
        y = net(x.reshape(1, 3).expand(2, 3).float())
        mg.rand(3)
        calls.append(1)
        if len(calls) == 5:
            raise RuntimeError("enough")
        return y

    array, state = x.data, mg.get_rng_state()
    with pytest.raises(RuntimeError, match="enough"):
        mg.gradcheck(failing, x)
    assert x.data is array
    np.testing.assert_array_equal(net.running_mean.numpy(), mean)
    mg.set_rng_state(state)
    expected = mg.rand(2).tolist()
    mg.set_rng_state(state)
    assert mg.rand(2).tolist() == expected


def test_random_numbers_of_others_are_left_alone():
    mg.manual_seed(3)
    expected = mg.rand(2).tolist()
    mg.manual_seed(3)
    assert mg.gradcheck(lambda x: x * x, leaf(3), seed=5)
    assert mg.rand(2).tolist() == expected


def test_the_same_seed_gives_the_same_report():
    reports = [
        str(mg.gradcheck(by_name["transposed"].wrong, *by_name["transposed"].inputs(), seed=s)) for s in (4, 4, 5)
    ]
    assert reports[0] == reports[1] != reports[2]


def test_several_threads():
    mutation, verdicts = by_name["transposed"], []

    def work():
        verdicts.extend(mg.gradcheck(f, *mutation.inputs()).verdict for f in (mutation.right, mutation.wrong))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == ["right"] * 3 + ["wrong"] * 3
