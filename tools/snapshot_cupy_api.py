"""Write down what CuPy offers: names, parameters, the dtypes of `ufunc.at`. The strict double in tests/ offers no more.

    python tools/snapshot_cupy_api.py            write tests/fakecupy/api.json
    python tools/snapshot_cupy_api.py --check    compare it with the installed CuPy; exits with 1 where they differ

Needs the real CuPy (exits with 2 without it), and no GPU: arrays with an invalid pointer do for asking what would be
launched.
"""

import argparse
import difflib
import importlib
import inspect
import json
import re
import sys
from pathlib import Path

import numpy as np

try:
    import cupy
except ModuleNotFoundError as error:
    print(f"snapshot_cupy_api.py: {error.name} is not installed: pip install cupy-cuda13x", file=sys.stderr)
    sys.exit(2)

FILE = Path(__file__).resolve().parents[1] / "tests" / "fakecupy" / "api.json"

# Modules and classes, and the names in them that are wanted (a regular expression).
PUBLIC = r"[a-zA-Z].*"
PLACES = {
    "cupy": rf"{PUBLIC}|__version__",
    "cupy._core": r"[gs]et_compute_type",
    "cupy._core._routines_linalg": r"COMPUTE_TYPE_.*",
    "cupy.cuda": PUBLIC,
    "cupy.cuda.Device": rf"{PUBLIC}|__(enter|exit|eq|int)__",
    "cupy.cuda.Event": PUBLIC,
    "cupy.cuda.MemoryPointer": PUBLIC,
    "cupy.cuda.MemoryPool": PUBLIC,
    "cupy.cuda.PinnedMemoryPool": PUBLIC,
    "cupy.cuda.Stream": rf"{PUBLIC}|__(enter|exit|eq)__",
    "cupy.cuda.memory": "[A-Z].*",
    "cupy.cuda.nvrtc": "getVersion",
    "cupy.cuda.pinned_memory": "is_memory_pinned",
    "cupy.cuda.runtime": "[a-zA-Z]*(Device|Count|Properties|Version|Info|Synchronize|RuntimeError)",
    "cupy.cuda.stream": "Event|Stream|get_current_stream",
    "cupy.lib.stride_tricks": "[a-z]*_[a-z_]*",
    "cupy.linalg": PUBLIC,
    "cupy.ndarray": rf"{PUBLIC}|__.*__",
    "cupy.random": PUBLIC,
    "cupy.random.Generator": PUBLIC,
    "cupy.RawKernel": rf"{PUBLIC}|__call__",
    "cupy.RawModule": PUBLIC,
    "cupyx": PUBLIC,
    "cupyx.scipy.special": PUBLIC,
}
LAZY = {"cupy.random": ["Generator"]}  # which dir() does not show before somebody has asked for it
INSTANCES = {"cupy.cuda.Stream": cupy.cuda.Stream.null}  # with attributes that the class does not show
DTYPES = "?bhilBHILefdFD"


def parameters(function) -> str | None:
    """ "a, axis=..., *, dtype=..." : what stands between the parentheses; None where nobody tells.

    From the signature, or from the docstring's first line, in which Cython writes it down with C types.
    """
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        line = (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]
        match = re.fullmatch(r"[\w.]+\((.*?)\)( *->.*)?", line)
        if not match:
            return None
        text = re.sub(r"=(\([^()]*\)|[^,()]+|\w+\(.*?\))", "=...", match[1])
        names = [word.split()[-1] for word in text.split(",") if word.strip()]
        return ", ".join(name for name in names if name != "self")
    words, star = [], False
    for p in found:
        star |= p.kind is p.VAR_POSITIONAL
        if p.kind is p.KEYWORD_ONLY and not star:
            words, star = [*words, "*"], True
        prefix = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        words.append(prefix + p.name + ("" if p.default is p.empty else "=..."))
    only = [p.name for p in found if p.kind is p.POSITIONAL_ONLY]
    if only and only != ["self"]:
        words.insert(len(only), "/")
    return ", ".join(word for word in words if word != "self")


def unusable(shape, dtype):
    """A cupy.ndarray whose pointer leads nowhere: good for asking what CuPy refuses before it launches anything."""
    memory = cupy.cuda.UnownedMemory(1024, 1 << 20, None, 0)  # the device is given, or CuPy asks the driver for it
    return cupy.ndarray(shape, dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))


def launches(function, *args) -> bool:
    """True if CuPy accepts the arguments, and fails for want of a driver only."""
    try:
        function(*args)
    except (NotImplementedError, TypeError):
        return False
    except cupy.cuda.runtime.CUDARuntimeError:
        return True
    return True


def describe_ufunc(f) -> dict:
    """What the double must know to refuse what CuPy refuses."""
    facts = {"kind": "ufunc", "nin": f.nin, "nout": f.nout, "types": " ".join(f.types)}
    if f.nin == 2:
        index = unusable((3,), np.int64)
        facts["at"] = "".join(c for c in DTYPES if launches(f.at, unusable((4,), c), index, unusable((3,), c)))
        methods = ("reduce", "accumulate")
        facts["methods"] = [m for m in methods if launches(getattr(f, m), unusable((4,), np.float32))]
    return {name: value for name, value in facts.items() if value not in ("", [])}


def describe(value) -> dict:
    """One name."""
    if type(value).__name__ == "ufunc":
        return describe_ufunc(value)
    if inspect.ismodule(value):
        return {"kind": "module"}
    if inspect.isclass(value):
        return {"kind": "class"}
    if callable(value):
        told = parameters(value)
        return {"kind": "function"} | ({} if told is None else {"parameters": told})
    return {"kind": "attribute"}


def find(path):
    """The module or class of that dotted name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        parent, _, name = path.rpartition(".")
        return getattr(find(parent), name)


def snapshot() -> str:
    """The text of api.json: one name a line."""
    lines = [f'"version": {json.dumps(cupy.__version__)}']
    for path, wanted in PLACES.items():
        place = find(path)
        names = {*dir(place), *dir(INSTANCES.get(path, place)), *LAZY.get(path, ())} - {"annotations"}
        names = sorted(name for name in names if re.fullmatch(wanted, name))
        inner = [f"{json.dumps(name)}: {json.dumps(describe(getattr(place, name, None)))}" for name in names]
        lines.append(f'"{path}": {{\n' + ",\n".join(inner) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    text = snapshot()
    if not options.check:
        options.file.write_text(text, encoding="utf-8")
        return
    old = options.file.read_text(encoding="utf-8").splitlines() if options.file.exists() else []
    difference = list(difflib.unified_diff(old, text.splitlines(), options.file.name, f"CuPy {cupy.__version__}", n=0))
    sys.stdout.writelines(line.rstrip() + "\n" for line in difference)
    if difference:
        sys.exit(
            f"{options.file} is not what CuPy {cupy.__version__} offers: run {Path(__file__).name} without --check"
        )
    print(f"{sum(len(place) for place in json.loads(text).values() if isinstance(place, dict))} names, 0 differ")


if __name__ == "__main__":
    main()
