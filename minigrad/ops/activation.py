"""Activations beyond the elementary ones, and the softmax family."""

import math

from ..backend import backend
from ..dtypes import number, promote, require_floats
from ..errors import ShapeError
from ..tape.function import Function
from ..tape.modes import regions
from ..tape.variable import Variable
from .autocast import wide
from .choose import where
from .elementwise import erf, exp, tanh
from .make import Elementwise, lib, unary
from .shape import axis_of

__all__ = ["gelu", "leaky_relu", "log_softmax", "softmax"]


class LeakyRelu(Elementwise):
    """y = x where x > 0, else slope * x."""

    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        kernels = backend[type(x)].elementwise.get("leaky_relu")
        return lib(x).where(x > 0, x, x * self.slope) if kernels is None else kernels[0](x, self.slope)

    def backward(self, gy, x):
        kernels = None if isinstance(gy, Variable) else backend[type(gy)].elementwise.get("leaky_relu")
        return where(x > 0, gy, gy * self.slope) if kernels is None else kernels[1](gy, x, self.slope)


def leaky_relu(input, negative_slope=0.01):
    """input where it is positive, else negative_slope * input."""
    require_floats("leaky_relu", input)
    return LeakyRelu(number(negative_slope))(input)


def _gelu_backward(self, gy, x):
    below = (erf(x * math.sqrt(0.5)) + 1) * 0.5
    density = exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return gy * (below + x * density)


_gelu = unary(
    "gelu",
    "x P(X < x) for a standard normal X",
    lambda self, x: x * (erf(x * math.sqrt(0.5)) + 1) * 0.5,
    _gelu_backward,
    promote,
)


def gelu(input, approximate="none"):
    """x P(X < x) for a standard normal X; approximate="tanh": 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x**3))).

    Source: arXiv:1606.08415.
    """
    require_floats("gelu", input)
    if approximate == "none":
        return _gelu(input)
    if approximate != "tanh":
        raise ValueError(f'gelu: approximate must be "none" or "tanh", got {approximate!r}')
    return input * 0.5 * (tanh((input + input * input * input * 0.044715) * math.sqrt(2 / math.pi)) + 1)


class Softmax(Function):
    """y = e**x / sum e**x along an axis."""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return backend[type(x)].softmax(x, self.axis)

    def backward(self, gy, y):
        if not isinstance(gy, Variable):
            return backend[type(gy)].softmax_backward(gy, y, self.axis)
        g = gy * y
        return g - y * g.sum(axis=self.axis, keepdims=True)


class LogSoftmax(Function):
    """y = x - log sum e**x along an axis."""

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return backend[type(x)].log_softmax(x, self.axis)

    def backward(self, gy, y):
        if not isinstance(gy, Variable):
            return backend[type(gy)].log_softmax_backward(gy, y, self.axis)
        return gy - exp(y) * gy.sum(axis=self.axis, keepdims=True)


def _along(name, x, dim):
    if dim is None:
        raise ShapeError(f"{name}: say along which axis, as in {name}(x, dim=-1); x is {x.shape}")
    require_floats(name, x)
    return axis_of(name, x, dim)


def softmax(input, dim=None, *, dtype=None):
    """e**input / sum e**input along `dim`: positive numbers that add up to 1. `dtype` converts input first."""
    if dtype is not None:
        input = input.astype(dtype)
    elif regions:
        input = wide(input)
    return Softmax(_along("softmax", input, dim))(input)


def log_softmax(input, dim=None, *, dtype=None):
    """input - log sum e**input along `dim`: the logarithm of softmax, without overflow. `dtype` converts first."""
    if dtype is not None:
        input = input.astype(dtype)
    elif regions:
        input = wide(input)
    return LogSoftmax(_along("log_softmax", input, dim))(input)
