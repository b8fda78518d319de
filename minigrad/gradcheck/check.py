"""The course of a check: run, look for a wrong element leaf by leaf, try the variants, go on to the next order."""

import numpy as np

from ..errors import GraphError, MinigradError
from .differences import EPS, scale_of
from .hints import hint
from .leaves import DOUBLE
from .local import each_operation
from .report import Finding, Report
from .search import Search
from .subject import Subject
from .variants import VARIANTS, resized

# What the tape computes in a coarser dtype may differ from the same in float64: roundings of the largest element.
COARSE = {"float32": 1e-3, "float16": 5e-2}
ROUNDINGS = 64  # what gradients that cancel to nothing may be left with
ASIDE = 1e-3  # how far from a kink the check is repeated, relative to the size of the values


def check(fn, inputs, kwargs, order, mode, probes, variants, allow_zero, rng) -> Report:
    """`gradcheck` with its arguments in place."""
    subject = Subject(fn, inputs, kwargs, rng)
    if not subject.leaves:
        raise GraphError("gradcheck: none of the inputs requires grad, and nothing else on the tape does")
    report = Report(getattr(fn, "__name__", type(fn).__name__))
    report.notes += [f"{path} was not reached" for path in subject.unreached]
    subjects = [subject]
    try:
        for number in range(1, order + 1):
            _check_order(report, subject, number, mode, probes, rng, allow_zero)
            if (
                number == 1
                and variants
                and mode != "local"
                and report.verdict != "wrong"
                and report.reason in ("", "kink", "vacuous")
            ):
                _try_variants(report, subject, rng)
            if report.verdict == "wrong" or report.reason not in ("", "kink", "jump", "vacuous") or number == order:
                break
            if not _replayed(report, subject, number):
                break
            subject = subject.derived(rng)
            subjects.append(subject)
    finally:
        report.calls += sum(s.calls for s in subjects)
    fit = report.reason not in ("mutation", "nondeterminism", "nonfinite", "precision")
    if report.verdict == "wrong" or (mode == "local" and fit):
        _blame(report, subjects[0], number, probes, rng, every=mode == "local")
    return report


def _blame(report, subject, order, probes, rng, every):
    """Name the first operation that is wrong by itself, where there is one; with `every`, check them all."""
    local = report if every else Report("")
    was = report.verdict
    try:
        each_operation(local, subject, order, _inspection(probes, rng), rng, until_wrong=not every)
    except MinigradError as error:
        report.notes.append(f"the operations could not be checked one by one: {error}")
        return
    report.op = local.op
    if was == "wrong" and local.op is None:
        report.notes.append("each operation by itself is right: look for detached values, and for data that changes")


def _inspection(probes, rng):
    def inspect(report, subject, order):
        if subject.on_the_tape:
            _check_order(report, subject, order, "probe", probes, rng, allow_zero=True)

    return inspect


def _check_order(report, subject, order, mode, probes, rng, allow_zero):
    """One order: the gradients of `subject` against its differences."""
    wide = DOUBLE if subject.in_double else None
    problem = _unfit(subject, wide)
    if problem:
        kind, text = problem
        report.judge("inconclusive", kind)
        report.findings.append(Finding(kind, order, "", (), text=text))
        return
    gradients = subject.gradients(dtype=wide)
    results = _search(report, subject, gradients, order, mode, probes, rng)
    kinks = [r for r in results if r.reason in ("kink", "jump")]
    if kinks and report.verdict != "wrong":
        _beside(report, subject, order, mode, probes, rng)
    if subject.in_double and report.verdict != "wrong":
        _compare_coarse(report, subject, gradients, order)
    if order == 1 and not allow_zero and report.verdict == "right":
        size = float(np.linalg.norm(subject.contributions([leaf.point for leaf in subject.leaves])))
        live = [
            leaf
            for leaf, g in zip(subject.leaves, gradients, strict=True)
            if (np.abs(g) * scale_of(leaf.point)).max(initial=0.0) > ROUNDINGS * EPS * size
        ]
        if not live and any(leaf.point.size for leaf in subject.leaves):
            report.judge("inconclusive", "vacuous")
        elif len(live) < len(subject.leaves):
            dead = [leaf.path for leaf, g in zip(subject.leaves, gradients, strict=True) if leaf not in live and g.size]
            report.notes += [f"the gradient of {path} is zero everywhere, and so are the differences" for path in dead]


def _unfit(subject, wide):
    """(reason, text) if nothing can be learned from this subject, else None."""
    if subject.overwritten:
        return "mutation", f"fn changes {', '.join(subject.overwritten)} in place"
    points = [leaf.point for leaf in subject.leaves]
    try:
        first, second = subject.contributions(points), subject.contributions(points)
    except MinigradError as error:
        if wide is None:
            raise
        return "precision", f"{type(error).__name__}: {error}"
    if not np.isfinite(first).all():
        return "nonfinite", f"{np.count_nonzero(~np.isfinite(first))} of {first.size} elements are NaN or inf"
    if first.shape != second.shape:
        return "nondeterminism", "the shapes differ from run to run"
    apart = np.abs(first - second).max(initial=0.0)
    if apart > 1e4 * EPS * np.abs(first).max(initial=0.0):
        return "nondeterminism", f"elements differ by up to {apart:.3g} from run to run"
    return None


def _search(report, subject, gradients, order, mode, probes, rng, points=None):
    search = Search(subject, gradients, rng, points, order)
    results = []
    for k, gradient in enumerate(gradients):
        result = search.every_element(k) if mode == "full" else search.leaf(k, probes)
        for finding in result.findings:
            if finding.kind == "wrong":
                finding.hint = hint(finding, gradient, subject.shapes)
        report.findings += result.findings
        report.leaves.append((order, result))
        report.judge(result.verdict, result.reason)
        results.append(result)
    return results


def _beside(report, subject, order, mode, probes, rng):
    """The check once more, a little aside of the kinks: there the gradient must be right."""
    points = [
        leaf.point
        + ASIDE
        * rng.uniform(0.5, 1.5, leaf.point.shape)
        * rng.choice([-1.0, 1.0], leaf.point.shape)
        * np.maximum(np.abs(leaf.point), 1.0)
        for leaf in subject.leaves
    ]
    if not np.isfinite(subject.contributions(points)).all():
        report.notes.append("a little aside of the kink the function is not finite, so nothing could be checked there")
        return
    gradients = subject.gradients(points, dtype=DOUBLE if subject.in_double else None)
    aside = Report("")
    _search(aside, subject, gradients, order, mode, probes, rng, points)
    report.notes.append(f"a little aside of the kink, the gradient is {aside.verdict}")
    if aside.verdict == "wrong":
        report.judge("wrong")
        report.findings += [f for f in aside.findings if f.kind == "wrong"]


def _compare_coarse(report, subject, gradients, order):
    """The gradients in the leaves' own dtypes, against those in float64."""
    for leaf, at, own, exact in _unlike(subject, subject.gradients(), gradients, COARSE):
        found = Finding("wrong", order, leaf.path, leaf.point.shape, at, own, exact)
        found.hint = f"in {leaf.dtype}; in float64 it is right"
        report.findings.append(found)
        report.judge("wrong")


def _replayed(report, subject, order) -> bool:
    """True if the formulas give on Variables, under create_graph, what they give on arrays."""
    plain, replayed = subject.gradients(), subject.gradients(create_graph=True)
    for leaf, at, a, b in _unlike(subject, plain, replayed, COARSE | {"float64": 1e-9}):
        text = f"under create_graph it is another than without: {b:.9g} and {a:.9g} at {list(at)}"
        report.findings.append(Finding("wrong", order, leaf.path, leaf.point.shape, text=text))
        report.judge("wrong")
    return report.verdict != "wrong"


def _unlike(subject, found, expected, tolerances):
    """(leaf, index, found, expected) of the element that is most off, for each leaf whose gradients are not alike.

    What cancels to nothing may be left with roundings of the largest part of any leaf.
    """
    scales = [scale_of(leaf.point) for leaf in subject.leaves]
    most = max((float(np.abs(g * s).max()) for g, s in zip(expected, scales, strict=True) if g.size), default=0.0)
    for leaf, scale, a, b in zip(subject.leaves, scales, found, expected, strict=True):
        tolerance = tolerances.get(leaf.dtype.name)
        if tolerance is None or not a.size:
            continue
        off = np.abs(a - b)
        at = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape))
        rounding = ROUNDINGS * float(np.finfo(leaf.dtype).eps) * most / scale[at]
        if not off[at] <= tolerance * (abs(b[at]) + np.abs(b).max()) + rounding:
            yield leaf, at, float(a[at]), float(b[at])


def _try_variants(report, subject, rng):
    wide = subject.gradients()
    for name, variant in VARIANTS.items():
        try:
            found = list(variant(subject, wide, rng))
        except (MinigradError, ValueError, TypeError, IndexError, ArithmeticError) as error:
            found = [(subject.leaves[0], f"{name} raises {type(error).__name__}: {error}")]
        report.variants.append(name)
        _complain(report, found)
    for name, other in resized(subject, rng):
        if not all(np.isfinite(other.contributions([leaf.point for leaf in other.leaves]))):
            continue
        report.variants.append(name)
        inner = Report("")
        try:
            _search(inner, other, other.gradients(dtype=DOUBLE if other.in_double else None), 1, "probe", 1, rng)
        except (MinigradError, ValueError, TypeError, IndexError, ArithmeticError) as error:
            report.notes.append(f"with {name}, backward raises {type(error).__name__}: {error}")
        report.calls += other.calls
        if inner.verdict == "wrong":
            _complain(report, [(subject.leaves[0], f"with {name}: {f}") for f in inner.findings if f.kind == "wrong"])


def _complain(report, found):
    for leaf, text in found:
        report.findings.append(Finding("wrong", 1, leaf.path, leaf.point.shape, text=text))
        report.judge("wrong")
