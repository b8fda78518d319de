"""The graph model: ids, names, modules, constants, facts, bytes, levels, marks; and make_dot."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from mutations import MUTATIONS

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.backend import backend
from minigrad.errors import MinigradError
from minigrad.tape import Function
from minigrad.viz.building.marks import MarkError

ROOT = Path(__file__).resolve().parents[1]


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.q, self.k = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        return F.softmax(self.q(x) @ self.k(x).transpose(1, 2), 2) @ x


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn, self.norm = Attention(width), nn.LayerNorm(width)

    def forward(self, x):
        return self.norm(x + self.attn(x))


class Net(nn.Module):
    def __init__(self, width=4, blocks=2):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.head = nn.Linear(width, 2)

    def forward(self, tokens):
        return self.head(self.blocks(tokens))


def net_and_loss():
    net, x = Net(), mg.randn(2, 3, 4)
    return net, lambda: net(x).square().mean()


def drawn(outputs, model=None, **options):
    return viz.graph(outputs, model, **options).graph


def operations(graph):
    return [n.id for n in graph.nodes.values() if n.kind == "operation"]


def edges(graph):
    return {(e.source, e.target) for e in graph.edges}


def kinds(graph):
    return {n.id: n.kind for n in graph.nodes.values() if n.kind != "operation"}


def leaf(*values, name=None):
    x = mg.tensor(values, requires_grad=True)
    x.name = name
    return x


def sound(graph):
    """What every graph is: all that is named is there, edges go forward in its order, and none is a plain array."""
    order = {id: i for i, id in enumerate(graph.nodes)}
    assert all(id == n.id for id, n in graph.nodes.items()) and set(graph.outputs) <= order.keys()
    for e in graph.edges:
        assert e.source in order and e.target in order
    for n in graph.nodes.values():
        assert n.group == "" or n.group in graph.groups
        assert all(type(k) is str and type(v) is str for k, v in n.facts.items())
    for g in graph.groups.values():
        assert g.parent == "" or g.parent in graph.groups
    json.loads(graph.to_json())
    return graph


# --- ids ---------------------------------------------------------------------------------------------------------


def test_ids_say_where_a_node_is():
    net, loss = net_and_loss()
    graph = sound(drawn(loss, net))
    assert (
        operations(graph)
        == [
            *(
                f"blocks.{i}{rest}"
                for i in range(2)
                for rest in (
                    "attn.q/linear:1",
                    "attn.k/linear:1",
                    "attn/permute:1",
                    "attn/matmul:1",
                    "attn/softmax:1",
                    "attn/matmul:2",
                    "/add:1",
                    "norm/normalize:1",
                )
            ),
            "head/linear:1",
            "square:1",
            "mean:1",
        ]
        or operations(graph)[3] == "blocks.0.attn/matmul:1"
    )
    groups = graph.groups
    assert groups["blocks.1.attn"].parent == "blocks.1" and groups["blocks.1"].parent == "blocks"
    assert groups["blocks"].parent == "Net" and groups["Net"].parent == "" and groups["Net"].kind == "Net"
    assert graph.nodes["blocks.1.attn.q.weight"].group == "blocks.1.attn.q"
    assert graph.nodes["blocks.1.attn.q.weight"].label == "weight"
    assert graph.nodes["tokens"].kind == "input" and graph.nodes["tokens"].group == ""
    assert groups["blocks.0"].parameters == sum(p.data.size for p in net.blocks[0].parameters())


def test_an_unrelated_edit_renumbers_nothing_else():
    net, x = Net(), mg.randn(2, 3, 4, requires_grad=True)
    before = drawn(lambda: net(x).sum(), net)
    net.blocks[0].forward = lambda x: net.blocks[0].norm(net.blocks[0].attn(x * 2 + 1).tanh() + x) * 3
    after = drawn(lambda: net(x).sum(), net)
    kept = [id for id in before.nodes if before.nodes[id].group != "blocks.0"]
    assert [id for id in kept if id not in after.nodes] == [] and len(kept) > 20
    assert [id for id in after.nodes if id not in before.nodes] == [
        "blocks.0/mul:1",
        "blocks.0/tanh:1",
        "blocks.0/add:2",
        "blocks.0/mul:2",
    ]


def test_ids_are_those_of_the_first_step_in_every_step():
    net, found = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.Linear(3, 2)), []
    net.append(net[0])  # shared: its calls are told apart
    net.append(nn.Linear(3, 1))
    net = nn.Sequential(net[0], net[1], net[0], net[2])
    with viz.record(net):
        for _ in range(3):
            loss = net(mg.randn(5, 3)).sum()
            loss.backward()
            found.append(list(drawn(loss).nodes))
    assert found[0] == found[1] == found[2]
    assert "0@2/linear:1" in found[0] and "0.weight" in found[0] and "1/input" in found[0]


PROGRAM = """
import minigrad as mg, minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.backend import backend
mg.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(8, 3))
x, y = mg.randn(2, 1, 4, 4), mg.tensor([0, 2])
def second():
    loss = F.cross_entropy(net(x), y)
    return [loss, *mg.grad(loss, list(net.parameters()), create_graph=True)]
graph = viz.graph(second, net, color="mean").graph
for n in graph.nodes.values():
    n.statistics.pop("time")if "time" in n.statistics else None
print(graph.to_json())
print(viz.graph(second, net).source)
print(viz.make_dot(second(), net).source)
"""


def test_every_process_writes_the_same_text():
    texts = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, env=environment, check=True)
        texts.add(done.stdout)
    assert len(texts) == 1 and len(texts.pop()) > 10_000


# --- modules -----------------------------------------------------------------------------------------------------


def twice():
    net = nn.Linear(3, 3)
    x = mg.randn(2, 3)
    return net, lambda: net(net(x)).sum()


def outside_of_its_parent():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    x = mg.randn(2, 3)
    return net, lambda: net[1](net[0](x).tanh()).sum()


def two_roots():
    nets = {"gen": nn.Linear(2, 3), "dis": nn.Sequential(nn.Linear(3, 1))}
    z = mg.randn(4, 2)
    return nets, lambda: nets["dis"](nets["gen"](z)).sum()


def a_list():
    nets = [nn.Linear(2, 3), nn.Linear(3, 1)]
    z = mg.randn(4, 2)
    return nets, lambda: nets[1](nets[0](z)).sum()


class Recursive(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x, n=2):
        return self(self.fc(x), n - 1) if n else x


def recursive():
    net, x = Recursive(), mg.randn(2, 2)
    return net, lambda: net(x).sum()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 3), nn.Linear(3, 3)
        self.outer.weight = self.inner.weight

    def forward(self, x):
        return F.linear(self.outer(self.inner(x)), self.inner.weight)


def tied():
    net, x = Tied(), mg.randn(2, 3)
    return net, lambda: net(x).sum()


def bare():
    x = mg.randn(2, 3, requires_grad=True)
    return None, lambda: (x @ x.t()).tanh().sum()


def named_as_its_class():
    net = nn.Sequential()
    net.register_module("Sequential", nn.Linear(2, 2))
    net.register_module("backward", nn.Linear(2, 2))
    x = mg.randn(2, 2)
    return net, lambda: mg.grad(net(x).tanh().sum(), net.backward.weight, create_graph=True)


# name -> (makes model and function, {id: group} of some nodes, {id: parent} of some groups)
MODULES = {
    "twice": (twice, {"Linear/linear:1": "Linear", "Linear@2/linear:1": "Linear@2", "weight": ""}, {"Linear@2": ""}),
    "outside of its parent": (
        outside_of_its_parent,
        {"0/linear:1": "0", "tanh:1": "", "1/linear:1": "1", "1.weight": "1", "x": ""},
        {"0": "", "1": ""},
    ),
    "two roots": (
        two_roots,
        {"gen/linear:1": "gen", "gen.weight": "gen", "dis.0/linear:1": "dis.0"},
        {"gen": "", "dis.0": "dis"},
    ),
    "a list": (a_list, {"model[0]/linear:1": "model[0]", "model[1].bias": "model[1]"}, {"model[1]": ""}),
    "recursive": (
        recursive,
        {"fc/linear:1": "fc", "fc@2/linear:1": "fc@2", "fc.weight": "Recursive"},
        {"fc": "Recursive", "Recursive@2": "Recursive", "fc@2": "Recursive@2"},
    ),
    "tied": (tied, {"inner.weight": "inner", "Tied/linear:1": "Tied", "outer.bias": "outer"}, {"outer": "Tied"}),
    "none": (bare, {"matmul:1": "", "leaf": "", "tanh:1": ""}, {}),
    "names that are taken": (
        named_as_its_class,
        {"Sequential (module).weight": None, "Sequential (module)/linear:1": "Sequential (module)"},
        {"Sequential (module)": "Sequential"},
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_groups(name):
    make, nodes, parents = MODULES[name]
    model, function = make()
    graph = sound(drawn(function, model))
    assert {id: graph.nodes[id].group for id in nodes if nodes[id] is not None} == {
        id: group for id, group in nodes.items() if group is not None
    }
    assert {id: graph.groups[id].parent for id in parents} == parents


@pytest.mark.parametrize("name", ["two roots", "a list", "outside of its parent"])
def test_the_model_of_the_recording_is_known(name):
    model, function = MODULES[name][0]()
    with viz.record(model):
        loss = function()
    recorded, given = drawn(loss), drawn(loss, model)
    assert list(recorded.nodes) == list(given.nodes) and recorded.title == given.title != ""


def test_a_model_may_be_drawn_in_another_container_than_recorded():
    net, x = nn.Linear(2, 3), mg.randn(2, 2)
    with viz.record([net, nn.Linear(1, 1)]):
        loss = net(x).sum()
    assert operations(drawn(loss, net)) == ["Linear/linear:1", "sum:1"]


def test_by_the_tape_alone_modules_are_guessed_by_their_parameters():
    net, loss = net_and_loss()
    graph = sound(drawn(loss(), net))
    assert graph.nodes["blocks.0.attn.q/linear:1"].group == "blocks.0.attn.q"
    assert graph.groups["blocks.0.attn.q"].parent == "blocks.0.attn"
    assert graph.nodes["matmul:1"].group == "blocks.0" and "not recorded" in graph.notes[0]
    assert graph.nodes["mean:1"].group == ""
    assert graph.nodes["blocks.0.attn.q/linear:1"].place == ""


# layers -> where the operations are, that no parameter tells of
BETWEEN = {
    "between two": (lambda: [nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)], {"tanh:1": "Sequential"}),
    "several": (
        lambda: [nn.Linear(2, 2), nn.Tanh(), nn.ReLU(), nn.Linear(2, 2)],
        {"tanh:1": "Sequential", "relu:1": "Sequential"},
    ),
    "before and after": (lambda: [nn.Tanh(), nn.Linear(2, 2), nn.ReLU()], {"tanh:1": "", "relu:1": ""}),
    "in an inner one": (
        lambda: [nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)), nn.ReLU(), nn.Linear(2, 2)],
        {"tanh:1": "0", "relu:1": "Sequential"},
    ),
}


@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.parametrize("recorded", [False, True])
def test_what_lies_between_operations_of_a_module_is_guessed_to_be_in_it(name, recorded):
    layers, groups = BETWEEN[name]
    net, x = nn.Sequential(*layers()), mg.randn(3, 2, requires_grad=True)
    if recorded:
        with viz.record():  # of no model
            y = net(x).sum()
    else:
        y = net(x).sum()
    graph = sound(drawn(y, net))
    assert {id: graph.nodes[id].group for id in groups} == groups and graph.nodes["sum:1"].group == ""


def test_what_was_recorded_in_part_says_so():
    net, x = nn.Linear(2, 2), mg.randn(2, 2)
    h = net(x)
    with viz.record(net):
        y = h.tanh().sum()
    assert drawn(y, net).notes[0].startswith("1 of 3 were not recorded")


# --- leaves, constants and outputs -------------------------------------------------------------------------------


def test_names_are_given_to_leaves_and_inputs():
    w, x, t = leaf(1.0, 2.0), mg.randn(3, 2), mg.randn(2)
    names = {"w": w, "x": x, "more": [t], "nothing": 3, "net": nn.ReLU()}
    for graph in (drawn(lambda: (x * w + t).sum(), names=names), drawn((x * w + t * w).sum(), names=names)):
        assert set(kinds(graph)) == {"w", "x", "more[0]"}


def test_names_of_variables_and_of_what_a_module_calls_its_inputs():
    class Two(nn.Module):
        def forward(self, image, rest):
            return image * rest["scale"]

    x, s = leaf(1.0, 2.0), mg.tensor([2.0, 3.0])
    net = Two()
    assert kinds(drawn(lambda: net(x, {"scale": s}), net)) == {"image": "leaf", "rest['scale']": "input"}
    x.name = s.name = "same"
    assert kinds(drawn(lambda: net(x, rest={"scale": s}), net)) == {"same": "leaf", "same:2": "input"}


def test_parts_of_named_inputs_are_told_apart():
    w, x = leaf(1.0, 2.0), mg.randn(3, 2)
    rows = drawn(lambda: sum((row * w).sum() for row in (x[0], x[1], x[0])), names={"x": x, "w": w})
    raw = drawn(lambda: sum((mg.Variable(x.data[i]) * w).sum() for i in (0, 1, 0)), names={"x": x, "w": w})
    for graph in (rows, raw):
        assert kinds(graph) == {"x": "input", "w": "leaf", "x:2": "input"}
        assert [e.source for e in graph.edges if e.source[0] == "x"] == ["x", "x:2", "x"]
        for id in ("x", "x:2"):
            assert (graph.nodes[id].label, graph.nodes[id].shape, graph.nodes[id].facts) == ("x[...]", (2,), {})


# a view of x, 4×4 -> labels of the inputs, where x itself is taken too
PARTS = {
    "itself": (lambda x: x[:], ["x"]),
    "in another shape": (lambda x: x.reshape(16), ["x", "x"]),
    "transposed": (lambda x: x.t(), ["x", "x"]),
    "columns": (lambda x: x[:, :2], ["x", "x[...]"]),
    "every other column": (lambda x: x[:, ::2], ["x", "x[...]"]),
    "backwards": (lambda x: mg.Variable(x.data[::-1]), ["x", "x"]),
    "an element": (lambda x: x[3:, 3:], ["x", "x[...]"]),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_its_own_shape_and_says_what_it_is_of(name):
    view, labels = PARTS[name]
    w, x = leaf(1.0), mg.randn(4, 4)
    graph = drawn(lambda: (w * x).sum() + (w * view(x)).sum(), names={"x": x, "w": w})
    inputs = [n for n in graph.nodes.values() if n.kind == "input"]
    assert [n.label for n in inputs] == labels and inputs[-1].shape == tuple(view(x).shape)
    for e in graph.edges:
        assert graph.nodes[e.source].shape == e.shape


def test_different_columns_of_one_shape_are_two():
    w, x = mg.randn(4, 3, requires_grad=True), mg.randn(6, 8)
    graph = drawn(lambda: (x[:, :4] @ w + x[:, 4:] @ w + x[:, ::2] @ w).sum(), names={"x": x})
    assert [n.shape for n in graph.nodes.values() if n.kind == "input"] == [(6, 4)] * 3


def test_what_lies_beside_a_named_part_has_not_its_name():
    w, data = leaf(1.0, 2.0), mg.randn(6, 2)
    graph = drawn(lambda: (mg.Variable(data.data[3:]) * w).sum(), names={"train": data[:3]})
    assert "train" not in kinds(graph)


def test_a_part_of_a_buffer_is_drawn_as_the_buffer():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", mg.ones(8, 2))

        def forward(self, x):
            return x + self.table[: len(x)]

    net, x = Positions(), mg.randn(3, 2, requires_grad=True)
    graph = drawn(lambda: net(x).sum(), net)
    assert graph.nodes["table"].shape == (8, 2) and graph.nodes["table"].label == "table"


def test_buffers_are_inputs_by_their_path():
    net, x = nn.Sequential(nn.BatchNorm1d(2)).eval(), mg.randn(3, 2)
    graph = drawn(lambda: net(x).sum(), net)
    made = {n.id: n.facts.get("made by") for n in graph.nodes.values() if n.kind == "input"}
    assert made == {"0/constant": "div of 0.running_var", "0/constant:2": "sub of x, 0.running_mean"}


class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(mg.ones(2))
        self.register_buffer("shift", mg.ones(2))
        self.frozen = nn.Parameter(mg.ones(2), requires_grad=False)

    def forward(self, x):
        return (x * self.w + self.shift) * self.frozen * self.w.detach()


def test_what_a_module_holds_is_told_apart():
    net, x = nn.Sequential(Buffered()), mg.randn(2)
    graph = sound(drawn(lambda: net(x).sum(), net))
    own = {"0.w": "parameter", "0.shift": "input", "0.frozen": "parameter"}
    assert kinds(graph) == {**own, "x": "input"}
    assert graph.nodes["0.frozen"].facts == {"frozen": "does not require grad"} and graph.nodes["0.shift"].group == "0"
    assert [(e.source, e.kind) for e in graph.edges if e.kind == "detached"] == [("0.w", "detached")]


def test_masks_are_inputs_inside_of_their_module():
    net, x = nn.Sequential(nn.Linear(2, 2), nn.Dropout()), mg.randn(3, 2)
    graph = drawn(lambda: net(x).sum(), net)
    assert graph.nodes["1/input"].group == "1" and graph.nodes["1/input"].label == "input"


def detached_beside():
    h = leaf(1.0, 2.0, name="w").exp()
    return (h * h.detach()).sum()


def detached_elsewhere():
    w = leaf(1.0, 2.0, name="w")
    return (w * w.exp().detach()).sum()


def detached_number():
    w = leaf(1.0, 2.0, name="w")
    return w.sum() * w.exp().sum().detach()


def under_no_grad():
    w = leaf(1.0, 2.0, name="w")
    with mg.no_grad():
        k = (w * 2).tanh()
    return (w * k).sum()


def computed_of_what_was_detached():
    w = leaf(1.0, 2.0, name="w")
    h = w.exp()
    return (h * (h.detach() + 1).log()).sum()


def a_leaf_detached():
    w = leaf(1.0, 2.0, name="w")
    return (w * w.detach()).sum()


class Above(Function):
    def forward(self, x):
        return x > 1


def of_integers():
    w = leaf(1.0, 2.0, name="w")
    return (w * Above()(w)).sum()


def overwritten():
    w = leaf(1.0, 2.0, name="w")
    h = w.exp()
    k = h.detach()
    with mg.no_grad():
        h.zero_()
    return (k * w).sum()


# name -> (function, the edge that is dashed or None, {id: kind} of leaves, some fact)
DETACHED = {
    "from the graph": (detached_beside, ("exp:1", "mul:1"), {"w": "leaf"}, ""),
    "from elsewhere": (detached_elsewhere, None, {"w": "leaf", "exp, detached": "detached"}, "detached, by exp"),
    "a number": (detached_number, None, {"w": "leaf", "sum, detached": "detached"}, "detached, by sum"),
    "no_grad": (under_no_grad, None, {"w": "leaf", "tanh, no_grad": "detached"}, "no_grad, by tanh"),
    "computed": (
        computed_of_what_was_detached,
        ("exp:1", "constant"),
        {"w": "leaf", "constant": "input"},
        "log of exp",
    ),
    "a leaf": (a_leaf_detached, ("w", "mul:1"), {"w": "leaf"}, ""),
    "integers": (
        of_integers,
        None,
        {"w": "leaf", "above, integers or bools": "detached"},
        "integers or bools, by above",
    ),
    "overwritten": (overwritten, None, {"w": "leaf", "exp, written in place": "detached"}, "written in place"),
}


@pytest.mark.parametrize("name", DETACHED)
def test_where_histories_end(name):
    function, dashed, leaves, fact = DETACHED[name]
    graph = sound(drawn(function))
    assert [(e.source, e.target) for e in graph.edges if e.kind == "detached"] == ([dashed] if dashed else [])
    assert kinds(graph) == leaves
    assert fact in " ".join(text for n in graph.nodes.values() for text in n.facts.values())


def test_a_detached_leaf_names_the_module_that_made_it():
    nets = {"teacher": nn.Linear(2, 2), "student": nn.Linear(2, 2)}
    x = mg.randn(3, 2)

    def loss():
        with mg.no_grad():
            goal = nets["teacher"](x)
        return (nets["student"](x) - goal).square().sum()

    graph = drawn(loss, nets)
    assert graph.nodes["linear, no_grad"].facts["history"] == "no_grad, by linear in teacher"
    assert "teacher" not in graph.groups


def test_without_a_recording_detached_edges_are_known_by_memory():
    assert [e.kind for e in drawn(detached_beside()).edges].count("detached") == 1


def outputs_of_all_kinds():
    w = leaf(1.0, 2.0, name="w")
    h = w * 2
    return {"a": h, "again": (h, [w]), "constant": mg.ones(3)}


def test_outputs_in_containers_twice_leaves_and_constants():
    graph = sound(drawn(outputs_of_all_kinds))
    assert graph.outputs == ["mul:1", "w", "input"]
    assert [graph.nodes[id].marks["output"] for id in graph.outputs] == ["output 0, output 1", "w", "output 3"]
    alone = sound(drawn(mg.ones(3)))
    assert list(alone.nodes) == ["input"] and alone.outputs == ["input"]


def test_outputs_of_one_operation_are_told_apart():
    x = leaf(1.0, 2.0, 3.0, 4.0, name="x")
    a, b = mg.split(x * 1, 2)
    graph = sound(drawn((a * 2 + b).sum()))
    assert [e.label for e in graph.edges if e.source == "split:1"] == ["a, output 0", "b, output 1"]
    assert graph.nodes["split:1"].shape is None and edges(graph) >= {("split:1", "mul:2"), ("split:1", "add:1")}
    assert sound(drawn([a, b])).outputs == ["split:1"]


CHAINS = {  # what the user writes -> the operations
    "sort": (lambda x: mg.sort(x)[0], ["gather:1"]),
    "topk": (lambda x: mg.topk(x, 2)[0], ["gather:1"]),
    "max over an axis": (lambda x: x.max(0)[0], ["gather:1", "reshape:1"]),
    "written in place": (lambda x: x.clone().mul_(2).add_(1), ["clone:1", "mul:1", "add:1"]),
    "an element written": (lambda x: put(x.clone()), ["clone:1", "setitem:1"]),
    "checkpoint": (lambda x: mg.checkpoint(lambda y: y.exp().tanh(), x), ["exp:1", "tanh:1"]),
}


def put(x):
    x[1:] = 5.0
    return x


@pytest.mark.parametrize("name", CHAINS)
def test_what_operations_leave_on_the_tape(name):
    function, expected = CHAINS[name]
    x = leaf(1.0, 3.0, 2.0, 4.0, name="x")
    assert operations(sound(drawn(lambda: function(x)))) == expected
    y = function(x)
    y.sum().backward()
    assert operations(sound(drawn(y))) == expected  # after backward, which frees what was saved


def test_dtypes_under_promotion_and_autocast():
    x, n = leaf(1.0, 2.0, name="x"), mg.tensor([1, 2])
    graph = drawn(lambda: (x.double() * n + x).sum(), names={"n": n})
    found = {(e.source, e.target): e.dtype for e in graph.edges}
    assert found["n", "mul:1"] == "int64" and found["x", "add:1"] == "float32" and found["mul:1", "add:1"] == "float64"
    assert graph.nodes["n"].dtype == "int64" and graph.nodes["add:1"].dtype == "float64"
    device = "cuda" if mg.randn(1).device.type == "cuda" else "cpu"
    net = nn.Linear(2, 2)
    batch = mg.randn(3, 2)

    def cast():
        with mg.autocast(device, dtype="float16"):
            return net(batch)

    graph = sound(drawn(cast, net))
    assert graph.nodes["Linear/linear:1"].dtype == "float16" and graph.nodes["weight"].dtype == "float32"
    assert next(e.dtype for e in graph.edges if e.source == "weight") == "float16"


def test_hooks_of_modules_are_nodes():
    net, x = nn.Sequential(nn.Linear(2, 2)), mg.randn(3, 2, requires_grad=True)
    with net[0].register_full_backward_hook(lambda *_: None):
        graph = sound(drawn(lambda: net(x).sum(), net))
    assert len(operations(graph)) == 4


def test_batches_of_a_loader():
    from minigrad.data import DataLoader, TensorDataset

    net = nn.Linear(3, 2)
    loader = DataLoader(TensorDataset(mg.randn(8, 3), mg.randint(2, (8,))), batch_size=4)
    with viz.record(net):
        found = []
        for x, y in loader:
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            found.append(sound(drawn(loss, names={"labels": y})))
    assert [{"x", "weight", "bias", "labels"} - set(kinds(g)) for g in found] == [set()] * 2
    assert list(found[0].nodes) == list(found[1].nodes)


# --- facts and bytes ---------------------------------------------------------------------------------------------


class Scale(Function):
    def __init__(self, factor, note, table):
        self.factor, self.note, self.table = factor, note, table

    def forward(self, x):
        return x * self.factor

    def backward(self, gy):
        return gy * self.factor


image = lambda: mg.randn(2, 4, 6, 6, requires_grad=True)  # noqa: E731

FACTS = {
    "conv2d": (
        lambda: F.conv2d(image(), mg.randn(6, 2, 3, 3), None, (2, 1), 1, 1, 2),
        {"kernel": "3", "stride": "(2, 1)", "padding": "1", "dilation": "1", "groups": "2"},
    ),
    "conv2d, same": (
        lambda: F.conv2d(image(), mg.randn(6, 4, 2, 2), padding="same"),
        {"kernel": "2", "stride": "1", "padding": "(0, 1, 0, 1)", "dilation": "1", "groups": "1"},
    ),
    "max_pool2d": (
        lambda: F.max_pool2d(image(), 2),
        {"kernel": "2", "stride": "2", "padding": "0", "dilation": "1"},
    ),
    "sum": (lambda: image().sum(1), {"axes": "(1,)"}),
    "sum, keepdim": (lambda: image().sum(1, keepdim=True), {"axes": "(1,)", "keepdim": "True"}),
    "mean": (lambda: image().mean(), {}),
    "reshape": (lambda: image().reshape(-1), {}),
    "cast": (lambda: image().half(), {}),
    "pow": (lambda: image() ** 3, {"n": "3"}),
    "add": (lambda: image() + 1.5, {"b": "1.5"}),
    "a scalar of NumPy": (lambda: image() * np.float32(0.5), {"b": "0.5"}),
    "getitem": (lambda: image()[0, 1:, ::2, None, ...], {"index": "[0, 1:, ::2, None, ...]"}),
    "getitem, list": (lambda: image()[:, [0, 1]], {"index": "[:, array]"}),
    "softmax": (lambda: F.softmax(image(), 1), {"axis": "1"}),
    "a user's": (
        lambda: Scale(2.0, "why\nnot", list(range(100)))(image()),
        {"factor": "2.0", "note": "why\nnot", "table": f"{str(list(range(100)))[:59]}…"},
    ),
    "a long list": (lambda: mg.randn(50, requires_grad=True) + [1.0] * 50, None),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    function, expected = FACTS[name]
    graph = sound(drawn(function))
    node = graph.nodes[operations(graph)[-1]]
    if expected is None:
        assert len(node.facts["b"]) <= 40
    else:
        assert node.facts == expected
        if not name.startswith(("add", "a scalar")):  # numbers among operands are not on the tape
            again = drawn(function())
            assert again.nodes[operations(again)[-1]].facts == expected


def mlp():
    net = nn.Sequential(nn.Linear(5, 20), nn.ReLU(), nn.Dropout(), nn.LayerNorm(20), nn.Linear(20, 3))
    x, y = mg.randn(30, 5), mg.randint(3, (30,))
    return net, lambda: F.cross_entropy(net(x), y)


def convolutional():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )
    x, y = mg.randn(5, 1, 8, 8), mg.randint(3, (5,))
    return net, lambda: F.cross_entropy(net(x), y)


def views():
    w = nn.Parameter(mg.ones(30))
    x = mg.randn(20, 30)

    def loss():
        h = mg.exp(x * w)
        return (mg.sin(h) * mg.cos(h[10:]).sum() + h.t().reshape(30, 20).square().t()).mean()

    return None, loss


def second_order():
    net, x = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)), mg.randn(3, 5)
    return net, lambda: [*mg.grad(net(x).sum(), list(net.parameters()), create_graph=True)]


@pytest.mark.parametrize("make", [mlp, convolutional, views, second_order, net_and_loss])
def test_bytes_are_counted_once_and_as_the_memory_report_counts(make):
    net, loss = make()
    y = loss()
    report = mg.memory_report(y, net)
    results = sum(e.bytes for e in report.entries if e.what == "result")
    expected = report.total + report.elsewhere - results
    held = sum(n.bytes for n in drawn(y, net).nodes.values())
    assert held == expected > 0
    mg.manual_seed(5)
    recorded = drawn(loss, net)
    assert sum(n.bytes for n in recorded.nodes.values()) == expected
    with viz.record(net):
        y = loss()
    for each in y if isinstance(y, list) else [y]:
        if each.data.size == 1 and each.requires_grad:
            each.backward()
    assert sum(n.bytes for n in drawn(y, net).nodes.values()) == expected  # as it was, though it is freed now


def test_a_checkpoint_keeps_nothing_of_what_it_computes_again():
    net, x = nn.Sequential(nn.Linear(5, 20), nn.Tanh(), nn.Linear(20, 3)), mg.randn(30, 5)
    for options in ({}, {"color": "grad_norm"}):
        graph = sound(drawn(lambda: mg.checkpoint(net, x).exp().sum(), net, **options))
        assert graph.nodes["1/tanh:1"].facts == {"checkpoint": "computed again in backward"}
        assert graph.nodes["1/tanh:1"].bytes == 0 and graph.nodes["1/tanh:1"].saved[0].bytes == 30 * 20 * 4
        assert graph.nodes["exp:1"].bytes == 30 * 3 * 4 and "checkpoint" not in graph.nodes["exp:1"].facts
        assert list(graph.groups) == ["Sequential", "0", "1", "2"]


# --- second order ------------------------------------------------------------------------------------------------


def in_the_function():
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 1)), mg.randn(2, 3)

    def loss():
        y = net(x).sum()
        return [y, *mg.grad(y, list(net.parameters()), create_graph=True)]

    return net, loss


def test_levels_and_groups_of_a_second_order_graph():
    net, loss = in_the_function()
    graph = sound(drawn(loss, net))
    for n in graph.nodes.values():
        if n.kind == "operation":
            assert n.level == int(n.id.startswith("backward/"))
            assert n.group.startswith("backward/") == bool(n.level)
    assert {g.partition("/")[2] for g in graph.groups if g.startswith("backward/")} == {
        "Sequential",
        "0",
        "1",
        "2",
        "3",
    }
    assert graph.groups["backward/2"].parent == "backward/Sequential"
    assert graph.groups["backward/Sequential"].parent == "backward" and graph.groups["backward"].parent == ""
    assert "(in the gradient of tanh)" in graph.nodes["backward/1/mul:1"].place
    assert "(in the gradient of normalize)" in graph.nodes["backward/2/sqrt:1"].place
    with viz.record(net):
        outputs = loss()
    assert list(drawn(outputs).nodes) == list(graph.nodes)


def test_levels_of_a_third_order_graph():
    w = leaf(1.0, 2.0, name="w")

    def loss():
        (g,) = mg.grad((w**4).sum(), w, create_graph=True)
        (h,) = mg.grad((g.exp() * w).sum(), w, create_graph=True)
        return (h * h).sum()

    graph = sound(drawn(loss))
    levels = {n.label: n.level for n in graph.nodes.values() if n.kind == "operation"}
    assert {n.level for n in graph.nodes.values()} == {0, 1, 2} and levels["sum"] == 0
    assert graph.groups.keys() == {"backward", "backward 2"}
    assert graph.nodes["mul:1"].level == graph.nodes["sum:1"].level == 0
    assert all(
        n.group == ("", "backward", "backward 2")[n.level] for n in graph.nodes.values() if n.kind == "operation"
    )


def test_gradients_that_are_added_up_are_in_the_backward():
    x = leaf(1.0, 2.0, name="x")

    def loss():
        h = x.exp()
        return mg.grad((h * h.sin() + h).sum(), x, create_graph=True)

    graph = sound(drawn(loss))
    adds = [n for n in graph.nodes.values() if n.label == "add" and n.level]
    assert len(adds) >= 2 and {n.group for n in adds} == {"backward"}


def test_after_a_backward_the_forward_is_at_level_0_again():
    net, x = nn.Linear(2, 2), mg.randn(2, 2)
    with viz.record(net):
        mg.grad(net(x).sum(), net.weight, create_graph=True)
        y = net(x).sum()
    assert {n.level for n in drawn(y).nodes.values()} == {0}


# --- marks -------------------------------------------------------------------------------------------------------

LOCAL = [m for m in MUTATIONS if m.op is not None]


def network(op):
    """`op`, and before it the same operation unbroken; and some that lead nowhere."""

    def function(*xs):
        (xs[0] * 3).exp()
        return (op(*(x.tanh() for x in xs)) * 1.5).exp().sum()

    return function


@pytest.mark.parametrize("mutation", LOCAL, ids=lambda m: m.name)
def test_what_gradcheck_blames_is_marked(mutation):
    xs = mutation.inputs()
    function = network(mutation.wrong)
    report = mg.gradcheck(function, *xs)
    assert report.op is not None
    names = {f"x{i}": x for i, x in enumerate(xs)}
    graph = drawn(lambda: function(*xs), mark=report, names=names)
    blamed = [n.id for n in graph.nodes.values() if "blamed" in n.marks and n.kind == "operation"]
    assert blamed == ["broken:1"] and "gradcheck: the gradient" in graph.nodes["broken:1"].marks["blamed"]
    only = drawn(lambda: function(*xs), mark=report.op)
    assert [n.id for n in only.nodes.values() if "blamed" in n.marks] == ["broken:1"]


class Wrong(Function):
    name = "tanh"  # as the right ones before and after it

    def forward(self, x):
        return backend[type(x)].xp.tanh(x)

    def backward(self, gy, y):
        return gy * (1 - y * y) * 1.01


class WrongInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x):
        aside = self.first(x).tanh()
        h = Wrong()(self.second(self.first(x).tanh()))
        return self.third(h.tanh()) + 0 * aside.detach().sum()


def test_one_of_many_of_a_name_is_found_in_a_network():
    net, x = WrongInside().double(), mg.randn(4, 3).double()
    report = mg.gradcheck(net, x)
    assert report.op.name == "tanh" and report.op.number == 2
    graph = drawn(lambda: net(x), net, mark=report)
    blamed = [n.id for n in graph.nodes.values() if "blamed" in n.marks]
    wrong = [id for id in blamed if graph.nodes[id].kind == "operation"]
    assert wrong == ["WrongInside/tanh:2"]  # of gradcheck's three before it, one leads to no output
    assert "second.weight" in blamed and "third.weight" not in blamed


def test_marks_of_all_kinds():
    net, x = nn.Linear(2, 2), mg.randn(3, 2)
    with viz.record(net):
        h = net(x)
        y = h.tanh().sum()

    def marked(mark):
        return [n.id for n in drawn(y, net, mark=mark).nodes.values() if "blamed" in n.marks]

    assert marked(h) == ["Linear/linear:1"] and marked(y.creator) == ["sum:1"] and marked("tanh:1") == ["tanh:1"]
    assert marked(net.bias) == ["bias"] and marked(x) == ["x"] and marked([]) == [] and marked(None) == []
    assert marked([h, "sum:1", net.weight]) == ["Linear/linear:1", "weight", "sum:1"]


MISTAKES = {
    "an id": (lambda y: {"mark": "tanh:2"}, MarkError, r"mark='tanh:2' is no id of this graph; near are 'tanh:1'"),
    "another graph": (lambda y: {"mark": mg.ones(3)}, MarkError, r"a Variable \(3,\) that is not in this graph"),
    "another node": (lambda y: {"mark": (leaf(1.0) * 2).creator}, MarkError, "the operation mul that is not in"),
    "a number": (lambda y: {"mark": 3}, TypeError, "mark must be a report of gradcheck, .* not a int"),
    "a typo": (lambda y: {"colour": "mean"}, TypeError, "no argument 'colour'; did you mean 'color'"),
    "another typo": (lambda y: {"maxnodes": 3}, TypeError, "no argument 'maxnodes'; did you mean 'max_nodes'"),
    "nonsense": (lambda y: {"qqqq": 3}, TypeError, "no argument 'qqqq'; there are depth, roll, phase"),
    "a value": (lambda y: {"color": "red"}, MinigradError, "color must be one of None, 'mean'"),
    "a model": (lambda y: {"model": 3}, TypeError, "viz.graph: the model must be a module .* not a int"),
    "a model in a list": (lambda y: {"model": [3]}, TypeError, "the model must be a module .* has a int"),
    "a case": (lambda y: {"direction": "lr"}, MinigradError, "and is 'lr'; did you mean 'LR'"),
    "an underscore": (lambda y: {"color": "gradnorm"}, MinigradError, "'gradnorm'; did you mean 'grad_norm'"),
    "a text for a bool": (lambda y: {"roll": "no"}, MinigradError, "roll must be True or False, and is 'no'"),
    "a number for a bool": (lambda y: {"legend": 1}, MinigradError, "legend must be True or False, and is 1"),
    "names in a list": (lambda y: {"names": [y]}, TypeError, r"names must be \{name: Variable\}, not a list"),
    "names the other way": (
        lambda y: {"names": {y: "y"}},
        TypeError,
        r"names must be \{name: Variable\}, and has a Va",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name):
    options, error, message = MISTAKES[name]
    y = leaf(1.0, 2.0).tanh()
    with pytest.raises(error, match=message):
        viz.graph(y, **options(y))


def test_a_report_of_another_function_is_refused():
    xs = LOCAL[0].inputs()
    report = mg.gradcheck(LOCAL[0].wrong, *xs)
    with pytest.raises(MarkError, match="broken:0, which gradcheck blames, and this graph has no broken"):
        viz.graph(leaf(1.0).exp(), mark=report)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_above_0(timeout):
    with pytest.raises(MinigradError, match="timeout must be a number of seconds above 0, and is"):
        viz.graph(leaf(1.0).exp()).render("svg", timeout)


# outputs and model -> message
OUTPUTS = {
    "a module": (
        lambda: (nn.Linear(1, 1),),
        r"a module is not an output; write viz\.graph\(lambda: model\(x\), model\)",
    ),
    "a module, and its input": (lambda: (nn.Linear(1, 1), mg.ones(1)), "a module is not an output"),
    "None": (lambda: (lambda: None,), "the function returned None; let it return the loss"),
    "an empty list": (lambda: ([],), "outputs must be a Variable, .* and the list is empty"),
    "a function of an empty dict": (lambda: (dict,), "and the dict is empty"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_is_no_output_is_explained(name):
    make, message = OUTPUTS[name]
    with pytest.raises(TypeError, match=message):
        viz.graph(*make())


def in_two_dimensions():
    w = mg.ones(3, 2, requires_grad=True)
    return None, lambda: w * 2, {"gradients": True}


def never_backward():
    net, x = nn.Linear(2, 2), mg.randn(3, 2)
    with viz.record(net):
        y = net(x).sum()
    return None, y, {"color": "grad_norm"}


def not_looked_through():
    net, x = nn.Linear(2, 2), mg.randn(3, 2)
    with viz.record(net, statistics=False):
        y = net(x).sum()
    return None, y, {"color": "mean"}


def frozen():
    net, x = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), mg.randn(3, 2)
    net[0].requires_grad_(False)
    return net, lambda: net(x).sum(), {}


# name -> (makes model, outputs and options; what the notes say)
NOTES = {
    "the sum": (in_two_dimensions, "gradients are of the sum of the output, 3×2: for those of a loss, return the loss"),
    "no backward": (never_backward, "no gradients are known: call backward() inside of viz.record(model), or give"),
    "no statistics": (
        not_looked_through,
        "'mean' is not known: it is noted inside of viz.record(model, statistics=True)",
    ),
    "another model": (lambda: (nn.Linear(1, 1), leaf(1.0) * 2, {}), "nothing of Linear is in this graph"),
    "detached": (lambda: (None, leaf(1.0).detach(), {}), "output does not require grad: was it detached, or computed"),
    "frozen": (frozen, "2 parameters that do not require grad are not in this graph"),
}


@pytest.mark.parametrize("name", NOTES)
def test_notes_say_what_is_missing(name):
    make, note = NOTES[name]
    model, outputs, options = make()
    notes = drawn(outputs, model, **options).notes
    assert [note in text for text in notes].count(True) == 1, notes


def test_nothing_is_noted_where_nothing_is_missing():
    net, loss = net_and_loss()
    assert drawn(loss, net, color="grad_norm", gradients=True).notes == []


def test_what_is_no_variable_is_refused():
    for wrong in (3, [], [1.0], lambda: 3, {"a": None}):
        with pytest.raises(TypeError, match=r"viz\.graph: outputs must be a Variable"):
            viz.graph(wrong)


# --- large graphs ------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_operations():
    x = leaf(1.0, name="x")
    y = x
    for _ in range(100_000):
        y = y * 1.0
    from minigrad.models import Models
    from minigrad.viz.building.build import build

    graph = build([y], Models([], ""))
    assert len(graph.nodes) == 100_001 and graph.outputs == ["mul:100000"] and len(graph.edges) == 100_000


def test_many_writes_off_the_tape_are_one_step_to_follow():
    from minigrad.models import Models
    from minigrad.viz.building.build import build

    y = leaf(1.0, 2.0) * 2
    with mg.no_grad():
        for _ in range(3000):
            y.mul_(1.0)
    z = sum((y + 1 for _ in range(50)), start=y)
    assert len(build([z.sum()], Models([], "")).nodes) < 200


def test_many_modules_are_guessed_in_linear_time():
    """As many questions about each module as there are modules would be 400 million."""
    net = nn.Sequential(*(nn.Linear(1, 1) for _ in range(1500)))
    asked = []
    y = net(mg.ones(1, 1)).sum()
    from minigrad.models import Models

    count = Models.around

    def around(self, path):
        asked.append(path)
        return count(self, path)

    Models.around = around
    try:
        graph = drawn(y, net)
    finally:
        Models.around = count
    assert len(asked) <= 1500 and len(graph.groups) == 1501


# --- make_dot ----------------------------------------------------------------------------------------------------


def test_make_dot():
    import graphviz

    net, x = nn.Linear(2, 3), mg.randn(4, 2)
    y = net(x).relu().sum(1)
    dot = viz.make_dot(y, params=dict(net.named_parameters()))
    assert isinstance(dot, graphviz.Digraph) and dot.source == viz.make_dot(y, net.named_parameters()).source
    assert '"weight" [label="weight\\n (3, 2)" fillcolor=lightblue]' in dot.source
    assert '"sum:1" [label="sum\\n (4)" fillcolor=darkolivegreen1]' in dot.source
    assert '"weight" -> "linear:1"' in dot.source and '"relu:1" -> "sum:1"' in dot.source
    assert "orange" not in dot.source and "axes" not in dot.source
    assert viz.make_dot(y, net).source == dot.source
    assert "axes: (1,)" in viz.make_dot(y, net, show_attrs=True).source
    saved = viz.make_dot(y, net, show_saved=True).source
    assert '"linear:1 saved 0" [label="input x\\n (4, 2)" fillcolor=orange]' in saved
    assert '"linear:1 saved 0" -> "linear:1" [dir=none]' in saved


def test_make_dot_takes_several_outputs_and_any_name():
    x, odd = leaf(1.0, 2.0), 'a"b\\n<c>{d}|é'
    dot = viz.make_dot({"one": x.exp(), "two": [x.tanh()]}, params={odd: x})
    assert dot.source.count("darkolivegreen1") == 2
    assert 'label="a\\"b' in dot.source and '<c>{d}|é\\n (2)" fillcolor=lightblue]' in dot.source


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((3,), "viz.make_dot: var must be a Variable"),
        ((lambda: 3,), r"viz.make_dot: var must be a Variable, not a function; call it: viz.make_dot\(model\(x\)\)"),
        ((mg.ones(2), 3), "params must be a dict of names and Variables, not a int"),
        ((mg.ones(2), {"a": 3}), r"params\['a'\] must be a Variable, and is a int"),
        ((mg.ones(2), [3]), "params must be a dict of names and Variables, or such pairs"),
    ],
)
def test_make_dot_explains_mistakes(args, message):
    with pytest.raises(TypeError, match=message):
        viz.make_dot(*args)


def test_threads_draw_their_own_graphs():
    nets, found, x = [nn.Linear(2, 2) for _ in range(4)], {}, mg.ones(2, 2)

    def work(i):
        for _ in range(5):
            found[i] = list(drawn(lambda: nets[i](x).sum(), nets[i]).nodes)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [found[i] for i in range(4)] == [["Linear/linear:1", "x", "weight", "bias", "sum:1"]] * 4
