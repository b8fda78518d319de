"""Pooling layers: MaxPool2d, AvgPool2d, AdaptiveAvgPool2d. Shapes: x (n, c, h, w) -> y (n, c, h', w')."""

from . import functional as F
from .module import Module


class MaxPool2d(Module):
    """The largest value in each window.

    Shapes: h' = (h + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, rounded up with ceil_mode.
    Args:   kernel_size, stride, padding, dilation - a number, or a pair (vertical, horizontal).
            stride - default kernel_size: windows side by side.
            return_indices - accepted for PyTorch's signature; only False is supported.
            ceil_mode - let the last window reach over the edge, default False.
    Raises: NotImplementedError for return_indices=True.
    """

    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices: bool = False, ceil_mode: bool = False
    ):
        super().__init__()
        if return_indices:
            raise NotImplementedError("MaxPool2d: return_indices=True is not supported, only the values are returned")
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x):
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window.

    Shapes: h' = (h + 2 padding - kernel_size) // stride + 1, rounded up with ceil_mode.
    Args:   kernel_size, stride, padding - a number, or a pair (vertical, horizontal).
            stride - default kernel_size: windows side by side.
            ceil_mode - let the last window reach over the edge, default False.
            count_include_pad - count the zeros of the padding in the mean, default True.
            divisor_override - divide by this instead of the number of elements.
    """

    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size, self.padding, self.ceil_mode = kernel_size, padding, ceil_mode
        self.stride = kernel_size if stride is None else stride
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x):
        return F.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """The mean of each of h' x w' windows that cover the image, whatever its size.

    Args: output_size - (h', w'), or a number for both; None in a pair keeps that axis as it is.
    """

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
