"""Normalization. One fused operation under batch_norm, layer_norm and group_norm; they differ in the axes."""

import math

from ..backend import backend, device_of, gpu, moved, together
from ..dtypes import require_floats
from ..errors import ShapeError
from ..tape.function import Function, where_it_lies
from ..tape.modes import recomputing, regions
from ..tape.variable import raw
from .autocast import is_half, narrow, wide
from .elementwise import sqrt
from .reduce import mean
from .shape import reshape


class Normalize(Function):
    """y = (x - mean) * rstd * weight + bias,   rstd = (var + eps) ** -0.5, over `axes`.

        xhat = (x - mean) * rstd,   g = gy * weight
        gx = rstd * (g - mean(g) - xhat * mean(g * xhat));   gweight = sum(gy * xhat);   gbias = sum(gy)

    Shapes: weight and bias (or None) broadcast with x.      Source: arXiv:1502.03167 and arXiv:1607.06450.
    """

    residuals = ("mean", "rstd")

    def __init__(self, axes, eps, observe=None):
        self.axes, self.eps, self.observe = axes, eps, observe

    def forward(self, x, weight, bias):
        y, average, variance, rstd = backend[type(x)].normalize(x, weight, bias, self.axes, self.eps)
        if self.observe is not None:
            self.observe(average, variance)
        return y, average, rstd

    def backward(self, gy, x, weight, bias, mean, rstd):
        wants = [edge is not None for edge in self.wants]
        return backend[type(x)].normalize_backward(gy, x, weight, mean, rstd, self.axes, wants)

    def definition(self, x, weight, bias):
        centered = x - mean(x, self.axes, keepdim=True)
        y = centered / sqrt(mean(centered * centered, self.axes, keepdim=True) + self.eps)
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    def check(self, x, weight, bias):
        for name, p in (("weight", weight), ("bias", bias)):
            if p is not None and p.dtype != x.dtype:
                raise ShapeError(f"normalize: {name} is {p.dtype}, x {x.dtype}")


def _per_channel(name, what, p, x):
    """A (c,) parameter shaped to broadcast over (n, c, ...)."""
    if p is None:
        return None
    if p.shape != (x.shape[1],):
        raise ShapeError(f"{name}: {what} must be ({x.shape[1]},) for the channels of x {x.shape}, got {p.shape}")
    return reshape(p, (-1, *(1,) * (x.ndim - 2)))


@where_it_lies
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Each channel normalized over the batch (training), or by the running statistics.

    Shapes: input (n, c) or (n, c, ...); running_mean, running_var, weight, bias (c) or None.
    Args:   momentum - how much of the running statistics each batch replaces, a number or a Variable of one element;
            they are updated when training.
    Raises: ShapeError if a parameter does not match the channels, or training sees one value per channel.
    Source: arXiv:1502.03167. The running variance is unbiased, the one that normalizes is not, as in PyTorch.
    """
    require_floats("batch_norm", input)
    if input.ndim < 2:
        raise ShapeError(f"batch_norm: expected (n, c) or (n, c, ...), got {input.shape}")
    if regions and is_half(input) and (not training or backend[type(raw(input))].host):
        # The result is float16 again. In training, a device's kernel has float32 inside, and needs no casts.
        return narrow(batch_norm(wide(input), running_mean, running_var, weight, bias, training, momentum, eps))
    w, b = _per_channel("batch_norm", "weight", weight, input), _per_channel("batch_norm", "bias", bias, input)
    if not training:
        if running_mean is None or running_var is None:
            raise ShapeError("batch_norm: outside of training, running_mean and running_var must be given")
        center = _per_channel("batch_norm", "running_mean", running_mean, input)
        scale = 1 / sqrt(_per_channel("batch_norm", "running_var", running_var, input) + eps)
        y = (input - center) * (scale if w is None else scale * w)
        return y if b is None else y + b
    for what, p in (("running_mean", running_mean), ("running_var", running_var)):
        _per_channel("batch_norm", what, p, input)
    n = math.prod(input.shape) // max(1, input.shape[1])
    if n <= 1:
        raise ShapeError(f"batch_norm: training needs more than one value per channel; x is {input.shape}")

    def observe(mean, variance):
        # Into new memory: overwriting the old would make the tape look twice at every node of the step.
        for running, now in ((running_mean, mean), (running_var, variance * (n / (n - 1)))):
            old = running.data
            running.data = (old * (1 - share) + now.reshape(old.shape) * share).astype(old.dtype, copy=False)

    share = raw(momentum)
    if gpu:
        together("batch_norm", [raw(input), raw(running_mean), raw(running_var)])
        share = moved(share, device_of(raw(input))) if hasattr(share, "dtype") else share
    track = running_mean is not None and running_var is not None and (hasattr(share, "dtype") or share != 0)
    track = track and not recomputing.get()  # a checkpoint has counted this batch before
    return Normalize((0, *range(2, input.ndim)), eps, observe if track else None)(input, w, b)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """The last axes, of sizes normalized_shape, normalized for each of the leading ones.

    Shapes: input (..., *normalized_shape); weight, bias normalized_shape or None.
    Raises: ShapeError if the shapes do not match.      Source: arXiv:1607.06450.
    """
    if regions:
        input, weight, bias = wide(input), wide(weight), wide(bias)
    require_floats("layer_norm", input)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ShapeError(f"layer_norm: x must end in normalized_shape {shape}, and is {input.shape}")
    for what, p in (("weight", weight), ("bias", bias)):
        if p is not None and p.shape != shape:
            raise ShapeError(f"layer_norm: {what} must be {shape} like normalized_shape, got {p.shape}")
    return Normalize(tuple(range(input.ndim - len(shape), input.ndim)), eps)(input, weight, bias)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """The channels in num_groups groups, each group of each image normalized.

    Shapes: input (n, c, ...); weight, bias (c) or None.
    Raises: ShapeError if num_groups does not divide c.      Source: arXiv:1803.08494.
    """
    require_floats("group_norm", input)
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise ShapeError(f"group_norm: num_groups {num_groups} must divide the channels of x {input.shape}")
    if regions:
        input, weight, bias = wide(input), wide(weight), wide(bias)
    n, c = input.shape[:2]
    w, b = (_per_channel("group_norm", what, p, input) for what, p in (("weight", weight), ("bias", bias)))
    inside = (1,) * (input.ndim - 2)
    grouped = (num_groups, c // num_groups, *inside)
    x = reshape(input, (n, num_groups, c // num_groups, *input.shape[2:]))
    w, b = None if w is None else reshape(w, grouped), None if b is None else reshape(b, grouped)
    return reshape(Normalize(tuple(range(2, x.ndim)), eps)(x, w, b), input.shape)
