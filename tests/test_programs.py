"""Random programs of operations, views and writes in place: each gradient is right, by central differences, or refused.

Below, by name, the ways to get a wrong gradient in silence, and the refusals that nobody needs.
"""

import random

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GraphError

SHAPE = (2, 3)


def _write_row(x, y, k):
    x[k % 2] = y[0]


def _write_column(x, y, k):
    x[:, k % 3] = (y * 0.5)[:, 0]


def _write_masked(x, y, k):
    x[x > 0.5] = y[0, k % 3]


# x and y come from the pool of Variables, k is a number. What is returned joins the pool.
STEPS = {
    "add": lambda x, y, k: x + y,
    "mul": lambda x, y, k: x * y,
    "exp": lambda x, y, k: (x * 0.1).exp(),
    "number": lambda x, y, k: 1.5 - x / 2,
    "div": lambda x, y, k: x / (y * y + 1),
    "where": lambda x, y, k: mg.where(x > 0.5, x, y),
    "reshaped": lambda x, y, k: x.reshape(6).reshape(2, 3),
    "transposed": lambda x, y, k: x.t().t(),
    "sliced": lambda x, y, k: x[:, :],
    "row": lambda x, y, k: x[k % 2] + y,
    "twice": lambda x, y, k: x[[0, 0]] * y,
    "summed": lambda x, y, k: x.sum(0) + y,
    "expanded": lambda x, y, k: x[0].expand(2, 3) * 1,
    "clone": lambda x, y, k: x.clone(),
    "write row": _write_row,
    "write column": _write_column,
    "write masked": _write_masked,
    "add_": lambda x, y, k: x.add_(y),
    "mul_": lambda x, y, k: x.mul_(y),
    "mul_ itself": lambda x, y, k: x.mul_(x),
    "exp_": lambda x, y, k: x.mul_(0.1).exp_(),
    "tanh_": lambda x, y, k: x.tanh_(),
    "copy_": lambda x, y, k: x.copy_(y),
    "fill_": lambda x, y, k: x.fill_(0.75),
    "zero_": lambda x, y, k: x.zero_(),
}


def program(seed):
    draw = random.Random(seed)
    return [(draw.choice(list(STEPS)), *(draw.randrange(100) for _ in range(3))) for _ in range(draw.randint(2, 8))]


def run(steps, arrays):
    """The sum of the squares of all that the program leaves behind, and its leaves."""
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays[:2]]
    pool = [leaves[0] * 1, leaves[1] + 0, mg.tensor(arrays[2])]
    for name, i, j, k in steps:
        made = STEPS[name](pool[i % len(pool)], pool[j % len(pool)], k)
        if made is not None and not any(made is x for x in pool):
            pool.append(made)
    total = pool[0].detach().sum() * 0
    for x in pool:
        total = total + (x * x).sum()
    return total, leaves


def slope_is_right(steps, arrays, gradients, eps=1e-5):
    """The gradients, along a random direction, against the difference of two runs."""
    directions = [np.random.default_rng(9 + i).normal(size=SHAPE) for i in (0, 1)]
    ends = [
        run(steps, [*(a + s * d for a, d in zip(arrays[:2], directions, strict=True)), arrays[2]])[0].item()
        for s in (eps, -eps)
    ]
    numeric = (ends[0] - ends[1]) / (2 * eps)
    analytic = sum(float((g.data * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    return abs(analytic - numeric) <= 1e-5 * max(1, abs(numeric))


@pytest.mark.parametrize("block", range(10))
def test_random_programs_are_right_or_refused(block):
    right, wrong, seeds = 0, [], range(100 * block, 100 * (block + 1))
    for seed in seeds:
        steps = program(seed)
        arrays = [np.random.default_rng(3 * seed + i).uniform(0.3, 0.9, SHAPE) for i in range(3)]
        try:
            total, leaves = run(steps, arrays)
            gradients = mg.grad(total, leaves, create_graph=seed % 2 == 0, allow_unused=True)
        except GraphError:
            continue
        if slope_is_right(steps, arrays, gradients):
            right += 1
        else:
            wrong.append((seed, steps))
    assert not wrong
    assert right > len(seeds) / 3  # or the property would say little


# --- by name -----------------------------------------------------------------------------------------------------


def leaf(*values):
    return mg.tensor(list(values), dtype=mg.float64, requires_grad=True)


def gradient(y, x):
    return mg.grad(y.sum(), x)[0].tolist()


def test_writing_a_leaf_into_its_own_detached_memory_is_refused():
    for operand in (lambda w: w, lambda w: w[:] * 2):
        w = leaf(2.0, 3.0)
        with pytest.raises(GraphError, match="other Variables or arrays look at the memory of x"):
            w.detach().mul_(operand(w))
        assert w.tolist() == [2, 3]


@pytest.mark.parametrize("spoil", [lambda h: h.mul_(2), lambda h: h.zero_(), lambda h: h.__setitem__(0, 5.0)])
def test_a_stale_alias_cannot_be_written_back_into_life(spoil):
    h = leaf(2.0, 3.0) * 1
    view = h.reshape(2, 1)
    spoil(h)
    for write in (lambda: view.add_(1), lambda: view.__setitem__(0, 1.0)):
        with pytest.raises(GraphError, match="shares memory with a Variable that has been overwritten"):
            write()
        with mg.no_grad():
            write()  # off the tape it may be written, and is as stale as before
        with pytest.raises(GraphError, match="shares memory with a Variable that has been overwritten"):
            view * 2


def test_swapping_parts_is_right_or_refused():
    """Both sides are views: the second one looks at what the first write has changed."""
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1
    try:
        y[:2], y[1:] = y[1:], y[:2]
    except GraphError:
        return
    assert y.tolist() == [2, 2, 3] and gradient(y, x) == [0, 2, 1]


@pytest.mark.parametrize("tracked", [False, True])
def test_overlapping_parts(tracked):
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1 if tracked else x.detach().clone()
    y[1:] = y[:-1]
    assert y.tolist() == [1, 1, 2]  # as if the right side had been copied first
    assert not tracked or gradient(y, x) == [2, 1, 0]


VIEWS = {
    "reshape": lambda x: x.reshape(2, 2),
    "slice": lambda x: x[:2],
    "transpose": lambda x: x.t(),
    "row": lambda x: x[1],
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("write", [lambda x, w: x.__setitem__(0, w), lambda x, w: x.add_(w), lambda x, w: x.copy_(w)])
def test_a_view_of_a_constant_does_not_miss_what_was_written_into_the_whole(name, write):
    """Either the write is refused because of the view, or a use of the view is; or its gradient is right."""
    w, whole = leaf(5.0).sum(), mg.zeros(2, 2, dtype=mg.float64)
    view = VIEWS[name](whole)
    try:
        write(whole, w)
        g = mg.grad((view * view).sum() + (whole * 0).sum(), w, allow_unused=True)[0]
    except GraphError:
        return
    assert g is not None and g.item() == 2 * view.sum().item()


def _with_its_result(y):
    """What goes on, and the place to overwrite: y itself."""
    return y + 0, y


UNNEEDED = {
    "the input of a product with a number": lambda h, c: (h * 2, h),
    "the input of a product with a constant": lambda h, c: (h * c, h),
    "the result of a division by a number": lambda h, c: _with_its_result(h / 2),
    "the result of a division by a constant": lambda h, c: _with_its_result(h / c),
    "a constant's partner in a matrix product": lambda h, c: (h.reshape(1, 2) @ c.reshape(2, 1), h),
    "the input of a sum": lambda h, c: (h.sum(), h),
    "the operand of a broadcast sum": lambda h, c: (h.clone().reshape(2, 1) + c, h),
}


@pytest.mark.parametrize("name", UNNEEDED)
def test_what_no_gradient_needs_may_be_overwritten(name):
    """As in PyTorch: half of the saved values of a product serve only the gradient of the other operand."""
    x, c = leaf(2.0, 3.0), mg.tensor([4.0, 5.0], dtype=mg.float64)
    expected = gradient(UNNEEDED[name](x * 1, c)[0], x)
    y, place = UNNEEDED[name](x * 1, c)
    place.fill_(100.0)
    assert gradient(y, x) == expected
