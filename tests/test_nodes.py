"""What nodes keep: nothing that create_graph cannot differentiate through.

An array on a Function's `self` is a constant of the second derivative, and makes it wrong while the first looks
perfect. Every row of the table of operations is run, and every node of its graphs is searched.
"""

import functools
import inspect

import numpy as np
import pytest
from ops_table import ROWS, Row

import minigrad as mg


def graph(variables):
    """The nodes behind `variables`."""
    stack, seen = [v.creator for v in variables if v.creator is not None], set()
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += [edge for edge in node.edges if isinstance(edge, mg.Function)]
    return seen


def arrays_in(x):
    """True if an array can be reached from `x` through containers, closures and attributes."""
    if isinstance(x, np.ndarray | np.generic | mg.Variable):
        return True
    inner = []
    if isinstance(x, functools.partial):
        inner = [x.func, x.args, x.keywords]
    elif isinstance(x, dict):
        inner = [*x, *x.values()]
    elif isinstance(x, list | tuple | set | frozenset):
        inner = x
    elif inspect.isfunction(x):
        inner = [cell.cell_contents for cell in x.__closure__ or ()] + [x.__defaults__, x.__kwdefaults__]
    elif not isinstance(x, type | mg.Function) and hasattr(x, "__dict__"):
        inner = vars(x).values()
    return any(arrays_in(i) for i in inner)


def hidden(node):
    """The names under which a node holds arrays that create_graph cannot differentiate through."""
    return [name for name, x in vars(node).items() if name not in ("saved", "edges", "wants") and arrays_in(x)]


def nodes_of(row):
    """All nodes of a row of the table: of its forward, of its backward under create_graph, and of the backward's."""
    xs = [mg.Variable(a, requires_grad=True) if a.dtype.kind == "f" else a for a in row.arrays()]
    leaves = [x for x in xs if isinstance(x, mg.Variable)]
    ys = [row.function(*xs)]
    nodes = graph(ys)
    for _ in range(2):
        seeds = [mg.Variable(np.full(y.shape, 0.5, y.dtype), requires_grad=True) for y in ys]
        ys = [y for y in mg.grad(ys, leaves, seeds, create_graph=True, allow_unused=True) if y is not None]
        leaves += seeds
        nodes |= graph(ys)
    return nodes


TABLE = [
    *ROWS,
    Row("cast", lambda x: x.float(), ((2, 3),)),
    Row("a loss of nothing", mg.nn.functional.cross_entropy, ((2, 3), np.array([-100, -100]))),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_nodes_hide_no_arrays(row):
    nodes = nodes_of(row)
    assert nodes
    assert [(node.name, hidden(node)) for node in nodes if hidden(node)] == []


class Hiding(mg.Function):
    def __init__(self, hide):
        self.hide = hide

    def forward(self, x):
        self.fact = self.hide(x)
        return x * 2

    def backward(self, gy):
        return gy * 2


@pytest.mark.parametrize(
    "hide",
    [
        lambda x: x,
        lambda x: x.sum(),
        lambda x: [(0, x)],
        lambda x: {"x": {1: x}},
        lambda x: lambda: x,
        lambda x: lambda y=x: y,
        lambda x: functools.partial(sum, x),
        lambda x: type("Box", (), {"__init__": lambda self: setattr(self, "x", x)})(),
        mg.Variable,
    ],
)
def test_hidden_arrays_are_found(hide):
    y = Hiding(hide)(mg.ones(2, requires_grad=True)) * 3
    assert [hidden(node) for node in graph([y]) if hidden(node)] == [["fact"]]


def functions_of_minigrad(kind=mg.Function):
    for cls in kind.__subclasses__():
        of_a_gpu = cls.__qualname__ == kind.__qualname__  # the same operation, with other kernels
        if cls.__module__.startswith("minigrad.") and not of_a_gpu:
            yield cls
            yield from functions_of_minigrad(cls)


def test_every_operation_is_in_the_table():
    seen = {type(node) for row in TABLE for node in nodes_of(row)}
    missing = {cls for cls in functions_of_minigrad() if cls not in seen and cls.forward is not mg.Function.forward}
    assert sorted(cls.__qualname__ for cls in missing) == []
