"""Picking elements and putting them back."""

import numpy as np

import minigrad as mg

from .row import Row

MASK = np.array([[True, False, True], [False, True, True]])


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


ROWS = [
    Row("getitem slice", lambda x: x[1:, ::-2], ((3, 5),), lambda x: x[1:, ::-2]),
    Row("getitem int", lambda x: x[..., None, 1], ((3, 5),), lambda x: x[..., None, 1]),
    Row("getitem array", lambda x: x[[0, 2, 0]], ((3, 2),), lambda x: x[[0, 2, 0]]),
    Row("getitem arrays", lambda x: x[[0, 1, 0], [1, 2, 1]], ((2, 3),), lambda x: x[[0, 1, 0], [1, 2, 1]]),
    Row("getitem mixed", lambda x: x[:, [2, 2, 0], None], ((2, 3),), lambda x: x[:, [2, 2, 0], None]),
    Row("getitem mask", lambda x: x[MASK], ((2, 3),), lambda x: x[MASK]),
    Row("getitem row mask", lambda x: x[:, [True, False, True]], ((2, 3),), lambda x: x[:, [0, 2]]),
    Row("setitem slice", with_write(np.s_[1:, ::2])[0], ((3, 4), (2, 2)), with_write(np.s_[1:, ::2])[1]),
    Row("setitem broadcast", with_write(np.s_[:, 1])[0], ((3, 4), ()), with_write(np.s_[:, 1])[1]),
    Row("setitem array", with_write(np.s_[[0, 2]])[0], ((3, 4), (4,)), with_write(np.s_[[0, 2]])[1]),
    Row("setitem mask", with_write(MASK)[0], ((2, 3), (4,)), with_write(MASK)[1]),
    Row(
        "take_along_dim",
        lambda x, i: mg.take_along_dim(x, i, 1),
        ((2, 3), np.array([[0, 0], [2, 1]])),
        lambda x, i: np.take_along_axis(x, i, 1),
    ),
]
