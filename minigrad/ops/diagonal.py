"""Diagonals and triangles. Closed families: taking a diagonal and writing one; a triangle is its own gradient."""

from ..backend import backend
from ..errors import ShapeError
from ..tape.function import Function
from .make import lib
from .reduce import sum as total
from .shape import axis_of, clone, reshape

__all__ = ["diagonal", "diag", "diag_embed", "diagflat", "diagonal_scatter", "trace", "tril", "triu"]


class Diagonal(Function):
    """y[..., k] = x where the two axes are k and k + offset; a view."""

    def __init__(self, offset, axes):
        self.offset, self.axes = offset, axes

    def forward(self, x):
        self.full = x.shape
        return backend[type(x)].diagonal(x, self.offset, *self.axes)

    def backward(self, gy):
        return DiagonalEmbed(self.offset, self.axes, self.full)(gy)


class DiagonalEmbed(Function):
    """y = zeros of a shape, with g on a diagonal."""

    def __init__(self, offset, axes, shape):
        self.offset, self.axes, self.full = offset, axes, shape

    def forward(self, g):
        y = lib(g).zeros(self.full, g.dtype)
        backend[type(y)].diagonal(y, self.offset, *self.axes)[...] = g
        return y

    def backward(self, gy):
        return Diagonal(self.offset, self.axes)(gy)


class DiagonalScatter(Function):
    """y = x, with src on a diagonal."""

    def __init__(self, offset, axes):
        self.offset, self.axes = offset, axes

    def forward(self, x, src):
        y = x.copy()
        place = backend[type(y)].diagonal(y, self.offset, *self.axes)
        if getattr(src, "shape", place.shape) != place.shape:
            raise ShapeError(
                f"diagonal_scatter: src must have the shape of the diagonal, {place.shape}, and has {src.shape}"
            )
        place[...] = src
        return y

    def backward(self, gy):
        wants_x, wants_src = self.wants
        return (
            None if wants_x is None else DiagonalScatter(self.offset, self.axes)(gy, 0.0),
            None if wants_src is None else Diagonal(self.offset, self.axes)(gy),
        )


def _axes(name, x, dim1, dim2, extra=0):
    axes = axis_of(name, x, dim1, extra), axis_of(name, x, dim2, extra)
    if axes[0] == axes[1]:
        raise ShapeError(f"{name}: dim1 {dim1} and dim2 {dim2} are one axis of x {x.shape}, expected two")
    return axes


def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of two axes, which become one, the last; a view.

    Args: offset - above the main diagonal (positive) or below it.
    """
    return Diagonal(offset, _axes("diagonal", input, dim1, dim2))(input)


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Square matrices in the axes dim1 and dim2 with the last axis of input on a diagonal, and 0 elsewhere."""
    axes = _axes("diag_embed", input, dim1, dim2, extra=1)
    shape, n = list(input.shape[:-1]), input.shape[-1] + abs(offset)
    for axis in sorted(axes):
        shape.insert(axis, n)
    return DiagonalEmbed(offset, axes, tuple(shape))(input)


def diag(input, diagonal=0):
    """Of a vector, the matrix with it on a diagonal; of a matrix, a copy of a diagonal."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ShapeError(f"diag: expected a vector or a matrix, and x is {input.shape}; write diagonal or diag_embed")
    return clone(Diagonal(diagonal, (0, 1))(input))


def diagflat(input, offset=0):
    """The matrix with all elements of input on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of input with `src` on a diagonal: what `diagonal` gives is replaced."""
    return DiagonalScatter(offset, _axes("diagonal_scatter", input, dim1, dim2))(input, src)


def trace(input):
    """The sum of the main diagonal of a matrix."""
    if input.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, and x is {input.shape}; write x.diagonal(0, -2, -1).sum(-1)")
    return total(diagonal(input))


class Triangle(Function):
    """y = x above or below a diagonal, 0 elsewhere."""

    def __init__(self, side, diagonal):
        self.side, self.diagonal = side, diagonal

    def forward(self, x):
        return getattr(lib(x), self.side)(x, self.diagonal)

    def backward(self, gy):
        return Triangle(self.side, self.diagonal)(gy)


def tril(input, diagonal=0):
    """The lower triangle of the last two axes, with everything above a diagonal 0."""
    return _triangle("tril", input, diagonal)


def triu(input, diagonal=0):
    """The upper triangle of the last two axes, with everything below a diagonal 0."""
    return _triangle("triu", input, diagonal)


def _triangle(side, input, diagonal):
    if input.ndim < 2:
        raise ShapeError(f"{side}: expected at least 2 axes, and x is {input.shape}")
    return Triangle(side, diagonal)(input)
