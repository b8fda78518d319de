"""nn.utils: clipping gradients, and parameters as one vector, beside PyTorch."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.backend import many_gpus, moved

SHAPES = [(3, 4), (), (5,), (2, 1, 3)]
NORMS = [2.0, 2, "inf", math.inf, 1.0, 3.0, 0.5, 0.0, -1.0, -math.inf]


@pytest.fixture
def waits(request, cuda):
    """The list of what the host has waited for, where the double counts it; on a GPU it stays empty."""
    return request.getfixturevalue("double").synchronizations if "double" in request.fixturenames else []


def gradients(dtype="float32", shapes=SHAPES):
    rng = np.random.default_rng(0)
    return [(rng.normal(size=shape) + 0.01).astype(dtype) for shape in shapes]


def parameters(grads, devices=("cpu",)):
    """Parameters with these gradients, on the devices in turn."""
    found = []
    for i, g in enumerate(grads):
        p = mg.zeros(*g.shape, dtype=g.dtype, device=devices[i % len(devices)], requires_grad=True)
        p.grad = mg.Variable(moved(g.copy(), p.device))
        found.append(p)
    return found


def torch_parameters(grads):
    import torch

    found = []
    for g in grads:
        p = torch.zeros(g.shape, dtype=getattr(torch, str(g.dtype)), requires_grad=True)
        p.grad = torch.tensor(g)
        found.append(p)
    return found


def compare(ours, theirs, rtol=1e-5):
    for p, q in zip(ours, theirs, strict=True):
        assert str(p.grad.dtype) == str(q.grad.dtype).removeprefix("torch.")
        np.testing.assert_allclose(p.grad.cpu().data, q.grad.numpy(), rtol=rtol)


@pytest.mark.torch
@pytest.mark.parametrize("max_norm", [0.7, 1000])
@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_the_norm_is_clipped_as_in_pytorch(dtype, norm_type, max_norm):
    import torch

    ours, theirs = parameters(gradients(dtype)), torch_parameters(gradients(dtype))
    found = nn.utils.clip_grad_norm_((p for p in ours), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert isinstance(found, mg.Variable) and found.shape == () and not found.requires_grad
    assert found.dtype == ("float64" if dtype == "float64" else "float32")
    rtol = 2e-3 if dtype == "float16" else 1e-5
    np.testing.assert_allclose(found.item(), expected.item(), rtol=rtol)
    compare(ours, theirs, rtol)


@pytest.mark.torch
@pytest.mark.parametrize("values", [[math.inf, 1.0], [math.nan, 1.0], [math.nan, math.inf], [0.0, 0.0]])
@pytest.mark.parametrize("norm_type", [2.0, math.inf, 1.0])
def test_what_is_not_finite_is_clipped_as_in_pytorch(values, norm_type):
    import torch

    grads = [np.array(values, "f"), np.ones(2, "f")]
    ours, theirs = parameters(grads), torch_parameters(grads)
    found = nn.utils.clip_grad_norm_(ours, 1.0, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 1.0, norm_type)
    np.testing.assert_array_equal(found.item(), expected.item())
    compare(ours, theirs)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_norm_that_is_not_finite_is_refused_on_request(value):
    p = parameters([np.array([1.0, value], "f")])
    with pytest.raises(RuntimeError, match=rf"the norm of order 2\.0 is {value}, so the gradients cannot be clipped"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(p[0].grad.data, [1.0, value])
    assert nn.utils.clip_grad_norm_(parameters(gradients()), 1.0, error_if_nonfinite=True).item() > 1


@pytest.mark.torch
def test_values_are_clipped_as_in_pytorch():
    import torch

    grads = [*gradients(), np.array([math.nan, math.inf, -math.inf], "f")]
    ours, theirs = parameters(grads), torch_parameters(grads)
    assert nn.utils.clip_grad_value_((p for p in ours), 0.5) is None
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    compare(ours, theirs)


def test_a_single_parameter_and_those_without_a_gradient():
    (p,) = parameters([np.full(4, 2.0, "f")])
    bare = mg.zeros(3, requires_grad=True)
    assert nn.utils.clip_grad_norm_([bare, p, bare], 1.0, foreach=True).item() == 4.0
    np.testing.assert_allclose(p.grad.data, 0.5, rtol=1e-6)
    assert nn.utils.clip_grad_norm_(p, 0.5).item() == pytest.approx(1.0)
    np.testing.assert_allclose(p.grad.data, 0.25, rtol=1e-5)
    nn.utils.clip_grad_value_(p, 0.1)
    np.testing.assert_allclose(p.grad.data, 0.1)
    assert nn.utils.clip_grad_norm_([bare], 1.0).item() == nn.utils.clip_grad_norm_([], 1.0).item() == 0.0
    assert bare.grad is None


def test_a_generator_that_was_used_up_is_noticed():
    model = nn.Linear(2, 2)
    generator = model.parameters()
    list(generator)
    with pytest.warns(UserWarning, match="clip_grad_norm_: the generator of parameters is empty; was it used up"):
        nn.utils.clip_grad_norm_(generator, 1.0)


def test_the_two_halves_are_the_whole():
    whole, halves = parameters(gradients()), parameters(gradients())
    norm = nn.utils.clip_grad_norm_(whole, 0.3)
    total = nn.utils.get_total_norm(p.grad for p in halves)
    assert total.item() == norm.item()
    assert nn.utils.get_total_norm(halves[0].grad).item() == pytest.approx(np.linalg.norm(gradients()[0]))
    nn.utils.clip_grads_with_norm_(halves, 0.3, total)
    for p, q in zip(whole, halves, strict=True):
        np.testing.assert_array_equal(p.grad.data, q.grad.data)
    nn.utils.clip_grads_with_norm_(halves, 1.0, 2.0)  # a number, too
    np.testing.assert_allclose(halves[0].grad.data, whole[0].grad.data / 2, rtol=1e-5)


def by_norm(p):
    nn.utils.clip_grad_norm_(p, 0.1)


def by_value(p):
    nn.utils.clip_grad_value_(p, 0.1)


@pytest.mark.parametrize("clip", [by_norm, by_value])
def test_the_tape_is_told(clip):
    (p,) = parameters([np.ones(3, "f")])
    w = mg.ones(3, requires_grad=True)
    y = (w * p.grad).sum()
    clip(p)
    with pytest.raises(mg.GraphError, match="overwritten"):
        y.backward()


def test_a_gradient_within_the_norm_is_not_touched():
    (p,) = parameters([np.ones(3, "f")])
    w = mg.ones(3, requires_grad=True)
    y = (w * p.grad).sum()
    nn.utils.clip_grad_norm_(p, 10.0)
    y.backward()
    np.testing.assert_array_equal(w.grad.data, p.grad.data)


# --- one vector --------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_the_vector_is_that_of_pytorch():
    import torch

    mg.manual_seed(0)
    model, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    values = {name: torch.tensor(p.numpy(force=True)) for name, p in model.named_parameters()}
    theirs.load_state_dict(values)
    vector = nn.utils.parameters_to_vector(model.parameters())
    expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
    np.testing.assert_array_equal(vector.data, expected)
    (vector * vector).sum().backward()
    np.testing.assert_array_equal(model.weight.grad.data, 2 * model.weight.data)


def test_a_vector_is_written_into_the_parameters():
    model = nn.Linear(3, 2)
    weight, bias = model.weight, model.bias.data
    y = (mg.ones(1, 3, requires_grad=True) @ weight.t()).sum()
    nn.utils.vector_to_parameters(mg.arange(8), model.parameters())
    assert model.weight is weight and model.bias.data is bias and weight.dtype == mg.float32
    np.testing.assert_array_equal(weight.data, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(bias, [6, 7])
    assert weight.requires_grad and weight.is_leaf
    with pytest.raises(mg.GraphError, match="overwritten"):
        y.backward()
    vector = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(vector + 1, model.parameters())
    np.testing.assert_array_equal(nn.utils.parameters_to_vector(model.parameters()).data, np.arange(1, 9))


@pytest.mark.parametrize(
    ("vector", "error", "message"),
    [
        (np.zeros(8, "f"), mg.DTypeError, "vector_to_parameters: expected a Variable, got a ndarray"),
        (mg.zeros(9), mg.ShapeError, r"the parameters have 8 elements, and vec has shape \(9,\)"),
        (mg.zeros(7), mg.ShapeError, r"the parameters have 8 elements, and vec has shape \(7,\)"),
        (mg.zeros(2, 4), mg.ShapeError, r"the parameters have 8 elements, and vec has shape \(2, 4\)"),
    ],
)
def test_what_is_no_vector(vector, error, message):
    model = nn.Linear(3, 2)
    before = nn.utils.parameters_to_vector(model.parameters()).data.copy()
    with pytest.raises(error, match=message):
        nn.utils.vector_to_parameters(vector, model.parameters())
    np.testing.assert_array_equal(nn.utils.parameters_to_vector(model.parameters()).data, before)


# --- on a GPU ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("devices", [("cuda",), ("cuda", "cpu"), ("cuda:1", "cuda:0")], ids=" and ".join)
def test_a_gpu_clips_as_the_cpu_and_waits_for_nothing(devices, dtype, norm_type, cuda, waits):
    if "cuda:1" in devices and not many_gpus:
        pytest.skip("there is one GPU only")
    there, here = parameters(gradients(dtype), devices), parameters(gradients(dtype))
    waits.clear()
    norm = nn.utils.clip_grad_norm_(there, 0.7, norm_type)
    nn.utils.clip_grad_value_(there, 0.2)
    assert "cpu" in devices or waits == []
    assert norm.device == there[0].device and norm.shape == ()
    expected = nn.utils.clip_grad_norm_(here, 0.7, norm_type)
    nn.utils.clip_grad_value_(here, 0.2)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-5)
    for p, q in zip(there, here, strict=True):
        assert p.grad.device == p.device and p.grad.dtype == q.grad.dtype
        np.testing.assert_allclose(p.grad.cpu().data, q.grad.data, rtol=1e-5 if dtype == "float32" else 2e-3)


def test_asking_whether_the_norm_is_finite_waits_once(double):
    p = parameters(gradients(), ("cuda",))
    double.synchronizations.clear()
    nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert len(double.synchronizations) == 1


def test_parameters_on_two_devices_are_no_vector(cuda):
    grads = gradients()
    with pytest.raises(mg.DeviceError, match="cat"):
        nn.utils.parameters_to_vector(parameters(grads, (cuda, "cpu")))
    there = parameters(grads, (cuda, "cpu"))
    nn.utils.vector_to_parameters(mg.ones(sum(g.size for g in grads)), there)
    assert [p.device == "cpu" for p in there] == [False, True, False, True]
    assert all((p.cpu().data == 1).all() for p in there)
