"""The modules that stand in the place of CuPy: put into sys.modules by install, taken out by uninstall."""

import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np

from . import functions, generators, kernels, lanes, memory, records, snapshot, solvers, special, ufuncs
from .array import ndarray

LINALG = {"COMPUTE_TYPE_TBD": -1, "COMPUTE_TYPE_DEFAULT": 0, "COMPUTE_TYPE_PEDANTIC": 1, "COMPUTE_TYPE_FP16": 2,
          "COMPUTE_TYPE_FP32": 3, "COMPUTE_TYPE_FP64": 4, "COMPUTE_TYPE_BF16": 5, "COMPUTE_TYPE_TF32": 6}  # fmt: skip
_compute_types: dict = {}
_displaced: dict = {}  # modules of the real CuPy that install took out of sys.modules


class Module(ModuleType):
    """A module of the double: a name that CuPy lacks is an AttributeError, one that the double lacks says so."""

    def __init__(self, name, names):
        super().__init__(name, f"The double of {name}.")
        self.__spec__, self.__path__ = ModuleSpec(name, None, is_package=True), []
        vars(self).update(names)

    def __getattr__(self, name):
        if name in snapshot.API.get(self.__name__, ()) and name[:2] != "__":
            raise NotImplementedError(f"the double has no {self.__name__}.{name}, which CuPy has: write it")
        raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")


def set_compute_type(dtype, compute_type):
    """cupy._core.set_compute_type."""
    if np.dtype(dtype).char not in "efdFD":
        raise TypeError(f"dtype is not supported: {dtype}")
    _compute_types[np.dtype(dtype)] = compute_type


def get_compute_type(dtype):
    """cupy._core.get_compute_type."""
    return _compute_types.get(np.dtype(dtype), LINALG["COMPUTE_TYPE_DEFAULT"])


def _get_device_properties(device):
    if not 0 <= device < lanes.count:
        raise lanes.CUDARuntimeError(101)
    return {
        "name": f"Fake GPU {device}".encode(), "totalGlobalMem": memory.TOTAL, "major": 9, "minor": 0,
        "multiProcessorCount": 132, "warpSize": 32, "maxThreadsPerBlock": 1024,
    }  # fmt: skip


def _scatter(ufunc):
    return lambda a, slices, value: ufuncs.TABLE[ufunc].at(a, slices, value)


RUNTIME = {
    "CUDARuntimeError": lanes.CUDARuntimeError,
    "deviceSynchronize": lambda: lanes.Device().synchronize(),
    "driverGetVersion": lambda: 13000,
    "getDevice": lambda: lanes.current.device,
    "getDeviceCount": lambda: lanes.count,
    "getDeviceProperties": _get_device_properties,
    "memGetInfo": lambda: memory.pools[lanes.current.device].info(),
    "runtimeGetVersion": lambda: 13000,
    "setDevice": lanes.current.go,
}
CUDA = {
    "Device": lanes.Device,
    "Event": lanes.Event,
    "MemoryPointer": memory.MemoryPointer,
    "MemoryPool": memory.MemoryPool,
    "PinnedMemoryPool": memory.PinnedMemoryPool,
    "Stream": lanes.Stream,
    "alloc_pinned_memory": memory.alloc_pinned_memory,
    "get_current_stream": lanes.get_current_stream,
    "get_device_id": lambda: lanes.current.device,
    "is_available": lambda: lanes.count > 0,
}
CUPY = {
    "ElementwiseKernel": kernels.ElementwiseKernel,
    "RawKernel": kernels.RawKernel,
    "RawModule": kernels.RawModule,
    "__version__": snapshot.VERSION,
    "get_default_memory_pool": memory.get_default_memory_pool,
    "get_default_pinned_memory_pool": memory.get_default_pinned_memory_pool,
    "ndarray": ndarray,
    "ufunc": ufuncs.Ufunc,
}
CUPYX = {
    "empty_like_pinned": memory.empty_like_pinned,
    "empty_pinned": memory.empty_pinned,
    "errstate": solvers.errstate,
    "scatter_add": _scatter("add"),
    "scatter_max": _scatter("maximum"),
    "scatter_min": _scatter("minimum"),
    "zeros_like_pinned": memory.zeros_like_pinned,
    "zeros_pinned": memory.zeros_pinned,
}


def _build():
    """All modules, under their names."""
    core = {"get_compute_type": get_compute_type, "set_compute_type": set_compute_type}
    with warnings.catch_warnings(action="ignore"):  # NumPy deprecates some names that CuPy has
        shared = functions.constants("cupy", np) | functions.functions("cupy", np)
        linalg = functions.constants("cupy.linalg", np.linalg) | functions.functions("cupy.linalg", np.linalg)
    contents = {
        "cupy": shared | ufuncs.TABLE | special.FUNCTIONS["cupy"] | CUPY,
        "cupy._core": core,
        "cupy._core._routines_linalg": LINALG,
        "cupy.cuda": CUDA,
        "cupy.cuda.memory": {"MemoryPointer": memory.MemoryPointer, "OutOfMemoryError": memory.OutOfMemoryError},
        "cupy.cuda.pinned_memory": {"is_memory_pinned": memory.is_memory_pinned},
        "cupy.cuda.nvrtc": {"getVersion": lambda: (13, 0)},
        "cupy.cuda.runtime": RUNTIME,
        "cupy.cuda.stream": {name: CUDA[name] for name in ("Event", "Stream", "get_current_stream")},
        "cupy.lib": {},
        "cupy.lib.stride_tricks": special.FUNCTIONS["cupy.lib.stride_tricks"],
        "cupy.linalg": linalg | solvers.LINALG | {"matmul": ufuncs.TABLE["matmul"]},
        "cupy.random": generators.NAMES,
        "cupyx": CUPYX,
        "cupyx.scipy": {},
        "cupyx.scipy.special": special.SPECIAL,
    }
    made = {name: Module(name, names) for name, names in contents.items()}
    for name, module in made.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(made[parent], child, module)
    return made


functions.bind_methods()
MODULES = _build()


def reset(devices=None):
    """Forget what was recorded and counted; the first device is the current one."""
    records.reset()
    lanes.reset(devices)
    memory.reset()
    _compute_types.clear()


def install(devices=1):
    """Let `import cupy` and `import cupyx` find the double, with that many devices.

    A real CuPy that is loaded already is set aside until uninstall.
    """
    for name in list(sys.modules):
        if name.split(".")[0] in ("cupy", "cupyx") and sys.modules[name] is not MODULES.get(name):
            _displaced[name] = sys.modules.pop(name)
    sys.modules.update(MODULES)
    reset(devices)


def uninstall():
    """Take the double's modules out of sys.modules again."""
    for name, module in MODULES.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
    for name, module in _displaced.items():
        sys.modules.setdefault(name, module)
    _displaced.clear()
