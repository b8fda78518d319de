"""Ufuncs, and ndarray's operators, which are ufuncs. New results are C-contiguous, whatever the operands' layout."""

import numpy as np

from . import indexing, snapshot
from .array import fresh, ndarray
from .lanes import current, meet
from .operands import SCALARS, inner, refused, target


class Ufunc:
    """A ufunc of CuPy's: operands are arrays of the current device or numbers; keywords are out, dtype and casting."""

    keywords = frozenset(("out", "dtype", "casting"))

    def __init__(self, name, facts, function=None):
        self.name, self.__name__ = f"cupy_{name}", name
        self.nin, self.nout = facts.get("nin", 2), facts.get("nout", 1)
        self.nargs = self.nin + self.nout
        self._function = function or getattr(np, name)
        self._layout = {"order": "C"} if isinstance(self._function, np.ufunc) else {}
        self._at = [np.dtype(char) for char in facts.get("at", "")]
        self._methods = facts.get("methods", ())

    def __repr__(self):
        return f"<ufunc '{self.name}'>"

    def __call__(self, *args, **kwargs):
        if kwargs or len(args) != self.nin:
            return self._general(args, kwargs)
        values = []
        for x in args:
            if type(x) is ndarray:
                if x._mem.lane is not current.lane:
                    meet(x._mem)
                values.append(x._a)
            else:
                values.append(x if type(x) in SCALARS else inner(x))
        with np.errstate(all="ignore"):
            result = self._function(*values, **self._layout)
        return fresh(result) if self.nout == 1 else tuple(map(fresh, result))

    def _general(self, args, kwargs):
        wrong = {name: value for name, value in kwargs.items() if name not in self.keywords}
        if wrong:
            raise TypeError(f"Wrong arguments {wrong}")
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(
                f"Wrong number of arguments for '{self.name}'. It must be either {self.nin} or {self.nargs} (with "
                f"outputs), but given {len(args)}."
            )
        outs = args[self.nin :]
        out = kwargs.pop("out", None)
        if out is not None:
            if outs:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            outs = out if isinstance(out, tuple) else (out,)
        values = [inner(x) for x in args[: self.nin]]
        with np.errstate(all="ignore"):
            if not any(x is not None for x in outs):
                result = self._function(*values, **kwargs, **self._layout)
                return fresh(result) if self.nout == 1 else tuple(map(fresh, result))
            places = tuple(None if x is None else target(x) for x in outs) + (None,) * (self.nout - len(outs))
            if self._layout:
                results = self._function(*values, out=places, **kwargs)
                results = (results,) if self.nout == 1 else results
            else:
                results = (self._function(*values, **kwargs),)
                np.copyto(places[0], results[0], casting="same_kind")
        made = tuple(x if x is not None else fresh(r) for x, r in zip((*outs, None, None), results, strict=False))
        return made[0] if self.nout == 1 else made

    def at(self, a, indices, b=None):
        """a[indices] += b and the like, where an index may occur more than once."""
        if not self._at:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if a.dtype not in self._at:
            raise TypeError(f"cupy.{self.__name__}.at only supports {', '.join(map(str, self._at))} as data type")
        indexing.scatter(self._function, a, indices, b)

    def _method(self, name, method, array, *args):
        if name not in self._methods:
            raise NotImplementedError(f"`{self.name}.{name}` is not supported yet")
        return getattr(array, method)(*args)

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        """Sums or products along an axis."""
        method = "sum" if self.__name__ == "add" else "prod"
        return self._method("reduce", method, array, axis, dtype, out, keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        """Running sums or products along an axis."""
        method = "cumsum" if self.__name__ == "add" else "cumprod"
        return self._method("accumulate", method, array, axis, dtype, out)

    def outer(self, a, b, **kwargs):
        """All pairs of elements."""
        return self(a.reshape(a.shape + (1,) * b.ndim), b, **kwargs)


class MatMul(Ufunc):
    """cupy.matmul, a generalized ufunc."""

    keywords = Ufunc.keywords | {"axes"}


TABLE = {
    name: Ufunc(name, facts)
    for name, facts in snapshot.names("cupy").items()
    if facts["kind"] == "ufunc" and hasattr(np, name)
}
TABLE["matmul"] = MatMul("matmul", {})


def _array_ufunc(self, ufunc, method, *inputs, **kwargs):
    """NumPy's functions do not take device arrays; but a NumPy number on the left of an operator comes here too."""
    outs = kwargs.get("out", ())
    if ufunc.__name__ in COMPARING and type(inputs[0]) is np.ndarray and not inputs[0].ndim:
        inputs = inputs[0][()], *inputs[1:]  # so NumPy hands over a number on the left of a comparison
    for x in (*inputs, *outs):
        if type(x) not in SCALARS and not isinstance(x, ndarray | np.ndarray | np.generic):
            return NotImplemented
    for x in (*inputs, *outs):
        if isinstance(x, np.ndarray):
            raise refused(type(x), f" (np.{ufunc.__name__} of a host array and a cupy.ndarray)")
    if method != "__call__" or not isinstance(inputs[0], np.generic):
        raise TypeError(f"np.{ufunc.__name__} was given a cupy.ndarray: it works by accident on CuPy, slowly; use xp")
    return TABLE[ufunc.__name__](*inputs, **kwargs)


def _with_others(f, x, other, swapped):
    """An operator of an array and what is neither an array nor a Python number, by the rules of NEP 13."""
    operands = (other, x) if swapped else (x, other)
    if isinstance(other, np.generic):
        return f(*operands)
    if isinstance(other, np.ndarray):
        raise refused(type(other))
    try:
        theirs = other.__array_ufunc__
    except AttributeError:
        if getattr(other, "__array_priority__", 0) > x.__array_priority__ and not swapped:
            return NotImplemented
        raise refused(type(other)) from None
    return NotImplemented if theirs is None else getattr(np, f.__name__)(*operands)


def _operator(f, nin):
    """(x op other, other op x, x op= other) by a ufunc."""
    if nin == 1:
        return lambda self: f(self), None, None

    def forward(self, other):
        if type(other) is ndarray or type(other) in SCALARS:
            return f(self, other)
        return _with_others(f, self, other, False)

    def backward(self, other):
        if type(other) in SCALARS:
            return f(other, self)
        return _with_others(f, self, other, True)

    def in_place(self, other):
        return f(self, other, out=self)

    return forward, backward, in_place


OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "matmul": "matmul", "divmod": "divmod", "and": "bitwise_and",
    "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift", "lt": "less",
    "le": "less_equal", "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal", "neg": "negative",
    "pos": "positive", "abs": "absolute", "invert": "invert",
}  # fmt: skip
COMPARISONS = ("lt", "le", "eq", "ne", "gt", "ge")
COMPARING = {OPERATORS[name] for name in COMPARISONS}


def _bind():
    present = snapshot.names("cupy.ndarray")
    for name, ufunc in OPERATORS.items():
        f = TABLE.get(ufunc) or Ufunc(ufunc, {"nin": 1})
        sides = ("",) if name in COMPARISONS else ("", "r", "i")
        for side, function in zip(sides, _operator(f, f.nin), strict=False):
            special = f"__{side}{name}__"
            if function and special in present:
                function.__name__ = special
                setattr(ndarray, special, function)
    ndarray.__array_ufunc__ = _array_ufunc


_bind()
