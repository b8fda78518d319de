"""Where the double of CuPy does not refuse, its numbers, shapes, dtypes and writes are NumPy's."""

import itertools

import fakecupy
import numpy as np
import pytest
from fakecupy import snapshot, ufuncs


@pytest.fixture
def cp():
    """The double, as `import cupy` finds it."""
    fakecupy.install()
    import cupy

    yield cupy
    fakecupy.uninstall()


# The same on NumPy's arrays and the double's: x (2, 3) float32, y (2, 3) float64, i and j integers, n float32 2-d.
SAME = [
    "x + y", "x + 1", "2.0 * x", "np.float32(2) * x", "np.float64(2) * x", "x - np.float64(1)", "x / 3", "x // 2",
    "x % 2", "x ** 2", "2 ** x", "divmod(x, 2)", "-x", "abs(-x)", "~i", "i & 1", "1 | i", "i << 1", "x @ x.T",
    "x < 2", "x == x", "x != y", "x >= np.float32(2)", "np.float32(2) > x", "(x > 1) & (y < 3)", "i + 1.5",
    "x * True", "xp.exp(x)", "xp.exp(x.T)", "xp.add(x, y, dtype='f', casting='same_kind')", "xp.maximum(x, 2)",
    "xp.sqrt(i)", "xp.modf(y)", "xp.add.accumulate(x)", "xp.add.reduce(x, 1)", "xp.multiply.reduce(x)",
    "xp.add.outer(i, i)", "x.sum()", "x.sum(0)", "x.sum(axis=(0, 1), keepdims=True)", "x.mean(1)",
    "x.var(0, None, None, 1)", "x.max()", "x.argmax(1)", "xp.argmax(x, 0)", "xp.argmax(x, axis=0, keepdims=True)",
    "x.all()", "x.cumsum(1)", "x.prod()", "x.std(axis=0, ddof=1)", "xp.sum(x, 0, 'd')", "xp.clip(x, 1, 3)",
    "x.clip(1, None)", "x.round(1)", "x.dot(x.T)", "x[0]", "x[0, 1]", "x[:, ::-1]", "x[None, ..., 1:]", "x[i]",
    "x[:, j]", "x[i, j]", "x[i[:, None], j[:1]]", "x[i, None, 1:]", "x[-1 - i]", "x[0, j]", "x[x > 2]",
    "x[x[:, 0] > 0]", "x[:, x[0] > 0]", "x[i[0]]", "x[np.int64(1)]", "x.reshape(3, -1)", "x.reshape((6,))", "x.T",
    "x.transpose(1, 0)", "x.ravel()", "x.T.ravel()", "x.squeeze()", "x[:1].squeeze(0)", "x.swapaxes(0, 1)",
    "xp.moveaxis(x, 0, -1)", "xp.expand_dims(x, (0, 2))", "x.flatten('F')", "xp.broadcast_to(x, (2, 2, 3))",
    "xp.flip(x, 1)", "x.diagonal()", "xp.stack([x, x], 1)", "xp.concatenate((x, y), axis=0)",
    "xp.split(x, [1], axis=1)", "xp.tile(x, (2, 1))", "x.repeat(2, 0)", "xp.pad(x, ((1, 0), (0, 2)))",
    "xp.roll(x, 1, 0)", "xp.zeros((2, 2))", "xp.ones(3, 'i')", "xp.full((2,), 1.5, dtype='f')", "xp.arange(4)",
    "xp.arange(0, 1, 0.25, 'f')", "xp.linspace(0, 1, 5)", "xp.eye(3, dtype='f')", "xp.zeros_like(x)",
    "xp.full_like(x, 2)", "xp.array(x)", "xp.asarray(x, 'd')", "xp.array([[1, 2], [3, 4]])", "xp.array([x, x])",
    "xp.array([1.5])", "xp.asarray(3)", "xp.array(x, ndmin=3)", "x.astype('i')", "x.astype('d').astype('e')",
    "x.copy()", "x.view('i4')", "xp.where(x > 1, x, 0)", "xp.where(x > 1, 1, y)",
    "xp.where(x[0, 0] > 1, x[0, 0], x[0, 1])", "xp.take(x, i, 0)", "xp.take(x, j)", "x.take(i, axis=1)",
    "xp.take(x, 1, 0)", "xp.take_along_axis(x, i[:, None], 1)", "xp.sort(-x, axis=1)", "xp.argsort(-x, axis=1)",
    "x.argsort(0)", "xp.einsum('ij,kj->ik', x, x)", "xp.tensordot(x, x, ((1,), (1,)))", "xp.outer(x[0], x[1])",
    "xp.linalg.norm(x)", "xp.linalg.norm(x, 1, (0, 1))", "xp.linalg.qr(y.T)", "xp.isfinite(x)", "xp.sign(x)",
    "xp.allclose(x, x)", "xp.array_equal(x, y)", "xp.count_nonzero(x)", "xp.nan_to_num(x / 0)", "xp.log(x)", "x / 0",
    "i // 0", "x.real", "xp.lib.stride_tricks.sliding_window_view(x, 2, 1)",
    "xp.lib.stride_tricks.as_strided(x, (2, 2), (12, 4))", "xp.tril(x)", "xp.triu(x, 1)", "xp.diag(x[0])",
    "xp.unique(i)", "xp.nonzero(x)", "xp.bincount(i)", "list(x)", "len(x)", "xp.meshgrid(i, j)",
    "xp.floor_divide(x, 2)", "xp.searchsorted(x[0], x[1])", "xp.result_type(x, y)", "xp.size(x)", "x.mT",
]  # fmt: skip


def same(got, wanted, array):
    """Are all arrays in what the double gave the double's, and the numbers, shapes and dtypes NumPy's?"""
    if isinstance(wanted, tuple | list):
        assert len(got) == len(wanted)
        for g, w in zip(got, wanted, strict=True):
            same(g, w, array)
    elif isinstance(wanted, np.ndarray | np.generic) or (isinstance(got, array) and isinstance(wanted, bool | int)):
        assert type(got) is array
        assert (got.shape, got.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
        np.testing.assert_array_equal(got.get(), wanted)
    else:
        assert got == wanted and type(got) is type(wanted)


@pytest.mark.parametrize("text", SAME)
@pytest.mark.parametrize("relaid", [lambda x: x, np.asfortranarray], ids=["C", "F"])
def test_numbers_are_numpys(cp, text, relaid):
    draw = np.random.default_rng(0)
    host = {"x": relaid(draw.integers(0, 5, (2, 3)).astype("f")), "y": relaid(draw.normal(size=(2, 3)))}
    host |= {"i": np.array([1, 0]), "j": np.array([0, 1])}
    with np.errstate(all="ignore"):
        wanted = eval(text, {"xp": np, "np": np} | {name: x.copy("K") for name, x in host.items()})
    there = {name: cp.asarray(x) for name, x in host.items()}
    got = eval(text, {"xp": cp, "np": np} | there)
    same(got, wanted, cp.ndarray)
    for made in got if isinstance(got, tuple | list) else (got,):
        if isinstance(made, cp.ndarray) and made.base is None and not re_laid(text):
            assert made.flags.c_contiguous or any(made is x for x in there.values())
    for name, x in there.items():
        np.testing.assert_array_equal(x.get(), host[name])


def re_laid(text):
    """Keeps the layout of its operand, as CuPy does."""
    return any(word in text for word in ("astype", "array", "_like", ".real"))


WRITES = [
    "x[0] = 5", "x[:, 1] = x[:, 0].copy()", "x[i] = 7.5", "x[1 - i] = -x", "x[x > 1] = 0", "x[x > 1] = x[x > 1] * 2",
    "x[i, j] += 1", "x[...] = y", "x += y", "x -= 1", "x *= x", "x /= 2", "x **= 2", "x[-1] = x[0]",
    "x[:, None, 0] = 3", "xp.add.at(x, i, 1.0)", "xp.add.at(x, (i, j), x[0, 0] * 2)", "xp.add.at(x.T, i, 1.5)",
    "xp.maximum.at(x, i, 2)", "xp.exp(x, out=x)", "xp.add(x, y, out=y)", "xp.sum(x, 0, out=x[0])", "x.fill(3)",
    "xp.copyto(x, 1.0, where=x > 1)", "x.sort(1)", "xp.put_along_axis(x, i[:, None], 9.0, 1)", "x[0][1] = 8",
    "x[0, 0, ...][...] = 3", "x.T[0] = 1", "x.ravel()[2] = 4", "x[1 + 0 * i[0]] = y[0]", "x[i[:0]] = 1",
    "y.shape = (6,)", "xp.add.at(x, slice(1), 1)", "x @= x.T @ x",
]  # fmt: skip


@pytest.mark.parametrize("text", WRITES)
def test_writes_are_numpys(cp, text):
    results = []
    for xp in (np, cp):
        x, y = xp.asarray([[1, 2, 0], [3, 1, 4]], dtype="f"), xp.asarray([[1.5, 0, 2], [2, 1, 1]])
        names = {"xp": xp, "x": x, "y": y, "i": xp.asarray([1, 0]), "j": xp.asarray([2, 1])}
        exec(text, names)
        results.append([cp.asnumpy(names[name]) for name in "xy"])
    for got, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", [n for n, f in ufuncs.TABLE.items() if f._layout and n != "matmul"])
def test_dtypes_of_ufuncs_are_cupys(name):
    """NumPy, which computes for the double, chooses the dtypes that CuPy's first fitting loop has."""
    if name in ("ceil", "floor", "trunc") and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("NumPy made floats of integers until 2.1")
    f, facts = getattr(np, name), snapshot.names("cupy")[name]
    loops = [loop.split("->") for loop in facts["types"].split()]
    compared = 0
    for given in itertools.product("?blBefd", repeat=facts["nin"]):
        try:
            with np.errstate(all="ignore"):
                results = f(*(np.ones(1, char) for char in given))
        except TypeError:  # subtracting truth values and the like, which CuPy refuses too
            continue
        fitting = (out for loop, out in loops if all(map(np.can_cast, given, loop)))
        results = results if isinstance(results, tuple) else (results,)
        assert [r.dtype for r in results] == [np.dtype(char) for char in next(fitting)], given
        compared += 1
    assert compared > 2
