"""Anomalies: where a NaN or an infinity is born, forward or backward. For debugging: each result is looked through.

    with mg.detect_anomaly():
        loss = F.cross_entropy(model(x), t)
        loss.backward()                         # AnomalyError names the formula, its operands, and your line

Born means: the output holds one, and what it was computed from holds none. What came in with the data is reported
by the first operation that hands it on. An infinity that is handed on is left alone: masks are made of them.
"""

from ..backend import around, backend, cpu
from ..errors import AnomalyError
from .function import Function, Partial
from .observers import Observer, Observing, observe, observing, running
from .provenance import called, caller, input_names, saved_names, within
from .variable import Variable, raw

_KINDS = {"NaN": cpu.xp.isnan, "inf": cpu.xp.isinf}
_OUTSIDE = "it came in from outside, as data or out of an operation without a gradient"


class detect_anomaly(Observing):  # noqa: N801 - PyTorch's name
    """Inside, in this thread, the birth of a NaN or an infinity is an AnomalyError that names the operation.

    `with detect_anomaly():` or `@detect_anomaly()`. The error tells the operands, the first bad element, and the line
    that called the operation; and so do other errors in backward, if the forward ran inside too. Every operation takes
    a look at its result, and on a GPU waits for it.

    Args:   check_nan - look for NaN, default True. False: only note the lines.
            check_inf - look for infinities too; default: as check_nan.
    Raises: (inside) AnomalyError.
    """

    def __new__(cls, check_nan=True, check_inf=None):
        self = super().__new__(cls)
        if callable(check_nan):  # `@detect_anomaly` is `@detect_anomaly()`
            self.__init__()  # type: ignore[misc]
            return self(check_nan)
        return self

    def __init__(self, check_nan=True, check_inf=None):
        kinds = {"NaN": check_nan, "inf": check_nan if check_inf is None else check_inf}
        super().__init__(Anomaly([kind for kind, wanted in kinds.items() if wanted]))

    def __enter__(self):
        self._enter(observing.get(), (*_others(), *self.observers))
        return self


class set_detect_anomaly(detect_anomaly):  # noqa: N801 - PyTorch's name
    """detect_anomaly, or not, by the value of `mode`: from now on, in a `with` block, or in a decorated function."""

    def __new__(cls, *_, **__):
        return object.__new__(cls)

    def __init__(self, mode: bool, check_nan=True, check_inf=None):
        super().__init__(check_nan, check_inf)
        if not mode:
            self.observers = ()
        self.before = observing.get()
        observe((*_others(), *self.observers))

    def __enter__(self):
        self._enter(self.before, (*_others(), *self.observers))
        return self

    def __call__(self, function):
        observe(self.before)
        inside = detect_anomaly()
        inside.observers = self.observers
        return inside(function)


def is_anomaly_enabled() -> bool:
    """True inside of detect_anomaly."""
    return any(isinstance(o, Anomaly) for o in observing.get())


def is_anomaly_check_nan_enabled() -> bool:
    """True where NaN is looked for."""
    return any(isinstance(o, Anomaly) and "NaN" in o.kinds for o in observing.get())


def _others():
    return [o for o in observing.get() if not isinstance(o, Anomaly)]


class Anomaly(Observer):
    """Notes the user's line on each node, and looks for the `kinds` of numbers: "NaN", "inf"."""

    def __init__(self, kinds):
        self.kinds = kinds

    def converted(self, node, given, operands, result):
        if running.get() is not None or "inf" not in self.kinds or not any(map(self._kind, _outputs(node, result))):
            return
        node.called_at = caller()
        for i, (x, y) in enumerate(zip(given, operands, strict=True)):
            if y is not x and holds(y, "inf"):
                label = f"operand {i} ({input_names(node, len(given))[i]})"
                x = cpu.xp.asarray(x) if isinstance(x, (list, tuple)) else x
                _report("inf", f"{node.name}, converting {label} to {y.dtype},", "the result", y, {label: x}, node, {})

    def ran(self, node, operands, edges, result):
        outer = running.get()
        node.called_at = caller() if outer is None else within(outer)
        if outer is not None or not self.kinds:
            return  # what an operation calls may be infinite on the way
        outputs = _outputs(node, result)
        several = outputs is result
        for i, y in enumerate(outputs):
            kind = self._kind(y)
            if kind is not None:
                names = [f"operand {k} ({name})" for k, name in enumerate(input_names(node, len(operands)))]
                origins = dict(zip(names, map(_origin, edges), strict=True))
                inputs = dict(zip(names, operands, strict=True))
                _report(kind, node.name, f"output {i}" if several else "the output", y, inputs, node, origins)

    def returned(self, node, gy, gradients):
        if running.get() is not None or not self.kinds:
            return
        gradients = gradients if type(gradients) is tuple else (gradients,)
        for i, (want, g) in enumerate(zip(node.wants, gradients, strict=False)):  # other lengths the engine refuses
            kind = None if want is None else self._kind(g)
            if kind is not None:
                inputs = _named("the incoming gradient", gy)
                for name, x in zip(saved_names(node), node.saved, strict=True):
                    inputs |= _named(f"{name} that it saved", x)
                origins = dict.fromkeys(inputs, "put the forward inside of detect_anomaly too")
                name = f"the gradient of input {i} ({input_names(node, len(node.edges))[i]})"
                _report(kind, f"{node.name}.backward", name, raw(g), inputs, node, origins)

    def made(self, what, inputs, output, node=None):
        for name, y in _named("the result", output).items():
            kind = self._kind(y)
            if kind is not None:
                given = {name: x for label, whole in inputs.items() for name, x in _named(label, whole).items()}
                _report(kind, what, name, y, given, node, {})

    def _kind(self, x):
        """The first of the kinds that `x` holds, an array or a Variable; None for none."""
        x = raw(x)
        if getattr(getattr(x, "dtype", None), "kind", None) != "f":
            return None
        with around(x):
            if backend[type(x)].xp.isfinite(x).all():
                return None
        return next((kind for kind in self.kinds if holds(x, kind)), None)


def _report(kind, what, name, output, inputs, node, origins):
    """Raise AnomalyError for `output`, which holds a number of this kind, unless it is an infinity handed on."""
    derived = _numbers(node, derived=True)
    inputs = inputs | _numbers(node)
    carrier = next((label for label, x in inputs.items() if holds(x, kind)), None)
    first = None
    if carrier is None:
        bad = _KINDS[kind](_host(output))
        first = tuple(int(i) for i in cpu.xp.argwhere(bad)[0])
        text = f"{kind} was born here, in {bad.sum()} of {bad.size} elements of {name}, first at {first}"
    elif kind == "NaN":
        held = f"holds {_KINDS[kind](_host(inputs[carrier])).sum()}" if hasattr(inputs[carrier], "dtype") else "is"
        text = f"{carrier} already {held} NaN: it was not born here; {origins.get(carrier, _OUTSIDE)}"
    else:
        return
    place = () if node is None else (called(node),)
    first = first if getattr(node, "pointwise", False) else None
    facts = (f"{label}: {_described(x, first)}" for label, x in (inputs | derived).items() if x is not None)
    raise AnomalyError("\n  ".join([f"{what}: {text}", *place, *facts]))


def _outputs(node, result):
    """The outputs in what `forward` returned, a tuple."""
    if type(result) is tuple:
        return result[:1] if node.residuals else result
    return (result,)


def _origin(edge):
    if isinstance(edge, Function):
        return f"{edge.name} made it outside of detect_anomaly"
    if isinstance(edge, Variable):
        return f"{edge.name or 'it'} is a leaf, and got it as data or by a step of an optimizer"
    return _OUTSIDE


def _named(label, x):
    """{label: array}, of an array, a Variable, several of them, or nothing."""
    if isinstance(x, Partial):
        return {f"{label} of output {i}": raw(part) for i, part in x.parts.items()}
    if isinstance(x, tuple):
        return {f"{label} {i}": raw(part) for i, part in enumerate(x)}
    return {} if x is None else {label: raw(x)}


def _numbers(node, derived=False):
    """The numbers among the facts of `node` that it was given, or those that its forward has derived."""
    facts = {} if node is None else {k: x for k, x in vars(node).items() if (k in node.derived) is derived}
    return {f"its {name}": x for name, x in facts.items() if type(x) in (int, float) and not hasattr(Function, name)}


def holds(x, kind):
    """Whether `x`, an array or a number, holds a number of the `kind`."""
    if type(x) is float:
        return bool(_KINDS[kind](x))
    if getattr(getattr(x, "dtype", None), "kind", None) != "f":
        return False
    with around(x):
        return bool(getattr(backend[type(x)].xp, f"is{kind.lower()}")(x).any())


def _host(x):
    return backend[type(x)].to_numpy(x)


def _described(x, index=None):
    """What an operand is: dtype, shape, its numbers in short, and the one that goes to `index` of the result."""
    if not hasattr(x, "dtype"):
        return repr(x)[:60]
    x = _host(x)
    facts = [f"{x.dtype} {x.shape}"]
    if x.size == 1:
        facts.append(f"{x.item():.4g}")
    elif x.dtype.kind == "b":
        facts.append(f"{x.sum()} of {x.size} true")
    elif x.size:
        finite = x[cpu.xp.isfinite(x)].astype("float64")
        if finite.size:
            facts.append(f"min {finite.min():.4g}, max {finite.max():.4g}, mean {finite.mean():.4g}")
        counts = {"zeros": x == 0} | {kind: test(x) for kind, test in _KINDS.items()}
        facts += [f"{name}: {found.sum()}" for name, found in counts.items() if found.any()]
    text = ", ".join(facts)
    if index is None or x.size == 1 or x.ndim > len(index):
        return text
    here = tuple(0 if n == 1 else i for i, n in zip(index[len(index) - x.ndim :], x.shape, strict=True))
    return f"{text}; {x[here].item():.4g} at {here}"
