"""Names in pictures: whatever a name holds, the DOT text renders, the SVG is XML that shows it, and ids stay apart."""

import re
import shutil
import sysconfig
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, viz
from minigrad.viz.drawing import Drawing, Options
from minigrad.viz.model import INPUT, OPERATION, PARAMETER, Edge, Graph, Group, Node
from minigrad.viz.pictures.dot import JOINER, digraph
from minigrad.viz.pictures.render import VARIABLE, render
from minigrad.viz.words import LONGEST, ident, own_name, printable, short

SVG = "{http://www.w3.org/2000/svg}"
TITLE = "{http://www.w3.org/1999/xlink}title"
PROGRAMS = {
    "dot": shutil.which("dot"),
    "graphviz-pure": shutil.which("graphviz-pure", path=sysconfig.get_path("scripts")) or shutil.which("graphviz-pure"),
}
renderers = pytest.mark.parametrize(
    "program",
    [
        pytest.param(p, marks=pytest.mark.skipif(p is None, reason=f"{n} is not here"), id=n)
        for n, p in PROGRAMS.items()
    ],
)

NASTY = [
    *("", " ", "  ", " \xa0", "node", "graph", "strict", "a:b", "a:n", "x->y", "%", "%0A", "100%", "&", "&amp;"),
    *('"', '"quoted"', "back\\", "\\N", "\\n", "\\\\", "\\L\\G", "<", "<b>", "</table>", "<<i>>", "{", "{a|b}", "|"),
    *("a\nb", "a\r\nb", "\t", "\x00", "\x1b[31m", "\x7f", "\x85", "\ud800", "\udc80x", "\ufffe", "\uffff", "␊"),
    *("\ufffd", "naïve", "Ω₀", "שלום", "\u202eabc", "\u2066x\u2069", "👩\u200d👩\u200d👧", "🇩🇪", "e\u0301", "\u200b"),
    *("x\u0308\u031b", "\ufeff", "\U0001d509", "\U0010ffff", "a" * 5000, "long name " * 300, "--", "<!--", "]]>", "`"),
    *("&lt;b&gt;", "#", "/", "//", "/*", "0", "-1.5", ";", "]", "&#x41;", "=", "=1+1", "<?xml", "'", "$x"),
]  # fmt: skip
names = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=()), max_size=12),
    st.text('"<>&\\{}|%:;\n\r\x00#[]=-/ a', max_size=8),
)
classes = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1)
several = st.lists(names, min_size=1, max_size=6, unique=True)
OPTIONS = Options(lines=True, saved=True, gradients=True, color="mean")


def made_of(names):
    """A graph in which these are the names of everything that has one: an id, labels, modules, facts, lines, notes."""
    graph = Graph(title=names[0], notes=[*names])
    group = ""
    for i, name in enumerate(names):
        if i % 2 and name:  # the innermost of several, one in another
            graph.groups[name] = Group(name, names[i - 1], group, name, parameters=3)
            group = name
        node = Node(name, OPERATION, name, group, (2, 3), "float32", facts={name: name}, place=f"{name}: {name}")
        node.marks = {"output": name} if i == 0 else {}
        node.statistics = {"mean": float(i)}
        graph.nodes[name] = node
    for a, b in pairwise(names):
        graph.edges.append(Edge(a, b, b, (2, 3), "float32", grad_norm=0.5))
    return graph


def pictured(source, program):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, program)
        return ET.fromstring(render(source, "svg"))


def parts(picture, kind):
    return [g for g in picture.iter(f"{SVG}g") if kind in g.get("class", "").split()]


def shown(element):
    """All text in an element, without blanks: renderers make &nbsp; of some, and drop others."""
    return re.sub(r"\s", "", "".join(t.text or "" for t in element.iter(f"{SVG}text")))


def blankless(text):
    return re.sub(rf"[\s{JOINER}]", "", text)


@renderers
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(names=several)
def test_any_name_is_drawn(program, names):
    picture = pictured(Drawing(made_of(names), OPTIONS).source, program)
    check(picture, names)


@renderers
def test_every_nasty_name_is_drawn(program):
    picture = pictured(Drawing(made_of(NASTY[::-1]), OPTIONS).source, program)
    check(picture, NASTY)


def check(picture, names):
    nodes = {g.get("id"): g for g in parts(picture, "node")}
    assert set(nodes) == {ident(name) for name in names} and len(parts(picture, "edge")) == len(names) - 1
    for name in names:
        node = nodes[ident(name)]
        assert blankless(short(name)) in shown(node)
        (tooltip,) = [a.get(TITLE) for a in node.iter(f"{SVG}a")]
        assert blankless(printable(name)[:700]) in blankless(tooltip)


@renderers
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(name=names.filter(lambda x: x and "." not in x), kind=classes)
def test_names_of_modules_and_variables(program, name, kind):
    layers = nn.ModuleDict()
    layers.add_module(name, type(kind, (nn.Tanh,), {})())
    x = mg.ones(2, 3, requires_grad=True)
    x.name = name
    drawing = viz.graph(lambda: layers[name](x).sin(), layers, names={name: x} if kind < name else None)
    text = shown(pictured(drawing.source, program))
    assert blankless(short(name)) in text and blankless(short(kind)) in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", str(drawing))


@given(a=names, b=names)
def test_ids_of_different_names_differ(a, b):
    assert (ident(a) == ident(b)) == (a == b)
    assert not re.search(r'["\\<>&\x00-\x1f\ud800-\udfff]', ident(a))
    assert ident("blocks.3.attn/matmul:1") == "blocks.3.attn/matmul:1", "usual names stay as they are"


@given(text=names, longest=st.integers(3, 60))
def test_short_names(text, longest):
    found = short(text, longest)
    assert len(found) <= longest and (found == printable(text) or len(printable(text)) > longest)
    assert len(short(text)) <= LONGEST and short("abcdefgh", 5) == "ab…gh"


def test_names_that_differ_in_a_control_character_only():
    graph = Graph()
    for name in ("a\n", "a\x0b", "a␊", "a%0A", "a"):
        graph.nodes[name] = Node(name, OPERATION, name)
    source = digraph(graph, Options()).source
    assert all(f'"{ident(name)}" [' in source for name in graph.nodes)
    assert len({ident(name) for name in graph.nodes}) == 5


@pytest.mark.parametrize(
    ("id", "around", "name"),
    [
        ("features.0", "features", "0"),
        ("features.0", "Net", "features.0"),
        ("features.0", "", "features.0"),
        ("backward/features.0", "backward/features", "0"),
        ("features.0@2", "features@3", "0@2"),
        ("featuresx.0", "features", "featuresx.0"),
        ("", "", ""),
    ],
)
def test_names_in_a_cluster_are_short(id, around, name):
    assert own_name(id, around) == name


@renderers
@pytest.mark.parametrize("kind", [PARAMETER, INPUT])
def test_nameless_leaves_are_drawn(program, kind):
    graph = Graph()
    graph.nodes = {"": Node("", kind, ""), "f": Node("f", OPERATION, "", shape=())}
    graph.edges = [Edge("", "f")]
    nodes = parts(pictured(Drawing(graph, Options(shapes=False)).source, program), "node")
    assert [n.get("id") for n in nodes] == (["f"] if kind == PARAMETER else ["%", "f"]), "a parameter is a line in f"
