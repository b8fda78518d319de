"""Notes: what a recording leaves on the nodes of the tape, and what is known of memory.

    node.noted              Notes: the calls of modules around it, its costs and statistics, where constants are from
    memory_of(array)        Memory: a number that no other memory has, what made it, what it is called

All of it is plain facts and weak references: notes keep no array, no node and no module alive.
"""

import functools
import itertools
import weakref
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...containers import leaves, paths
from ...tape.versions import memory as overwritten
from ...tape.versions import owner_of

written = functools.cache(str)  # of a dtype: NumPy takes 7 us to put the name together
PARTS = 256  # as many parts of one memory are told apart
ROOTS = 4  # as many names are told of what a constant was computed from


@dataclass(slots=True)
class Notes:
    """What was seen of one node."""

    run: "Run | None" = None
    calls: tuple = ()  # of modules, outermost first: (path, number, class)
    level: int = 0  # 0 in a forward, 1 in the backward of create_graph, 2 in the backward of that
    of: Any = None  # a weak reference to the node whose gradient it computes
    began: float = 0.0
    time: float = 0.0  # s, forward and backward
    given: Any = None  # its operands before a conversion, until it has run
    kept: list = field(default_factory=list)  # for each saved value Kept, a list of them, or None
    again: bool = False  # a checkpoint computed again what it saves
    sources: dict = field(default_factory=dict)  # number of the input -> Source
    statistics: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)  # number of the input -> statistics of its gradient
    looks: dict = field(default_factory=dict)  # "forward", "backward" -> Look, where something is not finite
    added: str = ""  # what made a NaN or an infinity between two formulas: a sum of gradients, a hook


@dataclass(frozen=True)
class Run:
    """A recording: the modules that it looked at, in the containers in which they came, as weak references."""

    model: Any
    modules: dict  # path -> weak reference

    def again(self):
        """The model, as it was given to the recording; None where one of its modules is gone."""
        if isinstance(self.model, dict):
            found = {key: ref() for key, ref in self.model.items()}
            return None if None in found.values() else found
        if isinstance(self.model, list):
            modules = [ref() for ref in self.model]
            return None if None in modules else modules
        return None if self.model is None else self.model()


class Kept(NamedTuple):
    """An array that is kept for backward: `bytes` are those of the memory that it looks at."""

    shape: tuple
    dtype: str
    bytes: int
    memory: int  # its number


@dataclass(slots=True)
class Source:
    """Where an operand without a history came from: some memory, or the `text` of a number."""

    shape: tuple = ()
    dtype: str = ""
    text: str = ""
    memory: Any = None
    place: tuple = ()  # which part of the memory it is
    maker: "Maker | None" = None


class Maker(NamedTuple):
    """What made an array, and why it has no history: "detached", "no_grad", "no gradient", "constant", "written"."""

    why: str
    name: str = ""
    calls: tuple = ()
    node: Any = None  # a weak reference, where it was recorded
    stamp: int = 0  # when the memory was last overwritten, then
    roots: tuple = ()  # the Memory of what a constant was computed from


class Memory:
    """An array that owns its memory."""

    __slots__ = ("made", "makers", "names", "number", "owner")

    def __init__(self, owner, number):
        self.owner, self.number = owner, number
        self.made: Maker | None = None  # who allocated it
        self.makers: dict = {}  # part of it -> Maker
        self.names: dict = {}  # part of it -> name

    def name(self, place, given=None) -> tuple[str, bool]:
        """What the part at `place` is called, and whether that names all of it; else the least around it; ("", True).

        Args: given - names that come before those noted: {part: name}.
        """
        names = self.names | given if given else self.names
        if place in names:
            return names[place], True
        (low, high), count = _extent(place), prod(place[1])
        around = [
            (b - a, prod(p[1]), name) for p, name in names.items() for a, b in [_extent(p)] if a <= low <= high <= b
        ]
        if not around:
            return "", True
        _, size, name = min(around, key=lambda each: each[0])
        return name, size == count

    def maker(self, place):
        """The Maker of this part, else of the whole; None where that is not known."""
        return self.makers.get(place, self.made)


_known: dict[int, Memory] = {}  # id of an owner that is alive -> its Memory
_number = itertools.count(1).__next__


def named_in(names: dict) -> list:
    """Pairs (path, value) of what lies in {name: value}, also in containers."""
    return [pair for name, tree in names.items() for pair in zip(paths(tree, name), leaves(tree), strict=True)]


def lies_in_memory(x) -> bool:
    """True for arrays; NumPy's scalars, and lists, have no memory that something else could look at."""
    return hasattr(x, "base") and hasattr(x, "nbytes") and not isinstance(x, np.generic)


def memory_of(x) -> Memory:
    """The Memory that the array `x` looks at."""
    owner = owner_of(x)
    key = id(owner)
    found = _known.get(key)
    if found is None or found.owner() is not owner:
        # An id alone would be that of another array after this one is gone.
        reference = weakref.ref(owner, lambda gone: _forget(key, gone))
        found = _known[key] = Memory(reference, _number())
    return found


def _forget(key, gone):
    found = _known.get(key)
    if found is not None and found.owner is gone:
        del _known[key]


def part_of(x) -> tuple:
    """Which part of its memory `x` is: (first byte, shape, strides); 0 is the stride of an axis of size 1."""
    begins = [(getattr(y, "__cuda_array_interface__", None) or y.__array_interface__)["data"][0] for y in _both(x)]
    strides = tuple(0 if n == 1 else step for n, step in zip(x.shape, x.strides, strict=True))
    return begins[0] - begins[1], tuple(x.shape), strides


def _extent(place):
    """Where the first and the last element of a part begin, in bytes."""
    begin, shape, strides = place
    steps = [max(n - 1, 0) * step for n, step in zip(shape, strides, strict=True)]
    return begin + sum(s for s in steps if s < 0), begin + sum(s for s in steps if s > 0)


def _both(x):
    return x, owner_of(x)


def source_of(x) -> Source:
    """What is known of an operand without a history."""
    if not lies_in_memory(x):
        text = repr(x.item()) if isinstance(x, np.generic) else "" if x is None else repr(x)
        return Source(text=text if len(text) <= 40 else f"{text[:37]}...")
    memory, place = memory_of(x), part_of(x)
    maker = memory.maker(place)
    if maker is not None and maker.stamp != overwritten.stamp(x):
        maker = Maker("written", maker.name, maker.calls)
    return Source(tuple(x.shape), written(x.dtype), "", memory, place, maker)


def note_maker(x, why, node, calls, operands) -> None:
    """Note that `node` made the array `x` out of `operands`; of a constant, also what it was computed from."""
    if not lies_in_memory(x):
        return
    sources = [source_of(y) for y in operands if lies_in_memory(y)]
    roots: dict = {}
    if why == "constant":
        if any(s.maker is not None and s.maker.why == "no_grad" for s in sources):
            why = "no_grad"
        for s in sources:
            inner = s.maker.roots if s.maker is not None and s.maker.why == "constant" else ()
            roots |= dict.fromkeys(inner or [(s.memory, s.place)])
    memory = memory_of(x)
    reference = weakref.ref(node) if why == "detached" else None
    maker = Maker(why, node.name, calls, reference, overwritten.stamp(x), tuple(roots)[:ROOTS])
    if all(s.memory is not memory for s in sources):
        memory.made = maker
    _put(memory.makers, part_of(x), maker)


def note_name(x, name, own=False) -> None:
    """Note what the array `x` is called. The first name stays, unless this one is its `own`."""
    if lies_in_memory(x) and (own or part_of(x) not in memory_of(x).names):
        _put(memory_of(x).names, part_of(x), name)


def _put(parts, place, value):
    parts[place] = value
    if len(parts) > PARTS:  # a loop takes ever new parts of one data set
        del parts[next(iter(parts))]


def kept(x):
    """The Kept of an array; a list of them for a tuple; None for what is no array."""
    if type(x) is tuple:
        return [kept(part) for part in x]
    if not hasattr(x, "nbytes"):
        return None
    if lies_in_memory(x):
        return Kept(tuple(x.shape), written(x.dtype), int(owner_of(x).nbytes), memory_of(x).number)
    return Kept((), written(x.dtype), int(x.nbytes), _number())
