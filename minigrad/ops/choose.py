"""Choices between elements: where, the larger, the smaller, clamping. The gradient goes where the element came from."""

import operator

import numpy as np

from ..backend import backend
from ..dtypes import bool_, cast, number, promote
from ..errors import DTypeError
from .compare import isfinite, isnan
from .index import nonzero
from .make import Elementwise, binary, lib

__all__ = ["where", "maximum", "minimum", "fmax", "fmin", "clamp", "clip", "clamp_min", "clamp_max", "nan_to_num"]


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


def where(condition, input=None, other=None):
    """input where `condition` (bools) is true, else other. Only the chosen side gets a gradient.

    where(condition) alone is nonzero(condition, as_tuple=True): where it is true, as indexing takes it.

    Shapes: condition, input, other broadcast.
    Raises: DTypeError if condition is not bool; TypeError for one of input and other without the other one.
    """
    if input is None or other is None:
        if input is not other:
            raise TypeError("where: give both input and other, or the condition alone")
        return nonzero(condition, as_tuple=True)
    if getattr(condition, "dtype", bool_) is not bool_ and condition.dtype != bool_:
        raise DTypeError(f"where: condition must be bool, got {condition.dtype}; write x > 0 or x.bool()")
    return Where()(condition, input, other)


def by_name(name):
    """`forward` of a binary operation that the array libraries have under this name."""
    return lambda self, a, b: getattr(lib(a if hasattr(a, "ndim") else b), name)(a, b)


def _extremum_backward(beats):
    def backward(self, gy, a, b):
        gy = where(a == b, gy * 0.5, gy)  # a tie is shared; NaN passes the gradient to both: as in PyTorch
        return where(beats(b, a), 0, gy), where(beats(a, b), 0, gy)

    return backward


def _number_backward(at_least):
    def backward(self, gy, a, b):
        first = at_least(a, b) | isnan(b)
        return where(first, gy, 0), where(first, 0, gy)

    return backward


maximum = binary(
    "maximum",
    "the larger of a and b; a tie shares the gradient",
    by_name("maximum"),
    _extremum_backward(operator.gt),
)
minimum = binary(
    "minimum",
    "the smaller of a and b; a tie shares the gradient",
    by_name("minimum"),
    _extremum_backward(operator.lt),
)
fmax = binary(
    "fmax",
    "the larger of a and b, and the number beside a NaN; the gradient of a tie is a's",
    by_name("fmax"),
    _number_backward(operator.ge),
)
fmin = binary(
    "fmin",
    "the smaller of a and b, and the number beside a NaN; the gradient of a tie is a's",
    by_name("fmin"),
    _number_backward(operator.le),
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


class ClampBetween(Elementwise):
    """y = min(max(x, low), high), for arrays that broadcast; None is no limit."""

    name = "clamp"

    def dtype_rule(self, arrays):
        return promote([a for a in arrays if a is not None])

    def forward(self, x, low, high):
        xp = lib(x)
        y = x if low is None else xp.maximum(x, low)
        return y if high is None else xp.minimum(y, high)

    def backward(self, gy, x, low, high):
        gx, below, above = gy, None, None  # what compares with NaN gets no gradient, as in PyTorch
        if low is not None:
            gx = where(x >= low, gx, 0)
            below = where(x < low if high is None else (x < low) & (low < high), gy, 0)
        if high is not None:
            gx = where(x <= high, gx, 0)
            above = where(x > high if low is None else (x > high) | (high < low), gy, 0)
        return gx, below, above

    def check(self, *arrays):
        super().check(*(a for a in arrays if a is not None))


def clamp(input, min=None, max=None):
    """input, moved into [min, max]. The gradient passes inside and on the borders; at NaN it is 0.

    Args:   min, max - numbers, Variables that broadcast with input, or None for no border. max wins where min > max.
    Raises: TypeError if both are None.
    """
    if min is None and max is None:
        raise TypeError("clamp: give min, max or both")
    if not any(hasattr(limit, "ndim") and not isinstance(limit, np.generic) for limit in (min, max)):
        return Clamp(number(min), number(max))(input)
    return ClampBetween()(input, min, max)


clip = clamp


def clamp_min(input, min):
    """input, or `min` (a number or a Variable) where that is larger. The gradient passes on the border."""
    return clamp(input, min)


def clamp_max(input, max):
    """input, or `max` (a number or a Variable) where that is smaller. The gradient passes on the border."""
    return clamp(input, None, max)


class NanToNum(Elementwise):
    """y = x, with numbers for NaN and the infinities."""

    def __init__(self, nan, posinf, neginf):
        self.nan, self.posinf, self.neginf = nan, posinf, neginf

    def forward(self, x):
        if x.dtype.kind != "f":
            return x.copy()
        return lib(x).nan_to_num(x, nan=self.nan, posinf=self.posinf, neginf=self.neginf)

    def backward(self, gy, x):
        return where(isfinite(x), gy, 0)


def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """input, with `nan` in place of NaN, posinf and neginf in place of inf and -inf. Replaced elements get no gradient.

    Args: posinf, neginf - default: the largest and smallest finite numbers of the dtype.
    """
    return NanToNum(0.0 if nan is None else number(nan), number(posinf), number(neginf))(input)
