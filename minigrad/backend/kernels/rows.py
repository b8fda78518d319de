"""Launchers of rows.cu: softmax, log_softmax and cross_entropy, with their backward passes. See backend/rows.py.

A softmax along an axis that is not the last of the memory is computed on a copy whose last axis it is.
"""

import numpy as np

from . import NULL, acc, along, ctype, launch

ROWS = 1 << 16  # blocks; where there are more rows, a block takes several


def _along_rows(self, name, axis, *arrays):
    """The kernel `name` from arrays of one shape to a new one, on rows along `axis`."""
    xp = self.xp
    if not arrays[0].ndim:
        return _along_rows(self, name, 0, *(a.reshape(1) for a in arrays)).reshape(())
    inputs = [xp.ascontiguousarray(xp.moveaxis(a, axis, -1), arrays[-1].dtype) for a in arrays]
    y = xp.empty_like(inputs[0])
    cols = y.shape[-1]
    rows = y.size // max(1, cols)
    sizes = np.int64(rows), np.int64(cols)
    launch("rows", name, ctype(y.dtype), (min(rows, ROWS),), along(cols), (*inputs, y, *sizes))
    return xp.moveaxis(y, -1, axis)


def softmax(self, x, axis):
    """e**x / sum e**x along an axis."""
    return _along_rows(self, "softmax", axis, x)


def softmax_backward(self, gy, y, axis):
    """The gradient of softmax's input."""
    return _along_rows(self, "softmax_backward", axis, gy, y)


def log_softmax(self, x, axis):
    """x - log sum e**x along an axis."""
    return _along_rows(self, "log_softmax", axis, x)


def log_softmax_backward(self, gy, y, axis):
    """The gradient of log_softmax's input."""
    return _along_rows(self, "log_softmax_backward", axis, gy, y)


def cross_entropy(self, x, target, scale, ignore_index, smoothing):
    """(loss (n), lse (n, 1)): of each row of scores; 0 for a row whose target is `ignore_index`.

    A target outside of the classes, which nobody can refuse without waiting for the device, gives NaN.
    """
    xp = self.xp
    x = xp.ascontiguousarray(x)
    rows, cols = x.shape
    y, lse = xp.empty(rows, x.dtype), xp.empty((rows, 1), acc(x.dtype))
    args = x, *_targets(xp, x, target, scale), y, lse, *_settings(rows, cols, ignore_index, smoothing)
    launch("rows", "cross_entropy", ctype(x.dtype), (min(rows, ROWS),), along(cols), args)
    return y, lse


def cross_entropy_backward(self, gy, x, target, scale, lse, ignore_index, smoothing):
    """The gradient of the scores."""
    xp = self.xp
    gy, x = xp.ascontiguousarray(gy, x.dtype), xp.ascontiguousarray(x)
    rows, cols = x.shape
    gx = xp.empty_like(x)
    lse = xp.ascontiguousarray(lse, acc(x.dtype))
    args = gy, x, *_targets(xp, x, target, scale), lse, gx, *_settings(rows, cols, ignore_index, smoothing)
    launch("rows", "cross_entropy_backward", ctype(x.dtype), (min(rows, ROWS),), along(cols), args)
    return gx


def _targets(xp, x, target, scale):
    return xp.ascontiguousarray(target, np.int64), NULL if scale is None else xp.ascontiguousarray(scale, x.dtype)


def _settings(rows, cols, ignore_index, smoothing):
    ignore = ignore_index is not None
    return np.int64(rows), np.int64(cols), np.int32(ignore), np.int64(ignore_index or 0), np.float64(smoothing)
