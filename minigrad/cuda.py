"""`mg.cuda`: the GPUs of this machine, under PyTorch's names.

    device = "cuda" if mg.cuda.is_available() else "cpu"
    model.to(device)

Work on a GPU is queued: an operation returns before it is done, and the host waits only where it needs a value
(`item`, `float`, `numpy`, printing, `if x > 0`) or where one asks for it (`synchronize`). Memory comes from a pool
that keeps what is freed for the next array.
"""

import os
from typing import NamedTuple

from .backend import Backend, Device, gpu, load_cuda, place
from .backend import cuda_is_available as is_available
from .errors import DeviceError, OutOfMemoryError
from .ops.random import gpu_rng_state, seed_gpus, set_gpu_rng_state

__all__ = [
    "OutOfMemoryError",
    "check_indices",
    "current_device",
    "device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "set_device",
    "set_rng_state",
    "synchronize",
]


def device_count() -> int:
    """The number of GPUs; 0 where CuPy, the driver or a GPU is missing. Never raises."""
    return gpu[0].count if is_available() else 0


def current_device() -> int:
    """The number of the GPU that "cuda" means."""
    with _on(None) as library:
        return library.here().index


def set_device(device) -> None:
    """Let "cuda" mean `device`, a number, "cuda:1" or a Device, from now on in this thread. Better: `with device(1):`.

    Raises: DeviceError for a GPU that is not there.
    """
    with _on(device) as library:
        index = library.here().index
    load_cuda().set_current(index)


def device(device) -> Device:
    """`with mg.cuda.device(1):` - the Device, in whose context new arrays are made there and "cuda" means it."""
    with _on(device) as library:
        return library.here()


def synchronize(device=None) -> None:
    """Wait until all that is queued on `device`, by default the current GPU, is done. What failed there raises here."""
    with _on(device) as library:
        library.synchronize()


def get_device_name(device=None) -> str:
    """What the maker calls the GPU, as "NVIDIA H200"."""
    return get_device_properties(device).name


class DeviceProperties(NamedTuple):
    """Facts about a GPU: total_memory in bytes; major and minor are its compute capability."""

    name: str
    total_memory: int
    major: int
    minor: int
    multi_processor_count: int


def get_device_properties(device=None) -> DeviceProperties:
    """The facts about a GPU."""
    with _on(device) as library:
        return DeviceProperties(**library.properties())


def mem_get_info(device=None) -> tuple[int, int]:
    """(free, total) memory of the GPU in bytes, as the driver sees it: other processes count."""
    with _on(device) as library:
        return library.memory()["free"], library.memory()["total"]


def memory_allocated(device=None) -> int:
    """Bytes that arrays hold on the GPU, each rounded up to 512."""
    with _on(device) as library:
        return library.memory()["allocated"]


def memory_reserved(device=None) -> int:
    """Bytes that the pool has taken from the GPU: those of arrays, and those kept for new ones."""
    with _on(device) as library:
        return library.memory()["reserved"]


def empty_cache() -> None:
    """Give the memory that no array uses back to the GPUs, for other processes."""
    load_cuda().empty_cache()


def manual_seed(seed: int) -> None:
    """Begin the random numbers of the GPUs (dropout) anew. `mg.manual_seed` does it too, and the host's."""
    seed_gpus(seed)


manual_seed_all = manual_seed


def get_rng_state(device=None) -> dict[str, int]:
    """The state of the random numbers of a GPU, as plain values: what a checkpoint needs beside mg.get_rng_state()."""
    with _on(device) as library:
        return gpu_rng_state(library.here().index)


def set_rng_state(state: dict[str, int], device=None) -> None:
    """Go on from a state that `get_rng_state` gave."""
    with _on(device) as library:
        set_gpu_rng_state(state, library.here().index)


def check_indices(enabled: bool = True) -> None:
    """Raise for class numbers and index arrays on a GPU that are out of range. Each check waits for the GPU.

    For finding a mistake: without it, an index out of range is silently wrapped, and the loss of a class number out of
    range is NaN. The environment variable MINIGRAD_CHECK_INDICES=1 does the same from the start.
    """
    if gpu:
        gpu[0].checks_indices = bool(enabled)
    os.environ["MINIGRAD_CHECK_INDICES"] = "1" if enabled else "0"  # read when CUDA is loaded


def set_float32_matmul_precision(precision: str) -> None:
    """How products of float32 matrices are computed on a GPU. Convolutions are such products.

    Args:   precision - "highest" (the default): in float32. "high" or "medium": with TF32, whose operands have 10 bits
            of mantissa instead of 23, and which tensor cores (compute capability 8.0 and above) multiply faster.
            Without effect on the CPU, and on einsum.
    Raises: ValueError for another word.
    """
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f'set_float32_matmul_precision: expected "highest", "high" or "medium", got {precision!r}')
    _settings["float32"] = precision
    Backend.tf32 = precision != "highest"
    if gpu:
        gpu[0].set_tf32(Backend.tf32)


def get_float32_matmul_precision() -> str:
    """What was set: "highest", "high" or "medium"."""
    return _settings["float32"]


_settings = {"float32": "highest"}


def _on(device):
    """A context on the GPU `device`: None for the current one, a number, a name or a Device."""
    where = Device("cuda" if device is None else device)
    if where.type != "cuda":
        raise DeviceError(f'mg.cuda: expected a GPU, as 1 or "cuda:1", got {device!r}')
    return place(where)
