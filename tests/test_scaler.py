"""GradScaler: the scale, the steps that are left out, and who waits for a GPU. Also its kernels' generic versions."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.backend import many_gpus, moved


@pytest.fixture
def waits(request, cuda):
    """The list of what the host has waited for, where the double counts it; on a GPU it stays empty."""
    return request.getfixturevalue("double").synchronizations if "double" in request.fixturenames else []


def planted(w, value=1.0, device="cpu"):
    """A loss of w whose gradient is `value`, which may be inf."""
    return (w * mg.Variable(moved(np.full(w.shape, value, "f"), device))).sum()


SEQUENCES = {
    "good": [1.0] * 7,
    "inf at first": [np.inf, np.inf, 1.0, 1.0, 1.0],
    "inf between": [1.0, 1.0, np.inf, 1.0, 1.0, 1.0, 1.0, np.nan, 1.0],
    "always": [np.nan] * 4,
}


@pytest.mark.torch
@pytest.mark.parametrize("factors", [{}, {"growth_factor": 3.3, "backoff_factor": 0.3, "init_scale": 7.0}])
@pytest.mark.parametrize("name", SEQUENCES)
def test_the_scale_goes_as_in_pytorch(name, factors):
    import torch

    scalers = [m.amp.GradScaler("cpu", growth_interval=3, **factors) for m in (mg, torch)]
    w, v = mg.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    a, b = optim.Adam([w], lr=0.1), torch.optim.Adam([v], lr=0.1)
    for value in SEQUENCES[name]:
        for scaler, p, optimizer in zip(scalers, (w, v), (a, b), strict=True):
            optimizer.zero_grad()
            scaler.scale((p * p * value).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        assert scalers[0].state_dict() == pytest.approx(scalers[1].state_dict(), rel=1e-6)
        np.testing.assert_allclose(w.data, v.detach().numpy(), rtol=1e-5)
    steps = [int(s["step"]) for s in (*a.state_dict()["state"].values(), *b.state_dict()["state"].values())]
    assert len(set(steps)) <= 1


def test_the_scale_stays_finite():
    scaler = mg.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=1)
    w = mg.ones(1, requires_grad=True)
    for _ in range(2):
        w.grad = None
        scaler.scale(planted(w)).backward()
        scaler.step(optim.SGD([w], lr=0.0))
        scaler.update()
    assert scaler.get_scale() == 2.0**127


def test_many_outputs_are_scaled():
    scaler = mg.amp.GradScaler("cpu", init_scale=4.0)
    x = mg.ones(2)
    found = scaler.scale([x, (x, 2 * x), (y for y in [x])])
    assert type(found) is list and type(found[1]) is tuple
    for y, expected in zip((found[0], *found[1], *found[2]), (4, 4, 8, 4), strict=True):
        np.testing.assert_array_equal(y.data, expected)
    with pytest.raises(mg.DTypeError, match=r"scale: expected a Variable or several, got a float"):
        scaler.scale(1.0)


def test_a_disabled_scaler_does_nothing():
    scaler = mg.amp.GradScaler("cpu", enabled=False)
    w = mg.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    loss = planted(w)
    assert scaler.scale(loss) is loss and not scaler.is_enabled()
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    scaler.load_state_dict({})
    np.testing.assert_array_equal(w.data, 0)
    assert scaler.get_scale() == 1.0 and scaler.state_dict() == {}


def test_without_cuda_it_is_disabled(monkeypatch):
    monkeypatch.setattr(mg.amp, "cuda_is_available", lambda: False)
    with pytest.warns(UserWarning, match="CUDA is not available, so this scaler does nothing"):
        scaler = mg.amp.GradScaler()
    assert not scaler.is_enabled()
    assert not mg.amp.GradScaler("cuda", enabled=False).is_enabled()


def scaled(scaler, value=1.0):
    w = mg.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    scaler.scale(planted(w, value)).backward()
    return w, optimizer


def test_gradients_are_unscaled_once():
    scaler = mg.amp.GradScaler("cpu")
    w, optimizer = scaled(scaler, 3.0)
    np.testing.assert_array_equal(w.grad.data, 3 * 2**16)
    scaler.unscale_(optimizer)
    np.testing.assert_array_equal(w.grad.data, 3)
    scaler.step(optimizer)
    np.testing.assert_array_equal(w.data, -2)
    assert scaler.update(8.0) is None and scaler.get_scale() == 8.0
    scaler.update(mg.tensor([4]))
    assert scaler.get_scale() == 4.0


def test_unscaling_tells_the_tape():
    scaler = mg.amp.GradScaler("cpu")
    w, optimizer = scaled(scaler)
    y = (mg.ones(2, requires_grad=True) * w.grad).sum()
    scaler.unscale_(optimizer)
    with pytest.raises(mg.GraphError, match="overwritten"):
        y.backward()


def unscaled_twice(scaler, optimizer):
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)


def stepped_twice(scaler, optimizer):
    scaler.step(optimizer)
    scaler.step(optimizer)


def unscaled_after_the_step(scaler, optimizer):
    scaler.step(optimizer)
    scaler.unscale_(optimizer)


def updated_too_early(scaler, optimizer):
    scaler.update()


def closed(scaler, optimizer):
    scaler.step(optimizer, closure=lambda: 1)


def without_gradients(scaler, optimizer):
    optimizer.zero_grad()
    scaler.step(optimizer)


def misshapen(scaler, optimizer):
    scaler.update(mg.ones(2))


MISTAKES = [
    (unscaled_twice, RuntimeError, r"unscale_: the gradients of this optimizer have been unscaled .* already"),
    (stepped_twice, RuntimeError, r"step: step\(\) was called on this optimizer already since the last update\(\)"),
    (unscaled_after_the_step, RuntimeError, r"unscale_: step\(\) was called on this optimizer already"),
    (updated_too_early, RuntimeError, r"update: nothing was unscaled since the last update\(\)"),
    (closed, RuntimeError, r"step: a closure is not supported"),
    (without_gradients, RuntimeError, r"step: no parameter of the optimizer has a gradient"),
    (misshapen, mg.ShapeError, r"update: new_scale must be one number, got shape \(2,\)"),
]


@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES, ids=lambda x: getattr(x, "__name__", None))
def test_mistakes_are_named(mistake, error, message):
    scaler = mg.amp.GradScaler("cpu")
    _, optimizer = scaled(scaler)
    with pytest.raises(error, match=message):
        mistake(scaler, optimizer)


@pytest.mark.parametrize("name", ["unscale_", "step"])
def test_what_was_not_scaled_cannot_be_unscaled(name):
    w = mg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=f"GradScaler.{name}: nothing has been scaled yet"):
        getattr(mg.amp.GradScaler("cpu"), name)(optim.SGD([w]))
    with pytest.raises(RuntimeError, match="update: nothing has been scaled yet"):
        mg.amp.GradScaler("cpu").update()


def test_float16_gradients_are_refused():
    scaler = mg.amp.GradScaler("cpu", init_scale=2.0)
    w = mg.ones(2, dtype=mg.float16, requires_grad=True)
    scaler.scale(w.sum()).backward()
    with pytest.raises(mg.DTypeError, match="the gradient of parameter 0 of group 0 is float16; keep the parameters"):
        scaler.step(optim.SGD([w]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"growth_factor": 1.0}, "growth_factor must be above 1, got 1.0"),
        ({"backoff_factor": 1.0}, "backoff_factor must be between 0 and 1, got 1.0"),
        ({"growth_interval": 0}, "growth_interval must be a number of steps, at least 1, got 0"),
        ({"device": "tpu"}, 'device must be "cuda" or "cpu", got \'tpu\''),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises((ValueError, mg.DeviceError), match=message):
        mg.amp.GradScaler(**{"device": "cpu", **options})


def test_the_state_travels(tmp_path):
    a = mg.amp.GradScaler("cpu", 64.0, 4.0, 0.25, 5)
    _, optimizer = scaled(a)
    a.step(optimizer)
    a.update()
    mg.save({"scaler": a.state_dict()}, tmp_path / "x.npz")
    state = mg.load(tmp_path / "x.npz")["scaler"]
    for b in (mg.amp.GradScaler("cpu"), a):
        b.load_state_dict(state)
        b.scale(mg.ones(1))
        settings = b.get_growth_factor(), b.get_backoff_factor(), b.get_growth_interval()
        assert settings == (4.0, 0.25, 5) and b.get_scale() == 64.0 and b.state_dict()["_growth_tracker"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "expected numbers for scale, growth_factor, .*; it is empty, as that of a disabled scaler"),
        ({"scale": "x"}, "expected numbers for scale$"),
        ({"growth_factor": 0.5}, "growth_factor must be above 1, got 0.5"),
    ],
)
def test_a_wrong_state_is_refused(change, message):
    scaler = mg.amp.GradScaler("cpu")
    before = scaler.state_dict()
    with pytest.raises(mg.StateError, match=message):
        scaler.load_state_dict({} if change is None else {**before, "scale": 3.0, **change})
    assert scaler.state_dict() == before


class Plain:
    """An optimizer that knows nothing of scalers."""

    def __init__(self, params):
        self.param_groups = [{"params": list(params)}]

    def step(self):
        for p in self.param_groups[0]["params"]:
            p.data = p.data - p.grad.data
        return "stepped"


class SignSGD(optim.Optimizer):
    """One without a kernel."""

    def __init__(self, params):
        super().__init__(params, {})

    def prepare(self, group, state):
        return (), ()

    @staticmethod
    def update(xp, p, g, t):
        p -= xp.sign(g, out=t)


class Loud(optim.SGD):
    """One whose step does more."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                p.data += 10


every_optimizer = pytest.mark.parametrize("cls", [Plain, SignSGD, Loud, optim.Adam], ids=lambda c: c.__name__)


def leave_out(cls, device):
    scaler = mg.amp.GradScaler(device)
    w = mg.ones(2, device=device, requires_grad=True)
    optimizer = cls([w])
    for value, changes in ((np.inf, False), (1.0, True)):
        before = w.cpu().data.copy()
        w.grad = None
        scaler.scale(planted(w, value, device)).backward()
        returned = scaler.step(optimizer)
        scaler.update()
        assert (w.cpu().data != before).all() == changes
        assert returned == ("stepped" if changes and cls is Plain else None)


@every_optimizer
def test_every_optimizer_leaves_the_step_out(cls):
    leave_out(cls, "cpu")


@pytest.mark.parametrize("clip", [False, True])
def test_training_in_float16_reaches_the_loss_of_float32(clip):
    x = np.random.default_rng(1).normal(size=(64, 6)).astype("f")
    y = mg.Variable(np.sin(x.sum(axis=1, keepdims=True)))
    x = mg.Variable(x)
    losses = []
    for enabled in (False, True):
        mg.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = optim.Adam(model.parameters(), lr=0.02)
        scaler = mg.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=20, enabled=enabled)
        scales = []
        for i in range(81):
            optimizer.zero_grad()
            with mg.autocast("cpu", enabled=enabled):
                loss = F.mse_loss(model(x), y)
            scaler.scale(loss).backward()
            if i == 30 and enabled:
                model[0].weight.grad.data[0, 0] = np.inf
                before = [p.data.copy() for p in model.parameters()]
            scaler.unscale_(optimizer)
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            if i != 30 or enabled:
                scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
            if i == 30 and enabled:
                assert all((p.data == b).all() for p, b in zip(model.parameters(), before, strict=True))
        if enabled:
            assert scales[29] == 2048 and scales[30] == 1024 and scales[50] == 2048
            assert {s["step"] for s in optimizer.state_dict()["state"].values()} == {80}
        losses.append(loss.item())
    assert losses[0] < 0.2
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


# --- on a GPU ----------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "dampening": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "Adagrad, lr_decay": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
}
WAITING = ("dampening", "Adagrad, lr_decay")  # whose numbers depend on how many steps there were


@every_optimizer
def test_every_optimizer_leaves_the_step_out_there(cls, cuda):
    leave_out(cls, cuda)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_waits_for_nothing(name, cuda, waits):
    mg.manual_seed(3)
    layers = (
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 8),
        nn.LayerNorm(8),
    )
    model = nn.Sequential(*layers).to(cuda)
    optimizer = OPTIMIZERS[name](model.parameters())
    scaler = mg.amp.GradScaler()
    x, target = mg.rand(8, 1, 4, 4).to(cuda), mg.arange(8).to(cuda)
    for clip in (False, True):
        waits.clear()
        optimizer.zero_grad()
        with mg.autocast():
            loss = F.cross_entropy(model(x), target)
        scaler.scale(loss).backward()
        if clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            nn.utils.clip_grad_value_(model.parameters(), 0.1)
        assert waits == []
        scaler.step(optimizer)
        assert len(waits) == (1 if name in WAITING and waits else 0)
        waits.clear()
        scaler.update()
        assert waits == []


@pytest.mark.parametrize("name", WAITING)
def test_who_must_wait_waits_once(name, double):
    w = mg.ones(2, device="cuda", requires_grad=True)
    optimizer, scaler = OPTIMIZERS[name]([w]), mg.amp.GradScaler()
    scaler.scale(planted(w, 1.0, "cuda")).backward()
    double.synchronizations.clear()
    scaler.step(optimizer)
    assert len(double.synchronizations) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gpu_goes_as_the_cpu(name, cuda):
    """Also where a parameter joins late, or is left out of a step that is left out."""
    values = [(1.0, "ab"), (np.inf, "ab"), (2.0, "ab"), (np.nan, "a"), (0.5, "ab"), (np.inf, "abc"), (1.5, "abc")]
    values += [(np.nan, "abc"), (0.7, "abcd"), (2.0, "abcd")]
    ends = []
    for device in ("cpu", cuda):
        params = {n: mg.Variable(moved(np.arange(1.0, 4, dtype="f"), device), requires_grad=True) for n in "abcd"}
        optimizer, scaler = OPTIMIZERS[name](list(params.values())), mg.amp.GradScaler(device, growth_interval=2)
        scales = []
        for value, names in values:
            optimizer.zero_grad()
            scaler.scale(sum(planted(params[n] * params[n], value, device) for n in names)).backward()
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
        state = optimizer.state_dict()["state"]
        steps = {i: s.get("step") for i, s in state.items()}
        ends.append((scales, steps, [p.cpu().data for p in params.values()]))
        more = optimizer.state_dict()["state"]
        assert {i: s.get("step") for i, s in more.items()} == steps
    (scales, steps, end), (scales_there, steps_there, end_there) = ends
    assert (scales_there, steps_there) == (scales, steps)
    np.testing.assert_allclose(end_there, end, rtol=1e-5)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam"])
def test_all_gpus_do_the_step_or_none(name, cuda, waits):
    if not many_gpus:
        pytest.skip("there is one GPU only")
    a, b = (mg.ones(2, device=f"cuda:{i}", requires_grad=True) for i in (0, 1))
    optimizer, scaler = OPTIMIZERS[name]([a, b]), mg.amp.GradScaler()
    for value, changes in ((np.inf, False), (1.0, True)):
        before = a.cpu().data.copy(), b.cpu().data.copy()
        optimizer.zero_grad()
        for loss in scaler.scale([planted(a, 1.0, "cuda:0"), planted(b, value, "cuda:1")]):
            loss.backward()
        waits.clear()
        scaler.step(optimizer)
        scaler.update()
        assert waits == []
        for p, old in zip((a, b), before, strict=True):
            assert (p.cpu().data != old).all() == changes
    assert scaler.get_scale() == 2.0**15
    assert {s.get("step", 1) for s in optimizer.state_dict()["state"].values()} <= {1}


def test_counts_are_put_right_before_the_host_needs_them(cuda):
    w = mg.ones(2, device=cuda, requires_grad=True)
    optimizer, scaler = optim.RMSprop([w]), mg.amp.GradScaler()
    scaler.scale(planted(w, np.inf, cuda)).backward()
    scaler.step(optimizer)
    w.data, w.grad = w.cpu().data, mg.ones(2)
    optimizer.step()
    assert optimizer.state[w]["step"] == 1


def test_parameters_here_and_there(cuda):
    a, b = mg.ones(2, requires_grad=True), mg.ones(2, device=cuda, requires_grad=True)
    optimizer, scaler = optim.SGD([a, b], lr=1.0), mg.amp.GradScaler()
    for value, changes in ((np.nan, False), (1.0, True)):
        optimizer.zero_grad()
        for loss in scaler.scale([planted(b, 1.0, cuda), planted(a, value)]):
            loss.backward()
        scaler.step(optimizer)
        scaler.update()
        assert [bool((p.cpu().data == 0).all()) for p in (a, b)] == [changes] * 2


def test_what_a_kernel_cannot_step_is_left_out_too(cuda):
    w = mg.Variable(moved(np.ones((4, 3), "f"), cuda).T, requires_grad=True)
    optimizer, scaler = optim.SGD([w], lr=1.0), mg.amp.GradScaler()
    for value, expected in ((np.inf, 1), (1.0, 0)):
        w.grad = None
        scaler.scale(planted(w, value, cuda)).backward()
        scaler.step(optimizer)
        scaler.update()
        np.testing.assert_array_equal(w.cpu().data, expected)


# --- the generic methods -----------------------------------------------------------------------------------------

KINDS = {"one dtype": "ff", "mixed": "efd", "half": "ee", "none": ""}


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_sums_and_maxima_over_many_arrays(kinds):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4, i)).astype(kind).transpose(2, 0, 1) for i, kind in enumerate(kinds)]
    every = np.concatenate([a.astype("d").ravel() for a in arrays] or [np.zeros(0)])
    library = mg.backend.cpu
    dtype = "float64" if "d" in kinds else "float32"
    for found, expected in (
        (library.sum_of_squares(arrays), (every**2).sum()),
        (library.max_abs(arrays), abs(every).max(initial=0)),
    ):
        assert (found.shape, found.dtype) == ((), dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    if arrays:
        arrays[1][0, 0, 0] = np.nan
        assert np.isnan(library.sum_of_squares(arrays)) and np.isnan(library.max_abs(arrays))


@pytest.mark.parametrize("value", [1.0, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("kind", "efd")
def test_unscaling_many_arrays(value, kind):
    arrays = [np.array(v, kind) for v in (3.0, [2.0, value], [[1.0], [4.0]])]
    expected = [a * 0.5 for a in arrays]
    found = np.zeros((), "f")
    mg.backend.cpu.unscale(arrays, np.asarray(0.5, "f"), found)
    assert found == (not np.isfinite(value))
    mg.backend.cpu.unscale(arrays[2:], np.asarray(1, "f"), found)
    assert found == (not np.isfinite(value))  # it stays
    mg.backend.cpu.scale(arrays, np.asarray(1, "f"))
    for a, b in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(a, b)
