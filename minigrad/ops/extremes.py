"""The largest and the smallest over axes, and where they are."""

from collections import namedtuple

import numpy as np

from ..backend import computed
from ..errors import IndexRangeError, ShapeError
from ..tape.variable import Variable, raw
from .choose import maximum, minimum
from .gather import gather
from .make import lib
from .reduce import Reduction, over
from .shape import axes_of

__all__ = ["amax", "amin", "aminmax", "max", "min", "argmax", "argmin"]

Extremes = namedtuple("Extremes", "values indices")
MinMax = namedtuple("MinMax", "min max")


class Amax(Reduction):
    """y = the largest element over axes. Equal ones share the gradient; where y is NaN it is NaN."""

    method = "max"

    def forward(self, x):
        self.full = x.shape
        return getattr(x, self.method)(axis=self.axes, keepdims=self.keepdim)

    def backward(self, gy, x, y):
        chosen = self.chosen(x, self.spread(y))
        return self.spread(gy) / chosen.sum(axis=self.axes, keepdims=True).astype(gy.dtype) * chosen

    def chosen(self, x, y):
        """Where x is what was chosen."""
        return x == y

    def check(self, x):
        if not x.size:
            raise ShapeError(f"{self.name}: x {x.shape} has no elements to choose from over the axes {self.axes}")


class Amin(Amax):
    """y = the smallest element over axes. Equal ones share the gradient; where y is NaN it is NaN."""

    method = "min"


class Max(Amax):
    """y = the largest element. Equal ones share the gradient, so do several NaN."""

    def chosen(self, x, y):
        return (x == y) | ((x != x) & (y != y))


class Min(Max):
    """y = the smallest element. Equal ones share the gradient, so do several NaN."""

    method = "min"


def amax(input, dim=(), keepdim=False):
    """The largest element over `dim` (an axis, several, or () for all). Equal ones share the gradient.

    A NaN wins, and gives NaN as the gradient of all that it won over.
    """
    return Amax(over("amax", input, dim), keepdim)(input)


def amin(input, dim=(), keepdim=False):
    """The smallest element over `dim`, as `amax` has the largest."""
    return Amin(over("amin", input, dim), keepdim)(input)


def aminmax(input, *, dim=None, keepdim=False):
    """(min, max): the smallest and the largest element along `dim`, or of all. Gradients as those of `amax`."""
    return MinMax(amin(input, () if dim is None else dim, keepdim), amax(input, () if dim is None else dim, keepdim))


def max(input, dim=None, keepdim=False, *, other=None):
    """The largest element of all; with an int `dim`, (values, indices) along it; with another Variable, `maximum`.

    Without dim, equal elements share the gradient; along dim it goes to the element at `indices`, the first of equal
    ones. A NaN wins. As in PyTorch.
    """
    return _extreme("max", input, dim if other is None else other, keepdim, Max, argmax, maximum)


def min(input, dim=None, keepdim=False, *, other=None):
    """The smallest element of all; with an int `dim`, (values, indices) along it; with another Variable, `minimum`."""
    return _extreme("min", input, dim if other is None else other, keepdim, Min, argmin, minimum)


def _extreme(name, x, dim, keepdim, over_all, where_is, between):
    if dim is None:
        return over_all(axes_of(name, x, None), keepdim)(x)
    if not isinstance(dim, (int, np.integer)):
        return between(x, dim)
    axes = axes_of(name, x, dim)
    if not axes:
        return Extremes(over_all(axes, False)(x), where_is(x))
    indices = where_is(x, dim, keepdim=True)
    values = gather(x, dim, indices)
    return Extremes(values, indices) if keepdim else Extremes(values.squeeze(dim), indices.squeeze(dim))


def argmax(input, dim=None, keepdim=False):
    """The index (int64) of the largest element along `dim`, or in the flattened input. The first of equal ones."""
    return _arg("argmax", input, dim, keepdim)


def argmin(input, dim=None, keepdim=False):
    """The index (int64) of the smallest element along `dim`, or in the flattened input. The first of equal ones."""
    return _arg("argmin", input, dim, keepdim)


def _arg(name, x, dim, keepdim):
    if dim is not None:
        axes = axes_of(name, x, dim)
        dim = axes[0] if axes else None
    if raw(x).size == 0 and (dim is None or x.shape[dim] == 0):
        raise IndexRangeError(f"{name}: input {x.shape} has no elements to choose from")

    def index_of(array):
        if dim is None:
            index = getattr(array.reshape(-1), name)(axis=0)
            return index.reshape((1,) * array.ndim) if keepdim else index
        index = getattr(array, name)(axis=dim)
        return lib(array).expand_dims(index, dim) if keepdim else index

    index = computed(name, index_of, raw(x))
    return Variable(index) if isinstance(x, Variable) else index
