"""Ways to break a gradient. Each is a function and its inputs; `local` says that one operation of the tape is to blame.

Beside each, the same function unbroken: a checker must tell the two apart.
"""

from dataclasses import dataclass

import numpy as np

import minigrad as mg
from minigrad.tape import Function


@dataclass
class Mutation:
    name: str
    wrong: object
    right: object
    shapes: tuple
    op: str | None = "broken"  # the operation to blame; None where no single one is

    def inputs(self, seed=0, dtype="float64"):
        draw = np.random.default_rng(seed)
        return [mg.tensor(draw.normal(size=s).astype(dtype), requires_grad=True) for s in self.shapes]


def operation(forward, backward, name="broken"):
    """A function made of two formulas; each call is a node of its own."""
    cls = type("Broken", (Function,), {"forward": forward, "backward": backward, "name": name})
    return lambda *xs: cls()(*xs)


def pair(forward, wrong, right):
    return operation(forward, wrong), operation(forward, right)


def one_element(g, factor):
    """g with one element of many times a factor."""
    weight = np.ones(g.shape, g.dtype)
    weight.reshape(-1)[1234] = factor
    return g * weight


def rows_of(g, keep):
    weight = np.ones((len(g), 1), g.dtype)
    weight[-1] = keep
    return g * weight


def picked(x):
    return x[np.array([0, 2, 0, 1])]


def overwriting(self, gy, x):
    g = np.zeros(x.shape, x.dtype)
    g[np.array([0, 2, 0, 1])] = gy
    return g


def adding(self, gy, x):
    g = np.zeros(x.shape, x.dtype)
    np.add.at(g, np.array([0, 2, 0, 1]), gy)
    return g


class Stale:
    """An operation that keeps its operand in memory of its own, which the next call overwrites."""

    def __init__(self, copies):
        self.copies, self.kept = copies, None

    def __call__(self, x):
        outer = self

        class Broken(Function):
            name = "broken"

            def forward(self, x):
                if outer.copies or outer.kept is None or outer.kept.shape != x.shape or outer.kept.dtype != x.dtype:
                    outer.kept = x.copy()
                outer.kept[...] = x
                self.memory = outer.kept  # hidden from the tape, which would notice the overwriting
                return x * x * x

            def backward(self, gy):
                return gy * 3 * self.memory * self.memory

        return Broken()(x)


def softmax_of(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def normalized(factor):
    """Batch norm without parameters, its gradient times `factor`."""

    def forward(self, x):
        return (x - x.mean(0)) / x.std(0)

    def backward(self, gy, x, y):
        n = x.shape[0]
        gx = gy - gy.sum(axis=0) / n - y * ((gy * y).sum(axis=0) / n)
        spread = ((x - x.mean(axis=0)) ** 2).mean(axis=0) ** 0.5
        return gx / spread * factor

    return operation(forward, backward)


def stale(copies):
    call = Stale(copies)
    return lambda a, b: call(a) * b + call(b)


def beside(op):
    """`op` in the middle of a network."""
    return lambda *xs: (op(*(x.tanh() for x in xs)) * 1.5).exp().sum()


MUL = lambda self, a, b: a * b  # noqa: E731
CUBE = lambda self, x: x**3  # noqa: E731

MUTATIONS = [
    Mutation(
        "factor 2 dropped",
        *pair(lambda self, x: x * x, lambda s, gy, x: gy * x, lambda s, gy, x: gy * x * 2),
        ((3, 4),),
    ),
    Mutation(
        "wrong sign",
        *pair(MUL, lambda s, gy, a, b: (gy * b, -gy * a), lambda s, gy, a, b: (gy * b, gy * a)),
        ((3, 4), (3, 4)),
    ),
    Mutation(
        "no sum over a broadcast axis",
        *pair(MUL, lambda s, gy, a, b: (gy * b, (gy * a)[0]), lambda s, gy, a, b: (gy * b, (gy * a).sum(axis=0))),
        ((3, 4), (4,)),
    ),
    Mutation(
        "mean for a sum",
        *pair(
            MUL, lambda s, gy, a, b: (gy * b, (gy * a).mean(axis=0)), lambda s, gy, a, b: (gy * b, (gy * a).sum(axis=0))
        ),
        ((3, 4), (4,)),
    ),
    Mutation(
        "transposed",
        *pair(
            lambda self, a, b: a @ b,
            lambda s, gy, a, b: ((gy @ b.swapaxes(0, 1)).swapaxes(0, 1), a.swapaxes(0, 1) @ gy),
            lambda s, gy, a, b: (gy @ b.swapaxes(0, 1), a.swapaxes(0, 1) @ gy),
        ),
        ((4, 4), (4, 4)),
    ),
    Mutation("detached term", lambda x: x * x.detach(), lambda x: x * x, ((3, 4),), op=None),
    Mutation("overwritten, not accumulated", *pair(lambda self, x: picked(x), overwriting, adding), ((3, 4),)),
    Mutation(
        "one of 4096 off by 0.1 %",
        *pair(
            lambda self, x: 2 * x + 0.1 * np.sin(x),
            lambda s, gy, x: one_element(gy * (mg.cos(x) * 0.1 + 2), 1.001),
            lambda s, gy, x: gy * (mg.cos(x) * 0.1 + 2),
        ),
        ((64, 64),),
    ),
    Mutation(
        "a zeroed row",
        *pair(CUBE, lambda s, gy, x: rows_of(gy * x * x * 3, 0.0), lambda s, gy, x: gy * x * x * 3),
        ((64, 64),),
    ),
    Mutation(
        "scaled by 1e-6, gradient zero",
        *pair(lambda self, x: x * 1e-6, lambda s, gy: gy * 0, lambda s, gy: gy * 1e-6),
        ((3, 4),),
    ),
    Mutation(
        "scaled by 1e-6, sign wrong",
        *pair(lambda self, x: x * 1e-6, lambda s, gy: gy * -1e-6, lambda s, gy: gy * 1e-6),
        ((3, 4),),
    ),
    Mutation(
        "softmax times 17",
        *pair(
            lambda self, x: softmax_of(x),
            lambda s, gy, y: (gy * y - y * (gy * y).sum()) * 17,
            lambda s, gy, y: gy * y - y * (gy * y).sum(),
        ),
        ((6,),),
    ),
    Mutation("batch norm times 42", normalized(42.0), normalized(1.0), ((8, 3),)),
    Mutation("stale saved value", stale(copies=False), stale(copies=True), ((3, 4), (3, 4)), op=None),
    Mutation("gy left out", *pair(CUBE, lambda s, gy, x: x * x * 3, lambda s, gy, x: gy * x * x * 3), ((5,),)),
    Mutation(
        "inputs exchanged",
        *pair(MUL, lambda s, gy, a, b: (gy * a, gy * b), lambda s, gy, a, b: (gy * b, gy * a)),
        ((3, 4), (3, 4)),
    ),
    Mutation(
        "a gradient of None",
        *pair(MUL, lambda s, gy, a, b: (gy * b, None), lambda s, gy, a, b: (gy * b, gy * a)),
        ((3, 4), (3, 4)),
    ),
    Mutation("NaN", *pair(CUBE, lambda s, gy, x: gy * x * x * np.nan, lambda s, gy, x: gy * x * x * 3), ((5,),)),
    Mutation(
        "off by 1e-4", *pair(CUBE, lambda s, gy, x: gy * x * x * 3.0003, lambda s, gy, x: gy * x * x * 3), ((5,),)
    ),
]
