"""Linear algebra under the names of torch.linalg: `mg.linalg.solve(A, b)`.

Where it is computed: products in ops/products.py, systems of equations in ops/inverse.py, eigenvalues and the like in
ops/decompose.py, norms in ops/vector_norm.py and ops/matrix_norm.py.
"""

from .ops import inverse, products
from .ops.decompose import eigh, eigvalsh, qr, svd, svdvals
from .ops.inverse import LinAlgError, cholesky, matrix_power, solve, solve_triangular
from .ops.linalg import matmul
from .ops.matrix_norm import matrix_norm, norm
from .ops.products import multi_dot, vecdot
from .ops.vector_norm import vector_norm

__all__ = ["cross", "matmul", "matrix_power", "multi_dot", "vecdot"]
__all__ += ["cholesky", "det", "inv", "slogdet", "solve", "solve_triangular", "LinAlgError"]
__all__ += ["eigh", "eigvalsh", "qr", "svd", "svdvals"]
__all__ += ["matrix_norm", "norm", "vector_norm"]

# Some have other names for their arguments here than in mg: A, and a dim that is the last.


def cross(input, other, *, dim=-1):
    """`mg.cross`, the cross products of the vectors along `dim`: the last axis, unless another is named."""
    return products.cross(input, other, dim)


def inv(A):  # noqa: N803 - PyTorch's names
    """`mg.inverse`, the inverses of square matrices.      Shapes: A (..., n, n) -> (..., n, n)."""
    return inverse.inverse(A)


def det(A):  # noqa: N803
    """`mg.det`, the determinants of square matrices.      Shapes: A (..., n, n) -> (...)."""
    return inverse.det(A)


def slogdet(A):  # noqa: N803
    """`mg.slogdet`, (sign, logabsdet) of square matrices.      Shapes: A (..., n, n) -> (...) and (...)."""
    return inverse.slogdet(A)
