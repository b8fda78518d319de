"""What is installed of CuPy, and what to say where it cannot be imported."""

import re
import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from ..errors import DeviceError

INSTALL = 'pip install "minigrad-tape[cuda13]" (CUDA 13) or "minigrad-tape[cuda12]" (CUDA 12)'
CHOOSE = '; or choose by `"cuda" if mg.cuda.is_available() else "cpu"`'


def broken(device, error) -> DeviceError:
    """The error to raise where importing CuPy raised `error`: what is wrong with it, and the remedy."""
    place, hides = cupy_place()
    if hides:
        return DeviceError(
            f"device '{device}': CuPy cannot be imported: {in_one_line(error)}; {place} hides CuPy: rename it{CHOOSE}"
        )
    left = f", delete what is left of it ({place})" if place else ""
    return DeviceError(
        f"device '{device}': CuPy is installed, but importing it fails: {in_one_line(error)}; uninstall every cupy "
        f"package that `pip list` shows{left}, then {INSTALL}{CHOOSE}"
    )


def cupy_packages() -> dict[str, str]:
    """The installed distributions of CuPy, {name: version}: there should be one, or none."""
    from importlib import metadata  # noqa: PLC0415 - 10 ms, for nothing where all is well

    found = {}
    for distribution in metadata.distributions():
        with suppress(FileNotFoundError):  # what later Pythons raise for one without metadata, where others say None
            told = distribution.metadata
            name = str(told["Name"]) if told else ""
            if re.fullmatch(r"cupy([-_.](cuda|rocm).*)?", name.lower()):
                found[name] = distribution.version
    return dict(sorted(found.items()))


def cupy_place() -> tuple[str | None, bool]:
    """The folder or file that `import cupy` finds; and whether it hides CuPy, being no part of an installation."""
    spec = PathFinder.find_spec("cupy", sys.path)
    if spec is None:
        return None, False
    folders = list(spec.submodule_search_locations or ())
    place = Path(folders[0] if folders else str(spec.origin)).resolve()
    around = place.parent
    installed = around.name in ("site-packages", "dist-packages") or any(around.glob("cupy*-info"))
    return str(place), not installed


def in_one_line(error, longest=200) -> str:
    """What went wrong. CuPy's own messages have it below a banner of 15 lines."""
    original = str(error).partition("Original error:")[2].strip("=\n ")
    if not original:
        error = error.__cause__ or error
        original = f"{type(error).__name__}: {error}"
    line = " ".join(original.split())
    return line if len(line) <= longest else line[: longest - 3] + "..."
