"""Launcher of index.cu: adding to rows that an index array names."""

import math

import numpy as np

from . import THREADS, blocks, ctype, launch


def add_at(self, x, index, values):
    """x[index] += values, where an index may occur more than once.

    Floats are added in an order that differs from run to run, and with it the last bits of their sums. A single array
    of row numbers (embedding, x[rows]) has a kernel; there rows outside of x are left out, where CuPy's own wrap.
    """
    xp = self.xp
    rows = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    rows_only = hasattr(rows, "dtype") and rows.dtype.kind in "iu" and x.ndim and x.flags.c_contiguous
    if x.dtype.kind != "f" and x.dtype.itemsize < 4:  # to which CuPy does not add
        total = x.astype(np.int64)
        xp.add.at(total, index, xp.asarray(values, np.int64))
        x[...] = total
        return
    if not rows_only or x.dtype.char not in "efd":
        xp.add.at(x, index, values)
        return
    values = xp.ascontiguousarray(xp.broadcast_to(xp.asarray(values, x.dtype), rows.shape + x.shape[1:]))
    sizes = np.int64(x.shape[0]), np.int64(math.prod(x.shape[1:])), np.int64(rows.size)
    args = x, xp.ascontiguousarray(rows, np.int64), values, *sizes
    launch("index", "add_rows", ctype(x.dtype), blocks(values.size), (THREADS,), args)
