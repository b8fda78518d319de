"""What of a graph is drawn: repeats as one, modules below a depth, phases, a budget; and the graph stays as it was."""

import copy
import itertools
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis.strategies import data, integers, sampled_from

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.viz.drawing import Options
from minigrad.viz.model import MODULE, PARAMETER, STUB, Edge, Graph, Group, Node
from minigrad.viz.views.collapse import view
from minigrad.viz.views.structure import LEAVES, reach
from minigrad.viz.views.units import repeats


class Attention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x):
        n, t, size = x.shape
        each = size // self.heads
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, each).permute(2, 0, 3, 1, 4)
        weights = F.softmax(q @ k.transpose(-2, -1) / each**0.5, -1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, t, size))


class Block(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(size), Attention(size, heads), nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, layers=12, size=8, heads=2, words=10):
        super().__init__()
        self.embed = nn.Parameter(mg.randn(words, size))
        self.blocks = nn.Sequential(*[Block(size, heads) for _ in range(layers)])
        self.head = nn.Linear(size, words)

    def forward(self, ids):
        return self.head(self.blocks(self.embed[ids]))


class Cell(nn.Module):
    def __init__(self, inputs, size):
        super().__init__()
        self.x, self.h = nn.Linear(inputs, 4 * size), nn.Linear(size, 4 * size)

    def forward(self, x, h, c):
        i, f, g, o = mg.chunk(self.x(x) + self.h(h), 4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class LSTM(nn.Module):
    """Gives the last state, or with `every` all of them, stacked."""

    def __init__(self, inputs=3, size=4, layers=1, every=False):
        super().__init__()
        self.cells = nn.ModuleList([Cell(inputs if k == 0 else size, size) for k in range(layers)])
        self.size, self.every = size, every

    def forward(self, x):
        states = [(mg.zeros(x.shape[0], self.size),) * 2 for _ in self.cells]
        found = []
        for t in range(x.shape[1]):
            h = x[:, t]
            for k, cell in enumerate(self.cells):
                h, c = cell(h, *states[k])
                states[k] = h, c
            found.append(h)
        return mg.stack(found) if self.every else h


class Stack(nn.Module):
    """Calls its layers in turn; `after` is done with what each returns."""

    def __init__(self, layers, after=lambda k, x: x):
        super().__init__()
        self.layers, self.after = nn.ModuleList(layers), after

    def forward(self, x):
        for k, layer in enumerate(self.layers):
            x = self.after(k, layer(x))
        return x


def drawn(model, x, **options):
    return viz.graph(lambda: model(x).sum(), model, **options)


def transformer(**options):
    model = Transformer()
    return drawn(model, mg.tensor([[1, 2, 3]] * 2), **options)


def linears(n, size=4):
    return [nn.Linear(size, size) for _ in range(n)]


def rolled(drawing):
    """{id of a group: (repeat, last)} of those that stand for several."""
    return {g.id: (g.repeat, g.last) for g in drawing.view.groups.values() if g.repeat > 1}


def loops(drawing):
    return [(e.source, e.target) for e in drawing.view.edges if e.kind == "repeat"]


def consistent(graph):
    """Everything that is named is there."""
    assert {id for e in graph.edges for id in (e.source, e.target)} <= graph.nodes.keys()
    assert {n.group for n in graph.nodes.values()} - {""} <= graph.groups.keys()
    assert {g.parent for g in graph.groups.values()} - {""} <= graph.groups.keys()
    assert set(graph.outputs) <= graph.nodes.keys()
    assert all(id == n.id for id, n in graph.nodes.items())
    return True


# --- rolling ------------------------------------------------------------------------------------------------------


def test_blocks_of_a_transformer():
    drawing = transformer()
    assert rolled(drawing) == {"blocks.0": (12, "blocks.11")} and consistent(drawing.view)
    assert loops(drawing) == [
        ("blocks.0/add:2", "blocks.0.norm1/normalize:1"),
        ("blocks.0/add:2", "blocks.0/add:1"),
    ]
    assert all(e.count == 11 and e.of == "blocks.0" for e in drawing.view.edges if e.kind == "repeat")
    whole, view = drawing.graph, drawing.view
    inside = [n for n in view.nodes.values() if "blocks.0" in view.ancestors(n.group)]
    assert {n.repeat for n in inside} == {12} and {n.count for n in inside} == {12}
    assert view.nodes["blocks.0.attn.qkv.weight"].parameters == 12 * whole.nodes["blocks.0.attn.qkv.weight"].parameters
    assert view.groups["blocks.0"].parameters == 12 * whole.groups["blocks.0"].parameters
    assert view.groups["blocks.0"].modules == view.groups["blocks.0.attn"].modules == 12
    each = f"{whole.groups['blocks.0.attn'].parameters:,} parameters".replace(",", " ")
    assert f"attn Attention  {each}\n" in str(drawing), "of one, as the weights in it"
    # What comes after takes from the last, which is drawn as the first.
    assert next(e.source for e in view.edges if e.target == "head/linear:1") == "blocks.0/add:2"
    assert len(transformer(roll=False, max_nodes=1000).view.nodes) == len(whole.nodes)


def test_medians_and_ranges_of_what_is_drawn_once():
    drawing = drawn(Stack(linears(3)), mg.randn(2, 4), color="bytes")
    node = drawing.view.nodes["layers.0/linear:1"]
    alike = [drawing.graph.nodes[f"layers.{k}/linear:1"] for k in range(3)]
    assert node.statistics["std"] == sorted(n.statistics["std"] for n in alike)[1]
    assert " to " in node.facts["std of 3"] and not any(k.startswith("time") for k in node.facts)
    assert any("statistics are medians" in note for note in drawing.view.notes)
    assert not any("medians" in note for note in drawing.graph.notes)


def test_steps_of_an_lstm():
    drawing = drawn(LSTM(), mg.randn(2, 28, 3))
    assert rolled(drawing) == {"cells.0": (28, "cells.0@28")}
    assert sorted(loops(drawing)) == [
        ("cells.0/add:2", "cells.0/mul:1"),
        ("cells.0/mul:3", "cells.0.h/linear:1"),
    ]
    view = drawing.view
    for name in ("x.weight", "h.bias"):  # the same in all steps: drawn around them, and counted once
        weight = view.nodes[f"cells.0.{name}"]
        assert weight.repeat == 1 and weight.parameters == drawing.graph.nodes[weight.id].parameters
        assert "cells.0" not in view.ancestors(weight.group)
    assert view.groups["cells.0"].parameters == drawing.graph.groups["cells.0"].parameters
    assert view.groups["cells.0"].modules == 1


def test_steps_that_are_cut_out_of_a_variable():
    x = mg.randn(2, 6, 3, requires_grad=True)
    drawing = drawn(LSTM(), x)
    [(repeat, last)] = rolled(drawing).values()
    assert repeat == 6 and last.endswith("cells.0@6")
    assert sum(n.label == "getitem" for n in drawing.view.nodes.values()) == 1


def test_two_layers_in_each_step_and_all_states():
    drawing = drawn(LSTM(4, 4, layers=2, every=True), mg.randn(2, 5, 4))
    assert list(rolled(drawing).values()) == [(5, "cells.0@5 … cells.1@5")]
    [edge] = [e for e in drawing.view.edges if e.target.endswith("stack:1")]
    assert edge.count == 5 and edge.source == "cells.1/mul:3"


def test_several_layers_in_turn():
    layers = [layer for k in range(4) for layer in (nn.Linear(3 if k == 0 else 4, 4), nn.LayerNorm(4), nn.ReLU())]
    drawing = drawn(nn.Sequential(*layers), mg.randn(2, 3))
    assert rolled(drawing) == {"3 … 5": (3, "9 … 11")} and consistent(drawing.view)
    view = drawing.view
    assert [g.parent for g in view.groups.values() if g.id in "345"] == ["3 … 5"] * 3
    assert [view.groups[id].modules for id in ("3 … 5", "3")] == [3, 3] and "3 × 28 parameters" in str(drawing)
    assert view.groups["3 … 5"].parameters == 3 * (20 + 8) and loops(drawing) == [("5/relu:1", "3/linear:1")]


def test_operations_between_modules():
    model = Stack(linears(4), lambda k, x: x.tanh())
    drawing = drawn(model, mg.randn(2, 4))
    assert rolled(drawing) == {"layers.0 … tanh:1": (4, "layers.3 … tanh:4")}


def test_operations_without_modules():
    h = x = mg.randn(2, 2, requires_grad=True)
    for _ in range(5):
        h = (h @ x).tanh() + 1
    drawing = viz.graph(h.sum())
    assert rolled(drawing) == {"matmul:1 … add:1": (5, "matmul:5 … add:5")}
    assert len(viz.graph((x.sin().sin().sin()).sum()).view.nodes) == 5  # too few for a box
    many = x
    for _ in range(1000):
        many = many.sin()
    node = viz.graph(many.sum()).view.nodes["sin:1"]
    assert node.repeat == 1000 and node.count == 1000


def test_repeats_in_repeats():
    inner = [[nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(3)] for _ in range(2)]
    model = nn.Sequential(*[nn.Sequential(*layers) for layers in inner])
    drawing = drawn(model, mg.randn(2, 4))
    assert rolled(drawing) == {"0": (2, "1"), "0.0": (3, "0.2")} and consistent(drawing.view)
    assert drawing.view.nodes["0.0.0/linear:1"].repeat == 6
    assert sorted((e.count, e.of) for e in drawing.view.edges if e.kind == "repeat") == [(1, "0"), (2, "0.0")]


def test_second_order():
    model, x = Stack(linears(5), lambda k, x: x.tanh()), mg.randn(2, 4, requires_grad=True)

    def penalty():
        [g] = mg.grad(model(x).sum(), [x], create_graph=True)
        return (g**2).sum()

    drawing = viz.graph(penalty, model)
    assert consistent(drawing.view) and len(drawing.view.nodes) < len(drawing.graph.nodes) / 2
    ids = [id for id in rolled(drawing) if id.startswith("backward")]
    assert ids and [id for id in rolled(drawing) if not id.startswith("backward")]


class Scaled(nn.Module):
    def __init__(self, factor=2.0, size=4, act=mg.tanh):
        super().__init__()
        self.fc, self.factor, self.act = nn.Linear(size, size), factor, act

    def forward(self, x):
        return self.act(self.fc(x) * self.factor) + x


@pytest.mark.parametrize(
    ("layers", "runs"),
    [
        (lambda: [Scaled()] * 6, {"layers.0": (6, "layers.0@6")}),
        (lambda: [Scaled() for _ in range(6)], {"layers.0": (6, "layers.5")}),
        (lambda: [*(Scaled() for _ in range(3)), Scaled(3.0), *(Scaled() for _ in range(2))], [3, 2]),
        (lambda: [*(Scaled() for _ in range(3)), Scaled(act=mg.sin), *(Scaled() for _ in range(2))], [3, 2]),
        (lambda: [Scaled(float(k)) for k in range(6)], []),
        (lambda: [Scaled()], []),
        (lambda: [nn.Linear(4, 4), nn.Linear(4, 4)], []),  # two single operations: a box would be no less
    ],
)
def test_what_is_alike(layers, runs):
    found = rolled(drawn(Stack(layers()), mg.randn(2, 4)))
    assert found == runs if isinstance(runs, dict) else [n for n, _ in found.values()] == runs


@pytest.mark.parametrize(
    ("taken", "runs"),
    [
        ([5], [6]),  # the last may be taken by others
        ([2], [3, 3]),  # one in between is the last of its run
        ([0, 1, 2, 3, 4, 5], [6]),  # all go to the same
        ([0, 1, 2], [3, 3]),
    ],
)
def test_who_takes_from_them(taken, runs):
    blocks = nn.ModuleList([Scaled() for _ in range(6)])

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = blocks

        def forward(self, x):
            found = []
            for k, block in enumerate(self.blocks):
                x = block(x)
                if k in taken:
                    found.append(x)
            return x.sum() + mg.cat(found).sum()

    drawing = drawn(Net(), mg.randn(2, 4))
    assert [n for n, _ in rolled(drawing).values()] == runs
    edges = [e for e in drawing.view.edges if e.target.endswith("cat:1")]
    assert sum(e.count for e in edges) == len(taken) and consistent(drawing.view)


@pytest.mark.filterwarnings("ignore:invalid value encountered in log")
def test_a_birth_is_not_rolled_away():
    def after(k, x):
        return (x * 0 - 1).log() if k == 7 else x

    drawing = drawn(Stack([Scaled() for _ in range(12)], after), mg.randn(2, 4))
    assert "born" in drawing.view.nodes["Stack/log:1"].marks
    assert next(iter(rolled(drawing).items())) == ("layers.0", (8, "layers.7"))
    marked = transformer(mark="blocks.7.attn/matmul:1")
    assert "blamed" in marked.view.nodes["blocks.7.attn/matmul:1"].marks
    assert rolled(marked) == {"blocks.0": (7, "blocks.6"), "blocks.8": (4, "blocks.11")}


def test_outputs_of_every_step_are_all_there():
    model = Stack([Scaled() for _ in range(4)])
    kept = []
    model.after = lambda k, x: (kept.append(x), x)[1]

    def run():
        kept.clear()
        model(mg.randn(2, 4))
        return list(kept)

    drawing = viz.graph(run, model)
    assert rolled(drawing) == {"layers.0": (4, "layers.3")} and drawing.view.outputs == ["layers.0/add:1"]
    assert drawing.view.nodes["layers.0/add:1"].marks["output"].endswith("3")


def test_colours_that_differ_stay_apart():
    layers = [Scaled(0.01) for _ in range(5)]
    for layer in layers:
        layer.act = lambda x: x.sigmoid() * 1e-3
    stack = Stack(layers, lambda k, x: x * 1e-2)
    assert rolled(drawn(stack, mg.randn(2, 4)))
    assert not rolled(drawn(stack, mg.randn(2, 4), color="grad_norm"))
    assert rolled(drawn(stack, mg.randn(2, 4), color="bytes"))


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ([], []),
        ([1], []),
        ([1, 1], [(0, 2, 1)]),
        ([1, 2, 1, 2, 1], [(0, 5, 2)]),
        ([7, 1, 2, 3, 1, 2, 3, 9], [(1, 7, 3)]),
        ([1, 1, 2, 2, 2], [(2, 5, 1), (0, 2, 1)]),
        ([1, 2, 3, 4], []),
    ],
)
def test_stretches_that_repeat(kinds, found):
    assert [r for r in repeats(kinds) if not any(r[2] % other[2] == 0 and r[2] > other[2] for other in found)] == found


# --- depth --------------------------------------------------------------------------------------------------------


def test_depth():
    counts = [len(transformer(depth=depth).view.nodes) for depth in range(6)]
    assert counts == sorted(counts) and counts[-1] == len(transformer().view.nodes)
    whole = transformer(depth=0)
    [module] = [n for n in whole.view.nodes.values() if n.kind == MODULE]
    graph = whole.graph
    assert module.id == module.label == "Transformer" and module.parameters == graph.groups["Transformer"].parameters
    assert module.shape == graph.nodes["head/linear:1"].shape and not whole.view.groups
    inside = [n for n in graph.nodes.values() if "Transformer" in graph.ancestors(n.group)]
    assert module.statistics["bytes"] == sum(n.statistics.get("bytes", 0) for n in inside)
    assert module.count == sum(n.kind == "operation" for n in inside)


def test_a_module_that_stands_for_twelve():
    drawing = transformer(depth=2)
    module = drawing.view.nodes["blocks.0"]
    assert (module.kind, module.repeat, module.label) == (MODULE, 12, "blocks.0 Block")
    assert loops(drawing) == [("blocks.0", "blocks.0")]
    each = [n for n in drawing.graph.nodes.values() if "blocks.5" in drawing.graph.ancestors(n.group)]
    assert module.statistics["bytes"] == sum(n.statistics.get("bytes", 0) for n in each)
    assert module.facts["operations"] == f"{sum(n.kind == 'operation' for n in each)} × 12"


def test_shared_weights_vanish_into_the_module_that_takes_them():
    for roll in (True, False):
        drawing = drawn(LSTM(), mg.randn(2, 3, 3), depth=1, roll=roll)
        kinds = [n.kind for n in drawing.view.nodes.values()]
        assert PARAMETER not in kinds and kinds.count(MODULE) == (1 if roll else 3)


def test_edges_between_modules_are_joined():
    drawing = drawn(LSTM(), mg.randn(2, 3, 3), depth=1, roll=False)
    assert [e.count for e in drawing.view.edges if (e.source, e.target) == ("cells.0", "cells.0@2")] == [2]


@pytest.mark.filterwarnings("ignore:invalid value encountered in log")
def test_a_birth_shows_on_the_module():
    model = nn.Sequential(nn.Linear(4, 4), Stack(linears(2), lambda k, x: (x * 0 - 1).log()))
    drawing = drawn(model, mg.randn(2, 4), depth=1)
    marks = drawing.view.nodes["1"].marks
    assert next(iter(marks)) == "born" and "NaN born here" in marks["born"]


def test_a_node_with_the_id_of_a_module():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)), mg.randn(2, 4, requires_grad=True)
    drawing = viz.graph(lambda: model(x).sum(), model, names={"0": x}, depth=1)
    assert {"0", "0/module", "1"} <= drawing.view.nodes.keys() and consistent(drawing.view)


def test_a_note_on_medians_where_statistics_are_shown():
    notes = {color: transformer(color=color).view.notes for color in (None, "bytes")}
    assert notes[None] == []
    assert notes["bytes"] == ["blocks marked × 12 are drawn once: their statistics are medians over all"]


def test_marks_of_several_operations_in_one():
    nodes = [Node(f"a/{i}", "operation", "sin", "a", marks={"infected": "NaN"}) for i in range(3)]
    nodes[0].marks["infected in backward"] = nodes[1].marks["infected in backward"] = "inf"
    graph = Graph({n.id: n for n in nodes}, groups={"a": Group("a", "Net", "", "a")})
    drawing = viz.Drawing(graph, Options(depth=0))
    assert "[3 operations have NaN]" in str(drawing) and "[2 operations have inf in the gradient]" in str(drawing)
    assert "3 operations have NaN" in drawing.source


# --- phases and parameters ----------------------------------------------------------------------------------------


def test_phases():
    model, x = Stack(linears(2), lambda k, x: x.tanh()), mg.randn(2, 4, requires_grad=True)

    def penalty():
        [g] = mg.grad(model(x).sum(), [x], create_graph=True)
        return (g**2).sum()

    phases = "forward", "backward", "both"
    forward, backward, both = (viz.graph(penalty, model, phase=p, roll=False).view for p in phases)
    assert {n.level for n in forward.nodes.values()} == {0} and not any("backward" in id for id in forward.groups)
    assert not any(n.label == "pow" for n in forward.nodes.values())  # which is computed of a gradient
    later = {id for id, n in both.nodes.items() if n.level}
    assert later and later == {id for id, n in backward.nodes.items() if n.level}
    assert not {e.target for e in backward.edges} & forward.nodes.keys() and backward.outputs == both.outputs
    assert all(consistent(g) for g in (forward, backward, both))
    collapsed = viz.graph(penalty, model, depth=0).view
    assert {"Stack", "backward/Stack"} <= collapsed.nodes.keys()


def test_there_is_no_backward_to_show():
    drawing = viz.graph(mg.ones(2, requires_grad=True).sum(), phase="backward")
    assert not drawing.view.nodes and "create_graph" in drawing.view.notes[-1] and drawing.source


def test_without_parameters():
    drawing = transformer(parameters=False)
    assert not any(n.kind == PARAMETER for n in drawing.view.nodes.values())
    assert drawing.view.nodes["head/linear:1"].facts["weight"] == "head.weight 10×8"


# --- budget -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "depth"), [(290, 4), (100, 3), (30, 2), (10, 1)])
def test_deep_modules_are_collapsed_first(most, depth):
    drawing = transformer(roll=False, max_nodes=most)
    assert len(drawing.view.nodes) <= most and consistent(drawing.view)
    note = f"modules are collapsed to depth {depth}, to show at most {most} of {len(drawing.graph.nodes)} nodes"
    assert any(note in text for text in drawing.view.notes)


def chain(n, x=None):
    h = x = mg.randn(2, requires_grad=True) if x is None else x
    for k in range(n):
        h = h * (k + 2) if k % 3 else h.sin()
    return h


@pytest.mark.parametrize("most", [2, 3, 4, 5, 10, 50, 300])
def test_a_stub_in_place_of_a_stretch(most):
    drawing = viz.graph(chain(500).sum(), max_nodes=most)
    view = drawing.view
    stubs = [n for n in view.nodes.values() if n.kind == STUB]
    assert len(view.nodes) <= most and len(stubs) == 1 and consistent(view)
    hidden = len(drawing.graph.nodes) - len(view.nodes) + 1
    assert stubs[0].label == f"… {hidden} more" and stubs[0].count == hidden - ("leaf" not in view.nodes)
    assert any(f"{hidden} of {len(drawing.graph.nodes)} nodes are left out" in note for note in view.notes)
    assert view.outputs == drawing.graph.outputs or most == 2


def test_marked_nodes_and_outputs_stay():
    a = chain(100)
    b = chain(100, a)
    drawing = viz.graph([a, b], max_nodes=20, mark=["sin:10", "mul:100"])
    view = drawing.view
    assert {"sin:10", "mul:100", *drawing.graph.outputs} <= view.nodes.keys() and len(view.nodes) <= 20
    assert [n.kind for n in view.nodes.values()].count(STUB) >= 3
    places = {id: i for i, id in enumerate(view.nodes)}
    assert all(places[e.source] < places[e.target] for e in view.edges)


def test_more_marked_nodes_than_there_is_room_for():
    x = mg.randn(2, requires_grad=True)
    drawing = viz.graph([x * k for k in range(100)], max_nodes=20)
    assert len(drawing.view.nodes) <= 20
    assert any("outputs or marked nodes are among those that are left out" in note for note in drawing.view.notes)


@pytest.mark.parametrize("n", [20_000])
def test_long_chains_are_drawn_without_recursion(n):
    x = mg.randn(2, requires_grad=True)
    drawing = viz.graph(chain(n, x).sum())
    assert len(drawing.view.nodes) <= 300


def test_wide_graphs():
    x = mg.randn(2, requires_grad=True)
    drawing = viz.graph(mg.stack([x * k for k in range(3000)]).sum(), max_nodes=50)
    assert len(drawing.view.nodes) <= 50 and consistent(drawing.view)


def test_how_far_edges_reach():
    names = "abcde"
    graph = Graph({id: Node(id, "operation", id) for id in (*names, "x")})
    graph.edges = [Edge(a, b) for a, b in itertools.pairwise(names)]
    assert reach(graph) == 0
    graph.edges.append(Edge("x", "d"))  # stands at c
    assert reach(graph) == 0
    graph.edges += [Edge("x", "b"), Edge("a", "e"), Edge("e", "a", kind="repeat")]
    assert reach(graph) == 2 + 3 and reach(Graph()) == 0
    long = viz.graph(chain(200)).graph
    assert "nslimit" not in viz.Drawing(long, Options()).source
    long.edges += [Edge("leaf", id) for id in list(long.nodes)[2::4]]
    assert "splines=line" in viz.Drawing(long, Options()).source.replace('"', "")


# --- the graph that was given -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"depth": 1}, {"roll": False, "max_nodes": 50}, {"max_nodes": 5}, {"parameters": False}, {"phase": "forward"}],
)
def test_the_graph_is_not_changed(options):
    graph = transformer().graph
    before = copy.deepcopy(graph)
    once, again = (view(graph, Options(**options)).to_json() for _ in range(2))
    assert graph == before and once == again


@given(data())
@settings(max_examples=150)
def test_nothing_is_lost_or_made_up(data):
    """Random graphs of nested blocks, some of them alike: all operations are counted, and edges lead between them."""
    graph = Graph(outputs=["n0"], nodes={"n0": Node("n0", "operation", "add")})
    names = ["n0"]
    loose = data.draw(integers(0, 2))

    def leaf(group):
        id = f"p{len(graph.nodes)}"
        graph.nodes[id] = Node(id, "parameter", id, group, (2,), parameters=2)
        return id

    def fill(group, depth, seed):
        rng = random.Random(seed)
        for k in range(rng.randint(1, 3)):
            if depth < 3 and rng.random() < 0.6:
                kind, inner, times = rng.choice("AB"), rng.random(), rng.randint(1, 3)
                for t in range(times):
                    id = f"{group}.{k}{t}"
                    graph.groups[id] = Group(id, kind, group, id)
                    fill(id, depth + 1, inner)
            else:
                id = f"n{len(graph.nodes)}"
                graph.nodes[id] = Node(
                    id, "operation", rng.choice(["add", "mul"]), group, (2,), level=int(loose > 1 and k > 1)
                )
                graph.edges.append(Edge(names[-1], id, "a"))
                if rng.random() < 0.5:
                    graph.edges.append(Edge(leaf(group), id, "b"))
                if loose and data.draw(integers(0, 9)) == 0:
                    graph.edges.append(Edge(data.draw(sampled_from(names)), id, "c"))
                names.append(id)

    fill("", 0, data.draw(integers(0, 1000)))
    graph.outputs.append(names[-1])
    before, count = copy.deepcopy(graph), sum(n.kind == "operation" for n in graph.nodes.values())
    for options in ({}, {"depth": 1}, {"max_nodes": 4}, {"roll": False, "max_nodes": 7}, {"depth": 0}):
        found = view(graph, Options(**options))
        assert graph == before and consistent(found)
        assert sum(n.count for n in found.nodes.values() if n.kind not in LEAVES) == count
        assert len(found.nodes) <= Options(**options).max_nodes
        # What is drawn is still one piece: everything but the first is taken from or takes.
        ends = {id for e in found.edges for id in (e.source, e.target)}
        assert len(found.nodes) == 1 or found.nodes.keys() <= ends
    same = viz.diff(graph, before)
    assert same.equal and consistent(same.view)


@pytest.mark.parametrize("options", [{}, {"depth": 0}, {"max_nodes": 2}, {"phase": "backward"}, {"parameters": False}])
def test_small_graphs(options):
    for graph in (Graph(), Graph({"x": Node("x", "leaf", "x")}, outputs=["x"])):
        found = view(graph, Options(**options))
        assert consistent(found) and len(found.nodes) <= 1


def test_odd_names():
    nodes = {id: Node(id, "operation", id) for id in ("a\n", '"', "…", "\0", "é/…", "x … y")}
    edges = [Edge(a, b) for a, b in zip(nodes, list(nodes)[1:], strict=False)]
    found = view(Graph(nodes, edges, outputs=["…"]), Options(max_nodes=3))
    assert consistent(found) and len(found.nodes) <= 3 and "…" in found.nodes


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz; the other tests look at graphs")
def test_pictures():
    assert b"Block" in transformer().render("svg")
