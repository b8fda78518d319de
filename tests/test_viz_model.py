"""The graph model as it is written down, and what it must not confuse."""

import json

import numpy as np

import minigrad as mg
from minigrad import nn, viz


def test_json_has_no_number_that_json_does_not_know():
    w = mg.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    with np.errstate(all="ignore"):
        text = viz.graph(lambda: [mg.log(w).sum(), mg.log(w.abs()).min(), (1 / w.abs()).max()]).graph.to_json()

    def refuse(constant):
        raise AssertionError(constant)

    nodes = json.loads(text, parse_constant=refuse)["nodes"]
    assert {"NaN", "-Infinity", "Infinity"} <= {n["statistics"].get("mean") for n in nodes.values()}


class Confusing(nn.Module):
    """Has a module that is called as the second call of another."""

    def __init__(self):
        super().__init__()
        one, other = nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.d = nn.ModuleDict({"x@2": one, "x": other})

    def forward(self, x):
        return self.d["x"](self.d["x"](self.d["x@2"](x)))


def test_a_key_that_looks_like_a_call_is_a_box_of_its_own():
    model, x = Confusing(), mg.randn(4, 3)
    graph = viz.graph(lambda: model(x).sum(), model).graph
    inside = {}
    for node in graph.nodes.values():
        if node.label in ("tanh", "relu"):
            inside.setdefault(graph.groups[node.group].parent, []).append(node.label)
    assert sorted(inside.values()) == [["relu"], ["relu"], ["tanh"]]
    assert {group.path for group in graph.groups.values() if group.id in inside} == {"model.d.x", "model.d.x@2"}


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)

    def forward(self, x):
        return mg.checkpoint(self.l, x + 1.0).sum()


def test_what_a_checkpoint_runs_again_is_not_named_anew():
    model, x = Checkpointed(), mg.randn(4, 3)
    plain, backward = (viz.graph(lambda: model(x), model, gradients=wanted).graph for wanted in (False, True))
    assert list(plain.nodes) == list(backward.nodes)
    assert backward.nodes["l/constant"].facts == plain.nodes["l/constant"].facts == {"made by": "add of x"}


def test_what_is_computed_of_something_detached_is_detached():
    w, v = mg.randn(3, requires_grad=True), mg.randn(3, requires_grad=True)
    nodes = viz.graph(lambda: ((mg.sin(w).detach() * 2.0) * v).sum()).graph.nodes.values()
    [cut] = [n for n in nodes if n.kind == "detached"]
    assert cut.facts == {"history": "detached, by sin"} and cut.label == "mul of sin, detached"

    def kept():
        s = mg.sin(v)
        return ((s.detach() * 2.0) * s).sum()

    graph = viz.graph(kept).graph
    assert "detached" not in [n.kind for n in graph.nodes.values()]
    assert [(e.source, e.kind) for e in graph.edges if e.kind == "detached"] == [("sin:1", "detached")]


def test_a_stub_has_the_parameters_of_what_it_stands_for():
    model, x = nn.Sequential(*[nn.Linear(3, 3) for _ in range(40)]), mg.randn(4, 3)
    view = viz.graph(lambda: model(x).sum(), model, roll=False, max_nodes=20).view
    assert sum(n.parameters for n in view.nodes.values()) == 40 * 12


def test_a_difference_of_outputs_is_one():
    w = mg.randn(3, requires_grad=True)

    def outputs(both):
        a = w.sin()
        return [a, a.cos()] if both else [a.cos()]

    found = viz.diff(viz.graph(lambda: outputs(True)), viz.graph(lambda: outputs(False)))
    assert not found.equal and "~ sin:1: output to no output" in str(found)
