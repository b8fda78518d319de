"""A graph as DOT text, in a Digraph of the `graphviz` package: a box for each operation, a cluster for each module.

    digraph(drawing.view, drawing.options).source       what Drawing.source is

A parameter that one operation takes is a line in that operation's box, and so is a constant made in the same module.
And a module in which a single operation ran is that operation's box, under the module's name. So a layer is one box.

The nodes of DOT and the ids in an SVG are ident(node.id); of a cluster, cluster_ and ident(group.id).
"""

import math
from dataclasses import replace

from ..model import INPUT, LEAF, MODULE, OPERATION, PARAMETER, STATISTICS, Graph, Group, shaped
from ..style import (
    ALERT,
    BACKWARD,
    FRAME,
    GREY,
    INK,
    KINDS,
    LINES,
    MARKS,
    PAPER,
    ROUNDED,
    SHAPES,
    Scale,
    ink_on,
    number,
)
from ..views.structure import reach
from ..words import (
    LONG,
    SMALL,
    bold,
    escaped,
    folded,
    ident,
    kept,
    marked,
    own_name,
    parameters_of,
    printable,
    repeats,
    shape_of,
    short,
    small,
    statistic,
)
from .legend import legend

JOINER = "\u2060"  # it has no width
FONT = "Arial"  # one name, whose widths every renderer knows: of a list, graphviz-pure takes those of Times
FAR = 4000  # rows that edges cross: above, curved ones take dot minutes, straight ones less than a second
LABELLED = 300  # nodes; above, labels at edges would double the ranks and the time that dot takes
INNER = 4  # lines in a box; of more, each is a box itself
SHARED = 6  # operations that take a parameter; of more, it is a line in each of them
BESIDE = 30  # letters of a name and a shape that stand on one line
MARK = 36  # letters of a line of a mark, which has at most MARKED in all
MARKED = 180
NUMBERS = ("a", "b", "n")  # facts that are numbers in place of operands: 4 - x, x / 4, x ** 4
OUTPUTS = 60  # nodes; above, which of several outputs flows along an edge is told in tooltips alone


def digraph(graph: Graph, options):
    """A graphviz.Digraph of `graph`, drawn as the `options` of viz.graph say."""
    import graphviz  # noqa: PLC0415 - importing minigrad does not

    drawn = _Drawn(graph, options)
    font = {"fontname": FONT, "fontsize": "11", "fontcolor": INK}
    whole = {"rankdir": options.direction, "bgcolor": PAPER, "nodesep": "0.2", "ranksep": "0.32", "id": "graph"}
    whole |= {"labelloc": "b", "tooltip": " "}  # else browsers show its name everywhere
    if reach(replace(graph, edges=drawn.outer)) > FAR:
        whole |= {"splines": "line", "nslimit": "2"}
    label = legend(graph, options, drawn.scale)
    if label:
        whole["label"] = label
    return graphviz.Digraph(
        "graph",
        graph_attr=font | whole,
        node_attr=font | {"style": "filled", "margin": "0.1,0.05", "height": "0.3"},
        edge_attr=font | {"fontsize": "9", "fontcolor": GREY, "color": GREY, "arrowsize": "0.6"},
        body=[*drawn.boxes(), *drawn.edges()],
    )


def quoted(text: str) -> str:
    """`text` as a value in DOT, which reads backslashes and entities of HTML; at most LONG letters of it."""
    return f'"{_escaped(text[:LONG])}"'


def _escaped(text):
    # Renderers take escapes from a tooltip once or twice. With a joiner behind it, a backslash is one after both.
    return printable(text).replace("&", "&amp;").replace("\\", f"\\\\{JOINER}").replace('"', '\\"')


def attributes(look: dict) -> str:
    """color="#ffffff" label=<...>: texts quoted, labels in HTML as they are, lists line by line."""
    return " ".join(f"{k}={_value(k, v)}" for k, v in look.items())


def _value(name, value):
    if type(value) is list:
        each = LONG // max(len(value), 1)
        return '"' + "\\n".join(_escaped(line if len(line) <= each else f"{line[: each - 1]}…") for line in value) + '"'
    return value if name == "label" and value.startswith("<") else quoted(value)


class _Drawn:
    def __init__(self, graph, options):
        self.graph, self.options = graph, options
        values = [n.statistics[options.color] for n in graph.nodes.values() if options.color in n.statistics]
        self.scale = Scale(values) if values else None
        self.widths = Scale([e.grad_norm for e in graph.edges if e.grad_norm is not None])
        self.groups: dict = {"": []} | {id: [] for id in graph.groups}
        self.nodes: dict = {id: [] for id in self.groups}
        for n in graph.nodes.values():
            self.nodes[n.group].append(n)
        # Those around a backward: the parameters of a module are told at its forward.
        self.back = {g.id for g in graph.groups.values() if any(map(self._is_backward, graph.ancestors(g.id)))}
        self.inner = self._lines()
        inside = {p.id for row in self.inner.values() for p, _ in row}
        self.nodes = {id: [n for n in nodes if n.id not in inside] for id, nodes in self.nodes.items()}
        self.outer = [e for e in graph.edges if e.source not in inside]
        seen = dict.fromkeys(g for n in graph.nodes.values() for g in graph.ancestors(n.group))  # not the empty ones
        for g in graph.groups.values():
            if g.id in seen:
                self.groups[g.parent].append(g)

    def _is_backward(self, id):
        return self.graph.groups[id].kind == "backward" and id.partition(" ")[0] == "backward"

    def _lines(self):
        """{id of an operation: [(what it takes, the edge)]} of what is a line in its box."""
        leaving: dict = {}
        for e in self.graph.edges:
            leaving.setdefault(e.source, []).append(e)
        found: dict = {}
        for n in self.graph.nodes.values():
            edges = leaving.get(n.id, ())
            wanted = len(edges) == 1 or (n.kind == PARAMETER and len(edges) > SHARED)
            if wanted and all(self._is_line(n, e, self.graph.nodes[e.target]) for e in edges):
                for e in edges:
                    found.setdefault(e.target, []).append((n, e))
        self.shared = {n.id for row in found.values() for n, _ in row if len(leaving[n.id]) > 1}
        full = {n.id for row in found.values() if len(row) > INNER for n, _ in row}
        rows = {id: [(n, e) for n, e in row if n.id not in full] for id, row in found.items()}
        return {id: row for id, row in rows.items() if row}

    def _is_line(self, n, edge, target):
        if n.marks or edge.marks or edge.kind != "value" or target.kind != OPERATION:
            return False
        if n.kind == PARAMETER:
            return n.group in ("", *self.graph.ancestors(target.group))
        return n.kind == INPUT and n.group == target.group != ""  # made there, as the mask of a dropout

    def boxes(self):
        """The lines of all nodes, in the clusters of their groups."""
        yield from map(self._node, self.nodes[""])
        left = [iter(self.groups[""])]  # of the groups that are open, those still to come
        while left:
            g = next(left[-1], None)
            indent = "\t" * len(left)
            if g is None:
                left.pop()
                if left:
                    yield indent[1:] + "}\n"
            elif self._is_one_box(g):
                yield indent + self._node(self.nodes[g.id][0], g)
            else:
                yield f"{indent}subgraph {quoted('cluster_' + ident(g.id))} {{\n"
                yield f"{indent}\t{attributes(self._frame(g))}\n"
                for n in self.nodes[g.id]:
                    yield indent + self._node(n)
                left.append(iter(self.groups[g.id]))

    def _is_one_box(self, g):
        nodes = self.nodes[g.id]
        return len(nodes) == 1 and nodes[0].kind == OPERATION and not self.groups[g.id] and not g.marks and g.path

    def _node(self, n, group=None):
        return f"\t{quoted(ident(n.id))} [{attributes(self._look(n, group))}]\n"

    def _look(self, n, group):
        fill, border, shape, _ = KINDS[n.kind]
        color = self.options.color
        look = {"label": self._label(n, group), "fillcolor": fill, "color": border, "shape": shape}
        look |= {"tooltip": self._tooltip(n), "class": n.kind, "id": ident(n.id)}
        if n.kind == MODULE:
            look["margin"] = "0.15,0.12"  # its front is smaller than its box
        styles = ["filled"] + (["rounded"] if n.kind in ROUNDED else [])
        if self.scale is not None and color in n.statistics and math.isfinite(n.statistics[color]):
            look["fillcolor"] = self.scale.colour(n.statistics[color])
            look["fontcolor"] = ink_on(look["fillcolor"])
            look["class"] += " coloured"
        mark = next((m for m in MARKS if m in n.marks), None)
        if mark is not None:
            look |= {"color": MARKS[mark][0], "penwidth": str(MARKS[mark][1])}
            look["class"] += f" {mark.replace(' ', '-')}"
            if mark in SHAPES:
                look |= {"shape": SHAPES[mark], "fillcolor": ALERT, "fontcolor": INK, "peripheries": "2"}
                styles = ["filled"]
            styles += [LINES[mark]] if mark in LINES else []
        if "output" in n.marks:
            look["peripheries"] = "2"
        if styles != ["filled"]:
            look["style"] = ",".join(styles)
        return look

    def _times(self, n):
        """× 12, where the groups around do not say so already."""
        around = math.prod(self.graph.groups[id].repeat for id in self.graph.ancestors(n.group))
        return f" × {n.repeat}" if n.repeat not in (1, around) else ""

    def _label(self, n, group):
        first, name = _headline(n, group, self._times(n))
        numbers = ", ".join(f"{k}={short(n.facts[k])}" for k in NUMBERS if n.kind == OPERATION and k in n.facts)
        if numbers:
            first, name = f"{first} {small(numbers)}", f"{name} {numbers}"
        shape = shape_of(n, self.options)
        lines = []
        if shape and len(name) + len(shape) < BESIDE:
            first += f" {small(shape)}"
        elif shape:
            lines.append(shape)
        if n.parameters and n.kind not in (OPERATION, PARAMETER, LEAF) and self.options.parameters:
            lines.append(parameters_of(n, self.graph.groups.get(n.group)))
        if self.options.lines and n.place:
            place, _, code = n.place.partition(": ")
            lines += [short(place), *([short(code)] if code else [])]
        if self.options.saved:
            lines += map(kept, n.saved)
        told = statistic(n, self.options.color)
        lines = [small(short(line)) for line in [*lines, told] if line]
        for mark, text in n.marks.items():
            size = 11 if mark in SHAPES else SMALL
            lines += [bold(line, size) for line in folded(short(marked(mark, text), MARKED), MARK)]
        text = "<br/>".join([first or " ", *lines])
        if n.id not in self.inner:
            return f"<{text}>"
        rows = "".join(f"<tr>{self._cell(p, e)}</tr>" for p, e in self.inner[n.id])
        return f'<<table border="0" cellpadding="1" cellspacing="1"><tr><td>{text}</td></tr>{rows}</table>>'

    def _cell(self, p, e):
        """A parameter or an input as a line in the box of its operation."""
        fill, border, _, _ = KINDS[p.kind]
        name = p.label.removeprefix(f"{_path(self.graph.nodes[e.target].group)}.")
        told = statistic(p, self.options.color)
        if told and self.scale is not None and math.isfinite(p.statistics[self.options.color]):
            fill = self.scale.colour(p.statistics[self.options.color])
        elif self.options.gradients and e.grad_norm is not None:
            told = f"grad {number(e.grad_norm)}"
        shared = "(shared)" if p.id in self.shared else ""
        text = small(" ".join(filter(None, (short(name), shape_of(p, self.options), shared, told))))
        ink = INK if fill == KINDS[p.kind][0] else ink_on(fill)
        return f'<td bgcolor="{fill}" color="{border}" border="1"><font color="{ink}">{text or " "}</font></td>'

    def _tooltip(self, n):
        parameters = [self._facts(p) for p, _ in self.inner.get(n.id, ())]
        return [self._facts(n), *parameters, *(marked(m, text) for m, text in n.marks.items())]

    def _facts(self, n):
        # A time is another one in each run; the text of a picture is the same, if it does not show times.
        known = [k for k in n.statistics if k != "time" or self.options.color == "time"]
        facts = [n.id, " ".join(filter(None, (_shape(n), n.dtype))), *(f"{k}={v}" for k, v in n.facts.items()), n.place]
        return "; ".join(filter(None, (*facts, *(f"{k} {number(n.statistics[k], STATISTICS[k][1])}" for k in known))))

    def _frame(self, g: Group):
        """How the cluster of a group looks."""
        name, kind = short(own_name(g.id, g.parent)), short(g.kind)
        look = {"style": "rounded", "color": FRAME, "fontcolor": GREY, "labeljust": "l", "labelloc": "t", "margin": "9"}
        count = g.id not in self.back and g.parameters and self.options.parameters
        notes = [repeats(g), parameters_of(g, self.graph.groups.get(g.parent)) if count else ""]
        if self._is_backward(g.id):
            look["bgcolor"] = BACKWARD
        notes += [x for mark, text in g.marks.items() for x in folded(short(marked(mark, text), MARKED), MARK)]
        mark = next((m for m in MARKS if m in g.marks), None)
        if mark is not None:
            look |= {"color": MARKS[mark][0], "penwidth": "2", "style": f"rounded,{LINES.get(mark, 'solid')}"}
        look["label"] = _title(name, kind, [*filter(None, notes)])
        return look | {"tooltip": g.path or g.id, "id": f"cluster_{ident(g.id)}", "class": "module"}

    def edges(self):
        """The lines of all edges."""
        labels = len(self.graph.nodes) <= LABELLED
        for e in self.outer:
            look = attributes(self._edge(e, labels))
            # Not dot.edge(): it reads a colon in a name as a port.
            yield f"\t{quoted(ident(e.source))} -> {quoted(ident(e.target))} [{look}]\n"

    def _edge(self, e, labels):
        # Operations in a row stand straight below each other, what they take besides at the side.
        look = {"tooltip": " ".join(filter(None, (e.label, _shape(e), e.dtype))) or " "}
        if self.graph.nodes[e.source].kind not in (PARAMETER, INPUT, LEAF):
            look["weight"] = "4"
        words = [f"× {e.count}"] if e.count > 1 else []
        if ", output " in e.label and len(self.graph.nodes) <= OUTPUTS:
            words.append(e.label.rpartition(", ")[2])
        if self.options.gradients and e.grad_norm is not None:
            words.append(f"grad {number(e.grad_norm)}")
            look["penwidth"] = f"{0.5 + 3 * self.widths.at(e.grad_norm):.1f}"
        if e.kind != "value":
            look |= {"style": "dashed", "class": e.kind}
            if e.kind == "repeat":  # it leads back up, at a side; the box says how often, and the legend what it is
                side = "e" if self.options.direction in ("TB", "BT") else "s"
                look |= {"constraint": "false", "tailport": side}
                look["tooltip"] = " ".join(["repeat", *words, look["tooltip"]]).strip()
                words = words[1:] if e.count > 1 else words
            else:
                words = [e.kind, *words]
            look["color"] = look["fontcolor"] = MARKS["changed" if e.kind == "repeat" else "removed"][0]
        for mark in (m for m in MARKS if m in e.marks):
            look |= {"color": MARKS[mark][0], "fontcolor": MARKS[mark][0], "penwidth": "2"}
            look |= {"style": LINES[mark]} if mark in LINES else {}
            words.append(marked(mark, e.marks[mark]))
        if words and (labels or e.kind != "value" or e.marks):
            look["label"] = f" {short(' '.join(words))} "
        return look


def _headline(n, group, times):
    """The first line of a node, and its letters: the name, or that of the module it stands for and its own."""
    if group is None:
        label = n.label.removeprefix(f"{_path(n.group)}.") if n.kind == MODULE else n.label
        if n.kind == MODULE and " " in label:
            name, _, kind = map(short, label.rpartition(" "))
            return _named(name, kind) + bold(times), f"{name} {kind}{times}"
        text = short(label) + times
        return (escaped(text) if n.kind == PARAMETER else bold(text)), text
    name, kind, times = short(own_name(group.id, group.parent)), short(group.kind), repeats(group)
    own = "" if n.label.replace("_", "") == group.kind.lower() else short(n.label)
    first = " ".join(filter(None, (_named(name, kind), small(own), bold(times))))
    return first, f"{name} {kind} {own} {times}"


def _named(name, kind):
    return bold(kind) if name == kind else f"{escaped(name)} {bold(kind)}"


def _title(name, kind, notes):
    """A cluster's title: the name, below it the rest, all at the left; and at the right as much room.

    Most clusters are as wide as their title, and what flows into them comes in the middle: beside the title.
    """
    letters = len(kind) if name == kind else len(name) + len(kind) + 1
    width = max(6.2 * letters, 4.8 * max(map(len, notes), default=0))  # points: of a letter of Arial on average
    room = f'<td width="{width + 16:.0f}" rowspan="{len(notes) + 1}"></td>'
    lines = [f'<td align="left">{_named(name, kind) or " "}</td>{room}']
    lines += [f'<td align="left">{small(note)}</td>' for note in notes]
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<<table border="0" cellpadding="0" cellspacing="0">{rows}</table>>'


def _path(group):
    """The path of a group's module, from its id: cell.hidden of backward/cell.hidden@2."""
    return group.rpartition("/")[2].partition("@")[0]


def _shape(x):
    return "" if x.shape is None else shaped(x.shape)
