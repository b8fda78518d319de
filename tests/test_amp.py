"""Autocast: which dtype an operation has inside of a region, what the regions are, and what the cache keeps."""

import contextvars
import gc
import threading
import weakref

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.backend import device_of, moved
from minigrad.ops.shape import Cast
from minigrad.tape.modes import casting, regions

half, single = mg.float16, mg.float32


@pytest.fixture(autouse=True)
def _no_region_is_left():
    yield
    left = casting.get(), list(regions)
    casting.set(None)
    regions.clear()
    assert left == (None, [])


def draw(*shape, dtype="float32", device="cpu"):
    values = np.random.default_rng(len(shape)).uniform(0.5, 1.5, shape).astype(dtype)
    return mg.Variable(moved(values, device))


# --- which dtype -------------------------------------------------------------------------------------------------

# h is float16, s float32; m is minigrad or torch, f its functional. By PyTorch's lists for CUDA.
SAME = {
    "matmul": lambda m, f, h, s: s @ s,
    "matmul of both": lambda m, f, h, s: h @ s,
    "exp": lambda m, f, h, s: h.exp(),
    "m.exp": lambda m, f, h, s: m.exp(h),
    "exp of float32": lambda m, f, h, s: s.exp(),
    "exp of float64": lambda m, f, h, s: s.double().exp(),
    "exp of integers": lambda m, f, h, s: m.exp(m.arange(3)),
    "expm1": lambda m, f, h, s: h.expm1(),
    "log": lambda m, f, h, s: h.log(),
    "log1p": lambda m, f, h, s: h.log1p(),
    "pow by number": lambda m, f, h, s: h**2,
    "number to the power": lambda m, f, h, s: 2**h,
    "pow": lambda m, f, h, s: h**h,
    "1 / x": lambda m, f, h, s: 1 / h,
    "x / 2": lambda m, f, h, s: h / 2,
    "x / x": lambda m, f, h, s: h / h,
    "softplus": lambda m, f, h, s: f.softplus(h),
    "softmax": lambda m, f, h, s: h.softmax(0),
    "softmax, dtype": lambda m, f, h, s: f.softmax(h, dim=0, dtype=m.float16),
    "log_softmax": lambda m, f, h, s: f.log_softmax(h, dim=0),
    "logsumexp": lambda m, f, h, s: h.logsumexp(0),
    "sum": lambda m, f, h, s: h.sum(),
    "sum over an axis": lambda m, f, h, s: h.sum(0),
    "sum, dtype": lambda m, f, h, s: h.sum(dtype=m.float16),
    "cross_entropy": lambda m, f, h, s: f.cross_entropy(h, m.arange(4)),
    "cross_entropy of probabilities": lambda m, f, h, s: f.cross_entropy(h, h),
    "cross_entropy, no reduction": lambda m, f, h, s: f.cross_entropy(h, m.arange(4), reduction="none"),
    "nll_loss": lambda m, f, h, s: f.nll_loss(h, m.arange(4)),
    "mse_loss": lambda m, f, h, s: f.mse_loss(h, h),
    "mse_loss, no reduction": lambda m, f, h, s: f.mse_loss(h, h, reduction="none"),
    "binary_cross_entropy_with_logits": lambda m, f, h, s: f.binary_cross_entropy_with_logits(h, h),
    "add": lambda m, f, h, s: h + s,
    "mul of float16": lambda m, f, h, s: h * h,
    "mul of float32": lambda m, f, h, s: s * s,
    "cat": lambda m, f, h, s: m.cat([h, s]),
    "sqrt": lambda m, f, h, s: h.sqrt(),
    "tanh": lambda m, f, h, s: h.tanh(),
    "sigmoid": lambda m, f, h, s: h.sigmoid(),
    "gelu": lambda m, f, h, s: f.gelu(h),
    "relu": lambda m, f, h, s: h.relu(),
    "amax": lambda m, f, h, s: h.amax(),
}

# Which PyTorch computes in float32 on a CPU as well, or without a GPU cannot be asked about for CUDA.
SAME_ON_CPU = {
    "matmul of vectors": lambda m, f, h, s: m.matmul(s[0], s[0]),
    "linear": lambda m, f, h, s: f.linear(s, s, s[0]),
    "linear of a vector": lambda m, f, h, s: f.linear(h[0], s),
    "conv2d": lambda m, f, h, s: f.conv2d(s[None, None], s[None, None], s[0, :1], padding=1),
    "conv2d of one image": lambda m, f, h, s: f.conv2d(h[None], s[None, None]),
    "batch_norm, training": lambda m, f, h, s: f.batch_norm(h, None, None, s[0], s[0], training=True),
    "batch_norm": lambda m, f, h, s: f.batch_norm(h, s[0], s[0], s[0], s[0]),
    "batch_norm of float32": lambda m, f, h, s: f.batch_norm(s, None, None, s[0], s[0], training=True),
    "max_pool2d": lambda m, f, h, s: f.max_pool2d(h[None, None], 2),
    "mse_loss": SAME["mse_loss"],
}

# What PyTorch has otherwise (means, variances), or without a GPU cannot be asked about.
FLOAT32 = {
    "mean": lambda h: h.mean(),
    "m.mean": mg.mean,
    "var": lambda h: h.var(),
    "std": lambda h: h.std(0),
    "layer_norm": lambda h: F.layer_norm(h, (4,), draw(4), draw(4, dtype="float16")),
    "group_norm": lambda h: F.group_norm(h[None], 2, draw(4), draw(4, dtype="float16")),
}


def ours(function):
    with mg.autocast("cpu"):
        return function(mg, F, draw(4, 4, dtype="float16"), draw(4, 4))


@pytest.mark.torch
@pytest.mark.parametrize("name", SAME)
def test_the_dtype_is_that_of_pytorch_on_cuda(name):
    """Tensors that only pretend to be on a GPU are dispatched as those that are."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        h, s = (torch.ones(4, 4, dtype=dtype, device="cuda") for dtype in (torch.float16, torch.float32))
        torch.set_autocast_enabled("cuda", True)
        try:
            with torch.device("cuda"):
                theirs = SAME[name](torch, torch.nn.functional, h, s)
        finally:
            torch.set_autocast_enabled("cuda", False)
            torch.clear_autocast_cache()
        assert mode is not None
    assert str(ours(SAME[name]).dtype) == str(theirs.dtype).removeprefix("torch.")


@pytest.mark.torch
@pytest.mark.parametrize("name", SAME_ON_CPU)
def test_the_dtype_is_that_of_pytorch_on_the_cpu(name):
    import torch

    h, s = (torch.ones(4, 4, dtype=dtype) for dtype in (torch.float16, torch.float32))
    with torch.autocast("cpu", dtype=torch.float16):
        theirs = SAME_ON_CPU[name](torch, torch.nn.functional, h, s)
    assert str(ours(SAME_ON_CPU[name]).dtype) == str(theirs.dtype).removeprefix("torch.")


@pytest.mark.parametrize("name", FLOAT32)
def test_means_are_float32_as_sums_are(name):
    with mg.autocast("cpu"):
        assert FLOAT32[name](draw(4, 4, dtype="float16")).dtype == single
    assert FLOAT32[name](draw(4, 4, dtype="float16")).dtype == half


def test_a_mean_with_a_dtype_has_it():
    with mg.autocast("cpu"):
        assert draw(4, dtype="float16").mean(dtype=half).dtype == half


@pytest.mark.parametrize("name", [*SAME, *SAME_ON_CPU])
def test_outside_and_on_another_device_nothing_changes(name):
    function = (SAME | SAME_ON_CPU)[name]
    if name in ("matmul of both", "linear of a vector", "conv2d of one image"):
        pytest.skip("float16 with float32 is an error outside")
    h, s = draw(4, 4, dtype="float16"), draw(4, 4)
    expected = function(mg, F, h, s)
    with mg.autocast("cuda"), mg.autocast("cuda", enabled=False), mg.autocast("cuda"):
        found = function(mg, F, h, s)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.data, expected.data)


def test_arrays_are_cast_as_variables_are():
    with mg.autocast("cpu"):
        assert mg.matmul(draw(2, 2).data, draw(2, 2).data).dtype == half
        assert mg.exp(draw(2, dtype="float16").data).dtype == single
        assert mg.matmul([[1.0]], draw(1, 1)).dtype == half


def test_sums_do_not_overflow():
    x = mg.full((300,), 300.0, dtype=half, requires_grad=True)
    with np.errstate(over="ignore"):
        assert x.sum().item() == np.inf
    with mg.autocast("cpu"):
        y = (x * 2 - x).sum()
        z = (x**2).mean()
    assert y.item() == z.item() == 300 * 300
    y.backward()
    assert x.grad.dtype == half
    np.testing.assert_array_equal(x.grad.data, 1)


def test_batch_norm_has_float32_statistics():
    x = np.random.default_rng(0).normal(300, 1, (64, 3))
    running = mg.zeros(3), mg.ones(3)
    with mg.autocast("cpu"):
        y = F.batch_norm(mg.Variable(x.astype("float16")), *running, training=True)
    assert y.dtype == half and running[0].dtype == single
    np.testing.assert_allclose(running[0].data, 0.1 * x.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(running[1].data, 0.9 + 0.1 * x.var(axis=0, ddof=1), rtol=0.01)


def network():
    mg.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 8),
        nn.LayerNorm(8),
    )


def compare_gradients(device):
    x, target = draw(8, 1, 4, 4, device=device), mg.Variable(moved(np.arange(8), device))
    grads = []
    for enabled in (False, True):
        model = network().to(device)
        with mg.autocast(device, enabled=enabled):
            y = model(x)
            assert y.dtype == single
            assert model[:5](x).dtype == (half if enabled else single)
            loss = F.cross_entropy(y, target)
        loss.backward()
        grads.append([p.grad.cpu() for p in model.parameters()])
    for a, b in zip(*grads, strict=True):
        assert a.dtype == b.dtype == single
        np.testing.assert_allclose(a.data, b.data, atol=0.01 * float(np.abs(a.data).max()) + 1e-4)
    assert any((a.data != b.data).any() for a, b in zip(*grads, strict=True))


def test_gradients_are_float32_and_near():
    compare_gradients("cpu")


def test_a_penalty_on_gradients_can_be_differentiated():
    w, x = draw(3, 3), draw(5, 3)
    w.requires_grad = x.requires_grad = True
    found = []
    for enabled in (False, True):
        w.grad = None
        with mg.autocast("cpu", enabled=enabled):
            y = F.mse_loss((x @ w).tanh() @ w, mg.zeros(5, 3))
            (g,) = mg.grad(y, x, create_graph=True)
            penalty = (g * g).sum()
        penalty.backward()
        assert g.dtype == w.grad.dtype == single
        found.append(w.grad.data)
    np.testing.assert_allclose(*found, atol=0.02 * np.abs(found[0]).max())


# --- the region --------------------------------------------------------------------------------------------------


def dtype_now():
    return (draw(2, 2) @ draw(2, 2)).dtype


def test_regions_nest_and_end_with_an_exception():
    outer = mg.amp.autocast("cpu")
    with outer:
        assert dtype_now() == half
        with mg.autocast("cpu", enabled=False):
            assert dtype_now() == single
            with outer:
                assert dtype_now() == half
            assert dtype_now() == single
        with pytest.raises(KeyError), mg.autocast("cpu", enabled=False):
            raise KeyError
        assert dtype_now() == half
        with mg.autocast("cuda", enabled=False):
            assert dtype_now() == half
    assert dtype_now() == single


def test_it_decorates_functions_and_generators():
    @mg.autocast("cpu")
    def function(n):
        return dtype_now() if not n else function(n - 1)

    @mg.autocast("cpu")
    def generator():
        for _ in range(2):
            yield dtype_now()

    assert function(2) == half
    found = []
    for inside in generator():
        found += [inside, dtype_now()]
    assert found == [half, single, half, single]


def test_each_thread_has_its_own():
    found, inside, done = [], threading.Event(), threading.Event()

    def other():
        with mg.autocast("cpu"):
            inside.set()
            done.wait(10)
            found.append(dtype_now())

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    assert regions and dtype_now() == single
    with mg.autocast("cpu"):
        assert dtype_now() == half
    done.set()
    thread.join()
    assert found == [half]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("tpu",), mg.DeviceError, 'device_type must be "cuda" or "cpu", got \'tpu\''),
        ((dtype_now,), mg.DeviceError, "device_type must be"),
        (("cpu", mg.float32), mg.DTypeError, "dtype must be float16, got float32"),
    ],
)
def test_what_is_no_region(arguments, error, message):
    with pytest.raises(error, match=message):
        mg.autocast(*arguments)
    mg.autocast("cpu", mg.float32, enabled=False)


# --- the cache ---------------------------------------------------------------------------------------------------


@pytest.fixture
def casts(monkeypatch):
    """The shapes of what has been cast."""
    found = []
    forward = Cast.forward

    def counted(self, x):
        found.append(x.shape)
        return forward(self, x)

    monkeypatch.setattr(Cast, "forward", counted)
    return found


def test_a_parameter_is_cast_once(casts):
    w, fixed = mg.ones(2, 3, requires_grad=True), mg.ones(2, 3)
    x = mg.ones(5, 3, dtype=half)
    with mg.autocast("cpu"):
        for _ in range(3):
            F.linear(x, w)
        with mg.autocast("cpu"):
            F.linear(x, w)
        assert casts == [(2, 3)]
        for _ in range(2):
            F.linear(x, fixed)  # no parameter
        assert casts == [(2, 3)] * 3
    with mg.autocast("cpu"):
        F.linear(x, w)
        assert casts == [(2, 3)] * 4
    with mg.autocast("cpu", cache_enabled=False):
        for _ in range(2):
            F.linear(x, w)
    assert casts == [(2, 3)] * 6


def rewrite(w):
    w.data = w.data * 2


def optimize(w):
    w.grad = mg.Variable(-w.data)
    optim.SGD([w], lr=1.0).step()


@mg.no_grad()
def copy(w):
    w.copy_(w.detach() * 2)


def load(w):
    layer = nn.Linear(3, 2, bias=False)
    layer.weight = w
    layer.load_state_dict({"weight": w.detach() * 2})


@pytest.mark.parametrize("overwrite", [rewrite, optimize, copy, load])
def test_an_overwritten_parameter_is_cast_anew(overwrite):
    w, x = nn.Parameter(np.ones((2, 3), "f")), mg.ones(1, 3)
    with mg.autocast("cpu"):
        np.testing.assert_array_equal(F.linear(x, w).data, [[3, 3]])
        overwrite(w)
        np.testing.assert_array_equal(F.linear(x, w).data, [[6, 6]])


def test_nothing_is_kept_after_the_region():
    gc.disable()
    try:
        w = mg.ones(2, 3, requires_grad=True)
        with mg.autocast("cpu"), mg.autocast("cpu"):
            y = F.linear(mg.ones(1, 3), w)
            task = contextvars.copy_context()  # what an asynchronous task begun here would keep
            _, _, cast = casting.get().cache[w]
            kept, parameter = weakref.ref(cast), weakref.ref(w)
            del cast
            assert kept() is not None
        y.sum().backward()
        del y, w
        assert kept() is None and parameter() is None and task
    finally:
        gc.enable()


def test_losses_that_share_a_cast_go_back_one_by_one():
    w = mg.ones(2, 3, requires_grad=True)
    with mg.autocast("cpu"):
        with mg.no_grad():
            F.linear(mg.ones(1, 3), w)  # the cache must not keep that there is no gradient
        losses = [F.linear(mg.full((1, 3), float(n)), w).sum() for n in (1, 2)]
        losses[0].backward()
        losses[1].backward()
    assert w.grad.dtype == single
    np.testing.assert_array_equal(w.grad.data, 3)


# --- on a GPU -----------------------------------------------------------------------------------------------------


def test_gradients_there_are_float32_and_near(cuda):
    compare_gradients(cuda)


def test_batch_norm_there_casts_nothing_in_training(cuda, casts):
    x, running = draw(8, 3, dtype="float16", device=cuda), (mg.zeros(3, device=cuda), mg.ones(3, device=cuda))
    with mg.autocast():
        y = F.batch_norm(x, *running, training=True)
    assert y.dtype == half and running[0].dtype == single and casts == []
    np.testing.assert_allclose(running[0].cpu().data, 0.1 * x.cpu().data.mean(axis=0, dtype="f"), rtol=1e-5)


def test_the_cache_keeps_to_the_device(cuda):
    here, there = mg.ones(2, 2, requires_grad=True), mg.ones(2, 2, device=cuda, requires_grad=True)
    with mg.autocast():
        assert (here @ here).dtype == single
        assert (there @ there).dtype == half and (there @ there).device == there.device
        assert list(casting.get().cache) == [there]
        with mg.autocast("cpu"):
            assert (here @ here).dtype == half
    assert device_of(there.data) == there.device
