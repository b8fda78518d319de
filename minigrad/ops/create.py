"""Making Variables: from data, filled, or counted."""

import numpy as np

from ..backend import around, backend, device_of, moved, place
from ..dtypes import get_default_dtype
from ..errors import DTypeError
from ..tape.variable import Variable, as_array, raw
from .shape import sizes

__all__ = ["arange", "as_tensor", "empty", "eye", "from_numpy", "full", "full_like", "linspace", "ones", "ones_like"]
__all__ += ["tensor", "zeros", "zeros_like"]


def tensor(data, dtype=None, device=None, requires_grad=False):
    """A Variable with a copy of `data`: a number, nested lists, an array or a Variable.

    Args:   dtype - default: floats become float32, integers int64; arrays and NumPy scalars keep theirs.
            device - default: what lies on a GPU stays there, anything else goes where new arrays go.
    Raises: DTypeError, ShapeError for data that is no rectangular block of numbers; DeviceError.
    """
    array = _placed(data, dtype, device)
    if array is raw(data):
        with around(array):
            array = array.copy()
    return Variable(array, requires_grad)


def as_tensor(data, dtype=None, device=None):
    """`data` as a Variable, without a copy where that is possible; a Variable that fits is returned as it is."""
    if isinstance(data, Variable) and dtype in (None, data.dtype) and device in (None, device_of(data.data)):
        return data
    return Variable(_placed(data, dtype, device))


def _placed(data, dtype, device):
    array = raw(data)
    if hasattr(array, "dtype") and not backend[type(array)].host and device is None:
        device = device_of(array)
    with around(array):
        array = as_array(array, dtype)
    return moved(array, device)


def from_numpy(array):
    """A Variable on the memory of `array`: what is written into one is seen in the other."""
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"from_numpy: expected a numpy.ndarray, got {type(array).__name__}; write mg.tensor(...)")
    return Variable(array)


def zeros(*size, dtype=None, device=None, requires_grad=False):
    """Zeros. `zeros(2, 3)` or `zeros((2, 3))`."""
    with place(device) as library:
        return Variable(library.xp.zeros(sizes(size), dtype or get_default_dtype()), requires_grad)


def ones(*size, dtype=None, device=None, requires_grad=False):
    """Ones. `ones(2, 3)` or `ones((2, 3))`."""
    with place(device) as library:
        return Variable(library.xp.ones(sizes(size), dtype or get_default_dtype()), requires_grad)


def empty(*size, dtype=None, device=None, requires_grad=False):
    """Memory as it comes, to be overwritten. `empty(2, 3)` or `empty((2, 3))`."""
    with place(device) as library:
        return Variable(library.xp.empty(sizes(size), dtype or get_default_dtype()), requires_grad)


def full(size, fill_value, dtype=None, device=None, requires_grad=False):
    """`fill_value` everywhere; the dtype is the value's unless given."""
    value = raw(fill_value)
    dtype = dtype or as_array(value).dtype
    with place(device) as library:
        value = value if isinstance(value, (bool, int, float)) else moved(as_array(value), library.here())
        return Variable(library.xp.full(size, value, dtype), requires_grad)


def zeros_like(x, dtype=None, device=None, requires_grad=False):
    """Zeros in x's shape, and in its dtype and on its device unless given."""
    return zeros(x.shape, dtype=dtype or x.dtype, device=device or device_of(raw(x)), requires_grad=requires_grad)


def ones_like(x, dtype=None, device=None, requires_grad=False):
    """Ones in x's shape, and in its dtype and on its device unless given."""
    return ones(x.shape, dtype=dtype or x.dtype, device=device or device_of(raw(x)), requires_grad=requires_grad)


def full_like(x, fill_value, dtype=None, device=None, requires_grad=False):
    """`fill_value` in x's shape, and in its dtype and on its device unless given."""
    device = device or device_of(raw(x))
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device, requires_grad=requires_grad)


def arange(start, end=None, step=1, dtype=None, device=None, requires_grad=False):
    """start, start + step, ... below end; `arange(n)` counts from 0. int64, or the default float if any is a float."""
    if end is None:
        start, end = 0, start
    if dtype is None:
        dtype = get_default_dtype() if any(isinstance(n, float) for n in (start, end, step)) else np.dtype("int64")
    with place(device) as library:
        return Variable(library.xp.arange(start, end, step, dtype), requires_grad)


def linspace(start, end, steps, dtype=None, device=None, requires_grad=False):
    """`steps` numbers from start to end, both included, at equal distances."""
    with place(device) as library:
        return Variable(library.xp.linspace(start, end, steps, dtype=dtype or get_default_dtype()), requires_grad)


def eye(n, m=None, dtype=None, device=None, requires_grad=False):
    """The (n, m) matrix with ones on the diagonal."""
    with place(device) as library:
        return Variable(library.xp.eye(n, m, dtype=dtype or get_default_dtype()), requires_grad)
