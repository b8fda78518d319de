"""What gradients from before and optimizers tell."""

from ..backend import around
from ..tape.versions import memory
from .modules import optimized, shortened


def look_at_gradients(report, models, graph, trace, optimizer=None):
    """A finding if gradients that a step has used are still there; with an optimizer a note if any are.

    Writes into memory and births of nodes are stamped by one counter (tape/versions.py). A `grad` last added to before
    its parameter was written, and that before the loss was computed, has made its step and was not cleared. A new
    `grad` has no stamp until something is added to it: there the question is open.
    """
    stale, there = [], []
    if not graph.nodes or graph.is_used_up():
        return
    born = min((y.creator.order for y in graph.losses if y.creator is not None), default=0)
    for path, p in models.trainable.items():
        g = p.grad
        if g is None or (trace is not None and p in trace.touched):
            continue
        with around(g.data):
            if not g.data.any():
                continue
        there.append(path)
        if 0 < memory.stamp(g.data) < memory.stamp(p.data) < born:
            stale.append(path)
    if stale:
        text = "were used by a step and are still there, so that backward adds to them; call optimizer.zero_grad() "
        report.add("zero_grad", ", ".join(stale), f"have gradients that {text}before each backward")
    elif there and optimizer is not None:
        report.notes.append(
            f"there are gradients from before, to which backward adds ({shortened(there)}): right for accumulating "
            "them, else call optimizer.zero_grad()"
        )


def look_at_optimizers(report, models, graph, optimizer):
    """Findings about parameters that the optimizers have not got, or have in vain."""
    if optimizer is None:
        return
    given = {id(p): p for p in optimized(optimizer)}
    missing = [path for path, p in models.trainable.items() if id(p) not in given]
    if missing:
        text = (
            "require grad, and no optimizer that was given has them; make the optimizer after the model is complete, "
        )
        report.add("optimizer", ", ".join(missing), f"{text}or freeze them")
    own = {id(p) for p in models.parameters.values()}
    on_tape = {id(e) for node in graph.nodes for e in node.edges if e is not None} | {id(y) for y in graph.losses}
    strange = [p for key, p in given.items() if key not in own | on_tape]
    if strange:
        text = "are given to the optimizer, and neither the model nor the loss has them: parameters of an earlier "
        names = [p.name or f"a parameter {p.shape}" for p in strange]
        report.add("optimizer", ", ".join(names), f"{text}model, or a layer that was replaced since")
