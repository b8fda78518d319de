"""Groups: the calls of modules as nested boxes, and which of them an operation or a parameter is drawn in.

    Net                     the call of the whole model, which has one root: its paths go without "model."
    blocks.3.attn@2         the second call of that module in this graph, though the process may have made a thousand
    backward/blocks.3.attn  what computes its gradients under create_graph

Where nothing was recorded, an operation is in the module whose parameters it takes.
"""

from ..model import OPERATION, Graph, Group


class Groups:
    """The groups of one graph, made as operations come.

    Args: graph - in whose `groups` they are put. models - the Models. nodes - all operations that will come.
    """

    def __init__(self, graph: Graph, models, nodes):
        self.graph, self.models = graph, models
        self.roots = {root: _called(root, module, len(models.roots)) for root, module in models.roots.items()}
        self.paths = {id(m): path for path, m in models.modules.items()}
        self.known: dict = {}  # (parent, path, number) -> id
        self.calls: dict[str, list] = {}  # path -> ids of the calls of that module in the forward
        self.translated: dict = {}  # id of a Run -> {path there: path here}
        self.around: dict = {}  # path of a module -> what _guessed says
        self.owners = {p: path.rpartition(".")[0] for path, p in models.parameters.items()}
        self.counts = {path: sum(p.data.size for p in m.parameters()) for path, m in models.modules.items()}
        numbers: dict = {}
        for notes in (node.noted for node in nodes if node.noted is not None):
            for path, number, _ in notes.calls:
                numbers.setdefault(self._here(notes, path), set()).add(number)
        self.order = {path: {n: i for i, n in enumerate(sorted(ns), 1)} for path, ns in numbers.items()}

    def _here(self, notes, path):
        """The path that a module has here, which had `path` in the recording: models may come in other containers."""
        run = notes.run
        if run is None:
            return path
        if id(run) not in self.translated:
            here = {there: self.paths.get(id(ref()), there) for there, ref in run.modules.items()}
            self.translated[id(run)] = run, here  # the run too: its id stays its own
        return self.translated[id(run)][1].get(path, path)

    def shown(self, path: str) -> str:
        """A path of the Models as it is shown: `fc.weight` for `model.fc.weight`; "" for the root of one."""
        root = next((r for r in self.roots if path == r or path.startswith(f"{r}.")), None)
        if root is None:
            return path
        rest = path[len(root) + 1 :]
        return ".".join(filter(None, (self.roots[root] if len(self.roots) > 1 else "", rest)))

    def of(self, node, notes, edges) -> str:
        """The id of the innermost group around `node`; `edges` are the leaves and nodes that its operands come from."""
        calls = [(self._here(notes, path), number, kind) for path, number, kind in notes.calls]
        if not calls:
            source = notes.of() if notes.level and notes.of is not None else None
            if self.is_guessed(notes) or (source is not None and not source.noted.calls):
                calls = self._guessed(edges if source is None else source.edges)
        parent = ""
        if notes.level:
            name = "backward" if notes.level == 1 else f"backward {notes.level}"
            parent = self._group("", name, 1, name, "backward")
        prefix = parent
        for path, number, kind in calls:
            name = self.shown(path) or kind
            parent = self._group(parent, path, self.order.get(path, {}).get(number, number), name, kind, prefix)
        return parent

    @staticmethod
    def is_guessed(notes) -> bool:
        """Whether nobody looked on as modules were called."""
        return notes.run is None or not notes.run.modules

    def fill(self, guessed, edges):
        """Put those Nodes that lie between operations of one module into it: no parameter tells of them.

        Args: guessed - Nodes without a group. edges - all of the graph, in its order.
        """
        nodes, free = self.graph.nodes, {n.id for n in guessed}
        before: dict = {}  # id -> the innermost group around all that it was computed from; those in `users` likewise
        users: dict = {}
        for found, pairs in (
            (before, [(e.target, e.source) for e in edges]),
            (users, [(e.source, e.target) for e in reversed(edges)]),
        ):
            for id, other in pairs:
                if id in free and nodes[other].kind == OPERATION and not nodes[other].level:
                    group = found.get(other, "") if other in free else nodes[other].group
                    found[id] = group if id not in found else self.common([found[id], group])
        for n in guessed:
            n.group = self.common([before.get(n.id, ""), users.get(n.id, "")])

    def _guessed(self, edges):
        owner = next((self.owners[e] for e in edges if e is not None and not e.order and e in self.owners), None)
        if owner is None:
            return []
        if owner not in self.around:
            self.around[owner] = [(p, 1, type(m).__name__) for p, m in self.models.around(owner)]
        return self.around[owner]

    def _group(self, parent, path, number, name, kind, prefix=""):
        key = prefix, path, number
        if key not in self.known:
            id = f"{prefix}/{name}" if prefix else name
            id += f"@{number}" if number > 1 else ""
            while id in self.graph.groups:
                id += " (module)"  # one that is called as the model's class, "backward", or "x@2"
            self.known[key] = id
            self.graph.groups[id] = Group(id, kind, parent, path, self.counts.get(path, 0))
            if not prefix and kind != "backward":
                self.calls.setdefault(path, []).append(id)
        return self.known[key]

    def holding(self, path: str) -> str:
        """The id of the group for what the module at `path` holds.

        Its call; around its calls, if there are several; else that of the module around it.
        """
        while path and path not in self.calls:
            path = path.rpartition(".")[0]
        return self.common(self.calls.get(path, [""]))

    def common(self, groups) -> str:
        """The innermost group around all of `groups`, ids."""
        chains = [list(reversed(self.graph.ancestors(g))) for g in groups]
        found = ""
        for level in zip(*chains, strict=False):
            if len(set(level)) > 1:
                break
            found = level[0]
        return found


def _called(root, module, count):
    """What a root is called: the key in a dict as it is, `model[0]` in a list."""
    name = root.removeprefix("model[").removesuffix("]")
    return name[1:-1] if count > 1 and name[:1] in "'\"" else root
