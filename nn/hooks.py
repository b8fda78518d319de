"""Hooks on modules: functions that are called before and after a forward, and when gradients pass by.

    with net.fc.register_forward_hook(lambda module, args, output: print(output.shape)):
        loss = net(x).sum()
    net.fc.register_full_backward_hook(lambda module, grad_input, grad_output: print(grad_output[0].shape))

Gradients are seen at two nodes that a call of the module puts on the tape, one behind its outputs and one before its
inputs. A node has all gradients at once, which a hook on each Variable would not. No hooks, no nodes.
"""

import warnings
import weakref
from typing import Any, NamedTuple

from ..backend import around, backend
from ..errors import GraphError, ShapeError
from ..tape import Function, Variable, is_grad_enabled, raw
from ..tape.function import Output
from ..tape.variable import HookHandle
from ..tape.versions import memory, tick
from ..tape.writing import first_leaf_of

_PRE_FORWARD, _FORWARD, _PRE_BACKWARD, _BACKWARD = "pre_forward", "forward", "pre_backward", "backward"


class Hook(NamedTuple):
    """What a module keeps of a hook."""

    kind: str
    function: Any
    with_kwargs: bool = False
    always_call: bool = False


def register_forward_pre_hook(self, hook, *, prepend: bool = False, with_kwargs: bool = False) -> HookHandle:
    """Call `hook(module, args)` before each forward; what it returns, unless None, takes the place of args.

    Args:    prepend - before the hooks of its kind that are there, default behind them.
             with_kwargs - call `hook(module, args, kwargs)`, which returns None or a pair (args, kwargs).
    Returns: a handle whose `remove()` takes the hook off.
    """
    return _registered(self, Hook(_PRE_FORWARD, hook, with_kwargs), prepend)


def register_forward_hook(
    self, hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
) -> HookHandle:
    """Call `hook(module, args, output)` after each forward; what it returns, unless None, is the new output.

    Args:    prepend - before the hooks of its kind that are there, default behind them.
             with_kwargs - call `hook(module, args, kwargs, output)`.
             always_call - call it after an exception too; output is None then, if forward has not come to its end.
    Returns: a handle whose `remove()` takes the hook off.
    """
    return _registered(self, Hook(_FORWARD, hook, with_kwargs, always_call), prepend)


def register_full_backward_pre_hook(self, hook, prepend: bool = False) -> HookHandle:
    """Call `hook(module, grad_output)` when the gradients of the outputs are there, before they go on.

    Args:    hook - what it returns, unless None, takes the place of grad_output: a tuple with an entry for each
             output, None where there is no gradient.
             prepend - before the hooks of its kind that are there, default behind them.
    Returns: a handle whose `remove()` takes the hook off.
    """
    return _registered(self, Hook(_PRE_BACKWARD, hook), prepend)


def register_full_backward_hook(self, hook, prepend: bool = False) -> HookHandle:
    """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are there, before they go on.

    The output must be a Variable or a tuple. Where no input requires grad, the hook is called with the gradients of
    the outputs, and all of grad_input is None.

    Args:    hook - what it returns, unless None, takes the place of grad_input: a tuple with an entry for each
             positional argument, None for what is no Variable of floats, zeros where no gradient came.
             prepend - before the hooks of its kind that are there, default behind them.
    Returns: a handle whose `remove()` takes the hook off.
    """
    return _registered(self, Hook(_BACKWARD, hook), prepend)


def _registered(module, hook, prepend):
    hooks = module._hooks
    handle = HookHandle({}, hook)
    while handle.key in hooks:  # those of an unpickled module have keys of another process
        handle.key = tick()
    others = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    handle.hooks, hooks[handle.key] = hooks, hook
    hooks.update(others)
    return handle


def call_with_hooks(self, args, kwargs):
    """What calling a module does that has hooks."""
    called, output = set(), None
    try:
        backward = [_functions(self, kind) for kind in (_PRE_BACKWARD, _BACKWARD)]
        for function, with_kwargs in _functions(self, _PRE_FORWARD, "with_kwargs"):
            args, kwargs = _changed(function, with_kwargs, self, args, kwargs)
        crossing = _Crossing(self, *backward) if any(backward) else None
        if crossing is not None:
            args = crossing.enter(args)
        output = self.forward(*args, **kwargs)
        for key, hook in list(self._hooks.items()):
            if hook.kind == _FORWARD:
                called.add(key)
                output = _after(hook, self, args, kwargs, output)
        return output if crossing is None else crossing.leave(output)
    except Exception:
        for key, hook in list(self._hooks.items()):
            if hook.always_call and key not in called:
                try:
                    output = _after(hook, self, args, kwargs, output)
                except Exception as error:  # noqa: BLE001 - the first error is the one to raise
                    warnings.warn(
                        f"forward hook of {type(self).__name__} with always_call=True, called after an exception, "
                        f"raised another: {type(error).__name__}: {error}",
                        stacklevel=3,
                    )
        raise


def _functions(module, kind, *fields):
    found = [hook for hook in module._hooks.values() if hook.kind == kind]
    return [(hook.function, *(getattr(hook, f) for f in fields)) if fields else hook.function for hook in found]


def _changed(function, with_kwargs, module, args, kwargs):
    """(args, kwargs) as a hook before the forward leaves them."""
    changed = function(module, args, kwargs) if with_kwargs else function(module, args)
    if changed is None:
        return args, kwargs
    if not with_kwargs:
        return changed if isinstance(changed, tuple) else (changed,), kwargs
    if not isinstance(changed, tuple) or len(changed) != 2:
        raise GraphError(
            f"forward pre-hook of {type(module).__name__}, registered with_kwargs: expected None or a pair "
            f"(args, kwargs), got {changed!r:.80}"
        )
    return changed


def _after(hook, module, args, kwargs, output):
    given = (args, kwargs, output) if hook.with_kwargs else (args, output)
    changed = hook.function(module, *given)
    return output if changed is None else changed


# --- gradients ---------------------------------------------------------------------------------------------------


class Boundary(Function):
    """y = x for several x, made by `behind`. Their gradients go on by `look`, a function of {number: gradient}."""

    def __init__(self, look):
        self.look = look

    def backward(self, gy):
        return self.look(gy.parts)

    @classmethod
    def behind(cls, xs, look):
        """Variables on the arrays of `xs`, which are tracked, behind one new node. They may lie on several devices."""
        node = cls(look)
        for x in xs:
            if x.creator is not None and x.creator.order < memory.last:
                node._check_alias(x)
        node.edges, node.saved, node.order = [x.edge for x in xs], (), tick()
        node.shape = node.dtype = None
        arrays = tuple(x.data for x in xs)
        ys = [Variable(array) for array in arrays]
        for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
            y.creator, y.tracked = Output(node, i, arrays), True
            leaf = first_leaf_of(x.edge)  # a write into y asks for that of its own x
            y.creator.first_leaf = weakref.ref(leaf) if leaf is not None else _no_leaf
        return ys


class _Side:
    """The inputs or the outputs of one call: which of them have gradients. It holds none: nodes hold it."""

    def __init__(self, values):
        self.kinds = [(type(raw(x)), x.shape, x.dtype) if _is_float(x) else None for x in values]
        tracked = [i for i, x in enumerate(values) if isinstance(x, Variable) and x.tracked]
        self.places = tracked if is_grad_enabled() else []

    def behind(self, values, look):
        """The values, those with gradients behind a node."""
        passed = iter(Boundary.behind([values[i] for i in self.places], look) if self.places else ())
        return tuple(next(passed) if i in self.places else x for i, x in enumerate(values))

    def unpacked(self, parts):
        """One entry for each value: its gradient as a Variable, or None."""
        grads: list = [None] * len(self.kinds)
        for i, g in parts.items():
            grads[self.places[i]] = g if isinstance(g, Variable) else Variable(g)
        return tuple(grads)

    def packed(self, grads, recorded):
        """What the node returns: the gradients of the values that have some."""
        return tuple(g if recorded or g is None else g.data for g in (grads[i] for i in self.places))

    def filled(self, grads):
        """Zeros where no gradient came."""
        here = raw(next(g for g in grads if g is not None))
        with around(here):
            return tuple(
                Variable(backend[kind[0]].xp.zeros(*kind[1:])) if g is None and kind is not None else g
                for g, kind in zip(grads, self.kinds, strict=True)
            )

    def taken(self, who, grads):
        """The gradients that a hook returned, each in the shape and dtype of its value."""
        grads = (grads,) if isinstance(grads, Variable) else tuple(grads)
        if len(grads) != len(self.kinds):
            raise GraphError(f"{who}: returned {len(grads)} gradients, expected {len(self.kinds)}, one for each")
        return tuple(
            g if g is None or kind is None else _fitting(who, i, g, kind)
            for i, (g, kind) in enumerate(zip(grads, self.kinds, strict=True))
        )


class _Crossing:
    """One call of a module with backward hooks: gradients come in at its outputs and go out at its inputs."""

    def __init__(self, module, before, after):
        self.module, self.before, self.after = module, before, after
        self.grad_output = None  # from when the gradients came in until they have gone out

    def enter(self, args):
        """The arguments with which to call forward."""
        self.inputs = _Side(args)
        return self.inputs.behind(args, self._go_out)

    def leave(self, output):
        """The output to return."""
        if not isinstance(output, (Variable, tuple)):
            warnings.warn(
                f"backward hook of {type(self.module).__name__}: its output must be a Variable or a tuple for the hook "
                f"to be called, and is a {type(output).__name__}",
                stacklevel=4,
            )
            return output
        several = isinstance(output, tuple)
        values = output if several else (output,)
        self.outputs = _Side(values)
        values = self.outputs.behind(values, self._come_in)
        if not several:
            return values[0]
        return type(output)(*values) if hasattr(output, "_fields") else values

    def _come_in(self, parts):
        grads = self.outputs.unpacked(parts)
        for hook in self.before:
            changed = hook(self.module, grads)
            if changed is not None:
                grads = self.outputs.taken(self._name("backward pre-hook"), changed)
        if self.inputs.places:
            self.grad_output = grads
        else:
            self._without_inputs(grads)
        return self.outputs.packed(grads, _recorded(parts))

    def _without_inputs(self, grad_output):
        nothing = (None,) * len(self.inputs.kinds)
        for hook in self.after:
            changed = hook(self.module, nothing, grad_output)
            if changed is not None and any(g is not None for g in changed):
                raise GraphError(
                    f"{self._name('backward hook')}: no input of this call requires grad, so there is no gradient to "
                    "replace; return None"
                )

    def _go_out(self, parts):
        grads = self.inputs.unpacked(parts)
        grad_output, self.grad_output = self.grad_output, None
        if grad_output is None or not self.after:  # None: they came past the outputs
            return self.inputs.packed(grads, _recorded(parts))
        shown = self.inputs.filled(grads)
        for hook in self.after:
            changed = hook(self.module, shown, grad_output)
            if changed is not None:
                grads = shown = self.inputs.taken(self._name("backward hook"), changed)
        return self.inputs.packed(grads, _recorded(parts))

    def _name(self, kind):
        return f"{kind} of {type(self.module).__name__}"


def _no_leaf():
    return None


def _recorded(parts):
    return any(isinstance(g, Variable) for g in parts.values())


def _is_float(x):
    return isinstance(x, Variable) and x.dtype.kind == "f"


def _fitting(who, i, g, kind):
    g = g if isinstance(g, Variable) else Variable(g)
    _, shape, dtype = kind
    if g.shape != shape:
        raise ShapeError(f"{who}: gradient {i} that it returned has shape {g.shape}, expected {shape}")
    return g if g.dtype == dtype else g.astype(dtype)
