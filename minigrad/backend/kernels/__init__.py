"""CUDA kernels: each source (*.cu) beside a file of functions that launch it and become methods of CudaBackend.

The generic method of Backend that such a function overrides, in plain `xp`, says what it computes. Arrays that are
not contiguous are copied by the launcher; kernels see rows and flat memory only. Half-precision numbers are computed
with as float32, and what is kept between forward and backward (means, logarithms) is float32 there too.
"""

from pathlib import Path

import cupy
import numpy as np

FLOATS = ("__half", "float", "double")

# Source -> the templates in it, and the types for which each is compiled.
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rows": (
        (
            "softmax",
            "softmax_backward",
            "log_softmax",
            "log_softmax_backward",
            "cross_entropy",
            "cross_entropy_backward",
        ),
        FLOATS,
    ),
    "normalize": (("normalize", "normalize_backward", "normalize_columns"), FLOATS),
    "windows": (
        ("unfold", "fold", "max_pool", "max_place", "max_scatter", "max_gather", "sum_pool", "sum_scatter"),
        FLOATS,
    ),
    "index": (("add_rows",), FLOATS),
    "scatter": (("multiply", "maximum", "minimum"), (*FLOATS, "long long")),
    "random": (("dropout_mask",), FLOATS),
    "multi": (("sgd", "adam", "adagrad", "rmsprop", "sum_of_squares", "max_abs", "scale", "unscale"), FLOATS),
}

OPTIONS = ("-std=c++17",)
NULL = np.intp(0)  # where a kernel expects a pointer
THREADS = 256  # of a block in kernels that go through flat memory

_types = {"e": "__half", "f": "float", "d": "double"}
_kernels: dict = {}  # (device, source, types) -> name -> kernel


def text(source: str) -> str:
    """The CUDA code of a source, with what all sources share in front."""
    folder = Path(__file__).parent
    return (folder / "common.cuh").read_text() + (folder / f"{source}.cu").read_text()


def launch(source, name, types, grid, block, args, shared=0):
    """Run the template `name` of a source for `types` ("float"); not at all where the grid is empty.

    Args: args - contiguous arrays, NumPy scalars of the very C types, structs as NumPy arrays of one element, NULL.
    """
    if 0 in grid:
        return
    key = cupy.cuda.runtime.getDevice(), source, types
    kernels = _kernels.get(key)
    if kernels is None:
        expressions = {kernel: f"{kernel}<{types}>" for kernel in SOURCES[source][0]}
        module = cupy.RawModule(code=text(source), options=OPTIONS, name_expressions=list(expressions.values()))
        kernels = _kernels[key] = {kernel: module.get_function(e) for kernel, e in expressions.items()}
    kernels[name](grid, block, args, shared_mem=shared)


def ctype(dtype) -> str:
    """The C++ name of a float dtype."""
    return _types[dtype.char]


def acc(dtype) -> np.dtype:
    """What numbers of a float dtype are computed with: `Acc` in common.cuh."""
    return np.dtype("float64" if dtype.char == "d" else "float32")


def blocks(n) -> tuple[int]:
    """A grid for `n` elements, one to a thread; where that takes too many blocks, threads stride on."""
    return (min(-(-n // THREADS), 1 << 16),)


def along(cols) -> tuple[int]:
    """A block for rows of `cols` elements: whole warps, at most 16."""
    return (32 * max(1, min(16, -(-cols // 32))),)


def alike(*arrays) -> bool:
    """True if all are of one float dtype, for which there are kernels."""
    return arrays[0].dtype.char in _types and all(a.dtype == arrays[0].dtype for a in arrays[1:])
