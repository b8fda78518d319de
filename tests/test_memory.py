"""Depth and memory: long chains, no growth without the garbage collector, gradients that are nobody else's memory."""

import gc
import weakref

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.errors import GraphError
from minigrad.tape import Function, Variable
from minigrad.tape.versions import memory


def leaf(*values, dtype=None):
    return mg.tensor(list(values), dtype=dtype, requires_grad=True)


class SavedInput(Function):
    def forward(self, x):
        return x * x / 2

    def backward(self, gy, x):
        return x


class SinCos(Function):
    def forward(self, x):
        return np.sin(x), np.cos(x)

    def backward(self, gy, x):
        return gy[0] * mg.cos(x) - gy[1] * mg.sin(x)


# --- depth -------------------------------------------------------------------------------------------------------

CHAINS = {
    "numbers": (100_000, lambda h, x: h + 1),
    "Variables": (5000, lambda h, x: h + x),
    "Functions": (5000, lambda h, x: h.reshape(1).clone()),
    "written in place": (1000, lambda h, x: h.add_(1)),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_long_chains(kind):
    length, step = CHAINS[kind]
    x = leaf(1.0, dtype=mg.float64)
    h = x * 1
    for _ in range(length):
        h = step(h, x)
    first = weakref.ref(h.creator)
    h.backward()
    assert x.grad.item() == (length + 1 if kind == "Variables" else 1)
    del h  # and the garbage goes without a recursion, too
    assert first() is None


def test_a_long_chain_to_second_order():
    x = leaf(1.0, dtype=mg.float64)
    h = x
    for _ in range(5000):
        h = h * 1.0001
    (g,) = mg.grad(h * h, x, create_graph=True)
    g.backward()
    np.testing.assert_allclose(x.grad.data, [2 * 1.0001**10_000], rtol=1e-9)


# --- nothing is left behind --------------------------------------------------------------------------------------

W = leaf(0.5, 0.25, dtype=mg.float64)


def _train():
    W.grad = None
    F.cross_entropy(mg.stack([W.exp(), F.layer_norm(W, 2)]), np.array([0, 1])).backward()


def _second_order():
    x = leaf(1.0, 2.0)
    (g,) = mg.grad(F.layer_norm(x.tanh() * x, 2).exp().sum(), x, create_graph=True)
    mg.grad((g * g).sum(), x)


def _second_order_into_grad():
    W.grad = None
    (W**3).sum().backward(create_graph=True)
    penalty = (W.grad * W.grad).sum()
    W.grad = None
    penalty.backward()


def _hooks():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.retain_grad()
    h.register_hook(lambda g: g * 2)
    x.register_hook(lambda g: g * 2)
    h.sum().backward()


def _in_place():
    h = leaf(1.0, 2.0) * 2
    h.add_(1)
    h[0] = h[1] * 2
    with mg.no_grad():
        h.mul_(2)
    h.sum().backward()


def _several_outputs():
    SinCos()(leaf(1.0, 2.0))[0].sum().backward()


def _no_backward_and_errors():
    y = (leaf(1.0, 2.0) * 2).exp()
    for _ in range(2):
        with pytest.raises(GraphError):
            y.backward()


STEPS = [_train, _second_order, _second_order_into_grad, _hooks, _in_place, _several_outputs, _no_backward_and_errors]


def alive():
    return sum(issubclass(type(o), (Variable, Function)) for o in gc.get_objects()), len(memory.stamps)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__.strip("_"))
def test_no_growth_without_the_garbage_collector(step):
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


def test_backward_frees_what_was_saved_as_it_goes():
    x = leaf(1.0, 2.0)
    h = x.exp()
    saved = weakref.ref(h.data)
    y = (h * h).sum()
    del h
    assert saved() is not None
    y.backward()
    assert saved() is None and y.requires_grad


# --- gradients are nobody else's memory --------------------------------------------------------------------------


ALIASES = {
    "both leaves of a + b": lambda a, b: a + b,
    "the view that sum spreads": lambda a, b: a.sum() + b * 0,
    "the input that a Function saved": lambda a, b: SavedInput()(a) + SavedInput()(b),
    "reshaped": lambda a, b: a.reshape(3, 1).reshape(3) + b,
    "a leaf itself": lambda a, b: a,
    "pieces of one array": lambda a, b: mg.cat([a, b])[1:4],
}


@pytest.mark.parametrize("name", ALIASES)
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("through", ["backward", "grad"])
def test_gradients_share_no_memory(name, create_graph, through):
    if through == "grad" and create_graph:
        pytest.skip("those gradients are recorded values, not to be written into")
    a, b, seed = leaf(1.0, 2.0, 3.0), leaf(4.0, 5.0, 6.0), np.ones(3, np.float32)
    y = ALIASES[name](a, b)
    if through == "backward":
        y.backward(seed, create_graph=create_graph, retain_graph=True)
        grads = [v.grad for v in (a, b) if v.grad is not None]
    else:
        grads = [g for g in mg.grad(y, [a, b], seed, retain_graph=True, allow_unused=True) if g is not None]
    arrays = [g.data for g in grads]
    assert all(array.flags.writeable for array in arrays)
    for i, array in enumerate(arrays):
        for other in [seed, a.data, b.data, y.data, *arrays[:i]]:
            assert not np.shares_memory(array, other)


def test_accumulating_changes_nothing_but_the_gradient():
    a, b, seed = leaf(1.0), leaf(2.0), np.array([1.0], np.float32)
    for _ in range(2):
        (a + b).backward(seed)
        a.backward(seed)
    assert a.grad.tolist() == [4] and b.grad.tolist() == [2] and seed == 1
