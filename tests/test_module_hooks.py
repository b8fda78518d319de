"""Hooks on modules: the same calls, in the same order, with the same values as in PyTorch."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad import GraphError, ShapeError, nn


def told(x):
    """Variables and tensors as nested lists, so that those of two libraries compare."""
    if isinstance(x, (tuple, list)):
        return tuple(told(y) for y in x)
    return round(x.item(), 4) if getattr(x, "shape", None) == () else x.tolist() if hasattr(x, "tolist") else x


def two(lib):
    """A module of two inputs and two outputs, of the library `lib`."""

    class Two(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = lib.nn.Parameter(lib.tensor([2.0]))
            self.v = lib.nn.Parameter(lib.tensor([5.0]))

        def forward(self, a, b=None, k=3):
            return a * self.w, (a if b is None else b) * self.v

    return Two()


def leaf(lib, value, wanted=True):
    return lib.tensor([value], requires_grad=wanted)


def log_of(module, name=""):
    """A list to which hooks of all kinds on `module` write."""
    log = []
    module.register_forward_pre_hook(lambda m, args: log.append((name, "pre", told(args))))
    module.register_forward_hook(lambda m, args, y: log.append((name, "post", told(args), told(y))))
    module.register_full_backward_pre_hook(lambda m, go: log.append((name, "back pre", told(go))))
    module.register_full_backward_hook(lambda m, gi, go: log.append((name, "back", told(gi), told(go))))
    return log


# --- scenarios: functions of a library, run in minigrad and in PyTorch --------------------------------------------


def one_output_is_unused(lib):
    m, x, y = two(lib), leaf(lib, 3.0), leaf(lib, 4.0, False)
    log = log_of(m)
    m(x, y)[0].sum().backward()
    return log, told([x.grad, m.w.grad, m.v.grad])


def both_inputs_want_gradients(lib):
    m, x, y = two(lib), leaf(lib, 3.0), leaf(lib, 4.0)
    log = log_of(m)
    a, b = m(x, y)
    (a * b).sum().backward()
    return log, told([x.grad, y.grad, m.w.grad, m.v.grad])


def an_argument_by_name_is_not_shown(lib):
    m, x, y = two(lib), leaf(lib, 3.0), leaf(lib, 4.0)
    log = log_of(m)
    a, b = m(x, b=y, k="word")
    (a * b).sum().backward()
    return log, told([x.grad, y.grad])


def an_argument_is_no_variable(lib):
    m, x = two(lib), leaf(lib, 3.0)
    log = log_of(m)
    a, b = m(x, None, "word")
    (a * b).sum().backward()
    return log, told([x.grad])


def hooks_replace_gradients(lib):
    m, x, y = two(lib), leaf(lib, 3.0), leaf(lib, 4.0)
    m.register_full_backward_pre_hook(lambda m, go: (go[0] * 10, None))
    m.register_full_backward_pre_hook(lambda m, go: log.append(told(go)))
    m.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1, gi[1] + 2))
    log = log_of(m)
    a, b = m(x, y)
    (a * b).sum().backward()
    return log, told([x.grad, y.grad, m.w.grad, m.v.grad])


def a_gradient_is_dropped(lib):
    m, x, y = two(lib), leaf(lib, 3.0), leaf(lib, 4.0)
    m.register_full_backward_hook(lambda m, gi, go: (None, gi[1]))
    a, b = m(x, y)
    (a * b).sum().backward()
    return told([x.grad, y.grad])


def modules_in_modules(lib):
    inner, last = lib.nn.Linear(2, 2), lib.nn.Linear(2, 1)
    with lib.no_grad():
        inner.weight[...] = lib.tensor([[1.0, 2.0], [3.0, 4.0]])
        inner.bias[...] = lib.tensor([0.5, -0.5])
        last.weight[...] = lib.tensor([[2.0, -1.0]])
        last.bias[...] = lib.tensor([0.25])
    net = lib.nn.Sequential(inner, lib.nn.ReLU(), last)
    logs = [log_of(m, str(i)) for i, m in enumerate([net, *net])]
    order = []
    for i, m in enumerate([net, *net]):
        m.register_full_backward_pre_hook(lambda *_, i=i: order.append((i, "pre")))
        m.register_full_backward_hook(lambda *_, i=i: order.append((i, "post")))
    x = lib.tensor([[1.0, -1.0], [0.5, 2.0]], requires_grad=True)
    net(x).sum().backward()
    return logs, order, told([x.grad, *(p.grad for p in net.parameters())])


def two_backwards(lib):
    m, x = two(lib), leaf(lib, 3.0)
    log = log_of(m)
    y = m(x)[0].sum()
    y.backward(retain_graph=True)
    y.backward()
    return log, told(x.grad)


def a_module_called_twice(lib):
    m, x = two(lib), leaf(lib, 3.0)
    log = log_of(m)
    (m(m(x)[0])[0] * m(x)[1]).sum().backward()
    return log, told([x.grad, m.w.grad])


def the_second_derivative(lib):
    grad = getattr(lib, "grad", None) or lib.autograd.grad
    m, x = two(lib), leaf(lib, 3.0)
    log = log_of(m)
    m.register_full_backward_hook(lambda m, gi, go: (gi[0] * gi[0],))
    (first,) = grad((m(x)[0] ** 3).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x)
    return log, told([first, second])


def gradients_past_the_outputs(lib):
    grad = getattr(lib, "grad", None) or lib.autograd.grad
    m, x = two(lib), leaf(lib, 3.0)
    log, inside = log_of(m), []
    plain = m.forward
    m.forward = lambda a: inside.append(a) or plain(a)
    m(x)
    return log, told(grad((inside[0] * 2).sum(), x))


def identity(lib):
    m, x = lib.nn.Identity(), leaf(lib, 3.0)
    log = log_of(m)
    m(x).backward()
    return log, told(x.grad)


def off_the_tape(lib):
    m = two(lib)
    log = log_of(m)
    with lib.no_grad():
        m(leaf(lib, 3.0))
    return log


def prepended(lib):
    m, x, log = two(lib), leaf(lib, 3.0), []
    for name, prepend in (("a", False), ("b", True), ("c", False), ("d", True)):
        m.register_forward_pre_hook(lambda *_, n=name: log.append(("pre", n)), prepend=prepend)
        m.register_forward_hook(lambda *_, n=name: log.append(("post", n)), prepend=prepend)
        m.register_full_backward_pre_hook(lambda *_, n=name: log.append(("back pre", n)), prepend=prepend)
        m.register_full_backward_hook(lambda *_, n=name: log.append(("back", n)), prepend=prepend)
    m(x)[0].backward()
    return log


def with_keyword_arguments(lib):
    m, log = two(lib), []
    m.register_forward_pre_hook(lambda m, args, kwargs: ((args[0] + 1,), {"b": kwargs["b"] * 2}), with_kwargs=True)
    m.register_forward_pre_hook(lambda m, args: log.append(told(args)))
    m.register_forward_hook(lambda m, args, kwargs, y: log.append((told(args), told(kwargs["b"]))), with_kwargs=True)
    m.register_forward_hook(lambda m, args, kwargs, y: (y[1], y[0]), with_kwargs=True)
    return told(m(leaf(lib, 3.0), b=leaf(lib, 4.0))), log


def always_called(lib):
    m, log = two(lib), []
    m.register_forward_hook(lambda m, args, y: log.append("not reached"))
    m.register_forward_hook(lambda m, args, k, y: log.append((told(args), k, y)), with_kwargs=True, always_call=True)
    m.register_forward_hook(lambda m, args, y: "changed", always_call=True)
    m.register_forward_hook(lambda m, args, y: log.append(y), always_call=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        m(leaf(lib, 3.0), z=4)
    m = lib.nn.Identity()
    m.register_forward_hook(lambda m, args, y: log.append("called once"), always_call=True)
    m.register_forward_hook(lambda m, args, y: 1 / 0)
    m.register_forward_hook(lambda m, args, y: log.append(told(y)), always_call=True)
    with pytest.raises(ZeroDivisionError):
        m(leaf(lib, 3.0))
    return log


def removed(lib):
    m, x, log = two(lib), leaf(lib, 3.0), []
    handles = [
        m.register_full_backward_hook(lambda *_: log.append("a")),
        m.register_full_backward_pre_hook(lambda *_: log.append("b")),
    ]
    y = m(x)[0]
    for handle in handles:
        handle.remove()
    y.backward()  # the hooks are those of the call
    m(x)[0].backward()
    return log


def a_copy_has_the_hooks(lib):
    m, log = two(lib), []
    handle = m.register_full_backward_hook(lambda m, gi, go: log.append(told([m.w, gi])))
    twin = copy.deepcopy(m)
    with lib.no_grad():
        twin.w[...] = 7.0
    handle.remove()
    for each in (m, twin):
        each(leaf(lib, 3.0))[0].backward()
    return log


SCENARIOS = [
    one_output_is_unused, both_inputs_want_gradients, an_argument_by_name_is_not_shown, an_argument_is_no_variable,
    hooks_replace_gradients, a_gradient_is_dropped, modules_in_modules, two_backwards, a_module_called_twice,
    the_second_derivative, gradients_past_the_outputs, identity, off_the_tape, prepended, with_keyword_arguments,
    always_called, removed, a_copy_has_the_hooks,
]  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__)
def test_as_in_torch(scenario):
    torch = pytest.importorskip("torch")
    ours, theirs = scenario(mg), scenario(torch)
    assert repr(ours) == repr(theirs)
    assert ours


# --- what differs, or is minigrad's own --------------------------------------------------------------------------


def test_no_input_wants_a_gradient():  # PyTorch also warns
    m = two(mg)
    log = log_of(m)
    a, b = m(leaf(mg, 3.0, False), leaf(mg, 4.0, False))
    (a + b).sum().backward()
    assert log[2:] == [("", "back pre", ([1.0], [1.0])), ("", "back", (None, None), ([1.0], [1.0]))]
    assert told([m.w.grad, m.v.grad]) == ([3.0], [4.0])


@pytest.mark.parametrize(
    "register", ["register_forward_hook", "register_full_backward_hook", "register_full_backward_pre_hook"]
)
def test_a_hook_that_looks_changes_no_gradient(register):
    """An input that got no gradient has none, though the hook is shown zeros: PyTorch gives it the zeros."""
    m, x, y = two(mg), leaf(mg, 3.0), leaf(mg, 4.0)
    getattr(m, register)(lambda *_: None)
    m(x, y)[0].backward()
    assert told([x.grad, y.grad, m.w.grad, m.v.grad]) == ([2.0], None, [3.0], None)


def test_one_gradient_may_be_returned_without_a_tuple():
    m, x = nn.Identity(), leaf(mg, 3.0)
    m.register_full_backward_hook(lambda m, gi, go: gi[0] * 3)
    m.register_full_backward_pre_hook(lambda m, go: go[0] * 5)
    m(x).backward()
    assert told(x.grad) == [15.0]


def test_gradients_take_the_dtype_of_their_value():
    m, x = nn.Identity(), leaf(mg, 3.0)
    m.register_full_backward_hook(lambda m, gi, go: (gi[0].double() * 3,))
    m(x).backward()
    assert x.grad.dtype == "float32" and told(x.grad) == [3.0]


@pytest.mark.parametrize(
    ("hook", "error", "message"),
    [
        (lambda m, gi, go: (gi[0],), GraphError, r"backward hook of Two: returned 1 gradients, expected 2, one for"),
        (lambda m, gi, go: (gi[0], mg.ones(2)), ShapeError, r"gradient 1 that it returned has shape \(2,\), exp.*\(1,"),
        (lambda m, gi, go: 1 / 0, ZeroDivisionError, "division by zero"),
    ],
)
def test_errors_of_backward_hooks(hook, error, message):
    m = two(mg)
    m.register_full_backward_hook(hook)
    a, b = m(leaf(mg, 3.0), leaf(mg, 4.0))
    with pytest.raises(error, match=message) as raised:
        (a + b).backward()
    assert "in the backward of boundary" in "".join(raised.value.__notes__)


def test_errors_of_other_hooks():
    m = two(mg)
    with m.register_full_backward_pre_hook(lambda m, go: (go[0],)):
        y = m(leaf(mg, 3.0))[0]
    with pytest.raises(GraphError, match=r"backward pre-hook of Two: returned 1 gradients, expected 2"):
        y.backward()
    with m.register_full_backward_hook(lambda m, gi, go: (go[0],)):
        y = m(leaf(mg, 3.0, False))[0]
    with pytest.raises(GraphError, match="no input of this call requires grad, so there is no gradient to replace"):
        y.backward()
    m.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(GraphError, match=r"forward pre-hook of Two, registered with_kwargs: expected None or a pair"):
        m(leaf(mg, 3.0))


@pytest.mark.parametrize("output", [dict, list])
def test_an_output_that_gradients_are_not_looked_for_in(output):
    class Odd(nn.Module):
        def forward(self, x):
            return output([("y", x * 2)])

    m = Odd()
    m.register_full_backward_hook(lambda *_: 1 / 0)
    with pytest.warns(UserWarning, match=f"of Odd: its output must be a Variable or a tuple .* is a {output.__name__}"):
        m(leaf(mg, 3.0))


def test_a_second_error_is_a_warning():
    m = nn.Module()
    m.register_forward_hook(lambda m, args, y: 1 / 0, always_call=True)
    with (
        pytest.warns(UserWarning, match=r"always_call=True, called after an exception, raised another: ZeroDivisionE"),
        pytest.raises(NotImplementedError),
    ):
        m(1)


def test_a_leaf_behind_a_hook_is_not_written_on_the_tape():
    """A write into an argument must know of which leaf it is the memory, though a node with two inputs is between."""

    class Writes(nn.Module):
        def forward(self, a, b):
            return b.add_(1.0)

    m, a, b = Writes(), leaf(mg, 3.0), leaf(mg, 4.0)
    m.register_full_backward_hook(lambda *_: None)
    with pytest.raises(GraphError, match="a view of a leaf that requires grad cannot be changed in place"):
        m(a * 2, b)
    with pytest.raises(GraphError, match="a view of a leaf that requires grad cannot be changed in place"):
        m(mg.zeros(1), b)
    assert told(m(a, b * 2)) == [9.0]


def test_what_was_overwritten_is_not_taken_for_what_it_was():
    m, x = nn.Identity(), leaf(mg, 3.0)
    m.register_full_backward_hook(lambda *_: None)
    y = x * 2
    view = y[:]
    view.add_(1.0)
    with pytest.raises(GraphError, match="shares memory with a Variable that has been overwritten"):
        m(y)


def test_a_namedtuple_stays_one():
    class Net(nn.Module):
        def forward(self, x):
            return mg.sort(x)

    m, log = Net(), []
    m.register_full_backward_hook(lambda m, gi, go: log.append(told([gi, go])))
    y = m(mg.tensor([3.0, 1.0], requires_grad=True))
    assert y._fields == ("values", "indices")
    y.values[0].backward()
    assert log == [(([0.0, 1.0],), ([1.0, 0.0], None))]


def test_with_checkpoint():
    m, x, log = nn.Linear(2, 2), mg.ones(1, 2, requires_grad=True), []
    m.register_full_backward_hook(lambda m, gi, go: log.append(told(gi)))
    m(x).sum().backward()
    mg.checkpoint(m, x).sum().backward()
    assert log == [log[0]] * 2
    np.testing.assert_allclose(x.grad.data[0], 2 * np.array(log[0][0][0]), rtol=1e-6)


def test_hooks_see_the_gradients_of_any_walk():
    m, x = two(mg), leaf(mg, 3.0)
    log = log_of(m)
    assert told(mg.grad(m(x)[0], m.w)) == ([3.0],)
    assert [entry[1] for entry in log] == ["pre", "post", "back pre"]  # the gradient of x was not computed


def tripled(module, args, output):
    return output * 3


def test_pickle():
    m = nn.Identity()
    m.register_forward_hook(tripled)
    other = pickle.loads(pickle.dumps(m))
    assert other(2) == 6
    other.register_forward_hook(tripled)
    assert other(2) == 18 and m(2) == 6


def test_a_key_of_another_process_is_not_taken_twice(monkeypatch):
    m = nn.Identity()
    first = m.register_forward_hook(tripled)
    keys = iter([first.key, first.key, first.key + 1000])
    monkeypatch.setattr("minigrad.tape.variable.tick", lambda: next(keys))
    monkeypatch.setattr("minigrad.nn.hooks.tick", lambda: next(keys))
    second = m.register_forward_hook(tripled)
    assert m(2) == 18
    second.remove()
    assert m(2) == 6


def test_nothing_is_left_of_a_call():
    m, x = nn.Linear(2, 2), mg.ones(1, 2, requires_grad=True)
    m.register_full_backward_hook(lambda *_: None)
    gc.collect()
    gc.disable()
    try:
        y = m(x)
        node = weakref.ref(y.creator.edges[0])
        y.sum().backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def test_without_backward_hooks_there_are_no_nodes():
    m = nn.Linear(2, 2)
    m.register_forward_hook(lambda *_: None)
    assert m(mg.ones(1, 2)).creator.name == "linear"
