"""a[index], a[index] = value and ufunc.at, where CuPy differs from NumPy.

An index array that goes out of range wraps around on CuPy, silently: here what is read so is poison, and both are noted
in `wrapped`. Which of two values for one element wins is left to chance, and so is the order in which floats are added.
A boolean mask makes the host wait, which must know how many elements it picks.
"""

import numpy as np

from .array import fresh, ndarray, view
from .lanes import meet
from .operands import inner, refused, target
from .records import caller, draw, poison, synchronized, wrapped


class _Index:
    """An index expression, with the NumPy arrays inside of its arrays."""

    __slots__ = ("arrays", "items", "masks")

    def __init__(self, index):
        self.items, self.arrays, self.masks, ellipsis = [], 0, 0, False
        for i in index if type(index) is tuple else (index,):
            kind = type(i)
            if kind is ndarray:
                i = self._array(i)
            elif i is Ellipsis:
                ellipsis = True
            elif not (kind is int or kind is slice or i is None or isinstance(i, np.integer)):
                if isinstance(i, bool | np.bool_ | list | tuple | np.ndarray):
                    raise refused(kind, " as an index: CuPy would copy it to the device each time; put it there once")
                raise IndexError(f"only integers, slices, ellipsis, None and arrays are valid indices, got {kind}")
            self.items.append(i)
        if not (ellipsis or self.arrays):
            self.items.append(Ellipsis)  # so that NumPy gives a view even of one element
        self.items = tuple(self.items)
        if self.masks and self.arrays > 1:
            raise NotImplementedError("a boolean mask beside other index arrays: CuPy does not take several masks")

    def _array(self, x):
        a = inner(x)
        if a.dtype.kind not in "biu":
            raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {a.dtype.type})")
        self.arrays += 1
        self.masks += a.dtype.kind == "b"
        return a

    def in_range(self, a):
        """(the items with integers brought into the range, as CuPy's kernels do, and where they were out of it): the
        latter is None, or items for an array one longer along those axes, which lead to the end where out of range."""
        axes = sum(1 if type(i) is not np.ndarray or i.dtype.kind != "b" else i.ndim for i in self._consuming())
        kept, beyond, axis, outside = [], [], 0, False
        for i in self.items:
            if i is None:
                pass
            elif i is Ellipsis:
                axis += a.ndim - axes
            elif type(i) is not np.ndarray:
                axis += 1
            elif i.dtype.kind == "b":
                axis += i.ndim
            elif axis < a.ndim:
                n = a.shape[axis]
                i, wrong = in_range(i, n)
                outside |= wrong is not None
                kept.append(i)
                beyond.append((axis, i if wrong is None else np.where(wrong, n, i)))
                axis += 1
                continue
            kept.append(i)
            beyond.append(i)
        return tuple(kept), beyond if outside else None

    def _consuming(self):
        return [i for i in self.items if i is not None and i is not Ellipsis]


def in_range(index, n):
    """(index brought into 0 ... n - 1 as CuPy does, where it was out of range or None)."""
    if not index.size or n == 0 or (index.min() >= -n and index.max() < n):
        return (np.where(index < 0, index + n, index) if index.size and index.min() < 0 else index), None
    wrong = (index < -n) | (index >= n)
    wrapped.append(f"index {index[wrong].flat[0]} of {n} at {caller()}")
    return (index.astype(np.int64) % n).astype(np.int64), wrong


def getitem(x, index):
    """x[index]: a view, or a new array where there are index arrays."""
    index, a = _Index(index), x._a
    if not index.arrays:
        return view(a[index.items], x)
    meet(x._mem)
    if index.masks:
        synchronized("boolean mask gather")
    items, beyond = index.in_range(a)
    if beyond is not None:
        axes = {i[0] for i in beyond if type(i) is tuple}
        longer = np.full([n + (k in axes) for k, n in enumerate(a.shape)], poison(a.dtype), a.dtype)
        longer[tuple(slice(n) for n in a.shape)] = a
        a, items = longer, tuple(i[1] if type(i) is tuple else i for i in beyond)
    return fresh(np.array(a[items], order="C"))


def _value(value, a, part):
    """What is to be written to `part` of the array `a`, as NumPy takes it."""
    if type(value) is not ndarray:
        return inner(value)
    values = inner(value)
    if value._mem is a._mem and part is not None and values.shape == part.shape and values.strides == part.strides:
        apart = values.__array_interface__["data"][0] != part.__array_interface__["data"][0]
        if apart and part.flags.c_contiguous and values.dtype == part.dtype and np.may_share_memory(values, part):
            raise RuntimeError("race: an assignment copies between parts of an array that overlap; copy() the value")
    return values


def setitem(x, index, value):
    """x[index] = value."""
    index = _Index(index)
    if not index.arrays:
        part = x._a[index.items]
        values = _value(value, x, part)
        place = target(x, part)
        with np.errstate(all="ignore"):
            place[...] = values
        return
    _scatter(x, index, value, None)


def scatter(ufunc, x, index, value):
    """x[index] = ufunc(x[index], value), for each of several values of one element."""
    if type(x) is not ndarray:
        raise refused(type(x))
    index = _Index(index)
    if not index.arrays:
        part = target(x, x._a[index.items])
        ufunc(part, inner(value), out=part, casting="unsafe")
        return
    _scatter(x, index, value, ufunc)


def _scatter(x, index, value, ufunc):
    values = _value(value, x, None)
    a = target(x)
    if type(value) is ndarray and value._mem is x._mem and np.may_share_memory(values, a):
        raise RuntimeError("race: an assignment by index arrays reads what it writes; copy() the value")
    if index.masks:
        synchronized("boolean mask assignment")
    with np.errstate(all="ignore"):
        if index.masks and ufunc is None:
            a[index.items] = values
            return
        items, _ = index.in_range(a)
        places = np.arange(a.size).reshape(a.shape)[items]
        values = np.broadcast_to(np.asarray(values).astype(a.dtype, copy=False), places.shape)
        order = draw().permutation(places.size)
        places, values = places.reshape(-1)[order], values.reshape(-1)[order]
        if ufunc is None:
            a.flat[places] = values
            return
        flat = a.reshape(-1)
        ufunc.at(flat, places, values)
        if not np.may_share_memory(flat, a):
            a[...] = flat.reshape(a.shape)


ndarray.__getitem__ = getitem
ndarray.__setitem__ = setitem
