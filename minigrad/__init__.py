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
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi

from numpy import finfo as finfo
from numpy import iinfo as iinfo

from . import amp as amp
from . import autograd as autograd
from . import cuda as cuda
from . import dtypes, methods
from . import func as func
from . import linalg as linalg
from . import testing as testing
from .amp import autocast as autocast
from .autograd import inference_mode as inference_mode
from .backend import Device
from .checkpoint import checkpoint as checkpoint
from .checkpoint import checkpoint_sequential as checkpoint_sequential
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
from .errors import AnomalyError as AnomalyError
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
from .lint import lint as lint
from .memory_report import memory_report as memory_report
from .ops.activation import *
from .ops.arithmetic import *
from .ops.choose import *
from .ops.compare import *
from .ops.create import *
from .ops.cut import *
from .ops.diagonal import *
from .ops.distance import *
from .ops.einsum import *
from .ops.elementwise import *
from .ops.extremes import *
from .ops.flip import *
from .ops.gather import *
from .ops.index import *
from .ops.inverse import *
from .ops.join import *
from .ops.linalg import *
from .ops.products import *
from .ops.random import *
from .ops.reduce import *
from .ops.repeat import *
from .ops.rounding import *
from .ops.scan import *
from .ops.scatter import *
from .ops.shape import *
from .ops.sort import *
from .ops.special import *
from .ops.vector_norm import *
from .serialization import load as load
from .serialization import save as save
from .tape import Function as Function
from .tape import Variable as Variable
from .tape import detect_anomaly as detect_anomaly
from .tape import enable_grad as enable_grad
from .tape import grad as grad
from .tape import is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled
from .tape import is_anomaly_enabled as is_anomaly_enabled
from .tape import is_grad_enabled as is_grad_enabled
from .tape import no_grad as no_grad
from .tape import set_detect_anomaly as set_detect_anomaly
from .tape import set_grad_enabled as set_grad_enabled

methods.bind()

Tensor = Variable
device = Device
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
bool = dtypes.bool_
newaxis = None
__version__ = "0.1.0"


def __getattr__(name):
    """`mg.nn`, `mg.optim` and `mg.viz`, loaded when they are first asked for: minigrad itself does not need them."""
    if name in ("nn", "optim", "viz"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
