"""Hold minigrad to the real cuDNN, on a machine without a GPU: what it calls, and how it describes convolutions.

    python tools/check_cudnn.py [--plans 1000]

Needs minigrad, a C++ compiler ($CXX, or g++), and the packages nvidia-cudnn-cu13, nvidia-cuda-runtime and
nvidia-cuda-crt (cuDNN's headers include CUDA's); for CUDA 12 nvidia-cudnn-cu12, nvidia-cuda-runtime-cu12 and
nvidia-cuda-nvcc-cu12. Three checks:

    functions, numbers and structs of backend/libcudnn.py are those of cuDNN's headers, by a C++ file of static_asserts
    the descriptors that backend/cudnn.py makes for random convolutions are, asked back, packed arrays as of CuPy
    cuDNN computes the shape of each result as Windows.output does

Exits with 1 and what differs; with 2 where something is missing. What only a GPU can tell is left to `pytest -m gpu`.
"""

import argparse
import ctypes
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from minigrad import DeviceError
from minigrad.backend import cudnn, libcudnn
from minigrad.backend.windows import Windows

# What reads descriptors, of which minigrad itself has no use.
GETTERS = """
    cudnnStatus_t cudnnGetTensor4dDescriptor(
        cudnnTensorDescriptor_t, cudnnDataType_t*, int*, int*, int*, int*, int*, int*, int*, int*);
    cudnnStatus_t cudnnGetFilter4dDescriptor(
        cudnnFilterDescriptor_t, cudnnDataType_t*, cudnnTensorFormat_t*, int*, int*, int*, int*);
    cudnnStatus_t cudnnGetConvolution2dDescriptor(
        cudnnConvolutionDescriptor_t, int*, int*, int*, int*, int*, int*, cudnnConvolutionMode_t*, cudnnDataType_t*);
    cudnnStatus_t cudnnGetConvolutionGroupCount(cudnnConvolutionDescriptor_t, int*);
    cudnnStatus_t cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t, cudnnMathType_t*);
    cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(
        cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t, int*, int*, int*, int*);
"""
HEADERS = "cudnn.h", "cuda_runtime.h", "crt/host_defines.h"  # each of another package
COMPILER = shlex.split(os.environ.get("CXX", "g++"))
DTYPES = {
    libcudnn.CUDNN_DATA_HALF: np.float16,
    libcudnn.CUDNN_DATA_FLOAT: np.float32,
    libcudnn.CUDNN_DATA_DOUBLE: np.float64,
}

# ---- the headers

# `const` is left out of the declarations: it is a promise to C, and nothing to ctypes.
PROLOGUE = """
#include <cudnn.h>
#include <cstddef>
#include <type_traits>
template <typename T> struct Plain { using type = T; };
template <typename T> struct Plain<const T*> { using type = T*; };
template <typename R, typename... P>
auto plain(R (*)(P...)) -> typename Plain<R>::type (*)(typename Plain<P>::type...);
"""


def claims():
    """Pairs (what is claimed, a C++ expression that is true if it is so)."""
    words = set()
    for result, name, parameters in libcudnn.parsed(libcudnn.DECLARATIONS + GETTERS):
        pointer = f"{result} (*)({', '.join(parameters)})"
        yield f"{name} is a {pointer}", f"std::is_same<decltype(plain(&{name})), {pointer}>::value"
        words |= {result, *parameters} - {"void"}
    for word in sorted(words):
        size = ctypes.sizeof(libcudnn.ctype(word))
        yield f"{word} has {size} bytes", f"sizeof({word}) == {size}"
    for name, value in vars(libcudnn).items():
        if name.startswith("CUDNN_"):
            yield f"{name} is {value}", f"int({name}) == {value}"
    kind = libcudnn.Performance
    for struct in sorted(word.rstrip("*") for word in words if word.endswith("Perf_t*")):
        yield f"{struct} has {ctypes.sizeof(kind)} bytes", f"sizeof({struct}) == {ctypes.sizeof(kind)}"
        for field, _ in kind._fields_:
            at, size = getattr(kind, field).offset, getattr(kind, field).size
            place = f"offsetof({struct}, {field}) == {at} && sizeof({struct}::{field}) == {size}"
            yield f"{struct}.{field} lies at {at} and has {size} bytes", place


def folders():
    """Where the headers of cuDNN and CUDA lie, in NVIDIA's wheels: for CUDA 13 in two folders, for CUDA 12 in more."""
    wheels = Path(libcudnn.path()).parents[2:3]
    every = [folder for place in wheels for folder in sorted(place.glob("*/include"))]
    return [folder for folder in every if any((folder / name).exists() for name in HEADERS)]


def missing():
    """What to install, if something is missing."""
    if not shutil.which(COMPILER[0]):
        return "needs a C++ compiler: install g++, or set CXX"
    try:
        libcudnn.library()
    except DeviceError as error:
        return str(error)
    if not all(any((folder / name).exists() for folder in folders()) for name in HEADERS):
        return f"needs {', '.join(HEADERS)}: pip install nvidia-cudnn-cu13 nvidia-cuda-runtime nvidia-cuda-crt"
    return ""


def wrong_claims(made):
    """Sentences on those that the headers do not bear out."""
    command = [*COMPILER, "-std=c++17", "-fsyntax-only", "-w", "-x", "c++", "-"]
    command += [option for folder in folders() for option in ("-isystem", str(folder))]
    text = PROLOGUE + "".join(f'static_assert({expression}, "<{claim}>");\n' for claim, expression in made)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if not done.returncode:
        return []
    return [f"it is not so that {claim}" for claim, _ in made if f"<{claim}>" in done.stderr] or [done.stderr]


# ---- descriptors


class Plan(cudnn._Plan):
    """A plan but for the algorithm, which only a GPU can tell."""

    def choose(self, asked, maths):
        """The one that was not asked for."""
        return libcudnn.Performance(mathType=maths[-1])


def questions(count, seed=0):
    """Random convolutions, of each function and precision."""
    random = np.random.default_rng(seed)

    def pair(low, high):
        return tuple(map(int, random.integers(low, high + 1, 2)))

    for i in range(count):
        kernel, stride, padding, dilation = pair(1, 5), pair(1, 4), pair(0, 4), pair(1, 3)
        groups, per_group, outputs, n = map(int, random.integers(1, 5, 4))
        image = [
            max(1, d * (k - 1) + 1 - 2 * p) + int(random.integers(0, 30))
            for d, k, p in zip(dilation, kernel, padding, strict=True)
        ]
        windows = Windows(kernel, stride, (padding[0], padding[0], padding[1], padding[1]), dilation)
        function, precision = list(cudnn.FUNCTIONS)[i % 3], list(cudnn.PRECISIONS)[i % 4]
        x, weight = (n, groups * per_group, *image), (groups * outputs, per_group, *kernel)
        y = (n, groups * outputs, *windows.output(*image))
        yield cudnn.Asked(function, precision, x, weight, y, windows, groups, 0)


def asked_back(asked, name, count, *descriptors):
    """What one of the GETTERS says: so many ints."""
    numbers = [ctypes.c_int(-1) for _ in range(count)]
    libcudnn.call(asked, name, *descriptors, *map(ctypes.byref, numbers))
    return [number.value for number in numbers]


def differences(asked, format):
    """Sentences on what cuDNN understands otherwise."""
    plan, precision, windows = Plan(asked, format), cudnn.PRECISIONS[asked.precision], asked.windows
    parts = dict(zip(cudnn.FUNCTIONS[asked.function][1], (plan.a, plan.b, plan.out), strict=True))
    axes, back = cudnn.FORMATS[format]
    expected, actual = {}, {}
    for name in ("x", "y"):
        shape = getattr(asked, name)
        packed = np.empty([shape[axis] for axis in axes], DTYPES[precision.data]).transpose(back)
        expected[name] = [precision.data, *packed.shape, *(step // packed.itemsize for step in packed.strides)]
        actual[name] = asked_back(asked, "cudnnGetTensor4dDescriptor", 9, parts[name])
    expected["weight"] = [precision.data, format, *asked.weight]
    actual["weight"] = asked_back(asked, "cudnnGetFilter4dDescriptor", 6, parts["weight"])
    geometry = [*windows.padding[::2], *windows.stride, *windows.dilation]
    expected["convolution"] = [*geometry, libcudnn.CUDNN_CROSS_CORRELATION, precision.sums]
    actual["convolution"] = asked_back(asked, "cudnnGetConvolution2dDescriptor", 8, plan.convolution)
    expected["groups"], expected["math"] = [asked.groups], [precision.maths[-1]]
    actual["groups"] = asked_back(asked, "cudnnGetConvolutionGroupCount", 1, plan.convolution)
    actual["math"] = asked_back(asked, "cudnnGetConvolutionMathType", 1, plan.convolution)
    expected["result"] = list(asked.y)
    three = plan.convolution, parts["x"], parts["weight"]
    actual["result"] = asked_back(asked, "cudnnGetConvolution2dForwardOutputDim", 4, *three)
    return [
        f"{asked}: the {name} is {expected[name]} to minigrad, {actual[name]} to cuDNN"
        for name in expected
        if expected[name] != actual[name]
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plans", type=int, default=1000, help="how many random convolutions, in each of two formats")
    args = parser.parse_args(arguments)
    if missing():
        print(f"check_cudnn.py: {missing()}", file=sys.stderr)
        return 2
    libcudnn.declare(libcudnn.library(), GETTERS)
    print(f"cuDNN {libcudnn.version()}")
    made = list(claims())
    wrong = wrong_claims(made)
    print(f"{len(made)} claims about its headers, {len(wrong)} wrong")
    pairs = [(asked, format) for asked in questions(args.plans) for format in cudnn.FORMATS]
    found = [sentence for pair in pairs for sentence in differences(*pair)]
    print(f"{len(pairs)} plans, {len(found)} differences in what cuDNN understands")
    print("".join(f"{sentence}\n" for sentence in wrong + found), end="", file=sys.stderr)
    return int(bool(wrong + found))


if __name__ == "__main__":
    sys.exit(main())
