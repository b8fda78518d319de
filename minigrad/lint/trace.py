"""A run of the function that computes the loss, watched: where does the path from a parameter to the loss break?

Each operation tells its operands, as arrays, and which of them have a history. Memory that was made with a history and
comes without one has been detached. A result that has none, of operands that have one, was made under no_grad. From
there it is followed to the loss, so that breaks that do not matter, as in a metric that is printed, are passed over.
"""

import functools
import operator
import weakref
from typing import Any, NamedTuple

import numpy as np

from ..models import as_before
from ..tape import Variable, enable_grad, is_grad_enabled
from ..tape.history import nodes_behind
from ..tape.observers import Observer, Observing, running
from ..tape.provenance import caller, where
from ..tape.versions import owner_of


class Break(NamedTuple):
    """An operation that made a result without the history of its operands."""

    kind: str  # "detached", "no_grad" or "integer"
    node: Any
    sources: tuple  # the edges that its operands had, or should have had


class Value(NamedTuple):
    """What is known of an array: its memory, the edge where its history begins, the breaks behind it."""

    memory: weakref.ref | None
    source: Any
    breaks: frozenset


class Trace(Observer):
    """The operations of one run, how they hang together by their memory, and where history was lost."""

    def __init__(self):
        self.nodes, self.breaks, self.values = [], [], {}
        self.touched = set()

    def run(self, function, models):
        """What `function` returns, called once."""
        for p in models.trainable.values():
            self._note(p.data, p, frozenset())
        with as_before(models.modules.values()) as self.touched, Observing(self), enable_grad():
            return function()

    def ran(self, node, operands, edges, result):
        if running.get() is not None:
            return
        if node.called_at is None:
            node.called_at = caller()
        behind = set()
        for x, edge in zip(operands, edges, strict=False):
            value = self.value_of(x)
            if value is not None:
                behind |= value.breaks
                if edge is None and value.source is not None:
                    behind.add(self._broken("detached", node, (value.source,)))
        results = result if type(result) is tuple else (result,)
        having = tuple(edge for edge in edges if edge is not None)
        source = None
        if having and not is_grad_enabled():
            behind.add(self._broken("no_grad", node, having))
        elif having and results[0].dtype.kind != "f":
            behind.add(self._broken("integer", node, having))
        elif having:
            source = node
            self.nodes.append(node)
        for y in results:
            self._note(y, source, frozenset(behind))

    def _broken(self, *facts):
        self.breaks.append(Break(*facts))
        return len(self.breaks) - 1

    def _note(self, y, source, breaks):
        if isinstance(y, np.generic):
            self.values[_number(y)] = Value(None, source, breaks)
        elif hasattr(y, "base"):
            owner = owner_of(y)
            self.values[id(owner)] = Value(weakref.ref(owner), source, breaks)

    def value_of(self, x):
        """What is known of the array `x`, or None."""
        if not hasattr(x, "base"):
            return None
        owner = owner_of(x)
        value = self.values.get(id(owner))
        if value is not None and value.memory is not None and value.memory() is owner:
            return value
        # NumPy's 0-d results are scalars, whose memory is not that of the Variable made of them.
        return self.values.get(_number(x)) if type(x) is np.ndarray and x.ndim == 0 else None

    def why(self, lost, losses):
        """For each of `lost`, leaves that do not lead to `losses`: (what broke the path, the operation or None)."""
        bits = {p: 1 << i for i, p in enumerate(lost)}
        for node in nodes_behind([*self.nodes, *(e for b in self.breaks for e in b.sources)]):
            bits[node] = 0
            for edge in node.edges:
                bits[node] |= bits.get(edge, 0)
        values = [value for value in (self.value_of(y.data) for y in losses) if value is not None]
        behind = sorted(set().union(*(value.breaks for value in values)))
        found = [self.breaks[i] for i in behind]
        masks = [functools.reduce(operator.or_, (bits.get(edge, 0) for edge in b.sources)) for b in found]
        for p in lost:
            bit = bits[p]
            at = next((b for b, mask in zip(found, masks, strict=True) if mask & bit), None)
            last = next((node for node in reversed(self.nodes) if bits.get(node, 0) & bit), None)
            yield _told(at, last), at.node if at is not None else last

    def forget(self):
        """Let go of the nodes."""
        self.nodes, self.breaks, self.values = [], [], {}


def _number(x):
    return x.dtype.str, x.tobytes()


_BREAKS = {
    "no_grad": "{node} ran under no_grad",
    "integer": "{node} makes integers or bools, which have no gradient",
    "detached": "{source} {taken} without {its} history by {node}: there was a .detach() or .data",
}


def _told(at, last):
    """In words, why a parameter is not reached: the break `at`, or the `last` operation of its history, or neither."""
    if at is not None:
        source = at.sources[0]
        own = isinstance(source, Variable)
        names = (
            ("they", "are taken", "their") if own else (f"what {source.name}{where(source)} made", "is taken", "its")
        )
        named = dict(zip(("source", "taken", "its"), names, strict=True))
        return _BREAKS[at.kind].format(node=f"{at.node.name}{where(at.node)}", **named)
    if last is not None:
        return (
            f"the last operation with their history is {last.name}{where(last)}; its result is not used, or by nothing "
            "that has a gradient: mg.tensor(...), NumPy, .item(), an integer, argmax"
        )
    return "no operation takes them: their layer is not called, or its forward does not use them"
