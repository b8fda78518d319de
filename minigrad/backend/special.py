"""Kernels of the error function and its relatives, in plain `xp` and the standard library: no array library has them.

float16 and float32 are computed in float32 where that is exact enough, so that nothing becomes float64.
"""

import math

import numpy as np

# erf(x) = x over(x**2) / under(x**2) on [-4, 4], beyond which float32 has 1. Source: Eigen, MathFunctionsImpl.h.
_ERF_OVER = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_UNDER = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)

# The quantile of the normal distribution, to 16 digits: near the middle, in the tails, and far out there.
# Source: Wichura, Algorithm AS241: The Percentage Points of the Normal Distribution (PPND16), 1988.
_MIDDLE = (
    (
        *(2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457),
        *(13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    ),
    (
        *(5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867),
        *(5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
    ),
)
_TAIL = (
    (
        *(7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258),
        *(3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    ),
    (
        *(1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459),
        *(0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
    ),
)
_FAR = (
    (
        *(2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093),
        *(0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    ),
    (
        *(2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4),
        *(0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
    ),
)


def _polynomial(coefficients, x):
    y = coefficients[0] * x + coefficients[1]
    for c in coefficients[2:]:
        y *= x
        y += c
    return y


def _ratio(coefficients, x):
    over, under = coefficients
    return _polynomial(over, x) / _polynomial(under, x)


def _one_by_one(function, x):
    """A function of the standard library: exact, 0.1 us an element."""
    return np.asarray(np.frompyfunc(function, 1, 1)(x), np.float64)


def erf(self, x):
    """The error function: the standard library's in float64, a rational one below."""
    if x.dtype.kind != "f" or x.dtype.itemsize > 4:
        return _one_by_one(math.erf, x)
    z = self.xp.minimum(self.xp.maximum(x, -4), 4).astype(np.float32)
    square = z * z
    return (z * _polynomial(_ERF_OVER, square) / _polynomial(_ERF_UNDER, square)).astype(x.dtype, copy=False)


def erfc(self, x):
    """1 - erf(x), exact in its tail too."""
    y = _one_by_one(math.erfc, x)
    return y.astype(x.dtype, copy=False) if x.dtype.kind == "f" else y


def erfinv(self, x):
    """The inverse of the error function, inf at 1: by the quantile of (x + 1) / 2, without the rounding of that sum."""
    xp = self.xp
    z = x.astype(np.promote_types(x.dtype, np.float32), copy=False)
    inside = abs(z) < 1
    q = xp.where(inside, z, 0) * 0.5
    r = xp.sqrt(-xp.log(0.5 - abs(q)))
    tail = xp.where(r <= 5, _ratio(_TAIL, r - 1.6), _ratio(_FAR, r - 5))
    y = xp.where(abs(q) <= 0.425, q * _ratio(_MIDDLE, 0.180625 - q * q), xp.copysign(tail, q)) * math.sqrt(0.5)
    beyond = xp.where(abs(z) == 1, xp.copysign(math.inf, z), math.nan)
    return xp.where(inside, y, beyond).astype(x.dtype if x.dtype.kind == "f" else z.dtype, copy=False)
