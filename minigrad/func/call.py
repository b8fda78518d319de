"""Call: a function is run, recorded, on aliases of its arguments. What every transform begins with.

An alias shares the array of what came in. Where that is itself recorded, so is the alias, and derivatives can be
differentiated by whatever lies outside: transforms nest. Where it is not, the alias is a leaf of this call alone, and
is kept out of sight: results that depend on nothing else are given out without a history.
"""

import sys

from ..backend import around, backend, device_of, moved
from ..containers import leaves, leaves_like, paths, rebuilt
from ..errors import DTypeError, IndexRangeError, MinigradError, ShapeError
from ..ops.create import as_tensor, zeros_like
from ..tape import Variable, as_array, enable_grad, is_grad_enabled
from ..tape import grad as gradients
from ..tape.function import Alias
from ..tape.versions import tick


class Leaf(Variable):
    """An alias of an argument that is not recorded outside: a leaf of one call."""

    born = 0


class Call:
    """One call of `func`, recorded.

    Args:   name - of the transform, for messages.
            argnums - the positions of the arguments whose derivatives are wanted, an int or several; None for all.
            has_aux - func returns (output, aux): aux is handed through.
    Holds:  chosen - these arguments; xs - the aliases of their leaves; output; ys - its leaves.
            connected - should what is computed from ys be recorded?
    """

    def __init__(self, name, func, args, kwargs=None, argnums=None, has_aux=False):
        self.name, self.recorded, self.begin = name, is_grad_enabled(), tick()
        single, positions = _positions(name, argnums, len(args))
        args, self.xs = list(args), []
        self.chosen = args[positions[0]] if single else tuple(args[i] for i in positions)
        for i in positions:
            xs = self._entered(args[i], f"argument {i}")
            args[i] = rebuilt(args[i], xs)
            self.xs += xs
        with enable_grad():
            result = func(*args, **(kwargs or {}))
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise DTypeError(
                    f"{name}: with has_aux=True func must return a pair (output, aux); it returned {_kind(result)}"
                )
            result, self.aux = result
        self.output, self.ys = result, leaves(result)
        for y, path in zip(self.ys, paths(result, "the output"), strict=True):
            if not isinstance(y, Variable):
                raise DTypeError(f"{name}: {path} of func must be a Variable, and is {_kind(y)}")
        self.connected = self.recorded and self._leads_out(self.ys)

    def _entered(self, arg, root):
        return [_alias(self.name, x, path, self) for x, path in zip(leaves(arg), paths(arg, root), strict=True)]

    def _leads_out(self, ys):
        """True if `ys` were computed from a leaf that requires grad and is no other than this call's."""
        edges = [y.edge for y in ys if y.tracked]
        seen = set(edges)
        while edges:
            edge = edges.pop()
            if edge.order:
                fresh = {e for e in edge.edges if e is not None and e not in seen}
                seen |= fresh
                edges += fresh
            elif not isinstance(edge, Leaf) or edge.born < self.begin:
                return True
        return False

    def released(self, tree):
        """`tree` as it is given out: without the history that ends in this call."""
        return rebuilt(tree, map(self._released, leaves(tree)))

    def _released(self, y):
        if not isinstance(y, Variable) or not y.tracked:
            return y
        return y if self.recorded and self._leads_out([y]) else y.detach()

    def close(self):
        """Nothing but what this call itself computes depends on its leaves any more."""
        for x in self.xs:
            if isinstance(x, Leaf):
                x.born = sys.maxsize

    # --- derivatives ---------------------------------------------------------------------------------------------

    def pulled(self, seeds, create_graph, retain_graph=None):
        """The gradients at `xs`, of the outputs times `seeds`."""
        return derivatives(zip(self.ys, seeds, strict=True), self.xs, create_graph, retain_graph)

    def transposed(self):
        """(us, gs): the gradients gs at `xs` for gradients us of the outputs, recorded as a function of us.

        It is linear, and its matrix is the transposed Jacobian. So its derivative by us, anywhere, is the Jacobian.
        """
        us = []
        for y in self.ys:
            u = Leaf(zeros_like(y).data, requires_grad=y.tracked)
            u.born = tick()
            us.append(u)
        with enable_grad():
            return us, self.pulled(us, create_graph=True, retain_graph=True)

    def pushed(self, us, pairs, create_graph, retain_graph=None):
        """The derivatives of the outputs along tangents; `pairs` are (one of gs, its tangent)."""
        found = iter(derivatives(pairs, [u for u in us if u.tracked], create_graph, retain_graph))
        return [next(found) if u.tracked else zeros_like(y) for u, y in zip(us, self.ys, strict=True)]


def derivatives(pairs, xs, create_graph=False, retain_graph=None):
    """The gradients of `pairs` (output, its gradient) at `xs`; zeros where the outputs do not depend on them."""
    found: tuple = (None,) * len(xs)
    pairs = [(y, seed) for y, seed in pairs if y.tracked]
    if pairs and xs:
        ys, seeds = zip(*pairs, strict=True)
        found = gradients(ys, xs, seeds, retain_graph, create_graph, allow_unused=True)
    return [zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)]


def matched(name, tree, like, variables, root):
    """The leaves of `tree`, which must be as those of `like`, that is as `variables`: in number, shape and dtype.

    Raises: ShapeError or DTypeError, which names the place.
    """
    found = leaves_like(tree, like, name, root)
    places = zip(found, variables, paths(like, root), strict=True)
    return [_fitting(name, x, y, path) for x, y, path in places]


def _fitting(name, x, y, path):
    if not hasattr(x, "dtype"):  # a number
        array = _array(name, x, path)
        x = Variable(moved(array.astype(y.dtype), device_of(y.data)))
    if x.shape != y.shape:
        raise ShapeError(f"{name}: {path} must have shape {y.shape}, as what it belongs to, and has {x.shape}")
    if x.dtype != y.dtype:
        raise DTypeError(f"{name}: {path} must be {y.dtype}, as what it belongs to, and is {x.dtype}; convert it")
    return x if isinstance(x, Variable) else Variable(x)


def unit(y, k):
    """The k-th unit vector, in the shape of y."""
    with around(y.data):
        e = backend[type(y.data)].xp.zeros(y.data.size, y.dtype)
        e[k] = 1
        return Variable(e.reshape(y.shape))


def _alias(name, x, path, call):
    if not isinstance(x, Variable):
        array = _array(name, x, path)
        x = Variable(array) if hasattr(x, "dtype") else as_tensor(array)
    if x.dtype.kind != "f":
        raise DTypeError(
            f"{name}: {path} is {x.dtype}, and only floats have derivatives; convert it, as in x.float(), "
            "or choose other arguments with argnums"
        )
    if call.recorded and x.tracked:
        return Alias()(x)
    alias = Leaf(x.data, requires_grad=True)
    alias.born = tick()
    return alias


def _array(name, x, path):
    try:
        return as_array(x)
    except MinigradError:
        raise DTypeError(
            f"{name}: {path} must be a Variable, an array or a number, or these in containers, and is {_kind(x)}"
        ) from None


def _kind(x):
    return f"a {type(x).__name__}"


def _positions(name, argnums, count):
    """(one number?, the positions) that `argnums` means among `count` arguments."""
    if argnums is None:
        return False, list(range(count))
    single = hasattr(argnums, "__index__")
    numbers = [argnums] if single else list(argnums)
    for n in numbers:
        if not -count <= n < count:
            raise IndexRangeError(f"{name}: argnums {argnums} with {count} positional arguments: there is no {n}")
    positions = [n % count for n in numbers]
    if not positions or len(set(positions)) < len(positions):
        raise IndexRangeError(f"{name}: argnums must name at least one argument, and each once, got {argnums}")
    return single, positions
