"""Pooling. Two closed families: taking maxima and putting back to where they were, and summing and spreading."""

import numpy as np

from ..backend import backend, device_of, moved
from ..backend.windows import Windows
from ..errors import ShapeError
from ..tape.function import Function
from ..tape.variable import raw
from .conv import pair
from .linalg import MatMul
from .reduce import mean


class _Pool(Function):
    def __init__(self, windows, shape=None):
        self.windows, self.full = windows, shape


class MaxPool2d(_Pool):
    """y = the largest element of each window.      Shapes: x (n, c, h, w) -> y (n, c, h', w')."""

    def forward(self, x):
        return backend[type(x)].max_pool2d(x, self.windows)

    def backward(self, gy, x, y):
        return MaxPoolScatter(self.windows)(gy, x, y)


class MaxPoolScatter(_Pool):
    """Each window's gradient at the first place of x where its maximum y is."""

    def forward(self, gy, x, y):
        return backend[type(gy)].max_pool2d_scatter(gy, x, y, self.windows)

    def backward(self, g, x, y):
        return MaxPoolGather(self.windows)(g, x, y), None, None


class MaxPoolGather(_Pool):
    """From g, of x's shape, what lies at the places of the maxima."""

    def forward(self, g, x, y):
        return backend[type(g)].max_pool2d_gather(g, x, y, self.windows)

    def backward(self, gy, x, y):
        return MaxPoolScatter(self.windows)(gy, x, y), None, None


class SumPool2d(_Pool):
    """y = the sum of each window."""

    def forward(self, x):
        self.full = x.shape
        return backend[type(x)].sum_pool2d(x, self.windows)

    def backward(self, gy):
        return SumPoolScatter(self.windows, self.full)(gy)


class SumPoolScatter(_Pool):
    """Each window's gradient, added to all of its elements."""

    def forward(self, gy):
        return backend[type(gy)].sum_pool2d_scatter(gy, self.windows, self.full)

    def backward(self, g):
        return SumPool2d(self.windows)(g)


def _geometry(name, x, kernel_size, stride, padding, dilation, ceil_mode):
    """The windows, with the border on the far side widened where ceil_mode lets a last window hang over."""
    kernel = pair(name, "kernel_size", kernel_size)
    stride = kernel if stride is None or stride == () else pair(name, "stride", stride)
    padding, dilation = pair(name, "padding", padding), pair(name, "dilation", dilation)
    if min(kernel) < 1 or min(stride) < 1 or min(dilation) < 1:
        raise ShapeError(f"{name}: kernel_size, stride and dilation must be at least 1: {kernel}, {stride}, {dilation}")
    if any(not 0 <= p <= k // 2 for p, k in zip(padding, kernel, strict=True)):
        raise ShapeError(f"{name}: padding must be between 0 and half of the kernel {kernel}, got {padding}")
    borders = []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        extra = 0
        if ceil_mode and span >= 0 and -(-span // s) * s < n + p:  # a window must begin inside of the image
            extra = -span % s
        borders += [p, p + extra]
    windows = Windows(kernel, stride, tuple(borders), dilation)
    if min(windows.output(*x.shape[2:])) < 1:
        raise ShapeError(
            f"{name}: the window {kernel} is larger than the padded image; x is {x.shape}, padding {padding}"
        )
    return windows


def _images(name, x):
    if x.ndim not in (3, 4):
        raise ShapeError(f"{name}: expected x (n, c, h, w) or (c, h, w), got {x.shape}")
    return x.ndim == 3


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest element of each window. The first of equal ones gets the gradient, as in PyTorch.

    Shapes: input (n, c, h, w) or (c, h, w) -> (..., h', w'), h' = (h + 2 padding - dilation (k - 1) - 1) // stride + 1.
    Args:   stride - default kernel_size. ceil_mode - round h' up: a last window may hang over the border.
    """
    if _images("max_pool2d", input):
        return max_pool2d(input[None], kernel_size, stride, padding, dilation, ceil_mode)[0]
    return MaxPool2d(_geometry("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode))(input)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window.

    Shapes: input (n, c, h, w) or (c, h, w) -> (..., h', w'), h' = (h + 2 padding - k) // stride + 1.
    Args:   stride - default kernel_size. ceil_mode - round h' up. count_include_pad - count the zeros of the padding.
            divisor_override - divide by this instead of by the number of elements.
    """
    if _images("avg_pool2d", input):
        return avg_pool2d(input[None], kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)[0]
    windows = _geometry("avg_pool2d", input, kernel_size, stride, padding, 1, ceil_mode)
    total = SumPool2d(windows)(input)
    if divisor_override is not None:
        if divisor_override == 0:
            raise ShapeError("avg_pool2d: divisor_override must not be 0")
        return total * (1 / divisor_override)
    padding = pair("avg_pool2d", "padding", padding)
    rows, cols = (
        _counts(n, out, k, s, p, count_include_pad)
        for n, out, k, s, p in zip(
            input.shape[2:], total.shape[2:], windows.kernel, windows.stride, padding, strict=True
        )
    )
    if len({*rows}) == len({*cols}) == 1:
        return total * (1 / (rows[0] * cols[0]))
    shares = np.asarray([[1 / (row * col) for col in cols] for row in rows], input.dtype)
    return total * moved(shares, device_of(raw(input)))


def _counts(n, out, kernel, stride, padding, include_padding):
    """How many elements each window along one axis counts: those that hang over the padding never."""
    low, high = (0, n + 2 * padding) if include_padding else (padding, padding + n)
    starts = [i * stride for i in range(out)]
    return [min(start + kernel, high) - max(start, low) for start in starts]


def adaptive_avg_pool2d(input, output_size):
    """The means of output_size = (h', w') windows that cover the image: window i is i h // h' to ceil((i+1) h / h').

    Shapes: input (n, c, h, w) or (c, h, w) -> (..., h', w'). A size of None keeps that axis.
    """
    _images("adaptive_avg_pool2d", input)
    sizes = (output_size, output_size) if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(sizes) != 2:
        raise ShapeError(f"adaptive_avg_pool2d: output_size must be an int or two, got {output_size}")
    sizes = tuple(n if size is None else size for n, size in zip(input.shape[-2:], sizes, strict=True))
    if min(sizes) < 1:
        raise ShapeError(f"adaptive_avg_pool2d: output_size must be at least 1, got {output_size}")
    if sizes == (1, 1):
        return mean(input, (-2, -1), keepdim=True)
    if all(n % size == 0 and n for n, size in zip(input.shape[-2:], sizes, strict=True)):
        kernel = tuple(n // size for n, size in zip(input.shape[-2:], sizes, strict=True))
        return avg_pool2d(input, kernel)
    rows, cols = (_averaging(input, n, size) for n, size in zip(input.shape[-2:], sizes, strict=True))
    return MatMul()(MatMul()(rows, input), cols.swapaxes(0, 1))


def _averaging(x, n, size):
    """The (size, n) matrix whose rows average one window each."""
    windows = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
    rows = [[1 / (end - start) if start <= k < end else 0.0 for k in range(n)] for start, end in windows]
    return moved(np.asarray(rows, x.dtype), device_of(raw(x)))
