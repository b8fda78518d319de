"""Choices between elements: where, the larger, the smaller, clamping. The gradient goes where the element came from."""

import operator

import numpy as np

from ..backend import backend
from ..dtypes import bool_, cast, number, promote
from ..errors import DTypeError
from .make import Elementwise, binary, lib

__all__ = ["where", "maximum", "minimum", "clamp"]


class Where(Elementwise):
    """y = a where condition, else b."""

    def forward(self, condition, a, b):
        if type(b) is int and b == 0 and hasattr(a, "dtype"):
            return backend[type(a)].select(condition, a)
        return lib(condition).where(condition, a, b)

    def backward(self, gy, condition):
        wants_a, wants_b = self.wants[1:]
        return (
            None,
            None if wants_a is None else where(condition, gy, 0),
            None if wants_b is None else where(condition, 0, gy),
        )

    def promoted(self, arrays):
        condition, a, b = arrays
        if not hasattr(condition, "ndim") or isinstance(condition, np.generic):
            condition = lib(a if hasattr(a, "ndim") else b).asarray(bool(condition))
        dtype = promote([a, b])
        if not hasattr(a, "ndim") and not hasattr(b, "ndim"):
            a = lib(condition).asarray(a, dtype)
        return [condition, *cast([a, b], dtype)]


def where(condition, a, b):
    """a where `condition` (bools) is true, else b. Only the chosen side gets a gradient.

    Shapes: condition, a, b broadcast.
    Raises: DTypeError if condition is not bool.
    """
    if getattr(condition, "dtype", bool_) is not bool_ and condition.dtype != bool_:
        raise DTypeError(f"where: condition must be bool, got {condition.dtype}; write x > 0 or x.bool()")
    return Where()(condition, a, b)


def _extremum_backward(beats):
    def backward(self, gy, a, b):
        gy = where(a == b, gy * 0.5, gy)  # a tie is shared; NaN passes the gradient to both: as in PyTorch
        return where(beats(b, a), 0, gy), where(beats(a, b), 0, gy)

    return backward


maximum = binary(
    "maximum",
    "the larger of a and b; a tie shares the gradient",
    lambda self, a, b: lib(a if hasattr(a, "ndim") else b).maximum(a, b),
    _extremum_backward(operator.gt),
)
minimum = binary(
    "minimum",
    "the smaller of a and b; a tie shares the gradient",
    lambda self, a, b: lib(a if hasattr(a, "ndim") else b).minimum(a, b),
    _extremum_backward(operator.lt),
)


class Clamp(Elementwise):
    """y = min(max(x, low), high), for numbers or None."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def dtype_rule(self, arrays):
        return promote([*arrays, *(n for n in (self.low, self.high) if n is not None)])

    def forward(self, x):
        xp = lib(x)
        y = x if self.low is None else xp.maximum(x, self.low)
        return y if self.high is None else xp.minimum(y, self.high)

    def backward(self, gy, x):
        if self.low is not None:
            gy = where(x >= self.low, gy, 0)
        return gy if self.high is None else where(x <= self.high, gy, 0)


def clamp(x, min=None, max=None):
    """x, moved into [min, max]. The gradient passes inside and on the borders.

    Args:   min, max - numbers, Variables that broadcast with x, or None for no border. max wins where min > max.
    Raises: TypeError if both are None.
    """
    if min is None and max is None:
        raise TypeError("clamp: give min, max or both")
    if not any(hasattr(limit, "ndim") and not isinstance(limit, np.generic) for limit in (min, max)):
        return Clamp(number(min), number(max))(x)
    if min is not None:
        x = where((x < min) | (min != min), min, x)  # NaN is handed on
    return x if max is None else where((x > max) | (max != max), max, x)
