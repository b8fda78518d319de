"""Launcher of scatter.cu: products and extremes at the places that an index names."""

import numpy as np

from . import THREADS, blocks, ctype, launch


def reduce_at(self, name, x, index, values):
    """x[index] = f(x[index], values) for f = "multiply", "maximum" or "minimum"; an index may occur more than once.

    CuPy has no such product, no extremes of float16, and its other extremes drop NaN.
    """
    xp = self.xp
    places = xp.ascontiguousarray(xp.arange(x.size).reshape(x.shape)[index])  # 8 bytes for each element of x
    dtype, kind = (x.dtype, ctype(x.dtype)) if x.dtype.char in "efd" else (np.dtype(np.int64), "long long")
    values = xp.ascontiguousarray(xp.broadcast_to(xp.asarray(values, dtype), places.shape))
    y = x if x.flags.c_contiguous and x.dtype == dtype else xp.ascontiguousarray(x, dtype)
    args = y, places, values, np.int64(places.size), np.int64(x.size)
    launch("scatter", name, kind, blocks(places.size), (THREADS,), args)
    if y is not x:
        x[...] = y
