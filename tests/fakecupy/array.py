"""ndarray: what an array of the double is, and how it gets to the host. Operators and methods are bound to it in
ufuncs.py, indexing.py, functions.py and special.py.

The numbers lie in a NumPy array inside, `_a`, which no caller ever gets. Every way to the host is a synchronization.
"""

import operator
import pickle

import numpy as np

from . import snapshot
from .lanes import come_after, current, lane_of, meet
from .memory import Memory, MemoryPointer, pools
from .records import poison, poisoned, synchronized

IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)


class Flags:
    """cupy's Flags: there is no `writeable`."""

    def __init__(self, c_contiguous, f_contiguous, owndata):
        self.c_contiguous, self.f_contiguous, self.owndata = c_contiguous, f_contiguous, owndata
        self.forc, self.fnc = c_contiguous or f_contiguous, f_contiguous and not c_contiguous

    def __getitem__(self, name):
        return getattr(self, {"C": "c_contiguous", "F": "f_contiguous", "O": "owndata"}.get(name, name.lower()))


class _Capsule:
    """What __dlpack__ gives: only the double's own from_dlpack can read it."""

    def __init__(self, array):
        self.array = array


class ndarray:  # noqa: N801 - CuPy's name
    """cupy.ndarray."""

    __slots__ = ("__weakref__", "_a", "_mem", "base")
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("the double makes no arrays on given memory")
        self._a = poisoned(admitted(shape, dtype), dtype, order or "C")
        self._mem, self.base = Memory(self._a, current.lane), None

    # --- what it is ----------------------------------------------------------------------------------------------

    dtype = property(operator.attrgetter("_a.dtype"))
    ndim = property(operator.attrgetter("_a.ndim"))
    size = property(operator.attrgetter("_a.size"))
    strides = property(operator.attrgetter("_a.strides"))
    nbytes = property(operator.attrgetter("_a.nbytes"))
    itemsize = property(operator.attrgetter("_a.itemsize"))

    @property
    def shape(self):
        return self._a.shape

    @shape.setter
    def shape(self, shape):
        changed = self._a.reshape(shape)
        if changed.size and changed.ctypes.data != self._a.ctypes.data:
            raise AttributeError("Incompatible shape for in-place modification. Use `.reshape()` to make a copy")
        self._a = changed

    @property
    def flags(self):
        flags = self._a.flags
        return Flags(flags.c_contiguous, flags.f_contiguous, self.base is None)

    @property
    def device(self):
        return self._mem.device

    @property
    def data(self):
        return MemoryPointer(self._mem, self._a.__array_interface__["data"][0])

    @property
    def T(self):  # noqa: N802 - NumPy's name
        return self if self._a.ndim < 2 else view(self._a.T, self)

    @property
    def mT(self):  # noqa: N802 - NumPy's name
        return view(self._a.mT, self)

    @property
    def real(self):
        return view(self._a.real, self) if self._a.dtype.kind == "c" else self

    @property
    def imag(self):
        return view(self._a.imag, self) if self._a.dtype.kind == "c" else fresh(np.zeros_like(self._a, order="C"))

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        if not self._a.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self._a)))

    def __getattr__(self, name):
        if name in snapshot.names("cupy.ndarray") and name[:2] != "__":
            raise NotImplementedError(f"the double has no ndarray.{name}, which CuPy has: write it in tests/fakecupy")
        raise AttributeError(f"'ndarray' object has no attribute '{name}'")

    # --- to and from the host ------------------------------------------------------------------------------------

    def _on_host(self, reason):
        """The NumPy array inside, after waiting for it."""
        synchronized(reason)
        lane = current.lanes[self._mem.lane.device]
        come_after(self._mem, lane)
        lane.finish()
        return self._a

    def get(self, stream=None, order="C", out=None, blocking=True):
        lane = lane_of(stream, self._mem.lane.device)
        come_after(self._mem, lane)
        if out is None:
            kept = {"A": "F" if self._a.flags.f_contiguous else "C"}
            out = np.empty(self._a.shape, self._a.dtype, kept.get(order.upper(), order))
        elif not isinstance(out, np.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        elif out.dtype != self._a.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self._a.dtype} array")
        elif out.shape != self._a.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self._a.shape}, actual shape: {out.shape}")
        elif not out.flags.forc:
            raise RuntimeError("`out` cannot be specified when copying to non-contiguous ndarray")
        if blocking:
            synchronized("get")
            lane.finish()
            out[...] = self._a
        else:  # the numbers arrive when somebody waits for them
            numbers = self._a.copy()
            out[...] = poison(self._a.dtype)
            lane.put(lambda: np.copyto(out, numbers))
        return out

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self._a.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self._a.dtype} array")
        if arr.shape != self._a.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self._a.shape}, new shape: {arr.shape}")
        if not self._a.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        lane = lane_of(stream, self._mem.lane.device)
        meet(self._mem, lane)
        self._a[...] = arr
        self._mem.written(lane)

    def item(self):
        if self._a.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._on_host("item").item()

    def tolist(self):
        return self._on_host("tolist").tolist()

    def tobytes(self, order="C"):
        return self._on_host("tobytes").tobytes(order)

    def dump(self, file):
        pickle.dump(self, file, -1)

    def dumps(self):
        return pickle.dumps(self, -1)

    def __bool__(self):
        return bool(self._on_host("bool"))

    def __int__(self):
        return int(self._on_host("int"))

    def __float__(self):
        return float(self._on_host("float"))

    def __complex__(self):
        return complex(self._on_host("complex"))

    def __bytes__(self):
        return bytes(self._on_host("bytes"))

    def __repr__(self):
        return repr(self._on_host("repr"))

    def __str__(self):
        return str(self._on_host("str"))

    def __format__(self, format_spec):
        return format(self._on_host("format"), format_spec)

    def __reduce__(self):
        return _loaded, (self._on_host("pickle").copy(),)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        with self.device:
            return self.copy()

    # --- for others ----------------------------------------------------------------------------------------------

    def __array__(self, dtype=None, copy=None):
        raise TypeError(IMPLICIT)

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"np.{func.__name__} was given a cupy.ndarray: it works by accident on CuPy, slowly; use xp")

    @property
    def __cuda_array_interface__(self):
        stream = current.lanes[self._mem.lane.device].number
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "stream": stream or 1,
            "version": 3,
            "strides": None if self._a.flags.c_contiguous else self.strides,
            "data": (self.data.ptr if self.size else 0, False),
            "fakecupy": self,  # by which the double's asarray finds the memory
        }

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return _Capsule(self)

    def __dlpack_device__(self):
        return 2, self._mem.lane.device


ndarray.__module__ = "cupy"
_new = object.__new__


def admitted(shape, dtype):
    """`shape`, if there is room for such an array on the current device. Raises: OutOfMemoryError."""
    count = 1
    for n in (shape,) if isinstance(shape, int | np.integer) else shape:
        count *= int(n)
    pools[current.device].admit(count * np.dtype(dtype).itemsize)
    return shape


def fresh(a) -> ndarray:
    """A new array that holds the NumPy array or scalar `a`, on the current device."""
    self = _new(ndarray)
    if type(a) is not np.ndarray:
        a = np.asarray(a)
    self._a, self.base = a, None
    self._mem = Memory(a, current.lane)
    return self


def view(a, of) -> ndarray:
    """A view of the array `of`, that looks at it as the NumPy array `a` looks at its inside."""
    self = _new(ndarray)
    self._a, self._mem = a, of._mem
    self.base = of if of.base is None else of.base
    return self


def _loaded(numbers):
    """A pickled array, on the current device."""
    return fresh(numbers.copy())


def from_dlpack(array, *, device=None, copy=None):
    """cupy.from_dlpack, for arrays of the double and what wraps one."""
    if array.__dlpack_device__()[0] != 2:
        raise NotImplementedError("the double takes arrays of devices only")
    found = array.__dlpack__(stream=1).array
    meet(found._mem)
    return found.copy() if copy else view(found._a, found)
