"""The numerical side: directional derivatives by central differences, each with an error bar of its own.

Two steps h and h/2 give two differences. Extrapolated they are the derivative; how far they lie apart, plus the
rounding of the outputs, is the error bar. Nothing is compared with a fixed tolerance.
"""

from dataclasses import dataclass

import numpy as np

EPS = float(np.finfo(np.float64).eps)
STEPS = (1e-5, 1e-4, 1e-3, 1e-6, 1e-8)  # in the order in which they are tried, relative to the size of the values
PRECISE = 1e-6  # error bars below this share of a typical element's part: no other step is tried
CLOSE = 4.0  # error bars


@dataclass
class Estimate:
    """A derivative along a direction: value +- error, at step `h`.

    `bends` are the differences between the slopes to both sides, at steps h and h/2.
    """

    value: float
    error: float
    h: float
    bends: tuple = (0.0, 0.0)

    def agrees(self, analytic, slack=0.0) -> bool:
        """True if `analytic` lies within the error bars."""
        return abs(analytic - self.value) <= CLOSE * self.error + slack


class Differences:
    """Differences of a subject at a point.

    Args: points - arrays of float64, one per leaf (default: where the leaves are).
    """

    def __init__(self, subject, points=None):
        self.subject = subject
        self.points = points or [leaf.point for leaf in subject.leaves]
        self.base = subject.contributions(self.points)
        self.size = float(np.linalg.norm(self.base))
        self.scales = [scale_of(p) for p in self.points]

    def along(self, k, direction, h):
        """(contributions to the derivative, contributions to the difference of the two slopes) of leaf k.

        Each is an array over all outputs; `direction` is in units of the leaf's scale.
        """
        step = h * self.scales[k] * direction
        ends = []
        for sign in (1, -1):
            points = list(self.points)
            points[k] = self.points[k] + sign * step
            ends.append(self.subject.contributions(points))
        forth, back = ends
        return (forth - back) / (2 * h), (forth - 2 * self.base + back) / h

    def noise(self, h) -> float:
        """What rounding of the outputs makes of a difference."""
        return 2 * self.subject.eps * self.size / h

    def at(self, k, direction, h) -> Estimate:
        """The derivative along a direction by the steps h and h/2."""
        (coarse, bend), (fine, half_bend) = (
            (float(part.sum()) for part in self.along(k, direction, step)) for step in (h, h / 2)
        )
        return Estimate((4 * fine - coarse) / 3, abs(fine - coarse) + self.noise(h), h, (bend, half_bend))

    def is_bent(self, found) -> bool:
        """True if the slopes to both sides differ as they do at a kink: half the step does not halve the difference."""
        coarse, fine = map(abs, found.bends)
        return fine > 64 * self.noise(found.h) and coarse < 1.4 * fine

    def estimate(self, k, direction, typical) -> Estimate:
        """The derivative along a direction, by the step that gives the smallest error bar.

        Args: typical - the size of one element's part in it: the measure of a good error bar.
        """
        best = None
        for h in STEPS:
            found = self.at(k, direction, h)
            if not np.isfinite(found.error):
                continue
            if best is None or found.error < best.error:
                best = found
            if best.error <= PRECISE * typical:
                break
        return best or Estimate(np.nan, np.inf, STEPS[0])


def scale_of(point):
    """For each element, what is a step of size 1: its own size, or that of its neighbors where it is small."""
    size = np.abs(point)
    filled = size[size > 0]
    return np.maximum(size, np.median(filled) if filled.size else 1.0)
