"""Activations as layers: ReLU, LeakyReLU, GELU, Sigmoid, Tanh, Softmax, LogSoftmax. Shapes: x (any) -> y like x."""

from . import functional as F
from .module import Module


class ReLU(Module):
    """y = max(x, 0).

    Args: inplace - accepted for PyTorch's signature; the result is a new array in any case.
    """

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, x):
        return F.relu(x)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """y = x where x > 0, else negative_slope * x.

    Args: negative_slope - default 0.01.
          inplace - accepted for PyTorch's signature; the result is a new array in any case.
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, x):
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class GELU(Module):
    """y = x Phi(x), Phi the normal distribution function; approximate="tanh": by tanh.

    Args:   approximate - "none" (default) or "tanh".
    Raises: ValueError for another word.
    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """

    def __init__(self, approximate: str = "none"):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: expected approximate "none" or "tanh", got {approximate!r}')
        self.approximate = approximate

    def forward(self, x):
        return F.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x))."""

    def forward(self, x):
        return F.sigmoid(x)


class Tanh(Module):
    """y = tanh(x)."""

    def forward(self, x):
        return F.tanh(x)


class Softmax(Module):
    """y = exp(x) / sum of exp(x) along `dim`: positive numbers that sum to 1.

    Args:   dim - the axis.
    Raises: ShapeError in forward where no dim is given; PyTorch guesses then, and warns that it does.
    """

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return F.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """y = x - log(sum of exp(x) along `dim`): the logarithm of softmax, without its underflow.

    Args:   dim - the axis.
    Raises: ShapeError in forward where no dim is given; PyTorch guesses then, and warns that it does.
    """

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return F.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
