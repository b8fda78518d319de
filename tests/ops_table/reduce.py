"""Over axes: sums, products, variances, extremes, lengths."""

import numpy as np

import minigrad as mg

from .row import Row


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def length(p, axis, keepdims=False):
    return lambda x: np.sum(abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


ZEROS = np.array([[1.5, 0.0, 2.0, -1.0], [0.5, 2.0, -2.0, 1.2], [0.0, 0.0, 3.0, 0.0]])  # none, one, and more in a line

ROWS = [
    Row("sum", mg.sum, ((3, 4),), np.sum),
    Row("sum dim", lambda x: mg.sum(x, 1), ((3, 4, 2),), lambda x: x.sum(1)),
    Row(
        "sum dims keep",
        lambda x: mg.sum(x, (0, -1), keepdim=True),
        ((3, 4, 2),),
        lambda x: x.sum((0, 2), keepdims=True),
    ),
    Row("nansum", lambda x: mg.nansum(x, 1), ((3, 4),), lambda x: np.nansum(x, 1)),
    Row("mean", mg.mean, ((3, 4),), np.mean),
    Row("mean dim", lambda x: mg.mean(x, -1, keepdim=True), ((3, 4),), lambda x: x.mean(-1, keepdims=True)),
    Row("nanmean", lambda x: mg.nanmean(x, 0, True), ((3, 4),), lambda x: np.nanmean(x, 0, keepdims=True)),
    Row("var", mg.var, ((3, 4),), lambda x: x.var(ddof=1)),
    Row("var dim", lambda x: mg.var(x, 0, unbiased=False), ((3, 4),), lambda x: x.var(0)),
    Row(
        "var keep",
        lambda x: mg.var(x, (0, 2), keepdim=True),
        ((3, 2, 2),),
        lambda x: x.var((0, 2), ddof=1, keepdims=True),
    ),
    Row("std", lambda x: mg.std(x, (0, 2), keepdim=True), ((3, 2, 2),), lambda x: x.std((0, 2), ddof=1, keepdims=True)),
    Row("std dim", lambda x: mg.std(x, 1, correction=2), ((3, 4),), lambda x: x.std(1, ddof=2)),
    Row("var_mean", lambda x: mg.mul(*mg.var_mean(x, 1)), ((3, 4),), lambda x: x.var(1, ddof=1) * x.mean(1)),
    Row("std_mean", lambda x: mg.mul(*mg.std_mean(x, False)), ((3, 4),), lambda x: x.std() * x.mean()),
    Row("prod", mg.prod, ((3, 2),), np.prod),
    Row("prod dim", lambda x: mg.prod(x, 1), ((3, 4, 2),), lambda x: x.prod(1)),
    Row("prod keep", lambda x: mg.prod(x, 0, keepdim=True), ((3, 4),), lambda x: x.prod(0, keepdims=True)),
    Row("prod zeros", lambda x: mg.prod(x, 1), (ZEROS,), lambda x: x.prod(1)),
    Row("prod zeros all", mg.prod, (ZEROS[:2],), np.prod),
    Row("prod one", lambda x: mg.prod(x, 1), ((3, 1),), lambda x: x.prod(1)),
    Row("amax", lambda x: mg.amax(x, (0, 2)), ((3, 4, 2),), lambda x: x.max((0, 2))),
    Row("amax all", lambda x: mg.amax(x, keepdim=True), ((3, 4),), lambda x: x.max(keepdims=True)),
    Row("amin", lambda x: mg.amin(x, 1, keepdim=True), ((3, 4),), lambda x: x.min(1, keepdims=True)),
    Row("aminmax", lambda x: mg.sub(*mg.aminmax(x, dim=1)), ((3, 4),), lambda x: x.min(1) - x.max(1)),
    Row("max", mg.max, ((3, 4),), np.max),
    Row("min", mg.min, ((3, 4),), np.min),
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
    Row("norm", mg.norm, ((3, 4),), np.linalg.norm),
    Row("norm dim", lambda x: mg.norm(x, dim=1, keepdim=True), ((3, 4),), length(2, 1, True)),
    Row("norm 1", lambda x: mg.norm(x, 1, (0, 2)), ((3, 4, 2),), length(1, (0, 2))),
    Row("norm 3", lambda x: mg.norm(x, 3, 0), ((3, 4),), length(3, 0)),
    Row("norm 1.5", lambda x: mg.norm(x, 1.5, -1), ((3, 4),), length(1.5, -1)),
    Row("norm half", lambda x: mg.norm(x, 0.5, 1), ((3, 4),), length(0.5, 1)),
    Row("norm -1", lambda x: mg.norm(x, -1, 1), ((3, 4),), length(-1, 1)),
    Row("norm inf", lambda x: mg.norm(x, float("inf"), 1), ((3, 4),), lambda x: abs(x).max(1)),
    Row("norm -inf", lambda x: mg.norm(x, -float("inf"), 1, True), ((3, 4),), lambda x: abs(x).min(1, keepdims=True)),
]
