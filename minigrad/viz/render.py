"""Renderers: programs that make pictures of DOT text, each found where it may be, run as a child with a time limit."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from ..errors import MinigradError

TIMEOUT = 60.0  # s
VARIABLE = "MINIGRAD_DOT"
_PURE = "graphviz-pure"
INSTALL = '`apt install graphviz` (or `brew`, `winget`, `conda`), or pip install "minigrad-tape[viz]"'


class RenderError(MinigradError, RuntimeError):
    """A picture could not be made: there is no renderer, it failed, or it took too long."""


def renderer() -> str:
    """The program to run: $MINIGRAD_DOT, else `dot` on the PATH, else graphviz-pure beside this Python or on the PATH.

    Raises: RenderError where there is none.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise RenderError(f"viz: {VARIABLE} is {wanted!r}, and there is no such program")
        return found
    beside = sysconfig.get_path("scripts")
    found = shutil.which("dot") or shutil.which(_PURE, path=beside) or shutil.which(_PURE)
    if found is None:
        raise RenderError(
            f"viz: to make a picture of DOT text, Graphviz is needed: {INSTALL}; "
            "without it, .source and .save() to .dot, .json, .html and .txt work"
        )
    return found


def render(source: str, format: str, timeout: float = TIMEOUT) -> bytes:
    """The picture of DOT text.

    Args:    format - "svg", "png" or "pdf". timeout - s, after which the program is ended.
    Raises:  RenderError, with what the program said.
    """
    program = renderer()
    name = Path(program).name
    try:
        done = subprocess.run(
            [program, f"-T{format}"], input=source.encode(), capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise RenderError(
            f"viz: {name} did not draw this graph within {timeout:g} s; draw less of it: depth=1, or a smaller max_nodes"
        ) from None
    except OSError as error:
        raise RenderError(f"viz: {program} cannot be run: {error}") from None
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        remedy = f"; {_PURE} makes no {format}: install Graphviz" if _PURE in name and format == "pdf" else ""
        raise RenderError(f"viz: {name} failed with {done.returncode}: {said or 'it said nothing'}{remedy}")
    return done.stdout
