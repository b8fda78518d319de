"""Pictures of a backward: the graph, on which gradients appear step by step. An SVG that plays, a page to step through.

    steps.save("steps.svg")       playing(steps): plays in a loop; stands still where the reader wants no motion
    steps.save("steps.html")      stepped(steps): buttons, a slider, arrow keys; the words of each step beside it

A renderer places the graph once, with room for all numbers. Then each frame is a few of its elements that show: the
first one is the gradient to begin with, then come the steps, and the last one is the gradients of the leaves.
"""

import base64
import hashlib
import json
import re
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from importlib import resources

from ..drawing import Options
from ..model import Graph
from ..pictures.dot import digraph, quoted
from ..pictures.render import INSTALL, LESS, OTHERWISE, NoRendererError, RenderError, render
from ..words import escaped, printable
from .telling import of_leaf, parts_of, title

MOST = 300  # steps of a film
TIMEOUT = 30.0  # s for the renderer; a network of 120 steps takes 0.2
SECONDS = 2.5  # for a frame
WIDE, LINES = 92, 12  # letters and lines below a playing picture
BOLD = 6.7  # points of a bold digit
LETTER, LINE = 6.02, 13  # points of a letter and a line of 10 point Courier
SMALLEST = 0.6  # of its size, to which a page may shrink the graph
ROOM = 28  # letters of a gradient in a node
_BOLD = "\u00a0\u00a0"  # beside a text, which renderers take for a narrower one that is not bold
COLORS = ("#b34700", "#ff8a4c")  # of gradients, on bright and dark paper
_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_NUMBER = r"-?\d+\.?\d*(?:e-?\d+)?"  # in an SVG
_PART = "take it of a part of the computation"
_FILES = "steps.html", "steps.css", "steps.js"


@dataclass
class Frame:
    """What one frame shows.

    Holds: nodes, edges - numbers of those that it is about. grads - {number of a node: the gradient that is there
           from now on}. head, rows - its words: a headline, and pairs (name, text).
    """

    nodes: list = field(default_factory=list)
    edges: list = field(default_factory=list)
    grads: dict = field(default_factory=dict)
    head: str = ""
    rows: list = field(default_factory=list)


def playing(steps) -> str:
    """The SVG that plays by itself."""
    scene = _Scene(steps)
    scene.play()
    return ET.tostring(scene.root, encoding="unicode", xml_declaration=False) + "\n"


def stepped(steps) -> str:
    """The HTML page, with all that it needs in it."""
    scene = _Scene(steps)
    files = {name: resources.files(f"{__package__}.page").joinpath(name).read_text("utf-8") for name in _FILES}
    script = files["steps.js"]
    frames = [vars(f) | {"grads": list(f.grads.items())} for f in scene.frames]
    id, amount = steps.start
    rows: list = [([], ["begins"], [amount.brief], [], [id])]
    for step in steps:
        incoming, outgoing = (
            [a.brief for a in step.incoming.values()],
            [f"{f.to}: {f.arrived.brief}" for f in step.flows],
        )
        rows.append(([str(step.number)], [step.id], incoming, str(step.rule).split("\n"), outgoing))
    rows.append(([], ["leaves"], [], [], [f"{leaf.id}: {leaf.gradient.brief}" for leaf in steps.leaves.values()]))
    places = {
        "TITLE": escaped(title(steps)),
        "CSS": files["steps.css"],
        "COLOR": COLORS[0],
        "DARK": COLORS[1],
        "HASH": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "SVG": ET.tostring(scene.root, encoding="unicode"),
        "ROWS": "".join(_row(i, cells) for i, cells in enumerate(rows)),
        "LAST": str(len(frames) - 1),
        "FRAMES": json.dumps(frames, ensure_ascii=False).replace("<", "\\u003c"),
        "SCRIPT": script,
    }
    parts = re.split(r"\{\{([A-Z]+)\}\}", files["steps.html"].replace("{{CSS}}", files["steps.css"]))
    return "".join(places[part] if i % 2 else part for i, part in enumerate(parts))


def _row(number, cells):
    columns = "".join(f"<td>{'<br>'.join(map(escaped, lines))}</td>" for lines in cells)
    return f'<tr data-frame="{number}">{columns}</tr>\n'


# --- what the frames show ----------------------------------------------------------------------------------------


class _Scene:
    """The drawing and its frames.

    Holds: root - the SVG, an Element. frames. Elements have classes by number: `h3` behind node 3, `g3` its gradient,
           `e5` the gradient that flows over edge 5.
    """

    def __init__(self, steps):
        if len(steps) > MOST:
            raise RenderError(
                f"viz: this backward has {len(steps)} steps, and a film at most {MOST}; {_PART}, or save it as .txt"
            )
        self.steps, self.graph = steps, steps.graph
        self.number = {id: i for i, id in enumerate(self.graph.nodes)}
        self.texts: dict = {}  # number of an edge -> the gradient that flows over it
        self.there: dict = {}  # id -> {output: Amount}
        self.frames = [self._begin(), *map(self._frame, steps), self._end()]
        self.root = self._drawn()

    def _begin(self):
        id, amount = self.steps.start
        self.there[id] = {None: amount}
        rows = [("begins", f"{printable(id)} with {amount}")]
        return Frame([self.number[id]], [], self._grads([id]), title(self.steps), rows)

    def _frame(self, step):
        self.there[step.id] = dict(step.incoming)
        edges = []
        for flow in step.flows:
            self.there.setdefault(flow.to, {})[flow.output] = flow.total
            edge = self._edge(step, flow)
            if edge is not None:
                edges.append(edge)
                self.texts[edge] = flow.arrived.brief
        head, rows = parts_of(step)
        return Frame([self.number[step.id]], edges, self._grads([step.id, *(f.to for f in step.flows)]), head, rows)

    def _end(self):
        leaves = self.steps.leaves.values()
        for leaf in leaves:
            self.there[leaf.id] = {None: leaf.gradient}
        rows = [(printable(leaf.id), of_leaf(leaf)) for leaf in leaves]
        ids = [leaf.id for leaf in leaves]
        return Frame([self.number[id] for id in ids], [], self._grads(ids), "the gradients of the leaves", rows)

    def _grads(self, ids):
        return {self.number[id]: self._grad(id) for id in dict.fromkeys(ids)}

    def _grad(self, id):
        parts = self.there[id]
        texts = (f"[{i}] {a.brief}" for i, a in sorted(parts.items()) if i is not None)
        whole = parts[None].brief if None in parts else ", ".join(texts)
        text = f"|grad|{whole[3:]}" if whole.startswith("|g|") else f"grad {whole}"
        return text if len(text) <= ROOM else f"{text[: ROOM - 1]}…"

    def _edge(self, step, flow):
        """The number of the edge over which a Flow goes back; None where it is not drawn."""
        names = flow.name, f"{flow.name}, output {flow.output}"
        for i, e in enumerate(self.graph.edges):
            if e.target == step.id and e.source == flow.to and e.label in names:
                return i
        return None

    # --- drawing -------------------------------------------------------------------------------------------------

    def _drawn(self):
        ET.register_namespace("", _SVG)
        ET.register_namespace("xlink", _LINK)
        try:
            root = ET.fromstring(render(self._dot(), "svg", TIMEOUT))
        except NoRendererError:
            raise NoRendererError(
                f"viz: to make a picture of steps, Graphviz is needed, for .html too: {INSTALL}; without it, .txt works"
            ) from None
        except RenderError as error:
            # The renderer advises options of viz.graph, which steps do not have.
            said = str(error).replace(OTHERWISE, "").replace(LESS, f"{_PART}, or save it as .txt")
            raise RenderError(said) from None
        style = ET.Element(_tag("style"))
        style.text = _STYLE.replace("COLOR", COLORS[0]).replace("DARK", COLORS[1])
        root.insert(1, style)
        width = float(root.get("viewBox", "0 0 0 0").split()[2])
        root.set("style", f"max-width:100%;min-width:{SMALLEST * width:.0f}pt;height:auto")
        lit = {i for frame in self.frames for i in frame.nodes}
        for element in list(root.iter(_tag("g"))):
            kind, name = element.get("class", "").partition(" ")[0], element.get("id", "")
            if kind == "node" and re.fullmatch(r"n\d+", name):
                self._decorate_node(element, int(name[1:]), lit)
            elif kind == "edge" and re.fullmatch(r"e\d+", name) and int(name[1:]) in self.texts:
                self._decorate_edge(element, name)
        return root

    def _dot(self):
        """DOT text of the graph, the node and edge with number i called n<i> and e<i>, with room for the gradients."""
        copy = Graph(groups=self.graph.groups)
        for id, n in self.graph.nodes.items():
            value, number = self.steps.values.get(id), self.number[id]
            room = max((f.grads.get(number, "") for f in self.frames), key=len)
            room = room and f"{_BOLD}{room}{_BOLD}"
            marks = {"output": n.marks["output"]} if "output" in n.marks else {}
            look: dict = {"id": f"n{number}", "place": room, "marks": marks, "saved": [], "statistics": {}}
            if value is not None and value.few:
                look |= {"label": f"{n.label} = {value.few}", "shape": None, "dtype": ""}
            copy.nodes[f"n{number}"] = replace(n, **look)
        shapes = any(n.shape for n in self.graph.nodes.values())
        dot = digraph(copy, Options(lines=True, shapes=shapes, parameters=False, legend=False))
        dot.body.append("\tnodesep=0.4 ranksep=0.45\n")
        for i, e in enumerate(self.graph.edges):
            text = f"label={quoted(f'{_BOLD}{self.texts[i]}{_BOLD * 3}')}" if i in self.texts else "style=dashed"
            attributes = f'id="e{i}" tooltip=" " {text}'
            dot.body.append(f"\tn{self.number[e.source]} -> n{self.number[e.target]} [{attributes}]\n")
        return dot.source

    def _decorate_node(self, element, number, lit):
        xs, ys = _corners(element)
        _rename(element, f"n{number}", list(self.graph.nodes)[number])
        texts = {frame.grads.get(number) for frame in self.frames}
        for text in element.iter(_tag("text")):
            if (text.text or "").strip("\u00a0") in texts:
                text.text = (text.text or "").strip("\u00a0")
                text.attrib |= {"class": f"bw-g g{number}", "fill": COLORS[0], "text-anchor": "middle"}
                text.set("x", f"{(min(xs) + max(xs)) / 2:.1f}")
        if number in lit:
            box = {"x": min(xs) - 4, "y": min(ys) - 4, "width": max(xs) - min(xs) + 8, "height": max(ys) - min(ys) + 8}
            sizes = {k: f"{v:.1f}" for k, v in box.items()}
            element.insert(0, ET.Element(_tag("rect"), {"class": f"bw-h h{number}", "rx": "7", **sizes}))

    def _decorate_edge(self, element, name):
        path = next(element.iter(_tag("path"))).get("d", "")
        for text in element.iter(_tag("text")):
            text.text = (text.text or "").strip("\u00a0")
            text.attrib |= {"class": f"bw-e {name}", "fill": COLORS[0], "text-anchor": "start"}
            text.set("x", f"{_beside(path, float(text.get('x', 0)), float(text.get('y', 0)), len(text.text)):.1f}")
        flow = ET.SubElement(element, _tag("g"), {"class": f"bw-f {name}"})
        flow.append(ET.Element(_tag("path"), {"fill": "none", "d": path}))
        flow.append(_arrow(path))

    # --- playing -------------------------------------------------------------------------------------------------

    def play(self):
        """Give the elements times at which they show, and write the words below."""
        parents = {child: parent for parent in self.root.iter() for child in parent}
        marked = [e for e in self.root.iter() if e.get("class", "").startswith("bw-")]
        shown: dict = {}  # (first frame, frame after the last) -> name of the keyframes
        for element in marked:
            kind, name = element.get("class", "").split()
            times = self._times(kind, int(name[1:]))
            parent = parents[element]
            at = list(parent).index(element)
            parent.remove(element)
            for first, last, text in reversed(times):
                twin = ET.Element(element.tag, dict(element.attrib))
                twin.text, twin[:] = text or element.text, list(element)
                parent.insert(at, _timed(twin, first, last, shown))
        self._caption(shown)
        style = ET.Element(_tag("style"))
        style.text = _keyframes(shown, len(self.frames))
        self.root.insert(2, style)

    def _times(self, kind, number):
        """When an element shows: (first frame, frame after the last, its text or None)."""
        count = len(self.frames)
        if kind == "bw-h":
            return [(k, k + 1, None) for k, frame in enumerate(self.frames) if number in frame.nodes]
        if kind == "bw-g":  # each number is there until the next one comes
            found = [(k, frame.grads[number]) for k, frame in enumerate(self.frames) if number in frame.grads]
            found = [(k, text) for i, (k, text) in enumerate(found) if not i or found[i - 1][1] != text]
            return [(k, end, text) for (k, text), (end, _) in zip(found, [*found[1:], (count, "")], strict=True)]
        first = next(k for k, frame in enumerate(self.frames) if number in frame.edges)
        return [(first, first + 1 if kind == "bw-f" else count, None)]

    def _caption(self, shown):
        """Words of each frame below the graph, and a line that tells how far it is."""
        words = [_wrapped(f) for f in self.frames]
        words = [lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"] for lines in words]
        x, y, width, height = map(float, self.root.get("viewBox", "0 0 0 0").split())
        wide = max(width, max(len(line) for lines in words for line in lines) * LETTER + 16)
        high = max(map(len, words)) * LINE + 20
        left = x - (wide - width) / 2
        self.root.set("viewBox", f"{left:.2f} {y:.2f} {wide:.2f} {height + high:.2f}")
        self.root.set("width", f"{wide:.0f}pt")
        self.root.set("height", f"{height + high:.0f}pt")
        paper = {"x": left, "y": y, "width": wide, "height": height + high, "fill": "#ffffff", "class": "bw-p"}
        bar = {"x": left, "y": y + height, "width": wide, "height": 2, "fill": COLORS[0], "class": "bw-b"}
        self.root.insert(1, ET.Element(_tag("rect"), {k: str(v) for k, v in paper.items()}))
        self.root.append(ET.Element(_tag("rect"), {k: str(v) for k, v in bar.items()}))
        for k, lines in enumerate(words):
            group = _timed(ET.SubElement(self.root, _tag("g"), {"class": "bw-c"}), k, k + 1, shown)
            for i, line in enumerate(lines):
                spot = {"x": f"{left + 8:.1f}", "y": f"{y + height + 18 + LINE * i:.1f}", "fill": "#1f2328"}
                text = ET.SubElement(group, _tag("text"), spot)
                text.text = line.replace(" ", "\u00a0")  # spaces at the beginning would go


def _tag(name):
    return f"{{{_SVG}}}{name}"


def _wrapped(frame):
    """The words of a frame in lines."""
    rows = [row for row in frame.rows if row[0] != "line"]
    wide = max([0, *(len(name) for name, _ in rows)]) + 4
    lines = textwrap.wrap(frame.head, WIDE, drop_whitespace=False)
    for name, text in rows:
        first, *rest = textwrap.wrap(text, max(WIDE - wide, 30)) or [""]
        lines += [f"  {name}".ljust(wide) + first, *(" " * wide + line for line in rest)]
    return lines


def _timed(element, first, last, shown):
    """The element, to show from frame `first` until frame `last`."""
    name = shown.setdefault((first, last), f"bw{first}-{last}")
    element.set("class", f"{element.get('class')} bw-t {name}")
    return element


def _keyframes(shown, count):
    """CSS: each span of frames as an animation; without motion, what shows in the end shows."""
    rules = [f".bw-t{{opacity:0;animation:{count * SECONDS:g}s step-end infinite}}"]
    for (first, last), name in sorted(shown.items()):
        spots = {0: 0, 100 * first / count: 1} | ({100 * last / count: 0} if last < count else {})
        frames = "".join(f"{at:.4g}%{{opacity:{x}}}" for at, x in spots.items())
        rules.append(
            f"@keyframes {name}{{{frames}}}.{name}{{animation-name:{name}{';opacity:1' if last == count else ''}}}"
        )
    rules.append(
        f"@keyframes bw-b{{from{{transform:scaleX(0)}}}}.bw-b{{animation:bw-b {count * SECONDS:g}s linear infinite}}"
    )
    rules.append("@media (prefers-reduced-motion:reduce){.bw-t,.bw-b,.bw-f path{animation:none!important}}")
    return "".join(rules)


_STYLE = """
.bw-h{fill:COLOR;fill-opacity:.14;stroke:COLOR;stroke-width:1.5}
.bw-f path{stroke:COLOR;stroke-width:2.5;stroke-dasharray:7 5;animation:bw-run .8s linear infinite}
.bw-f polygon{fill:COLOR}.bw-g,.bw-e{font-weight:bold}.bw-c text{font:10px Courier,"Courier New",monospace}
.bw-c text:first-child{font-weight:bold}
.bw-b{transform-box:fill-box;transform-origin:left}
@keyframes bw-run{to{stroke-dashoffset:12}}
@media (prefers-color-scheme:dark){.bw-h,.bw-f polygon{fill:DARK}.bw-h,.bw-f path{stroke:DARK}
.bw-g,.bw-e,.bw-b{fill:DARK}.bw-c text{fill:#e6edf3}.bw-p{fill:#0d1117}}
"""


def _corners(element):
    """The x and the y of all points of a shape."""
    shape = next((e for e in element.iter() if e.tag in (_tag("polygon"), _tag("path"), _tag("ellipse"))), None)
    if shape is None:
        shape = next(element.iter(_tag("text")))
        return [float(shape.get("x", 0))], [float(shape.get("y", 0))]
    if shape.tag == _tag("ellipse"):
        x, y, rx, ry = (float(shape.get(k, 0)) for k in ("cx", "cy", "rx", "ry"))
        return [x - rx, x + rx], [y - ry, y + ry]
    numbers = [float(n) for n in re.findall(_NUMBER, shape.get("points") or shape.get("d") or "0 0")]
    return numbers[::2], numbers[1::2]


def _rename(element, short, id):
    """Put the id of the graph where the page shows `short`: in titles and tooltips."""
    for e in element.iter():
        if e.tag == _tag("title") and e.text == short:
            e.text = printable(id)
        tip = e.get(f"{{{_LINK}}}title")
        if tip is not None:
            e.set(f"{{{_LINK}}}title", re.sub(rf"^{short}\b", lambda _: printable(id), tip))


def _beside(path, x, y, letters):
    """Where a label begins, whose room has its middle at `x`: close to its own edge, so that it is not another's."""
    start = x - letters * BOLD / 2
    numbers = [float(n) for n in re.findall(_NUMBER, path)]
    points = list(zip(numbers[::2], numbers[1::2], strict=False))
    near = []
    for i in range(0, len(points) - 3, 3):
        for t in (k / 16 for k in range(17)):
            parts = zip(((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3), points[i : i + 4], strict=True)
            weighted = [(w * a, w * b) for w, (a, b) in parts]
            if y - LINE <= sum(b for _, b in weighted) <= y + 4:
                near.append(sum(a for a, _ in weighted))
    return min(start, max(near) + 6) if near and max(near) < x else start


def _arrow(path):
    """A head at the beginning of a path, where a gradient arrives."""
    numbers = [float(n) for n in re.findall(_NUMBER, path)][:4]
    x, y, to_x, to_y = numbers if len(numbers) == 4 else (0, 0, 0, 1)
    length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5 or 1.0
    dx, dy = (to_x - x) / length * 9, (to_y - y) / length * 9
    points = [(x, y), (x + dx - dy / 2, y + dy + dx / 2), (x + dx + dy / 2, y + dy - dx / 2)]
    return ET.Element(_tag("polygon"), {"points": " ".join(f"{a:.1f},{b:.1f}" for a, b in points)})
