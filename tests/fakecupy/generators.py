"""cupy.random: Generators with CuPy's few methods. The numbers are NumPy's."""

import numpy as np

from . import snapshot
from .array import fresh
from .lanes import current
from .operands import target


class _BitGenerator:
    def __init__(self, seed=None, *, size=-1):
        self.lane, self._numbers = current.lane, np.random.default_rng(seed)


class XORWOW(_BitGenerator):
    """cupy.random.XORWOW."""


class MRG32k3a(_BitGenerator):
    """cupy.random.MRG32k3a."""


class Philox4x3210(_BitGenerator):
    """cupy.random.Philox4x3210."""


def _drawing(name, dtypes):
    """A method of Generator: NumPy's of that name, with CuPy's parameters, and results on the device."""
    check = snapshot.checked("cupy.random.Generator", name)
    order = list(snapshot.signature("cupy.random.Generator", name).parameters)

    def method(self, *args, **kwargs):
        check(args, kwargs)
        kwargs |= dict(zip(order, args, strict=False))
        out, size = kwargs.pop("out", None), kwargs.pop("size", None)
        dtype = np.dtype(kwargs.pop("dtype", None) or dtypes[0])
        if dtype.char not in dtypes:
            raise TypeError(f"Unsupported dtype {dtype} for {name}")
        if self._bits.lane.device != current.device:
            raise ValueError(f"a Generator of device {self._bits.lane.device} while {current.device} is current")
        numbers = np.asarray(getattr(self._bits._numbers, name)(size=out.shape if out is not None else size, **kwargs))
        if out is None:
            return fresh(numbers.astype(dtype))
        if out.dtype != dtype:
            raise TypeError(f"Supplied output array has wrong type. Expected {dtype}, got {out.dtype}")
        target(out)[...] = numbers
        return out

    method.__name__ = name
    return method


class Generator:
    """cupy.random.Generator."""

    def __init__(self, bit_generator):
        self._bits = bit_generator

    random = _drawing("random", "df")
    standard_normal = _drawing("standard_normal", "df")
    standard_exponential = _drawing("standard_exponential", "df")
    uniform = _drawing("uniform", "df")
    integers = _drawing("integers", "lbhiBHIL?")
    exponential = _drawing("exponential", "d")
    binomial = _drawing("binomial", "l")
    poisson = _drawing("poisson", "l")


def default_rng(seed=None):
    """cupy.random.default_rng."""
    if isinstance(seed, Generator):
        return seed
    return Generator(seed if isinstance(seed, _BitGenerator) else XORWOW(seed))


NAMES = {
    "BitGenerator": _BitGenerator, "Generator": Generator, "MRG32k3a": MRG32k3a, "Philox4x3210": Philox4x3210,
    "XORWOW": XORWOW, "default_rng": default_rng,
}  # fmt: skip
