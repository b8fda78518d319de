"""Initial values, written in place: drawn on the host, so that one seed gives the same weights on every device.

    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

With fan_in = the inputs that one output sums over, and fan_out = the outputs that one input goes to, a variance of
gain^2 / fan keeps the variance of activations (fan_in) or of gradients (fan_out) from layer to layer.
"""

import math

import numpy as np

from ..backend import device_of, moved
from ..errors import DTypeError, ShapeError
from ..ops.random import generator as current_generator
from ..tape import Variable, assign, wrote

_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1 + 0.01**2)),
    "selu": 3.0 / 4.0,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights before `nonlinearity` must be larger to make up for what it takes.

    Args:   param - the negative slope of leaky_relu, default 0.01.
    Raises: ValueError for a nonlinearity without a known gain.
    Source: PyTorch, torch.nn.init.calculate_gain; leaky_relu: sqrt(2 / (1 + slope^2)), arXiv:1502.01852, eq. 15.
    """
    if nonlinearity not in _GAINS:
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are {', '.join(_GAINS)}")
    if nonlinearity != "leaky_relu" or param is None:
        return _GAINS[nonlinearity]
    if isinstance(param, bool) or not isinstance(param, int | float):
        raise ValueError(f"calculate_gain: the slope of leaky_relu is a number, not {param!r}")
    return math.sqrt(2.0 / (1 + param**2))


def uniform_(tensor: Variable, a: float = 0.0, b: float = 1.0, generator=None) -> Variable:
    """Fill with draws from U(a, b). Returns `tensor`.

    Args:   generator - numpy.random.Generator; default the one that mg.manual_seed seeds.
    Raises: ValueError if a > b; DTypeError if `tensor` is not floating.
    """
    _check("uniform_", tensor)
    if a > b:
        raise ValueError(f"uniform_: the interval from a={a} to b={b} is empty; a must not be above b")
    return _write(tensor, (generator or current_generator()).uniform(a, b, tensor.shape))


def normal_(tensor: Variable, mean: float = 0.0, std: float = 1.0, generator=None) -> Variable:
    """Fill with draws from N(mean, std^2). Returns `tensor`.

    Args:   generator - numpy.random.Generator; default the one that mg.manual_seed seeds.
    Raises: ValueError if std < 0; DTypeError if `tensor` is not floating.
    """
    _check("normal_", tensor)
    if std < 0:
        raise ValueError(f"normal_: expected std >= 0, got {std}")
    return _write(tensor, (generator or current_generator()).normal(mean, std, tensor.shape))


def constant_(tensor: Variable, val: float) -> Variable:
    """Fill with `val`. Returns `tensor`."""
    _check("constant_", tensor, kinds="fiub")
    return _write(tensor, val)


def ones_(tensor: Variable) -> Variable:
    """Fill with 1. Returns `tensor`."""
    _check("ones_", tensor, kinds="fiub")
    return _write(tensor, 1)


def zeros_(tensor: Variable) -> Variable:
    """Fill with 0. Returns `tensor`."""
    _check("zeros_", tensor, kinds="fiub")
    return _write(tensor, 0)


def xavier_uniform_(tensor: Variable, gain: float = 1.0, generator=None) -> Variable:
    """Fill with draws from U(-b, b), b = gain sqrt(6 / (fan_in + fan_out)). Returns `tensor`.

    Shapes: tensor (out, in, ...), further axes those of a kernel.
    Raises: ShapeError for fewer than 2 axes; DTypeError if `tensor` is not floating.
    Source: Glorot and Bengio 2010, eq. 16.
    """
    fan_in, fan_out = _fans("xavier_uniform_", tensor)
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out)) if tensor.data.size else 0.0
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Variable, gain: float = 1.0, generator=None) -> Variable:
    """Fill with draws from N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out)). Returns `tensor`.

    Shapes: tensor (out, in, ...), further axes those of a kernel.
    Raises: ShapeError for fewer than 2 axes; DTypeError if `tensor` is not floating.
    Source: Glorot and Bengio 2010, eq. 12.
    """
    fan_in, fan_out = _fans("xavier_normal_", tensor)
    std = gain * math.sqrt(2.0 / (fan_in + fan_out)) if tensor.data.size else 0.0
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None
) -> Variable:
    """Fill with draws from U(-b, b), b = gain sqrt(3 / fan). Returns `tensor`.

    Shapes: tensor (out, in, ...), further axes those of a kernel.
    Args:   a - negative slope of the leaky_relu that follows, default 0: relu.
            mode - "fan_in" keeps the variance of activations, "fan_out" that of gradients.
            nonlinearity - what follows, as in `calculate_gain`.
    Raises: ShapeError for fewer than 2 axes; ValueError for an unknown mode or nonlinearity; DTypeError if
            `tensor` is not floating.
    Source: He et al. 2015, arXiv:1502.01852, eq. 10 and 14.
    """
    bound = math.sqrt(3.0) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None
) -> Variable:
    """Fill with draws from N(0, std^2), std = gain / sqrt(fan). Returns `tensor`.

    Shapes, Args, Raises, Source: as `kaiming_uniform_`.
    """
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(caller, tensor, a, mode, nonlinearity):
    fans = dict(zip(("fan_in", "fan_out"), _fans(caller, tensor), strict=True))
    if mode not in fans:
        raise ValueError(f'{caller}: expected mode "fan_in" or "fan_out", got {mode!r}')
    gain = calculate_gain(nonlinearity, a)
    return gain / math.sqrt(fans[mode]) if tensor.data.size else 0.0


def _fans(caller, tensor):
    """(fan_in, fan_out) of a weight (out, in, ...)."""
    _check(caller, tensor)
    if tensor.ndim < 2:
        raise ShapeError(
            f"{caller}: fan_in and fan_out need a weight with 2 or more axes (out, in, ...), got {tensor.shape}; "
            "for a bias take uniform_ or zeros_"
        )
    outputs, inputs, *kernel = tensor.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def _check(caller, tensor, kinds="f"):
    if not isinstance(tensor, Variable):
        raise TypeError(f"{caller}: expected a Variable to write into, got {type(tensor).__name__}")
    if tensor.dtype.kind not in kinds:
        raise DTypeError(f"{caller}: expected a floating Variable, got {tensor.dtype}")


def _write(tensor, values):
    """Into the array itself, past the tape: nothing is recorded, whatever the grad mode."""
    assign("init", tensor.data, moved(np.asarray(values, tensor.dtype), device_of(tensor.data)))
    wrote(tensor)
    return tensor
