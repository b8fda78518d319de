"""Over axes: sums, means, variances, products, and what is true.

Beside it: extremes.py has the largest and smallest, sort.py the order, scan.py running sums, vector_norm.py lengths.
"""

import math

from ..backend import backend, computed
from ..dtypes import float16, float32, int64, promote_float, require_floats, uint8
from ..tape.function import Function, where_it_lies
from ..tape.modes import regions
from ..tape.variable import Variable, raw
from .autocast import wide
from .choose import where
from .elementwise import exp
from .make import lib
from .scan import others, to_dtype
from .shape import axes_of, axis_of, expand

__all__ = ["sum", "mean", "var", "std", "var_mean", "std_mean", "nansum", "nanmean", "prod", "logsumexp"]
__all__ += ["count_nonzero", "all", "any"]


class Reduction(Function):
    """A function that takes out `axes` (a tuple, or None for all), or leaves them at size 1 with keepdim."""

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def spread(self, y):
        """`y`, of the output's shape, with the axes back at size 1."""
        if self.keepdim or self.axes is None:
            return y
        return y.reshape(tuple(1 if i in self.axes else n for i, n in enumerate(self.full)))

    def stretch(self, g):
        """`g`, of the output's shape, as a gradient of the input's."""
        g = self.spread(g)
        return expand(g, self.full) if isinstance(g, Variable) else backend[type(g)].expand(g, self.full)

    def total(self, x):
        """The sum of x over the axes; remembers x's shape."""
        self.full = x.shape
        total = backend[type(x)].sum
        if x.dtype is float16:  # added up in float32, as PyTorch does
            return total(x, self.axes, float32, self.keepdim).astype(float16)
        return total(x, self.axes, None if x.dtype.kind == "f" else int64, self.keepdim)


def over(name, x, dim):
    """The axes that `dim` names, for a Reduction: an int or several, or all for None and ()."""
    return axes_of(name, x, None if isinstance(dim, (tuple, list)) and not dim else dim)


# --- sums and means ----------------------------------------------------------------------------------------------


class Sum(Reduction):
    """y = the sum of x over axes."""

    def forward(self, x):
        return self.total(x)

    def backward(self, gy):
        return self.stretch(gy)


class NanSum(Reduction):
    """y = the sum of x over axes, without NaN."""

    def forward(self, x):
        return self.total(backend[type(x)].select(x == x, x))

    def backward(self, gy, x):
        return self.spread(gy) * (x == x)


class Mean(Reduction):
    """y = the mean of x over axes."""

    def forward(self, x):
        require_floats("mean", x)
        n = x.size if self.axes is None else math.prod(x.shape[i] for i in self.axes)
        self.share = 1.0 / n if n else math.nan
        if x.dtype is float16:  # the sum may be too large for it, where the mean is not
            return (self.total(x.astype(float32)) * self.share).astype(float16)
        return self.total(x) * self.share

    def backward(self, gy):
        return self.stretch(gy * self.share)


def sum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim` (an axis, several, or None for all).

    Args: keepdim - leave the axes at size 1.
          dtype - convert input first. Without it bools and integers add up as int64.
    """
    if regions and dtype is None:
        input = wide(input)
    axes = None if dim is None or (isinstance(dim, (tuple, list)) and not dim) else axes_of("sum", input, dim)
    return Sum(axes, keepdim)(input) if dtype is None else to_dtype(Sum(axes, keepdim)(input.astype(dtype)), dtype)


def mean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over `dim` (an axis, several, or None for all), of input converted to `dtype` first where it is given.

    Raises: DTypeError for integers.
    """
    if regions and dtype is None:
        input = wide(input)
    axes = None if dim is None or (isinstance(dim, (tuple, list)) and not dim) else axes_of("mean", input, dim)
    return Mean(axes, keepdim)(input if dtype is None else input.astype(dtype))


def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum over `dim` (an axis, several, or None for all) of what is not NaN. NaN gets no gradient."""
    if input.dtype.kind != "f":
        return sum(input, dim, keepdim, dtype=dtype)
    return NanSum(over("nansum", input, dim), keepdim)(input if dtype is None else input.astype(dtype))


@where_it_lies
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over `dim` (an axis, several, or None for all) of what is not NaN; NaN where there is nothing else.

    Raises: DTypeError for integers.
    """
    require_floats("nanmean", input)
    total = nansum(input, dim, keepdim, dtype=float32 if input.dtype == float16 else dtype)
    count = sum(input == input, dim, keepdim).astype(total.dtype)
    return to_dtype(total / count, input.dtype if dtype is None else dtype)


@where_it_lies
def count_nonzero(input, dim=None):
    """How many elements over `dim` (an axis, several, or None for all) are not 0, an int64. NaN counts."""
    return Sum(over("count_nonzero", input, dim), False)(input != 0)


# --- variances ---------------------------------------------------------------------------------------------------


def unless_zero(g, y):
    """g / y, and 0 where y is 0: of all the slopes that there are at such a kink, the one that PyTorch takes."""
    zero = y == 0
    return where(zero, 0.0, g / (y + zero))


class Spread(Reduction):
    """How far the elements over axes are from their mean; `correction` is taken from their number."""

    def __init__(self, axes, keepdim, correction):
        super().__init__(axes, keepdim)
        self.correction = correction

    def variance(self, x):
        """The variance of x, in float32 at least."""
        self.full = x.shape
        n = math.prod(x.shape[i] for i in self.axes)
        self.scale = 1.0 / (n - self.correction) if n > self.correction else math.inf
        if x.dtype is float16:
            x = x.astype(float32)
        add = backend[type(x)].sum
        x = x - add(x, self.axes, None, True) * (1.0 / n if n else math.nan)
        x *= x
        return add(x, self.axes, None, self.keepdim) * self.scale


class Var(Spread):
    """y = the sum of (x - mean)**2, divided by the number of elements less the correction."""

    def forward(self, x):
        return self.variance(x).astype(x.dtype, copy=False)

    def backward(self, gy, x):
        return self.spread(gy * (2 * self.scale)) * (x - mean(x, self.axes, True))


class Std(Spread):
    """y = the root of Var. The gradient of constant elements is 0, not NaN."""

    def forward(self, x):
        return lib(x).sqrt(self.variance(x)).astype(x.dtype, copy=False)

    def backward(self, gy, x, y):
        return self.spread(unless_zero(gy * self.scale, y)) * (x - mean(x, self.axes, True))


def var(input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """The variance over `dim` (None: of all): the squared distance from the mean, summed and divided by n - correction.

    Where no n is left, NaN or infinite. `var(x, False)` is `var(x, unbiased=False)`.
    Args:   unbiased - correction 1 if true, else 0; `correction`, where given, decides.
    Raises: DTypeError for integers.
    """
    return _variance("var", Var, input, dim, unbiased, keepdim, correction)


def std(input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """The standard deviation over `dim`: the root of `var`, with its arguments."""
    return _variance("std", Std, input, dim, unbiased, keepdim, correction)


def _variance(name, kind, x, dim, unbiased, keepdim, correction):
    require_floats(name, x)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased else 0
    return kind(over(name, x, dim), keepdim, correction)(wide(x) if regions else x)


def var_mean(input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """(the variance, the mean) over `dim`, with the arguments of `var`."""
    variance = var(input, dim, unbiased, keepdim, correction=correction)
    return variance, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def std_mean(input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """(the standard deviation, the mean) over `dim`, with the arguments of `var`."""
    deviation = std(input, dim, unbiased, keepdim, correction=correction)
    return deviation, mean(input, None if isinstance(dim, bool) else dim, keepdim)


# --- products, sums of exponentials ------------------------------------------------------------------------------


class Prod(Reduction):
    """y = the product of x along an axis."""

    def forward(self, x):
        self.full = x.shape
        dtype = (float32 if x.dtype is float16 else None) if x.dtype.kind == "f" else int64
        y = x.prod(axis=self.axes[0], dtype=dtype, keepdims=self.keepdim)
        return y.astype(float16) if x.dtype is float16 else y

    def backward(self, gy, x):
        return self.spread(gy) * others(x, self.axes[0])


def prod(input, dim=None, keepdim=False, *, dtype=None):
    """The product along `dim`, or of all. Bools and integers multiply as int64 unless `dtype` says otherwise.

    The gradient of an element is the product of the others: exact with zeros among them, to any order, and finite
    for an element that is infinite, where PyTorch divides by it.
    """
    if regions and dtype is None:
        input = wide(input)
    x = to_dtype(input, dtype)
    axis = None if dim is None else axis_of("prod", x, dim)
    if axis is None or not x.ndim:
        y = Prod((0,), False)(x.reshape(-1))
        y = y.reshape((1,) * x.ndim) if keepdim else y
    else:
        y = Prod((axis,), keepdim)(x)
    return to_dtype(y, dtype)


class LogSumExp(Reduction):
    """y = log sum e**x, without overflow."""

    dtype_rule = staticmethod(promote_float)

    def forward(self, x):
        self.full = x.shape
        xp = lib(x)
        if not x.size:
            return xp.log(x.sum(axis=self.axes, keepdims=self.keepdim))
        top = x.max(axis=self.axes, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0)
        y = xp.log(xp.exp(x - top).sum(axis=self.axes, keepdims=True)) + top
        return y if self.keepdim else y.reshape([n for i, n in enumerate(x.shape) if i not in self.axes])

    def backward(self, gy, x, y):
        return self.spread(gy) * exp(x - self.spread(y))


def logsumexp(input, dim, keepdim=False):
    """log of the sum of e**input over `dim` (an axis, or several), without overflow."""
    if regions:
        input = wide(input)
    return LogSumExp(over("logsumexp", input, dim), keepdim)(input)


# --- truth -------------------------------------------------------------------------------------------------------


def _truth(name):
    def operation(input, dim=None, keepdim=False):
        axes = axes_of(name, input, dim)
        y = computed(name, lambda array: getattr(array, name)(axis=axes, keepdims=keepdim), raw(input))
        y = y.astype(uint8) if input.dtype == uint8 else y
        return Variable(y) if isinstance(input, Variable) else y

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = (
        f"True where {name} of the elements over `dim` (None: of all) are true or not 0. No gradient.\n\n"
        "    Bools, but uint8 for uint8, as in PyTorch. Over no axes, `dim=()`, the truth of each element."
    )
    return operation


all = _truth("all")
any = _truth("any")
