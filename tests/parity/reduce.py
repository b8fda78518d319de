"""Sums, products, variances, extremes and lengths over axes; running sums; elements in order."""

import numpy as np

rng = np.random.default_rng(7)
inf, nan = np.inf, np.nan
ARRAYS = {
    "z": np.array([[1.5, 0.0, 2.0, -1.0], [0.5, 2.0, -2.0, 1.2], [0.0, 0.0, 3.0, 0.0]]),
    "whole": rng.integers(-3, 4, (3, 4)),
    "short": rng.integers(-3, 4, (3, 4)).astype(np.int32),
    "octets": rng.integers(0, 4, (3, 4)).astype(np.uint8),
    "gaps": np.array([[nan, 1.0, -2.0, 4.0], [3.0, nan, nan, -1.0], [0.5, 2.5, 1.5, -0.5]]),
    "gap": np.array([3.0, nan, 1.0, 1.0, inf, nan, -inf]),
    "lost": np.array([[nan, nan], [nan, 1.0]]),
    "line": rng.normal(size=9),
    "column": rng.normal(size=(3, 1)),
    "steep": np.array([inf, -inf, 1.0, nan, 1.0]),
    "zeros": np.zeros((2, 3)),
    "nowhere": np.zeros((2, 0, 3)),
}

CALLS = """
lib.sum(input=a, dim=1, keepdim=True) | lib.sum(a, [0, 1]) | lib.sum(a, (), True) | lib.sum(a, None, True)
lib.sum(whole) | lib.sum(short, 0) | lib.sum(octets, 1) | lib.sum(short, dtype=lib.int32) | lib.sum(m, 0)
lib.sum(whole, dtype=lib.float32) | lib.sum(a.half(), 1) | lib.mean(input=a, dim=(0, 1), keepdim=True)
lib.mean(a, ()) | lib.mean(whole, dtype=lib.float32) | lib.mean(a, None, True) | lib.mean(a.half()) | lib.nansum(gaps)
lib.nansum(gaps, 1) | lib.nansum(input=gaps, dim=(0, 1), keepdim=True) | lib.nansum(gaps, ())
lib.nansum(gaps, 0, dtype=lib.float32) | lib.nansum(whole, 1) | lib.nansum(m) | lib.nansum(short, dtype=lib.float32)
lib.nanmean(gaps) | lib.nanmean(gaps, 1) | lib.nanmean(input=gaps, dim=0, keepdim=True) | lib.nanmean(lost, 0)
lib.nanmean(gaps, 1, dtype=lib.float32) | lib.nanmean(gaps, ()) | lib.var(a, False) | lib.var(a, True)
lib.var(a, ()).detach() | lib.var(a, None, False) | lib.var(a, keepdim=True) | lib.var(input=a, dim=0, correction=0.5)
lib.var(a, dim=(0, 1), correction=None) | lib.var(a.half(), 1) | lib.std(a, False) | lib.std(a, [0, 1], True, True)
lib.std(input=a, dim=None, correction=3, keepdim=True) | lib.var_mean(a) | lib.var_mean(a, False)
lib.var_mean(a, 1, False, True) | lib.var_mean(input=a, dim=0, correction=2, keepdim=True) | lib.std_mean(a)
lib.std_mean(a, True) | lib.std_mean(deep, (0, 2), False) | lib.std_mean(input=a, dim=1, correction=0) | lib.prod(a)
lib.prod(a, 1) | lib.prod(input=deep, dim=-1, keepdim=True) | lib.prod(scalar) | lib.prod(scalar, 0)
lib.prod(a, 0, dtype=lib.float32) | lib.prod(whole) | lib.prod(short, 0) | lib.prod(octets, 1) | lib.prod(m)
lib.prod(a, dtype=lib.float32) | lib.prod(z) | lib.prod(z, 1) | lib.prod(z, 0)
lib.amax(input=deep, dim=(0, 2), keepdim=True) | lib.amax(a, ()) | lib.amax(a, (), True) | lib.amax(short, 1)
lib.amax(m) | lib.amax(scalar) | lib.amin(input=a, dim=1) | lib.amin(a, ()) | lib.amin(octets) | lib.amax(a, dim=())
lib.aminmax(a) | lib.aminmax(a, dim=1) | lib.aminmax(a, dim=0, keepdim=True) | lib.aminmax(input=scalar)
lib.aminmax(a, keepdim=True).max | lib.aminmax(whole, dim=1).min | lib.max(input=a, dim=1, keepdim=True)
lib.max(a, other=b) | lib.min(a, other=b) | lib.min(a, dim=0, keepdim=True).values | lib.max(short) | lib.max(m, 1)
lib.max(whole, 1) | lib.min(octets, 0) | lib.max(scalar) | lib.argmax(input=a, dim=None, keepdim=True)
lib.argmin(whole, dim=1, keepdim=True) | lib.argmax(scalar, 0) | lib.argmax(octets)
lib.logsumexp(input=deep, dim=(0, 2), keepdim=True) | lib.logsumexp(short, 0) | lib.logsumexp(m, 1)
lib.logsumexp(scalar, 0) | lib.count_nonzero(z) | lib.count_nonzero(z, 1) | lib.count_nonzero(input=whole, dim=(0, 1))
lib.count_nonzero(gaps, 0) | lib.count_nonzero(m, ()) | lib.all(a, dim=None) | lib.all(whole, dim=())
lib.any(z, 1, True) | lib.any(octets) | lib.all(octets, 1) | lib.any(input=whole, dim=(0, 1), keepdim=True)
lib.any(scalar, 0) | lib.all(m, None, True) | lib.norm(a) | lib.norm(a, dim=1) | lib.norm(a, 2) | lib.norm(a, 1, 0)
lib.norm(input=deep, p=3, dim=(0, 2)) | lib.norm(a, 0.5, 1, keepdim=True) | lib.norm(a, float("inf"), 1)
lib.norm(a, -float("inf")) | lib.norm(a, 0, 1) | lib.norm(a, 1.5, keepdim=True) | lib.norm(a, -1, 1)
lib.norm(a, -2.5, 0) | lib.norm(scalar) | lib.norm(a, None) | lib.norm(a, "fro", (0, 1))
lib.norm(a.float(), "fro", 1, dtype=lib.float64) | lib.norm(deep, 2, (0, 1, 2), True) | lib.norm(a, 4, (1,))
lib.norm(scalar, 3) | lib.norm(a, dim=()) | lib.linalg.vector_norm(a)
lib.linalg.vector_norm(x=deep, ord=3, dim=(0, 2), keepdim=True) | lib.linalg.vector_norm(a, 1, 0)
lib.linalg.vector_norm(a, -float("inf"), ()) | lib.linalg.vector_norm(scalar, 2) | lib.cumsum(a, 0)
lib.cumsum(input=deep, dim=-1) | lib.cumsum(scalar, 0) | lib.cumsum(whole, 1) | lib.cumsum(m, 0)
lib.cumsum(short, 0, dtype=lib.float32) | lib.cumsum(octets, 1) | lib.cumsum(a.half(), 1) | lib.cumsum(short, 0)
lib.cumprod(a, 1) | lib.cumprod(input=deep, dim=1) | lib.cumprod(scalar, -1) | lib.cumprod(short, 0)
lib.cumprod(m, 1) | lib.cumprod(octets, 0, dtype=lib.float64) | lib.cumprod(z, 1) | lib.cumprod(z, 0)
lib.cumprod(line, 0) | lib.diff(a) | lib.diff(input=a, n=2, dim=0) | lib.diff(a, 0) | lib.diff(a, 5) | lib.diff(m)
lib.diff(m, 2, 0) | lib.diff(a, prepend=column, append=b) | lib.diff(octets) | lib.diff(whole, append=whole[:, :1])
lib.diff(a, 1, -2) | lib.diff(a, prepend=whole) | lib.diff(v, append=v) | lib.sort(a)
lib.sort(input=deep, dim=1, descending=True) | lib.sort(scalar) | lib.sort(scalar, 0, True)
lib.sort(whole, dim=0, stable=True) | lib.sort(octets, descending=True, stable=True) | lib.sort(m, stable=True)
lib.sort(a, stable=True, dim=0).values | lib.sort(a.half(), 0).indices | lib.argsort(a) | lib.argsort(input=a, dim=0)
lib.argsort(a, 1, True) | lib.argsort(whole, stable=True) | lib.argsort(tie, dim=1, descending=True, stable=True)
lib.argsort(scalar) | lib.msort(deep) | lib.msort(scalar) | lib.topk(a, 2) | lib.topk(input=deep, k=1, dim=1)
lib.topk(a, 2, 0, False) | lib.topk(a, 4, largest=False, sorted=True) | lib.topk(a, 0) | lib.topk(scalar, 1)
lib.topk(line, 3).indices | lib.topk(line, 3, sorted=False).values.sort()[0] | lib.topk(line.half(), 2, dim=-1)
lib.kthvalue(a, 2) | lib.kthvalue(input=deep, k=3, dim=1, keepdim=True) | lib.kthvalue(scalar, 1)
lib.kthvalue(line, 9) | lib.median(a) | lib.median(a, 1) | lib.median(input=deep, dim=1, keepdim=True)
lib.median(scalar) | lib.median(scalar, 0) | lib.median(whole) | lib.median(line, 0).indices | lib.nanmedian(a)
lib.nanmedian(gaps) | lib.nanmedian(gaps, 1) | lib.nanmedian(input=gaps, dim=0, keepdim=True) | lib.nanmedian(line, 0)
lib.softmax(input=a, dim=0) | lib.softmax(short, 1, dtype=lib.float32)
lib.log_softmax(input=a, dim=-1, dtype=lib.float64)
"""

METHODS = """
a.nansum() | a.nanmean(1) | a.prod() | a.prod(1, keepdim=True) | a.prod(axis=0, keepdims=True) | a.count_nonzero(1)
a.aminmax() | a.aminmax(dim=1, keepdim=True) | a.norm() | a.norm(1) | a.norm(dim=1, keepdim=True) | a.norm(3, 0)
a.cumsum(1) | a.cumsum(axis=0) | a.cumprod(1) | a.diff() | a.diff(dim=0, n=2) | a.sort() | a.sort(0, descending=True)
a.argsort(1) | a.argsort(axis=0) | a.msort() | a.topk(2) | a.topk(1, dim=0, largest=False) | a.kthvalue(2) | a.median()
a.median(1) | a.nanmedian() | a.max() | a.min(axis=1) | a.sum([0, 1]) | a.var(False) | a.std(correction=0, dim=1)
a.max(other=b) | a.mean((0, 1), keepdim=True) | a.argmax(axis=1, keepdims=True) | a.any(axis=0, keepdims=True)
a.detach().clone().cumsum_(1) | short.clone().cumprod_(0) | a.clone().cumprod_(1) | a.clone().cumsum_(0)
"""

EDGES = """
lib.amax(gap) | lib.amin(gap) | lib.amax(gaps, 1) | lib.amin(gaps, 0) | lib.max(gap) | lib.min(gap) | lib.max(gaps, 1)
lib.min(gaps, 0) | lib.aminmax(gap) | lib.aminmax(tie, dim=1) | lib.aminmax(tie) | lib.max(lost) | lib.argmax(gap)
lib.argmin(gaps, 0) | lib.max(tie, 1) | lib.amax(tie, (0, 1)) | lib.min(tie) | lib.max(gap[4:]) | lib.prod(gap)
lib.prod(z[:1]) | lib.prod(z[2:], 1) | lib.prod(z[1:2], 1) | lib.cumprod(gap, 0).detach() | lib.cumsum(steep, 0)
lib.cumsum(odd, 0) | lib.diff(steep[2:]) | lib.nansum(steep) | lib.nansum(lost, 0) | lib.nanmean(lost, 1)
lib.nanmean(steep[3:4]) | lib.var(steep[2:]) | lib.var(steep[:1]) | lib.std(odd)
lib.var(v[:2], correction=2).detach() | lib.std(v[:2], correction=2) | lib.std(v, correction=9) | lib.var(v[:1])
lib.std(zeros) | lib.std(zeros, 1) | lib.var_mean(zeros, 0) | lib.std_mean(zeros) | lib.var(odd) | lib.norm(zeros)
lib.norm(zeros, 2, 1) | lib.norm(zeros, 1) | lib.norm(zeros, 3, 0) | lib.norm(zeros, 1.5) | lib.norm(zeros, 0.5)
lib.norm(zeros, -1) | lib.norm(zeros, float("inf"), 1) | lib.norm(zeros, -float("inf")) | lib.norm(z, dim=1)
lib.norm(z, 1) | lib.norm(z, 3, 1) | lib.norm(z, 0.5, 1) | lib.norm(z, -1, 1) | lib.norm(z, 0, 0)
lib.norm(tie, float("inf"), 1) | lib.norm(tie, -float("inf"), 0) | lib.norm(odd[:2]) | lib.norm(odd[2:], 2)
lib.norm(gap, 1) | lib.norm(gap, float("inf")) | lib.norm(odd[1:2], 3) | lib.norm(gap[4:5], 0.5) | lib.norm(gap, 0)
lib.norm(gap[3:5], -1) | lib.norm(gap, -float("inf")) | lib.norm(v * 1e200) | lib.norm(v * 1e-200) | lib.sort(gap)
lib.sort(gap, descending=True) | lib.sort(gap, stable=True, descending=True) | lib.argsort(gap, stable=True)
lib.sort(gaps, 0) | lib.sort(tie, dim=1, stable=True) | lib.sort(tie, stable=True, descending=True)
lib.sort(zero, stable=True) | lib.topk(gap, 4) | lib.topk(gap[1:], 2, largest=False).values.detach()
lib.topk(gaps, 2, 0) | lib.kthvalue(gap, 5) | lib.median(gap) | lib.median(gaps, 1) | lib.median(gaps)
lib.median(tie) | lib.nanmedian(tie) | lib.nanmedian(lost) | lib.nanmedian(lost, 0).values | lib.nanmedian(gap)
lib.median(lost, 0) | lib.median(odd[0]) | lib.logsumexp(gaps, 1) | lib.logsumexp(gap[2:5], 0) | lib.count_nonzero(odd)
lib.all(gaps, 1) | lib.any(zeros, 0)
"""

EMPTY = """
lib.sum(none, (), True) | lib.nansum(none) | lib.nansum(none, 1) | lib.nanmean(none) | lib.nanmean(cols, 1)
lib.std(none) | lib.var(nothing, 0) | lib.var_mean(none, 1) | lib.std_mean(cols, 0) | lib.prod(none)
lib.prod(none, 0) | lib.prod(none, 1) | lib.prod(nowhere, 1, True) | lib.aminmax(none, dim=1)
lib.amax(nowhere, (0, 2)) | lib.min(none, 1) | lib.argmin(nowhere, 0) | lib.logsumexp(none, (0, 1))
lib.count_nonzero(none) | lib.count_nonzero(none, 0) | lib.any(none, 0) | lib.all(nowhere, (0, 2)) | lib.norm(none)
lib.norm(none, 1, 0) | lib.norm(none, 3, 1) | lib.norm(none, float("inf"), 1) | lib.norm(nowhere, 0.5, (0, 1))
lib.norm(none, 0) | lib.cumsum(none, 0) | lib.cumsum(none, 1) | lib.cumprod(none, 0) | lib.cumprod(nowhere, 2)
lib.diff(nothing) | lib.diff(none, dim=0) | lib.diff(none) | lib.diff(nothing, append=v) | lib.sort(none)
lib.sort(none, 0, True) | lib.argsort(nowhere, 1) | lib.msort(none) | lib.topk(none, 2) | lib.topk(none, 0, 0)
lib.topk(cols, 0) | lib.kthvalue(none, 2) | lib.median(nothing) | lib.median(none, 1) | lib.nanmedian(none)
lib.nanmedian(none, 1)
"""
