"""matching: which node of one graph is which of another, where something was put in, taken out or changed.

    pairs = match(before, after)
    pairs.nodes         {id after: id before}
    pairs.groups        the same of modules

Modules and operations in matched modules are matched in rounds: those with the same contents, by their ids or by their
order, whichever finds more; those of the same class or operation, so too; what has still the same id; and an operation
in place of another of the same shape. So a layer that is put into a Sequential, and shifts the numbers of the others,
is one layer put in.
"""

from bisect import bisect_left
from difflib import SequenceMatcher
from typing import NamedTuple

from ..model import OPERATION, Graph, Group
from ..views.structure import LEAVES, Numbers, Structure, frozen

SQUARE = 200 * 200  # pairs, up to which difflib compares all: its time can grow as the cube of the length


class Pairs(NamedTuple):
    """{id after: id before} of nodes and of groups."""

    nodes: dict
    groups: dict


def match(before: Graph, after: Graph) -> Pairs:
    """What is what in two graphs. Cost: nodes times nested modules, and SQUARE for each module that differs."""
    return _Matcher(before, after).pairs()


class _Item(NamedTuple):
    """A group or a node in a module, and what it is compared by."""

    item: object
    name: str  # its id within the module
    exact: int  # the number of its contents
    kind: object  # class or operation
    shape: object  # of what comes out
    size: int  # nodes


class _Matcher:
    def __init__(self, before, after):
        self.sides = Structure(before), Structure(after)
        self.numbers = Numbers()
        self.found = Pairs({}, {})

    def key(self, n):
        """What is equal of nodes that are unchanged. Names of leaves may differ: then they were renamed."""
        label = "" if n.kind in LEAVES else n.label
        return self.numbers((n.kind, label, n.shape, n.dtype, n.level, frozen(n.facts), n.parameters))

    def pairs(self):
        waiting = [("", "")]
        while waiting:
            a, b = waiting.pop()
            for x, y in self._within(a, b):
                if not isinstance(x.item, Group):
                    self.found.nodes[y.item.id] = x.item.id
                elif x.exact == y.exact:
                    self._same(x.item, y.item)
                else:
                    self.found.groups[y.item.id] = x.item.id
                    waiting.append((x.item.id, y.item.id))
        self._moved()
        return self.found

    def _same(self, a, b):
        one, other = self.sides[0].block(a), self.sides[1].block(b)
        self.found.nodes.update((y.id, x.id) for x, y in zip(one.nodes, other.nodes, strict=True))
        self.found.groups.update((y.id, x.id) for x, y in zip(one.groups, other.groups, strict=True))

    def _moved(self):
        """Leaves are drawn where they are taken, so they may have gone to another module, and are the same by name."""
        taken, groups = set(self.found.nodes.values()), {"", *self.found.groups.values()}
        before, after = (side.graph.nodes for side in self.sides)
        for id, n in after.items():
            if id in self.found.nodes or id in taken or id not in before or n.kind not in LEAVES:
                continue
            was = before[id]
            if was.kind == n.kind and was.group in groups and (not n.group or n.group in self.found.groups):
                self.found.nodes[id] = id

    def _items(self, side, group):
        parts, found = self.sides[side], []
        for item in parts.items.get(group, ()):
            block = parts.block(item)
            exact = self.numbers(parts.contents(block, self.key))
            leaf = not isinstance(item, Group) and item.kind in LEAVES
            kind = item.kind if isinstance(item, Group) or leaf else (item.label, item.level)
            last = next((n for n in reversed(block.nodes) if n.kind not in LEAVES), block.nodes[-1])
            name = item.id.removeprefix(group) if group else item.id
            found.append(_Item(item, name, exact, kind, last.shape, len(block.nodes)))
        return found

    def _within(self, a, b):
        """Pairs of items in two groups that are the same, or take the place of one another."""
        left = [self._items(0, a), self._items(1, b)]
        pairs: list = []

        def take(found):
            nonlocal left
            pairs.extend((left[0][i], left[1][j]) for i, j in found)
            gone = [{i for i, _ in found}, {j for _, j in found}]
            left = [[x for i, x in enumerate(side) if i not in gone[k]] for k, side in enumerate(left)]

        take(_aligned(left, lambda x: (type(x.item), x.exact)))
        take(_named(left, lambda x: (type(x.item), x.exact)))
        take(_aligned(left, lambda x: (type(x.item), x.kind)))
        take(_named(left, lambda x: (type(x.item), x.shape, _is_leaf(x))))
        take(_in_place(left))
        if not a and not b:
            # A model whose class was renamed, or which is another altogether.
            roots = [[i for i, x in enumerate(side) if isinstance(x.item, Group)] for side in left]
            if len(roots[0]) == len(roots[1]) == 1:
                take([(roots[0][0], roots[1][0])])
        return pairs


def _is_leaf(x):
    return not isinstance(x.item, Group) and x.item.kind in LEAVES


def _named(sides, key):
    """Pairs of the same name and the same key, wherever they stand."""
    before, after = sides
    known = {(x.name, key(x)): i for i, x in enumerate(before)}
    return [(known[x.name, key(x)], j) for j, x in enumerate(after) if (x.name, key(x)) in known]


def _in_place(sides):
    """Operations that take the place of others: as many are left of a shape, before and after."""
    places: tuple[dict, dict] = ({}, {})
    for found, items in zip(places, sides, strict=True):
        for i, x in enumerate(items):
            if not isinstance(x.item, Group) and x.item.kind == OPERATION:
                found.setdefault((x.shape, x.item.dtype, x.item.level), []).append(i)
    before, after = places
    kinds = [key for key in before if len(before[key]) == len(after.get(key, ()))]
    return [pair for key in kinds for pair in zip(before[key], after[key], strict=True)]


def _aligned(sides, key):
    """Pairs in order, of the same key: those of one name and what fits between them, or by order, if that is more."""
    before, after = sides
    a, b = ([key(x) for x in side] for side in sides)
    known = {(x.name, k): i for i, (x, k) in enumerate(zip(before, a, strict=True))}
    named = [(known[x.name, k], j) for j, (x, k) in enumerate(zip(after, b, strict=True)) if (x.name, k) in known]
    anchors = [*_increasing(sorted(named)), (len(a), len(b))]
    by_name, i, j = [], 0, 0
    for x, y in anchors:
        by_name += sequence(a[i:x], b[j:y], i, j)
        by_name.append((x, y))
        i, j = x + 1, y + 1
    by_name.pop()
    by_order = sequence(a, b)
    return max(by_name, by_order, key=lambda pairs: sum(before[i].size for i, _ in pairs))


def sequence(a, b, first=0, other=0) -> list:
    """Pairs of places of equal elements in two lists, increasing in both. `first` and `other` are where they begin."""
    found: list = []
    waiting = [(0, len(a), 0, len(b))]
    while waiting:
        i, m, j, n = waiting.pop()
        while i < m and j < n and a[i] == b[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        while i < m and j < n and a[m - 1] == b[n - 1]:
            m, n = m - 1, n - 1
            found.append((m, n))
        if i == m or j == n:
            continue
        if (m - i) * (n - j) <= SQUARE:
            blocks = SequenceMatcher(None, a[i:m], b[j:n], autojunk=False).get_matching_blocks()
            found += [(i + x + k, j + y + k) for x, y, size in blocks for k in range(size)]
            continue
        anchors = _increasing(_unique(a, b, i, m, j, n))  # of a long list, first what is there once: patience diff
        if anchors:
            for x, y in [*anchors, (m, n)]:
                waiting.append((i, x, j, y))
                i, j = x, y
    return [(first + x, other + y) for x, y in sorted(set(found))]


def _unique(a, b, i, m, j, n):
    once: list[dict] = []
    for side, start, stop in ((a, i, m), (b, j, n)):
        places: dict = {}
        for k in range(start, stop):
            places.setdefault(side[k], []).append(k)
        once.append({x: ks[0] for x, ks in places.items() if len(ks) == 1})
    return [(place, once[1][x]) for x, place in once[0].items() if x in once[1]]


def _increasing(pairs):
    """The longest part of `pairs`, which increase in the first, that increases in the second too."""
    tops: list = []  # the smallest second at which a part of each length ends
    ends: list = []
    before: list = []
    for k, (_, y) in enumerate(pairs):
        length = bisect_left(tops, y)
        before.append(ends[length - 1] if length else None)
        tops[length : length + 1] = [y]
        ends[length : length + 1] = [k]
    found: list = []
    last = ends[-1] if ends else None
    while last is not None:
        found.append(pairs[last])
        last = before[last]
    return found[::-1]
