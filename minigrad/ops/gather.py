"""Picking along an axis: indexing under the names gather, take_along_dim, index_select, take, masked_select.

Each makes an index (a template and its index arrays, as in index.py) and hands it to GetItem, whose gradient is known.
`along` and `across` are the two kinds of index; scatter.py writes by them. A negative index counts from the end, also
where PyTorch refuses it.
"""

from ..backend import backend, computed, cpu, gpu
from ..dtypes import bool_, float64
from ..errors import DTypeError, IndexRangeError, ShapeError
from ..tape.variable import raw
from .index import ARRAY, GetItem, getitem, outside
from .shape import axis_of, expand

__all__ = ["gather", "take_along_dim", "index_select", "take", "masked_select"]


def applied(name, node, input, *args):
    """node(input, *args), as (part of) the operation `name`. Raises: IndexRangeError for an index outside of input."""
    node.name = name
    try:
        return node(input, *args)
    except IndexError as error:
        raise IndexRangeError(f"{name}: {error}; input is {input.shape}") from None


def lined(x):
    """x, or a vector of its one element where x has no axes."""
    return x if getattr(x, "ndim", 1) else x.reshape(1)


def check_index(name, input, axis, index):
    """Raise DTypeError unless `index` holds integers; IndexRangeError where a device is asked to look at them."""
    if getattr(index, "dtype", float64).kind not in "iu":
        kind = getattr(index, "dtype", type(index).__name__)
        raise DTypeError(
            f"{name}: index must be a tensor of integers, got {kind}; write index.long(), or mg.tensor(...)"
        )
    if gpu and not backend[type(raw(index))].host:
        check_range(name, input, axis, index)


def check_range(name, input, axis, index):
    """Raise IndexRangeError for an index outside of input. Indexing an array of NumPy's does that by itself."""
    n = input.shape[axis]
    wrong = outside(raw(index), n)
    if wrong is not None:
        raise IndexRangeError(
            f"{name}: index {wrong} is outside of the {n} elements of axis {axis}; input is {input.shape}"
        )


def along(name, input, axis, index, *others):
    """(template, index arrays) of the elements `index` along an axis, each at its own place along the other axes.

    Shapes: index - as many axes as input, and none longer but `axis`.
    Args:   others - what must lie on the same device.
    """
    check_index(name, input, axis, index)
    if index.ndim != input.ndim:
        raise ShapeError(f"{name}: index needs as many axes as input; input is {input.shape}, index {index.shape}")
    if any(i > n and k != axis for k, (i, n) in enumerate(zip(index.shape, input.shape, strict=True))):
        raise ShapeError(
            f"{name}: index may be longer than input along dim {axis} only; input is {input.shape}, index {index.shape}"
        )

    def lines(index, *_):
        shapes = [[-1 if i == k else 1 for i in range(index.ndim)] for k in range(index.ndim)]
        sizes = zip(index.shape, shapes, strict=True)
        return [
            None if k == axis else backend[type(index)].xp.arange(n).reshape(line) for k, (n, line) in enumerate(sizes)
        ]

    arrays = computed(name, lines, *map(raw, (index, input, *others))) if input.ndim > 1 else [None]
    arrays[axis] = index
    return (ARRAY,) * input.ndim, arrays


def across(name, input, axis, index):
    """(template, index arrays) of whole slices of input: `index`, one int or several, along an axis."""
    check_index(name, input, axis, index)
    if index.ndim > 1:
        raise ShapeError(f"{name}: index must be a vector, got shape {index.shape}; input is {input.shape}")
    return (slice(None),) * axis + (ARRAY,), [lined(index)]


def gather(input, dim, index):
    """y[i, j, ...] = input[index[i, j, ...], j, ...] for dim 0, and likewise along any other `dim`.

    Shapes: index - as many axes as input, and none longer than input's but `dim`; y - that of index.
    Raises: IndexRangeError for an index outside of input; ShapeError.
    """
    return _gather("gather", input, axis_of("gather", input, dim), index)


def _gather(name, input, axis, index):
    x, i = lined(input), lined(index)
    template, arrays = along(name, x, axis, i)
    y = applied(name, GetItem(template), x, *arrays)
    return y if index.ndim else y.reshape(())


def take_along_dim(input, indices, dim=None):
    """y = input taken at `indices` along `dim`: `gather` with the other axes broadcast. Without dim both are flattened.

    Shapes: input (..., n, ...), indices (..., k, ...) -> y (..., k, ...).
    """
    name = "take_along_dim"
    if dim is None:
        return _gather(name, input.reshape(-1), 0, indices.reshape(-1))
    if input.ndim != indices.ndim:
        raise ShapeError(f"{name}: indices need as many axes as input; input is {input.shape}, indices {indices.shape}")
    axis = axis_of(name, input, dim)
    n, k = input.shape[axis : axis + 1], indices.shape[axis : axis + 1]
    before, after = slice(axis), slice(axis + 1, None)
    if input.shape[before] != indices.shape[before] or input.shape[after] != indices.shape[after]:
        shape = broadcast(name, *((*x.shape[before], 1, *x.shape[after]) for x in (input, indices)))
        input, indices = (expand(x, (*shape[before], *m, *shape[after])) for x, m in ((input, n), (indices, k)))
    return _gather(name, input, axis, indices)


def index_select(input, dim, index):
    """The slices `index`, one or several, of input along `dim`, which y keeps.

    Shapes: input (..., n, ...), index (k) or () -> y (..., k, ...).
    Raises: IndexRangeError for an index outside of input.
    """
    axis = axis_of("index_select", input, dim)
    x = lined(input)
    template, arrays = across("index_select", x, axis, index)
    y = applied("index_select", GetItem(template), x, *arrays)
    return y if input.ndim else y.reshape(())


def take(input, index):
    """The elements `index` of the flattened input.      Shapes: y - that of index."""
    flat = input.reshape(-1)
    check_index("take", flat, 0, index)
    return applied("take", GetItem((ARRAY,)), flat, index)


def masked_select(input, mask):
    """The elements of input where `mask` (bools, which broadcast with input) is true, in order, as a vector.

    A mask on a GPU is waited for: how many it chooses is the shape of the result.
    """
    check_mask("masked_select", mask)
    shape = broadcast("masked_select", input.shape, mask.shape)
    return getitem(lined(expand(input, shape)), lined(expand(mask, shape)))


def check_mask(name, mask):
    """Raise DTypeError unless `mask` holds bools."""
    if getattr(mask, "dtype", None) != bool_:
        kind = getattr(mask, "dtype", type(mask).__name__)
        raise DTypeError(f"{name}: mask must be a tensor of bools, got {kind}; write x > 0 or x.bool()")


def broadcast(name, *shapes):
    """The shape to which all broadcast. Raises: ShapeError."""
    try:
        return cpu.xp.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"{name}: shapes {' and '.join(map(str, shapes))} do not broadcast") from None
