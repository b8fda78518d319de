"""lint: what commonly goes wrong in a training script without an error, found from the model and the tape of a loss.

    print(mg.lint(model, lambda: F.cross_entropy(model(x), y), optimizer=optimizer))

    lint of Net: 1 finding
      unreached: model.fc1.weight, model.fc1.bias get no gradient from the loss: what linear made at
      train.py:9: h = self.fc1(x).detach() is taken without its history by relu at train.py:10: ...

Files: modules.py looks at the attributes of modules, graph.py at the tape, training.py at gradients and optimizers;
trace.py runs a function and finds the line where the path from a parameter to the loss breaks; report.py tells it all.
"""

from ..models import Models, outputs_in
from ..tape import Variable
from ..tape.provenance import place_of
from .graph import Graph
from .modules import look_at_changes, look_at_modules
from .report import Report
from .trace import Trace
from .training import look_at_gradients, look_at_optimizers

__all__ = ["lint"]


def lint(model, loss, *, optimizer=None) -> Report:
    """What is likely to be a mistake in how `loss` is computed with `model`. True in a condition if nothing is.

        assert mg.lint(model, lambda: F.cross_entropy(model(x), y), optimizer=optimizer)

    Findings are of these kinds:
      unreached   parameters that get no gradient from the loss, and, for a function, the line where the path breaks
      hidden      modules and parameters in plain lists and dicts, and leaves that are no Parameters
      made        a Parameter made while the loss was computed, which is a new one each time
      optimizer   parameters that the optimizer has not got, or has though neither the model nor the loss does
      zero_grad   gradients that a step has used already, and to which backward will add
      softmax     softmax before cross_entropy or softmax, log(softmax(x)), sigmoid before a loss that takes logits
      loss        a loss that is not one number, or not finite
      dtype       float64 parameters beside float32 ones
    Frozen parameters, evaluation mode, and what may be meant so are notes: they make no finding.

    Of gradients from before it says zero_grad only where a step came between, so that accumulating gradients is fine.
    That it knows from the second backward into the same `grad` on, or after clipping. Before, with `optimizer`, it
    notes that gradients are there.

    Args:    model - a module, or a list of those that are trained by this loss.
             loss - a Variable, before or after its backward; or a function without arguments that computes it. That is
             run once, and sees the line of what it finds; random numbers, buffers and gradients are put back. Several
             losses in a list or dict count together.
             optimizer - the optimizer, or a list of them.
    Returns: a Report. `findings` have a kind, path, text, and place: the line, or "" where it is not known.
    Raises:  TypeError for what is no module, or no Variable.
    """
    models = Models(model, "lint: the model")
    trace = None
    if callable(loss) and not isinstance(loss, Variable):
        trace = Trace()
        loss = trace.run(loss, models)
        before, models = models, Models(model, "lint: the model")
    losses = outputs_in(loss, "lint: the loss")
    report = Report(models.name)
    if trace is not None:
        look_at_changes(report, models, before)
    graph = Graph(losses)
    graph.look_at_losses(report)
    graph.look_at_nodes(report)
    look_at_gradients(report, models, graph, trace, optimizer)
    _look_at_paths(report, models, graph, trace)
    if trace is not None:
        trace.forget()
    graph.look_at_leaves(report, models)
    look_at_modules(report, models, optimizer)
    look_at_optimizers(report, models, graph, optimizer)
    if trace is None and any(f.kind == "unreached" for f in report.findings):
        report.notes.append("given a function, as lint(model, lambda: ...), it can tell the line")
    return report


def _look_at_paths(report, models, graph, trace):
    """Findings about parameters that are not reached from the loss: one for each way in which that came about."""
    reached = set(graph.leaves)
    lost = {p: path for path, p in models.trainable.items() if p not in reached}
    reasons = trace.why(list(lost), graph.losses) if trace is not None else [(_UNKNOWN, None)] * len(lost)
    groups: dict = {}
    for path, reason in zip(lost.values(), reasons, strict=True):
        groups.setdefault(reason, []).append(path)
    for (text, node), paths in groups.items():
        report.add("unreached", ", ".join(paths), f"get no gradient from the loss: {text}", place_of(node))


_UNKNOWN = "they are not used, or their history was lost: .detach(), .data, NumPy, no_grad, an integer"
