"""Along an axis: running sums and products, differences, elements in order."""

import numpy as np

import minigrad as mg

from .reduce import ZEROS
from .row import Row


def median(x, axis):
    return np.take(np.sort(x, axis), (x.shape[axis] - 1) // 2, axis)


ROWS = [
    Row("cumsum", lambda x: mg.cumsum(x, 0), ((4,),), np.cumsum),
    Row("cumsum dim", lambda x: mg.cumsum(x, 1), ((3, 4, 2),), lambda x: x.cumsum(1)),
    Row("cumprod", lambda x: mg.cumprod(x, 0), ((6,),), np.cumprod),
    Row("cumprod dim", lambda x: mg.cumprod(x, -2), ((2, 3, 2),), lambda x: x.cumprod(1)),
    Row("cumprod zeros", lambda x: mg.cumprod(x, 1), (ZEROS,), lambda x: x.cumprod(1)),
    Row("cumprod one", lambda x: mg.cumprod(x, 1), ((3, 1),), lambda x: x.cumprod(1)),
    Row("diff", mg.diff, ((3, 4),), np.diff),
    Row("diff twice", lambda x: mg.diff(x, 2, 0), ((4, 3),), lambda x: np.diff(x, 2, 0)),
    Row(
        "diff between",
        lambda x, a, b: mg.diff(x, dim=1, prepend=a, append=b),
        ((3, 4), (3, 1), (3, 2)),
        lambda x, a, b: np.diff(x, axis=1, prepend=a, append=b),
    ),
    Row("sort", lambda x: mg.sort(x).values * 2, ((3, 4),), lambda x: np.sort(x) * 2),
    Row("sort down", lambda x: mg.sort(x, 0, True)[0], ((3, 4, 2),), lambda x: np.sort(x, 0)[::-1]),
    Row("msort", mg.msort, ((3, 4),), lambda x: np.sort(x, 0)),
    Row("topk", lambda x: mg.topk(x, 3)[0], ((2, 8),), lambda x: np.sort(x)[:, :-4:-1]),
    Row("topk low", lambda x: mg.topk(x, 2, 0, largest=False).values, ((5, 3),), lambda x: np.sort(x, 0)[:2]),
    Row("topk all", lambda x: mg.topk(x, 4, 1)[0], ((2, 4, 2),), lambda x: np.sort(x, 1)[:, ::-1]),
    Row("kthvalue", lambda x: mg.kthvalue(x, 2, 0, True)[0], ((4, 3),), lambda x: np.sort(x, 0)[1:2]),
    Row("median", mg.median, ((3, 4),), lambda x: median(x.ravel(), 0)),
    Row("median dim", lambda x: mg.median(x, 1).values, ((3, 4, 2),), lambda x: median(x, 1)),
    Row("nanmedian", mg.nanmedian, ((5,),), np.median),
    Row("nanmedian dim", lambda x: mg.nanmedian(x, 0).values, ((4, 3),), lambda x: median(x, 0)),
]
