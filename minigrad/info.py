"""What minigrad finds on this machine, and the command for what is missing: `python -m minigrad.info`.

    minigrad    0.1.0 in /home/ada/minigrad
    NumPy       2.4.6 with scipy-openblas 0.3.31
    threads     2, one for each core that this process may use
    ...

With --json, the same facts for programs. Nothing here raises: what fails is told.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .backend import report as gpu
from .backend.installed import in_one_line

# Library -> how to install it. What it is for is said in pyproject.toml.
OPTIONAL = {
    "safetensors": 'pip install "minigrad-tape[safetensors]"',
    "tqdm": 'pip install "minigrad-tape[examples]"',
    "matplotlib": 'pip install "minigrad-tape[examples]"',
    "graphviz": "pip install graphviz",
}
DOT = '`apt install graphviz`, or pip install "minigrad-tape[viz]"'

# BLAS -> the environment variables that limit its threads, the first that is set counts.
THREADS = {
    "openblas": ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"),
    "mkl": ("MKL_NUM_THREADS", "OMP_NUM_THREADS"),
    "blis": ("BLIS_NUM_THREADS", "OMP_NUM_THREADS"),
    "accelerate": ("VECLIB_MAXIMUM_THREADS",),
}


def facts() -> dict[str, Any]:
    """Everything as dictionaries, strings and numbers: what --json prints."""
    return {
        "minigrad": _told(_minigrad),
        "python": _told(_python),
        "numpy": _told(lambda: {"version": np.__version__, "blas": _blas()}),
        "threads": _told(_threads),
        "libraries": {name: _told(partial(_library, name)) for name in OPTIONAL},
        "dot": _told(_dot),
        "gpu": gpu.facts(),
    }


def report() -> str:
    """Everything as aligned lines of text."""
    known = facts()
    pairs = [
        ("minigrad", "{version} in {path}", known["minigrad"]),
        ("Python", "{version} ({implementation}) on {system}", known["python"]),
        ("NumPy", "{version} with {blas}", known["numpy"]),
        ("threads", "{threads}, {reason}", known["threads"]),
        *((name, "{version}", found) for name, found in known["libraries"].items()),
        ("dot", "{path}", known["dot"]),
    ]
    missing = {**OPTIONAL, "dot": DOT}
    lines = []
    for label, text, found in pairs:
        if "error" in found:
            lines.append((label, found["error"]))
        elif None in found.values():
            lines.append((label, f"missing; {missing[label]}"))
        else:
            lines.append((label, text.format(**found)))
    lines += gpu.lines(known["gpu"])
    width = max(len(label) for label, _ in lines) + 2
    return "\n".join(f"{label:{width}}{text}" for label, text in lines)


def main(arguments: list[str] | None = None) -> None:
    """What `python -m minigrad.info` does."""
    parser = argparse.ArgumentParser(prog="python -m minigrad.info", description="What minigrad finds on this machine.")
    parser.add_argument("--json", action="store_true", help="for programs")
    wanted = parser.parse_args(arguments)
    sys.stdout.write((json.dumps(facts(), indent=2) if wanted.json else report()) + "\n")


def _told(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer, or {"error": what went wrong}."""
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - whatever a damaged installation may raise
        return {"error": in_one_line(error)}


def _minigrad():
    package = sys.modules[__package__]
    return {"version": package.__version__, "path": str(Path(__file__).parent)}


def _python():
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.platform(),
        "executable": sys.executable,
    }


def _blas():
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{built['name']} {built.get('version', '')}".strip()


def _threads():
    """How many threads NumPy's products of matrices take, and why."""
    name = _blas().lower()
    variables = next((THREADS[key] for key in THREADS if key in name), ("OMP_NUM_THREADS",))
    for variable in variables:
        if os.environ.get(variable):
            return {"threads": os.environ[variable], "reason": f"as {variable} says"}
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return {"threads": str(cores), "reason": "one for each core that this process may use"}


def _library(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return {"version": None}
    return {"version": str(getattr(module, "__version__", "unknown"))}


def _dot():
    """What draws computational graphs: `dot`, or another of minigrad.viz's renderers."""
    from .viz.pictures.render import NoRendererError, renderer  # noqa: PLC0415 - viz is for drawing

    try:
        return {"path": renderer()}
    except NoRendererError:
        return {"path": None}


if __name__ == "__main__":
    main()
