"""What has no gradient, element by element: comparisons, logic, bits, predicates, closeness, the floored quotient."""

import operator

from ..backend import computed, detours
from ..dtypes import cast, out_of_range, promote
from ..errors import DTypeError
from ..tape.observers import tell
from ..tape.variable import Variable, raw
from .make import Elementwise, lib

__all__ = ["lt", "le", "gt", "ge", "eq", "ne", "less", "less_equal", "greater", "greater_equal", "not_equal"]
__all__ += ["logical_and", "logical_or", "logical_xor", "logical_not"]
__all__ += ["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_left_shift", "bitwise_right_shift"]
__all__ += ["isnan", "isinf", "isposinf", "isneginf", "isfinite", "signbit", "isclose", "allclose", "equal"]
__all__ += ["floor_divide"]


def _plain(name, symbol, function, rule=promote):
    """An operation without a gradient: on Variables it returns a Variable off the tape, on arrays an array."""

    def operation(input, other):
        if other is None and name in ("eq", "ne"):  # x == None asks whether there is an x
            return name == "ne"
        return _compared(name, lambda *xs: function(*cast(xs, rule(xs))), input, other)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"input {symbol} other, element by element. No gradient."
    return operation


def _compared(name, function, input, other):
    """function(input, other) of the arrays. Raises: ShapeError where they do not broadcast; DTypeError."""
    try:
        y = computed(name, function, raw(input), raw(other))
    except ValueError as error:
        Elementwise.check(type(name, (), {"name": name})(), raw(input), raw(other))
        raise error
    except OverflowError as error:
        raise out_of_range(name, error) from None
    return Variable(y) if isinstance(input, Variable) or isinstance(other, Variable) else y


def _bits(name, symbol, function):
    """`_plain`, of integers and bools."""

    def whole(operands):
        dtype = promote(operands)
        if dtype.kind == "f":
            raise DTypeError(f"{name}: expected integers or bools, got {dtype}; write x > 0, x.bool() or x.long()")
        return dtype

    return _plain(name, symbol, function, whole)


lt = less = _plain("lt", "<", operator.lt)
le = less_equal = _plain("le", "<=", operator.le)
gt = greater = _plain("gt", ">", operator.gt)
ge = greater_equal = _plain("ge", ">=", operator.ge)
eq = _plain("eq", "==", operator.eq)
ne = not_equal = _plain("ne", "!=", operator.ne)
logical_and = _plain("logical_and", "and", lambda a, b: (a != 0) & (b != 0))
logical_or = _plain("logical_or", "or", lambda a, b: (a != 0) | (b != 0))
logical_xor = _plain("logical_xor", "is true where not", lambda a, b: (a != 0) ^ (b != 0))
bitwise_and = _bits("bitwise_and", "&", operator.and_)
bitwise_or = _bits("bitwise_or", "|", operator.or_)
bitwise_xor = _bits("bitwise_xor", "^", operator.xor)
bitwise_left_shift = _bits("bitwise_left_shift", "<<", operator.lshift)
bitwise_right_shift = _bits("bitwise_right_shift", ">>", operator.rshift)
_floored = _plain("floor_divide", "//", operator.floordiv)


def floor_divide(input, other):
    """input // other, element by element. No gradient."""
    y = _floored(input, other)
    if detours:
        tell("floor_divide", {"operand 0 (input)": input, "operand 1 (other)": other}, y)
    return y


def _predicate(name, doc, function):
    def operation(input):
        y = computed(name, function, raw(input))
        return Variable(y) if isinstance(input, Variable) else y

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{doc}. No gradient."
    return operation


def _inverted(x):
    if x.dtype.kind == "f":
        raise DTypeError(f"bitwise_not: expected integers or bools, got {x.dtype}; write logical_not(x) or x.long()")
    return ~x


isnan = _predicate("isnan", "True where input is not a number", lambda x: lib(x).isnan(x))
isinf = _predicate("isinf", "True where input is infinite", lambda x: lib(x).isinf(x))
isposinf = _predicate("isposinf", "True where input is inf", lambda x: x == float("inf"))
isneginf = _predicate("isneginf", "True where input is -inf", lambda x: x == float("-inf"))
isfinite = _predicate("isfinite", "True where input is neither infinite nor NaN", lambda x: lib(x).isfinite(x))
signbit = _predicate("signbit", "True where input is negative, also for -0", lambda x: lib(x).signbit(x))
bitwise_not = _predicate("bitwise_not", "not input for bools, the bits inverted for integers", _inverted)
logical_not = _predicate("logical_not", "True where input is false or 0", lambda x: lib(x).logical_not(x))


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True where input and other are nearly equal: abs(input - other) <= atol + rtol * abs(other). No gradient.

    Args: equal_nan - take two NaN for equal, default False. Infinities are close to themselves only.
    """

    def close(a, b):
        a, b = cast([a, b], promote([a, b]))
        return lib(a if hasattr(a, "ndim") else b).isclose(a, b, rtol, atol, equal_nan)

    return _compared("isclose", close, input, other)


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """True if all elements are close, as `isclose` has it: a Python bool, for which a device is waited for."""
    return bool(computed("allclose", lambda close: close.all(), raw(isclose(input, other, rtol, atol, equal_nan))))


def equal(input, other) -> bool:
    """True if the shapes are equal and all elements are: a Python bool, for which a device is waited for."""
    if raw(input).shape != raw(other).shape:
        return False
    return bool(computed("equal", lambda same: same.all(), raw(eq(input, other))))
