"""The legend of a picture: what the shapes, the borders and the colours mean that are there, and the graph's notes."""

import math

from ..model import OPERATION, PARAMETER, STATISTICS
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
        rows += [_table("".join(row)) for row in _rows([*_kinds(graph), *_marks(graph)])]
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


def _kinds(graph):
    there = {n.kind for n in graph.nodes.values()}
    for kind, (fill, border, _, words) in KINDS.items():
        # A graph of operations and parameters explains itself: the names of both are the usual ones.
        if kind in there and (kind not in (OPERATION, PARAMETER) or len(there) > 1):
            rounded = {"style": "rounded"} if kind == OPERATION else {}
            yield words, _cell(small(words), bgcolor=fill, color=border, **rounded)


def _marks(graph):
    things = [*graph.nodes.values(), *graph.edges, *graph.groups.values()]
    for mark, (color, _, words) in MARKS.items():
        if any(mark in thing.marks for thing in things):
            look = {"bgcolor": ALERT} if mark in SHAPES else {"style": LINES[mark]} if mark in LINES else {}
            yield words, _cell(bold(words, SMALL), color=color, border="2", **look)


def _scale(scale, what, unit):
    what += f"{', without its sign' if scale.signed else ''}{', logarithmic' if scale.log else ''}"
    low, high = number(scale.low, unit), number(scale.high, unit)
    if scale.low == scale.high:
        return small(f"{what}: {low} everywhere")
    cells = _cell(small(f"{what}: {low}"), border="0")
    for i in range(STEPS):
        cells += f'<td bgcolor="{cividis(i / (STEPS - 1))}" border="0" width="16"></td>'
    return _table(cells + _cell(small(high), border="0"), 0)
