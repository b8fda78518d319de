"""Comparisons, logic and predicates, element by element: bools, without gradients. So too the floored quotient."""

import operator

from ..backend import computed
from ..dtypes import cast, promote
from ..tape.variable import Variable, raw
from .make import Elementwise, lib

__all__ = ["lt", "le", "gt", "ge", "eq", "ne", "floor_divide", "isnan", "isinf", "isfinite", "logical_not"]


def _plain(name, symbol, function):
    """An operation without a gradient: on Variables it returns a Variable off the tape, on arrays an array."""

    def operation(a, b):
        if b is None and name in ("eq", "ne"):  # x == None asks whether there is an x
            return name == "ne"
        operands = [raw(a), raw(b)]
        try:
            y = computed(name, lambda *xs: function(*cast(xs, promote(xs))), *operands)
        except ValueError as error:
            Elementwise.check(type(name, (), {"name": name})(), raw(a), raw(b))
            raise error
        return Variable(y) if isinstance(a, Variable) or isinstance(b, Variable) else y

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"a {symbol} b, element by element. No gradient."
    return operation


lt = _plain("lt", "<", operator.lt)
le = _plain("le", "<=", operator.le)
gt = _plain("gt", ">", operator.gt)
ge = _plain("ge", ">=", operator.ge)
eq = _plain("eq", "==", operator.eq)
ne = _plain("ne", "!=", operator.ne)
bitwise_and = _plain("bitwise_and", "&", operator.and_)
bitwise_or = _plain("bitwise_or", "|", operator.or_)
bitwise_xor = _plain("bitwise_xor", "^", operator.xor)
floor_divide = _plain("floor_divide", "//", operator.floordiv)


def _predicate(name, doc, function):
    def operation(x):
        y = computed(name, function, raw(x))
        return Variable(y) if isinstance(x, Variable) else y

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{doc}. No gradient."
    return operation


isnan = _predicate("isnan", "True where x is not a number", lambda x: lib(x).isnan(x))
isinf = _predicate("isinf", "True where x is infinite", lambda x: lib(x).isinf(x))
isfinite = _predicate("isfinite", "True where x is neither infinite nor NaN", lambda x: lib(x).isfinite(x))
bitwise_not = _predicate("bitwise_not", "not x for bools, the bits inverted for integers", lambda x: ~x)
logical_not = _predicate("logical_not", "True where x is false or 0", lambda x: lib(x).logical_not(x))
