"""Functions that a user writes: what backward may name and return, several outputs, fused definitions, refusals."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GraphError, ShapeError
from minigrad.tape import Function, Variable


def leaf(*values, dtype=mg.float64):
    return mg.tensor(list(values), dtype=dtype, requires_grad=True)


class Power(Function):
    """Plain facts in __init__."""

    def __init__(self, n):
        self.n = n

    def forward(self, x):
        return x**self.n

    def backward(self, gy, x):
        return gy * self.n * x ** (self.n - 1)


class Square(Function):
    def forward(self, x):
        return x * x

    def backward(self, gy, x):
        return gy * x * 2


class Exp(Function):
    """Names the output."""

    def forward(self, x):
        return np.exp(x)

    def backward(self, gy, y):
        return gy * y


class Divide(Function):
    """Names an input and the output, in an order of its own."""

    def forward(self, a, b):
        return a / b

    def backward(self, gy, y, b):
        return gy / b, -(gy * y / b)


class Sum(Function):
    """Any number of inputs, which backward names after the output."""

    def forward(self, *xs):
        y = xs[0] * xs[0]
        for x in xs[1:]:
            y = y + x * x
        return y

    def backward(self, gy, y, *xs):
        return tuple(gy * x * 2 for x in xs)


class SinCos(Function):
    """Several outputs, the saved ones among them."""

    def forward(self, x):
        return np.sin(x), np.cos(x)

    def backward(self, gy, y):
        return gy[0] * y[1] - gy[1] * y[0]


class TopTwo(Function):
    """Values, and where they are: an output of integers."""

    def forward(self, x):
        where = np.argsort(-x)[:2]
        return x[where], where

    def backward(self, gy, x, y):
        return mg.where((x.reshape(-1, 1) == y[0]).any(axis=1), 1.0, 0.0) * gy[0].sum()


class Norm(Function):
    """Fused: keeps the norm, and says by its definition what create_graph differentiates."""

    residuals = ("size",)

    def forward(self, x):
        size = np.sqrt((x * x).sum())
        return x / size, size

    def backward(self, gy, size, y):
        return (gy - y * (gy * y).sum()) / size

    def definition(self, x):
        return x / mg.sqrt((x * x).sum())


class Product(Function):
    """Fused, with two inputs of which each gradient is wanted or not."""

    residuals = ("log",)

    def forward(self, a, b):
        return a * b, np.log(a)

    def backward(self, gy, a, b, log):
        assert np.allclose(log, np.log(a))
        wants_a, wants_b = self.wants
        return None if wants_a is None else gy * b, None if wants_b is None else gy * a

    def definition(self, a, b):
        return a * b


X = (0.5, 1.5, 0.25)
RIGHT = {
    "facts": (lambda x: Power(3)(x), (X,)),
    "apply": (Square.apply, (X,)),
    "output": (Exp.apply, (X,)),
    "two inputs": (Divide.apply, (X, (2.0, 3.0, -1.0))),
    "broadcast": (lambda a, b: Divide()(a, b.sum()), (X, (2.0, 3.0))),
    "one input twice": (lambda x: Divide()(x, x * x), (X,)),
    "any number": (Sum.apply, (X, X, X)),
    "several outputs": (lambda x: SinCos()(x), (X,)),
    "one output unused": (lambda x: SinCos()(x)[1], (X,)),
    "the other output unused": (lambda x: SinCos()(x)[0] * x, (X,)),
    "an output used twice": (lambda x: SinCos()(x)[0] * SinCos()(x)[0] + SinCos()(x)[1], (X,)),
    "outputs that depend on one another": (lambda x: (lambda s, c: s * SinCos()(c * s)[0])(*SinCos()(x)), (X,)),  # noqa: PLC3002
    "fused": (Norm.apply, (X,)),
    "fused, two inputs": (Product.apply, (X, (2.0, 3.0, -1.0))),
    "fused of one input twice": (lambda x: Product()(x, x * x), (X,)),
    "fused, one input constant": (lambda x: Product()(np.array([1.0, 2, 3]), x * x), (X,)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_gradients_to_third_order(name):
    function, inputs = RIGHT[name]
    assert mg.gradcheck(function, *(leaf(*x) for x in inputs), order=3)


def test_arrays_in_arrays_out():
    for function in (Power(2), Square(), Norm(), Sum()):
        assert type(function(np.array([3.0, 4.0]))) is np.ndarray
    assert [type(y) for y in SinCos()(np.zeros(2))] == [np.ndarray] * 2


def test_outputs_of_integers_have_no_gradient():
    x = leaf(1.0, 5.0, 3.0)
    top, where = TopTwo()(x)
    assert top.requires_grad and not where.requires_grad and where.dtype == mg.int64
    top.sum().backward()
    assert x.grad.tolist() == [0, 2, 2]  # each of the two gets the sum of the gradients


def test_several_gradients_read_as_a_sequence():
    class Split(Function):
        def forward(self, x):
            return x * 1, x * 10, x * 100

        def backward(self, gy):
            assert len(gy) == 3
            first, *others = gy
            assert [g.tolist() for g in others] == [gy[1].tolist(), gy[2].tolist()]
            return first + gy[1] * 10 + gy[-1] * 100

    x = leaf(1.0)
    _, b, c = Split()(x)
    (b + c * 2).backward()
    assert x.grad.tolist() == [210]


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float16", "float32"), ("float64", "float32")])
def test_gradients_take_the_dtype_of_their_input(dtypes):
    class Careless(Function):
        def forward(self, x):
            return x * 2

        def backward(self, gy):
            return (gy * 2).astype(dtypes[1])

    x = leaf(1.0, 2.0, dtype=dtypes[0])
    assert mg.grad(Careless()(x).sum(), x)[0].dtype == dtypes[0]
    assert mg.grad(Careless()(x).sum(), x, create_graph=True)[0].dtype == dtypes[0]
    Careless()(x).sum().backward()
    assert x.grad.dtype == dtypes[0] and x.grad.tolist() == [2, 2]


class Tripled(Function):
    """Its backward makes arrays of its own, whatever comes in."""

    def forward(self, x):
        return x * 3

    def backward(self, gy):
        return np.asarray(gy) * np.full(gy.shape, 3.0)


@pytest.mark.parametrize(
    "operation", [Tripled.apply, lambda x: Tripled()(x) + Tripled()(x), lambda x: Tripled()(x * x)]
)
def test_a_constant_gradient_is_a_variable_under_create_graph_too(operation):
    x = leaf(1.0, 2.0)
    (expected,) = mg.grad(operation(x).sum(), x)
    (g,) = mg.grad(operation(x).sum(), x, create_graph=True)
    operation(x).sum().backward(create_graph=True)
    seen = []
    x.register_hook(seen.append)
    operation(x).sum().backward(create_graph=True)
    for v in (g, *seen):
        assert isinstance(v, Variable) and v.tolist() == expected.tolist()
    assert isinstance(x.grad, Variable) and x.grad.tolist() == (2 * expected.data).tolist()


def test_wants_says_which_gradients_are_wanted():
    seen = []

    class Add(Function):
        def forward(self, a, b, c):
            return a + b + c

        def backward(self, gy):
            seen.append([want is not None for want in self.wants])
            return gy, gy, None

    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    y = Add()(a, b, c)
    mg.grad(y, b, retain_graph=True)
    y.backward()
    Add()(a.detach(), b, 3.0).backward()
    assert seen == [[False, True, False], [True, True, True], [False, True, False]]
    assert a.grad.tolist() == [1] and b.grad.tolist() == [2] and c.grad is None  # None: no gradient


def test_an_instance_is_one_node():
    square, x = Square(), leaf(2.0)
    y = square(x)
    with pytest.raises(GraphError, match="square: this Square has run already; an instance is one node"):
        square(x)
    y.backward()
    assert x.grad.tolist() == [4]
    with mg.no_grad():
        assert square(x).tolist() == [4]  # nothing is recorded, so nothing is lost
    two = SinCos()
    two(x)
    with pytest.raises(GraphError, match=r"sin_cos: .* has run already"):
        two(x)


# --- what is refused ---------------------------------------------------------------------------------------------


def returning(make):
    """A Function of two inputs whose backward returns what `make` makes of gy."""

    class Returns(Function):
        def forward(self, a, b):
            return a * b

        def backward(self, gy):
            return make(gy)

    return Returns()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda gy: gy, r"returns\.backward returned 1 gradients for 2 inputs"),
        (lambda gy: (gy, gy, gy), r"returns\.backward returned 3 gradients for 2 inputs"),
        (lambda gy: (gy[:2], gy), r"returns\.backward returned shape \(2,\) for an input of shape \(3,\)"),
        (lambda gy: (gy, gy.sum()), r"returns\.backward returned shape \(\) for an input of shape \(3,\)"),
        (lambda gy: (gy.reshape(3, 1), gy), r"returns\.backward returned shape \(3, 1\) for an input of shape \(3,\)"),
        (lambda gy: (2.0, gy), r"returns\.backward returned .*float"),
        (lambda gy: (gy, "gy"), r"returns\.backward returned .*str"),
    ],
)
def test_gradients_that_do_not_fit(make, message, create_graph):
    a, b = leaf(1.0, 2.0, 3.0), leaf(4.0, 5.0, 6.0)
    with pytest.raises((GraphError, ShapeError), match=message):
        returning(make)(a, b).sum().backward(create_graph=create_graph)
    assert a.grad is None and b.grad is None


def test_backward_can_only_name_inputs_residuals_and_y():
    with pytest.raises(TypeError, match=r"Wrong\.backward names 'z'; it can name x, r, y"):

        class Wrong(Function):
            residuals = ("r",)
            definition = Function.forward

            def forward(self, x):
                return x, x

            def backward(self, gy, z):
                return gy


def test_any_number_of_inputs_cannot_be_named_as_one():
    """`xs` of forward's *xs would be the first of them, in silence."""
    with pytest.raises(TypeError, match=r"\*xs"):

        class Wrong(Function):
            def forward(self, *xs):
                return xs[0] * xs[1]

            def backward(self, gy, xs):
                return gy * xs[1], gy * xs[0]


def test_residuals_beside_any_number_of_inputs():
    class Fused(Function):
        residuals = ("product",)

        def forward(self, *xs):
            product = xs[0] * xs[1]
            return product + xs[2], product

        def backward(self, gy, product, *xs):
            assert len(xs) == 3 and np.allclose(product, xs[0] * xs[1])
            return gy * xs[1], gy * xs[0], gy

        def definition(self, *xs):
            return xs[0] * xs[1] + xs[2]

    assert mg.gradcheck(Fused.apply, leaf(2.0), leaf(3.0), leaf(4.0), order=2)


def test_what_is_not_written():
    class Forward(Function):
        def forward(self, x):
            return x * 2

    class Nothing(Function):
        pass

    x = leaf(1.0)
    y = Forward()(x)
    with pytest.raises(NotImplementedError, match=r"Forward\.backward is not written: it cannot be differentiated"):
        y.backward()
    with pytest.raises(NotImplementedError, match=r"Nothing\.forward"):
        Nothing()(x)


def test_an_error_in_forward_tells_the_operands():
    class Picky(Function):
        def forward(self, a, b):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        Picky()(leaf(1.0, 2.0), 3)
    assert caught.value.__notes__ == ["in picky(float64 (2,), 3)"]


def test_a_result_that_is_a_number_becomes_an_array():
    class Total(Function):
        def forward(self, x):
            return float(x.sum())

        def backward(self, gy, x):
            return gy + 0 * x

    x = leaf(1.0, 2.0)
    y = Total()(x)
    assert isinstance(y, Variable) and isinstance(y.data, np.ndarray) and y.shape == ()
    y.backward()
    assert x.grad.tolist() == [1, 1]
