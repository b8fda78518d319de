"""What is told of an operation beside its shape: the facts that it was made with, as texts.

conv2d      kernel=3, stride=2, padding=1, dilation=1, groups=1
getitem     index=[1:, ::2]
"""

from typing import Any

from ...backend.windows import Windows
from ...ops.index import ARRAY
from ...tape import Function

# Facts that the shapes or dtypes beside them tell already, or that serve the formula alone: name -> what it is.
HIDDEN = {
    "full": "the shape of the input",
    "target": "the shape or dtype of the output",
    "shape": "of the output",
    "dtype": "of the output",
    "ends": "where the inputs of cat end",
    "share": "1 / the count of a mean",
    "scale": "1 / the count of a variance",
    "known": "whether the forward was done by a gradient",
    "by_products": "how distances are computed",
    "observe": "what batch norm does with its statistics",
    "ints": "integers taken out of an index, for writing",
}
LONGEST = 60  # characters of a text
_PLAIN = (int, float, bool, str, tuple, list)


def facts_of(node) -> dict:
    """The facts of an operation, {name: text}. Those that are None or False are as if not given."""
    found: dict[str, str] = {}
    for name, value in vars(node).items():
        if name in HIDDEN or hasattr(Function, name) or value is None or value is False:
            continue
        if isinstance(value, Windows):
            found |= {what: _pair(getattr(value, what)) for what in ("kernel", "stride", "padding", "dilation")}
        elif name == "template":
            if any(part is not ARRAY for part in value):
                found["index"] = shortened(f"[{', '.join(map(_index, value))}]")
        elif type(value) in _PLAIN:
            found[name] = shortened(str(value))
    return found


def shortened(text: str) -> str:
    """A text of at most LONGEST characters."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _pair(values: tuple) -> str:
    """The two numbers of a geometry, or the four of a padding, as one would give them: one for all alike."""
    if len(values) == 4 and values[0] == values[1] and values[2] == values[3]:
        values = values[::2]
    return str(values[0] if len(set(values)) == 1 else values)


def _index(part: Any) -> str:
    if part is ARRAY:
        return "array"
    if part is Ellipsis:
        return "..."
    if not isinstance(part, slice):
        return str(part)
    begin, end = ("" if x is None else str(x) for x in (part.start, part.stop))
    return f"{begin}:{end}" + ("" if part.step in (None, 1) else f":{part.step}")
