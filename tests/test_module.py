"""Module: registration, traversal, modes, conversion, hooks. Parameter."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.errors import DeviceError, DTypeError, GraphError
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


NAMES = ["scale", "first.weight", "first.bias", "rest.1.weight"]


def values(module):
    return {name: x.data.copy() for name, x in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


# --- Parameter ---------------------------------------------------------------------------------------------------


def test_parameter():
    p = nn.Parameter([1.0, 2.0])
    assert isinstance(p, Variable) and p.requires_grad and p.is_leaf
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    assert repr(p).startswith("Parameter containing:\n") and "1." in repr(p) and "requires_grad=True" in repr(p)
    data = np.ones(3)
    assert nn.Parameter(data).data is data and nn.Parameter(Variable(data)).data is data
    with pytest.raises(DTypeError, match="only floats have gradients"):
        nn.Parameter([1, 2])


def test_parameter_deepcopy_copies_values_and_not_the_gradient():
    p = nn.Parameter([1.0, 2.0], requires_grad=False)
    p.grad = mg.tensor([3.0, 4.0])
    copied, same_one = copy.deepcopy([p, p])
    assert copied is same_one and type(copied) is nn.Parameter and not copied.requires_grad and copied.grad is None
    assert np.array_equal(copied.data, p.data) and not np.shares_memory(copied.data, p.data)


def test_parameter_deepcopy_refuses_what_was_computed():
    p = nn.Parameter([1.0], requires_grad=False)
    p.add_(nn.Parameter([2.0]))
    with pytest.raises(GraphError, match="deepcopy: only a leaf can be copied"):
        copy.deepcopy(p)


# --- registration ------------------------------------------------------------------------------------------------


def test_names_come_in_order_and_shared_ones_once():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_parameters("net")] == [f"net.{name}" for name in NAMES]
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in net.named_buffers()] == ["count", "cache"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert [name for name, _ in net.named_children()] == ["first", "rest"]
    net.tied, net.again = net.first, net.scale
    assert [name for name, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias", "rest.1.weight"]
    assert [name for name, _ in net.named_children()] == ["first", "rest"]
    assert len(list(net.parameters())) == 4 and len(list(net.modules())) == 5
    every = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert every == ["scale", "again", *NAMES[1:], "tied.weight", "tied.bias"]


def test_attributes_and_registry_hold_the_same_objects():
    net = Net()
    assert net.scale is net._parameters["scale"] is net.__dict__["scale"]
    net.scale = nn.Parameter(np.zeros(3, "float32"))
    assert net.scale is net._parameters["scale"] and not net.scale.data.any()
    net.count = mg.tensor(5)
    assert net.count is net._buffers["count"] and list(net._buffers) == ["count", "cache"]
    net.first = nn.Linear(4, 5)
    assert net.first is net._modules["first"] and list(net._modules) == ["first", "rest"]
    net.plain = 3
    net.plain = nn.Parameter([1.0])
    assert net._parameters["plain"] is net.plain


def test_none_keeps_the_place():
    net = Net()
    for name in ("scale", "count", "first"):
        setattr(net, name, None)
        assert getattr(net, name) is None
    assert list(net.state_dict()) == ["rest.1.weight"]
    net.scale = nn.Parameter([1.0])
    assert [name for name, _ in net.named_parameters()] == ["scale", "rest.1.weight"]
    assert "(first): None" in repr(net)


def test_a_name_changes_its_kind_by_assignment():
    net = Net()
    net.cache = nn.Parameter([1.0])
    assert "cache" not in net._buffers and "cache" in net.state_dict()
    net.count = nn.ReLU()
    assert "count" not in net._buffers and net._modules["count"] is net.count


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", np.ones(3), r"Net.scale is a parameter: expected a Parameter or None, got ndarray; write its values"),
        ("scale", Variable([1.0]), "expected a Parameter or None, got Variable"),
        ("scale", nn.ReLU(), "expected a Parameter or None, got ReLU"),
        ("count", 3, "Net.count is a buffer: expected a Variable or None, got int"),
        ("first", 3, "Net.first is a module: expected a Module or None, got int"),
    ],
)
def test_assignment_refuses_another_kind(name, value, message):
    net = Net()
    before = getattr(net, name)
    with pytest.raises(TypeError, match=message):
        setattr(net, name, value)
    assert getattr(net, name) is before


@pytest.mark.parametrize("kind", ["parameter", "buffer", "module"])
@pytest.mark.parametrize("name", ["a.b", "", 3, "forward"])
def test_registration_refuses_bad_names(kind, name):
    value = {"parameter": nn.Parameter([1.0]), "buffer": mg.tensor(1.0), "module": nn.ReLU()}[kind]
    with pytest.raises(KeyError, match="taken by another" if name == "forward" else "a string without dots"):
        getattr(Net(), f"register_{kind}")(name, value)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("parameter", mg.tensor([1.0]), r"got Variable; wrap it: nn.Parameter\(x\)"),
        ("buffer", np.ones(2), r"got ndarray; wrap it: mg.tensor\(x\)"),
        ("module", nn.ReLU, r"got type; pass an instance, as nn.ReLU\(\)"),
    ],
)
def test_registration_refuses_other_types(kind, value, message):
    with pytest.raises(TypeError, match=message):
        getattr(Net(), f"register_{kind}")("extra", value)


def test_deletion():
    net = Net()
    for name in ("scale", "cache", "first"):
        delattr(net, name)
        assert not hasattr(net, name)
    assert list(net.state_dict()) == ["count", "rest.1.weight"]
    net.register_buffer("cache", mg.tensor(1.0))
    assert "cache" in net.state_dict()
    with pytest.raises(AttributeError, match="nothing"):
        del net.nothing


def test_attribute_errors_help():
    with pytest.raises(AttributeError, match="Net has no attribute 'sclae'; registered are scale, count, cache, first"):
        Net().sclae  # noqa: B018
    with pytest.raises(AttributeError, match="registered are no parameters, buffers or modules"):
        nn.ReLU().weight  # noqa: B018


def test_an_attribute_error_inside_of_a_property_is_not_hidden():
    class Broken(nn.Module):
        @property
        def width(self):
            return [].length

    with pytest.raises(AttributeError, match="'list' object has no attribute 'length'"):
        Broken().width  # noqa: B018


@pytest.mark.parametrize("value", [nn.Parameter([1.0]), nn.ReLU()])
def test_assignment_before_init(value):
    class Early(nn.Module):
        def __init__(self):
            self.part = value
            super().__init__()

    with pytest.raises(AttributeError, match=r"Early.part: call super\(\).__init__\(\) before assigning"):
        Early()


def test_call_without_init():
    class Late(nn.Module):
        def __init__(self):
            self.width = 3

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first thing in Late.__init__"):
        Late()(1)


def test_forward_must_be_written():
    with pytest.raises(NotImplementedError, match=r"Module.forward\(self, ...\) is not written"):
        nn.Module()(1)


# --- modes and conversion ----------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    with pytest.raises(TypeError, match=r"Net.train: expected True or False, got 'yes'"):
        net.train("yes")


def test_requires_grad_and_zero_grad():
    net = Net()
    net(mg.ones(2, 4)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(p.grad is not None and not p.grad.data.any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net and not any(p.requires_grad for p in net.parameters())
    assert not net(mg.ones(2, 4)).requires_grad


def test_zero_grad_clears_nan():
    net = nn.Linear(2, 1)
    net.weight.grad = mg.tensor([[float("nan"), 1.0]])
    net.zero_grad(set_to_none=False)
    assert np.array_equal(net.weight.grad.data, [[0, 0]])


def test_apply_goes_bottom_up():
    seen = []
    net = Net()
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (lambda net: net.double(), "float64"),
        (lambda net: net.half(), "float16"),
        (lambda net: net.double().float(), "float32"),
        (lambda net: net.to(mg.float64), "float64"),
        (lambda net: net.to(np.float64), "float64"),
        (lambda net: net.to("cpu", mg.float64), "float64"),
        (lambda net: net.to(device="cpu", dtype=mg.float64, non_blocking=True), "float64"),
        (lambda net: net.to(mg.zeros(1, dtype=mg.float64)), "float64"),
        (lambda net: net.cpu(), "float32"),
    ],
)
def test_conversion_keeps_the_parameters(convert, dtype):
    net = Net()
    net(mg.ones(2, 4)).sum().backward()
    before = list(net.parameters())
    grads = [p.grad.data.copy() for p in before]
    assert convert(net) is net
    assert all(p is q for p, q in zip(net.parameters(), before, strict=True))
    for p, g in zip(before, grads, strict=True):
        assert p.dtype == dtype and p.grad.dtype == dtype and p.requires_grad
        assert np.allclose(p.grad.data, g, rtol=1e-3)
    assert net.cache.dtype == dtype and net.count.dtype == "int64"
    net(mg.ones(2, 4, dtype=np.dtype(dtype))).sum().backward()


def test_conversion_errors():
    with pytest.raises(DTypeError, match=r"Net\.to: expected float16, float32 or float64, got int64"):
        Net().to(mg.int64)
    with pytest.raises(DeviceError, match="tpu"):
        Net().to("tpu")


@pytest.mark.skipif(mg.cuda.is_available(), reason="CUDA is there")
@pytest.mark.parametrize("device", [None, 1])
def test_cuda_without_a_device(device):
    with pytest.raises(DeviceError, match="cuda:1" if device else "cuda"):
        Net().cuda(device)


def test_deepcopy_is_independent():
    net = Net()
    net.tied = net.first
    net.register_forward_hook(lambda module, args, y: y * 2)
    copied = copy.deepcopy(net)
    assert same(values(net), values(copied)) and copied.tied is copied.first
    assert copied.scale is copied._parameters["scale"] and copied.first is copied._modules["first"]
    ours = {id(x) for x in (*net.parameters(), *net.buffers())}
    for x in (*copied.parameters(), *copied.buffers()):
        assert id(x) not in ours
    x = mg.ones(1, 4)
    before = net(x).data.copy()
    with mg.no_grad():
        copied.scale.data[...] = 0
    assert np.array_equal(net(x).data, before) and not copied(x).data.any()


# --- hooks -------------------------------------------------------------------------------------------------------


def test_forward_hooks():
    net, seen = nn.Identity(), []
    with net.register_forward_hook(lambda module, args, y: seen.append((module, args, y))):
        assert net(3) == 3 and seen == [(net, (3,), 3)]
    assert net(3) == 3 and len(seen) == 1 and not net._hooks
    first = net.register_forward_hook(lambda module, args, y: y + 1)
    net.register_forward_hook(lambda module, args, y: y * 10)
    assert net(3) == 40
    first.remove()
    first.remove()
    assert net(3) == 30


def test_forward_pre_hooks():
    net = nn.Identity()
    net.register_forward_hook(lambda module, args, y: (args, y))
    handles = [
        net.register_forward_pre_hook(lambda module, args: None),
        net.register_forward_pre_hook(lambda module, args: args[0] + 1),
        net.register_forward_pre_hook(lambda module, args: (args[0] * 10,)),
    ]
    assert net(3) == ((40,), 40)
    for handle in handles:
        handle.remove()
    assert net(3) == ((3,), 3)


def test_a_hook_may_take_itself_off():
    net = nn.Identity()
    handle = net.register_forward_hook(lambda module, args, y: handle.remove() or y + 1)
    assert (net(1), net(1)) == (2, 1)
