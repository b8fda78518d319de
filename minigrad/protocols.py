"""What Python, NumPy and PyTorch users expect of a Variable beyond its operations: conversion, display, filling."""

import numpy as np

from .backend import Device, around, backend, computed, device_of, moved, place
from .errors import DTypeError, GraphError, ShapeError
from .ops import create, cut, shape
from .ops.linalg import t
from .ops.random import generator as host_generator
from .tape import Function, Variable, enable_grad, raw, write

# --- to other types and places -----------------------------------------------------------------------------------


def to(self, *args, dtype=None, device=None, non_blocking=False, copy=False):
    """This Variable in another dtype, on another device, or both: `x.to(mg.float64)`, `x.to("cuda:1")`, `x.to(other)`.

    Args:    non_blocking - between host and device, return before the copy is done. To the device, that needs pinned
                 memory on the host (DataLoader's pin_memory); from there, wait (mg.cuda.synchronize()) before reading.
             copy - copy also where nothing changes.
    Returns: x itself where nothing changes. Gradients pass through.
    Raises:  DeviceError for a device that is not there.
    """
    for arg in args:
        if isinstance(arg, Variable):
            dtype, device = arg.dtype, arg.device
        elif isinstance(arg, (str, int, Device)):
            device = arg
        else:
            dtype = arg
    x = self if dtype is None else astype(self, dtype)
    if device is not None and (there := _resolved(device)) != device_of(x.data):
        x = Move(there, non_blocking)(x)
    return shape.clone(x) if copy and x is self else x


def _resolved(device):
    """The Device that is meant by a name, with its number."""
    with place(device) as library:
        return library.here()


class Move(Function):
    """y = x, on another device. The gradient comes back."""

    def __init__(self, device, non_blocking=False):
        self.target, self.non_blocking = device, non_blocking

    def forward(self, x):
        self.source = device_of(x)
        return moved(x, self.target, self.non_blocking)

    def backward(self, gy):
        return Move(self.source)(gy)


def astype(self, dtype):
    """This Variable in another dtype. Gradients pass through between floats."""
    target = np.dtype(dtype)
    if target == self.dtype:
        return self
    if target.kind not in "fiub":
        raise DTypeError(f"to: dtype {target} is not supported: minigrad knows bools, integers and floats")
    if target.kind == "f":
        return shape.Cast(target)(self)
    with around(self.data):
        return Variable(self.data.astype(target))


def _caster(name):
    def method(self):
        return astype(self, name)

    method.__doc__ = f"This Variable as {name}; itself where it is."
    return method


def cuda(self, device=None):
    """This Variable on a CUDA device. Raises DeviceError where there is none."""
    return to(self, device="cuda" if device is None else device)


def numpy(self, *, force=False):
    """The array on the host, sharing memory where that is possible: from a device, it is copied.

    Raises: GraphError for a Variable that requires grad, unless forced: a gradient would be lost.
    """
    if self.tracked and not force:
        raise GraphError("numpy: this Variable requires grad; write x.detach().numpy()")
    return backend[type(self.data)].to_numpy(self.data)


def item(self):
    """The value of a Variable of one element, as a Python number. Waits for the device."""
    if self.data.size != 1:
        raise ShapeError(f"item: only one element can be a Python number, and this Variable has shape {self.shape}")
    return self.data.item()


def tolist(self):
    """The values as nested lists of Python numbers."""
    return self.data.tolist()


def _number(kind):
    return lambda self: kind(item(self))


def _index(self):
    if self.data.dtype.kind not in "iu" or self.data.size != 1:
        raise TypeError(f"only an integer of one element can be an index, and this is {self.dtype} {self.shape}")
    return int(self.data.item())


def _bool(self):
    if self.data.size != 1:
        raise ShapeError(
            f"bool: the truth of {self.data.size} elements is not defined; write x.any() or x.all(); x is {self.shape}"
        )
    return bool(self.data.item())


def _array(self, dtype=None, copy=None):
    """np.asarray(v): the values, without their history."""
    if not backend[type(self.data)].host:
        raise TypeError(
            f"np.asarray: this Variable is on {device_of(self.data)}, and the copy to the host must be asked for; "
            "write x.numpy() or x.cpu()"
        )
    array = self.data
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


def _dlpack(self, **options):
    if self.tracked:
        raise GraphError("dlpack: this Variable requires grad; write x.detach()")
    return self.data.__dlpack__(**options)


def _len(self):
    if not self.data.ndim:
        raise TypeError("len: a Variable without axes has no length")
    return self.data.shape[0]


def _iter(self):
    return iter(cut.unbind(self)) if _len(self) else iter(())


def _contains(self, value):
    return bool(computed("in", lambda x, v: (x == v).any(), self.data, raw(value)))


def _deepcopy(self, memo):
    if self.creator is not None:
        raise GraphError("deepcopy: only leaves can be copied with their flags; write x.detach().clone()")
    twin = object.__new__(type(self))
    with around(self.data):
        twin.data, twin.creator, twin.tracked = self.data.copy(), None, self.tracked
        twin.grad = None if self.grad is None else Variable(self.grad.data.copy())
    twin.__dict__.update(self.__dict__)
    twin.__dict__.pop("hooks", None)
    memo[id(self)] = twin
    return twin


# --- display -----------------------------------------------------------------------------------------------------


def _repr(self):
    kind = type(self).__name__
    values = np.array2string(
        backend[type(self.data)].to_numpy(self.data), separator=", ", prefix=f"{kind}(", threshold=1000, precision=4
    )
    facts = [values]
    if self.data.size == 0:
        facts.append(f"shape={self.shape}")
    if self.dtype not in (np.float32, np.int64, np.bool_):
        facts.append(f"dtype={self.dtype}")
    if not backend[type(self.data)].host:
        facts.append(f"device='{device_of(self.data)}'")
    if self.creator is not None:
        facts.append(f"creator=<{type(self.creator).__name__}>")
    elif self.tracked:
        facts.append("requires_grad=True")
    return f"{kind}({', '.join(facts)})"


def _format(self, spec):
    return format(self.data.item(), spec) if spec and self.data.size == 1 else format(repr(self), spec)


# --- in place: other shapes of the same memory, and filling ------------------------------------------------------


def _reshaped(operation):
    """A method that makes `self` what `operation` gives, a view; memory is not written."""
    name = f"{operation.__name__}_"

    def method(self, *args, **options):
        if self.tracked and self.creator is None:
            raise GraphError(
                f"{name}: a leaf that requires grad keeps its shape, which its gradient has too; "
                f"write y = x.{operation.__name__}(...)"
            )
        with enable_grad():  # the history goes on, whatever is recorded
            y = operation(self, *args, **options)
        retained = self.creator is not None and self.creator.retained is not None
        if retained:
            self.creator.retained = None
        self.data, self.creator, self.tracked = y.data, y.creator, y.tracked
        if retained:
            self.retain_grad()
        return self

    method.__name__, method.__doc__ = name, f"Like `{operation.__name__}`, of this Variable itself."
    return method


RESHAPED = [shape.squeeze, shape.unsqueeze, shape.transpose, shape.swapaxes, t]


def fill_(self, value):
    """Write `value`, a number or a Variable of one, everywhere. Gradients flow to it."""
    value = create.one_number("fill_", value)
    if hasattr(value, "dtype") and not getattr(value, "tracked", False) and device_of(raw(value)) != self.device:
        value = value.item()
    write("fill_", self, create.fill, value)
    return self


def zero_(self):
    """Write 0 everywhere."""
    return fill_(self, 0)


def stride(self, dim=None):
    """How many elements of memory lie between neighbors along each axis, or along `dim`."""
    steps = tuple(n // self.data.itemsize for n in self.data.strides)
    return steps if dim is None else steps[shape.axis_of("stride", self, dim)]


def contiguous(self):
    """This Variable with its elements in memory in the order of its axes: a copy, if they are not."""
    return self if self.data.flags.c_contiguous else shape.clone(self)


def copy_(self, source):
    """Write the values of `source`, which broadcasts to this shape, and may lie elsewhere. Gradients flow to it."""
    source = source if isinstance(source, Variable) else Variable(source)
    source = to(source, device=device_of(self.data))
    write("copy_", self, lambda x, s: shape.expand(astype(s, x.dtype), x.shape) + 0, source)
    return self


def uniform_(self, low=0.0, high=1.0, *, generator=None):
    """Write numbers drawn uniformly from [low, high)."""
    return _draw("uniform_", self, (generator or host_generator()).uniform, low, high)


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Write numbers drawn from the normal distribution."""
    return _draw("normal_", self, (generator or host_generator()).normal, mean, std)


def _draw(name, self, draw, *parameters):
    values = np.asarray(draw(*parameters, self.shape), self.dtype)
    write(name, self, lambda x: Variable(moved(values, device_of(x.data))))
    return self


def requires_grad_(self, requires_grad=True):
    """Set requires_grad, and return this Variable."""
    self.requires_grad = requires_grad
    return self


def detach_(self):
    """Forget the history of this Variable itself."""
    self.creator, self.tracked = None, False
    return self


# --- the table ---------------------------------------------------------------------------------------------------


def _cuda_array_interface(self):
    try:
        return self.data.__cuda_array_interface__
    except AttributeError:
        raise AttributeError("__cuda_array_interface__: this Variable is on the CPU; write x.cuda()") from None


PROPERTIES = {
    "device": lambda self: device_of(self.data),
    "is_cuda": lambda self: not backend[type(self.data)].host,
    "T": lambda self: shape.permute(self, *range(self.ndim - 1, -1, -1)),
    "mT": shape.adjoint,
    "__cuda_array_interface__": _cuda_array_interface,
    "nbytes": lambda self: self.data.nbytes,
    "itemsize": lambda self: self.data.itemsize,
}

CASTS = {"half": "float16", "float": "float32", "double": "float64", "bool": "bool"}
CASTS |= {"long": "int64", "int": "int32", "short": "int16", "byte": "uint8"}

METHODS = {
    "to": to,
    "astype": astype,
    "type_as": lambda self, other: astype(self, other.dtype),
    **{name: _caster(dtype) for name, dtype in CASTS.items()},
    "cpu": lambda self: to(self, device="cpu"),
    "cuda": cuda,
    "numpy": numpy,
    "item": item,
    "tolist": tolist,
    "size": lambda self, dim=None: self.shape if dim is None else self.shape[dim],
    "dim": lambda self: self.ndim,
    "numel": lambda self: self.data.size,
    "nelement": lambda self: self.data.size,
    "element_size": lambda self: self.data.itemsize,
    "stride": stride,
    "contiguous": contiguous,
    "is_contiguous": lambda self: self.data.flags.c_contiguous,
    "is_floating_point": lambda self: self.data.dtype.kind == "f",
    "expand_as": lambda self, other: shape.expand(self, other.shape),
    "reshape_as": lambda self, other: shape.reshape(self, other.shape),
    "view_as": lambda self, other: shape.reshape(self, other.shape),
    "split": lambda self, split_size, dim=0: cut.split(self, split_size, dim),
    **{f"{operation.__name__}_": _reshaped(operation) for operation in RESHAPED},
    "swapdims_": _reshaped(shape.transpose),
    "fill_": fill_,
    "zero_": zero_,
    "copy_": copy_,
    "uniform_": uniform_,
    "normal_": normal_,
    "requires_grad_": requires_grad_,
    "detach_": detach_,
    "__pos__": lambda self: self,
    "__len__": _len,
    "__iter__": _iter,
    "__contains__": _contains,
    "__bool__": _bool,
    "__float__": _number(float),
    "__int__": _number(int),
    "__index__": _index,
    "__array__": _array,
    "__dlpack__": _dlpack,
    "__dlpack_device__": lambda self: self.data.__dlpack_device__(),
    "__deepcopy__": _deepcopy,
    "__repr__": _repr,
    "__format__": _format,
    **{name: property(get) for name, get in PROPERTIES.items()},
}
