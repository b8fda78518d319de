"""What the double noticed: host synchronizations, indices that wrapped; and the draws by which it decides what CuPy
leaves open."""

import sys
from pathlib import Path

import numpy as np

HERE = str(Path(__file__).parent)

synchronizations: list[str] = []  # "float at train.py:31": the host waited for a device
wrapped: list[str] = []  # "index 7 of 3 at train.py:31": an index array went out of range, where CuPy wraps around
_draws = [np.random.default_rng(0)]


def caller() -> str:
    """file:line of the nearest frame outside of the double."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(HERE) and frame.f_back:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def synchronized(reason: str) -> None:
    """Note that the host waits for a device."""
    synchronizations.append(f"{reason} at {caller()}")


def draw() -> np.random.Generator:
    """Decides, the same way in every run, what on a device is left to chance."""
    return _draws[0]


def reset() -> None:
    """Forget everything."""
    synchronizations.clear()
    wrapped.clear()
    _draws[0] = np.random.default_rng(0)


def poison(dtype):
    """What memory holds that nobody wrote: NaN, a large odd number, or by chance True or False."""
    if dtype.kind in "iu":
        return dtype.type(np.iinfo(dtype).max - 4)
    if dtype.kind == "b":
        return np.bool_(draw().integers(2))
    return dtype.type(complex("nan+nanj") if dtype.kind == "c" else "nan")


def poisoned(shape, dtype, order="C") -> np.ndarray:
    """A NumPy array that nobody wrote to."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.asarray(draw().integers(2, size=shape), dtype, order=order)
    return np.full(shape, poison(dtype), dtype, order)
