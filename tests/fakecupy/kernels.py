"""ElementwiseKernel, RawKernel and RawModule: arguments are checked as CuPy checks them, and the CUDA source is run on
the CPU by emulator.py."""

import re

import numpy as np

from . import emulator
from .array import fresh, ndarray
from .lanes import current, meet
from .operands import SCALARS, inner, refused, target
from .records import poisoned


class _Parameter:
    """One of an ElementwiseKernel's: "T x", "raw float32 y"."""

    def __init__(self, text, is_output):
        *words, self.kind, self.name = text.split()
        if words not in ([], ["raw"]):
            raise ValueError(f'Unknown keyword "{words[0]}" in the parameter {text!r}')
        self.raw, self.is_output = bool(words), is_output
        self.dtype = None if len(self.kind) == 1 else np.dtype(self.kind)


class ElementwiseKernel:
    """cupy.ElementwiseKernel."""

    def __init__(self, in_params, out_params, operation, name="kernel", reduce_dims=True, preamble="", no_return=False,
                 return_tuple=False, **kwargs):  # fmt: skip
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f'Invalid kernel name: "{name}"')
        if kwargs.keys() - {"options"}:
            raise NotImplementedError(f"ElementwiseKernel({name}): the double cannot do {', '.join(kwargs)}=")
        self.in_params = tuple(_Parameter(text, False) for text in in_params.split(",") if text.strip())
        self.out_params = tuple(_Parameter(text, True) for text in out_params.split(",") if text.strip())
        self.params = (*self.in_params, *self.out_params)
        if "i" in {p.name for p in self.params}:
            raise ValueError("Can not use 'i' as a parameter name")
        self.nin, self.nout, self.nargs = len(self.in_params), len(self.out_params), len(self.params)
        self.operation, self.name, self.__name__, self.preamble = operation, name, name, preamble
        self.no_return, self.return_tuple = no_return, return_tuple

    def __call__(self, *args, size=None, block_size=128, stream=None):
        if len(args) not in (self.nin, self.nargs):
            raise TypeError(
                f"Wrong number of arguments for '{self.name}'. It must be either {self.nin} or {self.nargs} (with "
                f"outputs), but given {len(args)}."
            )
        inputs, outputs = [inner(x) for x in args[: self.nin]], list(args[self.nin :])
        for x in outputs:
            if type(x) is not ndarray:
                raise TypeError("Output arguments type must be cupy.ndarray")
        shape = self._shape(inputs, outputs, size)
        types = self._types(inputs, outputs)
        if not outputs:
            if any(p.raw for p in self.out_params) and size is None:
                raise ValueError("Output array size is Undecided")
            outputs = [fresh(poisoned(shape, self._dtype(p, types))) for p in self.out_params]
        for p, x in zip(self.out_params, outputs, strict=True):
            if not p.raw and x.shape != shape:
                raise ValueError(f"Out shape is mismatched: {p.name} is {x.shape}, the operands {shape}")
        if 0 not in shape:
            self._run(inputs, [target(x) for x in outputs], shape, types)
        if self.no_return:
            return None
        return outputs[0] if self.nout == 1 and not self.return_tuple else tuple(outputs)

    def _shape(self, inputs, outputs, size):
        shapes = [
            x.shape for p, x in zip(self.params, (*inputs, *outputs), strict=False)
            if not p.raw and isinstance(x, np.ndarray | ndarray)
        ]  # fmt: skip
        if size is not None:
            if shapes:
                raise ValueError("Specified 'size' can be used only if all of the ndarray are 'raw'.")
            return (size,)
        if not shapes:
            raise ValueError("Loop size is undecided.")
        return np.broadcast_shapes(*shapes)

    def _types(self, inputs, outputs):
        """Type letter -> dtype, as the arrays tell; numbers take the type of their parameter."""
        types = {}
        given = zip((*self.out_params[: len(outputs)], *self.in_params), (*outputs, *inputs), strict=True)
        for p, x in given:
            if isinstance(x, np.ndarray | ndarray):
                wanted = types.setdefault(p.kind, x.dtype) if p.dtype is None else p.dtype
                if wanted != x.dtype:
                    raise TypeError(f"Type is mismatched. {p.name} {x.dtype} {wanted} {p.kind}")
        for p in self.params:
            if p.dtype is None and p.kind not in types:
                raise TypeError(f"{self.name}: no array tells what the type {p.kind} of {p.name} is")
        return types

    def _dtype(self, p, types):
        return types[p.kind] if p.dtype is None else p.dtype

    def _run(self, inputs, outputs, shape, types):
        flat = []
        for p, x in zip(self.in_params, inputs, strict=True):
            if not isinstance(x, np.ndarray):
                flat.append(self._dtype(p, types).type(x))
            else:
                flat.append(np.ascontiguousarray(x if p.raw else np.broadcast_to(x, shape)).reshape(-1))
        places = [np.ascontiguousarray(x).reshape(-1) for x in outputs]
        params = [(p.kind, p.name, p.is_output, p.raw) for p in self.params]
        n = int(np.prod(shape, dtype=np.int64))
        letters = {letter: dtype.name for letter, dtype in types.items()}
        emulator.elementwise(params, self.operation, self.preamble, letters, [*flat, *places], n)
        for x, place in zip(outputs, places, strict=True):
            if not np.may_share_memory(x, place):
                x[...] = place.reshape(x.shape)


def _argument(x):
    """What the emulator gets for an argument of a raw kernel: arrays for pointers, all else by value."""
    kind = type(x)
    if kind is ndarray:
        if x._mem.lane is not current.lane:
            meet(x._mem)
        x._mem.written()  # nobody tells which arrays a kernel writes
        return x._a
    if isinstance(x, np.generic):
        return x
    if kind in SCALARS:
        return {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}[kind](x)
    if isinstance(x, np.ndarray) and x.dtype.kind == "V" and x.size == 1:
        return x
    raise refused(kind, " in a raw kernel")


class RawKernel:
    """cupy.RawKernel, and what RawModule.get_function returns."""

    def __init__(self, code, name, options=(), backend="nvrtc", translate_cucomplex=False, *,
                 enable_cooperative_groups=False, jitify=None):  # fmt: skip
        if not isinstance(options, tuple):
            raise TypeError(f"options must be a tuple, got {type(options)}")
        self.code, self.name, self.options, self.backend = code, name, options, backend
        self._expressions = (name,)

    def compile(self, log_stream=None):
        """Compile the source, with all that was asked of it."""
        emulator.compile(self.code, self._expressions)

    def __call__(self, grid, block, args, *, shared_mem=0):
        for what, numbers in (("grid", grid), ("block", block)):
            if not isinstance(numbers, tuple) or not all(isinstance(n, int) for n in numbers):
                raise TypeError(f"{self.name}: {what} must be a tuple of ints, got {numbers!r}")
        values = [_argument(x) for x in args]
        self.compile()
        emulator.run(self.code, self.name, grid, block, values, shared_mem)


class RawModule:
    """cupy.RawModule."""

    def __init__(self, code=None, *, path=None, options=(), backend="nvrtc", translate_cucomplex=False,
                 enable_cooperative_groups=False, name_expressions=None, jitify=None):  # fmt: skip
        if (code is None) == (path is None):
            raise TypeError("Exactly one of `code` and `path` keyword arguments must be given.")
        if path is not None:
            raise NotImplementedError("the double compiles source code only")
        self.code, self.options, self.backend = code, options, backend
        self.name_expressions = None if name_expressions is None else tuple(name_expressions)

    def compile(self, log_stream=None):
        """Compile the source, with all instantiations that were asked for."""
        emulator.compile(self.code, self.name_expressions or ())

    def get_function(self, name):
        """A kernel: one of the name_expressions, or where there are none an extern "C" function."""
        if self.name_expressions is not None and name not in self.name_expressions:
            raise KeyError(f"{name!r} is not among the name_expressions {self.name_expressions}")
        kernel = RawKernel(self.code, name, self.options, self.backend)
        kernel._expressions = self.name_expressions or (name,)
        return kernel
