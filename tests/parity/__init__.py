"""Calls that are the same in minigrad and in PyTorch; test_parity.py runs them. A family of calls is a file here.

In the texts, `lib` is minigrad or torch, F the functional module of each, and other names are ARRAYS. CALLS are of
functions, METHODS of methods; EDGES are calls at ties, kinks, NaN and inf; EMPTY are calls on nothing. A family may
bring ARRAYS of its own.
"""

import pytest

from . import basics, elementwise, index, linalg, reduce, shape

FAMILIES = [basics, reduce, elementwise, index, shape, linalg]


def calls_of(kind):
    """The calls of one kind, of all families, as parameters of a test: a call and the arrays it may name."""
    return [
        pytest.param(call.strip(), basics.ARRAYS | getattr(family, "ARRAYS", {}), id=call.strip())
        for family in FAMILIES
        for line in getattr(family, kind, "").splitlines()
        for call in line.split(" | ")
        if call.strip()
    ]
