"""record: what happens while operations run, noted on the tape for pictures: modules, lines, statistics, times.

    with viz.record(model):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
    viz.graph(loss, color="grad_norm")

Outside of it nothing is noted, and nothing costs. Inside, each operation looks through its result, and on a GPU waits
for it. Notes are plain facts on the nodes (notes.py), so they go when the nodes go, as in a loop over many batches.
"""

import inspect
import sys
import weakref
from contextlib import ExitStack, contextmanager
from time import perf_counter
from types import FrameType

from ...backend import gpu
from ...models import Models, is_module
from ...tape import Variable, engine, raw
from ...tape.function import Alias, Output, Partial
from ...tape.modes import recording
from ...tape.observers import Observer, Observing, observing, running
from ...tape.provenance import caller, places, within
from .looks import kinds_in, looked_backward, looked_forward, statistics_of, statistics_of_gradients
from .notes import Notes, Run, kept, named_in, note_maker, note_name, source_of


def record(model=None, *, statistics: bool = True):
    """Inside, what runs in this thread is noted for viz.graph, viz.diff and viz.backward_steps.

    Also a decorator, `@viz.record(model)`. Inside of another recording this one notes, for the modules of that one if
    it is given none.

    Args:   model - the module, or a list or dict of them: operations are told by the module in whose forward they ran.
            statistics - look through results and gradients, default True. False: modules, lines, times and shapes only.
    Raises: TypeError for what is no module.
    """
    if callable(model) and not is_module(model):
        name = getattr(model, "__name__", type(model).__name__)
        raise TypeError(f"viz.record: the model must be a module, not {name}; a decorator is @viz.record(model)")
    _models(model)  # what is wrong is told here, and not where it is entered
    return _recording(model, statistics)


def _models(model):
    return Models([] if model is None else model, "viz.record: the model")


@contextmanager
def _recording(model, statistics):
    models = _models(model)
    outer = next((o for o in reversed(observing.get()) if isinstance(o, Recorder)), None)
    with ExitStack() as stack:
        if model is None and outer is not None:
            recorder = Recorder(outer.run, outer.kinds, outer.calls, statistics)
        else:
            handles = [m.register_forward_pre_hook(_named, with_kwargs=True) for m in models.modules.values()]
            for handle in handles:
                stack.enter_context(handle)
            kinds = {path: type(m).__name__ for path, m in models.modules.items()}
            run = Run(_weakly(model), {path: weakref.ref(m) for path, m in models.modules.items()})
            recorder = Recorder(run, kinds, stack.enter_context(models.calls()), statistics)
        stack.enter_context(Observing(recorder))
        yield


def _weakly(model):
    """The model in its containers, with weak references for modules."""
    if model is None or is_module(model):
        return None if model is None else weakref.ref(model)
    return {k: weakref.ref(m) for k, m in model.items()} if isinstance(model, dict) else [weakref.ref(m) for m in model]


def _named(module, args, kwargs):
    """A hook that notes what the forward of the outermost module calls its inputs."""
    recorder = _noting()
    if recorder is None or len(recorder.calls) != 1 or _in_a_walk():  # what a checkpoint runs again has other callers
        return
    try:
        given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except TypeError:
        return  # forward will say what is wrong with the arguments
    for path, x in named_in(given):
        if isinstance(x, Variable) and x.creator is None:
            note_name(x.data, x.name or path, own=x.name is not None)


def _noting():
    """The recorder that notes here: the innermost; None for none."""
    return next((o for o in reversed(observing.get()) if isinstance(o, Recorder)), None)


class Recorder(Observer):
    """Writes Notes on the nodes that run."""

    def __init__(self, run, kinds, calls, statistics):
        self.run, self.kinds, self.calls, self.statistics = run, kinds, calls, statistics
        self.spent = 0.0  # s, in here: no time of the operations around
        self.starting, self.level = False, 0  # a walk has been asked for; how many backwards deep the last walk is

    def begins(self, node):
        if _noting() is not self:
            return
        if node.noted is None:
            node.noted = Notes(self.run)
        if node.order and running.get() is None:  # a step of a walk, which comes to the deepest nodes first
            self.level = 1 + node.noted.level if self.starting else max(self.level, 1 + node.noted.level)
            self.starting = False
        node.noted.began = self._clock()

    def converted(self, node, given, operands, result):
        if _noting() is self:
            node.noted.given = given

    def ran(self, node, operands, edges, result):
        part, tracked = running.get() is not None, any(edge is not None for edge in edges)
        if _noting() is not self or (part and not tracked):
            return
        entered, notes = self._ended(node), node.noted
        given, notes.given = notes.given or operands, None
        outputs = result if type(result) is tuple else (result,)
        outputs, residuals = (outputs[:1], outputs[1:]) if node.residuals else (outputs, ())
        notes.calls = tuple((*call, self.kinds[call.path]) for call in self.calls)
        float_ = any(getattr(getattr(y, "dtype", None), "kind", None) == "f" for y in outputs)
        recorded = tracked and float_ and recording.get()
        if recorded:
            self._recorded(node, notes, given, operands, edges, outputs, residuals, type(result) is tuple)
        why = "detached" if recorded else "constant" if not tracked else "no_grad" if float_ else "no gradient"
        for y in outputs:
            note_maker(y, why, node, notes.calls, given)
        self.spent += perf_counter() - entered

    def _recorded(self, node, notes, given, operands, edges, outputs, residuals, several):
        outer = running.get()
        node.called_at = node.called_at or (within(outer) if outer is not None else None) or caller()
        notes.level = self._level(outer)
        if notes.level and outer is not None and outer.noted is not None:
            inner = outer.noted.level == notes.level and outer.noted.of is not None  # a step of a definition
            notes.of = outer.noted.of if inner else weakref.ref(outer)
            notes.calls = outer.noted.calls or notes.calls
        y = outputs if several and not node.residuals else outputs[0]
        notes.kept = [kept(x) for x in node.keep([*operands, *residuals, y])]
        for i, (x, edge) in enumerate(zip(given, edges, strict=False)):
            if edge is None:
                notes.sources[i] = source_of(x)
        if self.statistics:
            notes.statistics |= statistics_of(outputs)
            notes.looks["forward"] = looked_forward(node, outputs, given)

    def returned(self, node, gy, gradients):
        if _noting() is not self or type(node) in (Output, Alias):  # those only hand on
            return
        entered, notes = self._ended(node), node.noted
        saved = [kept(x) for x in node.saved]
        notes.again = notes.again or (bool(notes.kept) and _memories(notes.kept) != _memories(saved))
        notes.kept = notes.kept or saved
        if self.statistics:
            incoming = [raw(g) for g in (gy.parts.values() if isinstance(gy, Partial) else (gy,))]
            gradients = gradients if type(gradients) is tuple else (gradients,)
            wanted = {i: raw(g) for i, g in enumerate(gradients) if i < len(node.wants) and node.wants[i] is not None}
            wanted = {i: g for i, g in wanted.items() if getattr(getattr(g, "dtype", None), "kind", "") == "f"}
            notes.statistics |= statistics_of_gradients(incoming)
            notes.gradients = {i: statistics_of_gradients([_summed(g, i, node)]) for i, g in wanted.items()}
            parts = [(p, raw(x)) for p, xs in zip(places(node), node.saved, strict=True) for x in _listed(xs)]
            notes.looks["backward"] = looked_backward(node, incoming, wanted, parts)
        self.spent += perf_counter() - entered

    def made(self, what, inputs, output, node=None):
        if "the gradient to begin with" in inputs:
            self.starting = True
        elif node is not None and node.noted is not None and self.statistics and _noting() is self:
            entered = perf_counter()
            kinds = [kinds_in(raw(y)) for y in _listed(output)]
            if any(kinds) and not any(kinds_in(raw(x)) for xs in inputs.values() for x in _listed(xs)):
                node.noted.added = f"{next(filter(None, kinds))} born in {what}"
            self.spent += perf_counter() - entered

    def _clock(self):
        return perf_counter() - self.spent

    def _ended(self, node):
        """Add to the time of `node`; gives the time at which this recorder began to look at it."""
        if gpu:
            gpu[0].synchronize()
        node.noted.time += self._clock() - node.noted.began
        return perf_counter()

    def _level(self, outer):
        """How many backwards deep an operation runs, under `outer`."""
        if not self.level or (outer is not None and outer.order):
            return self.level
        return self.level if _in_a_walk() else 0


def _in_a_walk() -> bool:
    """True where a backward is on its way."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not engine.walk.__code__:
        frame = frame.f_back
    return frame is not None


def _summed(g, i, node):
    """What the walk makes of the gradient of input `i`: of its shape, where a formula left the sum to it."""
    edge = node.wants[i]
    return g if g.shape == edge.shape else engine._fit(g, edge, node)


def _listed(x):
    if isinstance(x, Partial):
        return list(x.parts.values())
    return list(x) if type(x) is tuple else [x]


def _memories(saved):
    """The numbers of the memories of saved values; NumPy's scalars, whose numbers are new each time, stand aside."""
    flat = [part for x in saved for part in (x if type(x) is list else [x])]
    return [part and part.shape and part.memory for part in flat]
