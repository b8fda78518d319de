"""record: what happens while operations run, noted on the tape for pictures: modules, lines, statistics, times.

    with viz.record(model):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
    viz.graph(loss, color="grad_norm")

Outside of it nothing is noted, and nothing costs. Inside, each operation looks through its result, and on a GPU waits
for it. What is noted are plain facts on the nodes, so it goes when they go, as in a loop over many batches.
"""

import sys
import weakref
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from ..backend import around, backend, gpu
from ..models import Models
from ..tape import Function, engine, raw
from ..tape.anomaly import holds
from ..tape.function import Partial
from ..tape.observers import Observer, Observing, running
from ..tape.provenance import caller
from ..tape.versions import owner_of


@dataclass(slots=True)
class Source:
    """Where an operand without a history came from."""

    shape: tuple
    dtype: str
    node: Any = None  # a weak reference to the node whose result it was, before it was detached
    name: str | None = None
    bad: str = ""  # "NaN" or "inf", if it holds one
    number: Any = None  # the Python number that it is
    key: tuple = ()  # the same for operands that are the same part of the same memory


@dataclass(slots=True)
class Notes:
    """What was seen of one node."""

    began: float = 0.0
    time: float = 0.0  # s, forward and backward
    calls: tuple = ()  # of modules, outermost first: (path, number, class)
    level: int = 0
    of: Any = None  # a weak reference to the node whose gradient it computes
    shape: tuple | None = None
    dtype: str = ""
    kept: list = field(default_factory=list)  # (shape, dtype, bytes, id of the owner) or a list of such
    sources: dict = field(default_factory=dict)  # number of the input -> Source
    statistics: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)  # number of the input -> norm of its gradient
    born: dict = field(default_factory=dict)  # "forward", "backward" -> text
    infected: dict = field(default_factory=dict)


@contextmanager
def record(model=None, *, statistics: bool = True):
    """Inside, what runs in this thread is noted for viz.graph, viz.diff and viz.backward_steps.

    Args:   model - the module, or a list or dict of them: operations are told by the module in whose forward they ran.
            statistics - look through results and gradients, default True. False: modules, lines, times and shapes only.
    Raises: TypeError for what is no module.
    """
    models = Models([] if model is None else model, "viz.record: the model")
    with ExitStack() as stack:
        calls = stack.enter_context(models.calls())
        stack.enter_context(Observing(Recorder(models, calls, statistics)))
        yield


class Recorder(Observer):
    """Writes Notes on the nodes that run."""

    def __init__(self, models, calls, statistics):
        self.models, self.calls, self.statistics = models, calls, statistics
        self.kinds = {path: type(m).__name__ for path, m in models.modules.items()}
        self.memories: dict = {}  # id of the owner -> Memory
        self.count = 0

    def begins(self, node):
        if node.noted is None:
            node.noted = Notes()
        node.noted.began = perf_counter()

    def ran(self, node, operands, edges, result):
        notes = node.noted
        _wait()
        notes.time += perf_counter() - notes.began
        if running.get() is not None and not any(e is not None for e in edges):
            return  # a part of another operation
        node.called_at = node.called_at or caller()
        notes.calls = tuple((*call, self.kinds[call.path]) for call in self.calls)
        notes.level = _level(edges)
        if notes.level and running.get() is not None:
            notes.of = weakref.ref(running.get())
        y = result[0] if type(result) is tuple and node.residuals else result
        residuals = list(result[1:]) if type(result) is tuple and node.residuals else []
        notes.kept = [size_of(x) for x in node.keep([*operands, *residuals, y])]
        outputs = y if type(y) is tuple else (y,)
        if type(y) is not tuple:
            notes.shape, notes.dtype = getattr(y, "shape", ()), str(getattr(y, "dtype", ""))
        for i, (x, edge) in enumerate(zip(operands, edges, strict=False)):
            if edge is None:
                notes.sources[i] = self._source(x)
        if self.statistics:
            notes.statistics |= _of_values(outputs)
            _look_for_births(notes, "forward", node.name, outputs, operands)
        for x in outputs:
            if _lies_in_memory(x):
                self._memory(x).node = weakref.ref(node)

    def returned(self, node, gy, gradients):
        notes = node.noted
        _wait()
        notes.time += perf_counter() - notes.began
        if not self.statistics:
            return
        incoming = [raw(g) for g in (gy.parts.values() if isinstance(gy, Partial) else (gy,))]
        gradients = [raw(g) for g in (gradients if type(gradients) is tuple else (gradients,))]
        notes.statistics |= _of_gradients(incoming)
        wanted = [(i, g) for i, (g, want) in enumerate(zip(gradients, node.wants, strict=False)) if want is not None]
        for i, g in wanted:
            if hasattr(g, "dtype") and g.dtype.kind == "f":
                notes.gradients[i] = _norm([g])
        saved = [x for each in node.saved for x in (each if type(each) is tuple else (each,))]
        _look_for_births(notes, "backward", node.name, [g for _, g in wanted], [*incoming, *map(raw, saved)])

    def _source(self, x):
        if not hasattr(x, "dtype"):
            return Source((), type(x).__name__, number=x)
        bad = leaf_holds(x) if self.statistics else ""
        source = Source(tuple(x.shape), str(x.dtype), bad=bad)
        if _lies_in_memory(x):
            memory = self._memory(x)
            source.node, source.key = memory.node, (memory.number, _offset(x), source.shape)
        return source

    def _memory(self, x):
        """What is known of the memory of `x`. An id alone would be that of another array after this one is gone."""
        owner = owner_of(x)
        found = self.memories.get(id(owner))
        if found is None or found.owner() is not owner:
            self.count += 1
            found = self.memories[id(owner)] = Memory(weakref.ref(owner), self.count)
            if self.count % FORGET == 0:
                self.memories = {key: m for key, m in self.memories.items() if m.owner() is not None}
        return found


FORGET = 10_000  # new memories, after which those that are gone are forgotten


@dataclass(slots=True)
class Memory:
    """An array that owns its memory, its number, and a weak reference to the node that made it."""

    owner: Any
    number: int
    node: Any = None


def _lies_in_memory(x):
    return hasattr(x, "base") and not isinstance(x, np.generic)  # NumPy's 0-d results are scalars


def _offset(x):
    """Where `x` begins in its memory, in bytes."""
    a, b = (getattr(y, "__cuda_array_interface__", None) or y.__array_interface__ for y in (x, owner_of(x)))
    return a["data"][0] - b["data"][0]


def _wait():
    if gpu:
        gpu[0].synchronize()


def _level(edges):
    """How many backwards deep an operation ran: 0 in a forward, 1 in the backward of create_graph."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code is not engine.walk.__code__:
        frame = frame.f_back
    if frame is None:
        return 0
    known = [_noted_level(e) for e in edges if isinstance(e, Function)]
    node = running.get()
    return 1 + _noted_level(node) if node is not None else max([1, *known])


def _noted_level(node):
    return node.noted.level if node.noted is not None else 0


def size_of(x):
    """(shape, dtype, bytes, id of the owner) of an array; a list for several; None for what is no array."""
    if type(x) is tuple:
        return [size_of(part) for part in x]
    if not hasattr(x, "nbytes"):
        return None
    return tuple(x.shape), str(x.dtype), int(x.nbytes), id(owner_of(x)) if _lies_in_memory(x) else id(x)


def _floats(arrays):
    return [x for x in arrays if getattr(getattr(x, "dtype", None), "kind", None) == "f" and x.size]


def _norm(arrays):
    total = 0.0
    for x in arrays:
        with around(x):
            total += float((x.astype("float64") ** 2).sum())
    return total**0.5


def _of_values(arrays):
    found = _floats(arrays)
    if not found:
        return {}
    x = found[0] if len(found) == 1 else None
    if x is None:
        return {}
    with around(x):
        wide = x.astype("float64")
        return {"mean": float(wide.mean()), "std": float(wide.std()), "max": float(abs(wide).max())}


def _of_gradients(arrays):
    found = _floats(arrays)
    if not found:
        return {}
    size = sum(x.size for x in found)
    mean = 0.0
    for x in found:
        with around(x):
            mean += float(abs(x.astype("float64")).sum())
    return {"grad_norm": _norm(found), "grad_mean": mean / size}


def _look_for_births(notes, phase, name, results, operands):
    for kind in ("NaN", "inf"):
        bad = [x for x in results if holds(x, kind)]
        if not bad:
            continue
        if any(holds(x, kind) for x in operands):
            notes.infected.setdefault(phase, kind)
        else:
            x = bad[0]
            with around(x):
                xp = backend[type(x)].xp
                count = int(getattr(xp, f"is{kind.lower()}")(x).sum())
            where = name if phase == "forward" else f"the gradient of {name}"
            notes.born.setdefault(phase, f"{kind} born here: {count} of {x.size} elements of {where}")
        return


def leaf_holds(x) -> str:
    """'NaN' or 'inf' if the array holds one, else an empty text."""
    return next((kind for kind in ("NaN", "inf") if holds(x, kind)), "")


def leaf_statistics(x) -> dict:
    """The statistics of a leaf Variable, and of its `grad`."""
    return _of_values([x.data]) | ({} if x.grad is None else _of_gradients([raw(x.grad)]))
