"""The same elements several times: tensors broadcast against each other, tiled, repeated one by one."""

from ..backend import backend, cpu, device_of, moved
from ..dtypes import bool_
from ..errors import DTypeError, ShapeError
from ..tape.function import Function
from ..tape.variable import Variable, raw
from .index import getitem
from .make import lib
from .reduce import sum as total
from .shape import axis_of, expand, reshape, sizes

__all__ = ["broadcast_shapes", "broadcast_tensors", "meshgrid", "tile", "repeat_interleave"]


def broadcast_shapes(*shapes):
    """The shape that tensors of these shapes have when they are broadcast. Raises: ShapeError where they do not fit."""
    try:
        return cpu.xp.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(map(str, shapes))
        raise ShapeError(f"broadcast_shapes: {listed} do not fit: sizes must be equal or 1, from the last on") from None


def broadcast_tensors(*tensors):
    """The tensors in their common shape, without copies."""
    shape = broadcast_shapes(*(x.shape for x in tensors))
    return tuple(expand(x, shape) for x in tensors)


def meshgrid(*tensors, indexing="ij"):
    """The coordinates of a grid: for each tensor, its values along an axis of its own, spread over all others'.

    Shapes:  tensors (n1), (n2), ... (or one list of them) -> (n1, n2, ...) each, views.
    Args:    indexing - "ij", or "xy" for (n2, n1, ...): as pictures are indexed.
    """
    xs = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if not xs or any(x.ndim > 1 for x in xs):
        listed = ", ".join(str(x.shape) for x in xs) or "none"
        raise ShapeError(f"meshgrid: expected tensors with one axis at most, got {listed}")
    if len({x.dtype for x in xs}) > 1:
        raise DTypeError(f"meshgrid: expected one dtype, got {', '.join(str(x.dtype) for x in xs)}; write x.to(dtype)")
    if indexing not in ("ij", "xy"):
        raise ShapeError(f'meshgrid: indexing is "ij" or "xy", got {indexing!r}')
    axes = list(range(len(xs)))
    if indexing == "xy":
        axes[:2] = axes[:2][::-1]
    lines = [reshape(x, [-1 if axis == i else 1 for i in range(len(xs))]) for axis, x in zip(axes, xs, strict=True)]
    return broadcast_tensors(*lines)


class Repeat(Function):
    """y = x laid out `counts` times along each axis; there may be more counts than axes."""

    def __init__(self, counts):
        self.counts = counts

    def forward(self, x):
        self.full = (1,) * (len(self.counts) - x.ndim) + x.shape
        return lib(x).tile(x, self.counts)

    def backward(self, gy):
        pairs = [n for pair in zip(self.counts, self.full, strict=True) for n in pair]
        return total(reshape(gy, pairs), tuple(range(0, len(pairs), 2)))


def repeat(input, *counts, repeats=None):
    """A copy of input, laid out so many times along each axis. `x.repeat(2, 1)` or `x.repeat((2, 1))`.

    Raises: ShapeError for fewer counts than axes (which `tile` takes), or a negative one.
    """
    return _repeated("repeat", input, sizes(counts) if repeats is None else sizes((repeats,)))


def tile(input, *counts, dims=None):
    """A copy of input, laid out so many times along each of its last axes. `mg.tile(x, (2, 1))` or `x.tile(2, 1)`."""
    counts = sizes(counts) if dims is None else sizes((dims,))
    return _repeated("tile", input, (1,) * (input.ndim - len(counts)) + counts)


def _repeated(name, input, counts):
    if len(counts) < input.ndim or min(counts, default=0) < 0:
        raise ShapeError(
            f"{name}: expected a count, at least 0, for each of the {input.ndim} axes, got {counts}; x is {input.shape}"
        )
    return Repeat(counts)(input)


class RepeatInterleave(Function):
    """y = x with each slice along an axis `count` times in a row."""

    def __init__(self, count, axis):
        self.count, self.axis = count, axis

    def forward(self, x):
        self.full = x.shape
        return x.repeat(self.count, self.axis)

    def backward(self, gy):
        before, after = self.full[: self.axis + 1], self.full[self.axis + 1 :]
        return total(reshape(gy, *before, self.count, *after), self.axis + 1)


def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """input with each slice along `dim` several times in a row; without dim, input is flattened.

    Args:   repeats - an int, or ints (n): one for each slice. They are read on the host, so a device is waited for.
            Without repeats, input is these counts, and what is repeated is 0, 1, 2, ...
            output_size - what the result has along `dim`, if it is known; only checked.
    Raises: ShapeError for negative counts, or another number of them than slices; DTypeError for no integers.
    """
    if repeats is None:
        places = moved(_places(input, len(input)), device_of(raw(input)))
        return Variable(places) if isinstance(input, Variable) else places
    if dim is None or not input.ndim:
        input, dim = reshape(input, -1), 0
    axis = axis_of("repeat_interleave", input, dim)
    n = input.shape[axis]
    if isinstance(repeats, int):
        if repeats < 0:
            raise ShapeError(f"repeat_interleave: repeats must not be negative, got {repeats}")
        y = RepeatInterleave(repeats, axis)(input)
    else:
        y = getitem(input, (*(slice(None),) * axis, _places(repeats, n)))
    if output_size not in (None, y.shape[axis]):
        raise ShapeError(f"repeat_interleave: output_size is {output_size}, and the repeats make {y.shape[axis]}")
    return y


def _places(repeats, n):
    """0, 1, ... below n, each as often as `repeats` says: an array on the host."""
    counts = raw(repeats)
    if getattr(counts, "dtype", bool_).kind not in "iu":
        raise DTypeError(f"repeat_interleave: repeats must be integers, got {getattr(counts, 'dtype', counts)}")
    counts = backend[type(counts)].to_numpy(counts)
    if counts.size != 1 and counts.shape != (n,):
        raise ShapeError(f"repeat_interleave: expected one repeat for each of the {n} slices, got {counts.shape}")
    if counts.min(initial=0) < 0:
        raise ShapeError("repeat_interleave: repeats must not be negative")
    return cpu.xp.arange(n).repeat(counts.reshape(-1))
