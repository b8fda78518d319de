"""Several tensors made one: one behind the other along an axis, or along a new one."""

from ..backend import backend
from ..dtypes import promote
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function
from .shape import atleast_1d, atleast_2d, atleast_3d, axis_of, reshape

__all__ = ["cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack", "column_stack"]


class Cat(Function):
    """y = the arrays one behind the other along an axis."""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, *xs):
        self.ends = [0]
        for x in xs:
            self.ends.append(self.ends[-1] + x.shape[self.axis])  # IndexError where there is no such axis: see check
        return backend[type(xs[0])].xp.concatenate(xs, self.axis)

    def backward(self, gy):
        before = (slice(None),) * self.axis
        return tuple(
            gy[(*before, slice(a, b))] if want is not None else None
            for a, b, want in zip(self.ends[:-1], self.ends[1:], self.wants, strict=True)
        )

    def check(self, *xs):
        shapes = ", ".join(str(x.shape) for x in xs)
        if any(not x.ndim for x in xs):
            raise ShapeError(f"cat: tensors without axes cannot follow one another: {shapes}; write mg.stack")
        if len({(x.ndim, _other_sizes(x.shape, self.axis)) for x in xs}) > 1:
            raise ShapeError(f"cat: shapes may differ along dim {self.axis} only: {shapes}")


def _other_sizes(shape, axis):
    return (*shape[:axis], -1, *shape[axis + 1 :])


class Stack(Function):
    """y = the arrays, all of one shape, along a new axis."""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, *xs):
        return backend[type(xs[0])].xp.stack(xs, self.axis)

    def backward(self, gy):
        before = (slice(None),) * self.axis
        return tuple(gy[(*before, i)] if want is not None else None for i, want in enumerate(self.wants))

    def check(self, *xs):
        if len({x.shape for x in xs}) > 1:
            raise ShapeError(f"stack: the shapes differ: {', '.join(str(x.shape) for x in xs)}")


def cat(tensors, dim=0):
    """The tensors one behind the other along `dim`, along which alone they may differ.

    Different dtypes are promoted. Tensors of shape (0,) fit anywhere.
    Raises: ShapeError if there are none or they do not fit.
    """
    tensors = _alike("cat", tensors)
    try:
        return Cat(axis_of("cat", tensors[0], dim))(*tensors)
    except (ShapeError, IndexRangeError):
        like = next((x for x in tensors if x.shape != (0,)), tensors[0])
        if all(x.shape != (0,) for x in tensors) or not like.ndim:
            raise
        axis = axis_of("cat", like, dim) if like.shape != (0,) else 0
        nothing = (*like.shape[:axis], 0, *like.shape[axis + 1 :])
        return Cat(axis)(*(reshape(x, nothing) if x.shape == (0,) else x for x in tensors))


concat = concatenate = cat


def _alike(name, tensors):
    """The tensors as a list, in one dtype."""
    tensors = list(tensors)
    if not tensors:
        raise ShapeError(f"{name}: expected at least one tensor, got none")
    dtype = promote(tensors)
    return [x if x.dtype == dtype else x.astype(dtype) for x in tensors]


def stack(tensors, dim=0):
    """The tensors, all of one shape, along a new axis `dim`. Different dtypes are promoted."""
    tensors = _alike("stack", tensors)
    return Stack(axis_of("stack", tensors[0], dim, extra=1))(*tensors)


def hstack(tensors):
    """The tensors side by side: along axis 1, or along 0 where they have one axis."""
    tensors = atleast_1d(_alike("hstack", tensors))
    return cat(tensors, min(tensors[0].ndim, 2) - 1)


def vstack(tensors):
    """The tensors one below the other; one with a single axis is a row."""
    return cat(atleast_2d(_alike("vstack", tensors)))


row_stack = vstack


def dstack(tensors):
    """The tensors one behind the other along axis 2, with axes added by `atleast_3d`."""
    return cat(atleast_3d(_alike("dstack", tensors)), 2)


def column_stack(tensors):
    """The tensors side by side; one with a single axis is a column."""
    return cat([x if x.ndim > 1 else reshape(x, -1, 1) for x in _alike("column_stack", tensors)], 1)
