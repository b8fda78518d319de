"""Backend: everything that minigrad asks of an array library beyond its namespace, written once in plain `xp`."""

import math

import numpy as np

from ..errors import OutOfMemoryError
from . import rows, special, windows
from .device import CPU
from .philox import philox


def _exact(x):
    """The dtype that elements of `x` are added up in."""
    return np.promote_types(x.dtype, np.float32)


class Backend:
    """The kernels of one array library. A device's own Backend overrides those that it does better."""

    host = True  # arrays lie in the host's memory: to look at a value costs nothing
    array: type = np.ndarray
    elementwise: dict = {}  # operation -> its kernels, where the library has better ones than its formulas make
    checks_indices = True  # raise for an index out of range, which takes a look at the values
    tf32 = False  # the user's wish, for a device that can
    piece_bytes = windows.PIECE_BYTES

    def __init__(self, xp):
        self.xp = xp

    # A place where arrays are made, as `place` gives it: there is one CPU.

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.explain(error)

    def explain(self, error) -> None:
        """Raise minigrad's own error for a MemoryError that came up where arrays are made."""
        if isinstance(error, MemoryError) and not isinstance(error, OutOfMemoryError):
            held = self.holdings()
            raise OutOfMemoryError(f"{self.here()}: {str(error).rstrip('. ')}{held and '; ' + held}") from None

    def holdings(self) -> str:
        """What is held of the memory, in words, where one can tell."""
        return ""

    def here(self):
        """The Device on which arrays are made now."""
        return CPU

    def device_of(self, x):
        """The Device on which `x` lies."""
        return CPU

    def to_numpy(self, x, non_blocking=False) -> np.ndarray:
        """The values of `x` on the host. With non_blocking, on their way there."""
        return np.asarray(x)

    def is_writable(self, x) -> bool:
        """False for memory that is read-only, or in which several elements of `x` are one."""
        return x.flags.writeable

    def scratch(self, shape, dtype):
        """Uninitialized memory for values that do not outlive the caller."""
        return windows.reused(self.xp, shape, dtype)

    def operands(self, numbers, dtype) -> tuple:
        """Python floats as operands to be used many times: a 0-d array saves NumPy 0.25 us of 0.5 at each use."""
        return tuple(self.xp.asarray(n, dtype) if type(n) is float else n for n in numbers)

    def sum(self, x, axes, dtype=None, keepdims=False):
        """The sum over `axes` (a tuple, or None for all), in `dtype`."""
        return x.sum(axes, dtype, None, keepdims)

    def products(self, a, b, out=None):
        """The matrix products of two stacks of matrices (k, n, m) and (k, m, l), into `out` where it is given."""
        return self.xp.matmul(a, b, out=out)

    def lapack(self, name, *arrays, known=False):
        """inv, solve or cholesky of the library's linalg, which raise a ValueError for matrices that have no such.

        Args: known - they have, so a device need not be waited for to learn it.
        """
        return getattr(self.xp.linalg, name)(*arrays)

    def add_at(self, x, index, values) -> None:
        """x[index] += values, where an index may occur more than once."""
        self.xp.add.at(x, index, values)

    def reduce_at(self, name, x, index, values) -> None:
        """x[index] = f(x[index], values) likewise, for f = "multiply", "maximum" or "minimum"; NaN wins."""
        with np.errstate(invalid="ignore"):  # of which NumPy warns here where NaN wins
            getattr(self.xp, name).at(x, index, values)

    def select(self, mask, x):
        """x where `mask`, else 0: exact for inf and NaN too, where `x * mask` is not."""
        if mask.size < 4096 or mask.shape != x.shape or not self.host:
            return self.xp.where(mask, x, 0)
        # NumPy's where branches on each element. Masking the bits takes 0.12 ms for 590 000 of them, where 2.2 ms.
        bits = mask.astype(f"i{x.dtype.itemsize}")
        np.negative(bits, out=bits)
        bits &= x.view(bits.dtype)
        return bits.view(x.dtype)

    def expand(self, x, shape):
        """x broadcast to `shape`, a view; read-only memory where elements occur more than once."""
        if x.ndim == 0 and self.host:  # the gradient of a sum; 0.6 us, where broadcast_to takes 1.7
            y = np.ndarray(shape, x.dtype, np.asarray(x), 0, (0,) * len(shape))
            y.flags.writeable = y.size == 1 and x.flags.writeable
            return y
        y = self.xp.broadcast_to(x, shape)
        return self._as_writable(y, x) if y.size == x.size else y

    def _as_writable(self, y, x):
        """`y`, a view of x in which each element occurs once, as writable as x: NumPy makes some read-only."""
        if self.host:
            y.flags.writeable = x.flags.writeable
        return y

    def diagonal(self, x, offset, axis1, axis2):
        """The diagonal of two axes, in a new last one; a view, and as writable as x."""
        return self._as_writable(x.diagonal(offset, axis1, axis2), x)

    def sliding(self, x, axis, size, step):
        """The windows of `size` elements along an axis, `step` apart, in a new last axis; read-only if they overlap."""
        y = self.xp.lib.stride_tricks.sliding_window_view(x, size, axis, writeable=step >= size)
        return y[(slice(None),) * axis + (slice(None, None, step),)]

    def dropout_mask(self, shape, p, dtype, key, counter):
        """0 with probability p, else 1 / (1 - p); by the numbers of Philox from `counter` on, of which each gives 4."""
        uniform = (philox(key, counter, math.prod(shape)) >> 8).astype(np.float32) * np.float32(2**-24)
        keep = uniform.reshape(shape) >= np.float32(p)
        return self.xp.asarray(keep.astype(dtype) * dtype.type(1 / (1 - p)))

    def step(
        self,
        formula,
        params,
        grads,
        buffers,
        numbers,
        weight_decay,
        maximize,
        found_inf,
        left_out=None,
        count=0,
    ) -> bool:
        """One step of an optimizer over many parameters. False: there is no kernel for it, nothing has been done."""
        return False

    # Many arrays at once, for gradient clipping and loss scaling.

    def sum_of_squares(self, arrays):
        """The sum of the squares of all elements: a 0-d array, float64 where there are float64 arrays, else float32."""
        flat = [a.reshape(-1).astype(_exact(a), copy=False) for a in arrays]
        return self._added(self.xp.add, [self.xp.dot(a, a) for a in flat])

    def max_abs(self, arrays):
        """The largest absolute value among all elements, a 0-d array as of `sum_of_squares`; 0 for none."""
        xp = self.xp
        most = [xp.maximum(a.max(), -a.min()).astype(_exact(a)) for a in arrays if a.size]
        return self._added(xp.maximum, most)

    def _added(self, add, numbers):
        total = self.xp.zeros((), np.float32)
        for n in numbers:
            total = add(total, n)
        return self.xp.asarray(total)

    def scale(self, arrays, factor) -> None:
        """arrays *= factor, in place, by a 0-d array."""
        with np.errstate(invalid="ignore"):  # a factor of 0 for a norm of inf
            for a in arrays:
                a *= factor

    def unscale(self, arrays, inverse_scale, found_inf) -> None:
        """arrays *= inverse_scale, a 0-d array, in place; and found_inf (0-d, float32) = 1 where one is inf or NaN."""
        with np.errstate(invalid="ignore", over="ignore"):
            for a in arrays:
                self.xp.maximum(found_inf, ~self.xp.isfinite(a).all(), out=found_inf)
                a *= inverse_scale

    erf = special.erf
    erfc = special.erfc
    erfinv = special.erfinv

    softmax = rows.softmax
    softmax_backward = rows.softmax_backward
    log_softmax = rows.log_softmax
    log_softmax_backward = rows.log_softmax_backward
    cross_entropy = rows.cross_entropy
    cross_entropy_backward = rows.cross_entropy_backward
    normalize = rows.normalize
    normalize_backward = rows.normalize_backward

    unfold = windows.unfold
    fold = windows.fold
    conv2d = windows.conv2d
    conv2d_input = windows.conv2d_input
    conv2d_weight = windows.conv2d_weight
    max_pool2d = windows.max_pool2d
    max_pool2d_scatter = windows.max_pool2d_scatter
    max_pool2d_gather = windows.max_pool2d_gather
    sum_pool2d = windows.sum_pool2d
    sum_pool2d_scatter = windows.sum_pool2d_scatter
