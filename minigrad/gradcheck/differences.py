"""The numerical side: directional derivatives by central differences, each with an error bar of its own.

Two steps h and h/2 give two differences. Extrapolated they are the derivative; how far they lie apart, plus the
rounding of the outputs, is the error bar. Nothing is compared with a fixed tolerance.
"""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from ..backend import backend
from ..tape import raw
from ..tape.observers import Observer, Observing

EPS = float(np.finfo(np.float64).eps)
STEPS = (1e-5, 1e-4, 1e-3, 1e-6, 1e-8)  # in the order in which they are tried, relative to the size of the values
PRECISE = 1e-6  # error bars below this share of a typical element's part: no other step is tried
CLOSE = 4.0  # error bars


@dataclass
class Step:
    """One central difference, at step `h`."""

    h: float
    parts: np.ndarray  # contributions of the outputs to the slope
    bend: float  # the slope to the right less the slope to the left
    noise: float  # what rounding of the outputs makes of the slope

    @property
    def slope(self):
        """The difference quotient."""
        return float(self.parts.sum())


@dataclass
class Estimate:
    """A derivative along a direction: value +- error, from `coarse` at step h and `fine` at h/2."""

    coarse: Step
    fine: Step

    def __post_init__(self):
        coarse, fine = self.coarse.slope, self.fine.slope
        self.value = (4 * fine - coarse) / 3
        self.error = abs(fine - coarse) + self.coarse.noise

    def agrees(self, analytic, slack=0.0) -> bool:
        """True if `analytic` lies within the error bars."""
        return abs(analytic - self.value) <= CLOSE * self.error + slack

    def is_bent(self) -> bool:
        """True if the slopes to both sides differ as they do at a kink: half the step does not halve the difference."""
        coarse, fine = abs(self.coarse.bend), abs(self.fine.bend)
        return fine > 64 * self.coarse.noise and coarse < 1.4 * fine


class Sizes(Observer):
    """What passes through the operations of a run: the largest absolute value, the coarsest precision."""

    def __init__(self):
        self.largest, self.eps, self.finite = 0.0, 0.0, True

    def ran(self, node, operands, edges, result):
        for y in result if isinstance(result, tuple) else (result,):
            array = raw(y)
            if getattr(array, "dtype", None) is None or array.dtype.kind != "f" or not array.size:
                continue
            array = backend[type(array)].to_numpy(array)
            self.eps = max(self.eps, float(np.finfo(array.dtype).eps))
            known = np.isfinite(array)
            self.finite &= bool(known.all())
            self.largest = max(self.largest, float(np.abs(array[known]).max(initial=0.0)))


class Results(Observer):
    """The results of the operations of a run, in their order."""

    def __init__(self):
        self.found = []

    def ran(self, node, operands, edges, result):
        arrays = (raw(y) for y in (result if isinstance(result, tuple) else (result,)))
        self.found.append([np.array(backend[type(a)].to_numpy(a)) for a in arrays])


class Roundings(Results):
    """What the rounding of values on the way makes of the outputs: eps |value * gradient|, of each operation's result.

    An output may be a small difference of large values, and its own size does not tell. Where the gradient is 0, as
    of masked elements, rounding does not matter.
    """

    def __init__(self):
        super().__init__()
        self.places = {}  # node -> its place in `found`
        self.parts = {}  # (place, number of the result) -> array

    def ran(self, node, operands, edges, result):
        self.places[node] = len(self.found)
        super().ran(node, operands, edges, result)

    def returned(self, node, gy, gradients):
        place = self.places.get(node)
        for i, g in gy.parts.items() if hasattr(gy, "parts") else [(0, gy)]:
            y = None if place is None else self.found[place][i]
            if y is not None and y.dtype.kind == "f":
                part = np.abs(np.asarray(y, np.float64) * backend[type(raw(g))].to_numpy(raw(g)))
                part = float(np.finfo(y.dtype).eps) * np.nan_to_num(part, posinf=0.0)
                self.parts[place, i] = self.parts.get((place, i), 0.0) + part

    def moved(self, results) -> float:
        """The roundings of the values that are others in `results`, those of another run.

        What is rounded to float16, say, may stay as it is only because of that: it counts too.
        """
        total = 0.0
        for (place, i), part in self.parts.items():
            if place < len(results):
                here, there = self.found[place][i], results[place][i]
                whole = here.shape != there.shape or here.dtype != np.float64
                total += float((part**2).sum() if whole else (part[here != there] ** 2).sum())
        return 2 * total**0.5


class Differences:
    """Differences of a subject at a point.

    Args:  points - arrays of float64, one per leaf (default: where the leaves are).
    Holds: size - of the outputs. scales - arrays, the size of a step for each element.
    """

    def __init__(self, subject, points=None):
        self.subject = subject
        self.points = points or [leaf.point for leaf in subject.leaves]
        self.base = subject.base if points is None and subject.base is not None else subject.contributions(self.points)
        self.size = float(np.linalg.norm(self.base))
        self.scales = [scale_of(p) for p in self.points]

    def step(self, k, direction, h, observers=()) -> Step:
        """The difference along a direction of leaf k, which is in units of the leaf's scale.

        Args: observers - of its runs.
        """
        ends = []
        for sign in (1, -1):
            points = list(self.points)
            points[k] = self.points[k] + sign * h * self.scales[k] * direction
            with Observing(*observers) if observers else nullcontext():
                ends.append(self.subject.contributions(points))
        forth, back = ends
        moved = (forth != self.base) | (back != self.base)  # outputs that stay where they are bring no noise
        size = float(np.linalg.norm(self.base[moved])) if moved.any() else self.size
        bend = float((forth - 2 * self.base + back).sum()) / h
        return Step(h, (forth - back) / (2 * h), bend, 2 * self.subject.eps * size / h)

    def estimate(self, k, direction, typical) -> Estimate | None:
        """The derivative along a direction, by the step that gives the smallest error bar; None: it is not finite.

        Args: typical - the size of one element's part in it: the measure of a good error bar.
        """
        best = None
        for h in STEPS:
            found = Estimate(self.step(k, direction, h), self.step(k, direction, h / 2))
            if not np.isfinite(found.error):
                continue
            if best is None or found.error < best.error:
                best = found
            if best.error <= PRECISE * typical:
                break
        return best


def scale_of(point):
    """For each element, what is a step of size 1: its own size, or that of its neighbors where it is small."""
    size = np.abs(point)
    filled = size[size > 0]
    return np.maximum(size, np.median(filled) if filled.size else 1.0)
