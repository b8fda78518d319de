"""Matrix products. A GEMM takes its operands as they lie: transposed views are free."""

import math

from ..backend import device_of, gpu, moved
from ..errors import DTypeError, ShapeError
from ..tape.function import Function
from ..tape.modes import regions
from ..tape.variable import as_array, raw
from .autocast import narrow
from .shape import reshape, transpose, unsqueeze

__all__ = ["matmul", "t"]


def _same_dtype(name, x, other, what="weight"):
    if x.dtype != other.dtype:
        raise DTypeError(
            f"{name}: x is {x.dtype}, {what} {other.dtype}; write x.to({what}.dtype), or convert the module"
        )


def _beside(x, other):
    """The array `x` on the device of `other`, where that is an array."""
    return moved(x, device_of(raw(other))) if gpu and hasattr(other, "ndim") else x


def _flat(x):
    """(..., d) as (n, d)."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


class MatMul(Function):
    """y = a @ b.      Shapes: a (..., n, k), b (..., k, m) -> y (..., n, m); leading axes broadcast."""

    name = "matmul"
    serves = {0: 1, 1: 0}

    def forward(self, a, b):
        if a.dtype != b.dtype:
            _same_dtype("matmul", a, b, "other")
        return a @ b

    def backward(self, gy, a, b):
        wants_a, wants_b = self.wants
        ga = None if wants_a is None else gy @ b.swapaxes(-1, -2)
        return ga, None if wants_b is None else a.swapaxes(-1, -2) @ gy

    def check(self, a, b):
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(f"matmul: a has {a.shape[-1]} columns, b {b.shape[-2]} rows; a is {a.shape}, b {b.shape}")
        raise ShapeError(f"matmul: the leading axes of a {a.shape} and b {b.shape} do not broadcast")


def matmul(input, other):
    """The matrix product input @ other, as PyTorch and NumPy define it: one axis counts as a row, or as a column.

    Shapes: input (..., n, k), other (..., k, m) -> (..., n, m), where leading axes broadcast; (k), (k) -> ().
    Raises: ShapeError if the inner sizes differ; DTypeError if the dtypes differ.
    """
    a, b = input, other
    if not hasattr(a, "ndim") or not hasattr(b, "ndim"):  # a list takes the dtype of what it is multiplied with
        a, b = (
            x if hasattr(x, "ndim") else _beside(as_array(x, getattr(other, "dtype", None)), other)
            for x, other in ((a, b), (b, a))
        )
    if regions:
        a, b = narrow(a), narrow(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: both need at least one axis; a is {a.shape}, b {b.shape}; write a * b")
    if a.ndim == 1 or b.ndim == 1:
        if a.shape[-1] != b.shape[0 if b.ndim == 1 else -2]:
            raise ShapeError(f"matmul: the inner sizes differ; a is {a.shape}, b {b.shape}")
        y = MatMul()(unsqueeze(a, 0) if a.ndim == 1 else a, unsqueeze(b, 1) if b.ndim == 1 else b)
        shape = y.shape[:-2] + (() if a.ndim == 1 else y.shape[-2:-1]) + (() if b.ndim == 1 else y.shape[-1:])
        return reshape(y, shape)
    if b.ndim == 2 and a.ndim > 2:  # one large GEMM instead of many small ones
        if a.shape[-1] != b.shape[0]:
            MatMul().check(a, b)
        rows = reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))
        return reshape(MatMul()(rows, b), (*a.shape[:-1], b.shape[1]))
    return MatMul()(a, b)


class Linear(Function):
    """y = x weight^T + bias.      Shapes: x (..., i), weight (o, i), bias (o) -> y (..., o)."""

    serves = {0: 1, 1: 0}

    def forward(self, x, weight, bias):
        if x.dtype != weight.dtype:
            _same_dtype("linear", x, weight)
        y = _flat(x) @ weight.swapaxes(0, 1)
        if bias is not None:
            y += bias
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])

    def backward(self, gy, x, weight):
        wants_x, wants_weight, wants_bias = self.wants
        flat = _flat(gy)
        return (
            None if wants_x is None else (flat @ weight).reshape(x.shape),
            None if wants_weight is None else flat.swapaxes(0, 1) @ _flat(x),
            None if wants_bias is None else flat.sum(axis=0),
        )

    def check(self, x, weight, bias):
        if weight.ndim != 2:
            raise ShapeError(f"linear: weight must be (out_features, in_features), and is {weight.shape}")
        if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
            n = x.shape[-1] if x.ndim else "no"
            raise ShapeError(
                f"linear: x has {n} features, weight expects {weight.shape[1]}; x is {x.shape}, weight {weight.shape}"
            )
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ShapeError(
                f"linear: bias must be ({weight.shape[0]},) to match weight {weight.shape}, got {bias.shape}"
            )


def linear(input, weight, bias=None):
    """y = input weight^T + bias.

    Shapes: input (..., in), weight (out, in), bias (out) -> y (..., out).
    Raises: ShapeError if the features do not fit; DTypeError if the dtypes differ.
    """
    if regions:
        input, weight, bias = narrow(input), narrow(weight), narrow(bias)
    if input.ndim == 1:
        return reshape(Linear()(unsqueeze(input, 0), weight, bias), -1)
    if bias is not None and bias.shape != weight.shape[:1]:
        Linear().check(input, weight, bias)
    return Linear()(input, weight, bias)


def t(input):
    """The transpose of a matrix; input itself with fewer axes."""
    if input.ndim > 2:
        raise ShapeError(f"t: expected at most 2 axes, got {input.shape}; write x.transpose(-1, -2)")
    return transpose(input, 0, 1) if input.ndim == 2 else input
