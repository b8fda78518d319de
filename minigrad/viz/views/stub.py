"""stub: the first nodes and the last, and "… 412 more" in place of those between, where a graph has too many.

    stubbed(graph, 300)         at most 300 nodes, of which some are stubs

Outputs and nodes with a mark stay, as far as there is room for them: what is infected by a NaN may be a whole graph.
"""

from dataclasses import replace

from ..model import STUB, Graph, Node
from ..style import MARKS
from .fold import joined, marks_of, of_parts
from .structure import LEAVES

_FAINT = ("unchanged", "infected", "infected in backward")  # marks that may be on all nodes


def stubbed(graph: Graph, most: int) -> Graph:
    """The graph with at most `most` nodes."""
    if len(graph.nodes) <= most:
        return graph
    order = _order(graph)
    places = {id: i for i, id in enumerate(order)}
    wanted, left = _wanted(graph, places, most)
    room = most - 2 * len(wanted) - 1  # each that is kept in the middle may leave a stub on either side
    first = max(room - room // 2, 0)
    kept = wanted | set(order[:first]) | set(order[len(order) - max(room // 2, 0) :])
    stretches: list = []
    for id in order:
        if id in kept:
            stretches.append([])
        elif not stretches:
            stretches.append([id])
        else:
            stretches[-1].append(id)
    drawn = {id: id for id in kept}
    stubs: dict = {}
    for hidden in filter(None, stretches):
        stub = _stub(graph, hidden)
        if len(hidden) == 1:  # a stub would take as much room
            drawn[hidden[0]] = hidden[0]
            continue
        stubs[hidden[0]] = stub
        drawn |= dict.fromkeys(hidden, stub.id)
    nodes = {}
    for id in order:
        if drawn[id] == id:
            nodes[id] = graph.nodes[id]
        elif id in stubs:
            nodes[stubs[id].id] = stubs[id]
    moved = [(e, drawn[e.source], drawn[e.target]) for e in graph.edges]
    edges = joined([(e, a, b) for e, a, b in moved if a != b or e.source == e.target], whole=True)
    number = len(graph.nodes) - sum(1 for n in nodes.values() if n.kind != STUB or n.id in graph.nodes)
    notes = [*graph.notes, f"{number} of {len(graph.nodes)} nodes are left out: max_nodes={most}"]
    if left:
        notes.append(f"{left} outputs or marked nodes are among those that are left out: a larger max_nodes shows them")
    outputs = [id for id in graph.outputs if id in nodes]
    used: set = set()
    for n in nodes.values():
        used.update(graph.ancestors(n.group))
    groups = {id: g for id, g in graph.groups.items() if id in used}
    return replace(graph, nodes=nodes, edges=edges, groups=groups, outputs=outputs, notes=notes)


def _order(graph):
    """The ids in the order in which they ran, each leaf before the first that takes it: so edges lead onwards."""
    places = {id: i for i, id in enumerate(graph.nodes)}
    first: dict = {}
    fed = {e.target for e in graph.edges if e.kind != "repeat"}
    for e in graph.edges:
        if e.source not in fed:
            first[e.source] = min(first.get(e.source, len(places)), places[e.target])
    return sorted(places, key=lambda id: (min(first.get(id, places[id]), places[id]), id not in first, places[id]))


def _wanted(graph, places, most):
    """The ids that must stay, and how many of those have no room."""
    rank = {mark: i for i, mark in enumerate(MARKS)}
    outputs = set(graph.outputs)
    ranks = {}
    for n in graph.nodes.values():
        marks = [rank.get(m, len(rank)) for m in n.marks if m not in _FAINT]
        if marks or n.id in outputs:
            ranks[n.id] = (n.id not in outputs, min(marks, default=0), places[n.id])
    wanted = sorted(ranks, key=ranks.__getitem__)
    room = (most - 1) // 2
    return set(wanted[:room]), max(len(wanted) - room, 0)


def _stub(graph, hidden):
    nodes = [graph.nodes[id] for id in hidden]
    around = graph.ancestors(nodes[0].group)
    for group in dict.fromkeys(n.group for n in nodes):
        here = set(graph.ancestors(group))
        around = [g for g in around if g in here]
    id = f"{hidden[0]} …"
    while id in graph.nodes:
        id += "…"
    return Node(
        id,
        STUB,
        f"… {len(hidden)} more",
        around[0] if around else "",
        level=min(n.level for n in nodes),
        facts={"from": hidden[0], "to": hidden[-1]},
        parameters=sum(n.parameters for n in nodes),
        count=sum(n.count for n in nodes if n.kind not in LEAVES),
        statistics=of_parts([n.statistics for n in nodes]),
        marks=marks_of(nodes),
    )
