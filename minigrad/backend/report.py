"""The GPU's side of `python -m minigrad.info`: the driver, CuPy, CUDA and the devices. Nothing here raises."""

import re
import shutil
import subprocess
from importlib import metadata
from typing import Any

from ..errors import DeviceError
from . import load_cuda

SECONDS = 10  # for nvidia-smi, which hangs where a driver does


def facts() -> dict[str, Any]:
    """What the driver and CuPy say of themselves; None where nothing can be told.

    {"usable": can minigrad compute there, "driver", "cuda" (the highest version that the driver serves), "installed":
    is there a CuPy, "packages": {name: version}, "version", "runtime", "nvrtc", "devices": [{"name", "capability",
    "total_memory", "free_memory" in bytes}], "problems": [sentence], "remedy": what to type, or None}
    """
    known: dict[str, Any] = dict.fromkeys(("driver", "cuda", "version", "runtime", "nvrtc", "remedy"))
    known |= {"usable": False, "installed": False, "packages": {}, "devices": [], "problems": []}
    _ask(known, "nvidia-smi", lambda: known.update(_driver()))
    _ask(known, "packages", lambda: known.update(packages=_packages()))
    _ask(known, "importing CuPy", lambda: _ask_cupy(known))
    if known["devices"]:
        _ask(known, "CUDA", lambda: known.update(usable=bool(load_cuda())))
    if known["usable"]:  # then the driver works, whatever nvidia-smi has met
        known["problems"] = [problem for problem in known["problems"] if not problem.startswith("nvidia-smi")]
    known["remedy"] = _remedy(known)
    return known


def lines(known: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as pairs (label, text)."""
    driver = cupy = None
    if known["cuda"]:
        driver = f"{known['driver'] or 'of an unknown version'}, serves CUDA up to {known['cuda']}"
    if known["version"]:
        package = ", ".join(known["packages"]) or "no package"
        cupy = f"{known['version']} ({package}), CUDA {known['runtime']}, NVRTC {known['nvrtc'] or 'not found'}"
    told = [
        ("driver", driver or "no driver of NVIDIA's is found"),
        ("CuPy", cupy or ("installed, and cannot be imported" if known["installed"] else "not installed")),
    ]
    for i, device in enumerate(known["devices"]):
        free, total = (f"{device[key] / 2**30:.1f}" for key in ("free_memory", "total_memory"))
        told.append((f"cuda:{i}", f"{device['name']}, capability {device['capability']}, {free} of {total} GiB free"))
    told.append(("GPU", "minigrad can compute there" if known["usable"] else "minigrad computes on the CPU only"))
    told += [("problem", problem) for problem in known["problems"]]
    return told + ([("remedy", known["remedy"])] if known["remedy"] else [])


def _driver():
    """Its version, and that of CUDA, from the head of what nvidia-smi prints."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return {}
    done = subprocess.run([command], capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise OSError((done.stdout or done.stderr).strip().partition("\n")[0] or f"it ended with {done.returncode}")
    names = {"driver": r"(?:Driver|KMD) Version\s*:\s*([\d.]+)", "cuda": r"CUDA (?:UMD )?Version\s*:\s*([\d.]+)"}
    found = {name: re.search(pattern, done.stdout) for name, pattern in names.items()}
    return {name: match[1] for name, match in found.items() if match}


def _packages():
    """The installed distributions of CuPy: there should be one."""
    found = {str(d.metadata["Name"]): d.version for d in metadata.distributions() if d.metadata is not None}
    return {name: found[name] for name in sorted(found) if name.lower().startswith("cupy")}


def _ask_cupy(known):
    if len(known["packages"]) > 1:
        known["problems"].append("several packages of CuPy are installed, which disturb each other")
    known["installed"] = True
    try:
        import cupy  # noqa: PLC0415 - it may be missing, and takes 0.4 s to load
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        known["installed"] = False
        return
    known["version"] = str(cupy.__version__)
    if int(known["version"].partition(".")[0]) < 14:
        known["problems"].append(f"CuPy is {known['version']}, and minigrad needs 14 or newer")
    runtime = cupy.cuda.runtime
    known["runtime"] = _version(_ask(known, "CUDA runtime", lambda: runtime.runtimeGetVersion()))
    known["cuda"] = _version(_ask(known, "CUDA driver", lambda: runtime.driverGetVersion())) or known["cuda"]
    known["nvrtc"] = _ask(known, "NVRTC, which compiles kernels", _nvrtc)
    for number in range(_ask(known, "GPUs", lambda: runtime.getDeviceCount()) or 0):
        device = _ask(known, f"cuda:{number}", lambda number=number: _device(cupy, number))
        known["devices"] += [device] if device else []


def _nvrtc():
    from cupy.cuda import nvrtc  # noqa: PLC0415 - as above

    return ".".join(map(str, nvrtc.getVersion()))


def _device(cupy, number):
    properties = cupy.cuda.runtime.getDeviceProperties(number)
    with cupy.cuda.Device(number):
        free, total = cupy.cuda.runtime.memGetInfo()
    name, major, minor = (properties[key] for key in ("name", "major", "minor"))
    return {
        "name": name.decode(),
        "capability": f"{major}.{minor}",
        "total_memory": int(total),
        "free_memory": int(free),
    }


def _remedy(known):
    """What to type, or None where all is well."""
    if known["usable"] and not known["problems"]:
        return None
    major = int((known["cuda"] or "0").partition(".")[0])
    extra = "cuda13" if major >= 13 else "cuda12"
    install = f'pip install "minigrad-tape[{extra}]"'
    wheel = f"cupy-{extra}x"
    fits = list(known["packages"]) == [wheel] and known["version"]
    if not major:
        remedy = "a GPU needs NVIDIA's driver: see whether `nvidia-smi` finds it"
        if not known["installed"]:
            remedy += '; then pip install "minigrad-tape[cuda13]" or "minigrad-tape[cuda12]", as its CUDA version is'
    elif major < 12:
        remedy = f"update NVIDIA's driver: this one serves CUDA {known['cuda']}, and CuPy 14 needs 12 or newer"
    elif not known["installed"]:
        remedy = install
    elif fits and not known["nvrtc"]:
        remedy = f'pip install "{wheel}[ctk]"'
    elif fits and not known["devices"]:
        remedy = "see whether `nvidia-smi` shows a GPU that the environment variable CUDA_VISIBLE_DEVICES hides"
    else:
        remedy = f"pip uninstall --yes {' '.join(known['packages']) or 'cupy'}; then {install}"
    return remedy


def _ask(known, about, question):
    """The answer; or None, and what went wrong becomes a problem."""
    try:
        return question()
    except DeviceError as error:
        known["problems"].append(str(error))
    except Exception as error:  # noqa: BLE001 - whatever a damaged installation or driver may raise
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        known["problems"].append(f"{about}: {told}")
    return None


def _version(number):
    """12080 is 12.8; 0 is what a driver that is missing says."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None
