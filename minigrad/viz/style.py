"""How things look: the colours of kinds and of statistics, and the marks. One place for DOT, HTML and legends.

The colours of kinds are tints of Okabe and Ito's palette, those of statistics are cividis: both are told apart by
colour-blind readers, and nothing is told by colour alone: kinds differ in shape, marks in their words and borders.
Source: M. Okabe, K. Ito, Color Universal Design (2008); J. Nunez, C. Anderton, R. Renslow, PLoS ONE 13(7) (2018).
"""

import math

from .model import DETACHED, INPUT, LEAF, MODULE, OPERATION, PARAMETER, STUB

INK, PAPER, GREY = "#1f2328", "#ffffff", "#6e7781"

# kind -> (fill, border, shape, words for the legend)
KINDS = {
    OPERATION: ("#f6f8fa", "#57606a", "box", "operation"),
    MODULE: ("#ece7f6", "#6f5b9a", "box3d", "module, collapsed"),
    PARAMETER: ("#d6ecf8", "#0072b2", "box", "parameter"),
    LEAF: ("#d9f0e6", "#009e73", "box", "leaf that requires grad"),
    INPUT: ("#fdf3d0", "#b08800", "box", "input without a gradient"),
    DETACHED: ("#fdf3d0", "#b08800", "box", "detached: its history ends"),
    STUB: ("#ffffff", "#8c959f", "plaintext", "left out"),
}

# mark -> (border, width of it, words for the legend), the most important first
MARKS = {
    "blamed": ("#d55e00", 3.0, "blamed by gradcheck"),
    "born": ("#d55e00", 3.0, "birth of a NaN or infinity"),
    "born in backward": ("#d55e00", 3.0, "birth in backward"),
    "added": ("#009e73", 2.5, "added"),
    "removed": ("#d55e00", 2.5, "removed"),
    "changed": ("#0072b2", 2.5, "changed"),
    "infected": ("#e69f00", 1.5, "infected by it"),
    "infected in backward": ("#e69f00", 1.5, "infected in backward"),
    "output": (INK, 2.0, "output"),
}

_CIVIDIS = "#00224e #123570 #3b496c #575d6d #707173 #8a8678 #a59c74 #c3b369 #e1cc55 #fee838".split()


def cividis(t: float) -> str:
    """The colour at `t`, from 0 (dark blue) to 1 (yellow)."""
    place = min(max(t, 0.0), 1.0) * (len(_CIVIDIS) - 1)
    i = min(int(place), len(_CIVIDIS) - 2)
    low, high = (tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in _CIVIDIS[i : i + 2])
    return "#" + "".join(f"{round(a + (b - a) * (place - i)):02x}" for a, b in zip(low, high, strict=True))


def ink_on(fill: str) -> str:
    """Black or white, whichever is read better on `fill` (relative luminance, WCAG 2.1)."""
    channels = [int(fill[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return INK if luminance > 0.18 else PAPER


class Scale:
    """Colours for the numbers of one statistic: logarithmic where they are positive and span two decades."""

    def __init__(self, values):
        finite = [abs(v) for v in values if math.isfinite(v)]
        self.low, self.high = (min(finite), max(finite)) if finite else (0.0, 0.0)
        positive = [v for v in finite if v > 0]
        self.log = bool(positive) and max(positive) > 100 * min(positive)
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
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def colour(self, value: float) -> str:
        """The colour of `value`."""
        return cividis(self.at(value))


def number(x: float, unit: str = "") -> str:
    """A number as one reads it: 0.0123, 1.2e-07, 12.3 kB, 4.5 ms."""
    if unit == "B":
        for scale, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if abs(x) >= scale:
                return f"{x / scale:.3g} {name}"
        return f"{x:.0f} B"
    if unit == "s":
        for scale, name in ((1.0, "s"), (1e-3, "ms")):
            if abs(x) >= scale:
                return f"{x / scale:.3g} {name}"
        return f"{x / 1e-6:.3g} µs"
    return f"{x:.3g}"


def count_of(n: int) -> str:
    """A count with spaces between thousands: 61 706."""
    return f"{n:,}".replace(",", " ")
