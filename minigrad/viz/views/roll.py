"""roll: identical blocks that follow one another, drawn once as "× 12".

    blocks.0, blocks.1, ..., blocks.11      one box: Group("blocks.0", "Block", repeat=12, last="blocks.11")
    cell, cell@2, ..., cell@28              one box × 28, around which the shared weights lie
    conv, norm, relu, conv, norm, relu      one box around three: Group("0 … 2", "repeated", repeat=2)

Blocks are alike if their contents are (operations, shapes, dtypes, facts, marks, inner edges), and if they hang
together alike: what one takes from the one before, from what all share, and from leaves of its own; who takes from it.
What the first takes may come from elsewhere, and the last may be taken from by others too. Between a forward and its
backward, the same kinds of edges are enough. Where a mark differs, as at the birth
of a NaN, the run is split. Inner blocks are rolled before those around them. An edge of the kind "repeat" leads from
one to the next.

Cost: nodes times nested modules, and PERIOD times the items of a module to find what repeats.
"""

from dataclasses import replace

from ..model import OPERATION, PARAMETER, Graph, Group, Node
from .fold import joined, of_alike
from .structure import Numbers, Structure
from .units import OUTPUT, Unit, repeats

REPEAT = "repeat"  # the kind of the edges from one to the next
REPEATED = "repeated"  # the kind of a box around several items that repeat
WORK = 8  # how often all nodes of a module may be compared, until the rest of it stays as it is
SIMILAR = 2.0  # of the statistic in colour, the largest ratio within a run: colour must be true of all of them

# Facts that tell one step of a loop from the next: x[:, 0], x[:, 1], ...
_OF_THE_STEP = {"getitem": ("template", "index"), "select": ("index",), "narrow": ("start",)}


def roll(graph: Graph, color: str | None = None) -> tuple[Graph, dict]:
    """The graph with repeats as one, and {id of a group: the ids of those that it stands for}.

    Args: color - the statistic that is drawn in colour: blocks where it differs by more than SIMILAR stay apart.
    """
    return _Roller(graph, color).rolled()


class _Roller:
    def __init__(self, graph, color):
        self.graph, self.color = graph, color
        self.parts = Structure(graph)
        self.items = {id: list(inside) for id, inside in self.parts.items.items()}
        self.consumers = {id: [e.target for e in out] for id, out in self.parts.outgoing.items()}
        for id in graph.outputs:
            self.consumers[id].append(OUTPUT)
        self.drawn: dict = {}  # id of a node that is not drawn -> id of that which is, in its place
        self.stands: dict = {}  # id of a node -> the ids of all that it stands for
        self.groups: dict = {}  # the same of groups
        self.changed: dict = {}  # id of a group -> Group: with a repeat, or made here
        self.loops: dict = {}  # id of a node -> the edges to it from the one before
        self.across: list = []  # edges from another level to what is not drawn
        self.lower: dict = {}
        self.inside: dict = {}  # id of a group -> {id of a node: its number in it}
        self.numbers = Numbers()

    def find(self, id):
        """The id of the node that is drawn for it."""
        while id in self.drawn:
            id = self.drawn[id]
        return id

    def rolled(self):
        for parent in sorted(self.items, key=lambda id: -self.parts.depth.get(id, -1)):
            _Items(self, parent).roll()
        return self._graph(), self.groups

    def is_lower(self, leaf, level):
        """Whether something at a lower level takes a leaf, as the forward does of a weight in a backward."""
        if (leaf, level) not in self.lower:
            takers = (t for t in self.consumers[leaf] if t != OUTPUT)
            self.lower[leaf, level] = any(self.graph.nodes[t].level < level for t in takers)
        return self.lower[leaf, level]

    def key(self, node):
        """What is equal of operations in blocks that are alike. Being an output is compared as who takes from it."""
        varying = _OF_THE_STEP.get(node.label, ())
        facts = tuple(f for f in sorted(node.facts.items()) if f[0] not in varying)
        marks = tuple(m for m in sorted(node.marks.items()) if m[0] != "output")
        loops = tuple((e.label, self.find(e.source) == node.id) for e in self.loops.get(node.id, ()))
        count = len(self.stands.get(node.id, (0,)))
        return self.numbers(
            (node.kind, node.label, node.shape, node.dtype, node.level, facts, node.parameters, marks, count, loops)
        )

    def within(self, group, node):
        """The number of a node in a group, in the graph as it was given."""
        if group not in self.inside:
            block = self.parts.block(self.graph.groups[group])
            self.inside[group] = {n.id: i for i, n in enumerate(block.nodes)}
        return self.inside[group][node]

    # --- the graph that is left ----------------------------------------------------------------------------------

    def _graph(self):
        groups = {}
        waiting = [("", iter(self.items[""]))]
        homes = {}
        while waiting:
            parent, inside = waiting[-1]
            each = next(inside, None)
            if each is None:
                waiting.pop()
            elif isinstance(each, Node):
                homes[each.id] = parent
            else:
                groups[each.id] = replace(self._group(each), parent=parent)
                waiting.append((each.id, iter(self.items[each.id])))
        nodes = {
            n.id: self._node(n, self._home(n, homes, groups))
            for n in self.graph.nodes.values()
            if n.id not in self.drawn
        }
        outputs = list(dict.fromkeys(self.find(id) for id in self.graph.outputs))
        return replace(self.graph, nodes=nodes, edges=self._edges(), groups=groups, outputs=outputs)

    def _home(self, node, homes, groups):
        """Where it is drawn: around its group, if that is drawn as another and the node is shared by several."""
        if node.id in homes:
            return homes[node.id]
        return next((g for g in self.graph.ancestors(node.group) if g in groups), "")

    def _group(self, group):
        found = self.changed.get(group.id, group)
        stands = self.groups.get(group.id)
        if not stands:
            return found
        # Calls of the same module have the same parameters.
        several = {g.path or g.id: g for g in map(self._original, stands)}.values()
        return replace(found, parameters=sum(g.parameters for g in several), modules=sum(g.modules for g in several))

    def _original(self, id):
        return self.graph.groups[id] if id in self.graph.groups else self.changed[id]

    def _node(self, node, home):
        stands = self.stands.get(node.id)
        if not stands:
            return node if node.group == home else replace(node, group=home)
        all_of_them = [self.graph.nodes[id] for id in stands]
        statistics, facts = of_alike([n.statistics for n in all_of_them])
        for name in _OF_THE_STEP.get(node.label, ()):
            texts = [n.facts[name] for n in all_of_them if name in n.facts]
            if len(set(texts)) > 1:
                facts[name] = f"{texts[0]} to {texts[-1]}"
        marks = dict(node.marks)
        texts = [n.marks["output"] for n in all_of_them if "output" in n.marks]
        if texts:
            marks["output"] = texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"
        if node.kind != OPERATION:
            facts["to"] = stands[-1]
        return replace(
            node,
            group=home,
            facts=node.facts | facts,
            parameters=sum(n.parameters for n in all_of_them),
            count=sum(n.count for n in all_of_them),
            repeat=len(stands),
            statistics=statistics,
            marks=marks,
        )

    def _edges(self):
        """Those between what is drawn; of those that a run sends to one place, one with their count."""
        kept = [(e, self.find(e.source), e.target) for e in self.graph.edges if e.target not in self.drawn]
        there = {(source, target) for _, source, target in kept}
        for e in self.across:
            ends = self.find(e.source), self.find(e.target)
            if ends not in there:
                kept.append((e, *ends))
        found = joined(kept)
        for target, edges in self.loops.items():
            if target not in self.drawn:
                found += [replace(e, source=self.find(e.source)) for e in edges]
        return found


class _Items:
    """What is directly in one group: groups and operations, in order. Leaves go with those who take them."""

    def __init__(self, roller, parent):
        self.roller, self.parent, self.parts = roller, parent, roller.parts
        self.items, self.blocks = [], []
        for item in roller.items[parent]:
            block = self.parts.block(item, roller.items)
            block = _without_leaves(block, self.parts)
            if block.nodes:
                self.items.append(item)
                self.blocks.append(block)
        self.at = {n.id: (i, j) for i, block in enumerate(self.blocks) for j, n in enumerate(block.nodes)}
        self.spans: dict = {}
        self.units: dict = {}
        self.work = WORK * len(self.at)

    def roll(self):
        """Roll the longest runs, those of the fewest items first, that do not overlap."""
        if len(self.items) < 2:
            return
        roller = self.roller
        kinds = [roller.numbers(self.parts.contents(block, roller.key, roller.find)) for block in self.blocks]
        taken, late, runs = bytearray(len(kinds)), list[tuple](), list[tuple]()
        for first_pass, candidates in ((True, repeats(kinds)), (False, late)):
            for start, stop, period in candidates:
                if taken.find(1, start, stop) >= 0 or self.work < 0:
                    continue
                found = self._alike(self._aligned(start, stop, period), period)
                # A longer period may fit where a short one fits only here and there: LSTM cells in two layers.
                if first_pass and 2 * sum(n for _, n in found) * period < stop - start:
                    late.append((start, stop, period))
                    continue
                for begin, n in found:
                    runs.append((begin, period, n))
                    taken[begin : begin + n * period] = b"\1" * (n * period)
        if runs:
            self._roll_all(sorted(runs))

    def _aligned(self, start, stop, period):
        """The first items of the units: where several would do, that with most parameters comes first."""
        count = (stop - start) // period
        begin = max(range(start, stop - count * period + 1), key=lambda i: (self._weight(i), -i))
        return [begin + k * period for k in range(count)]

    def _weight(self, i):
        item = self.items[i]
        if isinstance(item, Group):
            return item.parameters
        sources = [self.roller.graph.nodes[e.source] for e in self.parts.incoming[item.id]]
        return sum(n.parameters for n in sources if n.kind == PARAMETER)

    # --- which units are alike -----------------------------------------------------------------------------------

    def _alike(self, starts, period):
        """Pairs (first item, how many units) of those that are worth a box."""
        found, first = [], 0
        for k in range(1, len(starts) + 1):
            if k < len(starts) and self._follows(starts[first], starts[k - 1], starts[k], period):
                continue
            if self._worth(starts[first], period, k - first):
                found.append((starts[first], k - first))
            first = k
        return found

    def _worth(self, start, period, n):
        """Two blocks of some size, three of any, and four of single operations."""
        units = range(start, start + period)
        if not any(isinstance(self.items[i], Group) for i in units):
            return n >= 4
        count = sum(len(self.roller.stands.get(x.id, (0,))) for i in units for x in self.blocks[i].nodes)
        return n >= 3 or (n == 2 and count >= 4)

    def _follows(self, first, last, new, period):
        """Whether the unit at `new` goes on with the run that begins at `first`, of which the `last` is before it."""
        a, b, c = (self._unit(i, period) for i in (first, last, new))
        if first == last:
            ways = all(x == y or y[0] == "before" for x, y in zip(a.ways, c.ways, strict=True))
        else:
            ways = c.ways == b.ways and b.taken == a.taken
        return ways and b.taken <= c.taken | c.passed and self._coloured_alike(first, new, period)

    def _coloured_alike(self, first, new, period):
        color = self.roller.color
        if color is None:
            return True
        pairs = ((x, y) for i in range(period) for x, y in self._pairs(first + i, new + i))
        return all(_similar(x.statistics.get(color), y.statistics.get(color)) for x, y in pairs)

    def _pairs(self, i, j):
        return zip(self.blocks[i].nodes, self.blocks[j].nodes, strict=True)

    def _unit(self, start, period):
        key = start, period
        if key not in self.units:
            self.units[key] = Unit(self, start, period)
            self.work -= len(self.units[key].ways)
        return self.units[key]

    def span(self, leaf, level):
        """The first and the last item that takes a leaf, but for what runs at higher levels; none if others do too."""
        if (leaf, level) not in self.spans:
            self.spans[leaf, level] = self._spanned(leaf, level)
        return self.spans[leaf, level]

    def _spanned(self, leaf, level):
        nodes, at = self.roller.graph.nodes, []
        for t in self.roller.consumers[leaf]:
            if t == OUTPUT or nodes[t].level <= level:
                found = self.at.get(self.roller.find(t))
                if found is None:  # as for weights that all steps of a loop share: to look at all would cost a square
                    return None
                at.append(found[0])
        return min(at), max(at)

    # --- rolling -------------------------------------------------------------------------------------------------

    def _roll_all(self, runs):
        roller = self.roller
        boxes: dict = {}  # item -> the Group that is made around it
        first: dict = {}  # item -> the Group that begins there
        gone: set = set()
        for begin, period, n in runs:
            gone.update(range(begin + period, begin + n * period))
            group = self._roll(begin, period, n)
            if group is not None:
                first[begin] = group
                boxes |= dict.fromkeys(range(begin, begin + period), group)
                roller.items[group.id] = []
        places = {(type(item), item.id): i for i, item in enumerate(self.items)}  # a leaf may be called as a module is
        left: list = []
        for item in roller.items[self.parent]:
            i = places.get((type(item), item.id))
            if i in gone or (isinstance(item, Node) and item.id in roller.drawn):
                continue
            if i in first:
                left.append(first[i])
            (roller.items[boxes[i].id] if i in boxes else left).append(item)
        roller.items[self.parent] = left

    def _roll(self, begin, period, n):
        """Draw the first unit for all of them. Returns a Group to be made around it, if it is of several items."""
        roller, item, last = self.roller, self.items[begin], self.items[begin + (n - 1) * period]
        group: Group | None = None
        if period > 1:
            group = Group(self._named(begin, period), REPEATED, self.parent)
            while group.id in roller.items:
                group.id += "'"
            group.repeat, group.last = n, self._named(begin + (n - 1) * period, period)
            group.parameters = self._parameters(begin, n * period)
            group.modules = group.parameters // max(self._parameters(begin, period), 1) or 1
            roller.changed[group.id] = group
        elif isinstance(item, Group):
            roller.changed[item.id] = replace(item, repeat=n, last=last.id)
        self._stand_in(begin, period, n, group.id if group else item.id)
        return group

    def _stand_in(self, begin, period, n, id):
        roller = self.roller
        units = [self._unit(begin + k * period, period) for k in range(n)]
        for unit in units[1:]:
            for i in range(period):
                a, b = self.blocks[begin + i], self.blocks[unit.start + i]
                for x, y in zip(a.nodes, b.nodes, strict=True):
                    self._stand(x.id, y.id)
                for g, h in zip(a.groups, b.groups, strict=True):
                    _add(roller.groups, g.id, h.id)
            for way, x, y in zip(unit.ways, units[0].sources, unit.sources, strict=True):
                if way[0] == "own" and y not in roller.drawn:
                    self._stand(x, y)
            roller.across += [e for way, e in zip(unit.ways, unit.edges, strict=True) if way[0] == "across"]
        for way, source, edge in zip(units[1].ways, units[1].sources, units[1].edges, strict=True):
            if way[0] == "before":
                target = roller.find(edge.target)
                loop = replace(edge, source=source, target=target, kind=REPEAT, count=n - 1, of=id)
                roller.loops.setdefault(target, []).append(loop)

    def _parameters(self, begin, count):
        groups = [item for item in self.items[begin : begin + count] if isinstance(item, Group)]
        return sum({g.path or g.id: g.parameters for g in groups}.values())

    def _named(self, start, period):
        first, last = self.items[start].id, self.items[start + period - 1].id
        return f"{first} … {last.rpartition('/')[2]}"

    def _stand(self, drawn, id):
        roller = self.roller
        _add(roller.stands, drawn, id)
        roller.drawn[id] = drawn
        roller.consumers[drawn] += roller.consumers[id]


def _add(stands, id, other):
    stands.setdefault(id, [id]).extend(stands.pop(other, [other]))


def _without_leaves(block, parts):
    inner = [i for i, n in enumerate(block.nodes) if not parts.is_leaf(n)]
    return block._replace(nodes=[block.nodes[i] for i in inner], places=[block.places[i] for i in inner])


def _similar(x, y):
    if x is None or y is None or x == y:
        return x == y
    return max(abs(x), abs(y)) <= SIMILAR * min(abs(x), abs(y))
