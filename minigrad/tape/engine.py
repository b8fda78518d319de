"""The engine: gradients flow from the outputs back to the leaves, node by node, in reverse order of creation."""

from functools import partial
from heapq import heapify, heappop, heappush

from ..backend import around, backend, computed, detours, device_of, gpu, many_gpus, moved, out_of_memory
from ..errors import GraphError, ShapeError
from .arrival import accumulate, before_adding, follow, own, run_hooks, shared
from .function import Alias, Output, Partial
from .modes import recording
from .observers import as_part_of, observing, tell
from .provenance import called, note, places, saved_names, told
from .variable import Variable, as_array
from .versions import memory


def walk(grads, create_graph, retain_graph, leads=None, goals=()):  # noqa: PLR0915 - a call per node would cost
    """The engine. `grads` maps edges to gradients: first those of the outputs, in the end those of the leaves.

    Nodes come up latest first, so that when one's turn comes, its gradient is complete.
    With `leads`, only edges in it are followed, and the gradients of the nodes in `goals` are returned too.
    """
    observers = observing.get() if detours else ()
    several, aside = bool(many_gpus), bool(many_gpus or observers)
    step = partial(_observed, observers, create_graph) if observers else _replay if create_graph else None
    ready = [(-edge.order, edge) for edge in grads if edge.order]
    heapify(ready)
    found = {}
    while ready:
        node = heappop(ready)[1]
        gy = grads.pop(node)
        if several:
            follow(gy)
        if node.hooks is not None:
            gy = run_hooks(node, gy, create_graph)
        node.wants = wants = node.edges
        if leads is not None:
            if node in goals:
                found[node] = gy
            node.wants = wants = [edge if edge in leads else None for edge in wants]
            if not any(edge is not None for edge in wants):
                continue
        try:
            saved = node.saved
            if saved is None or node.order < memory.last:
                saved = _checked(node)
            gs = node.backward(gy, *saved) if step is None else step(node, gy)
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
                    g = _fit(whole := g, edge, node)
                    if aside:
                        tell(f"backward, summing what {node.name} returned to {edge.shape}", {"it": whole}, g, node)
                if edge in grads:
                    if aside:
                        before_adding(grads[edge], g, edge)
                    grads[edge] = grads[edge] + g
                else:
                    grads[edge] = g
                    if edge.order:
                        heappush(ready, (-edge.order, edge))
        except Exception as error:
            note(error, f"in the backward of {node.name}", called(node))
            raise
        if not retain_graph:
            node.saved = None
    for leaf in grads:
        if leaf.hooks is not None:
            if several:
                follow(grads[leaf])
            grads[leaf] = run_hooks(leaf, grads[leaf], create_graph)
    return grads if leads is None else grads | found


def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of this Variable to the `grad` of every leaf that it was computed from.

    Args:   gradient - d(objective)/d(self), of this shape; may be left out for one element, where it is 1.
            retain_graph - keep the saved values for another backward. Default: create_graph.
            create_graph - record the backward itself, so that the gradients can be differentiated.
            inputs - a Variable or a sequence of them, to be filled instead of all leaves.
    Raises: GraphError if nothing was recorded, the graph is used up, or a saved value has been overwritten.
    """
    backward_from([self], [gradient], retain_graph, create_graph, inputs)


def backward_from(outputs, gradients, retain_graph=None, create_graph=False, inputs=None):
    """`backward` of several outputs at once, each with its gradient or None."""
    here = many_gpus[0].current() if many_gpus else None
    try:
        if inputs is None:
            found = _propagate("backward", outputs, gradients, retain_graph, create_graph)
            accumulate(found, create_graph)
        else:
            inputs = listed(inputs)
            if not inputs:
                raise GraphError("backward: inputs is empty; leave it out to fill all leaves")
            found = _propagate("backward", outputs, gradients, retain_graph, create_graph, inputs)
            filled = {x for x in inputs if x.creator is not None and x.creator.retained is not None}  # on the way
            accumulate({x: found[x.edge] for x in inputs if x.edge in found and x not in filled}, create_graph)
    finally:
        if here is not None:
            many_gpus[0].set_current(here)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    *,
    materialize_grads=False,
):
    """The gradients of `outputs` with respect to `inputs`. Visits only what leads there and touches no `.grad`.

    Args:    outputs, inputs - a Variable or a sequence of them; inputs need not be leaves.
             grad_outputs - one gradient per output, of its shape; None is 1 for an output of one element.
             retain_graph - keep the saved values for another backward. Default: create_graph.
             create_graph - record the gradients, so that they can be differentiated.
             only_inputs - PyTorch's; only True is possible.
             allow_unused - None for an input that the outputs do not depend on, instead of an error.
             materialize_grads - zeros for such an input.
    Returns: tuple of Variables, one per input.
    Raises:  GraphError if an input does not require grad, or was not used.
    """
    if not only_inputs:
        raise GraphError("grad: only_inputs=False would fill the .grad of other leaves; call backward() for that")
    if materialize_grads and allow_unused is False:
        raise GraphError("grad: materialize_grads=True gives zeros for unused inputs, which allow_unused=False forbids")
    allow_unused = allow_unused or materialize_grads
    outputs, inputs = listed(outputs), listed(inputs)
    gradients = one_each("grad", outputs, grad_outputs, "grad_outputs")
    here = many_gpus[0].current() if many_gpus else None
    try:
        found = _propagate("grad", outputs, gradients, retain_graph, create_graph, inputs)
        for i, x in enumerate(inputs):
            if x.edge not in found and not allow_unused:
                raise GraphError(
                    f"grad: the outputs do not depend on input {i} {x.shape}; allow_unused=True gives None for it"
                )
        if materialize_grads:
            found |= {x.edge: _zeros(x, create_graph) for x in inputs if x.edge not in found}
        if create_graph:
            return tuple(found.get(x.edge) for x in inputs)
        others = shared(found)
        gs = [(x.edge, found.get(x.edge)) for x in inputs]
        return tuple(g if g is None else Variable(own(g) if e in others else g) for e, g in gs)
    finally:
        if here is not None:  # the walk goes where the gradients lie
            many_gpus[0].set_current(here)


def listed(x):
    """A Variable or a sequence of them as a list."""
    return [x] if hasattr(x, "dtype") else list(x)


def one_each(caller, outputs, gradients, name):
    """The gradients to begin with, one for each output: Nones where `gradients` is None."""
    gradients = [None] * len(outputs) if gradients is None else listed(gradients)
    if len(gradients) != len(outputs):
        raise GraphError(f"{caller}: {len(outputs)} outputs, but {len(gradients)} {name}")
    return gradients


def _zeros(x, create_graph):
    """The gradient of an input without influence."""
    with around(x.data):
        g = backend[type(x.data)].xp.zeros_like(x.data)
    return Variable(g, True) if create_graph else g


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
        if detours:
            tell(caller, {"the gradient to begin with": g}, g)
        if many_gpus:
            follow(g)
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
        explained = out_of_memory(caller, [y.data for y in outputs], error)
        explained.__notes__ = getattr(error, "__notes__", [])
        raise explained from None
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
            follow(y.data)
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


def _checked(node):
    """What `node` saved. Raises: GraphError where that is gone or has been overwritten."""
    if node.saved is None and node.recall is not None:
        node.saved = node.recall()
        node.recall = None
    if node.saved is None:
        raise GraphError(
            f"backward: the values that {node.name} saved were freed by an earlier backward through it; "
            f"compute the loss anew, or pass retain_graph=True the first time; {called(node)}"
        )
    for i, (place, saved) in enumerate(zip(places(node), node.saved, strict=True)):
        served = node.serves.get(place)
        if served is not None and node.edges[served] is None:
            continue  # nobody will ask for the gradient that needs it
        for array in saved if type(saved) is tuple else (saved,):
            if hasattr(array, "base") and memory.stamp(array) > node.order:
                line, name = memory.place(array), saved_names(node)[i]
                raise GraphError(
                    f"backward: a value {array.shape} that {node.name} saved for its gradient, {name}, has been "
                    f"overwritten in place since{f' at {told(line)}' if line else ''}; write out of place (y = x + 1), "
                    f"or overwrite a clone(); {called(node)}"
                )
    return node.saved


def _observed(observers, create_graph, node, gy):
    """What `node` makes of `gy`, before the eyes of observers."""
    for observer in observers:
        observer.begins(node)
    gs = as_part_of(node, _replay, node, gy) if create_graph else as_part_of(node, node.backward, gy, *node.saved)
    for observer in observers:
        observer.returned(node, gy, gs)
    return gs


# --- create_graph: the same formulas on Variables ----------------------------------------------------------------


def _replay(node, gy):
    """`backward` on Variables, tied to the graph as the saved arrays were."""
    if node.definition is not None:
        return _differentiate_definition(node, gy)
    gs = node.backward(gy, *(_revive(node, i, a) for i, a in zip(places(node), node.saved, strict=True)))
    # A formula may leave the tape for constants; the gradient is a Variable all the same.
    gs = gs if type(gs) is tuple else (gs,)
    return tuple(Variable(g) if hasattr(g, "dtype") and not isinstance(g, (Variable, Partial)) else g for g in gs)


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
    stood = places(node)
    inputs = [_revive(node, i, node.saved[stood.index(i)]) for i in range(len(node.edges))]
    # Each behind an Alias: where one input was computed from another, that share is not this node's to pass on.
    inputs = [Alias()(x) if isinstance(x, Variable) else x for x in inputs]
    wanted = [x for x, want in zip(inputs, node.wants, strict=True) if want is not None]
    gs = iter(grad(node.definition(*inputs), wanted, gy, create_graph=True, allow_unused=True))
    return tuple(None if want is None else next(gs) for want in node.wants)
