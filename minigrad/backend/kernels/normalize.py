"""Launchers of normalize.cu: normalization over axes, under batch_norm, layer_norm and group_norm.

An array is seen as rows, one for each statistic: the kept axes in front, the axes of the statistics behind, each in
the order in which they lie in memory. Images lie as (c, h, w, n), so for batch_norm that is a free transposition.
"""

import math

import numpy as np

from . import NULL, THREADS, acc, along, blocks, ctype, launch

ROWS = 1 << 16  # blocks; where there are more rows, a block takes several
PARTS = 128  # at most this many partial sums for each column


class _Rows:
    """How arrays of x's shape become contiguous (rows, cols), and what has one value per row or column goes back."""

    def __init__(self, xp, x, axes):
        self.xp, self.dtype, self.shape = xp, x.dtype, x.shape
        axes = {axis % x.ndim for axis in axes}
        self.order = sorted(range(x.ndim), key=lambda axis: (axis in axes, -x.strides[axis]))
        self.inverse = sorted(range(x.ndim), key=self.order.__getitem__)
        self.by_row = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
        self.by_column = tuple(n if axis in axes else 1 for axis, n in enumerate(x.shape))
        self.rows, self.cols = math.prod(self.by_row), math.prod(self.by_column)

    def flat(self, x):
        """`x` in the order of the rows."""
        return self.xp.ascontiguousarray(x.transpose(*self.order), self.dtype)

    def back(self, y, shape=None):
        """What lies in the order of the rows, of x's shape or of `shape`, with x's axes."""
        shape = shape or self.shape
        return y.reshape(tuple(shape[axis] for axis in self.order)).transpose(*self.inverse)

    def kind(self, *parameters):
        """by_row or by_column, what all `parameters` (arrays or None) broadcast to; or None."""
        shapes = [self.padded(p) for p in parameters if p is not None]
        for kind in self.by_row, self.by_column:
            if all(n in (1, full) for shape in shapes for n, full in zip(shape, kind, strict=True)):
                return kind
        return None

    def padded(self, p):
        return (1,) * (len(self.shape) - p.ndim) + p.shape

    def parameter(self, p, kind):
        """A parameter as contiguous memory with one element per row or column; NULL for None."""
        if p is None:
            return NULL
        return self.flat(self.xp.broadcast_to(p.reshape(self.padded(p)), kind))

    def statistic(self, a):
        """Means and the like, of the shape by_row, as the kernels want them."""
        return self.xp.ascontiguousarray(a.transpose(*self.order), acc(self.dtype))

    def gradient(self, g, p, kind):
        """The gradient of parameter `p` from one with an element per row or column."""
        g, shape = self.back(g, kind), self.padded(p)
        spread = tuple(axis for axis, n in enumerate(shape) if n == 1 and g.shape[axis] != 1)
        g = g.sum(axis=spread) if spread else g
        return g.reshape(p.shape).astype(p.dtype, copy=False)


def normalize(self, x, weight, bias, axes, eps):
    """(y, mean, variance, rstd): y = (x - mean) * rstd * weight + bias, with rstd = (variance + eps) ** -0.5.

    The statistics of half-precision numbers are float32.
    """
    xp, view = self.xp, _Rows(self.xp, x, axes)
    flat = view.flat(x)
    y = xp.empty_like(flat)
    mean, variance, rstd = (xp.empty(view.rows, acc(x.dtype)) for _ in range(3))
    kind = view.kind(weight, bias)
    w, b = (NULL, NULL) if kind is None else (view.parameter(weight, kind), view.parameter(bias, kind))
    sizes = np.int64(view.rows), np.int64(view.cols), np.int32(kind == view.by_row), np.float64(eps)
    args = flat, w, b, y, mean, variance, rstd, *sizes
    launch("normalize", "normalize", ctype(x.dtype), (min(view.rows, ROWS),), along(view.cols), args)
    y = view.back(y)
    if kind is None:  # one weight per channel, within a group's row
        if weight is not None:
            y *= weight
        if bias is not None:
            y += bias
    return y, *(view.back(a, view.by_row) for a in (mean, variance, rstd))


def normalize_backward(self, gy, x, weight, mean, rstd, axes, wants):
    """(gx, gweight, gbias), None for those not in `wants`. The bias has the weight's shape, and the gradients of both
    are summed to it where the kernels can do that: for one weight per row or per column.
    """
    xp, view = self.xp, _Rows(self.xp, x, axes)
    wants_x, wants_weight, wants_bias = wants
    kind = view.kind(weight)
    g = view.flat(gy if kind else gy * weight)
    inputs = g, view.flat(x)
    statistics = view.statistic(mean), view.statistic(rstd)
    summed = weight is not None and kind is not None and (wants_weight or wants_bias)
    by_row = kind == view.by_row
    sums = xp.empty((2, view.rows), acc(x.dtype)) if summed and by_row else None
    gx = xp.empty_like(g) if wants_x else None
    if wants_x or sums is not None:
        w = view.parameter(weight, kind) if kind else NULL
        outputs = NULL if gx is None else gx, *((NULL, NULL) if sums is None else (sums[0], sums[1]))
        args = *inputs, w, *statistics, *outputs, np.int64(view.rows), np.int64(view.cols), np.int32(by_row)
        launch("normalize", "normalize_backward", ctype(x.dtype), (min(view.rows, ROWS),), along(view.cols), args)
    if summed and not by_row:
        sums = _column_sums(xp, view, *inputs, *statistics)
    gx = None if gx is None else view.back(gx)
    if sums is None:
        gweight = gy * ((x - mean) * rstd).astype(x.dtype, copy=False) if wants_weight and weight is not None else None
        return gx, gweight, gy if wants_bias else None
    gweight = view.gradient(sums[0], weight, kind) if wants_weight else None
    return gx, gweight, view.gradient(sums[1], weight, kind) if wants_bias else None


def _column_sums(xp, view, *inputs):
    """(2, cols): the sums of gy * xhat and of gy over the rows, in parts first."""
    parts = max(1, min(PARTS, view.rows // 16))
    partial = xp.empty((2, parts, view.cols), acc(view.dtype))
    args = *inputs, partial[0], partial[1], np.int64(view.rows), np.int64(view.cols)
    grid = *blocks(view.cols), parts
    launch("normalize", "normalize_columns", ctype(view.dtype), grid, (THREADS,), args)
    return partial.sum(axis=1)
