"""contents: what lies in which box of the interactive page, with large boxes divided, and what a closed box stands for.

    inside = Contents(graph, 300)
    inside.groups           # {"blocks.3": Group, ...}, and parts "[1-100]", "[101-200]", ... of large ones
    inside.summary(id)      # a Node for a closed group: its marks, statistics, output, how many operations

So no click can bring more than `most` things at once, however flat a graph is.
"""

import math

from ..model import MODULE, OPERATION, Graph, Group, Node
from ..views.collapse import BACKWARD
from ..views.fold import marks_of, of_parts
from ..views.roll import REPEATED
from ..views.structure import LEAVES


class Contents:
    """The boxes of a graph. Only reads it.

    Holds: groups - {id: Group}, those in which something is, outer ones first. parts - the ids of those made here.
           home - {id of a node: id of the group that it is in, "" outside}. parent - the same of groups.
           depth - {id of a group: groups around it}.
           level - {id of a module's group: modules around it}; it counts for `depth` of viz.graph.
           nodes - {id of a group: the nodes in it and in what it holds}.
           targets - {id of a node: who takes from it; "" for an output}.
           alone - {id of an operation: the group in which it is all that is}; that group is none of `groups`.
    Args:  most - things directly in one box, or outside of all; at least 2.
    """

    def __init__(self, graph: Graph, most: int):
        self.graph, self.most = graph, most
        self.parts: set = set()
        self.alone: dict = {}
        self.items = self._found()
        for id in list(self.items):
            self.items[id] = self._divided(id, [self._named(thing) for thing in self.items[id]])
        self.groups: dict = {}
        self.home: dict = {}
        self.parent: dict = {}  # apart, as a node may be called as a group is
        self.depth: dict = {}
        self.level: dict = {}
        waiting = [("", 0, 0)]
        for id, depth, level in waiting:
            for thing in self.items[id]:
                if isinstance(thing, Node):
                    self.home[thing.id] = id
                else:
                    self.groups[thing.id], self.parent[thing.id], self.depth[thing.id] = thing, id, depth
                    if self._is_module(thing):
                        self.level[thing.id] = level
                    waiting.append((thing.id, depth + 1, level + (thing.id in self.level)))
        self.nodes = self._below()
        self.targets: dict = {id: [""] for id in graph.outputs}
        for e in graph.edges:
            self.targets.setdefault(e.source, []).append(e.target)

    def _found(self):
        """{id of a group: the groups and nodes in it, in the order in which something ran in them}."""
        items: dict = {"": []}
        for n in self.graph.nodes.values():
            for id in reversed(self.graph.ancestors(n.group)):
                if id not in items:
                    items[id] = []
                    items[self.graph.groups[id].parent].append(self.graph.groups[id])
            items[n.group].append(n)
        return items

    def _named(self, thing):
        """The thing; in place of a module in which only one operation ran, that."""
        inner = self.items[thing.id] if isinstance(thing, Group) and thing.path and not thing.marks else []
        if len(inner) == 1 and isinstance(inner[0], Node) and inner[0].kind == OPERATION:
            self.alone[inner[0].id] = thing
            return inner[0]
        return thing

    def _is_module(self, group):
        return group.id not in self.parts and (group.path != "" or group.kind not in (BACKWARD, REPEATED))

    def _divided(self, id, things):
        """At most `most` things: these, or parts with some of them each, or parts with parts."""
        spans = [(i, i) for i in range(1, len(things) + 1)]
        size = max(self.most // 3, 2)
        while len(things) > self.most:
            chunks = [slice(i, i + size) for i in range(0, len(things), size)]
            spans, inner = [(spans[c][0][0], spans[c][-1][1]) for c in chunks], [things[c] for c in chunks]
            things = [self._part(id, each, *span) for each, span in zip(inner, spans, strict=True)]
        return things

    def _part(self, id, things, first, last):
        if len(things) == 1:
            return things[0]
        words = f"{first}-{last}"
        part = Group(f"{id}[{words}]", words, id)
        while part.id in self.graph.groups or part.id in self.graph.nodes:
            part.id += "'"
        self.parts.add(part.id)
        self.items[part.id] = things
        return part

    def _below(self):
        """{id of a group: the nodes in it and in what it holds, in the order in which they ran}."""
        found: dict = {id: [] for id in self.groups}
        for n in self.graph.nodes.values():
            id = self.home[n.id]
            while id:
                found[id].append(n)
                id = self.parent[id]
        return found

    def times(self, node: Node) -> int:
        """How often the boxes around a node say that it is there."""
        return math.prod(self.graph.groups[id].repeat for id in self.graph.ancestors(node.group))

    def summary(self, id: str) -> Node:
        """What a closed group looks like: statistics are sums where they add up, else those of its output."""
        nodes = self.nodes[id]
        group = self.groups[id]
        operations = [n for n in nodes if n.kind not in LEAVES]
        outputs = self._outputs(id, operations)
        made = Node(group.id, MODULE, group.kind, parameters=group.parameters)
        made.count = sum(n.count for n in operations)
        if len(outputs) == 1:
            made.shape, made.dtype, made.statistics = outputs[0].shape, outputs[0].dtype, dict(outputs[0].statistics)
        made.statistics |= of_parts([n.statistics for n in nodes])
        made.marks = marks_of([group, *nodes])
        return made

    def _outputs(self, id, operations):
        inside = {n.id for n in self.nodes[id]}
        return [n for n in operations if any(target not in inside for target in self.targets.get(n.id, ()))]
