"""The functions of NVIDIA's cuDNN 9 that convolutions need, by ctypes: CuPy 14 has none of cuDNN.

    library()               the shared library, whose functions know the types of their parameters
    call(about, name, ...)  call one, and raise what it answers
    told()                  what `python -m minigrad.info` says of it

Names, numbers and types are those of cuDNN's headers, to which tools/check_cudnn.py holds them. cuDNN is loaded when a
convolution first asks for it, and only if MINIGRAD_CUDNN=1.
"""

import ctypes
import functools
import os
import re
import sys
from pathlib import Path
from typing import Any

from ..errors import DeviceError

MAJOR = 9  # convolutions of this kind are deprecated there, and may be gone in 10
NAME = f"libcudnn.so.{MAJOR}"
INSTALL = f'pip install "nvidia-cudnn-cu13=={MAJOR}.*" (CUDA 13) or "nvidia-cudnn-cu12=={MAJOR}.*" (CUDA 12)'
WITHOUT = "unset MINIGRAD_CUDNN to compute without it"

CUDNN_STATUS_SUCCESS, CUDNN_STATUS_NOT_SUPPORTED = 0, 3000
CUDNN_DATA_FLOAT, CUDNN_DATA_DOUBLE, CUDNN_DATA_HALF = 0, 1, 2
CUDNN_TENSOR_NCHW, CUDNN_TENSOR_NHWC = 0, 1
CUDNN_CROSS_CORRELATION = 1
CUDNN_DETERMINISTIC = 1
CUDNN_DEFAULT_MATH, CUDNN_TENSOR_OP_MATH, CUDNN_FMA_MATH = 0, 1, 3

DECLARATIONS = """
    size_t cudnnGetVersion();
    char* cudnnGetErrorString(cudnnStatus_t);
    void cudnnGetLastErrorString(char*, size_t);
    cudnnStatus_t cudnnCreate(cudnnHandle_t*);
    cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t);
    cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t*);
    cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t*);
    cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t*);
    cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t);
    cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t);
    cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t);
    cudnnStatus_t cudnnSetTensor4dDescriptor(
        cudnnTensorDescriptor_t, cudnnTensorFormat_t, cudnnDataType_t, int, int, int, int);
    cudnnStatus_t cudnnSetFilter4dDescriptor(
        cudnnFilterDescriptor_t, cudnnDataType_t, cudnnTensorFormat_t, int, int, int, int);
    cudnnStatus_t cudnnSetConvolution2dDescriptor(
        cudnnConvolutionDescriptor_t, int, int, int, int, int, int, cudnnConvolutionMode_t, cudnnDataType_t);
    cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t, int);
    cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t, cudnnMathType_t);
    cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
        cudnnHandle_t, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t, cudnnConvolutionDescriptor_t,
        cudnnTensorDescriptor_t, int, int*, cudnnConvolutionFwdAlgoPerf_t*);
    cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
        cudnnHandle_t, cudnnFilterDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t,
        cudnnTensorDescriptor_t, int, int*, cudnnConvolutionBwdDataAlgoPerf_t*);
    cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
        cudnnHandle_t, cudnnTensorDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t,
        cudnnFilterDescriptor_t, int, int*, cudnnConvolutionBwdFilterAlgoPerf_t*);
    cudnnStatus_t cudnnConvolutionForward(
        cudnnHandle_t, void*, cudnnTensorDescriptor_t, void*, cudnnFilterDescriptor_t, void*,
        cudnnConvolutionDescriptor_t, cudnnConvolutionFwdAlgo_t, void*, size_t, void*, cudnnTensorDescriptor_t, void*);
    cudnnStatus_t cudnnConvolutionBackwardData(
        cudnnHandle_t, void*, cudnnFilterDescriptor_t, void*, cudnnTensorDescriptor_t, void*,
        cudnnConvolutionDescriptor_t, cudnnConvolutionBwdDataAlgo_t, void*, size_t, void*, cudnnTensorDescriptor_t,
        void*);
    cudnnStatus_t cudnnConvolutionBackwardFilter(
        cudnnHandle_t, void*, cudnnTensorDescriptor_t, void*, cudnnTensorDescriptor_t, void*,
        cudnnConvolutionDescriptor_t, cudnnConvolutionBwdFilterAlgo_t, void*, size_t, void*, cudnnFilterDescriptor_t,
        void*);
"""


class Performance(ctypes.Structure):
    """cudnnConvolutionFwdAlgoPerf_t, and those of the gradients: what cuDNN says of an algorithm."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("algo", "status")),
        *(("time", ctypes.c_float), ("memory", ctypes.c_size_t)),
        *((name, ctypes.c_int) for name in ("determinism", "mathType")),
        ("reserved", ctypes.c_int * 3),
    )


class NotSupportedError(Exception):
    """cuDNN cannot do what it was asked for."""


def asked_for() -> bool:
    """True if MINIGRAD_CUDNN=1 asks for convolutions by cuDNN."""
    return os.environ.get("MINIGRAD_CUDNN", "0") == "1"


def declare(loaded, declarations) -> None:
    """Tell a loaded library the types of functions. Raises: AttributeError for one that it does not have."""
    for result, name, words in parsed(declarations):
        function = getattr(loaded, name)
        function.restype, function.argtypes = ctype(result), [ctype(word) for word in words]


def parsed(declarations) -> list[tuple[str, str, list[str]]]:
    """(type of the result, name, types of the parameters) of each function."""
    found = re.findall(r"(\S+) (cudnn\w+)\(([^)]*)\);", declarations)
    return [(result, name, [word.strip() for word in words.split(",") if word]) for result, name, words in found]


def ctype(word: str) -> Any:
    """The type of ctypes for a C type. Enumerations are ints."""
    special = {"size_t": ctypes.c_size_t, "char*": ctypes.c_char_p, "void": None}
    pointer = word.endswith(("*", "Handle_t", "Stream_t", "Descriptor_t"))
    return special.get(word, ctypes.c_void_p if pointer else ctypes.c_int)


def path() -> str:
    """Where the library lies in NVIDIA's wheel, whose place is one for all CUDAs; else its name, for the system."""
    places = (Path(folder, "nvidia", "cudnn", "lib", NAME) for folder in sys.path)
    return str(next((place for place in places if place.exists()), NAME))


@functools.cache
def library() -> Any:
    """cuDNN, with the functions by their names. Raises: DeviceError, with the remedy, where it cannot be had."""
    place = path()
    try:
        # libcudnn.so loads its parts when it is called; where one lacks a library, it ends the process. So the part for
        # convolutions, which loads the others that they need, comes first: what it lacks is an error.
        ctypes.CDLL(place.replace("libcudnn.so", "libcudnn_cnn.so"))
        loaded = ctypes.CDLL(place)
        declare(loaded, DECLARATIONS)
    except (OSError, AttributeError) as error:
        raise _missing(error) from None
    if loaded.cudnnGetVersion() // 10000 != MAJOR:
        raise _missing(f"{place} says that it is version {loaded.cudnnGetVersion()}")
    return loaded


def _missing(reason):
    return DeviceError(f"MINIGRAD_CUDNN=1 asks for cuDNN {MAJOR}: {reason}; {INSTALL}, or {WITHOUT}")


def version() -> str:
    """Of the library, as "9.28.0"."""
    number = library().cudnnGetVersion()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def told() -> str:
    """Which cuDNN is used, or why none is."""
    try:
        return f"{version()}, for convolutions (MINIGRAD_CUDNN=1)"
    except DeviceError as error:
        return str(error)


def call(about, name, *args) -> None:
    """Call a function of cuDNN's that answers with a status. `about`, as a string, says in errors what it was for.

    Raises: NotSupportedError; DeviceError for any other failure.
    """
    loaded = library()
    status = getattr(loaded, name)(*args)
    if status == CUDNN_STATUS_SUCCESS:
        return
    if status // 1000 == CUDNN_STATUS_NOT_SUPPORTED // 1000:  # 3001 and on say what is not supported
        raise NotSupportedError
    reason = ctypes.create_string_buffer(256)
    loaded.cudnnGetLastErrorString(reason, len(reason))
    raise DeviceError(
        f"{name}: cuDNN {version()} answers {loaded.cudnnGetErrorString(status).decode()} "
        f"({reason.value.decode(errors='replace').strip() or 'no reason given'}) to {about}; {WITHOUT}"
    )
