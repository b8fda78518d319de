"""structure: what lies in what, what feeds what, and the contents of a block as a value that can be compared.

    parts = Structure(graph)
    parts.items["blocks"]               # the groups and nodes directly in a group, in the order in which they ran
    block = parts.block(parts.items["blocks"][0])
    numbers(parts.contents(block, key))     # the same number for blocks with the same contents

roll.py asks which blocks repeat one another, diff.py which are the same in two graphs: both compare these numbers.
"""

from typing import NamedTuple

from ..model import DETACHED, INPUT, LEAF, PARAMETER, Graph, Node

LEAVES = (PARAMETER, LEAF, INPUT, DETACHED)


class Block(NamedTuple):
    """What is in an item: nodes and groups, and for each the number of the group that it lies in, or -1."""

    nodes: list
    places: list
    groups: list
    parents: list


class Structure:
    """The parts of a graph. Only reads it.

    Holds: incoming, outgoing - {id of a node: its edges}. items - {id of a group, "" for the whole: the Groups and
           Nodes in it}; empty groups are in none. depth - {id of a group: how many are around it}.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.incoming: dict[str, list] = {id: [] for id in graph.nodes}
        self.outgoing: dict[str, list] = {id: [] for id in graph.nodes}
        for e in graph.edges:
            self.incoming[e.target].append(e)
            self.outgoing[e.source].append(e)
        self.items: dict[str, list] = {"": []}
        self.depth: dict[str, int] = {}
        for n in graph.nodes.values():
            self._enter(n.group)
            self.items[n.group].append(n)

    def _enter(self, group):
        """Know `group` and those around it, in the order in which something first ran in them."""
        unseen = []
        while group and group not in self.depth:
            unseen.append(group)
            self.depth[group] = 0
            group = self.graph.groups[group].parent
        for id in reversed(unseen):
            parent = self.graph.groups[id].parent
            self.items[id] = []
            self.items[parent].append(self.graph.groups[id])
            self.depth[id] = self.depth[parent] + 1 if parent else 0

    def is_leaf(self, node: Node) -> bool:
        """Whether nothing feeds it: a parameter, an input."""
        return node.kind in LEAVES and not self.incoming[node.id]

    def block(self, item, items=None) -> Block:
        """What is in an item, a Group or a Node; `items` instead of those of the graph."""
        items = self.items if items is None else items
        if isinstance(item, Node):
            return Block([item], [-1], [], [])
        block = Block([], [], [item], [-1])
        waiting = [(0, iter(items[item.id]))]
        while waiting:
            number, inside = waiting[-1]
            each = next(inside, None)
            if each is None:
                waiting.pop()
            elif isinstance(each, Node):
                block.nodes.append(each)
                block.places.append(number)
            else:
                waiting.append((len(block.groups), iter(items[each.id])))
                block.groups.append(each)
                block.parents.append(number)
        return block

    def contents(self, block: Block, key, find=str) -> tuple:
        """A block's groups, nodes and inner edges as one value, without names and what is outside.

        Args: key - {a node: what is to be equal}, a function. find - the id of the node that is drawn for an id.
        """
        number = {n.id: i for i, n in enumerate(block.nodes)}
        groups = tuple((g.kind, g.repeat, frozen(g.marks), p) for g, p in zip(block.groups, block.parents, strict=True))
        nodes = tuple(
            (
                key(n),
                place,
                tuple((number.get(find(e.source), -1), e.label, e.shape, e.dtype, e.kind) for e in self.incoming[n.id]),
            )
            for n, place in zip(block.nodes, block.places, strict=True)
        )
        return groups, nodes


def reach(graph: Graph) -> int:
    """How many rows all edges cross together, where each node stands one row below the last of those that feed it.

    What nothing feeds stands above the first that takes it.
    """
    edges = [e for e in graph.edges if e.kind != "repeat" and e.source != e.target]
    outgoing: dict[str, list] = {}
    left: dict[str, int] = {}  # edges to a node from those without a row yet
    for e in edges:
        outgoing.setdefault(e.source, []).append(e.target)
        left[e.target] = left.get(e.target, 0) + 1
    first = [id for id in graph.nodes if id not in left]
    rows = dict.fromkeys(first, 0)
    waiting = list(first)
    while waiting:
        source = waiting.pop()
        for target in outgoing.get(source, ()):
            rows[target] = max(rows.get(target, 0), rows[source] + 1)
            left[target] -= 1
            if not left[target]:
                waiting.append(target)
    for id in first:
        rows[id] = min((rows.get(target, 0) for target in outgoing.get(id, ())), default=1) - 1
    return sum(max(rows[e.target] - rows[e.source] - 1, 0) for e in edges if e.target in rows and e.source in rows)


class Numbers:
    """A number for each value, the same for equal ones: comparing large values costs once."""

    def __init__(self):
        self.known: dict = {}

    def __call__(self, value) -> int:
        """The number of `value`, which can be hashed."""
        return self.known.setdefault(value, len(self.known))


def frozen(facts) -> tuple:
    """A dict as a value that can be hashed, whatever its order."""
    return tuple(sorted(facts.items()))
