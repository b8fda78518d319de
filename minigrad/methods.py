"""What one can do with a Variable: the tables that bind operators and methods to the operations.

The operations need Variables, so Variable cannot know them; this file, above both, brings them together.
"""

import numpy as np

from . import protocols
from .errors import DTypeError, GraphError
from .ops import activation, arithmetic, choose, compare, elementwise, index, linalg, reduce, shape
from .tape import Variable, backward, is_grad_enabled, raw, write

# --- operators ---------------------------------------------------------------------------------------------------

OPERATORS = {
    "add": arithmetic.plus,
    "sub": arithmetic.minus,
    "mul": arithmetic.mul,
    "truediv": arithmetic.quotient,
    "pow": arithmetic.pow,
    "matmul": linalg.matmul,
    "floordiv": compare.floor_divide,
    "mod": arithmetic.remainder,
    "and": compare.bitwise_and,
    "or": compare.bitwise_or,
    "xor": compare.bitwise_xor,
}
UPDATES = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**"}
COMPARISONS = {name: getattr(compare, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}

# --- methods that are operations, under their own names ----------------------------------------------------------

METHODS = {
    arithmetic: "add sub mul div neg pow",
    elementwise: "exp expm1 log log1p sqrt sin cos tanh sigmoid erf abs sign relu",
    choose: "maximum minimum clamp",
    compare: "lt le gt ge eq ne isnan isinf isfinite logical_not bitwise_not",
    reduce: "sum mean var std amax amin max min argmax argmin logsumexp all any",
    shape: "reshape flatten squeeze unsqueeze permute transpose expand split chunk unbind clone",
    index: "take_along_dim",
    linalg: "matmul t",
    activation: "softmax log_softmax",
}
ALIASES = {"view": "reshape", "swapaxes": "transpose", "absolute": "abs", "multiply": "mul", "subtract": "sub"}

# Methods with a trailing underscore: the operation's result, written over x.
IN_PLACE = "add sub mul div pow neg exp log sqrt tanh sigmoid abs relu clamp".split()

# NumPy's functions on Variables: np.sin(v), ndarray + v.
UFUNCS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "power": "pow",
    "negative": "neg",
    "absolute": "abs",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "equal": "eq",
    "not_equal": "ne",
    "floor_divide": "floor_divide",
    "remainder": "remainder",
    "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or",
    "bitwise_xor": "bitwise_xor",
} | {name: name for name in "exp expm1 log log1p sqrt sin cos tanh sign maximum minimum isnan isinf isfinite".split()}


# Everything else: conversions, and what Python and NumPy expect of a number or an array.
PLAIN = {
    "__array_ufunc__": lambda *args, **options: _array_ufunc(*args, **options),
    "backward": backward,
    "__getitem__": index.getitem,
    "__setitem__": index.setitem,
    "__neg__": arithmetic.neg,
    "__abs__": elementwise.abs,
    "__invert__": compare.bitwise_not,
    **protocols.METHODS,
}


_TORCH_NAMES = {"axis": "dim", "keepdims": "keepdim"}


def _numpy_names(operation):
    """`operation` with NumPy's axis= and keepdims= accepted for dim= and keepdim=."""

    def method(self, *args, **options):
        if not options:
            return operation(self, *args)
        # np.sum(v) calls v.sum(axis=None, dtype=None, out=None).
        given = {_TORCH_NAMES.get(n, n): v for n, v in options.items() if v is not None or n not in ("out", "dtype")}
        return operation(self, *args, **given)

    method.__name__, method.__doc__ = operation.__name__, operation.__doc__
    return method


def _reflected(operation):
    return lambda self, other: operation(other, self)


def _updating(operation, symbol):
    """`x += y`. On the tape x is bound to a new Variable, so no saved value is lost; off the tape, x is written."""

    def update(self, other):
        recorded = is_grad_enabled() and (self.tracked or getattr(other, "tracked", False))
        if not recorded:
            return _in_place(f"{symbol}=", operation)(self, other)
        if self.tracked and self.creator is None:
            raise GraphError(
                f"{symbol}=: a leaf that requires grad cannot be changed in place while operations are recorded; "
                f"wrap the update in `with mg.no_grad():`, or write y = x {symbol} ..."
            )
        return operation(self, other)

    return update


def _in_place(name, operation):
    """A method that writes the result of `operation` over self, and returns self."""

    def method(self, *args, **options):
        write(name, self, lambda x, *others: operation(x, *others, **options), *args)
        return self

    method.__name__, method.__doc__ = name, f"Like `{operation.__name__}`, written over this Variable."
    return method


def _array_ufunc(self, ufunc, method, *inputs, **options):
    """NumPy's functions: those of UFUNCS become operations; with out=, the arrays are computed with and written."""
    if method == "__call__" and not options and ufunc.__name__ in UFUNCS:
        return _ELEMENTWISE[UFUNCS[ufunc.__name__]](*inputs)
    if method == "__call__" and ufunc is np.matmul and not options:
        return linalg.matmul(*inputs)
    out = options.get("out", ())
    if method == "__call__" and out and not any(isinstance(x, Variable) for x in out):
        return ufunc(*map(raw, inputs), **options)
    how = "" if method == "__call__" else f" by .{method}"
    how += f" with {', '.join(options)}" if options else ""
    raise DTypeError(
        f"np.{ufunc.__name__}: not defined on a Variable{how}; "
        f"use an operation of minigrad, or np.{ufunc.__name__}(x.numpy()) without a gradient"
    )


_ELEMENTWISE = vars(compare) | vars(choose) | vars(elementwise) | vars(arithmetic)


def bind():
    """Bind the tables to Variable."""
    for module, names in METHODS.items():
        for name in names.split():
            operation = getattr(module, name)
            setattr(Variable, name, _numpy_names(operation) if module is reduce else operation)
    for alias, name in ALIASES.items():
        setattr(Variable, alias, getattr(Variable, name))
    for name, operation in (OPERATORS | COMPARISONS).items():
        setattr(Variable, f"__{name}__", operation)
    for name, operation in OPERATORS.items():
        setattr(Variable, f"__r{name}__", _reflected(operation))
    for name, symbol in UPDATES.items():
        setattr(Variable, f"__i{name}__", _updating(OPERATORS[name], symbol))
    for name in IN_PLACE:
        setattr(Variable, f"{name}_", _in_place(f"{name}_", _ELEMENTWISE[name]))
    for name, function in PLAIN.items():
        setattr(Variable, name, function)
