"""backward_steps: one real backward, step by step: each operation, its rule, what came in and what went out.

    x, y = (mg.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    steps = viz.backward_steps(x * y + mg.sin(x), names={"x": x, "y": y})
    print(steps)                        # a page with numbers; a notebook shows a table
    steps.save("steps.html")            # the graph, to step through; .svg plays by itself; .txt

The engine walks, and an observer writes down what it does, in its order: latest operation first. Nobody's `grad` is
touched. What the steps hold are Amounts: the numbers of small arrays, and statistics of others.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import GraphError, MinigradError
from ...models import Models, as_before, is_module, outputs_in
from ...tape import Variable, enable_grad, engine, raw
from ...tape.function import Alias, Output
from ...tape.history import leaves_behind, nodes_behind
from ...tape.observers import Observer, Observing, observing, running
from ...tape.provenance import input_names, place_of, places
from ..building.build import located
from ..model import Graph
from ..recording.record import record
from . import film, telling
from .amounts import KEPT, Amount, amount_of, amounts_in
from .rules import Rule, rule_of


@dataclass
class Flow:
    """A gradient that goes from an operation to one of its inputs.

    Holds: name - of the input. to - id of the node or leaf; output - which output of it, if it has several. gradient -
           as the formula made it. worked - the formula with its numbers, or "". summed - what the engine made of it for
           an input that was broadcast or is of another dtype, else None. before, total - where another gradient is
           there already: that, and the sum; else None and the gradient.
    """

    name: str
    to: str
    output: int | None
    gradient: Amount
    total: Amount
    worked: str = ""
    summed: Amount | None = None
    before: Amount | None = None
    remark: str = ""  # about `summed`

    @property
    def arrived(self) -> Amount:
        """What goes over the edge: in the shape of the input."""
        return self.summed or self.gradient


@dataclass
class Operand:
    """A value that a rule uses.

    Holds: name - of an input or a residual; `y` for the output. amounts - one, or those of several outputs. of - id of
           the node behind an input, or "".
    """

    name: str
    amounts: list
    of: str = ""


@dataclass
class Step:
    """The gradient of one operation.

    Holds: number - from 1. id - of the node, as viz.graph has it. operation, place - its name, and the user's line or
           "". rule - a Rule. incoming - {None: Amount}, or {number of the output: Amount} where there are several.
           operands, flows - what goes in and out. remarks - what else happened.
    """

    number: int
    id: str
    operation: str
    place: str
    rule: Rule
    incoming: dict
    operands: list = field(default_factory=list)
    flows: list = field(default_factory=list)
    remarks: list = field(default_factory=list)

    def __str__(self):
        from .telling import of_step  # noqa: PLC0415 - it takes the classes from here

        return "\n".join(of_step(self))


@dataclass
class Leaf:
    """What a leaf has got: `gradient`, the sum of `parts`, pairs (number of the step, Amount)."""

    id: str
    value: Amount
    gradient: Amount
    parts: list
    remark: str = ""


@dataclass(repr=False)
class BackwardSteps(Sequence):
    """A backward, a sequence of Steps in the order of the engine.

    Holds: graph - the Graph that it went through. start - (id, Amount): the gradient to begin with. leaves - {id:
           Leaf}. values - {id: Amount} of small results of the forward, where they are known.
    """

    graph: Graph
    start: tuple
    steps: list
    leaves: dict
    values: dict

    def __len__(self):
        return len(self.steps)

    def __getitem__(self, i):
        return self.steps[i]

    def save(self, path) -> Path:
        """Write it to a file, by its suffix: .txt, .svg (plays by itself), .html (to step through). Returns the path.

        Raises: RenderError for a picture where there is no renderer, or where there are too many steps for one.
        """
        path = Path(path)
        kinds = {".txt": telling.text, ".svg": film.playing, ".html": film.stepped}
        if path.suffix.lower() not in kinds:
            raise MinigradError(f"viz: {path.name!r} must end in {', '.join(kinds)}")
        path.write_text(kinds[path.suffix.lower()](self), encoding="utf-8")
        return path

    def __str__(self):
        return telling.shortened(self)

    def __repr__(self):
        return f"<BackwardSteps of {self.start[0]}: {len(self.steps)} steps to {len(self.leaves)} leaves>"

    def _repr_html_(self):
        return telling.table(self)


def backward_steps(y, model=None, *, gradient=None, names=None) -> BackwardSteps:
    """The backward of `y`, run once and written down step by step. It touches no `grad`, and the graph stays usable.

    Hooks of Variables run, since they may change gradients; those that wait for `grad` do not. A checkpoint runs its
    function now, and keeps what that saves.

    Args:    y - a Variable; or a function without arguments that returns one. It is run once: random numbers, buffers
             and gradients of the model are put back, and lines and small values of the forward are known.
             model - the module, or a list of them, whose names and parameters are to be told.
             gradient - d(objective)/d(y), of its shape; may be left out for one element, where it is 1.
             names - {name: Variable}, for leaves without a name.
    Returns: BackwardSteps.
    Raises:  TypeError for what is no Variable or no module; GraphError where y does not require grad, has several
             elements and no `gradient`, or its graph is used up.
    """
    models = Models([] if model is None else model, "viz.backward_steps: the model")
    if is_module(y):
        raise TypeError("viz.backward_steps: a module is not an output; write viz.backward_steps(lambda: loss)")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"viz.backward_steps: names is {{name: Variable}}, not a {type(names).__name__}")
    results: dict = {}
    if callable(y) and not isinstance(y, Variable):
        with as_before(models.modules.values()), record(model), Observing(_Results(results)), enable_grad():
            y = y()
    found = outputs_in(y, "viz.backward_steps: y")
    if len(found) != 1:
        raise TypeError(
            f"viz.backward_steps: y must be one Variable, and there are {len(found)}; add them up, or choose"
        )
    y = found[0]
    if not y.requires_grad:
        raise GraphError(
            f"viz.backward_steps: this Variable {y.shape} does not require grad: nothing that requires grad went into "
            "it, or it was computed under no_grad"
        )
    if gradient is None and y.data.size != 1:
        raise GraphError(
            f"viz.backward_steps: the gradient of one number is meant, and this Variable has shape {y.shape}; reduce "
            "it, as in loss.mean(), or give `gradient`, an array of its shape"
        )
    graph, ids = located([y], models, names)
    nodes = nodes_behind([y.edge])
    leaves = [x for x in leaves_behind([y.edge], nodes) if x.tracked]
    watch = _Watch(ids, y.edge)
    retained = [(n, n.retained) for n in nodes if n.retained is not None]
    for n, _ in retained:
        n.retained = None
    try:
        with _Alone(watch):
            gradients = engine.grad(y, leaves, [gradient], retain_graph=True, allow_unused=True)
    except GraphError as error:
        if all(n.saved is not None or n.recall for n in nodes):
            raise
        raise GraphError(f"viz.backward_steps: {error}; or give backward_steps a function") from None
    finally:
        for n, variable in retained:
            n.retained = variable
    watch.flush()
    return BackwardSteps(
        graph,
        (ids[_behind(y.edge)[0]], watch.start),
        watch.steps,
        {ids[x]: watch.leaf(x, g) for x, g in zip(leaves, gradients, strict=True) if g is not None},
        _values(y, nodes, leaves, ids, results),
    )


class _Alone(Observing):
    """Nobody else looks on: no statistics are taken twice, and a NaN is shown and not raised."""

    def __enter__(self):
        self._enter(observing.get(), self.observers)
        return self


class _Results(Observer):
    """Notes small results of a forward."""

    def __init__(self, results):
        self.results = results

    def ran(self, node, operands, edges, result):
        y = result[0] if type(result) is tuple and node.residuals else result
        if running.get() is None and getattr(y, "size", KEPT + 1) <= KEPT:
            self.results[node] = amount_of(y)


def _values(y, nodes, leaves, ids, results):
    """{id: Amount} of small values, leaves first: results as they were noted, what nodes have saved, leaves, and y."""
    order = {id: i for i, id in enumerate(ids.values())}
    found: dict = {ids[n]: amount for n, amount in results.items() if n in ids}
    known: list = [(_behind(y.edge), y.data)]
    for node in nodes:
        for place, x in zip(places(node), node.saved or (), strict=False):
            edge = node if place == -1 else node.edges[place] if place >= 0 else None
            if edge is not None:
                known.append((_behind(edge), x))
    known += [((x, None), x.data) for x in leaves]
    for (place, output), x in known:
        if output is None and place in ids and getattr(x, "size", KEPT + 1) <= KEPT:
            found.setdefault(ids[place], amount_of(x))
    made = {ids[n] for n in nodes if n in ids}
    return {id: found[id] for id in sorted(found, key=lambda id: (id in made, order[id]))}


def _behind(edge):
    """(the node or leaf that a picture shows for `edge`, the number of the output there or None)."""
    output = None
    while type(edge) in (Output, Alias):
        if type(edge) is Output:
            output = edge.i
        edge = edge.edges[0]
    return edge, output


# --- the observer ------------------------------------------------------------------------------------------------


class _Watch(Observer):
    """Makes Steps of what the engine does.

    What arrives at a place is added up here too, in the same order, to show the sums on the way: Output and Alias
    nodes are not drawn, so the places are those behind them.
    """

    def __init__(self, ids, start):
        self.ids, self.steps = ids, []
        self.begin = start
        self.start: Amount | None = None
        self.there: dict = {}  # node or leaf -> {output: the gradient so far}
        self.parts: dict = {}  # leaf -> pairs (number of the step, Amount)
        self.hooked: set = set()  # nodes by which a hook came
        self.open: list = []  # flows of the last step: [edge, name, gradient, what the engine made of it]
        self.node: object = None

    def made(self, what, inputs, output, node=None):
        """What else the engine does, told by the labels of the inputs: see `tell` in engine.py and arrival.py."""
        if "the gradient to begin with" in inputs:
            place, i = _behind(self.begin)
            self.start, self.there[place] = amount_of(output), {i: raw(output)}
        elif "it" in inputs:
            next(flow for flow in self.open if not _fits(flow[2], flow[0]) and flow[3] is None)[3] = raw(output)
        elif "the gradient" in inputs and node is not None:
            self.hooked.add(_behind(node)[0])

    def begins(self, node):
        self.flush()

    def returned(self, node, gy, gradients):
        gradients = gradients if type(gradients) is tuple else (gradients,)
        names = input_names(node, len(node.edges))
        self.node = node
        self.open = [
            [edge, name, raw(g), None]
            for edge, name, g in zip(node.wants, names, gradients, strict=False)  # other lengths the engine refuses
            if edge is not None and g is not None
        ]
        if type(node) not in (Output, Alias):
            self._step(node, amounts_in(gy))

    def _step(self, node, incoming):
        rule = rule_of(node)
        step = Step(len(self.steps) + 1, self.ids[node], node.name, place_of(node), rule, incoming)
        used = set(re.findall(r"\w+", str(rule)))
        names = input_names(node, len(node.edges))
        for place, x in zip(places(node), node.saved, strict=True):
            name = names[place] if place >= 0 else [*node.residuals, "y"][place]
            if name.partition("[")[0] in used and x is not None:
                edge = node if place == -1 else node.edges[place] if place >= 0 else None
                of = "" if edge is None else self.ids[_behind(edge)[0]]
                parts = [amount_of(part) for part in x] if type(x) is tuple else [amount_of(x)]
                step.operands.append(Operand(name, parts, of))
        before = self.there.pop(node, {})
        if node in self.hooked:
            for output, g in before.items():
                was, now = amount_of(g), incoming.get(output)
                if str(was) != str(now):
                    step.remarks.append(f"a hook made {now} of the gradient {was} that had come in")
        made = {name for _, name, _, _ in self.open}
        missing = [n for n, e in zip(names, node.wants, strict=False) if e is not None and n not in made]
        step.remarks += [f"no gradient for {name}" for name in missing]
        self.steps.append(step)

    def flush(self):
        """Let the gradients of the last step arrive."""
        if type(self.node) not in (Output, Alias):  # what comes to those has arrived behind them already
            for edge, name, g, fitted in self.open:
                self._arrive(self.steps[-1], edge, name, g, fitted)
        self.open, self.node = [], None

    def _arrive(self, step, edge, name, g, fitted):
        whole, arrived = amount_of(g), g if fitted is None else fitted
        place, output = _behind(edge)
        there = self.there.setdefault(place, {})
        before = there.get(output)
        there[output] = total = arrived if before is None else before + arrived
        summed = None if fitted is None else amount_of(fitted)
        flow = Flow(name, self.ids[place], output, whole, summed or whole, summed=summed)
        if before is not None:
            flow.before, flow.total = amount_of(before), amount_of(total)
        if fitted is not None:
            flow.remark = _refitted(g, edge)
        flow.worked = self._worked(step, name, whole)
        step.flows.append(flow)
        if not place.order:
            self.parts.setdefault(place, []).append((step.number, summed or whole))

    def _worked(self, step, name, gradient):
        """The rule with numbers, where all of them are numbers."""
        numbers = {o.name: o.amounts[0].number for o in step.operands if len(o.amounts) == 1}
        incoming = step.incoming.get(None)
        numbers[step.rule.incoming] = None if incoming is None else incoming.number
        if gradient.number is None:
            return ""
        return step.rule.worked(name, {n: x for n, x in numbers.items() if x is not None})

    def leaf(self, x, gradient) -> Leaf:
        """The Leaf for `x`, whose gradient the engine has found."""
        final = amount_of(gradient)
        came = self.there.get(x, {}).get(None)
        remark = ""
        if x.hooks is not None and came is not None and str(amount_of(came)) != str(final):
            remark = f"a hook made {final} of {amount_of(came)}"
        return Leaf(self.ids[x], amount_of(x), final, self.parts.get(x, []), remark)


def _fits(g, edge):
    return g.shape == edge.shape and g.dtype == edge.dtype


def _refitted(g, edge):
    """What the engine did to the gradient `g` of an input, in words."""
    lead = g.ndim - len(edge.shape)
    axes = [
        *range(lead),
        *(i + lead for i, n in enumerate(edge.shape) if n == 1 and lead >= 0 and g.shape[i + lead] > 1),
    ]
    done = []
    if axes:
        which = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
        done.append(f"it was broadcast from {edge.shape} to {g.shape}, so the engine sums over {which}")
    elif g.shape != edge.shape:
        done.append(f"the engine reshapes {g.shape} to {edge.shape}")
    if g.dtype != edge.dtype:
        done.append(f"the engine converts {g.dtype} to {edge.dtype}")
    return "; ".join(done)
