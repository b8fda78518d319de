"""What a function is computed from: the leaves of its tape and how they are called, containers, modules it uses."""

import inspect
from dataclasses import dataclass, field

import numpy as np

from ..backend import backend, device_of, moved
from ..containers import leaves, paths, rebuilt
from ..tape import Variable, raw

DOUBLE = np.dtype("float64")


@dataclass(eq=False)
class Leaf:
    """A leaf of the tape: where it stands among inputs and parameters, and its values in float64."""

    path: str
    variable: Variable
    point: np.ndarray = field(init=False)

    def __post_init__(self):
        self.dtype, self.device = self.variable.dtype, device_of(self.variable.data)
        self.point = values(self.variable)

    def array(self, point, dtype):
        """`point` as the leaf's array."""
        return moved(np.array(point, dtype or self.dtype), self.device)


def values(x) -> np.ndarray:
    """The values of a Variable or an array: a copy on the host, in float64."""
    array = raw(x)
    return np.array(backend[type(array)].to_numpy(array), DOUBLE)


def parts(tree, path):
    """Pairs (path, value) of what lies in nested tuples, lists and dicts."""
    return zip(paths(tree, path), leaves(tree), strict=True)


def changed(tree, change):
    """`tree` with change(value) for each value in it."""
    return rebuilt(tree, [change(x) for x in leaves(tree)])


def is_float(x) -> bool:
    """True for Variables and arrays of floats."""
    return hasattr(x, "dtype") and hasattr(x, "shape") and x.dtype.kind == "f" and not isinstance(x, np.generic)


def outputs_of(y):
    """The Variables of floats among what a function returned."""
    return [v for _, v in parts(y, "y") if isinstance(v, Variable) and v.dtype.kind == "f"]


def reached(outputs):
    """The leaves of the tape from which `outputs` were computed."""
    todo, seen, found = [y.edge for y in outputs if y.requires_grad], set(), []
    while todo:
        edge = todo.pop()
        if edge is None or edge in seen:
            continue
        seen.add(edge)
        if isinstance(edge, Variable):
            found.append(edge)
        else:
            todo += edge.edges
    return found


def is_module(x):
    """True for what has parameters and buffers."""
    return hasattr(x, "named_parameters") and hasattr(x, "named_buffers")


def captured(fn):
    """Pairs (name, value) of what `fn` uses without being given it."""
    if hasattr(fn, "__self__"):
        yield "self", fn.__self__
    try:
        used = inspect.getclosurevars(inspect.unwrap(fn))
    except TypeError:  # no function of Python's: an object with __call__, or partial(...)
        return
    yield from used.nonlocals.items()
    yield from used.globals.items()


def names_of(modules, used):
    """id of a Variable -> how to call it: parameters by their paths, and what `used` has a name for."""
    names = {id(p): f"{n}.{path}" if n else path for n, m in modules for path, p in m.named_parameters()}
    return names | {id(v): n for n, v in used if isinstance(v, Variable) and v.requires_grad}


def only_once(items, key):
    """The first of those that share a key."""
    found: dict = {}
    for item in items:
        found.setdefault(key(item), item)
    return list(found.values())
