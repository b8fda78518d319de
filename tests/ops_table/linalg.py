"""Products of matrices and vectors, einsum, square systems, decompositions, norms of matrices, distances."""

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import linalg

from .row import Row, distinct

draw = np.random.default_rng(7)
inf = float("inf")


def regular(*shape):
    """Matrices with singular values far from 0 and from each other."""
    values = distinct(draw, shape)
    values[..., range(shape[-1]), range(shape[-1])] += np.arange(1, shape[-1] + 1) * 3
    return values


def by_float(function):
    """`function` of matrices for the rows: in float16, which LAPACK does not know, by way of float32."""

    def called(*xs):
        if xs[0].dtype != np.float16:
            return function(*xs)
        return function(*(x.astype("float32") for x in xs)).astype("float16")

    return called


def of_definite(function):
    """`function` of x x^T, which is symmetric and positive-definite."""
    return by_float(lambda x: function(x @ x.swapaxes(-1, -2)))


def by_labels(equation, *shapes):
    return Row(f"einsum {equation}", lambda *xs: mg.einsum(equation, *xs), shapes, lambda *xs: np.einsum(equation, *xs))


def distances(name, p, *shapes, **how):
    def reference(a, b):
        return np.linalg.norm(a[..., :, None, :] - b[..., None, :, :], p, -1)

    return Row(f"cdist {name}", lambda a, b: mg.cdist(a, b, p, **how), shapes, reference)


def norm(order):
    ours = by_float(lambda x: linalg.matrix_norm(x, order))
    return Row(f"matrix_norm {order}", ours, (regular(2, 3, 3),), lambda x: np.linalg.norm(x, order, (-2, -1)))


# What holds whichever signs the vectors come with.


def eigen(w, v):
    return v * v * w[..., None, :]


def singular(u, s, v):
    return (u * u * s[..., None, :]) @ (v * v)


def orthogonal(q, r):
    return (q * q) @ (r * r)


def symmetric(x):
    return x + x.swapaxes(-1, -2)


def decomposed(name, ours, theirs, combine, *shapes):
    """A row for each shape. They are stacks: of the others a checker of gradients makes some of low rank."""
    ours = by_float(lambda x, ours=ours: combine(*ours(x)))
    return [Row(f"{name} of {shape}", ours, (shape,), lambda x: combine(*theirs(x))) for shape in shapes]


def triangular(a, b):
    return linalg.solve_triangular(a, b, upper=True)


def triangular_of_1(a, b):
    return linalg.solve_triangular(a, b, upper=False, left=False, unitriangular=True)


PRODUCTS = [
    Row("matmul", mg.matmul, ((3, 4), (4, 2)), np.matmul),
    Row("matmul batched", mg.matmul, ((2, 1, 3, 4), (5, 4, 2)), np.matmul),
    Row("matmul wide", mg.matmul, ((2, 3, 4), (4, 2)), np.matmul),
    Row("matmul vectors", mg.matmul, ((4,), (4,)), np.matmul),
    Row("matmul row", mg.matmul, ((4,), (2, 4, 3)), np.matmul),
    Row("matmul column", mg.matmul, ((2, 3, 4), (4,)), np.matmul),
    Row("linear", F.linear, ((5, 4), (3, 4), (3,)), lambda x, w, b: x @ w.T + b),
    Row("linear deep", F.linear, ((2, 3, 4), (3, 4)), lambda x, w: x @ w.T),
    Row("linear vector", F.linear, ((4,), (3, 4), (3,)), lambda x, w, b: x @ w.T + b),
    Row("t", mg.t, ((3, 4),), np.transpose),
    Row("mm", mg.mm, ((3, 4), (4, 2)), np.matmul),
    Row("bmm", mg.bmm, ((2, 3, 4), (2, 4, 2)), np.matmul),
    Row("mv", mg.mv, ((3, 4), (4,)), np.matmul),
    Row("dot", mg.dot, ((4,), (4,)), np.dot),
    Row("vdot", mg.vdot, ((4,), (4,)), np.vdot),
    Row("outer", mg.outer, ((3,), (4,)), np.outer),
    Row("kron", mg.kron, ((2, 3), (3, 2)), np.kron),
    Row("kron of a vector", mg.kron, ((3,), (2, 2, 2)), np.kron),
    Row("cross", mg.cross, ((2, 3), (2, 3)), np.cross),
    Row("cross in the middle", lambda a, b: linalg.cross(a, b, dim=1), ((2, 3, 2), (1, 3, 2)),
        lambda a, b: np.cross(a, b, axis=1)),
    Row("vecdot", lambda a, b: linalg.vecdot(a, b, dim=0), ((3, 2), (3, 1)), lambda a, b: (a * b).sum(0)),
    Row("multi_dot", lambda *xs: linalg.multi_dot(xs), ((2, 4), (4, 3), (3, 5), (5,)),
        lambda *xs: np.linalg.multi_dot(xs)),
    Row("addmm", mg.addmm, ((3, 2), (3, 4), (4, 2)), lambda x, a, b: x + a @ b),
    Row("addmm scaled", lambda x, a, b: mg.addmm(x, a, b, beta=0.5, alpha=2), ((2,), (3, 4), (4, 2)),
        lambda x, a, b: x / 2 + 2 * a @ b),
    Row("addmv", lambda x, a, b: mg.addmv(x, a, b, alpha=3), ((3,), (3, 4), (4,)), lambda x, a, b: x + 3 * a @ b),
    Row("addr", lambda x, a, b: mg.addr(x, a, b, beta=2), ((), (3,), (4,)), lambda x, a, b: 2 * x + np.outer(a, b)),
    Row("addbmm", mg.addbmm, ((3, 2), (2, 3, 4), (2, 4, 2)), lambda x, a, b: x + (a @ b).sum(0)),
    Row("baddbmm", lambda x, a, b: mg.baddbmm(x, a, b, beta=-1, alpha=0.5), ((3, 1), (2, 3, 4), (2, 4, 2)),
        lambda x, a, b: (a @ b) / 2 - x),
    by_labels("ij,jk->ik", (3, 4), (4, 2)),
    by_labels("bij,kbj->ikb", (2, 3, 4), (5, 2, 4)),
    by_labels("i,j", (3,), (4,)),
    by_labels("ij,ij->j", (3, 4), (3, 4)),
    by_labels("iij->j", (3, 3, 2)),
    by_labels("ii->i", (4, 4)),
    by_labels("ijk->k", (2, 3, 4)),
    by_labels("a...b,bc...->...ca", (2, 3, 4), (4, 2, 1)),
    by_labels("ij,jk,kl,il->", (2, 3), (3, 4), (4, 2), (2, 2)),
    Row("tensordot", mg.tensordot, ((2, 3, 4), (3, 4, 2)), np.tensordot),
    Row("tensordot axes", lambda a, b: mg.tensordot(a, b, ([0, -1], [1, 2])), ((2, 3, 4), (5, 2, 4)),
        lambda a, b: np.tensordot(a, b, ([0, -1], [1, 2]))),
    Row("inner", mg.inner, ((2, 3, 4), (5, 4)), np.inner),
]  # fmt: skip

# Of square matrices. A GPU is waited for where they may be singular.
SYSTEMS = [
    Row("inverse", by_float(mg.inverse), (regular(2, 3, 3),), np.linalg.inv),
    Row("solve", by_float(linalg.solve), (regular(2, 3, 3), (3, 2)), np.linalg.solve),
    Row("solve vectors", by_float(linalg.solve), (regular(2, 3, 3), (2, 3)),
        lambda a, b: np.linalg.solve(a, b[..., None])[..., 0]),
    Row("solve from the right", by_float(lambda a, b: linalg.solve(a, b, left=False)), (regular(2, 3, 3), (2, 3)),
        lambda a, b: b @ np.linalg.inv(a)),
    Row("solve_triangular", by_float(triangular), (regular(3, 3), (3, 2)), lambda a, b: np.linalg.solve(np.triu(a), b)),
    Row("solve_triangular by 1", by_float(triangular_of_1), (regular(3, 3), (2, 3)),
        lambda a, b: b @ np.linalg.inv(np.tril(a, -1) + np.eye(3))),
    Row("matrix_power", lambda x: mg.matrix_power(x, 5), (regular(2, 3, 3) / 8,), lambda x: x @ x @ x @ x @ x),
    Row("matrix_power of the inverse", by_float(lambda x: mg.matrix_power(x, -2)), (regular(2, 3, 3),),
        lambda x: np.linalg.inv(x @ x)),
    Row("cholesky", of_definite(linalg.cholesky), (regular(2, 3, 3),), lambda x: np.linalg.cholesky(x @ x.mT)),
    Row("cholesky upper", of_definite(lambda x: linalg.cholesky(x, upper=True)), (regular(2, 3, 3),),
        lambda x: np.linalg.cholesky(x @ x.mT).mT),
    Row("det", by_float(mg.det), (regular(2, 3, 3) / 8,), np.linalg.det),
    Row("slogdet", by_float(lambda x: mg.slogdet(x).logabsdet), (regular(2, 3, 3),), lambda x: np.linalg.slogdet(x)[1]),
    Row("logdet", of_definite(mg.logdet), (regular(2, 3, 3),), lambda x: np.log(np.linalg.det(x @ x.mT))),
]  # fmt: skip

DECOMPOSITIONS = [
    Row("eigh", by_float(lambda x: eigen(*linalg.eigh(symmetric(x)))), (regular(2, 3, 3),),
        lambda x: eigen(*np.linalg.eigh(symmetric(x)))),
    Row("eigvalsh", by_float(lambda x: linalg.eigvalsh(symmetric(x), UPLO="U")), (regular(3, 3),),
        lambda x: np.linalg.eigvalsh(symmetric(x))),
    *decomposed("svd", lambda x: linalg.svd(x, False), lambda x: np.linalg.svd(x, False), singular,
        (2, 3, 3), (2, 3, 2), (2, 3, 4)),
    *decomposed("svdvals", lambda x: [linalg.svdvals(x)], lambda x: [np.linalg.svd(x)[1]], lambda s: s, (2, 3, 4)),
    *decomposed("qr", linalg.qr, np.linalg.qr, orthogonal, (2, 3, 3), (2, 3, 2), (2, 3, 4)),
]  # fmt: skip

LENGTHS = [
    *map(norm, ("fro", "nuc", 1, -1, 2, -2, inf, -inf)),
    *(distances(f"{p}", p, (3, 2), (4, 2)) for p in (1, 2, 3, 0.5, inf)),
    distances("of stacks", 2.0, (2, 1, 3, 2), (2, 4, 2)),
    distances("by products", 2, (2, 3, 2), (4, 2), compute_mode="use_mm_for_euclid_dist"),
]

ROWS = PRODUCTS + SYSTEMS + DECOMPOSITIONS + LENGTHS
