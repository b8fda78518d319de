"""The CUDA kernels through their launchers, held to the generic methods of Backend; on the CPU, by the emulator.

The oracle computes in float64 from the same numbers; TOLERANCE is what an element may be off, by dtype.
"""

import re
from pathlib import Path

import numpy as np
import pytest

import minigrad.backend as floor
import minigrad.nn.functional as F
from minigrad import Variable, optim
from minigrad.backend import Backend
from minigrad.backend.philox import philox
from minigrad.backend.windows import Windows

FLOATS = ["float16", "float32", "float64"]
TOLERANCE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-13}
FOLDER = Path(floor.__file__).parent / "kernels"
cpu = Backend(np)


@pytest.fixture
def cp(cuda):
    """CuPy, or its double."""
    import cupy

    return cupy


@pytest.fixture
def gpu(cp):
    """The CUDA backend, whose methods are the launchers."""
    return floor.load_cuda()


def draw(*shape, dtype="float32", seed=0, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def wide(*arrays):
    """The same numbers as float64: what the oracle computes with."""
    return [a.astype("float64") if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arrays]


def close(cp, actual, expected, dtype, kind=None, factor=1):
    """`actual`, from the double, is `expected` but for rounding; of the dtype `kind` and of expected's shape."""
    actual = cp.asnumpy(actual)
    assert actual.dtype == np.dtype(kind or dtype)
    assert actual.shape == np.shape(expected)
    tolerance = TOLERANCE[np.dtype(dtype).name] * factor
    with np.errstate(over="ignore"):  # what float16 cannot hold is inf there
        expected = np.asarray(expected).astype(actual.dtype)
    np.testing.assert_allclose(actual.astype("float64"), expected.astype("float64"), rtol=tolerance, atol=tolerance)


# --- sources -----------------------------------------------------------------------------------------------------


def test_every_kernel_is_in_the_table_of_sources(cp):
    from minigrad.backend import kernels

    found = {path.stem: tuple(re.findall(r"__global__\s+void (\w+)", path.read_text())) for path in FOLDER.glob("*.cu")}
    assert found == {source: names for source, (names, _) in kernels.SOURCES.items()}


# --- rows --------------------------------------------------------------------------------------------------------

ROWS = [((3, 5), 1), ((3, 5), 0), ((1, 1), 1), ((0, 4), 1), ((4, 0), 0), ((7,), 0), ((2, 700), -1), ((3, 4, 33), 1)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axis"), ROWS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_and_its_gradient(cp, gpu, name, shape, axis, dtype):
    x, gy = draw(*shape, dtype=dtype, scale=3), draw(*shape, dtype=dtype, seed=1)
    y = getattr(cpu, name)(x.astype("float64"), axis)
    close(cp, getattr(gpu, name)(cp.asarray(x), axis), y, dtype, factor=4)
    y = y.astype(dtype)
    gx = getattr(cpu, f"{name}_backward")(*wide(gy, y), axis)
    close(cp, getattr(gpu, f"{name}_backward")(cp.asarray(gy), cp.asarray(y), axis), gx, dtype, factor=4)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_arrays_that_are_not_contiguous(cp, gpu, name):
    x, gy = draw(9, 8), draw(1, 1)
    strided, spread = cp.asarray(x)[::2, ::-1].T, cp.broadcast_to(cp.asarray(gy), (8, 5))
    y = getattr(cpu, name)(x[::2, ::-1].T, 1)
    close(cp, getattr(gpu, name)(strided, 1), y, "float32", factor=2)
    gx = getattr(cpu, f"{name}_backward")(np.broadcast_to(gy, (8, 5)), y, 1)
    close(cp, getattr(gpu, f"{name}_backward")(spread, cp.asarray(y), 1), gx, "float32", factor=2)


@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_does_not_overflow_and_hands_on_nan(cp, gpu, dtype):
    x = np.array([[6e4, -6e4, 5e4], [-np.inf, 0, 1], [-np.inf] * 3, [1, np.nan, 2]], dtype)
    with np.errstate(invalid="ignore"):
        expected = cpu.softmax(x.astype("float64"), 1)
    close(cp, gpu.softmax(cp.asarray(x), 1), expected, dtype)
    y = cp.asnumpy(gpu.log_softmax(cp.asarray(x), 1))
    assert y[0, [0, 2]].tolist() == [0, x[0, 2] - x[0, 0]]
    assert y[1, 0] == -np.inf
    assert np.isnan(y[2:]).all()


def dtype_of(number, dtype):
    return np.dtype(dtype).type(number)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignore_index", [None, -100, 2])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("rows", "cols"), [(5, 3), (1, 1), (0, 4), (3, 600)])
def test_cross_entropy_and_its_gradient(cp, gpu, rows, cols, scaled, ignore_index, smoothing, dtype):
    x, gy = draw(rows, cols, dtype=dtype, scale=3), draw(rows, dtype=dtype, seed=1)
    target = np.arange(rows, dtype="int32") % cols
    if ignore_index is not None:
        target[1:3] = ignore_index
    scale = np.abs(draw(rows, dtype=dtype, seed=2)) if scaled else None
    there = None if scale is None else cp.asarray(scale)
    settings = ignore_index, smoothing
    if ignore_index is not None and ignore_index >= cols:  # an index of the generic method must be one
        expected_target = np.where(target == ignore_index, -100, target)
        generic = -100, smoothing
    else:
        expected_target, generic = target, settings
    y, lse = cpu.cross_entropy(x.astype("float64"), expected_target, *wide(scale), *generic)
    actual = gpu.cross_entropy(cp.asarray(x), cp.asarray(target), there, *settings)
    kept = "float64" if dtype == "float64" else "float32"
    close(cp, actual[0], y, dtype, factor=4)
    close(cp, actual[1], lse, kept, factor=4)
    gx = cpu.cross_entropy_backward(*wide(gy, x), expected_target, *wide(scale), lse, *generic)
    there = gpu.cross_entropy_backward(cp.asarray(gy), cp.asarray(x), cp.asarray(target), there, actual[1], *settings)
    close(cp, there, gx, dtype, factor=4)


def test_cross_entropy_of_a_target_outside_of_the_classes_is_nan(cp, gpu):
    x, target = cp.asarray(draw(4, 3)), cp.asarray(np.array([0, 3, -1, 2]))
    y, lse = gpu.cross_entropy(x, target, None, -100, 0.0)
    gx = gpu.cross_entropy_backward(cp.asarray(np.ones(4, "float32")), x, target, None, lse, -100, 0.0)
    assert np.isnan(cp.asnumpy(y)).tolist() == [False, True, True, False]
    assert np.isnan(cp.asnumpy(gx)).all(axis=1).tolist() == [False, True, True, False]
    assert np.isfinite(cp.asnumpy(gx)[[0, 3]]).all()


def test_cross_entropy_of_an_ignored_row_has_no_gradient_even_from_nan(cp, gpu):
    x, target = cp.asarray(draw(2, 3)), cp.asarray(np.array([-100, -100]))
    gy = cp.asarray(np.full(2, np.nan, "float32"))
    y, lse = gpu.cross_entropy(x, target, None, -100, 0.0)
    assert (cp.asnumpy(y) == 0).all()
    assert (cp.asnumpy(gpu.cross_entropy_backward(gy, x, target, None, lse, -100, 0.0)) == 0).all()


def test_cross_entropy_loses_nothing_where_the_scores_are_large(cp, gpu):
    x = draw(3, 4) + np.float32(1e4)
    target = np.arange(3)
    y, _ = cpu.cross_entropy(x.astype("float64"), target, None, None, 0.25)
    close(cp, gpu.cross_entropy(cp.asarray(x), cp.asarray(target), None, None, 0.25)[0], y, "float32", factor=4)


# --- normalization -----------------------------------------------------------------------------------------------

# (shape, axes, shape of weight and bias): batch norm, layer norm, group norm; and weights that broadcast further.
NORMALIZED = [
    ((4, 3, 5, 2), (0, 2, 3), (3, 1, 1)),
    ((2, 2, 20, 17), (0, 2, 3), (1, 2, 1, 1)),
    ((9, 4), (0,), (4,)),
    ((6, 37), (1,), (37,)),
    ((700, 3), (1,), (3,)),
    ((2, 3, 4, 5), (2, 3), (4, 5)),
    ((2, 3, 4, 5), (-1, -2), (1, 3, 1, 1)),
    ((3, 4, 2, 5, 1), (2, 3, 4), (4, 2, 1, 1)),
    ((2, 5), (1,), ()),
    ((0, 3), (1,), (3,)),
    ((1, 1), (1,), (1,)),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "axes", "weight_shape"), NORMALIZED)
@pytest.mark.parametrize("given", ["both", "weight", "bias", "none"])
def test_normalize_and_its_gradients(cp, gpu, shape, axes, weight_shape, given, dtype):
    x, gy = draw(*shape, dtype=dtype) * 2 + 1, draw(*shape, dtype=dtype, seed=1)
    weight = draw(*weight_shape, dtype=dtype, seed=2) if given in ("both", "weight") else None
    bias = draw(*weight_shape, dtype=dtype, seed=3) if given in ("both", "bias") else None
    weight, bias = (None if p is None else np.asarray(p, dtype) for p in (weight, bias))
    there = [None if p is None else cp.asarray(p) for p in (weight, bias)]
    kept = "float64" if dtype == "float64" else "float32"
    expected = cpu.normalize(*wide(x, weight, bias), axes, 1e-5)
    actual = gpu.normalize(cp.asarray(x), *there, axes, 1e-5)
    close(cp, actual[0], expected[0], dtype, factor=8)
    for a, e in zip(actual[1:], expected[1:], strict=True):
        close(cp, a, e, kept, factor=8)
    gx, gweight, gbias = cpu.normalize_backward(*wide(gy, x, weight), *expected[1::2], axes, (True, True, True))
    arrays = cp.asarray(gy), cp.asarray(x), there[0], actual[1], actual[3]
    wants = True, weight is not None, bias is not None
    got = gpu.normalize_backward(*arrays, axes, wants)
    close(cp, got[0], gx, dtype, factor=32)
    for g, e, p in ((got[1], gweight, weight), (got[2], gbias, bias)):
        assert (g is None) == (p is None)
        if p is not None:
            close(cp, summed(cp.asnumpy(g), p.shape), summed(e, p.shape), dtype, factor=64)
    for k in range(3):  # one at a time: the same, and nothing else
        alone = gpu.normalize_backward(*arrays, axes, tuple(wants[k] and i == k for i in range(3)))
        assert [g is not None for g in alone] == [wants[k] and i == k for i in range(3)]
        if wants[k]:
            assert cp.asnumpy(alone[k]).tobytes() == cp.asnumpy(got[k]).tobytes()


def summed(g, shape):
    """A gradient summed to the shape of its operand, as the engine does."""
    padded = (1,) * (g.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, (n, m) in enumerate(zip(padded, g.shape, strict=True)) if n == 1 and m != 1)
    return g.sum(axis=axes, keepdims=True).reshape(shape)


def test_normalize_is_exact_where_the_mean_is_large(cp, gpu):
    x = draw(3, 500) + np.float32(1e4)
    _, mean, variance, _ = cpu.normalize(x.astype("float64"), None, None, (1,), 1e-5)
    actual = gpu.normalize(cp.asarray(x), None, None, (1,), 1e-5)
    close(cp, actual[1], mean, "float32")
    close(cp, actual[2], variance, "float32", factor=10)


def test_variance_of_halves_that_float16_could_not_hold(cp, gpu):
    x = draw(2, 64, dtype="float16", scale=2000)
    y, _, variance, _ = gpu.normalize(cp.asarray(x), None, None, (1,), 1e-5)
    expected = cpu.normalize(x.astype("float64"), None, None, (1,), 1e-5)
    close(cp, variance, expected[2], "float32", factor=4)
    close(cp, y, expected[0], "float16")


def test_normalized_images_lie_as_they_lay(cp, gpu):
    x = cp.asarray(draw(3, 4, 5, 6)).transpose(3, 0, 1, 2)  # (n, c, h, w) that lies as (c, h, w, n)
    y, mean, _, rstd = gpu.normalize(x, None, None, (0, 2, 3), 1e-5)
    gx, _, _ = gpu.normalize_backward(y, x, None, mean, rstd, (0, 2, 3), (True, False, False))
    assert y.strides == gx.strides == x.strides


# --- windows -----------------------------------------------------------------------------------------------------

# (n, c, h, w), and windows: overlapping and not, with gaps between, dilated, and padded unevenly as ceil_mode does.
GEOMETRIES = [
    ((2, 3, 7, 6), Windows((2, 2), (2, 2))),
    ((3, 1, 9, 8), Windows((3, 3), (2, 2), (1, 1, 1, 1))),
    ((1, 2, 8, 9), Windows((3, 2), (1, 2), (1, 2, 0, 1), (2, 3))),
    ((2, 2, 7, 7), Windows((2, 3), (3, 4), (0, 1, 1, 2))),
    ((5, 1, 1, 1), Windows((1, 1))),
    ((0, 2, 4, 4), Windows((2, 2), (2, 2))),
    ((33, 2, 4, 4), Windows((3, 3), (1, 1), (1, 1, 1, 1))),
]


def pooled(x, windows):
    """By hand: for each window (n, c, a, b) its elements [(row, column)] that lie in the image, in order."""
    top, _, left, _ = windows.padding
    (sh, sw), (dh, dw), (kh, kw) = windows.stride, windows.dilation, windows.kernel
    n, c, h, w = x.shape
    rows, cols = windows.output(h, w)
    for i, k, a, b in np.ndindex(n, c, rows, cols):
        places = [(a * sh + p * dh - top, b * sw + q * dw - left) for p in range(kh) for q in range(kw)]
        yield (i, k, a, b), [(i, k, r, s) for r, s in places if 0 <= r < h and 0 <= s < w]


def first_maximum(x, places):
    return next((p for p in places if np.isnan(x[p])), max(places, key=lambda p: x[p], default=None))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "windows"), GEOMETRIES)
def test_max_pool2d_takes_and_puts_at_the_first_maximum(cp, gpu, shape, windows, dtype):
    x = np.random.default_rng(0).integers(-2, 3, shape).astype(dtype)  # many ties
    if x.size > 40:
        x.reshape(-1)[[5, 30, 31]] = np.nan
        x.reshape(-1)[:3] = -np.inf
    size = (*shape[:2], *windows.output(*shape[2:]))
    gy, g = draw(*size, dtype=dtype, seed=1), draw(*shape, dtype=dtype, seed=2)
    y, gx, gathered = np.full(size, -np.inf, dtype), np.zeros(shape), np.zeros(size, dtype)
    for index, places in pooled(x, windows):
        place = first_maximum(x, places)
        if place is not None:
            y[index], gathered[index] = x[place], g[place]
            gx[place] += gy[index]
    there = [cp.asarray(a) for a in (x, y, gy, g)]
    np.testing.assert_array_equal(cp.asnumpy(gpu.max_pool2d(there[0], windows)), y)
    close(cp, gpu.max_pool2d_scatter(there[2], there[0], there[1], windows), gx, dtype)
    np.testing.assert_array_equal(cp.asnumpy(gpu.max_pool2d_gather(there[3], there[0], there[1], windows)), gathered)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "windows"), GEOMETRIES)
def test_sum_pool2d_and_its_gradient(cp, gpu, shape, windows, dtype):
    x = draw(*shape, dtype=dtype)
    y = cpu.sum_pool2d(x.astype("float64"), windows)
    gy = draw(*y.shape, dtype=dtype, seed=1)
    close(cp, gpu.sum_pool2d(cp.asarray(x), windows), y, dtype, factor=2)
    expected = cpu.sum_pool2d_scatter(gy.astype("float64"), windows, shape)
    close(cp, gpu.sum_pool2d_scatter(cp.asarray(gy), windows, shape), expected, dtype, factor=2)


def test_pooling_of_integers_is_the_generic_one(cp, gpu):
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 6, 6))
    windows = Windows((2, 2), (2, 2))
    np.testing.assert_array_equal(cp.asnumpy(gpu.max_pool2d(cp.asarray(x), windows)), cpu.max_pool2d(x, windows))
    np.testing.assert_array_equal(cp.asnumpy(gpu.sum_pool2d(cp.asarray(x), windows)), cpu.sum_pool2d(x, windows))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "windows"), GEOMETRIES)
def test_unfold_and_fold_piece_by_piece(cp, gpu, shape, windows, dtype):
    n, c, h, w = shape
    windows = Windows(windows.kernel, windows.stride, dilation=windows.dilation)  # images come padded already
    rows, cols = windows.output(h, w)
    x = draw(c, h, w, n, dtype=dtype)
    folded, there = x.astype("float64"), cp.asarray(x)
    for first in range(0, rows, 2):
        count = min(2, rows - first)
        columns = np.empty((c, *windows.kernel, count, cols, n), dtype)
        unfolded = cp.asarray(columns)
        cpu.unfold(x, windows, first, count, cols, columns)
        gpu.unfold(cp.asarray(x), windows, first, count, cols, unfolded)
        np.testing.assert_array_equal(cp.asnumpy(unfolded), columns)
        cpu.fold(columns.astype("float64"), windows, first, count, cols, folded)
        gpu.fold(unfolded, windows, first, count, cols, there)
    close(cp, there, folded, dtype, factor=4)


def test_unfold_and_fold_of_views(cp, gpu):
    windows = Windows((2, 2))
    x = draw(2, 5, 4, 6)
    columns = np.zeros((2, 2, 2, 4, 2, 6), "float32")
    room, view = cp.asarray(np.zeros((2, 2, 2, 4, 2, 12), "float32"))[..., ::2], cp.asarray(x)[:, :, 1:]
    cpu.unfold(x[:, :, 1:], windows, 0, 4, 2, columns)
    gpu.unfold(view, windows, 0, 4, 2, room)
    np.testing.assert_array_equal(cp.asnumpy(room), columns)
    cpu.fold(columns, windows, 0, 4, 2, x[:, :, 1:])
    gpu.fold(room, windows, 0, 4, 2, view)
    np.testing.assert_array_equal(cp.asnumpy(view), x[:, :, 1:])


# --- indices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize(("shape", "index"), [((4, 3), [1, 1, -1, 0, 1]), ((5,), [[0, 4], [4, -5]]), ((2, 3), [])])
def test_add_at_adds_rows_as_often_as_they_are_named(cp, gpu, shape, index, kind, dtype):
    index = np.array(index, kind)
    values = np.random.default_rng(0).integers(-8, 8, (*index.shape, *shape[1:])).astype(dtype)
    x = np.ones(shape, dtype)
    there = cp.asarray(x)
    np.add.at(x, (index,), values)
    gpu.add_at(there, (cp.asarray(index),), cp.asarray(values))
    np.testing.assert_array_equal(cp.asnumpy(there), x)


def test_add_at_leaves_out_rows_that_are_not_there(cp, gpu):
    x, ones = cp.asarray(np.zeros((3, 2), "float32")), cp.asarray(np.ones((5, 2), "float32"))
    gpu.add_at(x, (cp.asarray(np.array([3, -4, 2, 10**12, -(10**12)])),), ones)
    np.testing.assert_array_equal(cp.asnumpy(x), [[0, 0], [0, 0], [1, 1]])


def test_add_at_broadcasts_the_values(cp, gpu):
    x = cp.asarray(np.zeros((3, 2), "float32"))
    gpu.add_at(x, (cp.asarray(np.array([0, 0, 2])),), cp.asarray(np.array([1, 2], "float32")))
    np.testing.assert_array_equal(cp.asnumpy(x), [[2, 4], [0, 0], [1, 2]])


@pytest.mark.parametrize("case", ["two arrays", "integers", "a view"])
def test_add_at_leaves_the_rest_to_cupy(cp, gpu, case):
    x = np.zeros((4, 6), "int64" if case == "integers" else "float32")
    i, j = np.array([1, 1, 0]), np.array([2, 2, 1])
    index = (i, j) if case == "two arrays" else (i,)
    there = cp.asarray(x)
    target, expected = (there[:, ::2], x[:, ::2]) if case == "a view" else (there, x)
    values = np.ones((3,) if case == "two arrays" else (3, expected.shape[1]), x.dtype)
    np.add.at(expected, index, values)
    gpu.add_at(target, tuple(cp.asarray(a) for a in index), cp.asarray(values))
    np.testing.assert_array_equal(cp.asnumpy(there), x)


# --- random numbers ----------------------------------------------------------------------------------------------


def words(*parts):
    return sum(part << 32 * i for i, part in enumerate(parts))


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        (0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**128 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            words(0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            words(0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, expected):
    assert [f"{word:08x}" for word in philox(key, counter, 4)] == expected.split()


def test_philox_is_a_function_of_the_counter():
    whole = philox(7, 2**64 - 3, 70_000)  # over a carry, and over a piece
    assert whole.dtype == np.uint32
    assert whole.shape == (70_000,)
    for i in (0, 1, 2, 3, 9_999, 16_384, 17_499):
        np.testing.assert_array_equal(whole[4 * i : 4 * i + 4], philox(7, 2**64 - 3 + i, 4))
    np.testing.assert_array_equal(philox(7, 2**128 - 1, 8)[4:], philox(7, 0, 4))
    assert philox(7, 0, 0).shape == (0,)
    assert abs(whole.mean() / 2**32 - 0.5) < 0.005


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (5,), (33, 129)])
@pytest.mark.parametrize("counter", [0, 2**64 - 2, 2**128 - 1])
def test_dropout_mask_is_that_of_the_cpu_bit_for_bit(cp, gpu, monkeypatch, shape, counter, dtype):
    from minigrad.backend.kernels import random

    settings = 0.3, np.dtype(dtype), 2**63 + 5, counter
    expected = cpu.dropout_mask(shape, *settings)
    for grid in (1, 3, None):
        if grid is not None:
            monkeypatch.setattr(random, "blocks", lambda n, grid=grid: (min(n, grid),))
        mask = cp.asnumpy(gpu.dropout_mask(shape, *settings))
        assert mask.dtype == dtype
        assert mask.shape == shape
        assert mask.tobytes() == np.asarray(expected).tobytes()
        monkeypatch.undo()
    if mask.size > 1000:
        assert 0.28 < (mask == 0).mean() < 0.32


# --- many tensors ------------------------------------------------------------------------------------------------

OPTIMIZERS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "maximize": True}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1, "maximize": True}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.Adam, {"lr": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1, "weight_decay": 0.2}),
    (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    (optim.RMSprop, {"lr": 0.1}),
    (optim.RMSprop, {"lr": 0.1, "momentum": 0.9}),
    (optim.RMSprop, {"lr": 0.1, "centered": True, "weight_decay": 0.1}),
    (optim.RMSprop, {"lr": 0.1, "centered": True, "momentum": 0.9}),
]
SIZES = [(3, 4), (), (1,), (0, 2), (2500,), *[(2,)] * 80]  # more than go into one launch


def formula(cls):
    return {optim.AdamW: "adam"}.get(cls, cls.__name__.lower())


def one_step(cls, settings, dtype):
    """Parameters, gradients and buffers of a second step; and (numbers, decay, maximize, the result by `update`)."""
    params = [draw(*shape, dtype=dtype, seed=i) for i, shape in enumerate(SIZES)]
    params, grads = ([np.asarray(a, dtype) for a in arrays] for arrays in (params, [p * 0.5 + 0.1 for p in params]))
    optimizer = cls([Variable(np.zeros(3, dtype))], **settings)
    group = optimizer.param_groups[0]
    state = {}
    optimizer.prepare(group, state)
    names, numbers = optimizer.prepare(group, {**state, **({"momentum_buffer": 0} if cls is optim.SGD else {})})
    buffers = [[np.asarray(np.abs(p) + 0.3 + k, dtype) for p in params] for k in range(len(names))]
    if names[1:2] == ("grad_avg",):  # its square must stay below the mean of squares
        buffers[1] = [np.zeros_like(b) for b in buffers[1]]
    decay = 0.0 if cls.decoupled else float(group["weight_decay"])
    expected = [a.astype("float64") for a in params], [[a.astype("float64") for a in b] for b in buffers]
    for i, g in enumerate(grads):
        p, buffer = expected[0][i], [b[i] for b in expected[1]]
        g = decay * p + g.astype("float64") * (-1 if group["maximize"] else 1)
        cls.update(np, p, g, np.empty_like(p), *numbers, *buffer)
    return params, grads, buffers, (numbers, decay, group["maximize"]), expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("cls", "settings"), OPTIMIZERS)
def test_step_is_the_optimizers_formula(cp, gpu, cls, settings, dtype):
    params, grads, buffers, how, (new, new_buffers) = one_step(cls, settings, dtype)
    ps, gs = ([cp.asarray(a) for a in arrays] for arrays in (params, grads))
    bs = [[cp.asarray(a) for a in b] for b in buffers]
    stopped = cp.asarray(np.float32(1))
    assert gpu.step(formula(cls), ps, gs, bs, *how, stopped) is True
    for p, before in zip(ps, params, strict=True):
        assert cp.asnumpy(p).tobytes() == before.tobytes()
    assert gpu.step(formula(cls), ps, gs, bs, *how, cp.asarray(np.float32(0))) is True
    for actual, expected in zip([ps, *bs], [new, *new_buffers], strict=True):
        for a, e in zip(actual, expected, strict=True):
            close(cp, a, e, dtype, factor=2)
    for g, before in zip(gs, grads, strict=True):
        assert cp.asnumpy(g).tobytes() == before.tobytes()


def test_step_leaves_what_is_not_contiguous_to_the_caller(cp, gpu):
    p, g = cp.asarray(draw(6, 4)), cp.asarray(draw(4, 6))
    before = cp.asnumpy(p)
    assert gpu.step("sgd", [p, p[:, ::2]], [g.T, g.T[:, ::2]], [], (0.5,), 0.0, False, None) is False
    assert cp.asnumpy(p).tobytes() == before.tobytes()
    assert gpu.step("sgd", [p], [g.T], [], (0.5,), 0.0, False, None) is True  # a gradient is copied
    np.testing.assert_array_equal(cp.asnumpy(p), before - cp.asnumpy(g).T * np.float32(0.5))
    assert gpu.step("sgd", [], [], [], (0.5,), 0.0, False, None) is True


@pytest.mark.parametrize("dtype", FLOATS)
def test_sum_of_squares_and_max_abs(cp, gpu, dtype):
    arrays = [draw(*shape, dtype=dtype, seed=i) for i, shape in enumerate(SIZES)]
    arrays = [np.asarray(a, dtype) for a in arrays] + [draw(8, 6, dtype=dtype)[:, ::2].T]
    there = [cp.asarray(a) for a in arrays[:-1]] + [cp.asarray(draw(8, 6, dtype=dtype))[:, ::2].T]
    kind = "float64" if dtype == "float64" else "float32"
    total = sum((a.astype("float64") ** 2).sum() for a in arrays)
    close(cp, gpu.sum_of_squares(there), total, kind)
    close(cp, gpu.max_abs(there), max(np.abs(a).max(initial=0) for a in arrays), kind)
    there[3 if there[3].size else 4][...] = np.nan
    assert np.isnan(cp.asnumpy(gpu.sum_of_squares(there)))
    assert np.isnan(cp.asnumpy(gpu.max_abs(there)))


def test_sum_of_squares_of_several_dtypes_and_of_nothing(cp, gpu):
    there = [cp.asarray(np.full(3, 2, dtype)) for dtype in FLOATS]
    close(cp, gpu.sum_of_squares(there), 36.0, "float64")
    close(cp, gpu.sum_of_squares(there[:2]), 24.0, "float32")
    close(cp, gpu.max_abs(there), 2.0, "float64")
    for nothing in ([], [cp.asarray(np.zeros((0, 3), "float32"))]):
        close(cp, gpu.sum_of_squares(nothing), 0.0, "float32")
        close(cp, gpu.max_abs(nothing), 0.0, "float32")


@pytest.mark.parametrize("dtype", FLOATS)
def test_scale_and_unscale_in_place(cp, gpu, dtype):
    arrays = [np.asarray(draw(*shape, dtype=dtype, seed=i), dtype) for i, shape in enumerate(SIZES)]
    there, found = [cp.asarray(a) for a in arrays], cp.asarray(np.float32(0))
    view = cp.asarray(draw(4, 6, dtype=dtype))
    gpu.scale([*there, view[:, ::2]], cp.asarray(np.float32(0.25)))
    for a, t in zip(arrays, there, strict=True):
        np.testing.assert_array_equal(cp.asnumpy(t), a * np.dtype(dtype).type(0.25))
    expected = draw(4, 6, dtype=dtype)
    expected[:, ::2] *= dtype_of(0.25, dtype)
    np.testing.assert_array_equal(cp.asnumpy(view), expected)
    gpu.unscale(there, cp.asarray(np.float32(4)), found)
    for a, t in zip(arrays, there, strict=True):
        close(cp, t, a, dtype)
    assert float(found) == 0


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_unscale_finds_what_is_not_finite(cp, gpu, bad, dtype):
    arrays, found = [np.ones(3, dtype), np.full(2000, 6e4, dtype), np.ones((2, 3), dtype)], cp.asarray(np.float32(0))
    arrays[1][1234] = bad
    gpu.unscale([cp.asarray(a) for a in arrays], cp.asarray(np.float32(0.5)), found)
    assert float(found) == 1


# --- elementwise -------------------------------------------------------------------------------------------------

POSITIVE = {"sqrt", "log", "log1p"}
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-4, 20.0, -20.0, 100.0, -100.0])


def fused():
    source = (FOLDER / "elementwise.py").read_text()
    return re.findall(r'^    "(\w+)": Fused\(', source, flags=re.MULTILINE)


@pytest.fixture
def kernels(gpu):
    return gpu.elementwise


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", fused())
def test_fused_operations_are_those_of_the_tape(cp, kernels, name, dtype):
    numbers = [0.3] if name == "leaky_relu" else []
    x = np.concatenate([draw(50, dtype=dtype, scale=2), SPECIAL.astype(dtype)])
    x = np.abs(x) if name in POSITIVE else x
    gy = draw(60, dtype=dtype, seed=1)
    forward, backward = kernels[name]
    with np.errstate(all="ignore"):
        y = operation(name)(Variable(x.astype("float64"), requires_grad=True), *numbers)
        kept = x if fused_table(cp)[name].saved == "x" else y.data.astype(dtype)
        gx = y.creator.backward(*wide(gy, kept))
    close(cp, forward(cp.asarray(x), *numbers), y.data, dtype, factor=2)
    close(cp, backward(cp.asarray(gy), cp.asarray(kept), *numbers), gx, dtype, factor=2)


def test_relu_and_abs_of_integers_are_exact(cp, kernels):
    x = np.array([2**53 + 1, -(2**53) - 1, 0, -3])
    np.testing.assert_array_equal(cp.asnumpy(kernels["relu"][0](cp.asarray(x))), np.maximum(x, 0))
    np.testing.assert_array_equal(cp.asnumpy(kernels["abs"][0](cp.asarray(x))), np.abs(x))


def test_fused_operations_keep_the_layout(cp, kernels):
    x, gy = draw(2, 3, 4, 5), draw(5, 2, 3, 4, seed=1)
    images, gradient = cp.asarray(x).transpose(3, 0, 1, 2), cp.asarray(gy)
    y = kernels["tanh"][0](images)
    gx = kernels["tanh"][1](gradient, y)
    assert y.strides == gx.strides == images.strides
    expected = np.tanh(x.transpose(3, 0, 1, 2))
    close(cp, y, expected, "float32")
    close(cp, gx, gy * (1 - expected**2), "float32")


def fused_table(cp):
    from minigrad.backend.kernels import elementwise

    return elementwise.ELEMENTWISE


def operation(name):
    import minigrad.ops.elementwise as ops

    return getattr(F, name) if name in ("gelu", "leaky_relu") else getattr(ops, name)


# --- races -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", ["1", "2"])
def test_no_result_depends_on_the_order_of_threads(cp, gpu, monkeypatch, seed):
    x, gy, target = draw(6, 700), draw(6, 700, seed=1), np.arange(6)

    def results():
        a, g, t = cp.asarray(x), cp.asarray(gy), cp.asarray(target)
        y, mean, variance, rstd = gpu.normalize(a, a[0], a[1], (1,), 1e-5)
        loss, lse = gpu.cross_entropy(a, t, None, None, 0.1)
        gradients = gpu.normalize_backward(g, a, a[0], mean, rstd, (1,), (True,) * 3)
        more = gpu.softmax(a, 1), gpu.softmax_backward(g, a, 1), gpu.log_softmax_backward(g, a, 1), loss, lse
        totals = gpu.sum_of_squares([a, g]), gpu.max_abs([a, g])
        return [cp.asnumpy(r).tobytes() for r in (y, mean, variance, rstd, *gradients, *more, *totals)]

    first = results()
    monkeypatch.setenv("MINIGRAD_EMULATOR_SEED", seed)
    assert results() == first
