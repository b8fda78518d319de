"""Running sums and products along an axis, and differences. Gradients are scans again, the other way round."""

import operator

from ..dtypes import float16, float32, int64
from ..errors import ShapeError
from ..tape.function import Function, where_it_lies
from ..tape.modes import regions
from .autocast import wide
from .join import cat
from .make import lib
from .shape import axis_of, clone

__all__ = ["cumsum", "cumprod", "diff"]


def _part(axis, *bounds):
    """The index of a slice along an axis."""
    return (slice(None),) * axis + (slice(*bounds),)


class Scan(Function):
    """A function that runs along `axis`, from its end if `reverse`."""

    def __init__(self, axis, reverse=False):
        self.axis, self.reverse = axis, reverse

    def run(self, method, x):
        """NumPy's method of that name, as PyTorch has it: integers as int64, float16 by way of float32."""
        turn = _part(self.axis, None, None, -1)
        dtype = (float32 if x.dtype is float16 else x.dtype) if x.dtype.kind == "f" else int64
        y = getattr(x[turn] if self.reverse else x, method)(self.axis, dtype)
        y = y.astype(float16) if x.dtype is float16 else y
        return y[turn] if self.reverse else y


class CumSum(Scan):
    """y[k] = the sum of x[i] for i <= k."""

    name = "cumsum"

    def forward(self, x):
        return self.run("cumsum", x)

    def backward(self, gy):
        return CumSum(self.axis, not self.reverse)(gy)


class CumProd(Scan):
    """y[k] = the product of x[i] for i <= k."""

    name = "cumprod"

    def forward(self, x):
        return self.run("cumprod", x)

    def backward(self, gy, x):
        # x[k] is a factor of y[j] for j >= k, beside what is before k, and what is between k and j. No division.
        step = -1 if self.reverse else 1
        before = CumProd(self.axis, self.reverse)(Shift(self.axis, step, 1.0)(x))
        return before * Recurrence(self.axis, not self.reverse)(Shift(self.axis, -step)(x), gy)


class Recurrence(Scan):
    """y[k] = b[k] + a[k] y[k-1], and y[0] = b[0].   Shapes: a, b alike -> y.

    In log2 n steps on the whole arrays, each of which joins neighbors that were joined before.
    Source: Hillis and Steele, "Data parallel algorithms", CACM 29 (1986).
    """

    def forward(self, a, b):
        dtype = float32 if b.dtype is float16 else b.dtype
        a, y = a.astype(dtype), b.astype(dtype)
        n, step = y.shape[self.axis], 1
        while step < n:
            later, earlier = _part(self.axis, step, None), _part(self.axis, n - step)
            if self.reverse:
                later, earlier = earlier, later
            y[later] += a[later] * y[earlier]
            a[later] = a[later] * a[earlier]  # by way of a new array: in place, a device would read what it wrote
            step *= 2
        return y.astype(b.dtype, copy=False)

    def backward(self, gy, a, y):
        step = -1 if self.reverse else 1
        g = Recurrence(self.axis, not self.reverse)(Shift(self.axis, -step)(a), gy)
        return g * Shift(self.axis, step)(y), g


class Shift(Function):
    """y[k] = x[k - step], and `value` where there is none; step is 1 or -1."""

    def __init__(self, axis, step, value=0.0):
        self.axis, self.step, self.value = axis, step, value

    def forward(self, x):
        y = lib(x).full(x.shape, self.value, x.dtype)
        later, earlier = _part(self.axis, 1, None), _part(self.axis, -1)
        if self.step > 0:
            y[later] = x[earlier]
        else:
            y[earlier] = x[later]
        return y

    def backward(self, gy):
        return Shift(self.axis, -self.step)(gy)


def others(x, axis):
    """For each element, the product of the others along an axis: of those before it, by that of those behind it."""
    return CumProd(axis)(Shift(axis, 1, 1.0)(x)) * CumProd(axis, True)(Shift(axis, -1, 1.0)(x))


def to_dtype(x, dtype):
    """x in `dtype`, or as it is for None."""
    return x if dtype is None or x.dtype == dtype else x.astype(dtype)


def cumsum(input, dim, *, dtype=None):
    """y[k] = input[0] + ... + input[k] along `dim`.

    Args: dtype - convert input first. Without it bools and integers add up as int64.
    """
    return _scanned(CumSum, input, dim, dtype)


def cumprod(input, dim, *, dtype=None):
    """y[k] = input[0] * ... * input[k] along `dim`. The gradient is exact with zeros among the factors, to any order.

    Args: dtype - convert input first. Without it bools and integers multiply as int64.
    """
    return _scanned(CumProd, input, dim, dtype)


def _scanned(kind, x, dim, dtype):
    if regions and dtype is None:
        x = wide(x)
    x = to_dtype(x, dtype)
    axis = axis_of(kind.name, x, dim)
    y = kind(axis)(x) if x.ndim else kind(0)(x.reshape(1)).reshape(())
    return to_dtype(y, dtype)


@where_it_lies
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """What each element along `dim` has more than the one before it, `n` times over; of bools, whether they differ.

    Shapes: input (..., k, ...) -> y (..., k - n, ...), or no elements where n > k.
    Args:   prepend, append - what comes before and after input along `dim`.
    Raises: ShapeError if input has no axes, or what is prepended or appended has not as many; ValueError if n < 0.
    """
    if not input.ndim:
        raise ShapeError("diff: input needs at least one axis, and it is 0-d")
    if n < 0:
        raise ValueError(f"diff: n counts how often, and must be at least 0, got {n}")
    axis = axis_of("diff", input, dim)
    parts = [x for x in (prepend, input, append) if x is not None]
    if any(x.ndim != input.ndim for x in parts):
        shapes = ", ".join(str(x.shape) for x in parts)
        raise ShapeError(f"diff: what comes before and after needs as many axes as input; the shapes are {shapes}")
    if not n:
        return clone(input)
    x = cat(parts, axis) if len(parts) > 1 else input
    subtract = operator.ne if x.dtype.kind == "b" else operator.sub
    for _ in range(n):
        x = subtract(x[_part(axis, 1, None)], x[_part(axis, -1)])
    return x
