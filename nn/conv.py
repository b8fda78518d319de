"""Conv2d: a convolution layer with PyTorch's options."""

from ..errors import ShapeError
from ..ops.pad import pad
from . import functional as F
from .linear import reset_weight_and_bias
from .module import Module
from .parameter import empty

_MODES = ("zeros", "reflect", "replicate", "circular")


class Conv2d(Module):
    """Slide a kernel over images (cross-correlation, as everywhere in deep learning).

        y[n, o] = bias[o] + sum over c of weight[o, c] * x[n, c]

    Shapes: x (n, in_channels, h, w) -> y (n, out_channels, h', w'), weight (out_channels, in_channels / groups, i, j),
            h' = (h + 2 padding - dilation (i - 1) - 1) // stride + 1.
    Args:   kernel_size, stride, padding, dilation - a number, or a pair (vertical, horizontal).
            padding - also "valid" (none) and "same" (h' = h, for stride 1); default 0.
            groups - channels are split into so many independent convolutions, default 1.
            padding_mode - what lies beyond the edge: "zeros" (default), "reflect", "replicate" or "circular".
    Raises: ShapeError for channels that groups does not divide, or sizes that are none; ValueError for an unknown
            padding or padding_mode.
    Source: weight and bias begin as U(-b, b), b = 1 / sqrt(in_channels / groups * i * j), as PyTorch's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        _check_groups(in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = _pair("kernel_size", kernel_size, at_least=1)
        self.stride = _pair("stride", stride, at_least=1)
        self.dilation = _pair("dilation", dilation, at_least=1)
        self.padding = padding if isinstance(padding, str) else _pair("padding", padding, at_least=0)
        self.padding_mode = padding_mode
        self._margins = self._find_margins()
        self.weight = empty((out_channels, in_channels // groups, *self.kernel_size), device, dtype)
        self.register_parameter("bias", empty(out_channels, device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        reset_weight_and_bias(self.weight, self.bias)

    def forward(self, x):
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = pad(x, self._margins, self.padding_mode), 0
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        parts += [f"padding={self.padding}"] * (self.padding != (0, 0))
        parts += [f"dilation={self.dilation}"] * (self.dilation != (1, 1))
        parts += [f"groups={self.groups}"] * (self.groups != 1)
        parts += ["bias=False"] * (self.bias is None)
        parts += [f"padding_mode={self.padding_mode}"] * (self.padding_mode != "zeros")
        return ", ".join(parts)

    def _find_margins(self):
        """(left, right, above, below): how far the image is extended, in the order of `pad`."""
        if self.padding_mode not in _MODES:
            raise ValueError(f"Conv2d: unknown padding_mode {self.padding_mode!r}; known are {', '.join(_MODES)}")
        if self.padding == "valid":
            return (0, 0, 0, 0)
        if self.padding == "same":
            if self.stride != (1, 1):
                raise ValueError(f'Conv2d: padding="same" needs stride 1, got {self.stride}; give padding as numbers')
            v, h = (d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True))
            return (h // 2, h - h // 2, v // 2, v - v // 2)
        if isinstance(self.padding, str):
            raise ValueError(f'Conv2d: expected padding "same", "valid", a number or a pair, got {self.padding!r}')
        v, h = self.padding
        return (h, h, v, v)


def _check_groups(in_channels, out_channels, groups):
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ShapeError(
            f"Conv2d: groups must divide both numbers of channels, got in_channels={in_channels}, "
            f"out_channels={out_channels}, groups={groups}"
        )


def _pair(what, value, at_least):
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, int) and v >= at_least for v in pair):
        raise ShapeError(f"Conv2d: expected {what} as a number or a pair, each >= {at_least}, got {value!r}")
    return pair
