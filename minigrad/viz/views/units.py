"""units: candidates for rolling: stretches of items that repeat, and how each hangs together with what is around it.

    repeats([7, 1, 2, 1, 2, 9])     [(1, 5, 2)]: the items 1 to 5 repeat with a period of 2
    Unit(items, 1, 2)               the first of them: where its inputs come from, who takes from it

See roll.py, which draws those that are alike once.
"""

from dataclasses import replace

PERIOD = 64  # items, the longest that is looked for: an attention block without modules has about 40 operations
OUTPUT = "\0output"  # who takes from an output; no id begins with a NUL


def repeats(kinds) -> list:
    """Triples (start, stop, period) of stretches of at least two periods, that which covers most first."""
    found = []
    for period in range(1, min(PERIOD, len(kinds) // 2) + 1):
        start = None
        for i in range(len(kinds) - period + 1):
            same = i + period < len(kinds) and kinds[i] == kinds[i + period]
            if same and start is None:
                start = i
            elif not same and start is not None:
                if i - start >= period:
                    found.append((start, i + period, period))
                start = None
    return sorted(found, key=lambda r: (r[0] - r[1], r[2], r[0]))


class Unit:
    """Some items that may be drawn once for several, and how they hang together with what is around.

    Holds: ways - for each input of each operation, where it comes from, told from here. sources, edges - the same, the
           ids and the Edges. taken - pairs (operation, who takes from it outside), told from here; passed - those of
           the next unit, told as what is outside.
    """

    def __init__(self, items, start, period):
        self.start, self.stop, self.period = start, start + period, period
        self.parent, self.roller = items, items.roller
        self.names = [_base(items.items[i].id) for i in range(start, self.stop)]
        self.ways, self.sources, self.edges = [], [], []
        taken: set = set()
        passed: set = set()
        own: dict = {}
        for i in range(start, self.stop):
            for j, n in enumerate(items.blocks[i].nodes):
                for e in items.parts.incoming[n.id]:
                    source = self.roller.find(e.source)
                    self.ways.append(self._way(n, source, own))
                    self.sources.append(source)
                    self.edges.append(e)
                for target in self.roller.consumers[n.id]:
                    target = target if target == OUTPUT else self.roller.find(target)
                    at = items.at.get(target, (-1,))[0]
                    if start <= at < self.stop:
                        continue
                    told = OUTPUT if target == OUTPUT else self._outside(n, target)
                    (passed if self.stop <= at < self.stop + period else taken).add((i - start, j, told))
        self.taken, self.passed = frozenset(taken), frozenset(passed)

    def _way(self, node, source, own):
        at = self.parent.at.get(source)
        if at is not None and self.start - self.period <= at[0] < self.stop:
            if at[0] >= self.start:
                return ("here", at[0] - self.start, at[1])
            return ("before", at[0] - self.start + self.period, at[1])
        found = self.roller.graph.nodes[source]
        if self.parent.parts.is_leaf(found):
            span = self.parent.span(source, node.level)
            if span is not None and self.start <= span[0] and span[1] < self.stop:
                place = own.setdefault(source, len(self.ways))
                return ("own", place, self.roller.key(replace(found, label="")))
            if node.level and self.roller.is_lower(source, node.level):
                return ("across", self.roller.key(replace(found, label="")))
        elif found.level != node.level:
            return ("across", self._outside(node, source))
        return ("outside", source)

    def _outside(self, node, id):
        """What is outside, told so that it is the same for blocks that are alike.

        Of the backward of each block, seen from its forward, and the other way round: which part, not whose it is.
        """
        other = self.roller.graph.nodes[id]
        if other.level == node.level:
            return id
        for group in self.roller.graph.ancestors(other.group):
            if _base(group) in self.names:
                return other.level, self.names.index(_base(group)), self.roller.within(group, id)
        return other.level, other.label, other.shape


def _base(id):
    """The id of a group in the backward as that of the same in the forward."""
    return id.rpartition("/")[2]
