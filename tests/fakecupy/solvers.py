"""cupy.linalg, where it differs from NumPy's: what the solvers report lies on the device, and is left there unless one
asks, by cupyx.errstate(linalg="raise"), to wait for it. Unread, a failure leaves garbage: here NaN.
"""

import numpy as np

from .array import fresh
from .functions import Function
from .records import poisoned, synchronized

_asked = ["ignore"]  # the innermost last


class errstate:  # noqa: N801 - CuPy's name
    """cupyx.errstate: of what it has, linalg alone."""

    def __init__(self, *, linalg=None, **others):
        if others or linalg not in (None, "ignore", "raise"):
            raise NotImplementedError(f"the double's errstate knows linalg= only, not {others or linalg}")
        self.linalg = linalg

    def __enter__(self):
        _asked.append(self.linalg or _asked[-1])

    def __exit__(self, *exc):
        _asked.pop()


def _solver(name, same_stacks=False):
    """A function of cupy.linalg whose solver reports failures."""
    reference = Function("cupy.linalg", name, getattr(np.linalg, name))

    def called(*arrays):
        if same_stacks and arrays[0].shape[:-1] != arrays[1].shape[: arrays[0].ndim - 1]:
            raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
        if _asked[-1] == "raise":
            synchronized(f"linalg.{name}")
            return reference(*arrays)
        try:
            return reference(*arrays)
        except np.linalg.LinAlgError as error:
            if "Singular" in str(error) or "definite" in str(error):
                return fresh(poisoned(arrays[-1].shape, arrays[-1].dtype, "C"))
            raise

    called.__name__ = name
    return called


LINALG = {"cholesky": _solver("cholesky"), "inv": _solver("inv"), "solve": _solver("solve", same_stacks=True)}
