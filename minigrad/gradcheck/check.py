"""The course of a check: run, look for a wrong element leaf by leaf, try the variants, go on to the next order."""

import threading

import numpy as np

from ..errors import GraphError, MinigradError
from .compare import coarse_unlike, unlike
from .differences import EPS, scale_of
from .hints import hint
from .local import each_operation
from .report import Finding, Report
from .search import ROUNDINGS, Search
from .subject import Subject, UnsteadyError
from .variants import VARIANTS, resized

ASIDE = 1e-3  # how far from a kink the check is repeated, relative to the size of the values
# What a function of another dtype, shape or memory may raise: no kinder type is asked of users' functions.
REFUSALS = (MinigradError, ValueError, TypeError, IndexError, ArithmeticError, AssertionError)
# Where it is inconclusive for one of these, the function as a whole is as it should be, and one can go on.
HARMLESS = ("", "kink", "jump", "vacuous")
_one_at_a_time = threading.RLock()  # a run swaps the data of leaves, which other threads may check too


def check(fn, inputs, kwargs, order, mode, probes, variants, allow_zero, rng) -> Report:
    """`gradcheck` with its arguments in place."""
    with _one_at_a_time, np.errstate(all="ignore"):
        return Check(mode, probes, variants, allow_zero, rng).whole(fn, inputs, kwargs, order)


class Check:
    """One check: its settings, and the report that it fills."""

    def __init__(self, mode, probes, variants, allow_zero, rng, alone=False):
        self.mode, self.probes, self.variants, self.allow_zero, self.rng = mode, probes, variants, allow_zero, rng
        self.alone = alone  # of a single operation: nothing but itself explains what is off

    def whole(self, fn, inputs, kwargs, order):
        """The check of a function."""
        self.report = report = Report(getattr(fn, "__name__", type(fn).__name__))
        try:
            subject = Subject(fn, inputs, kwargs, self.rng)
        except (TypeError, AttributeError) as error:
            if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)):
                error.add_note("gradcheck takes the inputs one by one: gradcheck(fn, x, w), or gradcheck(fn, *inputs)")
            raise
        if not subject.leaves:
            raise GraphError("gradcheck: none of the inputs requires grad, and nothing else on the tape does")
        report.notes += subject.notes
        subjects = [subject]
        try:
            self.orders(subject, order, subjects)
        except UnsteadyError as error:
            self._inconclusive("nondeterminism", 1, str(error))
        finally:
            report.calls += sum(s.calls for s in subjects)
        searched = report.verdict != "inconclusive" or report.reason in (*HARMLESS, "noise", "rounding")
        if report.verdict == "wrong" or report.reason == "rounding" or (self.mode == "local" and searched):
            self._blame(subjects[0], len(subjects))
        return report

    def orders(self, subject, order, subjects):
        """Check the orders from 1 to `order`; what is found of the next ones is added to `subjects`."""
        for number in range(1, order + 1):
            self.one_order(subject, number)
            if number == 1 and self.variants and self.mode != "local" and self._can_go_on():
                self._try_variants(subject)
            if number == order or not self._can_go_on() or not self._replayed(subject, number):
                return
            subject = subject.derived(self.rng)
            subjects.append(subject)

    def _can_go_on(self):
        return self.report.verdict != "wrong" and self.report.reason in HARMLESS

    def one_order(self, subject, order):
        """The gradients of `subject` against its differences."""
        problem = _unfit(subject)
        if problem:
            self._inconclusive(problem[0], order, problem[1])
            return
        results, gradients = self._search(self.report, subject, order)
        if any(r.reason in ("kink", "jump") for r in results) and self.report.verdict != "wrong":
            self._beside(subject, order)
        if subject.wide and self.report.verdict != "wrong":
            for leaf, at, own, exact in coarse_unlike(subject, gradients, self.rng):
                kind = "wrong" if self.alone and np.isfinite(own) else "rounding"  # it overflows
                found = Finding(kind, order, leaf.path, leaf.point.shape, at, own, exact)
                found.hint = f"in {leaf.dtype}; in float64 it is right"
                self.report.findings.append(found)
                self.report.judge("wrong" if kind == "wrong" else "inconclusive", "" if kind == "wrong" else kind)
        if order == 1 and not self.allow_zero and self.report.verdict == "right":
            self._see_that_something_was_shown(subject, gradients)

    def _inconclusive(self, reason, order, text):
        self.report.judge("inconclusive", reason)
        self.report.findings.append(Finding(reason, order, "", (), text=text))

    def _search(self, report, subject, order, points=None):
        """(what was found about each leaf, the gradients of all)."""
        search = Search(subject, self.rng, points, order)
        results = []
        for k, gradient in enumerate(search.gradients):
            result = search.every_element(k) if self.mode == "full" else search.leaf(k, self.probes)
            for finding in result.findings:
                if finding.kind == "wrong":
                    finding.hint = hint(finding, gradient, subject.shapes)
            report.findings += result.findings
            report.leaves.append((order, result))
            report.judge(result.verdict, result.reason)
            results.append(result)
        return results, search.gradients

    def _beside(self, subject, order):
        """The check once more, a little aside of the kinks: there the gradient must be right."""
        aside = []
        for leaf in subject.leaves:
            random = self.rng.uniform(0.5, 1.5, leaf.point.shape) * self.rng.choice([-1.0, 1.0], leaf.point.shape)
            aside.append(ASIDE * random * np.maximum(np.abs(leaf.point), 1.0))
        there = Report("")
        for sign in (1, -1):  # to both sides: on one of them there may be no gradient to be seen
            points = [leaf.point + sign * a for leaf, a in zip(subject.leaves, aside, strict=True)]
            if not np.isfinite(subject.contributions(points)).all():
                there.judge("inconclusive", "domain")
            else:
                self._search(there, subject, order, points)
        reason = f" ({there.reason})" if there.reason else ""
        self.report.notes.append(f"a little aside of the kink, the gradient is {there.verdict}{reason}")
        if there.verdict == "wrong":
            self.report.judge("wrong")
            self.report.findings += [f for f in there.findings if f.kind == "wrong"]

    def _see_that_something_was_shown(self, subject, gradients):
        size = float(np.linalg.norm(subject.base))
        parts = [np.abs(g * scale_of(leaf.point)) for g, leaf in zip(gradients, subject.leaves, strict=True)]
        dead = [
            leaf.path
            for leaf, part in zip(subject.leaves, parts, strict=True)
            if part.size and part.max() <= ROUNDINGS * EPS * size
        ]
        if dead and len(dead) == sum(bool(part.size) for part in parts):
            self.report.judge("inconclusive", "vacuous")
        else:
            self.report.notes += [
                f"the gradient of {path} is zero everywhere, and so are the differences" for path in dead
            ]

    def _replayed(self, subject, order) -> bool:
        """True if the formulas give on Variables, under create_graph, what they give on arrays."""
        plain, replayed = subject.gradients(), subject.gradients(create_graph=True)
        for leaf, at, a, b in unlike(subject, plain, replayed):
            text = f"under create_graph it is another than without: {b:.9g} and {a:.9g} at {list(at)}"
            self._complain([(leaf, text)], order)
        return self.report.verdict != "wrong"

    def _try_variants(self, subject):
        gradients = subject.gradients()
        for name, variant in VARIANTS.items():
            try:
                found = list(variant(subject, gradients, self.rng))
            except REFUSALS as error:
                found = [(subject.leaves[0], f"{name} raises {type(error).__name__}: {error}")]
            self.report.variants.append(name)
            self._complain(found)
        for name, other in resized(subject, self.rng):
            there = Report("")
            try:
                self._search(there, other, 1)
            except REFUSALS as error:
                self.report.notes.append(f"with {name}, backward raises {type(error).__name__}: {error}")
            self.report.variants.append(name)
            self.report.calls += other.calls
            wrong = [f for f in there.findings if f.kind == "wrong"]
            self._complain([(subject.leaves[0], f"with {name}: {f}") for f in wrong])

    def _complain(self, found, order=1):
        for leaf, text in found:
            self.report.findings.append(Finding("wrong", order, leaf.path, leaf.point.shape, text=text))
            self.report.judge("wrong")

    def _blame(self, subject, order):
        """Name the first operation that is wrong by itself, where there is one; in local mode, check them all."""
        report, every = self.report, self.mode == "local"
        was, local = (report.verdict, report.reason), report if every else Report("")
        try:
            each_operation(local, subject, order, self._of_one, self.rng, until_wrong=not every)
        except REFUSALS as error:
            report.notes.append(f"the operations could not be checked one by one: {error}")
            return
        report.op = local.op
        if report.op is not None and was[1] == "rounding":
            report.judge("wrong")
        searched = [f for f in report.findings if f.kind == "wrong" and not f.text]
        if was[0] == "wrong" and local.op is None and searched:
            report.notes.append(
                "each operation by itself is right: look for detached values, and for data that changes"
            )

    def _of_one(self, report, subject, order):
        """Check one order of a single operation."""
        if subject.on_the_tape:
            one = Check("probe", self.probes, False, True, self.rng, alone=True)
            one.report = report
            one.one_order(subject, order)


def _unfit(subject):
    """(reason, text) if nothing can be learned from this subject, else None."""
    if subject.overwritten:
        return "mutation", f"fn changes {', '.join(subject.overwritten)} in place"
    points = [leaf.point for leaf in subject.leaves]
    try:
        first, second = subject.contributions(points), subject.contributions(points)
    except REFUSALS as error:
        if not subject.wide or isinstance(error, UnsteadyError):
            raise
        return "precision", f"{type(error).__name__}: {error}"
    subject.base = first
    if not np.isfinite(first).all():
        return "nonfinite", f"{np.count_nonzero(~np.isfinite(first))} of {first.size} elements are NaN or inf"
    apart = np.abs(first - second).max(initial=0.0)
    if apart > 1e4 * EPS * np.abs(first).max(initial=0.0):
        return "nondeterminism", f"elements differ by up to {apart:.3g} from run to run"
    return None
