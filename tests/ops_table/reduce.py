"""Over axes."""

import numpy as np

import minigrad as mg

from .row import Row


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


ROWS = [
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
]
