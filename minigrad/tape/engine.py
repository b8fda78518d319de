"""The engine: gradients flow from the outputs back to the leaves, node by node, in reverse order of creation."""

import operator
import sys
from heapq import heapify, heappop, heappush

import numpy as np

from ..backend import backend, computed, device_of, gpu, many_gpus, moved, out_of_memory
from ..errors import GraphError, ShapeError
from .function import Alias, Function, Output, Partial
from .modes import enable_grad, recording
from .variable import Variable, as_array, raw, untracked
from .versions import memory


def walk(grads, create_graph, retain_graph, leads=None, goals=()):
    """The engine. `grads` maps edges to gradients: first those of the outputs, in the end those of the leaves.

    Nodes come up latest first, so that when one's turn comes, its gradient is complete.
    With `leads`, only edges in it are followed, and the gradients of the nodes in `goals` are returned too.
    """
    several = bool(many_gpus)
    ready = [(-edge.order, edge) for edge in grads if edge.order]
    heapify(ready)
    found = {}
    while ready:
        node = heappop(ready)[1]
        gy = grads.pop(node)
        if several:
            _follow(gy)
        if node.hooks is not None:
            gy = _run_hooks(node, gy, create_graph)
        node.wants = wants = node.edges
        if leads is not None:
            if node in goals:
                found[node] = gy
            node.wants = wants = [edge if edge in leads else None for edge in wants]
            if not any(edge is not None for edge in wants):
                continue
        saved = node.saved
        if saved is None or node.order < memory.last:
            _check_saved(node)
        gs = _replay(node, gy) if create_graph else node.backward(gy, *saved)
        if type(gs) is not tuple:
            gs = (gs,)
        if len(gs) != len(wants):
            raise GraphError(f"{node.name}.backward returned {len(gs)} gradients for {len(wants)} inputs")
        for edge, g in zip(wants, gs):  # noqa: B905 - the lengths have just been compared; strict= is slower
            if edge is None or g is None:
                continue
            try:
                fits = g.shape == edge.shape and g.dtype is edge.dtype
            except AttributeError:
                raise GraphError(f"{node.name}.backward returned a {type(g).__name__}, expected an array") from None
            if not fits:
                g = _fit(g, edge, node)
            if edge in grads:
                if several:
                    _follow(g)
                grads[edge] = grads[edge] + g
            else:
                grads[edge] = g
                if edge.order:
                    heappush(ready, (-edge.order, edge))
        if not retain_graph:
            node.saved = None
    for leaf in grads:
        if leaf.hooks is not None:
            if several:
                _follow(grads[leaf])
            grads[leaf] = _run_hooks(leaf, grads[leaf], create_graph)
    return grads if leads is None else grads | found


def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of this Variable to the `grad` of every leaf that it was computed from.

    Args:   gradient - d(objective)/d(self), of this shape; may be left out for one element, where it is 1.
            retain_graph - keep the saved values for another backward. Default: create_graph.
            create_graph - record the backward itself, so that the gradients can be differentiated.
            inputs - a Variable or a sequence of them, to be filled instead of all leaves.
    Raises: GraphError if nothing was recorded, the graph is used up, or a saved value has been overwritten.
    """
    here = many_gpus[0].current() if many_gpus else None
    try:
        if inputs is None:
            found = _propagate("backward", [self], [gradient], retain_graph, create_graph)
            _accumulate(found, create_graph)
        else:
            inputs = _listed(inputs)
            if not inputs:
                raise GraphError("backward: inputs is empty; leave it out to fill all leaves")
            found = _propagate("backward", [self], [gradient], retain_graph, create_graph, inputs)
            filled = {x for x in inputs if x.creator is not None and x.creator.retained is not None}  # on the way
            _accumulate({x: found[x.edge] for x in inputs if x.edge in found and x not in filled}, create_graph)
    finally:
        if here is not None:
            many_gpus[0].set_current(here)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False):
    """The gradients of `outputs` with respect to `inputs`. Visits only what leads there and touches no `.grad`.

    Args:    outputs, inputs - a Variable or a sequence of them; inputs need not be leaves.
             grad_outputs - one gradient per output, of its shape; None is 1 for an output of one element.
             retain_graph - keep the saved values for another backward. Default: create_graph.
             create_graph - record the gradients, so that they can be differentiated.
             allow_unused - None for an input that the outputs do not depend on, instead of an error.
    Returns: tuple of Variables, one per input.
    Raises:  GraphError if an input does not require grad, or was not used.
    """
    outputs, inputs = _listed(outputs), _listed(inputs)
    gradients = [None] * len(outputs) if grad_outputs is None else _listed(grad_outputs)
    if len(gradients) != len(outputs):
        raise GraphError(f"grad: {len(outputs)} outputs, but {len(gradients)} grad_outputs")
    here = many_gpus[0].current() if many_gpus else None
    try:
        found = _propagate("grad", outputs, gradients, retain_graph, create_graph, inputs)
        for i, x in enumerate(inputs):
            if x.edge not in found and not allow_unused:
                raise GraphError(
                    f"grad: the outputs do not depend on input {i} {x.shape}; allow_unused=True gives None for it"
                )
        if create_graph:
            return tuple(found.get(x.edge) for x in inputs)
        shared = _shared(found)
        gs = [(x.edge, found.get(x.edge)) for x in inputs]
        return tuple(g if g is None else Variable(_own(g) if e in shared else g) for e, g in gs)
    finally:
        if here is not None:  # the walk goes where the gradients lie
            many_gpus[0].set_current(here)


def _listed(x):
    return [x] if hasattr(x, "dtype") else list(x)


def _propagate(caller, outputs, gradients, retain_graph, create_graph, targets=None):
    """Check the request and walk. Returns {edge: gradient}, for the leaves or for the targets."""
    grads: dict = {}
    for y, g in zip(outputs, gradients, strict=True):
        if not y.tracked:
            raise GraphError(
                f"{caller}: this Variable {y.shape} does not require grad: nothing that requires grad went into it, "
                "or it was computed under no_grad"
            )
        g, edge = _seed(caller, y, g, create_graph), y.edge
        if many_gpus:
            _follow(g)
        grads[edge] = grads[edge] + g if edge in grads else g
    retain_graph = create_graph if retain_graph is None else retain_graph
    goals: set = set()
    leads = None
    if targets is not None:
        for i, x in enumerate(targets):
            if not x.tracked:
                raise GraphError(f"{caller}: input {i} {x.shape} does not require grad")
        goals = {x.edge for x in targets}
        leads = _leading_to(goals, grads)
        grads = {edge: g for edge, g in grads.items() if edge in leads}
    mode = recording.set(create_graph)
    try:
        return walk(grads, create_graph, retain_graph, leads, goals)
    except MemoryError as error:
        raise out_of_memory(caller, [y.data for y in outputs], error) from None
    finally:
        recording.reset(mode)


def _seed(caller, y, g, create_graph):
    """The gradient to begin with at output `y`."""
    if g is None:
        if y.data.size != 1:
            raise GraphError(
                f"{caller}: the gradient of one number is meant, and this Variable has shape {y.shape}; "
                "reduce it, as in loss.mean(), or give `gradient`, an array of its shape"
            )
        if many_gpus:
            _follow(y.data)
        g = backend[type(y.data)].xp.array(1, y.dtype).reshape(y.shape)
    elif create_graph and isinstance(g, Variable) and g.dtype == y.dtype and (g.ndim or g.tracked or not gpu):
        g = g if g.shape == y.shape else _misfit(caller, g, y)
        computed(caller, _in_dtype_of, g.data, y.data)  # refuses those of two devices
    else:
        g = as_array(g)
        if gpu and not g.ndim:
            g = moved(g, device_of(y.data))  # a number, as one writes it
        g = g if g.shape == y.shape else _misfit(caller, g, y)
        g = computed(caller, _in_dtype_of, g, y.data)
    return Variable(g) if create_graph and not isinstance(g, Variable) else g


def _in_dtype_of(g, y):
    return g.astype(y.dtype, copy=False)


def _misfit(caller, g, y):
    raise ShapeError(f"{caller}: the output has shape {y.shape}, so its gradient must too, and it has {g.shape}")


def _follow(g):
    """Make the GPU on which the gradient `g` lies the current one."""
    g = raw(next(iter(g.parts.values())) if isinstance(g, Partial) else g)
    if type(g) is many_gpus[0].array:
        many_gpus[0].follow(g)


def _own(g):
    """A copy of the gradient `g` where it lies."""
    if many_gpus:
        _follow(g)
    return g.copy()


def _leading_to(goals, starts):
    """The edges, reachable from `starts`, from which a goal can be reached."""
    nodes, seen = [e for e in starts if e.order], set(starts)
    for node in nodes:  # grows as it goes
        fresh = [e for e in node.edges if e is not None and e not in seen]
        seen.update(fresh)
        nodes += dict.fromkeys(e for e in fresh if e.order)
    leads = seen & goals
    for node in sorted(nodes, key=lambda node: node.order):  # earliest first: its edges are decided
        if any(e in leads for e in node.edges):
            leads.add(node)
    return leads


def _fit(g, edge, node):
    """Undo broadcasting and promotion: `g` in the shape and dtype of what it is the gradient of."""
    if g.shape != edge.shape:
        came, lead = g.shape, g.ndim - len(edge.shape)
        if lead < 0:  # where NumPy drops leading axes of size 1, as in x[0] = row of a matrix
            g, lead = g.reshape((1,) * -lead + g.shape), 0
        stretched = [i + lead for i, n in enumerate(edge.shape) if n == 1 and g.shape[i + lead] != 1]
        summed = g.sum(axis=(*range(lead), *stretched), keepdims=True) if lead or stretched else g
        if summed.shape[lead:] != edge.shape:
            raise GraphError(f"{node.name}.backward returned shape {came} for an input of shape {edge.shape}")
        g = summed.reshape(edge.shape)
    return g if g.dtype == edge.dtype else g.astype(edge.dtype)


def _check_saved(node):
    """Refuse a node whose saved values are gone or have been overwritten."""
    if node.saved is None:
        raise GraphError(
            f"backward: the values that {node.name} saved were freed by an earlier backward through it; "
            "compute the loss anew, or pass retain_graph=True the first time"
        )
    for place, saved in zip(_places(node), node.saved, strict=True):
        served = node.serves.get(place)
        if served is not None and node.edges[served] is None:
            continue  # nobody will ask for the gradient that needs it
        for array in saved if type(saved) is tuple else (saved,):
            if hasattr(array, "base") and memory.stamp(array) > node.order:
                raise GraphError(
                    f"backward: a value {array.shape} that {node.name} saved for its gradient has been overwritten in "
                    "place since; write out of place (y = x + 1), or overwrite a clone()"
                )


def _run_hooks(place, gy, create_graph):
    """Call the hooks of a node or leaf with its complete gradient; fill a retained grad."""
    g = gy if create_graph else Variable(gy)
    for hook in list(place.hooks.values()):
        result = hook(g)
        if result is not None:
            g = result if isinstance(result, Variable) else Variable(result)
            if g.shape != place.shape:
                raise ShapeError(f"hook: returned shape {g.shape} for a gradient of shape {place.shape}")
            g = g if g.dtype == place.dtype else g.astype(place.dtype)
    variable = place.retained() if isinstance(place, Function) and place.retained is not None else None
    if variable is not None:
        _accumulate({variable: g if create_graph else g.data}, create_graph)
    return g if create_graph else g.data


# --- create_graph: the same formulas on Variables ----------------------------------------------------------------


def _replay(node, gy):
    """`backward` on Variables, tied to the graph as the saved arrays were."""
    if node.definition is not None:
        return _differentiate_definition(node, gy)
    gs = node.backward(gy, *(_revive(node, i, a) for i, a in zip(_places(node), node.saved, strict=True)))
    # A formula may leave the tape for constants; the gradient is a Variable all the same.
    gs = gs if type(gs) is tuple else (gs,)
    return tuple(Variable(g) if hasattr(g, "dtype") and not isinstance(g, (Variable, Partial)) else g for g in gs)


def _places(node):
    """What each of the saved arrays was: input number 0, 1, ..., or the output (-1)."""
    return [*node.needs, *(() if node.needs_rest is None else range(node.needs_rest, len(node.edges)))]


def _revive(node, place, array):
    """A saved array as the Variable that it was: input number `place`, or the output (-1)."""
    if type(array) is tuple:
        return tuple(_on(Output(node, i, array), y) for i, y in enumerate(array))
    edge = node if place == -1 else node.edges[place]
    if edge is None:
        return array  # a constant: operations take arrays as they are
    if not isinstance(edge, Variable):
        return _on(edge, array)
    if edge.data is array:
        return edge
    return _on(Alias.behind(edge, array), array)  # the leaf has got another array since


def _on(edge, array):
    x = Variable(array)
    x.creator, x.tracked = edge, True
    return x


def _differentiate_definition(node, gy):
    """The gradients of a fused operation's definition at its saved inputs, recorded."""
    places = _places(node)
    inputs = [_revive(node, i, node.saved[places.index(i)]) for i in range(len(node.edges))]
    # Each behind an Alias: where one input was computed from another, that share is not this node's to pass on.
    inputs = [Alias()(x) if isinstance(x, Variable) else x for x in inputs]
    wanted = [x for x, want in zip(inputs, node.wants, strict=True) if want is not None]
    gs = iter(grad(node.definition(*inputs), wanted, gy, create_graph=True, allow_unused=True))
    return tuple(None if want is None else next(gs) for want in node.wants)


# --- where gradients end up --------------------------------------------------------------------------------------


def _accumulate(grads, create_graph):
    """Add each gradient to its Variable's `grad`."""
    shared = () if create_graph else _shared(grads)
    for x, g in grads.items():
        if not x.tracked:  # a leaf that was switched off after its use
            continue
        if many_gpus:
            _follow(g)
        if create_graph:
            x.grad = g.clone() if x.grad is None else x.grad + g
        elif x.grad is None:
            x.grad = untracked(g.copy() if x in shared else as_array(g) if isinstance(g, np.generic) else g)
        elif x.grad.tracked:
            with enable_grad():
                x.grad = x.grad + g
        elif backend[type(g)].is_writable(x.grad.data):
            computed("backward (grad += ...)", operator.iadd, x.grad.data, g)
            memory.overwritten(x.grad.data)
        else:
            x.grad = Variable(x.grad.data + g)


def _holders(grads):
    return {x: sys.getrefcount(g) for x, g in grads.items()}


_ALONE = _holders({0: np.zeros(1)})[0]  # what the count is where only the dictionary holds the array


def _shared(grads):
    """The keys of gradients that somebody else looks at too. Users and optimizers write into gradients."""
    counts = _holders(grads)
    return {x for x, g in grads.items() if counts[x] > _ALONE or getattr(g, "base", None) is not None}
