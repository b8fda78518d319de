"""The interactive page: one HTML file that holds the graph, the script that draws it, and no address of anything else.

    page(drawing)      what Drawing.save("net.html") writes

The page lays out what is open of the graph, so it holds all of it, up to EMBEDDED nodes; of a larger graph it holds
what collapse.py leaves. All words, numbers and colours are made here, as for the other pictures; page/*.js places them:

    page/model.js      which modules are open, and what is seen then
    page/layout.js     where it is drawn: dagre's places, and room for titles
    page/straight.js   boxes that follow one another straight below each other
    page/draw.js       as SVG, with tooltips and the legend
    page/page.js       what the mouse, the keys and the controls do

Names come from users. They enter the page as JSON without <, > and &, and SVG as text; the page's own policy forbids
scripts other than ours, and every request.
"""

import base64
import hashlib
import html
import json
import math
import re
from dataclasses import replace
from importlib import resources

from ..model import STATISTICS, Edge, Group, Node, shaped
from ..style import (
    ALERT,
    DARK,
    FRAME,
    GREY,
    INK,
    KINDS,
    LINES,
    MARKS,
    PAPER,
    ROUNDED,
    SHAPES,
    Scale,
    cividis,
    count_of,
    ink_on,
    number,
)
from ..views.collapse import view
from ..words import kept, marked, own_name, printable, repeats, short, statistic
from .contents import Contents
from .dot import LABELLED

EMBEDDED = 5000  # nodes in a file: about 2 MB
SEEN = 600  # nodes at once: dagre takes 1 s for 300 in nested boxes, 3 s for 600 and 10 s for 1000
STEPS = 32  # of the colours of a scale
_LONG = 300  # letters of a fact


def page(drawing) -> str:
    """The HTML of a Drawing. The same for the same graph; times, if there are any, are those that were measured."""
    texts = {name: resources.files(f"{__package__}.page").joinpath(name).read_text("utf-8") for name in _FILES}
    # Without the address of its source map, which browsers' tools would ask for.
    dagre = re.sub(r"\n//# sourceMappingURL=.*", "", texts["dagre.min.js"])
    layout = f"/*\n{texts['dagre.LICENSE.txt']}*/\n{dagre}"
    script = "\n".join(texts[name] for name in _FILES if name in _OURS)
    parts = {
        "policy": _policy(layout, script),
        "title": _ascii(html.escape(printable(drawing.graph.title or "Computational graph"))),
        "style": _colours() + texts["style.css"],
        "data": _embedded(content(drawing)),
        "layout": layout,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], texts["page.html"])


_OURS = ("model.js", "straight.js", "layout.js", "draw.js", "page.js")
_FILES = ("page.html", "style.css", "dagre.min.js", "dagre.LICENSE.txt", *_OURS)


def _policy(*scripts):
    """No address may be asked for anything, and no script may run but these."""
    hashes = (base64.b64encode(hashlib.sha256(f"\n{text}\n".encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def _ascii(text):
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _embedded(value):
    """JSON that can stand in a <script>: without what ends one, and without U+2028."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _colours():
    """The colours of style.py as properties of CSS, light and dark."""
    named = {"ink": INK, "paper": PAPER, "grey": GREY, "frame": FRAME, "alert": ALERT}
    named |= {f"{kind}-fill": look[0] for kind, look in KINDS.items()}
    named |= {f"{kind}-line": look[1] for kind, look in KINDS.items()}
    named |= {f"mark-{mark.replace(' ', '-')}": look[0] for mark, look in MARKS.items()}
    light = " ".join(f"--{name}: {colour};" for name, colour in named.items())
    dark = " ".join(f"--{name}: {DARK.get(colour, colour)};" for name, colour in named.items())
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


# --- the graph as plain values ---------------------------------------------------------------------------------------


def content(drawing) -> dict:
    """What the page holds as JSON: nodes, edges, groups, their texts and how they look. What is empty is left out."""
    options = drawing.options
    whole = view(drawing.graph, replace(options, depth=None, max_nodes=EMBEDDED, parameters=True))
    most = min(options.max_nodes, SEEN)
    inside = Contents(whole, most)
    scales = _scales(whole)
    numbers = {id: i for i, id in enumerate(inside.groups)}
    places = {id: i for i, id in enumerate(whole.nodes)}
    widths = Scale([e.grad_norm for e in whole.edges if e.grad_norm is not None])
    summaries = {id: inside.summary(id) for id in inside.groups}
    nodes = [
        _node(n, inside.alone.get(n.id), inside.times(n), scales) | _filled({"in": numbers.get(inside.home[n.id])})
        for n in whole.nodes.values()
    ]
    groups = [
        _group(g, summaries[g.id], inside, scales) | _filled({"in": numbers.get(inside.parent[g.id])})
        for g in inside.groups.values()
    ]
    names = ("depth", "color", "direction", "shapes", "dtypes", "parameters", "saved", "gradients", "lines", "legend")
    return {
        "title": short(whole.title, 80),
        "notes": [short(note, _LONG) for note in whole.notes],
        "nodes": nodes,
        "groups": groups,
        "edges": [_edge(e, places, widths) for e in whole.edges],
        "options": {name: getattr(options, name) for name in names} | {"most": most},
        "total": len(drawing.graph.nodes),
        "rolled": max((g.repeat for g in inside.groups.values()), default=1),
        "limit": SEEN,
        "labelled": LABELLED,
        "kinds": {kind: _kind(kind) for kind in KINDS},
        "marks": {mark: _mark(mark) for mark in MARKS},
        "statistics": {name: _described(name, scale, summaries.values()) for name, scale in scales.items()},
        "palette": [(fill, ink_on(fill)) for fill in (cividis(i / STEPS) for i in range(STEPS + 1))],
    }


def _filled(fields):
    return {k: v for k, v in fields.items() if v is not None and v not in ("", [], {})}


def _scales(graph):
    values = {name: [n.statistics[name] for n in graph.nodes.values() if name in n.statistics] for name in STATISTICS}
    return {name: Scale(found) for name, found in values.items() if found}


def _described(name, scale, summaries):
    """A statistic and its scale, which is that of the operations: the sums of modules may lie above."""
    what, unit = STATISTICS[name]
    above = any(abs(x.statistics.get(name, 0.0)) > scale.high for x in summaries)
    high = number(scale.high, unit) + (" and more" if above else "")
    return {"what": what, "low": number(scale.low, unit), "high": high, "log": scale.log}


def _kind(kind):
    _, _, shape, words = KINDS[kind]
    return {"css": kind, "shape": "rounded" if kind in ROUNDED else shape, "words": words}


def _mark(mark):
    _, width, words = MARKS[mark]
    return _filled({"width": width, "words": words, "shape": SHAPES.get(mark), "dashed": mark in LINES or None})


def _node(n: Node, group: Group | None, times, scales):
    """A node; one that is all that ran in `group` is called as that. `times`: what the boxes around it say."""
    place, _, code = n.place.partition(": ")
    named = {"id": printable(n.id), "kind": n.kind, "title": short(n.label)}
    found = {
        "repeat": f"× {n.repeat}" if n.repeat not in (1, times) else None,
        "alike": f"{n.repeat} alike" if n.repeat > 1 else None,
        "shape": None if n.shape is None else shaped(n.shape),
        "dtype": n.dtype,
        "level": ["", "of the backward", "of the backward of the backward"][min(n.level, 2)],
        "facts": [(short(k), short(str(v), _LONG)) for k, v in n.facts.items()],
        "place": printable(n.place),
        "lines": [short(line) for line in (place, code) if line],
        "parameters": f"{count_of(n.parameters)} parameters" if n.parameters else None,
        "operations": f"{count_of(n.count)} operations" if n.count > 1 else None,
        "saved": [short(kept(s), _LONG) for s in n.saved],
    }
    if group is not None:
        own = n.label if n.label.replace("_", "") != group.kind.lower() else None
        found |= {"own": own and short(own), "repeat": repeats(group)}
        named |= _titled(group)
    return named | _filled(found) | _known(n, scales)


def _group(g: Group, summary, inside, scales):
    found = {
        "own_marks": _marks(g),  # of the box itself; a closed one has those of all that is in it
        "repeat": repeats(g),
        "label": printable(g.path),
        "alike": f"{g.repeat} alike, to {short(g.last, _LONG)}" if g.repeat > 1 else None,
        "shape": None if summary.shape is None else shaped(summary.shape),
        "dtype": summary.dtype,
        "part": g.id in inside.parts or None,
        "depth": inside.depth[g.id],
        "level": inside.level.get(g.id),
        "operations": f"{count_of(summary.count)} {'operation' if summary.count == 1 else 'operations'}",
        "parameters": f"{count_of(g.parameters)} parameters" if g.parameters else None,
    }
    return {"id": printable(g.id)} | _titled(g, g.id in inside.parts) | _filled(found) | _known(summary, scales)


def _titled(g: Group, is_part=False):
    name = short(own_name(g.id, g.parent))
    return {"title": short(g.kind)} | ({"name": name} if name != g.kind and not is_part else {})


def _known(x: Node, scales):
    """Statistics, as (in the picture, step of the colours, in the tooltip), and marks."""
    found = {}
    for name, value in x.statistics.items():
        if name in scales:
            at = scales[name].at(value)
            step = round(STEPS * min(max(at, 0.0), 1.0)) if math.isfinite(value) else None
            found[name] = (statistic(x, name), step, number(value, STATISTICS[name][1]))
    return _filled({"statistics": found, "marks": _marks(x)})


def _marks(x: Node | Edge | Group):
    return {mark: short(marked(mark, text), _LONG) for mark, text in x.marks.items()}


def _edge(e: Edge, places, widths):
    return _filled(
        {
            "source": places[e.source],
            "target": places[e.target],
            "label": short(e.label),
            "shape": None if e.shape is None else shaped(e.shape),
            "dtype": e.dtype,
            "kind": e.kind if e.kind != "value" else None,
            "count": e.count if e.count > 1 else None,
            "gradient": None if e.grad_norm is None else f"grad {number(e.grad_norm)}",
            "width": None if e.grad_norm is None else round(0.6 + 3 * widths.at(e.grad_norm), 2),
            "marks": _marks(e),
        }
    )
