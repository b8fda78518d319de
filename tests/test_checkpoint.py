"""mg.checkpoint: gradients as without, memory let go, the second call as the first, and refusals where it is not."""

import collections
import gc
import tracemalloc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import checkpoint, nn
from minigrad.containers import leaves
from minigrad.errors import GraphError, ShapeError
from minigrad.tape import Variable
from minigrad.tape.modes import recomputing

Pair = collections.namedtuple("Pair", "left right")
draw = np.random.default_rng(5).uniform


def leaf(*shape):
    return mg.tensor(draw(-1, 1, shape), requires_grad=True)


def nodes(*ys):
    """All nodes from which ys were computed."""
    found = list(dict.fromkeys(y.creator for y in ys if y.creator is not None))
    for node in found:
        found += [e for e in dict.fromkeys(node.edges) if e is not None and e.order and e not in found]
    return found


def kept(*ys):
    """The arrays that the nodes behind ys have saved."""
    return [a for node in nodes(*ys) for a in node.saved or () if hasattr(a, "shape")]


class Counted:
    """A function, and how often it was called."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.function(*args, **kwargs)


# --- the same as without -----------------------------------------------------------------------------------------

own = SimpleNamespace()  # parameters


@pytest.fixture(autouse=True)
def _parameters():
    own.w, own.b = leaf(4, 4), leaf(4)
    own.net = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 4)).double()


def written(x):
    y = x * 2.0
    y[:, 0] = mg.tanh(x[:, 1])
    y.mul_(mg.exp(x))
    return y * y


def inner_gradient(x):
    (g,) = mg.grad((mg.sin(x) * own.w).sum(), x, create_graph=True)
    return g * x


FUNCTIONS = {
    "one operation": lambda x: mg.tanh(x),
    "a closure's parameters": lambda x: mg.tanh(F.linear(x, own.w, own.b)) @ own.w,
    "a module": lambda x: own.net(x) * x,
    "a module itself": lambda x: own.net(x),
    "an input as output": lambda x: (x, x * x),
    "nothing recorded": lambda x: (mg.ones(2), x.detach() * 2),
    "several outputs": lambda x: {"a": x * own.w, "b": [mg.exp(x), Pair(x.sum(), x.detach())], "n": 3, "none": None},
    "several outputs of one operation": lambda x: [part * part for part in x.split(1, dim=1)],
    "an integer output": lambda x: x.max(dim=1),
    "writing in place": written,
    "a gradient inside": inner_gradient,
    "no_grad inside": lambda x: x * mg.no_grad()(mg.exp)(x),
    "dropout": lambda x: F.dropout(mg.sin(x), 0.5) * F.dropout(x, 0.3),
    "nested": lambda x: checkpoint(lambda y: mg.sin(checkpoint(mg.exp, y) * own.w) * y, mg.tanh(x)) * x,
    "nested, writing in place": lambda x: checkpoint(written, checkpoint(written, mg.tanh(x))) * x,
    "one twice": lambda x: checkpoint(own.net, x) * checkpoint(own.net, x * 2),
    "images": lambda x: F.max_pool2d(F.conv2d(x.reshape(1, 1, 4, 4), own.w[None, None, :2, :2], padding=1), 2, 1),
}
functions = pytest.mark.parametrize("name", FUNCTIONS)


def outcome(run, x, second):
    """Outputs and gradients, or gradients of a function of these; and the next random number."""
    mg.manual_seed(7)
    h = x * 1.5
    outputs = run(h)
    ys = [y for y in leaves(outputs) if isinstance(y, Variable)]
    targets = [x, h, own.w, own.b, *own.net.parameters()]
    total = sum(((y.double() ** 2).sum() for y in ys if y.requires_grad), start=(h * h).sum())
    gs = mg.grad(total, targets, create_graph=second, allow_unused=True)
    if second:
        total = sum((g**2).sum() for g in gs if g is not None)
        gs += mg.grad(total, targets, allow_unused=True)
    return [*ys, *gs, mg.rand(1)]


def assert_same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            assert (x.dtype, x.requires_grad) == (y.dtype, y.requires_grad)
            np.testing.assert_array_equal(x.numpy(force=True), y.numpy(force=True))


@functions
@pytest.mark.parametrize("second", [False, True], ids=["", "double backward"])
def test_values_and_gradients_are_the_same(name, second):
    x, function = leaf(4, 4), FUNCTIONS[name]
    assert_same(outcome(lambda x: checkpoint(function, x), x, second), outcome(function, x, second))


@functions
def test_nothing_is_kept(name):
    x = leaf(4, 4)
    outputs = [y for y in leaves(checkpoint(FUNCTIONS[name], x)) if isinstance(y, Variable)]
    assert kept(*outputs) == []
    recorded = [y for y in outputs if y.requires_grad]
    mg.grad([y.sum() for y in recorded], x, allow_unused=True) if recorded else None


OPERATIONS = [
    mg.tanh,
    mg.sin,
    lambda x: x * mg.sin(x) * 0.1,
    lambda x: F.layer_norm(x, (4,)),
    lambda x: x @ own.w * 0.3,
]
programs = st.recursive(
    st.integers(0, len(OPERATIONS) - 1), lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=8
)


@given(program=programs)
def test_any_nesting(program):
    def run(step, x, wrap):
        if isinstance(step, int):
            return OPERATIONS[step](x)

        def inside(x):
            for s in step:
                x = run(s, x, wrap)
            return x

        return wrap(inside, x)

    x = mg.tensor(np.linspace(-1, 1, 8).reshape(2, 4), requires_grad=True)
    for second in (False, True):
        assert_same(
            outcome(lambda x: run(program, x, checkpoint), x, second),
            outcome(lambda x: run(program, x, lambda f, x: f(x)), x, second),
        )


def test_gradients_arrive_in_grad_and_are_checked():
    x = leaf(3, 4)
    assert mg.gradgradcheck(lambda x, w: checkpoint(lambda x: mg.tanh(x @ w) * x, x), x, leaf(4, 4))
    checkpoint(own.net, x).sum().backward()
    found = [p.grad for p in (x, *own.net.parameters())]
    own.net.zero_grad()
    expected = mg.grad(own.net(x).sum(), [x, *own.net.parameters()])
    assert_same(found, expected)


def test_derivatives_by_func():
    def f(x):
        return (mg.tanh(x @ own.w) ** 2).sum()

    def g(x):
        return checkpoint(f, x)

    x = leaf(4).detach()
    for transform in (mg.func.hessian, mg.func.jacfwd, lambda f: lambda x: mg.func.hvp(f, x, x)[1]):
        assert_same(leaves(transform(g)(x)), leaves(transform(f)(x)))


@pytest.mark.torch
def test_as_in_torch():
    torch = pytest.importorskip("torch")
    from torch.utils.checkpoint import checkpoint as theirs

    x0, w0 = draw(-1, 1, (3, 4)), draw(-1, 1, (4, 4))

    def results(m, checkpoint, make):
        x, w = make(x0), make(w0)

        def block(t, *, scale):
            return {"y": m.tanh(t["x"] @ w) * scale, "z": m.exp(t["x"]).sum()}

        out = checkpoint(block, {"x": x * 2}, scale=3.0, use_reentrant=False)
        (gx,) = m.autograd.grad(out["y"].sum() * out["z"], x, create_graph=True)
        (gx**2).sum().backward()
        return out["y"], out["z"], gx, x.grad, w.grad

    class Ours:
        tanh, exp, autograd = staticmethod(mg.tanh), staticmethod(mg.exp), mg

    ours = results(Ours, checkpoint, lambda a: Variable(a.copy(), requires_grad=True))
    expected = results(torch, theirs, lambda a: torch.tensor(a, requires_grad=True))
    for a, e in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a.numpy(force=True), e.detach().numpy(), rtol=1e-9)


# --- memory ------------------------------------------------------------------------------------------------------


def test_the_peak_is_lower():
    """A chain of 24 steps, each keeping two arrays."""
    x = mg.ones(100_000, requires_grad=True)

    def step(x):
        return mg.tanh(mg.sin(mg.exp(x)))

    def peak(run):
        tracemalloc.start()
        (g,) = mg.grad(run(x).sum(), x)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size / x.data.nbytes, g

    steps = [step] * 24
    (plain, g), (less, h) = (
        peak(lambda x: mg.checkpoint_sequential(steps, 1, x)),
        peak(lambda x: mg.checkpoint_sequential(steps, 6, x)),
    )
    assert_same([g], [h])
    assert plain > 45 and less < 22
    halves = [lambda x: mg.checkpoint_sequential(steps[:12], 4, x)] * 2
    nested, g = peak(lambda x: checkpoint(halves[0], checkpoint(halves[1], x)))
    assert_same([g], [h])
    assert nested < 18


def test_what_was_computed_again_goes_as_backward_goes():
    """Each step of the second call is let go when its gradient has been taken, and nothing is left in the end."""
    alive = []

    def f(x):
        for _ in range(5):
            x = mg.tanh(x)
            alive.append(weakref.ref(x.data))
            x.register_hook(lambda g: counts.append(sum(r() is not None for r in alive)))
        return x * 1.0

    counts: list = []
    y = checkpoint(f, mg.ones(3, requires_grad=True))
    assert [r() for r in alive] == [None] * 5
    gc.disable()
    try:
        y.sum().backward()
        assert len(alive) == 10 and counts == [5, 5, 4, 3, 2]
        assert not any(r() is not None for r in alive)
    finally:
        gc.enable()


def test_no_cycles():
    gc.disable()
    try:
        x = mg.ones(3, requires_grad=True)
        h = x * 2
        y = checkpoint(lambda h: mg.tanh(mg.tanh(h)), h)
        h.add_(y)  # h is computed from y now
        gone = weakref.ref(y.creator)
        del y, h
        assert gone() is None
        y = checkpoint(lambda x: checkpoint(mg.exp, mg.tanh(x)), x)
        y.sum().backward(retain_graph=True)
        gone = weakref.ref(y.creator)
        del y
        assert gone() is None
    finally:
        gc.enable()


# --- how often ---------------------------------------------------------------------------------------------------


def test_the_function_is_called_twice_a_nested_one_three_times():
    inner = Counted(mg.exp)
    outer = Counted(lambda x: checkpoint(inner, mg.sin(x)) * x)
    y = checkpoint(outer, mg.ones(3, requires_grad=True))
    assert (outer.calls, inner.calls) == (1, 1)
    y.sum().backward()
    assert (outer.calls, inner.calls) == (2, 3)


def test_a_second_backward():
    f, x = Counted(lambda x: mg.tanh(x) * x), mg.ones(3, requires_grad=True)
    y = checkpoint(f, x).sum()
    y.backward(retain_graph=True)
    first = x.grad.clone()
    y.backward()
    assert f.calls == 2 and x.grad.tolist() == (first * 2).tolist()
    with pytest.raises(GraphError, match="were freed by an earlier backward"):
        y.backward()
    assert f.calls == 2


def test_outputs_one_after_the_other():
    f, x = Counted(lambda x: (mg.tanh(x), mg.exp(x) * x)), leaf(3)
    a, b = checkpoint(f, x)
    found = [mg.grad(a.sum(), x), mg.grad(b.sum(), x)]
    a, b = f.function(x)
    assert_same([g for (g,) in found], [*mg.grad(a.sum(), x), *mg.grad(b.sum(), x)])
    assert f.calls == 2


def test_nothing_is_computed_again_that_nobody_asks_for():
    f, x = Counted(mg.exp), leaf(3)
    with mg.no_grad():
        assert checkpoint(f, x).creator is None
    checkpoint(f, x.detach())
    h = checkpoint(f, x)
    mg.grad((h * h).sum(), h)
    assert f.calls == 3


def test_hooks_inside_run_once():
    seen = []

    def f(x):
        y = mg.tanh(x)
        y.register_hook(lambda g: seen.append(g) or g * 2)
        return y * 1.0

    x = mg.zeros(3, requires_grad=True)
    checkpoint(f, x).sum().backward()
    assert len(seen) == 1 and x.grad.tolist() == [2, 2, 2]


def test_the_second_call_can_be_told_from_the_first():
    x, seen = leaf(3), []
    checkpoint(lambda x: seen.append(recomputing.get()) or mg.exp(x), x).sum().backward()
    assert [*seen, recomputing.get()] == [False, True, False]


def test_batch_norm_counts_a_batch_once():
    x = mg.randn(8, 4)
    plain, saving = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    plain(x).sum().backward()
    checkpoint(lambda x: checkpoint(saving, x) * 1.0, x).sum().backward()
    assert saving.num_batches_tracked.item() == 1
    assert_same(list(saving.buffers()), list(plain.buffers()))


# --- the second call is as the first -----------------------------------------------------------------------------


def test_the_random_numbers_of_others_go_on():
    g = mg.manual_seed(3)
    x = leaf(50)
    y = checkpoint(lambda x: F.dropout(x, 0.5), x)
    other = mg.rand(4)
    y.sum().backward()
    assert (x.grad.numpy() > 0).tolist() == (y.numpy(force=True) != 0).tolist()
    after = mg.rand(4)
    assert mg.ops.random.generator() is g
    mg.manual_seed(3)
    F.dropout(x, 0.5)
    assert_same([mg.rand(4), mg.rand(4)], [other, after])


def test_random_numbers_need_not_be_preserved():
    x = leaf(50)
    y = checkpoint(lambda x: F.dropout(x, 0.5), x, preserve_rng_state=False)
    y.sum().backward()
    assert (x.grad.numpy() > 0).tolist() != (y.numpy(force=True) != 0).tolist()


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("later", [True, False])
def test_autocast_is_as_it_was(enabled, later):
    def run(wrap):
        layer, x = nn.Linear(4, 4), mg.randn(3, 4, requires_grad=True)
        with mg.autocast(x.device.type, enabled=enabled):
            y = wrap(lambda x: layer(mg.tanh(layer(x))) * layer(x), x * 2)
        with mg.autocast(x.device.type, enabled=later):
            y.float().sum().backward()
        return [y, x.grad, layer.weight.grad, layer.bias.grad]

    mg.manual_seed(1)
    ours = run(checkpoint)
    mg.manual_seed(1)
    assert_same(ours, run(lambda f, x: f(x)))


def test_dropout_and_devices_on_a_gpu(cuda):
    device = "cuda:1" if mg.cuda.device_count() > 1 else "cuda:0"
    layer = nn.Linear(4, 4).to(device)

    def f(x):
        return F.dropout(layer(x), 0.5) * mg.full((4,), 2.0)  # full goes to the default device

    def run(wrap):
        mg.manual_seed(0)
        x = mg.ones(8, 4, device=device, requires_grad=True)
        with mg.device(device):
            y = wrap(f, x)
        g = mg.grad(y.sum(), [x, *layer.parameters()])
        return [y.cpu(), *(a.cpu() for a in g), mg.cuda.get_rng_state(device)["counter"]]

    *ours, counter = run(checkpoint)
    *plain, expected = run(lambda f, x: f(x))
    assert_same(ours, plain)
    assert counter == expected


def test_exceptions_of_the_second_call_pass_through():
    def f(x):
        if f.calls:
            raise ShapeError("now")
        f.calls += 1
        return mg.exp(x)

    f.calls = 0
    y = checkpoint(f, leaf(3))
    with pytest.raises(ShapeError, match="now"):
        y.sum().backward()
    with pytest.raises(ShapeError, match="now"):
        y.sum().backward()
    assert mg.is_grad_enabled()


def test_arguments_of_all_kinds():
    def f(n, t, *, table, power=1):
        return (t[0] * table["s"]) ** power * n + t[1]

    x, s = leaf(3), leaf(3)

    def gradients(call):
        y = call(f, 2.0, Pair(x * 1.0, mg.ones(3).data), table={"s": s}, power=3)
        return mg.grad(y.sum(), [x, s])

    assert_same(gradients(checkpoint), gradients(lambda f, *args, **options: f(*args, **options)))


# --- refusals ----------------------------------------------------------------------------------------------------


def growing():
    calls = iter(range(1, 9))
    return lambda x: mg.exp(x).expand(next(calls), 3).sum(0)


def deepening():
    calls = iter(range(1, 9))

    def f(x):
        for _ in range(next(calls)):
            x = mg.exp(x)
        return x

    return f


def caching():
    kept = []

    def f(x):
        kept[1:] or kept.append(own.w[0, :3] * 1.0)
        return kept[0] * mg.exp(x)

    return f


def alternating():
    given = iter([own.w, own.b, own.w])
    return lambda x: mg.exp(x) * next(given).sum()


def first_one_then_another():
    given = iter([mg.exp, mg.sin])
    return lambda x: next(given)(x)


CHANGING = {
    growing: r"recorded expand float64 \(2, 3\) as operation 1, and the first expand float64 \(1, 3\); it must",
    deepening: "recorded 2 operations, and the first 1",
    alternating: "other Variables that require grad as the operands of sum float64",
    first_one_then_another: r"recorded sin float64 \(3,\) as operation 0, and the",
}


@pytest.mark.parametrize("make", CHANGING, ids=lambda make: make.__name__)
def test_a_second_call_that_does_something_else_is_refused(make):
    y = checkpoint(make(), leaf(3))
    with pytest.raises(GraphError, match=f"checkpoint: called again, the function .*{CHANGING[make]}"):
        y.sum().backward()


def test_results_of_the_first_call_that_are_kept_are_refused():
    y = checkpoint(caching(), leaf(3))
    with pytest.raises(GraphError, match="checkpoint: called again"):
        y.sum().backward()


def test_parameters_that_functional_call_gave_outside_are_refused():
    layer = nn.Linear(3, 3)
    given = {"weight": mg.eye(3, requires_grad=True)}

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return checkpoint(lambda x: mg.tanh(self.layer(x)), x)

    y = mg.func.functional_call(Net(), {"layer.weight": given["weight"]}, mg.ones(1, 3))
    with pytest.raises(GraphError, match=r"other Variables that require grad .* call it inside of the function"):
        y.sum().backward()
    y = checkpoint(
        lambda w, x: mg.tanh(mg.func.functional_call(layer, {"weight": w}, x)), given["weight"], mg.ones(1, 3)
    )
    expected = mg.tanh(mg.func.functional_call(layer, given, mg.ones(1, 3)))
    assert_same(mg.grad(y.sum(), given["weight"]), mg.grad(expected.sum(), given["weight"]))


def overwrite(x):
    with mg.no_grad():
        x.mul_(2.0)


def replace(x):
    x.data = x.data * 2


@pytest.mark.parametrize("change", [overwrite, replace])
def test_what_has_been_overwritten_is_refused(change):
    x, h, w = leaf(3), leaf(3) * 1.0, leaf(3)

    def f(tree, *, shift=0.0):
        return mg.exp(tree["h"][0] + w) + shift

    y = checkpoint(f, {"h": [h]}, shift=x)
    change(x)
    with pytest.raises(GraphError, match=r"checkpoint: argument\['shift'\] \(3,\) has been overwritten since"):
        y.sum().backward()
    y = checkpoint(f, {"h": [h]}, shift=x)
    change(w)
    with pytest.raises(GraphError, match=r"checkpoint: a parameter that is used \(3,\) has been overwritten since"):
        y.sum().backward()
    y = checkpoint(f, {"h": [h]}, shift=x)
    change(h)
    if change is overwrite:
        with pytest.raises(
            GraphError, match=r"checkpoint: argument\[0\]\['h'\]\[0\] \(3,\) has been overwritten since"
        ):
            y.sum().backward()
    else:
        y.sum().backward()  # it is known what h was


def test_an_output_may_be_overwritten():
    x = leaf(3)
    y = checkpoint(lambda x: mg.exp(x), x)
    expected = y.numpy(force=True).copy()
    with mg.no_grad():
        y.fill_(0.0)
    np.testing.assert_allclose(mg.grad(y.sum(), x)[0].numpy(), expected)


# --- checkpoint_sequential ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequential(segments):
    layers = [Counted(nn.Linear(4, 4).double()) for _ in range(5)]
    net, x = nn.Sequential(*(layer.function for layer in layers)), leaf(2, 4)
    y = mg.checkpoint_sequential(layers, segments, x)
    parameters = list(net.parameters())
    assert_same([y, *mg.grad(y.sum(), [x, *parameters])], [net(x), *mg.grad(net(x).sum(), [x, *parameters])])
    last = len(layers) - 5 // segments * (segments - 1)
    assert [layer.calls for layer in layers] == [2] * (5 - last) + [1] * last
    assert_same([mg.checkpoint_sequential(net, segments, x)], [y])


@pytest.mark.parametrize("segments", [0, 3])
def test_sequential_refuses(segments):
    with pytest.raises(ValueError, match=f"segments must be 1 to 2, got {segments}"):
        mg.checkpoint_sequential([mg.exp, mg.sin], segments, leaf(2))
