"""Seeded random numbers. Drawn on the host, so that a seed gives the same weights on every device."""

import numpy as np

from ..backend import backend, find_device
from ..dtypes import get_default_dtype
from ..errors import DTypeError
from ..tape.variable import Variable, raw
from .shape import sizes

_state = {"generator": np.random.default_rng()}


def manual_seed(seed: int) -> np.random.Generator:
    """Begin minigrad's random numbers anew: weights, dropout, shuffling, rand and randn. Returns the generator."""
    _state["generator"] = np.random.default_rng(seed)
    return _state["generator"]


def generator() -> np.random.Generator:
    """The generator from which everything random is drawn that is not given its own."""
    return _state["generator"]


def get_rng_state() -> dict:
    """The state of the generator, as plain values: what a checkpoint needs to go on with the same numbers."""
    return dict(generator().bit_generator.state)


def set_rng_state(state: dict) -> None:
    """Go on from a state that `get_rng_state` gave."""
    kind = getattr(np.random, state["bit_generator"])
    bits = kind()
    bits.state = state
    _state["generator"] = np.random.Generator(bits)


def _made(draw, size, dtype, device, requires_grad, given):
    dtype = np.dtype(dtype or get_default_dtype())
    if dtype.kind != "f":
        raise DTypeError(f"random: expected a float dtype, got {dtype}; write mg.randint for integers")
    # Drawn in float64, so that float32 and float64 models begin with the same numbers.
    data = np.asarray(draw(given or generator(), sizes(size)), dtype)
    return Variable(find_device(device).xp.asarray(data), requires_grad)


def rand(*size, generator=None, dtype=None, device=None, requires_grad=False):
    """Uniform in [0, 1). `rand(2, 3)` or `rand((2, 3))`; generator - a numpy.random.Generator of your own."""
    return _made(lambda g, shape: g.random(shape), size, dtype, device, requires_grad, generator)


def randn(*size, generator=None, dtype=None, device=None, requires_grad=False):
    """Standard normal. `randn(2, 3)` or `randn((2, 3))`; generator - a numpy.random.Generator of your own."""
    return _made(lambda g, shape: g.standard_normal(shape), size, dtype, device, requires_grad, generator)


def randint(low, high=None, size=None, *, generator=None, dtype=None, device=None):
    """Integers (int64) in low..high-1, or 0..low-1. `randint(10, (2, 3))` or `randint(0, 10, (2, 3))`."""
    if size is None:
        low, high, size = 0, low, high
    data = (generator or _state["generator"]).integers(low, high, size, dtype=np.dtype(dtype or "int64"))
    return Variable(find_device(device).xp.asarray(data))


def randperm(n, *, generator=None, device=None):
    """The numbers 0..n-1 (int64) in random order."""
    data = (generator or _state["generator"]).permutation(n)
    return Variable(find_device(device).xp.asarray(data))


def rand_like(x, requires_grad=False):
    """Uniform in [0, 1), in x's shape and dtype."""
    return rand(x.shape, dtype=x.dtype, requires_grad=requires_grad)


def randn_like(x, requires_grad=False):
    """Standard normal, in x's shape and dtype."""
    return randn(x.shape, dtype=x.dtype, requires_grad=requires_grad)


def dropout(input, p=0.5, training=True):
    """Each element 0 with probability p, else multiplied by 1 / (1 - p); x itself outside of training.

    Raises: ValueError if p is not between 0 and 1.      Source: arXiv:1207.0580.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be between 0 and 1, got {p}")
    p = float(p)
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0.0
    x = raw(input)
    keep = generator().random(x.shape, dtype=np.float32) >= p
    # The mask is an operand, not a secret of the operation: differentiated again, it stays the same mask.
    return input * (backend[type(x)].xp.asarray(keep).astype(x.dtype) * (1 / (1 - p)))
