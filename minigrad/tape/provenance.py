"""Provenance: the user's line behind a node or a write, and the names of what a node was given, for messages.

A place is (code, instruction, inner): where the user's code called minigrad, as the first frame outside of it, and for
an operation that a gradient formula did, whose gradient that was. It holds no frame, so no variables of the user's.

Places are taken only while somebody observes (observers.py), and otherwise messages end with REMEDY. Measured, taking
one at every node: the chain of 10 operations of benchmarks/workloads.py, forward and backward, takes 5.4 % more
instructions and 5.6 % more time, the step of a 64-64-32-10 network 4.5 % more time. At every `memory.overwritten`: the
step of SGD on its parameters takes 9 % more, `x.add_(y)` 14 %, `x[0] = 1.0` 17 %.
"""

import inspect
import linecache
import os
import sys
from itertools import islice
from types import FrameType

REMEDY = "run it again inside `with mg.detect_anomaly():` to see the line"
_INSIDE = ("minigrad", "numpy")  # np.sum(v) calls v.sum from a frame of NumPy's


def caller():
    """The place from which the user called minigrad; None where all frames are minigrad's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti, None)


def within(node):
    """The place of what the gradient formula of `node` does."""
    return None if node.called_at is None else (*node.called_at[:2], node.name)


def told(place) -> str:
    """A place in words: `train.py:12: y = mg.log(x)`."""
    code, instruction, inner = place
    line = next(islice(code.co_positions(), instruction // 2, None), (None,))[0] or code.co_firstlineno
    source = linecache.getline(code.co_filename, line).strip()
    text = f"{_near(code.co_filename)}:{line}{source and f': {source}'}"
    return f"{text} (in the gradient of {inner})" if inner else text


def called(node) -> str:
    """Which line called the operation `node`; or how to find out."""
    if node.called_at is None:
        return f"{REMEDY} that called {node.name}"
    return f"{node.name} was called at {told(node.called_at)}"


def place_of(node) -> str:
    """The line that called `node`, or ""."""
    return told(node.called_at) if getattr(node, "called_at", None) is not None else ""


def where(node) -> str:
    """For sentences: " at this line", or nothing."""
    place = place_of(node)
    return f" at {place}" if place else ""


def note(error, where, text) -> None:
    """Add to an error where it happened, and `text`, unless it tells that already."""
    if not text or text not in "\n".join([str(error), *getattr(error, "__notes__", ())]):
        error.add_note(f"{where}: {text}" if text else where)


def _near(file):
    try:
        return file.removeprefix(os.path.join(os.getcwd(), ""))
    except OSError:  # there is no working directory any more
        return file


def input_names(node, count):
    """How `forward` calls its `count` inputs."""
    parameters = list(inspect.signature(type(node).forward).parameters.values())[1:]
    names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    return names + [f"{parameters[-1].name}[{i}]" for i in range(count - len(names))]


def places(node):
    """What each of the saved values was: input number 0, 1, ..., the output (-1), or a residual (below)."""
    return [*node.needs, *(() if node.needs_rest is None else range(node.needs_rest, len(node.edges)))]


def saved_names(node):
    """What to call the values that `node` has saved, in their order."""
    names = input_names(node, len(node.edges))
    residuals = [*(f"the residual {name}" for name in node.residuals), "the output"]
    return [f"the input {names[i]}" if i >= 0 else residuals[i] for i in places(node)]
