"""Products under their own names: of matrices, of vectors, batched, added to something; outer, Kronecker and cross.

matmul does the work (ops/linalg.py); the names say, and check, how many axes the operands have.
"""

import itertools

from ..dtypes import promote
from ..errors import DTypeError, ShapeError
from ..tape.function import Function, where_it_lies
from ..tape.modes import regions
from .arithmetic import mul
from .autocast import narrow
from .linalg import matmul
from .make import lib
from .reduce import sum as total
from .shape import axis_of, permute, reshape, unsqueeze

__all__ = ["mm", "bmm", "mv", "dot", "vdot", "outer", "ger", "kron", "cross", "addmm", "addmv", "addr", "addbmm"]
__all__ += ["baddbmm"]


def _check_axes(name, **operands):
    """Refuse an operand that has not as many axes as the operation takes: name=(x, number)."""
    for what, (x, ndim) in operands.items():
        if x.ndim != ndim:
            raise ShapeError(f"{name}: {what} must have {ndim} axes, and is {x.shape}; mg.matmul takes any number")


def mm(input, mat2):
    """The product of two matrices.      Shapes: input (n, k), mat2 (k, m) -> (n, m)."""
    _check_axes("mm", input=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2)


def bmm(input, mat2):
    """The products of two stacks of matrices.      Shapes: input (b, n, k), mat2 (b, k, m) -> (b, n, m)."""
    _check_axes("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: the stacks differ in length; input is {input.shape}, mat2 {mat2.shape}; see mg.matmul")
    return matmul(input, mat2)


def mv(input, vec):
    """The product of a matrix and a vector.      Shapes: input (n, k), vec (k) -> (n)."""
    _check_axes("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec)


def dot(input, tensor):
    """The sum of the products of the elements of two vectors.      Shapes: input (n), tensor (n) -> ()."""
    _check_axes("dot", input=(input, 1), tensor=(tensor, 1))
    return matmul(input, tensor)


def vdot(input, other):
    """`dot`: of real numbers it is the same.      Shapes: input (n), other (n) -> ()."""
    return dot(input, other)


def outer(input, vec2):
    """y[i, j] = input[i] * vec2[j].      Shapes: input (n), vec2 (m) -> (n, m)."""
    _check_axes("outer", input=(input, 1), vec2=(vec2, 1))
    return mul(unsqueeze(input, 1), vec2)


ger = outer


def kron(input, other):
    """The Kronecker product: each element of input times all of other, side by side.

    Shapes: input (n, m, ...), other (k, l, ...) -> (n k, m l, ...); the one with fewer axes gets leading ones.
    """
    axes = max(input.ndim, other.ndim)
    left, right = ((1,) * (axes - x.ndim) + x.shape for x in (input, other))
    a = reshape(input, tuple(size for n in left for size in (n, 1)))
    b = reshape(other, tuple(size for n in right for size in (1, n)))
    return reshape(mul(a, b), tuple(n * m for n, m in zip(left, right, strict=True)))


class Cross(Function):
    """y = a x b, perpendicular to both, along an axis of size 3."""

    dtype_rule = staticmethod(promote)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, a, b):
        return lib(a).cross(a, b, axis=self.axis)

    def backward(self, gy, a, b):
        return Cross(self.axis)(b, gy), Cross(self.axis)(gy, a)

    def check(self, a, b):
        raise ShapeError(f"cross: input {a.shape} and other {b.shape} do not broadcast")


def cross(input, other, dim=None):
    """The cross products of the vectors along `dim`, an axis of size 3 of both.

    Args:   dim - by default the first axis of size 3. Better name it, or write mg.linalg.cross, where it is the last.
    Raises: ShapeError where it is not of size 3, or the numbers of axes differ.
    """
    if input.ndim != other.ndim:
        raise ShapeError(f"cross: the numbers of axes must agree; input is {input.shape}, other {other.shape}")
    if dim is None:
        if 3 not in input.shape:
            raise ShapeError(f"cross: no axis has size 3; input is {input.shape}")
        dim = input.shape.index(3)
    axis = axis_of("cross", input, dim)
    if not input.ndim or (input.shape[axis], other.shape[axis]) != (3, 3):
        raise ShapeError(f"cross: dim {dim} must have size 3; input is {input.shape}, other {other.shape}")
    return Cross(axis)(input, other)


def vecdot(x, y, *, dim=-1):
    """The sums of the products of x and y along `dim`.      Shapes: x and y broadcast to (..., n) -> (...)."""
    if x.dtype != y.dtype:
        raise DTypeError(f"vecdot: x is {x.dtype}, y {y.dtype}; write y.to(x.dtype)")
    return total(mul(x, y), dim)


def multi_dot(tensors):
    """The product of several matrices, in the order of multiplications that is cheapest.

    Shapes: (n, k), (k, l), ..., (m, o) -> (n, o). The first may be a vector (k), a row, and the last a column.
    """
    tensors = list(tensors)
    shapes = ", ".join(str(x.shape) for x in tensors)
    if len(tensors) < 2 or any(x.ndim != 2 for x in tensors[1:-1]) or not {tensors[0].ndim, tensors[-1].ndim} <= {1, 2}:
        raise ShapeError(f"multi_dot: expected at least two matrices, the first and last perhaps vectors; got {shapes}")
    sizes = [tensors[0].shape[0] if tensors[0].ndim == 2 else 1]
    sizes += [x.shape[1] if x.ndim == 2 else 1 for x in tensors]
    sizes[1] = tensors[0].shape[-1]
    if any(x.shape[0] != n for x, n in zip(tensors[1:], sizes[1:-1], strict=True)):
        raise ShapeError(f"multi_dot: the columns of each must be as many as the rows of the next; got {shapes}")

    # (multiplications, where it is cut) of the tensors i to j, the short chains first
    best = {(i, i): (0, i) for i in range(len(tensors))}
    for i, j in sorted(itertools.combinations(range(len(tensors)), 2), key=lambda ends: ends[1] - ends[0]):
        best[i, j] = min(
            (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
        )
    return _chained(tensors, best, 0, len(tensors) - 1)


def _chained(tensors, best, i, j):
    k = best[i, j][1]
    if i == j:
        return tensors[i]
    return matmul(_chained(tensors, best, i, k), _chained(tensors, best, k + 1, j))


# --- added to something ------------------------------------------------------------------------------------------


def _added(name, input, product, beta, alpha):
    """beta * input + alpha * product, input broadcast to the product."""
    if regions:
        input = narrow(input)
    shape = product.shape
    lead = len(shape) - input.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(input.shape, shape[lead:], strict=True)):
        raise ShapeError(f"{name}: input {input.shape} does not broadcast to the product {shape}")
    if product.dtype.kind != "f" and float in (type(beta), type(alpha)):
        raise DTypeError(f"{name}: beta and alpha must be integers for {product.dtype}; got {beta} and {alpha}")
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    if input.dtype != product.dtype:
        raise DTypeError(f"{name}: input is {input.dtype}, the product {product.dtype}; write input.to(...)")
    return product + (input if beta == 1 else input * beta)


@where_it_lies
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta input + alpha (mat1 @ mat2). With beta 0, input is not looked at, and its NaN do not count.

    Shapes: input broadcasts to (n, m), mat1 (n, k), mat2 (k, m) -> (n, m).
    """
    _check_axes("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    return _added("addmm", input, matmul(mat1, mat2), beta, alpha)


@where_it_lies
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta input + alpha (mat @ vec); see `addmm`.      Shapes: input to (n), mat (n, k), vec (k) -> (n)."""
    _check_axes("addmv", mat=(mat, 2), vec=(vec, 1))
    return _added("addmv", input, matmul(mat, vec), beta, alpha)


@where_it_lies
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta input + alpha outer(vec1, vec2); see `addmm`.      Shapes: input to (n, m), vec1 (n), vec2 (m) -> (n, m)."""
    if regions:
        vec1, vec2 = narrow(vec1), narrow(vec2)
    _check_axes("addr", vec1=(vec1, 1), vec2=(vec2, 1))
    return _added("addr", input, outer(vec1, vec2), beta, alpha)


@where_it_lies
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta input + alpha times the sum of the products of two stacks of matrices; see `addmm`.

    Shapes: input broadcasts to (n, m), batch1 (b, n, k), batch2 (b, k, m) -> (n, m).
    """
    _check_axes("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    if (batch1.shape[0], batch1.shape[2]) != batch2.shape[:2]:
        raise ShapeError(f"addbmm: batch1 {batch1.shape} and batch2 {batch2.shape} are not (b, n, k) and (b, k, m)")
    rows = reshape(permute(batch1, 1, 0, 2), (batch1.shape[1], batch2.shape[0] * batch2.shape[1]))
    columns = reshape(batch2, (rows.shape[1], batch2.shape[2]))
    return _added("addbmm", input, matmul(rows, columns), beta, alpha)  # one GEMM over both the stack and k


@where_it_lies
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta input + alpha bmm(batch1, batch2); see `addmm`.

    Shapes: input broadcasts to (b, n, m), batch1 (b, n, k), batch2 (b, k, m) -> (b, n, m).
    """
    return _added("baddbmm", input, bmm(batch1, batch2), beta, alpha)
