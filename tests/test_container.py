"""Sequential, ModuleList and ModuleDict; and the tree that repr draws."""

from collections import OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import IndexRangeError


def test_sequential_runs_in_order():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    x = mg.randn(5, 4)
    assert np.array_equal(net(x).data, net[2](net[1](net[0](x))).data)
    assert nn.Sequential()(x) is x


@pytest.mark.parametrize("kind", [OrderedDict, dict])
def test_sequential_of_named_modules(kind):
    net = nn.Sequential(kind([("fc", nn.Linear(4, 3)), ("act", nn.ReLU())]))
    assert list(net.state_dict()) == ["fc.weight", "fc.bias"] and net[0] is net.fc
    part = net[1:]
    assert type(part) is nn.Sequential and [name for name, _ in part.named_children()] == ["act"]


@pytest.mark.parametrize("kind", [lambda modules: nn.Sequential(*modules), nn.ModuleList])
def test_lists_of_modules(kind):
    a, b, c, d, e = (nn.Linear(1, n + 1) for n in range(5))
    modules = kind([a, b])
    assert modules.append(c) is modules and modules.extend([d]) is modules
    modules.insert(1, e)
    assert list(modules) == [a, e, b, c, d] and len(modules) == 5
    assert [name for name, _ in modules.named_children()] == list("01234")
    assert modules[-1] is d and modules[1] is getattr(modules, "1") is e
    assert list(modules[1:3]) == [e, b] and type(modules[1:3]) is type(modules)
    assert modules.pop(1) is e and modules.pop() is d and list(modules) == [a, b, c]
    modules[-1] = d
    assert list(modules) == [a, b, d] and modules._modules["2"] is modules.__dict__["2"] is d
    del modules[:2]
    assert list(modules) == [d] and list(modules._modules) == ["0"] and not hasattr(modules, "1")
    modules += [e, a]
    assert list(modules) == [d, e, a] and list(modules.state_dict())[::2] == ["0.weight", "1.weight", "2.weight"]
    for index in (3, -4):
        with pytest.raises(IndexRangeError, match=f"no module {index}, there are 3"):
            modules[index]
        with pytest.raises(IndexRangeError, match=f"no module {index}, there are 3"):
            del modules[index]
    with pytest.raises(TypeError, match="is a module: expected a Module or None, got int"):
        modules.append(3)


def test_extending_a_list_by_itself_ends():
    modules = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    modules.extend(modules)
    assert [type(m).__name__ for m in modules] == ["ReLU", "Tanh", "ReLU", "Tanh"]


def test_a_slice_of_a_sequential_keeps_its_names_and_can_grow():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())[1:]
    last = nn.GELU()
    net.append(last)
    assert [name for name, _ in net.named_children()] == ["1", "2", "3"] and net[2] is last


def test_module_dict():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Linear(1, 1)
    modules = nn.ModuleDict({"a": a, "b": b})
    modules["c"] = c
    assert list(modules) == ["a", "b", "c"] and modules["c"] is modules.c is c and "a" in modules and len(modules) == 3
    assert list(modules.keys()) == list("abc") and list(modules.values()) == [a, b, c]
    assert list(modules.items()) == [("a", a), ("b", b), ("c", c)]
    assert list(modules.state_dict()) == ["c.weight", "c.bias"]
    assert modules.pop("a") is a and "a" not in modules and not hasattr(modules, "a")
    modules.update([("b", a)])
    modules.update(nn.ModuleDict({"z": b}))
    assert list(modules.items()) == [("b", a), ("c", c), ("z", b)]
    del modules["b"]
    with pytest.raises(KeyError, match="no module 'b', there are c, z"):
        modules["b"]
    with pytest.raises(KeyError, match="'keys' is taken"):
        modules["keys"] = a
    modules.clear()
    assert len(modules) == 0 and list(modules.state_dict()) == []


# --- repr --------------------------------------------------------------------------------------------------------


def test_repr_is_a_tree():
    class Custom(nn.Module):
        def extra_repr(self):
            return "one\ntwo"

    net = nn.Sequential(nn.Linear(2, 3), nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.ReLU(), Custom()]), nn.ModuleList())
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): ModuleList(\n"
        "    (0-2): 3 x ReLU()\n"
        "    (3): Custom(\n"
        "      one\n"
        "      two\n"
        "    )\n"
        "  )\n"
        "  (2): ModuleList()\n"
        ")"
    )
