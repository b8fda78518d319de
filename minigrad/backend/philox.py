"""Philox4x32-10: random numbers that are a function of a key and a counter, the same on every device.

    philox(key, counter, n)[i] = word i % 4 of the block cipher of (counter + i // 4) under the key

So any part of a sequence can be computed on its own, by as many threads as there are.
Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; the constants are Random123's.
"""

import numpy as np

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85  # what each round adds to the two halves of the key
_PIECE = 1 << 14  # counters at a time: 128 kB an array, so that the ten rounds stay in the cache


def philox(key: int, counter: int, n: int) -> np.ndarray:
    """`n` random numbers (uint32). Each counter gives four.

    Args: key - its low 64 bits count. counter - the first one; its low 128 bits count.
    """
    out = np.empty((-(-n // 4), 4), np.uint32)
    for first in range(0, len(out), _PIECE):
        out[first : first + _PIECE] = _blocks(key, counter + first, min(_PIECE, len(out) - first))
    return out.reshape(-1)[:n]


def _blocks(key, counter, count):
    """(count, 4): the words of the counters from `counter` on, held in uint64 for the products."""
    low, high = counter & (1 << 64) - 1, counter >> 64 & (1 << 64) - 1
    start = np.arange(count, dtype=np.uint64) + np.uint64(low)
    high = np.where(start < np.uint64(low), np.uint64(high + 1 & (1 << 64) - 1), np.uint64(high))  # the carry
    a, b, c, d = start & _LOW, start >> _HALF, high & _LOW, high >> _HALF
    k0, k1 = key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF
    for _ in range(10):
        p, q = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = q >> _HALF ^ b ^ np.uint64(k0), q & _LOW, p >> _HALF ^ d ^ np.uint64(k1), p & _LOW
        k0, k1 = k0 + _WEYL[0] & 0xFFFFFFFF, k1 + _WEYL[1] & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=1)
