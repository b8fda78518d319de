"""Norms of matrices: of their elements, rows, columns, or singular values. Lengths of vectors are in vector_norm.py."""

import math

from ..dtypes import require_floats
from ..errors import ShapeError
from ..tape.modes import regions
from .autocast import wide
from .decompose import svdvals
from .elementwise import abs as magnitude
from .extremes import amax, amin
from .reduce import sum as total
from .shape import axes_of, axis_of, movedim, squeeze, unsqueeze
from .vector_norm import vector_norm

__all__: list[str] = []


def matrix_norm(input, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The norms of matrices, whose rows and columns are the two axes `dim`.

    Args:   ord - "fro": the root of the sum of squares. 1, -1: the largest, smallest of the columns' sums of absolute
                values; inf, -inf: of the rows' sums. "nuc": the sum of the singular values; 2, -2: the largest,
                smallest of them.
            dtype - convert input first.
    Raises: ShapeError for other norms, or where `dim` is not two axes; DTypeError for integers.
    """
    a = _floats("matrix_norm", input, dtype)
    if not isinstance(dim, (tuple, list)) or len(dim) != 2 or a.ndim < 2:
        raise ShapeError(f"matrix_norm: dim must be two axes of input, and is {dim!r}; input is {a.shape}")
    axes_of("matrix_norm", a, dim)  # raises for an axis twice
    down, along = (axis_of("matrix_norm", a, d) for d in dim)
    if ord == "fro":
        return vector_norm(a, 2, (down, along), keepdim)
    if ord in ("nuc", 2, -2):
        s = svdvals(movedim(a, (down, along), (-2, -1)))
        y = total(s, -1) if ord == "nuc" else (amax if ord > 0 else amin)(s, -1)
        return unsqueeze(unsqueeze(y, min(down, along)), max(down, along)) if keepdim else y
    if ord not in (1, -1, math.inf, -math.inf):
        raise ShapeError(f'matrix_norm: ord must be "fro", "nuc", 1, -1, 2, -2, inf or -inf, got {ord!r}')
    if math.isinf(ord):
        down, along = along, down
    y = (amax if ord > 0 else amin)(total(magnitude(a), down, True), along, True)
    return y if keepdim else squeeze(y, (down, along))


def norm(input, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A norm of vectors over one axis, of matrices over two: `vector_norm` or `matrix_norm`.

    Args:   ord - None is the root of the sum of squares. dtype - convert input first.
            dim - an axis, or two. None takes all: as one vector where ord is None, else by its number of axes.
    Raises: ShapeError where ord is given, dim is not, and input has more than two axes.
    """
    if ord is not None and dim is None and input.ndim not in (1, 2):
        raise ShapeError(f"norm: with ord, and without dim, input must be a vector or a matrix, and is {input.shape}")
    if ord is None or (input.ndim == 1 if dim is None else isinstance(dim, int) or len(dim) == 1):
        if isinstance(ord, str):
            raise ShapeError(
                f"norm: ord {ord!r} is of matrices: dim must be two axes, got {dim!r}; input is {input.shape}"
            )
        return vector_norm(_floats("norm", input, dtype), 2 if ord is None else ord, dim, keepdim)
    return matrix_norm(input, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)


def _floats(name, x, dtype):
    x = x if dtype is None else x.astype(dtype)
    require_floats(name, x)
    return wide(x) if regions and dtype is None else x
