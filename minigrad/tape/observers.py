"""Observers look on while operations run and gradients flow back. While there are none, nobody is asked.

    class Times(Observer):
        def ran(self, node, operands, edges, result): ...

    with Observing(Times()):             # in this thread or task; anomaly.py is made of this

What an operation asks anyway, `if detours:` (is there a reason to leave the straight way: arrays on a GPU?), is true
too while somebody observes anywhere. So being observable costs nothing: only the general way asks for observers.
"""

from contextvars import ContextVar
from typing import Any

from ..backend import detours
from .modes import Decorator

observing: ContextVar[tuple["Observer", ...]] = ContextVar("observing", default=())
# The operation whose forward or backward is computing: what it calls for that is a part of it.
running: ContextVar[Any] = ContextVar("running", default=None)
_presence: ContextVar["_Presence | None"] = ContextVar("presence", default=None)
_left: ContextVar[tuple[tuple, ...]] = ContextVar("left", default=())  # the observers to come back to, innermost last


class Observer:
    """Is told of each step, in the contexts where it observes. An exception that it raises ends the step."""

    def begins(self, node):
        """The forward of `node`, or its gradient formula, is about to run; `ran` or `returned` follows."""

    def ran(self, node, operands, edges, result):
        """An operation has computed `result`: an array; or a tuple, of several outputs or of output and residuals.

        `edges` are what `node.edges` will be if it is recorded. Where `running` is set, that operation called it.
        """

    def converted(self, node, given, operands, result):
        """Before `ran`: the operands `given` to an operation went in as `operands`, for dtypes that differ."""

    def returned(self, node, gy, gradients):
        """The gradient formula of `node` has made `gradients` of `gy`: arrays, or Variables under create_graph."""

    def made(self, what, inputs, output, node=None):
        """Something else has made an array: `what`, out of `inputs` ({name: array}), at `node` if at one."""


class _Presence:
    """While one is alive, operations take the general way.

    It lives in a ContextVar only, hence as long as this context and those copied from it observe. A traceback or a
    context manager does not keep it alive.
    """

    def __init__(self):
        detours.insert(0, object)

    def __del__(self, remove=detours.remove):
        remove(object)


def observe(observers):
    """From now on, in this context, these observe and no others."""
    observing.set(tuple(observers))
    _presence.set(_Presence() if observers else None)


class Observing(Decorator):
    """A context in which `observers` observe too."""

    def __init__(self, *observers: Observer):
        self.observers = observers

    def __enter__(self):
        self._enter(observing.get(), (*observing.get(), *self.observers))
        return self

    def _enter(self, before, now):
        _left.set((*_left.get(), before))
        observe(now)

    def __exit__(self, *exc):
        *left, before = _left.get()
        _left.set(tuple(left))
        observe(before)


def as_part_of(node, compute, *args):
    """compute(*args), whose operations are parts of `node`."""
    before = running.set(node)
    try:
        return compute(*args)
    finally:
        running.reset(before)


def tell(what, inputs, output, node=None):
    """Tell the observers what else has made an array. Only where `observing` may hold some: it costs a look-up."""
    if running.get() is None:
        for observer in observing.get():
            observer.made(what, inputs, output, node)
