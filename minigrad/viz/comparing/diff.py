"""diff: two graphs in one, with what was added, removed and changed; a picture, and a report for tests.

    difference = viz.diff(before, after)        Drawings, as viz.graph returns
    assert difference.equal, difference
    difference.save("difference.svg")

    Net and Net: 1 added, 1 removed, 1 changed
      + 2 Dropout: 1 operation
      ~ 3.weight: shape 10×8 to 10×16
      - edge 1/relu:1 to 2/linear:1

Matched by id, and where numbers were shifted by order: see matching.py.
"""

from dataclasses import dataclass, replace

from ..drawing import Drawing, options_of
from ..model import MODULE, Graph, Node, shaped
from ..style import count_of
from ..views.collapse import around_their_takers, collapsed, view
from ..views.structure import LEAVES
from .matching import match

SIGNS = {"added": "+", "removed": "-", "changed": "~", "renamed": ">"}


@dataclass(frozen=True)
class Change:
    """One line of a report: what happened, "added", "removed", "changed" or "renamed"; to which id; and how."""

    what: str
    id: str
    text: str

    def __str__(self):
        return f"{SIGNS[self.what]} {self.id}" + (f": {self.text}" if self.text else "")


def diff(before, after, *, whole: bool = False, **options) -> "Difference":
    """What is different between two graphs.

    Args:    before, after - Drawings, or their Graphs. whole - draw modules without a change too; default False: as one
             node each. options - those of viz.graph that say how a graph is drawn.
    Returns: a Difference, which is drawn as viz.graph's Drawing is, and prints as a report.
    Raises:  TypeError for what is neither a Drawing nor a Graph, or no argument.
    """
    first, second = (_graph(x, name) for x, name in ((before, "before"), (after, "after")))
    union, changes = _Union(first, second).made()
    return Difference(union, options_of(options, "viz.diff", ("whole",)), changes, (first.title, second.title), whole)


def _graph(x, name):
    found = x.graph if isinstance(x, Drawing) else x
    if not isinstance(found, Graph):
        raise TypeError(
            f"viz.diff: {name} must be a Drawing, as viz.graph returns, or its graph, not a {type(x).__name__}"
        )
    return around_their_takers(found)


class Difference(Drawing):
    """Two graphs in one.

    It is true if there are differences.

    Holds: graph - the union, whose nodes, edges and modules have the marks "added", "removed" and "changed".
           changes - a list of Changes; of a module that came or went, one. equal - whether there are none.
    """

    def __init__(self, graph, options, changes, titles, whole):
        self.graph, self.options, self.changes, self.titles = graph, options, changes, titles
        still = set() if whole else _unchanged(graph)
        self.view = _told_unchanged(view(collapsed(graph, still), options))

    @property
    def equal(self) -> bool:
        """Whether both are the same, in structure, shapes, dtypes and names."""
        return not self.changes

    def __bool__(self):
        return not self.equal

    def __str__(self):
        a, b = (title or "a graph" for title in self.titles)
        if not self.changes:
            return f"{a} and {b}: no difference"
        counts = {what: sum(c.what == what for c in self.changes) for what in SIGNS}
        head = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
        return "\n".join([f"{a} and {b}: {head}", *(f"  {c}" for c in self.changes)])

    def __repr__(self):
        a, b = (title or "a graph" for title in self.titles)
        return f"<Difference of {a} and {b}: {len(self.changes)} changes>"


def _told_unchanged(graph):
    """The graph with a mark on modules that are one node and have no other mark of a difference."""
    still = [n for n in graph.nodes.values() if n.kind == MODULE and not n.marks.keys() & SIGNS.keys()]
    marked = {n.id: replace(n, marks=n.marks | {"unchanged": ""}) for n in still}
    return replace(graph, nodes=graph.nodes | marked)


def _unchanged(graph):
    """The groups in which nothing happened."""
    touched: set = set()

    def touch(groups):
        for g in groups:
            if g in touched:
                return
            touched.add(g)

    for n in graph.nodes.values():
        if any(m in SIGNS for m in n.marks):
            touch(graph.ancestors(n.group))
    for g in graph.groups.values():
        if any(m in SIGNS for m in g.marks):
            touch(graph.ancestors(g.id))
    for e in graph.edges:
        if e.marks:
            here = set(graph.ancestors(graph.nodes[e.target].group))
            touch(g for g in graph.ancestors(graph.nodes[e.source].group) if g in here)
    return set(graph.groups) - touched


def _operations(graph):
    """{id of a group: how many operations are in it}."""
    counts: dict = {}
    for n in graph.nodes.values():
        if n.kind not in LEAVES:
            for g in graph.ancestors(n.group):
                counts[g] = counts.get(g, 0) + 1
    return counts


class _Union:
    """Both graphs in one: all that is after, and between it what was only before."""

    def __init__(self, before, after):
        self.before, self.after = before, after
        self.pairs = match(before, after)
        self.after_of = {a: b for b, a in self.pairs.nodes.items()}
        self.group_after = {a: b for b, a in self.pairs.groups.items()}
        self.ids: dict = {}  # id before -> id in the union
        used = {*after.nodes, *after.groups}
        for graph, known in ((before.nodes, self.after_of), (before.groups, self.group_after)):
            ids = self.ids if graph is before.nodes else self.group_after
            for id in graph:
                name = known.get(id)
                if name is None:
                    name = id
                    while name in used:
                        name += " (removed)"
                    used.add(name)
                ids[id] = name
        self.changes: list = []

    def made(self):
        groups = self._groups()
        nodes = self._nodes(groups)
        edges = self._edges(nodes, groups)
        outputs = list(dict.fromkeys([*self.after.outputs, *(self.ids[id] for id in self.before.outputs)]))
        notes = list(dict.fromkeys([*self.before.notes, *self.after.notes]))
        titles = dict.fromkeys(t for t in (self.before.title, self.after.title) if t)
        return Graph(nodes, edges, groups, outputs, " and ".join(titles), notes), self.changes

    def _tell(self, what, id, text=""):
        self.changes.append(Change(what, id, text))

    # --- modules -------------------------------------------------------------------------------------------------

    def _groups(self):
        found, counts = {}, _operations(self.after)
        for id, g in self.after.groups.items():
            old = self.pairs.groups.get(id)
            if old is None:
                found[id] = replace(g, marks=g.marks | {"added": ""})
                self._tell_whole("added", g, counts, self.pairs.groups)
                continue
            was = self.before.groups[old]
            changes = [f"class {was.kind} to {g.kind}"] if was.kind != g.kind else []
            if changes:
                self._tell("changed", id, ", ".join(changes))
            renamed = old != id and not self._renamed_around(g.parent, was.parent) and was.kind == g.kind
            if renamed:
                self._tell("renamed", id, f"moved, was {old}")
            found[id] = replace(g, marks=g.marks | ({"changed": ", ".join(changes)} if changes else {}))
        counts, matched = _operations(self.before), set(self.pairs.groups.values())
        for id, g in self.before.groups.items():
            name = self.group_after[id]
            if name not in found:
                parent = self.group_after[g.parent] if g.parent else ""
                found[name] = replace(g, id=name, parent=parent, marks=g.marks | {"removed": ""})
                self._tell_whole("removed", g, counts, matched)
        return found

    def _renamed_around(self, parent, old):
        return bool(parent) and parent != old

    def _tell_whole(self, what, group, counts, matched):
        """A module that came or went, if that around it did not."""
        if group.parent and group.parent not in matched:
            return
        operations = counts.get(group.id, 0)
        text = f"{operations} operation{'s' if operations != 1 else ''}"
        if group.parameters:
            text += f", {count_of(group.parameters)} parameters"
        self._tell(what, f"{group.id} {group.kind}" if group.id != group.kind else group.id, text)

    # --- nodes ---------------------------------------------------------------------------------------------------

    def _nodes(self, groups):
        following: dict = {None: []}  # id after -> the nodes that were only before, and ran after it
        place = None
        for id, n in self.before.nodes.items():
            if id in self.after_of:
                place = self.after_of[id]
            else:
                following.setdefault(place, []).append(n)
        found: dict = {}
        for n in following[None]:
            self._removed(n, found, groups)
        for id, n in self.after.nodes.items():
            old = self.pairs.nodes.get(id)
            if old is None:
                found[id] = replace(n, marks=n.marks | {"added": ""})
                if "added" not in (groups[n.group].marks if n.group else {}):
                    self._tell("added", id, _described(n))
            else:
                found[id] = self._kept(n, self.before.nodes[old])
            for gone in following.get(id, ()):
                self._removed(gone, found, groups)
        return found

    def _removed(self, n, found, groups):
        name = self.ids[n.id]
        group = self.group_after[n.group] if n.group else ""
        found[name] = replace(n, id=name, group=group, marks=n.marks | {"removed": ""})
        if "removed" not in (groups[group].marks if group else {}):
            self._tell("removed", n.id, _described(n))

    def _kept(self, n, was):
        changes = changed(was, n)
        if changes:
            self._tell("changed", n.id, ", ".join(changes))
        facts = n.facts
        if was.id != n.id:
            facts = facts | {"was": was.id}
            around = self.pairs.groups.get(n.group, "") == was.group and n.group == was.group
            if n.kind in LEAVES and around:
                self._tell("renamed", n.id, f"moved, was {was.id}")
        marks = n.marks | ({"changed": ", ".join(changes)} if changes else {})
        return n if marks == n.marks and facts is n.facts else replace(n, marks=marks, facts=facts)

    # --- edges ---------------------------------------------------------------------------------------------------

    def _edges(self, nodes, groups):
        old: dict = {}
        for e in self.before.edges:
            old.setdefault((self.ids[e.source], self.ids[e.target], e.label), []).append(e)
        found = []
        for e in self.after.edges:
            was = old.get((e.source, e.target, e.label))
            if not was:
                found.append(replace(e, marks=e.marks | {"added": ""}))
                self._tell_edge("added", e.source, e.target, e.label, nodes)
                continue
            text = _changed_edge(was.pop(0), e)
            found.append(replace(e, marks=e.marks | {"changed": text}) if text else e)
            if text and "changed" not in nodes[e.source].marks:
                self._tell("changed", f"edge {e.source} to {e.target}", text)
        for (source, target, label), edges in old.items():
            for e in edges:
                found.append(replace(e, source=source, target=target, marks=e.marks | {"removed": ""}))
                self._tell_edge("removed", source, target, label, nodes)
        return found

    def _tell_edge(self, what, source, target, label, nodes):
        """An edge between nodes that are in both: of one that came or went, its edges did so too."""
        if not any(mark in nodes[id].marks for id in (source, target) for mark in ("added", "removed")):
            self._tell(what, f"edge {source} to {target}", label)


def changed(was: Node, now: Node) -> list:
    """What is different of two nodes, each in a few words."""
    found = []
    if was.kind != now.kind:
        found.append(f"{was.kind} to {now.kind}")
    if was.kind not in LEAVES and was.label != now.label:
        found.append(f"{was.label} to {now.label}")
    if was.shape != now.shape:
        found.append(f"shape {_shape(was)} to {_shape(now)}")
    if ("output" in was.marks) != ("output" in now.marks):
        found.append("output to no output" if "output" in was.marks else "no output to output")
    if was.dtype != now.dtype:
        found.append(f"{was.dtype or 'several dtypes'} to {now.dtype or 'several dtypes'}")
    if was.level != now.level:
        found.append(f"level {was.level} to {now.level}")
    if was.label == now.label or was.kind in LEAVES:
        for name in dict.fromkeys([*was.facts, *now.facts]):
            a, b = was.facts.get(name, "nothing"), now.facts.get(name, "nothing")
            if a != b:
                found.append(f"{name} {a} to {b}")
    if was.parameters != now.parameters and was.shape == now.shape:
        found.append(f"parameters {was.parameters} to {now.parameters}")
    return found


def _shape(n):
    return "several" if n.shape is None else shaped(n.shape)


def _described(n):
    return " ".join(filter(None, (n.kind, "" if n.shape is None else shaped(n.shape), n.dtype)))


def _changed_edge(was, now):
    found = []
    if was.shape != now.shape:
        found.append(f"shape {_shape(was)} to {_shape(now)}")
    if was.dtype != now.dtype:
        found.append(f"{was.dtype} to {now.dtype}")
    if was.kind != now.kind:
        found.append(f"{was.kind} to {now.kind}")
    return ", ".join(found)
