"""Optimizers: equal to PyTorch's and to their formulas, in pieces and whole; groups, state and refusals."""

import copy
import inspect
import math
from typing import ClassVar

import numpy as np
import pytest

from minigrad.errors import DTypeError, ShapeError, StateError
from minigrad.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from minigrad.optim.optimizer import BLOCK
from minigrad.tape import Function, Variable, backward, is_grad_enabled, no_grad
from minigrad.tape.versions import memory

OPTIMIZERS = (SGD, Adagrad, RMSprop, Adam, AdamW)

SETTINGS = [
    (SGD, {}),
    (SGD, {"lr": 0.1, "weight_decay": 0.2}),
    (SGD, {"lr": 0.1, "maximize": True}),
    (SGD, {"lr": 0.05, "momentum": 0.9}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 1.0, "weight_decay": 0.1}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
    (SGD, {"lr": 0.05, "momentum": 0.7, "nesterov": True}),
    (SGD, {"lr": 0.05, "momentum": 0.7, "nesterov": True, "weight_decay": 0.1}),
    (SGD, {"lr": 0.05, "momentum": 0.7, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    (Adagrad, {}),
    (Adagrad, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.2, "maximize": True}),
    (Adagrad, {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.05, "alpha": 0.5, "eps": 1e-4, "weight_decay": 0.1}),
    (RMSprop, {"lr": 0.05, "momentum": 0.9}),
    (RMSprop, {"lr": 0.05, "alpha": 0.9, "centered": True, "maximize": True}),
    (RMSprop, {"lr": 0.05, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1, "maximize": True}),
    (Adam, {}),
    (Adam, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.1}),
    (Adam, {"lr": 0.1, "betas": (0.0, 0.0)}),
    (Adam, {"lr": 0.1, "amsgrad": True, "betas": (0.9, 0.5)}),
    (Adam, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    (AdamW, {}),
    (AdamW, {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    (AdamW, {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "betas": (0.8, 0.5)}),
]
IDS = [f"{cls.__name__}-{'-'.join(f'{k}={v}' for k, v in kwargs.items())}" for cls, kwargs in SETTINGS]
every_setting = pytest.mark.parametrize(("cls", "kwargs"), SETTINGS, ids=IDS)
every_optimizer = pytest.mark.parametrize("cls", OPTIMIZERS)


def leaf(values, dtype=np.float64):
    return Variable(np.array(values, dtype), requires_grad=True)


def gradient(step, array):
    """Some gradient: a different one at every step, of both signs and very different sizes."""
    i = np.arange(array.size, dtype=np.float64).reshape(array.shape)
    return (np.sin(3 * i + step) * 10.0 ** (i % 5 - 2) + 0.3 * np.asarray(array, np.float64)).astype(array.dtype)


# --- equal to PyTorch --------------------------------------------------------------------------------------------


def odd_arrays():
    """Parameters that are easy to get wrong, in float64."""
    values = np.random.default_rng(0).normal
    many = BLOCK // 8
    return {
        "matrix": values(size=(3, 4)),
        "0-d": values(size=()),
        "empty": values(size=(0, 3)),
        "one": values(size=(1,)),
        "transposed": values(size=(4, 3)).T,
        "strided": values(size=(6, 8))[::2, ::-3],
        "without grad": values(size=(2,)),
        "a block": values(size=(many,)),
        "blocks and a rest": values(size=(2, many + 5)),
        "large, transposed": values(size=(many // 64 + 1, 65)).T,
    }


def torch_twin(torch, cls, arrays, kwargs):
    """Our optimizer and PyTorch's, over equal parameters in two groups, the second with half the lr."""
    ours = [Variable(a, requires_grad=True) for a in arrays.values()]
    theirs = [torch.nn.Parameter(torch.from_numpy(np.array(a))) for a in arrays.values()]
    optimizers = []
    for owner, params in ((cls, ours), (getattr(torch.optim, cls.__name__), theirs)):
        half = {"params": params[4:], "lr": kwargs.get("lr", 1e-3) / 2}
        optimizers.append(owner([{"params": params[:4]}, half], **kwargs))
    return ours, theirs, optimizers


def step_both(torch, ours, theirs, optimizers, steps):
    for step in steps:
        for name, v, p in zip(odd_arrays(), ours, theirs, strict=True):
            if name == "without grad":
                continue
            g = gradient(step, v.data)
            if name == "blocks and a rest":
                g = np.asfortranarray(g)
            v.grad, p.grad = Variable(g), torch.from_numpy(np.ascontiguousarray(g).reshape(g.shape))
        for optimizer in optimizers:
            optimizer.step()
    for name, v, p in zip(odd_arrays(), ours, theirs, strict=True):
        np.testing.assert_allclose(v.data, p.detach().numpy(), rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.torch
@every_setting
def test_equals_pytorch_over_20_steps(cls, kwargs):
    torch = pytest.importorskip("torch")
    twin = torch_twin(torch, cls, odd_arrays(), kwargs)
    ours, _, (mine, its) = twin
    step_both(torch, *twin, range(20))
    changed = [not np.array_equal(v.data, a) for v, a in zip(ours, odd_arrays().values(), strict=True)]
    assert changed == [name not in ("empty", "without grad") for name in odd_arrays()]

    saved, expected = mine.state_dict(), its.state_dict()
    assert [g["params"] for g in saved["param_groups"]] == [g["params"] for g in expected["param_groups"]]
    for group, other in zip(saved["param_groups"], expected["param_groups"], strict=True):
        assert {k: other[k] for k in group} == group
    for i, entries in expected["state"].items():
        if i == 6:  # without grad: PyTorch's Adagrad keeps a state for it all the same
            continue
        assert saved["state"][i].keys() == entries.keys()
        for name, value in entries.items():
            np.testing.assert_allclose(saved["state"][i][name], value.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.torch
@every_setting
def test_states_travel_to_pytorch_and_back(cls, kwargs):
    torch = pytest.importorskip("torch")
    ours, theirs, (mine, its) = torch_twin(torch, cls, odd_arrays(), kwargs)
    step_both(torch, ours, theirs, (mine, its), range(5))
    fresh, fresh_theirs = (type(o)([{"params": g["params"]} for g in o.param_groups]) for o in (mine, its))

    saved = copy.deepcopy(its.state_dict())
    for entries in saved["state"].values():
        entries.update({name: value.numpy() for name, value in entries.items()})
    fresh.load_state_dict(saved)
    assert all(type(s["step"]) is int for s in fresh.state.values() if "step" in s)

    saved = copy.deepcopy(mine.state_dict())
    for entries in saved["state"].values():
        entries.update({k: torch.from_numpy(v) for k, v in entries.items() if isinstance(v, np.ndarray)})
        if cls is Adagrad:
            entries["step"] = torch.tensor(float(entries["step"]))
    fresh_theirs.load_state_dict(saved)
    step_both(torch, ours, theirs, (fresh, fresh_theirs), range(5, 10))


@pytest.mark.torch
@every_optimizer
def test_signatures_are_pytorchs(cls):
    torch = pytest.importorskip("torch")
    ours = inspect.signature(cls).parameters
    theirs = inspect.signature(getattr(torch.optim, cls.__name__)).parameters
    positional = [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == list(theirs)[: len(positional)]
    assert {n: p.default for n, p in ours.items()} == {n: theirs[n].default for n in ours}


# --- equal to the formulas, without PyTorch ----------------------------------------------------------------------


def sgd_formula(grads, p, lr, mu, damp, decay):
    b = None
    for g in grads:
        g = g + decay * p
        b = g if b is None else mu * b + (1 - damp) * g
        p = p - lr * b
    return p


def nesterov_formula(grads, p, lr, mu):
    b = np.zeros_like(p)
    for g in grads:
        b = mu * b + g
        p = p - lr * (g + mu * b)
    return p


def adagrad_formula(grads, p, lr, lr_decay, start, eps):
    s = np.full_like(p, start)
    for n, g in enumerate(grads):
        s = s + g**2
        p = p - lr / (1 + n * lr_decay) * g / (np.sqrt(s) + eps)
    return p


def rmsprop_formula(grads, p, lr, alpha, eps, mu, centered):
    v, m, b = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        v = alpha * v + (1 - alpha) * g**2
        m = alpha * m + (1 - alpha) * g
        b = mu * b + g / (np.sqrt(v - m**2 if centered else v) + eps)
        p = p - lr * b
    return p


def adam_formula(grads, p, lr, b1, b2, eps, l2=0.0, decay=0.0, amsgrad=False):
    m, v, top = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        g = g + l2 * p
        p = p - lr * decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v)
        p = p - lr * (m / (1 - b1**n)) / (np.sqrt((top if amsgrad else v) / (1 - b2**n)) + eps)
    return p


FORMULAS = [
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.2}, sgd_formula, (0.1, 0.9, 0.4, 0.2)),
    (SGD, {"lr": 0.1}, sgd_formula, (0.1, 0.0, 0.0, 0.0)),
    (SGD, {"lr": 0.1, "weight_decay": 0.3}, sgd_formula, (0.1, 0.0, 0.0, 0.3)),
    (SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True}, nesterov_formula, (0.1, 0.8)),
    (Adagrad, {}, adagrad_formula, (1e-2, 0.0, 0.0, 1e-10)),
    (
        Adagrad,
        {"lr": 0.3, "lr_decay": 0.2, "initial_accumulator_value": 0.1, "eps": 0.1},
        adagrad_formula,
        (0.3, 0.2, 0.1, 0.1),
    ),
    (RMSprop, {}, rmsprop_formula, (1e-2, 0.99, 1e-8, 0.0, False)),
    (
        RMSprop,
        {"lr": 0.1, "alpha": 0.8, "eps": 1e-3, "momentum": 0.5, "centered": True},
        rmsprop_formula,
        (0.1, 0.8, 1e-3, 0.5, True),
    ),
    (Adam, {}, adam_formula, (1e-3, 0.9, 0.999, 1e-8)),
    (Adam, {"lr": 0.1, "weight_decay": 0.2}, adam_formula, (0.1, 0.9, 0.999, 1e-8, 0.2)),
    (Adam, {"lr": 0.1, "betas": (0.5, 0.6), "amsgrad": True}, adam_formula, (0.1, 0.5, 0.6, 1e-8, 0, 0, True)),
    (AdamW, {}, adam_formula, (1e-3, 0.9, 0.999, 1e-8, 0.0, 1e-2)),
    (AdamW, {"lr": 0.1, "weight_decay": 0.5}, adam_formula, (0.1, 0.9, 0.999, 1e-8, 0.0, 0.5)),
]


@pytest.mark.parametrize(("cls", "kwargs", "formula", "numbers"), FORMULAS)
@pytest.mark.parametrize("size", [3, BLOCK // 8 + 3])
def test_equals_its_formula(cls, kwargs, formula, numbers, size):
    start = np.linspace(-1, 2, size)
    grads = [gradient(n, start) for n in range(6)]
    p = leaf(start)
    optimizer = cls([p], **kwargs)
    for g in grads:
        p.grad = Variable(g)
        optimizer.step()
    np.testing.assert_allclose(p.data, formula(grads, start, *numbers), rtol=1e-11, atol=1e-12)


@every_optimizer
def test_maximize_ascends(cls):
    ups, downs = leaf([1.0, -2.0]), leaf([1.0, -2.0])
    up, down = cls([ups], lr=0.1, weight_decay=0, maximize=True), cls([downs], lr=0.1, weight_decay=0)
    for n in range(3):
        ups.grad, downs.grad = Variable(gradient(n, np.zeros(2))), Variable(-gradient(n, np.zeros(2)))
        up.step()
        down.step()
    np.testing.assert_array_equal(ups.data, downs.data)


class SumOfSquares(Function):
    def forward(self, x):
        return (x * x).sum()

    def backward(self, gy, x):
        return gy * 2 * x


@every_optimizer
def test_minimizes_a_loss_by_its_closure(cls):
    p = leaf([3.0, -2.0])
    optimizer = cls([p], lr=0.1)

    def closure():
        assert is_grad_enabled()
        optimizer.zero_grad()
        loss = SumOfSquares()(p)
        backward(loss)
        return loss

    with no_grad():
        losses = [float(optimizer.step(closure).data) for _ in range(50)]
    assert losses[0] == 13.0 and losses[-1] < losses[0] / 2
    assert optimizer.step() is None


# --- in place, without temporaries -------------------------------------------------------------------------------


@every_setting
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3, 2), (BLOCK // 2 + 1,)])
def test_updates_in_place_in_the_dtype_of_the_parameter(cls, kwargs, dtype, shape):
    p = leaf(np.linspace(-1, 1, math.prod(shape)).reshape(shape), dtype)
    kwargs = {k: np.float64(v) if isinstance(v, float) else v for k, v in kwargs.items()}  # as a schedule may give
    array, optimizer = p.data, cls([p], **kwargs)
    for n in range(2):
        p.grad = Variable(np.clip(gradient(n, p.data), -1, 1) + dtype(2))
        g, kept = p.grad.data, p.grad.data.copy()
        before = memory.stamp(array)
        with np.errstate(all="ignore"):  # float16
            optimizer.step()
        assert p.data is array and p.grad.data is g and np.array_equal(g, kept)
        assert memory.stamp(array) > before
        assert {a.dtype for s in optimizer.state.values() for k, a in s.items() if k != "step"} <= {np.dtype(dtype)}


class Watched(np.ndarray):
    """An array that notes the ufuncs that ran on it, and takes only arrays and Python's floats beside it."""

    calls: ClassVar[list] = []

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        Watched.calls.append((ufunc.__name__, out is not None))
        plain = [x.view(np.ndarray) if isinstance(x, Watched) else x for x in inputs]
        assert all(isinstance(x, (np.ndarray, float)) and not isinstance(x, np.generic) for x in plain)
        out = tuple(x.view(np.ndarray) if isinstance(x, Watched) else x for x in out)
        getattr(ufunc, method)(*plain, out=out, **kwargs)
        return out[0]


@pytest.mark.parametrize(
    ("cls", "kwargs", "passes"),
    [
        (SGD, {}, 2),
        (SGD, {"weight_decay": 0.1}, 4),
        (SGD, {"momentum": 0.9}, 4),
        (SGD, {"momentum": 0.9, "nesterov": True}, 6),
        (Adagrad, {}, 7),
        (RMSprop, {}, 9),
        (Adam, {}, 12),
        (Adam, {"amsgrad": True}, 13),
        (AdamW, {}, 13),
    ],
)
def test_the_number_of_passes_and_no_temporaries(cls, kwargs, passes):
    p = Variable(np.ones(3, np.float32).view(Watched), requires_grad=True)
    optimizer = cls([p], **kwargs)
    group = optimizer.param_groups[0]  # numbers as a schedule may leave them: NumPy's would compute in float64
    group.update({k: np.float64(x) for k, x in group.items() if type(x) in (int, float)})
    for _ in range(2):
        p.grad = Variable(np.ones(3, np.float32).view(Watched))
        Watched.calls = []
        optimizer.step()
    assert len(Watched.calls) <= passes
    assert all(in_place for _, in_place in Watched.calls)


@pytest.mark.parametrize(
    ("array", "shapes"),
    [
        (np.ones((2, 3)), [(2, 3)]),
        (np.ones(BLOCK // 8), [(BLOCK // 8,)]),
        (np.ones((2, BLOCK // 8)), [(BLOCK // 8,)] * 2),
        (np.ones(BLOCK // 4 + 7, np.float32), [(BLOCK // 4,), (7,)]),
        (np.ones((BLOCK // 8, 2)).T, [(2, BLOCK // 8)]),
    ],
)
def test_large_parameters_are_updated_in_pieces(array, shapes):
    class Pieces(Optimizer):
        def prepare(self, group, state):
            return ("sum",), ()

        @staticmethod
        def update(xp, p, g, t, s):
            assert p.shape == g.shape == t.shape == s.shape and t.flags.c_contiguous == p.flags.c_contiguous
            seen.append(p.shape)
            s += g
            p -= s

    seen: list = []
    p = Variable(array, requires_grad=True)
    p.grad = Variable(np.ones_like(array))
    Pieces([p], {}).step()
    assert seen == shapes and not p.data.any()


def test_small_parameters_share_their_scratch():
    params = [leaf(np.ones(n)) for n in (1, 7, 100)]
    optimizer = Adam(params, weight_decay=0.1)
    for p in params:
        p.grad = Variable(np.ones_like(p.data))
    optimizer.step()
    bases = {id(a.base) for key, a in optimizer._scratch.items() if len(key) == 3}
    assert len(bases) == 2  # one for the pass, one for the decayed gradient


def test_the_tape_sees_that_a_saved_parameter_changed():
    p = leaf([1.0, 2.0])
    optimizer = SGD([p], lr=0.1)
    loss = SumOfSquares()(p)
    p.grad = Variable(np.ones(2))
    optimizer.step()
    with pytest.raises(RuntimeError, match="overwritten"):
        backward(loss)


def test_a_user_writes_two_methods():
    class SignSGD(Optimizer):
        def __init__(self, params, lr=1e-3):
            super().__init__(params, {"lr": lr})

        def prepare(self, group, state):
            return (), (float(group["lr"]),)

        @staticmethod
        def update(xp, p, g, t, lr):
            xp.sign(g, out=t)
            t *= lr
            p -= t

    p = leaf(np.zeros(BLOCK // 8 + 1))
    optimizer = SignSGD([p], lr=0.5)
    p.grad = Variable(np.linspace(-1, 1, p.data.size))
    optimizer.step()
    np.testing.assert_array_equal(p.data, -0.5 * np.sign(p.grad.data))
    optimizer.load_state_dict(optimizer.state_dict())
    q = leaf([1.0])
    q.grad = Variable(np.ones(1))
    with pytest.raises(NotImplementedError, match=r"Optimizer\.prepare\(self, group, state\) is not written"):
        Optimizer([q], {}).step()


# --- gradients ---------------------------------------------------------------------------------------------------


def test_zero_grad():
    p, q = leaf([1.0]), leaf([2.0])
    g = p.grad = Variable(np.array([5.0]))
    optimizer = SGD([p, q])
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.data.tolist() == [0.0] and p.grad.data is g.data and q.grad is None
    assert memory.stamp(g.data) > 0
    recorded = leaf([1.0])
    p.grad = recorded
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.data.tolist() == [0.0] and not p.grad.requires_grad
    optimizer.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        (Variable(np.ones(3)), ShapeError, r"parameter 1 of group 0 is float64 \(2,\), and its grad is float64 \(3,\)"),
        (Variable(np.ones((1, 2))), ShapeError, r"and its grad is float64 \(1, 2\)"),
        (Variable(np.ones(2, "f4")), DTypeError, r"^SGD\.step: .*, and its grad is float32 \(2,\); write p\.grad = "),
        (np.ones(2), DTypeError, r"its grad is a ndarray; write p\.grad = Variable\(array\)"),
    ],
)
def test_a_gradient_unlike_its_parameter_changes_nothing(grad, error, message):
    p, q = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    optimizer = SGD([p, q], momentum=0.9)
    p.grad, q.grad = Variable(np.ones(2)), grad
    with pytest.raises(error, match=message):
        optimizer.step()
    assert p.data.tolist() == [1.0, 2.0] and q.data.tolist() == [3.0, 4.0] and optimizer.state == {}
    named = SGD([("w", p), ("b", q)])
    with pytest.raises(error, match=r"SGD\.step: 'b' is float64"):
        named.step()


# --- groups ------------------------------------------------------------------------------------------------------


def test_groups_have_their_own_settings():
    p, q, r = leaf([1.0]), leaf([1.0]), leaf([1.0])
    given = {"params": q, "lr": 0.5, "tag": "head"}
    optimizer = SGD([{"params": iter([p])}, given], lr=0.1)
    assert given.keys() == {"params", "lr", "tag"} and given["params"] is q  # the user's dictionary stays as it is
    optimizer.add_param_group({"params": [r], "weight_decay": 1.0})
    for v in (p, q, r):
        v.grad = Variable(np.ones(1))
    optimizer.step()
    np.testing.assert_allclose([v.data[0] for v in (p, q, r)], [0.9, 0.5, 0.8])
    assert optimizer.param_groups[1]["tag"] == "head" and optimizer.defaults["lr"] == 0.1
    optimizer.param_groups[0]["lr"] = 0.4
    optimizer.step()
    np.testing.assert_allclose(p.data, 0.5)


def test_settings_can_change_on_the_way():
    p = leaf([1.0, -1.0])
    sgd, adam = SGD([p], lr=0.1), Adam([p], lr=0.1)
    for optimizer, setting in ((sgd, ("momentum", 0.9)), (adam, ("amsgrad", True)), (sgd, ("momentum", 0.0))):
        for _ in range(2):
            p.grad = Variable(np.ones(2))
            optimizer.step()
            optimizer.param_groups[0][setting[0]] = setting[1]
    other = SGD([leaf([0.0, 0.0])], lr=0.1)
    other.load_state_dict(sgd.state_dict())  # with a buffer that is not in use
    assert "momentum_buffer" in next(iter(other.state.values()))


def test_named_parameters():
    p, q = leaf([1.0]), leaf([2.0])
    optimizer = Adam(iter([("weight", p), ("bias", q)]))
    assert all(a is b for a, b in zip(optimizer.param_groups[0]["params"], (p, q), strict=True))
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match=r"^Adam: name all parameters, as model\.named_parameters\(\) does, or none"):
        optimizer.add_param_group({"params": [leaf([3.0])]})
    with pytest.raises(ValueError, match="name all parameters"):
        Adam([("weight", p), q])


def test_it_prints_its_settings():
    text = repr(SGD([leaf([1.0]), leaf([2.0])], lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0: 2 parameters\n") and "    lr: 0.25\n" in text


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (list, ValueError, r"^Adam: no parameters; an iterator that was used up\? pass a list"),
        (lambda: iter(()), ValueError, "no parameters"),
        (lambda: leaf([1.0]), DTypeError, r"^Adam: params is one Variable \(1,\); write \[params\]"),
        (lambda: np.ones(2), DTypeError, r"params is a ndarray; expected a list of Variables"),
        (
            lambda: {leaf([1.0])},
            DTypeError,
            r"params is a set; expected a list of Variables \(in an order that lasts\)",
        ),
        (lambda: {"params": [leaf([1.0])]}, DTypeError, r"params is a dict"),
        (lambda: None, DTypeError, r"params is a NoneType"),
        (object, DTypeError, r"params is a object"),
        (lambda: [leaf([1.0]), np.ones(2)], DTypeError, r"parameter 1 of group 0 is array\(.*expected a Variable"),
        (lambda: [[leaf([1.0])]], DTypeError, r"parameter 0 of group 0 is \[.*expected a Variable"),
        (lambda: [leaf([1.0]), {"params": []}], DTypeError, r"parameter 1 of group 0 is {'params': \[\]}"),
        (lambda: [{"lr": 1.0}], ValueError, r"a group is a dictionary with \"params\", got {'lr': 1.0}"),
        (lambda: [{"params": [leaf([1.0])]}, leaf([1.0])], ValueError, r"a group is a dictionary with \"params\""),
        (
            lambda: [SumOfSquares()(leaf([1.0]))],
            ValueError,
            r"parameter 0 of group 0 \(\) was computed by sum_of_squares, and only leaves",
        ),
        (lambda: [leaf([1.0])] * 2, ValueError, r"parameter 1 of group 0 \(1,\) is in group 0 already"),
        (
            lambda: [{"params": x} for x in [leaf([1.0])] * 2],
            ValueError,
            r"parameter 0 of group 1 .* in group 0 already",
        ),
        (lambda: [{"params": [leaf([1.0])], "lr": -2.0}], ValueError, r"^Adam: lr must be a number >= 0, got -2\.0"),
    ],
)
def test_parameters_that_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        Adam(params())


@pytest.mark.parametrize(
    ("cls", "kwargs", "message"),
    [
        (SGD, {"lr": -0.1}, r"^SGD: lr must be a number >= 0, got -0\.1"),
        (SGD, {"lr": (0.9, 0.99)}, r"^SGD: lr must be a number >= 0, got \(0\.9, 0\.99\)"),
        (SGD, {"lr": float("nan")}, "got nan"),
        (SGD, {"momentum": -1}, "momentum must be a number >= 0, got -1"),
        (SGD, {"weight_decay": -1}, "weight_decay must be a number >= 0, got -1"),
        (SGD, {"nesterov": True}, r"^SGD: nesterov needs momentum > 0 and dampening 0, got momentum 0, dampening 0"),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, r"got momentum 0\.9, dampening 0\.1"),
        (Adagrad, {"lr": -1}, "lr must"),
        (Adagrad, {"lr_decay": -1}, "lr_decay must be a number >= 0, got -1"),
        (Adagrad, {"weight_decay": -1}, "weight_decay must"),
        (Adagrad, {"initial_accumulator_value": -1}, "initial_accumulator_value must"),
        (Adagrad, {"eps": -1}, "eps must"),
        (RMSprop, {"lr": -1}, "lr must"),
        (RMSprop, {"alpha": -1}, "alpha must"),
        (RMSprop, {"eps": -1}, "eps must"),
        (RMSprop, {"weight_decay": -1}, "weight_decay must"),
        (RMSprop, {"momentum": -1}, "momentum must"),
        (Adam, {"lr": -1}, "^Adam: lr must"),
        (Adam, {"eps": -1}, "eps must"),
        (Adam, {"weight_decay": None}, "weight_decay must be a number >= 0, got None"),
        (Adam, {"betas": (1.0, 0.9)}, r"^Adam: betas must be two numbers in \[0, 1\), got \(1\.0, 0\.9\)"),
        (Adam, {"betas": (0.9, -0.1)}, "betas must"),
        (Adam, {"betas": 0.9}, "betas must"),
        (AdamW, {"betas": (0.9, 0.9, 0.9)}, "^AdamW: betas must"),
        (AdamW, {"weight_decay": -1}, "^AdamW: weight_decay must"),
    ],
)
def test_settings_that_are_refused(cls, kwargs, message):
    with pytest.raises(ValueError, match=message):
        cls([leaf([1.0])], **kwargs)
    optimizer = cls([leaf([1.0])])
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [leaf([1.0])], **kwargs})
    assert len(optimizer.param_groups) == 1


# --- state -------------------------------------------------------------------------------------------------------


def stepped(cls, steps=3, **kwargs):
    params = [leaf([1.0, 2.0]), leaf([[3.0]]), leaf([4.0])]
    optimizer = cls([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], **kwargs)
    advance(optimizer, range(steps))
    return optimizer


def advance(optimizer, steps):
    for n in steps:
        for group in optimizer.param_groups:
            for p in group["params"][:1]:
                p.grad = Variable(gradient(n, p.data))
        optimizer.step()


def values(optimizer):
    return [p.data.tolist() for group in optimizer.param_groups for p in group["params"]]


@every_setting
def test_a_loaded_state_goes_on(cls, kwargs):
    first, second = stepped(cls, **kwargs), stepped(cls, steps=1)
    saved = first.state_dict()
    for group, other in zip(second.param_groups, first.param_groups, strict=True):
        for p, q in zip(group["params"], other["params"], strict=True):
            p.data[...] = q.data
    groups = second.param_groups[0]
    second.load_state_dict(saved)
    assert second.param_groups[0] is groups  # whoever holds a group, as a schedule does, sees the new settings
    advance(first, range(3, 6))
    advance(second, range(3, 6))
    assert values(first) == values(second)
    for a, b in zip(first.state.values(), second.state.values(), strict=True):
        assert a.keys() == b.keys()
        assert all(not np.shares_memory(a[k], b[k]) for k in a if k != "step")


def test_the_layout_of_the_state():
    saved = stepped(Adam, amsgrad=True).state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert list(saved["state"]) == [0, 1]  # the third has had no gradient
    assert list(saved["state"][1]) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    assert type(saved["state"][1]["step"]) is int and saved["state"][1]["step"] == 3
    assert saved["state"][1]["exp_avg"].shape == (1, 1)
    assert [g["params"] for g in saved["param_groups"]] == [[0], [1, 2]]
    assert saved["param_groups"][1]["lr"] == 0.5 and saved["param_groups"][1]["betas"] == (0.9, 0.999)
    assert stepped(SGD).state_dict()["state"] == {}


def test_a_state_in_variables_and_0d_steps_is_taken():
    first = stepped(Adam)
    saved = first.state_dict()
    for entries in saved["state"].values():
        entries.update({name: Variable(np.asarray(value, np.float32)) for name, value in entries.items()})
    second = stepped(Adam, steps=0)
    second.load_state_dict(saved)
    for a, b in zip(first.state.values(), second.state.values(), strict=True):
        assert type(b["step"]) is int and a["step"] == b["step"]
        assert b["exp_avg"].dtype == np.float64
        np.testing.assert_allclose(b["exp_avg"], a["exp_avg"], rtol=1e-6)


def edit(path, value):
    """A change of a state_dict: the entry at `path` becomes `value`, or is removed."""

    def change(saved):
        for key in path[:-1]:
            saved = saved[key]
        if value is KeyError:
            del saved[path[-1]]
        else:
            saved[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(["state"], KeyError), r'expected a dictionary with "state" and "param_groups", got \[\'param_groups\'\]'),
        (edit(["param_groups"], []), r"this optimizer has groups of \[1, 2\] parameters, the state has \[\]"),
        (edit(["param_groups", 1, "params"], [1]), r"groups of \[1, 2\] parameters, the state has \[1, 1\]"),
        (edit(["param_groups", 1, "params"], KeyError), r'expected groups that are dictionaries with "params"'),
        (edit(["param_groups", 1, "lr"], -1.0), r"^Adam\.load_state_dict: Adam: lr must be a number >= 0, got -1\.0"),
        (edit(["state", 7], {"step": 1}), r"^Adam\.load_state_dict: parameter 7 is in no group$"),
        (
            edit(["state", 0, "exp_avg"], np.ones(3)),
            r"exp_avg of parameter 0 \(2,\): expected shape \(2,\), got \(3,\)",
        ),
        (edit(["state", 0, "exp_avg"], [1.0, 2.0]), r"exp_avg of parameter 0 \(2,\): builtins\.list is no array"),
        (edit(["state", 1, "exp_avg_sq"], KeyError), r"parameter 1 lacks exp_avg_sq"),
        (edit(["state", 1, "step"], KeyError), r"parameter 1 lacks step"),
        (edit(["state", 1, "step"], 1.5), r"step of parameter 1 \(1, 1\): expected a number of steps, got 1\.5"),
        (edit(["state", 1, "step"], "x"), r"expected a number of steps, got 'x'"),
        (
            edit(["state", 1, "momentum_buffer"], np.ones((1, 1))),
            r"momentum_buffer of parameter 1 \(1, 1\): unknown here",
        ),
        (edit(["param_groups", 0, "amsgrad"], True), r"parameter 0 lacks max_exp_avg_sq"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    optimizer = stepped(Adam)
    saved = copy.deepcopy(stepped(Adam, steps=2, betas=(0.1, 0.2)).state_dict())
    before = copy.deepcopy(optimizer.state_dict())
    change(saved)
    with pytest.raises(StateError, match=message):
        optimizer.load_state_dict(saved)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for i, entries in before["state"].items():
        for name, value in entries.items():
            np.testing.assert_array_equal(after["state"][i][name], value)


def test_all_that_does_not_fit_is_listed():
    with pytest.raises(StateError) as caught:
        stepped(SGD, momentum=0.9).load_state_dict(stepped(Adam).state_dict())
    for name in ("step", "exp_avg", "exp_avg_sq"):
        for parameter in ("0 (2,)", "1 (1, 1)"):
            assert f"{name} of parameter {parameter}: unknown here" in str(caught.value)
    with pytest.raises(StateError, match=r'expected a dictionary with "state" and "param_groups", got list'):
        stepped(SGD).load_state_dict([])


def test_a_state_without_its_entries_starts_anew():
    optimizer = stepped(SGD, steps=0, momentum=0.9)
    saved = stepped(SGD, momentum=0.9).state_dict()
    saved["state"] = {0: {"momentum_buffer": None}, 1: {}}  # as older versions of PyTorch write it
    optimizer.load_state_dict(saved)
    advance(optimizer, range(2))
    assert values(optimizer) == values(stepped(SGD, steps=2, momentum=0.9))


def test_state_follows_its_parameter_to_another_dtype():
    p = leaf([1.0, 2.0])
    optimizer = Adam([p])
    for dtype in (np.float64, np.float32):
        p.data = p.data.astype(dtype)
        p.grad = Variable(np.ones(2, dtype))
        optimizer.step()
    assert optimizer.state[p]["exp_avg"].dtype == np.float32 and optimizer.state[p]["step"] == 2
    p.data = np.ones(3, np.float32)
    p.grad = Variable(np.ones(3, np.float32))
    with pytest.raises(
        StateError, match=r"^Adam\.step: exp_avg of parameter 0 of group 0: expected shape \(3,\), got "
    ):
        optimizer.step()
