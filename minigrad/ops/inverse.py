"""Square matrices: inverses, equations, determinants, Cholesky factors. Over leading axes, of each of them.

LAPACK does the work, which knows no float16. A matrix that is singular, or not positive-definite, raises LinAlgError;
to learn of it, a GPU is waited for, as PyTorch does: in the operation, not in its gradient.
"""

import itertools
from collections import namedtuple

from ..backend import around, backend
from ..dtypes import float16, require_floats
from ..errors import DTypeError, MinigradError, ShapeError
from ..tape.function import Function, where_it_lies
from ..tape.modes import regions
from ..tape.variable import Variable, raw
from .autocast import wide
from .choose import where
from .diagonal import diag_embed, diagonal, tril, triu
from .linalg import matmul
from .make import lib
from .shape import clone, expand, squeeze, unsqueeze

__all__ = ["inverse", "det", "slogdet", "logdet", "matrix_power"]

SignAndLog = namedtuple("SignAndLog", "sign logabsdet")


class LinAlgError(MinigradError, RuntimeError, ValueError):
    """A matrix that is singular, or not positive-definite, or whose decomposition did not converge."""


def mT(x):  # noqa: N802 - as the property that arrays and Variables have
    """The transposes of matrices, as a view."""
    return x.swapaxes(-1, -2)


def matrices(name, *operands):
    """The operands, as LAPACK takes them: floats, in an autocast region wide ones."""
    for x in operands:
        require_floats(name, x)
    return [wide(x) for x in operands] if regions else operands


class Lapack(Function):
    """A function of matrices that LAPACK computes; its messages for what it refuses."""

    routine, square, fault = "", True, ""

    def check(self, a, *others):
        for x in (a, *others):
            if x.dtype == float16:
                raise DTypeError(f"{self.name}: float16 matrices are not decomposed; write x.float()")
        if a.ndim < 2 or (self.square and a.shape[-1] != a.shape[-2]):
            raise ShapeError(
                f"{self.name}: expected {'square ' if self.square else ''}matrices (..., n, "
                f"{'n' if self.square else 'm'}), got {a.shape}"
            )
        self.check_others(a, *others)
        if not self.fault:
            raise LinAlgError(f"{self.name}: the decomposition of {a.shape} did not converge: are there NaN or inf?")
        index = self.first_at_fault(a)
        if index is not None:
            which = f"matrix {list(index)} of {a.shape}" if index else f"the matrix {a.shape}"
            raise LinAlgError(f"{self.name}: {which} {self.fault}; A + 1e-6 * mg.eye({a.shape[-1]}) may be better")

    def check_others(self, *arrays):
        """Raise what there is to say of the operands beside the matrices."""

    def first_at_fault(self, a):
        """The index of the first matrix that alone fails too, or None."""
        with around(a):
            for index in itertools.product(*map(range, a.shape[:-2])):
                try:
                    backend[type(a)].lapack(self.routine, a[index])
                except ValueError:
                    return index
        return None


# --- inverses and equations --------------------------------------------------------------------------------------


class Inverse(Lapack):
    """y = a^-1. In a gradient, for which a is known to be regular, nobody waits to learn it."""

    name, routine, fault = "inv", "inv", "is singular"

    def __init__(self, gradient_of=None):
        self.known = gradient_of is not None
        if self.known:
            self.name = f"gradient of {gradient_of}"

    def forward(self, a):
        return backend[type(a)].lapack("inv", a, known=self.known)

    def backward(self, gy, y):
        y = mT(y)
        return -(y @ gy @ y)


class Solve(Lapack):
    """y = a^-1 b.      Shapes: a (..., n, n), b (..., n, k); leading axes broadcast."""

    routine, fault = "inv", "is singular"

    def __init__(self, gradient_of=None):
        self.known = gradient_of is not None
        if self.known:
            self.name = f"gradient of {gradient_of}"

    def forward(self, a, b):
        if a.dtype != b.dtype:
            raise DTypeError(f"solve: A is {a.dtype}, B {b.dtype}; write B.to(A.dtype)")
        if a.shape[:-2] != b.shape[:-2]:
            xp = lib(a)
            lead = xp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
            a, b = xp.broadcast_to(a, lead + a.shape[-2:]), xp.broadcast_to(b, lead + b.shape[-2:])
        return backend[type(a)].lapack("solve", a, b, known=self.known)

    def backward(self, gy, a, y):
        gb = Solve("solve")(mT(a), gy)
        return None if self.wants[0] is None else -(gb @ mT(y)), gb

    def check_others(self, a, b):
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(f"solve: A has {a.shape[-1]} rows, B {b.shape[-2]}; A is {a.shape}, B {b.shape}")
        if any(n != m and 1 not in (n, m) for n, m in zip(a.shape[-3::-1], b.shape[-3::-1], strict=False)):
            raise ShapeError(f"solve: the leading axes of A {a.shape} and B {b.shape} do not broadcast")


def inverse(input):
    """The inverses of square matrices.      Shapes: (..., n, n) -> (..., n, n).

    Raises: LinAlgError for a singular matrix. To solve equations, `linalg.solve` is faster and more exact.
    """
    return Inverse()(*matrices("inv", input))


def solve(A, B, *, left=True):  # noqa: N803 - PyTorch's names
    """X with A X = B; with left=False, X A = B.

    Shapes: A (..., n, n), B (..., n, k), (n), or (..., n) with the leading axes of A -> as B; leading axes broadcast.
    Raises: LinAlgError if A is singular.
    """
    a, b = matrices("solve", A, B)
    if left and (b.ndim == 1 or b.shape == a.shape[:-1]):
        return squeeze(Solve()(a, unsqueeze(b, -1)), -1)
    return _solved("solve", a, b, left)


def _solved(name, a, b, left):
    if b.ndim < 2:
        raise ShapeError(f"{name}: B must be matrices (..., n, k), and is {b.shape}; write B.unsqueeze(-1)")
    return Solve()(a, b) if left else mT(Solve()(mT(a), mT(b)))


@where_it_lies
def solve_triangular(input, B, *, upper, left=True, unitriangular=False):  # noqa: N803
    """`solve` with the upper or the lower triangle of input; the rest is not looked at.

    It is no faster than `solve`: NumPy has no routine for triangles.      Shapes: input (..., n, n), B (..., n, k).
    Args: unitriangular - take the diagonal for 1.
    """
    a, b = matrices("solve_triangular", input, B)
    triangle, beside = (triu, 1) if upper else (tril, -1)
    a = triangle(a, beside) + lib(raw(a)).eye(a.shape[-1], dtype=a.dtype) if unitriangular else triangle(a)
    return _solved("solve_triangular", a, b, left)


@where_it_lies
def matrix_power(input, n):
    """The product of n times the same square matrix; of -n times its inverse for negative n.

    Shapes: (..., n, n) -> (..., n, n).
    """
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ShapeError(f"matrix_power: expected square matrices (..., n, n), got {input.shape}")
    if n == 0:
        y = expand(lib(raw(input)).eye(input.shape[-1], dtype=input.dtype), input.shape).copy()
        return Variable(y) if isinstance(input, Variable) else y
    x = inverse(input) if n < 0 else clone(input)
    y = x
    for bit in f"{abs(n):b}"[1:]:  # from the highest: y^2 for each, and x once more for a 1
        y = matmul(y, y)
        if bit == "1":
            y = matmul(y, x)
    return y


# --- determinants ------------------------------------------------------------------------------------------------


class Det(Lapack):
    """y = the determinants."""

    def forward(self, a):
        return lib(a).linalg.det(a)

    def backward(self, gy, a):
        return gy.reshape(*gy.shape, 1, 1) * Cofactor()(a)


class Cofactor(Lapack):
    """y = det(a) a^-T, the gradient of the determinant; of a singular matrix too."""

    def forward(self, a):
        library = backend[type(a)]
        linalg = library.xp.linalg
        if library.host and (d := linalg.det(a)).all():  # from the factors that the inverse has: its errors cancel
            return d.reshape(*d.shape, 1, 1) * mT(linalg.inv(a))
        u, s, v = linalg.svd(a, full_matrices=False)
        n = a.shape[-1]
        s = library.xp.where(library.xp.eye(n, dtype=bool), 1, s[..., None, :])
        rest = s.prod(axis=-1) * (linalg.det(u) * linalg.det(v))[..., None]  # the products of all others
        return (u * rest[..., None, :]) @ v

    def backward(self, gy, a, y):
        inverse = mT(Inverse("det")(a))
        total = (gy * inverse).sum((-2, -1))
        return total.reshape(*total.shape, 1, 1) * y - inverse @ mT(gy) @ y


class SlogDet(Lapack):
    """(sign, log) of the determinants: det = sign * e ** log."""

    name = "slogdet"

    def forward(self, a):
        return tuple(lib(a).linalg.slogdet(a))

    def backward(self, gy, a):
        gy = gy[1]  # the sign is constant
        return gy.reshape(*gy.shape, 1, 1) * mT(Inverse("slogdet")(a))


def det(input):
    """The determinants of square matrices. The gradient of a singular one is right too, where PyTorch's may be 0; a
    second derivative needs regular ones.

    Shapes: (..., n, n) -> (...).
    """
    return Det()(*matrices("det", input))


def slogdet(input):
    """(sign, logabsdet): det = sign * e ** logabsdet, where det itself would overflow. -inf for a singular matrix.

    Shapes: (..., n, n) -> (...) and (...).
    """
    return SignAndLog(*SlogDet()(*matrices("slogdet", input)))


def logdet(input):
    """The logarithms of the determinants; NaN where one is negative.      Shapes: (..., n, n) -> (...)."""
    sign, log = slogdet(input)
    return where(sign < 0, float("nan"), log)


# --- Cholesky ----------------------------------------------------------------------------------------------------


class Cholesky(Lapack):
    """y = the lower triangle with y y^T = a, from the lower triangle of a."""

    routine, fault = "cholesky", "is not positive-definite"

    def forward(self, a):
        return backend[type(a)].lapack("cholesky", a)

    def backward(self, gy, y):
        inverse = Inverse("cholesky")(y)
        g = mT(inverse) @ halved(mT(y) @ gy) @ inverse
        return (g + mT(g)) * 0.5


def halved(x):
    """The lower triangle with half the diagonal, so that with its transpose it is a symmetric matrix."""
    return tril(x) - diag_embed(diagonal(x, 0, -2, -1) * 0.5)


def cholesky(input, *, upper=False):
    """The lower triangles L with L L^T = input; with upper=True, the upper U with U^T U = input.

    Shapes: input (..., n, n), symmetric and positive-definite; only its lower (upper) triangle is looked at. The
            gradient is symmetric.
    Raises: LinAlgError where input is not positive-definite.
    """
    (a,) = matrices("cholesky", input)
    return mT(Cholesky()(mT(a))) if upper else Cholesky()(a)
