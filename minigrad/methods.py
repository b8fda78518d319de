"""What one can do with a Variable: the tables that bind operators and methods to the operations.

The operations need Variables, so Variable cannot know them; this file, above both, brings them together.
"""

import numpy as np

from . import protocols
from .errors import DTypeError, GraphError
from .ops import (
    activation,
    arithmetic,
    choose,
    compare,
    create,
    cut,
    diagonal,
    einsum,
    elementwise,
    extremes,
    flip,
    gather,
    index,
    inverse,
    linalg,
    products,
    reduce,
    repeat,
    rounding,
    scan,
    scatter,
    shape,
    special,
)
from .ops import sort as order
from .ops import vector_norm as lengths
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
    "lshift": compare.bitwise_left_shift,
    "rshift": compare.bitwise_right_shift,
}
UPDATES = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "floordiv": "//", "mod": "%"}
UPDATES |= {"and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>"}  # not @, which changes shapes
COMPARISONS = {name: getattr(compare, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}

# --- methods that are operations, under their own names ----------------------------------------------------------

METHODS = {
    arithmetic: """add sub subtract mul multiply div divide true_divide neg negative positive remainder fmod pow
        copysign addcmul addcdiv lerp""",
    elementwise: """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sin cos tan asin acos atan
        arcsin arccos arctan deg2rad rad2deg sinh cosh tanh asinh acosh atanh arcsinh arccosh arctanh sigmoid
        erf erfc erfinv sign abs absolute relu""",
    special: "sinc logit xlogy logaddexp logaddexp2 hypot atan2 arctan2",
    rounding: "ceil floor round trunc fix frac",
    choose: "maximum minimum fmax fmin clamp clip clamp_min clamp_max nan_to_num",
    compare: """lt le gt ge eq ne less less_equal greater greater_equal not_equal logical_and logical_or
        logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift
        bitwise_right_shift isnan isinf isposinf isneginf isfinite signbit isclose allclose equal floor_divide""",
    reduce: "sum mean var std nansum nanmean prod logsumexp count_nonzero all any",
    extremes: "amax amin aminmax max min argmax argmin",
    scan: "cumsum cumprod diff",
    order: "sort argsort msort topk kthvalue median nanmedian",
    lengths: "norm",
    shape: """reshape view ravel flatten unflatten squeeze unsqueeze permute transpose swapaxes swapdims movedim
        moveaxis adjoint expand broadcast_to clone""",
    cut: "chunk tensor_split hsplit vsplit dsplit unbind select narrow select_scatter slice_scatter unfold",
    repeat: "repeat tile repeat_interleave",
    flip: "flip fliplr flipud roll rot90",
    diagonal: "diagonal diag diag_embed diagflat diagonal_scatter trace tril triu",
    create: "new_tensor new_zeros new_ones new_empty new_full numel",
    index: "nonzero argwhere",
    gather: "gather take_along_dim index_select take masked_select",
    scatter: "scatter scatter_add scatter_reduce index_add index_copy index_fill masked_fill masked_scatter",
    linalg: "matmul t",
    products: "mm bmm mv dot vdot outer ger kron cross addmm addmv addr addbmm baddbmm",
    einsum: "inner",
    inverse: "inverse det slogdet logdet matrix_power",
    activation: "softmax log_softmax",
}
ALIASES = {"absolute": "abs"}

OVER_AXES = (reduce, extremes, scan, order, lengths)  # NumPy's axis= and keepdims= are accepted here

BY_NUMPY = ("clip", "round")  # np.round(v) calls v.round(decimals=0, out=None)

# Methods with a trailing underscore: the operation's result, written over x.
BY_ELEMENT = (arithmetic, elementwise, special, rounding, choose, compare)
NOT_IN_PLACE = """positive maximum minimum fmax fmin logaddexp logaddexp2 isnan isinf isposinf isneginf isfinite signbit
    isclose allclose equal""".split()
IN_PLACE = [name for module in BY_ELEMENT for name in METHODS[module].split() if name not in NOT_IN_PLACE]
IN_PLACE += "tril triu cumsum cumprod".split()

IN_PLACE += METHODS[scatter].split()
IN_PLACE += "addmm addmv addr addbmm baddbmm".split()

# NumPy's functions on Variables: np.sin(v), ndarray + v.
UFUNCS = {
    "power": "pow",
    "equal": "eq",
    "fabs": "abs",
    "rint": "round",
    "degrees": "rad2deg",
    "radians": "deg2rad",
    "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
}
_SAME = """add subtract multiply divide true_divide negative positive remainder fmod floor_divide copysign
    hypot arctan2 exp exp2 expm1 log log2 log10 log1p sqrt square reciprocal logaddexp logaddexp2 sin cos tan
    arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg sign absolute ceil floor trunc
    maximum minimum fmax fmin less less_equal greater greater_equal not_equal logical_and logical_or
    logical_xor logical_not bitwise_and bitwise_or bitwise_xor signbit isnan isinf isfinite"""
UFUNCS |= {name: name for name in _SAME.split()}

# Everything else: conversions, and what Python and NumPy expect of a number or an array.
PLAIN = {
    "__array_ufunc__": lambda *args, **options: _array_ufunc(*args, **options),
    "backward": backward,
    "__getitem__": index.getitem,
    "__setitem__": index.setitem,
    "__neg__": arithmetic.neg,
    "__abs__": elementwise.abs,
    "__invert__": compare.bitwise_not,
    "where": lambda self, condition, other: choose.where(condition, self, other),
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
        def result(x, *others):  # what is written must know all operands, those that were given by name too
            return operation(x, *others[: len(args)], **dict(zip(options, others[len(args) :], strict=True)))

        write(name, self, result, *args, *options.values())
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


_MODULES = (products, scatter, diagonal, scan, *BY_ELEMENT)
_ELEMENTWISE = {name: f for module in _MODULES for name, f in vars(module).items()}


def bind():
    """Bind the tables to Variable."""
    for module, names in METHODS.items():
        for name in names.split():
            operation = getattr(module, name)
            setattr(Variable, name, _numpy_names(operation) if module in OVER_AXES or name in BY_NUMPY else operation)
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
