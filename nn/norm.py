"""Normalization layers: BatchNorm1d, BatchNorm2d, LayerNorm, GroupNorm.

Each subtracts a mean and divides by a deviation; they differ in what these are taken over: the batch, for each
channel (batch norm); one sample's last axes (layer norm); one sample's channels, in groups (group norm).
"""

from ..dtypes import int64
from ..errors import ShapeError
from ..ops.create import ones, zeros
from ..tape.modes import recomputing
from . import functional as F
from . import init
from .module import Module
from .parameter import empty


class _Norm(Module):
    """A scale `weight`, first 1, and a shift `bias`, first 0; either may be absent."""

    def _make_scale_and_shift(self, shape, weight, bias, device, dtype):
        self.register_parameter("weight", empty(shape, device, dtype) if weight else None)
        self.register_parameter("bias", empty(shape, device, dtype) if weight and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _BatchNorm(_Norm):
    _axes: tuple[int, ...]
    _expected: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype, device=device) if tracked else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype, device=device) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=int64, device=device) if tracked else None)
        self._make_scale_and_shift(num_features, affine, bias, device, dtype)

    def reset_running_stats(self) -> None:
        """Forget what was tracked: mean 0, variance 1, no batches."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0, and forget what was tracked."""
        self.reset_running_stats()
        super().reset_parameters()

    def forward(self, x):
        self._check(x)
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        if not self.training:
            return F.batch_norm(x, mean, var, self.weight, self.bias, mean is None, 0.0, self.eps)
        if not self.track_running_stats:
            mean = var = count = None
        momentum = self.momentum
        if momentum is None:  # 1/n for the n-th batch makes the plain average of all
            momentum = 0.0 if count is None else 1.0 / (count.detach() + 1).double()
        y = F.batch_norm(x, mean, var, self.weight, self.bias, True, momentum, self.eps)
        if count is not None and not recomputing.get():
            count.data = (count.detach() + 1).data  # new memory: the tape need not look
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _check(self, x):
        if x.ndim not in self._axes:
            raise ShapeError(f"{type(self).__name__}: expected {self._expected}, got {x.shape}")
        if x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: x has {x.shape[1]} channels (axis 1), num_features is {self.num_features}; "
                f"x is {x.shape}"
            )


class BatchNorm1d(_BatchNorm):
    """y = weight (x - mean) / sqrt(var + eps) + bias, for each feature over the batch.

    In training, mean and var are the batch's, and running_mean += momentum (mean - running_mean), likewise
    running_var with the unbiased variance. In evaluation, mean and var are the running ones.

    Shapes: x (n, c) or (n, c, length) -> y like x; weight, bias and running statistics (c,), c = num_features.
    Args:   num_features - the number of features or channels, axis 1.
            eps - added to the variance, default 1e-5.
            momentum - weight of the newest batch in the running statistics, default 0.1; None: their plain average.
            affine - scale and shift, default True; bias=False: scale alone.
            track_running_stats - default True; False: the batch's own statistics in evaluation too.
    Raises: ShapeError for a wrong number of axes or channels, or a training batch with one value per channel.
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    _axes, _expected = (2, 3), "2 axes (n, c) or 3 axes (n, c, length)"


class BatchNorm2d(_BatchNorm):
    """y = weight (x - mean) / sqrt(var + eps) + bias, for each channel over the batch and the image.

    Shapes: x (n, c, h, w) -> y like x; weight, bias and running statistics (c,), c = num_features.
    Args, Raises, Source: as BatchNorm1d.
    """

    _axes, _expected = (4,), "4 axes (n, c, h, w)"


class LayerNorm(_Norm):
    """y = weight (x - mean) / sqrt(var + eps) + bias, for each sample over its last axes.

    Shapes: x (..., *normalized_shape) -> y like x; weight and bias normalized_shape.
    Args:   normalized_shape - a number or a tuple: the last axes of x.
            eps - added to the variance, default 1e-5.
            elementwise_affine - scale and shift, default True; bias=False: scale alone.
    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """

    def __init__(
        self,
        normalized_shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make_scale_and_shift(self.normalized_shape, elementwise_affine, bias, device, dtype)

    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(_Norm):
    """y = weight (x - mean) / sqrt(var + eps) + bias, for each sample over each group of channels.

    Shapes: x (n, num_channels, ...) -> y like x; weight and bias (num_channels,).
    Args:   num_groups - into how many equal groups the channels are split.
            eps - added to the variance, default 1e-5.
            affine - scale and shift each channel, default True; bias=False: scale alone.
    Raises: ShapeError if num_groups does not divide num_channels.
    Source: Wu and He 2018, arXiv:1803.08494.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ShapeError(f"GroupNorm: num_groups {num_groups} must divide num_channels {num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._make_scale_and_shift(num_channels, affine, bias, device, dtype)

    def forward(self, x):
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
