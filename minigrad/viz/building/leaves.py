"""Leaves: what operations take that no operation of the graph made, and what each is called.

parameter   of a module, by its path; frozen ones too
leaf        another Variable that requires grad
input       what has no gradient: a batch, a mask, a buffer by its path, a constant computed of such
detached    what was made with a history, or from something that has one, and comes without
"""

from ...tape import Variable, raw
from ..model import DETACHED, INPUT, LEAF, PARAMETER, Edge, Node
from ..recording.looks import kinds_in, statistics_of, statistics_of_gradients
from ..recording.notes import Source, lies_in_memory, memory_of, named_in, part_of

# why an array has no history -> what a picture says of it
REASONS = {
    "detached": "detached",
    "no_grad": "no_grad",
    "no gradient": "integers or bools",
    "written": "written in place",
}


class Leaves:
    """The leaves of one graph, made as operations take them.

    Args: variables - the leaf Variables that will come. unused - a function that makes an id of a name.
    """

    def __init__(self, graph, models, groups, variables, unused):
        self.graph, self.groups, self.unused = graph, groups, unused
        self.parameters = {p: path for path, p in models.parameters.items()}
        self.variables = variables
        self.held = dict.fromkeys([*self.parameters, *variables])
        self.owned: dict = {memory_of(x.data).number: x for x in self.held}
        self.buffers: dict = {}  # number of memory -> (path of the module, path, shape)
        for path, module in models.modules.items():
            for name, b in module.named_buffers(recurse=False):
                self.buffers.setdefault(memory_of(b.data).number, (path, f"{path}.{name}", tuple(b.shape)))
        self.names: dict = {}  # Variable -> name; number of memory -> {part of it: name}
        self.gradients: dict = {}  # Variable -> its gradient
        self.inputs: dict = {}  # what is the same constant -> Node
        self.homes: dict = {}  # id -> path of the module that holds it
        self.anonymous: set = set()  # ids

    def call(self, names):
        """Take over {name: Variable or array}, also in containers; what is something else has no name here."""
        wrong = [key for key in names if not isinstance(key, str)] if isinstance(names, dict) else []
        if wrong or not isinstance(names, dict):
            what = f"and has a {type(wrong[0]).__name__} for a name" if wrong else f"not a {type(names).__name__}"
            raise TypeError(f"viz.graph: names must be {{name: Variable}}, {what}")
        for path, x in named_in(names):
            if isinstance(x, Variable):
                self.names.setdefault(x, path)
            if isinstance(x, Variable) or lies_in_memory(x):
                self.names.setdefault(memory_of(raw(x)).number, {}).setdefault(part_of(raw(x)), path)

    def memories(self) -> set:
        """The numbers of the memory of all parameters, leaves and buffers."""
        return {*self.owned, *self.buffers}

    # --- Variables -----------------------------------------------------------------------------------------------

    def variable(self, x, frozen=False) -> Node:
        """The Node of a leaf Variable."""
        path = self.parameters.get(x)
        own = path is not None or type(x) is not Variable
        kind = PARAMETER if own else LEAF
        memory = memory_of(x.data)
        name = self.groups.shown(path) if path is not None else self.names.get(x) or x.name
        made = self._add(kind, name or memory.name(part_of(x.data))[0] or kind, tuple(x.shape), str(x.dtype))
        made.parameters = x.data.size if own else 0
        made.statistics |= statistics_of([x.data])
        if x in self.gradients:
            made.statistics |= statistics_of_gradients([raw(self.gradients[x])])
        if frozen:
            made.facts["frozen"] = "does not require grad"
        if path is not None:
            self.homes[made.id] = path.rpartition(".")[0]
        return made

    # --- what has no history -------------------------------------------------------------------------------------

    def known(self, source: Source):
        """The Node of a constant, if there is one already."""
        return None if source.memory is None else self.inputs.get(self._key(source))

    def _key(self, source):
        number = source.memory.number
        if number in self.owned or number in self.buffers:
            return number
        return number, source.place

    def _name(self, source):
        """What it is called, and how that is written: as x[...] where it is a part of x."""
        name, whole = source.memory.name(source.place, self.names.get(source.memory.number))
        return name, name if whole else f"{name}[...]"

    def constant(self, source: Source, found, group="") -> Node:
        """The Node that an operand without a history comes from: an operation, where it was detached from one.

        Args: found - {what is on the tape: Node}. group - of the operation that takes it.
        """
        maker = source.maker
        node = maker.node() if maker is not None and maker.node is not None else None
        if node is not None and node in found:
            return found[node]
        if source.memory is None:
            return self._add(INPUT, "constant", source.shape, source.dtype)
        key = self._key(source)
        if key not in self.inputs:
            self.inputs[key] = self._constant(source, found, group)
        return self.inputs[key]

    def _constant(self, source, found, group):
        leaf, buffer = self.owned.get(source.memory.number), self.buffers.get(source.memory.number)
        if leaf is not None:
            if leaf not in found:
                found[leaf] = self.variable(leaf, frozen=not leaf.requires_grad)
            return found[leaf]
        shape, dtype, maker = source.shape, source.dtype, source.maker
        name, label = self._name(source)
        if buffer is not None:
            made = self._add(INPUT, self.groups.shown(buffer[1]), buffer[2], dtype)
            self.homes[made.id] = buffer[0]
        elif maker is not None and maker.why != "constant":
            made = self._add(DETACHED, name or f"{maker.name}, {REASONS[maker.why]}", shape, dtype)
            place = self.groups.shown(maker.calls[-1][0]) or maker.calls[-1][2] if maker.calls else ""
            made.facts["history"] = f"{REASONS[maker.why]}, by {maker.name}" + (f" in {place}" if place else "")
        elif (cut := self._cut(maker, found)) is not None:
            made = self._add(DETACHED, name or f"{maker.name} of {cut.name}, {REASONS[cut.why]}", shape, dtype)
            made.facts["history"] = f"{REASONS[cut.why]}, by {cut.name}"
        else:
            what = "input" if maker is None else "constant"
            made = self._add(INPUT, name or what, shape, dtype, "" if name or not group else f"{group}/{what}")
            if not name:
                self.anonymous.add(made.id)
                if maker is not None:
                    self._computed(made, maker, found)
        if name and buffer is None:
            made.label = label
        return made

    def _cut(self, maker, found):
        """The Maker of something that lost its history and of which a constant was computed; None where there is none.

        What was detached from an operation of this graph has an edge from there instead.
        """
        for memory, place in maker.roots if maker is not None else ():
            root = memory.maker(place)
            if root is not None and root.why in REASONS and (root.node is None or root.node() not in found):
                return root
        return None

    def _computed(self, made, maker, found):
        """Tell what a constant was computed of: names, and from what is in the graph a dashed edge."""
        origins = []
        for memory, place in maker.roots:
            source = Source(place[1], made.dtype, "", memory, place, memory.maker(place))
            inner = source.maker.node() if source.maker is not None and source.maker.node is not None else None
            leaf = found.get(self.owned.get(memory.number))
            origin = found.get(inner, leaf)
            if origin is not None:
                self.graph.edges.append(Edge(origin.id, made.id, "", source.shape, origin.dtype, "detached"))
            buffer = self.buffers.get(memory.number)
            name = self.groups.shown(buffer[1]) if buffer else self._name(source)[1]
            origins.append(origin.label if origin is not None else name)
        of = ", ".join(dict.fromkeys(filter(None, origins)))
        made.facts["made by"] = maker.name + (f" of {of}" if of else "")

    def is_cut(self, node, source) -> bool:
        """True where a leaf that has a gradient is taken without it."""
        leaf = self.owned.get(source.memory.number)
        return leaf is not None and leaf.requires_grad and node.kind in (PARAMETER, LEAF)

    def mark_nan(self, found):
        """Where nobody looked on: mark the leaves that hold a NaN now."""
        for x in self.variables:
            if x in found and "NaN" in kinds_in(x.data):
                found[x].marks["born"] = "NaN came in here"

    # --- where they are drawn ------------------------------------------------------------------------------------

    def place(self, edges):
        """Put each leaf into the call of the module that holds it, or in which alone it is used."""
        nodes = self.graph.nodes
        users: dict[str, list] = {}
        for e in edges:
            if nodes[e.source].kind in (INPUT, DETACHED):
                users.setdefault(e.source, []).append(nodes[e.target])
        for id, path in self.homes.items():
            nodes[id].group = self.groups.holding(path)
        for id, targets in users.items():
            nodes[id].level = first = min(n.level for n in targets)
            if id in self.anonymous:
                nodes[id].group = self.groups.common([n.group for n in targets if n.level == first])
        for id in self.homes:
            inner = self.graph.groups[nodes[id].group].path if nodes[id].group else ""
            name = self.groups.shown(inner)
            if name:
                nodes[id].label = nodes[id].label.removeprefix(f"{name}.")

    def _add(self, kind, name, shape, dtype, id=""):
        id = self.unused(id or name)
        self.graph.nodes[id] = Node(id, kind, name, "", shape, dtype)
        return self.graph.nodes[id]
