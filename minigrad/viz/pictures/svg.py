"""What becomes of an SVG that a renderer made: it is checked, fits its page, and follows the reader's dark mode.

    themed(svg)          <svg class="minigrad-graph" style="max-width:100%;height:auto"> <style>@media (prefers-…
    anonymous(svg)       without ids, for a page with several

Colours are changed by their values, [fill="#f6f8fa"], since that is what the renderers leave of a legend's cells.
"""

import re
from xml.parsers import expat

from ..style import DARK, PAPER

CLASS = "minigrad-graph"
FONTS = f".{CLASS} text{{font-family:Arial,Helvetica,sans-serif}}"  # renderers name the first alone


def themed(svg: bytes) -> bytes:
    """The SVG with a style for dark surroundings, at most as wide as its page.

    Raises: ValueError for what is no SVG.
    """
    root = _root(svg)
    tag = root[0][:-1] + f' class="{CLASS}" style="max-width:100%;height:auto">'.encode()
    return svg[: root.start()] + tag + f"\n<style>{FONTS}{dark()}</style>".encode() + svg[root.end() :]


def anonymous(svg: bytes) -> str:
    """The <svg> element without ids, and without what stands before it: for a page that holds several."""
    text = svg[_root(svg).start() :].decode()
    # In attributes and texts, renderers write < and > as entities.
    return re.sub(r'(<[a-zA-Z][^<>]*?) id="[^"]*"', r"\1", text)


def size_of(svg: bytes) -> tuple:
    """Width and height in points. Raises: ValueError for what is no SVG."""
    found = re.search(rb'\bwidth="([\d.]+)pt"\s+height="([\d.]+)pt"', _root(svg)[0])
    if found is None:
        raise ValueError("it does not say how large it is")
    return max(float(found[1]), 1.0), max(float(found[2]), 1.0)


def dark() -> str:
    """CSS: the colours of DARK, where the reader's system is dark."""
    rules = []
    for light, other in DARK.items():
        shapes = ("polygon", "path", "ellipse") if light == PAPER else ("",)  # white text stands on a colour
        rules += [f'.{CLASS} {shape}[{a}="{light}"]{{{a}:{other}}}' for shape in shapes for a in ("fill", "stroke")]
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"


def _root(svg):
    try:
        parser = expat.ParserCreate()
        parser.Parse(svg, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None
    found = re.search(rb"<svg\b[^>]*>", svg)
    if found is None:
        raise ValueError("there is no <svg>")
    return found
