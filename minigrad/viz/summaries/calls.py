"""Who called whom in a forward, as a tree, and what the operations in each call cost: what viz.summary looks at.

Hooks on the modules tell the calls, an observer the operations. A call stands below the one in which it was made; the
modules between that were not called themselves, as a ModuleList, stand between.

    Net                              called
    ├─blocks     ModuleList          not called; it holds:
    │    ├─blocks.0   Block          called by Net
"""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...backend import gpu
from ...containers import leaves
from ...models import Models, as_before
from ...tape import Variable, no_grad, raw
from ...tape.observers import Observer, Observing, running
from ...tape.versions import owner_of
from .flops import mult_adds
from .summary_table import LayerInfo, size_shown

SHOWN = 6  # layers that ran before an error
LONGEST = 16  # calls that are looked at for a period that is repeated


@dataclass(eq=False)
class Call:
    """A call of a module; or a module that was not called, around those that were, or where it is registered."""

    module: Any
    path: str
    executed: bool = False
    done: bool = False  # its forward came to its end
    input: Any = None
    output: Any = None
    mult_adds: int = 0  # of operations in it, and in no call below
    repeats: int = 1  # how many calls alike it stands for, one after another
    children: list = field(default_factory=list)
    last: dict = field(default_factory=dict)  # module -> the last of the children that is of it

    def add(self, module, name):
        """A call below this one, of a module that it has under `name`."""
        self.children.append(call := Call(module, f"{self.path}.{name}" if self.path else name))
        self.last[module] = call
        return call

    def total(self):
        """Its multiply-adds, with those below."""
        return self.mult_adds + sum(child.total() for child in self.children)

    def reached(self):
        """Whether it or something below was called."""
        return self.executed or any(child.reached() for child in self.children)

    def __str__(self):
        kind = type(self.module).__name__
        return f"{self.path} ({kind})" if self.path else kind


def run(model, args, kwargs, mode) -> "Calls":
    """Call `model` once under no_grad, in this mode, look on, and leave everything as it was.

    A module that the forward makes when it runs first is seen in a second run.
    """
    calls = _run(model, args, kwargs, mode)
    return _run(model, args, kwargs, mode) if any(m not in calls.paths for m in model.modules()) else calls


def _run(model, args, kwargs, mode):
    calls = Calls(model)
    modules = list(calls.paths)
    training = [(m, m.training) for m in modules]
    try:
        with as_before(modules), ExitStack() as hooks, no_grad():
            if mode != "same":
                model.train(mode == "train")
            calls.hook(hooks)
            with Observing(calls):
                model(*args, **kwargs)
    except Exception as error:
        if error is calls.error:
            error.add_note(calls.where_it_failed())
        raise
    finally:
        for m, flag in training:
            m.training = flag
    return calls


class Calls(Observer):
    """The calls of the modules of a model, while they run and afterwards. `root` is that of the model."""

    def __init__(self, model):
        self.modules = Models(model, "viz.summary: the model").modules
        self.paths = {m: _short(path) for path, m in self.modules.items()}
        self.root = Call(model, "")
        self.bytes = 0  # of the results of all operations
        self.error: Any = None
        self.failed: Any = None  # the call that raised it
        self._running: list = []  # those on their way, outermost first
        self._ended: list = []
        self._below: dict = {}  # module -> {module below: the names on the way to it}

    def hook(self, stack):
        """Look on while `stack` is open."""
        for m in self.paths:
            stack.enter_context(m.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True))
            stack.enter_context(m.register_forward_hook(self._end))
            stack.enter_context(m.register_forward_hook(self._leave, always_call=True))

    def _enter(self, module, args, kwargs):
        new = module is self.root.module and not self.root.executed
        call = self.root if new else self._placed(self._around(), module)
        call.executed, call.input = True, sizes_of_call(args, kwargs)
        self._running.append(call)

    def _around(self):
        """The innermost call; a model that overrides __call__ may come to others before its own."""
        return self._running[-1] if self._running else self.root

    def _end(self, module, args, output):
        call = self._running[-1]
        call.done, call.output = True, sizes_of(output)
        self._ended.append(call)

    def _leave(self, module, args, output):
        call, error = self._running.pop(), sys.exc_info()[1]
        if not call.done and error is not self.error:
            self.error, self.failed = error, call

    def ran(self, node, operands, edges, result):
        whole = running.get()
        self._around().mult_adds += mult_adds(node, operands, result, whole)
        if whole is None:  # a part of another operation keeps nothing
            results = result if type(result) is tuple else (result,)
            known = {id(owner_of(x)) for x in operands if hasattr(x, "base")}
            for y in results[:1] if node.residuals else results:
                if not hasattr(y, "base") or id(owner_of(y)) not in known:
                    self.bytes += getattr(y, "nbytes", 0)

    def where_it_failed(self) -> str:
        """In which layer the error came, and what ran before."""
        before = [call for call in self._ended if not call.children]
        lines = [f"{call}: {size_shown(call.input)} -> {size_shown(call.output)}" for call in before[-SHOWN:]]
        if len(before) > SHOWN:
            lines.insert(0, f"({len(before) - SHOWN} more)")
        ran = "".join(f"\n    {line}" for line in lines) or " nothing"
        return (
            f"viz.summary: the error came in {self.failed}, given {size_shown(self.failed.input)}; before it ran{ran}"
        )

    # --- the tree ------------------------------------------------------------------------------------------------

    def _placed(self, around, module):
        """A new call of `module` in the call `around`, below the modules that hold it there."""
        way = self._names_below(around.module).get(module)
        if way is None:  # it is held somewhere else
            around.children.append(call := Call(module, self.paths[module]))
            return call
        holder, at = around, around.module
        *outer, name = way.split(".")
        for each in outer:
            at = getattr(at, each)
            holder = holder.last.get(at) or holder.add(at, each)
        held = holder.last.get(module)
        return held if held is not None and not held.executed else holder.add(module, name)

    def _names_below(self, module):
        if module not in self._below:
            self._below[module] = {m: name for name, m in module.named_modules() if name}
        return self._below[module]

    def rows(self) -> list:
        """The rows of the table. Modules that were not called stand behind those that were."""
        first: dict = {}
        for call, _ in _with_depth(self.root):
            first.setdefault(call.module, call)
        for m, path in self.paths.items():
            if m not in first:
                outer, _, name = path.rpartition(".")
                first[m] = first[self.modules[f"model.{outer}" if outer else "model"]].add(m, name)
        _fold(self.root, first, {}, {})
        counts: dict = {}
        modules: set = set()
        parameters: set = set()
        return [_row(call, depth, counts, modules, parameters) for call, depth in _with_depth(self.root)]


def _short(path):
    return path.removeprefix("model").removeprefix(".")


def _with_depth(root):
    """Pairs (call, depth), each before those below it."""
    waiting = [(root, 0)]
    while waiting:
        call, depth = waiting.pop()
        yield call, depth
        waiting += [(child, depth + 1) for child in reversed(call.children)]


def _fold(call, first, kinds, looks):
    """Let calls that look as the first one of their module stand without those below; and a run of them, as the steps
    of a recurrent network, as one period that is repeated.

    Args: kinds - {how a call looks: its number}. looks - {call: the number of how it looks}.
    """
    for child in call.children:
        _fold(child, first, kinds, looks)
    below = [looks[c] for c in call.children]
    ran = tuple(looks[c] for c in call.children if c.reached())  # what was not stands below the first call only
    look = call.module, call.executed, repr(call.input), repr(call.output), call.mult_adds, ran
    looks[call] = kinds.setdefault(look, len(kinds))
    again = [first[c.module] is not c and looks.get(first[c.module]) == looks[c] for c in call.children]
    for child, same in zip(call.children, again, strict=True):
        if same:
            child.mult_adds, child.children = child.total(), []
    kept: list = []
    at = 0
    while at < len(below):
        period, times = _period(below, again, at) if again[at] else (1, 1)
        for child in call.children[at : at + period]:
            child.repeats, child.mult_adds = times, child.mult_adds * times
            kept.append(child)
        at += period * times
    call.children = kept


def _period(looks, again, at):
    """(length of a period that begins there, how often it comes), of those up to LONGEST what covers most."""
    best = 1, 1
    for length in range(1, LONGEST + 1):
        if not all(again[at : at + length]):
            break
        times, part = 1, looks[at : at + length]
        while looks[at + times * length : at + (times + 1) * length] == part:
            times += 1
        if times > 1 and times * length > best[0] * best[1]:
            best = length, times
    return best


def _row(call, depth, counts, modules, parameters):
    counts[depth] = counts.get(depth, 0) + 1
    m = call.module
    held = list(m.parameters(recurse=False))
    own = [p for p in held if p not in parameters]
    shared = [p for p in held if p in parameters]
    again = m in modules
    modules.add(m)
    parameters.update(own)
    return LayerInfo(
        path=call.path,
        class_name=type(m).__name__,
        depth=depth,
        depth_index=counts[depth],
        executed=call.executed,
        reached=call.reached(),
        is_recursive=again,
        repeats=call.repeats,
        input_size=call.input,
        output_size=call.output,
        kernel_size=_kernel(getattr(m, "kernel_size", None)),
        num_params=numbers(m.parameters()),
        trainable_params=numbers(p for p in m.parameters() if p.requires_grad),
        own_params=numbers(own),
        own_trainable=numbers(p for p in own if p.requires_grad),
        shared_params=0 if again else numbers(shared),
        own_mult_adds=call.mult_adds,
        mult_adds=call.total(),
    )


def numbers(variables) -> int:
    """How many numbers there are in Variables."""
    return sum(x.data.size for x in variables)


# --- sizes -------------------------------------------------------------------------------------------------------


def sizes_of(x):
    """The shape of a Variable or array; a list or dict of those in a container; None; else the name of the type."""
    if isinstance(x, dict):
        return {str(key): sizes_of(value) for key, value in x.items()}
    if isinstance(x, (tuple, list)):
        return [sizes_of(value) for value in x]
    if isinstance(x, Variable) or is_array(x):
        return tuple(x.shape)
    return None if x is None else type(x).__name__


def is_array(x) -> bool:
    """Whether it is an array, of the host's library or of a GPU's."""
    return isinstance(x, (np.ndarray, *(library.array for library in gpu)))


def sizes_of_call(args, kwargs):
    """The size of the only argument, or a list of those of several, with a dict of those by name."""
    found = sizes_of(args) + ([sizes_of(kwargs)] if kwargs else [])
    return found[0] if len(found) == 1 else found


def bytes_in(tree) -> int:
    """Bytes of the arrays in nested containers."""
    return sum(raw(x).nbytes for x in leaves(tree) if is_array(raw(x)))


def _kernel(size):
    if isinstance(size, (tuple, list)):
        return tuple(size)
    return (size,) if isinstance(size, int) else None
