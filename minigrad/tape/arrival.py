"""Where gradients arrive: sums of several that come to one place, hooks, and the `grad` of leaves."""

import operator
import sys

import numpy as np

from ..backend import backend, computed, cpu, detours, many_gpus
from ..errors import ShapeError
from .function import Function, Output, Partial
from .modes import enable_grad, recording
from .observers import observing, tell
from .provenance import called, note
from .variable import Hooks, Variable, as_array, raw, untracked
from .versions import memory


def follow(g):
    """Make the GPU on which the gradient `g` lies the current one."""
    g = raw(next(iter(g.parts.values())) if isinstance(g, Partial) else g)
    if type(g) is many_gpus[0].array:
        many_gpus[0].follow(g)


def own(g):
    """A copy of the gradient `g` where it lies."""
    if many_gpus:
        follow(g)
    return g.copy()


def before_adding(g, another, edge):
    """Go to the GPU where `another` lies, and show observers the sum of these two gradients of `edge`."""
    if many_gpus:
        follow(another)
    if observing.get() and not isinstance(g, Partial):
        parts = {"one gradient": g, "another": another}
        tell(f"backward, adding up the gradients of {_name(edge)}", parts, raw(g) + raw(another), _node(edge))


def _node(place):
    """The operation whose output arrives at `place`; None for a leaf."""
    return place.edges[0] if isinstance(place, Output) else place if isinstance(place, Function) else None


def _name(place):
    if isinstance(place, Output):
        return f"output {place.i} {place.shape} of {place.edges[0].name}"
    if isinstance(place, Function):
        return f"the output {place.shape} of {place.name}"
    return f"the leaf {place.shape}" if place.name is None else f"the leaf {place.name!r} {place.shape}"


def run_hooks(place, gy, create_graph):
    """Call the hooks of a node or leaf with its complete gradient; fill a retained grad."""
    g = gy if create_graph else Variable(gy)
    for hook in list(place.hooks.values()):
        result = _called(hook, g, place)
        if result is not None:
            before, g = g, result if isinstance(result, Variable) else Variable(result)
            if g.shape != place.shape:
                what = f"hook: returned shape {g.shape} for a gradient of shape {place.shape}, that of {_name(place)}"
                raise ShapeError("; ".join([what, *map(called, filter(None, [_node(place)]))]))
            g = g if g.dtype == place.dtype else g.astype(place.dtype)
            if detours:
                tell(f"a hook of {_name(place)}", {"the gradient": before}, g, _node(place))
    variable = place.retained() if isinstance(place, Function) and place.retained is not None else None
    if variable is not None:
        accumulate({variable: g if create_graph else g.data}, create_graph)
    return g if create_graph else g.data


def _called(hook, x, place):
    try:
        return hook(x)
    except Exception as error:
        node = _node(place)
        note(error, f"in a hook of {_name(place)}", "" if node is None else called(node))
        raise


def accumulate(grads, create_graph):
    """Add each gradient to its Variable's `grad`; then call the hooks that wait for that."""
    others = () if create_graph else shared(grads)
    for x, g in grads.items():
        if not x.tracked:  # a leaf that was switched off after its use
            continue
        if many_gpus:
            follow(g)
        if detours and x.grad is not None and observing.get():
            total = computed("backward (grad += ...)", operator.add, raw(x.grad), raw(g))
            tell(f"backward, adding to the grad of {_name(x.edge)}", {"grad": x.grad, "the gradient": g}, total)
        if create_graph:
            x.grad = g.clone() if x.grad is None else x.grad + g
        elif x.grad is None:
            x.grad = untracked(g.copy() if x in others else as_array(g) if isinstance(g, np.generic) else g)
        elif x.grad.tracked:
            with enable_grad():
                x.grad = x.grad + g
        elif backend[type(g)].is_writable(x.grad.data):
            computed("backward (grad += ...)", operator.iadd, x.grad.data, g)
            memory.overwritten(x.grad.data)
        else:
            x.grad = Variable(x.grad.data + g)
    if Hooks.late:
        _run_late_hooks(grads, create_graph)


def _run_late_hooks(leaves, create_graph):
    mode = recording.set(create_graph)
    try:
        for x in leaves:
            if x.hooks is not None and x.tracked:
                for hook in list(x.hooks.accumulated.values()):
                    _called(hook, x, x)
    finally:
        recording.reset(mode)


def _holders(grads):
    return {x: sys.getrefcount(g) for x, g in grads.items()}


_ALONE = _holders({0: cpu.xp.zeros(1)})[0]  # what the count is where only the dictionary holds the array


def shared(grads):
    """The keys of gradients that somebody else looks at too. Users and optimizers write into gradients."""
    counts = _holders(grads)
    return {x for x, g in grads.items() if counts[x] > _ALONE or getattr(g, "base", None) is not None}
