"""Where shapes are the hard part, random ones: indexing, broadcasting, and the geometry of windows against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
import minigrad.nn.functional as F

small = settings(deadline=None, max_examples=60)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def numbered(shape):
    """Different numbers everywhere, so that a misplaced one shows."""
    return np.arange(1.0, np.prod(shape, dtype=int) + 1).reshape(shape)


def scattered(shape, places, g):
    """The gradient of x.flat[places], by a loop over its elements."""
    gx = np.zeros(shape)
    for place, value in zip(np.ravel(places), np.ravel(g), strict=True):
        gx.flat[place] += value
    return gx


# --- indices -----------------------------------------------------------------------------------------------------


@st.composite
def advanced(draw, shape, backwards=True):
    """Ints, slices, None, ..., integer arrays that broadcast, and masks of one axis and of several, mixed."""
    parts, axis = [], 0
    hole = draw(st.one_of(st.none(), st.integers(0, len(shape))))
    kinds = st.sampled_from(["slice", "int", "array", "list", "Variable", "one", "mask", "None"])
    lines = hnp.broadcastable_shapes((2, 3), min_dims=1, max_dims=2, max_side=3)
    while axis < len(shape):
        if hole is not None and hole <= axis:
            parts.append(...)
            axis, hole = axis + draw(st.integers(0, len(shape) - axis)), None
            continue
        n, kind = shape[axis], draw(kinds)
        if kind == "None":
            parts.append(None)
            continue
        if kind == "slice" or n == 0:
            parts.append(draw(st.slices(n).filter(lambda part: backwards or (part.step or 1) in range(1, 9))))
        elif kind == "int":
            parts.append(draw(st.sampled_from([int, np.int64]))(draw(st.integers(-n, n - 1))))
        elif kind == "mask":
            axes = draw(st.sampled_from([k for k in range(1, len(shape) - axis + 1) if np.prod(shape[axis:][:k])]))
            size = int(np.prod(shape[axis:][:axes]))
            mask = np.zeros(size, bool)  # with as many true as broadcast with the arrays
            mask[draw(st.permutations(range(size)))[: draw(st.sampled_from([1, 3] if size > 2 else [1]))]] = True
            parts.append(mask.reshape(shape[axis:][:axes]))
            axis += axes - 1
        else:
            array = draw(hnp.arrays(np.int64, () if kind == "one" else draw(lines), elements=st.integers(-n, n - 1)))
            parts.append({"list": array.tolist(), "array": array}.get(kind, mg.tensor(array)))
        axis += 1
    return tuple(parts if ... in map(type_of, parts) else parts[: draw(st.integers(0, len(parts)))])


def type_of(part):
    """... itself, which arrays cannot be compared with."""
    return part if part is ... else type(part)


def picked(x, index):
    """x[index] by NumPy, but with the ints taken out first, as PyTorch does."""
    parts = [part.numpy() if isinstance(part, mg.Variable) else part for part in tupled(index)]
    parts = [np.array(part) if isinstance(part, list) else part for part in parts]
    axes = [part.ndim if getattr(part, "dtype", None) == mg.bool else part is not None for part in parts]
    ints, rest = [], []
    for part, count in zip(parts, axes, strict=True):
        if part is ...:
            ints += [slice(None)] * (x.ndim - sum(axes) + 1)
            rest += ints[len(ints) - (x.ndim - sum(axes) + 1) :]
        elif isinstance(part, int | np.integer) or (
            isinstance(part, np.ndarray) and not part.ndim and part.dtype != bool
        ):
            ints.append(int(part))
        else:
            ints += [slice(None)] * count
            rest.append(part)
    return np.asarray(x[tuple(ints)])[tuple(rest)]


def tupled(index):
    return index if isinstance(index, tuple) else (index,)


@st.composite
def indexed(draw, backwards=True):
    shape = draw(SHAPES)
    kinds = [advanced(shape, backwards), advanced(shape, backwards), hnp.arrays(bool, shape)]
    if backwards:
        kinds.append(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    return shape, draw(st.one_of(kinds))


def places_of(shape, index):
    return picked(np.arange(int(np.prod(shape))).reshape(shape), index)


@settings(small, max_examples=150)
@given(indexed())
def test_getitem(case):
    shape, index = case
    x = mg.tensor(numbered(shape), requires_grad=True)
    y = x[index]
    expected = picked(numbered(shape), index)
    assert y.shape == np.shape(expected)
    np.testing.assert_array_equal(y.data, expected)
    g = numbered(y.shape) * 10
    y.backward(g, retain_graph=True)
    np.testing.assert_array_equal(x.grad.data, scattered(shape, places_of(shape, index), g))
    seed = mg.tensor(g, requires_grad=True)  # the gradient is linear in g: its own gradient picks the same elements
    (gx,) = mg.grad(y, x, seed, create_graph=True)
    (gg,) = mg.grad(gx, seed, numbered(shape))
    np.testing.assert_array_equal(gg.data, expected)


@settings(small, max_examples=100)
@given(indexed(), st.data())
def test_setitem(case, data):
    shape, index = case
    places = places_of(shape, index)
    if len(set(np.ravel(places))) < places.size:
        index, places = (), places_of(shape, ())
    chosen = places.shape
    value_shape = data.draw(
        st.sampled_from([chosen, (), (1, *chosen), tuple(1 if i % 2 else n for i, n in enumerate(chosen)), chosen[1:]])
    )
    if value_shape == chosen[1:] and len(chosen) == 1:
        value_shape = ()
    x = mg.tensor(numbered(shape), requires_grad=True)
    v = mg.tensor(-numbered(value_shape), requires_grad=True)
    y, expected = x.clone(), numbered(shape)
    y[index] = v
    expected.flat[np.ravel(places)] = np.ravel(
        np.broadcast_to(v.data.reshape(v.shape[v.ndim - min(v.ndim, len(chosen)) :]), chosen)
    )
    np.testing.assert_array_equal(y.data, expected)
    assert x.data.tolist() == numbered(shape).tolist()
    g = 10 * numbered(shape)
    y.backward(g)
    kept = np.array(g)
    kept.flat[np.ravel(places)] = 0
    np.testing.assert_array_equal(x.grad.data, kept)
    gv = np.zeros(value_shape)
    sources = np.broadcast_to(np.arange(gv.size).reshape(value_shape)[(0,) * (gv.ndim - len(chosen))], chosen)
    np.add.at(gv.reshape(-1), np.ravel(sources), np.ravel(g)[np.ravel(places)])
    np.testing.assert_array_equal(v.grad.data, gv)


def for_torch(index):
    """The same index for PyTorch."""
    torch = pytest.importorskip("torch")
    turned = [
        torch.tensor(i.numpy() if isinstance(i, mg.Variable) else i) if hasattr(i, "dtype") else i
        for i in tupled(index)
    ]
    return tuple(turned)


@pytest.mark.torch
@settings(small, max_examples=150)
@given(indexed(backwards=False), st.data())
def test_indexing_is_that_of_torch(case, data):
    torch = pytest.importorskip("torch")
    shape, index = case
    x = mg.tensor(numbered(shape), requires_grad=True)
    t = torch.tensor(numbered(shape), requires_grad=True)
    there = for_torch(index)
    y, z = x[index], t[there]
    assert y.shape == tuple(z.shape)
    weights = mg.tensor(numbered(y.shape))
    (y * y * weights).sum().backward()
    (z * z * torch.tensor(numbered(y.shape))).sum().backward()
    np.testing.assert_array_equal(y.numpy(force=True), z.detach().numpy())
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros(shape) if t.grad is None else t.grad.numpy())
    places = np.ravel(places_of(shape, index))
    if len(set(places)) < len(places):
        return  # which of two values is kept is left open
    value_shape = data.draw(st.sampled_from([y.shape, (), (1, *y.shape)]))
    v = mg.tensor(-numbered(value_shape), requires_grad=True)
    tv = torch.tensor(-numbered(value_shape), requires_grad=True)
    c, tc = x * 2, t * 2
    c[index], tc[there] = v, tv
    x.grad = t.grad = None
    (c * c).sum().backward()
    (tc * tc).sum().backward()
    np.testing.assert_array_equal(c.numpy(force=True), tc.detach().numpy())
    for ours, torchs in ((x.grad, t.grad), (v.grad, tv.grad)):
        np.testing.assert_array_equal(ours.numpy(), torchs.numpy())


@pytest.mark.parametrize(
    "index", [True, False, np.True_, (True, 0), (slice(None), True), ..., None, (), (None, ..., None)]
)
def test_unusual_indices(index):
    x = mg.tensor(numbered((2, 3)), requires_grad=True)
    y, expected = x[index], numbered((2, 3))[index]
    assert y.shape == expected.shape and y.tolist() == expected.tolist()
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad.data, scattered((2, 3), np.arange(6).reshape(2, 3)[index], np.ones(y.shape)))


@small
@given(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), st.data())
def test_take_along_dim(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    taken = list(shape)
    taken[axis] = data.draw(st.integers(0, 5))
    indices = data.draw(hnp.arrays(np.int64, tuple(taken), elements=st.integers(0, shape[axis] - 1)))
    x = mg.tensor(numbered(shape), requires_grad=True)
    y = mg.take_along_dim(x, mg.tensor(indices), axis)
    np.testing.assert_array_equal(y.data, np.take_along_axis(x.data, indices, axis))
    g = numbered(y.shape)
    y.backward(g)
    expected = np.zeros(shape)
    for place in np.ndindex(*indices.shape):
        target = list(place)
        target[axis] = indices[place]
        expected[tuple(target)] += g[place]
    np.testing.assert_array_equal(x.grad.data, expected)


# --- broadcasting ------------------------------------------------------------------------------------------------

BROADCAST = {
    "add": (lambda a, b: a + b, lambda a, b: (1, 1)),
    "mul": (lambda a, b: a * b, lambda a, b: (b, a)),
    "where": (lambda a, b: mg.where(a > b, a, b), lambda a, b: (a > b, a <= b)),
}


def unbroadcast(g, shape):
    """The sum of g over what was stretched, by a loop over its elements."""
    out = np.zeros(shape)
    padded = (1,) * (g.ndim - len(shape)) + tuple(shape)
    for place in np.ndindex(*g.shape):
        at = tuple(0 if n == 1 else i for i, n in zip(place, padded, strict=True))
        out[at[g.ndim - len(shape) :]] += g[place]
    return out


@pytest.mark.parametrize("name", BROADCAST)
@small
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3))
def test_gradients_of_broadcast_operands(name, shapes):
    function, slopes = BROADCAST[name]
    a, b = (
        mg.tensor(numbered(s) * sign, requires_grad=True) for s, sign in zip(shapes.input_shapes, (1, -1), strict=True)
    )
    y = function(a, b)
    assert y.shape == shapes.result_shape
    g = numbered(y.shape)
    y.backward(g)
    for x, slope in zip((a, b), slopes(a.data, b.data), strict=True):
        np.testing.assert_array_equal(x.grad.data, unbroadcast(g * np.broadcast_to(slope, y.shape), x.shape))


# --- windows, against PyTorch ------------------------------------------------------------------------------------


def random(shape, seed=0):
    """Normal numbers, all different."""
    return np.random.default_rng(seed).normal(size=shape)


def compare_with_torch(function, torch_function, *arrays):
    """Values, gradients, and the gradients of the gradients with respect to everything, under the same weights."""
    import torch

    xs = [mg.tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, ty = function(*xs), torch_function(*ts)
    same(y, ty)
    seed = random(y.shape, 1)
    w, tw = mg.tensor(seed, requires_grad=True), torch.tensor(seed, requires_grad=True)
    plain = mg.grad(y, xs, w, retain_graph=True)
    gs = mg.grad(y, xs, w, create_graph=True)
    tgs = torch.autograd.grad(ty, ts, tw, create_graph=True)
    for g, p, tg in zip(gs, plain, tgs, strict=True):
        same(p, tg)
        same(g, tg)
    weights = [random(g.shape, 2 + i) for i, g in enumerate(gs)]
    total = sum((g * v).sum() for g, v in zip(gs, weights, strict=True))
    torch_total = sum((g * torch.tensor(v)).sum() for g, v in zip(tgs, weights, strict=True))
    second = mg.grad(total, [*xs, w], allow_unused=True)
    expected = torch.autograd.grad(torch_total, [*ts, tw], allow_unused=True)
    for x, g, tg in zip([*xs, w], second, expected, strict=True):
        same(np.zeros(x.shape) if g is None else g, torch.zeros(x.shape, dtype=torch.float64) if tg is None else tg)


def same(ours, torchs):
    ours = getattr(ours, "data", ours)
    assert ours.shape == tuple(torchs.shape)
    np.testing.assert_allclose(ours, torchs.detach().numpy(), rtol=1e-8, atol=1e-9)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    options = {
        "stride": draw(pairs(1, 3)),
        "padding": draw(pairs(0, 2)),
        "dilation": draw(pairs(1, 2)),
        "groups": groups,
    }
    kernel = draw(pairs(1, 3))
    least = [
        max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, options["dilation"], options["padding"], strict=True)
    ]
    size = tuple(n + draw(st.integers(0, 4)) for n in least)
    return (draw(st.integers(1, 3)), channels, *size), (out, channels // groups, *kernel), options, draw(st.booleans())


@pytest.mark.torch
@settings(deadline=None, max_examples=40)
@given(case=convolutions())
def test_conv2d(case):
    torch = pytest.importorskip("torch")
    x, weight, options, bias = case
    arrays = [random(x), random(weight, 1), *([random(weight[:1], 2)] if bias else [])]
    compare_with_torch(
        lambda *a: F.conv2d(*a, **options), lambda *a: torch.nn.functional.conv2d(*a, **options), *arrays
    )


@st.composite
def poolings(draw, dilated):
    kernel = draw(pairs(1, 4))
    options = {
        "stride": draw(st.one_of(st.none(), pairs(1, 4))),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    dilation = draw(pairs(1, 3)) if dilated else (1, 1)
    # At least the dilation, or a window can lie in the padding alone, where PyTorch writes outside of its memory.
    least = [max(d, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, options["padding"], strict=True)]
    size = tuple(n + draw(st.integers(0, 5)) for n in least)
    if dilated:
        options["dilation"] = dilation
    else:
        options["count_include_pad"] = draw(st.booleans())
        options["divisor_override"] = draw(st.one_of(st.none(), st.integers(1, 5)))
    return (*draw(st.sampled_from([(2, 2), (1,), (3, 1)])), *size), kernel, options


@pytest.mark.torch
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@small
@given(data=st.data())
def test_pooling(name, data):
    torch = pytest.importorskip("torch")
    shape, kernel, options = data.draw(poolings(dilated=name == "max_pool2d"))
    ours, torchs = getattr(F, name), getattr(torch.nn.functional, name)
    compare_with_torch(lambda x: ours(x, kernel, **options), lambda x: torchs(x, kernel, **options), random(shape))


@pytest.mark.torch
@settings(deadline=None, max_examples=30)
@given(st.tuples(*[st.integers(1, 6)] * 2), st.tuples(*[st.one_of(st.none(), st.integers(1, 8))] * 2))
def test_adaptive_avg_pool2d(size, output):
    torch = pytest.importorskip("torch")
    ours, torchs = F.adaptive_avg_pool2d, torch.nn.functional.adaptive_avg_pool2d
    compare_with_torch(lambda x: ours(x, output), lambda x: torchs(x, output), random((2, 2, *size)))


@pytest.mark.torch
@settings(deadline=None, max_examples=30)
@given(
    shape=st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), ndim=st.integers(2, 4)
)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(training, affine, shape, ndim):
    torch = pytest.importorskip("torch")
    shape = shape[:ndim]
    parameters = [random(shape[1], 1), random(shape[1], 2)] if affine else []
    mean, var = random(shape[1], 3), abs(random(shape[1], 4)) + 0.5
    stats = [mg.tensor(mean), mg.tensor(var)]
    torch_stats = [torch.tensor(mean), torch.tensor(var)]
    compare_with_torch(
        lambda x, *p: F.batch_norm(x, *stats, *p, training=training, momentum=0.3),
        lambda x, *p: torch.nn.functional.batch_norm(x, *torch_stats, *p, training=training, momentum=0.3),
        random(shape),
        *parameters,
    )
    for ours, torchs in zip(stats, torch_stats, strict=True):
        same(ours, torchs)
