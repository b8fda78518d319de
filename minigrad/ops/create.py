"""Making Variables: from data, filled, or counted."""

import numpy as np

from ..backend import around, backend, cpu, device_of, moved, place
from ..dtypes import get_default_dtype, out_of_range, promote
from ..errors import DTypeError, ShapeError
from ..tape.function import Function
from ..tape.variable import Variable, as_array, raw
from .make import lib
from .shape import sizes

__all__ = ["tensor", "as_tensor", "from_numpy", "is_tensor", "is_floating_point", "numel", "result_type"]
__all__ += ["zeros", "ones", "empty", "full", "fill"]
__all__ += ["zeros_like", "ones_like", "empty_like", "full_like"]
__all__ += ["arange", "linspace", "logspace", "eye", "tril_indices", "triu_indices"]


# --- from data ---------------------------------------------------------------------------------------------------


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


def new_tensor(input, data, dtype=None, device=None, requires_grad=False):
    """A Variable with a copy of `data`, in input's dtype and on its device unless given."""
    return tensor(data, dtype or input.dtype, device or device_of(raw(input)), requires_grad)


def is_tensor(obj):
    """True for a Variable."""
    return isinstance(obj, Variable)


def is_floating_point(input):
    """True if input holds floats."""
    return input.dtype.kind == "f"


def result_type(tensor1, tensor2):
    """The dtype of an operation on two tensors or numbers, by PyTorch's rule of promotion."""
    return promote([raw(tensor1), raw(tensor2)])


def numel(input):
    """How many elements input has."""
    return raw(input).size


# --- filled ------------------------------------------------------------------------------------------------------


def zeros(*sides, size=None, dtype=None, device=None, requires_grad=False):
    """Zeros. `zeros(2, 3)` or `zeros((2, 3))`."""
    with place(device) as library:
        return Variable(library.xp.zeros(_shape(sides, size), dtype or get_default_dtype()), requires_grad)


def ones(*sides, size=None, dtype=None, device=None, requires_grad=False):
    """Ones. `ones(2, 3)` or `ones((2, 3))`."""
    with place(device) as library:
        return Variable(library.xp.ones(_shape(sides, size), dtype or get_default_dtype()), requires_grad)


def empty(*sides, size=None, dtype=None, device=None, requires_grad=False):
    """Memory as it comes, to be overwritten. `empty(2, 3)` or `empty((2, 3))`."""
    with place(device) as library:
        return Variable(library.xp.empty(_shape(sides, size), dtype or get_default_dtype()), requires_grad)


def _shape(sides, size):
    return sizes(sides) if size is None else sizes((size,))


def full(size, fill_value, dtype=None, device=None, requires_grad=False):
    """`fill_value` everywhere; the dtype is the value's unless given."""
    value = raw(fill_value)
    dtype = dtype or as_array(value).dtype
    with place(device) as library:
        value = value if isinstance(value, (bool, int, float)) else moved(as_array(value), library.here())
        try:
            if type(value) is int:
                np.asarray(value, dtype)  # refuses what the dtype does not hold; full() of NumPy 2.0 wraps it
            return Variable(library.xp.full(size, value, dtype), requires_grad)
        except OverflowError as error:
            raise out_of_range("full", error) from None


def _like(make):
    def operation(input, dtype=None, device=None, requires_grad=False):
        device = device or device_of(raw(input))
        return make(input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)

    operation.__name__ = operation.__qualname__ = f"{make.__name__}_like"
    operation.__doc__ = f"As `{make.__name__}`, in input's shape, and in its dtype and on its device unless given."
    return operation


def _new(make):
    def operation(input, *sides, size=None, dtype=None, device=None, requires_grad=False):
        device, shape = device or device_of(raw(input)), _shape(sides, size)
        return make(shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)

    operation.__name__ = operation.__qualname__ = f"new_{make.__name__}"
    operation.__doc__ = f"As `{make.__name__}`, in input's dtype and on its device unless given."
    return operation


zeros_like, ones_like, empty_like = _like(zeros), _like(ones), _like(empty)
new_zeros, new_ones, new_empty = _new(zeros), _new(ones), _new(empty)


def full_like(input, fill_value, dtype=None, device=None, requires_grad=False):
    """`fill_value` in input's shape, and in its dtype and on its device unless given."""
    return new_full(input, input.shape, fill_value, dtype, device, requires_grad)


def new_full(input, size, fill_value, dtype=None, device=None, requires_grad=False):
    """`fill_value` everywhere, in input's dtype and on its device unless given."""
    return full(size, fill_value, dtype or input.dtype, device or device_of(raw(input)), requires_grad)


class Fill(Function):
    """y = value everywhere, in the shape and dtype of x, which gets a gradient of 0."""

    def forward(self, x, value):
        y = lib(x).empty_like(x)
        y[...] = value
        return y

    def backward(self, gy):
        wants_x, wants_value = self.wants
        return None if wants_x is None else Fill()(gy, 0.0), None if wants_value is None else gy.sum()


def fill(input, value):
    """`value`, a number or a Variable of one, in input's shape and dtype. Gradients flow to the value.

    Raises: ShapeError for a value of more than one element.
    """
    return Fill()(input, one_number("fill", value))


def one_number(name, value):
    """`value`, a number or something of one element, as a number or without axes. Raises: ShapeError for others."""
    if isinstance(value, (bool, int, float)):
        return value
    array = as_array(value)
    if array.size != 1:
        raise ShapeError(f"{name}: expected one number, got shape {array.shape}; write x.copy_(values)")
    return value.reshape(()) if hasattr(value, "dtype") else array.item()


# --- counted -----------------------------------------------------------------------------------------------------


def _exact(dtype):
    """The dtype to count in: NumPy adds up the rounding errors of a step in float32."""
    return np.dtype("float64") if np.dtype(dtype).kind == "f" else dtype


def arange(start=0, end=None, step=1, dtype=None, device=None, requires_grad=False):
    """start, start + step, ... below end; `arange(n)` counts from 0. int64, or the default float if any is a float.

    Raises: ShapeError for a step of 0, or one that leads away from the end.
    """
    if end is None:
        start, end = 0, start
    start, end, step = (raw(n).item() if hasattr(n, "dtype") else n for n in (start, end, step))
    if step == 0 or (end - start) * step < 0:
        raise ShapeError(f"arange: steps of {step} do not lead from {start} to {end}")
    if dtype is None:
        dtype = get_default_dtype() if any(isinstance(n, float) for n in (start, end, step)) else np.dtype("int64")
    with place(device) as library:
        counted = library.xp.arange(start, end, step, _exact(dtype))
        return Variable(counted.astype(dtype, copy=False), requires_grad)


def linspace(start, end, steps, dtype=None, device=None, requires_grad=False):
    """`steps` numbers from start to end, both included, at equal distances."""
    return _spaced("linspace", start, end, steps, None, dtype, device, requires_grad)


def logspace(start, end, steps, base=10.0, dtype=None, device=None, requires_grad=False):
    """base to the power of each of `steps` numbers from start to end, both included, at equal distances."""
    return _spaced("logspace", start, end, steps, base, dtype, device, requires_grad)


def _spaced(name, start, end, steps, base, dtype, device, requires_grad):
    if steps < 0:
        raise ShapeError(f"{name}: steps must not be negative, got {steps}")
    start, end = (raw(n).item() if hasattr(n, "dtype") else n for n in (start, end))
    with place(device) as library:
        y = library.xp.linspace(start, end, steps, dtype=np.float64)
        y = y if base is None else float(base) ** y
        return Variable(y.astype(dtype or get_default_dtype(), copy=False), requires_grad)


def eye(n, m=None, dtype=None, device=None, requires_grad=False):
    """The (n, m) matrix with ones on the diagonal."""
    with place(device) as library:
        return Variable(library.xp.eye(n, m, dtype=dtype or get_default_dtype()), requires_grad)


def tril_indices(row, col, offset=0, dtype=None, device=None):
    """The places (2, n) of the lower triangle of a (row, col) matrix, up to a diagonal, row by row; int64."""
    return _places(cpu.xp.tril_indices, row, col, offset, dtype, device)


def triu_indices(row, col, offset=0, dtype=None, device=None):
    """The places (2, n) of the upper triangle of a (row, col) matrix, from a diagonal on, row by row; int64."""
    return _places(cpu.xp.triu_indices, row, col, offset, dtype, device)


def _places(triangle, row, col, offset, dtype, device):
    places = cpu.xp.stack(triangle(row, offset, col)).astype(dtype or "int64")  # on the host: how many, it must know
    with place(device) as library:
        return Variable(moved(places, library.here()))
