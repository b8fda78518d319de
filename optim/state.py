"""The state of an optimizer, taken over from a dictionary: all of it, or an error that lists every misfit."""

from copy import deepcopy
from typing import Any

from ..backend import around, backend, device_of
from ..errors import MinigradError, StateError
from ..tape import Variable


def loaded_groups(optimizer, state_dict):
    """The groups as they will be."""
    caller = f"{type(optimizer).__name__}.load_state_dict"
    if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= state_dict.keys():
        what = list(state_dict) if isinstance(state_dict, dict) else type(state_dict).__name__
        raise StateError(f'{caller}: expected a dictionary with "state" and "param_groups", got {what}')
    saved = state_dict["param_groups"]
    if not all(isinstance(g, dict) and "params" in g for g in saved):
        raise StateError(f'{caller}: expected groups that are dictionaries with "params", got {saved!r:.200}')
    mine, theirs = ([len(g["params"]) for g in groups] for groups in (optimizer.param_groups, saved))
    if mine != theirs:
        raise StateError(f"{caller}: this optimizer has groups of {mine} parameters, the state has {theirs}")
    groups = [{**g, **deepcopy(s), "params": g["params"]} for g, s in zip(optimizer.param_groups, saved, strict=True)]
    try:
        for group in groups:
            optimizer.check(group)
    except ValueError as error:
        raise StateError(f"{caller}: {error}") from None
    return groups


def loaded_state(optimizer, saved, saved_groups, groups):
    """The state as it will be: new arrays."""
    state: dict[Variable, dict[str, Any]] = {}
    problems = []
    place = {
        i: (v, group)
        for group, s in zip(groups, saved_groups, strict=True)
        for v, i in zip(group["params"], s["params"], strict=True)
    }
    for i, values in saved.items():
        if i not in place:
            problems.append(f"parameter {i!r} is in no group")
            continue
        v, group = place[i]
        given = {name: value for name, value in values.items() if value is not None}
        fresh: dict[str, Any] = {}
        expected = {*optimizer.prepare(group, fresh)[0], *fresh} if given else set()
        problems += [f"parameter {i} lacks {name}" for name in sorted(expected - given.keys())]
        state[v] = {}
        for name, value in given.items():
            try:
                if name not in optimizer.entries:
                    raise StateError("unknown here")
                state[v][name] = _count(value) if name == "step" else fitted(v.data, value)
            except MinigradError as error:
                problems.append(f"{name} of parameter {i} {v.shape}: {error}")
    if problems:
        raise StateError(f"{type(optimizer).__name__}.load_state_dict: " + "; ".join(problems))
    return state


def together(a, p):
    """True if the arrays `a` and `p` lie on one device."""
    return type(a) is type(p) and (backend[type(p)].host or device_of(a) == device_of(p))


def fitted(p, value):
    """A new array like `p` with the values of `value`."""
    value = value.data if isinstance(value, Variable) else value
    values = backend[type(value)].to_numpy(value)
    if values.shape != p.shape:
        raise StateError(f"expected shape {p.shape}, got {values.shape}")
    with around(p):
        xp = backend[type(p)].xp
        new = xp.empty_like(p)
        new[...] = xp.asarray(values)
    return new


def _count(value):
    """The number of steps: an int, or a 0-d array as PyTorch has it."""
    value = value.data if isinstance(value, Variable) else value
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if number < 0 or not number.is_integer():
        raise StateError(f"expected a number of steps, got {value!r:.60}")
    return int(number)
