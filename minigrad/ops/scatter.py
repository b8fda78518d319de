"""A tensor with some of its elements written, added to or reduced: scatter, index_add, masked_fill and their likes.

Elements are named by the two kinds of index of gather.py: `along` (scatter...), each at its own place along the other
axes, and `across` (index_...), whole slices. Where an index names an element twice, `scatter` and `index_copy` keep one
of the values, on a GPU any of them; the gradient is then that of all of them, as PyTorch's, which calls it undefined.
"""

import math

from numpy import finfo

from ..backend import backend, computed
from ..dtypes import int64, number
from ..errors import DTypeError, ShapeError
from ..tape.modes import regions
from ..tape.variable import Variable, raw
from .autocast import wide
from .choose import where
from .gather import across, along, applied, broadcast, check_mask, check_range, lined
from .index import ARRAY, GetItem, Indexed, SetItem
from .make import lib
from .shape import axis_of, clone, expand

__all__ = ["scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_fill"]
__all__ += ["masked_fill", "masked_scatter"]


class IndexAdd(Indexed):
    """y = x, with y[index] += values; an element that is named several times gets the sum."""

    def forward(self, x, values, *index):
        y = x.copy()
        backend[type(x)].add_at(y, self.index(index), values)
        return y

    def backward(self, gy, *index):
        gvalues = None if self.wants[1] is None else GetItem(self.template)(gy, *index)
        return gy, gvalues, *(None for _ in index)


class IndexMultiply(Indexed):
    """y = x, with y[index] *= values; an element that is named several times gets the product."""

    def forward(self, x, values, *index):
        y = x.copy()
        backend[type(x)].reduce_at("multiply", y, self.index(index), values)
        return y

    def backward(self, gy, x, values, y, *index):
        # A factor's gradient is the product of the others: y / factor, or, where it is 0, the product without it.
        gx = gvalues = None
        if self.wants[0] is not None:
            zero = raw(x == 0)
            others = where(zero, 0, y / where(zero, 1, x))
            if _any(zero):
                others = where(zero, IndexMultiply(self.template)(where(zero, 1, x), values, *index), others)
            gx = gy * others
        if self.wants[1] is not None:
            zero = raw(values == 0)
            others = where(zero, 0, GetItem(self.template)(y, *index) / where(zero, 1, values))
            # Of several zeros in a product one at a time is left out. One suffices for a first derivative, where the
            # other ones leave 0; each further one serves an order of derivatives more.
            for _ in range(3 if isinstance(gy, Variable) else 1):
                if _any(zero):
                    one = computed(self.name, self._one_of_each, raw(y), zero, *map(raw, index))
                    product = IndexMultiply(self.template)(x, where(one, 1, values), *index)
                    others = where(one, GetItem(self.template)(product, *index), others)
                    zero = zero & ~one
            gvalues = GetItem(self.template)(gy, *index) * others
        return gx, gvalues, *(None for _ in index)

    def _one_of_each(self, y, mask, *index):
        """Where `mask` is true, but for each element of y at one of the places that name it."""
        xp, at = lib(y), self.index(index)
        numbers = xp.arange(mask.size).reshape(mask.shape)
        last = xp.full(y.shape, -1, int64)
        backend[type(y)].reduce_at("maximum", last, at, xp.where(mask, numbers, -1))
        return mask & (last[at] == numbers)


def _any(mask):
    """False where nothing is true, as far as one can tell without waiting for a device."""
    return bool(mask.any()) if backend[type(mask)].host else True


class IndexExtreme(Indexed):
    """y = x, with y[index] = the largest ("maximum") or smallest ("minimum") of it and values. Equal ones share."""

    def __init__(self, template, which, include_self):
        super().__init__(template)
        self.which, self.include_self = which, include_self

    def forward(self, x, values, *index):
        y = x.copy()
        backend[type(x)].reduce_at(self.which, y, self.index(index), values)
        return y

    def backward(self, gy, x, values, y, *index):
        constant = tuple(map(raw, index))
        mine = raw(x == y).astype(gy.dtype)
        theirs = raw(values == GetItem(self.template)(y, *index)).astype(gy.dtype)
        if not self.include_self:
            mine = SetItem(self.template)(mine, 0, *constant)
        count = IndexAdd(self.template)(mine, theirs, *constant)
        g = gy / where(count == 0, math.nan, count)  # where y is NaN, nothing equals it: its gradients are NaN
        return g * mine, GetItem(self.template)(g, *index) * theirs, *(None for _ in index)


# --- each at its own place along the other axes ------------------------------------------------------------------


def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """y = input, with y[index[i, j, ...], j, ...] = src[i, j, ...] for dim 0, and likewise along any other `dim`.

    Shapes: index - as many axes as input, and none longer than input's but `dim`; src - none shorter than index's.
    Args:   src - a tensor of input's dtype, or one number for all. value - such a number, by name. reduce - not taken.
    Raises: IndexRangeError for an index outside of input; ShapeError; DTypeError.
    """
    name = "scatter"
    if reduce is not None:
        raise TypeError(f"{name}: reduce= is deprecated in PyTorch; write scatter_add, or scatter_reduce with 'prod'")
    if (src is None) == (value is None):
        raise TypeError(f"{name}: give src (a tensor) or value (a number), and not both")
    src = number(value if src is None else src)
    if hasattr(src, "dtype") and value is not None:
        raise TypeError(f"{name}: value must be a number; write src=value.expand(index.shape)")
    if not hasattr(src, "dtype"):
        x, src = lined(input), _filling(name, input, src)
        template, arrays = along(name, x, axis_of(name, input, dim), lined(index))
    else:
        x, src, template, arrays = _along(name, input, dim, index, src)
    return _like(input, applied(name, SetItem(template), x, src, *arrays))


def scatter_add(input, dim, index, src):
    """y = input, with src added where `scatter` would write it, as often as an element is named.

    In the order of src on the CPU; on a GPU in any order, so that the last bits of a sum may differ from run to run.
    """
    x, src, template, arrays = _along("scatter_add", input, dim, index, src)
    return _like(input, applied("scatter_add", IndexAdd(template), x, src, *arrays))


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """y = input, its elements reduced with those of src that `scatter` would write there.

    Args:   reduce - "sum", "prod", "mean", "amax" or "amin"; equal extremes share the gradient. The mean of integers is
                rounded down.
            include_self - take the element of input in; else those that are named begin anew. (There an equal element
                of input takes a share of the gradient of "amax" and "amin" in PyTorch, where it is lost; here none.)
    Raises: as scatter; ValueError for another reduce.
    """
    name = "scatter_reduce"
    if reduce not in _NEUTRAL:
        raise ValueError(f"{name}: reduce must be one of {', '.join(map(repr, _NEUTRAL))}, got {reduce!r}")
    x, src, template, arrays = _along(name, input, dim, index, src)
    start = x if include_self else applied(name, SetItem(template), x, _NEUTRAL[reduce](x), *arrays)
    node: Indexed
    if reduce == "prod":
        node = IndexMultiply(template)
    elif reduce in _EXTREMES:
        node = IndexExtreme(template, _EXTREMES[reduce], include_self)
    else:
        node = IndexAdd(template)
    y = applied(name, node, start, src, *arrays)
    if reduce == "mean":
        arrays = list(map(raw, arrays))
        count = computed(name, lambda x: lib(x).ones(x.shape, int64), raw(x))
        count = count if include_self else SetItem(template)(count, 0, *arrays)
        count = IndexAdd(template)(count, 1, *arrays)
        y = y / count if x.dtype.kind == "f" else y // count
    return _like(input, y)


def _lowest(x):
    return -math.inf if x.dtype.kind == "f" else False if x.dtype.kind == "b" else int(lib(raw(x)).iinfo(x.dtype).min)


def _highest(x):
    return math.inf if x.dtype.kind == "f" else True if x.dtype.kind == "b" else int(lib(raw(x)).iinfo(x.dtype).max)


_NEUTRAL = {"sum": lambda x: 0, "prod": lambda x: 1, "mean": lambda x: 0, "amax": _lowest, "amin": _highest}
_EXTREMES = {"amax": "maximum", "amin": "minimum"}


def _along(name, input, dim, index, src):
    """(input, src, template, index arrays), with src as long as index."""
    input, src = _alike(name, input, src)
    x, index, src = lined(input), lined(index), lined(src)
    template, arrays = along(name, x, axis_of(name, input, dim), index, src)
    if src.ndim != index.ndim or any(n < i for n, i in zip(src.shape, index.shape, strict=True)):
        raise ShapeError(
            f"{name}: src must be at least as long as index along each dim; src is {src.shape}, index {index.shape}"
        )
    if src.shape != index.shape:
        src = src[tuple(slice(n) for n in index.shape)]
    return x, src, template, arrays


def _alike(name, input, source):
    """(input, source), both of one dtype."""
    if regions and input.dtype != source.dtype:
        input, source = wide(input), wide(source)
    if input.dtype != source.dtype:
        raise DTypeError(f"{name}: the source is {source.dtype} and input {input.dtype}; write source.to(input.dtype)")
    return input, source


def _filling(name, input, value):
    """`value`, a number or without axes, for input's dtype."""
    if hasattr(value, "dtype"):
        if value.ndim:
            raise ShapeError(f"{name}: value must be a number or have no axes, got shape {value.shape}")
        return value if value.dtype == input.dtype else value.astype(input.dtype)
    kind = input.dtype.kind
    if kind == "f" and 65504 < abs(value) < math.inf and abs(value) > float(finfo(input.dtype).max):
        raise DTypeError(f"{name}: {value} is too large for {input.dtype}; write {math.copysign(math.inf, value)}")
    return value if kind == "f" else bool(value) if kind == "b" else int(value)


def _like(input, y):
    """y without the axis that `lined` gave to an input without axes."""
    return y if input.ndim else y.reshape(())


# --- whole slices ------------------------------------------------------------------------------------------------


def index_add(input, dim, index, source, *, alpha=1):
    """y = input, with alpha * source added to the slices `index` along `dim`, as often as they are named.

    Shapes: input (..., n, ...), index (k), source (..., k, ...).
    Raises: IndexRangeError for an index outside of input; ShapeError; DTypeError.
    """
    return _across("index_add", IndexAdd, input, dim, index, source if alpha == 1 else source * alpha)


def index_copy(input, dim, index, source):
    """y = input, with the slices `index` along `dim` taken from source.

    Shapes: input (..., n, ...), index (k), source (..., k, ...).
    Raises: as index_add.
    """
    return _across("index_copy", SetItem, input, dim, index, source)


def _across(name, operation, input, dim, index, source):
    x, source = _alike(name, lined(input), lined(source))
    axis = axis_of(name, input, dim)
    template, arrays = across(name, x, axis, index)
    expected = (*x.shape[:axis], *arrays[0].shape, *x.shape[axis + 1 :])
    if source.shape != expected:
        raise ShapeError(
            f"{name}: source must be {expected}, as input {x.shape} with the {arrays[0].shape[0]} elements of index "
            f"along dim {dim}; it is {source.shape}"
        )
    return _like(input, applied(name, operation(template), x, source, *arrays))


def index_fill(input, dim, index, value):
    """y = input, with the slices `index` along `dim` filled with `value`, a number or a tensor without axes."""
    name = "index_fill"
    x = lined(input)
    axis = axis_of(name, input, dim)
    _, (index,) = across(name, x, axis, index)
    check_range(name, x, axis, index)

    def named(x, index):
        mask = lib(x).zeros(x.shape[axis], bool)
        mask[index] = True
        return mask.reshape(-1, *[1] * (x.ndim - axis - 1))

    mask = computed(name, named, raw(x), raw(index))
    return _like(input, where(mask, _filling(name, input, number(value)), x))


# --- by masks ----------------------------------------------------------------------------------------------------


def masked_fill(input, mask, value):
    """`value`, a number or a tensor without axes, where `mask` (bools) is true, else input.

    Shapes: input and mask broadcast.
    Raises: DTypeError for a mask of another dtype, or a number beyond float16; ShapeError.
    """
    check_mask("masked_fill", mask)
    if mask.shape != input.shape:
        broadcast("masked_fill", input.shape, mask.shape)
    return where(mask, _filling("masked_fill", input, number(value)), input)


def masked_scatter(input, mask, source):
    """The elements of source, in order, where `mask` (bools) is true, else input. A GPU is not waited for.

    Shapes: input and mask broadcast; source - any, with at least as many elements as mask has true ones.
    Raises: ShapeError where source is too short (on a GPU, only where indices are checked); DTypeError.
    """
    name = "masked_scatter"
    check_mask(name, mask)
    input, source = _alike(name, input, source)
    shape = broadcast(name, input.shape, mask.shape)
    mask = raw(expand(mask, shape))
    order = computed(name, lambda m: m.reshape(-1).astype(int64).cumsum(), mask)
    if backend[type(order)].host and order.size and order[-1] > source.reshape(-1).shape[0]:
        raise ShapeError(f"{name}: mask has {order[-1]} true elements, and source {source.shape} fewer")
    if 0 in source.shape:
        return clone(expand(input, shape))
    places = computed(name, lambda m, n: m * (n.reshape(m.shape) - 1), mask, order)
    taken = applied(name, GetItem((ARRAY,)), source.reshape(-1), places)
    return where(mask, taken, input)
