"""The same gradient in other circumstances: memory layouts, repeated backward, shared inputs, sizes of 0 and 1.

Each variant is a function of (subject, gradients, rng) that yields pairs (leaf, complaint), and nothing where it does
not apply. What is compared is the tape with itself; where shapes change, the tape with differences.
"""

import numpy as np

from ..backend import backend
from ..errors import MinigradError
from ..tape import Variable
from ..tape.observers import Observing
from .compare import unlike
from .differences import Sizes
from .leaves import changed, values
from .subject import Subject


def _differences(subject, found, expected):
    """Pairs (leaf, how far off) where `found` is not `expected`."""
    for leaf, at, a, b in unlike(subject, found, expected):
        yield leaf, f"{a:.6g} at {list(at)}, and {b:.6g} otherwise"


def _gradients_at(subject, points):
    """The gradients at other points; None where the function is not defined there."""
    try:
        values_there = subject.contributions(points)
    except (MinigradError, ValueError, ArithmeticError):  # a singular matrix, say
        return None
    gradients = subject.gradients(points)
    return gradients if all(np.isfinite(a).all() for a in [values_there, *gradients]) else None


def _relaid(array, how):
    """`array` in other memory."""
    xp = backend[type(array)].xp
    if not array.ndim:
        return array
    if how == "transposed":
        return xp.ascontiguousarray(array.T).T
    if how == "negative stride":
        return xp.ascontiguousarray(array[..., ::-1])[..., ::-1]
    room = xp.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    room[..., ::2] = array
    return room[..., ::2]


LAYOUTS = ("transposed", "negative stride", "every other element")


def layouts(subject, gradients, rng):
    """Leaves that are not contiguous."""
    for how in LAYOUTS:
        found = subject.gradients(prepare=lambda _, array, how=how: _relaid(array, how))
        for leaf, off in _differences(subject, found, gradients):
            yield leaf, f"with {how} memory it is {off}"


def expanded(subject, gradients, rng):
    """Leaves of which all elements along an axis are one in memory."""
    ks = [k for k, leaf in enumerate(subject.leaves) if leaf.point.ndim and leaf.point.shape[0] > 1]
    for k in ks:
        points = [leaf.point for leaf in subject.leaves]
        points[k] = np.broadcast_to(points[k][:1], points[k].shape)
        expected = _gradients_at(subject, points)
        if expected is None:
            continue

        def spread(number, array, k=k):
            return backend[type(array)].xp.broadcast_to(array[:1], array.shape) if number == k else array

        for leaf, off in _differences(subject, subject.gradients(points, prepare=spread), expected):
            yield leaf, f"with {subject.leaves[k].path} expanded it is {off}"


def incoming(subject, gradients, rng):
    """Incoming gradients that are not contiguous, or zero; they are not changed."""
    for how in LAYOUTS:
        with subject.recorded() as outputs:
            seeds = [Variable(_relaid(subject.seed(w, y), how)) for w, y in zip(subject.weights, outputs, strict=True)]
            before = [values(seed) for seed in seeds]
            found = subject.backward(outputs, seeds)
        for leaf, off in _differences(subject, found, gradients):
            yield leaf, f"for an incoming gradient with {how} memory it is {off}"
        if any(not np.array_equal(values(seed), b, equal_nan=True) for seed, b in zip(seeds, before, strict=True)):
            yield subject.leaves[0], "backward changes the incoming gradient in place"
    with subject.recorded() as outputs:
        reverse = subject.backward(outputs, [-w for w in subject.weights])
    for leaf, off in _differences(subject, [-g for g in reverse], gradients):
        yield leaf, f"for the incoming gradient times -1, it times -1 is {off}"
    with subject.recorded() as outputs:
        nothing = subject.backward(outputs, [0 * w for w in subject.weights])
    for leaf, g in zip(subject.leaves, nothing, strict=True):
        if g.any():
            yield leaf, "it is not zero for an incoming gradient of zeros"


def repeated(subject, gradients, rng):
    """A second backward through the same graph."""
    with subject.recorded() as outputs:
        first = subject.backward(outputs, retain_graph=True)
        second = subject.backward(outputs)
    for leaf, off in _differences(subject, second, first):
        yield leaf, f"in a second backward it is {off}"


def accumulated(subject, gradients, rng):
    """backward() adds to the grad that is there; the leaves themselves are not changed."""
    kept = [leaf.variable.grad for leaf in subject.leaves]
    there = {id(leaf): g for leaf, g in zip(subject.leaves, gradients, strict=True)}
    try:
        with subject.recorded() as outputs:
            for leaf in subject.leaves:
                leaf.variable.grad = Variable(leaf.array(there[id(leaf)], None))
            before = [values(leaf.variable) for leaf in subject.leaves]
            for y, w in zip(outputs, subject.weights, strict=True):
                if y.requires_grad:
                    y.backward(Variable(subject.seed(w, y)), retain_graph=True)
            found = [values(leaf.variable.grad) for leaf in subject.leaves]
            after = [values(leaf.variable) for leaf in subject.leaves]
    finally:
        for leaf, grad in zip(subject.leaves, kept, strict=True):
            leaf.variable.grad = grad
    for leaf, off in _differences(subject, found, [2 * g for g in gradients]):
        yield leaf, f"with backward() adding to the same gradient, it is {off}"
    for leaf, a, b in zip(subject.leaves, after, before, strict=True):
        if not np.array_equal(a, b, equal_nan=True):
            yield leaf, "forward or backward changes the leaf in place"


def unused(subject, gradients, rng):
    """One output used alone, and the others with gradients of zeros."""
    if len(subject.outputs) < 2:
        return
    for i in range(min(len(subject.outputs), 4)):
        with subject.recorded() as outputs:
            alone = subject.backward(outputs, [w if j == i else None for j, w in enumerate(subject.weights)])
        with subject.recorded() as outputs:
            zeros = subject.backward(outputs, [w if j == i else 0 * w for j, w in enumerate(subject.weights)])
        for leaf, off in _differences(subject, alone, zeros):
            yield leaf, f"where output {i} alone is used it is {off}"


def shared(subject, gradients, rng):
    """f(x, x), and two inputs in the same memory."""
    inputs = [k for k, leaf in enumerate(subject.leaves) if leaf.path.startswith("input")]
    pairs = [(a, b) for a in inputs for b in inputs if a < b]
    for a, b in pairs:
        one, other = subject.leaves[a], subject.leaves[b]
        if one.point.shape != other.point.shape or one.dtype != other.dtype or one.device != other.device:
            continue
        points = [leaf.point for leaf in subject.leaves]
        points[b] = points[a]
        apart = _gradients_at(subject, points)
        if apart is None:
            continue
        place: dict = {}
        found = subject.gradients(
            points,
            prepare=lambda k, array, a=a, b=b, place=place: (
                place.setdefault(min(k, a), array) if k in (a, b) else array
            ),
        )
        for leaf, off in _differences(subject, found, apart):
            yield leaf, f"with {one.path} and {other.path} in the same memory it is {off}"
        apart[a], apart[b] = apart[a] + apart[b], 0 * apart[b]
        found = subject.gradients(points, replace={id(other.variable): one.variable})
        for leaf, off in _differences(subject, found, apart):
            yield leaf, f"as f(x, x) with {one.path} for {other.path} too it is {off}"


VARIANTS = {
    "layouts": layouts,
    "expanded": expanded,
    "incoming gradients": incoming,
    "repeated backward": repeated,
    "accumulation": accumulated,
    "unused outputs": unused,
    "shared inputs": shared,
}


def resized(subject, rng):
    """Pairs (name, subject): the function at inputs of sizes 1 and 0 and without axes, where it takes them."""
    # Not on a GPU, where an index that a smaller input does not have wraps silently.
    inputs = [leaf for leaf in subject.leaves if leaf.path.startswith("input") and leaf.device.type == "cpu"]
    changes = {}
    for leaf in inputs:
        for axis in {0, leaf.point.ndim - 1} if leaf.point.ndim else ():
            if leaf.point.shape[axis] > 1:
                cut = (slice(None),) * axis + (slice(1),)
                changes[f"{leaf.path} of size 1 along axis {axis}"] = {id(leaf.variable): leaf.point[cut]}
        if leaf.point.ndim and leaf.point.size:
            changes[f"{leaf.path} without axes"] = {id(leaf.variable): leaf.point.reshape(-1)[0]}
    full = [leaf for leaf in inputs if leaf.point.ndim and leaf.point.size]
    if full:
        changes["all without axes"] = {id(leaf.variable): leaf.point.reshape(-1)[0] for leaf in full}
        changes["all empty"] = {id(leaf.variable): leaf.point[:0] for leaf in full}
    by_id = {id(leaf.variable): leaf for leaf in inputs}
    for name, points in changes.items():
        new = {key: Variable(by_id[key].array(point, None), requires_grad=True) for key, point in points.items()}

        def change(x, new=new):
            return new.get(id(x), x)

        sizes = Sizes()
        try:
            with Observing(sizes):
                other = Subject(subject.fn, changed(subject.args, change), changed(subject.kwargs, change), rng)
                total = other.contributions([leaf.point for leaf in other.leaves])
        except Exception:  # noqa: BLE001 - a function may refuse a shape in any way: then there is nothing to check
            continue
        if other.on_the_tape and sizes.finite and np.isfinite(total).all():
            yield name, other
