"""Titles of modules stand at the left of their boxes, and at the right where arrows run through them there.

    moved(source, svg)      DOT text in which titles are where fewer arrows cross them; `source` itself if all are well

Where arrows run is known once it is laid out; both places take the same room, so that a second layout is the same.
Renderers draw arrows over titles, and leave no room around them.
"""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

_SVG = "{http://www.w3.org/2000/svg}"
_LETTER = 0.55  # of the size of a font: the width of a letter of Arial, on average
_ROOM = re.compile(r'(<td align="left">.*?</td>)(<td width="\d+" rowspan="\d+"></td>)')
_TITLE = re.compile(r'^\s*(?:\w+="[^"]*" )*labeljust="l" .* id="(cluster_[^"]*)" class="module"$', re.MULTILINE)
STEPS = 8  # straight pieces in place of a curve


def moved(source: str, svg: bytes) -> str:
    """`source`, with titles at the right where that is better.

    Args:   svg - the picture of `source`.
    Raises: ValueError for what is no SVG.
    """
    try:
        root = ET.fromstring(svg)
    except ET.ParseError as error:
        raise ValueError(str(error)) from None
    parts = [(g, (g.get("class") or "").split()) for g in root.iter(f"{_SVG}g")]
    lines = [_line(path.get("d", "")) for g, kinds in parts if "edge" in kinds for path in g.iter(f"{_SVG}path")]
    better = {g.get("id") for g, kinds in parts if "cluster" in kinds and _is_better_right(g, lines)}
    return _TITLE.sub(lambda found: _at_the_right(found[0]) if found[1] in better else found[0], source)


def _at_the_right(title):
    title = title.replace('labeljust="l"', 'labeljust="r"', 1)
    return _ROOM.sub(r"\2\1", title).replace('<td align="left">', '<td align="right">')


def _is_better_right(cluster, lines):
    border = next((x for x in cluster.iter() if x.tag in (f"{_SVG}path", f"{_SVG}polygon")), None)
    texts = [*map(_extent, cluster.iter(f"{_SVG}text"))]
    if border is None or not texts:
        return False
    xs = [x for x, _ in _points(border.get("d") or border.get("points", ""))]
    both = min(xs) + max(xs)
    left = sum(_crosses(line, box) for line in lines for box in texts)
    mirrored = [(both - end, both - start, top, bottom) for start, end, top, bottom in texts]
    return left > sum(_crosses(line, box) for line in lines for box in mirrored)


def _extent(text):
    """Left, right, top and bottom of a text."""
    x, y, size = (float(text.get(name, "0")) for name in ("x", "y", "font-size"))
    return x, x + _LETTER * size * len(text.text or ""), y - 0.8 * size, y + 0.2 * size


def _points(text):
    numbers = [float(x) for x in re.findall(r"-?\d+(?:\.\d+)?", text)]
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def _line(path):
    """The points along a path of cubic curves."""
    points = _points(path)
    found = points[:1]
    for i in range(0, len(points) - 3, 3):
        curve = points[i : i + 4]
        for k in range(1, STEPS + 1):
            t = k / STEPS
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            x, y = (sum(w * p[axis] for w, p in zip(weights, curve, strict=True)) for axis in (0, 1))
            found.append((x, y))
    return found


def _crosses(line, box):
    left, right, top, bottom = box
    for (x, y), (u, v) in pairwise(line):
        if max(x, u) < left or min(x, u) > right or max(y, v) < top or min(y, v) > bottom:
            continue
        # Where it enters and leaves the rows of the text.
        ends = [(min(max(end, top), bottom) - y) / (v - y) if v != y else float(i) for i, end in enumerate((y, v))]
        a, b = (x + t * (u - x) for t in ends)
        if max(a, b) >= left and min(a, b) <= right:
            return True
    return False
