"""fold: one number, mark or edge in place of several, of nodes that are drawn as one.

of_alike([{"mean": 1.0}, {"mean": 3.0}])    {"mean": 2.0}, {"mean of 2": "1 to 3"}      repeats: medians
of_parts([...])                             {"time": 0.3, "bytes": 4096}                a module: sums
"""

import math
from dataclasses import replace
from statistics import median_low

from ..model import OPERATION, STATISTICS
from ..style import MARKS, number

SUMS = ("time", "bytes")


def of_alike(statistics) -> tuple[dict, dict]:
    """Of blocks that are alike: the medians, and where they differ, facts that tell the range and the sum."""
    found, facts = {}, {}
    for name, (_, unit) in STATISTICS.items():
        values = [s[name] for s in statistics if name in s]
        if not values:
            continue
        # A median that one of them has; what is no number comes last, as the worst.
        found[name] = median_low(sorted(values, key=lambda x: (math.isnan(x), x)))
        low, high = number(min(values), unit), number(max(values), unit)
        if low != high and name != "time":  # which is another one in each run, and the text of a picture the same
            total = f", {number(sum(values), unit)} in all" if name in SUMS else ""
            facts[f"{name} of {len(values)}"] = f"{low} to {high}{total}"
    return found, facts


def of_parts(statistics) -> dict:
    """Of the parts of one thing: the sums of what adds up."""
    found = {}
    for name in SUMS:
        values = [s[name] for s in statistics if name in s]
        if values:
            found[name] = sum(values)
    return found


def marks_of(nodes) -> dict:
    """All marks of several nodes, the most important first, each with the first text and how many have it."""
    found: dict = {}
    for n in nodes:
        for mark, text in n.marks.items():
            found.setdefault(mark, []).append((n, text))
    order = [*(m for m in MARKS if m in found), *(m for m in found if m not in MARKS)]
    return {m: _together(m, found[m]) for m in order}


def _together(mark, several):
    text = several[0][1]
    if len(several) == 1:
        return text
    if mark.startswith("infected"):
        what = "operations" if all(getattr(n, "kind", None) == OPERATION for n, _ in several) else "nodes"
        return f"{text} in {len(several)} {what}"
    return f"{text} (and {len(several) - 1} more)"


def joined(edges, whole=False) -> list:
    """Edges of (edge, new source, new target): of several nodes that became one, one edge with their count.

    Args: whole - also those that led from one node to one other: not which input it is counts, but that it leads there.
    """
    between: dict = {}
    for e, source, target in edges:
        between.setdefault((source, target, e.kind, e.of), []).append(e)
    found: list = []
    for (source, target, kind, _), several in between.items():
        ends = {(e.source, e.target) for e in several}
        if len(several) == 1 or ends == {(source, target)} or (not whole and len(ends) == 1):
            same = ends == {(source, target)}
            found += several if same else [replace(e, source=source, target=target) for e in several]
        else:
            found.append(_one(several, source, target, kind))
    return found


def _one(several, source, target, kind):
    first = several[0]
    norms = [e.grad_norm for e in several if e.grad_norm is not None]
    return replace(
        first,
        source=source,
        target=target,
        label=first.label if all(e.label == first.label for e in several) else "",
        shape=first.shape if all(e.shape == first.shape for e in several) else None,
        dtype=first.dtype if all(e.dtype == first.dtype for e in several) else "",
        count=first.count if kind == "repeat" else sum(e.count for e in several),
        grad_norm=math.hypot(*norms) if norms else None,
        marks=marks_of(several),
    )
