"""The state of a module as a flat dictionary, and back: all of it, or an error that lists every misfit."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..backend import backend, device_of, moved
from ..errors import StateError
from ..tape import Variable, assign, raw, wrote


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(..., strict=False)` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def state_dict(self, prefix: str = "") -> dict[str, Variable]:
    """The parameters and persistent buffers under their dotted names, PyTorch's, detached, sharing their memory.

    Args: prefix - put before each name, as "encoder.".
    """
    return {prefix + name: x.detach() for name, x in _entries(self)}


def load_state_dict(self, state, strict: bool = True) -> IncompatibleKeys:
    """Copy a state into the parameters and buffers, in place: they keep their arrays, dtypes and devices.

    Args:    state - dict of dotted name -> Variable or array.
             strict - the names must be exactly those of `state_dict()`; with False what fits is loaded.
    Returns: named tuple (missing_keys, unexpected_keys).
    Raises:  StateError listing every missing, unexpected and misshapen entry; then nothing was changed.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: expected a dict of name -> Variable, got {type(state).__name__}")
    own = dict(_entries(self))
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    arrays = {name: _as_array(state[name], own[name].data) for name in own if name in state}
    misfits = [line for name, a in arrays.items() if (line := _misfit(name, own[name].data, a))]
    if misfits or (strict and (missing or unexpected)):
        raise StateError(_refusal(type(self).__name__, strict, missing, unexpected, misfits))
    for name, array in arrays.items():
        assign("load_state_dict", own[name].data, array)
        wrote(own[name])
    return IncompatibleKeys(missing, unexpected)


def _entries(module):
    """Pairs (dotted name, Variable) of what belongs to the state: a shared one under each of its names."""
    for path, m in module.named_modules(remove_duplicate=False):
        lasting = {name: b for name, b in m._buffers.items() if name not in m._transient}
        for name, x in (m._parameters | lasting).items():
            if x is not None:
                yield f"{path}.{name}" if path else name, x


def _as_array(value, here):
    """`value` as an array on the device of the array `here`."""
    array = raw(value)
    return moved(array if type(array) in backend else np.asarray(array), device_of(here))


def _misfit(name, here, there):
    """Why the array `there` cannot be copied into `here`, or None."""
    if here.shape != there.shape:
        return f"{name} is {here.shape} here, {there.shape} in the state"
    if there.dtype.kind not in "fiub":
        return f"{name} is {here.dtype} here, {there.dtype} in the state"
    if not backend[type(here)].is_writable(here):
        return f"{name} is read-only memory here"
    return None


def _refusal(kind, strict, missing, unexpected, misfits):
    lines = [f"load_state_dict: the state does not fit this {kind}; nothing was changed"]
    if missing and strict:
        lines.append(f"missing: {', '.join(missing)}")
    if unexpected and strict:
        lines.append(f"unexpected: {', '.join(map(str, unexpected))}")
    if misfits:
        lines.append(f"misshapen: {'; '.join(misfits)}")
    elif strict:
        lines.append("strict=False loads what fits and passes over the rest")
    return "\n  ".join(lines)
