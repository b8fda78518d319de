"""Functions and methods of CuPy's that are written out: creation, transfer, what takes indices, views."""

import math
import sys

import numpy as np

from . import indexing, snapshot
from .array import admitted, fresh, from_dlpack, ndarray, view
from .functions import Function
from .lanes import cross, current, meet
from .operands import inner, refused, target
from .records import poison, poisoned, synchronized
from .ufuncs import Ufunc

FUNCTIONS: dict = {"cupy": {"from_dlpack": from_dlpack}, "cupy.lib.stride_tricks": {}}


def function(f, place="cupy"):
    """Put it into a module of CuPy's under its name, with a check of CuPy's parameters."""
    check = snapshot.checked(place, f.__name__)

    def checked(*args, **kwargs):
        check(args, kwargs)
        return f(*args, **kwargs)

    checked.__name__, checked.__doc__ = f.__name__, f.__doc__
    FUNCTIONS[place][f.__name__] = checked
    return checked


def method(f):
    """Put it into ndarray under its name, with a check of CuPy's parameters."""
    check = snapshot.checked("cupy.ndarray", f.__name__)

    def checked(self, *args, **kwargs):
        check(args, kwargs)
        return f(self, *args, **kwargs)

    checked.__name__ = f.__name__
    setattr(ndarray, f.__name__, checked)
    return f


# --- creation ----------------------------------------------------------------------------------------------------


def _filled(name, fill):
    def make(shape, dtype=float, order="C"):
        return fresh(fill(admitted(shape, dtype), dtype, order))

    make.__name__ = name
    function(make)


_filled("empty", poisoned)
_filled("zeros", np.zeros)
_filled("ones", np.ones)


@function
def full(shape, fill_value, dtype=None, order="C"):
    value = inner(fill_value)
    return fresh(np.full(admitted(shape, dtype or np.asarray(value).dtype), value, dtype, order))


@function
def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    if type(prototype) is not ndarray:
        raise refused(type(prototype))
    a = np.empty_like(prototype._a, dtype, order, shape=shape)
    a[...] = poisoned(a.shape, a.dtype)
    return fresh(a)


def _numbers(name):
    """arange and the like, which take numbers only."""
    reference = Function("cupy", name, getattr(np, name))

    def make(*args, **kwargs):
        for x in (*args, *kwargs.values()):
            if isinstance(x, ndarray | np.ndarray | list | tuple):
                raise refused(type(x), f" in {name}, which takes numbers")
        return reference(*args, **kwargs)

    make.__name__ = name
    FUNCTIONS["cupy"][name] = make


for _name in ("arange", "linspace", "logspace", "eye", "identity", "tri"):
    _numbers(_name)


# --- to and from the host ----------------------------------------------------------------------------------------


def _contains_array(obj):
    return isinstance(obj, list | tuple) and any(type(x) is ndarray or _contains_array(x) for x in obj)


def _insides(obj):
    if isinstance(obj, list | tuple):
        return [_insides(x) for x in obj]
    if type(obj) is not ndarray:
        raise refused(type(obj), " among arrays of a device")
    return inner(obj)


@function
def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    order = order or "K"
    if type(obj) is ndarray:
        crossing = obj._mem.lane.device != current.device
        dtype = obj.dtype if dtype is None else np.dtype(dtype)
        moved = obj._a.astype(dtype, order=order, copy=bool(copy) or crossing)
        if moved is obj._a and moved.ndim >= ndmin:
            return obj
        shaped = moved.reshape((1,) * (ndmin - moved.ndim) + moved.shape)
        if moved is obj._a:
            return view(shaped, obj)
        cross(obj._mem)
        return fresh(shaped)
    if hasattr(obj, "__cuda_array_interface__"):  # what wraps an array of the double
        return array(obj.__cuda_array_interface__["fakecupy"], dtype, copy, order, subok, ndmin)
    if _contains_array(obj):
        return fresh(np.array(_insides(obj), dtype, ndmin=ndmin))
    with np.errstate(all="ignore"):
        made = np.array(obj, dtype, order=order, ndmin=ndmin)
    if made.dtype.char not in "?bhilqBHILQefdFD":
        raise ValueError(f"Unsupported dtype {made.dtype}")
    if blocking and made.ndim:
        synchronized("array(blocking=True)")
    return fresh(made if made.flags.forc else made.copy("C"))


@function
def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, bool(copy), order, blocking=blocking)


@function
def asanyarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, bool(copy), order, blocking=blocking)


@function
def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    if type(a) is ndarray:
        return a.get(stream, order, out, blocking)
    if hasattr(a, "__cuda_array_interface__"):
        return array(a).get(stream, order, out, blocking)
    return np.asarray(a, order=order)


@function
def get_array_module(*args):
    return sys.modules["cupy"] if any(type(x) is ndarray for x in args) else np


# --- casts and views ---------------------------------------------------------------------------------------------


@method
def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
    meet(self._mem)
    with np.errstate(all="ignore"):
        a = self._a.astype(dtype, order, casting or "unsafe", copy=copy)
    return self if a is self._a else fresh(a)


@method
def copy(self, order="C"):
    cross(self._mem)
    return fresh(self._a.copy(order))


@method
def reshape(self, *shape, order="C", copy=None):
    shape = shape[0] if len(shape) == 1 else shape
    a = self._a.reshape(shape, order=order)
    shared = not a.size or a.__array_interface__["data"][0] == self._a.__array_interface__["data"][0]
    if shared and not copy:
        return view(a, self)
    if copy is False:
        raise ValueError("reshape: these elements cannot be seen in that shape without a copy")
    meet(self._mem)
    return fresh(a.copy("C"))


@method
def transpose(self, *axes):
    return view(self._a.transpose(*axes), self)


@method
def fill(self, value):
    value = inner(value)
    if np.ndim(value):
        raise ValueError("cannot fill with an array that is not 0-d")
    with np.errstate(all="ignore"):
        target(self)[...] = value


def as_strided(x, shape=None, strides=None):
    return view(np.lib.stride_tricks.as_strided(x._a, shape, strides), x)


def sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    return view(np.lib.stride_tricks.sliding_window_view(x._a, window_shape, axis, writeable=True), x)


function(as_strided, "cupy.lib.stride_tricks")
function(sliding_window_view, "cupy.lib.stride_tricks")


@function
def where(condition, x=None, y=None):
    if type(condition) is not ndarray:
        raise AttributeError(f"'{type(condition).__name__}' object has no attribute 'astype'")
    if (x is None) != (y is None):
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    if x is None:
        return condition.nonzero()
    return fresh(np.asarray(np.where(inner(condition), inner(x), inner(y)), order="C"))


@function
def copyto(dst, src, casting="same_kind", where=None):
    values = inner(src)
    with np.errstate(all="ignore"):
        np.copyto(target(dst), values, casting, True if where is None else inner(where))


# --- indices -----------------------------------------------------------------------------------------------------


def _index(indices, where):
    """The integers of an index array, or a number."""
    if type(indices) is ndarray or isinstance(indices, int | np.integer):
        return np.asarray(inner(indices))
    raise refused(type(indices), f" as the indices of {where}: CuPy would copy it to the device each time")


def _taken(a, indices, axis, out):
    a, index = inner(a), _index(indices, "take")
    axis = axis if axis is None else range(max(1, a.ndim))[axis]
    kept, wrong = indexing.in_range(index, a.size if axis is None else a.shape[axis] if a.ndim else 1)
    result = np.array(np.take(a, kept, axis), order="C")
    if wrong is not None:
        result[(slice(None),) * (axis or 0) + (wrong,)] = poison(a.dtype)
    if out is None:
        return fresh(result)
    if out.dtype != result.dtype:
        raise TypeError("Output dtype mismatch")
    if out.shape != result.shape:
        raise ValueError("Output shape mismatch")
    target(out)[...] = result
    return out


@function
@method
def take(a, indices, axis=None, out=None):
    return _taken(a, indices, axis, out)


@function
def take_along_axis(a, indices, axis):
    numbers, index = inner(a), _index(indices, "take_along_axis")
    if axis is None:
        numbers, axis = numbers.reshape(-1), 0
    kept, wrong = indexing.in_range(index, numbers.shape[axis])
    result = np.take_along_axis(numbers, kept, axis)
    if wrong is not None:
        result[np.broadcast_to(wrong, result.shape)] = poison(numbers.dtype)
    return fresh(result.copy("C"))


@function
def put_along_axis(arr, indices, values, axis):
    numbers, index = inner(values), _index(indices, "put_along_axis")
    kept, _ = indexing.in_range(index, arr.shape[axis])
    np.put_along_axis(target(arr), kept, numbers, axis)


# --- cupyx.scipy.special, as far as it is used: the standard library's, in float64 ------------------------------


def _elementwise(name, f):
    exact = np.frompyfunc(f, 1, 1)

    def compute(x):
        dtype = np.result_type(x, np.float16 if np.asarray(x).dtype.kind == "f" else np.float64)
        return np.asarray(exact(np.asarray(x, np.float64)), np.float64).astype(dtype)

    return Ufunc(name, {"nin": 1}, compute)


SPECIAL = {name: _elementwise(name, f) for name, f in {"erf": math.erf, "erfc": math.erfc}.items()}
