"""Broadcasting of random shapes: values as NumPy's, gradients summed back over the axes that grew, as PyTorch's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg

OPERATIONS = {
    "add": (lambda lib, a, b: a + b, np.add),
    "mul": (lambda lib, a, b: a * b, np.multiply),
    "div": (lambda lib, a, b: a / b, np.divide),
    "sub": (lambda lib, a, b: lib.sub(a, b, alpha=2), lambda a, b: a - 2 * b),
    "maximum": (lambda lib, a, b: lib.maximum(a, b), np.maximum),
    "hypot": (lambda lib, a, b: lib.hypot(a, b), np.hypot),
    "atan2": (lambda lib, a, b: lib.atan2(a, b), np.arctan2),
    "where": (lambda lib, a, b: lib.where(a > b, a, b * 2), lambda a, b: np.where(a > b, a, b * 2)),
    "lerp": (lambda lib, a, b: lib.lerp(a, b, 0.25), lambda a, b: a + 0.25 * (b - a)),
    "pow": (lambda lib, a, b: (a * a + 0.5) ** b, lambda a, b: (a * a + 0.5) ** b),
    "xlogy": (lambda lib, a, b: lib.xlogy(a, b * b + 0.5), lambda a, b: a * np.log(b * b + 0.5)),
    "broadcast_tensors": (
        lambda lib, a, b: lib.broadcast_tensors(a, b)[0] * 1,
        lambda a, b: np.broadcast_arrays(a, b)[0],
    ),
}
shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)


def operands(pair, seed):
    draw = np.random.default_rng(seed)
    return [np.asarray(draw.uniform(0.5, 2, shape) * draw.choice([-1.0, 1.0], shape)) for shape in pair.input_shapes]


def summed(g, shape):
    """`g` summed over the axes along which `shape` was broadcast, by NumPy."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


@pytest.mark.parametrize("name", OPERATIONS)
@given(pair=shapes, seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_values_and_shapes_are_numpys(name, pair, seed):
    function, reference = OPERATIONS[name]
    a, b = operands(pair, seed)
    y = function(mg, *(mg.Variable(x, requires_grad=True) for x in (a, b)))
    assert y.shape == pair.result_shape
    np.testing.assert_allclose(y.data, reference(a, b), rtol=1e-12)


@given(pair=shapes, seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_gradients_are_summed_back(pair, seed):
    a, b = operands(pair, seed)
    x, z = (mg.Variable(v, requires_grad=True) for v in (a, b))
    y = x * z
    weights = np.random.default_rng(seed + 1).normal(size=y.shape)
    y.backward(weights)
    np.testing.assert_allclose(x.grad.data, summed(weights * b, a.shape), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(z.grad.data, summed(weights * a, b.shape), rtol=1e-12, atol=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("name", OPERATIONS)
@given(pair=shapes, seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_values_and_gradients_are_torchs(name, pair, seed):
    torch = pytest.importorskip("torch")
    function, _ = OPERATIONS[name]
    arrays = operands(pair, seed)
    ours = [mg.Variable(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = function(mg, *ours), function(torch, *theirs)
    assert y.shape == tuple(t.shape)
    np.testing.assert_allclose(y.data, t.detach().numpy(), rtol=1e-10)
    weights = np.random.default_rng(seed + 1).normal(size=y.shape)
    y.backward(weights)
    t.backward(torch.tensor(weights))
    for x, other in zip(ours, theirs, strict=True):
        expected = np.zeros(x.shape) if other.grad is None else other.grad.numpy()
        found = np.zeros(x.shape) if x.grad is None else x.grad.data
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


@given(lead=st.lists(st.integers(0, 3), max_size=3), sizes=st.sets(st.integers(2, 5), min_size=2, max_size=2))
@settings(max_examples=30, deadline=None)
def test_shapes_that_do_not_fit_are_named(lead, sizes):
    small, large = sorted(sizes)
    message = rf"mul: shapes .* do not broadcast: axis -1 is {small} and {large}, and must be equal or 1"
    with pytest.raises(mg.ShapeError, match=message):
        mg.ones(*lead, large) * mg.ones(small)
