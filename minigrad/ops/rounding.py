"""Rounding, element by element: steps, whose gradient is 0. Integers stay what they are."""

from ..dtypes import promote, require_floats
from .choose import where
from .make import Elementwise, lib, unary

__all__ = ["ceil", "floor", "round", "trunc", "fix", "frac"]


def flat(self, gy):
    """The gradient of what is constant but for its jumps: 0, also where gy is inf or NaN."""
    return where(False, gy, 0)


def _stepped(name, formula, function):
    def forward(self, x):
        return getattr(lib(x), function)(x) if x.dtype.kind == "f" else x.copy()

    return unary(name, f"{formula}; gradient 0", forward, flat, promote)


ceil = _stepped("ceil", "the smallest integer from x on", "ceil")
floor = _stepped("floor", "the largest integer up to x", "floor")
trunc = fix = _stepped("trunc", "x without its fraction", "trunc")
_whole = _stepped("round", "the nearest integer, of two the even one", "rint")
frac = unary(
    "frac",
    "x - trunc x, which has x's sign; gradient 1",
    lambda self, x: x - lib(x).trunc(x) if x.dtype.kind == "f" else x * x.dtype.type(0),
    lambda self, gy: gy,
    promote,
)


class Round(Elementwise):
    """y = the multiple of 10 ** -decimals next to x."""

    dtype_rule = staticmethod(promote)

    def __init__(self, decimals):
        self.decimals = decimals

    def forward(self, x):
        require_floats("round with decimals", x)
        scale = 10.0 ** abs(self.decimals)
        xp = lib(x)
        return xp.rint(x * scale) / scale if self.decimals > 0 else xp.rint(x / scale) * scale

    backward = flat


def round(input, *, decimals=0):
    """input, rounded to a number of decimals; halves go to the even neighbor. The gradient is 0.

    Args:   decimals - default 0; below 0, digits before the point.
    Raises: DTypeError for integers with decimals.
    """
    return Round(decimals)(input) if decimals else _whole(input)
