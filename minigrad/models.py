"""Models: what a tool that looks at a user's modules asks of them, without knowing nn, which lies above.

models = Models(net, "lint: the model")
models.parameters                           # {"model.fc.weight": ...}
with as_before(models.modules.values()):    # in the end, nothing has happened
    with models.calls() as calls:           # the modules in whose forward we are, outermost first
        loss = compute()
"""

from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import NamedTuple

from .backend import around, gpu
from .containers import leaves
from .ops.random import generator, gpu_rng_state, set_gpu_rng_state
from .tape import Variable
from .tape.versions import memory


def is_module(x) -> bool:
    """Modules are told by what they have: this file lies below nn."""
    return not isinstance(x, type) and all(
        hasattr(x, name) for name in ("named_parameters", "named_modules", "named_buffers")
    )


class Models:
    """The modules that are looked at.

    Holds: parameters - {path: Parameter}, shared ones once. name - what to call them all.
    Raises: TypeError for what is no module.
    """

    def __init__(self, model, what):
        single = is_module(model)
        self.roots = {"model": model} if single else self._listed(model, what)
        self.name = ", ".join(type(m).__name__ for m in self.roots.values())
        self.parameters = {}
        seen = set()
        for root, module in self.roots.items():
            for name, p in module.named_parameters():
                if p not in seen:
                    seen.add(p)
                    self.parameters[f"{root}.{name}"] = p
        self.modules = {_path(r, n): m for r, root in self.roots.items() for n, m in root.named_modules()}

    def _listed(self, model, what):
        try:
            roots = dict(enumerate(model)) if not isinstance(model, dict) else model
        except TypeError:
            roots = {0: model}
        for m in roots.values():
            if not is_module(m):
                has = "and has" if isinstance(model, (list, tuple, dict)) else "not"
                wrong = m if has == "and has" else model
                raise TypeError(f"{what} must be a module or a list of modules, {has} a {type(wrong).__name__}")
        return {f"model[{key!r}]": m for key, m in roots.items()}

    @property
    def trainable(self):
        """{path: Parameter} of those that require grad."""
        return {path: p for path, p in self.parameters.items() if p.requires_grad}

    def owner(self, parameter):
        """The path of the module that holds `parameter`, or None."""
        return next((path.rpartition(".")[0] for path, p in self.parameters.items() if p is parameter), None)

    def around(self, path) -> list:
        """Pairs (path, module): the root that `path` is in, and so on down to the module there."""
        return [(p, m) for p, m in self.modules.items() if f"{path}.".startswith(f"{p}.")]

    @contextmanager
    def calls(self):
        """Gives a list, while inside always of the Calls of these modules that are on their way, outermost first.

        Those of this thread: what another one calls is no part of what is watched here.
        """
        running: list[Call] = []
        counts = dict.fromkeys(self.modules, 0)
        here = get_ident()

        def enter(path):
            if get_ident() == here:
                counts[path] += 1
                running.append(Call(path, counts[path]))

        def leave():
            if get_ident() == here:
                running.pop()

        with ExitStack() as handles:
            for path, m in self.modules.items():
                begin = m.register_forward_pre_hook(lambda *_, path=path: enter(path), prepend=True)
                end = m.register_forward_hook(lambda *_: leave(), always_call=True)
                handles.enter_context(begin)
                handles.enter_context(end)
            yield running


class Call(NamedTuple):
    """A call of a module: its path, and how many times it has been called by then."""

    path: str
    number: int


def _path(root, name):
    return f"{root}.{name}" if name else root


def outputs_in(outputs, what):
    """The Variables in `outputs`: one, or several in containers. Raises: TypeError where there is something else."""
    found = leaves(outputs)
    for x in found or [outputs]:
        if not isinstance(x, Variable):
            raise TypeError(
                f"{what} must be a Variable, a function that returns one, or several in a list, not a "
                f"{type(x).__name__}"
            )
    return found


@contextmanager
def as_before(modules):
    """Random numbers, buffers and gradients of `modules` are put back in the end.

    Gives a set, in the end of those parameters to whose gradients something was done.
    """
    state = generator().bit_generator.state
    there = [gpu_rng_state(i) for i in range(gpu[0].count)] if gpu else []
    buffers = [(m, name, b, b.data) for m in modules for name, b in m.named_buffers(recurse=False)]
    grads = {p: p.grad for m in modules for p in m.parameters()}
    stamps = {p: memory.stamp(g.data) for p, g in grads.items() if g is not None}
    values = {p: _copy(g.data) for p, g in grads.items() if g is not None}
    touched: set = set()
    for _, _, b, array in buffers:
        b.data = _copy(array)
    try:
        yield touched
    finally:
        generator().bit_generator.state = state
        for i, each in enumerate(there):
            set_gpu_rng_state(each, i)
        for m, name, b, array in buffers:
            b.data = array
            if getattr(m, name, None) is not b:
                setattr(m, name, b)
        for p, g in grads.items():
            written = g is not None and memory.stamp(g.data) != stamps[p]
            if written or p.grad is not g:
                touched.add(p)
            if written:
                g.data = values[p]
            p.grad = g


def _copy(array):
    with around(array):
        return array.copy()
