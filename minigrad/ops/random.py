"""Seeded random numbers. Drawn on the host, so that a seed gives the same weights on every device.

Only dropout on a GPU draws there: from Philox, a function of a key (the seed) and a counter, so that its state is two
numbers for each GPU, and what it draws does not depend on how the work is spread over the threads.
"""

import math
import secrets

import numpy as np

from ..backend import backend, device_of, gpu, moved, place
from ..dtypes import get_default_dtype, require_floats
from ..errors import DTypeError, StateError
from ..tape.variable import Variable, raw
from .shape import sizes

__all__ = ["dropout", "get_rng_state", "manual_seed", "rand", "rand_like", "randint", "randn", "randn_like"]
__all__ += ["randperm", "set_rng_state"]

_state = {"generator": np.random.default_rng()}
_on_gpus: dict = {"key": secrets.randbits(64), "states": {}}  # states: number of the GPU -> key and counter of Philox


def manual_seed(seed: int) -> np.random.Generator:
    """Begin minigrad's random numbers anew: weights, dropout, shuffling, rand and randn. Returns the generator.

    On all devices: the generator is the host's, and dropout on the GPUs begins anew too.
    """
    _state["generator"] = np.random.default_rng(seed)
    seed_gpus(seed)
    return _state["generator"]


def seed_gpus(seed: int) -> None:
    """Begin the random numbers of the GPUs anew."""
    _on_gpus.update(key=int(seed) % 2**64, states={})


def generator() -> np.random.Generator:
    """The generator from which everything random is drawn that is not given its own."""
    return _state["generator"]


def get_rng_state() -> dict:
    """The state of the generator, as plain values: what a checkpoint needs to go on with the same numbers."""
    return dict(generator().bit_generator.state)


def gpu_rng_state(number: int) -> dict:
    """The state of the random numbers of one GPU, as plain values."""
    # Counters that are far apart: GPUs draw different numbers.
    key, counter = _on_gpus["states"].get(number, (_on_gpus["key"], number << 48))
    return {"key": key, "counter": counter}


def set_gpu_rng_state(state: dict, number: int) -> None:
    """Go on, on one GPU, from a state that `gpu_rng_state` gave. Raises: StateError for anything else."""
    try:
        _on_gpus["states"][number] = int(state["key"]), int(state["counter"])
    except (TypeError, KeyError, ValueError):
        raise StateError(
            'set_rng_state: expected what mg.cuda.get_rng_state() gave, {"key": int, "counter": int}, '
            f"got {state!r:.80}"
        ) from None


def random_state() -> tuple:
    """The state of all random numbers, the host's and the GPUs': for `set_random_state` in the same process."""
    return generator().bit_generator.state, [gpu_rng_state(i) for i in range(gpu[0].count)] if gpu else []


def set_random_state(state: tuple) -> None:
    """Go on from what `random_state` gave, in the same generator: others may hold it."""
    generator().bit_generator.state, gpus = state
    for i, at in enumerate(gpus):
        set_gpu_rng_state(at, i)


def set_rng_state(state: dict) -> None:
    """Go on from a state that `get_rng_state` gave."""
    kind = getattr(np.random, state["bit_generator"])
    bits = kind()
    bits.state = state
    _state["generator"] = np.random.Generator(bits)


def _made(draw, sides, size, dtype, device, requires_grad, given):
    dtype = np.dtype(dtype or get_default_dtype())
    if dtype.kind != "f":
        raise DTypeError(f"random: expected a float dtype, got {dtype}; write mg.randint for integers")
    # Drawn in float64, so that float32 and float64 models begin with the same numbers.
    data = np.asarray(draw(given or generator(), sizes(sides if size is None else (size,))), dtype)
    return Variable(moved(data, device), requires_grad)


def rand(*sides, size=None, generator=None, dtype=None, device=None, requires_grad=False):
    """Uniform in [0, 1). `rand(2, 3)` or `rand((2, 3))`; generator - a numpy.random.Generator of your own."""
    return _made(lambda g, shape: g.random(shape), sides, size, dtype, device, requires_grad, generator)


def randn(*sides, size=None, generator=None, dtype=None, device=None, requires_grad=False):
    """Standard normal. `randn(2, 3)` or `randn((2, 3))`; generator - a numpy.random.Generator of your own."""
    return _made(lambda g, shape: g.standard_normal(shape), sides, size, dtype, device, requires_grad, generator)


def randint(low=0, high=None, size=None, *, generator=None, dtype=None, device=None):
    """Integers (int64) in low..high-1, or 0..low-1. `randint(10, (2, 3))` or `randint(0, 10, (2, 3))`."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    data = (generator or _state["generator"]).integers(low, high, size, dtype=np.dtype(dtype or "int64"))
    return Variable(moved(np.asarray(data), device))


def randperm(n, *, generator=None, dtype=None, device=None):
    """The numbers 0..n-1 (int64) in random order."""
    data = (generator or _state["generator"]).permutation(n)
    return Variable(moved(np.asarray(data, dtype or "int64"), device))


def rand_like(input, dtype=None, device=None, requires_grad=False):
    """Uniform in [0, 1), in input's shape, and in its dtype and on its device unless given."""
    device = device or device_of(raw(input))
    return rand(input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def randn_like(input, dtype=None, device=None, requires_grad=False):
    """Standard normal, in input's shape, and in its dtype and on its device unless given."""
    device = device or device_of(raw(input))
    return randn(input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


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
    require_floats("dropout", input)
    # The mask is an operand, not a secret of the operation: differentiated again, it stays the same mask.
    return input * _mask(raw(input), p)


def _mask(x, p):
    library = backend[type(x)]
    if library.host:
        keep = generator().random(x.shape, dtype=np.float32) >= p
        return keep.astype(x.dtype) * (1 / (1 - p))
    device = device_of(x)
    number = device.index or 0
    state = gpu_rng_state(number)
    # Philox gives four numbers at a time.
    _on_gpus["states"][number] = state["key"], state["counter"] + -(-math.prod(x.shape) // 4)
    with place(device):
        return library.dropout_mask(x.shape, p, x.dtype, state["key"], state["counter"])
