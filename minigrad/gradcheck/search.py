"""Looking for a wrong element: random signed probes over a whole leaf, then bisection to the guilty one.

A probe moves every element of a leaf at once, by random signs and sizes. Where the tape's derivative lies outside of
the error bars, the half of the elements that explains more of the difference is probed alone, and so on: one of 4096
elements is found in 12 halvings. Only what a careful look (look.py) at that one element confirms is called wrong.
"""

from dataclasses import dataclass, field

import numpy as np

from ..tape.observers import Observing
from .differences import CLOSE, EPS, Differences, Roundings
from .look import look
from .report import Finding

RESOLVED = 1e-3  # error bars above this share of a typical element's part show no wrong element: noise
ROUNDINGS = 64  # of the outputs, or of the largest part: below that, a gradient is nothing
SMALLEST = float(np.finfo(np.float64).tiny)  # normal number
LONG = 2000  # elements, from which on a full check shows its progress
EXCLUSIONS = 12  # elements of a leaf that probes leave out, after a careful look, before they give up


@dataclass
class Verdict:
    """What the search found out about one leaf."""

    leaf: str
    shape: tuple
    dtype: str
    norm: float  # of the gradient
    deviation: float = 0.0  # the largest, in error bars
    verdict: str = "right"
    reason: str = ""
    findings: list = field(default_factory=list)

    def judge(self, verdict, reason=""):
        """Take over a verdict, if it is worse than the one so far."""
        if verdict == "wrong" or self.verdict == "right":
            self.verdict, self.reason = verdict, reason


class Search:
    """Compares the gradients of a subject with its differences.

    Args:  points - where; default: where the leaves are.
    Holds: gradients - arrays of float64 by the tape, one per leaf.
    """

    def __init__(self, subject, rng, points=None, order=1):
        self.subject, self.rng, self.order = subject, rng, order
        self.roundings = Roundings()
        with Observing(self.roundings):
            self.gradients = subject.gradients(points, dtype=subject.wide)
        self.differences = Differences(subject, points)

    def leaf(self, k, probes) -> Verdict:
        """Probe leaf k until `probes` directions agree, or an element is found that is wrong."""
        result, g = self._begin(k)
        if not np.isfinite(g).all():
            self._look(k, g, np.argwhere(~np.isfinite(g))[0], result)
            return result
        included = np.ones(g.shape)
        for number in range(probes if g.size else 0):
            sizes = np.ones(g.shape) if number % 2 == 0 else _balanced(g)
            while not self._probe(k, g, sizes * included, result, included):
                if result.verdict == "wrong":
                    return result
                if np.count_nonzero(included == 0) > min(EXCLUSIONS, g.size - 1):
                    result.judge("inconclusive", "noise")
                    return result
        return result

    def every_element(self, k) -> Verdict:
        """Look at each element of leaf k alone."""
        result, g = self._begin(k)
        direction = np.zeros(g.shape)
        for at in _shown(np.ndindex(g.shape), g.size, result.leaf):
            direction[at] = 1.0
            step = self.differences.step(k, direction, 1e-5)
            direction[at] = 0.0
            slack = 1e-5 * abs(step.slope) + SMALLEST
            if not (abs(g[at] - step.slope) <= slack and CLOSE * step.noise <= RESOLVED * abs(g[at])):
                self._look(k, g, at, result)
        return result

    def _begin(self, k):
        leaf = self.subject.leaves[k]
        norm = float(np.linalg.norm(self.gradients[k]))
        g = self.gradients[k] * self.differences.scales[k]
        return Verdict(leaf.path, leaf.point.shape, str(leaf.dtype), norm), g

    def _probe(self, k, g, sizes, result, included) -> bool:
        """One random direction. False: it disagreed, and one element has been looked at and left out, or is wrong."""
        # Different sizes, or equal errors in equal elements could cancel.
        direction = sizes * self.rng.choice([-1.0, 1.0], g.shape) * self.rng.uniform(0.5, 1.5, g.shape)
        share = np.abs(g * direction)
        typical = float(np.sqrt(np.mean(share[share > 0] ** 2))) if share.any() else self.differences.size
        found = self.differences.estimate(k, direction, typical)
        if found is None:
            result.judge("inconclusive", "domain")
            return True
        analytic = float((g * direction).sum())
        gap = analytic - found.value
        slack = 16 * EPS * float(np.linalg.norm(share)) * np.sqrt(g.size) + SMALLEST
        result.deviation = max(result.deviation, abs(gap) / (found.error + slack))
        h = found.coarse.h
        if not found.agrees(analytic, slack):
            at = self._bisect(k, direction, gap, h, lambda part, step: (g * part).sum() - step.slope)
        elif found.is_bent():
            at = self._bisect(k, direction, found.coarse.bend, h, lambda part, step: step.bend)
        else:
            something = typical > ROUNDINGS * EPS * self.differences.size and share.any()
            if something and CLOSE * found.error > RESOLVED * typical:
                result.judge("inconclusive", "noise")
            return True
        included[at] = 0.0
        self._look(k, g, at, result)
        return False

    def _bisect(self, k, direction, gap, h, gap_of):
        """The element that explains most of `gap`, which gap_of(part of the direction, its step) measures."""
        indices = np.flatnonzero(direction)
        while len(indices) > 1:
            half, rest = np.array_split(indices, 2)
            part = np.zeros(direction.shape)
            part.reshape(-1)[half] = direction.reshape(-1)[half]
            of_half = float(gap_of(part, self.differences.step(k, part, h)))
            if abs(of_half) >= abs(gap - of_half) or not np.isfinite(gap):
                indices, gap = half, of_half
            else:
                indices, gap = rest, gap - of_half
        return np.unravel_index(indices[0], direction.shape)

    def _look(self, k, g, at, result):
        """A careful look at one element; what it finds goes to `result`."""
        at = tuple(int(i) for i in at)
        kind, step, error = look(self.differences, k, at, g[at], self.roundings)
        small = np.isfinite(g[at]) and abs(g[at]) <= ROUNDINGS * EPS * self.differences.size
        if kind == "right" or (kind == "noise" and small):
            return
        leaf, scale = self.subject.leaves[k], self.differences.scales[k]
        finding = Finding(kind, self.order, leaf.path, leaf.point.shape, at, g[at] / scale[at])
        if step is not None:
            finding.numeric, finding.error, finding.parts = (x / scale[at] for x in (step.slope, error, step.parts))
            finding.slopes = tuple((step.slope + sign * step.bend / 2) / scale[at] for sign in (-1, 1))
        if kind == "wrong" and _may_be_transposed(self.gradients[k], at, finding.numeric):
            opposite = (*at[:-2], at[-1], at[-2])
            there = look(self.differences, k, opposite, g[opposite], self.roundings)[1]
            finding.opposite = np.nan if there is None else there.slope / scale[opposite]
        result.findings.append(finding)
        result.judge("wrong" if kind == "wrong" else "inconclusive", "" if kind == "wrong" else kind)


def _may_be_transposed(gradient, at, numeric):
    """True where the gradient has the value of `at` across the diagonal."""
    if len(at) < 2 or gradient.shape[-1] != gradient.shape[-2] or at[-1] == at[-2]:
        return False
    return bool(np.isclose(gradient[(*at[:-2], at[-1], at[-2])], numeric, 1e-4, 0))


def _shown(indices, count, name):
    """`indices` with a progress bar, where there are many and somebody looks on."""
    if count < LONG:
        return indices
    try:
        from tqdm import tqdm  # noqa: PLC0415 - optional
    except ImportError:
        return indices
    return tqdm(indices, desc=name, total=count, leave=False, disable=None)  # None: on terminals only


def _balanced(g):
    """Sizes of steps that make elements with small gradients as visible as the others."""
    size = np.abs(g)
    filled = size[size > 0]
    if not filled.size:
        return np.ones(g.shape)
    typical = np.median(filled)
    return typical / (typical + size)
