"""What comes into an operation and what goes out: host arrays are refused, results are new arrays or views."""

import numpy as np

from .array import fresh, ndarray, view
from .lanes import current, meet

SCALARS = frozenset((bool, int, float, complex))


def refused(kind, where=""):
    """The error that CuPy raises for an operand of that type."""
    return TypeError(f"Unsupported type {kind}{where}")


def inner(x):
    """The NumPy array or number that an operand stands for. Raises: TypeError for an operand that lies on the host."""
    kind = type(x)
    if kind is ndarray:
        if x._mem.lane is not current.lane:
            meet(x._mem)
        return x._a
    if kind in SCALARS or isinstance(x, np.generic):
        return x
    raise refused(kind)


def overlaps_itself(a) -> bool:
    """True if two elements of the NumPy array share memory, as those of a broadcast array do."""
    if a.size < 2 or a.flags.forc:
        return False
    extent = a.itemsize + sum((n - 1) * abs(step) for n, step in zip(a.shape, a.strides, strict=True))
    return a.nbytes > extent or any(step == 0 and n > 1 for n, step in zip(a.shape, a.strides, strict=True))


def target(x, a=None):
    """The NumPy array inside `x` to write to, or the part `a` of it.

    Raises: TypeError for what is no array; RuntimeError where elements share memory: which one wins is left to chance.
    """
    if type(x) is not ndarray:
        raise TypeError(f"Output arguments type must be cupy.ndarray, not {type(x)}")
    meet(x._mem)
    a = x._a if a is None else a
    if overlaps_itself(a) or (a is not x._a and overlaps_itself(x._a)):
        raise RuntimeError("race: a write into an array whose elements share memory, as a broadcast array's do")
    x._mem.written()
    return a


def memory_of(a):
    """The NumPy array that owns the memory of `a`."""
    while type(a.base) is np.ndarray:
        a = a.base
    return a


def wrap(result, sources=(), keep_layout=False):
    """What an operation on the arrays `sources` gives back, from what NumPy gave.

    Fresh arrays are C-contiguous, as all that CuPy's kernels make, unless `keep_layout`.
    """
    kind = type(result)
    if kind is np.ndarray:
        for x in sources:
            if result is x._a:
                return x
        if result.base is not None:
            owner = memory_of(result)
            for x in sources:
                if owner is x._mem.array:
                    if not result.flags.writeable:  # NumPy protects some views; CuPy protects none
                        result.flags.writeable = True
                    return view(result, x)
        if not (keep_layout or result.flags.c_contiguous):
            result = result.copy("C")
        return fresh(result)
    if isinstance(result, tuple | list):
        parts = [wrap(part, sources, keep_layout) for part in result]
        return kind(*parts) if hasattr(result, "_fields") else kind(parts)
    if isinstance(result, np.generic) or kind in SCALARS:
        return fresh(np.asarray(result))
    return result
