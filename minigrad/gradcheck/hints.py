"""What may be the matter with a wrong element: a sign, a factor, a transposition, a sum that is missing."""

import numpy as np

NEAR = 1e-4
FACTORS = {2.0: "twice", 0.5: "half", 3.0: "3 times", 1 / 3: "a third of", 4.0: "4 times", 0.25: "a quarter of"}


def hint(finding, gradient, shapes) -> str:
    """A guess in words, or "".

    Args: finding - a wrong element. gradient - the leaf's, by the tape. shapes - of the outputs.
    """
    a, n = finding.analytic, finding.numeric
    if not np.isfinite(a):
        return "it is not finite"
    if a == 0:
        return "it is zero: detached, or a term left out"
    if _near(a, -n):
        return "the sign is wrong"
    return _transposition(finding, gradient) or _reduction(finding, shapes) or _factor(a, n)


def _near(x, y):
    return abs(x - y) <= NEAR * max(abs(x), abs(y))


def _factor(a, n):
    return next((f"it is {name} what it should be" for factor, name in FACTORS.items() if _near(a, factor * n)), "")


def _transposition(finding, gradient):
    *lead, i, j = finding.index if len(finding.index) > 1 else (0, 0)
    if i == j or gradient.shape[-1] != gradient.shape[-2] or not _near(gradient[(*lead, j, i)], finding.numeric):
        return ""
    if not _near(finding.analytic, finding.opposite):
        return ""
    return "the element opposite of the diagonal has this value: transposed"


def _reduction(finding, shapes):
    """A sum over an axis of the output that the gradient lacks, or that is a mean there."""
    if finding.parts is None:
        return ""
    start = 0
    for number, shape in enumerate(shapes):
        size = int(np.prod(shape))
        parts = finding.parts[start : start + size].reshape(shape)
        start += size
        for axis, n in enumerate(shape):
            others = tuple(i for i in range(len(shape)) if i != axis)
            slices = parts.sum(axis=others)
            if n < 2 or np.count_nonzero(slices) < 2:
                continue
            where = f"axis {axis} of output {number} {shape}"
            if _near(finding.analytic, slices[0]) or _near(finding.analytic, slices[-1]):
                return f"it is the part of one index along {where}: a sum over that axis is missing"
            if n > 2 and _near(finding.analytic, finding.numeric / n):
                return f"it is 1/{n} of what it should be, and {where} has {n} elements: a mean for a sum"
    return ""
