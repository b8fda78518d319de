"""What is written in pictures and outlines: names as they can be printed, cut where they are long; shapes; marks.

short("model.encoder.…")     a label holds at most LONGEST letters of a name; tooltips hold it whole
ident("a<b>%")               a%3Cb%3E%25: an id for DOT and SVG, another one for every other name
"""

import html
import re
import textwrap
from hashlib import sha256
from urllib.parse import quote

from .model import STATISTICS, STUB, Group, Node, shaped
from .style import WORDS, count_of, number

LONGEST = 40  # letters of a name or a line in a label
LONG = 3000  # letters of a tooltip or an id: a text in DOT may have 16 384 bytes, and a letter takes up to 5
SMALL = 9  # points
USUAL = "float32"  # the dtype that goes without saying

# Neither XML nor a line of text can hold these: controls, lone surrogates, and two that are no characters.
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
# Marks that say in themselves what happened; before the text of others stands the mark.
_SPEAKING = ("born", "born in backward", "blamed")


def printable(text: str) -> str:
    """`text` with pictures of control characters in their places, ␊ for a newline; � where there is none."""
    return re.sub(f"[{_UNPRINTABLE}]", _picture, text)


def escaped(text: str) -> str:
    """`text` in DOT's labels of HTML: a backslash escapes there as in DOT, and dot 2.43 takes no ] at a beginning."""
    return html.escape(printable(text), quote=True).replace("\\", "\\\\").replace("]", "&#93;")


def small(text: str) -> str:
    """`text` in a label of DOT, in small letters. Empty elements are errors there."""
    return f'<font point-size="{SMALL}">{escaped(text)}</font>' if text else ""


def bold(text: str, size: int | None = None) -> str:
    """`text` in a label of DOT, in bold letters of `size` points."""
    thick = f"<b>{escaped(text)}</b>" if text else ""
    return f'<font point-size="{size}">{thick}</font>' if size and thick else thick


def _picture(found):
    code = ord(found[0])
    return chr(0x2400 + code) if code < 32 else "\u2421" if code == 127 else "\ufffd"


def ident(text: str) -> str:
    """An id for `text`, safe in DOT, XML and HTML: what has a meaning there is percent-encoded, as in a URL."""
    # Renderers make \xa0 of a space behind another.
    special = f'[%"&<>\\\\\xa0{_UNPRINTABLE}]|(?<= ) '
    encoded = re.sub(special, lambda found: quote(found[0], safe="", errors="surrogatepass"), text)
    if len(encoded) > LONG:
        return f"{encoded[:100]}%%{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return encoded or "%"  # an empty id would be none


def short(text: str, longest: int = LONGEST) -> str:
    """`text` on one line of at most `longest` letters; of a longer one the beginning and the end."""
    text = printable(text)
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[-end:]}"


def folded(text: str, width: int = 76) -> list:
    """`text` in lines of at most `width` letters."""
    return textwrap.wrap(printable(text), width) or [""]


def shape_of(node: Node, options) -> str:
    """32×64 float64: the shape if it is wanted, and the dtype if it is wanted or not the usual one."""
    parts = []
    if options.shapes and node.shape is not None and node.kind != STUB:
        parts.append(shaped(node.shape))
    if node.dtype and node.kind != STUB and (options.dtypes or (options.shapes and node.dtype != USUAL)):
        parts.append(node.dtype)
    return " ".join(parts)


def statistic(node: Node, name: str | None) -> str:
    """The statistic called `name` as it stands in a node: grad 0.0123; "" if it is not known."""
    if name is None or name not in node.statistics:
        return ""
    return f"{WORDS.get(name, '')} {number(node.statistics[name], STATISTICS[name][1])}".strip()


def kept(saved) -> str:
    """What an operation keeps, in a line: keeps x 32×64: 8.19 kB."""
    size = number(saved.bytes, "B") if saved.first else "kept already"
    return f"keeps {saved.what} {shaped(saved.shape)}: {size}"


def marked(mark: str, text: str) -> str:
    """A mark in words: NaN born here: 3 of 8 elements of log; output: loss."""
    if mark.startswith("infected"):
        what, _, several = text.rpartition(" in ") if re.search(r" in \d+ \w+$", text) else (text, "", "")
        have = f"{several} have {what}" if several else f"has {what}"
        return have if mark == "infected" else f"{have} in the gradient" if several else f"{what} in the gradient"
    if not text or text == mark or text.startswith(f"{mark} "):
        return text or mark
    return text if mark in _SPEAKING else f"{mark}: {text}"


def parameters_of(thing: Group | Node, around: Group | None) -> str:
    """16 640 parameters, 12 × 49 984 parameters; "" for none. In `around`, which is drawn once for several: of one."""
    if not thing.parameters:
        return ""
    times = max(1, thing.modules // (around.modules if around else 1))
    each = thing.parameters // thing.modules
    if each * thing.modules != thing.parameters:  # of what is alike in all that is drawn, and not in this
        return f"{count_of(thing.parameters)} parameters in all"
    return f"{f'{times} × ' if times > 1 else ''}{count_of(each)} parameters"


def own_name(id: str, around: str) -> str:
    """The name of group `id` inside of group `around`: 0 for features.0 in features; features.0 elsewhere."""
    name, outer = id.rpartition("/")[2], around.rpartition("/")[2].partition("@")[0]
    return name.removeprefix(f"{outer}.") if outer else name


def repeats(group: Group) -> str:
    """× 12, to blocks.11; "" for a single one."""
    if group.repeat <= 1:
        return ""
    last = own_name(group.last, group.parent)
    return f"× {group.repeat}" + (f", to {short(last)}" if last else "")
