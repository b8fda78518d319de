"""Over axes: sums, means, variances, extremes, and where they are."""

import math
from collections import namedtuple

from ..backend import backend, computed
from ..dtypes import float16, float32, int64, promote_float, require_floats
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function, where_it_lies
from ..tape.modes import regions
from ..tape.variable import Variable, raw
from .autocast import wide
from .choose import maximum, minimum, where
from .elementwise import exp, sqrt
from .index import take_along_dim
from .make import lib
from .shape import axes_of, expand

__all__ = ["all", "amax", "amin", "any", "argmax", "argmin", "logsumexp", "max", "mean", "min", "std", "sum", "var"]

Extremes = namedtuple("Extremes", "values indices")


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


class Sum(Reduction):
    """y = the sum of x over axes."""

    def forward(self, x):
        return self.total(x)

    def backward(self, gy):
        return self.stretch(gy)


class Mean(Reduction):
    """y = the mean of x over axes."""

    def forward(self, x):
        require_floats("mean", x)
        self.n = x.size if self.axes is None else math.prod(x.shape[i] for i in self.axes)
        return self.total(x) * (1.0 / self.n if self.n else math.nan)

    def backward(self, gy):
        return self.stretch(gy * (1.0 / self.n if self.n else math.nan))


class Amax(Reduction):
    """y = the largest element over axes. Equal ones share the gradient."""

    method = "max"

    def forward(self, x):
        self.full = x.shape
        return getattr(x, self.method)(axis=self.axes, keepdims=self.keepdim)

    def backward(self, gy, x, y):
        mask = ((x == self.spread(y)) | (x != x)).astype(gy.dtype)  # NaN wins
        return self.spread(gy) * (mask / mask.sum(axis=self.axes, keepdims=True))

    def check(self, x):
        if not x.size:
            raise ShapeError(f"{self.name}: x {x.shape} has no elements over axes {self.axes}")


class Amin(Amax):
    """y = the smallest element over axes. Equal ones share the gradient."""

    method = "min"


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


def sum(x, dim=None, keepdim=False, dtype=None):
    """The sum over `dim` (an axis, several, or None for all).

    Args: keepdim - leave the axes at size 1. dtype - convert x first. Bools and integers add up as int64.
    """
    if regions and dtype is None:
        x = wide(x)
    axes = None if dim is None or (isinstance(dim, tuple) and not dim) else axes_of("sum", x, dim)
    return Sum(axes, keepdim)(x if dtype is None else x.astype(dtype))


def mean(x, dim=None, keepdim=False, *, dtype=None):
    """The mean over `dim` (an axis, several, or None for all), of x converted to `dtype` first where it is given.

    Raises: DTypeError for integers.
    """
    if regions and dtype is None:
        x = wide(x)
    axes = None if dim is None or (isinstance(dim, tuple) and not dim) else axes_of("mean", x, dim)
    return Mean(axes, keepdim)(x if dtype is None else x.astype(dtype))


@where_it_lies
def var(x, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """The variance over `dim`: the squared distance from the mean, summed and divided by n - correction.

    Args: unbiased - correction 1 if true, else 0; `correction`, where given, decides.
    """
    require_floats("var", x)
    if regions:
        x = wide(x)
    axes = axes_of("var", x, dim)
    correction = correction if correction is not None else 1 if unbiased else 0
    n = math.prod(x.shape[i] for i in axes)
    centered = x - mean(x, axes, keepdim=True)
    total = sum(centered * centered, axes, keepdim)
    return total / (n - correction) if n > correction else total * math.nan


@where_it_lies
def std(x, dim=None, unbiased=True, keepdim=False, *, correction=None):
    """The standard deviation over `dim`: the root of `var`."""
    require_floats("std", x)
    v = var(x, dim, unbiased, keepdim, correction=correction)
    return where(v == 0, v, sqrt(where(v == 0, 1.0, v)))  # the gradient of constant elements is 0, not NaN


def logsumexp(x, dim, keepdim=False):
    """log of the sum of e**x over `dim`, without overflow."""
    if regions:
        x = wide(x)
    return LogSumExp(axes_of("logsumexp", x, dim), keepdim)(x)


def amax(x, dim=None, keepdim=False):
    """The largest element over `dim`. Equal ones share the gradient."""
    return Amax(axes_of("amax", x, dim), keepdim)(x)


def amin(x, dim=None, keepdim=False):
    """The smallest element over `dim`. Equal ones share the gradient."""
    return Amin(axes_of("amin", x, dim), keepdim)(x)


def max(x, dim=None, keepdim=False):
    """The largest element of all; with an int `dim`, (values, indices) along it; with another Variable, `maximum`.

    Without dim, equal elements share the gradient; along dim it goes to the element at `indices`. As in PyTorch.
    """
    return _extreme(x, dim, keepdim, amax, argmax, maximum)


def min(x, dim=None, keepdim=False):
    """The smallest element of all; with an int `dim`, (values, indices) along it; with another Variable, `minimum`."""
    return _extreme(x, dim, keepdim, amin, argmin, minimum)


def _extreme(x, dim, keepdim, over_all, where_is, between):
    if dim is None:
        return over_all(x)
    if not isinstance(dim, int):
        return between(x, dim)
    if x.ndim == 0:
        axes_of("max", x, dim)
        return Extremes(over_all(x), where_is(x))
    indices = where_is(x, dim, keepdim=True)
    values = take_along_dim(x, indices, dim)
    return Extremes(values, indices) if keepdim else Extremes(values.squeeze(dim), indices.squeeze(dim))


def argmax(x, dim=None, keepdim=False):
    """The index (int64) of the largest element along `dim`, or in the flattened x. The first of equal ones."""
    return _arg("argmax", x, dim, keepdim)


def argmin(x, dim=None, keepdim=False):
    """The index (int64) of the smallest element along `dim`, or in the flattened x. The first of equal ones."""
    return _arg("argmin", x, dim, keepdim)


def _arg(name, x, dim, keepdim):
    if dim is not None:
        axes = axes_of(name, x, dim)
        dim = axes[0] if axes else None
    if raw(x).size == 0 and (dim is None or x.shape[dim] == 0):
        raise IndexRangeError(f"{name}: x {x.shape} has no elements to choose from")

    def index_of(array):
        if dim is None:
            index = getattr(array.reshape(-1), name)(axis=0)
            return index.reshape((1,) * array.ndim) if keepdim else index
        index = getattr(array, name)(axis=dim)
        return lib(array).expand_dims(index, dim) if keepdim else index

    index = computed(name, index_of, raw(x))
    return Variable(index) if isinstance(x, Variable) else index


def _truth(name):
    def operation(x, dim=None, keepdim=False):
        axes = axes_of(name, x, dim)
        y = computed(name, lambda array: getattr(array, name)(axis=axes, keepdims=keepdim), raw(x))
        return Variable(y) if isinstance(x, Variable) else y

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"True where {name} of the elements over `dim` (None: of all) are true or not 0. No gradient."
    return operation


all = _truth("all")
any = _truth("any")
