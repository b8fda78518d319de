"""Layers that multiply, pass on and reshape: Linear, Identity, Flatten."""

import math

from ..ops.shape import flatten
from . import functional as F
from . import init
from .module import Module
from .parameter import empty


class Linear(Module):
    """y = x @ weight.T + bias.

    Shapes: x (..., in_features) -> y (..., out_features); weight (out_features, in_features), bias (out_features,).
    Args:   bias - add one, default True.
            device, dtype - of the parameters; default "cpu" and the default dtype.
    Source: weight and bias begin as U(-b, b), b = 1 / sqrt(in_features), as PyTorch's.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = empty((out_features, in_features), device, dtype)
        self.register_parameter("bias", empty(out_features, device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        reset_weight_and_bias(self.weight, self.bias)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """y = x. Takes and ignores any arguments, so that it can stand in for another layer."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, x):
        return x


class Flatten(Module):
    """Join the axes from start_dim to end_dim, both included, into one.

    Shapes: x (n, a, b, c) -> (n, a * b * c) by default.
    Args:   start_dim - default 1, after the batch axis; end_dim - default -1, the last.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


def reset_weight_and_bias(weight, bias) -> None:
    """U(-b, b) for both, b = 1 / sqrt(fan_in): what kaiming_uniform_ gives with the slope sqrt(5)."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in = math.prod(weight.shape[1:])
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        init.uniform_(bias, -bound, bound)
