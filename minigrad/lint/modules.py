"""What modules hold: their parameters by path, and what lies in their attributes where no module looks."""

from ..models import is_module
from ..tape import Variable
from .report import Report

_REGISTERED = ("_parameters", "_buffers", "_modules", "_hooks", "_transient")


def look_at_modules(report: Report, models, optimizer=None):
    """Findings about what is hidden and about dtypes; notes about what is frozen, and the mode."""
    known = {id(m) for m in models.modules.values()}
    known |= {id(x) for m in models.modules.values() for x in (*m.parameters(), *m.buffers())}
    known |= {id(p) for p in optimized(optimizer)}  # a leaf there is trained, by whatever name
    for path, module in models.modules.items():
        for name, value in vars(module).items():
            if name not in _REGISTERED:
                _look_inside(report, f"{path}.{name}", value, known, set(), name)
    _look_at_dtypes(report, models)
    frozen = [path for path, p in models.parameters.items() if not p.requires_grad]
    if frozen:
        report.notes.append(f"frozen: {shortened(frozen)}")
    for root, module in models.roots.items():
        if not getattr(module, "training", True) and any(map(_depends_on_mode, module.modules())):
            report.notes.append(f"{root} is in evaluation mode; {root}.train() is for training")


def look_at_changes(report: Report, models, before):
    """Findings about Parameters that have taken the place of others since `before`."""
    for path, p in models.parameters.items():
        if before.parameters.get(path, p) is not p:
            text = "was replaced while the loss was computed: it is a new one each time, and is never trained; make "
            report.add("made", path, f"{text}it in __init__")


def _look_at_dtypes(report, models):
    for root in models.roots:
        own = {path: p for path, p in models.parameters.items() if path.startswith(f"{root}.")}
        wide = [path for path, p in own.items() if p.dtype == "float64"]
        if wide and any(p.dtype == "float32" for p in own.values()):
            text = f"are float64, and others of {root} are float32: all that is computed from them becomes float64; "
            report.add("dtype", ", ".join(wide), f"{text}write {root}.float()")


def optimized(optimizer):
    """The parameters that an optimizer, or several, have."""
    optimizers = [] if optimizer is None else [optimizer] if hasattr(optimizer, "param_groups") else list(optimizer)
    for one in optimizers:
        if not hasattr(one, "param_groups"):
            raise TypeError(f"lint: expected an optimizer or a list of them, got a {type(one).__name__}")
    return [p for one in optimizers for group in one.param_groups for p in group["params"]]


def _look_inside(report, path, value, known, seen, attribute):
    """Findings about an attribute's value, and what lies in it if it is a container."""
    plain = path.endswith(f".{attribute}")  # itself the attribute's value
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        if id(value) not in seen:
            seen.add(id(value))
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                _look_inside(report, f"{path}[{key!r}]", inner, known, seen, attribute)
    elif id(value) in known:
        return
    elif isinstance(value, Variable):
        if value.creator is not None or not value.requires_grad:
            return
        if type(value) is Variable:
            text = "requires grad and is no Parameter, so it is not in parameters(); write nn.Parameter(...), or "
            report.add("hidden", path, text + ".detach() for a value that is only kept")
        elif not plain:
            text = "is a Parameter in a plain container, so it is not in parameters(); write nn.ParameterList(...), "
            report.add("hidden", path, text + "or give it an attribute of its own")
    elif not plain and is_module(value):
        lost = _lost(value, known)
        if lost:
            text = f"({type(value).__name__}) is a module in a plain container, so {lost}; write nn.ModuleList(...)"
            report.add("hidden", path, f"{text}; or freeze it, if it shall not be seen")


def _lost(module, known):
    """What goes wrong because nobody knows that `module` is there; "" where nothing does."""
    if any(p.requires_grad and id(p) not in known for p in module.parameters()):
        return "its parameters are not in parameters()"
    if any(not p.requires_grad for p in module.parameters()):
        return ""  # a frozen one, hidden on purpose, as a teacher is
    if any(map(_depends_on_mode, module.modules())):
        return "train() and eval() do not reach it"
    return ""


def _depends_on_mode(module):
    """Whether its forward asks if it is in training."""
    code = getattr(type(module).forward, "__code__", None)
    return code is not None and "training" in code.co_names


def shortened(paths, count=6) -> str:
    """The first of many names."""
    return ", ".join(paths[:count]) + (f" and {len(paths) - count} more" if len(paths) > count else "")
