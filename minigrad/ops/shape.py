"""The same elements in other shapes: reshape, permute, expand, cat, pad, cast."""

import itertools
import math

import numpy as np

from ..backend import backend
from ..dtypes import promote
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function

__all__ = ["cat", "chunk", "clone", "expand", "flatten", "permute", "reshape", "split", "squeeze", "stack"]
__all__ += ["transpose", "unbind", "unsqueeze"]


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


def sizes(shape):
    """The sizes, given one by one or as one sequence."""
    return tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape


def reshape(x, *shape):
    """x in another shape with as many elements; one size may be -1. `reshape(x, 2, 3)` or `reshape(x, (2, 3))`."""
    target = sizes(shape)
    if any(n < -1 for n in target):
        raise ShapeError(f"reshape: a size is at least 0, or -1 to be inferred, got {target}")
    return Reshape(target)(x)


def flatten(x, start_dim=0, end_dim=-1):
    """x with the axes start_dim to end_dim merged into one."""
    if x.ndim == 0:
        return reshape(x, 1)
    first, last = axis_of("flatten", x, start_dim), axis_of("flatten", x, end_dim)
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}; x is {x.shape}")
    return reshape(x, *x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])


def squeeze(x, dim=None):
    """x without its axes of size 1: all of them, or those among `dim`."""
    axes = axes_of("squeeze", x, dim)
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in axes))


def unsqueeze(x, dim):
    """x with a new axis of size 1 at `dim`."""
    axis = axis_of("unsqueeze", x, dim, extra=1)
    return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


class Permute(Function):
    """y = x, its axes in another order."""

    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, gy):
        return permute(gy, sorted(range(len(self.axes)), key=self.axes.__getitem__))


def permute(x, *dims):
    """x with its axes in the order `dims`: y.shape[i] is x.shape[dims[i]]."""
    dims = sizes(dims)
    axes = tuple(axis_of("permute", x, d) for d in dims)
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"permute: {tuple(dims)} does not name each axis of x {x.shape} once")
    return Permute(axes)(x)


def transpose(x, dim0, dim1):
    """x with two axes exchanged."""
    a, b = axis_of("transpose", x, dim0), axis_of("transpose", x, dim1)
    axes = list(range(x.ndim))
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return Permute(tuple(axes))(x)


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


def expand(x, *shape):
    """x broadcast to `shape`, without a copy; -1 keeps an axis as it is. The result is read-only memory."""
    target = sizes(shape)
    if -1 in target:
        lead = len(target) - x.ndim
        if -1 in target[: max(lead, 0)]:
            raise ShapeError(f"expand: -1 stands for an axis that x has, and x is {x.shape}; got {tuple(target)}")
        target = tuple(x.shape[i - lead] if n == -1 else n for i, n in enumerate(target))
    return Expand(target)(x)


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
        if not xs[0].ndim:
            raise ShapeError(f"cat: tensors without axes cannot follow one another: {shapes}; write mg.stack")
        if len({(x.ndim, _other_sizes(x.shape, self.axis)) for x in xs}) > 1:
            raise ShapeError(f"cat: shapes may differ along dim {self.axis} only: {shapes}")


def _other_sizes(shape, axis):
    return (*shape[:axis], -1, *shape[axis + 1 :])


def cat(tensors, dim=0):
    """The tensors one behind the other along `dim`, along which alone they may differ.

    Different dtypes are promoted.      Raises: ShapeError if there are none or they do not fit.
    """
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("cat: expected at least one tensor, got none")
    dtype = promote(tensors)
    tensors = [x if x.dtype == dtype else x.astype(dtype) for x in tensors]
    return Cat(axis_of("cat", tensors[0], dim))(*tensors)


def stack(tensors, dim=0):
    """The tensors, all of one shape, along a new axis `dim`."""
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("stack: expected at least one tensor, got none")
    if len({x.shape for x in tensors}) > 1:
        raise ShapeError(f"stack: the shapes differ: {', '.join(str(x.shape) for x in tensors)}")
    axis = axis_of("stack", tensors[0], dim, extra=1)
    return cat([unsqueeze(x, axis) for x in tensors], axis)


def split(x, split_size, dim=0):
    """x cut along `dim` into pieces of `split_size` (the last may be shorter), or of the listed sizes."""
    axis = axis_of("split", x, dim)
    n = x.shape[axis]
    parts = split_size
    if isinstance(split_size, (int, np.integer)):
        if split_size < 1:
            raise ShapeError(f"split: split_size must be at least 1, got {split_size}")
        parts = [min(split_size, n - i) for i in range(0, n, split_size)] or [0]
    if sum(parts) != n:
        raise ShapeError(f"split: the sizes {list(parts)} add up to {sum(parts)}, and x {x.shape} has {n} along {dim}")
    ends = list(itertools.accumulate(parts))
    before = (slice(None),) * axis
    return tuple(x[(*before, slice(end - part, end))] for end, part in zip(ends, parts, strict=True))


def chunk(x, chunks, dim=0):
    """x cut along `dim` into at most `chunks` pieces of equal size, the last perhaps shorter."""
    if chunks < 1:
        raise ShapeError(f"chunk: chunks must be at least 1, got {chunks}")
    n = x.shape[axis_of("chunk", x, dim)]
    return split(x, -(-n // chunks) if n else [0] * chunks, dim)


def unbind(x, dim=0):
    """The slices of x along `dim`, which they lose."""
    axis = axis_of("unbind", x, dim)
    before = (slice(None),) * axis
    return tuple(x[(*before, i)] for i in range(x.shape[axis]))


class Pad(Function):
    """y = x with borders of `value`; widths are ((before, after), ...) for every axis."""

    def __init__(self, widths, value):
        self.widths, self.value = widths, value

    def forward(self, x):
        shape = tuple(n + a + b for n, (a, b) in zip(x.shape, self.widths, strict=True))
        y = backend[type(x)].xp.full(shape, self.value, x.dtype)
        y[self.inside(x.shape)] = x
        self.full = x.shape
        return y

    def backward(self, gy):
        return gy[self.inside(self.full)]

    def inside(self, shape):
        """Where x lies in the padded array."""
        return tuple(slice(a, a + n) for n, (a, _) in zip(shape, self.widths, strict=True))


def pad(input, pad, mode="constant", value=0.0):
    """input with borders. `pad` goes from the last axis backwards: (left, right, top, bottom, ...); negative ones crop.

    Args:   mode - "constant" (filled with `value`), "reflect", "replicate" or "circular".
    Raises: ShapeError for an odd number of widths, more than input has axes, or a border wider than the mode allows.
    """
    pad = tuple(pad)
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ShapeError(f"pad: expected up to {2 * input.ndim} widths in pairs for x {input.shape}, got {pad}")
    widths = [(0, 0)] * (input.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    for axis, (n, (a, b)) in enumerate(zip(input.shape, widths, strict=True)):
        if n + a + b < 0 or -a > n or -b > n:
            raise ShapeError(
                f"pad: the widths {(a, b)} crop more than the {n} elements of axis {axis}; x is {input.shape}"
            )
    if mode == "constant":
        input = input[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(input.shape, widths, strict=True))]
        return Pad(tuple((max(a, 0), max(b, 0)) for a, b in widths), value)(input)
    if mode not in _BORDERS:
        raise ShapeError(f'pad: mode {mode!r} is unknown: expected "constant", {", ".join(map(repr, _BORDERS))}')
    for axis, (a, b) in enumerate(widths):
        if (a, b) != (0, 0):
            input = input[(slice(None),) * axis + (_BORDERS[mode](input.shape[axis], a, b),)]
    return input


def _reflect(n, a, b):
    if max(a, b) >= n:
        raise ShapeError(f"pad: reflect needs more than {max(a, b)} elements along the axis, and there are {n}")
    return [n - 1 - abs(n - 1 - abs(i)) for i in range(-a, n + b)]


def _circular(n, a, b):
    if max(a, b) > n:
        raise ShapeError(f"pad: circular needs at least {max(a, b)} elements along the axis, and there are {n}")
    return [i % n for i in range(-a, n + b)]


_BORDERS = {
    "reflect": _reflect,
    "replicate": lambda n, a, b: [min(max(i, 0), n - 1) for i in range(-a, n + b)],
    "circular": _circular,
}


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


def clone(x):
    """A copy in memory of its own; gradients pass through."""
    return Clone()(x)
