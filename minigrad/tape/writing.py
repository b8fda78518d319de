"""Writing in place: `x[i] = v` and the methods with a trailing underscore. The write is one more node of the tape."""

import sys
import weakref

from ..backend import around, backend, computed, detours
from ..dtypes import RANK
from ..errors import DTypeError, GraphError, ShapeError
from .function import Alias, Function
from .modes import recording
from .observers import observing, tell
from .variable import Variable
from .versions import memory, owner_of, tick


def write(caller, x, operation, *others):
    """Let `x` become `operation(x, *others)`, in the memory that x has; x goes on as the output of that operation.

    Raises: GraphError for a leaf that requires grad (except under no_grad), or a view where the write would leave
            another Variable with a wrong history; ShapeError and DTypeError where the result does not fit into x.
    """
    check_writable(caller, x)
    with around(x.data):
        y = _result(caller, x, operation, others)
    if y.shape != x.shape:
        raise ShapeError(f"{caller}: the result has shape {y.shape}, and must fit into {x.shape}")
    if RANK[y.dtype.kind] > RANK[x.dtype.kind]:
        raise DTypeError(f"{caller}: the result is {y.dtype}, and x holds {x.dtype}; convert x first")
    assign(caller, x.data, y.data)
    if y.tracked and x.creator is not None and x.creator.retained is not None:
        x.creator.retained = None
        x.creator = y.creator
        x.retain_grad()
    if y.tracked or (recording.get() and x.tracked):
        memory.overwritten(x.data)
        x.creator, x.tracked = y.creator, y.tracked  # both None and False if a constant was written
        if y.tracked:
            x.creator.order = tick()  # younger than the write: x itself is up to date
    else:
        wrote(x)


def _result(caller, x, operation, others):
    if recording.get() and (x.tracked or any(isinstance(o, Variable) and o.tracked for o in others)):
        _refuse(caller, x)
        # What the operation saves must outlive the write: it gets copies of all that lies in this memory.
        owner = owner_of(x.data)
        return operation(_copied(caller, x), *(_copied(caller, o) if _lies_in(o, owner) else o for o in others))
    return operation(x, *others)


def assign(caller, array, values, index=...):
    """array[index] = values, for arrays on one device. Raises: DeviceError, naming the caller, for others."""

    def put(array, values):
        array[index] = values

    if detours and observing.get() and array.dtype != values.dtype:
        tell(f"{caller}, converting to {array.dtype},", {"the value": values}, values.astype(array.dtype))
    computed(caller, put, array, values)


def check_writable(caller, x):
    """Raise GraphError if the memory of `x` is read-only."""
    if not backend[type(x.data)].is_writable(x.data):
        raise GraphError(f"{caller}: x is read-only memory (as after expand); write into x = x.clone()")


def _lies_in(x, owner):
    return isinstance(x, Variable) and owner_of(x.data) is owner


def _copied(caller, x):
    """x at the same place of the tape, in other memory."""
    if x.creator is not None and _is_stale(x):
        raise GraphError(
            f"{caller}: an operand made by {x.creator.name} shares memory with a Variable that has been overwritten in "
            "place since, so its history no longer tells how its values came about; take a clone() before that write"
        )
    copy = Variable(x.data.copy())
    copy.creator, copy.tracked = x.creator, x.tracked
    return copy


def _is_stale(x):
    """True if the memory of x has been overwritten since x was made, through another Variable."""
    return memory.stamp(x.data) > x.creator.order


def wrote(x):
    """Note that the memory of `x` has been written, off the tape; its history goes on as if nothing had been."""
    current = x.creator is not None and not _is_stale(x)
    memory.overwritten(x.data)
    if current:
        x.creator = Alias.behind(x.creator, x)


def _refuse(caller, x):
    """Refuse a recorded write into x where some Variable would be left with a wrong history."""
    leaf = first_leaf_of(x.edge) if x.tracked else None
    if leaf is not None and owner_of(leaf.data) is owner_of(x.data):
        what = "a leaf that requires grad" if leaf is x else "a view of a leaf that requires grad"
        raise GraphError(
            f"{caller}: {what} cannot be changed in place while operations are recorded; "
            "wrap the write in `with mg.no_grad():`, or write y = x + 1"
        )
    if not x.tracked and _holders(x) > _ALONE:
        raise GraphError(
            f"{caller}: other Variables or arrays look at the memory of x, as views do, and they would not know of "
            "this recorded write; write into x = x.clone()"
        )


def first_leaf_of(edge):
    """The leaf where the chain of first inputs behind `edge` begins, or None.

    Each node keeps the answer: writing n times into x walks past each node once, not n times.
    """
    passed = []
    while isinstance(edge, Function) and edge.first_leaf is None:
        passed.append(edge)
        edge = edge.edges[0] if edge.edges else None
    found = edge.first_leaf if isinstance(edge, Function) else _nothing if edge is None else weakref.ref(edge)
    for node in passed:
        node.first_leaf = found
    return found()


def _nothing():
    return None


def _holders(x):
    """How many references there are to the array that owns x's memory: views hold one each."""
    return sys.getrefcount(owner_of(x.data))


_ALONE = _holders(Variable([0.0]))
