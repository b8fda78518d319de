"""The interactive page: what is in the file, and what it does in a browser that may ask no address for anything."""

import json
import os
import re
import subprocess
import sys

import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.viz.drawing import Drawing, Options
from minigrad.viz.model import (
    DETACHED,
    INPUT,
    LEAF,
    OPERATION,
    PARAMETER,
    STATISTICS,
    Edge,
    Graph,
    Group,
    Node,
    Saved,
)
from minigrad.viz.pictures.contents import Contents
from minigrad.viz.pictures.html import EMBEDDED, SEEN, content, page
from minigrad.viz.style import DARK, KINDS, MARKS

HOSTILE = [
    "</script><script>document.title='hit'</script>",
    "<!--<script>",
    "]]>",
    "<img src=x onerror=\"document.title='hit'\">",
    "\"quoted\" & 'quoted'",
    "two\nlines\r\ttab\x00nul\x7f",
    "\u2028\u2029\u202eright to left",
    "\\u003c\\",
    "{{data}} {{title}}",
    "\ud800 alone",
    "çñ 漢字 🎉 e\u0301",
    "${1} `x` $& $1",
    "__proto__",
    "constructor",
    "",
    " ",
    "x" * 3000,
]


def chain(count, group=lambda i: "", **fields):
    """A Graph of operations in a row."""
    graph = Graph(title="chain")
    for i in range(count):
        node = Node(f"op:{i}", OPERATION, f"op{i}", group(i), (i + 1, 7), "float32", **fields)
        graph.nodes[node.id] = node
        if i:
            graph.edges.append(Edge(f"op:{i - 1}", node.id, "x", (i, 7), "float32"))
    for id in dict.fromkeys(n.group for n in graph.nodes.values() if n.group):
        graph.groups[id] = Group(id, "Layer", "", id)
    if count:
        graph.outputs = [f"op:{count - 1}"]
        graph.nodes[graph.outputs[0]].marks["output"] = "output"
    return graph


def small():
    """One of everything: kinds, statistics, marks, a repeat, a detached edge, what is saved, a source line."""
    graph = Graph(title="Small", notes=["a note of what was left out"])
    for path, kind, parent in [("net", "Net", ""), ("net.fc", "Linear", "net"), ("net.act", "ReLU", "net")]:
        graph.groups[path] = Group(path, kind, parent, path, 20)
    graph.groups["net.fc"].repeat, graph.groups["net.fc"].last = 12, "net.fc11"
    facts = {"stride": "(1, 1)"}
    nodes = [
        Node("x", INPUT, "x", "", (8, 4), "float32"),
        Node("a", LEAF, "a", "", (), "float64"),
        Node("net.fc.weight", PARAMETER, "weight", "net.fc", (5, 4), "float32", parameters=20, repeat=12),
        Node("net.fc/linear:1", OPERATION, "linear", "net.fc", (8, 5), "float32", 0, facts, "train.py:7: y = fc(x)"),
        Node("net.act/relu:1", OPERATION, "relu", "net.act", (8, 5), "float32"),
        Node("net/log:1", OPERATION, "log", "net", (8, 5), "float32"),
        Node("d", DETACHED, "exp, detached", "", (8, 5), "float32"),
        Node("mul:1", OPERATION, "mul", "", (8, 5), "float32"),
    ]
    graph.nodes = {n.id: n for n in nodes}
    linear, relu, log, mul = (graph.nodes[id] for id in ("net.fc/linear:1", "net.act/relu:1", "net/log:1", "mul:1"))
    linear.repeat = 12
    linear.saved = [Saved("input", (8, 4), "float32", 128), Saved("weight", (5, 4), "float32", 80, False)]
    for n, value in ((linear, 1e-3), (relu, 0.5), (log, float("nan")), (mul, float("inf"))):
        n.statistics = {"grad_norm": value, "bytes": n.bytes, "time": 2e-3}
    log.marks = {"born": "NaN born here: 3 of 40 elements of log"}
    mul.marks = {"infected": "NaN", "output": "loss"}
    graph.outputs = ["mul:1"]
    graph.edges = [
        Edge("x", "net.fc/linear:1", "input", (8, 4), "float32"),
        Edge("net.fc.weight", "net.fc/linear:1", "weight", (5, 4), "float32", grad_norm=0.25),
        Edge("net.fc/linear:1", "net.act/relu:1", "x", (8, 5), "float32", grad_norm=float("nan")),
        Edge("net.act/relu:1", "net/log:1", "x", (8, 5), "float32", "detached"),
        Edge("net/log:1", "mul:1", "x", (8, 5), "float32", count=3),
        Edge("d", "mul:1", "y", (8, 5), "float32", marks={"added": ""}),
        Edge("a", "mul:1", "z", (), "float64"),
    ]
    return graph


def residual(count):
    """`count` blocks, each of two layers with weights, and a sum with what came in."""
    graph = Graph(title="residual")
    last = "x"
    graph.nodes["x"] = Node("x", INPUT, "x", "", (8, 64), "float32")
    graph.groups["blocks"] = Group("blocks", "Sequential", "", "blocks")
    for k in range(count):
        block, came = f"blocks.{k}", last
        graph.groups[block] = Group(block, "Block", "blocks", block)
        for name in ("fc1", "fc2"):
            layer = f"{block}.{name}"
            graph.groups[layer] = Group(layer, "Linear", block, layer)
            for leaf in ("weight", "bias"):
                graph.nodes[f"{layer}.{leaf}"] = Node(f"{layer}.{leaf}", PARAMETER, leaf, layer, (64, 64), "float32")
                graph.edges.append(Edge(f"{layer}.{leaf}", f"{layer}/linear:1", leaf, grad_norm=0.1))
            graph.nodes[f"{layer}/linear:1"] = Node(f"{layer}/linear:1", OPERATION, "linear", layer, (8, 64), "float32")
            graph.edges.append(Edge(last, f"{layer}/linear:1", "input", grad_norm=0.1))
            last = f"{layer}/linear:1"
        total = f"{block}/add:1"
        graph.nodes[total] = Node(total, OPERATION, "add", block, (8, 64), "float32")
        graph.edges += [Edge(came, total, "x", grad_norm=1.0), Edge(last, total, "y", grad_norm=1.0)]
        last = total
    graph.outputs = [last]
    return graph


def hostile():
    """A Graph whose every text is one of HOSTILE."""
    graph = Graph(title=HOSTILE[0], notes=list(HOSTILE))
    for i, text in enumerate(HOSTILE):
        graph.groups[f"g{text}"] = Group(f"g{text}", text, "", text, last=text, marks={"changed": text})
        node = Node(f"n{text}", OPERATION, text, f"g{text}", (1,), text, 0, {text: text}, text)
        node.saved, node.marks = [Saved(text, (1,), text, 4)], {"changed": text}
        graph.nodes |= {node.id: node, f"m{text}": Node(f"m{text}", PARAMETER, text, f"g{text}", (1,), text)}
        graph.edges.append(Edge(f"m{text}", node.id, text, (1,), text, marks={"changed": text}))
        if i:
            graph.edges.append(Edge(f"n{HOSTILE[i - 1]}", node.id, text, None, ""))
    return graph


def drawing(graph, **options):
    return Drawing(graph, Options(**options))


def scripts(text):
    """[(attributes, content)] of the page's scripts, as a browser finds them."""
    return re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)


def embedded(text):
    return json.loads(next(inner for attributes, inner in scripts(text) if "application/json" in attributes))


# --- the file --------------------------------------------------------------------------------------------------------

GRAPHS = {"small": small, "hostile": hostile, "empty": Graph, "one": lambda: chain(1), "chain": lambda: chain(40)}


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_the_page_is_one_file_with_the_graph_in_it(make, tmp_path):
    graph = make()
    path = drawing(graph, roll=False).save(tmp_path / "net.html")
    text = path.read_text(encoding="utf-8")
    found = embedded(text)
    assert found == json.loads(json.dumps(content(drawing(graph, roll=False))))
    assert len(found["nodes"]) == len(graph.nodes)
    assert len(found["edges"]) == len(graph.edges)
    assert [kind for kind, _ in scripts(text)] == [' type="application/json" id="graph"', "", ""]
    assert text.count("<title>") == 1 and text.count("<!--") == 0
    assert text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_nothing_is_fetched(make):
    """No attribute, rule or call leads to an address; the name of SVG is one that nobody asks."""
    text = page(drawing(make(), roll=False))
    without_data = text.replace(next(inner for kind, inner in scripts(text) if "json" in kind), "")
    assert set(re.findall(r"https?://[^\s\"'<>)]*", without_data)) == {"http://www.w3.org/2000/svg"}
    assert re.findall(
        r"<(?:link|img|iframe|script|object|embed|source|base)\b[^>]*\b(?:href|src|data)=[^>]*", without_data
    ) == ['<link rel="icon" href="data:,"']
    assert not re.search(
        r"@import|url\((?!#)|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(|sourceMapp", without_data
    )
    assert "default-src 'none'" in text


def test_the_script_is_small():
    text = page(drawing(small()))
    assert sum(len(inner.encode()) for kind, inner in scripts(text) if "json" not in kind) < 300_000
    assert "Copyright (c) 2012-2014 Chris Pettitt" in text


def test_text_is_never_read_as_html():
    from importlib import resources

    for file in resources.files("minigrad.viz.pictures.page").iterdir():
        if file.name.endswith(".js") and file.name != "dagre.min.js":
            found = re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", file.read_text("utf-8")
            )
            assert not found, file.name


def test_what_could_end_the_script_is_not_in_the_data():
    data = next(inner for kind, inner in scripts(page(drawing(hostile(), roll=False))) if "json" in kind)
    assert not re.search(r"[<>&\u2028\u2029]|[^\x00-\x7f]", data)
    assert json.loads(data)["nodes"][0]["title"] == "</script><script>doc…itle='hit'</script>"


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_the_same_graph_gives_the_same_page(make):
    assert page(drawing(make(), roll=False)) == page(drawing(make(), roll=False))


def test_every_process_writes_the_same_page(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_viz_html as t
import hashlib
print(hashlib.sha256(t.page(t.drawing(t.small())).encode()).hexdigest())
"""
    found = set()
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


def test_colours_come_from_one_table():
    text = page(drawing(small()))
    for fill, line, *_ in KINDS.values():
        assert f": {fill};" in text and f": {line};" in text
        assert f": {DARK.get(fill, fill)};" in text and f": {DARK.get(line, line)};" in text
    found = embedded(text)
    assert list(found["kinds"]) == list(KINDS)
    assert list(found["marks"]) == list(MARKS)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for pair in found["palette"] for colour in pair)


def test_what_is_known_of_a_node_is_in_the_data():
    found = embedded(page(drawing(small(), roll=False)))
    nodes = {node["id"]: node for node in found["nodes"]}
    linear = nodes["net.fc/linear:1"]
    assert linear["shape"] == "8×5" and linear["dtype"] == "float32"
    assert linear["facts"] == [["stride", "(1, 1)"]]
    assert linear["place"] == "train.py:7: y = fc(x)" and linear["lines"] == ["train.py:7", "y = fc(x)"]
    assert linear["saved"] == ["keeps input 8×4: 128 B", "keeps weight 5×4: kept already"]
    assert linear["statistics"]["grad_norm"] == ["grad 0.001", 0, "0.001"]
    assert linear["alike"] == "12 alike" and "repeat" not in linear  # its box says × 12
    assert nodes["net/log:1"]["statistics"]["grad_norm"] == ["grad NaN", None, "NaN"]
    assert nodes["net/log:1"]["marks"] == {"born": "NaN born here: 3 of 40 elements of log"}
    assert nodes["net.act/relu:1"]["name"] == "act" and nodes["net.act/relu:1"]["title"] == "ReLU"
    groups = {group["id"]: group for group in found["groups"]}
    assert list(groups) == ["net", "net.fc"]  # net.act is where relu is
    assert groups["net"]["operations"] == "3 operations"
    assert groups["net"]["statistics"]["bytes"][2] == "128 B" and groups["net"]["statistics"]["time"][2] == "6 ms"
    assert groups["net"]["marks"] == nodes["net/log:1"]["marks"]
    assert groups["net.fc"]["repeat"] == "× 12, to fc11"
    assert found["statistics"]["grad_norm"] == {
        "what": STATISTICS["grad_norm"][0],
        "low": "0.001",
        "high": "0.5",
        "log": True,
    }


@pytest.mark.parametrize("options", [{"depth": 1}, {"max_nodes": 2}, {"max_nodes": 100}, {}], ids=str)
def test_the_whole_graph_is_in_the_page_however_little_is_drawn(options):
    found = content(drawing(chain(40, lambda i: f"layer{i // 10}"), roll=False, **options))
    assert len(found["nodes"]) == 40


@pytest.mark.parametrize(
    ("count", "most"), [(5, 300), (300, 300), (301, 300), (5000, 300), (5000, 2), (9, 2), (10, 2), (7, 3)]
)
def test_a_box_is_divided_where_too_much_is_in_it(count, most):
    inside = Contents(chain(count), most)
    assert all(len(things) <= most for id, things in inside.items.items())
    assert (len(inside.parts) > 0) == (count > most)
    assert set(inside.groups) == inside.parts
    assert sorted(inside.home) == sorted(f"op:{i}" for i in range(count))
    for id in inside.parts:
        first, last = map(int, inside.groups[id].kind.split("-"))
        assert len(inside.items[id]) > 1
        assert [n.id for n in inside.nodes[id]] == [f"op:{i - 1}" for i in range(first, last + 1)]


def test_a_node_may_be_called_as_a_group_is():
    graph = chain(4, lambda i: "op:0" if i else "")
    inside = Contents(graph, 300)
    assert inside.home == {"op:0": "", "op:1": "op:0", "op:2": "op:0", "op:3": "op:0"}
    assert inside.parent == {"op:0": ""}


def test_a_larger_graph_is_reduced_before_it_is_written():
    graph = chain(EMBEDDED + 1000, lambda i: f"layer{i // 1000}")
    assert len(content(drawing(graph))["nodes"]) <= EMBEDDED


def test_a_hundred_thousand_nodes_without_modules():
    found = content(drawing(chain(100_000), roll=False))
    assert len(found["nodes"]) <= EMBEDDED
    assert found["options"]["most"] <= SEEN
    assert found["total"] == 100_000
    assert any("left out" in note for note in found["notes"])


def test_the_license_lies_beside_the_library():
    from importlib import resources

    folder = resources.files("minigrad.viz.pictures.page")
    assert "Permission is hereby granted" in folder.joinpath("dagre.LICENSE.txt").read_text("utf-8")
    assert "Permission is hereby granted" in page(drawing(small()))


# --- the browser -----------------------------------------------------------------------------------------------------


class Page:
    """What a test does with an open page, and what it sees of it."""

    def __init__(self, driver):
        self.driver = driver

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def ids(self, selector=".node, .box"):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.dataset.id)", selector)

    def of(self, id):
        """The element of a node or box."""
        elements = "[...document.querySelectorAll('#drawing [data-id]')]"
        return self.run(f"return {elements}.find((e) => e.dataset.id === arguments[0])", id)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def click(self, element):
        """As a mouse does, on the upper left of it."""
        self.run("arguments[0].querySelector('.body').dispatchEvent(new MouseEvent('click', {bubbles: true}))", element)

    def hover(self, element):
        event = "new PointerEvent('pointermove', {bubbles: true, clientX: 300, clientY: 200})"
        self.run(f"arguments[0].querySelector('.body, .reach').dispatchEvent({event})", element)

    def type(self, keys, into="#search"):
        self.one(into).send_keys(keys)

    def scale(self):
        return float(re.search(r"scale\((.*?)\)", self.one("#world").get_attribute("transform"))[1])

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The addresses that the page asked, but for itself."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        assert any(each["request"]["url"] == self.driver.current_url for each in asked)
        of_page = [each["request"]["url"] for each in asked if each["documentURL"] == self.driver.current_url]
        return [address for address in of_page if address != self.driver.current_url]


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens the page of a graph; in the end, there must have been no complaint and no request."""
    pages = []

    def open_it(graph, **options):
        path = drawing(graph, **options).save(tmp_path / "net.html")
        chromium.get(path.as_uri())
        pages.append(Page(chromium))
        assert "ready" in chromium.find_element("tag name", "body").get_attribute("class")
        return pages[-1]

    yield open_it
    for each in pages[-1:]:
        assert each.complaints() == []
        assert each.requests() == []


def sides(place):
    """Left, top, right and bottom, where it is half a pixel smaller."""
    half_width, half_height = place["width"] / 2 - 0.5, place["height"] / 2 - 0.5
    return place["x"] - half_width, place["y"] - half_height, place["x"] + half_width, place["y"] + half_height


def is_apart(a, b):
    """Whether two rectangles have nothing in common."""
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.browser
class TestInABrowser:
    """In Chromium, from a file, without a network."""

    def test_it_opens(self, opened):
        page = opened(small())
        assert set(page.ids(".node")) == set(small().nodes)
        assert page.ids(".box") == ["net", "net.fc"]
        assert page.driver.title == "Small" and page.text("#title") == "Small"
        assert "a note of what was left out" in page.text("#legend")
        assert "born here" in page.of("net/log:1").text
        assert "× 12, to fc11" in page.text("#titles")
        assert page.run("return document.querySelectorAll('.edge').length") == len(small().edges)

    @pytest.mark.parametrize("make", [Graph, lambda: chain(1)], ids=["empty", "one"])
    def test_small_graphs(self, opened, make):
        page = opened(make())
        assert len(page.ids(".node")) == len(make().nodes)
        page.run("collapseAll(); expandAll(); zoom(1.3)")

    def test_modules_close_and_open_by_click(self, opened):
        page = opened(small())
        page.click(page.of("net.fc"))
        assert set(page.ids(".node")) == set(small().nodes) - {"net.fc.weight", "net.fc/linear:1"} | {"net.fc"}
        assert page.of("net.fc").get_attribute("aria-expanded") == "false"
        assert "1 operation, 20 parameters" in page.of("net.fc").text
        page.click(page.of("net"))
        assert page.ids(".box") == []
        assert "net/log:1" not in page.ids() and "NaN born here" in page.of("net").text
        page.click(page.of("net"))  # what was open in it is open again, what was closed is closed
        assert page.ids(".box") == ["net"]
        page.click(page.of("net.fc"))
        assert page.ids(".box") == ["net", "net.fc"]

    def test_a_module_stays_where_it_was_clicked(self, opened):
        page = opened(chain(60, lambda i: f"layer{i // 10}"), roll=False)
        page.run("fit()")
        before = page.of("layer3").rect
        page.click(page.of("layer3"))
        after = page.of("layer3").rect
        assert abs(before["y"] - after["y"]) < 12

    def test_buttons_and_keys_close_and_open_all(self, opened):
        page = opened(small())
        page.one("#collapse").click()
        assert page.ids(".box") == [] and "net" in page.ids(".node")
        page.one("#expand").click()
        assert page.ids(".box") == ["net", "net.fc"]
        page.type("c", "body")
        assert page.ids(".box") == []
        page.type("e", "body")
        assert page.ids(".box") == ["net", "net.fc"]

    def test_enter_opens_the_module_that_has_the_focus(self, opened):
        page = opened(small(), depth=1)
        assert page.ids(".box") == ["net"]
        page.of("net.fc").send_keys("\ue007")
        assert page.ids(".box") == ["net", "net.fc"]
        assert page.run("return document.activeElement.dataset.id") == "net.fc"
        page.of("net.fc").send_keys(" ")
        assert page.ids(".box") == ["net"]

    @pytest.mark.parametrize(
        ("depth", "boxes"), [(0, []), (1, ["net"]), (2, ["net", "net.fc"]), (None, ["net", "net.fc"])]
    )
    def test_it_begins_at_the_depth_that_is_asked_for(self, opened, depth, boxes):
        assert opened(small(), depth=depth).ids(".box") == boxes

    @pytest.mark.parametrize(
        ("query", "hits"),
        [
            ("LOG", ["net/log:1"]),
            ("relu", ["net.act/relu:1"]),  # by the operation, and by the class of the module
            ("8x4", ["x"]),
            ("8×4", ["x"]),
            ("8, 4", ["x"]),
            ("float64", ["a"]),
            ("fc", ["net.fc.weight", "net.fc/linear:1", "net.fc"]),
            ("nothing like it", []),
            ("<", []),
            ("  ", []),
        ],
    )
    def test_search_marks_what_it_finds(self, opened, query, hits):
        page = opened(small())
        page.type(query)
        assert sorted(page.ids(".hit")) == sorted(hits)
        counted = f"{len(hits)} found" if query.strip() else ""
        assert page.text("#hits") == counted

    def test_enter_goes_to_the_next_hit_and_opens_what_hides_it(self, opened):
        page = opened(small(), depth=0)
        page.type("/", "body")
        assert page.run("return document.activeElement.id") == "search"
        page.type("linear")
        assert page.ids(".hit") == [] and page.ids(".holds-hit") == ["net"]
        page.type("\ue007")
        assert page.ids(".current") == ["net.fc/linear:1"] and page.text("#hits") == "1 of 2"
        place = page.of("net.fc/linear:1").rect
        assert 0 < place["x"] < 1300 and 0 < place["y"] < 900
        page.type("\ue007")
        assert page.ids(".current") == ["net.fc"] and page.text("#hits") == "2 of 2"
        page.type("\ue007")
        assert page.ids(".current") == ["net.fc/linear:1"]
        page.type("\ue00c")
        assert page.ids(".hit") == [] and page.text("#hits") == ""

    def test_hovering_tells_what_is_known(self, opened):
        page = opened(small())
        page.hover(page.of("net.fc/linear:1"))
        told = page.text("#tooltip")
        for text in (
            *("net.fc/linear:1", "8×5 float32", "stride(1, 1)", "input 8×4: 128 B", "weight 5×4: kept already"),
            *("norm of the gradient", "0.001", "train.py:7: y = fc(x)", "12 alike"),
        ):
            assert text in told
        page.hover(page.of("net/log:1"))
        assert "NaN born here: 3 of 40 elements of log" in page.text("#tooltip")
        page.click(page.of("net"))
        page.hover(page.of("net"))
        told = page.text("#tooltip")
        assert "Net" in told and "3 operations" in told and "20 parameters" in told
        page.hover(page.run("return document.querySelector('.edge.detached, .edge')"))
        assert "→" in page.text("#tooltip")

    def test_a_click_keeps_the_tooltip_and_shows_what_is_connected(self, opened):
        page = opened(small())
        page.click(page.of("mul:1"))
        assert sorted(page.ids(".node.linked")) == ["a", "d", "mul:1", "net/log:1"]
        page.hover(page.of("x"))
        assert "mul:1" in page.text("#tooltip")
        page.type("\ue00c", "body")
        assert page.one("#tooltip").get_attribute("hidden") is not None
        assert page.ids(".linked") == []

    def test_what_is_told_of_a_node_lies_beside_it(self, opened):
        page = opened(small())
        page.click(page.of("mul:1"))
        node, told = page.of("mul:1").rect, page.one("#tooltip").rect
        assert told["x"] >= node["x"] + node["width"] or told["x"] + told["width"] <= node["x"]

    def test_the_status_says_that_repeats_are_drawn_once(self, opened):
        assert "× 12 drawn once: viz.graph(..., roll=False) shows all" in opened(small()).text("#status")
        assert "drawn once" not in opened(chain(3)).text("#status")

    def test_gradients_that_were_not_recorded_cannot_be_chosen(self, opened):
        assert opened(small()).one("#show-gradients").get_property("disabled") is False
        page = opened(chain(3), gradients=True)
        assert page.one("#show-gradients").get_property("disabled") is True
        assert "No gradients were recorded" in page.run("return find('show-gradients').parentElement.title")

    def test_what_goes_back_in_a_repeat_does_not_turn_the_flow(self, opened):
        graph = chain(4)
        graph.edges.insert(0, Edge("op:3", "op:0", "x", (1, 7), "float32", "repeat"))
        page = opened(graph, roll=False)
        heights = [page.of(f"op:{i}").rect["y"] for i in range(4)]
        assert heights == sorted(heights)
        start, end = page.run(
            "const line = [...drawn.lines].find(([key]) => key.endsWith('repeat'))[1];"
            "return [line[0].y, line[line.length - 1].y]"
        )
        assert start > end

    def test_zooming_and_moving(self, opened):
        page = opened(small())
        whole = page.scale()
        page.one("#larger").click()
        assert page.scale() == pytest.approx(whole * 1.3, rel=1e-3)
        page.type("-", "body")
        assert page.scale() == pytest.approx(whole, rel=1e-3)
        event = "new WheelEvent('wheel', {deltaY: arguments[0], clientX: 400, clientY: 300, cancelable: true})"
        wheel = f"document.querySelector('#drawing').dispatchEvent({event})"
        for _ in range(100):
            page.run(wheel, -100)
        assert page.scale() == pytest.approx(4)
        for _ in range(200):
            page.run(wheel, 100)
        assert page.scale() == pytest.approx(0.02)
        page.one("#fit").click()
        assert page.scale() == pytest.approx(whole, rel=1e-3)
        before = page.of("x").rect
        page.type("\ue014", "body")  # to the right: the drawing goes to the left
        assert page.of("x").rect["x"] == pytest.approx(before["x"] - 60, abs=2)

    def test_dragging_moves_and_does_not_click(self, opened):
        from selenium.webdriver import ActionChains

        page = opened(small())
        before, boxes = page.of("x").rect, page.ids(".box")
        ActionChains(page.driver).drag_and_drop_by_offset(page.of("net"), 50, 30).perform()
        assert page.ids(".box") == boxes
        assert page.of("x").rect["x"] == pytest.approx(before["x"] + 50, abs=2)
        assert page.of("x").rect["y"] == pytest.approx(before["y"] + 30, abs=2)

    def test_a_mouse_opens_and_closes(self, opened):
        from selenium.webdriver import ActionChains

        page = opened(small(), depth=1)
        ActionChains(page.driver).click(page.of("net.fc")).perform()
        assert page.ids(".box") == ["net", "net.fc"]

    def test_colour_by_a_statistic(self, opened):
        page = opened(small(), color="bytes")
        options = page.run("return [...document.querySelector('#color').options].map((o) => o.value)")
        assert options == ["", "grad_norm", "time", "bytes"]
        assert page.one("#color").get_attribute("value") == "bytes"
        choose = (
            "const s = document.querySelector('#color'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))"
        )
        page.run(choose, "grad_norm")
        assert sorted(page.ids(".node.coloured")) == ["net.act/relu:1", "net.fc/linear:1"]  # NaN and inf have no colour
        fill = "return getComputedStyle(arguments[0].querySelector('.body')).fill"
        assert page.run(fill, page.of("net.fc/linear:1")) == "rgb(0, 34, 78)"
        assert page.run(fill, page.of("net.act/relu:1")) == "rgb(254, 232, 56)"
        assert "norm of the gradient" in page.text("#legend") and "logarithmic" in page.text("#legend")
        page.run(choose, "")
        assert page.ids(".node.coloured") == []

    def test_what_is_written_can_be_chosen(self, opened):
        page = opened(small())
        switch = "document.querySelector('#show-' + arguments[0]).click()"
        for name, text in [("dtypes", "float32"), ("lines", "train.py:7"), ("saved", "keeps input")]:
            assert text not in page.of("net.fc/linear:1").text
            page.run(switch, name)
            assert text in page.of("net.fc/linear:1").text
        page.run(switch, "shapes")
        assert "8×5" not in page.of("net.fc/linear:1").text
        page.run(switch, "gradients")
        assert "grad 0.25" in page.text("#edges")
        page.run(switch, "leaves")
        assert "net.fc.weight" not in page.ids()
        page.run(switch, "legend")
        assert "operation" not in page.text("#legend")

    @pytest.mark.parametrize("direction", ["TB", "BT", "LR", "RL"])
    def test_directions(self, opened, direction):
        page = opened(chain(5), direction=direction, roll=False)
        first, last = page.of("op:0").rect, page.of("op:4").rect
        axis, forwards = ("x", "LR") if direction in ("LR", "RL") else ("y", "TB")
        assert (first[axis] < last[axis]) == (direction == forwards)

    @pytest.mark.parametrize("direction", ["TB", "LR", "BT"])
    @pytest.mark.parametrize("gradients", [False, True])
    @pytest.mark.parametrize("make", [small, lambda: residual(12)], ids=["small", "residual"])
    def test_nothing_overlaps(self, opened, make, gradients, direction):
        page = opened(make(), direction=direction, gradients=gradients, roll=False)
        places = "drawn.seen[arguments[0]].map((t) => [t.id, t.parent?.id ?? '', drawn.things.get(t.key)])"
        things = [
            (id, parent, sides(at))
            for kind in ("items", "boxes")
            for id, parent, at in page.run(f"return {places}", kind)
        ]
        by_id = {id: at for id, _, at in things}
        for id, parent, at in things:
            for other, same, there in things:
                if id < other and parent == same:
                    assert is_apart(at, there), (id, other)
            if parent:
                around = by_id[parent]
                assert around[0] <= at[0] and around[1] <= at[1] and at[2] <= around[2] and at[3] <= around[3]

    @pytest.mark.parametrize("direction", ["TB", "LR"])
    def test_blocks_in_a_row_stand_in_a_row(self, opened, direction):
        """Not beside each other, as a staircase."""
        page = opened(residual(12), direction=direction, roll=False)
        sizes = "drawn.seen.boxes.filter((t) => t.depth === 1).map((t) => drawn.things.get(t.key)[arguments[0]])"
        across = "width" if direction == "TB" else "height"
        blocks = page.run(f"return {sizes}", across)
        whole = page.run("return drawn.things.get(drawn.seen.boxes[0].key)[arguments[0]]", across)
        assert len(blocks) == 12
        assert whole < 1.7 * max(blocks)

    def test_names_are_text(self, opened):
        page = opened(hostile(), roll=False)
        assert page.driver.title == HOSTILE[0]
        assert page.run("return document.querySelectorAll('script').length") == 3
        assert page.run("return document.querySelectorAll('main img').length") == 0
        assert len(page.ids(".node")) == 2 * len(HOSTILE) and len(page.ids(".box")) == len(HOSTILE)
        for element in page.run("return [...document.querySelectorAll('.node, .edge')]"):
            page.hover(element)
        for text in HOSTILE:
            page.run("find('search').value = JSON.parse(arguments[0]); search(); goToHit(1)", json.dumps(text))
        page.run("for (const name of Object.keys(SHOWN)) find('show-' + name).click()")
        page.run("collapseAll(); expandAll()")
        assert page.driver.title == HOSTILE[0]

    def test_five_thousand_nodes_in_modules(self, opened):
        page = opened(chain(5000, lambda i: f"layer{i // 50}"), roll=False)
        assert 0 < len(page.ids(".node")) <= 300
        page.one("#expand").click()
        assert 0 < len(page.ids(".node")) <= SEEN
        assert "open modules one by one" in page.text("#status")
        page.type("op4321")
        page.type("\ue007")
        assert page.ids(".current") == ["op:4321"]

    def test_five_thousand_nodes_without_modules(self, opened):
        page = opened(chain(5000), roll=False)
        assert 0 < len(page.ids(".node")) <= 300
        page.type("op4321")
        page.type("\ue007")
        assert page.ids(".current") == ["op:4321"]
        for id in page.ids(".node.module")[:8]:
            if page.of(id) is not None:
                page.click(page.of(id))
        assert len(page.ids(".node")) <= SEEN

    def test_dark_surroundings(self, opened):
        page = opened(small())
        background = "return getComputedStyle(document.body).backgroundColor"
        light = page.run(background)
        media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        assert page.run(background) == "rgb(13, 17, 23)" != light
        fill = page.run("return getComputedStyle(arguments[0].querySelector('.body')).fill", page.of("net.act/relu:1"))
        assert fill == "rgb(33, 38, 45)"
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def test_a_recorded_network(self, opened):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

            def forward(self, x):
                return self.layers(x)

        net = Net()
        x, target = mg.randn(3, 4), mg.tensor([0, 1, 0])
        made = viz.graph(lambda: F.cross_entropy(net(x), target), net, gradients=True)
        page = opened(made.graph)
        assert set(page.ids(".node")) == set(made.graph.nodes)
        assert len(page.ids(".box")) == 4
