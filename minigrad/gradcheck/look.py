"""A careful look at one element, by several steps: is its gradient wrong, right, or can one not tell?

Only what this look confirms is called wrong. Where the steps contradict each other, it is noise; where the slopes to
both sides keep apart however small the step, a kink; where the difference grows as the step shrinks, a jump.
"""

from itertools import pairwise

import numpy as np

from .differences import CLOSE, Results, Step

STEPS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-3, 1e-9, 1e-10)
AGREEING = 1e-5  # how near the first three steps must be for no other to be tried
JUMP = 1e-6  # of the outputs: smaller ones are roundings
UNRESOLVED = 0.05  # error bars above this share of the value do not show whether it is right


def look(differences, k, at, analytic, roundings):
    """(kind, Step, error bar) of one element of leaf k.

    Args:    analytic - its gradient by the tape, times the scale of the element. roundings - Roundings at
             the point.
    Returns: kind - "wrong", "right", "kink", "jump", "noise", or "domain" where the function is not finite around.
    """
    direction = np.zeros(differences.points[k].shape)
    direction[at] = 1.0
    steps: list[Step] = []
    inner = 0.0
    for h in STEPS:
        run = Results()
        step = differences.step(k, direction, h, () if steps else (run,))
        if np.isfinite(step.parts).all():
            inner = inner if steps else roundings.moved(run.found)
            steps.append(step)
        if len(steps) == 3 and h == STEPS[2] and _agree(steps, inner):
            break
    steps.sort(key=lambda step: step.h)
    return judge(steps, analytic, inner, differences.size) if len(steps) > 1 else ("domain", None, np.nan)


def _agree(steps, inner):
    slopes = [step.slope for step in steps]
    size = max(map(abs, slopes))
    return max(slopes) - min(slopes) <= AGREEING * size and inner / steps[-1].h <= AGREEING * size


def judge(steps, analytic, inner, outputs):
    """`look`, from steps in their order, the smallest first."""
    pairs = list(pairwise(steps))
    # What sets the finest pairs apart is noise, for there the curvature does not count any more: it is that of the
    # function, whatever the step.
    apart = [abs(a.slope - b.slope) for a, b in pairs]
    shown = [max(gap * a.h for gap, (a, _) in zip(apart[: max(i, 2)], pairs, strict=False)) for i in range(len(pairs))]
    bars = [
        gap + CLOSE * max(a.noise, inner / a.h, size / a.h)
        for gap, size, (a, _) in zip(apart, shown, pairs, strict=True)
    ]
    best = int(np.argmin(bars))
    step, error = steps[best], bars[best]
    kind = _bend(steps[:3], inner, JUMP * outputs)
    if kind:
        return kind, step, error
    size = max(abs(step.slope), abs(analytic))
    # A difference over a bend says nothing of the slope: the function changes on a smaller scale than the step.
    bent = abs(step.bend) > max(0.5 * size, 16 * step.noise)
    contradicted = any(abs(s.slope - step.slope) > CLOSE * (bar + error) for s, bar in zip(steps, bars, strict=False))
    if bent or contradicted or error > UNRESOLVED * size:
        return "noise", step, error
    right = abs(analytic - step.slope) <= CLOSE * error + 1e-7 * abs(step.slope)
    return "right" if right else "wrong", step, error


def _bend(steps, inner, least):
    """ "kink", "jump" or "", from the smallest steps: a smooth function bends less the smaller the step."""
    if len(steps) < 2 or any(abs(s.bend) <= 16 * max(s.noise, inner / s.h) for s in steps):
        return ""
    sizes = [abs(s.bend) for s in steps]
    if max(sizes) < 1.5 * min(sizes):
        return "kink"
    grown = [size * s.h for size, s in zip(sizes, steps, strict=True)]
    return "jump" if least < max(grown) < 1.5 * min(grown) else ""
