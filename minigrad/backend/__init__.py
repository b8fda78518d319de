"""Array libraries: which one an array belongs to, on which device it lies, and the kernels that its namespace lacks.

The array's type decides, by one dict lookup: `backend[type(x)].xp.exp(x)` (33 ns, where `cupy.get_array_module`
takes 1070 ns). There is no current backend. This package is the only place that names CuPy, and loads it when a CUDA
device or an array of CuPy's first comes up.
"""

import re
import sys
from contextlib import nullcontext, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DeviceError, OutOfMemoryError
from .base import Backend as Backend
from .device import Device as Device
from .device import chosen, chosen_gpu
from .memory import keep_freed_memory


class _Backends(dict):
    """Array type -> Backend. A subclass of a known type finds its parent's, and is known from then on."""

    def __missing__(self, kind):
        if kind.__module__.partition(".")[0] == "cupy" and not gpu:
            load_cuda()
        for parent in kind.__mro__:
            if parent in self:
                self[kind] = self[parent]
                return self[kind]
        raise DeviceError(f"{kind.__module__}.{kind.__qualname__} is no array that minigrad computes with")


keep_freed_memory()
cpu = Backend(np)
# Python numbers too: an operation on numbers alone is done by NumPy.
backend: dict[type, Backend] = _Backends({np.ndarray: cpu, np.generic: cpu, float: cpu, int: cpu, bool: cpu})

# The CUDA backend, once CuPy is loaded; and again, where there is more than one GPU. While a list is empty, asking it
# costs an operation on the CPU 4 ns of 840.
gpu: list[Any] = []
gpus: list[Any] = []
HERE = nullcontext()  # the context for where one is anyway

INSTALL = 'pip install "minigrad-tape[cuda13]" (CUDA 13) or "minigrad-tape[cuda12]" (CUDA 12)'
CHOOSE = '; or choose by `"cuda" if mg.cuda.is_available() else "cpu"`'


def load_cuda(device="cuda") -> Any:
    """The CUDA backend. Raises DeviceError, with the remedy, where CuPy or a GPU is missing or CuPy is broken."""
    if not gpu:
        try:
            from . import cuda  # noqa: PLC0415 - CuPy takes 0.4 s to load
        except ModuleNotFoundError as error:
            gone = cupy_packages() and not cupy_place()[0]  # to pip it is installed
            if error.name != "cupy" or gone:
                raise _broken(device, error) from error
            raise DeviceError(f"device '{device}' needs CuPy, which is not installed: {INSTALL}{CHOOSE}") from None
        except Exception as error:  # whatever a damaged installation may raise
            raise _broken(device, error) from error
        try:
            loaded = cuda.CudaBackend()
        except DeviceError as error:
            raise DeviceError(f"device '{device}': {error}{CHOOSE}") from None
        backend[loaded.array] = loaded
        gpu.append(loaded)
        if loaded.count > 1:
            gpus.append(loaded)
    return gpu[0]


def _broken(device, error):
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


def cuda_is_available() -> bool:
    """True if arrays can be put on a CUDA device. Never raises."""
    try:
        return bool(load_cuda())
    except DeviceError:
        return False


def place(device=None):
    """A context in which the Backend that it gives makes arrays on `device`; None is where new arrays go by default.

        with place("cuda:1") as library:
            x = library.xp.zeros(3)

    Raises: DeviceError for a device that is not there, with what is missing, and for any other name.
    """
    device = chosen() if device is None else device if isinstance(device, Device) else Device(device)
    if device.type == "cpu":
        return cpu
    return load_cuda(device).place(chosen_gpu() if device.index is None else device.index)


def device_of(x) -> Device:
    """Where the array `x` lies."""
    return backend[type(x)].device_of(x)


def around(x):
    """A context in which new arrays of x's library are made where `x` lies."""
    return gpus[0].around(x) if gpus and type(x) is gpus[0].array else HERE


def together(name, operands):
    """A context on the device of all arrays among `operands`, for when CuPy is loaded.

    Raises: DeviceError, naming the operation, where they lie on different devices.
    """
    library = gpu[0]
    kinds = set(map(type, operands))
    if library.array not in kinds:
        return HERE
    if np.ndarray in kinds:
        raise _apart(name, operands)
    if not gpus:
        return HERE
    arrays = [x for x in operands if type(x) is library.array]
    if any(library.number_of(x) != library.number_of(arrays[0]) for x in arrays):
        raise _apart(name, operands)
    return library.around(arrays[0])


def numbers_beside(operands, tracked=None):
    """The operands, with single elements of the host as numbers where there are arrays on a GPU: as in PyTorch.

    Those that are `tracked` stay: their gradient belongs to the host.
    """
    kinds = set(map(type, operands))
    if np.ndarray not in kinds or gpu[0].array not in kinds:
        return operands
    tracked = tracked or [None] * len(operands)
    return [
        x.item() if type(x) is np.ndarray and x.ndim == 0 and edge is None else x
        for x, edge in zip(operands, tracked, strict=True)
    ]


def _apart(name, operands):
    places = [
        f"argument {i} {x.shape} is on {device_of(x)}"
        for i, x in enumerate(operands)
        if hasattr(x, "shape") and not isinstance(x, np.generic)
    ]
    target = next(device_of(x) for x in operands if type(x) is gpu[0].array)
    return DeviceError(f"{name}: {', '.join(places)}; all must be on one device: write x.to({str(target)!r})")


def out_of_memory(name, operands, error) -> MemoryError:
    """The error to raise for `error`, a MemoryError: which operation asked for how much, and what is held."""
    shapes = ", ".join(f"{x.dtype} {x.shape}" for x in operands if hasattr(x, "shape"))
    if isinstance(error, OutOfMemoryError):
        return error
    held = ""
    for x in operands:
        if gpu and type(x) is gpu[0].array:
            with around(x):
                held = f"; {gpu[0].holdings()}"
            break
    return OutOfMemoryError(f"{name}({shapes}): {str(error).rstrip('. ')}{held}; take a smaller batch, or float16")


def computed(name, function, *operands):
    """function(*operands), on the device where they lie.

    Raises: DeviceError, naming the operation, where they lie on different devices.
    """
    if not gpu:
        return function(*operands)
    operands = numbers_beside(operands)
    with together(name, operands):
        return function(*operands)


def moved(x, device, non_blocking=False):
    """The array `x` on `device`; x itself where it lies there.

    Args: non_blocking - to or from the host, return before the copy is done. The host's memory must be pinned for
          that, and must not be read or written until the device has been synchronized.
    """
    library = backend[type(x)]
    with place(device) as target:
        if target.host:
            return library.to_numpy(x, non_blocking)
        return target.take(x, library, non_blocking)
