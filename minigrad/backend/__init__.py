"""Array libraries: which one an array belongs to, on which device it lies, and the kernels that its namespace lacks.

The array's type decides, by one dict lookup: `backend[type(x)].xp.exp(x)` (33 ns, where `cupy.get_array_module`
takes 1070 ns). There is no current backend. This package is the only place that names CuPy, and loads it when a CUDA
device or an array of CuPy's first comes up, or when one asks whether there is a GPU.

    backend[type(x)]        the Backend of an array: its `xp`, and the kernels beyond it
    device_of(x)            the Device on which an array lies;     moved(x, device): the array there
    place(device)           a context in which new arrays are made on a device; gives the Backend
    around(x)               a context in which they are made where x lies
    together(name, xs)      the same for several arrays; DeviceError where they do not lie together
    computed(name, f, *xs)  f(*xs) in that context

Files: base.py is all that is asked of a library, in plain `xp`, with windows.py and rows.py; cuda.py overrides what
GPUs do better, by kernels/; device.py names devices; prefetch.py copies ahead; report.py and installed.py say what is
missing.
"""

from contextlib import nullcontext
from typing import Any

import numpy as np

from ..errors import DeviceError, OutOfMemoryError
from .base import Backend as Backend
from .device import Device as Device
from .device import chosen, chosen_gpu
from .installed import CHOOSE, INSTALL, broken, cupy_packages, cupy_place
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

# Two lists of at most one element, the CUDA backend: once CuPy is loaded, and where there are several GPUs, between
# which one must go to and fro. While a list is empty, asking it costs an operation on the CPU 4 ns of 840.
gpu: list[Any] = []
many_gpus: list[Any] = []
# Why operations leave the straight way, as types of arrays; the first holds for all: `object` while somebody observes
# (tape/observers.py), behind it that of the GPU's arrays. One question, as cheap as the above, for two reasons.
detours: list[type] = []
HERE = nullcontext()  # a context that changes nothing


def load_cuda(device="cuda") -> Any:
    """The CUDA backend. Raises DeviceError, with the remedy, where CuPy or a GPU is missing or CuPy is broken."""
    if not gpu:
        try:
            from . import cuda  # noqa: PLC0415 - CuPy takes 0.4 s to load
        except ModuleNotFoundError as error:
            gone = cupy_packages() and not cupy_place()[0]  # to pip it is installed
            if error.name != "cupy" or gone:
                raise broken(device, error) from error
            raise DeviceError(f"device '{device}' needs CuPy, which is not installed: {INSTALL}{CHOOSE}") from None
        except Exception as error:  # whatever a damaged installation may raise
            raise broken(device, error) from error
        try:
            loaded = cuda.CudaBackend()
        except DeviceError as error:
            raise DeviceError(f"device '{device}': {error}{CHOOSE}") from None
        backend[loaded.array] = loaded
        gpu.append(loaded)
        detours.append(loaded.array)
        if loaded.count > 1:
            many_gpus.append(loaded)
    return gpu[0]


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
    return many_gpus[0].around(x) if many_gpus and type(x) is many_gpus[0].array else HERE


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
    if not many_gpus:
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
