"""From the tape to the model: walk the nodes in the order of birth, name them, and take over what was noted of them."""

from ..tape import Function, Variable
from ..tape.function import Alias, Output
from ..tape.history import nodes_behind
from ..tape.provenance import input_names, place_of, saved_names
from ..tape.versions import owner_of
from .model import DETACHED, INPUT, LEAF, OPERATION, PARAMETER, Edge, Graph, Group, Node, Saved, shaped
from .record import Notes, leaf_holds, leaf_statistics, size_of

_NOTHING = Notes()


def build(outputs, models, names=None) -> Graph:
    """The Graph behind `outputs`, Variables. Parameters are named by `models` and by `names`, {name: Variable}."""
    return _Builder(models, names or {}).built(outputs)


class _Builder:
    def __init__(self, models, names):
        self.models = models
        self.graph = Graph(title=models.name)
        self.root = next(iter(models.roots)) if len(models.roots) == 1 else None
        self.paths = {p: self._short(path) for path, p in models.parameters.items()}
        self.names = {id(x): name for name, x in names.items()}
        self.names |= {id(owner_of(x.data)): name for name, x in names.items() if isinstance(x, Variable)}
        self.calls: dict = {}  # path of a module -> the numbers of its calls in this graph
        self.found: dict = {}  # what is on the tape -> Node
        self.inputs: dict = {}  # key of a Source -> Node
        self.counts: dict = {}
        self.owners: set = set()  # of memory that is counted, or held anyway

    def built(self, outputs):
        nodes = [n for n in nodes_behind(y.edge for y in outputs if y.requires_grad) if type(n) not in (Output, Alias)]
        for node in nodes:
            for path, number, _ in (node.noted or _NOTHING).calls:
                self.calls.setdefault(path, set()).add(number)
        self.order = {path: {n: i for i, n in enumerate(sorted(ns), 1)} for path, ns in self.calls.items()}
        for x in self.paths:
            self.owners.add(id(owner_of(x.data)))
        for node in nodes:
            self._operation(node)
        self._place_parameters()
        for i, y in enumerate(outputs):
            found = self._node_of(y.edge) if y.requires_grad else self._constant(y)
            found.marks["output"] = y.name or ("output" if len(outputs) == 1 else f"output {i}")
            self.graph.outputs.append(found.id)
        if nodes and all(n.noted is None for n in nodes):
            self.graph.notes.append("not recorded: modules, lines and statistics are known inside of viz.record(model)")
        return self.graph

    # --- operations ----------------------------------------------------------------------------------------------

    def _operation(self, node):
        notes = node.noted or _NOTHING
        group = self._group_of(node, notes)
        facts = {k: str(x) for k, x in vars(node).items() if not hasattr(Function, k) and type(x) in _PLAIN}
        for k in ("shape", "dtype"):
            facts.pop(k, None)
        shape = node.shape if node.shape is not None else None
        made = self._add(
            Node(
                self._id(f"{group}/{node.name}" if group else node.name),
                OPERATION,
                node.name,
                group,
                shape,
                str(node.dtype or ""),
                notes.level,
                facts,
                place_of(node),
            )
        )
        self.found[node] = made
        names = input_names(node, len(node.edges))
        for i, edge in enumerate(node.edges):
            if edge is not None:
                source, label = self._node_of(edge), names[i]
                norm = notes.gradients.get(i)
                self.graph.edges.append(Edge(source.id, made.id, label, edge.shape, str(edge.dtype), grad_norm=norm))
            else:
                self._constant_input(made, node, notes, i, names[i])
        made.statistics |= notes.statistics
        if notes.time:
            made.statistics["time"] = notes.time
        self._keeps(made, node, notes)
        for phase, text in notes.born.items():
            made.marks["born" if phase == "forward" else "born in backward"] = text
        for phase, text in notes.infected.items():
            made.marks["infected" if phase == "forward" else "infected in backward"] = text

    def _keeps(self, made, node, notes):
        if notes.kept:
            sizes = notes.kept
        elif node.saved:
            sizes = [size_of(x) for x in node.saved]
        else:
            return
        for what, size in zip(saved_names(node), sizes, strict=False):
            for each in size if type(size) is list else [size]:
                if each is not None:
                    shape, dtype, count, owner = each
                    made.saved.append(Saved(what.removeprefix("the "), shape, dtype, count, owner not in self.owners))
                    self.owners.add(owner)
        made.statistics["bytes"] = made.bytes

    def _constant_input(self, made, node, notes, i, name):
        source = notes.sources.get(i)
        if source is None:
            return self._saved_constant(made, node, i, name)
        if source.number is not None or not source.key:
            if source.number is not None:
                made.facts[name] = repr(source.number)
            return None
        maker = source.node() if source.node is not None else None
        if maker is not None and maker.order and maker in self.found:
            edge = Edge(self.found[maker].id, made.id, name, source.shape, source.dtype, "detached")
        else:
            found = self.inputs.get(source.key)
            if found is None:
                kind, label = (DETACHED, f"{maker.name}, detached") if maker is not None else (INPUT, "input")
                found = self._leaf(kind, label, label, source.shape, source.dtype)
                if source.bad:
                    found.marks["born"] = f"{source.bad} came in here"
                self.inputs[source.key] = found
            edge = Edge(found.id, made.id, name, source.shape, source.dtype)
        self.graph.edges.append(edge)
        return None

    def _saved_constant(self, made, node, i, name):
        """An operand without a history, as far as the tape itself knows it: where it was saved."""
        if i in node.needs and node.saved:
            x = node.saved[node.needs.index(i)]
            if hasattr(x, "nbytes") and hasattr(x, "base"):
                key = id(owner_of(x)), tuple(x.shape)
                if key not in self.inputs:
                    label = self.names.get(id(owner_of(x)), "input")
                    self.inputs[key] = self._leaf(INPUT, label, label, tuple(x.shape), str(x.dtype))
                self.graph.edges.append(Edge(self.inputs[key].id, made.id, name, tuple(x.shape), str(x.dtype)))
            elif type(x) in _PLAIN:
                made.facts[name] = repr(x)

    # --- leaves --------------------------------------------------------------------------------------------------

    def _node_of(self, edge):
        """The Node of what an edge leads to."""
        while type(edge) in (Output, Alias):
            edge = edge.edges[0]
        if edge not in self.found:
            self.found[edge] = self._variable(edge)
        return self.found[edge]

    def _variable(self, x):
        path = self.paths.get(x) or self.names.get(id(x)) or x.name
        own = x in self.paths or type(x) is not Variable
        kind = PARAMETER if own else LEAF
        made = self._leaf(kind, path or kind, path or kind, tuple(x.shape), str(x.dtype))
        made.parameters = x.data.size if own else 0
        made.statistics |= leaf_statistics(x)
        self.owners.add(id(owner_of(x.data)))
        if leaf_holds(x.data):
            made.marks["born"] = f"{leaf_holds(x.data)} came in here"
        return made

    def _constant(self, y):
        label = self.names.get(id(y)) or y.name or "constant"
        return self._leaf(INPUT, label, label, tuple(y.shape), str(y.dtype))

    def _leaf(self, kind, name, label, shape, dtype):
        return self._add(Node(self._id(name, leaf=True), kind, label, "", shape, dtype))

    def _add(self, node):
        self.graph.nodes[node.id] = node
        return node

    def _id(self, name, leaf=False):
        """`name` with its number; of leaves the first one goes without, since most have names of their own."""
        self.counts[name] = count = self.counts.get(name, 0) + 1
        found = name if leaf and count == 1 else f"{name}:{count}"
        return found if found not in self.graph.nodes else self._id(name, leaf)

    # --- groups --------------------------------------------------------------------------------------------------

    def _short(self, path):
        """A module's path without the name of its root, where there is one root."""
        return path.removeprefix(f"{self.root}.") if self.root is not None else path

    def _group_of(self, node, notes):
        source, level = node, notes.level
        while level and notes.of is not None and notes.of() is not None:  # whose gradient it computes, back to forward
            source = notes.of()
            notes = source.noted or _NOTHING
        calls = notes.calls if notes is not _NOTHING else self._guessed(source)
        parent = ""
        if level:
            parent = self._group("backward" if level == 1 else f"backward {level}", "backward", "", "")
        prefix = f"{parent}/" if parent else ""
        for path, number, kind in calls:
            number = self.order.get(path, {}).get(number, number)
            name = self._named(path, kind) + (f"@{number}" if number > 1 else "")
            parent = self._group(prefix + name, kind, parent, path)
        return parent

    def _guessed(self, node):
        """The modules around `node` where nothing was recorded: those whose parameters it takes."""
        owner = next((self.models.owner(e) for e in node.edges if isinstance(e, Variable) and e in self.paths), None)
        return [] if owner is None else [(p, 1, type(m).__name__) for p, m in self.models.around(owner)]

    def _named(self, path, kind):
        return kind if path == self.root else self._short(path)

    def _group(self, id, kind, parent, path):
        if id not in self.graph.groups:
            module = self.models.modules.get(path)
            count = sum(p.data.size for p in module.parameters()) if module is not None else 0
            self.graph.groups[id] = Group(id, kind, parent, path, count)
        return id

    def _place_parameters(self):
        """Draw each in the call of its module; around the calls, if there are several; or in what holds the module."""
        groups: dict = {}
        for g in self.graph.groups.values():
            if "/" not in g.id:
                groups.setdefault(g.path, []).append(g)
        for x, path in self.paths.items():
            if x in self.found:
                owner = f"{self.root}.{path}" if self.root is not None else path
                while owner and owner not in groups:
                    owner = owner.rpartition(".")[0]
                ids = groups.get(owner, [])
                node = self.found[x]
                node.group = "" if not ids else ids[0].id if len(ids) == 1 else ids[0].parent
                if len(ids) == 1 and owner != self.root:
                    node.label = path.removeprefix(f"{self._short(owner)}.")


_PLAIN = (int, float, bool, str, tuple, list, type(None))


def described(node) -> str:
    """A node in one line, for texts and hovering: conv2d 32×64×8×8 float32 (stride=1)."""
    facts = ", ".join(f"{k}={v}" for k, v in node.facts.items())
    shape = "" if node.shape is None else f" {shaped(node.shape)} {node.dtype}"
    return f"{node.label}{shape}" + (f" ({facts})" if facts else "")
