"""nn.init: the draws have the statistics that the formulas promise, are reproducible, and write in place."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import DTypeError, GraphError, ShapeError

init = nn.init

SHAPE = (60, 40, 3, 3)  # fan_in 360, fan_out 540; 21600 draws
UNIFORM, NORMAL = "uniform", "normal"

# name of the row, the call, the standard deviation that it must have, the distribution
DRAWS = [
    ("uniform_", lambda w, g: init.uniform_(w, -2, 2, g), 4 / math.sqrt(12), UNIFORM),
    ("normal_", lambda w, g: init.normal_(w, 0, 0.5, g), 0.5, NORMAL),
    ("xavier_uniform_", lambda w, g: init.xavier_uniform_(w, generator=g), math.sqrt(2 / 900), UNIFORM),
    ("xavier_uniform_ gain", lambda w, g: init.xavier_uniform_(w, 3.0, g), 3 * math.sqrt(2 / 900), UNIFORM),
    ("xavier_normal_", lambda w, g: init.xavier_normal_(w, 3.0, g), 3 * math.sqrt(2 / 900), NORMAL),
    ("kaiming_uniform_", lambda w, g: init.kaiming_uniform_(w, generator=g), math.sqrt(2 / 360), UNIFORM),
    ("kaiming_uniform_ a", lambda w, g: init.kaiming_uniform_(w, 2, generator=g), math.sqrt(2 / 5 / 360), UNIFORM),
    ("kaiming_normal_", lambda w, g: init.kaiming_normal_(w, 0, "fan_in", "relu", g), math.sqrt(2 / 360), NORMAL),
    ("kaiming_normal_ out", lambda w, g: init.kaiming_normal_(w, 0, "fan_out", generator=g), (2 / 540) ** 0.5, NORMAL),
    ("kaiming_normal_ tanh", lambda w, g: init.kaiming_normal_(w, 0, "fan_in", "tanh", g), 5 / 3 / 360**0.5, NORMAL),
]


@pytest.mark.parametrize(("draw", "std", "kind"), [row[1:] for row in DRAWS], ids=[row[0] for row in DRAWS])
def test_draws(draw, std, kind):
    w = nn.Parameter(np.full(SHAPE, np.nan, "float32"))
    data = w.data
    assert draw(w, np.random.default_rng(0)) is w and w.data is data and w.dtype == "float32" and w.is_leaf
    z = data.astype("float64") / std
    n = z.size
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 4 * math.sqrt((2 if kind is NORMAL else 0.8) / n)
    if kind is UNIFORM:
        assert math.sqrt(3) * 0.999 < abs(z).max() <= math.sqrt(3) * (1 + 1e-6)
    else:
        assert 3.5 < abs(z).max() < 6
    again = nn.Parameter(np.empty(SHAPE, "float32"))
    assert np.array_equal(draw(again, np.random.default_rng(0)).data, data)
    assert not np.array_equal(draw(again, np.random.default_rng(1)).data, data)


@pytest.mark.parametrize("draw", [row[1] for row in DRAWS], ids=[row[0] for row in DRAWS])
def test_manual_seed_rules_the_draws(draw):
    a, b, c = (nn.Parameter(np.empty((3, 2), "float32")) for _ in range(3))
    mg.manual_seed(3)
    draw(a, None)
    mg.manual_seed(3)
    draw(b, None)
    draw(c, None)
    assert np.array_equal(a.data, b.data) and not np.array_equal(a.data, c.data)


def test_the_offset_of_a_distribution():
    w = mg.zeros(2000)
    assert 1 <= init.uniform_(w, 1, 3).data.min() < 1.1
    assert 2.9 < w.data.max() <= 3
    assert abs(init.normal_(w, 7, 0.1).data.mean() - 7) < 0.02
    assert np.array_equal(init.normal_(w, 7, 0).data, np.full(2000, 7))


def test_the_same_weights_in_every_dtype():
    wide = init.kaiming_uniform_(mg.zeros(4, 3, dtype=mg.float64), generator=np.random.default_rng(0))
    narrow = init.kaiming_uniform_(mg.zeros(4, 3), generator=np.random.default_rng(0))
    assert np.array_equal(wide.data.astype("float32"), narrow.data)


@pytest.mark.parametrize(("fill", "value"), [(init.ones_, 1), (init.zeros_, 0), (lambda w: init.constant_(w, 3), 3)])
def test_constants(fill, value):
    w = nn.Parameter(np.full((2, 3), np.nan, "float32"))
    assert fill(w) is w and np.array_equal(w.data, np.full((2, 3), value))
    assert fill(mg.tensor([5, 6])).data.tolist() == [value, value]


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 2, math.sqrt(2 / 5)),
        ("selu", None, 3 / 4),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


@pytest.mark.torch
@pytest.mark.parametrize("name", list(init._GAINS))
def test_gains_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3, 0, 1)])
def test_nothing_to_initialize(shape):
    for draw in (init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_):
        assert draw(mg.zeros(*shape)).shape == shape


def test_a_leaf_that_requires_grad_is_written_without_a_record_and_the_tape_notices():
    w = nn.Parameter(np.ones(3, "float32"))
    y = (w * w).sum()
    init.zeros_(w)
    assert w.is_leaf and w.requires_grad
    with pytest.raises(GraphError, match="overwritten"):
        y.backward()


ERRORS = [
    (lambda: init.kaiming_uniform_(mg.zeros(3)), ShapeError, r"kaiming_uniform_: fan_in and .* got \(3,\)"),
    (lambda: init.xavier_normal_(mg.zeros(())), ShapeError, r"xavier_normal_: .* got \(\); for a bias take uniform_"),
    (lambda: init.kaiming_normal_(mg.zeros(2, 2), mode="fan"), ValueError, 'mode "fan_in" or "fan_out", got \'fan\''),
    (lambda: init.calculate_gain("swish"), ValueError, "unknown nonlinearity 'swish'; known are linear, conv1d"),
    (lambda: init.kaiming_normal_(mg.zeros(2, 2), nonlinearity="gelu"), ValueError, "unknown nonlinearity 'gelu'"),
    (lambda: init.calculate_gain("leaky_relu", "0.1"), ValueError, "slope of leaky_relu is a number, not '0.1'"),
    (lambda: init.uniform_(mg.zeros(2), 1, 0), ValueError, "interval from a=1 to b=0 is empty"),
    (lambda: init.normal_(mg.zeros(2), 0, -1), ValueError, "normal_: expected std >= 0, got -1"),
    (lambda: init.uniform_(mg.tensor([1, 2])), DTypeError, "uniform_: expected a floating Variable, got int64"),
    (lambda: init.normal_(np.zeros(2)), TypeError, "normal_: expected a Variable to write into, got ndarray"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS, ids=[row[2] for row in ERRORS])
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("make", "fan_in"), [(lambda: nn.Linear(400, 30), 400), (lambda: nn.Conv2d(16, 30, 5), 400)])
def test_layers_begin_as_in_torch(make, fan_in):
    mg.manual_seed(0)
    layer = make()
    bound = 1 / math.sqrt(fan_in)
    for p in (layer.weight, layer.bias):
        assert abs(p.data).max() <= bound * (1 + 1e-6) and abs(p.data).max() > 0.8 * bound
    assert layer.weight.data.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    before = layer.weight.data.copy()
    layer.reset_parameters()
    assert not np.array_equal(layer.weight.data, before)


def test_grouped_convolution_counts_its_own_channels():
    mg.manual_seed(0)
    bound = 1 / math.sqrt(4 * 9)
    weight = nn.Conv2d(16, 16, 3, groups=4).weight.data
    assert weight.shape == (16, 4, 3, 3) and 0.9 * bound < abs(weight).max() <= bound * (1 + 1e-6)
