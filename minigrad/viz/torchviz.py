"""make_dot: the graph as torchviz draws it, for people who know that: leaves blue, operations grey, the output green.

    viz.make_dot(loss, params=dict(model.named_parameters())).render("net")

Names do not change from run to run, labels may hold anything, and a graph may be as deep as it likes.
"""

from collections.abc import Iterable

from ..models import Models, is_module, outputs_in
from ..tape import Variable
from .building.build import build
from .model import DETACHED, INPUT, OPERATION
from .pictures.dot import quoted

GREEN, BLUE, ORANGE, GREY, YELLOW = "darkolivegreen1", "lightblue", "orange", "lightgrey", "lightgoldenrod1"
_NODE = {"style": "filled", "shape": "box", "align": "left", "fontsize": "10", "ranksep": "0.1", "height": "0.2"}
_INCHES = 0.15  # of the picture's size, a node


def make_dot(var, params=None, show_attrs=False, show_saved=False):
    """The graph behind `var` as a graphviz.Digraph, from its leaves down to it.

    Its .source is DOT text. Its .render() needs the program `dot` of Graphviz; graphviz-pure does not serve it.

    Args:    var - a Variable, or several in a list, tuple or dict.
             params - {name: Variable}, pairs as of named_parameters(), or a module: names for leaves.
             show_attrs - write at operations what they were made with, as stride=2. Default False.
             show_saved - draw what operations keep for backward, orange. Default False.
    Raises:  TypeError for what is no Variable, or no names for them.
    """
    import graphviz  # noqa: PLC0415 - importing minigrad does not

    if callable(var) and not isinstance(var, Variable):
        raise TypeError(
            f"viz.make_dot: var must be a Variable, not a {type(var).__name__}; call it: viz.make_dot(model(x))"
        )
    outputs = outputs_in(var, "viz.make_dot: var")
    graph = build(outputs, Models([], ""), _names(params))
    side = max(12.0, _INCHES * len(graph.nodes))
    dot = graphviz.Digraph(node_attr={**_NODE, "fontname": "monospace"}, graph_attr={"size": f"{side:g},{side:g}"})
    for node in graph.nodes.values():
        color = GREEN if node.id in graph.outputs else GREY if node.kind == OPERATION else BLUE
        color = YELLOW if node.kind in (INPUT, DETACHED) and color == BLUE else color
        lines = [node.label]
        if node.kind != OPERATION or node.id in graph.outputs:
            lines.append(_shape(node.shape))
        if show_attrs and node.facts:
            width = max(map(len, node.facts))
            lines += ["-" * (width + 10), *(f"{name:<{width}}: {text}" for name, text in node.facts.items())]
        _put(dot, node.id, lines, color)
        for i, saved in enumerate(node.saved if show_saved else ()):
            _put(dot, f"{node.id} saved {i}", [saved.what, _shape(saved.shape)], ORANGE)
            dot.body.append(f"\t{quoted(f'{node.id} saved {i}')} -> {quoted(node.id)} [dir=none]\n")
    for e in graph.edges:
        dashed = " [style=dashed]" if e.kind == "detached" else ""
        dot.body.append(f"\t{quoted(e.source)} -> {quoted(e.target)}{dashed}\n")
    return dot


def _names(params):
    if params is None:
        return {}
    if is_module(params):
        params = params.named_parameters()
    if not isinstance(params, (dict, Iterable)) or isinstance(params, (str, Variable)):
        raise TypeError(f"viz.make_dot: params must be a dict of names and Variables, not a {type(params).__name__}")
    try:
        found = dict(params)
    except (TypeError, ValueError):
        raise TypeError("viz.make_dot: params must be a dict of names and Variables, or such pairs") from None
    for name, x in found.items():
        if not isinstance(x, Variable):
            raise TypeError(f"viz.make_dot: params[{name!r}] must be a Variable, and is a {type(x).__name__}")
    return {str(name): x for name, x in found.items()}


def _shape(shape):
    return "" if shape is None else f" ({', '.join(map(str, shape))})"


def _put(dot, id, lines, color):
    """A node: in a label, a backslash and an n make a new line."""
    label = "\\n".join(quoted(line)[1:-1] for line in lines if line)
    dot.body.append(f'\t{quoted(id)} [label="{label}" fillcolor={color}]\n')
