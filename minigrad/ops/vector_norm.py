"""The length of vectors: the p-norm over axes."""

import math

from ..backend import backend
from ..dtypes import float16, float32, number, require_floats
from ..errors import ShapeError
from ..tape.modes import regions
from .autocast import wide
from .choose import where
from .elementwise import abs, sign
from .make import lib
from .reduce import Reduction, over, unless_zero

__all__ = ["norm"]


class VectorNorm(Reduction):
    """y = (sum |x|**p)**(1/p) over axes; for p = inf and -inf the largest and smallest |x|, for 0 how many are not 0.

    Where y is 0 the gradient is 0; for inf and -inf, equal ones share it.
    """

    def __init__(self, axes, keepdim, p):
        super().__init__(axes, keepdim)
        self.p = p

    def forward(self, x):
        self.full = x.shape
        dtype = x.dtype
        if dtype is float16:
            x = x.astype(float32)
        return self.length(x, lib(x)).astype(dtype, copy=False)

    def length(self, x, xp):
        """The norm of x, in x's dtype."""
        p = self.p
        if math.isinf(p):
            return (xp.max if p > 0 else xp.min)(abs(x), axis=self.axes, keepdims=self.keepdim)
        powers = (x != 0).astype(x.dtype) if p == 0 else x * x if p == 2 else abs(x) if p == 1 else abs(x) ** p
        y = backend[type(powers)].sum(powers, self.axes, None, self.keepdim)
        return y if p in (0, 1) else xp.sqrt(y) if p == 2 else y ** (1 / p)

    def backward(self, gy, x, y):
        p = self.p
        if p == 0:
            return None
        if p == 1:
            return self.spread(gy) * sign(x)
        if p == 2:
            return self.spread(unless_zero(gy, y)) * x
        if math.isinf(p):
            full = self.spread(y)
            chosen = (abs(x) == full) | ((x != x) & (full != full))
            share = self.spread(gy) / chosen.sum(axis=self.axes, keepdims=True).astype(gy.dtype)
            return share * chosen * sign(x)
        zero = y == 0
        g = where(zero, 0.0, gy * (y + zero) ** (1 - p))
        return self.spread(g) * sign(x) * (abs(x) + (x == 0)) ** (p - 1)

    def check(self, x):
        if not x.size:
            raise ShapeError(f"{self.name}: ord {self.p} has no elements to choose from; x is {x.shape}")


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(sum |x|**ord)**(1/ord) over `dim` (an axis, several, or None for all).

    Args:   ord - any number; inf and -inf are the largest and smallest |x|, 0 counts what is not 0.
            dtype - convert x first.
    Raises: DTypeError for integers.
    """
    if dtype is not None:
        x = x.astype(dtype)
    elif regions:
        x = wide(x)
    require_floats("vector_norm", x)
    p = number(ord)
    if not isinstance(p, (int, float)):
        raise TypeError(f"vector_norm: ord must be a number, inf or -inf, got {ord!r}")
    return VectorNorm(over("vector_norm", x, dim), keepdim, p)(x)


def norm(input, p="fro", dim=None, keepdim=False, *, dtype=None):
    """The length of input over `dim`: `vector_norm` with ord=p, and 2 for "fro" and None.

    The elements over which it goes are one vector, whatever axes they have.
    Raises: DTypeError for integers; ValueError for p="nuc" and the like.
    """
    if isinstance(p, str) and p != "fro":
        raise ValueError(f'norm: p must be a number or "fro", got {p!r}; norms of matrices are mg.linalg.matrix_norm')
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)
