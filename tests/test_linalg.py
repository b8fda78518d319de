"""Linear algebra where the tables of operations and of PyTorch's calls do not reach: errors, singular matrices, vectors
of equal eigenvalues, devices, autocast.
"""

import inspect

import numpy as np
import pytest

import minigrad as mg
from minigrad import linalg
from minigrad.errors import DTypeError, ShapeError

SINGULAR = np.array([[1.0, 2], [2, 4]])
STACK = np.stack([np.eye(3), np.eye(3), np.ones((3, 3))])


# --- determinants of singular matrices ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "gradient"),
    [
        (SINGULAR, [[4, -2], [-2, 1]]),
        (np.zeros((2, 2)), np.zeros((2, 2))),
        (np.zeros((1, 1)), [[1]]),
        (np.ones((3, 3)), np.zeros((3, 3))),
        (np.diag([2.0, 3, 0]), np.diag([0, 0, 6])),
        (np.diag([1e-200, 1e-200]), np.diag([1e-200, 1e-200])),  # det underflows to 0
        (np.zeros((0, 0)), np.zeros((0, 0))),
    ],
)
def test_the_gradient_of_a_singular_determinant_is_the_cofactors(x, gradient):
    """PyTorch's is 0 for the first. It shifts the last pivot from 0, and then multiplies by it."""
    x = mg.Variable(x, requires_grad=True)
    mg.det(x).backward()
    np.testing.assert_allclose(x.grad.data, gradient, rtol=1e-12, atol=1e-14)


def test_the_gradient_of_a_singular_determinant_beside_regular_ones():
    x = np.stack([SINGULAR, np.eye(2) * 3])
    assert mg.gradcheck(mg.det, mg.Variable(x, requires_grad=True))


def test_a_second_derivative_of_the_determinant_needs_a_regular_matrix():
    x = mg.Variable(SINGULAR, requires_grad=True)
    (g,) = mg.grad(mg.det(x), x, create_graph=True)
    with pytest.raises(linalg.LinAlgError, match=r"gradient of det: the matrix \(2, 2\) is singular"):
        g.sum().backward()


# --- vectors of equal values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "of", [lambda x: linalg.eigh(x)[0], lambda x: linalg.svd(x)[1], linalg.eigvalsh, linalg.svdvals]
)
def test_values_alone_have_a_gradient_where_they_are_equal(of):
    x = mg.Variable(np.diag([2.0, 2, 0, 0]), requires_grad=True)
    of(x)[:2].sum().backward(create_graph=True)
    places = slice(2) if of(x).data[0] else slice(2, 4)  # eigenvalues ascend
    assert x.grad.data.trace() == pytest.approx(2)
    np.testing.assert_allclose(x.grad.data[places, places], np.eye(2), atol=1e-12)


@pytest.mark.parametrize("of", [lambda x: linalg.eigh(x)[1], lambda x: linalg.svd(x)[0], lambda x: linalg.svd(x)[2]])
def test_vectors_of_equal_values_have_none(of):
    """0 would be wrong: the square root of a matrix, made of these vectors, has a gradient."""
    x = mg.Variable(np.diag([2.0, 2, 1]), requires_grad=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        (of(x) * np.arange(9.0).reshape(3, 3)).sum().backward()
    assert not np.isfinite(x.grad.data).all()


def test_vectors_that_can_be_any_have_no_gradient():
    x = mg.Variable(np.random.default_rng(0).normal(size=(4, 2)), requires_grad=True)
    u, s, _ = linalg.svd(x)
    assert (u.shape, s.shape) == ((4, 4), (2,))
    u[:, 2:].sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.zeros((4, 2)))


# --- what is refused ---------------------------------------------------------------------------------------------

FAULTS = [
    (lambda: linalg.inv(SINGULAR), r"inv: the matrix \(2, 2\) is singular; A \+ 1e-6 \* mg.eye\(2\) may be better"),
    (lambda: mg.inverse(STACK), r"inv: matrix \[2\] of \(3, 3, 3\) is singular"),
    (lambda: mg.inverse(STACK.reshape(3, 1, 3, 3)), r"inv: matrix \[2, 0\] of \(3, 1, 3, 3\) is singular"),
    (lambda: linalg.solve(STACK, np.ones(3)), r"solve: matrix \[2\] of \(3, 3, 3\) is singular"),
    (lambda: linalg.cholesky(-STACK), r"cholesky: matrix \[0\] of \(3, 3, 3\) is not positive-definite"),
    (lambda: linalg.svdvals(SINGULAR * np.nan), r"svdvals: the decomposition of \(2, 2\) did not converge"),
]


@pytest.mark.parametrize(("call", "message"), FAULTS)
def test_matrices_that_cannot_be_inverted_or_decomposed(call, message):
    with pytest.raises(linalg.LinAlgError, match=message) as found:
        call()
    assert isinstance(found.value, RuntimeError)  # as PyTorch's
    assert isinstance(found.value, ValueError)  # as NumPy's


def test_a_gradient_that_does_not_exist():
    x = mg.Variable(SINGULAR, requires_grad=True)
    log = mg.slogdet(x).logabsdet
    assert log.item() == -np.inf
    with pytest.raises(linalg.LinAlgError, match="gradient of slogdet: the matrix"):
        log.backward()


OF_MATRICES = [
    mg.inverse, mg.det, mg.slogdet, mg.logdet, linalg.inv, linalg.det, linalg.slogdet, linalg.cholesky, linalg.eigh,
    linalg.eigvalsh, linalg.svd, linalg.svdvals, linalg.qr,
    lambda x: linalg.solve(x, x), lambda x: linalg.solve_triangular(x, x, upper=True),
    lambda x: linalg.matrix_norm(x, "nuc"),
]  # fmt: skip


@pytest.mark.parametrize("function", OF_MATRICES)
def test_float16_and_integers_are_refused_with_the_remedy(function):
    x = np.eye(3)
    with pytest.raises(DTypeError, match=r"float16 matrices are not decomposed; write x.float\(\)"):
        function(mg.Variable(x.astype(np.float16)))
    with pytest.raises(DTypeError, match=r"expected floats, got int64; write x.float\(\)"):
        function(mg.Variable(x.astype(np.int64)))


@pytest.mark.parametrize("function", OF_MATRICES)
def test_in_a_region_float16_comes_in_as_float32(function):
    x = mg.Variable(np.diag([1, 2, 3]).astype(np.float16), requires_grad=True)
    with mg.autocast("cpu"):
        y = function(x)
    y = y[0] if isinstance(y, tuple) else y
    assert y.dtype == mg.float32
    y.sum().backward()
    assert x.grad.dtype == mg.float16


x23, x34, x22, v3 = np.ones((2, 3)), np.ones((3, 4)), np.ones((2, 2)), np.ones(3)
deep = np.ones((2, 3, 4))
SHAPES = [
    (lambda: mg.inverse(x23), r"inv: expected square matrices \(..., n, n\), got \(2, 3\)"),
    (lambda: mg.det(v3), r"det: expected square matrices \(..., n, n\), got \(3,\)"),
    (lambda: linalg.svd(v3), r"svd: expected matrices \(..., n, m\), got \(3,\)"),
    (lambda: linalg.qr(v3), r"qr: expected matrices"),
    (lambda: linalg.eigh(x22, "X"), r'eigh: UPLO must be "L", for the lower triangle, or "U", and is .X.'),
    (lambda: linalg.qr(x23, "complete"), r'qr: mode must be "reduced", the one with a gradient, and is .complete.'),
    (lambda: linalg.solve(x22, x34), r"solve: A has 2 rows, B 3; A is \(2, 2\), B \(3, 4\)"),
    (lambda: linalg.solve(STACK, np.ones((2, 3, 1))), r"solve: the leading axes of A \(3, 3, 3\) and B \(2, 3, 1\)"),
    (lambda: linalg.solve(np.eye(3), v3, left=False), r"solve: B must be matrices \(..., n, k\), and is \(3,\)"),
    (lambda: linalg.solve_triangular(np.eye(3), v3, upper=True), r"solve_triangular: B must be matrices"),
    (lambda: mg.matrix_power(x23, 2), r"matrix_power: expected square matrices \(..., n, n\), got \(2, 3\)"),
    (lambda: linalg.matrix_norm(v3), r"matrix_norm: dim must be two axes of input"),
    (lambda: linalg.matrix_norm(x23, dim=1), r"matrix_norm: dim must be two axes of input, and is 1"),
    (lambda: linalg.matrix_norm(x23, 3), r'matrix_norm: ord must be "fro", "nuc", 1, .* got 3'),
    (lambda: linalg.norm(deep, 2), r"norm: with ord, and without dim, input must be a vector or a matrix, and is \(2"),
    (lambda: linalg.norm(deep, "fro", 1), r"norm: ord 'fro' is of matrices: dim must be two axes, got 1"),
    (lambda: mg.mm(deep, x23), r"mm: input must have 2 axes, and is \(2, 3, 4\); mg.matmul takes any number"),
    (lambda: mg.mm(x23, x23), r"matmul: a has 3 columns, b 2 rows"),
    (lambda: mg.bmm(deep, x23), r"bmm: mat2 must have 3 axes"),
    (lambda: mg.bmm(deep, deep[:1]), r"bmm: the stacks differ in length; input is \(2, 3, 4\), mat2 \(1, 3, 4\)"),
    (lambda: mg.mv(x23, x23), r"mv: vec must have 1 axes"),
    (lambda: mg.dot(v3, x23), r"dot: tensor must have 1 axes"),
    (lambda: mg.dot(v3, v3[:2]), r"matmul: the inner sizes differ; a is \(3,\), b \(2,\)"),
    (lambda: mg.outer(v3, x23), r"outer: vec2 must have 1 axes"),
    (lambda: mg.cross(v3, x23), r"cross: the numbers of axes must agree; input is \(3,\), other \(2, 3\)"),
    (lambda: mg.cross(x22, x22), r"cross: no axis has size 3; input is \(2, 2\)"),
    (lambda: linalg.cross(x34, x34), r"cross: dim -1 must have size 3; input is \(3, 4\)"),
    (lambda: linalg.cross(x23, np.ones((3, 3))), r"cross: input \(2, 3\) and other \(3, 3\) do not broadcast"),
    (lambda: mg.addmm(x22, x23, x34), r"addmm: input \(2, 2\) does not broadcast to the product \(2, 4\)"),
    (lambda: mg.addmm(deep, x23, x34, beta=0), r"addmm: input \(2, 3, 4\) does not broadcast to the product \(2, 4\)"),
    (lambda: mg.addmv(v3, x23, v3), r"addmv: input \(3,\) does not broadcast to the product \(2,\)"),
    (lambda: mg.addr(x22, v3, v3), r"addr: input \(2, 2\) does not broadcast to the product \(3, 3\)"),
    (lambda: mg.addbmm(x22, deep, deep), r"addbmm: batch1 \(2, 3, 4\) and batch2 \(2, 3, 4\) are not \(b, n, k\)"),
    (lambda: linalg.multi_dot([x23]), r"multi_dot: expected at least two matrices"),
    (lambda: linalg.multi_dot([x23, v3, v3]), r"multi_dot: expected at least two matrices, .* got \(2, 3\), \(3,\), "),
    (lambda: linalg.multi_dot([x23, x23]), r"multi_dot: the columns of each must be as many as the rows of the next"),
    (lambda: mg.cdist(x23, x34), r"cdist: expected points .* x1 is \(2, 3\), x2 \(3, 4\)"),
    (lambda: mg.cdist(np.ones((2, 2, 3)), np.ones((3, 2, 3))), r"cdist: the leading axes of x1 .* do not broadcast"),
    (lambda: mg.cdist(x23, x23, -1), r"cdist: p must be at least 0, got -1"),
    (lambda: mg.cdist(x23, x23, 2, "fast"), r'cdist: compute_mode must be one of .*, got .fast.'),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), SHAPES)
def test_shapes_that_do_not_fit(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


single = np.ones((3, 3), np.float32)
DTYPES = [
    (lambda: linalg.solve(single, np.eye(3)), r"solve: A is float32, B float64; write B.to\(A.dtype\)"),
    (lambda: linalg.vecdot(single, np.eye(3)), r"vecdot: x is float32, y float64; write y.to\(x.dtype\)"),
    (lambda: mg.cdist(single, np.eye(3)), r"cdist: x1 is float32, x2 float64"),
    (lambda: mg.cdist(single.astype(int), single), r"cdist: expected floats, got int64"),
    (lambda: mg.addmm(np.eye(3), single, single), r"addmm: input is float64, the product float32"),
    (lambda: mg.addmm(*[np.ones((2, 2), int)] * 3, alpha=0.5), r"addmm: beta and alpha must be integers for int64"),
    (lambda: mg.mm(single, np.eye(3)), r"matmul: x is float32, other float64"),
]


@pytest.mark.parametrize(("call", "message"), DTYPES)
def test_dtypes_that_do_not_fit(call, message):
    with pytest.raises(DTypeError, match=message):
        call()


# --- single things -----------------------------------------------------------------------------------------------


def test_beta_0_leaves_its_input_alone():
    x, a = mg.Variable(np.full((3, 3), np.nan), requires_grad=True), mg.Variable(np.eye(3), requires_grad=True)
    y = mg.addmm(x, a, a, beta=0)
    np.testing.assert_array_equal(y.data, np.eye(3))
    y.sum().backward()
    assert x.grad is None


def test_powers_of_zero_and_one():
    x = mg.tensor(STACK, requires_grad=True)
    np.testing.assert_array_equal(mg.matrix_power(x, 0).data, np.broadcast_to(np.eye(3), (3, 3, 3)))
    np.testing.assert_array_equal(mg.matrix_power(STACK, 0), np.broadcast_to(np.eye(3), (3, 3, 3)))
    mg.matrix_power(STACK, 1)[0] = 7
    np.testing.assert_array_equal(STACK[0], np.eye(3))  # not x itself


def test_counting_what_differs_has_the_gradient_zero():
    x, y = (mg.Variable(np.arange(n * 2.0).reshape(n, 2), requires_grad=True) for n in (2, 3))
    mg.cdist(x, y, 0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.zeros((2, 2)))
    np.testing.assert_array_equal(y.grad.data, np.zeros((3, 2)))


def test_multi_dot_takes_the_cheapest_order():
    """From the left, and from the right, there would be matrices of 10 rows and 10 columns."""
    xs = [mg.ones(*shape, requires_grad=True) for shape in ((10, 2), (2, 10), (10, 2), (2, 10))]
    y = linalg.multi_dot(xs)
    assert {edge.shape for edge in y.creator.edges} == {(10, 2), (2, 10)}
    np.testing.assert_array_equal(y.data, np.full((10, 10), 40))


def test_distances_of_float16_are_measured_in_float32():
    x = np.full((1, 500), 30.0, np.float16)  # a difference of 60, whose square is 1.8 million in all
    assert mg.cdist(x, -x).item() == pytest.approx(60 * 500**0.5, rel=1e-3)


def test_distances_by_products_are_never_nan():
    x = mg.Variable(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32) + 100, requires_grad=True)
    y = mg.cdist(x, x)
    assert np.isfinite(y.data).all()
    y.sum().backward()
    assert np.isfinite(x.grad.data).all()


# --- devices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_device_is_waited_for_to_learn_that_a_matrix_is_singular(double, device):
    for function in (linalg.inv, linalg.cholesky, lambda x: linalg.solve(x, x)):
        with pytest.raises(
            linalg.LinAlgError, match=r"matrix \[1\] of \(2, 3, 3\) is (singular|not positive-definite)"
        ):
            function(mg.tensor(np.stack([np.eye(3), np.zeros((3, 3))]), device=device))


def test_gradients_do_not_wait(double):
    x = mg.tensor(np.eye(3) + 0.1, device="cuda:1", requires_grad=True)
    y = linalg.inv(x).sum() + linalg.cholesky(x).sum() + linalg.solve(x, x).sum()
    y = y + mg.slogdet(x).logabsdet + mg.det(x)
    double.synchronizations.clear()
    y.backward()
    assert double.synchronizations == []


def test_the_gradient_of_a_singular_determinant_on_a_device(cuda):
    x = mg.tensor(SINGULAR, device=cuda, requires_grad=True)
    mg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4, -2], [-2, 1]], rtol=1e-12)


# --- the names ---------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_names_order_and_defaults_of_arguments_work_in_torch():
    torch = pytest.importorskip("torch")
    a = np.eye(3) + 0.1
    others = {"B": a, "other": a, "y": a, "n": 2, "upper": True, "tensors": [a, a]}
    for name in linalg.__all__:
        function = getattr(linalg, name)
        if not inspect.isfunction(function):
            continue
        names = inspect.signature(function).parameters
        asked = {
            n: others.get(n, a)
            for n, p in names.items()
            if p.default is p.empty or (p.kind is p.KEYWORD_ONLY and n == "upper")
        }

        def there(x):
            return torch.tensor(x) if isinstance(x, np.ndarray) else [*map(there, x)] if isinstance(x, list) else x

        getattr(torch.linalg, name)(**{n: there(x) for n, x in asked.items()})
        function(**asked)


def test_everything_is_documented():
    assert [name for name in linalg.__all__ if not inspect.getdoc(getattr(linalg, name))] == []
