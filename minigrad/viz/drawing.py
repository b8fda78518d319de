"""viz.graph and what it returns: a Drawing, which shows itself, and saves itself by the suffix of a file's name."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from ..backend import around, backend
from ..errors import MinigradError
from ..models import Models, as_before, is_module, outputs_in
from ..tape import Variable, enable_grad, engine
from ..tape.history import leaves_behind, nodes_behind
from .building.build import build
from .model import OPERATION, STATISTICS, Graph, shaped
from .pictures.dot import digraph
from .pictures.html import page
from .pictures.render import TIMEOUT, FormatError, RenderError, render
from .pictures.svg import anonymous
from .pictures.text import outline
from .recording.record import record
from .views.collapse import view

FORMATS = ("dot", "svg", "png", "pdf", "html", "json", "txt")
_PICTURES = ("svg", "png", "pdf")  # by a renderer
_ENDS = ", ".join(f".{format}" for format in FORMATS)
_SWITCHES = ("roll", "shapes", "dtypes", "parameters", "saved", "gradients", "lines", "legend")
_OF_BACKWARD = ("grad_norm", "grad_mean", "time")


@dataclass(frozen=True)
class Options:
    """How a graph is drawn: the arguments of viz.graph."""

    depth: int | None = None
    roll: bool = True
    phase: str = "both"
    shapes: bool = True
    dtypes: bool = False
    parameters: bool = True
    saved: bool = False
    gradients: bool = False
    lines: bool = False
    color: str | None = None
    direction: str = "TB"
    max_nodes: int = 300
    legend: bool = True

    def __post_init__(self):
        _one_of("color", self.color, (None, *STATISTICS))
        _one_of("direction", self.direction, ("TB", "LR", "BT", "RL"))
        _one_of("phase", self.phase, ("forward", "backward", "both"))
        for name in _SWITCHES:
            if type(getattr(self, name)) is not bool:
                raise MinigradError(f"viz.graph: {name} must be True or False, and is {getattr(self, name)!r}")
        for name, least in (("depth", 0), ("max_nodes", 2)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise MinigradError(f"viz.graph: {name} must be a number of at least {least}, and is {value!r}")


def _one_of(name, value, allowed):
    if value not in allowed:
        near = {a: a for a in allowed if a} | {a.lower(): a for a in allowed if a}
        found = get_close_matches(value.lower(), near, 1) if isinstance(value, str) else []
        hint = f"; did you mean {near[found[0]]!r}?" if found else ""
        raise MinigradError(f"viz.graph: {name} must be one of {', '.join(map(repr, allowed))}, and is {value!r}{hint}")


def graph(outputs, model=None, *, names=None, mark=None, **options) -> "Drawing":
    """The computational graph behind `outputs`, to be looked at: shown in a notebook, or saved to a file.

        viz.graph(lambda: F.cross_entropy(model(x), y), model, color="grad_norm").save("net.svg")

    Of a function, modules, lines, statistics and births of NaN are known. It is run once, in the end with the random
    numbers, buffers and gradients of before; and its backward too, where gradients are to be seen. Of Variables, they
    are known where they were computed inside of viz.record(model).

    Args:    outputs - a Variable, or several in a list or dict; or a function without arguments that returns such.
             model - the module, or a list or dict of them; default that of the recording.
             names - {name: Variable} of leaves and inputs, also in containers; other values, as of locals(), are
             passed over.
             mark - what to mark: a report of mg.gradcheck, a Function, a Variable, an id, or several in a list.
             depth - collapse modules below this depth; 0 is one box for the model. Default None: as the budget allows.
             roll - draw identical blocks in a row as one, "× 12". Default True.
             phase - "forward", "backward" (the operations of create_graph), or "both", the default.
             shapes, dtypes, parameters, saved, gradients, lines - write at operations their shapes (default True) and
             dtypes, parameter counts (default True), what they keep for backward, gradient norms at edges, the lines
             of the program.
             color - by a statistic: "mean", "std", "max" of outputs, "grad_norm", "grad_mean" of their gradients,
             "time" (s), "bytes" kept for backward. Default None: by kind.
             direction - in which the values flow: "TB", the default, "LR", "BT" or "RL".
             max_nodes - draw at most so many, default 300; legend - explain shapes and colours, default True.
    Returns: a Drawing.
    Raises:  TypeError for what is no Variable or module, or no argument; MinigradError for a value that cannot be;
             MarkError for a mark that is not in the graph. What the function raises comes through.
    """
    shown = options_of(options, "viz.graph", ("names", "mark", "model"))
    if is_module(outputs):
        raise TypeError("viz.graph: a module is not an output; write viz.graph(lambda: model(x), model)")
    models = Models([] if model is None else model, "viz.graph: the model")
    if not callable(outputs) or isinstance(outputs, Variable):
        return Drawing(_noted(build(_found(outputs), models, names, mark), shown), shown)
    backward = shown.gradients or shown.color in _OF_BACKWARD
    with as_before(models.modules.values()), record(model), enable_grad():
        returned = outputs()
        if returned is None:
            raise TypeError("viz.graph: the function returned None; let it return the loss")
        found = _found(returned)
        gradients = _gradients(found) if backward else {}
        made = _noted(build(found, models, names, mark, gradients), shown)
        several = [y for y in found if y.requires_grad and y.data.size != 1]
        if gradients and several:
            shape = shaped(several[0].shape)
            made.notes.append(f"gradients are of the sum of the output, {shape}: for those of a loss, return the loss")
        return Drawing(made, shown)


def _found(outputs):
    """The Variables in `outputs`."""
    if isinstance(outputs, (list, tuple, dict)) and not outputs:
        kind = type(outputs).__name__
        raise TypeError(f"viz.graph: outputs must be a Variable, or several in a list, and the {kind} is empty")
    return outputs_in(outputs, "viz.graph: outputs")


def _noted(graph, options):
    """The graph, with a note where what is to be seen of it is not known."""
    operations = [n for n in graph.nodes.values() if n.kind == OPERATION]
    known = {name for n in operations for name in n.statistics}
    color = options.color
    if operations and "grad_norm" not in known and (options.gradients or color in ("grad_norm", "grad_mean")):
        graph.notes.append(
            "no gradients are known: call backward() inside of viz.record(model), or give viz.graph a function"
        )
    elif operations and color is not None and color not in known:
        graph.notes.append(
            f"{color!r} is not known: it is noted inside of viz.record(model, statistics=True), or of a function"
        )
    return graph


def options_of(given: dict, caller: str, others: tuple) -> Options:
    """The Options of keyword arguments.

    Args:   caller - the function that they were given to. others - its arguments that are no Options.
    Raises: TypeError for what is no argument.
    """
    names = [field.name for field in fields(Options)]
    for name in given:
        if name not in names:
            near = get_close_matches(name, [*names, *others], 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"
            raise TypeError(f"{caller}: there is no argument {name!r}{hint}")
    return Options(**given)


def _gradients(outputs):
    """The gradients of the sum of `outputs`, {leaf: gradient}; none where a backward has gone through already."""
    found = [y for y in outputs if y.requires_grad]
    edges = [y.edge for y in found]
    nodes = nodes_behind(edges)
    variables = leaves_behind(edges, nodes)
    if not variables or any(node.saved is None and node.recall is None for node in nodes):
        return {}
    # Not backward: it would fill the grad of leaves, and step the optimizers that wait for that.
    seeds = [Variable(_ones(y.data)) for y in found]
    gradients = engine.grad(found, variables, seeds, retain_graph=True, allow_unused=True)
    return {x: g for x, g in zip(variables, gradients, strict=True) if g is not None}


def _ones(array):
    with around(array):
        return backend[type(array)].xp.ones_like(array)


class Drawing:
    """A graph, and how it is to be drawn. In a notebook it shows itself; printed, it is an outline.

    Holds: graph - the whole model: nodes, edges, groups. view - what of it is drawn. source - its DOT text.
    """

    def __init__(self, graph: Graph, options: Options):
        self.graph, self.options = graph, options
        self.view = view(graph, options)

    @property
    def source(self) -> str:
        """DOT text, the same for the same graph in every process."""
        return digraph(self.view, self.options).source

    def render(self, format: str = "svg", timeout: float = TIMEOUT) -> bytes:
        """The picture.

        Args:    format - "svg", "png" or "pdf". timeout - s, default 60, after which the renderer is ended.
        Returns: The bytes of a file of that format.
        Raises:  RenderError without a renderer, or where it fails; MinigradError for a timeout that is not above 0.
        """
        if format not in _PICTURES:
            raise FormatError(f"viz: format must be one of {', '.join(map(repr, _PICTURES))}, and is {format!r}")
        if not timeout > 0:
            raise MinigradError(f"viz: timeout must be a number of seconds above 0, and is {timeout!r}")
        return render(self.source, format, timeout)

    def save(self, path: str | os.PathLike[str], timeout: float = TIMEOUT) -> Path:
        """Write it to a file, in the format that the end of its name says.

        The file is complete or absent: whatever happens on the way, an older file of this name stays as it was.

        Args:    path - ends in .dot .svg .png .pdf .html .json or .txt. timeout - s, default 60, for the renderer.
        Returns: The path.
        Raises:  FormatError for another end; FileNotFoundError without its folder; OSError where it cannot be written;
                 RenderError for a picture without a renderer, or where that fails.
        """
        path = Path(path)
        format = path.suffix.removeprefix(".").lower()
        if format not in FORMATS:
            raise FormatError(f"viz: the name of the file must end in {_ENDS}, and is {path.name!r}")
        target = Path(os.path.realpath(path))  # of a link: what it points to
        if not target.parent.is_dir():
            raise FileNotFoundError(f"viz: there is no folder {target.parent}; make it first")
        _write(target, self._content(format, timeout))
        return path

    def _content(self, format, timeout):
        if format in _PICTURES:
            return self.render(format, timeout)
        texts = {
            "dot": lambda: self.source,
            "html": lambda: page(self),
            "json": self.graph.to_json,
            "txt": self.__str__,
        }
        return texts[format]().encode("utf-8", "backslashreplace")  # of a lone surrogate, which JSON knows as \\udc80

    def _repr_mimebundle_(self, include=None, exclude=None):
        kinds = ("image/svg+xml", "text/plain")
        wanted = [kind for kind in kinds if (not include or kind in include) and kind not in (exclude or ())]
        bundle, text = {}, repr(self)
        if "image/svg+xml" in wanted:
            try:
                bundle["image/svg+xml"] = anonymous(self.render("svg"))
            except RenderError as error:
                text = f"{self}\n{error}"
        if "text/plain" in wanted:
            bundle["text/plain"] = text
        return bundle

    def __str__(self):
        return outline(self.view, self.options)

    def __repr__(self):
        return (
            f"<Drawing of {self.graph.title or 'a graph'}: {len(self.graph.nodes)} nodes, {len(self.view.nodes)} drawn>"
        )


def _write(path, content):
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"viz: {path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):  # it is not there, or cannot be reached
            os.unlink(temporary)
