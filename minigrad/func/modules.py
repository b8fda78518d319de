"""functional_call: a module as a function of its parameters and buffers."""

import threading

from ..errors import DTypeError, StateError
from ..tape import Variable, as_array

_changing = threading.RLock()  # a module's attributes are one for all threads


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """What `module` computes with other parameters and buffers, given by name. It is as before when this returns.

        functional_call(net, {"0.weight": w}, x)        # net(x), with w for net[0].weight

    What the forward writes into a buffer that was given (batch norm's running statistics) goes into the Variable that
    was given. Threads take turns; those that call the module itself meanwhile see the given values.

    Args:    parameter_and_buffer_dicts - a dict from names, as in `named_parameters` and `named_buffers`, to Variables
                 or arrays; or several in a tuple or list. Others keep their own value.
             args - a tuple of the forward's arguments, or the only one. kwargs - a dict.
             tie_weights - a parameter with several names takes what is given for one of them, default True.
             strict - all names must be given, default False.
    Raises:  StateError for names that the module has not (PyTorch passes them over unless strict), that are missing
             where strict, that are in several dicts, or that are tied and given different values.
    """
    places = _places(module)
    given = _merged(parameter_and_buffer_dicts)
    _check_names(module, places, given, strict)
    if tie_weights:
        given = _with_tied(places, given)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _changing:
        before = {name: _value(places[name]) for name in given}
        try:
            for name, value in given.items():
                _put(places[name], value if isinstance(value, Variable) else Variable(as_array(value)))
            return module(*args, **(kwargs or {}))
        finally:
            for name, value in before.items():
                _put(places[name], value)


def _places(module):
    """{dotted name: (the module that holds it, the kind of attribute, its name there)}, shared ones under each name."""
    return {
        f"{prefix}.{name}" if prefix else name: (owner, kind, name)
        for prefix, owner in module.named_modules(remove_duplicate=False)
        for kind in ("_parameters", "_buffers")
        for name, value in getattr(owner, kind).items()
        if value is not None
    }


def _value(place):
    owner, kind, name = place
    return getattr(owner, kind)[name]


def _put(place, value):
    owner, kind, name = place
    owner._register(kind, name, value)


def _merged(dicts):
    given: dict = {}
    for d in [dicts] if isinstance(dicts, dict) else dicts:
        if not isinstance(d, dict):
            raise DTypeError(
                f"functional_call: expected a dict of Variables by name, or several, got {type(d).__name__}"
            )
        twice = sorted(given.keys() & d.keys())
        if twice:
            raise StateError(f"functional_call: {_listed(twice)} in more than one dict; give each once")
        given |= d
    return given


def _check_names(module, places, given, strict):
    unknown = [name for name in given if name not in places]
    missing = [name for name in places if name not in given] if strict else []
    if strict:  # of one parameter under several names, one will do
        known = {id(_value(places[name])) for name in given if name in places}
        missing = [name for name in missing if id(_value(places[name])) not in known]
    if unknown or missing:
        said = [f"has no {_listed(unknown)}"] if unknown else []
        said += [f"misses {_listed(missing)}"] if missing else []
        raise StateError(
            f"functional_call: {type(module).__name__} {' and '.join(said)}; its names are {_listed(places) or 'none'}"
        )


def _with_tied(places, given):
    """`given`, also under the other names of what it names."""
    by_variable: dict = {}
    for name, place in places.items():
        by_variable.setdefault(id(_value(place)), []).append(name)
    for names in by_variable.values():
        values = [given[name] for name in names if name in given]
        if any(value is not values[0] for value in values):
            raise StateError(
                f"functional_call: {_listed(n for n in names if n in given)} are one parameter, and were given "
                "different values; give one of them, or pass tie_weights=False"
            )
        if values:
            given = given | dict.fromkeys(names, values[0])
    return given


def _listed(names):
    return ", ".join(map(repr, names))
