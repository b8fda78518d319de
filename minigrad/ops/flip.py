"""The same elements in another order: flipped, rolled, turned."""

from ..errors import ShapeError
from ..tape.function import Function
from .make import lib
from .shape import axes_of, axis_of, clone, reshape, sizes, transpose

__all__ = ["flip", "fliplr", "flipud", "roll", "rot90"]


class Flip(Function):
    """y = x backwards along `axes`."""

    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x[tuple(slice(None, None, -1 if i in self.axes else None) for i in range(x.ndim))].copy()

    def backward(self, gy):
        return Flip(self.axes)(gy)


def flip(input, *axes, dims=None):
    """A copy of input backwards along axes. `mg.flip(x, (0, 1))` or `x.flip(0, 1)`."""
    return Flip(axes_of("flip", input, sizes(axes) if dims is None else sizes((dims,))))(input)


def fliplr(input):
    """A copy of input with its columns (axis 1) in reverse order."""
    if input.ndim < 2:
        raise ShapeError(f"fliplr: expected at least 2 axes, and x is {input.shape}")
    return Flip((1,))(input)


def flipud(input):
    """A copy of input with its rows (axis 0) in reverse order."""
    if input.ndim < 1:
        raise ShapeError("flipud: expected at least 1 axis, and x is ()")
    return Flip((0,))(input)


def rot90(input, k=1, dims=(0, 1)):
    """A copy of input turned by k quarters, from the first of two axes towards the second."""
    dims = tuple(dims)
    if len(dims) != 2 or len(axes_of("rot90", input, dims)) != 2:
        raise ShapeError(f"rot90: expected two axes to turn in, got {dims}; x is {input.shape}")
    k %= 4
    if k % 2:
        return flip(transpose(input, *dims), dims[k // 2])
    return flip(input, dims) if k else clone(input)


class Roll(Function):
    """y = x moved along axes; what leaves at one end comes in at the other."""

    def __init__(self, shifts, axes):
        self.shifts, self.axes = shifts, axes

    def forward(self, x):
        return lib(x).roll(x, self.shifts, self.axes)

    def backward(self, gy):
        return Roll(tuple(-n for n in self.shifts), self.axes)(gy)


def roll(input, shifts, dims=None):
    """input moved by `shifts` places along `dims`, each an int or several; what leaves comes in at the other end.

    Without dims the elements move in the order in which they are read.
    """
    shifts = sizes((shifts,))
    if dims is None and len(shifts) == 1:
        return reshape(Roll(shifts, (0,))(reshape(input, -1)), input.shape)
    axes = tuple(axis_of("roll", input, dim) for dim in sizes((() if dims is None else dims,)))
    if len(axes) != len(shifts) or not input.ndim:
        raise ShapeError(f"roll: {len(shifts)} shifts for {len(axes)} axes of x {input.shape}; expected one for each")
    return Roll(shifts, axes)(input)
