"""Corners of the switch: what once went wrong with several GPUs, numbers beside arrays, and odd calls."""

import copy

import numpy as np
import pytest

import minigrad as mg
import minigrad.data
import minigrad.nn.functional as F
from minigrad import DeviceError, IndexRangeError, OutOfMemoryError, nn, optim


def test_copies_of_a_module_stay_where_it_is(double):
    for net in (nn.BatchNorm1d(3, device="cuda:1"), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).to("cuda:1")):
        twin = copy.deepcopy(net)
        assert {str(x.device) for x in (*twin.parameters(), *twin.buffers())} == {"cuda:1"}


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_gradient_is_given_as_a_number(device, double):
    for seed in (2.0, np.float32(2), mg.tensor(2.0), mg.tensor(2.0, device=device)):
        x = mg.ones(3, device=device, requires_grad=True)
        (x * x).sum().backward(seed)
        assert x.grad.tolist() == [4, 4, 4] and x.grad.device == device
        assert mg.grad([(x * x).sum()], [x], [seed], create_graph=True)[0].device == device
    x = mg.ones(3, device=device, requires_grad=True)
    y, g = x * 2, mg.ones(3, device=device)
    assert mg.grad([y, y], [x], [g, g])[0].tolist() == [4, 4, 4]
    with pytest.raises(DeviceError, match="backward: argument 0"):
        y.backward(mg.ones(3), create_graph=True)


@pytest.mark.parametrize("homes", [("cuda:0", "cuda:1"), ("cuda:1", "cuda:0")])
def test_hooks_run_where_the_gradient_is(homes, double):
    a, b = (mg.ones(3, device=d, requires_grad=True) for d in homes)
    for x in (a, b):
        x.register_hook(lambda g: mg.Variable(g.data * 2))
    (a * b.to(homes[0])).sum().backward()
    assert (a.grad.device, b.grad.device) == homes and a.grad.tolist() == b.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize("grad", [lambda: mg.ones(3, device="cuda:0"), lambda: mg.ones(3)])
def test_a_gradient_on_another_device_is_refused_before_anything_is_updated(grad, double):
    a = mg.ones(3, requires_grad=True)
    b = mg.ones(3, device="cuda:1", requires_grad=True)
    a.grad, b.grad = mg.ones(3), grad()
    opt = optim.Adam([a, b])
    with pytest.raises(DeviceError, match=r"parameter 1 of group 0 .* on cuda:1, and its grad is on .*; write"):
        opt.step()
    assert a.tolist() == [1, 1, 1] and not opt.state.get(a)
    with pytest.raises(DeviceError, match="argument 0"):
        (b * b).sum().backward()


def test_one_optimizer_for_parameters_here_and_there_without_a_kernel(double):
    a = mg.ones(2, 3, requires_grad=True)
    b = mg.Variable(mg.ones(3, 2, device="cuda:1").T.data, requires_grad=True)
    (a.sum() + b.sum().cpu()).backward()
    optim.SGD([a, b], lr=0.5).step()
    assert a.tolist() == b.tolist() == [[0.5] * 3] * 2


def test_items_are_collated_where_they_lie(double):
    items = [mg.ones(3, device="cuda:1")] * 2
    assert mg.data.default_collate(items).device == "cuda:1"
    with pytest.raises(DeviceError, match="default_collate: argument 0"):
        mg.data.default_collate([mg.ones(3, device="cuda:1"), mg.ones(3, device="cuda:0")])


def test_indices_are_checked_on_every_gpu(double):
    mg.cuda.check_indices()
    try:
        x = mg.ones(3, 4, device="cuda:1")
        assert x[mg.tensor([1], device="cuda:1")].shape == (1, 4)
        with pytest.raises(IndexRangeError, match="take_along_dim: index 9 is outside of the 4"):
            mg.take_along_dim(x, mg.tensor([[9]], device="cuda:1"), 1)
    finally:
        mg.cuda.check_indices(False)


def test_class_numbers_out_of_range_are_nan_in_every_loss(cuda):
    x, wrong = mg.zeros(3, 4, device=cuda), mg.tensor([0, 9, -1], device=cuda)
    w = mg.ones(4, device=cuda)
    for loss in (
        F.nll_loss(x, wrong, reduction="none"),
        F.cross_entropy(x, wrong, w, label_smoothing=0.1, reduction="none"),
        F.cross_entropy(x, wrong, reduction="none"),
    ):
        assert np.isnan(loss.numpy()).tolist() == [False, True, True]


def test_the_random_state_is_one_gpus(double):
    mg.manual_seed(0)
    x, other = mg.ones(100, device="cuda:0"), mg.ones(100, device="cuda:1")
    state = mg.cuda.get_rng_state(0)
    expected = F.dropout(other).numpy()
    mg.manual_seed(0)
    mg.cuda.set_rng_state({"key": 5, "counter": 0}, 0)
    np.testing.assert_array_equal(F.dropout(other).numpy(), expected)
    with pytest.raises(mg.StateError, match="expected what mg"):
        mg.cuda.set_rng_state({"key": "a"})
    mg.cuda.set_rng_state(state, 0)
    F.dropout(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.softmax(x.sum(), 0),
        lambda x: F.log_softmax(x.sum(), 0),
        lambda x: mg.where(True, x, x),
        lambda x: mg.where(mg.tensor(True), x, x),
        lambda x: mg.maximum(2.0, x),
        lambda x: mg.minimum(mg.tensor(1.0), x),
        lambda x: mg.Variable(mg.exp(x.data)),
        lambda x: mg.Variable(mg.std(x.data)),
        lambda x: x @ [1.0, 2.0, 3.0],
        lambda x: mg.full((2,), mg.tensor(3.0), device=x.device),
        lambda x: mg.full((2, 3), [1.0, 2.0, 3.0], device=x.device),
        lambda x: F.batch_norm(x.reshape(3, 1), None, None, training=True, momentum=mg.tensor(0.1)),
    ],
)
@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_odd_calls_work_there_as_here(call, device, double):
    x = mg.tensor([1.0, 2.0, 4.0])
    there = call(x.to(device))
    assert there.device == device
    np.testing.assert_allclose(there.numpy(), call(x).numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.dropout(x.long()), mg.DTypeError, "dropout: expected floats, got int64"),
        (lambda x: F.layer_norm(x.long(), 3), mg.DTypeError, "layer_norm: expected floats, got int64"),
        (lambda x: F.cross_entropy(x.long()[None], mg.tensor([0])), mg.DTypeError, "cross_entropy: expected floats"),
        (lambda x: x[True], IndexRangeError, r"bool without axes .* write x\[None\]"),
        (
            lambda x: F.batch_norm(x.reshape(3, 1), mg.zeros(1), mg.ones(1), training=True),
            DeviceError,
            "batch_norm: argument 0",
        ),
        (lambda x: mg.cuda.set_device("cpu"), DeviceError, "mg.cuda: expected a GPU"),
    ],
)
def test_odd_calls_are_refused(call, error, message, cuda):
    with pytest.raises(error, match=message):
        call(mg.ones(3, device=cuda))


def test_a_module_that_does_not_fit_stays_whole(double):
    import cupy

    net = nn.Sequential(nn.Linear(10, 10), nn.Linear(100, 100))
    with cupy.cuda.Device(1):
        cupy.get_default_memory_pool().set_limit(size=10_000)
    try:
        with pytest.raises(OutOfMemoryError):
            net.to("cuda:1")
        assert {str(p.device) for p in net.parameters()} == {"cpu"}
    finally:
        with cupy.cuda.Device(1):
            cupy.get_default_memory_pool().set_limit(size=0)
