"""Losses. Each takes reduction "mean", "sum" or "none"."""

import math
from functools import partial

from ..backend import backend, computed
from ..dtypes import require_floats
from ..errors import DTypeError, IndexRangeError, ShapeError
from ..tape.function import Function, where_it_lies
from ..tape.modes import regions
from ..tape.variable import Variable, as_array, raw
from .activation import log_softmax
from .autocast import wide
from .choose import where
from .compare import bitwise_or, eq, ge, lt
from .elementwise import softplus
from .gather import take_along_dim
from .reduce import logsumexp, mean, sum
from .shape import flatten, permute, reshape


def _reduced(name, loss, reduction):
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", got {reduction!r}')


class CrossEntropy(Function):
    """y[i] = log sum e**x[i] - (1 - s) x[i, target[i]] - s mean x[i],   times scale[i]; s is label smoothing.

    0 where the target is ignore_index; None says that it does not occur.

    gx[i] = gy[i] scale[i] (softmax(x[i]) - (1 - s) onehot(target[i]) - s/c).   Shapes: x (n, c), target, scale (n).
    """

    residuals = ("lse",)

    def __init__(self, ignore_index, smoothing):
        self.ignore_index, self.smoothing = ignore_index, smoothing

    def forward(self, x, target, scale):
        return backend[type(x)].cross_entropy(x, target, scale, self.ignore_index, self.smoothing)

    def backward(self, gy, x, target, scale, lse):
        kernels = backend[type(x)]
        return kernels.cross_entropy_backward(gy, x, target, scale, lse, self.ignore_index, self.smoothing), None, None

    def definition(self, x, target, scale):
        safe = target if self.ignore_index is None else target * (target != self.ignore_index)
        y = logsumexp(x, 1) - take_along_dim(x, safe.reshape(-1, 1), 1).reshape(-1) * (1 - self.smoothing)
        y = y - mean(x, 1) * self.smoothing
        y = y if scale is None else y * scale
        return y if self.ignore_index is None else where(target == self.ignore_index, 0, y)


@where_it_lies
def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """- log softmax(input)[target], for scores that are not yet normalized (logits).

    Shapes: input (n, c), (c) or (n, c, ...) with target (n), () or (n, ...) of class numbers; or target of input's
            shape and a float dtype: probabilities. Result: (), or target's shape without the class axis for "none".
    Args:   weight - one factor per class, (c); "mean" then divides by the sum of the factors used.
            ignore_index - a class number that does not count. label_smoothing - between 0 and 1.
    Raises: ShapeError; DTypeError for class numbers that are not integers; IndexRangeError for one outside of 0..c-1.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if regions:
        input, target, weight = wide(input), wide(target), wide(weight)
    require_floats("cross_entropy", input)
    labels = as_array(target)
    if labels.shape == input.shape and labels.dtype.kind == "f":
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    x, labels, shape = _rows("cross_entropy", input, labels)
    name = "cross_entropy"
    ignore, safe, scale, total = computed(name, partial(_counted, name), raw(x), labels, raw(weight), ignore_index)
    if weight is not None and label_smoothing:  # the smoothed part is weighted by every class, not by the target's
        log_p = log_softmax(x, 1)
        sharp = reshape(take_along_dim(log_p, safe.reshape(-1, 1), 1), -1) * (scale * (label_smoothing - 1))
        smooth = sum(log_p * raw(weight).astype(x.dtype, copy=False), 1) * (label_smoothing / x.shape[1])
        loss = _checked(sharp - smooth, labels, x.shape[1])
        loss = loss if ignore is None else where(eq(labels, ignore), 0, loss)
    else:
        loss = CrossEntropy(ignore, label_smoothing)(x, labels, scale)
    return _finish(name, loss, reduction, total, shape)


class OfNothing(Function):
    """y = 0 / 0, the mean where nothing counts: NaN, and so is the gradient."""

    def __init__(self, name):
        self.name = name

    def forward(self, loss):
        return loss * math.nan

    def backward(self, gy):
        return gy * math.nan


def _finish(name, loss, reduction, total, shape):
    if reduction == "mean" and total is not None:
        loss = sum(loss)
        if backend[type(total)].host and not total:
            return OfNothing(name)(loss)
        return loss / total
    loss = _reduced(name, loss, reduction)
    return reshape(loss, shape) if reduction == "none" else loss


@where_it_lies
def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """- input[target], for log-probabilities. Shapes, arguments and errors as cross_entropy, class numbers only."""
    if regions:
        input, weight = wide(input), wide(weight)
    x, labels, shape = _rows("nll_loss", input, as_array(target))
    name = "nll_loss"
    ignore, safe, scale, total = computed(name, partial(_counted, name), raw(x), labels, raw(weight), ignore_index)
    loss = -reshape(take_along_dim(x, safe.reshape(-1, 1), 1), -1)
    loss = _checked(loss if scale is None else loss * scale, labels, x.shape[1])
    return _finish(name, loss if ignore is None else where(eq(labels, ignore), 0, loss), reduction, total, shape)


def _rows(name, x, labels):
    """(rows (n, c), labels (n), the shape of the labels), from classes on axis 1, or on the only axis."""
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            f"{name}: the target must hold class numbers (int64), and is {labels.dtype} of shape {labels.shape}; "
            f"write target.long(), or give probabilities of x's shape {x.shape}"
        )
    expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if x.ndim == 0 or labels.shape != expected:
        raise ShapeError(
            f"{name}: x (n, c, ...) needs a target (n, ...); x is {x.shape}, so target must be {expected}, "
            f"and is {labels.shape}"
        )
    if x.ndim == 1:
        return reshape(x, (1, -1)), labels.reshape(1), ()
    if x.ndim > 2:
        x = flatten(permute(x, (0, *range(2, x.ndim), 1)), 0, -2)
    return x, labels.reshape(-1), expected


def _counted(name, x, labels, weight, ignore_index):
    """How rows count: (ignore_index, or None if it does not occur; class numbers safe to index with; factors; sum).

    Factors and their sum are None where every row counts once. The labels are looked at where that costs no waiting
    for a device: there, a label outside of the classes makes its loss NaN instead of an error.
    """
    c = x.shape[1]
    if backend[type(labels)].checks_indices:
        if labels.size and (labels.min() < 0 or labels.max() >= c or ignore_index >= 0):
            counts = labels != ignore_index
            for wrong in ((labels * counts).min(), (labels * counts).max()):
                if not 0 <= wrong < c:
                    raise IndexRangeError(
                        f"{name}: target {wrong} is outside of the {c} classes 0..{c - 1}; x is {x.shape}"
                    )
        else:
            ignore_index = None
    counts = None if ignore_index is None else labels != ignore_index
    safe = labels if counts is None else labels * counts
    if weight is None:
        return ignore_index, safe, None, None if counts is None else counts.sum()
    if weight.shape != (c,):
        raise ShapeError(f"{name}: weight must have one factor for each of the {c} classes, got {weight.shape}")
    factors = weight.astype(x.dtype, copy=False)[safe]
    factors = factors if counts is None else factors * counts
    return ignore_index, safe, factors, factors.sum()


def _checked(loss, labels, c):
    """The losses of rows; NaN on a device for class numbers outside of 0..c-1, which the host has refused before."""
    if backend[type(labels)].host:
        return loss
    return where(bitwise_or(lt(labels, 0), ge(labels, c)), math.nan, loss)


def _soft_cross_entropy(x, target, weight, reduction, smoothing):
    axis = 1 if x.ndim > 1 else 0
    if smoothing:
        target = target * (1 - smoothing) + smoothing / x.shape[axis]
    loss = log_softmax(x, axis) * target
    if weight is not None and weight.shape != x.shape[axis : axis + 1]:
        raise ShapeError(
            f"cross_entropy: weight must have one factor for each of the {x.shape[axis]} classes, got {weight.shape}"
        )
    if weight is not None:
        loss = loss * reshape(weight, (-1, *(1,) * (x.ndim - axis - 1)))
    loss = -sum(loss, axis)
    return mean(loss) if reduction == "mean" else _reduced("cross_entropy", loss, reduction)


def _same_shape(name, x, target):
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: x is {x.shape}, target {target.shape}; they must be equal: broadcasting here is nearly always a "
            "mistake. Write target.reshape(x.shape) or x.squeeze()"
        )


def mse_loss(input, target, reduction="mean"):
    """(input - target) ** 2.

    Shapes: input and target the same. Raises: ShapeError where they differ.
    """
    target = target if isinstance(target, Variable) else as_array(target)
    if regions:
        input, target = wide(input), wide(target)
    _same_shape("mse_loss", input, target)
    difference = input - target
    return _reduced("mse_loss", difference * difference, reduction)


@where_it_lies
def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """- target log sigmoid(input) - (1 - target) log(1 - sigmoid(input)), without overflow.

    Shapes: input and target (floats in 0..1) the same; weight broadcasts with them; pos_weight too: a factor on the
            positive part. Raises: ShapeError where they differ, DTypeError for a target that is not float.
    """
    target = target if isinstance(target, Variable) else as_array(target)
    if regions:
        input, target, weight, pos_weight = wide(input), wide(target), wide(weight), wide(pos_weight)
    name = "binary_cross_entropy_with_logits"
    _same_shape(name, input, target)
    if target.dtype.kind != "f":
        raise DTypeError(f"{name}: the target must be float, and is {target.dtype}; write target.float()")
    if pos_weight is None:
        loss = softplus(input) - input * target
    else:
        loss = input * (1 - target) + softplus(-input) * (target * (pos_weight - 1) + 1)
    return _reduced(name, loss if weight is None else loss * weight, reduction)
