"""What CuPy offers, as tools/snapshot_cupy_api.py wrote it down: the double offers no name and no argument more."""

import functools
import inspect
import json
from pathlib import Path

API = json.loads((Path(__file__).parent / "api.json").read_text(encoding="utf-8"))
VERSION = API.pop("version")


def names(place):
    """The names of a module or class -> what each is."""
    return API[place]


@functools.cache
def signature(place, name) -> inspect.Signature | None:
    """The parameters of a function of CuPy's; None where nothing is known of them."""
    text = API[place][name].get("parameters")
    return None if text is None else inspect.signature(eval(f"lambda {text}: 0"))


def checked(place, name):
    """A function (arguments, keywords) that raises TypeError where CuPy's function `name` would."""
    known, seen = signature(place, name), set()

    def check(args, kwargs):
        form = (len(args), *kwargs)
        if form in seen or known is None:
            return
        try:
            known.bind(*args, **kwargs)
        except TypeError as error:
            shown = API[place][name]["parameters"].replace("=...", "=")
            raise TypeError(f"{place}.{name}({shown}) of CuPy {VERSION}: {error}") from None
        seen.add(form)

    return check
