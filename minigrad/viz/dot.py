"""A graph as DOT text, built with the `graphviz` package: a box for each operation, a cluster for each module."""

import html
import re

from .model import OPERATION, PARAMETER, STATISTICS, STUB, Graph, Node, shaped
from .style import GREY, INK, KINDS, MARKS, PAPER, Scale, cividis, count_of, ink_on, number

FONT = "Helvetica,Arial,sans-serif"
LABELLED = 300  # nodes; above, labels at edges would double the ranks and the time that dot takes


def digraph(graph: Graph, options):
    """A graphviz.Digraph of `graph`, drawn as the `options` of viz.graph say."""
    import graphviz  # noqa: PLC0415 - importing minigrad does not

    scale = _scale(graph, options.color)
    dot = graphviz.Digraph("graph")
    dot.attr("graph", rankdir=options.direction, fontname=FONT, fontsize="11", fontcolor=INK, bgcolor=PAPER)
    dot.attr("graph", nodesep="0.25", ranksep="0.35", labelloc="b", id="graph")
    dot.attr(
        "node", fontname=FONT, fontsize="11", fontcolor=INK, style="rounded,filled", margin="0.1,0.05", height="0.3"
    )
    dot.attr("edge", fontname=FONT, fontsize="9", fontcolor=GREY, color=GREY, arrowsize="0.6")
    legend = _legend(graph, options, scale)
    if legend:
        dot.attr("graph", label=legend)
    _fill(dot, graph, "", _inside(graph), options, scale)
    labels = len(graph.nodes) <= LABELLED
    for e in graph.edges:
        # Not dot.edge(): it reads a colon in a name as a port.
        dot.body.append(f"\t{quoted(e.source)} -> {quoted(e.target)}{_edge(e, options, labels)}\n")
    return dot


def quoted(text: str) -> str:
    """`text` as a name in DOT."""
    return '"' + _printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped(text: str) -> str:
    """`text` in a label of DOT's HTML."""
    return html.escape(_printable(text), quote=True)


def _printable(text):
    """Control characters, which no XML may hold, as their pictures: ␊ for a newline."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", _picture, text)


def _picture(found):
    code = ord(found[0])
    return chr(0x2400 + code) if code < 32 else "\ufffd"


def _inside(graph):
    """{id of a group: (the groups in it, the nodes in it)}."""
    found: dict = {"": ([], [])} | {id: ([], []) for id in graph.groups}
    for g in graph.groups.values():
        found[g.parent][0].append(g)
    for n in graph.nodes.values():
        found[n.group][1].append(n)
    return found


def _fill(dot, graph, group, inside, options, scale):
    groups, nodes = inside[group]
    for n in nodes:
        dot.node(quoted(n.id)[1:-1], label=_label(n, options, scale), **_look(n, options, scale))
    for g in groups:
        if not _holds_anything(g.id, inside):
            continue
        with dot.subgraph(name=f"cluster_{g.id}") as sub:
            sub.attr(label=f"<{_title(g)}>", labeljust="l", labelloc="t", style="rounded", color="#afb8c1")
            sub.attr(fontcolor=GREY, tooltip=_printable(g.path or g.id), id=f"cluster_{g.id}")
            _fill(sub, graph, g.id, inside, options, scale)


def _holds_anything(group, inside):
    groups, nodes = inside[group]
    return bool(nodes) or any(_holds_anything(g.id, inside) for g in groups)


def _title(g):
    name = "" if g.id == g.kind else f"{escaped(g.id.rpartition('/')[2])} "
    text = f"{name}<b>{escaped(g.kind)}</b>"
    if g.repeat > 1:
        text += f' <font color="{MARKS["changed"][0]}"><b>× {g.repeat}</b></font> (to {escaped(g.last)})'
    return text


def _label(n: Node, options, scale):
    lines = [f"<b>{escaped(n.label)}</b>" if n.kind != PARAMETER else escaped(n.label)]
    if n.repeat > 1:
        lines[0] += f" × {n.repeat}"
    small = []
    if options.shapes and n.shape is not None and n.kind != STUB:
        small.append(shaped(n.shape) + (f" {n.dtype}" if options.dtypes else ""))
    if n.parameters and n.kind != OPERATION and options.parameters:
        small.append(
            f"{count_of(n.parameters)} parameters" if n.kind != PARAMETER else f"{count_of(n.parameters)} numbers"
        )
    if options.lines and n.place:
        small.append(n.place)
    if options.saved:
        small += [
            f"keeps {s.what} {shaped(s.shape)}: {number(s.bytes, 'B') if s.first else 'kept already'}" for s in n.saved
        ]
    if options.color and options.color in n.statistics:
        small.append(f"{options.color} {number(n.statistics[options.color], STATISTICS[options.color][1])}")
    small += [text for mark, text in n.marks.items() if text and mark != "infected"]
    lines += [f'<font point-size="9">{escaped(text)}</font>' for text in small]
    return "<" + "<br/>".join(lines) + ">"


def _look(n: Node, options, scale):
    fill, border, shape, _ = KINDS[n.kind]
    look = {"fillcolor": fill, "color": border, "shape": shape, "tooltip": _tooltip(n), "class": n.kind, "id": n.id}
    if scale is not None and options.color in n.statistics:
        look["fillcolor"] = scale.colour(n.statistics[options.color])
        look["fontcolor"] = ink_on(look["fillcolor"])
        look["class"] += " coloured"
    for mark, (color, width, _) in MARKS.items():
        if mark in n.marks:
            return look | {"color": color, "penwidth": str(width), "class": f"{look['class']} {mark.replace(' ', '-')}"}
    return look


def _tooltip(n: Node):
    facts = [n.id, *(f"{k}={v}" for k, v in n.facts.items()), n.place]
    facts += [f"{k} {number(x, STATISTICS[k][1])}" for k, x in n.statistics.items()]
    return "; ".join(_printable(f) for f in facts if f).replace("\\", "\\\\")


def _edge(e, options, labels):
    look = {}
    if e.kind == "detached":
        look |= {"style": "dashed", "label": "detached", "color": MARKS["removed"][0]}
    elif labels and options.gradients and e.grad_norm is not None:
        look["label"] = f"|g| {number(e.grad_norm)}"
    elif e.count > 1:
        look["label"] = f"{e.count}×"
    return "".join(f" [{', '.join(f'{k}={quoted(v)}' for k, v in look.items())}]") if look else ""


def _scale(graph, name):
    values = [n.statistics[name] for n in graph.nodes.values() if name in n.statistics] if name else []
    return Scale(values) if values else None


def _legend(graph, options, scale):
    """What the shapes and colours mean that are there, as a table below the drawing."""
    cells = []
    if options.legend:
        for kind in dict.fromkeys(n.kind for n in graph.nodes.values()):
            fill, border, _, words = KINDS[kind]
            cells.append(f'<td bgcolor="{fill}" color="{border}" border="1">{words}</td>')
        for mark, (color, _, words) in MARKS.items():
            if any(mark in n.marks for n in graph.nodes.values()):
                cells.append(f'<td color="{color}" border="2">{words}</td>')
        if scale is not None:
            unit = STATISTICS[options.color][1]
            cells.append(f'<td border="0">{STATISTICS[options.color][0]}: {number(scale.low, unit)}</td>')
            cells += [f'<td bgcolor="{cividis(i / 9)}" border="0">  </td>' for i in range(10)]
            cells.append(f'<td border="0">{number(scale.high, unit)}{" (logarithmic)" if scale.log else ""}</td>')
    rows = [
        f'<tr><td border="0" colspan="{max(len(cells), 1)}">{escaped(text)}</td></tr>'
        for text in (graph.title, *graph.notes)
        if text
    ]
    if cells:
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<<table border="0" cellborder="1" cellspacing="4" cellpadding="3">{"".join(rows)}</table>>' if rows else ""
