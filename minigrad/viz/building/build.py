"""From the tape to the model: walk the nodes in the order of birth, name them, and take over what was noted of them.

    build([loss], Models(net, ""), {"x": x})      # a Graph

Beside it: groups.py knows the modules, leaves.py what an operand without a history is, facts.py what an operation
is made with, births.py where a NaN came into being, marks.py what the user wants marked.
"""

import weakref
from typing import Any

from ...models import Models
from ...tape import Variable, raw
from ...tape.function import Alias, Output
from ...tape.history import leaves_behind, nodes_behind
from ...tape.provenance import input_names, place_of, places, saved_names
from ..model import OPERATION, Edge, Graph, Node, Saved
from ..recording.looks import kinds_in
from ..recording.notes import Maker, Notes, kept, lies_in_memory, memory_of, source_of, written
from .births import Step, mark_births
from .facts import facts_of
from .groups import Groups
from .leaves import Leaves
from .marks import mark_all

_NOTHING = Notes()


def build(outputs, models, names=None, mark=None, gradients=None) -> Graph:
    """The Graph behind `outputs`, Variables.

    Args:   models - the Models; where they are none, those of the recording in which the operations ran.
            names - {name: Variable}, of leaves and inputs. mark - as of viz.graph.
            gradients - {leaf: its gradient}. Default: as a recording saw them; without one, their `grad`.
    Raises: MinigradError where something is to be marked that is not there.
    """
    return located(outputs, models, names, mark, gradients)[0]


def located(outputs, models, names=None, mark=None, gradients=None) -> tuple[Graph, dict]:
    """What `build` gives, and {node or leaf on the tape: its id there}."""
    builder = _built(outputs, models, names, mark, gradients)
    return builder.graph, {x: node.id for x, node in builder.found.items()}


def _built(outputs, models, names, mark, gradients):
    edges = [y.edge for y in outputs if y.requires_grad]
    every = nodes_behind(edges)
    builder = _Builder(models if models.roots else _recorded(every) or models, edges, every)
    if gradients:
        builder.leaves.gradients |= gradients
    elif all(node.noted is None for node in every):
        builder.leaves.gradients |= {x: x.grad for x in builder.variables if x.grad is not None}
    builder.leaves.call({} if names is None else names)
    builder.build(outputs)
    builder.graph.notes += _missing(builder, outputs)
    if mark is not None:
        mark_all(builder.graph, mark, builder)
    return builder


def _missing(builder, outputs):
    """Notes on what a reader may look for and not find."""
    graph, models = builder.graph, builder.leaves.parameters
    notes = []
    for y in outputs:
        if not y.requires_grad:
            what = f"the output {y.name}" if y.name else "the output" if len(outputs) == 1 else "an output"
            notes.append(f"{what} does not require grad: was it detached, or computed under no_grad?")
    calls = [g for g in graph.groups.values() if g.kind != "backward"]
    held = [p for p in models if p in builder.found]
    if graph.title and builder.nodes and not calls and not held:
        notes.append(f"nothing of {graph.title} is in this graph")
    elif calls or held:
        frozen = sum(not p.requires_grad and p not in builder.found for p in models)
        if frozen:
            notes.append(
                f"{frozen} parameters that do not require grad are not in this graph: what comes before the first that "
                "does is not on the tape"
            )
    return list(dict.fromkeys(notes))


def _recorded(nodes):
    """The Models of the recording in which the last of `nodes` ran; None where there is none, or it is gone."""
    runs = (n.noted.run for n in reversed(nodes) if n.noted is not None and n.noted.run is not None)
    run = next((run for run in runs if run.modules), None)
    model = None if run is None else run.again()
    return None if model is None else Models(model, "viz.graph: the model")


class _Builder:
    def __init__(self, models, edges, every):
        self.nodes = [n for n in every if type(n) not in (Output, Alias)]
        self.graph = Graph(title=models.name)
        self.groups = Groups(self.graph, models, self.nodes)
        self.variables = leaves_behind(edges, every)
        self.leaves = Leaves(self.graph, models, self.groups, self.variables, self.unused)
        self.found: dict = {}  # what is on the tape -> Node
        self.behind: dict = {}  # Output or Alias -> what it leads to
        self.counts: dict = {}  # name -> how many ids are made of it
        self.counted = self.leaves.memories()  # numbers of memory that is held anyway, or is counted
        self.named: dict = {}  # (class, how many inputs) -> names of inputs and of saved values
        self.steps: list = []
        self.arrived: dict = {}  # leaf -> for each gradient that came to it, (statistics, kinds)
        self.results: Any = None  # number of memory -> the node whose saved output lies there
        self.recorded = self.looked = 0

    def build(self, outputs):
        for node in self.nodes:
            self._operation(node)
        self._mark_outputs(outputs)
        guessed = [self.found[n] for n in self.nodes if self.groups.is_guessed(n.noted or _NOTHING)]
        outer = [n for n in guessed if not n.group and not n.level and "output" not in n.marks]
        self.groups.fill(outer, self.graph.edges)
        self.leaves.place(self.graph.edges)
        if self.looked:
            mark_births(self.steps, self.graph.outputs, self._gradients())
        else:
            self.leaves.mark_nan(self.found)
        total = len(self.nodes)
        if self.recorded < total:
            which = "not recorded" if not self.recorded else f"{total - self.recorded} of {total} were not recorded"
            self.graph.notes.append(f"{which}: modules, lines and statistics are known inside of viz.record(model)")
        if not self.recorded and self.leaves.gradients:
            self.graph.notes.append("gradients of leaves are what their grad holds now")

    def _mark_outputs(self, outputs):
        for i, y in enumerate(outputs):
            node = self._from(y.edge) if y.requires_grad else self.leaves.constant(source_of(y.data), self.found)
            name = y.name or ("output" if len(outputs) == 1 else f"output {i}")
            before = node.marks.get("output")
            node.marks["output"] = name if before is None else f"{before}, {name}"
            if before is None:
                self.graph.outputs.append(node.id)

    def _gradients(self):
        """Pairs (leaf, which of NaN and inf its gradient holds). Tells leaves the statistics that were seen.

        Of one that several took the parts were seen, and not their sum.
        """
        given = self.leaves.gradients
        if given:
            return [(self.found[x], kinds_in(raw(g))) for x, g in given.items() if x in self.found]
        for x, parts in self.arrived.items():
            if len(parts) == 1 and x.hooks is None:
                self.found[x].statistics |= parts[0][0]
        return [(self.found[x], kinds) for x, parts in self.arrived.items() for _, kinds in parts]

    # --- operations ----------------------------------------------------------------------------------------------

    def _operation(self, node):
        notes = node.noted if node.noted is not None else _NOTHING
        self.recorded += notes is not _NOTHING and notes.run is not None
        self.looked += bool(notes.looks)
        edges = [edge if edge is None else self._real(edge) for edge in node.edges]
        group = self.groups.of(node, notes, edges)
        id, dtype = (
            self._id(f"{group}/{node.name}" if group else node.name),
            "" if node.dtype is None else written(node.dtype),
        )
        made = Node(id, OPERATION, node.name, group, node.shape, dtype, notes.level, facts_of(node), place_of(node))
        self.graph.nodes[made.id] = self.found[node] = made
        self._inputs(made, node, notes)
        made.statistics |= notes.statistics
        if notes.time:
            made.statistics["time"] = notes.time
        self._keeps(made, node, notes)

    def _inputs(self, made, node, notes):
        names, sources = self._names(node)[0], {}
        for i, edge in enumerate(node.edges):
            if edge is not None:
                source, label = self._from(edge), names[i]
                if type(edge) is Output:
                    label += f", output {edge.i}"
                back = notes.gradients.get(i, {})
                shown = Edge(
                    source.id, made.id, label, edge.shape, written(edge.dtype), grad_norm=back.get("grad_norm")
                )
                if back and source.kind != OPERATION:
                    look = notes.looks.get("backward")
                    kinds = "" if look is None else look.made.get(i, "")
                    self.arrived.setdefault(self._real(edge), []).append((back, kinds))
            else:
                origin = notes.sources.get(i) or self._saved_source(node, i)
                if origin is None:
                    continue
                if origin.memory is None:
                    if origin.text:
                        made.facts[names[i]] = origin.text
                    continue
                source = self.leaves.constant(origin, self.found, made.group)
                cut = source.kind == OPERATION or self.leaves.is_cut(source, origin)
                shown = Edge(source.id, made.id, names[i], origin.shape, origin.dtype, "detached" if cut else "value")
            sources[i] = source
            self.graph.edges.append(shown)
        self.steps.append(Step(made, sources, notes.looks, notes.added))

    def _saved_source(self, node, i):
        """The Source of an operand without a history, as far as the tape itself knows it: where it was saved."""
        stood = places(node)
        if not node.saved or i not in stood:
            return None
        source = source_of(node.saved[stood.index(i)])
        if source.maker is None and source.memory is not None:
            if self.results is None:
                self.results = {memory_of(n.saved[-1]).number: n for n in self.nodes if _keeps_result(n)}
            maker = self.results.get(source.memory.number)
            if maker in self.found:
                source.maker = Maker("detached", maker.name, (), weakref.ref(maker))
        return source

    def _keeps(self, made, node, notes):
        again = notes.again or node.recall is not None
        sizes = notes.kept or [kept(x) for x in node.saved or ()]
        for what, size in zip(self._names(node)[1], sizes, strict=False):
            for each in size if type(size) is list else [size]:
                if each is not None:
                    first = not again and each.memory not in self.counted
                    self.counted.add(each.memory)
                    made.saved.append(Saved(what, each.shape, each.dtype, each.bytes, first))
        if again:
            made.facts["checkpoint"] = "computed again in backward"
        if made.saved:
            made.statistics["bytes"] = made.bytes

    # --- names ---------------------------------------------------------------------------------------------------

    def _names(self, node):
        """The names of its inputs and of what it saves: reading them off a signature takes longer than the rest."""
        key = type(node), len(node.edges)
        if key not in self.named:
            self.named[key] = input_names(node, key[1]), [name.removeprefix("the ") for name in saved_names(node)]
        return self.named[key]

    def _real(self, edge):
        """What an edge leads to, past aliases and the numbers of outputs: a node or a leaf."""
        passed = []
        while type(edge) in (Output, Alias):
            if edge in self.behind:
                edge = self.behind[edge]
                break
            passed.append(edge)
            edge = edge.edges[0]
        self.behind |= dict.fromkeys(passed, edge)
        return edge

    def _from(self, edge):
        """The Node of what an edge leads to."""
        edge = self._real(edge)
        if edge not in self.found:
            self.found[edge] = self.leaves.variable(edge)
        return self.found[edge]

    def node_of(self, x):
        """The Node of a Variable or a Function; None where it is not in this graph."""
        edge = self._real(x.edge if isinstance(x, Variable) and x.requires_grad else x)
        if edge in self.found:
            return self.found[edge]
        return self.leaves.known(source_of(x.data)) if isinstance(x, Variable) else None

    def _id(self, name):
        """`name` with its number."""
        self.counts[name] = self.counts.get(name, 0) + 1
        return self.unused(f"{name}:{self.counts[name]}")

    def unused(self, name):
        """`name`, or where that is an id already, with a number behind."""
        count, found = 1, name
        while found in self.graph.nodes:
            count = max(count, self.counts.get((name,), 1)) + 1
            self.counts[name,] = count
            found = f"{name}:{count}"
        return found


def _keeps_result(node):
    """Whether the output of `node`, an array, is among what it saved."""
    return bool(node.saved) and places(node)[-1:] == [-1] and lies_in_memory(node.saved[-1])
