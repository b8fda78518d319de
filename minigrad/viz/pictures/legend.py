"""The legend of a picture: what the shapes, the borders and the colours mean that are there, and the graph's notes."""

import math

from ..model import MODULE, OPERATION, PARAMETER, STATISTICS
from ..style import ALERT, KINDS, LINES, MARKS, SHAPES, cividis, number
from ..words import SMALL, bold, folded, short, small

STEPS = 10  # of the colours of a scale
ROW = 80  # letters beside each other


def legend(graph, options, scale) -> str:
    """A label in DOT's HTML, a table; "" where there is nothing to say."""
    rows = []
    if graph.title and graph.title not in graph.groups:  # there the outermost box says it
        rows.append(bold(short(graph.title, 80)))
    rows += [small(line) for note in graph.notes for line in folded(note) if line]
    if options.legend:
        coloured = {n.kind for n in graph.nodes.values() if scale is not None and options.color in n.statistics}
        entries = [*_kinds(graph, coloured), *_marks(graph), *_loops(graph)]
        rows += [_table("".join(row)) for row in _rows(entries)]
        if options.gradients and any(e.grad_norm is not None for e in graph.edges):
            rows.append(small("grad at an edge: norm of the gradient that flows back there, and its width"))
        if scale is not None:
            rows.append(_scale(scale, *STATISTICS[options.color]))
    lines = "".join(f"<tr><td>{row}</td></tr>" for row in rows)
    return f'<<table border="0" cellspacing="0" cellpadding="2">{lines}</table>>' if rows else ""


def _rows(entries):
    """Pairs (words, cell) as lists of cells, of about as many letters each: narrower rows would be stretched."""
    whole = sum(len(words) + 4 for words, _ in entries)
    each = whole / max(1, math.ceil(whole / ROW))
    rows: list = []
    before = 0.0
    for words, cell in entries:
        if before + len(words) / 2 > each * len(rows):
            rows.append([])
        rows[-1].append(cell)
        before += len(words) + 4
    return rows


def _table(cells, spacing=4):
    return f'<table border="0" cellborder="1" cellspacing="{spacing}" cellpadding="2"><tr>{cells}</tr></table>'


def _cell(text, **look):
    attributes = "".join(f' {k}="{v}"' for k, v in look.items())
    return f"<td{attributes}>{text}</td>"


def _kinds(graph, coloured):
    there = {n.kind for n in graph.nodes.values() if "unchanged" not in n.marks}
    plain = (OPERATION, PARAMETER)
    for kind, (fill, border, _, words) in KINDS.items():
        # A graph of operations and parameters explains itself: the names of both are the usual ones.
        if kind in there and (kind not in plain or (len(there) > 1 and kind not in coloured)):
            rounded = {"style": "rounded"} if kind == OPERATION else {}
            filled = {} if kind in coloured else {"bgcolor": fill}  # else by the statistic
            yield words, _cell(small(words), **filled, color=border, **rounded)


def _marks(graph):
    things = [*graph.nodes.values(), *graph.edges, *graph.groups.values()]
    for mark, (color, _, words) in MARKS.items():
        if any(mark in thing.marks for thing in things):
            look = {"style": LINES[mark]} if mark in LINES else {}
            if mark in SHAPES or mark == "unchanged":
                look["bgcolor"] = ALERT if mark in SHAPES else KINDS[MODULE][0]
            sample = _cell(bold(words, SMALL), color=color, border="2", **look)
            if mark in SHAPES:
                sample = _cell(_table(sample, 0), color=color, border="2", cellpadding="1", bgcolor=ALERT)
            yield words, sample


def _loops(graph):
    if any(e.kind == "repeat" for e in graph.edges):
        words = "from one repeat to the next"
        yield words, _cell(small(words), color=MARKS["changed"][0], style="dashed")


def _scale(scale, what, unit):
    what += f"{', without its sign' if scale.signed else ''}{', logarithmic' if scale.log else ''}"
    low, high = number(scale.low, unit), number(scale.high, unit)
    if scale.low == scale.high:
        return small(f"{what}: {low} everywhere")
    cells = _cell(small(f"{what}: {low}"), border="0")
    for i in range(STEPS):
        cells += f'<td bgcolor="{cividis(i / (STEPS - 1))}" border="0" width="16"></td>'
    return _table(cells + _cell(small(high), border="0"), 0)
