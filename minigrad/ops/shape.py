"""The same elements in other shapes, as views: reshape, permute, expand, and what is made of them. Copies and casts.

Shapes, orders and sizes are given one by one, as one sequence, or by the name that PyTorch has for them.
"""

import math

import numpy as np

from ..backend import backend
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function

__all__ = ["reshape", "ravel", "flatten", "unflatten", "squeeze", "unsqueeze", "atleast_1d", "atleast_2d", "atleast_3d"]
__all__ += ["permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "adjoint"]
__all__ += ["expand", "broadcast_to", "clone"]


def axis_of(name, x, dim, extra=0):
    """`dim` of x, negative from the end, as 0 <= axis < ndim + extra.

    Raises: IndexRangeError, naming the operation, where x has no such axis.
    """
    ndim = x.ndim + extra
    if -ndim <= dim < ndim:
        return dim % ndim
    if ndim == 0 and dim in (0, -1):
        return 0
    raise IndexRangeError(f"{name}: dim {dim} is outside of -{ndim}..{ndim - 1}; x is {x.shape}")


def axes_of(name, x, dim):
    """`dim` (None for all, an int, or several) as a sorted tuple of axes."""
    if dim is None:
        return tuple(range(x.ndim))
    dims = (dim,) if isinstance(dim, (int, np.integer)) else dim
    if not isinstance(dims, (tuple, list)) or not all(isinstance(d, (int, np.integer)) for d in dims):
        raise IndexRangeError(f"{name}: dim must be an int or several, got {dim!r}")
    axes = sorted(axis_of(name, x, d) for d in dims)
    if len(set(axes)) < len(axes):
        raise IndexRangeError(f"{name}: an axis occurs twice in dim {dims}")
    return tuple(axes) if x.ndim else ()


def sizes(given):
    """The sizes, given one by one or as one sequence."""
    return tuple(given[0]) if len(given) == 1 and not isinstance(given[0], (int, np.integer)) else given


# --- reshape -----------------------------------------------------------------------------------------------------


class Reshape(Function):
    """y = x, its elements in `shape`."""

    def __init__(self, target):
        self.target = target

    def forward(self, x):
        self.full = x.shape
        return x.reshape(self.target)

    def backward(self, gy):
        return gy.reshape(self.full)

    def check(self, x):
        if self.target.count(-1) > 1:
            raise ShapeError(f"reshape: only one size can be left to infer (-1), and {self.target} has more")
        raise ShapeError(f"reshape: {x.shape} has {x.size} elements, which do not fit into {self.target}")


def reshape(input, *to, shape=None):
    """input in another shape with as many elements; one size may be -1. `reshape(x, 2, 3)` or `reshape(x, (2, 3))`.

    A view where memory lies for it, else a copy. `x.view` is the same; PyTorch's refuses where it would copy.
    """
    target = sizes(to) if shape is None else tuple(shape)
    if target and min(target) < -1:
        raise ShapeError(f"reshape: a size is at least 0, or -1 to be inferred, got {target}")
    return Reshape(target)(input)


def view(input, *to, size=None):
    """As `reshape`. To read the bits as another dtype is not possible here: `x.to(dtype)` converts the values."""
    if to and isinstance(to[0], (np.dtype, type)):
        raise ShapeError(f"view: expected sizes, got {to[0]}; x.to(dtype) converts, x.numpy().view(dtype) reads bits")
    return reshape(input, *to, shape=size)


def ravel(input):
    """input with all axes merged into one."""
    return reshape(input, -1)


def flatten(input, start_dim=0, end_dim=-1):
    """input with the axes start_dim to end_dim merged into one."""
    if input.ndim == 0:
        return reshape(input, 1)
    first, last = axis_of("flatten", input, start_dim), axis_of("flatten", input, end_dim)
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}; x is {input.shape}")
    shape = input.shape
    return reshape(input, *shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def unflatten(input, dim, sizes):
    """input with the axis `dim` made several of the given sizes, of which one may be -1."""
    axis, shape, parts = axis_of("unflatten", input, dim), input.shape or (1,), tuple(sizes)
    n, known = shape[axis], math.prod(p for p in parts if p != -1)
    if parts.count(-1) == 1 and known > 0:
        parts = tuple(n // known if p == -1 else p for p in parts)
    if not parts or min(parts) < 0 or math.prod(parts) != n:
        raise ShapeError(f"unflatten: the sizes {tuple(sizes)} do not make the {n} of dim {dim}; x is {input.shape}")
    return reshape(input, *shape[:axis], *parts, *shape[axis + 1 :])


def squeeze(input, dim=None):
    """input without its axes of size 1: all of them, or those among `dim`."""
    axes = axes_of("squeeze", input, dim)
    return reshape(input, tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in axes))


def unsqueeze(input, dim):
    """input with a new axis of size 1 at `dim`."""
    axis = axis_of("unsqueeze", input, dim, extra=1)
    return reshape(input, (*input.shape[:axis], 1, *input.shape[axis:]))


def _each(grown, tensors):
    if len(tensors) == 1 and not isinstance(tensors[0], (list, tuple)):
        return grown(tensors[0])
    return tuple(map(grown, tensors[0] if len(tensors) == 1 else tensors))


def atleast_1d(*tensors):
    """The tensor, with an axis if it has none; for several tensors, or a list of them, a tuple."""
    return _each(lambda x: x if x.ndim else reshape(x, 1), tensors)


def atleast_2d(*tensors):
    """The tensor with at least two axes: a vector becomes a row. For several tensors, or a list of them, a tuple."""
    return _each(lambda x: x if x.ndim > 1 else reshape(x, 1, -1), tensors)


def atleast_3d(*tensors):
    """The tensor with at least three axes: (n) becomes (1, n, 1), (n, m) (n, m, 1). For several tensors, a tuple."""
    return _each(lambda x: x if x.ndim > 2 else reshape(x, (*x.shape, 1) if x.ndim == 2 else (1, -1, 1)), tensors)


# --- permute -----------------------------------------------------------------------------------------------------


class Permute(Function):
    """y = x, its axes in another order."""

    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, gy):
        return permute(gy, sorted(range(len(self.axes)), key=self.axes.__getitem__))


def permute(input, *order, dims=None):
    """input with its axes in another order: y.shape[i] is x.shape[dims[i]]. `permute(x, (2, 0, 1))`."""
    dims = sizes(order) if dims is None else dims
    axes = tuple([axis_of("permute", input, d) for d in dims])
    if sorted(axes) != list(range(input.ndim)):
        raise ShapeError(f"permute: {tuple(dims)} does not name each axis of x {input.shape} once")
    return Permute(axes)(input)


def transpose(input, dim0, dim1):
    """input with two axes exchanged."""
    a, b = axis_of("transpose", input, dim0), axis_of("transpose", input, dim1)
    axes = list(range(input.ndim))
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return Permute(tuple(axes))(input)


swapdims = transpose


def swapaxes(input, axis0, axis1):
    """input with two axes exchanged."""
    return transpose(input, axis0, axis1)


def movedim(input, source, destination):
    """input with some axes, an int or several, moved to other places; the rest keeps its order.

    Raises: ShapeError unless there are as many places as axes, each of them once.
    """
    from_, to = sizes((source,)), sizes((destination,))
    moved = {axis_of("movedim", input, d): axis_of("movedim", input, s) for d, s in zip(to, from_, strict=False)}
    if not len(from_) == len(to) == len(moved) == len(set(moved.values())):
        raise ShapeError(f"movedim: {source} to {destination} does not move each axis to a place of its own")
    order = [axis for axis in range(input.ndim) if axis not in moved.values()]
    for place in sorted(moved):
        order.insert(place, moved[place])
    return permute(input, order[: input.ndim])


moveaxis = movedim


def adjoint(input):
    """The matrices in the last two axes, transposed. (For complex numbers, which minigrad lacks, conjugated too.)"""
    if input.ndim == 1:
        raise ShapeError(f"adjoint: expected a matrix, or several, and x is {input.shape}")
    return transpose(input, -2, -1) if input.ndim else input


# --- expand ------------------------------------------------------------------------------------------------------


class Expand(Function):
    """y = x, repeated along axes of size 1 and along new ones. The engine sums the gradient back."""

    def __init__(self, target):
        self.target = target

    def forward(self, x):
        return backend[type(x)].expand(x, self.target)

    def backward(self, gy):
        return gy

    def check(self, x):
        raise ShapeError(f"expand: x {x.shape} does not broadcast to {self.target}: only axes of size 1 can grow")


def expand(input, *to, size=None):
    """input broadcast to a shape, without a copy; -1 keeps an axis as it is. Read-only memory, if anything grows."""
    target = sizes(to) if size is None else tuple(size)
    if -1 in target:
        lead = len(target) - input.ndim
        if -1 in target[: max(lead, 0)]:
            raise ShapeError(f"expand: -1 stands for an axis that x has, and x is {input.shape}; got {target}")
        target = tuple(input.shape[i - lead] if n == -1 else n for i, n in enumerate(target))
    return Expand(target)(input)


def broadcast_to(input, size):
    """input broadcast to the shape `size`, as `expand`."""
    return expand(input, size)


# --- copies ------------------------------------------------------------------------------------------------------


class Cast(Function):
    """y = x in another dtype. The engine casts the gradient back."""

    def __init__(self, target):
        self.target = target

    def forward(self, x):
        return x.astype(self.target)

    def backward(self, gy):
        return gy


class Clone(Function):
    """y = x, in memory of its own."""

    def forward(self, x):
        return x.copy()

    def backward(self, gy):
        return gy


def clone(input):
    """A copy in memory of its own; gradients pass through."""
    return Clone()(input)
