"""What the double of CuPy (tests/fakecupy) promises, held against CuPy itself on a GPU: its own tables, once more.

A test that fails here shows where the double is not CuPy: then the table is wrong, or the entry belongs to STRICTER.
"""

import copy
import types

import numpy as np
import pytest
from test_fakecupy import REFUSED, WAITS
from test_fakecupy_numbers import SAME, WRITES
from test_gpu import gate

import minigrad as mg

pytestmark = pytest.mark.gpu

# What the double refuses although CuPy does it, slowly, wrongly or undefined: by the message, and by the expression.
ON_PURPOSE = ("by accident", "race:", "the double has no", "Array device must be")
STRICTER = {
    "a[h > 1]", "a[np.array([0, 1])]", "a[0, np.array([1])]", "a[[0, 1]]", "a[:, [0, 1]]", "a[True]",
    "a.__setitem__(i, h)", "a.__setitem__(a > 1, h[0])", "cp.take(a, np.array([0]))", "cp.take(a, [0, 1])",
    "cp.add.at(a, i, h)", "cp.add.at(a, np.array([0]), 1.0)", "cp.add.at(a, [0, 1], 1.0)", "cp.empty_like(h)",
    "cp.array([a, h])",
}  # fmt: skip


@pytest.fixture
def cp():
    import cupy

    return cupy


@pytest.fixture
def e(cp):
    """As in test_fakecupy.py."""
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    there = types.SimpleNamespace(cp=cp, h=numbers, a=cp.asarray(numbers), i=cp.asarray([1, 0]))
    there.mask, there.zero, there.one = there.a > 2, there.a[0, 0], cp.asarray(1.5)
    if mg.cuda.device_count() > 1:
        with cp.cuda.Device(1):
            there.far = cp.asarray(numbers)
    return there


def needs_two(text):
    if ("far" in text or "Device(1)" in text) and mg.cuda.device_count() < 2:
        pytest.skip("there is one GPU only")


def promised():
    refusals = [(case.id, *case.values[1:]) for case in REFUSED]
    return [
        pytest.param(text, error, id=text)
        for text, error, match in refusals
        if text not in STRICTER and not any(word in match for word in ON_PURPOSE)
    ]


@pytest.mark.parametrize(("text", "error"), promised())
def test_cupy_refuses_it_too(e, text, error):
    needs_two(text)
    with pytest.raises(error):
        eval(text, {"np": np} | vars(e))
    np.testing.assert_array_equal(e.a.get(), e.h)


def close(got, wanted, cp):
    """CuPy's arrays where NumPy has arrays and numbers: of the same shape and dtype, and equal but for rounding."""
    if isinstance(wanted, tuple | list):
        assert len(got) == len(wanted)
        for g, w in zip(got, wanted, strict=True):
            close(g, w, cp)
    elif isinstance(got, cp.ndarray):
        assert (got.shape, got.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
        np.testing.assert_allclose(got.get(), wanted, rtol=1e-5, atol=1e-6)
    else:
        assert got == wanted and not isinstance(wanted, np.ndarray | np.generic)


@pytest.mark.parametrize("text", SAME)
def test_numbers_are_cupys(cp, text):
    draw = np.random.default_rng(0)
    host = {"x": draw.integers(0, 5, (2, 3)).astype("f"), "y": draw.normal(size=(2, 3))}
    host |= {"i": np.array([1, 0]), "j": np.array([0, 1])}
    with np.errstate(all="ignore"):
        wanted = eval(text, {"xp": np, "np": np} | host)
    close(eval(text, {"xp": cp, "np": np} | {name: cp.asarray(x) for name, x in host.items()}), wanted, cp)


@pytest.mark.parametrize("text", WRITES)
def test_writes_are_cupys(cp, text):
    results = []
    for xp in (np, cp):
        x, y = xp.asarray([[1, 2, 0], [3, 1, 4]], dtype="f"), xp.asarray([[1.5, 0, 2], [2, 1, 1]])
        names = {"xp": xp, "x": x, "y": y, "i": xp.asarray([1, 0]), "j": xp.asarray([2, 1])}
        exec(text, names)
        results.append([cp.asnumpy(names[name]) for name in "xy"])
    for wanted, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


@pytest.mark.parametrize("text", WAITS)
def test_cupy_waits_where_the_double_counts_it(e, text):
    needs_two(text)
    eval(text, {"copy": copy} | vars(e))  # kernels are loaded, memory is taken: both may wait, once
    with gate(0.2) as waited:
        eval(text, {"copy": copy} | vars(e))
        assert waited() == bool(WAITS[text])


def test_what_the_double_leaves_to_chance_is_no_error_of_cupys(cp):
    """An index out of range wraps, and memory that nobody wrote holds anything."""
    x = cp.arange(4.0)
    assert x[cp.asarray([-2, 4, -5])].tolist() == [2, 0, 3]
    assert cp.empty(3).shape == (3,)
    y = cp.zeros(2)
    y[cp.asarray([0, 0])] = cp.asarray([1.0, 2.0])
    assert y.tolist() in ([1, 0], [2, 0])
