"""Pictures as DOT and as text: what is a box and what stands in it, what marks and colours say; all can be read."""

import math
import re

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.viz import style
from minigrad.viz.drawing import Drawing, Options
from minigrad.viz.model import (
    DETACHED,
    INPUT,
    KINDS,
    LEAF,
    MODULE,
    OPERATION,
    PARAMETER,
    STATISTICS,
    STUB,
    Edge,
    Graph,
    Group,
    Node,
    Saved,
)
from minigrad.viz.pictures.dot import LABELLED, digraph
from minigrad.viz.style import DARK, MARKS, Scale, cividis, ink_on, number
from minigrad.viz.words import ident


def graph_of(nodes, edges=(), groups=(), **fields):
    return Graph({n.id: n for n in nodes}, [*edges], {g.id: g for g in groups}, **fields)


def layer(id="fc", group="fc", **fields):
    """A linear layer with its parameters, as a module in which one operation ran."""
    nodes = [
        Node(f"{id}/linear:1", OPERATION, "linear", group, (2, 4), "float32", **fields),
        Node(f"{id}.weight", PARAMETER, "weight", group, (4, 3), "float32", parameters=12),
        Node(f"{id}.bias", PARAMETER, "bias", group, (4,), "float32", parameters=4),
    ]
    edges = [Edge(f"{id}.weight", f"{id}/linear:1", "weight"), Edge(f"{id}.bias", f"{id}/linear:1", "bias")]
    return nodes, edges, [Group(group, "Linear", "", f"model.{id}", 16)]


def source(graph, **options):
    return digraph(graph, Options(**options)).source


def line(text, id):
    """The line of a node or a cluster."""
    (found,) = [x for x in text.splitlines() if x.strip().startswith(f'"{id}" [') or x.strip().endswith(f'"{id}" {{')]
    return found


def words(text):
    """A line's label without its HTML."""
    label = re.search(r"label=<(.*?)> \w+=", text)[1] if "label=<" in text else text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", label)).strip()


def attribute(text, name):
    found = re.search(rf'\b{name}="([^"]*)"', text)
    return found and found[1]


# --- boxes -------------------------------------------------------------------------------------------------------


def test_a_layer_is_one_box():
    text = source(graph_of(*layer()))
    assert words(line(text, "fc/linear:1")) == "fc Linear 2×4 weight 4×3 bias 4"
    assert "cluster" not in text and "->" not in text and '"fc.weight" [' not in text
    tooltip = attribute(line(text, "fc/linear:1"), "tooltip")
    assert tooltip.split("\\n") == ["fc/linear:1; 2×4 float32", "fc.weight; 4×3 float32", "fc.bias; 4 float32"]


@pytest.mark.parametrize(
    ("change", "apart"),
    [
        (lambda g: g.nodes["fc.weight"].marks.update({"born": "NaN came in here"}), "weight"),
        (lambda g: g.edges[0].marks.update({"added": ""}), "weight"),
        (lambda g: g.edges.append(Edge("fc.weight", "y")), "weight"),
        (lambda g: setattr(g.edges[0], "kind", "detached"), "weight"),
        (lambda g: setattr(g.nodes["fc.weight"], "group", "other"), "weight"),
        (lambda g: setattr(g.nodes["fc.weight"], "kind", LEAF), "weight"),
        (lambda g: [g.nodes.update({k: Node(k, PARAMETER, k, "fc")}) for k in ("one", "two", "six")], "one"),
    ],
)
def test_a_parameter_with_more_to_say_is_a_box_itself(change, apart):
    graph = graph_of(*layer())
    graph.groups["other"] = Group("other", "Other", "", "model.other")
    graph.nodes["y"] = Node("y", OPERATION, "sin")
    change(graph)
    for k in ("one", "two", "six"):
        if k in graph.nodes:
            graph.edges.append(Edge(k, "fc/linear:1"))
    text = source(graph)
    id = apart if apart in graph.nodes else f"fc.{apart}"
    assert line(text, id) and f'"{id}" -> "fc/linear:1"' in text
    assert apart not in words(line(text, "fc/linear:1"))


@pytest.mark.parametrize("takers", [2, 6, 7, 28])
def test_a_parameter_that_many_take_is_a_line_in_each(takers):
    nodes = [Node(f"net/mul:{i}", OPERATION, "mul", "net", (2,)) for i in range(takers)]
    weight, other = (Node(k, PARAMETER, k, "net", (2,), "float32", parameters=2) for k in ("weight", "other"))
    edges = [Edge("weight", n.id, "b") for n in nodes]
    graph = graph_of([weight, *nodes], edges, [Group("net", "Net", "", "net", 2)])
    text = source(graph)
    assert text.count('"weight" -> ') == (takers if takers <= 6 else 0)
    assert [words(line(text, n.id)) for n in nodes] == ["mul 2" + (" weight 2 (shared)" if takers > 6 else "")] * takers
    graph.nodes["other"] = other
    graph.edges += [Edge("other", "net/mul:0", "a")] * 4
    if takers > 6:  # too many in one: it is a box for all of them
        graph.edges += [Edge(f"p{i}", "net/mul:0") for i in range(4)]
        graph.nodes |= {f"p{i}": Node(f"p{i}", PARAMETER, f"p{i}", "net") for i in range(4)}
        assert source(graph).count('"weight" -> ') == takers


def test_a_parameter_around_a_call_is_a_line_too():
    """As in one call drawn for several of a cell: its parameters are placed around all of them."""
    nodes, edges, _ = layer("cell.hidden", "cell.hidden@2")
    groups = [Group("LSTM", "LSTM", "", "model"), Group("cell.hidden@2", "Linear", "LSTM", "model.cell.hidden")]
    for n in nodes[1:]:
        n.group, n.label = "LSTM", f"cell.hidden.{n.label}"
    text = source(graph_of(nodes, edges, groups))
    assert words(line(text, "cell.hidden/linear:1")) == "cell.hidden@2 Linear 2×4 weight 4×3 bias 4"


def test_a_constant_made_in_a_module_is_a_line_and_an_input_is_a_box():
    mask, mul = Node("mask", INPUT, "mask", "drop", (2, 3), "float32"), Node("mul", OPERATION, "mul", "drop", (2, 3))
    graph = graph_of([mask, mul, Node("x", INPUT, "x", shape=(2, 3))], [Edge("x", "mul"), Edge("mask", "mul")])
    graph.groups["drop"] = Group("drop", "Dropout", "", "model.drop")
    text = source(graph)
    assert words(line(text, "mul")) == "drop Dropout mul 2×3 mask 2×3"
    assert '"x" -> "mul"' in text and attribute(line(text, "x"), "shape") == "ellipse"


def test_clusters_hold_what_ran_in_them():
    nodes = [Node(f"a.{i}/sin:1", OPERATION, "sin", f"a.{i}") for i in range(2)]
    nodes.append(Node("a.1/cos:1", OPERATION, "cos", "a.1"))
    groups = [Group("a", "Net", "", "model.a", 5), Group("a.0", "Sin", "a", "model.a.0")]
    groups += [Group("a.1", "Two", "a", "model.a.1"), Group("empty", "Nothing", "a", "model.empty")]
    text = source(graph_of(nodes, groups=groups))
    assert text.count("subgraph") == 2 == text.count("cluster_a") / 2 and "empty" not in text
    assert words(line(text, "a.0/sin:1")) == "0 Sin", "the name in a cluster is short, and Sin says sin"
    inner = text[text.index('subgraph "cluster_a.1"') :]
    assert inner.index('"a.1/cos:1"') < inner.index("}") and inner.count("}") == 3
    titles = [words(x) for x in text.splitlines() if 'class="module"' in x]
    assert titles == ["a Net 5 parameters", "1 Two"]
    assert "5 parameters" not in source(graph_of(nodes, groups=groups), parameters=False)


def test_modules_nested_deeper_than_python_calls():
    depth = 3000
    groups = [Group(f"g{i}", "Block", f"g{i - 1}" if i else "", f"g{i}") for i in range(depth)]
    graph = graph_of([Node("x", OPERATION, "sin", f"g{depth - 1}"), Node("y", OPERATION, "cos", f"g{depth - 1}")])
    graph.groups = {g.id: g for g in groups}
    drawn = Drawing(graph, Options(roll=False))
    drawn.view = graph
    assert drawn.source.count("{") == drawn.source.count("}") == depth + 1 and str(drawn).count("\n") == depth + 2


def test_a_backward_is_set_apart():
    groups = [Group("backward", "backward", "", "backward"), Group("backward/fc", "Linear", "backward", "fc", 16)]
    nodes = [Node(f"backward/fc/{name}", OPERATION, name, "backward/fc", level=1) for name in ("matmul", "sum")]
    text = source(graph_of(nodes, groups=groups))
    assert f'bgcolor="{style.BACKWARD}"' in text and "16 parameters" not in text


def test_repeats():
    groups = [Group("blocks.0", "Block", "", "model.blocks.0", 12, repeat=12, last="blocks.11")]
    nodes = [Node(f"blocks.0/{name}", OPERATION, name, "blocks.0", repeat=n) for name, n in (("a", 12), ("b", 24))]
    nodes.append(Node("c", OPERATION, "c", repeat=3))
    loop = Edge("blocks.0/b", "blocks.0/a", kind="repeat", count=11)
    text = source(graph_of(nodes, [loop], groups))
    assert "× 12, to blocks.11<" in text and ">12 parameters<" in text, "as one module, called 12 times"
    assert [words(line(text, n.id)) for n in nodes] == ["a", "b × 24", "c × 3"], "what the block says is not repeated"
    (edge,) = [x for x in text.splitlines() if '"blocks.0/b" -> "blocks.0/a"' in x]
    assert 'style="dashed"' in edge and 'constraint="false" tailport="e"' in edge and "label=" not in edge
    assert "repeat × 11" in attribute(edge, "tooltip") and "from one repeat to the next" in text
    outline = str(Drawing(graph_of(nodes, [loop], groups), Options(roll=False)))
    assert "blocks.0 Block  × 12, to blocks.11" in outline and "(repeat, × 11)" in outline


def test_parameters_of_repeats_are_told_of_one_and_how_many():
    groups = [
        Group("b.0", "Block", "", "model.b.0", 120, repeat=12, modules=12, last="b.11"),
        Group("b.0.c", "Inner", "b.0", "model.b.0.c", 72, repeat=3, modules=36, last="b.0.e"),
        Group("b.0.s", "Shared", "b.0", "model.s", 7),
        Group("b.0.o", "Odd", "b.0", "model.b.0.o", 13, modules=12),
    ]
    nodes = [Node(f"{g.id}/{k}", OPERATION, k, g.id) for g in groups for k in ("sin", "cos")]
    nodes.append(Node("m", MODULE, "m", "b.0", parameters=24, modules=12, repeat=12))
    graph = graph_of(nodes, groups=groups)
    text = source(graph)
    titles = [words(x) for x in text.splitlines() if x.endswith(' class="module"')]
    assert titles == [
        "b.0 Block × 12, to b.11 12 × 10 parameters",
        "c Inner × 3, to e 3 × 2 parameters",
        "s Shared 7 parameters",
        "o Odd 13 parameters in all",
    ]
    assert words(line(text, "m")) == "m 2 parameters"
    outline = str(Drawing(graph, Options(roll=False)))
    assert "× 12, to b.11  12 × 10 parameters" in outline and "3 × 2 parameters" in outline


# --- what stands in a box ----------------------------------------------------------------------------------------

NODE = {
    "shape": (2, 3),
    "dtype": "float64",
    "place": "net.py:3: y = x.exp()",
    "saved": [Saved("output", (2, 3), "float64", 48), Saved("input x", (2, 3), "float64", 48, first=False)],
    "statistics": {"mean": 0.5, "bytes": 48},
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "exp 2×3 float64"),
        ({"shapes": False}, "exp"),
        ({"shapes": False, "dtypes": True}, "exp float64"),
        ({"lines": True, "shapes": False}, "exp net.py:3 y = x.exp()"),
        ({"saved": True, "shapes": False}, "exp keeps output 2×3: 48 B keeps input x 2×3: kept already"),
        ({"color": "mean", "shapes": False}, "exp mean 0.5"),
        ({"color": "bytes", "shapes": False}, "exp keeps 48 B"),
        ({"color": "grad_norm", "shapes": False}, "exp"),
    ],
)
def test_options(options, expected):
    node = Node("exp", OPERATION, "exp", **NODE)
    assert words(line(source(graph_of([node]), **options), "exp")) == expected
    outline = str(Drawing(graph_of([node]), Options(**options)))
    for word in expected.split():
        assert word in outline


@pytest.mark.parametrize(
    ("dtype", "options", "expected"),
    [
        ("float32", {}, "x 3"),
        ("float32", {"dtypes": True}, "x 3 float32"),
        ("int64", {}, "x 3 int64"),
        ("", {"dtypes": True}, "x 3"),
    ],
)
def test_the_usual_dtype_goes_without_saying(dtype, options, expected):
    assert (
        words(line(source(graph_of([Node("x", OPERATION, "x", shape=(3,), dtype=dtype)]), **options), "x")) == expected
    )


def test_every_kind_is_drawn_and_explained():
    shapes = {}
    for kind in KINDS:
        node = Node("x", kind, "name", shape=(2,), dtype="float32", parameters=1200)
        text = source(graph_of([node, Node("y", MODULE, "y")]))
        shapes[kind] = attribute(line(text, "x"), "shape"), "rounded" in line(text, "x")
        assert style.KINDS[kind][3] in text and attribute(line(text, "x"), "class") == kind
        assert ("1 200 parameters" in text) == (kind in (MODULE, STUB, INPUT, DETACHED))
        assert f'"{style.KINDS[kind][0]}"' in line(text, "x")
    alike = {tuple(k for k in KINDS if shapes[k] == shape) for shape in shapes.values()}
    assert {k for k in alike if len(k) > 1} == {(LEAF, INPUT)}, "without colours, these two alone look alike"


def test_a_legend_of_colours_shows_no_colour_of_a_kind_that_is_not_there():
    nodes = [Node("a", OPERATION, "a", statistics={"mean": 1.0}), Node("w", PARAMETER, "w"), Node("x", INPUT, "x")]
    plain = source(graph_of(nodes)).splitlines()[1]
    coloured = source(graph_of(nodes), color="mean").splitlines()[1]
    assert ">operation<" in plain and ">operation<" not in coloured and ">parameter<" in coloured
    nodes[1].statistics = nodes[2].statistics = {"mean": 2.0}
    coloured = source(graph_of(nodes), color="mean").splitlines()[1]
    assert ">parameter<" not in coloured and f'bgcolor="{style.KINDS[INPUT][0]}"' not in coloured
    assert style.KINDS[INPUT][3] in coloured and f'bgcolor="{style.KINDS[INPUT][0]}"' in plain


def test_the_legend_tells_what_is_there_only():
    text = source(graph_of([Node("a", OPERATION, "a"), Node("b", LEAF, "b")]))
    assert style.KINDS[LEAF][3] in text and style.KINDS[STUB][3] not in text and "birth" not in text
    assert "label=" not in source(graph_of([Node("a", OPERATION, "a")])).splitlines()[1], "it explains itself"
    assert "label=" not in source(graph_of([Node("a", OPERATION, "a")]), legend=False).splitlines()[1]
    noted = graph_of([Node("a", OPERATION, "a")], title="Net", notes=["unrecorded " * 20, ""])
    head = source(noted, legend=False).splitlines()[1]
    assert "<b>Net</b>" in head and head.count("unrecorded") == 20 and head.count("<tr>") > 3
    noted.groups["Net"] = Group("Net", "Net")
    assert "<b>Net</b>" not in source(noted).splitlines()[1], "the box around it says so"


# --- marks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", MARKS)
def test_every_mark_is_told_in_words_shapes_and_the_legend(mark):
    graph = graph_of([Node("a", OPERATION, "a", marks={mark: "NaN"}), Node("b", OPERATION, "b")])
    text = source(graph)
    marked, plain = line(text, "a"), line(text, "b")
    assert attribute(marked, "color") == MARKS[mark][0] and MARKS[mark][2] in text
    looks = [[attribute(x, k) for k in ("shape", "style", "peripheries", "penwidth")] for x in (marked, plain)]
    assert looks[0] != looks[1] and "NaN" in words(marked) and "NaN" in str(Drawing(graph, Options()))
    assert mark.replace(" ", "-") in attribute(marked, "class").split()


def test_births_and_what_they_infect_differ_without_colours():
    marks = {"born": "NaN born here, in 3 of 8 elements", "infected": "NaN", "output": "loss"}
    text = source(graph_of([Node(k, OPERATION, k, marks={k: v}) for k, v in marks.items()]))
    looks = {k: tuple(attribute(line(text, k), x) for x in ("shape", "style", "peripheries")) for k in marks}
    assert looks == {
        "born": ("box", None, "2"),
        "infected": ("box", "filled,rounded,dashed", None),
        "output": ("box", "filled,rounded", "2"),
    }
    told = ["born NaN born here, in 3 of 8 elements", "infected has NaN", "output output: loss"]
    assert [words(line(text, k)) for k in marks] == told


def test_long_marks_are_wrapped():
    finding = "the gradient of x is wrong in 3 of 8 elements, " * 3 + "the end"
    text = source(graph_of([Node("a", OPERATION, "a", marks={"blamed": f"gradcheck: {finding}"})]))
    label = re.search(r"label=<(.*?)> \w+=", line(text, "a"))[1]
    assert words(line(text, "a")) == f"a gradcheck: {finding}", "nothing is cut"
    assert max(len(re.sub("<[^>]*>", "", x)) for x in label.split("<br/>")) <= 36


def test_numbers_in_place_of_operands_and_outputs_of_several_are_told():
    x = mg.randn(4, 3, requires_grad=True)
    drawing = viz.graph(lambda: ((x - 1) ** 2).unbind(1)[2] / 4)
    text = drawing.source
    assert [words(line(text, id)) for id in ("sub:1", "pow:1")] == ["sub b=1 4×3", "pow n=2 4×3"]
    assert words(line(text, "div:1")).startswith("div b=4 4") and re.search(r'-> "div:1" .*label=" output 2 "', text)


def test_a_planted_nan_is_seen():
    class Careless(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.after = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.after((self.before(x) - 100).log())

    model, x = Careless(), mg.ones(2, 3)
    with np.errstate(invalid="ignore"):
        drawing = viz.graph(lambda: model(x).sum(), model)
    marked = [n for n in drawing.view.nodes.values() if n.marks]
    looks = {n.label: attribute(line(drawing.source, ident(n.id)), "class") for n in marked}
    assert looks["log"] == "operation born" and "NaN born here" in line(drawing.source, "Careless/log:1")
    assert looks["linear"] == looks["sum"] == "operation infected"


def test_marks_of_groups_and_edges():
    nodes, edges, groups = layer()
    nodes.append(Node("y", OPERATION, "y", "fc"))
    groups[0].marks = {"added": ""}
    edges = [*edges, Edge("fc/linear:1", "y", marks={"removed": "was there"}), Edge("y", "y", kind="detached", count=2)]
    text = source(graph_of(nodes, edges, groups))
    assert "added" in text and f'color="{MARKS["added"][0]}" fontcolor' in text
    assert re.search(r'"fc/linear:1" -> "y" .*style="dashed" label=" removed: was there "', text)
    assert re.search(r'"y" -> "y" .*label=" detached × 2 "', text)


# --- colours -----------------------------------------------------------------------------------------------------


def luminance(colour):
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    bright, dim = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_text_can_be_read_in_light_and_dark():
    for t in range(101):
        colour = cividis(t / 100)
        assert contrast(colour, ink_on(colour)) >= 4.5 and ink_on(colour) not in DARK and colour not in DARK
    fills = [style.PAPER, style.ALERT, style.BACKWARD, *(fill for fill, *_ in style.KINDS.values())]
    for fill in fills:
        assert contrast(fill, style.INK) >= 7 and contrast(DARK[fill], DARK[style.INK]) >= 7
    for paper in (style.PAPER, style.BACKWARD):
        assert contrast(paper, style.GREY) >= 4.5 and contrast(DARK[paper], DARK[style.GREY]) >= 4.5
    borders = [border for _, border, *_ in style.KINDS.values()] + [colour for colour, *_ in MARKS.values()]
    assert set(borders) <= set(DARK), "each follows the theme"
    assert len(set(DARK.values())) == len(DARK)


@pytest.mark.parametrize(
    ("values", "log", "places"),
    [
        ([1, 2, 3], False, [0, 0.5, 1]),
        ([1e-8, 1e-4, 1], True, [0, 0.5, 1]),
        ([0.0, 1e-4, 1], True, [0, 0, 1]),
        ([-3.0, 1.0, 2.0], False, [1, 0, 0.5]),
        ([5.0, 5.0], False, [0.5, 0.5]),
        ([0.0, 0.0], False, [0.5, 0.5]),
        ([math.nan, 1.0, 2.0], False, [1, 0, 1]),
        ([math.inf], False, [1]),
        ([], False, []),
        ([5e-324, 1e308], True, [0, 1]),
    ],
)
def test_scales(values, log, places):
    scale = Scale(values)
    assert scale.log == log and [scale.at(v) for v in values] == pytest.approx(places)
    assert all(re.fullmatch("#[0-9a-f]{6}", scale.colour(v)) for v in values)
    assert scale.colour(math.nan) == style.PAPER


def test_vanishing_gradients_are_seen():
    layers = [layer for _ in range(6) for layer in (nn.Linear(8, 8), nn.Sigmoid())]
    model, x, y = nn.Sequential(*layers), mg.randn(4, 8), mg.arange(4)
    drawing = viz.graph(lambda: F.cross_entropy(model(x), y), model, color="grad_norm", roll=False)
    fills = [attribute(line(drawing.source, f"{i}/linear:1"), "fillcolor") for i in range(0, 12, 2)]
    brightness = [luminance(fill) for fill in fills]
    assert brightness == sorted(brightness) and contrast(fills[0], fills[-1]) > 3
    assert "logarithmic" in drawing.source and "linear" not in words(line(drawing.source, "0/linear:1"))
    assert re.fullmatch(r"0 Linear 4×8 grad \S+ .*", words(line(drawing.source, "0/linear:1")))


def test_what_has_no_number_has_the_colour_of_its_kind():
    nodes = [
        Node("a", OPERATION, "a", statistics={"mean": math.nan}),
        Node("b", OPERATION, "b", statistics={"mean": 1.0}),
    ]
    text = source(graph_of([*nodes, Node("c", OPERATION, "c")]), color="mean")
    assert [attribute(line(text, k), "fillcolor") for k in "ac"] == [style.KINDS[OPERATION][0]] * 2
    assert "mean NaN" in words(line(text, "a")) and "coloured" in attribute(line(text, "b"), "class")
    assert f"{STATISTICS['mean'][0]}: 1 everywhere" in text


@pytest.mark.parametrize(
    ("x", "unit", "text"),
    [
        (0.0, "", "0"),
        (1.2345e-7, "", "1.23e-07"),
        (math.nan, "", "NaN"),
        (-math.inf, "s", "-inf"),
        (0, "B", "0 B"),
        (999, "B", "999 B"),
        (999_900, "B", "1 MB"),
        (12_345, "B", "12.3 kB"),
        (5e9, "B", "5 GB"),
        (2e-7, "s", "0.2 µs"),
        (0.00999, "s", "9.99 ms"),
        (90.0, "s", "90 s"),
    ],
)
def test_numbers(x, unit, text):
    assert number(x, unit) == text


# --- edges -------------------------------------------------------------------------------------------------------


def chain(n):
    nodes = [Node(f"n{i}", OPERATION, "sin") for i in range(n)]
    return graph_of(nodes, [Edge(f"n{i}", f"n{i + 1}", "x", (2,), "float32", grad_norm=10.0**-i) for i in range(n - 1)])


def test_gradients_at_edges():
    text = source(chain(4), gradients=True)
    assert re.search(r'"n0" -> "n1" \[tooltip="x 2 float32" weight="4" penwidth="3.5" label=" grad 1 "\]', text)
    assert re.search(r'"n2" -> "n3" .* penwidth="0.5" label=" grad 0.01 "\]', text)
    assert "norm of the gradient that flows back" in text
    assert "grad " not in source(chain(4)) and "(grad 0.01)" in str(Drawing(chain(4), Options(gradients=True)))


def test_labels_at_edges_are_left_out_of_large_graphs():
    assert "grad 1 " in source(chain(LABELLED), gradients=True)
    text = source(chain(LABELLED + 1), gradients=True)
    assert "grad 1 " not in text and 'penwidth="3.5"' in text


# --- in plain text -----------------------------------------------------------------------------------------------


def test_the_outline():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(4, 2))
    x = mg.ones(2, 3, dtype=mg.float32)
    drawing = viz.graph(lambda: model(x).sum(), model, names={"x": x})
    assert str(drawing) == (
        "x  2×3  input without a gradient\n"
        "Sequential  26 parameters\n"
        "  0 Sequential  16 parameters\n"
        "    0 Linear  16 parameters\n"
        "      weight  4×3  parameter\n"
        "      bias  4  parameter\n"
        "      linear:1  2×4  ← x, weight, bias\n"
        "    1 Tanh\n"
        "      tanh:1  2×4  ← x: 0.0/linear:1\n"
        "  1 Linear  10 parameters\n"
        "    weight  2×4  parameter\n"
        "    bias  2  parameter\n"
        "    linear:1  2×2  ← x: 0.1/tanh:1, weight, bias\n"
        "sum:1  number  ← x: 1/linear:1  [output]\n"
    )


def test_a_text_of_nothing():
    assert str(Drawing(Graph(), Options())) == "nothing was recorded\n"
    assert "digraph" in source(Graph()) and "label=" not in source(Graph())
    assert str(Drawing(Graph(title="Net", notes=["a note"]), Options())) == "Net\nnothing was recorded\na note\n"


def test_a_leaf_alone():
    x = mg.ones(2, requires_grad=True)
    text = viz.graph(x).source
    assert text.count(" [label") == 1 and style.KINDS[LEAF][3] in text and "->" not in text
