"""Distances between the points of two sets: cdist."""

import math

from ..dtypes import float16, float32, number, require_floats
from ..errors import DTypeError, ShapeError
from ..tape.function import Function
from ..tape.modes import regions
from .autocast import wide
from .choose import where
from .elementwise import abs as magnitude
from .elementwise import sign
from .make import lib
from .reduce import unless_zero
from .shape import unsqueeze

__all__ = ["cdist"]

_MODES = {
    "use_mm_for_euclid_dist_if_necessary": lambda points: points > 25,
    "use_mm_for_euclid_dist": lambda points: True,
    "donot_use_mm_for_euclid_dist": lambda points: False,
}


class Distance(Function):
    """y[i, j] = (sum over k of |x1[i, k] - x2[j, k]| ** p) ** (1 / p).

    Where y is 0 the gradient is 0; where p is inf, each of several largest differences gets all of it. As in PyTorch.
    """

    name = "cdist"

    def __init__(self, p, by_products):
        self.p, self.by_products = p, by_products

    def forward(self, x1, x2):
        if x1.dtype == float16:
            return self.measured(x1.astype(float32), x2.astype(float32)).astype(float16)
        return self.measured(x1, x2)

    def measured(self, x1, x2):
        """The distances of arrays, in their dtype."""
        xp, p = lib(x1), self.p
        if self.by_products:  # |a|^2 + |b|^2 - 2 a b: one GEMM, which loses digits of what lies close together
            a, b = (x1 * x1).sum(-1)[..., :, None], (x2 * x2).sum(-1)[..., None, :]
            return xp.sqrt(xp.maximum(a + b - 2 * (x1 @ x2.swapaxes(-1, -2)), 0))
        d = abs(x1[..., :, None, :] - x2[..., None, :, :])
        if math.isinf(p):
            return d.max(-1) if d.shape[-1] else d.sum(-1)
        if p == 2:
            return xp.sqrt((d * d).sum(-1))
        return (d != 0).sum(-1).astype(d.dtype) if p == 0 else d.sum(-1) if p == 1 else (d**p).sum(-1) ** (1 / p)

    def backward(self, gy, x1, x2, y):
        p = self.p
        if p == 0:
            return x1 * 0, x2 * 0
        if self.by_products:
            g = unless_zero(gy, y)
            return (
                x1 * unsqueeze(g.sum(-1), -1) - g @ x2,
                x2 * unsqueeze(g.sum(-2), -1) - g.swapaxes(-1, -2) @ x1,
            )
        d = unsqueeze(x1, -2) - unsqueeze(x2, -3)
        if p == 2:
            g = unsqueeze(unless_zero(gy, y), -1) * d
        elif p == 1:
            g = unsqueeze(gy, -1) * sign(d)
        elif math.isinf(p):
            g = unsqueeze(gy, -1) * sign(d) * (magnitude(d) == unsqueeze(y, -1))
        else:
            scale = unsqueeze(where(y == 0, 1, y), -1)
            still = d == 0
            g = unsqueeze(gy, -1) * sign(d) * (where(still, 1, magnitude(d)) / scale) ** (p - 1)
        return g.sum(-2), -g.sum(-3)

    def check(self, x1, x2):
        raise ShapeError(f"cdist: the leading axes of x1 {x1.shape} and x2 {x2.shape} do not broadcast")


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The distances of each point of x1 from each of x2: the p-norm of their difference.

    Shapes: x1 (..., n, k), x2 (..., m, k) -> (..., n, m); leading axes broadcast.
    Args:   p - any number from 0 on: 0 counts coordinates that differ, inf takes the largest difference.
            compute_mode - for p = 2: "use_mm_for_euclid_dist" makes one product of matrices of it, which is fast but
            loses digits of what lies close together; "donot_use_mm_for_euclid_dist" goes by the differences, and takes
            memory for n m k of them; by default the first for more than 25 points, as in PyTorch.
    Raises: ShapeError if the points differ in length; DTypeError for integers, or two dtypes.
    """
    if regions:
        x1, x2 = wide(x1), wide(x2)
    require_floats("cdist", x1)
    if x1.dtype != x2.dtype:
        raise DTypeError(f"cdist: x1 is {x1.dtype}, x2 {x2.dtype}; write x2.to(x1.dtype)")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"cdist: expected points (..., n, k) and (..., m, k); x1 is {x1.shape}, x2 {x2.shape}")
    p = number(p)
    if not p >= 0:
        raise ShapeError(f"cdist: p must be at least 0, got {p}")
    if compute_mode not in _MODES:
        raise ShapeError(f"cdist: compute_mode must be one of {', '.join(map(repr, _MODES))}, got {compute_mode!r}")
    by_products = p == 2 and _MODES[compute_mode](max(x1.shape[-2], x2.shape[-2]))
    return Distance(p, by_products)(x1, x2)
