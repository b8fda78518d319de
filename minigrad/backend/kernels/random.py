"""Launcher of random.cu: dropout's mask."""

import math

import numpy as np

from . import THREADS, blocks, ctype, launch

_BITS = (1 << 64) - 1


def dropout_mask(self, shape, p, dtype, key, counter):
    """0 with probability p, else 1 / (1 - p); by the numbers of Philox from `counter` on, of which each gives 4.

    Bit for bit the mask that the CPU makes, whatever the size of the grid.
    """
    dtype = np.dtype(dtype)
    mask = self.xp.empty(shape, dtype)
    words = np.uint64(key & _BITS), np.uint64(counter & _BITS), np.uint64(counter >> 64 & _BITS)
    args = mask, np.int64(mask.size), np.float32(p), np.float64(1 / (1 - p)), *words
    launch("random", "dropout_mask", ctype(dtype), blocks(-(-math.prod(mask.shape) // 4)), (THREADS,), args)
    return mask
