"""How things look: the colours of kinds and of statistics, and the marks. One place for DOT, HTML and legends.

The colours of kinds are tints of Okabe and Ito's palette, those of statistics are cividis: both are told apart by
colour-blind readers. And nothing is told by colour alone: kinds differ in shape; marks in their words, and in the
corners or the line of the border, so that a birth and what it infected differ in a black-and-white print too.
Source: M. Okabe, K. Ito, Color Universal Design (2008); J. Nunez, C. Anderton, R. Renslow, PLoS ONE 13(7) (2018).
"""

import math

from .model import DETACHED, INPUT, LEAF, MODULE, OPERATION, PARAMETER, STUB

INK, PAPER, GREY, FRAME = "#1f2328", "#ffffff", "#59636e", "#afb8c1"
ALERT = "#ffe1d1"  # behind a birth
BACKWARD = "#f8f5ee"  # behind a backward
ON_DARK, ON_BRIGHT = "#fffffe", "#000001"  # text on the colour of a statistic: unlike PAPER it follows no theme

# kind -> (fill, border, shape, words for the legend)
KINDS = {
    OPERATION: ("#f6f8fa", "#57606a", "box", "operation"),
    MODULE: ("#ece7f6", "#6f5b9a", "box3d", "module, collapsed"),
    PARAMETER: ("#d6ecf8", "#0072b2", "box", "parameter"),
    LEAF: ("#d9f0e6", "#009e73", "ellipse", "leaf that requires grad"),
    INPUT: ("#fdf3d0", "#b08800", "ellipse", "input without a gradient"),
    DETACHED: ("#fdf3d0", "#b08800", "note", "detached: its history ends"),
    STUB: ("#ffffff", "#8c959f", "plaintext", "left out"),
}
ROUNDED = (OPERATION,)  # boxes with round corners

# mark -> (border, width of it, words for the legend), the most important first
MARKS = {
    "blamed": ("#d55e00", 3.0, "blamed by gradcheck"),
    "born": ("#d55e00", 3.0, "birth of a NaN or infinity"),
    "born in backward": ("#d55e00", 3.0, "birth in backward"),
    "added": ("#009e73", 2.5, "added"),
    "removed": ("#d55e00", 2.5, "removed"),
    "changed": ("#0072b2", 2.5, "changed"),
    "unchanged": ("#6f5b9a", 1.0, "module without a change"),
    "infected": ("#e69f00", 1.5, "infected by it"),
    "infected in backward": ("#e69f00", 1.5, "infected in backward"),
    "output": (INK, 2.0, "output"),
}
SHAPES = {"blamed": "box", "born": "box", "born in backward": "box"}  # with a double border; else that of the kind
LINES = {"removed": "dashed", "infected": "dashed", "infected in backward": "dashed"}  # else solid

# Each colour in dark surroundings. What is not here, as the colours of statistics, stays as it is.
DARK = {
    INK: "#e6edf3",
    PAPER: "#0d1117",
    GREY: "#9198a1",
    FRAME: "#3d444d",
    ALERT: "#5c2203",
    BACKWARD: "#1c1912",
    "#f6f8fa": "#21262d",
    "#57606a": "#8b949e",
    "#ece7f6": "#2f2747",
    "#6f5b9a": "#b9a5e6",
    "#d6ecf8": "#0c2d4a",
    "#0072b2": "#58a6ff",
    "#d9f0e6": "#0d3325",
    "#009e73": "#3fb98f",
    "#fdf3d0": "#3a2f0b",
    "#b08800": "#d4a72c",
    "#8c959f": "#6e7681",
    "#d55e00": "#ff8a4c",
    "#e69f00": "#f0b429",
}

# How a statistic is called beside its number; its unit says it where there is no word.
WORDS = {"mean": "mean", "std": "std", "max": "max", "grad_norm": "grad", "grad_mean": "mean |grad|", "bytes": "keeps"}

_CIVIDIS = "#00224e #123570 #3b496c #575d6d #707173 #8a8678 #a59c74 #c3b369 #e1cc55 #fee838".split()


def cividis(t: float) -> str:
    """The colour at `t`, from 0 (dark blue) to 1 (yellow)."""
    place = min(max(t, 0.0), 1.0) * (len(_CIVIDIS) - 1)
    i = min(int(place), len(_CIVIDIS) - 2)
    low, high = (tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in _CIVIDIS[i : i + 2])
    return "#" + "".join(f"{round(a + (b - a) * (place - i)):02x}" for a, b in zip(low, high, strict=True))


def ink_on(fill: str) -> str:
    """Black or white, whichever has more contrast on `fill` (WCAG 2.1, relative luminance)."""
    channels = [int(fill[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return ON_BRIGHT if luminance > 0.179 else ON_DARK


class Scale:
    """Colours for the absolute values of one statistic: logarithmic where they span two decades."""

    def __init__(self, values):
        self.signed = any(v < 0 for v in values)
        finite = [abs(v) for v in values if math.isfinite(v)]
        self.low: float = min(finite, default=0.0)
        self.high: float = max(finite, default=0.0)
        positive = [v for v in finite if v > 0]
        self.log = bool(positive) and max(positive) / min(positive) > 100
        if self.log:
            self.low = min(positive)

    def at(self, value: float) -> float:
        """Where `value` lies between the lowest, 0, and the highest, 1."""
        value = abs(value)
        if not math.isfinite(value):
            return 1.0
        if self.low == self.high:
            return 0.5
        if self.log:
            return (math.log(max(value, self.low)) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def colour(self, value: float) -> str:
        """The colour of `value`; white for what is not finite."""
        return cividis(self.at(value)) if math.isfinite(value) else PAPER


_UNITS = {
    "B": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
}


def number(x: float, unit: str = "") -> str:
    """A number as one reads it: 0.0123, 1.2e-07, 12.3 kB, 4.5 ms."""
    if not math.isfinite(x):
        return str(x).replace("nan", "NaN")
    for size, name in _UNITS.get(unit, ()):
        if abs(x) >= 0.9995 * size:  # 999.9 kB are written 1 MB, not 1e+03 kB
            return f"{x / size:.3g} {name}"
    if unit:
        size, name = _UNITS[unit][-1]
        return f"{x / size:.3g} {name}"
    return f"{x:.3g}"


def count_of(n: int) -> str:
    """A count with spaces between thousands: 61 706."""
    return f"{n:,}".replace(",", " ")
