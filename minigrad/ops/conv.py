"""Convolution. A closed family of three: the gradients of conv2d, of its input gradient and of its weight gradient
are made of one another, so that derivatives of every order exist. The kernels are in backend/windows.py.
"""

import numpy as np

from ..backend import backend
from ..backend.windows import Windows
from ..errors import DTypeError, ShapeError
from ..tape.function import Function
from ..tape.modes import regions
from .autocast import narrow
from .reduce import sum


class _Conv(Function):
    serves = {0: 1, 1: 0}

    def __init__(self, windows, groups, shape=None):
        self.windows, self.groups, self.full = windows, groups, shape


class Conv2d(_Conv):
    """y[n, o] = sum over c of x[n, c] * weight[o, c], plus bias[o].

    Shapes: x (n, c, h, w), weight (o, c/groups, i, j), bias (o) -> y (n, o, h', w').
    """

    def forward(self, x, weight, bias):
        return backend[type(x)].conv2d(x, weight, bias, self.windows, self.groups)

    def backward(self, gy, x, weight):
        wants_x, wants_weight, wants_bias = self.wants
        return (
            None if wants_x is None else Conv2dInput(self.windows, self.groups, x.shape)(gy, weight),
            None if wants_weight is None else Conv2dWeight(self.windows, self.groups, weight.shape)(x, gy),
            None if wants_bias is None else sum(gy, (0, 2, 3)),
        )


class Conv2dInput(_Conv):
    """The gradient of conv2d's input from gy and weight: the transposed convolution."""

    def forward(self, gy, weight):
        return backend[type(gy)].conv2d_input(gy, weight, self.windows, self.groups, self.full)

    def backward(self, g, gy, weight):
        wants_gy, wants_weight = self.wants
        return (
            None if wants_gy is None else Conv2d(self.windows, self.groups)(g, weight, None),
            None if wants_weight is None else Conv2dWeight(self.windows, self.groups, weight.shape)(g, gy),
        )


class Conv2dWeight(_Conv):
    """The gradient of conv2d's weight from x and gy."""

    def forward(self, x, gy):
        return backend[type(x)].conv2d_weight(x, gy, self.windows, self.groups, self.full)

    def backward(self, g, x, gy):
        wants_x, wants_gy = self.wants
        return (
            None if wants_x is None else Conv2dInput(self.windows, self.groups, x.shape)(gy, g),
            None if wants_gy is None else Conv2d(self.windows, self.groups)(x, g, None),
        )


def pair(name, what, value):
    """An int or a pair of ints as a pair (height, width)."""
    ints = (int, np.integer)
    pair = (value, value) if isinstance(value, ints) else value
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(n, ints) for n in pair):
        raise ShapeError(f"{name}: {what} must be an int or two, got {value!r}")
    return int(pair[0]), int(pair[1])


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of images (cross-correlation: the kernel is not flipped).

    Shapes: input (n, c, h, w) or (c, h, w), weight (o, c/groups, i, j), bias (o) -> (n, o, h', w') or (o, h', w'),
            h' = (h + 2 padding - dilation (i - 1) - 1) // stride + 1.
    Args:   padding - zeros on each border; "valid" is 0, "same" keeps the size (stride 1 only).
            groups - cut the channels into groups that do not see each other.
    Raises: ShapeError where channels, groups or sizes do not fit; DTypeError if the dtypes differ.
    """
    if regions:
        input, weight, bias = narrow(input), narrow(weight), narrow(bias)
    if input.ndim == 3:
        return conv2d(input[None], weight, bias, stride, padding, dilation, groups)[0]
    if input.ndim != 4 or weight.ndim != 4:
        raise ShapeError(
            f"conv2d: expected x (n, c, h, w) and weight (o, c, i, j); x is {input.shape}, weight {weight.shape}"
        )
    stride, dilation = pair("conv2d", "stride", stride), pair("conv2d", "dilation", dilation)
    if min(stride) < 1 or min(dilation) < 1:
        raise ShapeError(f"conv2d: stride and dilation must be at least 1, got {stride} and {dilation}")
    windows = Windows(weight.shape[2:], stride, _padding(padding, weight.shape[2:], stride, dilation), dilation)
    _check(input, weight, bias, windows, groups)
    return Conv2d(windows, groups)(input, weight, bias)


def _padding(padding, kernel, stride, dilation):
    """Zeros on (top, bottom, left, right)."""
    if padding == "same":
        if stride != (1, 1):
            raise ShapeError(f'conv2d: padding="same" needs stride 1, got {stride}')
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    if isinstance(padding, str) and padding != "valid":
        raise ShapeError(f'conv2d: padding must be an int, a pair, "same" or "valid", got {padding!r}')
    h, w = (0, 0) if padding == "valid" else pair("conv2d", "padding", padding)
    if min(h, w) < 0:
        raise ShapeError(f"conv2d: padding must not be negative, got {padding}")
    return h, h, w, w


def _check(x, weight, bias, windows, groups):
    (_, c, h, w), (o, per_group) = x.shape, weight.shape[:2]
    if groups < 1 or o % groups or c % groups:
        raise ShapeError(f"conv2d: groups={groups} must divide the channels of x ({c}) and of weight ({o})")
    if c != per_group * groups:
        hint = "; channels come second: is x (n, h, w, c)?" if x.shape[3] == per_group * groups else ""
        raise ShapeError(
            f"conv2d: weight expects {per_group * groups} channels, x has {c}; x is {x.shape}, weight {weight.shape}, "
            f"groups {groups}{hint}"
        )
    if bias is not None and bias.shape != (o,):
        raise ShapeError(f"conv2d: bias must be ({o},) to match weight {weight.shape}, got {bias.shape}")
    if min(windows.output(h, w)) < 1:
        raise ShapeError(
            f"conv2d: the kernel {windows.kernel} with dilation {windows.dilation} is larger than the padded image; "
            f"x is {x.shape}, padding {windows.padding} (top, bottom, left, right)"
        )
    if x.dtype != weight.dtype:
        raise DTypeError(f"conv2d: x is {x.dtype}, weight {weight.dtype}; write x.to(weight.dtype)")
