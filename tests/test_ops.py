"""One body for every row of the table of operations."""

import numpy as np
import pytest
from ops_table import ROWS, distinct

import minigrad as mg
import minigrad.nn.functional as F

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
elementwise = pytest.mark.parametrize("row", [r for r in ROWS if r.elementwise], ids=lambda row: row.name)


def variables(arrays, dtype=None):
    """Leaves that require grad, on the arrays' own memory unless the dtype differs; integers and bools stay arrays."""
    arrays = [a if a.dtype.kind != "f" else a.astype(dtype or a.dtype, copy=False) for a in arrays]
    return [a if a.dtype.kind != "f" else mg.Variable(a, requires_grad=True) for a in arrays]


def gradients(row, arrays, dtype=None):
    xs = variables(arrays, dtype)
    y = row.function(*xs)
    seed = np.random.default_rng(1).uniform(0.5, 1.5, y.shape)
    y.backward(seed.astype(y.dtype))
    return y, [x.grad for x in xs if isinstance(x, mg.Variable)]


@rows
def test_forward_is_numpys(row):
    arrays = row.arrays()
    y = row.function(*variables(arrays))
    np.testing.assert_allclose(y.data, row.reference(*arrays), rtol=1e-9, atol=1e-12)
    assert isinstance(y.data, np.ndarray) and y.requires_grad


@rows
def test_gradients_to_second_order(row):
    assert mg.gradcheck(row.function, *variables(row.arrays()), order=2)


@rows
def test_float32_and_float16_are_kept(row):
    for dtype in (np.float32, np.float16):
        y, grads = gradients(row, row.arrays(), dtype)
        assert y.dtype == dtype
        assert [g.dtype for g in grads] == [dtype] * len(grads)
    single, double = gradients(row, row.arrays(), np.float32), gradients(row, row.arrays())
    for a, b in zip([single[0], *single[1]], [double[0], *double[1]], strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4, atol=1e-5)


@rows
def test_memory_layout_does_not_matter(row):
    plain = gradients(row, row.arrays())
    for relaid in (np.asfortranarray, lambda a: a[..., ::-1].copy()[..., ::-1] if a.ndim else a):
        y, grads = gradients(row, [relaid(a) for a in row.arrays()])
        for a, b in zip([y, *grads], [plain[0], *plain[1]], strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-9, atol=1e-12)


@rows
def test_nothing_that_came_in_is_changed(row):
    arrays = row.arrays()
    for a in arrays:
        a.flags.writeable = False
    xs = variables(arrays)
    y = row.function(*xs)
    seed = np.full(y.shape, 0.5)
    seed.flags.writeable = False
    for create_graph in (False, True):
        mg.grad(y, [x for x in xs if isinstance(x, mg.Variable)], seed, retain_graph=True, create_graph=create_graph)


@rows
def test_arrays_in_arrays_out(row):
    arrays = row.arrays()
    y = row.function(*arrays)
    if "setitem" not in row.name:  # which is a method: there is no function of arrays
        assert isinstance(y, np.ndarray | np.generic)
        np.testing.assert_array_equal(y, row.function(*variables(arrays)).data)


@elementwise
def test_0d_and_empty(row):
    for shape in ((), (0,), (2, 0, 3)):
        arrays = [np.full(shape, a.flat[0]) for a in row.arrays()]
        y, grads = gradients(row, arrays)
        assert y.shape == shape and all(g.shape == shape for g in grads)
        np.testing.assert_allclose(y.data, row.reference(*arrays), rtol=1e-9)


@pytest.mark.parametrize("row", [r for r in ROWS if r.elementwise and len(r.inputs) == 2], ids=lambda row: row.name)
@pytest.mark.parametrize("shapes", [((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((2, 1, 3), (4, 1))])
def test_broadcasting(row, shapes):
    draw = np.random.default_rng(3)
    signs = [1 if (a > 0).all() else None for a in row.arrays()]
    arrays = [
        abs(distinct(draw, s)) + 0.51 if sign else distinct(draw, s) for s, sign in zip(shapes, signs, strict=True)
    ]
    np.testing.assert_allclose(row.function(*variables(arrays)).data, row.reference(*arrays), rtol=1e-9)
    assert mg.gradcheck(row.function, *variables(arrays), order=2)


def test_a_nan_takes_only_its_own_windows():
    """Where a window has padding, the NaN of another one must not make the border its maximum."""
    x = mg.Variable(np.arange(16.0).reshape(1, 1, 4, 4), requires_grad=True)
    x.data[0, 0, 3, 3] = np.nan
    F.max_pool2d(x, 3, 2, 1).sum().backward()
    np.testing.assert_array_equal(x.grad.data.ravel().nonzero()[0], [5, 7, 13, 15])
