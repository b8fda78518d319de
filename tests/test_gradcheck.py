"""The checker is checked: gradcheck must catch each of these mutations, and must not cry where all is well."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import DTypeError, GraphError
from minigrad.gradcheck import GradientError
from minigrad.tape import Function


def leaf(shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def operation(forward, backward, **more):
    """A Function class made of two formulas."""
    return type("Operation", (Function,), {"forward": forward, "backward": backward, **more})


# --- wrong first derivatives -------------------------------------------------------------------------------------


def mul(backward):
    return operation(lambda self, a, b: a * b, backward).apply


def matmul(backward):
    return operation(lambda self, a, b: a @ b, backward).apply


def cube(backward):
    return operation(lambda self, x: x**3, backward).apply


def softmax(backward):
    return operation(lambda self, x: np.exp(x) / np.exp(x).sum(), backward).apply


RIGHT = {
    "mul": (mul(lambda self, gy, a, b: (gy * b, gy * a)), (2, 3), (2, 3)),
    "mul, broadcast": (mul(lambda self, gy, a, b: (gy * b, gy * a)), (2, 3), (3,)),
    "matmul": (matmul(lambda self, gy, a, b: (gy @ b.swapaxes(0, 1), a.swapaxes(0, 1) @ gy)), (3, 3), (3, 3)),
    "cube": (cube(lambda self, gy, x: gy * x * x * 3), (4,)),
    "softmax": (softmax(lambda self, gy, y: gy * y - y * (gy * y).sum()), (4,)),
}
WRONG = {
    "a sign": (mul(lambda self, gy, a, b: (gy * b, -gy * a)), 1, (2, 3), (2, 3)),
    "a factor of 2": (mul(lambda self, gy, a, b: (gy * b * 2, gy * a)), 0, (2, 3), (2, 3)),
    "a factor of 1.0001": (cube(lambda self, gy, x: gy * x * x * 3.0003), 0, (4,)),
    "inputs exchanged": (mul(lambda self, gy, a, b: (gy * a, gy * b)), 0, (2, 3), (2, 3)),
    "a gradient left out": (mul(lambda self, gy, a, b: (gy * b, None)), 1, (2, 3), (2, 3)),
    "gy left out": (cube(lambda self, gy, x: x * x * 3), 0, (4,)),
    "a missing term": (softmax(lambda self, gy, y: gy * y), 0, (4,)),
    "transposed": (matmul(lambda self, gy, a, b: (gy @ b, a.swapaxes(0, 1) @ gy)), 0, (3, 3), (3, 3)),
    "transposed as a whole": (
        matmul(lambda self, gy, a, b: ((gy @ b.swapaxes(0, 1)).swapaxes(0, 1), a.swapaxes(0, 1) @ gy)),
        0,
        (3, 3),
        (3, 3),
    ),
    "the mean for the sum": (mul(lambda self, gy, a, b: (gy * b, (gy * a).mean(axis=0))), 1, (2, 3), (3,)),
    "one element": (cube(lambda self, gy, x: gy * x * x * 3 * np.array([1, 1, 1, 0.9])), 0, (4,)),
    "zeros": (cube(lambda self, gy, x: gy * 0), 0, (4,)),
    "NaN": (cube(lambda self, gy, x: gy * np.nan), 0, (4,)),
    "detached": (lambda x: x * x.detach(), 0, (4,)),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_right_gradients_pass(name, order):
    function, *shapes = RIGHT[name]
    assert mg.gradcheck(function, *(leaf(s, i) for i, s in enumerate(shapes)), order=order, atol=1e-5) is True


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("order", [1, 2])
def test_wrong_gradients_are_caught(name, order):
    function, which, *shapes = WRONG[name]
    message = rf"gradcheck: the gradient of input {which} {str(shapes[which])[:-1]}.* at \[.*\] is .*, and central diff"
    with pytest.raises(GradientError, match=message.replace("(", r"\(")):
        mg.gradcheck(function, *(leaf(s, i) for i, s in enumerate(shapes)), order=order)


def test_the_message_gives_both_numbers():
    x = mg.tensor([[1.0, 2.0]], dtype=mg.float64, requires_grad=True)
    with pytest.raises(GradientError) as caught:
        mg.gradcheck(WRONG["zeros"][0], x)
    assert "input 0 (1, 2) at [0, 0] is 0, and" in str(caught.value) or "is -0, and" in str(caught.value)
    assert issubclass(GradientError, AssertionError) and issubclass(GradientError, mg.MinigradError)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_errors_show_at_every_scale(scale):
    """The tolerance is relative where gradients are large: half a percent too much must show."""
    wrong = operation(lambda self, x: x * x * scale, lambda self, gy, x: gy * x * 2.01 * scale).apply
    right = operation(lambda self, x: x * x * scale, lambda self, gy, x: gy * x * 2 * scale).apply
    x = mg.tensor([1.0, -2.0, 3.0], dtype=mg.float64, requires_grad=True)
    assert mg.gradcheck(right, x, order=2, atol=1e-6 * max(1, scale))
    with pytest.raises(GradientError):
        mg.gradcheck(wrong, x)


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
    with pytest.raises((GradientError, GraphError)):
        mg.gradcheck(cls.apply, x, order=2)
    with pytest.raises((GradientError, GraphError)):
        mg.gradgradcheck(cls.apply, x)


@pytest.mark.parametrize("cls", [TwoFaces, WrongDefinition], ids=lambda cls: cls.__name__)
def test_another_gradient_under_create_graph_is_caught(cls):
    x = leaf(3)
    assert mg.gradcheck(cls.apply, x)
    with pytest.raises(GradientError, match="under create_graph the gradient of input 0 is another than without"):
        mg.gradcheck(cls.apply, x, order=2)


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
    with pytest.raises((GradientError, GraphError)):
        mg.gradcheck(function, a, b, order=2)


def test_a_wrong_third_derivative_is_caught():
    class Cube(Function):
        """Right to the second order: the second derivative comes from HiddenInput."""

        def forward(self, x):
            return x**4 / 4

        def backward(self, gy, x):
            return gy * HiddenInput()(x)

    x = leaf(3)
    assert mg.gradcheck(Cube.apply, x, order=2)
    with pytest.raises((GradientError, GraphError)):
        mg.gradcheck(Cube.apply, x, order=3)


# --- what it takes -----------------------------------------------------------------------------------------------


def test_float32_is_refused():
    x = mg.ones(3, requires_grad=True)
    with pytest.raises(
        DTypeError, match=r"gradcheck: input 1 is float32, too coarse .*write x\.detach\(\)\.double\(\)"
    ):
        mg.gradcheck(lambda a, b: a * b, leaf(3), x)


def test_nothing_to_check():
    x = leaf(3)
    with pytest.raises(GraphError, match="gradcheck: none of the inputs requires grad"):
        mg.gradcheck(lambda a: a * 2, x.detach())
    for function in (lambda a: a.detach() * 2, lambda a: a > 0, lambda a: [a.data], lambda a: ()):
        with pytest.raises(GraphError, match="gradcheck: no output of fn depends on an input that requires grad"):
            mg.gradcheck(function, x)


def test_inputs_without_gradients_are_handed_on():
    x, seen = leaf((2, 3)), []

    def function(a, index, factor, name, none):
        seen.append((type(index), factor, name, none))
        return a[index] * factor

    assert mg.gradcheck(function, x, np.array([0, 1, 0]), 2.5, "name", None, order=2)
    assert set(seen) == {(np.ndarray, 2.5, "name", None)}
    assert mg.gradcheck(lambda a, b: a * b, x, mg.ones(3), order=2)  # float32, but not checked


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


def test_an_error_in_one_of_several_outputs_is_caught():
    wrong = WRONG["a factor of 1.0001"][0]
    for function in (lambda x: (x * x, wrong(x)), lambda x: (wrong(x).sum(), x)):
        with pytest.raises(GradientError):
            mg.gradcheck(function, leaf(4))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0), (2, 1, 2)])
def test_inputs_of_any_shape(shape):
    assert mg.gradcheck(lambda x: x**3, leaf(shape), order=2)
    if 0 not in shape:
        with pytest.raises(GradientError):
            mg.gradcheck(WRONG["a factor of 1.0001"][0], leaf(shape, 3))


def test_nothing_is_changed():
    x, w = leaf(3), mg.ones(3)
    x.grad = mg.full((3,), 7.0, dtype=mg.float64)
    x.data.flags.writeable = False
    before = x.data.copy(), w.data.copy()
    with mg.no_grad():  # it records what it needs
        assert mg.gradcheck(lambda x, w: (x * w).exp(), x, w, order=2)
        assert not mg.is_grad_enabled()
    with pytest.raises(GradientError):
        mg.gradcheck(lambda x, w: x * x.detach() * w, x, w)
    assert np.array_equal(x.data, before[0]) and np.array_equal(w.data, before[1])
    assert x.grad.tolist() == [7, 7, 7] and x.is_leaf and x.requires_grad and not w.requires_grad and w.grad is None


def test_random_numbers_of_others_are_left_alone():
    mg.manual_seed(3)
    expected = mg.rand(2).tolist()
    mg.manual_seed(3)
    assert mg.gradcheck(lambda x: x * x, leaf(3), seed=5)
    assert mg.rand(2).tolist() == expected


def test_non_leaf_and_repeated_inputs():
    x = leaf(3)
    assert mg.gradcheck(lambda a: a * a, x * 2, order=2)
    assert mg.gradcheck(lambda a, b: a * b, x, x, order=2)


def test_tolerances_and_step_are_arguments():
    wrong = WRONG["a factor of 1.0001"][0]
    x = leaf(4)
    assert mg.gradcheck(wrong, x, rtol=1e-2)
    assert mg.gradcheck(wrong, x, atol=1e-2)
    with pytest.raises(GradientError):
        mg.gradcheck(RIGHT["cube"][0], x, eps=0.1)  # too coarse a step: the cube is not straight
