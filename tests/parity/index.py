"""Indexing, gathering, scattering, masking."""

import numpy as np

nan, inf = np.nan, np.inf
draw = np.random.default_rng(7)
ARRAYS = {
    "ids": draw.integers(0, 4, (3, 5)),  # along axis 1 of a
    "few": draw.integers(0, 4, (2, 3)),
    "once": np.array([[0, 2], [3, 0], [1, 2]]),
    "down": draw.integers(0, 3, (4, 2)),  # along axis 0 of a
    "deepest": draw.integers(0, 3, (2, 2, 4)),  # along axis 1 of deep
    "picks": np.array([2, 0, 2]),
    "apart": np.array([2, 0]),
    "first": np.array(0),
    "small": np.array([1, 0], np.int32),
    "some": np.array([True, False, True, True]),
    "never": np.zeros((3, 4), bool),
    "ints": draw.integers(-5, 5, (3, 4)),
    "more": draw.integers(1, 5, (3, 5)),
    "src": draw.normal(size=(3, 5)),
    "pair": draw.normal(size=(3, 2)),
    "edge": np.array([1.0, 2, 3, 0, 2]),
    "equal": np.array([1.0, 1, 2, 5, 0, 0, 3]),
    "where": np.array([0, 0, 0, 1, 3, 3, 2]),
    "bare": np.array([0.0, 0, 3, 2, 0]),
    "gaps": np.array([1.0, 3, 2, 0, 0, 5, 0]),
    "holes": np.array([1.0, nan, 3, -inf, 0]),
    "wild": np.array([1.0, 2, nan, 5, -inf, -inf, inf]),
    "no": np.zeros(0, np.int64),
    "no2": np.zeros((3, 0), np.int64),
    "rows0": np.zeros((0, 3), np.int64),
}

CALLS = """
lib.gather(a, 1, ids) | lib.gather(a, 1, few) | lib.gather(a, -2, down) | lib.gather(deep, 1, deepest)
lib.gather(v, 0, apart) | lib.gather(scalar, 0, first) | lib.gather(scalar, -1, first.reshape(1))
lib.gather(v, 0, first) | lib.gather(input=a, dim=1, index=ids) | lib.gather(i, 1, i % 2)
lib.gather(a, 1, ids.int()) | lib.take_along_dim(a, ids, 1) | lib.take_along_dim(a, ids[:1], dim=1)
lib.take_along_dim(a[:1], ids, 1) | lib.take_along_dim(one[:2], deepest * 0, 1)
lib.take_along_dim(deep, deepest[:, :, :1], 1) | lib.take_along_dim(input=a, indices=few)
lib.index_select(a, 0, picks) | lib.index_select(a, 1, small) | lib.index_select(deep, -1, picks)
lib.index_select(a, 0, first) | lib.index_select(scalar, 0, first) | lib.index_select(input=v, dim=0, index=picks)
lib.index_select(ints, 1, picks) | lib.take(a, few) | lib.take(a, first) | lib.take(deep, ids * -6)
lib.take(scalar, no) | lib.take(input=a, index=picks) | lib.masked_select(a, m) | lib.masked_select(a, some)
lib.masked_select(v, m) | lib.masked_select(scalar, some) | lib.masked_select(scalar, m[0, 0])
lib.masked_select(input=deep, mask=m) | lib.masked_select(ints, m) | lib.scatter(a, 1, once, b.detach())
lib.scatter(a, 1, once, src=pair) | lib.scatter(a, 1, once, 2.5) | lib.scatter(a, 1, once, value=-1)
lib.scatter(input=deep, dim=1, index=deepest * 0, src=deep[:, :1].expand(2, 2, 4)) | lib.scatter(ints, 1, once, 2.5)
lib.scatter(ints, 1, once, more) | lib.scatter(m, 1, once, True) | lib.scatter(m, 1, once, 2)
lib.scatter(scalar, 0, first, scalar * 2) | lib.scatter(scalar, 0, first, 2) | lib.scatter(v, 0, apart, u[1:3])
lib.scatter_add(a, 1, ids, src) | lib.scatter_add(a, 1, few, src.detach()) | lib.scatter_add(a, 0, down, w[:4, :2])
lib.scatter_add(deep, 1, deepest, deep[:, 1:]) | lib.scatter_add(input=a, dim=-1, index=ids, src=src)
lib.scatter_add(ints, 1, ids, more) | lib.scatter_add(m, 1, once, m) | lib.scatter_add(scalar, 0, first, scalar)
lib.scatter_add(a, 1, ids, a[:, :1].expand(3, 5)) | lib.scatter_reduce(a, 1, ids, src, "sum")
lib.scatter_reduce(a, 1, few, src[:2, 1:4], "mean") | lib.scatter_reduce(a, 1, few, src[:2, 1:4], "prod")
lib.scatter_reduce(a, 1, few, src[:2, 1:4], reduce="amax") | lib.scatter_reduce(a, 0, down, w[1:, 2:], reduce="amin")
lib.scatter_reduce(a, 1, few, src[:2, 1:4], "sum", include_self=False)
lib.scatter_reduce(a, 1, few, src[:2, 1:4], "mean", include_self=False)
lib.scatter_reduce(a, 1, few, src[:2, 1:4], "prod", include_self=False)
lib.scatter_reduce(a, 1, few, src[:2, 1:4], "amax", include_self=False)
lib.scatter_reduce(a, 1, few, src[:2, 1:4], "amin", include_self=False)
lib.scatter_reduce(deep, 1, deepest, deep[:, 1:], "prod") | lib.scatter_reduce(ints, 1, ids, more, "sum")
lib.scatter_reduce(ints, 1, ids, more, "prod") | lib.scatter_reduce(ints, 1, ids, more, "mean")
lib.scatter_reduce(ints, 1, ids, -more, "mean", include_self=False) | lib.scatter_reduce(ints, 1, ids, more, "amax")
lib.scatter_reduce(ints, 1, ids, more, "amin", include_self=False)
lib.scatter_reduce(ints.int(), 1, ids, -more.int(), "amax", include_self=False)
lib.scatter_reduce(m, 1, once, m, "amax", include_self=False) | lib.scatter_reduce(m, 1, once, m, "prod")
lib.scatter_reduce(scalar, 0, first, scalar, "prod") | lib.index_add(a, 0, picks, w[:3])
lib.index_add(a, 1, apart, pair) | lib.index_add(a, -1, apart, pair, alpha=-2)
lib.index_add(input=a, dim=1, index=small, source=pair, alpha=0.5)
lib.index_add(ints, 1, apart, more[:, :2], alpha=3) | lib.index_add(scalar, 0, first, scalar)
lib.index_add(v, 0, first, v[:1]) | lib.index_add(m, 1, apart, m[:, :2]) | lib.index_copy(a, 1, apart, pair)
lib.index_copy(a, 0, first, b[:1]) | lib.index_copy(deep, 2, picks[:2], deep[..., :2])
lib.index_copy(v, 0, first, scalar) | lib.index_copy(input=ints, dim=1, index=apart, source=more[:, :2])
lib.index_copy(scalar, 0, first, scalar * 3) | lib.index_fill(a, 0, apart, 2) | lib.index_fill(a, 1, apart - 1, 5)
lib.index_fill(ints, 0, first, 2.7) | lib.index_fill(input=deep, dim=-1, index=picks, value=scalar)
lib.index_fill(m, 1, apart, 0) | lib.index_fill(scalar, 0, first, 3) | lib.masked_fill(a, m, 0.5)
lib.masked_fill(a, m, scalar) | lib.masked_fill(a, some, -float("inf")) | lib.masked_fill(v, m, 1)
lib.masked_fill(ints, m, 2.7) | lib.masked_fill(ints, m, scalar.detach() * 5)
lib.masked_fill(input=deep, mask=m, value=2) | lib.masked_fill(m, m, False) | lib.masked_fill(a.float(), m, scalar)
lib.masked_fill(scalar, m[0, 0], 1) | lib.masked_scatter(a, m, b) | lib.masked_scatter(a, some, src)
lib.masked_scatter(v, m, src) | lib.masked_scatter(input=deep, mask=m, source=deep)
lib.masked_scatter(ints, m, more) | lib.masked_scatter(a, never, v) | lib.masked_scatter(scalar, m[0, 0], v)
lib.nonzero(m) | lib.nonzero(m, as_tuple=True) | lib.nonzero(ints) | lib.nonzero(a.detach() > 0)
lib.nonzero(scalar.detach()) | lib.nonzero(scalar.detach(), as_tuple=True)
lib.nonzero(input=zero.detach(), as_tuple=False) | lib.nonzero(first) | lib.nonzero(never, as_tuple=True)
lib.argwhere(ints) | lib.argwhere(odd.detach()) | lib.argwhere(first + 1) | lib.argwhere(never) | deep[0, :, [1, 2]]
deep[:, [1, 1], None] | deep[[1, 0], None, apart] | image[:, [0, 3], :, 1] | image[1, :, :, [0, 3]]
image[:, 0, [1, 5], ..., None] | image[apart // 2, :, [1, 2]] | image[:, first, :, picks] | image[0, :, picks, 1]
image[0, None, picks] | image[..., [[0], [3]], [1, 2]] | image[:, :, [0, 1], [2, 2]] | image[0, [0, 3], 1, [2, 4]]
deep[:, m] | deep[:, m[:, 0]] | deep[1, m] | deep[1, :, some] | deep[:, [0, 2, 1], some] | deep[None, ..., some]
image[:, some, :, first] | image[1, some, :, picks] | image[:, some, picks] | a[m.float() > 0.5] | a[first]
a[first, first] | a[:, small] | a[some[:3]] | a[..., [1]] | a[True] | a[0, True] | a[:, False] | a[None, 1, ..., 2]
a[1:, 3:1] | v[[1, -1]]
"""

METHODS = """
a.gather(1, ids) | a.take_along_dim(few) | a.index_select(1, picks) | a.take(few) | a.masked_select(m) | a.nonzero()
m.nonzero(as_tuple=True) | m.argwhere() | a.scatter(1, once, pair) | a.scatter(1, once, value=2)
a.scatter_add(1, ids, src) | a.scatter_reduce(1, ids, src, "mean", include_self=False)
a.index_add(1, apart, pair, alpha=2) | a.index_copy(1, apart, source=pair) | a.index_fill(1, apart, 2)
a.masked_fill(m, 1) | a.masked_fill(mask=m, value=scalar) | a.masked_scatter(m, b) | a.clone().scatter_(1, once, pair)
a.clone().scatter_(1, once, value=2) | (a * 1).scatter_(1, index=once, src=pair) | a.clone().scatter_add_(1, ids, src)
a.clone().scatter_reduce_(1, ids, src, "prod")
(a * b).scatter_reduce_(1, ids, src=src, reduce="amax", include_self=False) | a.clone().index_add_(1, apart, pair)
a.clone().index_add_(1, apart, source=pair, alpha=3) | a.clone().index_copy_(1, apart, pair)
a.clone().index_fill_(1, apart, scalar) | a.clone().masked_fill_(m, scalar)
(a * b).masked_fill_(m, value=2).masked_fill_(some, scalar) | a.clone().masked_scatter_(m, b)
ints.clone().masked_fill_(m, 2.7) | ints.index_fill_(1, apart, 1) | m.scatter_(1, once, True)
"""

EDGES = """
lib.scatter_reduce(edge, 0, where, equal, "amax") | lib.scatter_reduce(edge, 0, where, equal, "amin")
lib.scatter_reduce(edge + 0.5, 0, where, equal, "amax", include_self=False)
lib.scatter_reduce(edge - 0.5, 0, where, equal, "amin", include_self=False)
lib.scatter_reduce(bare, 0, where, gaps, "prod")
lib.scatter_reduce(bare, 0, where, gaps, "prod", include_self=False)
lib.scatter_reduce(edge, 0, where, gaps, "prod") | lib.scatter_reduce(bare, 0, where, equal, "prod")
lib.scatter_reduce(bare, 0, where, gaps, "mean") | lib.scatter_reduce(holes, 0, where, wild, "amax")
lib.scatter_reduce(holes, 0, where, wild, "amin") | lib.scatter_reduce(holes, 0, where, wild, "sum")
lib.scatter_reduce(holes, 0, where, wild, "mean") | lib.scatter_reduce(holes[:3], 0, where[:3], equal[:3], "prod")
lib.scatter_reduce(edge, 0, where, wild, "prod") | lib.scatter_add(holes, 0, where, wild)
lib.masked_fill(odd, odd != odd, 0) | lib.masked_fill(odd, odd > 0, float("nan"))
lib.scatter(a, 1, ids[:, :1], float("inf")) | lib.index_add(odd, 0, where[3:], wild[3:]) | lib.gather(odd, 0, where)
lib.masked_select(odd, odd == odd) | lib.argwhere(odd.detach()) | lib.masked_scatter(odd, odd != odd, wild)
"""

EMPTY = """
lib.gather(a, 1, no2) | lib.gather(none, 1, rows0) | lib.gather(none, 0, rows0) | lib.take_along_dim(a, no)
lib.take_along_dim(cols, no2[:2], 1) | lib.index_select(a, 0, no) | lib.index_select(none, 0, no)
lib.index_select(none, 1, picks) | lib.take(a, no) | lib.take(a, no2) | lib.masked_select(a, never)
lib.masked_select(none, none > 0) | lib.nonzero(none.detach()) | lib.nonzero(none.detach(), as_tuple=True)
lib.argwhere(cols.detach()) | lib.scatter(a, 1, no2, b[:, :0]) | lib.scatter(a, 1, no2, 2)
lib.scatter(none, 1, rows0, none) | lib.scatter_add(a, 1, no2, b[:, :0]) | lib.scatter_add(none, 0, rows0, none)
lib.scatter_reduce(a, 1, no2, b[:, :0], "amax") | lib.scatter_reduce(a, 1, no2, b[:, :0], "prod", include_self=False)
lib.scatter_reduce(none, 1, rows0, none, "mean") | lib.scatter_reduce(none, 1, rows0, none, "amin")
lib.index_add(a, 1, no, b[:, :0]) | lib.index_add(none, 0, no, none) | lib.index_copy(a, 1, no, b[:, :0])
lib.index_fill(a, 0, no, 2) | lib.index_fill(none, 1, picks, 2) | lib.masked_fill(none, none > 0, 1)
lib.masked_fill(a, never, 1) | lib.masked_scatter(a, never, nothing) | lib.masked_scatter(none, none > 0, v) | a[no]
a[no2] | none[:, [0, 2]] | none[..., picks] | a[never] | deep[:, never] | a[[], [[]]] | deep[1:1, :, [0, 1]]
deep[no, 0, :] | none[rows0.shape[0]:, None]
"""
