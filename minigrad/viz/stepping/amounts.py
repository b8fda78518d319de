"""Amounts: arrays in short, for texts and pictures that must not keep them alive.

str(amount_of(x))        2.58385;  [1, 2, 3];  of a large one: shape (64, 32), norm 0.731, from -0.12 to 0.2
"""

from dataclasses import dataclass
from typing import Any

from ...backend import around, backend
from ...tape.function import Partial
from ...tape.variable import raw

KEPT = 12  # elements; of a larger array only statistics are kept
FEW = 22  # letters


@dataclass(frozen=True)
class Amount:
    """An array in short.

    Holds: shape, dtype - of the array. value - its numbers in nested lists, if they are few. norm, low, high, mean -
           of its finite numbers, if they are many. bad - how many are NaN or infinite.
    """

    shape: tuple
    dtype: str
    value: Any = None
    norm: float = 0.0
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    bad: int = 0

    @property
    def number(self) -> float | None:
        """The number, if it is one."""
        return None if self.shape or self.value is None else float(self.value)

    def __str__(self):
        if self.value is not None:
            return _listed(self.value, 6 if not self.shape else 4)
        facts = [f"norm {self.norm:.4g}", f"from {self.low:.4g} to {self.high:.4g}", f"mean {self.mean:.4g}"]
        if self.bad:
            facts.append(f"{self.bad} NaN or infinite")
        return ", ".join([f"shape {self.shape}", *facts])

    def of(self, name) -> str:
        """`name` and what it is: `gy = 1`; `gy: shape (32,), norm 0.18, …`, since a shape is no value."""
        return f"{name}{': ' if self.value is None else ' = '}{self}"

    @property
    def few(self) -> str:
        """The numbers, if they take a few letters; else ""."""
        text = "" if self.value is None else _listed(self.value, 4)
        return text if len(text) <= FEW else ""

    @property
    def brief(self) -> str:
        """In a few letters, for a picture: the numbers or the norm."""
        return self.few or f"|g| {self.norm:.3g}" + (f", {self.bad} bad" if self.bad else "")


def _listed(value, digits):
    if isinstance(value, list):
        return f"[{', '.join(_listed(v, digits) for v in value)}]"
    return f"{value:.{digits}g}" if type(value) is float else str(value)


def amount_of(x) -> Amount:
    """The Amount of an array, a Variable or a number."""
    x = raw(x)
    if not hasattr(x, "dtype"):
        return Amount((), type(x).__name__, x)
    shape, dtype = tuple(x.shape), str(x.dtype)
    if x.size <= KEPT:
        host = backend[type(x)].to_numpy(x).astype("float64") if x.dtype.kind == "f" else backend[type(x)].to_numpy(x)
        norm = float((host.astype("float64") ** 2).sum() ** 0.5)
        return Amount(shape, dtype, host.tolist(), norm)
    with around(x):
        xp = backend[type(x)].xp
        wide = x.astype("float64")
        finite = xp.isfinite(wide)
        count = int(finite.sum())
        if count < x.size:
            wide = wide[finite]
        if not count:
            return Amount(shape, dtype, bad=x.size)
        norm = float((wide * wide).sum() ** 0.5)
        return Amount(
            shape, dtype, None, norm, float(wide.min()), float(wide.max()), float(wide.mean()), x.size - count
        )


def amounts_in(gy) -> dict:
    """{None: the Amount} of a gradient; {number of the output: Amount} of those of several outputs."""
    if isinstance(gy, Partial):
        return {i: amount_of(part) for i, part in sorted(gy.parts.items())}
    return {None: amount_of(gy)}
