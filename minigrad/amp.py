"""`mg.amp`: mixed precision. Products in float16, everything delicate in float32, and a loss large enough for float16.

    scaler = mg.amp.GradScaler("cuda")
    for x, y in batches:
        optimizer.zero_grad()
        with mg.autocast("cuda"):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

Parameters, their gradients and the optimizer's state stay float32. float16 ends at 65504 and at 6e-8: the loss is
scaled so that small gradients are not 0, and where a gradient overflows, the step is left out and the scale halved.
Source: Micikevicius et al., arXiv:1710.03740.
"""

import functools
import math
import warnings
from typing import Any

import numpy as np

from .backend import around, backend, cuda_is_available, device_of, moved
from .dtypes import float16, float32, int32
from .errors import DeviceError, DTypeError, ShapeError, StateError
from .tape import Variable, raw
from .tape.modes import Decorator, Region, casting, regions
from .tape.versions import memory

__all__ = ["GradScaler", "autocast"]

_LARGEST = 3e38  # scale: near the end of float32
_NAMES = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")  # of the state


class autocast(Decorator):  # noqa: N801 - PyTorch's name
    """Inside, operations on a device choose their dtype: `with autocast("cuda"):`, or `@autocast("cuda")`.

    float16: matmul, linear, conv2d, and layers of these. float32: exp, expm1, log, log1p, pow, 1 / x, softplus,
    softmax, log_softmax, logsumexp, sum, mean, var, std, layer_norm, group_norm, the statistics of batch_norm, and the
    losses. All else computes in the dtype of its operands, the widest of several. float64 and integers are left alone.
    These are PyTorch's lists for CUDA, with mean, var and std put to the others that add up.

    Only the forward pass and the loss belong inside: a backward runs in the dtypes of its forward. The regions of a
    thread are its own.

    Args:   device_type - "cuda" or "cpu": the arrays that are meant. On the CPU float16 is slow.
            dtype - float16, the only one.
            enabled - False: compute as without, also inside of another region.
            cache_enabled - cast a parameter once, not at each use; forgotten at the end of the outermost region.
    Raises: DeviceError, DTypeError for what is not one of these.
    """

    def __init__(self, device_type="cuda", dtype=float16, enabled: bool = True, cache_enabled: bool = True):
        if device_type not in ("cuda", "cpu"):
            raise DeviceError(f'autocast: device_type must be "cuda" or "cpu", got {device_type!r}')
        if enabled and dtype is not None and np.dtype(dtype) != float16:
            raise DTypeError(f"autocast: dtype must be float16, got {dtype}; there is no bfloat16")
        self.device_type, self.enabled, self.cache_enabled = device_type, enabled, cache_enabled

    def __enter__(self):
        outer = casting.get()
        devices, cache = (frozenset(), {}) if outer is None else (outer.devices, outer.cache)
        mine = frozenset([self.device_type])
        region = Region(devices | mine if self.enabled else devices - mine, self.cache_enabled, cache, outer)
        casting.set(region)
        regions.append(None)
        return self

    def __exit__(self, *exc):
        region: Any = casting.get()
        casting.set(region.outer)
        regions.pop()
        if region.outer is None:
            region.cache.clear()


class GradScaler:
    """Scales the loss for float16, unscales the gradients, leaves out steps whose gradients are inf or NaN.

        scale *= backoff_factor after a step that was left out, and growth_factor after growth_interval good ones

    On a GPU the scale and what is found there stay there, and no method but get_scale and state_dict waits for it,
    unless the optimizer must: see `Optimizer.step_unless`.

    Args:   device - "cuda" or "cpu". Where CUDA is not available, a scaler for it is disabled, with a warning.
            init_scale - the first scale, default 65536.
            growth_factor - default 2. backoff_factor - default 0.5. growth_interval - default 2000 steps.
            enabled - False: `step` is the optimizer's own, and all else does nothing.
    Raises: ValueError for a growth_factor up to 1 or a backoff_factor from 1 on.
    """

    def __init__(
        self,
        device="cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if device not in ("cuda", "cpu"):
            raise DeviceError(f'GradScaler: device must be "cuda" or "cpu", got {device!r}')
        if enabled and device == "cuda" and not cuda_is_available():
            warnings.warn(
                "GradScaler: CUDA is not available, so this scaler does nothing; where that is meant, write "
                "enabled=mg.cuda.is_available()",
                stacklevel=2,
            )
            enabled = False
        self._enabled = bool(enabled)
        self.set_growth_factor(growth_factor)
        self.set_backoff_factor(backoff_factor)
        self.set_growth_interval(growth_interval)
        self._init_scale, self._init_streak = float(init_scale), 0
        self._scale: Any = None  # 0-d arrays, where the first loss was
        self._streak: Any = None  # how many good steps since the scale changed
        self._found: dict[Any, dict] = {}  # optimizer -> {device: 0-d float32, not 0 where a gradient is inf or NaN}
        self._stepped: set = set()

    def scale(self, outputs):
        """`outputs` times the scale: a Variable, or what is in a list, a tuple or an iterable, also nested.

        Write `scaler.scale(loss).backward()`.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Variable):
            if self._scale is None:
                self._begin(outputs.data)
            return outputs * Variable(moved(self._scale, device_of(outputs.data)))
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(x) for x in outputs)
        if not hasattr(outputs, "__iter__"):
            raise DTypeError(f"GradScaler.scale: expected a Variable or several, got a {type(outputs).__name__}")
        return map(self.scale, outputs)

    def _begin(self, like):
        with around(like):
            xp = backend[type(like)].xp
            self._scale = xp.full((), self._init_scale, float32)
            self._streak = xp.full((), self._init_streak, int32)

    def unscale_(self, optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, once a step; as before clipping them.

        Raises: RuntimeError where that has been done since the last update(), or nothing has been scaled;
                DTypeError for a float16 gradient.
        """
        if not self._enabled:
            return
        self._check("unscale_", optimizer)
        if optimizer in self._found:
            raise RuntimeError(
                "GradScaler.unscale_: the gradients of this optimizer have been unscaled since the last update() "
                "already; call update() once at the end of each step"
            )
        grads: dict = {}
        for j, group in enumerate(optimizer.param_groups):
            for i, p in enumerate(group["params"]):
                if p.grad is None:
                    continue
                g = raw(p.grad)
                if g.dtype == float16:
                    raise DTypeError(
                        f"GradScaler.unscale_: the gradient of parameter {i} of group {j} is float16; keep the "
                        "parameters in float32 (model.float()), and let autocast cast them"
                    )
                grads.setdefault(device_of(g), []).append(g)
        self._found[optimizer] = {device: self._unscaled(device, arrays) for device, arrays in grads.items()}

    def _unscaled(self, device, arrays):
        library = backend[type(arrays[0])]
        with around(self._scale):
            inverse = 1 / self._scale
        inverse = moved(inverse, device)
        with around(arrays[0]):
            found = library.xp.zeros((), float32)
            library.unscale(arrays, inverse, found)
        for g in arrays:
            memory.overwritten(g)
        return found

    def step(self, optimizer, *args, **options):
        """`optimizer.step()` with the gradients unscaled, or nothing where one of them is inf or NaN.

        Returns: what optimizer.step returned.
        Raises:  RuntimeError for a second step without update() between, for a closure, or where no gradient is there.
        """
        if not self._enabled:
            return optimizer.step(*args, **options)
        if args or options.get("closure") is not None:
            raise RuntimeError("GradScaler.step: a closure is not supported; compute loss and gradients before it")
        self._check("step", optimizer)
        if optimizer not in self._found:
            self.unscale_(optimizer)
        found = self._found[optimizer]
        if not found:
            raise RuntimeError(
                "GradScaler.step: no parameter of the optimizer has a gradient; call scaler.scale(loss).backward() "
                "before it"
            )
        self._stepped.add(optimizer)
        if len(found) > 1:  # all devices do the step, or none
            found = {device: _any(found.values(), device) for device in found}
        if hasattr(optimizer, "step_unless"):
            return optimizer.step_unless(found)
        return None if next(iter(found.values())).item() else optimizer.step()

    def update(self, new_scale=None) -> None:
        """Adapt the scale to what was found in this step; or set it to `new_scale`, a number or a Variable of one.

        Raises: RuntimeError where nothing was unscaled since the last update().
        """
        if not self._enabled:
            return
        self._check("update")
        if new_scale is not None:
            new = raw(new_scale)
            if getattr(new, "size", 1) != 1:
                raise ShapeError(f"GradScaler.update: new_scale must be one number, got shape {new.shape}")
            device = device_of(self._scale)
            if hasattr(new, "dtype"):
                with around(new):
                    self._scale = moved(new.reshape(()).astype(float32), device)
            else:
                self._fill(float(new), None)
        else:
            self._adapt()
        self._found, self._stepped = {}, set()

    def _adapt(self):
        found = [f for by_device in self._found.values() for f in by_device.values()]
        if not found:
            raise RuntimeError("GradScaler.update: nothing was unscaled since the last update(); call step() first")
        scale, streak = self._scale, self._streak
        found = _any(found, device_of(scale))
        with around(scale):
            xp = backend[type(scale)].xp
            bad = found != 0
            streak = xp.where(bad, 0, streak + 1)
            due = streak == self._growth_interval
            new = scale * xp.where(bad, self._backoff_factor, xp.where(due, self._growth_factor, 1.0))
            self._scale = xp.where(new < _LARGEST, new, scale).astype(float32)
            self._streak = xp.where(due, 0, streak).astype(int32)

    def _check(self, caller, optimizer=None):
        if self._scale is None:
            raise RuntimeError(
                f"GradScaler.{caller}: nothing has been scaled yet; call scaler.scale(loss).backward() first"
            )
        if optimizer in self._stepped:
            raise RuntimeError(
                f"GradScaler.{caller}: step() was called on this optimizer already since the last update(); call "
                "update() once at the end of each step"
            )

    def _fill(self, scale, streak):
        with around(self._scale):
            xp = backend[type(self._scale)].xp
            self._scale = xp.full((), scale, float32)
            self._streak = self._streak if streak is None else xp.full((), streak, int32)

    def is_enabled(self) -> bool:
        """False where this scaler does nothing."""
        return self._enabled

    def get_scale(self) -> float:
        """The scale; 1.0 where disabled. Waits for the device."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale.item())

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after growth_interval good steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set it. Raises: ValueError unless it is above 1."""
        if not new_factor > 1:
            raise ValueError(f"GradScaler: growth_factor must be above 1, got {new_factor}")
        self._growth_factor = float(new_factor)

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step that was left out."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set it. Raises: ValueError unless it is between 0 and 1."""
        if not 0 < new_factor < 1:
            raise ValueError(f"GradScaler: backoff_factor must be between 0 and 1, got {new_factor}")
        self._backoff_factor = float(new_factor)

    def get_growth_interval(self) -> int:
        """After how many good steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set it. Raises: ValueError unless it is a whole number above 0."""
        if new_interval < 1 or int(new_interval) != new_interval:
            raise ValueError(f"GradScaler: growth_interval must be a number of steps, at least 1, got {new_interval}")
        self._growth_interval = int(new_interval)

    def state_dict(self) -> dict[str, float]:
        """The state as plain numbers, under PyTorch's names; empty where disabled. Waits for the device."""
        if not self._enabled:
            return {}
        streak = self._init_streak if self._streak is None else int(self._streak.item())
        settings = self._growth_factor, self._backoff_factor, self._growth_interval
        return dict(zip(_NAMES, (self.get_scale(), *settings, streak), strict=True))

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on as the scaler that `state_dict` is of. Does nothing where disabled.

        Raises: StateError for what is no such state, as that of a disabled scaler; then nothing has been changed.
        """
        if not self._enabled:
            return
        numbers = {name: _number(state_dict.get(name)) for name in _NAMES}
        missing = [name for name, n in numbers.items() if n is None]
        if missing:
            hint = "" if state_dict else "; it is empty, as that of a disabled scaler"
            raise StateError(f"GradScaler.load_state_dict: expected numbers for {', '.join(missing)}{hint}")
        try:
            fresh = GradScaler("cpu", *list(numbers.values())[:4])
        except ValueError as error:
            raise StateError(f"GradScaler.load_state_dict: {error}") from None
        self._init_scale, self._init_streak = fresh._init_scale, int(numbers["_growth_tracker"])
        self._growth_factor, self._backoff_factor = fresh._growth_factor, fresh._backoff_factor
        self._growth_interval = fresh._growth_interval
        if self._scale is not None:
            self._fill(self._init_scale, self._init_streak)


def _any(found, device):
    """1 on `device` where one of several 0-d arrays is 1, else 0."""
    first, *rest = [moved(f, device) for f in found]
    with around(first):
        return functools.reduce(backend[type(first)].xp.maximum, rest, first)


def _number(value):
    """A number of a saved state, which may be an array by now; None for what is none."""
    try:
        value = float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
