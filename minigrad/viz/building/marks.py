"""Marks: what the user wants to see at once: an operation that gradcheck blames, a Variable, a node by its id.

    report = mg.gradcheck(model, x, mode="local")
    viz.graph(lambda: model(x).sum(), model, mark=report)

A report is of other runs, so its operation is found again by its name and its number among those of that name, in the
order in which they ran; and first by its class, the place of its call, and how many of its name came before it.
"""

from difflib import get_close_matches

from ...errors import MinigradError
from ...gradcheck.local import Blamed
from ...gradcheck.report import Report
from ...tape import Function, Variable
from ...tape.history import nodes_behind
from ..model import OPERATION, PARAMETER, Graph

BLAMED = "blamed"
NEAR = 3  # ids that an error suggests


class MarkError(MinigradError, LookupError):
    """What is to be marked is not in the graph."""


def mark_all(graph: Graph, mark, builder) -> None:
    """Mark what is meant by `mark`: a Report, a Blamed, a Function, a Variable, an id, or several in a list.

    Args:   builder - what made the graph: its `node_of` gives the Node of a Variable or Function, or None; `found` is
            {what is on the tape: Node}.
    Raises: MarkError where it is not in the graph; TypeError for what is none of these.
    """
    for each in mark if isinstance(mark, (list, tuple)) else [mark]:
        if isinstance(each, Report):
            _mark_report(graph, each, builder.found)
        elif isinstance(each, Blamed):
            _blamed(each, builder.found).marks[BLAMED] = f"gradcheck: {each.finding}"
        elif isinstance(each, str):
            _by_id(graph, each).marks[BLAMED] = ""
        elif isinstance(each, (Function, Variable)):
            node = builder.node_of(each)
            if node is None:
                what = f"the operation {each.name}" if isinstance(each, Function) else f"a Variable {each.shape}"
                raise MarkError(f"viz.graph: mark is {what} that is not in this graph: no output was computed from it")
            node.marks[BLAMED] = ""
        else:
            raise TypeError(
                "viz.graph: mark must be a report of gradcheck, a Function, a Variable, an id, or a list of these, "
                f"not a {type(each).__name__}"
            )


def _by_id(graph, id):
    if id in graph.nodes:
        return graph.nodes[id]
    near = get_close_matches(id, graph.nodes, NEAR, 0.4) or list(graph.nodes)[:NEAR]
    hint = f"; near are {', '.join(map(repr, near))}" if near else ", which is empty"
    raise MarkError(f"viz.graph: mark={id!r} is no id of this graph{hint}")


def _mark_report(graph, report, found):
    """Mark the operation to blame, and the leaves whose gradients are wrong."""
    if report.op is not None:
        _blamed(report.op, found).marks[BLAMED] = f"gradcheck: {report.op.finding}"
    names = {name: n for n in graph.nodes.values() if n.kind != OPERATION for name in (n.id, n.label)}
    for _, row in report.leaves:
        if row.verdict == "wrong":
            node = _leaf(graph, names, row)
            if node is not None:
                node.marks[BLAMED] = "gradcheck: its gradient is wrong"


def _leaf(graph, names, row):
    """The leaf that a row of a report is about: by its path, and where that is no id, the one that ends alike."""
    path = row.leaf.partition(" ")[2] if row.leaf.startswith("input ") else row.leaf
    if path in names:
        return names[path]
    alike = [n for n in graph.nodes.values() if n.kind == PARAMETER and f".{path}".endswith(f".{n.id}")]
    return max(alike, key=lambda n: len(n.id), default=None)


def _blamed(op, found):
    """The Node of an operation of another run."""
    alike = [(x, n) for x, n in found.items() if isinstance(x, Function) and x.name == op.name and not n.level]
    if not alike:
        raise MarkError(
            f"viz.graph: mark is {op.name}:{op.number}, which gradcheck blames, and this graph has no {op.name}; "
            "draw the function that was checked"
        )
    wanted = _traits(op.node)

    def likeness(pair):
        (number, (x, _)) = pair
        # Operations that lead to no output are counted by gradcheck, and are not here: numbers are smaller by those.
        return [a == b for a, b in zip(_traits(x), wanted, strict=True)], number <= op.number, -abs(number - op.number)

    return max(enumerate(alike), key=likeness)[1][1] if len(alike) > 1 else alike[0][1]


def _traits(node):
    """What an operation has in common with itself in another run, the most telling first."""
    behind = nodes_behind([node])
    place = node.called_at[:2] if node.called_at is not None else None
    return type(node), place, sum(n.name == node.name for n in behind), node.shape, len(behind)
