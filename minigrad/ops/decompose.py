"""Decompositions: eigenvalues and -vectors of symmetric matrices, singular values and vectors, QR.

The gradients are formulas of the factors, and hold to any order. Where eigenvalues or singular values are equal, their
vectors can be any basis of a space, and what is computed from them has the gradient NaN; as in PyTorch. What is
computed from the values alone has its gradient.
Source: M. Giles, "An extended collection of matrix derivative results", 2008.
"""

from collections import namedtuple

from ..errors import ShapeError
from ..tape.variable import raw
from .diagonal import diag_embed
from .inverse import Lapack, Solve, halved, matrices, mT
from .join import cat
from .linalg import matmul
from .make import lib

__all__: list[str] = []

Eigen = namedtuple("Eigen", "eigenvalues eigenvectors")
Singular = namedtuple("Singular", "U S Vh")
Orthogonal = namedtuple("Orthogonal", "Q R")


def _row(x):
    """(..., n) as rows (..., 1, n): they scale the columns of a matrix."""
    return x.reshape(*x.shape[:-1], 1, x.shape[-1])


def _over_gaps(x, values):
    """x[i, j] / (values[j] - values[i]), for an x with a diagonal of zeros. NaN where two values are equal."""
    n = values.shape[-1]
    return x / (_row(values) - mT(_row(values)) + lib(raw(values)).eye(n, dtype=values.dtype))


def _skew(x):
    return x - mT(x)


# --- symmetric matrices ------------------------------------------------------------------------------------------


class Eigh(Lapack):
    """(w, v): a v = v diag(w), from one triangle of a."""

    def __init__(self, triangle):
        self.triangle = triangle

    def forward(self, a):
        return tuple(lib(a).linalg.eigh(a, self.triangle))

    def backward(self, gy, y):
        w, v = y
        inner = diag_embed(gy[0])
        if 1 in gy.parts:
            inner = inner + _over_gaps(_skew(mT(v) @ gy[1]), w) * 0.5
        return v @ inner @ mT(v)


class EigenValues(Lapack):
    """w of a v = v diag(w), from one triangle of a."""

    name = "eigvalsh"

    def __init__(self, triangle):
        self.triangle = triangle

    def forward(self, a):
        return lib(a).linalg.eigvalsh(a, self.triangle)

    def backward(self, gy, a):
        v = Eigh(self.triangle)(a)[1]
        return (v * _row(gy)) @ mT(v)


def eigh(input, UPLO="L"):  # noqa: N803 - PyTorch's names
    """(eigenvalues, eigenvectors) of symmetric matrices: input V = V diag(w), w ascending, the vectors as columns of V.

    Shapes: input (..., n, n) -> (..., n), (..., n, n).
    Args:   UPLO - "L" looks at the lower triangle only, "U" at the upper.
    """
    return Eigen(*Eigh(_triangle("eigh", UPLO))(*matrices("eigh", input)))


def eigvalsh(input, UPLO="L"):  # noqa: N803
    """The eigenvalues of symmetric matrices, ascending; see `eigh`.      Shapes: input (..., n, n) -> (..., n)."""
    return EigenValues(_triangle("eigvalsh", UPLO))(*matrices("eigvalsh", input))


def _triangle(name, letter):
    if letter not in ("L", "U", "l", "u"):
        raise ShapeError(f'{name}: UPLO must be "L", for the lower triangle, or "U", and is {letter!r}')
    return letter.upper()


# --- singular values ---------------------------------------------------------------------------------------------


class SVD(Lapack):
    """(u, s, v): a = u diag(s) v."""

    name, square = "svd", False

    def __init__(self, full):
        self.full = full

    def forward(self, a):
        return tuple(lib(a).linalg.svd(a, full_matrices=self.full))

    def backward(self, gy, y):
        k = y[1].shape[-1]
        (gu, gs, gv), (u, s, v) = gy, y
        rows, columns = u.shape[-2], v.shape[-1]
        u, gu, v, gv = u[..., :k], gu[..., :k], v[..., :k, :], gv[..., :k, :]
        inner = diag_embed(gs)
        if 0 in gy.parts:
            turned = mT(u) @ gu
            inner = inner + _over_gaps(_skew(turned), s * s) * _row(s)
        if 2 in gy.parts:
            bent = v @ mT(gv)
            inner = inner + _over_gaps(_skew(bent), s * s) * mT(_row(s))
        g = u @ inner @ v
        if 0 in gy.parts and rows > k:  # what of gu is perpendicular to all of u
            g = g + ((gu - u @ turned) / _row(s)) @ v
        if 2 in gy.parts and columns > k:
            g = g + (u / _row(s)) @ (gv - mT(bent) @ v)
        return g


class SingularValues(Lapack):
    """s of a = u diag(s) v."""

    name, square = "svdvals", False

    def forward(self, a):
        return lib(a).linalg.svd(a, compute_uv=False)

    def backward(self, gy, a):
        u, _, v = SVD(full=False)(a)
        return (u * _row(gy)) @ v


def svd(A, full_matrices=True):  # noqa: N803
    """(U, S, Vh) with A = U diag(S) Vh: singular values, descending, and vectors, the columns of U and rows of Vh.

    Shapes: A (..., n, m), k = min(n, m) -> (..., n, n), (..., k), (..., m, m); (..., n, k), (..., k), (..., k, m) with
            full_matrices=False. Vectors beyond the first k have no gradient: they can be any, as in PyTorch.
    """
    return Singular(*SVD(full_matrices)(*matrices("svd", A)))


def svdvals(A):  # noqa: N803
    """The singular values, descending.      Shapes: A (..., n, m) -> (..., min(n, m))."""
    return SingularValues()(*matrices("svdvals", A))


# --- QR ----------------------------------------------------------------------------------------------------------


class QR(Lapack):
    """(q, r): a = q r, for a with at least as many rows as columns."""

    name, square = "qr", False

    def forward(self, a):
        return tuple(lib(a).linalg.qr(a))

    def backward(self, gy, y):
        q, r = y
        gq, gr = gy
        inner = halved(r @ mT(gr) - mT(gq) @ q)
        return mT(Solve("qr")(r, mT(gq + q @ (inner + mT(inner)))))


def qr(A, mode="reduced"):  # noqa: N803
    """(Q, R) with A = Q R: the columns of Q perpendicular and of length 1, R an upper triangle.

    Shapes: A (..., n, m), k = min(n, m) -> (..., n, k), (..., k, m).
    Args:   mode - "reduced"; of PyTorch's others, "complete" has no gradient, and "r" leaves out Q.
    """
    if mode != "reduced":
        raise ShapeError(f'qr: mode must be "reduced", the one with a gradient, and is {mode!r}')
    (a,) = matrices("qr", A)
    if a.ndim < 2 or a.shape[-1] <= a.shape[-2]:
        return Orthogonal(*QR()(a))
    k = a.shape[-2]
    q, r = QR()(a[..., :k])
    return Orthogonal(q, cat([r, matmul(mT(q), a[..., k:])], -1))
