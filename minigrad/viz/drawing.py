"""viz.graph and what it returns: a Drawing, which shows itself, and saves itself by the suffix of a file's name."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import MinigradError
from ..models import Models, as_before, outputs_in
from ..tape import Variable, enable_grad, engine
from .build import build
from .collapse import view
from .dot import digraph
from .model import STATISTICS, Graph
from .record import record
from .render import TIMEOUT, RenderError, render

FORMATS = ("dot", "svg", "png", "pdf", "html", "json", "txt")
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
        for name, least in (("depth", 0), ("max_nodes", 2)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise MinigradError(f"viz.graph: {name} must be a number of at least {least}, and is {value!r}")


def _one_of(name, value, allowed):
    if value not in allowed:
        raise MinigradError(f"viz.graph: {name} must be one of {', '.join(map(repr, allowed))}, and is {value!r}")


def graph(outputs, model=None, *, names=None, mark=None, **options) -> "Drawing":
    """The computational graph behind `outputs`, to be looked at."""
    options = Options(**options)
    models = Models([] if model is None else model, "viz.graph: the model")
    if callable(outputs) and not isinstance(outputs, Variable):
        outputs = _run(outputs, models, model, options)
    outputs = outputs_in(outputs, "viz.graph: outputs")
    return Drawing(build(outputs, models, names), options)


def _run(function, models, model, options):
    """What `function` returns, recorded; and its backward too, if something of that is to be seen."""
    backward = options.gradients or options.color in _OF_BACKWARD
    with as_before(models.modules.values()), record(model), enable_grad():
        outputs = function()
        if backward:
            found = [y for y in outputs_in(outputs, "viz.graph: outputs") if y.requires_grad]
            engine.backward_from(found, [None if y.data.size == 1 else y.detach() * 0 + 1 for y in found], True)
    return outputs


class Drawing:
    """A graph, and how it is to be drawn.

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
        """The picture: "svg", "png" or "pdf". Raises: RenderError without a renderer, or where it fails."""
        return render(self.source, format, timeout)

    def save(self, path, timeout: float = TIMEOUT) -> Path:
        """Write it to a file, by its suffix: .dot .svg .png .pdf .html .json .txt. Returns the path."""
        path = Path(path)
        format = path.suffix.removeprefix(".").lower()
        if format not in FORMATS:
            raise MinigradError(f"viz: {path.name!r} must end in {', '.join('.' + f for f in FORMATS)}")
        if format in ("svg", "png", "pdf"):
            path.write_bytes(self.render(format, timeout))
        else:
            texts = {"dot": lambda: self.source, "json": self.graph.to_json, "txt": self.__str__}
            path.write_text(texts[format](), encoding="utf-8")
        return path

    def _repr_mimebundle_(self, include=None, exclude=None):
        try:
            return {"image/svg+xml": self.render("svg").decode(), "text/plain": repr(self)}
        except RenderError as error:
            return {"text/plain": f"{self}\n{error}"}

    def __repr__(self):
        return (
            f"<Drawing of {self.graph.title or 'a graph'}: {len(self.graph.nodes)} nodes, {len(self.view.nodes)} drawn>"
        )
