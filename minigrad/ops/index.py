"""Picking elements and putting them back. A closed family: the gradient of picking is adding, and the other way round.

An index is kept in two parts: a template, which holds the slices, ints, None and ..., and the index arrays. Those are
inputs of the operation, not facts on it: so the tape notices when they are overwritten. `gather` and `scatter` and
their likes, in files of their own, are indexing too, by an index of their own making.
"""

from ..backend import around, backend, computed, detours, device_of, gpu, moved
from ..dtypes import bool_, int64, out_of_range
from ..errors import IndexRangeError, ShapeError
from ..tape.function import Function
from ..tape.modes import recording
from ..tape.observers import tell
from ..tape.variable import Variable, as_array, raw
from ..tape.versions import owner_of
from ..tape.writing import check_writable, write, wrote
from .shape import clone

__all__ = ["nonzero", "argwhere"]

ARRAY = object()  # in a template: here goes the next index array


def _split(index):
    """An index as (template, arrays): the template keeps slices, ints, None and ..., the arrays stand for ARRAY."""
    parts = index if isinstance(index, tuple) else (index,)
    template, arrays = [], []
    for part in parts:
        if isinstance(part, Variable) or hasattr(part, "__array_interface__") or hasattr(part, "dtype"):
            part = part.data if isinstance(part, Variable) else part
        elif isinstance(part, (list, tuple, bool)):
            part = as_array(part)
            part = part if part.size else part.astype(int64)
        else:
            template.append(part)
            continue
        if part.dtype.kind not in "iub":
            raise IndexRangeError(f"index: an index array must hold integers or bools, not {part.dtype}")
        if not part.ndim and part.dtype.kind != "b" and backend[type(part)].host:
            template.append(int(part))
            continue
        template.append(ARRAY)
        arrays.append(part)
    return tuple(template), arrays


def _as_torch(template, arrays, ndim):
    """(index that takes the ints out, template of the rest, its arrays); the first is None where all can go at once.

    PyTorch takes ints out, and then looks whether the index arrays stand side by side: if so, their axes come where
    they stand, else in front. NumPy counts ints among the index arrays, and lets ... part them even where it stands for
    no axis: the new axis of x[0, :, [1, 2]] comes in front.
    """
    which = iter(arrays)
    parts = [next(which) if part is ARRAY else part for part in template]
    axes = [0 if part is None or part is ... else _axes_of(part) for part in parts]
    if ... in template:
        at, rest = template.index(...), ndim - sum(axes)
        parts[at : at + 1], axes[at : at + 1] = [slice(None)] * rest, [1] * rest
    alone = [
        n == 1 and not isinstance(p, slice) and not getattr(p, "ndim", 0) for p, n in zip(parts, axes, strict=True)
    ]
    places = [i for i, part in enumerate(parts) if alone[i] or hasattr(part, "dtype")]
    ints: tuple | None = None
    if any(alone) and places[-1] - places[0] >= len(places):
        ints = (...,)
        for part, n, single in zip(reversed(parts), reversed(axes), reversed(alone), strict=True):
            # An integer on a device is waited for, as in PyTorch.
            here = (int(part) if hasattr(part, "dtype") else part,) if single else (slice(None),) * n
            ints = here + ints
        parts = [part for part, single in zip(parts, alone, strict=True) if not single]
    arrays = [part for part in parts if hasattr(part, "dtype")]
    return ints, tuple(ARRAY if hasattr(part, "dtype") else part for part in parts), arrays


def _axes_of(part):
    """How many axes a part of an index stands for: a mask for as many as it has."""
    return part.ndim if getattr(part, "dtype", None) == bool_ else 1


def _placed(template, x, arrays):
    """(template, index arrays) for an array `x` on a device: masks as the places where they are true.

    CuPy wraps an index that is out of range, silently. Index arrays of the host are checked before they are taken to
    the device, those on the device where one has asked for it, for one has to wait for them. A mask on the device is
    waited for too: how many elements it chooses is the shape of the result.
    """
    library = backend[type(x)]
    taken = sum(a.ndim if a.dtype.kind == "b" else 1 for a in arrays) + sum(
        part is not None and part is not ... and part is not ARRAY for part in template
    )
    parts, placed, axis = [], [], 0
    arrays = iter(arrays)
    for part in template:
        if part is not ARRAY:
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
            wrong = None if mask else outside(i, n)
            if wrong is not None:
                raise IndexRangeError(f"index {wrong} is outside of the {n} elements of axis {axis}")
            parts.append(ARRAY)
            placed.append(moved(i, library.device_of(x)) if backend[type(i)].host else i)
            axis += 1
    return tuple(parts), placed


def outside(indices, n):
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


class Indexed(Function):
    """An operation on the elements that an index names: `template`, and index arrays among the inputs."""

    def __init__(self, template, shape=None):
        self.template, self.full = template, shape

    def index(self, arrays):
        """The index as array libraries take it."""
        arrays = iter(arrays)
        return tuple(next(arrays) if part is ARRAY else part for part in self.template)

    def check(self, *_):
        pass


class GetItem(Indexed):
    """y = x[index]."""

    name = "getitem"

    def forward(self, x, *index):
        self.full = x.shape
        return x[self.index(index)]

    def backward(self, gy, *index):
        return ScatterAdd(self.template, self.full)(gy, *index), *(None for _ in index)


class ScatterAdd(Indexed):
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


class SetItem(Indexed):
    """y = x, with y[index] = value; or y[ints][index], where ints must be taken out first."""

    name = "setitem"

    def __init__(self, template, ints=None):
        super().__init__(template)
        self.ints = ints

    def forward(self, x, value, *index):
        y = x.copy() if x.ndim else backend[type(x)].xp.array(x)  # NumPy's scalars, which gradients may be, are fixed
        self.assign(y, value, index)
        return y

    def assign(self, y, value, arrays):
        """y[index] = value, where value may have leading axes of size 1 too many."""
        if self.ints is not None:
            y = y[self.ints]
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
        gx = None if wants_x is None else SetItem(self.template, self.ints)(gy, 0.0, *index)
        if wants_value is None:
            return gx, *(None for _ in range(len(index) + 1))
        chosen = gy if self.ints is None else gy[self.ints]
        return gx, GetItem(self.template)(chosen, *index), *(None for _ in index)


def getitem(x, index):
    """x[index]: ints, slices, None, ..., bool masks, and integer arrays, as in NumPy and PyTorch.

    Where those two differ, as in PyTorch: ints beside index arrays are taken out first. Steps may be negative.
    Raises: IndexRangeError for an index outside of x.
    """
    template, arrays = _split(index)
    part = x
    try:
        if arrays and len(template) > 2:
            ints, template, arrays = _as_torch(template, arrays, x.ndim)
            part = x if ints is None else GetItem(ints)(x)
        if gpu and arrays and type(raw(x)) is gpu[0].array:
            template, arrays = _placed(template, raw(part), arrays)
        return GetItem(template)(part, *arrays)
    except IndexError as error:
        raise IndexRangeError(f"getitem: {error}; x is {x.shape}") from None


def setitem(x, index, value):
    """x[index] = value, in place and on the tape: x goes on with the gradient of the elements that were kept.

    Raises: IndexRangeError for an index outside of x; ShapeError if value does not fit; GraphError for a leaf that
            requires grad, unless under no_grad.
    """
    template, arrays = _split(index)
    ints = None
    if not isinstance(value, (Variable, int, float)):
        value = as_array(value) if hasattr(value, "dtype") else moved(as_array(value), device_of(x.data))
    check_writable("setitem", x)
    if getattr(value, "ndim", 0) and raw(value).size == 1:
        value = value.reshape(())  # one element goes anywhere, whatever axes it has
    try:
        if arrays and len(template) > 2:
            ints, template, arrays = _as_torch(template, arrays, x.ndim)
        if gpu and arrays and type(x.data) is gpu[0].array:
            template, arrays = _placed(template, x.data if ints is None else x.data[ints], arrays)
        # A device copies parts that overlap in any order.
        if gpu and hasattr(value, "dtype") and owner_of(x.data) is owner_of(raw(value)):
            value = clone(value)
        node = SetItem(template, ints)
        if recording.get() and (x.tracked or getattr(value, "tracked", False)):
            write("setitem", x, node, value, *arrays)
        else:
            computed("setitem", lambda y, v, *arrays: node.assign(y, v, arrays), x.data, raw(value), *arrays)
            if detours and hasattr(value, "dtype") and value.dtype != x.dtype:
                tell("setitem", {"the value": raw(value)}, raw(value).astype(x.dtype))
            wrote(x)
    except IndexError as error:
        raise IndexRangeError(f"setitem: {error}; x is {x.shape}") from None
    except ValueError as error:
        shape = getattr(value, "shape", ())
        raise ShapeError(f"setitem: a value of shape {shape} does not fit into the chosen part of x: {error}") from None
    except OverflowError as error:
        raise out_of_range("setitem", error) from None


def nonzero(input, *, as_tuple=False):
    """Where `input` is true or not 0: int64 (n, axes of input), a row of indices for each such element, in order.

    Args:    as_tuple - return the columns one by one, as indexing takes them: input[nonzero(input, as_tuple=True)].
    Returns: what has no gradient. On a GPU it waits for the device, for how many there are is the shape.
    """

    def places(x):
        if not as_tuple:
            return backend[type(x)].xp.argwhere(x)
        return x.reshape(x.shape or (1,)).nonzero()

    found = computed("nonzero", places, raw(input))
    if not isinstance(input, Variable):
        return found
    return tuple(map(Variable, found)) if as_tuple else Variable(found)


def argwhere(input):
    """`nonzero` under NumPy's name."""
    return nonzero(input)
