"""Normalization and losses."""

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.backend import device_of, moved

from .row import Row, rng

LABELS = np.array([2, 0, 1, 4, 2])


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def norm_reference(x, axes, weight=1, bias=0):
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def over_channels(p, x):
    return p.reshape(-1, *(1,) * (x.ndim - 2))


def cross_entropy_reference(x, target, weight=None, ignore=-100, smoothing=0.0, reduce=True):
    x = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    target = np.reshape(target, -1)
    log_p = np.log(softmax(x, 1))
    w = np.ones(x.shape[1]) if weight is None else weight
    keep = target != ignore
    safe = np.where(keep, target, 0)
    sharp = -log_p[np.arange(len(x)), safe] * w[safe] * keep
    smooth = -(log_p * w).sum(axis=1) * keep / x.shape[1]
    loss = (1 - smoothing) * sharp + smoothing * smooth
    return loss.sum() / (w[safe] * keep).sum() if reduce else loss


def beside(x, values):
    """Constants as an array of x's dtype, on x's device."""
    return moved(np.asarray(values, x.dtype), device_of(x.data if isinstance(x, mg.Variable) else x))


ROWS = [
    Row(
        "layer_norm",
        lambda x, w, b: F.layer_norm(x, 4, w, b),
        ((3, 4), (4,), (4,)),
        lambda x, w, b: norm_reference(x, -1, w, b),
    ),
    Row("layer_norm plain", lambda x: F.layer_norm(x, (2, 2)), ((3, 2, 2),), lambda x: norm_reference(x, (1, 2))),
    Row(
        "batch_norm",
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        ((4, 3), (3,), (3,)),
        lambda x, w, b: norm_reference(x, 0, w, b),
    ),
    Row(
        "batch_norm images",
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        ((2, 3, 2, 2), (3,), (3,)),
        lambda x, w, b: norm_reference(x, (0, 2, 3), over_channels(w, x), over_channels(b, x)),
    ),
    Row(
        "batch_norm eval",
        lambda x, w, b: F.batch_norm(x, beside(x, [0.1, 0.2, 0.3]), beside(x, [1.0, 2.0, 3.0]), w, b),
        ((2, 3, 2), (3,), (3,)),
        lambda x, w, b: (
            (x - over_channels(np.array([0.1, 0.2, 0.3]), x))
            / np.sqrt(over_channels(np.array([1.0, 2.0, 3.0]), x) + 1e-5)
            * over_channels(w, x)
            + over_channels(b, x)
        ),
    ),
    Row(
        "group_norm",
        lambda x, w, b: F.group_norm(x, 2, w, b),
        ((2, 4, 3), (4,), (4,)),
        lambda x, w, b: (
            norm_reference(x.reshape(2, 2, 2, 3), (2, 3)).reshape(2, 4, 3) * over_channels(w, x) + over_channels(b, x)
        ),
    ),
    Row("cross_entropy", F.cross_entropy, ((5, 6), LABELS), cross_entropy_reference),
    Row(
        "cross_entropy sum",
        lambda x, t: F.cross_entropy(x, t, reduction="sum"),
        ((5, 6), LABELS),
        lambda x, t: cross_entropy_reference(x, t) * 5,
    ),
    Row("cross_entropy images", F.cross_entropy, ((2, 3, 2), np.array([[0, 2], [1, 1]])), cross_entropy_reference),
    Row(
        "cross_entropy options",
        lambda x, t: F.cross_entropy(
            x, t, weight=beside(x, range(1, 7)), ignore_index=4, label_smoothing=0.1, reduction="none"
        ),
        ((5, 6), LABELS),
        lambda x, t: cross_entropy_reference(x, t, np.arange(1.0, 7.0), 4, 0.1, reduce=False),
    ),
    Row(
        "cross_entropy weighted",
        lambda x, t: F.cross_entropy(x, t, weight=beside(x, range(1, 7)), ignore_index=4),
        ((5, 6), LABELS),
        lambda x, t: cross_entropy_reference(x, t, np.arange(1.0, 7.0), 4),
    ),
    Row(
        "cross_entropy smooth",
        lambda x, t: F.cross_entropy(x, t, label_smoothing=0.3),
        ((5, 6), LABELS),
        lambda x, t: cross_entropy_reference(x, t, smoothing=0.3),
    ),
    Row(
        "cross_entropy soft",
        lambda x, t: F.cross_entropy(x, mg.softmax(t, 1)),
        ((3, 4), (3, 4)),
        lambda x, t: -(np.log(softmax(x, 1)) * softmax(t, 1)).sum() / 3,
    ),
    Row("nll_loss", F.nll_loss, ((5, 6), LABELS), lambda x, t: -x[np.arange(5), t].mean()),
    Row("mse_loss", F.mse_loss, ((3, 4), (3, 4)), lambda x, t: ((x - t) ** 2).mean()),
    Row(
        "bce_with_logits",
        F.binary_cross_entropy_with_logits,
        ((3, 4), rng.uniform(0, 1, (3, 4))),
        lambda x, t: -(t * np.log(1 / (1 + np.exp(-x))) + (1 - t) * np.log(1 / (1 + np.exp(x)))).mean(),
    ),
    Row(
        "bce_with_logits weighted",
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none", pos_weight=beside(x, [1, 2, 3, 4])),
        ((3, 4), rng.uniform(0, 1, (3, 4))),
        lambda x, t: (
            -(t * np.array([1.0, 2, 3, 4]) * np.log(1 / (1 + np.exp(-x))) + (1 - t) * np.log(1 / (1 + np.exp(x))))
        ),
    ),
]
