"""Products, einsum, square systems, decompositions, norms of matrices, distances."""

import numpy as np

rng = np.random.default_rng(1)
square = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
definite = square @ square.mT
ARRAYS = {
    "sq": square[0],
    "sqs": square,
    "spd": definite[0],
    "spds": definite,
    "x4": rng.normal(size=(4, 2)),
    "y3": rng.normal(size=(3, 2)),
    "v3": rng.normal(size=3),
    "vs": rng.normal(size=(2, 3)),
    "tall": rng.normal(size=(2, 4, 3)),
    "bat": rng.normal(size=(2, 4, 5)),
    "one3": rng.normal(size=(1, 3)),
    "ints": rng.integers(-3, 4, (3, 3)),
    "points": rng.normal(size=(3, 2)),
    "others": rng.normal(size=(5, 2)),
    "rhs": rng.normal(size=(3, 5)),
    "many2": rng.normal(size=(30, 2)),
    "sets": rng.normal(size=(2, 1, 3, 2)),
    # singular, zero, coinciding, not a number
    "z": np.zeros((3, 3)),
    "singular": np.array([[1.0, 2], [2, 4]]),
    "negative": np.array([[0.0, 2], [2, 1]]),
    "tiny": np.diag([1e-200, 1e-200]),
    "wild": np.array([[np.nan, 1, 2], [np.inf, 0, 1], [-np.inf, 1, 1]]),
    "odd3": np.full((3, 2), np.nan),
    "here": np.array([[0.0, 0], [1, 1], [1, 2]]),
    "there": np.array([[0.0, 0], [1, 2], [2, 1]]),
    "mat0": np.zeros((0, 0)),
    "mats0": np.zeros((0, 3, 3)),
    "bat0": np.zeros((0, 3, 4)),
    "in0": np.zeros((2, 3, 0)),
    "n0": np.zeros((3, 0)),
}

CALLS = """
lib.t(a) | lib.t(v) | lib.mm(a, x4) | lib.mm(ints, ints) | lib.bmm(deep, bat) | lib.mv(a, v) | lib.dot(v, v)
lib.dot(ints[0], ints[1]) | lib.vdot(v, v + 1) | lib.inner(a, w) | lib.inner(deep, v) | lib.inner(a, scalar)
lib.inner(v, v) | lib.outer(v, u) | lib.outer(v, vec2=ints[0]) | lib.ger(v, u) | lib.kron(a, x4) | lib.kron(v, deep)
lib.kron(ints, a) | lib.kron(scalar, a) | lib.cross(vs, vs * 2 + 1) | lib.cross(sqs, sqs + 1, dim=1)
lib.cross(one3, vs) | lib.cross(tall, tall * tall) | lib.cross(ints, ints + 1) | lib.addmm(y3, a, x4)
lib.addmm(y3[0], a, x4, beta=0.5, alpha=2) | lib.addmm(scalar, a, x4) | lib.addmm(ints, ints, ints, alpha=2)
lib.addmv(v3, a, v) | lib.addmv(scalar, a, v, beta=2, alpha=-1) | lib.addr(b, v3, v, beta=3) | lib.addr(scalar, v, u)
lib.addbmm(rhs, deep, bat) | lib.addbmm(u, deep, bat, alpha=0.1) | lib.baddbmm(rhs, deep, bat, beta=0.3)
lib.baddbmm(u, deep, bat) | lib.tensordot(a, x4, 1) | lib.tensordot(a, b) | lib.tensordot(a, b, 0)
lib.tensordot(deep, a, ([1, 2], [0, 1])) | lib.tensordot(deep, w, dims=([-1], [1]))
lib.tensordot(one, a, ([1], [0])) | lib.tensordot(deep, deep, ([0], [0])) | lib.einsum("ij,jk->ik", a, x4)
lib.einsum("ij,jk", a, x4) | lib.einsum("ij,kj", a, w) | lib.einsum("bA,aA", a, w) | lib.einsum("ii", sq)
lib.einsum("ii->i", sq) | lib.einsum("bii->b", sqs) | lib.einsum("aij,aij->a", sqs, spds)
lib.einsum("...ij->...ji", deep) | lib.einsum("i...,i...->...", a, b) | lib.einsum("...ij,...jk->...ik", deep, x4)
lib.einsum("...,...", one, a) | lib.einsum("i,j,k->kij", v, u, v3) | lib.einsum("ij,jk,kl->il", a, x4, x4.T)
lib.einsum("ij,ij,ij->", a, b, a) | lib.einsum("ij->", a) | lib.einsum("ijk->ki", deep)
lib.einsum("...i->...", deep) | lib.einsum("...j->j", deep) | lib.einsum(" i j , j -> i ", a, v)
lib.einsum("ij,jk", [a, x4]) | lib.einsum(a, [0, 1], x4, [1, 2]) | lib.einsum(a, [0, 1], v, [1], [0])
lib.einsum(deep, [..., 30, 3], w, [4, 3], [4, ..., 30]) | lib.einsum("abc,ac,bd->db", one, w[:3], x4[:1])
lib.einsum("ij,jk->ik", ints, ints) | lib.einsum("ij->i", ints) | lib.einsum("ij,kl->ik", ints, ints)
lib.einsum("a,b->ab", ints[0], a[0]) | lib.einsum(",", scalar, scalar) | lib.einsum("", scalar)
lib.einsum("ij->...ij", a) | lib.einsum("iij,jk->ik", sqs[:, :2] @ sq, a) | lib.einsum("ij,kl,kl->ij", a, w, w)
lib.inverse(sq) | lib.inverse(sqs) | lib.det(sq) | lib.det(sqs) | lib.logdet(spd) | lib.logdet(spds)
lib.slogdet(sqs) | lib.slogdet(-sq) | lib.slogdet(sq).sign | lib.slogdet(sq).logabsdet | lib.matrix_power(sqs, 3)
lib.matrix_power(sq, 1) | lib.matrix_power(sq, 6) | lib.matrix_power(sq, -3) | lib.linalg.matrix_power(sq, n=2)
lib.linalg.inv(sq) | lib.linalg.inv(A=sqs.float()) | lib.linalg.det(sqs) | lib.linalg.slogdet(sqs)
lib.linalg.solve(sq, y3) | lib.linalg.solve(sqs, y3) | lib.linalg.solve(sq, sqs) | lib.linalg.solve(sqs, vs)
lib.linalg.solve(sqs, v3) | lib.linalg.solve(sqs, tall, left=False) | lib.linalg.solve(sq, y3.T, left=False)
lib.linalg.solve(sqs[:, None], sqs) | lib.linalg.solve_triangular(sq, y3, upper=True)
lib.linalg.solve_triangular(sqs, y3, upper=False) | lib.linalg.solve_triangular(sq, y3.T, upper=True, left=False)
lib.linalg.solve_triangular(sqs, y3, upper=False, unitriangular=True) | lib.linalg.cholesky(spd)
lib.linalg.cholesky(spds) | lib.linalg.cholesky(spd, upper=True) | lib.linalg.cholesky(spd.float())
lib.linalg.eigvalsh(spds) | lib.linalg.eigh(spds).eigenvalues | lib.linalg.eigh(spd)[1] ** 2
lib.linalg.eigh(spds, UPLO="U").eigenvectors ** 2 | lib.linalg.svdvals(tall) | lib.linalg.svdvals(a)
lib.linalg.svd(a, full_matrices=False)[0] ** 2 | lib.linalg.svd(tall, False).Vh ** 2 | lib.linalg.svd(sqs).S
lib.linalg.svd(a)[2][:3] ** 2 | lib.linalg.qr(tall) | lib.linalg.qr(a) | lib.linalg.qr(sqs).R
lib.linalg.matrix_norm(a) | lib.linalg.matrix_norm(deep, "nuc") | lib.linalg.matrix_norm(deep, 1)
lib.linalg.matrix_norm(deep, -1, keepdim=True) | lib.linalg.matrix_norm(deep, 2, dim=(0, 2), keepdim=True)
lib.linalg.matrix_norm(deep, -2, (0, 1)) | lib.linalg.matrix_norm(deep, float("inf"), dim=(2, 0))
lib.linalg.matrix_norm(a, float("-inf")) | lib.linalg.matrix_norm(deep, "fro", (0, 1), True)
lib.linalg.matrix_norm(a.float(), 2, dtype=lib.float64) | lib.linalg.matrix_norm(input=a, ord=1)
lib.linalg.norm(deep) | lib.linalg.norm(v, 3) | lib.linalg.norm(a, 1) | lib.linalg.norm(a, "nuc")
lib.linalg.norm(a, 2) | lib.linalg.norm(deep, 2, (0, 2)) | lib.linalg.norm(deep, None, (0, 2))
lib.linalg.norm(deep, 1, 1, keepdim=True) | lib.linalg.norm(a.float(), "fro", (0, 1), True, dtype=lib.float64)
lib.linalg.vector_norm(a) | lib.linalg.norm(deep, 0, (1,)) | lib.linalg.vector_norm(deep, 3, dim=(0, 1))
lib.linalg.multi_dot([a, x4, x4.T, v]) | lib.linalg.multi_dot([v, x4]) | lib.linalg.multi_dot([v3, a, w.T, w])
lib.linalg.vecdot(deep, b) | lib.linalg.vecdot(a, one, dim=0) | lib.linalg.cross(vs, vs * vs)
lib.linalg.cross(sqs, sqs + 1, dim=1) | lib.linalg.cross(one3, vs) | lib.linalg.matmul(a, x4)
lib.cdist(points, others) | lib.cdist(sets, others) | lib.cdist(points, others, 1) | lib.cdist(points, others, p=3.5)
lib.cdist(points, others, 0.7) | lib.cdist(points, others, 0) | lib.cdist(points, others, float("inf"))
lib.cdist(many2, others) | lib.cdist(points, others, compute_mode="use_mm_for_euclid_dist")
lib.cdist(many2, others, 2, "donot_use_mm_for_euclid_dist")
"""

METHODS = """
a.mm(x4) | deep.bmm(bat) | a.mv(v) | v.dot(v) | v.vdot(v) | a.inner(w) | v.outer(u) | v.ger(u) | a.kron(x4)
vs.cross(vs + 1) | sqs.cross(sqs + 1, 1) | y3.addmm(a, x4) | y3.addmm(a, x4, beta=2, alpha=0.5) | v3.addmv(a, v)
b.addr(v3, v) | rhs.addbmm(deep, bat) | rhs.baddbmm(deep, bat, alpha=2) | sq.inverse() | sqs.det() | sqs.slogdet()
spd.logdet() | sqs.matrix_power(2) | (y3 * 1).addmm_(a, x4, alpha=2) | (v3 * 1).addmv_(a, v) | (b * 1).addr_(v3, v)
(rhs * 1).addbmm_(deep, bat) | (lib.stack([rhs, rhs]) * 1).baddbmm_(deep, bat, beta=0.5)
"""

EDGES = """
lib.addmm(odd3, a, x4, beta=0) | lib.addmv(wild[0], a, v, beta=0) | lib.mm(wild, sq) | lib.dot(wild[:, 0], v3)
lib.einsum("ij,jk->ik", wild, sq) | lib.einsum("ii->i", wild) | lib.kron(wild, v3) | lib.det(z)
lib.slogdet(z.detach()) | lib.slogdet(singular).logabsdet.detach() | lib.logdet(negative)
lib.logdet(singular).detach() | lib.det(tiny) | lib.det(wild[:, :2][:2]).detach() | lib.cdist(here, there)
lib.cdist(here, there, 1) | lib.cdist(here, there, 3) | lib.cdist(here, there, 1.5) | lib.cdist(here, there, 0.5)
lib.cdist(here, there, 0) | lib.cdist(here, there, float("inf")) | lib.cdist(here, here)
lib.cdist(wild, wild).detach() | lib.linalg.matrix_norm(z) | lib.linalg.matrix_norm(z, 1)
lib.linalg.matrix_norm(z, "nuc") | lib.linalg.norm(z)
lib.linalg.matrix_norm(lib.ones_like(z) * z[0, 0] + sq * 0 + 1, 1) | lib.linalg.norm(z[0]) | lib.linalg.norm(wild[0])
lib.linalg.matrix_norm(wild, float("inf")).detach()
"""

EMPTY = """
lib.mm(none, sq) | lib.mm(n0, none) | lib.bmm(bat0, bat0.mT) | lib.bmm(in0, in0.mT) | lib.mv(none, v3)
lib.mv(n0, nothing) | lib.dot(nothing, nothing) | lib.outer(nothing, v) | lib.inner(n0, n0) | lib.kron(none, a)
lib.cross(none, none) | lib.addmm(y3, n0, lib.zeros(0, 2).double()) | lib.addbmm(b[:, :3], bat0, bat0.mT)
lib.addmv(v3, n0, nothing) | lib.tensordot(n0, none, 1) | lib.tensordot(none, none, 2) | lib.einsum("ij,jk", n0, none)
lib.einsum("ij->j", none) | lib.einsum("ij,ij->j", none, none) | lib.einsum("ii->i", mat0)
lib.einsum("i,j", nothing, v) | lib.inverse(mat0) | lib.inverse(mats0) | lib.det(mat0) | lib.det(mats0)
lib.slogdet(mat0) | lib.logdet(mats0) | lib.linalg.solve(sq, n0) | lib.linalg.solve(mats0, y3)
lib.linalg.cholesky(mats0) | lib.linalg.eigvalsh(mats0) | lib.linalg.svdvals(none) | lib.linalg.svdvals(mats0)
lib.linalg.matrix_norm(none) | lib.linalg.norm(none) | lib.linalg.matrix_norm(none, "nuc")
lib.cdist(none, y3 @ y3.T) | lib.cdist(n0, n0) | lib.cdist(none, none, 1) | lib.linalg.vecdot(n0, n0)
lib.linalg.multi_dot([n0, none, sq]) | lib.matrix_power(mats0, 2) | in0 @ none | lib.matmul(in0, n0.T) | in0 @ nothing
in0[:0] @ none | in0.mT @ y3 | lib.tensordot(in0, none, 1) | F.linear(in0, n0) | F.linear(in0, n0, v3)
F.linear(bat0, x4.T[:, :1].expand(2, 4)) | F.linear(sqs, none) | F.linear(sqs, none, nothing) | F.linear(in0[0, 0], n0)
F.linear(in0, mat0) | F.linear(v3, none)
"""
