"""mg.func: values against torch.func, structure, composition, what is left alone, and refusals."""

import collections
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops_table import ROWS
from test_examples import blocks, compare, promised

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import func, nn
from minigrad.containers import leaves, leaves_like, paths, rebuilt
from minigrad.errors import DTypeError, GraphError, IndexRangeError, ShapeError, StateError

# PyTorch's forward differentiation compiles decompositions on its first use.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
Pair = collections.namedtuple("Pair", "left right")
draw = np.random.default_rng(3).uniform
X, Y, M = draw(0.5, 2, (3,)), draw(0.5, 2, (3,)), draw(-1, 1, (4, 3))


def variables(tree):
    return rebuilt(tree, [mg.tensor(x) for x in leaves(tree)])


def tensors(tree):
    torch = pytest.importorskip("torch")
    return rebuilt(tree, [torch.tensor(x) for x in leaves(tree)])


def numbers(x):
    if isinstance(x, mg.Variable):
        return x.numpy(force=True)
    return x.detach().numpy() if hasattr(x, "detach") else np.asarray(x)


def assert_same(ours, theirs, **tolerance):
    """The same containers, and the same numbers in them."""
    assert paths(ours) == paths(theirs)
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        a, b = numbers(a), numbers(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, **({"rtol": 1e-9, "atol": 1e-11} | tolerance))


# --- as torch.func -----------------------------------------------------------------------------------------------

# Functions of (library, *arguments), with arguments.
SCALARS = {
    "sum of products": (lambda m, x, y: (x * x * y).sum(), (X, Y)),
    "one of two": (lambda m, x, y: (m.sin(x) ** 3).sum(), (X, Y)),
    "matrix": (lambda m, w, x: m.tanh(w @ x).sum(), (M, X)),
    "0-d": (lambda m, x, y: x * m.exp(y) + y / x, (np.array(0.7), np.array(1.3))),
    "dict": (lambda m, p, x: ((p["w"] @ x + p["b"]) ** 2).mean(), ({"w": M, "b": M[:, 0]}, X)),
    "nested": (lambda m, t, x: (t[0]["a"] * x).sum() * t[1][0].sum() + t[1][1][0].sum(), (({"a": X}, [Y, (X,)]), Y)),
    "named": (lambda m, t, x: (t.left * t.right * x).sum(), (Pair(X, Y), X)),
    "constant": (lambda m, x, y: m.ones(3, dtype=m.float64).sum(), (X, Y)),
    "kinks": (lambda m, x, y: (m.relu(x - 1) * m.maximum(x, y)).sum(), (X, Y)),
}
VECTORS = {
    "elementwise": (lambda m, x, y: m.exp(x) * y, (X, Y)),
    "one of two": (lambda m, x, y: x**3, (X, Y)),
    "linear": (lambda m, w, x: w @ x, (M, X)),
    "0-d to matrix": (lambda m, s, x: s * s * x[:, None] * x, (np.array(0.7), X)),
    "matrix to 0-d": (lambda m, w, x: (w @ x).sum(), (M, X)),
    "identity": (lambda m, x, y: x, (X, Y)),
    "constant": (lambda m, x, y: m.ones(2, dtype=m.float64), (X, Y)),
    "several": (lambda m, x, y: (x * y, {"s": m.sin(x).sum(), "p": [x[:2] ** 2]}), (X, Y)),
    "some constant": (lambda m, x, y: (m.sin(x), m.ones(2, dtype=m.float64)), (X, Y)),
    "nested": (lambda m, t, x: {"a": t[0]["a"] * x, "b": (t[1][0] ** 2,)}, (({"a": X}, [Y, (X,)]), Y)),
    "empty": (lambda m, x, y: x[:0] * 2, (X, Y)),
    "tall": (lambda m, x, y: (x[:, None] * y).reshape(-1)[:, None] * x, (X, Y)),
}
scalars = pytest.mark.parametrize("name", SCALARS)
vectors = pytest.mark.parametrize("name", VECTORS)
argnums = pytest.mark.parametrize("argnums", [0, 1, -1, (0, 1), (1,), (1, 0)], ids=str)


def both(function, arguments, transform):
    """transform(library's func, function, *arguments) with minigrad and with PyTorch."""
    torch = pytest.importorskip("torch")
    from torch import func as torch_func

    ours = transform(func, lambda *args: function(mg, *args), *variables(arguments))
    return ours, transform(torch_func, lambda *args: function(torch, *args), *tensors(arguments))


@pytest.mark.torch
@scalars
@argnums
def test_grad(name, argnums):
    assert_same(*both(*SCALARS[name], lambda f, fn, *args: f.grad(fn, argnums)(*args)))
    assert_same(*both(*SCALARS[name], lambda f, fn, *args: f.grad_and_value(fn, argnums)(*args)))


@pytest.mark.torch
@scalars
@argnums
def test_hessian(name, argnums):
    def transform(f, fn, *args):
        # torch.func.hessian (2.13) gives zeros for negative argnums.
        return f.hessian(fn, argnums)(*args) if f is func else f.jacrev(f.jacrev(fn, argnums), argnums)(*args)

    assert_same(*both(*SCALARS[name], transform))


@pytest.mark.torch
@vectors
@argnums
@pytest.mark.parametrize("way", ["jacrev", "jacfwd", "jacobian"])
def test_jacobians(name, argnums, way):
    def transform(f, fn, *args):
        return getattr(f, way if f is func else "jacrev")(fn, argnums)(*args)

    assert_same(*both(*VECTORS[name], transform))


@pytest.mark.torch
@pytest.mark.parametrize("name", ["elementwise", "several", "nested", "0-d to matrix"])
def test_hessian_of_several_outputs(name):
    assert_same(*both(*VECTORS[name], lambda f, fn, *args: f.hessian(fn, (0, 1))(*args)))


def like(tree, seed):
    """Numbers in the structure of `tree`, of either library."""
    rng = np.random.default_rng(seed)
    make = mg.tensor if isinstance(leaves(tree)[0], mg.Variable) else pytest.importorskip("torch").tensor
    return rebuilt(tree, [make(np.asarray(rng.uniform(-1, 1, tuple(x.shape)))) for x in leaves(tree)])


@pytest.mark.torch
@vectors
def test_vjp_and_jvp(name):
    def vjp(f, fn, *args):
        output, vjp_fn = f.vjp(fn, *args)
        return output, vjp_fn(like(output, 1)), vjp_fn(like(output, 2))

    assert_same(*both(*VECTORS[name], vjp))
    assert_same(*both(*VECTORS[name], lambda f, fn, *args: f.jvp(fn, args, like(args, 1))))


@pytest.mark.torch
@scalars
def test_hvp(name):
    def transform(f, fn, *args):
        if f is func:
            return f.hvp(fn, args, like(args, 1))
        return fn(*args), f.jvp(f.grad(fn, tuple(range(len(args)))), args, like(args, 1))[1]

    assert_same(*both(*SCALARS[name], transform))


def _hvp(f, fn, x, v):
    return f.hvp(fn, x, v)[1] if f is func else f.jvp(f.grad(fn), (x,), (v,))[1]


COMPOSITIONS = {
    "third derivative": lambda f, fn, x: f.grad(f.grad(f.grad(lambda x: fn(x).sum())))(x.sum()),
    "jvp of grad": lambda f, fn, x: f.jvp(f.grad(lambda x: fn(x).sum()), (x,), (x + 1,)),
    "grad of jvp": lambda f, fn, x: f.grad(lambda x: f.jvp(fn, (x,), (x * x,))[1].sum())(x),
    "grad of jvp, by the tangent": lambda f, fn, x: f.grad(lambda v: (f.jvp(fn, (x,), (v,))[1] ** 2).sum())(x),
    "jvp of jvp": lambda f, fn, x: f.jvp(lambda x: f.jvp(fn, (x,), (x,))[1], (x,), (x * 2,)),
    "grad of vjp": lambda f, fn, x: f.grad(lambda x: f.vjp(fn, x)[1](x * x)[0].sum())(x),
    "vjp by the cotangent": lambda f, fn, x: f.jacrev(f.vjp(fn, x)[1])(x),
    "jacobian of jacobian": lambda f, fn, x: f.jacrev(f.jacfwd(f.jacrev(fn)))(x),
    "grad of hvp, by the vector": lambda f, fn, x: f.grad(lambda v: (_hvp(f, lambda x: fn(x).sum(), x, v) ** 2).sum())(
        x
    ),
    "inside": lambda f, fn, x: f.grad(lambda x: (x * f.grad(lambda y: (fn(y) * x).sum())(x)).sum())(x),
    "of a constant inside": lambda f, fn, x: f.grad(lambda x: f.grad(lambda y: (fn(y) * x).sum())(x * 0 + 1).sum())(x),
    "aux is differentiated": lambda f, fn, x: f.grad(
        lambda x: f.grad(lambda y: (fn(y).sum(), y * y), has_aux=True)(x)[1].sum()
    )(x),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", COMPOSITIONS)
def test_transforms_compose(name):
    def function(m, x):
        return m.sin(x) * x**2

    ours, theirs = both(function, (X,), COMPOSITIONS[name])
    assert_same(ours, theirs)
    assert not any(y.requires_grad for y in leaves(ours))


FUSED = {
    "layer_norm": lambda m, F, x: F.layer_norm(x, (6,), x[0] * 2, x[1]),
    "batch_norm": lambda m, F, x: F.batch_norm(x, None, None, x[0], x[1], True),
    "cross_entropy": lambda m, F, x: F.cross_entropy(x, m.tensor([0, 3, 5, 1])),
    "gelu": lambda m, F, x: F.gelu(x),
    "softmax": lambda m, F, x: F.softmax(x, dim=1),
    "conv2d": lambda m, F, x: F.conv2d(x.reshape(2, 1, 3, 4), x[:2, :4].reshape(2, 1, 2, 2), padding=1),
    "max_pool2d": lambda m, F, x: F.max_pool2d(x.reshape(1, 1, 6, 4), 2),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", FUSED)
def test_second_order_through_fused_operations(name):
    torch = pytest.importorskip("torch")
    x, v = draw(-2, 2, (4, 6)), draw(-1, 1, (4, 6))

    def of(m, functional):
        return lambda x: (FUSED[name](m, functional, x) ** 3).sum()

    ours, theirs = of(mg, F), of(torch, torch.nn.functional)
    a, b, w, t = mg.tensor(x), torch.tensor(x), mg.tensor(v), torch.tensor(v)
    assert_same(func.hvp(ours, a, w)[1], torch.autograd.functional.hvp(theirs, b, t)[1], rtol=1e-6, atol=1e-8)
    assert_same(func.hessian(ours)(a), torch.autograd.functional.hessian(theirs, b), rtol=1e-6, atol=1e-8)
    assert_same(func.jvp(ours, (a,), (w,)), torch.func.jvp(theirs, (b,), (t,)), rtol=1e-6, atol=1e-8)


@pytest.mark.torch
def test_a_module_with_its_parameters_as_arguments():
    torch = pytest.importorskip("torch")
    # No LayerNorm: torch.func.hessian (2.13) is not symmetric there; see the fused operations above.
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    twin = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).double()
    twin.load_state_dict({name: torch.tensor(p.numpy(force=True)) for name, p in net.named_parameters()})

    def results(f, net, x):
        def loss(params, x):
            return (f.functional_call(net, params, (x,)) ** 2).mean()

        params = {name: p.detach() for name, p in net.named_parameters()}
        return f.grad(loss)(params, x), f.hessian(loss)(params, x), f.jacrev(f.grad(loss), argnums=1)(params, x)

    assert_same(results(func, net, mg.tensor(M)), results(torch.func, twin, torch.tensor(M)))


sizes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@pytest.mark.torch
@given(left=sizes, right=sizes, stretched=st.booleans())
def test_any_shapes(left, right, stretched):
    if stretched:
        right = left[1:]
    rng = np.random.default_rng(0)
    arguments = ({"a": rng.uniform(0.5, 2, left)}, [rng.uniform(0.5, 2, right)])

    def function(m, x, y):
        return (x["a"] * y[0] ** 2, y[0]) if stretched else (x["a"] ** 2 * y[0].sum(),)

    for way in ("jacrev", "jacfwd"):
        ours, theirs = both(
            function,
            arguments,
            lambda f, fn, *args, way=way: getattr(f, way if f is func else "jacrev")(fn, (0, 1))(*args),
        )
        assert_same(ours, theirs)


# --- every operation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [r for r in ROWS if r.name != "move"], ids=lambda row: row.name)
def test_jvp_is_the_transpose_of_vjp(row):
    """<w, J v> = <J^T w, v>: the derivative of the recorded backward by what it was given is the operation's own."""
    arrays = [mg.tensor(a).data for a in row.arrays()]
    at = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    xs = tuple(mg.tensor(arrays[i]) for i in at)

    def function(*xs):
        args = list(arrays)
        for i, x in zip(at, xs, strict=True):
            args[i] = x
        return row.function(*args)

    v = like(xs, 1)
    y, along = func.jvp(function, xs, v)
    w = like(y, 2)
    _, vjp_fn = func.vjp(function, *xs)
    back = vjp_fn(w)
    forth, back = (
        sum(float((a * b).sum()) for a, b in zip(*pair, strict=True)) for pair in ([[along], [w]], [back, v])
    )
    assert forth == pytest.approx(back, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("f", [mg.sin, lambda x: F.layer_norm(x, (3,)), lambda x: F.softmax(x, dim=-1)])
def test_against_differences(f):
    x, v = (mg.tensor(a, requires_grad=True) for a in (X, Y))
    assert mg.gradgradcheck(lambda x, v: func.jvp(f, (x,), (v,)), x, v)
    assert mg.gradgradcheck(lambda x, v: func.vjp(f, x)[1](v)[0], x, v)
    assert mg.gradgradcheck(lambda x, v: func.hvp(lambda x: (f(x) ** 3).sum(), x, v)[1], x, v)
    assert mg.gradcheck(func.hessian(lambda x: (f(x) ** 3).sum()), x)


# --- what goes in and out ----------------------------------------------------------------------------------------


def test_numbers_and_arrays_go_in_and_variables_come_out():
    g = func.grad(lambda x, y: (x * y).sum(), argnums=(0, 1))(2.0, mg.tensor([1.0, 3.0]).data)
    assert [(type(v), v.dtype) for v in g] == [(mg.Variable, mg.float32)] * 2
    assert_same(g, (np.float32(4), np.array([2, 2], "f")))


def test_value_and_grad_has_the_value_first():
    def f(x):
        return (x * x).sum(), {"doubled": x * 2, "n": 7}

    x = mg.tensor(X)
    (value, aux), g = func.value_and_grad(f, has_aux=True)(x)
    assert_same((value, g, aux["doubled"]), ((X * X).sum(), 2 * X, 2 * X))
    assert aux["n"] == 7 and not aux["doubled"].requires_grad
    assert_same(func.grad_and_value(f, has_aux=True)(x)[1][0], (X * X).sum())
    assert func.jvp(f, (x,), (x,), has_aux=True)[2]["n"] == func.vjp(f, x, has_aux=True)[2]["n"] == 7
    for way in (func.jacrev, func.jacfwd, func.jacobian):
        assert way(f, has_aux=True)(x)[1]["n"] == 7


def test_keyword_arguments_are_handed_on():
    assert_same(func.grad(lambda x, *, power: (x**power).sum())(mg.tensor(X), power=3), 3 * X**2)


def test_dicts_match_by_their_keys():
    primals = ({"a": mg.tensor(X), "b": mg.tensor(Y)},)
    tangents = ({"b": mg.tensor(Y * 0), "a": mg.tensor(Y)},)
    assert_same(func.jvp(lambda p: p["a"] * 2 + p["b"], primals, tangents)[1], 2 * Y)


def test_jacobian_takes_the_shorter_way():
    class Seen(mg.Function):
        backwards = 0

        def forward(self, x):
            return x * 1

        def backward(self, gy):
            Seen.backwards += 1
            return gy * 1

    def backwards(transform, n, m):
        Seen.backwards = 0
        assert_same(transform(lambda x: Seen()(x).sum() * mg.ones(m))(mg.ones(n)), np.ones((m, n), "f"))
        return Seen.backwards

    assert [backwards(func.jacrev, 2, 9), backwards(func.jacobian, 2, 9), backwards(func.jacobian, 9, 2)] == [9, 1, 2]


def test_integer_outputs_have_no_tangent():
    x = mg.tensor([[1.0, 3.0, 2.0]])
    y, along = func.jvp(lambda x: x.max(1), (x,), (x * 10,))
    assert type(y) is type(along) and y.indices.item() == 1
    assert (along.values.item(), along.indices.item(), along.indices.dtype) == (30, 0, y.indices.dtype)


def test_containers_keep_their_kind():
    counts = collections.defaultdict(list, {"b": mg.tensor(X), "a": Pair(mg.tensor(Y), [mg.tensor(X)])})
    g = func.grad(lambda t: (t["b"] * t["a"].left).sum())(counts)
    assert type(g) is collections.defaultdict and list(g) == ["b", "a"] and type(g["a"]) is Pair
    assert g.default_factory is list
    assert_same(dict(g), {"b": Y, "a": Pair(X, [X * 0])})


def test_leaves_and_paths():
    tree = {"w": 1, "more": [2, (3,), {}]}
    assert leaves(tree) == [1, 2, 3] and paths(tree, "x") == ["x['w']", "x['more'][0]", "x['more'][1][0]"]
    assert rebuilt(tree, "abc") == {"w": "a", "more": ["b", ("c",), {}]}
    assert leaves_like({"more": [5, [6], {}], "w": 4}, tree, "f", "x") == [4, 5, 6]
    assert leaves(3) == [3] and rebuilt(3, [4]) == 4


# --- what is left alone ------------------------------------------------------------------------------------------


def test_nothing_that_came_in_is_changed():
    p, x = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0])
    p.grad = mg.tensor([7.0])
    for transform in (func.grad, func.jacobian, func.hessian):
        transform(lambda p, x: (p * p * x).sum(), argnums=(0, 1))(p, x)
    func.vjp(lambda x: x * p, x)[1](x)
    assert (p.grad.item(), p.requires_grad, x.requires_grad, x.grad, x.creator) == (7, True, False, None, None)


def test_results_are_recorded_where_something_outside_requires_grad():
    p, x = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0)
    g = func.grad(lambda x: x * x * p)(x)  # through the closure
    assert mg.grad(g, p)[0].item() == 6
    assert mg.grad(func.grad(lambda p: p**3)(p), p)[0].item() == 12  # through the argument
    assert func.grad(lambda x: x * x + p)(x).requires_grad is False  # p is lost on the way
    value, g = func.value_and_grad(lambda x: x * x * p)(x)
    (value * g).backward()
    assert p.grad.item() == pytest.approx(2 * 2 * 9 * 6)
    for result in (
        func.jvp(lambda x: x * p, (x,), (x,)),
        func.jacrev(lambda x: x * p)(x),
        func.hvp(lambda x: x * x * p, x, x),
    ):
        assert any(y.requires_grad for y in leaves(result))


def test_under_no_grad_derivatives_are_right_and_not_recorded():
    p, x = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0, requires_grad=True)
    with mg.no_grad():
        results = (
            func.value_and_grad(lambda x: x * x * p)(x),
            func.jvp(lambda x: x * x * p, (x,), (x,)),
            func.hessian(lambda x: x * x * p)(x),
            func.jacfwd(lambda x: x * x * p)(x),
            func.hvp(lambda x: x * x * p, x, x),
            func.vjp(lambda x: x * x * p, x)[1](p),
        )
        assert not mg.is_grad_enabled()
    assert [y.item() for y in leaves(results)] == [18, 12, 18, 36, 4, 12, 18, 12, 24]
    assert not any(y.requires_grad for y in leaves(results))


def test_aux_has_its_own_history():
    p, x = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0)

    def f(x):
        h = mg.exp(x) * x
        return h * 2, h * h * p  # the gradient of the first must not use up what both saved

    _, aux = func.grad(f, has_aux=True)(x)
    aux.backward()
    assert p.grad.item() == pytest.approx((np.exp(3) * 3) ** 2, rel=1e-6)


def test_no_grad_inside_is_respected():
    x = mg.tensor(3.0)

    def f(x):
        with mg.no_grad():
            constant = x * x
        return x * constant

    assert func.grad(f)(x).item() == 9


def test_writing_into_an_argument_is_refused_and_changes_nothing():
    x = mg.tensor([3.0])
    with pytest.raises(GraphError, match="mul_: a leaf that requires grad"):
        func.grad(lambda x: x.mul_(2.0).sum())(x)
    assert x.item() == 3


def test_exceptions_pass_through():
    class MineError(Exception):
        pass

    def f(x):
        raise MineError

    x = mg.tensor(1.0)
    for call in (
        func.grad(f),
        func.jacrev(f),
        func.hessian(f),
        lambda x: func.jvp(f, (x,), (x,)),
        lambda x: func.vjp(f, x),
    ):
        with pytest.raises(MineError):
            call(x)
    assert mg.is_grad_enabled()


def test_nothing_is_kept_alive(monkeypatch):
    import gc
    import weakref

    gc.disable()
    try:
        x = mg.tensor([1.0, 2.0])
        alive = []

        def f(x):
            alive.append(weakref.ref(x))
            return (mg.sin(x) * x).sum()

        func.hessian(f)(x), func.hvp(f, x, x), func.vjp(f, x), func.jacfwd(f)(x), func.grad(func.grad(f))
        assert len(alive) >= 4 and [r() for r in alive] == [None] * len(alive)
    finally:
        gc.enable()


def test_threads_do_not_meet():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(mg.ones(1, 3))

        def forward(self, x):
            time.sleep(0.001)  # let the others in
            return x @ self.weight[0]

    net = Scale()
    start, wrong = threading.Barrier(4), []

    def work(k):
        start.wait()
        for i in range(5):
            w = mg.full((1, 3), float(k + i))
            g, value = func.grad_and_value(lambda w: (func.functional_call(net, {"weight": w}, mg.ones(3)) ** 2).sum())(
                w
            )
            if value.item() != 9.0 * (k + i) ** 2 or g.tolist() != [[6.0 * (k + i)] * 3]:
                wrong.append((k, i))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_on_a_gpu(cuda):
    def f(p, x):
        return (mg.tanh(p["w"] @ x) ** 2).sum()

    def results(device):
        p, x = {"w": mg.tensor(M).to(device)}, mg.tensor(X).to(device)
        v = ({"w": p["w"] * 2}, x * 3)
        ways = (func.grad, func.jacrev, func.jacfwd, func.hessian)
        return [way(f, argnums=(0, 1))(p, x) for way in ways] + [
            func.jvp(f, (p, x), v),
            func.hvp(f, (p, x), v),
            func.jvp(lambda x: x, (mg.tensor(2.0, device=device),), (3.0,)),
            func.grad(lambda x: mg.ones(3, device=device).sum())(x),
        ]

    with mg.device(cuda):
        assert func.grad(lambda x: x * x)(3.0).device == "cuda:0"
    for device in ("cuda:0", "cuda:1") if mg.cuda.device_count() > 1 else ("cuda:0",):
        found = results(device)
        assert {y.device for y in leaves(found)} == {mg.device(device)}
        assert_same(rebuilt(found, [y.cpu() for y in leaves(found)]), results("cpu"))


# --- refusals ----------------------------------------------------------------------------------------------------

x3 = mg.ones(3)
REFUSALS = [
    (lambda: func.grad(lambda x: x)(x3), ShapeError, r"grad: .* returned shape \(3,\); reduce it, as in y.sum\(\)"),
    (lambda: func.grad(lambda x: x.sum()[None])(x3), ShapeError, r"shape \(1,\)"),
    (lambda: func.grad(lambda x: (x.sum(), x))(x3), DTypeError, "grad: func must return one Variable, and .* a tuple"),
    (lambda: func.grad(lambda x: 3.0)(x3), DTypeError, "grad: the output of func must be a Variable, and is a float"),
    (lambda: func.hvp(lambda x: x, x3, x3), ShapeError, "hvp: the gradient of one number"),
    (lambda: func.grad(lambda x: x.sum(), has_aux=True)(x3), DTypeError, r"must return a pair \(output, aux\)"),
    (lambda: func.grad(lambda x: x.sum())(mg.tensor([1, 2])), DTypeError, "grad: argument 0 is int64, and only floats"),
    (lambda: func.grad(lambda x: x)(3), DTypeError, "argument 0 is int64"),
    (lambda: func.jacrev(lambda x, t: x, argnums=1)(x3, {"a": [x3, True]}), DTypeError, r"1\['a'\]\[1\] is bool, and"),
    (lambda: func.jacrev(lambda x: x)([x3, None]), DTypeError, r"argument 0\[1\] must be .* and is a NoneType"),
    (lambda: func.grad(lambda x: x.sum(), argnums=1)(x3), IndexRangeError, "argnums 1 with 1 positional .* is no 1"),
    (lambda: func.grad(lambda x: x.sum(), argnums=(0, -1))(x3), IndexRangeError, "each once, got"),
    (lambda: func.grad(lambda x: x.sum(), argnums=())(x3), IndexRangeError, "at least one"),
    (lambda: func.grad(lambda *, x: x.sum())(x=x3), IndexRangeError, "with 0 positional arguments"),
    (lambda: func.vjp(lambda x: x.argmax(), x3), DTypeError, "vjp: the output of func is int64, .* return it as aux"),
    (lambda: func.jacrev(lambda x: [x, x.argmax()])(x3), DTypeError, r"jacrev: the output\[1\] of func is int64"),
    (lambda: func.vjp(lambda x: {"k": x}, x3)[1](x3), ShapeError, "the cotangent must be a dict with 'k', and is a V"),
    (lambda: func.vjp(lambda x: x, x3)[1]([x3]), ShapeError, "the cotangent must be one Variable, and is a list of 1"),
    (lambda: func.vjp(lambda x: (x, [x]), x3)[1]((x3, [])), ShapeError, r"the cotangent\[1\] must be a list of 1"),
    (lambda: func.vjp(lambda x: x, x3)[1](mg.ones(2)), ShapeError, r"the cotangent must have shape \(3,\), as"),
    (lambda: func.vjp(lambda x: x, x3)[1](x3.double()), DTypeError, "the cotangent must be float32, .* is float64"),
    (lambda: func.jvp(lambda x: x, x3, x3), DTypeError, "jvp: primals and tangents must be tuples"),
    (lambda: func.jvp(lambda x: x, (x3,), (x3, x3)), ShapeError, "tangents must be a tuple of 1, and is a tuple of 2"),
    (lambda: func.jvp(lambda t: t["a"], ({"a": x3},), ({"b": x3},)), ShapeError, r"tangents\[0\] must be a dict"),
    (lambda: func.jvp(lambda x: x, (x3,), (mg.ones(1),)), ShapeError, r"tangents\[0\] must have shape \(3,\)"),
    (lambda: func.jvp(lambda x: x, (x3,), (None,)), DTypeError, r"tangents\[0\] must be .* and is a NoneType"),
    (lambda: func.hvp(lambda x: x.sum(), x3, np.ones(3)), DTypeError, "v must be float32, .* is float64; convert it"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSALS, ids=[r[2] for r in REFUSALS])
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- functional_call ---------------------------------------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.b.weight = self.a.weight
        self.again = self.a

    def forward(self, x, scale=1.0):
        return self.b(self.a(x)) * scale


def test_functional_call_takes_what_is_given_and_keeps_the_rest():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = dict(net.named_parameters())
    x, zero = mg.ones(1, 2), mg.zeros(2, 2)
    y = func.functional_call(net, {"0.weight": zero}, x)
    assert_same(y, net[1](net[0].bias[None]).detach())
    assert_same(func.functional_call(net, ({"0.weight": zero}, {"1.weight": zero.data}), (x,))[0], net[1].bias.detach())
    assert all(p is before[name] and p.grad is None for name, p in net.named_parameters())
    assert net[0].weight is before["0.weight"] and list(net[0]._parameters) == ["weight", "bias"]


def test_functional_call_ties_weights_and_hands_arguments_on():
    net, x = Tied(), mg.ones(1, 2)
    two, one = mg.eye(2) * 2, mg.eye(2)
    for name in ("a.weight", "b.weight", "again.weight"):
        y = func.functional_call(net, {name: two}, (x,), {"scale": 3.0}, strict=True)
        assert y.tolist() == [[12.0, 12.0]]
    half = {"a.weight": two, "again.weight": two, "b.weight": one}
    assert func.functional_call(net, half, x, tie_weights=False).tolist() == [[2.0, 2.0]]
    with pytest.raises(StateError, match=r"'a\.weight', 'b\.weight', 'again\.weight' are one parameter"):
        func.functional_call(net, half, x)
    assert net.a.weight is net.b.weight


def test_functional_call_lists_names_that_do_not_fit():
    net, x = nn.Linear(2, 3), mg.ones(1, 2)
    with pytest.raises(StateError, match="Linear has no 'weigh', 'b'; its names are 'weight', 'bias'"):
        func.functional_call(net, {"weigh": x, "b": x}, x)
    with pytest.raises(StateError, match="Linear has no 'b' and misses 'weight', 'bias'"):
        func.functional_call(net, {"b": x}, x, strict=True)
    with pytest.raises(StateError, match="'weight' in more than one dict"):
        func.functional_call(net, [{"weight": x}, {"weight": x}], x)
    with pytest.raises(DTypeError, match="expected a dict of Variables by name, or several, got Linear"):
        func.functional_call(net, [net], x)


def test_functional_call_writes_statistics_where_they_were_given():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    before = {name: b.numpy().copy() for name, b in net.named_buffers()}
    given = {name: b.clone() for name, b in net[0].named_buffers(prefix="0")}
    x = mg.randn(8, 2) + 3.0
    params = {name: p.detach() for name, p in net.named_parameters()}
    func.grad(lambda params: (func.functional_call(net, (params, given), x) ** 2).sum())(params)
    for name, b in net.named_buffers():
        assert np.array_equal(b.numpy(), before[name]) == name.startswith("0."), name
    assert len(given) == 3 and not any(np.array_equal(b.numpy(), before[name]) for name, b in given.items())


def test_functional_call_puts_everything_back_when_the_forward_fails():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    with pytest.raises(ShapeError):
        func.functional_call(net, {"1.weight": mg.ones(2, 5), "0.running_mean": mg.ones(2)}, mg.randn(4, 2))
    now = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    assert list(now) == list(state) and all(now[name] is state[name] for name in state)


def test_functional_call_inside_of_itself():
    net = nn.Linear(1, 1, bias=False)

    def doubled(w):
        inner = func.functional_call(net, {"weight": w * 2}, mg.ones(1, 1))
        return func.functional_call(net, {"weight": w}, inner).sum()

    assert func.grad(doubled)(mg.tensor([[3.0]])).item() == 12


# --- docs/func.md ------------------------------------------------------------------------------------------------


def test_the_page_runs_and_prints_what_it_says(capsys):
    page = Path(__file__).resolve().parent.parent / "docs" / "func.md"
    names: dict = {"__name__": "document"}
    found = blocks(page.read_text())
    assert len(found) >= 5
    for before, code in found:
        with mg.device("cpu"):
            exec(compile("\n" * before + code, page, "exec"), names)
        compare(promised(code), capsys.readouterr().out)
