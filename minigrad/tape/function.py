"""Function: one operation, its gradient, and how running it on Variables becomes a node of the tape."""

import functools
import inspect
import re
from operator import itemgetter
from typing import Any

import numpy as np

from ..backend import HERE, around, backend, detours, gpu, many_gpus, numbers_beside, out_of_memory, together
from ..dtypes import cast, out_of_range
from ..errors import GraphError, MinigradError
from .modes import recording
from .observers import as_part_of, observing
from .variable import Variable, as_array, new, raw
from .versions import memory, tick


def _keep(needs, rest=None, residuals=0):
    """The function that picks from [*inputs, *residuals, y] what backward names. Runs once per recorded operation."""
    if rest is not None:
        end = -1 - residuals
        return lambda values: (*(values[i] for i in needs), *values[rest:end])
    if len(needs) > 1:
        return itemgetter(*needs)  # in C: 60 ns, where a comprehension takes 250
    return (lambda values: (values[needs[0]],)) if needs else (lambda values: ())


def _names(function):
    """The names of its parameters, with a star where there may be several."""
    parameters = inspect.signature(function).parameters.values()
    return [("*" if p.kind is p.VAR_POSITIONAL else "") + p.name for p in parameters]


def _of_the_first(count, backward):
    """`backward`, called with the first `count` of what was saved."""

    @functools.wraps(backward)
    def called(self, gy, *saved):
        return backward(self, gy, *saved[:count])

    return called


class Function:
    """One operation; an instance that ran on Variables is one node of the tape. Subclasses write two methods.

        class Power(Function):
            def __init__(self, n):          # plain facts: numbers, axes, shapes. Never an array: hidden here,
                self.n = n                  # it would be a constant of the second derivative and make it wrong

            def forward(self, x):           # arrays -> an array (or a tuple of them: several outputs)
                return x**self.n

            def backward(self, gy, x):      # the output's gradient, then what is needed: inputs by forward's
                return gy * self.n * x ** (self.n - 1)                                # names, the output as y

        y = Power(3)(x)

    The formula runs in two worlds: on raw arrays in an ordinary backward; under create_graph on Variables, where
    it is recorded and can be differentiated again. So it uses what both have: operators, methods, minigrad's
    functions. Transparent: called with arrays, a Function returns arrays; with a Variable, a Variable.

    `backward` returns one gradient per input (None for none); the engine undoes broadcasting and promotion.
    Where nobody wants the gradient of input i, `self.wants[i]` is None, and backward may return None for it.
    With several outputs, gy is a sequence of their gradients, zeros for an output that was not used.

    A fused operation returns from forward `(y, *residuals)`, names them in `residuals`, and carries a `definition`,
    the same in primitive operations: that is what create_graph differentiates.
    """

    name = "function"
    residuals: tuple[str, ...] = ()
    definition: Any = None
    dtype_rule: Any = None  # promote or promote_float, where NumPy's own promotion is not PyTorch's

    serves: dict[int, int] = {}  # position of a saved value (-1: y) -> the input whose gradient alone needs it

    edges: Any = None  # per input: the node that made it, the leaf Variable, or None for a constant
    wants: Any = None  # the edges whose gradient is wanted in this walk
    saved: Any = None  # the arrays that backward names, in its order; None before and after use
    recall: Any = None  # where a checkpoint dropped them: the function that gives them back, once
    order = 0  # birth
    hooks: Any = None
    retained: Any = None  # a weak reference to the Variable whose grad is filled on the way
    called_at: Any = None  # the user's line, where that is known: see provenance.py
    derived: Any = ()  # the names of the facts that forward put on it, where somebody observed
    noted: Any = None  # what was recorded for pictures, plain facts: see viz/record.py
    first_leaf: Any = None  # where the chain of first inputs begins, once that was asked: see writing.py

    needs: tuple[int, ...] = ()  # what backward names, as positions in (*inputs, *residuals, y)
    needs_rest = None  # first position of forward's *arrays, if backward names them too
    keep = staticmethod(_keep(()))

    def __init_subclass__(cls):
        """Resolve, once per class, what `backward` names."""
        cls.name = cls.__dict__.get("name") or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if cls.residuals and cls.definition is None:
            raise TypeError(f"{cls.__name__} has residuals, so it needs a definition: what create_graph differentiates")
        inputs = _names(cls.forward)[1:]
        asked = [] if cls.backward is Function.backward else _names(cls.backward)[2:]
        known = {name: i - len(cls.residuals) - 1 for i, name in enumerate([*cls.residuals, "y"])}
        known = {name: i for i, name in enumerate(inputs)} | {n: i for n, i in known.items() if n not in inputs}
        for name in asked:
            if name not in known:
                raise TypeError(f"{cls.__name__}.backward names {name!r}; it can name {', '.join(known)}")
        if cls.definition is not None:  # which is computed from all inputs: they are kept too
            asked, count = [*asked, *(name for name in inputs if name not in asked)], len(asked)
            if len(asked) > count:
                cls.backward = _of_the_first(count, cls.backward)  # type: ignore[method-assign]
        cls.needs = tuple(known[name] for name in asked if name[0] != "*")
        cls.needs_rest = next((known[name] for name in asked if name[0] == "*"), None)
        cls.keep = staticmethod(_keep(cls.needs, cls.needs_rest, len(cls.residuals)))

    # *args: Any, **options: Any is how a type checker is told that subclasses choose the parameters.
    def forward(self, *args: Any, **options: Any) -> Any:
        """The operation on arrays."""
        raise NotImplementedError(f"{type(self).__name__}.forward(self, ...) is not written")

    def backward(self, *args: Any, **options: Any) -> Any:
        """The gradients of the inputs from the gradient of the output."""
        raise NotImplementedError(f"{type(self).__name__}.backward is not written: it cannot be differentiated")

    def check(self, *args: Any, **options: Any) -> None:
        """Called only after `forward` failed: raise the error that says why."""

    def __repr__(self):
        return f"<{type(self).__name__}>"

    @classmethod
    def apply(cls, *inputs):
        """PyTorch's way to call a Function without plain facts: `Square.apply(x)` is `Square()(x)`."""
        return cls()(*inputs)

    def __call__(self, *inputs):
        arrays, edges = [], []
        tracked = variables = False
        for x in inputs:
            if isinstance(x, Variable):
                variables = True
                arrays.append(x.data)
                if x.tracked:
                    tracked = True
                    edge = x.creator
                    if edge is None:
                        edge = x
                    elif edge.order < memory.last:  # something was overwritten since: this?
                        self._check_alias(x)
                    edges.append(edge)
                else:
                    edges.append(None)
            else:
                arrays.append(x)
                edges.append(None)
        try:
            if detours:
                y, arrays = self._run_aside(arrays, edges)
            else:
                if self.dtype_rule is not None:
                    arrays = self.promoted(arrays)
                y = self.forward(*arrays)
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError, MemoryError) as error:
            raise self._explained(error, arrays) from None
        if type(y) is tuple:
            if not self.residuals:
                return self._several(arrays, edges, tracked, y) if variables else y
            y, *residuals = y
            arrays += residuals
        if not variables:
            return y
        if y.__class__ is not np.ndarray:  # NumPy's 0-d results are scalars
            y = as_array(y)
        out = new(Variable)
        out.data = y
        out.grad = None
        if tracked and y.dtype.kind == "f" and recording.get():
            if self.order:
                self._refuse_reuse()
            arrays.append(y)
            self.edges = edges
            self.order = tick()
            self.saved = self.keep(arrays)
            self.shape = y.shape
            self.dtype = y.dtype
            out.creator = self
            out.tracked = True
        else:
            out.creator = None
            out.tracked = False
        return out

    def _run_aside(self, arrays, edges):
        """(forward's result, its operands), on the device where they lie, and before the eyes of observers."""
        observers = observing.get()
        if gpu:
            arrays = numbers_beside(arrays, edges)
        given, facts = arrays, set(vars(self)) if observers else ()
        for observer in observers:
            observer.begins(self)
        with together(self.name, arrays) if gpu else HERE:
            if self.dtype_rule is not None:
                arrays = self.promoted(arrays)
            y = as_part_of(self, self.forward, *arrays) if observers else self.forward(*arrays)
        if observers and isinstance(y, np.generic) and any(edge is not None for edge in edges):
            y = as_array(y)  # the array of the Variable to be: what is detached is known by its memory
        if observers and (derived := vars(self).keys() - facts):
            self.derived = derived
        for observer in observers:
            if arrays is not given:
                observer.converted(self, given, arrays, y)
        for observer in observers:
            observer.ran(self, arrays, edges, y)
        return y, arrays

    def _refuse_reuse(self):
        raise GraphError(f"{self.name}: this {type(self).__name__} has run already; an instance is one node")

    def _several(self, arrays, edges, tracked, ys):
        """The Variables of several outputs. Each hangs on this node by an Output, which knows its number."""
        ys = tuple(as_array(y) for y in ys)
        outs = tuple(Variable(y) for y in ys)
        if tracked and recording.get():
            if self.order:
                self._refuse_reuse()
            self.edges = edges
            self.order = tick()
            self.saved = self.keep([*arrays, ys])
            self.shape = self.dtype = None  # its gradient is a Partial, not an array
            for i, out in enumerate(outs):
                if out.data.dtype.kind == "f":
                    out.creator, out.tracked = Output(self, i, ys), True
        return outs

    def promoted(self, arrays):
        """The operands in the dtype that `dtype_rule` gives them."""
        dtype = getattr(arrays[0], "dtype", None)
        if dtype is not None and dtype.kind == "f" and all(getattr(a, "dtype", None) is dtype for a in arrays):
            return arrays
        return cast(arrays, self.dtype_rule(arrays))

    def _explained(self, error, arrays):
        """The error to raise for `error`: what `check` finds, or `error` with a note of the operands."""
        if isinstance(error, MinigradError):
            return error
        if isinstance(error, MemoryError):
            return out_of_memory(self.name, arrays, error)
        if isinstance(error, OverflowError):
            return out_of_range(self.name, error)
        try:
            self.check(*arrays)
        except MinigradError as explanation:
            return explanation
        operands = ", ".join(f"{a.dtype} {a.shape}" if hasattr(a, "shape") else repr(a) for a in arrays)
        error.add_note(f"in {self.name}({operands})")
        return error

    def _check_alias(self, x):
        if memory.stamp(x.data) > x.creator.order and recording.get():
            raise GraphError(
                f"{self.name}: the operand {x.shape} made by {x.creator.name} shares memory with a Variable that has "
                "been overwritten in place since, so its history no longer tells how its values came about; "
                "take a clone() before the in-place write"
            )


def where_it_lies(operation):
    """`operation`, made of several that also compute with plain arrays, on the device of its first argument."""

    @functools.wraps(operation)
    def placed(*args, **options):
        if not many_gpus:
            return operation(*args, **options)
        with around(raw(args[0] if args else next(iter(options.values())))):
            return operation(*args, **options)

    return placed


class Alias(Function):
    """y = x, as a node of its own."""

    def forward(self, x):
        return x

    def backward(self, gy):
        return gy

    @classmethod
    def behind(cls, edge, like):
        """A new node that passes its gradient on to `edge`; `like` gives the shape and dtype."""
        node = cls()
        node.edges = [edge]
        node.order, node.saved = tick(), []
        node.shape, node.dtype = like.shape, like.dtype
        node.called_at = getattr(edge, "called_at", None)
        return node


class Output(Function):
    """The i-th of several outputs of `node`."""

    def __init__(self, node, i, ys):
        self.i, self.kinds = i, [(type(y), y.shape, y.dtype) for y in ys]
        self.edges = [node]
        self.order, self.saved = tick(), []
        self.shape, self.dtype = self.kinds[i][1:]

    def backward(self, gy):
        return Partial({self.i: gy}, self.kinds)


class Partial:
    """The gradients of several outputs as they come in; reads as a sequence, zeros where none came."""

    shape = dtype = None  # as the node's own

    def __init__(self, parts, kinds):
        self.parts, self.kinds = parts, kinds

    def __add__(self, other):
        both = self.parts.keys() & other.parts.keys()
        return Partial(self.parts | other.parts | {i: self.parts[i] + other.parts[i] for i in both}, self.kinds)

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, i):
        i = range(len(self.kinds))[i]
        if isinstance(i, range):
            return tuple(self[k] for k in i)
        if i in self.parts:
            return self.parts[i]
        kind, shape, dtype = self.kinds[i]
        return backend[kind].xp.zeros(shape, dtype)
