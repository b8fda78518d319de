"""What lint found: true in a condition if it is nothing; as text and in notebooks."""

import html
from dataclasses import dataclass, field


@dataclass
class Finding:
    """Something that is likely to be a mistake.

    Holds: kind - see lint. path - of the parameters or modules, as "model.fc.weight", separated by ", ".
           text - what is wrong, and what to write instead. place - the line, or "".
    """

    kind: str
    path: str
    text: str
    place: str = ""

    def __str__(self):
        names = self.path.split(", ")
        path = self.path if len(names) <= SHOWN else f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"
        line = f"{self.kind}: {path}{' ' if path else ''}{self.text}"
        return line if self.place in line else f"{line}\n    at {self.place}"


SHOWN = 6  # names of one finding


@dataclass
class Report:
    """The outcome of lint. True in a condition if there are no findings.

    Holds: findings - list of Finding. notes - list of texts: what may well be meant so.
    """

    name: str
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def __bool__(self):
        return not self.findings

    def add(self, kind, path, text, place=""):
        """Add a finding."""
        self.findings.append(Finding(kind, path, text, place))

    def headline(self) -> str:
        """The outcome in one line."""
        count = len(self.findings)
        return f"lint of {self.name}: {count or 'no'} finding{'' if count == 1 else 's'}"

    def __str__(self):
        lines = [self.headline(), *map(str, self.findings), *(f"note: {note}" for note in self.notes)]
        return "\n  ".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        cells = [(f.kind, f.path, f.text, f.place) for f in self.findings]
        head = "".join(f"<th>{name}</th>" for name in ("kind", "path", "what", "where"))
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>" for row in cells)
        notes = "".join(f"<br>note: {html.escape(note)}" for note in self.notes)
        return f"<p>{html.escape(self.headline())}{notes}</p>" + (
            f"<table><tr>{head}</tr>{body}</table>" if body else ""
        )
