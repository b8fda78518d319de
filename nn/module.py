"""Module: parameters, buffers and submodules under the names of the attributes they are assigned to, and a forward.

    class Net(Module):
        def __init__(self):
            super().__init__()
            self.fc = Linear(4, 3)              # a submodule: its parameters are fc.weight and fc.bias
            self.scale = Parameter(np.ones(3))  # a parameter of this module

        def forward(self, x):
            return self.fc(x) * self.scale

Three dictionaries keep what is registered: `_parameters`, `_buffers`, `_modules`. Everything in them is an ordinary
attribute too, so that reading `self.weight` costs what reading any attribute costs. Both are written in one place,
`_register`; code that writes into the dictionaries itself leaves the attributes behind.
"""

from typing import Any

import numpy as np

from ..backend import Device, computed, moved, place
from ..errors import DTypeError
from ..ops.create import zeros_like
from ..tape import Variable
from . import hooks, state
from .parameter import Parameter

_KINDS = {"_parameters": "parameter", "_buffers": "buffer", "_modules": "module"}


class Module:
    """Base of every layer and network. Subclasses call `super().__init__()` first and write `forward`."""

    training: bool

    def __init__(self) -> None:
        for kind in _KINDS:
            self.__dict__[kind] = {}
        self._transient: set[str] = set()  # names of the buffers that the state leaves out
        self._hooks: dict = {}  # key -> hooks.Hook
        self.training = True

    def forward(self, *inputs):
        """What the module computes."""
        raise NotImplementedError(f"{type(self).__name__}.forward(self, ...) is not written")

    def __call__(self, *args, **kwargs) -> Any:
        if self._hooks:
            return hooks.call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    register_forward_pre_hook = hooks.register_forward_pre_hook
    register_forward_hook = hooks.register_forward_hook
    register_full_backward_pre_hook = hooks.register_full_backward_pre_hook
    register_full_backward_hook = hooks.register_full_backward_hook

    # --- registration --------------------------------------------------------------------------------------------

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter under `name`. None keeps the place of one that is absent, as a Linear's without bias.

        Raises: TypeError for what is no Parameter; KeyError for a name with a dot, or one that is taken.
        """
        self._check_name("_parameters", name)
        if not isinstance(parameter, Parameter | None):
            raise TypeError(self._refusal(name, parameter, "_parameters", "wrap it: nn.Parameter(x)"))
        self._register("_parameters", name, parameter)

    def register_buffer(self, name: str, tensor: Variable | None, persistent: bool = True) -> None:
        """Add a Variable that belongs to the module's state but is not trained, as running statistics.

        Args:   persistent - keep it in `state_dict`, default True.
        Raises: TypeError for what is no Variable; KeyError for a name with a dot, or one that is taken.
        """
        self._check_name("_buffers", name)
        if not isinstance(tensor, Variable | None):
            raise TypeError(self._refusal(name, tensor, "_buffers", "wrap it: mg.tensor(x)"))
        self._register("_buffers", name, tensor)
        if persistent:
            self._transient.discard(name)
        else:
            self._transient.add(name)

    def register_module(self, name: str, module: "Module | None") -> None:
        """Add a submodule under `name`.

        Raises: TypeError for what is no Module; KeyError for a name with a dot, or one that is taken.
        """
        self._check_name("_modules", name)
        if not isinstance(module, Module | None):
            raise TypeError(self._refusal(name, module, "_modules", "pass an instance, as nn.ReLU()"))
        self._register("_modules", name, module)

    add_module = register_module

    def __setattr__(self, name: str, value) -> None:
        if isinstance(value, Parameter):
            self._register("_parameters", name, value)
            return
        held = self._holding(name)
        if isinstance(value, Module) and held != "_parameters":
            self._register("_modules", name, value)
        elif held is None:
            object.__setattr__(self, name, value)
        elif value is None or (held == "_buffers" and isinstance(value, Variable)):
            self._register(held, name, value)
        else:
            remedy = "write its values: p.data[...] = x, or p.copy_(x) under no_grad" if held == "_parameters" else ""
            raise TypeError(self._refusal(name, value, held, remedy))

    def __delattr__(self, name: str) -> None:
        held = self._holding(name)
        if held is not None:
            del self.__dict__[held][name]
            self._transient.discard(name)
        object.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        kind, fields = type(self), self.__dict__
        if "_modules" not in fields:
            raise AttributeError(
                f"{kind.__name__} has no {name!r} yet: call super().__init__() first thing in {kind.__name__}.__init__",
                name=name,
                obj=self,
            )
        found = getattr(kind, name, None)
        if isinstance(found, property):  # it raised an AttributeError of its own: let that be seen
            return found.__get__(self)
        held = ", ".join(n for registered in _KINDS for n in fields[registered])
        raise AttributeError(
            f"{kind.__name__} has no attribute {name!r}; registered are {held or 'no parameters, buffers or modules'}",
            name=name,
            obj=self,
        )

    def _holding(self, name):
        """Which of the three dictionaries has `name`, or None."""
        for kind in _KINDS:
            if name in self.__dict__.get(kind, ()):
                return kind
        return None

    def _register(self, kind, name, value):
        fields = self.__dict__
        if "_modules" not in fields:
            raise AttributeError(
                f"{type(self).__name__}.{name}: call super().__init__() before assigning parameters and modules"
            )
        for other in _KINDS:
            if other != kind:
                fields[other].pop(name, None)
        if kind != "_buffers":
            self._transient.discard(name)
        fields[kind][name] = fields[name] = value

    def _check_name(self, kind, name):
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{type(self).__name__}: a {_KINDS[kind]}'s name is a string without dots, not {name!r}")
        if self._holding(name) != kind and hasattr(self, name):
            raise KeyError(f"{type(self).__name__}: {name!r} is taken by another attribute")

    def _refusal(self, name, value, kind, remedy):
        expected = {"_parameters": "a Parameter", "_buffers": "a Variable", "_modules": "a Module"}[kind]
        message = f"{type(self).__name__}.{name} is a {_KINDS[kind]}: expected {expected} or None"
        return f"{message}, got {type(value).__name__}" + (f"; {remedy}" if remedy else "")

    # --- what is in it -------------------------------------------------------------------------------------------

    def named_modules(self, memo=None, prefix: str = "", remove_duplicate: bool = True):
        """Pairs (dotted name, module): this one under `prefix`, then every one below it, shared ones once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self):
        """This module and every one below it, shared ones once."""
        return (module for _, module in self.named_modules())

    def named_children(self):
        """Pairs (name, module) of the direct submodules, shared ones once."""
        first = {module: name for name, module in reversed(self._modules.items()) if module is not None}
        return ((name, module) for name, module in self._modules.items() if first.get(module) == name)

    def children(self):
        """The direct submodules, shared ones once."""
        return (module for _, module in self.named_children())

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        """Pairs (dotted name, Parameter), shared ones once.

        Args: prefix - put before each name, with a dot.
              recurse - those of submodules too, default True.
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True):
        """The Parameters, shared ones once: what an optimizer takes."""
        return (p for _, p in self._named("_parameters", "", recurse, True))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        """Pairs (dotted name, Variable) of the buffers, shared ones once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True):
        """The buffers, shared ones once."""
        return (b for _, b in self._named("_buffers", "", recurse, True))

    def _named(self, kind, prefix, recurse, remove_duplicate):
        seen = set()
        places = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in places:
            for name, x in module.__dict__[kind].items():
                if x is None or x in seen:
                    continue
                if remove_duplicate:
                    seen.add(x)
                yield f"{path}.{name}" if path else name, x

    def apply(self, fn):
        """Call `fn(module)` on every submodule, then on this one, as to initialize weights. Returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --- modes ---------------------------------------------------------------------------------------------------

    def train(self, mode: bool = True):
        """Put this module and those below it in training mode, or with False in evaluation mode. Returns self."""
        if not isinstance(mode, bool):
            raise TypeError(f"{type(self).__name__}.train: expected True or False, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Evaluation mode: dropout passes everything on, batch norm uses its running statistics. Returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        """Train the parameters, or with False freeze them. Returns self."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with set_to_none=False set them to zeros."""
        for p in self.parameters():
            if p.grad is not None:
                g = p.grad.data
                p.grad = None if set_to_none else zeros_like(g)

    # --- device and dtype ----------------------------------------------------------------------------------------

    def to(self, *args, dtype=None, device=None, non_blocking: bool = False):
        """Move to a device, convert to a dtype, or both, in place: Parameters stay the same objects. Returns self.

            net.to("cpu")    net.to(mg.float64)    net.to("cpu", mg.float64)    net.to(x)    # as the Variable x is

        Args:   device - "cpu", "cuda" or "cuda:1".
                dtype - of parameters, their gradients, and buffers that are floats. Integer buffers keep theirs.
                non_blocking - return before copies from pinned memory are done.
        Raises: DeviceError for a device that is not there; DTypeError for a dtype that is not floating.
        """
        for arg in args:
            if isinstance(arg, Variable):
                dtype, device = arg.dtype, arg.device
            elif isinstance(arg, (str, int, Device)):
                device = arg
            else:
                dtype = arg
        dtype = dtype if dtype is None else np.dtype(dtype)
        if dtype is not None and dtype.kind != "f":
            raise DTypeError(f"{type(self).__name__}.to: expected float16, float32 or float64, got {dtype}")

        def converted(array):
            if dtype is not None and array.dtype.kind == "f":
                array = computed("to", lambda array: array.astype(dtype, copy=False), array)
            return array if device is None else moved(array, device, non_blocking)

        if device is not None:
            with place(device):  # a device that is not there is refused before anything has moved
                pass
        variables = [*self.parameters(), *self.buffers()]
        arrays = [converted(x.data) for x in variables]
        grads = [None if x.grad is None else converted(x.grad.data) for x in variables]
        for x, array, g in zip(variables, arrays, grads, strict=True):  # all, or none if memory runs out
            x.data = array
            if g is not None and g is not x.grad.data:
                x.grad = Variable(g)
        return self

    def float(self):
        """Convert to float32, in place. Returns self."""
        return self.to(dtype="float32")

    def double(self):
        """Convert to float64, in place. Returns self."""
        return self.to(dtype="float64")

    def half(self):
        """Convert to float16, in place. Returns self."""
        return self.to(dtype="float16")

    def cpu(self):
        """Move to the CPU, in place. Returns self."""
        return self.to("cpu")

    def cuda(self, device: "int | str | Device | None" = None):
        """Move to a CUDA device, in place; default the current one. Returns self."""
        return self.to(device="cuda" if device is None else device)

    # --- state and repr ------------------------------------------------------------------------------------------

    state_dict = state.state_dict
    load_state_dict = state.load_state_dict

    def extra_repr(self) -> str:
        """What `repr` shows between the brackets, beside the submodules."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr().splitlines()
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        return bracketed(type(self).__name__, extra + children, inline=not children and len(extra) == 1)


def bracketed(name: str, lines, inline: bool = False) -> str:
    """`name(...)` around lines, one each, or around the only one."""
    if not lines:
        return f"{name}()"
    return f"{name}({lines[0]})" if inline else "\n  ".join((f"{name}(", *lines)) + "\n)"


def indented(text: str) -> str:
    """`text` with all its lines but the first two columns further in."""
    return text.replace("\n", "\n  ")
