"""What of a graph is drawn: a phase, repeats rolled into one, modules collapsed below a depth, the rest in a budget.

    view(graph, Options(depth=1))           each child of the model as one node
    view(graph, Options(max_nodes=100))     as deep as 100 nodes go; where that is not enough, "… 412 more"

Each step makes a new Graph and leaves the old one as it was; nodes that it does not change are shared.
"""

import math
from dataclasses import replace

from ..model import MODULE, PARAMETER, Graph, Node, shaped
from .fold import joined, marks_of, of_alike, of_parts
from .roll import REPEAT, REPEATED, roll
from .structure import LEAVES, Structure
from .stub import stubbed

BACKWARD = "backward"  # the kind of the groups around a backward, which are not modules


def view(graph: Graph, options) -> Graph:
    """The part of `graph` that the `options` of viz.graph ask for.

    Args: options - phase "forward", "backward" or "both". parameters - False: as facts of those who take them.
          roll - draw repeats once. depth - modules below are one node each; 0 for the model itself. max_nodes - how
          many nodes at most: deeper modules are collapsed, down to depth 1; then nodes are left out, but for outputs
          and marked ones.
    """
    graph = around_their_takers(in_phase(graph, options.phase))
    if not options.parameters:
        graph = without_parameters(graph)
    whole = graph
    stands: dict = {}
    if options.roll:
        graph, stands = roll(graph, options.color)
    levels = _levels(graph)
    depth, most = options.depth, options.max_nodes
    found = graph if depth is None else collapsed(graph, _at(levels, depth), whole, stands)
    if len(found.nodes) > most:
        fitting = _fitting(graph, levels, most, depth)
        if fitting is not None:
            found = collapsed(graph, _at(levels, fitting), whole, stands)
            found.notes.append(
                f"modules are collapsed to depth {fitting}, to show at most {most} of {len(graph.nodes)} nodes: "
                f"max_nodes={most}"
            )
    found = stubbed(found, most)
    shown = options.color is not None or options.gradients
    return replace(found, notes=[*found.notes, *(_of_repeats(found) if shown else ())])


def _of_repeats(graph):
    """What a reader must know of the statistics where × is written."""
    times = dict.fromkeys(n.repeat for n in graph.nodes.values() if n.repeat > 1 and n.statistics)
    if not times:
        return []
    which = f" {next(iter(times))}" if len(times) == 1 else ""
    return [f"blocks marked ×{which} are drawn once: their statistics are medians over all"]


# --- phases and parameters -------------------------------------------------------------------------------------------


def in_phase(graph: Graph, phase: str) -> Graph:
    """The forward; or the backward of create_graph, what comes after it, and what it takes of the forward; or both."""
    if phase == "both":
        return graph
    outgoing: dict = {}
    for e in graph.edges:
        outgoing.setdefault(e.source, []).append(e.target)
    waiting = [n.id for n in graph.nodes.values() if n.level > 0]
    later = set(waiting)
    while waiting:
        more = [id for id in outgoing.get(waiting.pop(), ()) if id not in later]
        later.update(more)
        waiting += more
    notes = list(graph.notes)
    if phase == "forward":
        edges = [e for e in graph.edges if e.target not in later]
        leaves = {n.id for n in graph.nodes.values() if n.kind in LEAVES}
        kept = (graph.nodes.keys() - later - leaves) | {e.source for e in edges} | (set(graph.outputs) - later)
    else:
        edges = [e for e in graph.edges if e.target in later]
        kept = later | {e.source for e in edges}
        if not later:
            notes.append(
                "there is no backward here: mg.grad(..., create_graph=True), inside of viz.record(model), makes one"
            )
    nodes = {id: n for id, n in graph.nodes.items() if id in kept}
    return _pruned(replace(graph, nodes=nodes, edges=edges, notes=notes))


def without_parameters(graph: Graph) -> Graph:
    """Parameters as facts of the operations that take them, but for those with marks."""
    gone = {n.id for n in graph.nodes.values() if n.kind == PARAMETER and not n.marks}
    facts: dict = {}
    for e in graph.edges:
        if e.source in gone:
            n = graph.nodes[e.source]
            facts.setdefault(e.target, {})[e.label or n.label] = f"{n.id} {shaped(n.shape)}"
    nodes = {
        id: replace(n, facts=n.facts | facts[id]) if id in facts else n
        for id, n in graph.nodes.items()
        if id not in gone
    }
    return _pruned(replace(graph, nodes=nodes, edges=[e for e in graph.edges if e.source not in gone]))


def around_their_takers(graph: Graph) -> Graph:
    """Leaves that others take too are not drawn in the first call that takes them, but around all of these.

    A backward of create_graph does not count: a weight stays in its module.
    """
    takers: dict = {}
    lowest: dict = {}
    for e in graph.edges:
        n, taker = graph.nodes[e.source], graph.nodes[e.target]
        if n.kind in LEAVES and n.group and taker.level <= lowest.get(n.id, taker.level):
            if taker.level < lowest.get(n.id, taker.level):
                takers[n.id] = {}
            lowest[n.id] = taker.level
            takers.setdefault(n.id, {})[taker.group] = True
    homes: dict = {}
    for id, groups in takers.items():
        around = graph.ancestors(graph.nodes[id].group)
        for group in groups:
            here = set(graph.ancestors(group))
            around = [g for g in around if g in here]
        home = around[0] if around else ""
        if home != graph.nodes[id].group:
            homes[id] = home
    if not homes:
        return graph
    nodes = {id: replace(n, group=homes[id]) if id in homes else n for id, n in graph.nodes.items()}
    return _pruned(replace(graph, nodes=nodes))


def _pruned(graph):
    """Without the groups in which nothing is left, and the outputs that are gone."""
    used: set = set()
    for n in graph.nodes.values():
        group = n.group
        while group and group not in used:
            used.add(group)
            group = graph.groups[group].parent
    groups = {id: g for id, g in graph.groups.items() if id in used}
    return replace(graph, groups=groups, outputs=[id for id in graph.outputs if id in graph.nodes])


# --- depth -----------------------------------------------------------------------------------------------------------


def _levels(graph):
    """{id of a group: how many modules are around it}; None for what is no module: a backward, a box around repeats."""
    found: dict = {}
    inner: dict = {"": 0}  # id of a group: how many modules are around what is in it
    for g in _outside_in(graph.groups):
        counts = not (g.kind == BACKWARD and not g.parent) and not (g.kind == REPEATED and not g.path)
        found[g.id] = inner[g.parent] if counts else None
        inner[g.id] = inner[g.parent] + counts
    return found


def _outside_in(groups):
    """The groups, each after the one that it is in."""
    seen = {""}
    for id in groups:
        path = []
        while id not in seen:
            seen.add(id)
            path.append(groups[id])
            id = groups[id].parent
        yield from reversed(path)


def _at(levels, depth):
    return {id for id, level in levels.items() if level == depth}


def _fitting(graph, levels, most, depth):
    """The largest depth, but 1 at least, with not more than `most` nodes; None if there is nothing to collapse."""
    deepest = max((level for level in levels.values() if level is not None), default=0)
    top = deepest if depth is None else min(depth - 1, deepest)
    if top < 1:
        return None
    counts = [0] * (deepest + 2)  # how many come in at each depth: nodes stay, modules give way to what is in them
    modules = [0] * (deepest + 2)
    for n in graph.nodes.values():
        around = (levels[g] for g in graph.ancestors(n.group))
        counts[next((level + 1 for level in around if level is not None), 0)] += 1
    for level in levels.values():
        if level is not None:
            modules[level] += 1
    for k in range(top, 1, -1):
        if sum(counts[: k + 1]) + modules[k] <= most:
            return k
    return 1


def collapsed(graph: Graph, cut, whole: Graph | None = None, stands=None) -> Graph:
    """The graph with each group in `cut`, if it is in no other of them, as one node.

    Args: whole, stands - the graph before repeats were rolled, and {id of a group: the ids of all that it stands for}:
          for sums over one of them. Default: the graph itself.
    """
    graph = replace(graph, notes=list(graph.notes))
    if not cut:
        return graph
    tops: dict = {"": None}  # id of a group -> the outermost one around it that is cut
    for g in _outside_in(graph.groups):
        parent = tops[g.parent]
        tops[g.id] = parent if parent is not None else g.id if g.id in cut else None
    return _Collapsed(graph, tops, _sums(whole or graph), stands or {}).graph()


def _sums(graph):
    """{id of a group: statistics that add up, over all that is in it}."""
    parts = Structure(graph)
    found: dict = {}
    for id in sorted(parts.depth, key=lambda id: -parts.depth[id]):
        found[id] = of_parts([n.statistics if isinstance(n, Node) else found[n.id] for n in parts.items[id]])
    return found


class _Collapsed:
    def __init__(self, graph, tops, sums, stands):
        self.old, self.tops, self.sums, self.stands = graph, tops, sums, stands
        self.inside: dict = {}  # id of a group that becomes a node -> the nodes in it
        for n in graph.nodes.values():
            if tops[n.group] is not None:
                self.inside.setdefault(tops[n.group], []).append(n)
        self.names = {id: id if id not in graph.nodes else f"{id}/module" for id in self.inside}
        self.out: dict = {id: {} for id in self.inside}  # the nodes in it from which something leads out
        for e in graph.edges:
            top = tops[graph.nodes[e.source].group]
            if top is not None and top != tops[graph.nodes[e.target].group]:
                self.out[top][e.source] = graph.nodes[e.source]
        for id in graph.outputs:
            top = tops[graph.nodes[id].group]
            if top is not None:
                self.out[top][id] = graph.nodes[id]

    def _id(self, id):
        top = self.tops[self.old.nodes[id].group]
        return id if top is None else self.names[top]

    def _leads_on(self, e):
        """Whether it is not within one module; of the loops there, that of the module itself is left."""
        a, b = (self.tops[self.old.nodes[id].group] for id in (e.source, e.target))
        return a is None or a != b or (e.kind == REPEAT and e.of == a)

    def graph(self):
        old = self.old
        nodes: dict = {}
        for n in old.nodes.values():
            top = self.tops[n.group]
            if top is None:
                nodes[n.id] = n
            elif self.names[top] not in nodes:
                nodes[self.names[top]] = self._module(old.groups[top])
        edges = joined(
            [(e, self._id(e.source), self._id(e.target)) for e in old.edges if self._leads_on(e)], whole=True
        )
        outputs = list(dict.fromkeys(map(self._id, old.outputs)))
        gone = self._own(nodes, edges, set(outputs))
        for id in gone:
            del nodes[id]
        edges = [e for e in edges if e.source not in gone]
        return _pruned(replace(old, nodes=nodes, edges=edges, outputs=outputs))

    def _own(self, nodes, edges, outputs):
        """Parameters that only one collapsed module takes, in one call or several: they are counted in it."""
        takers: dict = {}
        paths = {self.names[id]: self.old.groups[id].path or id for id in self.inside}
        for e in edges:
            if nodes[e.source].kind == PARAMETER:
                takers.setdefault(e.source, set()).add(paths.get(e.target))
        return {
            id
            for id, by in takers.items()
            if len(by) == 1 and None not in by and not nodes[id].marks and id not in outputs
        }

    def _module(self, group):
        inside = self.inside[group.id]
        operations = [n for n in inside if n.kind not in LEAVES]
        out = list(self.out[group.id].values())
        stands = self.stands.get(group.id, [group.id])
        statistics, facts = of_alike([self.sums[id] for id in stands if id in self.sums])
        if len(out) == 1:
            n = out[0]
            own = {k: x for k, x in n.statistics.items() if k not in statistics and k not in ("time", "bytes")}
            facts |= {k: x for k, x in n.facts.items() if k.partition(" of ")[0] in own}
            statistics |= own
        elif out:
            for name, of in (("max", max), ("grad_norm", lambda xs: math.hypot(*xs))):
                values = [n.statistics[name] for n in out if name in n.statistics]
                if values:
                    statistics[name] = of(values)
        count = sum(n.count for n in operations)
        return Node(
            self.names[group.id],
            MODULE,
            group.kind if group.id == group.kind else f"{group.id.rpartition('/')[2]} {group.kind}",
            group.parent,
            out[0].shape if len(out) == 1 else None,
            out[0].dtype if len(out) == 1 else "",
            max((n.level for n in operations), default=0),
            {"operations": f"{count // len(stands)} × {len(stands)}" if len(stands) > 1 else str(count)} | facts,
            parameters=group.parameters,
            modules=group.modules,
            count=count,
            repeat=len(stands),
            statistics=statistics,
            marks=marks_of([group, *inside]),
        )
