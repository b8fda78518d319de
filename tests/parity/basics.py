"""What a first network needs."""

import numpy as np

rng = np.random.default_rng(0)
inf, nan = np.inf, np.nan
ARRAYS = {
    "a": rng.normal(size=(3, 4)),
    "b": rng.normal(size=(3, 4)),
    "p": rng.uniform(0.5, 2, (3, 4)),
    "v": rng.normal(size=4),
    "u": rng.normal(size=5),
    "one": rng.normal(size=(3, 1, 4)),
    "deep": rng.normal(size=(2, 3, 4)),
    "w": rng.normal(size=(5, 4)),
    "image": rng.normal(size=(2, 4, 6, 5)),
    "kernel": rng.normal(size=(6, 2, 3, 3)),
    "six": rng.normal(size=6),
    "c": rng.normal(size=4),
    "mean": rng.normal(size=4),
    "var": rng.uniform(0.5, 2, 4),
    "scalar": np.array(0.7),
    "m": rng.normal(size=(3, 4)) > 0,
    "i": rng.integers(0, 4, (3, 2)),
    "classes": np.array([1, 3, 0]),
    "many": rng.integers(0, 4, (2, 6, 5)),
    "share": rng.dirichlet(np.ones(4), 3),
    # ties, kinks, and what is no number
    "tie": np.array([[1.0, 2, 2, 0], [3, 3, 3, 3], [-1, 0, 0, -1]]),
    "tie2": np.array([[1.0, 1, 2, 0], [3, 4, 2, 3], [-1, -1, 0, 1]]),
    "zero": np.array([0.0, -0.0, 1, -1, 2, -2]),
    "low": np.array([-1.0, -1, 0, -1, 2, -3]),
    "base": np.array([0.0, 0, 0, 1, 2, 0.5]),
    "power": np.array([0.0, 1, 2, 0, 0, -1]),
    "odd": np.array([nan, inf, -inf, 0, 1, -1]),
    "odd2": np.array([1, nan, -inf, nan, inf, -1]),
    "rows": np.array([[nan, 1, 2], [inf, 1, 2], [-inf, 1, 2], [inf, -inf, 0], [inf, inf, 1]]),
    "masked": np.array([[-inf, 1, 2], [-inf, -inf, 0]]),
    "bottom": np.full((2, 3), -inf),
    "huge": np.array([1000.0, -1000, 800, -800, 30, -30]),
    "same": np.full((2, 3), 2.0),
    "flat": np.array([[[[1.0, 1, 2, 2], [1, 1, 2, 2], [0, 0, 3, 1], [0, 0, 1, 3]]]]),
    "spots": np.array([[[[1.0, nan, 2, 2], [1, 1, inf, 2], [-inf, -inf, nan, 1], [-inf, -inf, 1, 1]]]]),
    "none": np.zeros((0, 3)),
    "cols": np.zeros((2, 0)),
    "nothing": np.zeros(0),
    "batch0": np.zeros((0, 4, 6, 5)),
    "labels0": np.zeros(0, np.int64),
}

CALLS = """
lib.add(a, v) | lib.add(a, b, alpha=2) | lib.add(a, 2) | lib.sub(a, v) | lib.sub(a, b, alpha=0.5) | lib.mul(a, v)
lib.div(a, p) | lib.div(2.0, p) | lib.div(a, p, rounding_mode="floor") | lib.div(a, p, rounding_mode="trunc")
lib.pow(p, b) | lib.pow(a, 3) | lib.pow(2, a) | lib.neg(a) | lib.exp(a) | lib.expm1(a) | lib.log(p) | lib.log1p(p)
lib.sqrt(p) | lib.sin(a) | lib.cos(a) | lib.tanh(a) | lib.sigmoid(a) | lib.erf(a) | lib.abs(a) | lib.sign(a)
lib.relu(a) | lib.maximum(a, b) | lib.minimum(a, v) | lib.where(m, a, b) | lib.where(m, a, 0.5)
lib.where(m, 1.0, b) | lib.clamp(a, -0.5, 0.5) | lib.clamp(a, min=0) | lib.clamp(a, max=0.1) | lib.clamp(a, b, b + 1)
lib.clamp(a, max=v) | lib.lt(a, b) | lib.le(a, 0) | lib.gt(a, v) | lib.ge(a, b) | lib.eq(i, 1) | lib.ne(i, i)
lib.logical_not(m) | lib.logical_not(a) | lib.isnan(odd) | lib.isinf(odd) | lib.isfinite(odd)
lib.floor_divide(a.detach(), 0.3) | lib.remainder(a, 0.3) | lib.remainder(a, -p) | lib.sum(a) | lib.sum(a, 1)
lib.sum(deep, (0, -1), keepdim=True) | lib.sum(a, 0, dtype=lib.float32) | lib.sum(m) | lib.sum(a, ()) | lib.mean(a)
lib.mean(a, 1) | lib.mean(deep, (0, 2), True) | lib.mean(a, dtype=lib.float32) | lib.var(a) | lib.var(a, 0)
lib.var(a, unbiased=False) | lib.var(a, 1, keepdim=True, correction=2) | lib.var(deep, (0, 2), False) | lib.std(a)
lib.std(a, 1, keepdim=True) | lib.std(a, 0, correction=0) | lib.std(deep, (0, 1), unbiased=False) | lib.amax(a)
lib.amax(a, 1) | lib.amax(deep, (0, 2), keepdim=True) | lib.amin(a, -1) | lib.amin(a) | lib.max(a) | lib.max(a, 1)
lib.max(a, -1, keepdim=True) | lib.max(a, b) | lib.min(a) | lib.min(a, 0) | lib.min(a, b) | lib.max(a, dim=1).values
lib.max(a, dim=1).indices | lib.argmax(a) | lib.argmax(a, 1) | lib.argmax(a, 1, keepdim=True) | lib.argmin(a)
lib.argmin(a, dim=0) | lib.logsumexp(a, 1) | lib.logsumexp(a, (0, 1), True) | lib.all(m) | lib.all(m, 1)
lib.any(m, 0, keepdim=True) | lib.any(a) | lib.all(m, (0, 1)) | lib.softmax(a, 1) | lib.log_softmax(a, dim=0)
F.softmax(a, -1) | F.log_softmax(deep, 1) | lib.softmax(a, 1, dtype=lib.float32)
F.softmax(a, dim=1, dtype=lib.float32) | lib.softmax(scalar, 0) | lib.sum(scalar, 0) | lib.max(scalar, 0) | F.relu(a)
F.sigmoid(a) | F.tanh(a) | F.softplus(a) | F.softplus(a, 2.0, 1.0) | F.gelu(a) | F.gelu(a, approximate="tanh")
F.leaky_relu(a) | F.leaky_relu(a, 0.2) | F.dropout(a, 0.5, False) | F.dropout(a, 0.0) | F.dropout(a, 1.0, True) * 0
lib.reshape(a, (2, 6)) | lib.reshape(a, (-1,)) | a.reshape(4, -1) | a.view(12) | lib.flatten(deep)
lib.flatten(deep, 1) | lib.flatten(scalar) | lib.squeeze(one) | lib.squeeze(one, 1) | lib.squeeze(one, (0, 1))
lib.unsqueeze(a, 1) | lib.unsqueeze(a, -1) | lib.permute(deep, (2, 0, 1)) | lib.transpose(deep, 0, -1)
a.expand(2, 3, 4) | one.expand(-1, 5, -1) | lib.cat([a, b]) | lib.cat((a, b, a), dim=-1) | lib.cat([a, a.float()])
lib.cat([a, i.reshape(-1, 1)[:3]], 1) | lib.stack([a, b], 1) | lib.stack((v, v), dim=-1) | lib.split(a, 2, 1)
lib.split(a, [1, 3], dim=1) | lib.split(v, 3) | lib.chunk(a, 3, 1) | lib.chunk(v, 3) | lib.unbind(a)
lib.unbind(a, 1) | lib.clone(a) | lib.take_along_dim(a, i, 1) | lib.take_along_dim(a, i, dim=-1)
lib.take_along_dim(a, i) | lib.matmul(a, w.T) | lib.matmul(deep, w.T) | lib.matmul(v, v) | lib.matmul(a, v)
lib.matmul(deep, v) | lib.matmul(v, w.T) | v @ deep.mT | F.linear(a, w) | F.linear(deep, w, u) | F.linear(v, w, u)
F.pad(a, (1, 2)) | F.pad(a, (1, 0, 2, 1), value=0.5) | F.pad(a, (1, 1), "reflect")
F.pad(image, (1, 2, 0, 1), mode="circular") | F.pad(image, (1, 2, 0, 1), mode="replicate")
F.pad(image, (2, 1, 1, 2), mode="reflect") | F.pad(a, (-1, 2), "constant", 3)
F.conv2d(image, kernel, six, groups=2) | F.conv2d(image, kernel, None, 2, 1, 1, 2)
F.conv2d(image[0], kernel, groups=2) | F.conv2d(image, kernel, padding="same", groups=2)
F.conv2d(image, kernel, six, (2, 1), (1, 2), (1, 2), 2) | F.max_pool2d(image, 2)
F.max_pool2d(image, (3, 2), (2, 1), (1, 0), 1, True) | F.max_pool2d(image[0], 3, stride=2, dilation=2)
F.avg_pool2d(image, 2) | F.avg_pool2d(image, 3, 2, 1, True, False) | F.avg_pool2d(image, (2, 3), divisor_override=5)
F.adaptive_avg_pool2d(image, 1) | F.adaptive_avg_pool2d(image, (4, 3)) | F.adaptive_avg_pool2d(image, (None, 2))
F.batch_norm(image, mean, var) | F.batch_norm(image, mean, var, c, c, False, 0.1, 1e-3)
F.batch_norm(a, None, None, c, c, True) | F.layer_norm(a, (4,)) | F.layer_norm(deep, [3, 4], b, b)
F.layer_norm(a, (4,), v, v, 0.1) | F.group_norm(image, 2) | F.group_norm(image, 2, c, c, 0.1)
F.cross_entropy(a, classes) | F.cross_entropy(a, classes, weight=var, label_smoothing=0.2)
F.cross_entropy(a, classes, reduction="none") | F.cross_entropy(image, many)
F.cross_entropy(image, many, reduction="sum", ignore_index=2) | F.cross_entropy(a, share)
F.cross_entropy(v, classes[0]) | F.cross_entropy(a, share, weight=var, label_smoothing=0.1)
F.cross_entropy(a, classes, weight=var) | F.cross_entropy(a, classes, ignore_index=3)
F.cross_entropy(image, many, weight=var, ignore_index=1, label_smoothing=0.3, reduction="mean")
F.cross_entropy(v, share[0]) | F.nll_loss(a, classes) | F.nll_loss(image, many, weight=var, reduction="none")
F.nll_loss(a, classes, ignore_index=0, reduction="sum") | F.mse_loss(a, b) | F.mse_loss(a, b, reduction="sum")
F.mse_loss(a, b, reduction="none") | F.binary_cross_entropy_with_logits(a, share)
F.binary_cross_entropy_with_logits(a, share, weight=share, reduction="none")
F.binary_cross_entropy_with_logits(a, share, pos_weight=var)
F.binary_cross_entropy_with_logits(a, share, var, reduction="sum", pos_weight=var) | lib.zeros(2, 3) | lib.ones((2,))
lib.full((2, 3), 1.5) | lib.eye(3) | lib.eye(2, 3) | lib.arange(2, 9, 3) | lib.arange(0, 1, 0.25)
lib.linspace(0, 1, 5) | lib.zeros_like(a) | lib.ones_like(i) | lib.full_like(a, 3) | lib.tensor([[1, 2], [3, 4]])
lib.tensor([]) | lib.linspace(1, 2, 1) | lib.is_floating_point(a) | lib.is_floating_point(i)
a[lib.newaxis] * lib.pi + lib.e
"""

METHODS = """
a.add(b) | a.sub(v) | a.mul(2) | a.div(p) | p.pow(b) | a.neg() | a.exp() | a.expm1() | p.log() | p.log1p() | p.sqrt()
a.sin() | a.cos() | a.tanh() | a.sigmoid() | a.erf() | a.abs() | a.sign() | a.relu() | a.maximum(b) | a.minimum(v)
a.clamp(0, 1) | a.clamp(min=0) | a.lt(b) | a.le(b) | a.gt(b) | a.ge(0) | a.eq(b) | a.ne(b) | odd.isnan()
odd.isinf() | odd.isfinite() | m.logical_not() | m.bitwise_not() | a.sum() | a.sum(0, True)
a.sum(dim=1, keepdim=True) | a.mean(0) | a.mean(axis=1) | a.var(1) | a.std(0, False) | a.amax(1) | a.amin((0, 1))
a.max(1) | a.max(b) | a.min() | a.min(dim=0) | a.argmax() | a.argmin(1) | a.logsumexp(0) | m.all() | m.any(1)
deep.reshape(6, 4) | a.view(-1, 2) | a.view(2, 6) | deep.flatten(1) | one.squeeze() | one.squeeze(1) | a.unsqueeze(0)
deep.permute(2, 0, 1) | deep.transpose(0, 2) | deep.swapaxes(0, 1) | one.expand(3, 2, 4) | a.split(2, 1) | a.chunk(2)
a.unbind(1) | a.clone() | a.take_along_dim(i, 1) | a.matmul(v) | a.t() | v.t() | a.T | deep.mT | a.softmax(1)
a.log_softmax(0) | a.absolute() | a.multiply(b) | a.subtract(b) | a[1:, ::2] | a[m] | a[[0, 2], [1, 1]]
a[..., None, 1] | a[i[:, 0] % 3] | a[0, 0].item() | a + b | a - 2 | 3 * a | a / p | 2 / p | p**b | 2.0**a | a**3
a @ w.T | -a | abs(a) | a.detach() // 0.3 | a % 0.3 | a < b | m & m | m.__or__(m) | ~m | m ^ m | len(a) | [*a]
a.to(lib.float32) | a.float() | a.half().double() | a.long() | a.int() | a.bool() | i.float() | a.type_as(i)
a.contiguous() | a.expand_as(deep) | a.reshape_as(w[:3]) | a.view_as(b) | a.numel() | a.dim() | a.size(1)
a.size(-2) | a.element_size() | a.is_floating_point() | a.nelement() | a.tolist()
"""

EDGES = """
lib.max(tie) | lib.min(tie) | lib.amax(tie, 1) | lib.amax(tie, 0) | lib.amin(tie, 1) | lib.amin(tie)
lib.max(tie, 1) | lib.max(tie, 0) | lib.min(tie, 1) | lib.maximum(tie, tie2) | lib.minimum(tie, tie2)
lib.maximum(tie, tie) | lib.max(tie, tie2) | lib.argmax(tie, 1) | lib.argmin(tie, 0) | lib.argmax(tie)
F.max_pool2d(flat, 2) | F.max_pool2d(flat, 3, 1, 1) | F.max_pool2d(flat, 2, 1) | F.max_pool2d(flat * 0, 2, 1)
F.avg_pool2d(flat, 2) | lib.relu(zero) | F.leaky_relu(zero, 0.1) | lib.abs(zero) | lib.sign(zero) | lib.sqrt(base)
lib.clamp(zero, -1, 1) | lib.clamp(zero, 1, -1) | lib.clamp(zero, low, 1 + low) | lib.clamp(zero, min=low)
lib.clamp(zero, max=low) | lib.clamp(zero, 0.0, 0.0) | F.gelu(zero) | F.softplus(zero) | lib.pow(base, power)
lib.pow(zero, 2) | lib.pow(zero, 1) | lib.pow(zero, 0) | lib.pow(base, 0.5) | lib.pow(zero, -1) | lib.pow(0.0, base)
lib.pow(-2.0, power) | lib.pow(low, power) | lib.div(zero, zero) | lib.div(1, zero) | lib.log(base) | lib.log(low)
lib.sqrt(low) | lib.log1p(low) | lib.var(same) | lib.std(same) | lib.std(same, 1) | lib.std(same, 0, correction=0)
lib.var(scalar) | lib.std(same[:, :1], 1) | lib.var(same[:1], 0) | lib.logsumexp(same, 1) | F.layer_norm(same, (3,))
lib.where(odd > 0, odd, 0.0) | lib.where(odd > 0, lib.sqrt(odd), odd2) | lib.relu(odd) | F.leaky_relu(odd, 0.1)
lib.abs(odd[1:]) | lib.sign(odd[1:]) | lib.clamp(odd, -1, 1) | lib.clamp(odd, odd2, odd2 + 1)
lib.maximum(odd, odd2) | lib.minimum(odd, odd2) | lib.exp(odd) | lib.expm1(odd) | lib.log(odd) | lib.sqrt(odd)
lib.tanh(odd) | lib.sigmoid(odd) | lib.erf(odd) | F.gelu(odd) | F.softplus(odd) | lib.sin(odd) | lib.pow(odd, 2)
lib.pow(odd, 0) | lib.pow(odd, odd2) | lib.pow(2.0, odd) | lib.sum(odd) | lib.mean(odd) | lib.var(odd) | lib.max(odd)
lib.min(odd) | lib.amax(rows[1:], 1) | lib.amin(rows[1:], 1) | lib.max(rows, 1) | lib.min(rows, 1) | lib.max(rows, 0)
lib.argmax(rows, 1) | lib.argmin(rows, 1) | lib.argmax(odd) | lib.softmax(rows, 1) | lib.log_softmax(rows, 1)
lib.logsumexp(rows, 1) | lib.softmax(masked, 1) | lib.log_softmax(masked, 1) | lib.logsumexp(masked, 1)
lib.logsumexp(bottom, 1) | lib.softmax(bottom, 1) | lib.any(odd) | lib.all(odd) | odd == odd2 | odd < odd2
odd != odd2 | F.max_pool2d(spots, 2) | F.max_pool2d(spots[..., 2:, :2], 2, 2, 1) | F.avg_pool2d(spots, 2)
lib.sigmoid(huge) | lib.tanh(huge) | F.softplus(huge) | lib.exp(huge) | F.gelu(huge) | lib.logsumexp(huge, 0)
lib.softmax(huge, 0) | lib.log_softmax(huge, 0) | lib.erf(huge)
F.binary_cross_entropy_with_logits(huge, base * 0.5) | F.cross_entropy(huge, classes[0])
F.cross_entropy(masked, classes[:2] * 0 + 2) | F.cross_entropy(masked, classes[:2] * 0)
F.cross_entropy(same, classes[:2] * 0 - 100) | F.nll_loss(same, classes[:2] * 0 - 100)
F.cross_entropy(same, classes[:2] * 0 - 100, reduction="sum") | lib.remainder(odd, 2.0)
lib.floor_divide(odd.detach(), 2.0) | lib.remainder(low, 0.7) | lib.remainder(low, -0.7) | odd.long() == odd.long()
lib.isnan(odd) | odd * 0 | odd / odd2
"""

EMPTY = """
lib.sum(none) | lib.sum(none, 0) | lib.sum(none, 1) | lib.mean(none) | lib.mean(none, 0) | lib.mean(none, 1)
lib.mean(cols, 1) | lib.var(none) | lib.var(none, 0) | lib.std(cols, 0) | lib.amax(none, 1) | lib.amin(cols, 0)
lib.max(none, 1) | lib.argmax(none, 1) | lib.logsumexp(none, 0) | lib.logsumexp(none, 1) | lib.logsumexp(nothing, 0)
lib.all(none) | lib.any(none) | lib.all(none, 0) | lib.relu(none) | lib.exp(none) + none | none * none[:, :1]
lib.where(none > 0, none, 1.0) | lib.clamp(none, 0, 1) | lib.softmax(none, 1) | lib.softmax(none, 0)
lib.log_softmax(cols, 1) | lib.matmul(none, a) | lib.matmul(none.T, none) | lib.matmul(cols, cols.T)
lib.matmul(nothing, nothing) | F.linear(none, lib.ones(4, 3).double(), v)
F.linear(cols, lib.ones(5, 0).double(), u) | lib.cat([none, a[:, :3]]) | lib.cat([none, none], 1)
lib.stack([none, none]) | lib.reshape(none, (3, 0)) | lib.reshape(none, (0, 3)) | lib.flatten(none)
lib.squeeze(none) | lib.permute(none, (1, 0)) | none.expand(2, 0, 3) | lib.split(none, 2) | lib.split(none, 2, 1)
lib.chunk(none, 2) | lib.chunk(none, 2, 1) | lib.unbind(none) | lib.unbind(none, 1) | none[:, 1] | a[3:]
a[lib.zeros(3).bool()] | a[[]] | lib.take_along_dim(a, i[:, :0], 1) | F.pad(none, (1, 1))
F.conv2d(batch0, kernel, six, groups=2) | F.max_pool2d(batch0, 2) | F.avg_pool2d(batch0, 2, 1)
F.adaptive_avg_pool2d(batch0, 2) | F.adaptive_avg_pool2d(batch0, 1) | F.layer_norm(none, (3,))
F.group_norm(batch0, 2) | F.batch_norm(batch0, mean, var) | F.cross_entropy(none, labels0)
F.cross_entropy(none, labels0, reduction="sum") | F.cross_entropy(none, labels0, reduction="none")
F.cross_entropy(none, none) | F.nll_loss(none, labels0) | F.mse_loss(none, none)
F.mse_loss(none, none, reduction="sum") | F.binary_cross_entropy_with_logits(none, none) | lib.arange(0)
lib.zeros(0, 3) | lib.eye(0) | lib.linspace(0, 1, 0) | F.dropout(none, 0.5) | nothing @ nothing | len(none) | [*none]
"""
