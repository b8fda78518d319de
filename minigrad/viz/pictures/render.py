"""Renderers: programs that make pictures of DOT text, each found where it may be, run as a child with a time limit.

    render("digraph { a -> b }", "svg")      bytes; by $MINIGRAD_DOT, else `dot`, else graphviz-pure

The child reads and writes files that are gone afterwards, not pipes: so neither a lot of output nor a grandchild that
holds a pipe open can block, and whatever ends the wait (the limit, Ctrl-C) ends the child and its children too.
"""

import math
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

from ...errors import MinigradError
from .svg import size_of, themed
from .titles import moved

TIMEOUT = 60.0  # s
LARGEST = 1 << 29  # bytes of a picture
VARIABLE = "MINIGRAD_DOT"
_PURE = "graphviz-pure"
LESS = "draw less of it: depth=1, or a smaller max_nodes"
OTHERWISE = "; or give more time: timeout="
INSTALL = '`apt install graphviz` (or by brew, conda, winget), or pip install "minigrad-tape[viz]"'
DPI = 144  # of a PNG: twice that of a plain screen
READABLE = 60  # dpi, below which the letters of a PNG are too small
_USER = sysconfig.get_preferred_scheme("user")
TITLED = 'class="module"'  # a picture with boxes of modules
SIDE, AREA = 16_000, 1e8  # pixels of a PNG; a viewer needs 4 bytes for each


class RenderError(MinigradError, RuntimeError):
    """A picture could not be made: there is no renderer, it failed, or it took too long."""


class NoRendererError(RenderError):
    """There is no renderer on this machine."""


class FormatError(MinigradError, ValueError):
    """A format that is not known, or a file's name that does not say in which format to write."""


def renderer() -> str:
    """The program to run: $MINIGRAD_DOT, else `dot` on the PATH, else graphviz-pure beside this Python or on the PATH.

    Raises: NoRendererError where there is none; RenderError where the variable names none.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        found = shutil.which(os.path.expanduser(wanted))
        if found is None:
            raise RenderError(f"viz: {VARIABLE} is {wanted!r}, and there is no such program; correct it or unset it")
        return found
    found = shutil.which("dot") or shutil.which(_PURE, path=_scripts()) or shutil.which(_PURE)
    if found is None:
        raise NoRendererError(
            f"viz: to make a picture of DOT text, Graphviz is needed: {INSTALL}; "
            "without it, .source and .save() to .dot, .json, .html and .txt work"
        )
    return found


def _scripts():
    """Where pip puts programs for this Python: its own folder, and the user's."""
    return os.pathsep.join((sysconfig.get_path("scripts"), sysconfig.get_path("scripts", _USER)))


def render(source: str, format: str, timeout: float = TIMEOUT) -> bytes:
    """The picture of DOT text. An SVG follows the reader's dark mode; a PNG too large to be read warns.

    Args:   source - DOT. format - "svg", "png" or "pdf". timeout - s, after which the program is ended.
    Raises: RenderError, with what the program said.
    """
    program = renderer()
    end = time.monotonic() + timeout
    if format == "pdf" and TITLED not in source:
        return _run([program, "-Tpdf"], source, end, timeout)
    svg = _run([program, "-Tsvg"], source, end, timeout)
    if TITLED in source and end - time.monotonic() > timeout / 2:  # there is time for another one
        first, source = source, _understood(lambda svg: moved(source, svg), program, svg)
        if source != first and format != "pdf":
            svg = _run([program, "-Tsvg"], source, end, timeout)
    if format == "pdf":
        return _run([program, "-Tpdf"], source, end, timeout)
    if format == "svg":
        return _understood(themed, program, svg)
    # The size is known once it is laid out; dot itself shrinks only what would be larger than 32 767 pixels.
    width, height = _understood(size_of, program, svg)
    dpi = min(DPI, 72 * SIDE / max(width, height), 72 * math.sqrt(AREA / (width * height)))
    if dpi < READABLE:
        warnings.warn(
            f"viz: at {width:.0f}×{height:.0f} points this graph is too large for a PNG that can be read; "
            f"save it as .svg or .html, or {LESS}",
            stacklevel=2,
        )
    return _run([program, f"-T{format}", f"-Gdpi={dpi:.1f}"], source, end, timeout)


def _understood(what, program, svg):
    try:
        return what(svg)
    except ValueError as error:
        raise RenderError(f"viz: what {program} wrote is no SVG: {error}") from None


def _run(command, source, end, timeout):
    """What `command` writes when it reads `source`, if it ends before `end`."""
    name = Path(command[0]).name
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        given.write(source.encode())
        given.seek(0)
        child = _Child(command, given, out, said, end, timeout)
        try:
            child.start()
            child.done.wait()  # not join: Python 3.11 takes a thread for ended when that is interrupted
        finally:
            child.stop.set()
            if child.begun.is_set():  # else it will find that it must stop
                child.done.wait()
        if child.problem:
            raise RenderError(f"viz: {name} {child.problem}")
        out.seek(0)
        picture = out.read()
        if child.status or not picture:
            said.seek(0)
            text = said.read(100_000).decode(errors="replace")
            raise RenderError(f"viz: {name} failed with {child.status}: {_told(text)}{_remedy(name, command[1])}")
        return picture


class _Child(threading.Thread):
    """Runs a program until it ends, or must. In a thread of its own, which Ctrl-C does not interrupt.

    Holds: stop - set it, and the program is ended. begun, done. status - what it returned.
           problem - why it was ended, or "".
    """

    def __init__(self, command, given, out, said, end, timeout):
        super().__init__(name=f"minigrad.viz: {command[0]}", daemon=True)
        self.command, self.given, self.outputs = command, given, (out, said)
        self.end, self.timeout = end, timeout
        self.stop, self.begun, self.done = threading.Event(), threading.Event(), threading.Event()
        self.status, self.problem = None, ""

    def run(self):
        """What the thread does."""
        self.begun.set()
        try:
            if not self.stop.is_set():
                self._run()
        finally:
            self.done.set()

    def _run(self):
        try:
            # A session of its own can be ended as a whole, the program's children too; no Ctrl-C goes there.
            process = subprocess.Popen(
                self.command, stdin=self.given, stdout=self.outputs[0], stderr=self.outputs[1], start_new_session=True
            )
        except OSError as error:
            self.problem = f"cannot be run: {error}"
            return
        while not self._ended(process):
            self.problem = self._problem()
            if self.problem or self.stop.is_set():
                _end(process)
                return

    def _ended(self, process):
        try:
            self.status = process.wait(0.05)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _problem(self):
        if time.monotonic() > self.end:
            return f"did not draw this graph within {self.timeout:g} s; {LESS}{OTHERWISE}"
        if sum(os.fstat(file.fileno()).st_size for file in self.outputs) > LARGEST:
            return f"wrote more than {LARGEST >> 20} MiB; {LESS}"
        return ""


def _end(process):
    """End `process` and its children."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
        process.kill()
    process.wait()


def _told(text):
    """The end of what a program said, on one line."""
    text = re.sub(r"\s+", " ", text).strip()
    if not text:
        return "it said nothing"
    return text if len(text) <= 500 else f"…{text[-500:]}"


def _remedy(name, format):
    if _PURE in name and format == "-Tpdf":
        return f"; {_PURE} makes no PDF: `apt install graphviz`, or save it as .svg"
    return f"; {VARIABLE} names another program to use"
