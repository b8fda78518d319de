"""Convolutions by NVIDIA's cuDNN, where MINIGRAD_CUDNN=1 asks for them: methods for CudaBackend.

    conv2d, conv2d_weight, conv2d_input     what they compute stands in windows.py

A question (Asked) gets a plan: descriptors, and the algorithm that cuDNN expects to be the fastest of those that give
the same bits in every run and need little memory. Plans are kept. Nothing is timed, and nothing waits for the GPU.

What cuDNN is not asked, windows.py computes: integers, arrays of two dtypes, padding that differs from side to side,
arrays without elements or with more than 2**31 - 1, images whose windows give another result than the one that is
there; and what cuDNN answers NOT_SUPPORTED to.

Source: NVIDIA cuDNN 9 API reference, cudnn_ops and cudnn_cnn.
"""

import ctypes
import functools
import math
import weakref
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

from . import libcudnn as lib
from . import windows as generic
from .libcudnn import NotSupportedError, Performance, call
from .windows import Windows

PLANS = 256  # that are kept: a network has three for each of its convolutions and shapes
WORKSPACE = 1 << 30  # bytes that an algorithm may need
MOST = 2**31 - 1  # elements of an array

# Function -> its name in cuDNN; its two operands and its result.
FUNCTIONS = {
    "conv2d": ("Forward", ("x", "weight", "y")),
    "conv2d_input": ("BackwardData", ("weight", "y", "x")),
    "conv2d_weight": ("BackwardFilter", ("x", "y", "weight")),
}


class Precision(NamedTuple):
    """How numbers of a dtype are computed with."""

    data: int  # their type, and that of sums
    sums: int
    scale: Any  # the C type of alpha and beta
    maths: tuple[int, ...]  # the first is asked for; an answer may be any
    formats: tuple[int, ...]  # the first that is supported


# Float32 stays exact by FMA_MATH: DEFAULT_MATH lets it be TF32. Tensor cores like float16 with the channels innermost.
_ANY = (lib.CUDNN_DEFAULT_MATH, lib.CUDNN_TENSOR_OP_MATH, lib.CUDNN_FMA_MATH)
_TENSOR = (lib.CUDNN_TENSOR_OP_MATH, lib.CUDNN_DEFAULT_MATH, lib.CUDNN_FMA_MATH)
_EXACT = (lib.CUDNN_FMA_MATH,)
_HALF, _FLOAT, _DOUBLE = lib.CUDNN_DATA_HALF, lib.CUDNN_DATA_FLOAT, lib.CUDNN_DATA_DOUBLE
_NCHW, _NHWC = lib.CUDNN_TENSOR_NCHW, lib.CUDNN_TENSOR_NHWC
PRECISIONS = {
    "float16": Precision(_HALF, _FLOAT, ctypes.c_float, _TENSOR, (_NHWC, _NCHW)),
    "float32": Precision(_FLOAT, _FLOAT, ctypes.c_float, _EXACT, (_NCHW,)),
    "TF32": Precision(_FLOAT, _FLOAT, ctypes.c_float, _ANY, (_NCHW,)),
    "float64": Precision(_DOUBLE, _DOUBLE, ctypes.c_double, _ANY, (_NCHW,)),
}

# Format -> the axes of (n, c, h, w) in memory, and how to put them back.
FORMATS = {_NCHW: ((0, 1, 2, 3), (0, 1, 2, 3)), _NHWC: ((0, 2, 3, 1), (0, 3, 1, 2))}


class Asked(NamedTuple):
    """A convolution but for its numbers: what a plan depends on."""

    function: str
    precision: str
    x: tuple[int, ...]
    weight: tuple[int, ...]
    y: tuple[int, ...]
    windows: Windows
    groups: int
    device: int

    def __str__(self):
        shapes = f"x {self.x}, weight {self.weight}, y {self.y}, {self.windows}, groups {self.groups}"
        return f"{self.function} in {self.precision} of {shapes} on cuda:{self.device}"


# One handle for each GPU, and its lock, as only one thread at a time may use it. One for each thread would be more
# memory of the GPU with every thread, and to destroy them waits for the GPU.
_handles: dict[int, tuple[Lock, ctypes.c_void_p]] = {}


@contextmanager
def _handle(asked):
    """The handle of the GPU, which is the current one, for this thread alone."""
    lock, handle = _handles.setdefault(asked.device, (Lock(), ctypes.c_void_p()))
    with lock:
        if not handle:
            call(asked, "cudnnCreate", ctypes.byref(handle))
        yield handle


class _Descriptor:
    """One of cuDNN's descriptors, set to values. It is destroyed with this object."""

    def __init__(self, asked, kind, setter, *values):
        self._as_parameter_ = ctypes.c_void_p()  # what ctypes passes for this object
        call(asked, f"cudnnCreate{kind}Descriptor", ctypes.byref(self._as_parameter_))
        destroy = getattr(lib.library(), f"cudnnDestroy{kind}Descriptor")
        weakref.finalize(self, destroy, self._as_parameter_).atexit = False  # then the process's memory goes anyway
        call(asked, setter, self, *values)


class _Plan:
    """Descriptors in a format, and the algorithm to take. Raises: NotSupportedError where cuDNN has none."""

    def __init__(self, asked, format):
        precision = PRECISIONS[asked.precision]
        (top, _, left, _), stride, dilation = asked.windows.padding, asked.windows.stride, asked.windows.dilation
        geometry = (top, left, *stride, *dilation, lib.CUDNN_CROSS_CORRELATION, precision.sums)
        filter = "cudnnSetFilter4dDescriptor", precision.data, format
        tensor = "cudnnSetTensor4dDescriptor", format, precision.data
        parts = {
            "x": _Descriptor(asked, "Tensor", *tensor, *asked.x),
            "y": _Descriptor(asked, "Tensor", *tensor, *asked.y),
            "weight": _Descriptor(asked, "Filter", *filter, *asked.weight),
        }
        self.format = format
        self.name, operands = FUNCTIONS[asked.function]
        self.a, self.b, self.out = (parts[operand] for operand in operands)
        self.shape = getattr(asked, operands[2])
        self.convolution = _Descriptor(asked, "Convolution", "cudnnSetConvolution2dDescriptor", *geometry)
        call(asked, "cudnnSetConvolutionGroupCount", self.convolution, asked.groups)
        call(asked, "cudnnSetConvolutionMathType", self.convolution, precision.maths[0])
        best = self.choose(asked, precision.maths)
        call(asked, "cudnnSetConvolutionMathType", self.convolution, best.mathType)  # it is part of the algorithm
        self.algorithm, self.bytes = best.algo, best.memory

    def choose(self, asked, maths):
        """The first algorithm, in the order of cuDNN's expectation, whose results repeat and which fits."""
        answers, count = (Performance * 16)(), ctypes.c_int()
        operands = self.a, self.b, self.convolution, self.out
        with _handle(asked) as handle:
            name = f"cudnnGetConvolution{self.name}Algorithm_v7"
            call(asked, name, handle, *operands, len(answers), ctypes.byref(count), answers)
        for answer in answers[: count.value]:
            right = answer.status == lib.CUDNN_STATUS_SUCCESS and answer.determinism == lib.CUDNN_DETERMINISTIC
            if right and answer.memory <= WORKSPACE and answer.mathType in maths:
                return answer
        raise NotSupportedError

    def run(self, asked, xp, a, b):
        """The result, with the axes of `asked`."""
        axes, back = FORMATS[self.format]
        a, b = _packed(xp, a, axes), _packed(xp, b, axes)
        out = xp.empty(tuple(self.shape[axis] for axis in axes), a.dtype)
        room = xp.empty(self.bytes, "uint8")
        one, zero = (PRECISIONS[asked.precision].scale(n) for n in (1, 0))
        inputs = ctypes.byref(one), self.a, a.data.ptr, self.b, b.data.ptr
        algorithm = self.convolution, self.algorithm, room.data.ptr, self.bytes
        stream = xp.cuda.get_current_stream().ptr
        with _handle(asked) as handle:
            call(asked, "cudnnSetStream", handle, stream)
            name = f"cudnnConvolution{self.name}"
            call(asked, name, handle, *inputs, *algorithm, ctypes.byref(zero), self.out, out.data.ptr)
        return out.transpose(back)


def _packed(xp, x, axes):
    x = xp.ascontiguousarray(x.transpose(axes))
    return x if x.data.ptr % 16 == 0 else x.copy()  # kernels for tensor cores read 16 bytes at a time


@functools.lru_cache(PLANS)
def _plan(asked):
    """The plan for a question; None where cuDNN has none."""
    for format in PRECISIONS[asked.precision].formats:
        try:
            return _Plan(asked, format)
        except NotSupportedError:
            continue
    return None


# ---- methods of CudaBackend


def _computed(self, function, a, b, x_shape, weight_shape, y_shape, windows, groups):
    """The result of cuDNN's, or None where it is not asked or does not support what it is asked."""
    top, bottom, left, right = windows.padding
    shapes = x_shape, weight_shape, y_shape
    whole = y_shape == (x_shape[0], weight_shape[0], *windows.output(*x_shape[2:]))
    precision = "TF32" if self.tf32 and a.dtype.char == "f" else a.dtype.name
    if precision not in PRECISIONS or a.dtype != b.dtype or (top, left) != (bottom, right) or not whole:
        return None
    if not all(0 < math.prod(shape) <= MOST for shape in shapes):
        return None
    asked = Asked(function, precision, *shapes, windows, groups, self.current())
    plan = _plan(asked)
    try:
        return plan and plan.run(asked, self.xp, a, b)
    except NotSupportedError:  # which it had not expected itself
        return None


def conv2d(self, x, weight, bias, windows, groups):
    """y[n, o, a, b] = sum over c, i, j of x[n, c, a*s + i*d, b*s + j*d] weight[o, c, i, j] + bias[o]."""
    y_shape = (x.shape[0], weight.shape[0], *windows.output(*x.shape[2:]))
    y = _computed(self, "conv2d", x, weight, x.shape, weight.shape, y_shape, windows, groups)
    if y is None:
        return generic.conv2d(self, x, weight, bias, windows, groups)
    if bias is not None:
        y += bias.reshape(-1, 1, 1)
    return y


def conv2d_weight(self, x, gy, windows, groups, weight_shape):
    """The gradient of conv2d's weight."""
    gw = _computed(self, "conv2d_weight", x, gy, x.shape, weight_shape, gy.shape, windows, groups)
    if gw is None:
        return generic.conv2d_weight(self, x, gy, windows, groups, weight_shape)
    return self.xp.ascontiguousarray(gw)  # as the weight itself lies, for the optimizer's kernels


def conv2d_input(self, gy, weight, windows, groups, x_shape):
    """The gradient of conv2d's input, which is also the transposed convolution of gy."""
    gx = _computed(self, "conv2d_input", weight, gy, x_shape, weight.shape, gy.shape, windows, groups)
    return generic.conv2d_input(self, gy, weight, windows, groups, x_shape) if gx is None else gx
