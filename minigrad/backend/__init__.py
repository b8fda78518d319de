"""Array libraries: which one an array belongs to, and the kernels that its namespace lacks.

The array's type decides, by one dict lookup: `backend[type(x)].xp.exp(x)` (33 ns, where `cupy.get_array_module`
takes 1070 ns). There is no current backend. This package is the only place that names CuPy.
"""

import importlib.util

import numpy as np

from ..errors import DeviceError
from .base import Backend as Backend
from .memory import keep_freed_memory


class _Backends(dict):
    """Array type -> Backend. A subclass of a known type finds its parent's, and is known from then on."""

    def __missing__(self, kind):
        for parent in kind.__mro__[1:]:
            if parent in self:
                self[kind] = self[parent]
                return self[kind]
        raise DeviceError(f"{kind.__module__}.{kind.__qualname__} is no array that minigrad computes with")


keep_freed_memory()
cpu = Backend(np)
# Python numbers too: an operation on numbers alone is done by NumPy.
backend: dict[type, Backend] = _Backends({np.ndarray: cpu, np.generic: cpu, float: cpu, int: cpu, bool: cpu})


def cuda_is_available() -> bool:
    """True if arrays can be put on a CUDA device. Never raises."""
    return False


def find_device(device) -> Backend:
    """The Backend of `device`: None or "cpu".

    Raises: DeviceError for "cuda" and "cuda:1", with what is missing, and for any other name.
    """
    name = "cpu" if device is None else str(device)
    if name == "cpu":
        return cpu
    if name.split(":")[0] != "cuda":
        raise DeviceError(f'device: expected "cpu", "cuda" or "cuda:1", got {device!r}')
    if importlib.util.find_spec("cupy") is None:
        raise DeviceError(
            f'device {name!r} needs CuPy, which is not installed: pip install "minigrad-tape[cuda13]" (CUDA 13) or '
            '"minigrad-tape[cuda12]" (CUDA 12); or choose by `"cuda" if mg.cuda.is_available() else "cpu"`'
        )
    raise DeviceError(f"device {name!r}: CuPy is installed, but this version of minigrad computes on the CPU only")
