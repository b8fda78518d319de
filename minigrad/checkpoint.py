"""Checkpoints: what an operation saves for its gradient is dropped, and computed again when backward asks for it.

    y = mg.checkpoint(block, x)         # as block(x), in the memory of x instead of that of all in between

The function runs recorded, as any other, so all edges are there: gradients flow to its arguments and to whatever it
uses, in any order and to any order, under mg.grad too. Only `saved` of its nodes is dropped. When a walk comes to the
first of them, the function runs again, and node by node the values that it saves now are those that were dropped.
Its first call needs as much memory while it runs as the second will.

Source: Griewank and Walther 2000, doi:10.1145/347837.347846; Chen et al. 2016, arXiv:1604.06174.
"""

import operator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

from .backend import around, many_gpus
from .containers import leaves, paths, rebuilt
from .errors import GraphError
from .ops.random import random_state, set_random_state
from .tape import Variable, is_grad_enabled
from .tape.modes import recomputing, regions
from .tape.versions import memory, tick


def checkpoint(function, *args, use_reentrant=None, preserve_rng_state=True, **kwargs):
    """function(*args, **kwargs), whose intermediate values are not kept but computed again in backward.

    It must compute the same when it is called again. It is, with the random numbers, the autocast regions and the
    default device of its first call; batch norm counts a batch once (PyTorch twice). Where the backward retains the
    graph, what it computed again is kept from then on.

    Args:    use_reentrant - without effect: gradients are those of PyTorch's use_reentrant=False.
             preserve_rng_state - begin again with the same random numbers, as for dropout. Default True.
    Returns: what function returned. Saved values behind Variables that are not in tuples, lists or dicts are kept.
    Raises:  (in backward) GraphError where the second call recorded other operations, shapes, dtypes or parameters,
             or an argument or parameter has been overwritten since the first.
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    second = _Second(function, args, kwargs, preserve_rng_state)
    output = function(*args, **kwargs)
    second.replace(output)
    return output


def checkpoint_sequential(functions, segments, input, use_reentrant=None, preserve_rng_state=True):
    """The functions one after another, in `segments` checkpoints of about equal length; the last one is kept.

    For n functions, about sqrt(n) segments need the least memory.

    Args:   functions - an nn.Sequential, or a list of modules or functions of one argument.
    Raises: ValueError unless there are 1 to len(functions) segments; and as `checkpoint`.
    """
    functions = list(functions)
    if not 1 <= segments <= len(functions):
        raise ValueError(f"checkpoint_sequential: segments must be 1 to {len(functions)}, got {segments}")

    def run(functions, x):
        for f in functions:
            x = f(x)
        return x

    size, x = len(functions) // segments, input
    last = size * (segments - 1)
    for i in range(0, last, size):
        x = checkpoint(partial(run, functions[i : i + size]), x, preserve_rng_state=preserve_rng_state)
    return run(functions[last:], x)


class _Second:
    """The second call of a function: what it needs, and what its operations saved in it."""

    def __init__(self, function, args, kwargs, preserve_rng_state):
        self.begin = tick()
        self.function, inputs = function, [_as_it_is(x) for x in leaves((args, kwargs))]
        self.args, self.kwargs = rebuilt((args, kwargs), inputs)
        self.context: Any = copy_context()  # grad mode, autocast regions, default device, NumPy's errstate
        self.gpu = many_gpus[0].current() if many_gpus else None
        self.random = random_state() if preserve_rng_state else None
        self.unchanged = [(x, x.data) for x in inputs if isinstance(x, Variable)]
        self.operations: list = []  # those that ran in the first call
        self.saved: Any = None  # for each: (what it saved in the second, or how to get at it, when it ran)

    def replace(self, output):
        """Drop what the operations saved that made `output`: from now on, this gives it."""
        nodes = _nodes(output, self.begin)
        self.operations = [_facts(node, self.begin) for node in nodes]
        known = {x for x, _ in self.unchanged}
        used = {e: None for *_, edges in self.operations for e in edges if isinstance(e, Variable) and e not in known}
        self.unchanged += [(x, x.data) for x in used]
        for i, node in enumerate(nodes):
            if node.saved or node.recall is not None:
                node.saved, node.recall = None, partial(self.give, i)

    def give(self, i):
        """What operation `i` saved, once; None where a backward inside of the function has freed it."""
        if self.saved is None:
            self.saved = self._computed()
        (saved, recall, order), self.saved[i] = self.saved[i], None
        if saved is None and recall is not None:  # a checkpoint inside of this one
            saved = recall()
        return None if saved is None else tuple(self._settled(x, order) for x in saved)

    def _settled(self, x, order):
        # Memory that the function itself wrote before the value was saved looks overwritten to the node of the first
        # call, which is older.
        if isinstance(x, tuple):
            return tuple(self._settled(y, order) for y in x)
        if memory.last < self.begin or not hasattr(x, "base") or not self.begin < memory.stamp(x) <= order:
            return x
        with around(x):
            return x.copy()

    def _computed(self):
        self._check_unchanged()
        begin = tick()
        nodes = _nodes(self.context.run(self._call), begin)
        found = [_facts(node, begin) for node in nodes]
        if len(found) != len(self.operations):
            raise _differs(f"{len(found)} operations, and the first {len(self.operations)}")
        for i, (now, then) in enumerate(zip(found, self.operations, strict=True)):
            if now[:-1] != then[:-1]:
                raise _differs(f"{_shown(now)} as operation {i}, and the first {_shown(then)}")
            if len(now[-1]) != len(then[-1]) or any(map(operator.is_not, now[-1], then[-1])):
                raise _differs(
                    f"other Variables that require grad as the operands of {_shown(now)}, operation {i}; where "
                    "functional_call gives parameters, call it inside of the function"
                )
        self.begin, self.unchanged, self.operations = begin, [], []
        self.function = self.args = self.kwargs = self.context = None  # a second call is all that is asked for
        return [(node.saved, node.recall, node.order) for node in nodes]

    def _check_unchanged(self):
        names = paths(self.args, "argument") + paths(self.kwargs, "argument")
        inputs = leaves((self.args, self.kwargs))
        for x, array in self.unchanged:
            if x.data is not array or memory.stamp(array) > self.begin:
                name = next((n for n, y in zip(names, inputs, strict=True) if y is x), "a parameter that is used")
                raise GraphError(
                    f"checkpoint: {name} {array.shape} has been overwritten since the function was called, which so "
                    "cannot be called again; write out of place (y = x + 1), or pass a clone()"
                )

    def _call(self):
        recomputing.set(True)  # in the copied context
        here = many_gpus[0].current() if many_gpus else None
        regions.append(None)
        try:
            if self.gpu is not None:
                many_gpus[0].set_current(self.gpu)
            with _random_numbers(self.random):
                return self.function(*self.args, **self.kwargs)
        finally:
            regions.pop()
            if here is not None:
                many_gpus[0].set_current(here)


def _as_it_is(x):
    """An argument that stays as it is: a write into x that is recorded would make x another one."""
    if not isinstance(x, Variable) or (x.tracked and x.creator is None):
        return x
    twin = Variable(x.data)
    twin.creator, twin.tracked = x.creator, x.tracked
    return twin


def _nodes(output, begin):
    """The nodes born since `begin` from which the Variables in `output` were computed, in the order of birth."""
    edges = [y.edge for y in leaves(output) if isinstance(y, Variable)]
    nodes = list(dict.fromkeys(e for e in edges if e.order > begin))
    seen = set(nodes)
    for node in nodes:  # grows as it goes
        fresh = dict.fromkeys(e for e in node.edges if e is not None and e.order > begin and e not in seen)
        seen.update(fresh)
        nodes += fresh
    return sorted(nodes, key=lambda node: node.order)


def _facts(node, begin):
    """What must be the same in both calls: the operation, its result, what came in from outside of the function."""
    outside = tuple(e if e is not None and e.order < begin else None for e in node.edges)
    return type(node), node.shape, node.dtype, outside


def _shown(facts):
    kind, shape, dtype, _ = facts
    return kind.name if dtype is None else f"{kind.name} {dtype} {shape}"


def _differs(what):
    return GraphError(
        f"checkpoint: called again, the function recorded {what}; it must do the same each time, without counting its "
        "calls or keeping results"
    )


@contextmanager
def _random_numbers(state):
    """Draw from `state`, and afterwards go on from where it was; None: go on."""
    before = random_state()
    if state is not None:
        set_random_state(state)
    try:
        yield
    finally:
        if state is not None:
            set_random_state(before)
