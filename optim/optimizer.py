"""Optimizer: parameters in groups with their settings, the state of each parameter, and one step over all.

A new optimizer writes two methods, and the second reads as its formula:

    class SignSGD(Optimizer):
        def __init__(self, params, lr=1e-3):
            super().__init__(params, {"lr": lr})

        def prepare(self, group, state):        # the buffers that it keeps, and the numbers of this step
            return (), (float(group["lr"]),)

        @staticmethod
        def update(xp, p, g, t, lr):            # p -= lr sign(g), in place; t is scratch
            xp.sign(g, out=t)
            t *= lr
            p -= t
"""

from collections.abc import Iterable
from typing import Any

from ..backend import around, backend, device_of, moved
from ..errors import DeviceError, DTypeError, ShapeError, StateError
from ..tape import Variable, enable_grad
from ..tape.versions import memory
from .bundle import SMALL, Bundle
from .state import fitted, loaded_groups, loaded_state, together

BLOCK = 1 << 17  # bytes: the same piece of p, g, the buffers and the scratch fit the L2 cache together


class Optimizer:
    """Base of the optimizers.

    Args:   params - an iterable of leaf Variables, of pairs (name, Variable), or of dictionaries
            {"params": [...], "lr": ...}: groups, each with its own settings.
            defaults - dictionary of the settings, for groups that do not name them.
    Holds:  param_groups - list of dictionaries; change a setting there, as in `group["lr"] *= 0.1`.
            state - per parameter a dictionary of arrays and of `step`, an int; it follows its parameter to another
            dtype or device. Steps that a GPU left out (`step_unless`) are taken off `step` by state_dict().
    Raises: ValueError for no parameters, a non-leaf, a parameter given twice, a setting out of its range;
            DTypeError for what is no Variable.
    """

    entries: tuple[str, ...] = ()  # every name that a parameter's state may hold
    nonnegative: tuple[str, ...] = ()  # the settings that may not be negative
    kernel: str | None = None  # the name of its kernel on a GPU, which updates many parameters in one launch
    decoupled = False  # True: `update` decays the weights; False: the decay is added to the gradient

    def __init__(self, params, defaults: dict[str, Any]):
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Variable, dict[str, Any]] = {}
        self._scratch: dict = {}
        self._bundles: dict = {}
        self._found: dict = {}  # what step_unless was given, for the step that it makes
        self._left_out: Any = None  # 0-d array on a GPU: how many steps it left out that `step` still counts
        self._numbers: tuple = (None,) * 4  # of the last parameter: the numbers, the dtype, the library, the operands
        self.check(defaults)
        for group in self._groups(params):
            self.add_param_group(group)

    # --- what each optimizer writes ------------------------------------------------------------------------------

    def prepare(self, group: dict, state: dict) -> tuple[tuple[str, ...], tuple]:
        """Begin the step of one parameter: the names of its buffers, and the Python numbers of this step."""
        raise NotImplementedError(f"{type(self).__name__}.prepare(self, group, state) is not written")

    @staticmethod
    def update(xp, p, g, t, *numbers_then_buffers) -> None:
        """Change `p` and the buffers in place by the gradient `g`, which stays as it is; `t` is scratch like p."""
        raise NotImplementedError("update(xp, p, g, t, *numbers, *buffers) is not written")

    def start(self, xp, p, group: dict):
        """A new buffer for the parameter array `p`."""
        return xp.zeros_like(p)

    def check(self, group: dict) -> None:
        """Raise ValueError for a setting out of its range."""
        for name in self.nonnegative:
            try:
                fine = group[name] >= 0
            except TypeError:
                fine = False
            if not fine:
                raise ValueError(f"{type(self).__name__}: {name} must be a number >= 0, got {group[name]!r}")

    def counts(self, group: dict) -> bool:
        """False where the numbers of a step do not depend on how many steps were made before."""
        return True

    # --- the step ------------------------------------------------------------------------------------------------

    def step(self, closure=None):
        """Update every parameter that has a gradient.

        Args:    closure - function that computes the loss anew and calls backward; it is called first.
        Returns: what the closure returned, or None.
        Raises:  ShapeError, DTypeError for a gradient unlike its parameter; then nothing has been updated.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        work = [(v, group) for group in self.param_groups for v in group["params"] if v.grad is not None]
        if self._left_out is not None and not (self._left_to_kernels() and all(v in self.state for v, _ in work)):
            self._settle()
        for v, _ in work:
            if not isinstance(v.grad, Variable) or v.grad.data.shape != v.data.shape or v.grad.dtype != v.dtype:
                self._refuse(v)
            if not together(v.grad.data, v.data):
                self._refuse(v)
        batches: dict = {}
        for v, group in work:
            state = self.state.get(v)
            if state is None:
                state = self.state[v] = {}
            names, numbers = self.prepare(group, state)
            key: Any = v
            if not backend[type(v.data)].host:
                key = id(group), v.data.dtype, names, numbers, device_of(v.data)
            elif v.data.nbytes <= SMALL:
                key = id(group), v.data.dtype, names, numbers
            batch = batches.setdefault(key, (group, names, numbers, [], []))
            batch[3].append(v)
            batch[4].append(state)
        for batch in batches.values():
            self._step(*batch)
        return loss

    def step_unless(self, found: dict):
        """`step()`, or nothing where an array in `found` ({device: 0-d float32}, alike on all) is not 0.

        A step that is left out is not counted. On a GPU the kernel of this optimizer leaves it out, and the host does
        not wait; but where the numbers of a step depend on how many there were (`counts`), or the optimizer has
        no kernel or a `step` of its own, the host looks first, which is one synchronization.
        """
        if not self._left_to_kernels():
            return None if next(iter(found.values())).item() else self.step()
        self._found = found
        try:
            loss = self.step()
        finally:
            self._found = {}
        if "step" in self.entries:
            left_out = next(iter(found.values()))
            if self._left_out is not None:
                left_out = moved(left_out, device_of(self._left_out))
                with around(left_out):
                    left_out = self._left_out + left_out
            self._left_out = left_out
        return loss

    def _left_to_kernels(self):
        """True where kernels can leave out the whole step, and the count of steps can be put right later."""
        if self.kernel is None or type(self).step is not Optimizer.step:
            return False
        work = {v: group for group in self.param_groups for v in group["params"] if v.grad is not None}
        for v, group in work.items():
            if backend[type(v.data)].host or not v.data.flags.c_contiguous or self.counts(group):
                return False
        return "step" not in self.entries or self.state.keys() <= work.keys()  # for all parameters alike

    def _left_out_on(self, p):
        """How many steps were left out that the counts have, on p's device; or None."""
        return None if self._left_out is None else moved(self._left_out, device_of(p))

    def _settle(self):
        """Take the steps that a GPU left out off the counts. Waits for it."""
        if self._left_out is not None:
            count, self._left_out = int(self._left_out.item()), None
            for state in self.state.values():
                if "step" in state:
                    state["step"] -= count

    def _step(self, group, names, numbers, variables, states):
        """One parameter, several small ones as a bundle, or all that lie on one GPU."""
        if not backend[type(variables[0].data)].host:
            with around(variables[0].data):
                self._step_there(group, names, numbers, variables, states)
        elif len(variables) == 1:
            v, state = variables[0], states[0]
            self._update(group, numbers, v.data, v.grad.data, [self._buffer(v, n, group, state) for n in names])
        else:
            key = id(group), variables[0].data.dtype
            bundle = self._bundles.get(key)
            if bundle is None or not bundle.fits(variables, states, names):
                for v, state in zip(variables, states, strict=True):
                    for name in names:
                        self._buffer(v, name, group, state)
                bundle = self._bundles[key] = Bundle(backend[type(variables[0].data)].xp, variables, states, names)
            bundle.gather()
            self._update(group, numbers, bundle.p, bundle.g, bundle.buffers)
            bundle.scatter()
        for v in variables:
            memory.overwritten(v.data)

    def _step_there(self, group, names, numbers, variables, states):
        """On a GPU: in one launch, if there is a kernel for this optimizer, and each by its formula else."""
        ps, gs = [v.data for v in variables], [v.grad.data for v in variables]
        columns = [[self._buffer(v, n, group, s) for v, s in zip(variables, states, strict=True)] for n in names]
        library = backend[type(ps[0])]
        decay = 0.0 if self.decoupled else float(group.get("weight_decay", 0.0))
        found = self._found.get(device_of(ps[0]))
        if self.kernel is None or not library.step(
            self.kernel,
            ps,
            gs,
            columns,
            numbers,
            decay,
            bool(group.get("maximize", False)),
            found,
            self._left_out_on(ps[0]),
            states[0].get("step", 0),
        ):
            if found is not None and found.item():
                return
            for i, (p, g) in enumerate(zip(ps, gs, strict=True)):
                self._update(group, numbers, p, g, [column[i] for column in columns])

    def _update(self, group, numbers, p, grad, buffers):
        """What a step is in any optimizer: the gradient with decay, then the formula, piece by piece."""
        kernels = backend[type(p)]
        xp = kernels.xp
        decay = 0.0 if self.decoupled else float(group.get("weight_decay", 0.0))
        maximize = group.get("maximize", False)
        numbers = self._operands(kernels, numbers, p.dtype)
        for part, g, *b in _pieces(kernels, [p, grad, *buffers]):
            if decay or maximize:
                g = _descent(xp, part, g, self._like(kernels, part, 1), decay, maximize)
            self.update(xp, part, g, self._like(kernels, part, 0), *numbers, *b)

    def _buffer(self, v, name, group, state):
        """The buffer `name` of the state, made or moved if need be."""
        a, p = state.get(name), v.data
        kernels = backend[type(p)]
        if a is None:
            a = state[name] = self.start(kernels.xp, p, group)
        elif a.dtype != p.dtype or a.shape != p.shape or not together(a, p):
            try:
                a = state[name] = fitted(p, a)
            except StateError as error:
                raise StateError(f"{type(self).__name__}.step: {name} of {self._place(v)}: {error}") from None
        return a

    def _operands(self, kernels, numbers, dtype):
        """The numbers of a step as operands of `dtype`; made once for all parameters that share them."""
        if self._numbers[:3] != (numbers, dtype, kernels):
            self._numbers = numbers, dtype, kernels, kernels.operands(numbers, dtype)
        return self._numbers[3]

    def _like(self, kernels, p, which):
        """Scratch like `p`. All small arrays get the same memory."""
        if p.nbytes > BLOCK or not kernels.host:
            return kernels.xp.empty_like(p)
        key = which, p.shape, p.dtype
        scratch = self._scratch.get(key)
        if scratch is None:
            whole = self._scratch.setdefault((which, p.dtype), kernels.xp.empty(BLOCK // p.itemsize, p.dtype))
            scratch = self._scratch[key] = whole[: p.size].reshape(p.shape)
        return scratch

    def _refuse(self, v):
        """Raise the error that says what is wrong with the gradient of `v`."""
        g = v.grad
        where = f"{type(self).__name__}.step: {self._place(v)} is {v.dtype} {v.shape}"
        if not isinstance(g, Variable):
            raise DTypeError(f"{where}, and its grad is a {type(g).__name__}; write p.grad = Variable(array)")
        if g.shape == v.shape and g.dtype == v.dtype:
            raise DeviceError(
                f"{where} on {device_of(v.data)}, and its grad is on {device_of(g.data)}; "
                "write p.grad = p.grad.to(p.device)"
            )
        error = ShapeError if g.shape != v.shape else DTypeError
        raise error(f"{where}, and its grad is {g.dtype} {g.shape}; write p.grad = Variable(array like p.data)")

    def _place(self, v):
        """How messages call a parameter."""
        for j, group in enumerate(self.param_groups):
            for i, x in enumerate(group["params"]):
                if x is v:
                    return repr(group["param_names"][i]) if "param_names" in group else f"parameter {i} of group {j}"
        return "a parameter"

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or fill them with zeros: an optimizer skips the parameters whose grad is None."""
        for group in self.param_groups:
            for v in group["params"]:
                if set_to_none:
                    v.grad = None
                elif v.grad is not None:
                    v.grad = v.grad.detach()
                    v.grad.zero_()

    # --- groups --------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add {"params": ..., and the settings in which this group differs}; or raise, and nothing is added."""
        caller = type(self).__name__
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise ValueError(f'{caller}: a group is a dictionary with "params", got {param_group!r}')
        params = param_group["params"]
        params = [params] if isinstance(params, Variable) else self._listed(params)
        named = [isinstance(x, tuple) and len(x) == 2 for x in params]
        group = {**self.defaults, **param_group}
        if any(named):
            group["param_names"] = [x[0] for x in params if isinstance(x, tuple)]
            params = [x[1] if isinstance(x, tuple) else x for x in params]
        if any(named) != all(named) or any(("param_names" in group) != ("param_names" in g) for g in self.param_groups):
            raise ValueError(f"{caller}: name all parameters, as model.named_parameters() does, or none")
        group["params"] = params
        self.check(group)
        known = {v: j for j, g in enumerate(self.param_groups) for v in g["params"]}
        for i, v in enumerate(params):
            where = f"{caller}: parameter {i} of group {len(self.param_groups)}"
            if not isinstance(v, Variable):
                raise DTypeError(f"{where} is {v!r:.60}, expected a Variable; write nn.Parameter(array)")
            if not v.is_leaf:
                raise ValueError(
                    f"{where} {v.shape} was computed by {v.creator.name}, and only leaves can be optimized; "
                    "take x.detach(), and set requires_grad on it"
                )
            if v in known:
                raise ValueError(f"{where} {v.shape} is in group {known[v]} already; it would be updated twice")
            known[v] = len(self.param_groups)
        self.param_groups.append(group)

    def _groups(self, params):
        params = self._listed(params)
        if not params:
            raise ValueError(f"{type(self).__name__}: no parameters; an iterator that was used up? pass a list")
        return params if isinstance(params[0], dict) else [{"params": params}]

    def _listed(self, params):
        if isinstance(params, Variable):
            raise DTypeError(f"{type(self).__name__}: params is one Variable {params.shape}; write [params]")
        if not isinstance(params, Iterable) or isinstance(params, (str, dict, set)) or hasattr(params, "dtype"):
            raise DTypeError(
                f"{type(self).__name__}: params is a {type(params).__name__}; expected a list of Variables (in an "
                "order that lasts), of dictionaries, or model.parameters()"
            )
        return list(params)

    # --- the state as a dictionary -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: {name: array or int}}, "param_groups": [{settings, "params": indices}]}, as PyTorch's.

        Parameters are numbered through all groups. The arrays are the optimizer's own: the next step changes them.
        """
        self._settle()
        params = [v for group in self.param_groups for v in group["params"]]
        index = {v: i for i, v in enumerate(params)}
        groups = [{**group, "params": [index[v] for v in group["params"]]} for group in self.param_groups]
        return {"state": {index[v]: dict(s) for v, s in self.state.items() if s}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on as the optimizer that `state_dict` is of. Settings are taken over, arrays are copied.

        Raises: StateError that lists all that does not fit; then nothing has been changed.
        """
        groups = loaded_groups(self, state_dict)
        state = loaded_state(self, state_dict["state"], state_dict["param_groups"], groups)
        for group, new in zip(self.param_groups, groups, strict=True):
            group.update(new)
        self.state, self._left_out = state, None

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}: {len(group['params'])} parameters")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name not in ("params", "param_names")]
        return "\n".join([*lines, ")"])


def _descent(xp, p, g, s, decay, maximize):
    """The gradient of what is to become small, in the scratch `s`: decay p + g, or decay p - g to maximize."""
    if not decay:
        return xp.negative(g, out=s)
    xp.multiply(p, decay, out=s)
    if maximize:
        s -= g
    else:
        s += g
    return s


def _pieces(kernels, arrays):
    """Arrays of one shape, in pieces that stay in the cache through all passes of an update; small ones whole.

    Also whole: a parameter or buffer that cannot be flattened without a copy, and arrays of a device.
    """
    p = arrays[0]
    if p.nbytes <= BLOCK or not kernels.host or not all(a.flags.c_contiguous for a in (p, *arrays[2:])):
        return [arrays]
    n = BLOCK // p.itemsize
    flat = [a.reshape(-1) for a in arrays]  # a gradient that is not contiguous is copied, once
    return ([a[i : i + n] for a in flat] for i in range(0, p.size, n))
