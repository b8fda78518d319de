"""Picking elements and putting them back."""

import numpy as np

import minigrad as mg
from minigrad.ops.index import getitem

from .row import Row

MASK = np.array([[True, False, True], [False, True, True]])
PLACES = np.array([[0, 2], [3, 0], [1, 2]])  # along axis 1 of (3, 4), each once in its row
TWICE = np.array([[0, 2, 0], [1, 1, 1]])  # likewise, some more than once; the third row is left
COLUMN = np.array([[2, 0, 1, 1]])  # along axis 0
ZEROS = np.array([[2.0, 0.0, 0.7, 0.0], [0.0, 1.5, 0.0, 1.0], [1.0, 0.0, 3.0, 0.2]])
FACTORS = np.array([[0.5, 0.0, 0.0, 1.5], [2.0, 0.0, -1.0, 0.0]])  # make products of no, one and several zeros
EACH = np.array([[0, 0, 2, 2], [1, 1, 3, 3]])


def with_write(index):
    """x with x[index] = v, written in place on a copy."""

    def function(x, v):
        y = mg.clone(x) if isinstance(x, mg.Variable) else mg.Variable(x.copy())
        y[index] = v
        return y

    def reference(x, v):
        y = x.copy()
        y[index] = v
        return y

    return function, reference


def after_ints(x, v):
    """x with x[0, :, [0, 2]] = v, as PyTorch means it."""
    y = x.copy()
    y[0][:, [0, 2]] = v
    return y


def along(axis, write):
    """Element by element: y = x with y[..., index[place], ...] = write(y[...], src[place])."""

    def reference(x, index, src):
        y = x.copy()
        for place in np.ndindex(*index.shape):
            target = (*place[:axis], index[place], *place[axis + 1 :])
            y[target] = write(y[target], src[place] if np.ndim(src) else src)
        return y

    return reference


def overwritten(old, new):
    return new


def reducing(name, include_self, inputs=((3, 4), TWICE, (2, 3)), kind=""):
    """A row of scatter_reduce along axis 1."""
    write = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}.get(name, np.add)

    def reference(x, index, src):
        times = along(1, np.add)(np.zeros(x.shape), index, np.ones(src.shape))
        neutral = {"prod": 1.0, "amax": -np.inf, "amin": np.inf}.get(name, 0.0)
        y = along(1, write)(x if include_self else np.where(times > 0, neutral, x), index, src)
        return y / np.maximum(times + np.where(times == 0, 1, include_self), 1) if name == "mean" else y

    def function(x, index, src):
        return mg.scatter_reduce(x, 1, index, src, name, include_self=include_self)

    return Row(f"scatter_reduce {name}{'' if include_self else ' anew'}{kind}", function, inputs, reference)


def sliced(axis, write):
    """x with `write(slices, index, source)` done to a copy, the axis in front."""

    def reference(x, index, *source):
        y = x.copy()
        write(np.moveaxis(y, axis, 0), index, *(np.moveaxis(s, axis, 0) if s.ndim else s for s in source))
        return y

    return reference


def assign(y, index, values):
    y[index] = values


def filled(x, mask, value):
    return np.where(mask, value, x)


def placed(x, mask, source):
    """masked_scatter, in NumPy."""
    y, mask = np.broadcast_arrays(x, mask)
    y = y.copy()
    y[mask] = source.reshape(-1)[: mask.sum()]
    return y


ROWS = [
    Row("getitem slice", lambda x: x[1:, ::-2], ((3, 5),), lambda x: x[1:, ::-2]),
    Row("getitem int", lambda x: x[..., None, 1], ((3, 5),), lambda x: x[..., None, 1]),
    Row("getitem array", lambda x: x[[0, 2, 0]], ((3, 2),), lambda x: x[[0, 2, 0]]),
    Row("getitem arrays", lambda x: x[[0, 1, 0], [1, 2, 1]], ((2, 3),), lambda x: x[[0, 1, 0], [1, 2, 1]]),
    Row("getitem mixed", lambda x: x[:, [2, 2, 0], None], ((2, 3),), lambda x: x[:, [2, 2, 0], None]),
    Row("getitem after ints", lambda x: getitem(x, np.s_[0, :, [0, 2, 2]]), ((2, 2, 3),), lambda x: x[0][:, [0, 2, 2]]),
    Row("getitem mask", lambda x: x[MASK], ((2, 3),), lambda x: x[MASK]),
    Row("getitem row mask", lambda x: x[:, [True, False, True]], ((2, 3),), lambda x: x[:, [0, 2]]),
    Row("setitem slice", with_write(np.s_[1:, ::2])[0], ((3, 4), (2, 2)), with_write(np.s_[1:, ::2])[1]),
    Row("setitem broadcast", with_write(np.s_[:, 1])[0], ((3, 4), ()), with_write(np.s_[:, 1])[1]),
    Row("setitem array", with_write(np.s_[[0, 2]])[0], ((3, 4), (4,)), with_write(np.s_[[0, 2]])[1]),
    Row("setitem after ints", with_write(np.s_[0, :, [0, 2]])[0], ((2, 2, 3), (2, 2)), after_ints),
    Row("setitem mask", with_write(MASK)[0], ((2, 3), (4,)), with_write(MASK)[1]),
    Row(
        "take_along_dim",
        lambda x, i: mg.take_along_dim(x, i, 1),
        ((2, 3), np.array([[0, 0], [2, 1]])),
        lambda x, i: np.take_along_axis(x, i, 1),
    ),
    Row(
        "take_along_dim broadcast",
        lambda x, i: mg.take_along_dim(x, i, 1),
        ((1, 3, 2), np.array([[[0], [2]], [[1], [1]]])),
        lambda x, i: np.stack([x[0][[0, 2]], x[0][[1, 1]]]),
    ),
    Row("take_along_dim flat", mg.take_along_dim, ((2, 3), np.array([5, 0, -1])), lambda x, i: x.ravel()[i]),
    Row("gather", lambda x, i: mg.gather(x, 1, i), ((3, 4), TWICE), lambda x, i: np.take_along_axis(x[:2], i, 1)),
    Row("gather columns", lambda x, i: mg.gather(x, 0, i), ((3, 4), COLUMN), lambda x, i: np.take_along_axis(x, i, 0)),
    Row("gather vector", lambda x, i: mg.gather(x, 0, i), ((4,), np.array([3, 3, -4])), lambda x, i: x[i]),
    Row("index_select", lambda x, i: mg.index_select(x, 1, i), ((3, 4), np.array([2, 0, 2])), lambda x, i: x[:, i]),
    Row("take", mg.take, ((3, 4), np.array([[11, 0], [5, 5]])), lambda x, i: x.reshape(-1)[i]),
    Row("masked_select", mg.masked_select, ((2, 3), MASK), lambda x, mask: x[mask]),
    Row("masked_select broadcast", mg.masked_select, ((3,), MASK), lambda x, mask: np.stack([x, x])[mask]),
    Row(
        "scatter",
        lambda x, i, s: mg.scatter(x, 1, i, s),
        ((3, 4), PLACES, (3, 3)),  # of src, what lies beyond the index is not used
        along(1, overwritten),
    ),
    Row(
        "scatter value",
        lambda x, i: mg.scatter(x, 1, i, 1.5),
        ((3, 4), PLACES),
        lambda x, i: along(1, overwritten)(x, i, 1.5),
    ),
    Row("scatter_add", lambda x, i, s: mg.scatter_add(x, 1, i, s), ((3, 4), TWICE, (2, 3)), along(1, np.add)),
    Row("scatter_add columns", lambda x, i, s: mg.scatter_add(x, 0, i, s), ((3, 4), COLUMN, (2, 4)), along(0, np.add)),
    *(reducing(name, include) for name in ("sum", "prod", "mean", "amax", "amin") for include in (True, False)),
    *(reducing("prod", include, (ZEROS, EACH, FACTORS), " of zeros") for include in (True, False)),
    Row(
        "index_add",
        lambda x, i, s: mg.index_add(x, 1, i, s, alpha=2),
        ((3, 4), np.array([2, 0, 2]), (3, 3)),
        sliced(1, lambda y, i, s: np.add.at(y, i, 2 * s)),
    ),
    Row(
        "index_add rows",
        lambda x, i, s: mg.index_add(x, 0, i, s),
        ((3, 4), np.array([1, 1]), (2, 4)),
        sliced(0, np.add.at),
    ),
    Row("index_copy", lambda x, i, s: mg.index_copy(x, 1, i, s), ((3, 4), np.array([2, 0]), (3, 2)), sliced(1, assign)),
    Row(
        "index_fill",
        lambda x, i, v: mg.index_fill(x, 0, i, v.reshape(())),  # some layouts are not to be had without axes
        ((3, 4), np.array([2, 0]), ()),
        sliced(0, assign),
    ),
    Row("masked_fill", lambda x, mask, v: mg.masked_fill(x, mask, v.reshape(())), ((2, 3), MASK, ()), filled),
    Row(
        "masked_fill broadcast",
        lambda x, mask: mg.masked_fill(x, mask, -1.5),
        ((3,), MASK),
        lambda x, mask: filled(x, mask, -1.5),
    ),
    Row("masked_scatter", mg.masked_scatter, ((2, 3), MASK, (3, 2)), placed),
    Row("masked_scatter broadcast", mg.masked_scatter, ((2, 1), MASK, (5,)), placed),
]
