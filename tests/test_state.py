"""state_dict and load_state_dict: all of it goes over, or an error lists every misfit and nothing has changed."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import GraphError, StateError
from minigrad.tape import Variable


class Net(nn.Module):
    """Two Linears, a scale, and two buffers, one of them not in the state."""

    def __init__(self, hidden=3):
        super().__init__()
        self.first = nn.Linear(4, hidden)
        self.scale = nn.Parameter(np.ones(hidden, "float32"))
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(hidden, 2, bias=False))
        self.register_buffer("count", mg.tensor(0))
        self.register_buffer("cache", mg.tensor([1.0, 2.0]), persistent=False)

    def forward(self, x):
        return self.rest(self.first(x) * self.scale)


STATE = ["scale", "count", "first.weight", "first.bias", "rest.1.weight"]


def values(module):
    return {name: x.data.copy() for name, x in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_state_dict():
    net = Net()
    state = net.state_dict()
    assert list(state) == STATE and list(net.state_dict(prefix="net.")) == [f"net.{name}" for name in STATE]
    for name, x in state.items():
        assert type(x) is Variable and not x.requires_grad, name
    assert state["first.weight"].data is net.first.weight.data
    net.tied = net.first
    assert list(net.state_dict()) == [*STATE, "tied.weight", "tied.bias"]


def test_a_state_goes_from_net_to_net():
    a, b = Net(), Net()
    a.count = mg.tensor(7)
    arrays = {name: x.data for name, x in b.state_dict().items()}
    assert not same(values(a), values(b))
    result = b.load_state_dict(a.state_dict())
    assert result == ([], []) and result.missing_keys == [] and result.unexpected_keys == []
    assert same(values(a), values(b))
    assert all(x.data is arrays[name] for name, x in b.state_dict().items())  # written in place
    assert not np.shares_memory(a.scale.data, b.scale.data)


def test_loading_takes_arrays_and_keeps_the_dtype():
    net = Net()
    state = {name: np.full(a.shape, 2.0) for name, a in values(net).items()}
    net.load_state_dict(state)
    assert same(values(net), state) and net.scale.dtype == "float32" and net.count.dtype == "int64"
    assert net.scale.requires_grad


def test_loading_reports_everything_at_once_and_changes_nothing():
    net = Net()
    before = values(net)
    state = {name: np.zeros_like(a) for name, a in before.items()}
    del state["scale"], state["first.bias"]
    state |= {"first.weight": np.zeros((4, 3)), "count": np.array("x"), "head.weight": np.zeros(1), "b": np.zeros(1)}
    with pytest.raises(StateError) as raised:
        net.load_state_dict(state)
    assert str(raised.value) == (
        "load_state_dict: the state does not fit this Net; nothing was changed\n"
        "  missing: scale, first.bias\n"
        "  unexpected: head.weight, b\n"
        "  misshapen: count is int64 here, <U1 in the state; first.weight is (3, 4) here, (4, 3) in the state"
    )
    assert same(values(net), before)


@pytest.mark.parametrize("strict", [True, False])
def test_misshapen_entries_are_refused_even_if_not_strict(strict):
    net = Net()
    before = values(net)
    state = {name: np.zeros_like(a) for name, a in before.items()} | {"rest.1.weight": np.zeros(6)}
    with pytest.raises(StateError, match=r"misshapen: rest.1.weight is \(2, 3\) here, \(6,\) in the state"):
        net.load_state_dict(state, strict=strict)
    assert same(values(net), before)


def test_read_only_memory_is_refused_before_anything_changes():
    net = Net()
    net.rest[1].weight.data.flags.writeable = False
    before = values(net)
    with pytest.raises(StateError, match=r"rest\.1\.weight is read-only memory here"):
        net.load_state_dict({name: np.zeros_like(a) for name, a in before.items()})
    assert same(values(net), before)


def test_strict_error_names_the_remedy():
    with pytest.raises(StateError, match=r"missing: scale, count.*\n.*strict=False loads what fits"):
        Net().load_state_dict({})


def test_one_entry_too_many_is_refused():
    net = Net()
    with pytest.raises(StateError, match=r"changed\n  unexpected: more\n  strict=False"):
        net.load_state_dict(net.state_dict() | {"more": np.ones(1)})


def test_not_strict_loads_what_fits():
    net = Net()
    result = net.load_state_dict({"scale": np.full(3, 9.0), "other": np.ones(2)}, strict=False)
    assert result.missing_keys == [name for name in STATE if name != "scale"] and result.unexpected_keys == ["other"]
    assert np.array_equal(net.scale.data, [9, 9, 9])


def test_loading_refuses_what_is_no_dict():
    with pytest.raises(TypeError, match="load_state_dict: expected a dict of name -> Variable, got str"):
        Net().load_state_dict("net.safetensors")


def test_the_tape_notices_a_load():
    net = nn.Linear(2, 1)
    y = net(mg.ones(1, 2, requires_grad=True)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(GraphError, match="overwritten"):
        y.backward()
