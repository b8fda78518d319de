"""Elements in order: sorted, the k largest, the k-th, the middle one. Gradients go to the places where they come from.

NaN counts as larger than everything, equal elements keep their order, and 0-d is a line of one element, as in PyTorch.
"""

from collections import namedtuple

from ..backend import backend, computed
from ..errors import IndexRangeError
from ..tape.variable import Variable, raw
from .extremes import Max
from .gather import gather
from .make import lib
from .shape import axes_of, axis_of

__all__ = ["sort", "argsort", "msort", "topk", "kthvalue", "median", "nanmedian"]

Picked = namedtuple("Picked", "values indices")


def _order(array, axis, descending=False):
    """The indices (int64) that sort an array along an axis."""
    if not array.size:
        return lib(array).zeros(array.shape, "int64")
    if not descending:
        return lib(array).argsort(array, axis, "stable")
    # From the other end, ascending: so equal elements keep their order.
    turn = (slice(None),) * axis + (slice(None, None, -1),)
    return array.shape[axis] - 1 - lib(array).argsort(array[turn], axis, "stable")[turn]


def _indices(name, x, dim, choose):
    """choose(array, axis) for x along `dim`, of a Variable as a Variable."""
    axis = axis_of(name, x, dim)
    array = raw(x)
    if array.ndim:
        indices = computed(name, lambda array: choose(array, axis), array)
    else:
        indices = computed(name, lambda array: choose(array.reshape(1), 0).reshape(()), array)
    return Variable(indices) if isinstance(x, Variable) else indices


def _taken(name, x, dim, choose, keepdim=True):
    """(values, indices) of x along `dim`, at the indices that choose(array, axis) gives."""
    indices = _indices(name, x, dim, choose)
    values = gather(x, dim, indices)
    if keepdim or not x.ndim:
        return Picked(values, indices)
    return Picked(values.squeeze(dim), indices.squeeze(dim))


def sort(input, dim=-1, descending=False, *, stable=False):
    """(values, indices): input in ascending or descending order along `dim`, and where each element was.

    Args: stable - equal elements keep their order; they always do.
    """
    return _taken("sort", input, dim, lambda array, axis: _order(array, axis, descending))


def argsort(input, dim=-1, descending=False, *, stable=False):
    """The indices (int64) that sort input along `dim`, as `sort` gives them."""
    return _indices("argsort", input, dim, lambda array, axis: _order(array, axis, descending))


def msort(input):
    """input in ascending order along its first axis."""
    return sort(input, 0).values


def topk(input, k, dim=-1, largest=True, sorted=True):
    """(values, indices): the `k` largest elements along `dim`, or smallest, and where they are, the best one first.

    Args:   sorted - they are always in order. Which one of equal elements is among them is left open.
    Raises: IndexRangeError if there are not as many.
    """
    n = input.shape[axis_of("topk", input, dim)] if input.ndim else 1
    if not (0 if input.ndim else 1) <= k <= n:
        raise IndexRangeError(f"topk: k must be from 0 to the {n} elements along dim {dim}, got {k}")
    return _taken("topk", input, dim, lambda array, axis: _best(array, axis, k, largest))


def _best(array, axis, k, largest):
    n = array.shape[axis]
    first = (slice(None),) * axis + (slice(k),)
    if not backend[type(array)].host or not 0 < k < n:  # devices sort the whole to find a part
        return _order(array, axis, largest)[first]
    xp = lib(array)
    if largest:
        part = xp.argpartition(array, n - k, axis)[(slice(None),) * axis + (slice(n - k, None),)]
    else:
        part = xp.argpartition(array, k - 1, axis)[first]
    part = xp.sort(part, axis)
    order = _order(xp.take_along_axis(array, part, axis), axis, largest)
    return xp.take_along_axis(part, order, axis)


def kthvalue(input, k, dim=-1, keepdim=False):
    """(values, indices): the `k`-th smallest element along `dim`, counted from 1, and where it is.

    Raises: IndexRangeError if there are not as many.
    """
    n = input.shape[axis_of("kthvalue", input, dim)] if input.ndim else 1
    if not 1 <= k <= n:
        raise IndexRangeError(f"kthvalue: k must be from 1 to the {n} elements along dim {dim}, got {k}")
    return _taken("kthvalue", input, dim, _at(lambda n, nans: nans * 0 + (k - 1)), keepdim)


def _at(place):
    """A function that gives the index of the element which comes at place(n, how many are NaN) in ascending order."""

    def choose(array, axis):
        nans = (array != array).sum(axis=axis, keepdims=True)
        return lib(array).take_along_axis(_order(array, axis), place(array.shape[axis], nans), axis)

    return choose


def _middle(n, nans):
    """The lower middle; the first NaN where there is one."""
    return (nans == 0) * ((n - 1) // 2) + (nans > 0) * (n - nans)


def _middle_number(n, nans):
    """The lower middle of what is not NaN."""
    return (n - nans - (nans < n)) // 2


class Median(Max):
    """y = the middle one of all elements. Equal ones share the gradient."""

    place = staticmethod(_middle)

    def forward(self, x):
        self.full = x.shape
        line = x.reshape(-1)
        if not x.size:
            return lib(x).full((), float("nan"), x.dtype)
        return lib(x).take_along_axis(line, _at(self.place)(line, 0), 0).reshape(())


class NanMedian(Median):
    """y = the middle one of all elements that are not NaN. Equal ones share the gradient."""

    place = staticmethod(_middle_number)


def median(input, dim=None, keepdim=False):
    """The middle element of all; with `dim`, (values, indices) along it. Of two in the middle the lower; a NaN wins.

    Without dim, equal elements share the gradient; along dim it goes to the element at `indices`.
    """
    return _median("median", input, dim, keepdim, Median)


def nanmedian(input, dim=None, keepdim=False):
    """`median` of what is not NaN; NaN where there is nothing else."""
    return _median("nanmedian", input, dim, keepdim, NanMedian)


def _median(name, x, dim, keepdim, kind):
    if dim is None:
        return kind(axes_of(name, x, None), False)(x)
    axis = axis_of(name, x, dim)
    if x.ndim and not x.shape[axis]:
        raise IndexRangeError(f"{name}: x {x.shape} has no elements along dim {dim}")
    return _taken(name, x, dim, _at(kind.place), keepdim)
