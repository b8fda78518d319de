"""Births: the operation where a NaN or an infinity came into being, apart from all those that it infected after.

Forward, what is not finite was born where no operand is so, or came in with the data. In backward, where neither the
incoming gradient nor a saved value is so. As in detect_anomaly, an infinity that comes in as data is left alone, since
masks are made of them; unless an output has it too.
"""

from typing import Any, NamedTuple

from ..model import INPUT, LEAF, OPERATION, PARAMETER, Node
from ..recording.looks import INF, NAN

BORN, INFECTED = "born", "infected"


class Step(NamedTuple):
    """An operation: its Node, what its operands come from, {number of the input: Node}, and the looks at it."""

    node: Node
    sources: dict
    looks: dict  # of Notes; {} where nobody looked
    added: str


def mark_births(steps, outputs, leaves) -> None:
    """Mark the nodes of `steps`, which are in the order of birth, and the leaves.

    Args: outputs - ids. leaves - pairs (Node, kinds that its gradient holds).
    """
    if any(s.added or any(s.looks.values()) for s in steps):
        forward = _Phase("")
        forward.looked = {s.node.id: s.looks["forward"] for s in steps if "forward" in s.looks}
        for step in steps:
            _forward(forward, step)
        _unexplained(forward, steps, outputs)
        _backward(_Phase(" in backward"), forward, steps, leaves)


class _Phase:
    """What is known of the nodes in one direction."""

    def __init__(self, suffix):
        self.suffix = suffix
        self.states: dict[str, str] = {}  # id -> BORN or INFECTED
        self.looked: dict[str, Any] = {}  # id -> Look, or None where all was finite

    def mark(self, node, state, text):
        if node.id not in self.states:
            self.states[node.id] = state
            node.marks[state + self.suffix] = text


def _forward(phase, step):
    look = step.looks.get("forward")
    if look is None:
        return
    given = [words for i, kinds in look.operands.items() if (words := _given(phase, step, i, kinds))]
    infected = any(i in step.sources and step.sources[i].id in phase.states for i in look.operands)
    kind = NAN if NAN in look.kinds else INF
    if infected:
        phase.mark(step.node, INFECTED, kind)
    elif kind == NAN:
        out_of = f", out of {' and '.join(given)}" if given else ""
        phase.mark(step.node, BORN, f"{NAN} born here, {look.text}{out_of}")
    elif not look.operands and not look.number:
        phase.mark(step.node, BORN, f"{INF} born here, {look.text}")


def _given(phase, step, i, kinds):
    """What an operand that is not finite comes from is marked, if nothing else explains it. Gives words for masks."""
    source = step.sources.get(i)
    if source is None or source.id in phase.states:
        return ""
    kind = kinds.split()[0]
    if source.kind == OPERATION:
        if phase.looked.get(source.id) is not None:
            return f"the {INF} of {source.label}"
        when = "was written into its result later" if source.id in phase.looked else "came out of it, unrecorded"
        phase.mark(source, BORN, f"{kind} {when}")
        return ""
    if NAN in kinds or source.kind in (PARAMETER, LEAF):
        phase.mark(source, BORN, f"{kind} came in here")
        return ""
    return f"the {INF} that came in with {source.label}"


def _unexplained(phase, steps, outputs):
    """Where an infinity that came in as data has gone all the way to an output, it was no mask: mark its way."""
    by_id = {s.node.id: s for s in steps}
    todo = [by_id[id] for id in outputs if id in by_id and by_id[id].looks.get("forward")]
    while todo:
        step = todo.pop()
        look: Any = step.looks.get("forward")
        if look is None or step.node.id in phase.states:
            continue
        if look.number and not look.operands:
            phase.mark(step.node, BORN, f"{INF} born here out of a number, {look.text}")
            continue
        phase.mark(step.node, INFECTED, INF)
        for source in (step.sources[i] for i in look.operands if i in step.sources):
            if source.id in by_id:
                todo.append(by_id[source.id])
            elif source.kind == INPUT:
                phase.mark(source, BORN, f"{INF} came in here")


def _backward(phase, forward, steps, leaves):
    bad: dict[str, list] = {}  # id -> whether each of the gradients that came to it was not finite
    for step in reversed(steps):
        look = step.looks.get("backward")
        if step.added:
            phase.mark(step.node, BORN, step.added)
        if look is None:
            continue
        if look.came:
            _arrived(phase, step.node, look.came, bad.get(step.node.id))
        elif _from_forward(forward, step, look):
            phase.mark(step.node, INFECTED, f"{look.kinds.split()[0]}, from the forward")
        else:
            phase.mark(step.node, BORN, f"its backward makes {look.kinds.split()[0]}, {look.text}")
        for i, source in step.sources.items():
            if look.made.get(i):
                bad.setdefault(source.id, []).append(look.made[i])
    for node, kinds in leaves:
        if kinds:
            _arrived(phase, node, kinds, bad.get(node.id))


def _arrived(phase, node, kinds, contributions):
    """Mark a node to whose output a gradient came that is not finite."""
    kind = kinds.split()[0]
    if contributions:
        phase.mark(node, INFECTED, kind)
    else:
        phase.mark(node, BORN, f"{kind} came in with its gradient, in a sum or from outside of this graph")


def _from_forward(forward, step, look):
    """Whether a value that it saved had been infected already in the forward."""
    for place in look.operands:
        node = step.sources.get(place) if place >= 0 else step.node
        if node is not None and node.id in forward.states:
            return True
    return False
