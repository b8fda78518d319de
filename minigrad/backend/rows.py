"""Kernels over rows: softmax, cross-entropy and normalization, forward and backward, in plain `xp`.

What the operations of ops/activation.py, ops/loss.py and ops/norm.py mean stands there; here is how it is computed.
"""


def softmax(self, x, axis):
    """e**x / sum e**x along an axis."""
    y = self.xp.exp(x - x.max(axis=axis, keepdims=True)) if x.size else x.copy()
    y /= y.sum(axis=axis, keepdims=True)
    return y


def softmax_backward(self, gy, y, axis):
    """The gradient of softmax's input."""
    g = gy * y
    g -= y * g.sum(axis=axis, keepdims=True)
    return g


def log_softmax(self, x, axis):
    """x - log sum e**x along an axis."""
    y = x - x.max(axis=axis, keepdims=True) if x.size else x.copy()
    xp = self.xp
    y -= xp.log(xp.exp(y).sum(axis=axis, keepdims=True))
    return y


def log_softmax_backward(self, gy, y, axis):
    """The gradient of log_softmax's input."""
    return gy - self.xp.exp(y) * gy.sum(axis=axis, keepdims=True)


def cross_entropy(self, x, target, scale, ignore_index, smoothing):
    """(loss (n), lse (n, 1)): of each row of scores; 0 for a row whose target is `ignore_index`."""
    xp = self.xp
    top = x.max(axis=1, keepdims=True)
    lse = xp.log(xp.exp(x - top).sum(axis=1, keepdims=True)) + top
    y = lse[:, 0] - x[xp.arange(len(x)), _safe(target, ignore_index)] * (1 - smoothing)
    if smoothing:
        y -= x.mean(axis=1) * smoothing
    if scale is not None:
        y *= scale
    return (y if ignore_index is None else xp.where(target == ignore_index, 0, y)), lse


def cross_entropy_backward(self, gy, x, target, scale, lse, ignore_index, smoothing):
    """The gradient of the scores."""
    xp = self.xp
    gx = xp.exp(x - lse)
    gx[xp.arange(len(x)), _safe(target, ignore_index)] -= 1 - smoothing
    if smoothing:
        gx -= smoothing / x.shape[1]
    gy = gy if scale is None else gy * scale
    if ignore_index is not None:
        gy = xp.where(target == ignore_index, 0, gy)
        gx = xp.where((target == ignore_index).reshape(-1, 1), 0, gx)  # where gy is NaN, as a mean over no row is
    gx *= gy.reshape(-1, 1)
    return gx


def _safe(target, ignore_index):
    """The class numbers, 0 where they do not count; `ignore_index` is None where all count."""
    return target if ignore_index is None else target * (target != ignore_index)


def normalize(self, x, weight, bias, axes, eps):
    """(y, mean, variance, rstd): y = (x - mean) * rstd * weight + bias, with rstd = (variance + eps) ** -0.5."""
    mean = x.mean(axis=axes, keepdims=True)
    y = x - mean
    variance = (y * y).mean(axis=axes, keepdims=True)
    rstd = 1 / self.xp.sqrt(variance + eps)
    y *= rstd if weight is None or weight.shape != rstd.shape else rstd * weight
    if weight is not None and weight.shape != rstd.shape:
        y *= weight
    if bias is not None:
        y += bias
    return y, mean, variance, rstd


def normalize_backward(self, gy, x, weight, mean, rstd, axes, wants):
    """(gx, gweight, gbias), None for those not in `wants`; those of weight and bias not yet summed to their shapes."""
    wants_x, wants_weight, wants_bias = wants
    xhat = (x - mean) * rstd
    gx = None
    if wants_x:
        g = gy if weight is None else gy * weight
        gx = xhat * (g * xhat).mean(axis=axes, keepdims=True)
        gx += g.mean(axis=axes, keepdims=True)
        gx = (g - gx) * rstd
    return gx, gy * xhat if wants_weight else None, gy if wants_bias else None
