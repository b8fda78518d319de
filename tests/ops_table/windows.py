"""Convolution and pooling."""

import numpy as np

import minigrad.nn.functional as F

from .row import Row


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


ROWS = [
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
]
