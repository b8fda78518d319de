"""Launchers of windows.cu: the columns of convolutions, and pooling. What they compute stands in backend/windows.py.

Arrays come and go with PyTorch's axes (n, c, h, w) and lie as (c, h, w, n), as there. No image is padded: the kernels
skip what lies outside. Integers and what is not contiguous are left to the generic functions.
"""

import numpy as np

from .. import windows as generic
from . import THREADS, alike, blocks, ctype, launch

_GEOMETRY = np.dtype([(name, "i8") for name in "c h w n first rows cols kh kw sh sw dh dw top left".split()])


def _geometry(shape, windows, first, rows, cols, padding=(0, 0, 0, 0)):
    """The struct Geometry, for images of `shape` (c, h, w, n)."""
    top, _, left, _ = padding
    return np.array(
        (*shape, first, rows, cols, *windows.kernel, *windows.stride, *windows.dilation, top, left), _GEOMETRY
    )


def _run(name, size, *args):
    launch("windows", name, ctype(args[0].dtype), blocks(size), (THREADS,), args)


def unfold(self, x, windows, first, rows, cols, columns):
    """Copy what the windows of `rows` output rows from `first` on see of x to columns (c, kh, kw, rows, cols, n)."""
    if not alike(x, columns) or not columns.flags.c_contiguous:
        generic.unfold(self, x, windows, first, rows, cols, columns)
        return
    _run("unfold", columns.size, self.xp.ascontiguousarray(x), columns, _geometry(x.shape, windows, first, rows, cols))


def fold(self, columns, windows, first, rows, cols, x):
    """Add the columns to where `unfold` would have taken them from."""
    if not alike(x, columns) or not x.flags.c_contiguous:
        generic.fold(self, columns, windows, first, rows, cols, x)
        return
    c, _, w, n = x.shape
    top = first * windows.stride[0]
    height = (rows - 1) * windows.stride[0] + windows.dilation[0] * (windows.kernel[0] - 1) + 1 if rows else 0
    geometry = _geometry(x.shape, windows, first, rows, cols)
    columns = self.xp.ascontiguousarray(columns)
    _run("fold", c * height * w * n, columns, x, geometry, np.int64(top), np.int64(height))


def _inward(xp, x):
    return xp.ascontiguousarray(x.transpose(1, 2, 3, 0))


def _whole(shape, windows):
    """The geometry of all windows over x of shape (n, c, h, w)."""
    n, c, h, w = shape
    rows, cols = windows.output(h, w)
    return _geometry((c, h, w, n), windows, 0, rows, cols, windows.padding)


def _results(xp, geometry, dtype):
    """Uninitialized memory for one element per window: (c, rows, cols, n)."""
    return xp.empty(tuple(int(geometry[name]) for name in ("c", "rows", "cols", "n")), dtype)


def max_pool2d(self, x, windows):
    """The largest element of each window."""
    if not alike(x):
        return generic.max_pool2d(self, x, windows)
    geometry = _whole(x.shape, windows)
    y = _results(self.xp, geometry, x.dtype)
    _run("max_pool", y.size, _inward(self.xp, x), y, geometry)
    return y.transpose(3, 0, 1, 2)


def max_pool2d_scatter(self, gy, x, y, windows):
    """The gradient of max_pool2d: gy put where the maxima came from."""
    if not alike(gy, x, y):
        return generic.max_pool2d_scatter(self, gy, x, y, windows)
    xp = self.xp
    geometry = _whole(x.shape, windows)
    place = _results(xp, geometry, np.int32)
    gy, x, y = (_inward(xp, a) for a in (gy, x, y))
    gx = xp.empty_like(x)
    _run("max_place", y.size, x, y, place, geometry)
    _run("max_scatter", gx.size, gy, place, gx, geometry)
    return gx.transpose(3, 0, 1, 2)


def max_pool2d_gather(self, g, x, y, windows):
    """From `g`, of the input's shape, what lies where the maxima came from: the transpose of max_pool2d_scatter."""
    if not alike(g, x, y):
        return generic.max_pool2d_gather(self, g, x, y, windows)
    xp = self.xp
    geometry = _whole(x.shape, windows)
    out = _results(xp, geometry, g.dtype)
    _run("max_gather", out.size, *(_inward(xp, a) for a in (g, x, y)), out, geometry)
    return out.transpose(3, 0, 1, 2)


def sum_pool2d(self, x, windows):
    """The sum of each window."""
    if not alike(x):
        return generic.sum_pool2d(self, x, windows)
    geometry = _whole(x.shape, windows)
    y = _results(self.xp, geometry, x.dtype)
    _run("sum_pool", y.size, _inward(self.xp, x), y, geometry)
    return y.transpose(3, 0, 1, 2)


def sum_pool2d_scatter(self, gy, windows, x_shape):
    """The gradient of sum_pool2d: gy added to each element of its window."""
    if not alike(gy):
        return generic.sum_pool2d_scatter(self, gy, windows, x_shape)
    n, c, h, w = x_shape
    gx = self.xp.empty((c, h, w, n), gy.dtype)
    _run("sum_scatter", gx.size, _inward(self.xp, gy), gx, _whole(x_shape, windows))
    return gx.transpose(3, 0, 1, 2)
