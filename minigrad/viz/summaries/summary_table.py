"""The table of viz.summary: its rows, its totals, and both written down as text and for notebooks.

A LayerInfo is a row, and tells everything; the columns and the depth choose what of it is written. They are plain
values and do not hold the model. Where torchinfo has a name for something, it is the one here.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple
from unicodedata import east_asian_width

ROW_SETTINGS = ("depth", "var_names", "ascii_only")


@dataclass(frozen=True)
class LayerInfo:
    """A call of a module; or a module that holds others which were called; or one that was not called.

    Sizes are a shape; a list or dict of them, where there are several; None for None; the name of another type.
    """

    path: str  # "features.0"; "" for the model itself
    class_name: str
    depth: int
    depth_index: int  # the how manieth row of its depth it is
    executed: bool = False  # it was called
    reached: bool = False  # it, or one below
    is_recursive: bool = False  # a row before is of the same module
    repeats: int = 1  # how many calls, one after another, it stands for
    input_size: Any = None
    output_size: Any = None
    kernel_size: Any = None
    num_params: int = 0  # numbers in the parameters of it and of those below, shared ones once
    trainable_params: int = 0  # of these
    own_params: int = 0  # in parameters that it holds itself, and no row before
    own_trainable: int = 0  # of these
    shared_params: int = 0  # in parameters that it holds itself, as a row before does
    own_mult_adds: int = 0  # of what ran in it, and in no other row
    mult_adds: int = 0  # with the rows below


@dataclass
class ModelSummary:
    """What viz.summary found. Its text is the table.

    Holds: summary_list - all rows, from the top to the bottom, whatever the depth.
           total_params, trainable_params, non_trainable_params, total_buffers - numbers, shared ones counted once.
           total_mult_adds - of the run. input_size, total_input - sizes and bytes of the input.
           total_output_bytes - of all results, twice, for the gradients. total_param_bytes, total_buffer_bytes.
           total_bytes - of these four. What only a run can tell is None without one.
    """

    name: str
    summary_list: list
    depth: int | None = 3
    col_names: tuple = ("output_size", "num_params", "mult_adds")
    row_settings: tuple = ("depth", "var_names")
    total_params: int = 0
    trainable_params: int = 0
    total_buffers: int = 0
    total_param_bytes: int = 0
    total_buffer_bytes: int = 0
    input_size: Any = None
    total_mult_adds: int | None = None
    total_input: int | None = None
    total_output_bytes: int | None = None

    @property
    def non_trainable_params(self) -> int:
        """Numbers in frozen parameters."""
        return self.total_params - self.trainable_params

    @property
    def total_bytes(self) -> int:
        """Bytes of the input, of the forward/backward pass, of parameters and buffers."""
        return sum(
            (self.total_input or 0, self.total_output_bytes or 0, self.total_param_bytes, self.total_buffer_bytes)
        )

    @property
    def ran(self) -> bool:
        """Whether a forward ran."""
        return self.total_mult_adds is not None

    # --- what is written -----------------------------------------------------------------------------------------

    def shown(self) -> list:
        """The rows down to the depth, each with those that are hidden in it."""
        found: list = []
        for row in self.summary_list:
            if self.depth is None or row.depth <= self.depth:
                found.append((row, []))
            else:
                found[-1][1].append(row)
        return found

    def header(self) -> list:
        """The names of the columns."""
        name = f"Layer (type{' (var_name)' * ('var_names' in self.row_settings)}{':depth-idx' * self._numbered()})"
        return [name, *(COLUMNS[name].title for name in self.col_names)]

    def body(self) -> list:
        """The rows as texts."""
        shown = self.shown()
        ascii_only = "ascii_only" in self.row_settings
        branches = _branches([row.depth for row, _ in shown], ascii_only)
        found = [
            [branch + self._named(row), *(COLUMNS[name].text(self, row, hidden) for name in self.col_names)]
            for branch, (row, hidden) in zip(branches, shown, strict=True)
        ]
        return [list(map(_ascii, texts)) for texts in found] if ascii_only else found

    def totals(self) -> list:
        """The totals as lines, in groups."""
        groups = [
            [
                f"Total params: {self.total_params:,}",
                f"Trainable params: {self.trainable_params:,}",
                f"Non-trainable params: {self.non_trainable_params:,}",
            ]
        ]
        groups[0] += [f"Buffers: {self.total_buffers:,}"] if self.total_buffers else []
        sizes = [("Params size", self.total_param_bytes)]
        sizes += [("Buffers size", self.total_buffer_bytes)] if self.total_buffers else []
        if self.ran:
            groups[0].append(_scaled("Total mult-adds", self.total_mult_adds, ("", "k", "M", "G", "T")))
            sizes.insert(0, ("Input size", self.total_input or 0))
            sizes.insert(1, ("Forward/backward pass size", self.total_output_bytes or 0))
            sizes.append(("Estimated Total Size", self.total_bytes))
        groups.append([_scaled(what, count, ("B", "kB", "MB", "GB", "TB")) for what, count in sizes])
        return groups

    def __str__(self):
        table = [self.header(), *self.body()]
        right = [False, *(COLUMNS[name].right for name in self.col_names)]
        widths = [max(_width(row[i]) for row in table) for i in range(len(right))]
        lines = ["  ".join(map(_padded, row, widths, right)).rstrip() for row in table]
        totals = self.totals()
        rule = "=" * max(map(_width, [*lines, *(line for group in totals for line in group)]))
        return "\n".join([rule, lines[0], rule, *lines[1:], *(x for group in totals for x in (rule, *group)), rule])

    __repr__ = __str__

    def _repr_html_(self):
        right = [False, *(COLUMNS[name].right for name in self.col_names)]
        cells = [_cells("th", self.header(), right), *(_cells("td", row, right) for row in self.body())]
        totals = "".join(f'<p style="{_PLAIN}">{"<br>".join(map(html.escape, group))}</p>' for group in self.totals())
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>{totals}"

    def _numbered(self):
        return "depth" in self.row_settings

    def _named(self, row):
        name = row.class_name
        if "var_names" in self.row_settings and row.path:
            name += f" ({row.path})"
        if self._numbered() and row.depth:
            name += f": {row.depth}-{row.depth_index}"
        return printable(f"{name} × {row.repeats}" if row.repeats > 1 else name)


# --- the columns -------------------------------------------------------------------------------------------------

NOTHING = "--"


class Column(NamedTuple):
    """A column: its head, its text for (summary, row, hidden rows), whether it is about a run, and on which side."""

    title: str
    text: Callable
    needs_input: bool = False
    right: bool = False


def _size(which):
    def text(summary, row, hidden):
        if row.executed:
            return size_shown(getattr(row, which))
        return NOTHING if row.reached else "(not called)"

    return text


def _own(row, hidden):
    """(numbers in parameters that are shown here, how many of them are trained)."""
    rows = (row, *hidden)
    return sum(r.own_params for r in rows), sum(r.own_trainable for r in rows)


def _params(summary, row, hidden):
    own, trained = _own(row, hidden)
    shared = row.shared_params
    if row.is_recursive:
        return "(recursive)"
    text = "" if not own else f"{own:,}" if trained else f"({own:,})"
    if shared:
        text = f"{text} + {shared:,} shared" if text else f"{shared:,} shared"
    return text or NOTHING


def _percent(summary, row, hidden):
    own, _ = _own(row, hidden)
    return f"{own / summary.total_params:.2%}" if own else NOTHING


def _kernel(summary, row, hidden):
    return NOTHING if row.kernel_size is None else size_shown(row.kernel_size)


def _mult_adds(summary, row, hidden):
    count = row.own_mult_adds + sum(r.own_mult_adds for r in hidden)
    return f"{count:,}" if count else NOTHING


def _trainable(summary, row, hidden):
    if not row.num_params:
        return NOTHING
    return "False" if not row.trainable_params else "True" if row.trainable_params == row.num_params else "Partial"


COLUMNS = {
    "input_size": Column("Input Shape", _size("input_size"), needs_input=True),
    "output_size": Column("Output Shape", _size("output_size"), needs_input=True),
    "num_params": Column("Param #", _params, right=True),
    "params_percent": Column("Param %", _percent, right=True),
    "kernel_size": Column("Kernel Shape", _kernel),
    "mult_adds": Column("Mult-Adds", _mult_adds, needs_input=True, right=True),
    "trainable": Column("Trainable", _trainable),
}


# --- texts -------------------------------------------------------------------------------------------------------

LISTED = 4  # sizes of one call that are written out


def size_shown(size) -> str:
    """Sizes as text: [32, 10], or ([32, 10], 2 × [2, 32, 16]), or {"logits": [32, 10]}."""
    if isinstance(size, tuple):
        return f"[{', '.join(map(str, size))}]"
    if isinstance(size, dict):
        return f"{{{', '.join(_cut([f'{key}: {size_shown(x)}' for key, x in size.items()]))}}}"
    if isinstance(size, list):
        runs = [(text, len(list(same))) for text, same in groupby(map(size_shown, size))]
        return f"({', '.join(_cut([text if n == 1 else f'{n} × {text}' for text, n in runs]))})"
    return printable(str(size))


def _cut(texts):
    return texts if len(texts) <= LISTED else [*texts[: LISTED - 1], f"and {len(texts) - LISTED + 1} more"]


def printable(text: str) -> str:
    """`text` in one line: what cannot be printed as an escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _ascii(text):
    return text.replace("×", "x").encode("ascii", "backslashreplace").decode()


def _scaled(what, count, units):
    """`what`, with a count in the unit in which it has one to three digits: "Params size (kB): 246.82"."""
    unit = 0
    while count >= 1000 ** (unit + 1) and unit < len(units) - 1:
        unit += 1
    shown = f"{count:,}" if not unit else f"{count / 1000**unit:,.2f}"
    return f"{what} ({units[unit]}): {shown}" if units[unit] else f"{what}: {shown}"


def _branches(depths, ascii_only):
    """What stands before each row of a tree, given by the depths of its rows."""
    middle, last, through = ("+-", "+-", "|    ") if ascii_only else ("├─", "└─", "│    ")
    goes_on: list = []  # for each depth, whether a row of it follows below the same parent
    found = []
    for depth in reversed(depths):
        goes_on = [*goes_on[: depth + 1], *[False] * (depth + 1 - len(goes_on))]
        lead = "".join(through if goes_on[d] else "     " for d in range(1, depth))
        found.append(lead + (middle if goes_on[depth] else last) if depth else "")
        goes_on[depth] = True
    return found[::-1]


def _width(text):
    """How many columns of a terminal it takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text, width, right):
    space = " " * (width - _width(text))
    return space + text if right else text + space


_PLAIN = "white-space: pre; font-family: monospace"


def _cells(tag, row, right):
    style = f"{_PLAIN}; padding: 0 1em 0 0; text-align: "
    return "".join(
        f'<{tag} style="{style}{"right" if r else "left"}">{html.escape(text)}</{tag}>'
        for text, r in zip(row, right, strict=True)
    )
