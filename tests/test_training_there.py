"""Modules, optimizers and whole training runs on a GPU: as on the CPU, and without a synchronization nobody asked for.

Without a GPU this runs on the strict double of CuPy. What it must catch is planted at the end.
"""

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import DeviceError, nn, optim

LAYERS = {
    "Linear(4, 3)": (5, 4),
    "Linear(4, 3, bias=False)": (2, 5, 4),
    "Conv2d(2, 4, 3, padding=1)": (3, 2, 6, 5),
    "Conv2d(4, 4, 3, stride=2, groups=2, bias=False)": (2, 4, 7, 7),
    "BatchNorm1d(4)": (6, 4),
    "BatchNorm2d(3)": (4, 3, 5, 5),
    "BatchNorm2d(3, momentum=None)": (4, 3, 5, 5),
    "LayerNorm(6)": (2, 3, 6),
    "LayerNorm((3, 6), elementwise_affine=False)": (2, 3, 6),
    "GroupNorm(2, 4)": (3, 4, 5, 5),
    "MaxPool2d(2)": (2, 3, 6, 6),
    "MaxPool2d(3, stride=2, padding=1)": (2, 3, 7, 7),
    "AvgPool2d(3, stride=2, padding=1, count_include_pad=False)": (2, 3, 7, 7),
    "AdaptiveAvgPool2d((2, 3))": (2, 3, 7, 7),
    "ReLU()": (3, 4),
    "GELU()": (3, 4),
    "Sigmoid()": (3, 4),
    "Tanh()": (3, 4),
    "LeakyReLU(0.1)": (3, 4),
    "Softmax(dim=1)": (3, 4),
    "Flatten()": (2, 3, 4),
    "Identity()": (2, 3),
}
OPTIMIZERS = {
    "SGD(ps, lr=0.1)": 0,
    "SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01)": 0,
    "SGD(ps, lr=0.1, momentum=0.9, nesterov=True)": 0,
    "SGD(ps, lr=0.1, momentum=0.9, dampening=0.1, maximize=True)": 0,
    "Adam(ps, lr=0.01)": 0,
    "Adam(ps, lr=0.01, amsgrad=True, weight_decay=0.1)": 0,
    "AdamW(ps, lr=0.01)": 0,
    "RMSprop(ps, lr=0.01)": 0,
    "RMSprop(ps, lr=0.01, momentum=0.9, centered=True)": 0,
    "Adagrad(ps, lr=0.05)": 0,
}


class Square(nn.Module):
    """A layer that a user has written."""

    def forward(self, x):
        return x * x + mg.ones_like(x)


def make(device="cpu", dtype=mg.float32):
    """A net with a bit of everything."""
    mg.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(6, 8),
        nn.LayerNorm(8),
        nn.Tanh(),
        Square(),
        nn.Linear(8, 3),
    )
    return net.to(device, dtype)


def data(device="cpu", dtype=mg.float32):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 1, 8, 8)), rng.integers(0, 3, 12)
    return mg.tensor(x, dtype=dtype, device=device), mg.tensor(y, device=device)


def train(net, opt, x, y, steps=3):
    """The losses, which stay where they are."""
    losses = []
    for _ in range(steps):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        losses.append(loss.detach())
    return losses


def close(a, b, tolerance=1e-4):
    np.testing.assert_allclose(a.numpy(force=True), b.numpy(force=True), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers(layer, mode, cuda):
    x = np.random.default_rng(0).standard_normal(LAYERS[layer]).astype("f")
    ran = []
    for device in ("cpu", cuda):
        mg.manual_seed(0)
        net = eval(f"nn.{layer}", {"nn": nn}).to(device)
        net.train(mode == "train")
        v = mg.tensor(x, device=device, requires_grad=True)
        y = net(v)
        (
            y * mg.tensor(np.linspace(-1, 1, y.numel()).reshape(y.shape), dtype=mg.float32, device=device)
        ).sum().backward()
        ran.append([y, v.grad, *(p.grad for p in net.parameters()), *net.buffers()])
    for a, b in zip(*ran, strict=True):
        assert b.is_cuda and a.dtype == b.dtype
        close(a, b)


def test_new_modules_are_made_where_they_are_wanted(cuda):
    for net in (nn.Linear(2, 3, device=cuda), nn.BatchNorm2d(3, device=cuda), nn.Conv2d(1, 2, 3, device=cuda)):
        assert all(x.is_cuda for x in (*net.parameters(), *net.buffers()))
    with mg.device("cuda:0"):
        assert all(x.is_cuda for x in (*nn.BatchNorm1d(3).buffers(), *nn.Linear(2, 3).parameters()))
    mg.manual_seed(0)
    here = nn.Linear(2, 3)
    mg.manual_seed(0)
    close(here.weight, nn.Linear(2, 3, device=cuda).weight, 0)


@pytest.mark.parametrize("line", OPTIMIZERS)
def test_optimizers(line, cuda):
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(s).astype("f") for s in ((3, 4), (5,), (), (70, 300))]
    gradients = [[rng.standard_normal(v.shape).astype("f") for v in values] for _ in range(4)]
    ran = []
    for device in ("cpu", cuda):
        ps = [mg.tensor(v, device=device, requires_grad=True) for v in values]
        opt = eval(f"optim.{line}", {"optim": optim, "ps": ps})
        for gs in gradients:
            for p, g in zip(ps, gs, strict=True):
                p.grad = mg.tensor(g, device=device)
            opt.step()
        ran.append(ps)
        state = opt.state_dict()["state"]
        assert all(
            mg.Variable(a).device.type == device[:4].rstrip(":")
            for s in state.values()
            for a in s.values()
            if hasattr(a, "shape")
        )
    for a, b in zip(*ran, strict=True):
        close(a, b)


def test_an_optimizer_of_the_users_own(cuda):
    class Sign(optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        def prepare(self, group, state):
            return (), (float(group["lr"]),)

        @staticmethod
        def update(xp, p, g, t, lr):
            xp.sign(g, out=t)
            t *= lr
            p -= t

    p = mg.tensor([1.0, -1.0], device=cuda, requires_grad=True)
    (p * p).sum().backward()
    Sign([p]).step()
    np.testing.assert_allclose(p.numpy(force=True), [0.9, -0.9], rtol=1e-6)


def test_a_training_run(cuda):
    ran = []
    for device in ("cpu", cuda):
        net = make(device)
        ran.append(train(net, optim.AdamW(net.parameters(), lr=0.01), *data(device), steps=5))
    for a, b in zip(*ran, strict=True):
        close(a, b, 1e-3)
    assert ran[1][-1].item() < ran[1][0].item()


def test_a_training_step_waits_for_nothing(double):
    net = make("cuda")
    net.append(nn.Dropout(0.5))
    opt = optim.Adam(net.parameters(), lr=0.01)
    x, y = data("cuda")
    double.synchronizations.clear()
    train(net, opt, x, y)
    assert double.synchronizations == []


def test_on_the_second_gpu(double):
    net = make("cuda:1")
    losses = train(net, optim.SGD(net.parameters(), lr=0.1, momentum=0.9), *data("cuda:1"))
    assert {str(loss.device) for loss in losses} == {"cuda:1"}
    assert mg.cuda.current_device() == 0
    other = make("cpu")
    for a, b in zip(
        train(other, optim.SGD(other.parameters(), lr=0.1, momentum=0.9), *data("cpu")), losses, strict=True
    ):
        close(a, b, 1e-3)


def test_the_state_of_an_optimizer_follows_its_parameters(cuda):
    net, (x, y) = make("cpu"), data("cpu")
    opt = optim.Adam(net.parameters(), lr=0.01)
    train(net, opt, x, y, 2)
    there = make(cuda)
    there.load_state_dict(net.state_dict())
    other = optim.Adam(there.parameters(), lr=0.01)
    other.load_state_dict(opt.state_dict())
    expected = train(net, opt, x, y, 2)
    for a, b in zip(expected, train(there, other, *data(cuda), 2), strict=True):
        close(a, b, 1e-3)
    net.to(cuda)
    losses = train(net, opt, *data(cuda), 1)
    assert losses[0].is_cuda and all(
        mg.Variable(a).is_cuda for s in opt.state.values() for a in s.values() if hasattr(a, "shape")
    )


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_checkpoints_load_on_another_device(suffix, tmp_path, cuda):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    net = make(cuda)
    opt = optim.Adam(net.parameters(), lr=0.01)
    train(net, opt, *data(cuda), 1)
    mg.save({"net": net.state_dict(), "opt": opt.state_dict()}, tmp_path / f"x{suffix}")
    kept = mg.load(tmp_path / f"x{suffix}")
    assert not any(x.is_cuda for x in kept["net"].values())
    for device in ("cpu", cuda):
        fresh = make(device)
        fresh.load_state_dict(kept["net"])
        other = optim.Adam(fresh.parameters(), lr=0.01)
        other.load_state_dict(kept["opt"])
        assert all(x.is_cuda == (device != "cpu") for x in fresh.parameters())
        for a, b in zip(fresh.parameters(), net.parameters(), strict=True):
            close(a, b, 0)


# --- what the double must catch ----------------------------------------------------------------------------------


class BareNumPy(nn.Module):
    def forward(self, x):
        return x * mg.Variable(np.exp(x.data))


class HostConstant(nn.Module):
    def forward(self, x):
        return x * np.linspace(0, 1, x.shape[-1], dtype="f")


class LooksAtItsValue(nn.Module):
    def forward(self, x):
        return x * 2 if float(x.sum()) > 0 else x


def test_a_planted_numpy_call_is_caught(double):
    with pytest.raises((TypeError, DeviceError), match="exp"):
        BareNumPy()(mg.ones(3, device="cuda"))


def test_a_planted_host_constant_is_caught(double):
    with pytest.raises(
        DeviceError, match=r"mul: argument 0 \(2, 3\) is on cuda:0, argument 1 \(3,\) is on cpu; .*to\("
    ):
        HostConstant()(mg.ones(2, 3, device="cuda"))


def test_a_planted_look_at_a_value_is_caught(double):
    x = mg.ones(3, device="cuda")
    double.synchronizations.clear()
    LooksAtItsValue()(x)
    assert len(double.synchronizations) == 1
