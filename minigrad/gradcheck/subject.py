"""The function under test: how to run it again and again from the same state, and the gradients of its leaves.

A run swaps the `data` of leaves and buffers for copies and puts the originals back, whatever happens. Random numbers
are drawn from the same state each time, so that dropout is a function like any other.
"""

from contextlib import contextmanager

import numpy as np

from ..backend import device_of, moved
from ..errors import GraphError, MinigradError
from ..models import is_module
from ..ops.random import random_state, set_random_state
from ..tape import Variable, enable_grad, grad, raw
from ..tape.history import leaves_behind, nodes_behind
from .leaves import (
    DOUBLE,
    Leaf,
    captured,
    changed,
    is_float,
    names_of,
    only_once,
    outputs_of,
    parts,
    values,
)


class UnsteadyError(MinigradError):
    """A function whose outputs differ in number or shape from run to run."""


class Subject:
    """`fn` at a point.

    Holds: leaves - of its tape: those among the inputs, then parameters and what else `fn` uses.
           weights - random cotangents, one per output; what is differentiated is the sum of weights * outputs.
           wide - float64 where something is coarser, else None. eps - the relative precision of the outputs.
           calls - how often fn has run. notes - for the report.
    """

    def __init__(self, fn, args, kwargs, rng, of=None):
        self.fn, self.calls = fn, 0
        self.base = None  # the contributions at the point, once they are known
        self.gradients_of = of  # the subject of which this is the next order
        self.random_state = of.random_state if of else random_state()
        self.args, self.kwargs = changed(args, _leaf_for), changed(kwargs, _leaf_for)
        self._find_inputs()
        self._find_used()
        self.outputs = self._first_run()
        self.shapes = [y.shape for y in self.outputs]
        self.weights = [_signed(rng, shape) for shape in self.shapes]

    def _find_inputs(self):
        """Leaves and constants among the inputs."""
        inputs = [*enumerate(self.args), *self.kwargs.items()]
        given = [pair for name, value in inputs for pair in parts(value, f"input {name}")]
        given = [(path, v) for path, v in given if isinstance(v, Variable)]
        self.leaves = only_once((Leaf(p, v) for p, v in given if v.requires_grad), key=lambda leaf: id(leaf.variable))
        self.constants = [v for _, v in given if not v.requires_grad]
        if self.gradients_of:
            known = {id(leaf.variable) for leaf in self.leaves}
            self.leaves = [leaf for leaf in self.gradients_of.leaves if id(leaf.variable) not in known] + self.leaves

    def _find_used(self):
        """What `fn` uses without being given it: modules, whose state is constant, and names for leaves."""
        used = captured(self.fn, [*self.args, *self.kwargs.values()])
        modules = [(name, m) for name, m in used if is_module(m)]
        self.modules = self.gradients_of.modules if self.gradients_of else modules
        self.names = names_of(self.modules, used)
        for _, module in self.modules:
            self.constants += [b for _, b in module.named_buffers()]
            self.constants += [p for _, p in module.named_parameters() if not p.requires_grad]
        self.constants = only_once(self.constants, key=id)

    def _first_run(self):
        """Find the leaves that are no inputs, and what is changed in place. Returns the outputs that count."""
        inputs = [(leaf.path, leaf.variable) for leaf in self.leaves]
        constants = {id(x) for x in self.constants}
        inputs += [("a constant input", v) for _, v in parts([self.args, self.kwargs], "in") if id(v) in constants]
        with self._state(None, None):
            before = [values(v) for _, v in inputs]
            outputs = self._call()
            self.overwritten = [
                path for (path, v), b in zip(inputs, before, strict=True) if not np.array_equal(values(v), b, True)
            ]
        tracked = [y for y in outputs if y.requires_grad]
        edges = [y.edge for y in tracked]
        found = leaves_behind(edges, nodes_behind(edges))
        known = {id(leaf.variable) for leaf in self.leaves}
        order = {key: i for i, key in enumerate(self.names)}
        fresh = sorted((v for v in found if id(v) not in known), key=lambda v: order.get(id(v), len(order)))
        self.leaves += [Leaf(self.names.get(id(v)) or v.name or f"leaf {i}", v) for i, v in enumerate(fresh)]
        there = {id(v) for v in found}
        missed = [leaf.path for leaf in self.leaves if id(leaf.variable) not in there]
        missed += [name for key, name in self.names.items() if key not in there | known]
        self.notes = [f"{path} was not reached" for path in missed]
        if not outputs:
            self.notes.append("fn returned no Variable of floats")
        if tracked and len(tracked) < len(outputs):
            self.notes += [f"output {i} is off the tape" for i, y in enumerate(outputs) if not y.requires_grad]
        floats = [x.dtype for x in [*self.constants, *(leaf.variable for leaf in self.leaves)] if is_float(x)]
        self.wide = DOUBLE if any(dtype != DOUBLE for dtype in floats) else None
        self.on_the_tape = bool(tracked)
        return self._chosen(outputs)

    @contextmanager
    def _state(self, points, dtype):
        """Leaves at `points`, buffers and random numbers as they were at first; all put back in the end."""
        own = [(x, x.data, x.grad) for x in [*(leaf.variable for leaf in self.leaves), *self.constants]]
        state = random_state()
        try:
            for leaf, point in zip(self.leaves, points or [leaf.point for leaf in self.leaves], strict=True):
                leaf.variable.data = leaf.array(point, dtype)
            for x in self.constants:
                x.data = x.data.astype(dtype) if dtype and x.dtype.kind == "f" else x.data.copy()
            set_random_state(self.random_state)
            with np.errstate(all="ignore"):  # a step may leave the domain: that is looked at, not warned of
                yield
        finally:
            for variable, array, gradient in own:
                variable.data, variable.grad = array, gradient
            set_random_state(state)

    def _call(self, dtype=None, replace=None):
        self.calls += 1

        def change(x):
            if replace and id(x) in replace:
                return replace[id(x)]
            if isinstance(x, Variable) or not hasattr(x, "shape"):
                return x
            return x.astype(dtype) if dtype and is_float(x) else x.copy()

        with enable_grad():
            return outputs_of(self.fn(*changed(self.args, change), **changed(self.kwargs, change)))

    def _chosen(self, outputs):
        """The outputs that count: those with a history, unless none has one; and all gradients, for none may vary."""
        return [y for y in outputs if y.requires_grad] if self.on_the_tape and not self.gradients_of else outputs

    def contributions(self, points) -> np.ndarray:
        """weights * outputs at `points`, in float64, flat: their sum is the function that is differentiated."""
        with self._state(points, self.wide):
            outputs = self._chosen(self._call(self.wide))
            if [y.shape for y in outputs] != self.shapes:
                raise UnsteadyError(
                    f"the outputs have shapes {[y.shape for y in outputs]} in one run and {self.shapes} in another"
                )
            found = [(w * values(y)).reshape(-1) for w, y in zip(self.weights, outputs, strict=True)]
            self.eps = max((float(np.finfo(y.dtype).eps) for y in outputs), default=0.0)
        return np.concatenate([np.zeros(0), *found])

    @contextmanager
    def recorded(self, points=None, dtype=None, prepare=None, replace=None):
        """A run whose outputs can be differentiated inside of the context.

        Args: dtype - compute in it. replace - {id of an input: what to pass in its place}.
              prepare - function of (leaf number, array): the array to use, of another memory layout say.
        """
        with self._state(points, dtype):
            if prepare:
                for k, leaf in enumerate(self.leaves):
                    leaf.variable.data = prepare(k, leaf.variable.data)
            yield self._chosen(self._call(dtype, replace))

    def gradients(self, points=None, dtype=None, create_graph=False, **how):
        """The gradients of the leaves by the tape as arrays of float64, zeros where none came."""
        with self.recorded(points, dtype, **how) as outputs:
            return self.backward(outputs, create_graph=create_graph)

    def backward(self, outputs, weights=None, **options):
        """The gradients of the leaves from those of `outputs`: `weights`, arrays, Variables or None (not used)."""
        chosen = [(y, w) for y, w in zip(outputs, weights or self.weights, strict=True) if w is not None]
        heads = [y for y, _ in chosen if y.requires_grad]
        seeds = [w if isinstance(w, Variable) else self.seed(w, y) for y, w in chosen if y.requires_grad]
        leaves = [leaf.variable for leaf in self.leaves]
        found = grad(heads, leaves, seeds, allow_unused=True, **options) if heads else [None] * len(leaves)
        return [
            np.zeros(leaf.point.shape) if g is None else _as_of(leaf, g)
            for leaf, g in zip(self.leaves, found, strict=True)
        ]

    @staticmethod
    def seed(weights, y):
        """`weights` as the gradient of the output `y`."""
        return moved(np.asarray(weights, y.dtype), device_of(y.data))

    def derived(self, rng):
        """The gradients of this subject as a subject: a function of the same leaves and of the weights."""
        weights = [
            Variable(self.seed(w, y), requires_grad=True) for w, y in zip(self.weights, self.outputs, strict=True)
        ]

        def gradients(args, kwargs, *weights):
            outputs = self._chosen(outputs_of(self.fn(*args, **kwargs)))
            found = grad(
                [y for y in outputs if y.requires_grad],
                [leaf.variable for leaf in self.leaves],
                [w for w, y in zip(weights, outputs, strict=True) if y.requires_grad],
                create_graph=True,
                allow_unused=True,
            )
            return [g for g in found if g is not None]

        found = Subject(gradients, (self.args, self.kwargs, *weights), {}, rng, of=self)
        paths = {id(leaf.variable): leaf.path for leaf in self.leaves}
        paths |= {id(w): f"cotangent of output {i}" for i, w in enumerate(weights)}
        for leaf in found.leaves:
            leaf.path = paths.get(id(leaf.variable), leaf.path)
        return found


def _as_of(leaf, g):
    if g.shape != leaf.point.shape:
        raise GraphError(f"gradcheck: {leaf.path} {leaf.point.shape} has got a gradient of shape {g.shape}")
    return values(g)


def _leaf_for(x):
    """What stands in for a Variable with a history: a leaf of the same values."""
    if isinstance(x, Variable) and x.requires_grad and x.creator is not None:
        return Variable(raw(x.detach().clone()), requires_grad=True)
    return x


def _signed(rng, shape):
    """Random signs, and sizes between 0.5 and 1.5: no weight is small enough to hide an error."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)
