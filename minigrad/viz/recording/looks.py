"""Looking through arrays: their statistics, and where they hold a NaN or an infinity. On the device where they lie.

NumPy's warnings are off meanwhile: the program has had its own.
"""

from typing import NamedTuple

import numpy as np

from ...backend import around, backend
from ...tape import Function
from ...tape.anomaly import holds

NAN, INF = "NaN", "inf"


class Look(NamedTuple):
    """A step of which something is not finite: which kinds its results hold, and its operands.

    Forward, the operands are told by the number of the input. Backward, `came` are the kinds in the incoming gradient,
    `operands` those of the saved values by their place (-1: the output), `made` those of the gradients by the number
    of the input.
    """

    kinds: str  # "NaN", "inf" or both
    text: str  # how many, and where first
    operands: dict
    number: bool = False  # an operand or a fact that is a number is not finite either
    came: str = ""
    made: dict = {}


def kinds_in(x) -> str:
    """Which of NaN and inf the array or number holds: "", "NaN", "inf" or "NaN inf"."""
    if isinstance(x, (list, tuple)):
        try:
            x = np.asarray(x, dtype=np.float64)
        except (ValueError, TypeError):
            return ""  # a list of lists of unequal lengths, of texts: forward has refused it
    if getattr(getattr(x, "dtype", None), "kind", None) == "f":
        with around(x):
            if bool(backend[type(x)].xp.isfinite(x).all()):
                return ""
    elif type(x) is not float:
        return ""
    return " ".join(kind for kind in (NAN, INF) if holds(x, kind))


def looked_forward(node, outputs, operands):
    """The Look at what `node` has computed; None where all of it is finite."""
    i, bad = next(((i, y) for i, y in enumerate(outputs) if kinds_in(y)), (0, None))
    if bad is None:
        return None
    found = {k: kinds for k, x in enumerate(operands) if hasattr(x, "shape") and (kinds := kinds_in(x))}
    text = _counted(bad) + (f" of output {i}" if len(outputs) > 1 else "")
    return Look(kinds_in(bad), text, found, _has_number(node, operands))


def looked_backward(node, incoming, gradients, saved):
    """The Look at the gradients {number of the input: array} that `node` has computed; None where all is finite.

    Args: saved - pairs (place, array).
    """
    came = _joined(map(kinds_in, incoming))
    made = {i: kinds for i, g in gradients.items() if (kinds := kinds_in(g))}
    if not came and not made:
        return None
    first = min(made, key=lambda i: (NAN not in made[i], i), default=None)
    text = "" if first is None else _counted(gradients[first])
    found: dict = {}
    for place, x in saved if made else ():
        kinds = kinds_in(x)
        if kinds:
            found[place] = kinds
    return Look(_joined(made.values()), text, found, False, came, made)


def _joined(kinds):
    found = [*kinds]
    return " ".join(kind for kind in (NAN, INF) if any(kind in text for text in found))


def _has_number(node, operands):
    facts = [x for name, x in vars(node).items() if not hasattr(Function, name) and name not in node.derived]
    return any(kinds_in(x) for x in (*facts, *(x for x in operands if not hasattr(x, "shape"))) if type(x) is float)


def _counted(x):
    """How many of the elements are NaN, and where first; or infinite, if there is no NaN."""
    xp = backend[type(x)].xp
    with around(x):
        nan, inf = xp.isnan(x), xp.isinf(x)
        counts = int(nan.sum()), int(inf.sum())
        first = int((nan if counts[0] else inf).reshape(-1).argmax())
    where = tuple(map(int, np.unravel_index(first, x.shape)))
    text = f"in {counts[0] or counts[1]} of {x.size} elements" + (f", first at {where}" if where else "")
    return text + (f"; and {INF} in {counts[1]}" if all(counts) else "")


def statistics_of(arrays) -> dict:
    """Mean, standard deviation and largest absolute value of all numbers in arrays of floats."""
    found = _floats(arrays)
    size = sum(x.size for x in found)
    if not size:
        return {}
    with np.errstate(all="ignore"):
        mean = _total(found, lambda x: x.sum()) / size
        spread = _total(found, lambda x: ((x - mean) ** 2).sum()) / size
        # NaN where there is one: max() of Python would depend on the order
        largest = max((_total([x], lambda x: abs(x).max()) for x in found), key=lambda x: (x != x, x))
    return {"mean": mean, "std": spread**0.5, "max": largest}


def statistics_of_gradients(arrays) -> dict:
    """Norm and mean absolute value of gradients."""
    found = _floats(arrays)
    if not found:
        return {}
    with np.errstate(all="ignore"):
        mean = _total(found, lambda x: abs(x).sum()) / sum(x.size for x in found)
    return {"grad_norm": norm(found), "grad_mean": mean}


def norm(arrays) -> float:
    """The Euclidean norm of all numbers in arrays of floats."""
    with np.errstate(all="ignore"):
        return _total(_floats(arrays), lambda x: (x * x).sum()) ** 0.5


def _total(arrays, part):
    """The sum of part(x) over the arrays, in float64: float16 would overflow."""
    total = 0.0
    for x in arrays:
        with around(x):
            total += float(part(x.astype("float64")))
    return total


def _floats(arrays):
    return [x for x in arrays if getattr(getattr(x, "dtype", None), "kind", None) == "f" and x.size]
