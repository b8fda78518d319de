"""memory_report: the arrays that a graph keeps alive for its backward, by operation, by module and by line.

    print(mg.memory_report(lambda: F.cross_entropy(model(x), y), model))

Each array is counted once, whoever saved it: views by the array that owns their memory, and for the operation that was
the first to save it. What is held anyway stands apart: parameters and buffers; gradients; and arrays to which there
are other references than the graph's, as to a batch. Whether there are, Python's reference counts tell.
"""

import html
import sys
from collections import Counter
from dataclasses import dataclass, field

from .containers import leaves
from .models import Models, as_before, outputs_in
from .tape import Variable, enable_grad, raw
from .tape.history import leaves_behind, nodes_behind
from .tape.observers import Observer, Observing, running
from .tape.provenance import caller, place_of, saved_names
from .tape.versions import owner_of

OUTSIDE = "(outside)"  # of all modules


def memory_report(outputs, model=None, *, top: int = 10) -> "MemoryReport":
    """What the graph behind `outputs` keeps in memory until its backward.

    An operation belongs to the innermost module in whose forward it ran; for that, `outputs` must be a function. By
    the graph alone, it belongs to the module whose parameters it takes, and all others are outside.

    Args:    outputs - a Variable, or several in a list or dict; or a function without arguments that computes them. It
             is run once, and its lines are known; random numbers, buffers and gradients are put back.
             model - the module, or a list of them.
             top - how many of the largest arrays the text shows.
    Returns: a MemoryReport: `total` is what becomes free when the graph goes, or at the end of backward.
    Raises:  TypeError for what is no Variable, or no module.
    """
    models = Models([] if model is None else model, "memory_report: the model")
    paths: dict = {}
    if callable(outputs) and not isinstance(outputs, Variable):
        watcher = _Paths(paths)
        with as_before(models.modules.values()), models.calls() as watcher.calls, Observing(watcher), enable_grad():
            outputs = outputs()
    outputs = outputs_in(outputs, "memory_report: outputs")
    edges = [y.edge for y in outputs if y.requires_grad]
    nodes = nodes_behind(edges)
    owners = {p: path.rpartition(".")[0] for path, p in models.parameters.items()}
    for node in nodes:
        if node not in paths:
            paths[node] = next((owners[e] for e in node.edges if e in owners), OUTSIDE)
    trained = dict.fromkeys([*owners, *leaves_behind(edges, nodes)])
    buffers = [b for m in models.roots.values() for b in m.buffers()]
    held, parameters = _bytes_of([x.data for x in (*trained, *buffers)])
    _, gradients = _bytes_of([x.grad.data for x in trained if x.grad is not None])
    entries = _counted(nodes, outputs).entries(paths, held)
    used_up = any(node.saved is None and node.recall is None for node in nodes)
    return MemoryReport(models.name or "the graph", entries, parameters, gradients, len(nodes), used_up, top)


@dataclass(frozen=True)
class Entry:
    """An array that a graph keeps: which operation saved it first, and as what; `place` is its line, or ""."""

    operation: str
    what: str
    shape: tuple
    dtype: str
    bytes: int
    module: str
    place: str
    elsewhere: bool


@dataclass
class MemoryReport:
    """What a graph keeps in memory, in bytes.

    Holds: total - of arrays that only the graph keeps. elsewhere - of arrays that it saved and others hold too.
           parameters - of leaves that require grad, parameters and buffers. gradients - of their grads.
           entries - all arrays but these, the largest first; by_operation, by_module - the total in parts.
           operations - how many there are in the graph. used_up - a backward has gone through it.
    """

    name: str
    entries: list = field(default_factory=list)
    parameters: int = 0
    gradients: int = 0
    operations: int = 0
    used_up: bool = False
    top: int = 10

    @property
    def total(self) -> int:
        """Bytes that become free when the graph goes."""
        return sum(e.bytes for e in self.entries if not e.elsewhere)

    @property
    def elsewhere(self) -> int:
        """Bytes that the graph saved, and others hold too."""
        return sum(e.bytes for e in self.entries if e.elsewhere)

    @property
    def by_operation(self) -> dict:
        """The total in parts, {name of an operation: bytes}, the largest first."""
        return self._by("operation")

    @property
    def by_module(self) -> dict:
        """The total in parts, {path of a module: bytes}, the largest first."""
        return self._by("module")

    def _by(self, name):
        found: Counter = Counter()
        for e in self.entries:
            if not e.elsewhere:
                found[getattr(e, name)] += e.bytes
        return dict(found.most_common())

    def headline(self) -> str:
        """The totals in one line."""
        more = f", {shown(self.elsewhere)} that others hold too" if self.elsewhere else ""
        used = "; a backward has freed what was saved" if self.used_up else ""
        return (
            f"memory of {self.name}: {shown(self.total)} kept by {self.operations} operations{more}; parameters "
            f"{shown(self.parameters)}, gradients {shown(self.gradients)}{used}"
        )

    def tables(self) -> list:
        """Tables as lists of rows of texts, the first one the header: by module, by operation, the largest arrays."""
        rows: list = [("array", "shape", "dtype", "memory", "module", "line")]
        for e in self.entries[: self.top]:
            held = f"{shown(e.bytes)} (others too)" if e.elsewhere else shown(e.bytes)
            rows.append((f"{e.operation}: {e.what}", str(e.shape), e.dtype, held, e.module, e.place))
        parts = [
            [(name, "memory"), *((key, shown(n)) for key, n in found.items())]
            for name, found in (("module", self.by_module), ("operation", self.by_operation))
        ]
        return [table for table in (*parts, rows) if len(table) > 1]

    def __str__(self):
        lines = [self.headline()]
        for table in self.tables():
            widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
            rows = ("  ".join(text.ljust(n) for text, n in zip(row, widths, strict=True)).rstrip() for row in table)
            lines += ["", *(f"  {row}" for row in rows)]
        if len(self.entries) > self.top:
            lines.append(f"  and {len(self.entries) - self.top} more")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        text = f"<p>{html.escape(self.headline())}</p>"
        for head, *body in self.tables():
            rows = [f"<tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>"]
            rows += [f"<tr>{''.join(f'<td>{html.escape(x)}</td>' for x in row)}</tr>" for row in body]
            text += f"<table>{''.join(rows)}</table>"
        return text


def shown(count: int) -> str:
    """Bytes, as one reads them: 12.3 kB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:.0f} {unit}"
    return f"{count} B"


# --- counting ----------------------------------------------------------------------------------------------------


class _Count:
    """The arrays of a graph: for each memory, who was the first to save it, and how many references the graph has."""

    def __init__(self):
        self.first: dict = {}  # id of the owner -> (node, as what, shape, dtype)
        self.groups: dict = {}  # id of the owner -> {id: array} of all that looks at its memory
        self.references: Counter = Counter()  # id of an array -> those from the graph

    def add(self, array, node, what):
        """Count one reference to `array`."""
        if not hasattr(array, "nbytes"):
            return
        self.references[id(array)] += 1
        owner = owner_of(array)
        self.first.setdefault(id(owner), (node, what, array.shape, str(array.dtype)))
        group = self.groups.setdefault(id(owner), {})
        while id(array) not in group:
            group[id(array)] = array
            if array is not owner:
                array = array.base
                self.references[id(array)] += 1

    def entries(self, paths, held):
        """The entries but for the memory of `held`, the largest first."""
        found = []
        for key, group in self.groups.items():
            if key in held:
                continue
            counts = [sys.getrefcount(x) - self.references[id(x)] for x in group.values()]
            node, what, shape, dtype = self.first[key]
            name = getattr(node, "name", None) or "leaf"
            facts = name, what, shape, dtype, group[key].nbytes, paths.get(node, OUTSIDE), place_of(node)
            found.append(Entry(*facts, elsewhere=any(n > _ALONE for n in counts)))
        return sorted(found, key=lambda e: -e.bytes)


_ALONE = next(sys.getrefcount(x) for x in {0: Variable(0.0)}.values())


def _counted(nodes, outputs):
    count, checkpoints = _Count(), set()
    for node in nodes:
        second = getattr(getattr(node.recall, "func", None), "__self__", None)
        if second is not None and id(second) not in checkpoints:
            checkpoints.add(id(second))
            _add_checkpoint(count, second, node)
        for name, x in zip(saved_names(node), node.saved, strict=True) if node.saved else ():
            for part in x if type(x) is tuple else (x,):
                count.add(part, node, name.removeprefix("the "))
    for y in outputs:
        count.add(y.data, y.creator, "result")
    return count


def _add_checkpoint(count, second, node):
    """The arguments that a checkpoint keeps: as Variables of its own, and beside them the arrays that they had."""
    own = [x for x in leaves((second.args, second.kwargs)) if not (isinstance(x, Variable) and x.tracked and x.is_leaf)]
    for x in [*map(raw, own), *(array for _, array in second.unchanged)]:
        count.add(x, node, "argument of a checkpoint")


def _bytes_of(arrays):
    owners = {id(owner): owner for owner in map(owner_of, arrays)}
    return owners.keys(), sum(owner.nbytes for owner in owners.values())


class _Paths(Observer):
    """Notes for each operation the module in whose forward it ran, and the line."""

    def __init__(self, paths):
        self.paths, self.calls = paths, []

    def ran(self, node, operands, edges, result):
        if running.get() is None:
            node.called_at = node.called_at or caller()
            if self.calls:
                self.paths[node] = self.calls[-1].path
