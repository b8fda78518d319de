"""Looking for a wrong element: random signed probes over a whole leaf, then bisection to the guilty one.

A probe moves every element of a leaf at once, by random signs. Where the tape's derivative lies outside of the error
bars, the half of the elements that explains more of the difference is probed alone, and so on: one of 4096 elements
is found in 12 halvings. Only what a careful look at that one element confirms is called wrong.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from .differences import CLOSE, EPS, Differences
from .report import Finding

FINE = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-3)  # steps of the careful look
RESOLVED = 1e-3  # error bars above this share of a typical element's part show no wrong element: noise
NEGLIGIBLE = 1e-6  # of the outputs' size: what an element's part may fall below, and need not be resolved
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


class Search:
    """Compares the gradients of a subject with its differences.

    Args: gradients - arrays of float64 by the tape, one per leaf, at `points`.
    """

    def __init__(self, subject, gradients, rng, points=None, order=1):
        self.subject, self.gradients, self.rng, self.order = subject, gradients, rng, order
        self.differences = Differences(subject, points)

    def leaf(self, k, probes) -> Verdict:
        """Probe leaf k until `probes` directions agree, or an element is found that is wrong."""
        result = self._verdict(k)
        if not self.gradients[k].size:
            return result
        g = self.gradients[k] * self.differences.scales[k]
        if not np.isfinite(g).all():
            return self._not_finite(k, result)
        excluded = np.ones(g.shape)
        for number in range(probes):
            size = _even(g) if number % 2 == 0 else _balanced(g)
            while not self._probe(k, g, size, excluded, result):
                if result.verdict == "wrong":
                    return result
                if np.count_nonzero(excluded == 0) > EXCLUSIONS:
                    result.verdict, result.reason = "inconclusive", result.reason or "noise"
                    return result
        return result

    def every_element(self, k) -> Verdict:
        """Look at each element of leaf k alone."""
        result = self._verdict(k)
        g = self.gradients[k] * self.differences.scales[k]
        if not np.isfinite(g).all():
            return self._not_finite(k, result)
        size = np.abs(g).max(initial=0.0)
        direction = np.zeros(g.shape)
        for at in _shown(np.ndindex(g.shape), g.size, result.leaf):
            direction[at] = 1.0
            h = 1e-5
            value = float(self.differences.along(k, direction, h)[0].sum())
            direction[at] = 0.0
            slack = 1e-6 * abs(value) + 1e-8 * size + 8 * self.differences.noise(h)
            if not abs(g[at] - value) <= slack:
                self._look(k, g, at, result)
        return result

    def _verdict(self, k):
        leaf = self.subject.leaves[k]
        return Verdict(leaf.path, leaf.point.shape, str(leaf.dtype), float(np.linalg.norm(self.gradients[k])))

    def _not_finite(self, k, result):
        """A gradient of NaN or inf: wrong where the differences are finite."""
        g = self.gradients[k] * self.differences.scales[k]
        self._look(k, g, tuple(int(i) for i in np.argwhere(~np.isfinite(g))[0]), result)
        return result

    def _probe(self, k, g, size, included, result) -> bool:
        """One random direction. False: it disagreed, and one element has been looked at and left out, or is wrong."""
        direction = size * included * self.rng.choice([-1.0, 1.0], g.shape)
        share = np.abs(g * direction)
        typical = float(np.sqrt(np.mean(share[share > 0] ** 2))) if share.any() else float(self.differences.size)
        found = self.differences.estimate(k, direction, typical)
        analytic = float((g * direction).sum())
        slack = 16 * EPS * float(np.linalg.norm(share)) * np.sqrt(g.size)
        if found.error > 0:
            result.deviation = max(result.deviation, abs(analytic - found.value) / found.error)
        if not found.agrees(analytic, slack):
            at = self._bisect(
                k, direction, analytic - found.value, found.h, lambda part, slope, _: (g * part).sum() - slope
            )
        elif self.differences.is_bent(found):
            at = self._bisect(k, direction, found.bends[0], found.h, lambda part, slope, bend: bend)
        else:
            visible = max(typical, NEGLIGIBLE * self.differences.size)
            if CLOSE * found.error > RESOLVED * visible and result.verdict == "right":
                result.verdict, result.reason = "inconclusive", "noise"
            return True
        included[at] = 0.0
        self._look(k, g, at, result)
        return False

    def _bisect(self, k, direction, gap, h, gap_of):
        """The element that explains most of `gap`, which gap_of(part of the direction, slope, bend) measures."""
        indices = np.flatnonzero(direction)
        while len(indices) > 1:
            half, rest = np.array_split(indices, 2)
            part = np.zeros(direction.shape)
            part.reshape(-1)[half] = direction.reshape(-1)[half]
            of_half = float(gap_of(part, *(float(x.sum()) for x in self.differences.along(k, part, h))))
            if abs(of_half) >= abs(gap - of_half) or not np.isfinite(gap):
                indices, gap = half, of_half
            else:
                indices, gap = rest, gap - of_half
        return np.unravel_index(indices[0], direction.shape)

    def _look(self, k, g, at, result):
        """A careful look at one element: wrong, right, at a kink, or too noisy to say."""
        at = tuple(int(i) for i in at)
        direction = np.zeros(g.shape)
        direction[at] = 1.0
        looks = []  # (step, contributions, difference of the slopes)
        for count, h in enumerate(FINE):
            parts, bend = self.differences.along(k, direction, h)
            if np.isfinite(parts).all():
                looks.append((h, parts, float(bend.sum())))
            if count >= 2 and len(looks) >= 2 and _settled(looks, self.differences):
                break
        leaf = self.subject.leaves[k]
        scale = self.differences.scales[k][at]
        finding = Finding("wrong", self.order, leaf.path, leaf.point.shape, at, g[at] / scale)
        kind, best = _judge(looks, g[at], self.differences)
        if best is not None:
            h, parts, bend, error = best
            numeric = float(parts.sum())
            finding.numeric, finding.error = numeric / scale, error / scale
            finding.slopes = ((numeric - bend / 2) / scale, (numeric + bend / 2) / scale)
            finding.parts = parts / scale
        finding.kind = kind
        if kind == "right":
            return
        result.findings.append(finding)
        if kind == "wrong":
            result.verdict, result.reason = "wrong", ""
        elif result.verdict != "wrong":
            result.verdict, result.reason = "inconclusive", kind


def _shown(indices, count, name):
    """`indices` with a progress bar, where there are many and somebody looks on."""
    if count < LONG:
        return indices
    try:
        from tqdm import tqdm  # noqa: PLC0415 - optional
    except ImportError:
        return indices
    return tqdm(indices, desc=name, total=count, leave=False, disable=None)  # None: on terminals only


def _settled(looks, differences):
    """True if two neighboring steps agree to 1e-5."""
    (h, a, _), (_, b, _) = sorted(looks, key=lambda look: look[0])[:2]
    a, b = float(a.sum()), float(b.sum())
    return abs(a - b) <= 1e-5 * max(abs(a), abs(b)) + 4 * differences.noise(h)


def _judge(looks, analytic, differences):
    """(kind, (step, contributions, bend, error bar) of the best look) for one element."""
    looks = sorted(looks, key=lambda look: look[0])
    if len(looks) < 2:
        return "domain", None
    pairs = []
    for (h, fine, bend), (_, coarse, _) in pairwise(looks):
        error = abs(float(fine.sum()) - float(coarse.sum())) + 4 * differences.noise(h)
        pairs.append((error, (h, fine, bend, error)))
    error, best = min(pairs, key=lambda pair: pair[0])
    value = float(best[1].sum())
    bends = [(h, abs(bend), 16 * differences.noise(h)) for h, _, bend in looks]
    kink = _bends(bends)
    if abs(analytic - value) <= CLOSE * error + 1e-7 * abs(value) and not kink:
        return "right", best
    if kink:
        return kink, best
    if error > 0.05 * max(abs(value), abs(analytic)):
        return "noise", best
    return "wrong", best


def _bends(bends):
    """ "kink" or "jump" where the slopes to both sides differ, however small the step; a smooth function's do not."""
    seen = [(h, bend) for h, bend, noise in bends if bend > noise]
    if len(seen) < 2 or seen[0][0] > bends[1][0]:
        return ""
    (h, small), (h2, large) = seen[:2]
    growth = large / small / (h2 / h)  # 1 for a smooth function, h / h2 at a kink, (h / h2)**2 at a jump
    steps = h2 / h
    if growth > steps**-0.5:
        return ""
    return "kink" if growth > steps**-1.5 else "jump"


def _even(g):
    return np.ones(g.shape)


def _balanced(g):
    """Sizes of steps that make elements with small gradients as visible as the others."""
    size = np.abs(g)
    filled = size[size > 0]
    if not filled.size:
        return _even(g)
    typical = np.median(filled)
    return typical / (typical + size)
