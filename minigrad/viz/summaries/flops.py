"""Multiply-adds, counted from the operations that run: what viz.summary tells of each layer.

    a matrix product     (..., n, k) @ (..., k, m)                     batch * n * m * k
    linear               (..., i) with weight (o, i)                   rows * o * i
    a convolution        (n, c, h, w) with weight (o, c/g, i, j)       n * o * h' * w' * (c/g) * i * j

These are all: mm, bmm, mv, dot, addmm, baddbmm, einsum and tensordot are made of matrix products, and attention of them
too. Only products count: not the bias, not what is done element by element, not the decompositions of mg.linalg. So it
is half of what PyTorch's FlopCounterMode counts as operations. torchinfo counts from layers instead: the bias too, and
nothing of a functional call or of attention.
"""

from typing import Any

from ...ops.conv import Conv2d, Conv2dInput, Conv2dWeight
from ...ops.distance import Distance
from ...ops.linalg import Linear, MatMul

# Class of an operation -> the count from (node, result, *operands), which are arrays. A Function of your own that
# computes with raw arrays can be added; what it does by other operations is counted without.
MULT_ADDS: dict[type, Any] = {
    MatMul: lambda node, y, a, b: y.size * a.shape[-1],
    Linear: lambda node, y, x, weight, bias: x.size * weight.shape[0],
    Conv2d: lambda node, y, x, weight, bias: y.size * _per_output(weight.shape),
    Conv2dInput: lambda node, y, gy, weight: gy.size * _per_output(weight.shape),
    Conv2dWeight: lambda node, y, x, gy: gy.size * _per_output(y.shape),
    Distance: lambda node, y, a, b: y.size * a.shape[-1] if node.by_products else 0,
}


def _per_output(weight):
    """Products for one number of a convolution's output."""
    _, channels, height, width = weight
    return channels * height * width


def rule_of(node):
    """How the multiply-adds of an operation are counted; None for one that has none of its own."""
    return next((MULT_ADDS[cls] for cls in type(node).__mro__ if cls in MULT_ADDS), None)


def mult_adds(node, operands, result, within=None) -> int:
    """The multiply-adds of an operation that has run.

    Args: within - the operation of which it is a part: where that one is counted, its parts are not.
    """
    rule = rule_of(node)
    if rule is None or (within is not None and rule_of(within) is not None):
        return 0
    return int(rule(node, result, *operands))
