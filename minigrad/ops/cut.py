"""Parts of a tensor along one axis, as views: pieces, slices, windows. Their gradients join the parts again."""

import itertools
import operator

import numpy as np

from ..backend import backend
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function
from ..tape.variable import raw
from .index import SetItem
from .join import Cat, Stack
from .make import lib
from .shape import axis_of, reshape

__all__ = ["split", "chunk", "tensor_split", "hsplit", "vsplit", "dsplit", "unbind", "select", "narrow"]
__all__ += ["select_scatter", "slice_scatter"]


def _axis(name, x, dim):
    """(the axis, how many elements x has along it). Raises: IndexRangeError where x has no axes at all."""
    axis = axis_of(name, x, dim)
    if not x.ndim:
        raise IndexRangeError(f"{name}: x has no axes to take parts along; write x.reshape(1)")
    return axis, x.shape[axis]


# --- pieces ------------------------------------------------------------------------------------------------------


class Split(Function):
    """Several outputs: x in pieces of the sizes `parts` along an axis."""

    def __init__(self, axis, parts):
        self.axis, self.parts = axis, parts

    def forward(self, x):
        before, ends = (slice(None),) * self.axis, itertools.accumulate(self.parts)
        return tuple(x[(*before, slice(end - n, end))] for n, end in zip(self.parts, ends, strict=True))

    def backward(self, gy):
        return Cat(self.axis)(*gy)


class Unbind(Function):
    """Several outputs: the slices of x along an axis, which they lose."""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        before = (slice(None),) * self.axis
        return tuple(x[(*before, i, ...)] for i in range(x.shape[self.axis]))

    def backward(self, gy):
        return Stack(self.axis)(*gy)


def split(tensor, split_size_or_sections, dim=0):
    """tensor cut along `dim` into pieces of that size (the last may be shorter), or of the listed sizes."""
    axis, n = _axis("split", tensor, dim)
    parts = split_size_or_sections
    if isinstance(parts, (int, np.integer)):
        if parts < 0 or (parts == 0 and n):
            raise ShapeError(f"split: split_size must be at least 1, got {parts}")
        parts = [min(parts, n - i) for i in range(0, n, parts or 1)] or [0]
    if sum(parts) != n or min(parts, default=0) < 0:
        raise ShapeError(
            f"split: the sizes {list(parts)} add up to {sum(parts)}, and x {tensor.shape} has {n} along {dim}; "
            "none may be negative"
        )
    return Split(axis, tuple(parts))(tensor)


def chunk(input, chunks, dim=0):
    """input cut along `dim` into at most `chunks` pieces of equal size, the last perhaps shorter."""
    if chunks < 1:
        raise ShapeError(f"chunk: chunks must be at least 1, got {chunks}")
    n = _axis("chunk", input, dim)[1]
    return split(input, -(-n // chunks) if n else [0] * chunks, dim)


def tensor_split(input, indices_or_sections, dim=0):
    """input cut along `dim` into so many pieces, the first ones longer by one where it must be; or before each index.

    Args: indices_or_sections - int, list or tuple, or a Variable of one (on the host, or it is waited for).
    """
    return _tensor_split("tensor_split", input, indices_or_sections, dim)


def _tensor_split(name, input, wanted, dim, even=False):
    axis, n = _axis(name, input, dim)
    wanted = raw(wanted).tolist() if hasattr(wanted, "dtype") else wanted
    if isinstance(wanted, int):
        if wanted < 1 or (even and n % wanted):
            raise ShapeError(f"{name}: {n} elements along dim {dim} cannot be cut into {wanted}; x is {input.shape}")
        size, longer = divmod(n, wanted)
        return Split(axis, (size + 1,) * longer + (size,) * (wanted - longer))(input)
    cuts = [slice(a, b).indices(n)[:2] for a, b in itertools.pairwise([0, *wanted, n])]
    if all(a <= b for a, b in cuts):
        return Split(axis, tuple(b - a for a, b in cuts))(input)
    before = (slice(None),) * axis  # they overlap, where the indices do not increase
    return tuple(input[(*before, slice(a, max(a, b)))] for a, b in cuts)


def _splitter(name, need, axis_for):
    def operation(input, indices_or_sections):
        if input.ndim < need:
            raise ShapeError(f"{name}: expected at least {need} axes, and x is {input.shape}")
        return _tensor_split(name, input, indices_or_sections, axis_for(input), even=True)

    operation.__name__ = operation.__qualname__ = name
    return operation


hsplit = _splitter("hsplit", 1, lambda x: min(x.ndim, 2) - 1)
vsplit = _splitter("vsplit", 2, lambda x: 0)
dsplit = _splitter("dsplit", 3, lambda x: 2)
hsplit.__doc__ = "input cut into columns, as `tensor_split` along axis 1 (0 where there is one); the pieces are equal."
vsplit.__doc__ = "input cut into rows, as `tensor_split` along axis 0; the pieces are equal."
dsplit.__doc__ = "input cut as `tensor_split` along axis 2; the pieces are equal."


def unbind(input, dim=0):
    """The slices of input along `dim`, which they lose."""
    return Unbind(_axis("unbind", input, dim)[0])(input)


# --- slices ------------------------------------------------------------------------------------------------------


def _place_of(name, x, dim, index):
    axis, n = _axis(name, x, dim)
    if not -n <= index < n:
        raise IndexRangeError(f"{name}: index {index} is outside of the {n} elements along dim {dim}; x is {x.shape}")
    return (*(slice(None),) * axis, operator.index(index), ...)


def select(input, dim, index):
    """input at one index along `dim`, which the result loses."""
    return input[_place_of("select", input, dim, index)]


def narrow(input, dim, start, length):
    """`length` elements of input along `dim`, from `start` on (negative from the end)."""
    axis, n = _axis("narrow", input, dim)
    first = operator.index(start)
    first += n if first < 0 else 0
    if not 0 <= first <= first + length <= n:
        raise IndexRangeError(
            f"narrow: {length} elements from {start} on are not in the {n} along dim {dim}; x is {input.shape}"
        )
    return input[(*(slice(None),) * axis, slice(first, first + length))]


def _written(name, input, src, index):
    shape = raw(input)[index].shape
    if src.shape != shape:
        raise ShapeError(f"{name}: src must have the shape of what it replaces, {shape}, and has {src.shape}")
    return SetItem(index)(input, src)


def select_scatter(input, src, dim, index):
    """A copy of input with `src` at one index along `dim`: what `select` gives is replaced."""
    return _written("select_scatter", input, src, _place_of("select_scatter", input, dim, index))


def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of input with `src` in the place of input[start:end:step] along `dim`."""
    axis, _ = _axis("slice_scatter", input, dim)
    if step < 1:
        raise ShapeError(f"slice_scatter: step must be at least 1, got {step}")
    return _written("slice_scatter", input, src, (*(slice(None),) * axis, slice(start, end, step)))


# --- windows: a closed family ------------------------------------------------------------------------------------


class Windows(Function):
    """y[..., k, ..., j] = x[..., k * step + j, ...]: a new last axis runs inside of the windows along an axis."""

    def __init__(self, axis, size, step):
        self.axis, self.size, self.step = axis, size, step

    def forward(self, x):
        self.full = x.shape
        return backend[type(x)].sliding(x, self.axis, self.size, self.step)

    def backward(self, gy):
        return WindowsSum(self.axis, self.step, self.full)(gy)


class WindowsSum(Function):
    """y = zeros of a shape, with each window of g added where `Windows` takes it from."""

    def __init__(self, axis, step, shape):
        self.axis, self.step, self.full = axis, step, shape

    def forward(self, g):
        self.size, count = g.shape[-1], g.shape[self.axis]
        y = lib(g).zeros(self.full, g.dtype)
        before = (slice(None),) * self.axis
        if count < self.size:  # window by window, or place by place in them: by as few additions as possible
            last = (slice(None),) * (y.ndim - self.axis - 1)
            to_place = (*range(self.axis), g.ndim - 2, *range(self.axis, g.ndim - 2))
            for k in range(count):
                window = y[(*before, slice(k * self.step, k * self.step + self.size), *last)]
                window += g[(*before, k)].transpose(to_place)
        else:
            for j in range(self.size):
                place = y[(*before, slice(j, j + count * self.step - self.step + 1, self.step))]
                place += g[..., j]
        return y

    def backward(self, gy):
        return Windows(self.axis, self.size, self.step)(gy)


def unfold(input, dimension, size, step):
    """All windows of `size` elements along an axis, `step` apart, in a new last axis; a view, on a GPU a copy.

    Shapes: input (..., n, ...) -> (..., (n - size) // step + 1, ..., size).
    Raises: ShapeError if input has fewer than `size` elements along `dimension`, or step is not positive.
    """
    axis = axis_of("unfold", input, dimension)
    n = input.shape[axis] if input.ndim else 1
    if step < 1 or not 0 <= size <= n:
        raise ShapeError(
            f"unfold: size must be 0 to the {n} elements along dim {dimension}, and step at least 1; "
            f"got {size} and {step}, x is {input.shape}"
        )
    return Windows(axis, size, step)(input) if input.ndim else reshape(input, 1)[:size]
