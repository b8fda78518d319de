"""The graph that is drawn: nodes, edges and nested groups, plain values that do not hold the tape.

build.py makes one of the tape; collapse.py and diff.py make others of it; dot.py, html.py and text write them down.

    conv2d                    Node("features.0/conv2d:1", "operation", "conv2d", group="features.0", ...)
    module Conv2d             Group("features.0", "Conv2d", parent="Net", ...)
    its weight                Node("features.0.weight", "parameter", "weight", group="features.0", ...)

An id says where a node is: the module in whose forward the operation ran, its name, and the how manieth of that name in
this call of the module it is; `fc@2/linear:1` is of the second call of fc. So an id does not change when something
else does, and is the same in every process.
"""

import json
import math
from dataclasses import asdict, dataclass, field

OPERATION, PARAMETER, LEAF, INPUT, DETACHED = "operation", "parameter", "leaf", "input", "detached"
MODULE, STUB = "module", "stub"  # what stands for a collapsed group, and for nodes that are left out
KINDS = (OPERATION, PARAMETER, LEAF, INPUT, DETACHED, MODULE, STUB)

# What is known of an operation's output, its gradient and its costs, where a recording looked on: name -> (what, unit).
STATISTICS = {
    "mean": ("mean of each result", ""),
    "std": ("standard deviation of each result", ""),
    "max": ("largest absolute value of each result", ""),
    "grad_norm": ("norm of the gradient of each result", ""),
    "grad_mean": ("mean absolute gradient of each result", ""),
    "time": ("time, forward and backward", "s"),
    "bytes": ("kept for backward", "B"),
}


@dataclass(frozen=True)
class Saved:
    """An array that an operation keeps for its backward; `first`: no operation before it keeps that memory."""

    what: str
    shape: tuple
    dtype: str
    bytes: int
    first: bool = True


@dataclass
class Node:
    """An operation, a leaf, or what stands for several of them."""

    id: str
    kind: str
    label: str
    group: str = ""  # id of the innermost group; "" outside of all
    shape: tuple | None = None  # of the output; None for several
    dtype: str = ""
    level: int = 0  # 0 forward; 1 the backward of create_graph, 2 the backward of that
    facts: dict = field(default_factory=dict)  # stride, axis, ...: name -> text
    place: str = ""  # the user's line
    parameters: int = 0  # numbers in a parameter, or in those of a module
    count: int = 1  # operations that it stands for
    repeat: int = 1  # how many alike are drawn as this one
    modules: int = 1  # how many of them have parameters of their own, which are counted together
    saved: list = field(default_factory=list)
    statistics: dict = field(default_factory=dict)  # of STATISTICS
    marks: dict = field(default_factory=dict)  # "born", "infected", "blamed", "output", "added", ...: name -> text

    @property
    def bytes(self) -> int:
        """What it keeps for backward, and nobody before it."""
        return sum(s.bytes for s in self.saved if s.first)


@dataclass
class Edge:
    """What flows from one node to another: a value, and back its gradient."""

    source: str
    target: str
    label: str = ""  # the name of the input
    shape: tuple | None = None
    dtype: str = ""
    kind: str = "value"  # "detached" where the history ends; "repeat" from one of several alike to the next
    count: int = 1
    grad_norm: float | None = None
    marks: dict = field(default_factory=dict)
    of: str = ""  # the id of the group, or the node, that a "repeat" is about


@dataclass
class Group:
    """A call of a module, drawn as a box around what ran in it; `repeat` where it stands for several alike."""

    id: str
    kind: str  # the module's class
    parent: str = ""
    path: str = ""  # of the module
    parameters: int = 0  # numbers in the parameters of it and of those below
    repeat: int = 1
    modules: int = 1  # how many of those have parameters of their own, which are counted together
    last: str = ""  # id of the last one that it stands for
    marks: dict = field(default_factory=dict)


@dataclass
class Graph:
    """Nodes by id in the order in which they ran, edges, groups by id, and the ids of the outputs."""

    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    groups: dict = field(default_factory=dict)
    outputs: list = field(default_factory=list)
    title: str = ""
    notes: list = field(default_factory=list)  # what a reader must know: that nothing was recorded, what was left out

    def ancestors(self, group) -> list:
        """The ids of a group and those around it, innermost first; [] for ""."""
        found = []
        while group:
            found.append(group)
            group = self.groups[group].parent
        return found

    def to_json(self) -> str:
        """The whole graph as JSON text, the same for the same graph. Numbers that are not finite are texts: "NaN"."""
        return json.dumps(_finite(asdict(self)), indent=1, ensure_ascii=False, allow_nan=False)


def _finite(x):
    """`x` with what JSON has no number for as "NaN", "Infinity" and "-Infinity"."""
    if isinstance(x, dict):
        return {key: _finite(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_finite(value) for value in x]
    if isinstance(x, float) and not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    return x


def shaped(shape) -> str:
    """A shape as it is written in a picture: 32×64×8×8, and "number" for ()."""
    return "×".join(map(str, shape)) if shape else "number"
