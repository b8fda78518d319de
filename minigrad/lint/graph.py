"""What the tape behind a loss tells: its leaves, and operations that do not go together."""

import sys
from collections import Counter

from ..backend import around, backend
from ..tape import Function, Variable
from ..tape.history import leaves_behind, nodes_behind
from ..tape.provenance import place_of, where

# Where operations only move values: what goes in comes out, in another shape, dtype or order.
_MOVERS = "tape.function ops.shape ops.index ops.gather ops.cut ops.flip ops.repeat protocols nn.hooks".split()


class Graph:
    """All that can be reached over the edges from `losses`.

    Holds: nodes - in the order of birth. leaves - in the order in which they were found.
    """

    def __init__(self, losses):
        self.losses = losses
        edges = list(dict.fromkeys(y.edge for y in losses if y.requires_grad))
        self.nodes = nodes_behind(edges)
        self.leaves = leaves_behind(edges, self.nodes)

    def is_used_up(self):
        """True if a backward has gone through already."""
        return any(node.saved is None and node.recall is None for node in self.nodes)

    def look_at_losses(self, report):
        """Findings about the value of each loss."""
        for i, y in enumerate(self.losses):
            name = y.name or ("the loss" if len(self.losses) == 1 else f"loss {i}")
            place = place_of(y.creator)
            if y.data.size != 1:
                report.add("loss", name, f"is {y.shape} and not one number; write loss.mean()", place)
            if y.dtype.kind != "f":
                continue
            with around(y.data):
                xp = backend[type(y.data)].xp
                if xp.isnan(y.data).any():
                    report.add("loss", name, "is NaN; mg.detect_anomaly() finds where it was born", place)
                elif xp.isinf(y.data).any():
                    report.add("loss", name, "is infinite; mg.detect_anomaly() finds where it was born", place)
            dtypes = {str(p.dtype) for p in self.leaves}
            if y.dtype == "float64" and dtypes == {"float32"}:
                report.notes.append(
                    f"{name} is float64 though what is trained is float32: the data is; write x.float()"
                )

    def look_at_nodes(self, report):
        """Findings about operations that do not go together."""
        users: dict = {}
        for node in self.nodes:
            for edge in node.edges:
                users.setdefault(edge, []).append(node.name)
        for node in self.nodes:
            before = _origin(node)
            pair = getattr(before, "name", None), node.name
            if pair == ("neg", "softplus"):
                before = _origin(before)
                pair = getattr(before, "name", None), node.name
            if pair == ("sigmoid", "softplus") and "mul" not in users[before]:
                continue  # by itself, not in binary_cross_entropy_with_logits
            if pair == ("log_softmax", "cross_entropy"):
                report.notes.append(f"cross_entropy of log_softmax is right, and computes it twice{where(node)}")
            elif pair in _PAIRS:
                report.add("softmax", "", _PAIRS[pair], place_of(node))

    def look_at_leaves(self, report, models):
        """Findings about Parameters that nobody has but the tape: the function that made them has ended."""
        known = {id(p) for p in models.parameters.values()}
        strangers = [x for x in self.leaves if id(x) not in known]
        self.leaves = []  # strangers and the nodes are what holds them here
        lists = {id(edges): edges for node in self.nodes for edges in (node.edges, node.wants) if edges is not None}
        for x in _held_by(lists.values(), strangers):
            node = next(node for node in self.nodes if any(e is x for e in node.edges))
            first = f"; the first operation to take it is {node.name}{where(node)}"
            if type(x) is Variable:
                what = "a leaf that requires grad was made while the loss was computed, and nobody can see its grad"
                report.notes.append(f"{what}: {x.shape}{first}")
            else:
                what = "was made while the loss was computed: it is a new one each time, and is never trained; make it "
                path = x.name or f"a Parameter {x.shape}"
                report.add("made", path, f"{what}in __init__{first}", place_of(node))


def _origin(node):
    """What the values of the first operand of `node` were made by, before they were only moved."""
    node = next(iter(getattr(node, "edges", None) or ()), None)
    while getattr(node, "edges", None) and type(node).__module__.removeprefix("minigrad.") in _MOVERS:
        node = node.edges[0]
    return node if isinstance(node, Function) else None


_PAIRS = {
    ("softmax", "cross_entropy"): "cross_entropy takes scores (logits) and was given the output of softmax: it learns "
    "slowly, if at all; give it what softmax was given",
    ("softmax", "log_softmax"): "log_softmax was given the output of softmax, as cross_entropy with probabilities does "
    "too; give it what softmax was given",
    ("softmax", "softmax"): "softmax was given the output of softmax; once is enough",
    ("softmax", "log"): "log of softmax is -inf where softmax underflows, and its gradient NaN; write log_softmax",
    ("sigmoid", "softplus"): "binary_cross_entropy_with_logits takes scores (logits) and was given the output of "
    "sigmoid: it learns slowly, if at all; give it what sigmoid was given",
}


def _held_by(lists, leaves):
    """Those of `leaves` to which there are no references but from `lists` and from `leaves` itself."""
    counts = Counter(id(x) for each in lists for x in each if x is not None and not x.order)
    return [x for x in leaves if sys.getrefcount(x) <= counts[id(x)] + _ALONE]


_ALONE = next(sys.getrefcount(x) for x in [Variable(0.0)])
