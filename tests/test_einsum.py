"""einsum against NumPy's and PyTorch's on drawn equations; what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.errors import DTypeError, IndexRangeError, ShapeError

LABELS = "abcXY"


@st.composite
def equations(draw):
    """(equation, operands): up to four operands, sizes 0 to 3, repeated labels, "...", with and without ->."""
    sizes = {label: draw(st.integers(0 if label == "X" else 1, 3)) for label in LABELS}
    dotted = draw(st.lists(st.integers(1, 3), max_size=2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    terms, operands = [], []
    for _ in range(draw(st.integers(1, 4))):
        letters = draw(st.lists(st.sampled_from(LABELS), max_size=3))
        shape = [sizes[label] for label in letters]
        if dotted and draw(st.booleans()):
            at, count = draw(st.integers(0, len(letters))), draw(st.integers(0, len(dotted)))
            inner = [draw(st.sampled_from([1, n])) for n in dotted[len(dotted) - count :]]
            shape[at:at] = inner
            letters.insert(at, "...")
        terms.append("".join(letters))
        operands.append(rng.normal(size=shape))
    equation = ",".join(terms)
    if draw(st.booleans()):
        known = sorted({label for term in terms for label in term if label != "."})
        output = draw(st.permutations(known))[: draw(st.integers(0, len(known)))]
        if "..." in equation:  # NumPy, unlike PyTorch, does not sum over what it stands for
            output.insert(draw(st.integers(0, len(output))), "...")
        equation += "->" + "".join(output)
    return equation, operands


@given(equations())
def test_values_are_numpys(case):
    equation, operands = case
    found = mg.einsum(equation, *map(mg.Variable, operands)).data
    expected = np.einsum(equation, *operands)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.torch
@given(equations())
def test_gradients_are_those_of_torch(case):
    torch = pytest.importorskip("torch")
    equation, operands = case
    ours = [mg.Variable(x, requires_grad=True) for x in operands]
    theirs = [torch.tensor(x, requires_grad=True) for x in operands]
    y, t = mg.einsum(equation, *ours), torch.einsum(equation, *theirs)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, y.shape)
    y.backward(weights)
    t.backward(torch.tensor(weights))
    for x, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.grad.data, other.grad.numpy(), rtol=1e-9, atol=1e-12)


@given(equations())
def test_float16_adds_up_in_float32(case):
    equation, operands = case
    operands = [x.astype(np.float16) for x in operands]
    found = mg.einsum(equation, *operands)
    expected = np.einsum(equation, *(x.astype(np.float64) for x in operands))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found.astype("f8"), expected, rtol=0.02, atol=0.1)


def test_sums_of_many_float16_numbers_are_right():
    x = np.ones((4, 5000), np.float16)
    np.testing.assert_array_equal(mg.einsum("ij,kj->ik", x, x), np.full((4, 4), 5000, np.float16))
    np.testing.assert_array_equal(mg.einsum("ij->i", x), np.full(4, 5000, np.float16))


@given(st.lists(st.lists(st.sampled_from([0, 1, 2, 30, ...]), max_size=3, unique=True), min_size=1, max_size=3))
def test_lists_of_numbers_say_the_same_as_letters(lists):
    letters = {0: "A", 1: "B", 2: "C", 30: "e", ...: "..."}
    sizes = {0: [2], 1: [3], 2: [1], 30: [2], ...: [2, 3]}
    operands = [np.random.default_rng(0).normal(size=[n for i in labels for n in sizes[i]]) for labels in lists]
    equation = ",".join("".join(letters[i] for i in labels) for labels in lists)
    arguments = [part for pair in zip(operands, lists, strict=True) for part in pair]
    np.testing.assert_array_equal(mg.einsum(*arguments), mg.einsum(equation, *operands))
    np.testing.assert_array_equal(mg.einsum(*arguments, [...]), mg.einsum(equation + "->...", *operands))


def test_the_cheapest_pair_is_multiplied_first():
    a, b, c = (mg.ones(*shape, requires_grad=True) for shape in ((50, 2), (2, 50), (50,)))
    y = mg.einsum("ij,jk,k->i", a, b, c)
    assert sorted(edge.shape for edge in _products(y)) == [(2, 1), (50, 1)]


def _products(y):
    """The matrix products that y was made of."""
    found, nodes = [], [y.creator]
    while nodes:
        node = nodes.pop()
        if isinstance(node, mg.Function):
            found += [node] if node.name == "matmul" else []
            nodes += [edge for edge in node.edges if edge is not None]
    return found


WRONG = [
    ("ij,jk", [(2, 3)], r"einsum: 'ij,jk' is about 2 operands, and 1 were given"),
    ("ijk->i", [(2, 3)], r"einsum: 'ijk' of 'ijk->i' does not fit the 2 axes of an operand \(2, 3\)"),
    ("i->i", [(2, 3)], r"does not fit the 2 axes"),
    ("ij...k->i", [(2, 3)], r"does not fit the 2 axes"),
    ("ij,jk", [(2, 3), (4, 2)], r"einsum: axes with the label 'j' have sizes 3 and 4; operands \(2, 3\), \(4, 2\)"),
    ("...i,...i", [(2, 3), (4, 3)], r"have sizes 2 and 4"),
    ("ii->i", [(1, 3)], r"einsum: a label occurs twice in the operand \(1, 3\), with two sizes"),
    ("ij->ik", [(2, 3)], r"einsum: no operand of 'ij->ik' has the label 'k' of the output"),
    ("ij->ii", [(2, 3)], r"einsum: the output of 'ij->ii' has the label 'i' twice"),
    ("i1->i", [(2, 3)], r"einsum: '1' in 'i1->i' is no label: labels are letters"),
    ("i..->i", [(2, 3)], r"'.' in 'i..->i' is no label"),
    ("...i...->i", [(2, 3)], r"is no label"),
    ("ij->i->j", [(2, 3)], r"'-' in"),
]


@pytest.mark.parametrize(("equation", "shapes", "message"), WRONG, ids=lambda x: x if isinstance(x, str) else "")
def test_refusals(equation, shapes, message):
    with pytest.raises(ShapeError, match=message):
        mg.einsum(equation, *(np.zeros(shape) for shape in shapes))


def test_refusals_of_lists_and_dtypes():
    x = np.zeros((2, 3))
    with pytest.raises(ShapeError, match=r"labels are numbers from 0 to 51 or `\.\.\.`, got 52"):
        mg.einsum(x, [0, 52])
    with pytest.raises(ShapeError, match="operands each followed by a list of labels"):
        mg.einsum(x, 1)
    with pytest.raises(ShapeError, match="operands each followed by a list of labels"):
        mg.einsum(x)
    with pytest.raises(DTypeError, match="x is float64, other float32"):
        mg.einsum("ij,kj", x, x.astype(np.float32))


def test_refusals_of_tensordot_and_inner():
    a, b = np.zeros((2, 3, 4)), np.zeros((4, 3))
    with pytest.raises(ShapeError, match=r"tensordot: axes with the label 1 have sizes 3 and 4"):
        mg.tensordot(a, b)
    with pytest.raises(ShapeError, match=r"tensordot: dims is from 0 to the number of axes, got 3"):
        mg.tensordot(a, b, 3)
    with pytest.raises(
        ShapeError, match=r"as many axes of a as of b are summed over, each once; got \[0, 1\] and \[0\]"
    ):
        mg.tensordot(a, b, ([0, 1], [0]))
    with pytest.raises(ShapeError, match=r"each once; got \[0, 0\] and \[0, 1\]"):
        mg.tensordot(a, b, ([0, 0], [0, 1]))
    with pytest.raises(IndexRangeError, match=r"tensordot: dim 3 is outside"):
        mg.tensordot(a, b, ([3], [0]))
    with pytest.raises(ShapeError, match=r"inner: the last axes differ in size; input is \(2, 3, 4\), other \(4, 3\)"):
        mg.inner(a, b)


def test_a_table_of_axes_for_tensordot():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 4)), np.random.default_rng(1).normal(size=(4, 3))
    axes = mg.tensor([[1, 2], [1, 0]])
    np.testing.assert_allclose(mg.tensordot(a, b, axes), np.tensordot(a, b, ([1, 2], [1, 0])))


def test_in_a_region_products_are_float16():
    x = mg.ones(2, 3, requires_grad=True)
    with mg.autocast(x.device.type):
        y = mg.einsum("ij,kj->ik", x, x)
    assert y.dtype == mg.float16
    y.sum().backward()
    assert x.grad.dtype == mg.float32
