"""The GPU's side of `python -m minigrad.info`: the driver, CuPy, CUDA and the devices. Nothing here raises."""

import re
import shutil
import subprocess
from typing import Any

from ..errors import DeviceError
from . import libcudnn, load_cuda
from .installed import cupy_packages, cupy_place, in_one_line

NEEDED = 14  # of CuPy, as in pyproject.toml
SECONDS = 10  # for nvidia-smi, which hangs where a driver does


def facts() -> dict[str, Any]:
    """What the driver and CuPy say of themselves; None where nothing can be told.

    {"usable": can minigrad compute there, "driver", "cuda" (the highest version that the driver serves), "installed":
    is there a CuPy, "packages": {name: version}, "version", "runtime", "nvrtc", "cublas": is it there, "place":
    what Python finds as CuPy, "hidden": is that none of CuPy's, "devices": [{"name", "capability", "total_memory",
    "free_memory" in bytes}], "problems": [sentence], "remedies": [what to do or to type, in this order]}; and "cudnn",
    where it is asked for: which one computes convolutions, or why none does
    """
    known: dict[str, Any] = dict.fromkeys(("driver", "cuda", "version", "runtime", "nvrtc", "place"))
    known |= dict.fromkeys(("usable", "installed", "cublas", "hidden"), False)
    known |= {"packages": {}, "devices": [], "problems": [], "remedies": []}
    _ask(known, "nvidia-smi", lambda: known.update(_driver()))
    _ask(known, "packages", lambda: known.update(packages=cupy_packages()))
    known["place"], hidden = _ask(known, "looking for CuPy", cupy_place) or (None, False)
    about = f"importing CuPy from {known['place']}" if known["place"] else "importing CuPy"
    _ask(known, about, lambda: _ask_cupy(known))
    known["hidden"] = hidden and known["installed"] and not known["version"]
    if known["devices"]:
        loaded = _ask(known, "CUDA", load_cuda)
        known["usable"] = bool(loaded and known["nvrtc"] and known["cublas"])
    if known["usable"]:  # then the driver works, whatever nvidia-smi has met
        known["problems"] = [problem for problem in known["problems"] if not problem.startswith("nvidia-smi")]
    known["remedies"] = _remedies(known)
    if libcudnn.asked_for():
        known["cudnn"] = _ask(known, "cuDNN", libcudnn.told)
    return known


def lines(known: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as pairs (label, text)."""
    driver = cupy = None
    if known["cuda"]:
        driver = f"{known['driver'] or 'of an unknown version'}, serves CUDA up to {known['cuda']}"
    if known["version"]:
        package = ", ".join(known["packages"]) or "no package"
        nvrtc, cublas = known["nvrtc"] or "not found", "found" if known["cublas"] else "not found"
        cupy = f"{known['version']} ({package}), CUDA {known['runtime']}, NVRTC {nvrtc}, cuBLAS {cublas}"
    told = [
        ("driver", driver or "no driver of NVIDIA's is found"),
        ("CuPy", cupy or ("installed, and cannot be imported" if known["installed"] else "not installed")),
    ]
    if known.get("cudnn"):
        told.append(("cuDNN", known["cudnn"]))
    for i, device in enumerate(known["devices"]):
        free, total = (f"{device[key] / 2**30:.1f}" for key in ("free_memory", "total_memory"))
        told.append((f"cuda:{i}", f"{device['name']}, capability {device['capability']}, {free} of {total} GiB free"))
    told.append(("GPU", "minigrad can compute there" if known["usable"] else "minigrad computes on the CPU only"))
    told += [("problem", problem) for problem in known["problems"]]
    return told + [("remedy", remedy) for remedy in known["remedies"]]


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


def _ask_cupy(known):
    if len(known["packages"]) > 1:
        known["problems"].append("several packages of CuPy are installed, which disturb each other")
    known["installed"] = True
    try:
        import cupy  # noqa: PLC0415 - it may be missing, and takes 0.4 s to load
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        known["installed"] = bool(known["packages"] and not known["place"])
        if known["installed"]:
            known["problems"].append(f"pip lists {', '.join(known['packages'])}, but there is no cupy to import")
        return
    known["version"] = str(cupy.__version__)
    if int(known["version"].partition(".")[0]) < NEEDED:
        known["problems"].append(f"CuPy is {known['version']}, and minigrad needs {NEEDED} or newer")
    runtime = cupy.cuda.runtime
    known["runtime"] = _version(_ask(known, "CUDA runtime", lambda: runtime.runtimeGetVersion()))
    known["cuda"] = _version(_ask(known, "CUDA driver", lambda: runtime.driverGetVersion())) or known["cuda"]
    known["nvrtc"] = _ask(known, "NVRTC, which compiles kernels", _nvrtc)
    known["cublas"] = bool(_ask(known, "cuBLAS, which multiplies matrices", _cublas))
    for number in range(_ask(known, "GPUs", lambda: runtime.getDeviceCount()) or 0):
        device = _ask(known, f"cuda:{number}", lambda number=number: _device(cupy, number))
        known["devices"] += [device] if device else []


def _nvrtc():
    from cupy.cuda import nvrtc  # noqa: PLC0415 - as above

    return ".".join(map(str, nvrtc.getVersion()))


def _cublas():
    # By `from`, which looks into NVIDIA's packages too; importlib.import_module finds only what the system has.
    from cupy.cuda import cublas  # noqa: PLC0415 - as above

    return cublas


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


def _remedies(known):
    """What to do or to type, in this order; nothing where all is well."""
    if known["usable"] and not known["problems"]:
        return []
    major = int((known["cuda"] or "0").partition(".")[0])
    extra = "cuda13" if major >= 13 else "cuda12"
    wheel = f"cupy-{extra}x"
    install = f'pip install "minigrad-tape[{extra}]"'
    if major < 12:  # nobody knows what the driver that is to come will serve
        install = 'pip install "minigrad-tape[cuda13]" or "minigrad-tape[cuda12]", as the driver\'s CUDA version is'
    remove = f"delete {known['place']}" if known["place"] else "pip uninstall --yes cupy"
    if known["packages"]:
        remove = f"pip uninstall --yes {' '.join(known['packages'])}"
    repair = f"{remove}; then {install}"
    version = int((known["version"] or "0").partition(".")[0])
    misfit = major >= 12 and list(known["packages"]) != [wheel]
    remedies = []
    if known["hidden"]:
        remedies.append(f"rename {known['place']}, which hides CuPy")
    elif known["installed"] and (version < NEEDED or len(known["packages"]) > 1 or misfit):
        remedies.append(repair)
    elif known["installed"] and not (known["nvrtc"] and known["cublas"]):
        remedies.append(f'pip install "{next(iter(known["packages"]), wheel)}[ctk]"')
    if not major:
        why = "see whether `nvidia-smi` finds it" if shutil.which("nvidia-smi") else "`nvidia-smi` is not there"
        remedies.append(f"a GPU needs NVIDIA's driver: {why}")
    elif major < 12:
        remedies.append(f"update NVIDIA's driver: this one serves CUDA {known['cuda']}, and CuPy 14 needs 12 or newer")
    if not known["installed"]:
        remedies.append(install)
    if not remedies and not known["devices"]:
        return ["see whether `nvidia-smi` shows a GPU that the environment variable CUDA_VISIBLE_DEVICES hides"]
    return remedies or [repair]


def _ask(known, about, question):
    """The answer; or None, and what went wrong becomes a problem."""
    try:
        return question()
    except DeviceError as error:
        known["problems"].append(str(error))
    except Exception as error:  # noqa: BLE001 - whatever a damaged installation or driver may raise
        known["problems"].append(f"{about}: {in_one_line(error)}")
    return None


def _version(number):
    """12080 is 12.8; 0 is what a driver that is missing says."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None
