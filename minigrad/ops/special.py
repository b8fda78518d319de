"""Special functions, element by element: sinc, logit, x log y, sums of what is given by its logarithm, polar form."""

import math

import numpy as np

from ..dtypes import float32, promote_float
from .choose import by_name, clamp, where
from .elementwise import sigmoid
from .make import Elementwise, binary, lib, unary

__all__ = ["sinc", "logit", "xlogy", "logaddexp", "logaddexp2", "hypot", "atan2", "arctan2"]


class Sinc(Elementwise):
    """y = the n-th derivative of sin(pi x) / (pi x), which is 1 at 0. A closed family: its gradient is the next one."""

    dtype_rule = staticmethod(promote_float)

    def __init__(self, n=0):
        self.n = n

    def forward(self, x):
        xp, n = lib(x), self.n
        z = x.astype(np.promote_types(x.dtype, float32), copy=False)
        if not n:
            return xp.sinc(z).astype(x.dtype, copy=False)
        near = abs(z) < 1
        far = xp.where(near, 1, z)
        y = xp.sinc(far)
        for i in range(1, n + 1):  # by the i-th derivative of x sinc x = sin(pi x) / pi
            wave = (xp.cos if i % 2 else xp.sin)(far * math.pi) * ((-1) ** (i // 2) * math.pi ** (i - 1))
            y = (wave - i * y) / far
        return xp.where(near, _sinc_series(xp.where(near, z, 0), n), y).astype(x.dtype, copy=False)

    def backward(self, gy, x):
        return gy * Sinc(self.n + 1)(x)


def _sinc_series(x, n):
    """The n-th derivative of sum (-1)**k (pi x)**2k / (2k + 1)!: exact up to 1, where quotients are not."""
    square, odd = x * x, n % 2
    y = square * 0
    for j in reversed(range(16)):
        k = (n + odd) // 2 + j
        y = y * square + (-1) ** k * math.pi ** (2 * k) / ((2 * k + 1) * math.factorial(2 * j + odd))
    return y * x if odd else y


def sinc(input):
    """sin(pi input) / (pi input), and 1 at 0, element by element."""
    return Sinc()(input)


def _logit_backward(self, gy, x):
    return gy / where((x < 0) | (x > 1), math.nan, x * (1 - x))


_logit = unary("logit", "log(x / (1 - x))", lambda self, x: lib(x).log(x / (1 - x)), _logit_backward)


def logit(input, eps=None):
    """log(input / (1 - input)), the inverse of sigmoid, element by element; NaN outside of [0, 1].

    Args: eps - clamp the input to [eps, 1 - eps] before; the gradient beyond is 0. Default: do not.
    """
    return _logit(input if eps is None else clamp(input, eps, 1 - eps))


def _xlogy_forward(self, a, b):
    xp = lib(a if hasattr(a, "ndim") else b)
    b = b if hasattr(b, "ndim") else xp.asarray(b, a.dtype)
    nothing = (a == 0) & (b == b)
    return xp.where(nothing, 0, a * xp.log(xp.where(nothing, 1, b)))


def _xlogy_backward(self, gy, a, b):
    wants_a, wants_b = self.wants
    ga = None if wants_a is None else where((a == 0) & (b <= 0), 0, xlogy(gy, b))
    return ga, None if wants_b is None else gy * a / b


xlogy = binary("xlogy", "a log b, and 0 where a is 0", _xlogy_forward, _xlogy_backward, promote_float, {0: 1})
logaddexp = binary(
    "logaddexp",
    "log(e ** a + e ** b), without overflow",
    by_name("logaddexp"),
    lambda self, gy, a, b: (gy * sigmoid(a - b), gy * sigmoid(b - a)),
    promote_float,
)
logaddexp2 = binary(
    "logaddexp2",
    "log2(2 ** a + 2 ** b), without overflow",
    by_name("logaddexp2"),
    lambda self, gy, a, b: (gy * sigmoid((a - b) * math.log(2)), gy * sigmoid((b - a) * math.log(2))),
    promote_float,
)


def _hypot_backward(self, gy, a, b, y):
    wants_a, wants_b = self.wants
    return None if wants_a is None else gy * (a / y), None if wants_b is None else gy * (b / y)


def _atan2_backward(self, gy, a, b):
    radius = hypot(a, b)
    radius = where(radius == 0, math.inf, radius)
    g = gy / radius
    wants_a, wants_b = self.wants
    return None if wants_a is None else g * (b / radius), None if wants_b is None else -(g * (a / radius))


hypot = binary(
    "hypot",
    "sqrt(a ** 2 + b ** 2), without overflow; the gradient at (0, 0) is NaN",
    by_name("hypot"),
    _hypot_backward,
    promote_float,
)
atan2 = arctan2 = binary(
    "atan2",
    "the angle in [-pi, pi] of the point (b, a): its tangent is a / b; the gradient at (0, 0) is 0",
    by_name("arctan2"),
    _atan2_backward,
    promote_float,
)
