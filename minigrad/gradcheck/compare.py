"""Gradients of the tape against others of the tape: equal, up to what rounding explains."""

import numpy as np

from ..tape.observers import Observing
from .differences import Sizes, scale_of

TOLERANCES = {"float64": 1e-8, "float32": 1e-3, "float16": 5e-2}  # of the largest element of a leaf
ROUNDINGS = 64  # of the largest part of any leaf: what is left of gradients that cancel to nothing


def unlike(subject, found, expected, precision=None, largest=0.0, spread=None):
    """Pairs (leaf, index, found, expected): the element that is most off, of each leaf that is not alike.

    Args: precision - the dtype in which `found` was computed, where that is coarser than the leaf's. largest - value
          on the way. spread - arrays, what more each element may be off.
    """
    scales = [scale_of(leaf.point) for leaf in subject.leaves]
    parts = [np.abs(g * s) for g, s in zip(expected, scales, strict=True)]
    most = max([largest, *(float(p[np.isfinite(p)].max(initial=0.0)) for p in parts)])
    for k, (leaf, scale, a, b) in enumerate(zip(subject.leaves, scales, found, expected, strict=True)):
        if not b.size:
            continue
        info = np.finfo(max(leaf.dtype, precision or leaf.dtype, key=lambda dtype: np.finfo(dtype).eps))
        floor = ROUNDINGS * float(info.eps) * most / scale + float(info.tiny)
        allowed = TOLERANCES[info.dtype.name] * (np.abs(b) + np.abs(b).max()) + floor
        if spread is not None:
            allowed = allowed + spread[k]
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b)) / allowed
        at = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape))
        if not off[at] <= 1:
            yield leaf, at, float(a[at]), float(b[at])


def coarse_unlike(subject, exact, rng):
    """`unlike`, of the gradients in the dtypes in use and of `exact`, those in float64.

    What rounding the leaves does to the exact gradients, rounding on the way may do to the coarse ones.
    """
    sizes = Sizes()
    with Observing(sizes):
        own = subject.gradients()
    dtypes = [np.dtype(name) for name in TOLERANCES]
    precision = next((d for d in dtypes if np.finfo(d).eps >= sizes.eps), dtypes[-1])
    spread = [np.zeros(leaf.point.shape) for leaf in subject.leaves]
    for _ in range(2):
        points = [
            leaf.point * (1 + np.finfo(max(leaf.dtype, precision, key=lambda d: np.finfo(d).eps)).eps * signs)
            for leaf in subject.leaves
            for signs in [rng.choice([-1.0, 1.0], leaf.point.shape)]
        ]
        nearby = subject.gradients(points, dtype=np.float64)
        for k, (a, b) in enumerate(zip(nearby, exact, strict=True)):
            spread[k] = np.maximum(spread[k], ROUNDINGS / 4 * np.abs(a - b).max(initial=0.0))
    yield from unlike(subject, own, exact, precision, sizes.largest, spread)
