"""What backward and grad promise; hooks, retained gradients, detaching and requires_grad."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import autograd
from minigrad.errors import DTypeError, GraphError, ShapeError
from minigrad.tape import Variable


def leaf(*values, dtype=None):
    return mg.tensor(list(values), dtype=dtype, requires_grad=True)


def values(*variables):
    return [v if v is None else v.tolist() for v in variables]


# --- backward ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "gradient",
    [np.array([1.0, 10.0]), np.array([1, 10]), mg.tensor([1.0, 10.0], dtype=mg.float64), [1.0, 10.0]],
    ids=["array", "integers", "Variable of float64", "list"],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradient_argument(gradient, create_graph):
    x = leaf(2.0, 3.0)
    (x * x).backward(gradient, create_graph=create_graph)
    assert values(x.grad) == [[4, 60]] and x.grad.dtype == mg.float32


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_element_needs_no_gradient_argument(shape):
    x = mg.full(shape, 3.0, requires_grad=True)
    (x * x).backward()
    assert x.grad.shape == shape and x.grad.item() == 6


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradient_must_have_the_shape_of_the_output(create_graph):
    x = leaf(2.0, 3.0)
    y = x * x
    for gradient in (np.ones(3), np.ones(()), mg.ones(2, 1), 1.0):
        with pytest.raises(ShapeError, match=r"backward: the output has shape \(2,\), so its gradient must too"):
            y.backward(gradient, create_graph=create_graph)
    assert x.grad is None
    y.sum().backward()  # the refusals have freed nothing
    assert values(x.grad) == [[4, 6]]


def test_retain_graph():
    x = leaf(2.0, 3.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert values(x.grad) == [[12, 18]]
    with pytest.raises(GraphError, match=r"freed by an earlier backward.*compute the loss anew, or pass retain_graph"):
        y.backward()
    assert values(x.grad) == [[12, 18]]


def test_create_graph_keeps_the_graph_and_goes_on():
    x = leaf(2.0, dtype=mg.float64)
    y = x**4
    for order, expected in enumerate((32, 48, 48, 24, 0)):
        (y,) = mg.grad(y, x, create_graph=True)
        assert y.item() == expected, f"derivative {order + 1}"
    y = x**3
    y.backward(create_graph=True)
    assert x.grad.item() == 12 and x.grad.requires_grad
    y.backward()  # create_graph has kept the graph
    x = leaf(2.0)
    (x**3).backward()
    assert not x.grad.requires_grad


def test_gradients_accumulate_also_across_create_graph():
    x = leaf(2.0)
    for create_graph in (False, True, False):
        (x**2).backward(create_graph=create_graph)
    assert x.grad.item() == 12
    (g,) = mg.grad(x.grad, x)
    assert g.item() == 2  # of the second backward, the only one that was recorded


def test_gradients_accumulate_into_what_the_user_put_there():
    x = leaf(1.0, 2.0)
    given = mg.tensor([10.0, 20.0])
    x.grad = given
    (x * 3).sum().backward()
    assert values(x.grad) == [[13, 23]] and x.grad is given
    x.grad = mg.tensor(1.0).expand(2)  # read-only: the gradient needs memory of its own
    (x * 3).sum().backward()
    assert values(x.grad) == [[4, 4]] and x.grad.data.flags.writeable


def test_backward_of_a_leaf():
    x = leaf(2.0)
    x.backward()
    x.backward(np.array([5.0]))
    assert values(x.grad) == [[6]]


def test_inputs_are_filled_instead_of_all_leaves():
    a, b, unused = leaf(2.0), leaf(3.0), leaf(4.0)
    h = a * b
    y = h * b
    y.backward(inputs=[h, b, b, unused], retain_graph=True)
    assert values(h.grad, b.grad, a.grad, unused.grad) == [[3], [12], None, None]
    y.backward(inputs=a, retain_graph=True)
    assert values(a.grad) == [[9]]
    with pytest.raises(GraphError, match=r"backward: input 1 \(1,\) does not require grad"):
        y.backward(inputs=[a, a.detach()])
    with pytest.raises(GraphError, match="inputs"):  # an empty list is a mistake, not a wish
        y.backward(inputs=[])


def test_an_input_that_also_retains_its_gradient_gets_it_once():
    x = leaf(2.0)
    h = x * 3
    h.retain_grad()
    h.backward(inputs=[h])
    assert values(h.grad) == [[1]]


@pytest.mark.parametrize("create_graph", [False, True])
def test_diamonds_and_repeated_operands(create_graph):
    x = leaf(3.0)
    a = x * x
    b = a + a * x
    (b * a + x).backward(create_graph=create_graph)  # x^4 + x^5 + x
    assert x.grad.item() == 4 * 27 + 5 * 81 + 1


@pytest.mark.parametrize("backward", [Variable.backward, lambda y: mg.grad(y, y)])
def test_what_was_not_recorded_cannot_be_differentiated(backward):
    for y in (mg.tensor(1.0), mg.tensor(1.0) * 2, leaf(1.0).detach()):
        with pytest.raises(GraphError, match="does not require grad"):
            backward(y)


@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_of_several(create_graph):
    a, b = leaf(2.0), leaf(3.0, 4.0)
    y, z = a * a, a * b
    autograd.backward([y, z], [None, np.array([10.0, 1.0])], retain_graph=True, create_graph=create_graph)
    assert values(a.grad, b.grad) == [[4 + 34], [20, 2]]
    assert a.grad.requires_grad == create_graph
    autograd.backward((y, y), retain_graph=True, inputs=[a])
    assert values(a.grad, b.grad) == [[38 + 8], [20, 2]]
    autograd.backward(z, grad_tensors=mg.ones(2))
    assert values(a.grad, b.grad) == [[46 + 7], [22, 4]]
    with pytest.raises(GraphError, match="backward: 2 outputs, but 1 grad_tensors"):
        autograd.backward([y, z], [None])


# --- grad --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_grad(create_graph):
    x, w, unused = leaf(2.0), leaf(3.0), leaf(4.0)
    h = x * w
    y, z = h * h, h * x
    for other in (x, w, h, unused):
        other.grad = mg.tensor([100.0])
    inputs = [x, h, w, x, y, unused]
    gs = mg.grad(
        [y, z], inputs, [None, np.array([10.0])], create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    assert values(*gs) == [[36 + 120], [12 + 20], [24 + 40], [156], [1], None]
    assert values(*(v.grad for v in (x, w, h, unused))) == [[100]] * 4
    assert [g is not None and g.requires_grad for g in gs[:4]] == [create_graph] * 4
    x.grad = w.grad = None
    mg.grad(y, h, retain_graph=True)
    y.backward()  # a walk to h has not narrowed the next one
    assert values(x.grad, w.grad) == [[36], [24]]


def test_grad_frees_only_what_it_visits():
    x = leaf(2.0)
    h = x.exp()
    mg.grad((h * h).sum(), h)
    h.sum().backward()  # below h nothing was visited
    np.testing.assert_allclose(x.grad.data, np.exp([2]), rtol=1e-6)


def test_grad_of_the_same_output_twice():
    x = leaf(2.0)
    y = x * x
    assert mg.grad([y, y], x)[0].item() == 8


def test_grad_refusals():
    x, unused = leaf(1.0, 2.0), leaf(3.0)
    y = (x * x).sum()
    with pytest.raises(GraphError, match=r"grad: the outputs do not depend on input 1 \(1,\); allow_unused=True"):
        mg.grad(y, [x, unused], retain_graph=True)
    with pytest.raises(GraphError, match=r"grad: input 0 \(2,\) does not require grad"):
        mg.grad(y, x.detach())
    with pytest.raises(GraphError, match="grad: 1 outputs, but 2 grad_outputs"):
        mg.grad(y, x, [None, None])
    with pytest.raises(GraphError, match="give `gradient`"):
        mg.grad(x * 2, x)
    with pytest.raises(GraphError, match=r"grad: only_inputs=False .*; call backward\(\)"):
        mg.grad(y, x, only_inputs=False)
    with pytest.raises(GraphError, match=r"grad: materialize_grads=True .* which allow_unused=False forbids"):
        mg.grad(y, [x, unused], allow_unused=False, materialize_grads=True)
    assert values(*mg.grad(y, x)) == [[2, 4]]


@pytest.mark.torch
@pytest.mark.parametrize("create_graph", [False, True])
def test_zeros_for_what_was_not_used_as_in_torch(create_graph):
    torch = pytest.importorskip("torch")
    found = []
    for lib, gradients in ((mg, mg.grad), (torch, torch.autograd.grad)):
        x, unused = (lib.tensor(v, dtype=lib.float16, requires_grad=True) for v in ([3.0], [[1.0, 2.0]]))
        gs = gradients(x * x, [x, unused, unused], None, True, create_graph, True, None, materialize_grads=True)
        found.append([(g.tolist(), g.requires_grad) for g in gs])
        assert all(g.dtype == lib.float16 for g in gs)
    assert found[0] == found[1] and found[0][1][0] == [[0, 0]]


# --- hooks, retained gradients, detaching ------------------------------------------------------------------------


@pytest.mark.parametrize("on_leaf", [True, False])
@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_see_and_replace_the_complete_gradient(on_leaf, create_graph):
    x = leaf(1.0, 2.0)
    h = x if on_leaf else x * 1
    seen = []
    h.register_hook(lambda g: seen.append(("first", g.tolist())))  # returns None: looks only
    doubling = h.register_hook(lambda g: g * 2)
    h.register_hook(lambda g: seen.append(("last", g.tolist())))
    (h * h + h).sum().backward(create_graph=create_graph)
    assert seen == [("first", [3, 5]), ("last", [6, 10])] and values(x.grad) == [[6, 10]]
    doubling.remove()
    doubling.remove()
    x.grad = None
    h = x if on_leaf else x * 1
    with h.register_hook(lambda g: g * 0):
        (h * 3).sum().backward()
    assert values(x.grad) == [[0, 0]]
    x.grad = None
    (x * 3).sum().backward()
    assert values(x.grad) == [[3, 3]]


def test_a_hook_may_take_itself_off():
    x = leaf(1.0)
    handle = x.register_hook(lambda g: handle.remove())
    for _ in range(2):
        (x * 2).backward()
    assert values(x.grad) == [[4]]


@pytest.mark.parametrize("create_graph", [False, True])
def test_late_hooks_see_the_gradient_added(create_graph):
    x, w, other = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0)
    seen = []

    def look(v):
        assert mg.is_grad_enabled() is create_graph
        seen.append((v is x, *values(x.grad, w.grad)))

    first = x.register_post_accumulate_grad_hook(look)
    w.register_post_accumulate_grad_hook(look)
    other.register_post_accumulate_grad_hook(look)
    x.register_hook(lambda g: g * 10)
    y = (x * w).sum()
    mg.grad(y, [x, w], retain_graph=True)  # adds to no grad
    assert seen == []
    y.backward(create_graph=create_graph, retain_graph=True)
    assert seen == [(True, [30, 40], [1, 2]), (False, [30, 40], [1, 2])]
    first.remove()
    y.backward(inputs=[x])
    assert len(seen) == 2 and values(x.grad) == [[60, 80]]
    y = (x * w).sum()
    y.backward(inputs=[w], create_graph=create_graph)
    assert len(seen) == 3


def test_a_late_hook_may_step_and_forget():
    """PyTorch's optimizer in backward."""
    x = leaf(1.0, 2.0)

    def step(p):
        p.sub_(p.grad * 0.5)
        p.grad = None

    x.register_post_accumulate_grad_hook(step)
    for _ in range(2):
        (x * x).sum().backward()
    assert values(x, x.grad) == [[0, 0], None]
    twin = copy.deepcopy(x)
    (twin * 2).sum().backward()
    assert values(twin.grad) == [[2, 2]]  # hooks are not copied


def test_late_hooks_are_for_leaves():
    x = leaf(1.0)
    x.register_post_accumulate_grad_hook(lambda p: pytest.fail("it has been switched off"))
    y = x * 2
    x.requires_grad = False
    y.backward()
    x.requires_grad = True
    for v in (x * 2, x.detach()):
        with pytest.raises(
            GraphError, match=r"register_post_accumulate_grad_hook: only a leaf that requires grad .*x\.reg"
        ):
            v.register_post_accumulate_grad_hook(print)


@pytest.mark.torch
def test_late_hooks_as_in_torch():
    import torch

    for lib in (mg, torch):
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        seen = []
        x.register_post_accumulate_grad_hook(lambda p, seen=seen: seen.append((p.grad + 0).tolist()))
        handle = x.register_hook(lambda g: g * 2)
        for _ in range(2):
            (x * x).sum().backward()
        handle.remove()
        (x * x).sum().backward()
        assert seen == [[4, 8], [8, 16], [10, 20]]
        with pytest.raises(RuntimeError):
            (x * 2).register_post_accumulate_grad_hook(print)


@pytest.mark.parametrize("on_leaf", [True, False])
def test_a_hook_cannot_change_shape_or_dtype(on_leaf):
    x = leaf(1.0, 2.0)
    h = x if on_leaf else x * 1
    handle = h.register_hook(lambda g: g.sum())
    with pytest.raises(ShapeError, match=r"hook: returned shape \(\) for a gradient of shape \(2,\)"):
        h.sum().backward()
    handle.remove()
    x.grad = None
    h = x if on_leaf else x * 1
    h.register_hook(lambda g: g.double() * 2)
    h.sum().backward()
    assert values(x.grad) == [[2, 2]] and x.grad.dtype == mg.float32


def test_hooks_run_in_grad_and_only_on_the_path():
    x, w = leaf(2.0), leaf(3.0)
    seen = []
    h = x * 2
    h.register_hook(lambda g: seen.append("h"))
    w.register_hook(lambda g: seen.append("w"))
    x.register_hook(lambda g: g * 10)
    assert mg.grad(h * w, x)[0].item() == 60 and seen == ["h"]
    with pytest.raises(GraphError, match="register_hook: this Variable does not require grad"):
        mg.ones(1).register_hook(print)


def test_retain_grad():
    x = leaf(2.0)
    h = x * 3
    h.retain_grad()
    x.retain_grad()  # of a leaf it is kept anyway
    y = h * h
    y.backward(retain_graph=True)
    y.backward()
    assert values(h.grad, x.grad, y.grad) == [[24], [72], None]
    assert not h.grad.requires_grad and h.grad.data is not x.grad.data
    with pytest.raises(GraphError, match="retain_grad: this Variable does not require grad"):
        mg.ones(1).retain_grad()


def test_retain_grad_follows_a_write_in_place():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.retain_grad()
    h.mul_(3)
    h.sum().backward()
    assert values(h.grad, x.grad) == [[1, 1], [6, 6]]


def test_detach_shares_memory_and_stops_gradients():
    x = leaf(2.0)
    h = x * 3
    d = h.detach()
    assert d.data is h.data and not d.requires_grad and d.is_leaf and d.creator is None
    (d * x).backward()
    assert values(x.grad) == [[6]]
    assert h.detach_() is h and h.is_leaf and not h.requires_grad


def test_requires_grad_can_be_set_on_leaves_of_floats():
    x = mg.ones(2)
    y = x * 2
    x.requires_grad = True
    assert x.is_leaf and not y.requires_grad and (x * 2).requires_grad
    x.requires_grad_(False)
    assert not (x * 2).requires_grad
    h = leaf(1.0) * 2
    h.requires_grad = True  # it does already
    with pytest.raises(GraphError, match=r"requires_grad: only a leaf's can be switched off; write y = x.detach\(\)"):
        h.requires_grad = False
    assert h.requires_grad and not h.is_leaf
    for array in (np.ones(2, int), np.ones(2, bool)):
        with pytest.raises(DTypeError, match=r"only floats have gradients, and this is (int64|bool).*x.float\(\)"):
            Variable(array, requires_grad=True)
        with pytest.raises(DTypeError, match="only floats have gradients"):
            Variable(array).requires_grad_()


def test_a_leaf_that_no_longer_requires_grad_gets_none():
    x = leaf(1.0)
    y = x * 2
    x.requires_grad = False
    y.backward()
    assert x.grad is None
