"""Each operation of the tape checked by itself, in the order in which they ran: the first wrong one is to blame."""

from dataclasses import dataclass

from ..tape import Variable
from ..tape.anomaly import detect_anomaly
from ..tape.observers import Observer, Observing, running
from ..tape.provenance import input_names, told
from .leaves import is_float
from .report import Finding
from .subject import Subject

_OF_THE_TAPE = {
    "edges",
    "wants",
    "saved",
    "order",
    "hooks",
    "retained",
    "called_at",
    "first_leaf",
    "shape",
    "dtype",
    "recall",
    "noted",
}


@dataclass
class Blamed:
    """An operation whose gradient is wrong: its name, number among its kind, the user's line, and what was found."""

    name: str
    number: int
    place: str
    finding: Finding
    node: object

    def __str__(self):
        where = f", called at {self.place}" if self.place else ""
        return f"the first operation with a wrong gradient is {self.name}:{self.number}{where}: {self.finding}"


class _Recorder(Observer):
    """Keeps the operands of each operation that is recorded, as they were."""

    def __init__(self):
        self.steps = []  # (node, operands, edges)

    def ran(self, node, operands, edges, result):
        if running.get() is None and any(edge is not None for edge in edges):
            operands = [x.copy() if hasattr(x, "dtype") else x for x in operands[: len(edges)]]
            self.steps.append((node, operands, list(edges)))


def operations(subject):
    """(node, operands, edges) of the operations of one run, in their order."""
    recorder = _Recorder()
    with Observing(recorder), detect_anomaly(check_nan=False), subject.recorded():
        pass
    return recorder.steps


def alone(node, operands, edges):
    """(function, inputs): the operation of a node by itself, at the operands that it had."""
    facts = {name: value for name, value in vars(node).items() if name not in _OF_THE_TAPE}

    def again(*xs):
        fresh = object.__new__(type(node))
        vars(fresh).update(facts)
        return fresh(*xs)

    again.__name__ = node.name
    inputs = [
        Variable(x.copy(), requires_grad=True) if edge is not None and is_float(x) else x
        for x, edge in zip(operands, edges, strict=True)
    ]
    return again, inputs


def each_operation(report, subject, order, inspect, rng, until_wrong=False):
    """Check the operations of `subject` one by one; the first wrong one becomes report.op.

    Args: inspect - function of (report, subject, order) that checks one order of a subject.
    """
    counts: dict[str, int] = {}
    for node, operands, edges in operations(subject):
        number = counts[node.name] = counts.get(node.name, -1) + 1
        if report.op is not None and until_wrong:
            return
        function, inputs = alone(node, operands, edges)
        inner = type(report)(node.name)
        part = Subject(function, inputs, {}, rng)
        subjects = [part]
        for n in range(1, order + 1):
            inspect(inner, part, n)
            if inner.verdict == "wrong" or n == order:
                break
            part = part.derived(rng)
            subjects.append(part)
        inner.calls += sum(s.calls for s in subjects)
        _adopt(report, inner, node, number, len(operands))


def _adopt(report, inner, node, number, count):
    """Take over what was found about one operation."""
    names = input_names(node, count)
    report.calls += inner.calls
    for n, row in inner.leaves:
        row.leaf = f"{node.name}:{number} {_named(row.leaf, names)}"
        report.leaves.append((n, row))
    for finding in inner.findings:
        finding.path = _named(finding.path, names)
    wrong = [f for f in inner.findings if f.kind == "wrong"]
    if wrong and report.op is None:
        place = node.called_at
        report.op = Blamed(node.name, number, told(place) if place else "", wrong[0], node)
    if not wrong:
        report.findings += inner.findings
    report.judge(inner.verdict, inner.reason)


def _named(path, names):
    """`input 1` as forward calls it."""
    kind, _, rest = path.partition(" ")
    return names[int(rest)] if kind == "input" and rest.isdigit() and int(rest) < len(names) else path
