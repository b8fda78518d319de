"""Launchers of multi.cu: one launch over many arrays, for optimizers, gradient clipping and loss scaling.

The addresses of up to 80 arrays travel as one struct among the kernel's parameters; so nothing is copied to the device.
"""

import numpy as np

from . import THREADS, acc, alike, ctype, launch

TENSORS = 80  # as in multi.cu
BLOCKS = 1024  # at most this many for one array
_TENSORS = np.dtype(
    [("size", "i8", TENSORS), ("p", "u8", TENSORS), ("g", "u8", TENSORS), ("buffers", "u8", (3, TENSORS))]
)
_COMMON = np.dtype(
    [("weight_decay", "f8"), ("maximize", "i8"), ("found_inf", "u8"), ("left_out", "u8"), ("step", "f8")]
)

# The numbers that an optimizer's `prepare` gives, with those that may be missing at the end.
FORMULAS = {
    "sgd": (0.0, 0.0, 1.0, False),  # lr, momentum, share, nesterov
    "adam": (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # kept, b1, rest1, b2, rest2, eps, lr
    "adagrad": (0.0, 0.0),  # lr, eps
    "rmsprop": (0.0, 0.0, 0.0, 0.0, 0.0, False),  # lr, alpha, rest, eps, momentum, centered
}


def step(self, formula, params, grads, buffers, numbers, weight_decay, maximize, found_inf, left_out=None, count=0):
    """One step of an optimizer in place: its `update` for all `params`, which are of one dtype.

    Args:    formula - a name in FORMULAS. grads - like params. buffers - per buffer a list like params.
             numbers - what `prepare` returned. weight_decay - 0.0 where `update` itself decays the weights.
             found_inf - None, or a 0-d float32 array: nothing is changed where it is not 0.
             left_out - None, or a 0-d float32 array: how many of the `count` steps were left out so.
    Returns: False where a parameter or buffer is not contiguous; then nothing has been done.
    """
    written = [*params, *(b for buffer in buffers for b in buffer)]
    if not params or not alike(*written) or not all(a.flags.c_contiguous for a in written):
        return not params
    defaults = FORMULAS[formula]
    numbers = [
        np.int32(bool(n)) if type(d) is bool else np.float64(n)
        for n, d in zip((*numbers, *defaults[len(numbers) :]), defaults, strict=True)
    ]
    found, left = (0 if a is None else a.data.ptr for a in (found_inf, left_out))
    common = np.array((weight_decay, bool(maximize), found, left, count), _COMMON)
    grads = [self.xp.ascontiguousarray(g, params[0].dtype) for g in grads]
    for first in range(0, len(params), TENSORS):
        chunk = slice(first, first + TENSORS)
        tensors, grid = _table(params[chunk], grads[chunk], [b[chunk] for b in buffers])
        launch("multi", formula, ctype(params[0].dtype), grid, (THREADS,), (tensors, common, *numbers))
    return True


def sum_of_squares(self, arrays):
    """The sum of the squares of all elements: a 0-d array, float64 where there are float64 arrays, else float32."""
    return _reduced(self.xp, "sum_of_squares", arrays, "sum")


def max_abs(self, arrays):
    """The largest absolute value among all elements, a 0-d array as of `sum_of_squares`; 0 for none."""
    return _reduced(self.xp, "max_abs", arrays, "max")


def scale(self, arrays, factor):
    """arrays *= factor, in place, by a 0-d array."""
    _in_place(self.xp, "scale", arrays, factor)


def unscale(self, arrays, inverse_scale, found_inf):
    """arrays *= inverse_scale, in place, by a 0-d array; and found_inf (0-d, float32) = 1 where one is inf or NaN."""
    _in_place(self.xp, "unscale", arrays, inverse_scale, found_inf)


def _table(params, grads=(), buffers=()):
    """(the struct Tensors, the grid)."""
    tensors, count = np.zeros((), _TENSORS), len(params)
    tensors["size"][:count] = [p.size for p in params]
    tensors["p"][:count] = [p.data.ptr for p in params]
    tensors["g"][: len(grads)] = [g.data.ptr for g in grads]
    for slot, buffer in zip(tensors["buffers"], buffers, strict=False):
        slot[:count] = [b.data.ptr for b in buffer]
    largest = max(p.size for p in params)
    return tensors, (min(-(-largest // (4 * THREADS)), BLOCKS), count)


def _chunks(arrays):
    """Lists of at most TENSORS arrays of one dtype."""
    by_dtype: dict = {}
    for a in arrays:
        by_dtype.setdefault(a.dtype, []).append(a)
    for same in by_dtype.values():
        for first in range(0, len(same), TENSORS):
            yield same[first : first + TENSORS]


def _reduced(xp, name, arrays, reduction):
    """Partial results of each block, then the reduction of all: the same bits each time."""
    results = []
    for chunk in _chunks([xp.ascontiguousarray(a) for a in arrays if a.size]):
        tensors, grid = _table(chunk)
        dtype = acc(chunk[0].dtype)
        parts = xp.empty(grid[::-1], dtype)
        launch("multi", name, ctype(chunk[0].dtype), grid, (THREADS,), (tensors, parts))
        results.append(getattr(parts, reduction)())
    if not results:
        return xp.zeros((), np.float32)
    return results[0] if len(results) == 1 else getattr(xp.stack(results), reduction)()


def _in_place(xp, name, arrays, factor, *more):
    """Run a kernel over arrays and `factor`; what is not contiguous is copied to and fro."""
    for chunk in _chunks([a for a in arrays if a.size]):
        contiguous = [xp.ascontiguousarray(a) for a in chunk]
        tensors, grid = _table(contiguous)
        args = tensors, xp.asarray(factor, acc(chunk[0].dtype)), *more
        launch("multi", name, ctype(chunk[0].dtype), grid, (THREADS,), args)
        for a, c in zip(chunk, contiguous, strict=True):
            if not a.flags.c_contiguous:
                a[...] = c
