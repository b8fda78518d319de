"""minigrad: define-by-run autograd over NumPy arrays, with PyTorch's names.

    import minigrad as mg
    from minigrad import nn, optim

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad                                      # Variable([2., 4.])

From the bottom up: errors, dtypes, backend; tape/ (Variable, Function, the engine); ops/ (the operations, by family);
methods (what binds them to Variable), data/, serialization, gradcheck; nn/ and optim/.
"""

import importlib

from . import amp as amp
from . import cuda as cuda
from . import dtypes, methods
from .amp import autocast as autocast
from .backend import Device
from .cuda import get_float32_matmul_precision as get_float32_matmul_precision
from .cuda import set_float32_matmul_precision as set_float32_matmul_precision
from .dtypes import float16 as float16
from .dtypes import float32 as float32
from .dtypes import float64 as float64
from .dtypes import get_default_dtype as get_default_dtype
from .dtypes import int8 as int8
from .dtypes import int16 as int16
from .dtypes import int32 as int32
from .dtypes import int64 as int64
from .dtypes import set_default_dtype as set_default_dtype
from .dtypes import uint8 as uint8
from .errors import DataError as DataError
from .errors import DeviceError as DeviceError
from .errors import DTypeError as DTypeError
from .errors import GraphError as GraphError
from .errors import IndexRangeError as IndexRangeError
from .errors import MinigradError as MinigradError
from .errors import OutOfMemoryError as OutOfMemoryError
from .errors import ShapeError as ShapeError
from .errors import StateError as StateError
from .gradcheck import gradcheck as gradcheck
from .gradcheck import gradgradcheck as gradgradcheck
from .ops.activation import gelu as gelu
from .ops.activation import leaky_relu as leaky_relu
from .ops.activation import log_softmax as log_softmax
from .ops.activation import softmax as softmax
from .ops.create import arange as arange
from .ops.create import as_tensor as as_tensor
from .ops.create import empty as empty
from .ops.create import eye as eye
from .ops.create import from_numpy as from_numpy
from .ops.create import full as full
from .ops.create import full_like as full_like
from .ops.create import linspace as linspace
from .ops.create import ones as ones
from .ops.create import ones_like as ones_like
from .ops.create import tensor as tensor
from .ops.create import zeros as zeros
from .ops.create import zeros_like as zeros_like
from .ops.elementwise import abs as abs
from .ops.elementwise import add as add
from .ops.elementwise import clamp as clamp
from .ops.elementwise import cos as cos
from .ops.elementwise import div as div
from .ops.elementwise import eq as eq
from .ops.elementwise import erf as erf
from .ops.elementwise import exp as exp
from .ops.elementwise import expm1 as expm1
from .ops.elementwise import floor_divide as floor_divide
from .ops.elementwise import ge as ge
from .ops.elementwise import gt as gt
from .ops.elementwise import isfinite as isfinite
from .ops.elementwise import isinf as isinf
from .ops.elementwise import isnan as isnan
from .ops.elementwise import le as le
from .ops.elementwise import log as log
from .ops.elementwise import log1p as log1p
from .ops.elementwise import logical_not as logical_not
from .ops.elementwise import lt as lt
from .ops.elementwise import maximum as maximum
from .ops.elementwise import minimum as minimum
from .ops.elementwise import mul as mul
from .ops.elementwise import ne as ne
from .ops.elementwise import neg as neg
from .ops.elementwise import pow as pow
from .ops.elementwise import relu as relu
from .ops.elementwise import remainder as remainder
from .ops.elementwise import sigmoid as sigmoid
from .ops.elementwise import sign as sign
from .ops.elementwise import sin as sin
from .ops.elementwise import softplus as softplus
from .ops.elementwise import sqrt as sqrt
from .ops.elementwise import sub as sub
from .ops.elementwise import tanh as tanh
from .ops.elementwise import where as where
from .ops.index import take_along_dim as take_along_dim
from .ops.linalg import matmul as matmul
from .ops.random import dropout as dropout
from .ops.random import get_rng_state as get_rng_state
from .ops.random import manual_seed as manual_seed
from .ops.random import rand as rand
from .ops.random import rand_like as rand_like
from .ops.random import randint as randint
from .ops.random import randn as randn
from .ops.random import randn_like as randn_like
from .ops.random import randperm as randperm
from .ops.random import set_rng_state as set_rng_state
from .ops.reduce import all as all
from .ops.reduce import amax as amax
from .ops.reduce import amin as amin
from .ops.reduce import any as any
from .ops.reduce import argmax as argmax
from .ops.reduce import argmin as argmin
from .ops.reduce import logsumexp as logsumexp
from .ops.reduce import max as max
from .ops.reduce import mean as mean
from .ops.reduce import min as min
from .ops.reduce import std as std
from .ops.reduce import sum as sum
from .ops.reduce import var as var
from .ops.shape import cat as cat
from .ops.shape import chunk as chunk
from .ops.shape import clone as clone
from .ops.shape import expand as expand
from .ops.shape import flatten as flatten
from .ops.shape import permute as permute
from .ops.shape import reshape as reshape
from .ops.shape import split as split
from .ops.shape import squeeze as squeeze
from .ops.shape import stack as stack
from .ops.shape import transpose as transpose
from .ops.shape import unbind as unbind
from .ops.shape import unsqueeze as unsqueeze
from .serialization import load as load
from .serialization import save as save
from .tape import Function as Function
from .tape import Variable as Variable
from .tape import enable_grad as enable_grad
from .tape import grad as grad
from .tape import is_grad_enabled as is_grad_enabled
from .tape import no_grad as no_grad
from .tape import set_grad_enabled as set_grad_enabled

methods.bind()

Tensor = Variable
device = Device
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
bool = dtypes.bool_
__version__ = "0.1.0"


def __getattr__(name):
    """`mg.nn` and `mg.optim`, loaded when they are first asked for: minigrad itself does not need them."""
    if name in ("nn", "optim"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
