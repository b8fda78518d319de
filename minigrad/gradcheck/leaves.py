"""What a function is computed from: the leaves of its tape and how they are called, containers, modules it uses."""

import dis
import functools
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType

import numpy as np

from ..backend import backend, device_of, moved
from ..containers import leaves, paths, rebuilt
from ..models import is_module
from ..tape import Variable, raw

DOUBLE = np.dtype("float64")
MANY = 1000  # objects that are looked through, and elements of a container
_LIBRARIES = {"minigrad", "numpy", "torch", "builtins", "pytest", "_pytest"}  # what is theirs is no user's


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


def captured(fn, given=()):
    """Pairs (name, value) of the modules and Variables that `fn` uses, by whatever way it holds them.

    Followed are closures, defaults and globals of functions, also of those inside of it, bound objects and their
    attributes, partial(...) and containers; and the objects `given` to it.
    """
    todo, found = [("", fn), *(("", x) for x in given)], []
    seen: set[int] = set()
    while todo and len(seen) < MANY:
        name, x = todo.pop(0)
        if id(x) in seen or isinstance(x, (str, bytes, int, float, type, ModuleType)) or x is None:
            continue
        seen.add(id(x))
        if isinstance(x, Variable) or is_module(x):
            found.append((name, x))
        else:
            outer = "" if isinstance(x, FunctionType) else name
            todo += [(_joined(outer, inner), value) for inner, value in _held(x)]
    return found


def _joined(name, inner):
    return inner if not name or not inner else f"{name}{inner}" if inner.startswith("[") else f"{name}.{inner}"


def _held(x):
    """Pairs (name, value) of what an object holds, as far as that is a user's."""
    if isinstance(x, functools.partial):
        return [("", x.func), *(("", a) for a in x.args), *x.keywords.items()]
    if isinstance(x, MethodType):
        return [("self", x.__self__), ("", x.__func__)]
    if isinstance(x, dict):
        return [(f"[{key!r}]", value) for key, value in x.items()] if len(x) < MANY else []
    if isinstance(x, (list, tuple, set)):
        return [(f"[{i}]", value) for i, value in enumerate(x)] if len(x) < MANY else []
    if isinstance(x, FunctionType):
        return list(_held_by_function(x))
    mine = getattr(type(x), "__module__", "").partition(".")[0] not in _LIBRARIES and not hasattr(x, "dtype")
    return list(vars(x).items()) if mine and hasattr(x, "__dict__") else []


def _held_by_function(fn):
    if fn.__module__ is None or fn.__module__.partition(".")[0] in _LIBRARIES:
        return
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield from (("", x) for x in [*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values()])
    codes = [fn.__code__]
    for code in codes:  # grows as it goes
        codes += [c for c in code.co_consts if isinstance(c, CodeType)]
        for step in dis.get_instructions(code):
            if step.opname == "LOAD_GLOBAL" and step.argval in fn.__globals__:
                yield step.argval, fn.__globals__[step.argval]


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
