"""Numerical gradient checks: the tape's gradients against central differences, to any order, down to the wrong element.

    report = mg.gradcheck(fn, *inputs)      # true or false in a condition
    print(report)                           # which leaf, which element, both values, what may be the matter

subject.py runs the function, differences.py takes differences with error bars, search.py looks for a wrong element by
random probes and bisection, variants.py changes the circumstances, local.py checks each operation of the tape alone,
report.py and hints.py say what was found.
"""

import numpy as np

from .check import check
from .report import Finding as Finding
from .report import GradientError as GradientError
from .report import Report as Report

MODES = ("probe", "full", "local")


def gradcheck(fn, *inputs, order=1, mode="probe", probes=2, variants=True, allow_zero=False, seed=0, kwargs=None):
    """Check the gradients of a function or module against central differences. Never a mere "mismatch".

    s = the sum of all outputs times random weights;    ds/dx by the tape    against    (s(x + h) - s(x - h)) / (2 h)

    Checked is every leaf on the tape: inputs that require grad, also in nested tuples, lists and dicts, parameters, and
    what else `fn` uses. float32 and float16 are computed again in float64, in which the differences are taken. Random
    numbers, buffers, inputs and their grad are afterwards what they were before.

    Args:    fn - function of `inputs` that returns Variables, alone or in containers; or a module.
             inputs - handed on; Variables that require grad are checked.
             order - 2 checks the gradients of the gradients too; and so on.
             mode - "probe": random directions and bisection, a few dozen runs however large the inputs; "full": each
             element; "local": as "probe", and then each operation on the tape by itself.
             probes - random directions per leaf. variants - check other circumstances too: memory layouts, repeated
             backward, f(x, x), sizes of 0 and 1, ...
             allow_zero - a function whose gradient is zero everywhere is right; otherwise that shows nothing.
             seed - of weights and directions. kwargs - keyword arguments of fn.
    Returns: Report: "right" (true), "wrong" or "inconclusive" (false) with the reason.
    Raises:  GraphError if nothing requires grad; ValueError for an unknown mode, or no order or probes; TypeError if
             fn cannot be called. What fn itself raises comes through.
    """
    if mode not in MODES:
        raise ValueError(f"gradcheck: mode must be one of {', '.join(MODES)}, got {mode!r}")
    for name, count in (("order", order), ("probes", probes)):
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"gradcheck: {name} must be an int of at least 1, got {count!r}")
    if not callable(fn):
        raise TypeError(f"gradcheck: expected a function or module and its inputs, got {type(fn).__name__}")
    return check(fn, inputs, kwargs or {}, order, mode, probes, variants, allow_zero, np.random.default_rng(seed))


def gradgradcheck(fn, *inputs, **options):
    """`gradcheck` to the second order."""
    return gradcheck(fn, *inputs, order=2, **options)
