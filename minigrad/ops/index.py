"""Picking elements and putting them back. A closed family: the gradient of picking is adding, and the other way round.

An index array is an input of the operation, not a fact on it: so the tape notices when it is overwritten.
"""

from ..backend import backend
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function
from ..tape.modes import recording
from ..tape.variable import Variable, as_array, raw
from ..tape.writing import check_writable, write, wrote
from .shape import axis_of

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
        return GetItem(template)(x, *arrays)
    except IndexError as error:
        raise IndexRangeError(f"getitem: {error}; x is {x.shape}") from None


def setitem(x, index, value):
    """x[index] = value, in place and on the tape: x goes on with the gradient of the elements that were kept.

    Raises: IndexRangeError for an index outside of x; ShapeError if value does not fit; GraphError for a leaf that
            requires grad, unless under no_grad.
    """
    template, arrays = _split(index)
    value = value if isinstance(value, (Variable, int, float)) else as_array(value)
    check_writable("setitem", x)
    if getattr(value, "ndim", 0) and raw(value).size == 1:
        value = value.reshape(())  # one element goes anywhere, whatever axes it has
    node = SetItem(template)
    try:
        if recording.get() and (x.tracked or getattr(value, "tracked", False)):
            write("setitem", x, node, value, *arrays)
        else:
            node.assign(x.data, raw(value), arrays)
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
    return TakeAlongDim(axis_of("take_along_dim", x, dim))(x, indices)
