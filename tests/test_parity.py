"""The same calls in minigrad and in PyTorch on the same float64 data: values and gradients, at ties, kinks, NaN, inf,
and on nothing. The calls are in parity/.
"""

import inspect
import re
import warnings

import numpy as np
import pytest
from parity import calls_of

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import methods

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

CALLS, METHODS, EDGES, EMPTY = map(calls_of, ("CALLS", "METHODS", "EDGES", "EMPTY"))


def run(call, arrays, lib, functional, make):
    """The outputs of `call` as arrays, how many have a gradient, and the gradients of their weighted sums."""
    words = set(re.findall(r"\w+", call))
    named = {name: make(array, name) for name, array in arrays.items() if name in words}
    leaves = [x for x in named.values() if x.requires_grad]
    y = eval(call, {"lib": lib, "F": functional, **named})
    ys = list(y) if isinstance(y, (tuple, list)) else [y]
    outputs = [y.detach().numpy() if hasattr(y, "detach") else np.asarray(y) for y in ys]
    differentiable = [y for y in ys if getattr(y, "requires_grad", False)]
    for n, y in enumerate(differentiable):
        weights = np.random.default_rng(n).uniform(0.5, 1.5, tuple(y.shape))
        y.backward(make(weights, "share").to(y.dtype), retain_graph=True)
    return outputs, len(differentiable), [None if x.grad is None else x.grad.detach().numpy() for x in leaves]


def needs_grad(array, name):
    return array.dtype == np.float64 and name not in ("mean", "var", "share")  # PyTorch has no gradients for these


def ours(array, name):
    return mg.tensor(array, requires_grad=needs_grad(array, name))


def torchs(array, name):
    return torch.tensor(array, requires_grad=needs_grad(array, name))


def agree(call, arrays):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # both warn of NaN and of empty means, in their own words
        expected, recorded, torch_gradients = run(call, arrays, torch, torch.nn.functional, torchs)
        outputs, count, gradients = run(call, arrays, mg, F, ours)
    assert len(outputs) == len(expected) and count == recorded
    coarse = any(y.dtype == np.float32 for y in outputs)
    for y, t in zip(outputs, expected, strict=True):
        assert y.shape == t.shape and y.dtype == t.dtype
        np.testing.assert_allclose(y, t, rtol=1e-5 if coarse else 1e-9, atol=1e-12)
    for g, t in zip(gradients, torch_gradients, strict=True):
        if g is None or t is None:
            assert not np.any(t if g is None else g)  # PyTorch gives zeros where nothing flows
        else:
            np.testing.assert_allclose(g, t, rtol=1e-4 if coarse else 1e-8, atol=1e-7 if coarse else 1e-12)


@pytest.mark.parametrize(("call", "arrays"), CALLS + METHODS)
def test_calls(call, arrays):
    agree(call, arrays)


@pytest.mark.parametrize(("call", "arrays"), EDGES)
def test_ties_kinks_nan_and_inf(call, arrays):
    agree(call, arrays)


@pytest.mark.parametrize(("call", "arrays"), EMPTY)
def test_empty_inputs(call, arrays):
    agree(call, arrays)


# --- the tables are whole ----------------------------------------------------------------------------------------

ELSEWHERE = set(
    "empty rand rand_like randn randn_like randint randperm dropout manual_seed get_rng_state set_rng_state load save "
    "as_tensor from_numpy enable_grad no_grad set_grad_enabled is_grad_enabled set_default_dtype get_default_dtype "
    "Tensor autocast device OutOfMemoryError set_float32_matmul_precision get_float32_matmul_precision "
    "result_type inference_mode finfo iinfo "
    "is_anomaly_enabled is_anomaly_check_nan_enabled set_detect_anomaly".split()
)


def test_every_function_that_torch_has_is_compared():
    calls = " ".join(param.id for param in CALLS)
    public = {
        n for n in vars(mg) if not n.startswith("_") and callable(getattr(mg, n)) and callable(getattr(torch, n, None))
    }
    assert {n for n in public - ELSEWHERE if f"lib.{n}(" not in calls} == set()
    functions = {n for n in vars(F) if not n.startswith("_") and callable(getattr(F, n))}
    assert {n for n in functions if f"F.{n}(" not in calls} == set()
    assert {n for n in functions if not hasattr(torch.nn.functional, n)} == set()


def test_every_method_that_torch_has_is_compared():
    calls = " ".join(param.id for param in METHODS)
    names = {n for group in methods.METHODS.values() for n in group.split()} | set(methods.ALIASES)
    assert {n for n in names if f".{n}(" not in calls} == set()
    assert {n for n in names if not hasattr(torch.Tensor, n)} == set()


def parameters(function):
    return {
        p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_POSITIONAL
    }


@pytest.mark.parametrize("name", [n for n in vars(F) if inspect.isfunction(getattr(torch.nn.functional, n, None))])
def test_names_order_and_defaults_of_arguments_are_those_of_torch(name):
    mine, theirs = parameters(getattr(F, name)), parameters(getattr(torch.nn.functional, name))
    if "kwargs" in theirs:
        pytest.skip("torch hides the signature")
    assert list(mine) == [n for n in theirs if n in mine]
    assert {n: d for n, d in mine.items() if theirs[n] is not None} == {
        n: theirs[n] for n in mine if theirs[n] is not None
    }
