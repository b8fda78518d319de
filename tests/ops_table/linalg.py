"""Matrix products."""

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F

from .row import Row

ROWS = [
    Row("matmul", mg.matmul, ((3, 4), (4, 2)), np.matmul),
    Row("matmul batched", mg.matmul, ((2, 1, 3, 4), (5, 4, 2)), np.matmul),
    Row("matmul wide", mg.matmul, ((2, 3, 4), (4, 2)), np.matmul),
    Row("matmul vectors", mg.matmul, ((4,), (4,)), np.matmul),
    Row("matmul row", mg.matmul, ((4,), (2, 4, 3)), np.matmul),
    Row("matmul column", mg.matmul, ((2, 3, 4), (4,)), np.matmul),
    Row("linear", F.linear, ((5, 4), (3, 4), (3,)), lambda x, w, b: x @ w.T + b),
    Row("linear deep", F.linear, ((2, 3, 4), (3, 4)), lambda x, w: x @ w.T),
    Row("linear vector", F.linear, ((4,), (3, 4), (3,)), lambda x, w, b: x @ w.T + b),
]
