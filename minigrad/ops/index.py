"""Picking elements and putting them back. A closed family: the gradient of picking is adding, and the other way round.

An index array is an input of the operation, not a fact on it: so the tape notices when it is overwritten.
"""

from ..backend import around, backend, computed, device_of, gpu, moved
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function
from ..tape.modes import recording
from ..tape.variable import Variable, as_array, raw
from ..tape.versions import owner_of
from ..tape.writing import check_writable, write, wrote
from .shape import axis_of, clone

__all__ = ["take_along_dim"]

_ARRAY = object()  # in a template: here goes the next index array


def _split(index):
    """An index as (template, arrays): the template keeps slices, ints, None and ..., the arrays stand for _ARRAY."""
    parts = index if isinstance(index, tuple) else (index,)
    template, arrays = [], []
    for part in parts:
        if isinstance(part, Variable) or hasattr(part, "__array_interface__") or hasattr(part, "dtype"):
            part = part.data if isinstance(part, Variable) else part
        elif isinstance(part, (list, tuple, bool)):
            part = as_array(part, "int64" if part in ([], ()) else None)
        else:
            template.append(part)
            continue
        if part.dtype.kind not in "iub":
            raise IndexRangeError(f"index: an index array must hold integers or bools, not {part.dtype}")
        template.append(_ARRAY)
        arrays.append(part)
    return tuple(template), arrays


def _placed(template, x, arrays):
    """(template, index arrays) for an array `x` on a device: masks as the places where they are true.

    CuPy wraps an index that is out of range, silently. Index arrays of the host are checked before they are taken to
    the device, those on the device where one has asked for it, for one has to wait for them. A mask on the device is
    waited for too: how many elements it chooses is the shape of the result.
    """
    library = backend[type(x)]
    taken = sum(a.ndim if a.dtype.kind == "b" else 1 for a in arrays) + sum(
        part is not None and part is not ... and part is not _ARRAY for part in template
    )
    parts, placed, axis = [], [], 0
    arrays = iter(arrays)
    for part in template:
        if part is not _ARRAY:
            parts.append(part)
            axis += x.ndim - taken if part is ... else part is not None
            continue
        a = next(arrays)
        mask = a.dtype.kind == "b"
        if mask and not a.ndim:
            raise IndexRangeError("a bool without axes cannot be an index on a GPU; write x[None], or x[None][:0]")
        if mask and a.shape != x.shape[axis : axis + a.ndim]:
            raise IndexRangeError(f"a mask of shape {a.shape} for axes of sizes {x.shape[axis : axis + a.ndim]}")
        for i in _places(a) if mask else (a,):
            n = x.shape[axis] if axis < x.ndim else 0
            wrong = None if mask else _outside(i, n)
            if wrong is not None:
                raise IndexRangeError(f"index {wrong} is outside of the {n} elements of axis {axis}")
            parts.append(_ARRAY)
            placed.append(moved(i, library.device_of(x)) if backend[type(i)].host else i)
            axis += 1
    return tuple(parts), placed


def _outside(indices, n):
    """An index that is out of range for `n` elements, or None; None too where one would have to wait to look."""
    if not indices.size or not backend[type(indices)].checks_indices:
        return None
    with around(indices):
        low, high = int(indices.min()), int(indices.max())
    return high if high >= n else low if low < -n else None


def _places(mask):
    """Where a mask is true, axis by axis."""
    with around(mask):
        return mask.nonzero()


class _Indexed(Function):
    def __init__(self, template, shape=None):
        self.template, self.full = template, shape

    def index(self, arrays):
        arrays = iter(arrays)
        return tuple(next(arrays) if part is _ARRAY else part for part in self.template)

    def check(self, *_):
        pass


class GetItem(_Indexed):
    """y = x[index]."""

    name = "getitem"

    def forward(self, x, *index):
        self.full = x.shape
        return x[self.index(index)]

    def backward(self, gy, *index):
        return ScatterAdd(self.template, self.full)(gy, *index), *(None for _ in index)


class ScatterAdd(_Indexed):
    """y = zeros, with y[index] += g; an element indexed more than once gets the sum."""

    def forward(self, g, *index):
        array_library = backend[type(g)]
        y = array_library.xp.zeros(self.full, g.dtype)
        if any(array.dtype.kind != "b" for array in index):
            array_library.add_at(y, self.index(index), g)
        else:  # slices and masks name each element once
            y[self.index(index)] = g
        return y

    def backward(self, gy, *index):
        return GetItem(self.template)(gy, *index), *(None for _ in index)


class SetItem(_Indexed):
    """y = x, with y[index] = value."""

    name = "setitem"

    def forward(self, x, value, *index):
        y = x.copy()
        self.assign(y, value, index)
        return y

    def assign(self, y, value, arrays):
        """y[index] = value, where value may have leading axes of size 1 too many."""
        try:
            y[self.index(arrays)] = value
        except (ValueError, TypeError):
            spare = 0
            while spare < value.ndim and value.shape[spare] == 1:
                spare += 1
            if not spare:
                raise
            y[self.index(arrays)] = value.reshape(value.shape[spare:])

    def backward(self, gy, *index):
        wants_x, wants_value = self.wants[:2]
        gx = None if wants_x is None else SetItem(self.template)(gy, 0.0, *index)
        return gx, None if wants_value is None else GetItem(self.template)(gy, *index), *(None for _ in index)


def getitem(x, index):
    """x[index]: ints, slices, None, ..., bool masks, and integer arrays, as in NumPy and PyTorch.

    Raises: IndexRangeError for an index outside of x.
    """
    template, arrays = _split(index)
    try:
        if gpu and arrays and type(raw(x)) is gpu[0].array:
            template, arrays = _placed(template, raw(x), arrays)
        return GetItem(template)(x, *arrays)
    except IndexError as error:
        raise IndexRangeError(f"getitem: {error}; x is {x.shape}") from None


def setitem(x, index, value):
    """x[index] = value, in place and on the tape: x goes on with the gradient of the elements that were kept.

    Raises: IndexRangeError for an index outside of x; ShapeError if value does not fit; GraphError for a leaf that
            requires grad, unless under no_grad.
    """
    template, arrays = _split(index)
    if not isinstance(value, (Variable, int, float)):
        value = as_array(value) if hasattr(value, "dtype") else moved(as_array(value), device_of(x.data))
    check_writable("setitem", x)
    if getattr(value, "ndim", 0) and raw(value).size == 1:
        value = value.reshape(())  # one element goes anywhere, whatever axes it has
    try:
        if gpu and arrays and type(x.data) is gpu[0].array:
            template, arrays = _placed(template, x.data, arrays)
        # A device copies parts that overlap in any order.
        if gpu and hasattr(value, "dtype") and owner_of(x.data) is owner_of(raw(value)):
            value = clone(value)
        node = SetItem(template)
        if recording.get() and (x.tracked or getattr(value, "tracked", False)):
            write("setitem", x, node, value, *arrays)
        else:
            computed("setitem", lambda y, v, *arrays: node.assign(y, v, arrays), x.data, raw(value), *arrays)
            wrote(x)
    except IndexError as error:
        raise IndexRangeError(f"setitem: {error}; x is {x.shape}") from None
    except ValueError as error:
        shape = getattr(value, "shape", ())
        raise ShapeError(f"setitem: a value of shape {shape} does not fit into the chosen part of x: {error}") from None


class TakeAlongDim(Function):
    """y[..., i, ...] = x[..., indices[..., i, ...], ...] along an axis."""

    def __init__(self, axis):
        self.axis = axis

    def check(self, x, indices):
        n = x.shape[self.axis]
        if indices.size and not -n <= indices.min() <= indices.max() < n:
            wrong = indices.max() if indices.max() >= n else indices.min()
            raise IndexRangeError(f"take_along_dim: index {wrong} is outside of the {n} elements; x is {x.shape}")

    def forward(self, x, indices):
        self.full = x.shape
        return backend[type(x)].xp.take_along_axis(x, indices, self.axis)

    def backward(self, gy, indices):
        return PutAlongDim(self.axis, self.full)(gy, indices), None


class PutAlongDim(Function):
    """y = zeros, with g added where take_along_dim would take from."""

    def __init__(self, axis, shape):
        self.axis, self.full = axis, shape

    def forward(self, g, indices):
        array_library = backend[type(g)]
        xp = array_library.xp
        y = xp.zeros(self.full, g.dtype)
        grid = [xp.arange(n).reshape([-1 if i == axis else 1 for i in range(y.ndim)]) for axis, n in enumerate(g.shape)]
        grid[self.axis] = indices
        array_library.add_at(y, tuple(grid), g)
        return y

    def backward(self, gy, indices):
        return TakeAlongDim(self.axis)(gy, indices), None


def take_along_dim(x, indices, dim=None):
    """y = x taken at `indices` (int64, as many axes as x) along `dim`; without dim both are flattened.

    Shapes: x (..., n, ...), indices (..., k, ...) -> y (..., k, ...).
    """
    if dim is None:
        x, indices, dim = x.reshape(-1), indices.reshape(-1), 0
    if x.ndim != indices.ndim:
        raise ShapeError(f"take_along_dim: indices need as many axes as x; x is {x.shape}, indices {indices.shape}")
    axis = axis_of("take_along_dim", x, dim)
    if gpu and (wrong := _outside(raw(indices), x.shape[axis])) is not None:
        n = x.shape[axis]
        raise IndexRangeError(f"take_along_dim: index {wrong} is outside of the {n} elements; x is {x.shape}")
    return TakeAlongDim(axis)(x, indices)
