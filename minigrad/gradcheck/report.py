"""What a check found: true or false in a condition, a table as text and in notebooks."""

import html
from dataclasses import dataclass, field

import numpy as np

from ..errors import MinigradError

REASONS = {
    "kink": "the function has a kink here: the slopes to both sides differ",
    "jump": "the function jumps here",
    "noise": "the differences are too noisy to say",
    "domain": "the function is not finite around this point",
    "nonfinite": "the outputs are not finite at this point",
    "nondeterminism": "two runs from the same state gave different outputs",
    "vacuous": "nothing was shown: the gradient is zero, and so are the differences",
    "precision": "the function cannot be computed in float64, in which the differences are taken",
    "rounding": "in float64 it is right, and in the dtype in use farther off than its rounding explains by itself",
    "mutation": "the function changes its inputs",
}


class GradientError(MinigradError, AssertionError):
    """A gradient that differences contradict, or that could not be checked; its text is the report."""


@dataclass
class Finding:
    """One element, or one variant, of which something is to be said."""

    kind: str  # "wrong", or a reason why one cannot tell
    order: int
    path: str
    shape: tuple
    index: tuple = ()
    analytic: float = np.nan
    numeric: float = np.nan
    error: float = np.nan
    slopes: tuple = (np.nan, np.nan)  # to the left and to the right, at a kink
    text: str = ""  # instead of values
    hint: str = ""
    parts: np.ndarray | None = None  # of `numeric`, one per output element
    opposite: float = np.nan  # what differences give across the diagonal of a square

    def __str__(self):
        what = "the gradient" if self.order == 1 else f"the gradient of order {self.order}"
        if self.text:
            return f"{what} of {self.path} {self.shape}: {self.text}" if self.path else self.text
        place = f"{what} of {self.path} {self.shape} at {list(self.index)}"
        line = f"{place} is {self.analytic:.9g}, and differences give {self.numeric:.9g}"
        if np.isfinite(self.error):
            line += f" +- {self.error:.1g}"
        if self.kind in ("kink", "jump"):
            line += f"; the slopes to the left and right are {self.slopes[0]:.6g} and {self.slopes[1]:.6g}"
        elif self.numeric and self.analytic and np.isfinite(self.analytic):
            line += f" (ratio {self.analytic / self.numeric:.6g})"
        return line + (f": {self.hint}" if self.hint else "")


@dataclass
class Report:
    """The outcome of a check. True in a condition if every gradient is right.

    Holds: verdict - "right", "wrong" or "inconclusive"; reason - why it is inconclusive, a key of REASONS, or "".
           findings - the elements that are wrong, or at which one cannot tell; leaves - a row for each leaf and order.
           op - the first operation whose gradient is wrong, where the verdict is wrong and it was found, or None.
           notes - what else one should know; calls - how often the function ran forward.
    """

    name: str
    verdict: str = "right"
    reason: str = ""
    findings: list = field(default_factory=list)
    leaves: list = field(default_factory=list)
    variants: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    op: object = None
    calls: int = 0

    def __bool__(self):
        return self.verdict == "right"

    def judge(self, verdict, reason=""):
        """Take over a verdict, if it is worse than the one so far."""
        rank = ("right", "inconclusive", "wrong")
        if rank.index(verdict) > rank.index(self.verdict):
            self.verdict, self.reason = verdict, reason

    def raise_(self):
        """Raise GradientError with this report, unless the verdict is right; then return the report."""
        if not self:
            raise GradientError(str(self))
        return self

    def headline(self) -> str:
        """The verdict in one line."""
        reason = f": {REASONS[self.reason]}" if self.reason else ""
        return f"gradcheck of {self.name}: {self.verdict}{reason}"

    def table(self) -> list:
        """Rows of texts, the first one the header."""
        rows = [("leaf", "shape", "dtype", "order", "|gradient|", "deviation", "verdict")]
        for order, row in self.leaves:
            verdict = f"{row.verdict} ({row.reason})" if row.reason else row.verdict
            numbers = f"{row.norm:.4g}", f"{row.deviation:.2g}" if row.deviation < 1e99 else "inf"
            rows.append((row.leaf, str(row.shape), row.dtype, str(order), *numbers, verdict))
        return rows

    def __str__(self):
        lines = [self.headline(), *(f"  {finding}" for finding in self.findings)]
        if self.op is not None:
            lines.append(f"  {self.op}")
        lines += [f"  note: {note}" for note in self.notes]
        rows = self.table()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows if len(rows) > 1 else ():
            lines.append("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        ran = [f"{self.calls} forward calls"]
        if self.variants:
            ran.append(f"variants: {', '.join(self.variants)}")
        lines.append(f"  {'; '.join(ran)}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        head, *rows = self.table()
        cells = "".join(f"<th>{html.escape(text)}</th>" for text in head)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>" for row in rows)
        lines = [self.headline(), *map(str, self.findings), *([str(self.op)] if self.op is not None else [])]
        lines += [f"note: {note}" for note in self.notes]
        text = "<br>".join(map(html.escape, lines))
        return f"<p>{text}</p><table><tr>{cells}</tr>{body}</table>"
