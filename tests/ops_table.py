"""The table of operations. A row gives the operation, its inputs, and NumPy's answer; test_ops.py runs every row.

`Row(name, function, inputs, reference)`: inputs are shapes, or arrays where the domain or the values matter. Arrays
of integers and bools are handed on without a gradient. Values are drawn so that kinks and ties keep their distance.
"""

import math
from dataclasses import dataclass, field

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.backend import device_of, moved
from minigrad.protocols import Move

rng = np.random.default_rng(12345)


@dataclass
class Row:
    name: str
    function: object
    inputs: tuple
    reference: object = None  # a function of arrays; None where a test of its own compares with PyTorch only
    elementwise: bool = False  # also run on 0-d, empty and broadcast inputs
    constants: dict = field(default_factory=dict)

    def arrays(self):
        """The inputs as float64 arrays, always the same for a row."""
        draw = np.random.default_rng(sum(map(ord, self.name)))
        return [distinct(draw, x) if isinstance(x, tuple) else np.array(x) for x in self.inputs]


def distinct(draw, shape):
    """Values in about -2..2, all at least 1/40 apart and away from 0: no ties, and no kink within reach of eps."""
    n = math.prod(shape)
    values = (np.arange(n) - n / 2 + 0.37) * (4 / max(n, 4))
    return draw.permutation(values).reshape(shape)


def positive(*shape):
    return rng.uniform(0.5, 2.0, shape)


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def conv_reference(x, w, b=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """Convolution as it is defined: six loops."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    n, _, h, width = x.shape
    o, per_group, kh, kw = w.shape
    rows = (h - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    cols = (width - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, o, rows, cols))
    for k in range(o):
        first = k // (o // groups) * per_group
        for a in range(rows):
            for e in range(cols):
                top, left = a * stride[0], e * stride[1]
                window = x[
                    :,
                    first : first + per_group,
                    top : top + dilation[0] * (kh - 1) + 1 : dilation[0],
                    left : left + dilation[1] * (kw - 1) + 1 : dilation[1],
                ]
                y[:, k, a, e] = (window * w[k]).sum(axis=(1, 2, 3)) + (0 if b is None else b[k])
    return y


def pool_reference(x, kernel, stride, padding, reduce):
    """Pooling as it is defined: a loop over the windows, NaN where the padding is."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2), constant_values=np.nan)
    rows, cols = ((x.shape[2 + i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    y = np.zeros((*x.shape[:2], rows, cols))
    for a in range(rows):
        for b in range(cols):
            top, left = a * stride[0], b * stride[1]
            y[:, :, a, b] = reduce(x[:, :, top : top + kernel[0], left : left + kernel[1]])
    return y


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


def with_write(index):
    """x with x[index] = v, written in place on a copy."""

    def function(x, v):
        y = mg.clone(x) if isinstance(x, mg.Variable) else mg.Variable(x.copy())
        y[index] = v
        return y

    def reference(x, v):
        y = x.copy()
        y[index] = v
        return y

    return function, reference


def E(name, function, reference, *inputs):  # noqa: N802 - it makes a Row, and stands where Row stands
    return Row(name, function, inputs or ((3, 4),), reference, elementwise=True)


MASK = np.array([[True, False, True], [False, True, True]])
LABELS = np.array([2, 0, 1, 4, 2])

ROWS = [
    # --- elementwise ---
    E("add", lambda a, b: a + b, np.add, (3, 4), (3, 4)),
    E("sub", lambda a, b: a - b, np.subtract, (3, 4), (3, 4)),
    E("mul", lambda a, b: a * b, np.multiply, (3, 4), (3, 4)),
    E("div", lambda a, b: a / b, np.divide, (3, 4), positive(3, 4)),
    E("add alpha", lambda a, b: mg.add(a, b, alpha=2), lambda a, b: a + 2 * b, (3, 4), (3, 4)),
    E("sub alpha", lambda a, b: mg.sub(a, b, alpha=0.5), lambda a, b: a - 0.5 * b, (3, 4), (3, 4)),
    E(
        "div floor",
        lambda a, b: a * mg.div(a, b, rounding_mode="floor"),
        lambda a, b: a * (a // b),
        (3, 4),
        positive(3, 4),
    ),
    E(
        "div trunc",
        lambda a, b: a * mg.div(a, b, rounding_mode="trunc"),
        lambda a, b: a * np.trunc(a / b),
        (3, 4),
        positive(3, 4),
    ),
    E("remainder", lambda a, b: a % b, np.remainder, (3, 4), positive(3, 4)),
    E("add number", lambda a: 2.5 + a + 1, lambda a: a + 3.5),
    E("sub from number", lambda a: 2.5 - a, lambda a: 2.5 - a),
    E("mul number", lambda a: a * -3, lambda a: a * -3),
    E("number div", lambda a: 2 / a, lambda a: 2 / a, positive(3, 4)),
    E("pow", lambda a, b: a**b, np.power, positive(3, 4), (3, 4)),
    E("pow number", lambda a: a**3, lambda a: a**3),
    E("pow 0", lambda a: a**0 + a, lambda a: 1 + a),
    E("pow root", lambda a: a**0.5, np.sqrt, positive(3, 4)),
    E("number pow", lambda a: 2.0**a, lambda a: 2.0**a),
    E("neg", mg.neg, np.negative),
    E("abs", mg.abs, np.abs),
    E("sign", lambda a: mg.sign(a) * a, np.abs),
    E("exp", mg.exp, np.exp),
    E("expm1", mg.expm1, np.expm1),
    E("log", mg.log, np.log, positive(3, 4)),
    E("log1p", mg.log1p, np.log1p, positive(3, 4)),
    E("sqrt", mg.sqrt, np.sqrt, positive(3, 4)),
    E("sin", mg.sin, np.sin),
    E("cos", mg.cos, np.cos),
    E("tanh", mg.tanh, np.tanh),
    E("sigmoid", mg.sigmoid, lambda a: 1 / (1 + np.exp(-a))),
    E("softplus", F.softplus, lambda a: np.log1p(np.exp(a))),
    E("erf", mg.erf, np.vectorize(math.erf, otypes=[float])),
    E("relu", mg.relu, lambda a: np.maximum(a, 0)),
    E("leaky_relu", lambda a: F.leaky_relu(a, 0.2), lambda a: np.where(a > 0, a, 0.2 * a)),
    E("gelu", F.gelu, lambda a: a * (1 + np.vectorize(math.erf, otypes=[float])(a / math.sqrt(2))) / 2),
    E(
        "gelu tanh",
        lambda a: F.gelu(a, approximate="tanh"),
        lambda a: a * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))),
    ),
    E("maximum", mg.maximum, np.maximum, (3, 4), rng.uniform(-2, 2, (3, 4))),
    E("minimum", mg.minimum, np.minimum, (3, 4), rng.uniform(-2, 2, (3, 4))),
    E("where", lambda a, b: mg.where(a > b, a * a, b), lambda a, b: np.where(a > b, a * a, b), (3, 4), positive(3, 4)),
    E("where zero", lambda a: mg.where(a > 0, a * a, 0), lambda a: np.where(a > 0, a * a, 0)),
    E("clamp", lambda a: mg.clamp(a, -1, 1.001), lambda a: np.clip(a, -1, 1.001)),
    E("clamp min", lambda a: mg.clamp(a, min=-0.51), lambda a: np.maximum(a, -0.51)),
    Row("clamp by tensors", lambda a, b: mg.clamp(a, b, b + 1), ((3, 4), (4,)), lambda a, b: np.clip(a, b, b + 1)),
    Row("move", lambda x: Move(mg.device("cpu"))(x) * 1, ((3, 4),), lambda x: x),
    # --- reductions ---
    Row("sum", mg.sum, ((3, 4),), np.sum),
    Row("sum dim", lambda x: mg.sum(x, 1), ((3, 4, 2),), lambda x: x.sum(1)),
    Row(
        "sum dims keep",
        lambda x: mg.sum(x, (0, -1), keepdim=True),
        ((3, 4, 2),),
        lambda x: x.sum((0, 2), keepdims=True),
    ),
    Row("mean", mg.mean, ((3, 4),), np.mean),
    Row("mean dim", lambda x: mg.mean(x, -1, keepdim=True), ((3, 4),), lambda x: x.mean(-1, keepdims=True)),
    Row("var", mg.var, ((3, 4),), lambda x: x.var(ddof=1)),
    Row("var dim", lambda x: mg.var(x, 0, unbiased=False), ((3, 4),), lambda x: x.var(0)),
    Row("std", lambda x: mg.std(x, (0, 2), keepdim=True), ((3, 2, 2),), lambda x: x.std((0, 2), ddof=1, keepdims=True)),
    Row("amax", lambda x: mg.amax(x, (0, 2)), ((3, 4, 2),), lambda x: x.max((0, 2))),
    Row("amin", lambda x: mg.amin(x, 1, keepdim=True), ((3, 4),), lambda x: x.min(1, keepdims=True)),
    Row("max", mg.max, ((3, 4),), np.max),
    Row("max dim", lambda x: mg.max(x, 1)[0] * 2, ((3, 4),), lambda x: x.max(1) * 2),
    Row("min dim", lambda x: mg.min(x, 0, keepdim=True).values, ((3, 4),), lambda x: x.min(0, keepdims=True)),
    Row("logsumexp", lambda x: mg.logsumexp(x, 1), ((3, 4),), lambda x: np.log(np.exp(x).sum(1))),
    Row(
        "logsumexp all",
        lambda x: mg.logsumexp(x, (0, 1), True),
        ((3, 4),),
        lambda x: np.log(np.exp(x).sum(keepdims=True)),
    ),
    Row("softmax", lambda x: mg.softmax(x, 1), ((3, 4, 2),), lambda x: softmax(x, 1)),
    Row("log_softmax", lambda x: mg.log_softmax(x, -1), ((3, 4),), lambda x: np.log(softmax(x, -1))),
    # --- shapes ---
    Row("reshape", lambda x: mg.reshape(x, 2, -1), ((3, 4),), lambda x: x.reshape(2, 6)),
    Row("flatten", lambda x: mg.flatten(x, 1), ((3, 2, 2),), lambda x: x.reshape(3, 4)),
    Row("squeeze", lambda x: mg.squeeze(x, 1), ((3, 1, 2, 1),), lambda x: x[:, 0]),
    Row("unsqueeze", lambda x: mg.unsqueeze(x, -1), ((3, 2),), lambda x: x[..., None]),
    Row("permute", lambda x: mg.permute(x, 2, 0, 1), ((3, 4, 2),), lambda x: x.transpose(2, 0, 1)),
    Row("transpose", lambda x: mg.transpose(x, 0, -1), ((3, 4, 2),), lambda x: x.swapaxes(0, 2)),
    Row("expand", lambda x: mg.expand(x, 2, -1, 4), ((3, 1),), lambda x: np.broadcast_to(x, (2, 3, 4))),
    Row("cat", lambda a, b, c: mg.cat([a, b, c], 1), ((2, 1), (2, 3), (2, 2)), lambda *x: np.concatenate(x, 1)),
    Row("stack", lambda a, b: mg.stack([a, b], -1), ((2, 3), (2, 3)), lambda a, b: np.stack([a, b], -1)),
    Row("split", lambda x: mg.split(x, 2)[1] * mg.split(x, [2, 3])[0], ((5, 2),), lambda x: x[2:4] * x[:2]),
    Row("chunk", lambda x: mg.chunk(x, 2, 1)[1], ((2, 5),), lambda x: x[:, 3:]),
    Row("unbind", lambda x: mg.unbind(x, 1)[2], ((2, 3),), lambda x: x[:, 2]),
    Row(
        "pad",
        lambda x: F.pad(x, (1, 2, 0, 1), value=0.5),
        ((2, 3),),
        lambda x: np.pad(x, ((0, 1), (1, 2)), constant_values=0.5),
    ),
    Row("pad crop", lambda x: F.pad(x, (-1, 1)), ((2, 3),), lambda x: np.pad(x, ((0, 0), (0, 1)))[:, 1:]),
    Row(
        "pad reflect",
        lambda x: F.pad(x, (2, 1), "reflect"),
        ((2, 3),),
        lambda x: np.pad(x, ((0, 0), (2, 1)), "reflect"),
    ),
    Row(
        "pad replicate",
        lambda x: F.pad(x, (2, 1), "replicate"),
        ((2, 3),),
        lambda x: np.pad(x, ((0, 0), (2, 1)), "edge"),
    ),
    Row(
        "pad circular", lambda x: F.pad(x, (2, 1), "circular"), ((2, 3),), lambda x: np.pad(x, ((0, 0), (2, 1)), "wrap")
    ),
    Row("clone", mg.clone, ((2, 3),), np.copy),
    # --- indexing ---
    Row("getitem slice", lambda x: x[1:, ::-2], ((3, 5),), lambda x: x[1:, ::-2]),
    Row("getitem int", lambda x: x[..., None, 1], ((3, 5),), lambda x: x[..., None, 1]),
    Row("getitem array", lambda x: x[[0, 2, 0]], ((3, 2),), lambda x: x[[0, 2, 0]]),
    Row("getitem arrays", lambda x: x[[0, 1, 0], [1, 2, 1]], ((2, 3),), lambda x: x[[0, 1, 0], [1, 2, 1]]),
    Row("getitem mixed", lambda x: x[:, [2, 2, 0], None], ((2, 3),), lambda x: x[:, [2, 2, 0], None]),
    Row("getitem mask", lambda x: x[MASK], ((2, 3),), lambda x: x[MASK]),
    Row("getitem row mask", lambda x: x[:, [True, False, True]], ((2, 3),), lambda x: x[:, [0, 2]]),
    Row("setitem slice", with_write(np.s_[1:, ::2])[0], ((3, 4), (2, 2)), with_write(np.s_[1:, ::2])[1]),
    Row("setitem broadcast", with_write(np.s_[:, 1])[0], ((3, 4), ()), with_write(np.s_[:, 1])[1]),
    Row("setitem array", with_write(np.s_[[0, 2]])[0], ((3, 4), (4,)), with_write(np.s_[[0, 2]])[1]),
    Row("setitem mask", with_write(MASK)[0], ((2, 3), (4,)), with_write(MASK)[1]),
    Row(
        "take_along_dim",
        lambda x, i: mg.take_along_dim(x, i, 1),
        ((2, 3), np.array([[0, 0], [2, 1]])),
        lambda x, i: np.take_along_axis(x, i, 1),
    ),
    # --- products ---
    Row("matmul", mg.matmul, ((3, 4), (4, 2)), np.matmul),
    Row("matmul batched", mg.matmul, ((2, 1, 3, 4), (5, 4, 2)), np.matmul),
    Row("matmul wide", mg.matmul, ((2, 3, 4), (4, 2)), np.matmul),
    Row("matmul vectors", mg.matmul, ((4,), (4,)), np.matmul),
    Row("matmul row", mg.matmul, ((4,), (2, 4, 3)), np.matmul),
    Row("matmul column", mg.matmul, ((2, 3, 4), (4,)), np.matmul),
    Row("linear", F.linear, ((5, 4), (3, 4), (3,)), lambda x, w, b: x @ w.T + b),
    Row("linear deep", F.linear, ((2, 3, 4), (3, 4)), lambda x, w: x @ w.T),
    Row("linear vector", F.linear, ((4,), (3, 4), (3,)), lambda x, w, b: x @ w.T + b),
    # --- windows ---
    Row("conv2d", F.conv2d, ((2, 2, 5, 4), (3, 2, 3, 2), (3,)), conv_reference),
    Row(
        "conv2d options",
        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        ((2, 4, 5, 6), (2, 2, 3, 2), (2,)),
        lambda x, w, b: conv_reference(x, w, b, (2, 1), (1, 2), (1, 2), 2),
    ),
    Row(
        "conv2d same",
        lambda x, w: F.conv2d(x, w, padding="same"),
        ((1, 1, 4, 5), (1, 1, 3, 3)),
        lambda x, w: conv_reference(x, w, padding=(1, 1)),
    ),
    Row("conv2d one image", F.conv2d, ((2, 4, 4), (3, 2, 2, 2)), lambda x, w: conv_reference(x[None], w)[0]),
    Row(
        "conv2d depthwise",
        lambda x, w: F.conv2d(x, w, groups=3),
        ((2, 3, 4, 4), (3, 1, 2, 2)),
        lambda x, w: conv_reference(x, w, groups=3),
    ),
    Row("conv2d 1x1", F.conv2d, ((2, 3, 3, 3), (2, 3, 1, 1)), conv_reference),
    Row(
        "max_pool2d",
        lambda x: F.max_pool2d(x, 2),
        ((2, 2, 4, 6),),
        lambda x: pool_reference(x, (2, 2), (2, 2), (0, 0), lambda w: np.nanmax(w, axis=(2, 3))),
    ),
    Row(
        "max_pool2d overlap",
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 0)),
        ((2, 2, 5, 4),),
        lambda x: pool_reference(x, (3, 2), (2, 1), (1, 0), lambda w: np.nanmax(w, axis=(2, 3))),
    ),
    Row(
        "avg_pool2d",
        lambda x: F.avg_pool2d(x, 2),
        ((2, 2, 4, 6),),
        lambda x: pool_reference(x, (2, 2), (2, 2), (0, 0), lambda w: w.mean(axis=(2, 3))),
    ),
    Row(
        "avg_pool2d padded",
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        ((2, 2, 5, 5),),
        lambda x: pool_reference(x, (3, 3), (2, 2), (1, 1), lambda w: np.nansum(w, axis=(2, 3)) / 9),
    ),
    Row(
        "avg_pool2d uncounted",
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        ((2, 2, 5, 5),),
        lambda x: pool_reference(x, (3, 3), (2, 2), (1, 1), lambda w: np.nanmean(w, axis=(2, 3))),
    ),
    Row(
        "adaptive_avg_pool2d",
        lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
        ((2, 2, 4, 6),),
        lambda x: x.reshape(2, 2, 2, 2, 3, 2).mean((3, 5)),
    ),
    Row(
        "adaptive_avg_pool2d 1",
        lambda x: F.adaptive_avg_pool2d(x, 1),
        ((2, 2, 3, 5),),
        lambda x: x.mean((2, 3), keepdims=True),
    ),
    Row(
        "adaptive_avg_pool2d uneven",
        lambda x: F.adaptive_avg_pool2d(x, (2, None)),
        ((1, 2, 3, 2),),
        lambda x: np.stack([x[:, :, :2].mean(2), x[:, :, 1:].mean(2)], 2),
    ),
    # --- normalization ---
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
    # --- losses ---
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
