"""Element by element: arithmetic, powers, exponentials, choices, comparisons.

Each `unary` and `binary` gives: name, formula, forward on arrays, gradient. The gradient names what it needs after
gy (x, a, b, or the output y), and may be a formula of Variables as well; the engine undoes broadcasting.
"""

import math
import operator

import numpy as np

from ..backend import backend, computed
from ..dtypes import bool_, cast, float32, get_default_dtype, number, promote, promote_float
from ..errors import DTypeError
from ..tape.modes import regions
from ..tape.variable import Variable, as_array, raw
from .autocast import is_half, wide
from .make import Elementwise, binary, unary


def lib(x):
    """The namespace of x's array library."""
    return backend[type(x)].xp


# --- arithmetic --------------------------------------------------------------------------------------------------


def _sub_backward(self, gy):
    return gy, None if self.wants[1] is None else -gy


def _mul_backward(self, gy, a, b):
    wants_a, wants_b = self.wants
    return None if wants_a is None else gy * b, None if wants_b is None else gy * a


def _div_backward(self, gy, b, y):
    g = gy / b
    return g, None if self.wants[1] is None else -(g * y)


def _remainder_backward(self, gy, a, b):
    return gy, None if self.wants[1] is None else -gy * floor_divide(a, b)


def _division_rule(operands):
    """`promote_float`; but number / x is a multiple of x's reciprocal, which autocast has in float32."""
    dividend, divisor = operands
    if regions and not hasattr(dividend, "dtype") and is_half(divisor):
        return float32
    return promote_float(operands)


plus = binary("add", "a + b", lambda self, a, b: a + b, lambda self, gy: (gy, gy))
minus = binary("sub", "a - b", lambda self, a, b: a - b, _sub_backward)
mul = binary("mul", "a * b", lambda self, a, b: a * b, _mul_backward, serves={0: 1, 1: 0})
quotient = binary(
    "div", "a / b; floats also from integers", lambda self, a, b: a / b, _div_backward, _division_rule, {-1: 1}
)
remainder = binary("remainder", "a - b floor(a / b), which has b's sign", lambda self, a, b: a % b, _remainder_backward)
neg = unary("neg", "-x", lambda self, x: -x, lambda self, gy: -gy, promote)


def _truncated(self, a, b):
    y = a / b
    y = lib(y).trunc(y)
    dtype = a.dtype if hasattr(a, "dtype") else b.dtype
    if dtype.kind != "f" and (isinstance(a, float) or isinstance(b, float)):
        return y  # integers and a decimal number: floats, as the dtype rule will have it
    return y.astype(dtype, copy=False)


_floored = binary("div", "floor(a / b)", lambda self, a, b: a // b, lambda self, gy: (gy * 0, gy * 0))
_cut = binary("div", "a / b without its fraction", _truncated, lambda self, gy: (gy * 0, gy * 0))


def add(input, other, *, alpha=1):
    """input + alpha * other, element by element."""
    return plus(input, other if alpha == 1 else mul(other, alpha))


def sub(input, other, *, alpha=1):
    """input - alpha * other, element by element."""
    return minus(input, other if alpha == 1 else mul(other, alpha))


def div(input, other, *, rounding_mode=None):
    """input / other, element by element; floats also from integers.

    Args: rounding_mode - None, "floor" (down) or "trunc" (towards 0): the gradient is then 0, and integers stay.
    """
    try:
        return {None: quotient, "floor": _floored, "trunc": _cut}[rounding_mode](input, other)
    except KeyError:
        raise ValueError(f'div: rounding_mode must be None, "floor" or "trunc", got {rounding_mode!r}') from None


class Pow(Elementwise):
    """y = a ** b, both arrays."""

    def forward(self, a, b):
        return a**b

    def backward(self, gy, a, b, y):
        wants_a, wants_b = self.wants
        ga = None if wants_a is None else where(b == 0, 0.0, gy * b * a ** where(b == 0, 1.0, b - 1))
        if wants_b is None:
            return ga, None
        zero = a == 0
        slope = where(zero, where(b >= 0, 0.0, b - math.inf), where(zero, 0.0, y) * log(where(zero, 1.0, a)))
        return ga, gy * slope


class PowNumber(Elementwise):
    """y = x ** n for a number n."""

    name = "pow"

    def __init__(self, n):
        self.n = n

    def dtype_rule(self, arrays):
        return promote([*arrays, self.n])

    def forward(self, x):
        return x**self.n

    def backward(self, gy, x):
        return gy * 0 if self.n == 0 else gy * (self.n * x ** (self.n - 1))


class NumberPow(Elementwise):
    """y = base ** x for a number base."""

    name = "pow"

    def __init__(self, base):
        self.base = base

    def dtype_rule(self, arrays):
        return promote([*arrays, self.base])

    def forward(self, x):
        return self.base**x

    def backward(self, gy, x, y):
        if self.base == 0:
            return gy * where(x >= 0, 0.0, -math.inf)
        return gy * y * (math.log(self.base) if self.base > 0 else math.nan)


def pow(a, b):
    """a ** b. Gradients at a = 0 and at b = 0 are PyTorch's: 0 where the limit is."""
    a, b = number(a), number(b)
    if regions:
        a, b = wide(a), wide(b)
    if isinstance(b, (int, float)):
        return PowNumber(b)(a)
    if isinstance(a, (int, float)):
        return NumberPow(a)(b)
    a, b = (as_array(x) if isinstance(x, (list, tuple)) else x for x in (a, b))
    return Pow()(a, b)


# --- functions of one variable -----------------------------------------------------------------------------------


def _sigmoid_forward(self, x):
    xp = lib(x)
    if x.dtype.kind != "f":
        x = x.astype(get_default_dtype())
    small = xp.exp(-abs(x))  # at most 1: no overflow, and full precision in both tails
    return xp.where(x >= 0, 1.0, small) / (1.0 + small)


def _sigmoid_backward(self, gy, y):
    g = gy * y
    return g - g * y


def _sign_forward(self, x):
    if x.dtype.kind == "b":
        return x.copy()
    y = (x > 0).astype(x.dtype)
    y -= x < 0
    return y


def _relu_backward(self, gy, y):
    if isinstance(gy, Variable):
        return where(y != 0, gy, 0)
    return backend[type(gy)].select(y != 0, gy)  # the same without the way through an operation: 1 us less of 4


def _sin_backward(self, gy, x):
    return gy * cos(x)


# A number among the operands costs a small array half a microsecond: the gradients do without.
exp = unary("exp", "e ** x", lambda self, x: lib(x).exp(x), lambda self, gy, y: gy * y, widens=True)
expm1 = unary(
    "expm1",
    "e ** x - 1, exact near 0",
    lambda self, x: lib(x).expm1(x),
    lambda self, gy, y: gy * (y + 1),
    widens=True,
)
log = unary("log", "the natural logarithm", lambda self, x: lib(x).log(x), lambda self, gy, x: gy / x, widens=True)
log1p = unary(
    "log1p",
    "log(1 + x), exact near 0",
    lambda self, x: lib(x).log1p(x),
    lambda self, gy, x: gy / (x + 1),
    widens=True,
)
sqrt = unary("sqrt", "the square root", lambda self, x: lib(x).sqrt(x), lambda self, gy, y: gy / (y + y))
sin = unary("sin", "sin x, x in radians", lambda self, x: lib(x).sin(x), _sin_backward)
cos = unary("cos", "cos x, x in radians", lambda self, x: lib(x).cos(x), lambda self, gy, x: -(gy * sin(x)))
tanh = unary("tanh", "the hyperbolic tangent", lambda self, x: lib(x).tanh(x), lambda self, gy, y: gy - gy * y * y)
sigmoid = unary("sigmoid", "1 / (1 + e ** -x)", _sigmoid_forward, _sigmoid_backward)
erf = unary(
    "erf",
    "2 / sqrt(pi) times the integral of e ** -t**2 from 0 to x",
    lambda self, x: backend[type(x)].erf(x),
    lambda self, gy, x: gy * (2 / math.sqrt(math.pi) * exp(-(x * x))),
)
_softplus = unary(
    "softplus",
    "log(1 + e ** x), without overflow",
    lambda self, x: lib(x).logaddexp(x, 0.0),
    lambda self, gy, x: gy * sigmoid(x),
)
sign = unary("sign", "-1, 0 or 1, and 0 for NaN; gradient 0", _sign_forward, lambda self, gy: gy * 0, promote)
abs = unary("abs", "|x|; gradient 0 at 0", lambda self, x: lib(x).abs(x), lambda self, gy, x: gy * sign(x), promote)
relu = unary(
    "relu",
    "max(x, 0); gradient 0 at 0",
    lambda self, x: lib(x).maximum(x, 0),
    _relu_backward,
    promote,
)


def softplus(x, beta=1.0, threshold=20.0):
    """log(1 + e ** (beta x)) / beta, without overflow; x itself where beta x > threshold."""
    if regions:
        x = wide(x)
    y = _softplus(x) if beta == 1 else _softplus(x * beta) / beta
    return y if threshold >= 20 else where(x * beta > threshold, x, y)


# --- choices -----------------------------------------------------------------------------------------------------


class Where(Elementwise):
    """y = a where condition, else b."""

    def forward(self, condition, a, b):
        if type(b) is int and b == 0 and hasattr(a, "dtype"):
            return backend[type(a)].select(condition, a)
        return lib(condition).where(condition, a, b)

    def backward(self, gy, condition):
        wants_a, wants_b = self.wants[1:]
        return (
            None,
            None if wants_a is None else where(condition, gy, 0),
            None if wants_b is None else where(condition, 0, gy),
        )

    def promoted(self, arrays):
        condition, a, b = arrays
        if not hasattr(condition, "ndim") or isinstance(condition, np.generic):
            condition = lib(a if hasattr(a, "ndim") else b).asarray(bool(condition))
        dtype = promote([a, b])
        if not hasattr(a, "ndim") and not hasattr(b, "ndim"):
            a = lib(condition).asarray(a, dtype)
        return [condition, *cast([a, b], dtype)]


def where(condition, a, b):
    """a where `condition` (bools) is true, else b. Only the chosen side gets a gradient.

    Shapes: condition, a, b broadcast.
    Raises: DTypeError if condition is not bool.
    """
    if getattr(condition, "dtype", bool_) is not bool_ and condition.dtype != bool_:
        raise DTypeError(f"where: condition must be bool, got {condition.dtype}; write x > 0 or x.bool()")
    return Where()(condition, a, b)


def _extremum_backward(beats):
    def backward(self, gy, a, b):
        gy = where(a == b, gy * 0.5, gy)  # a tie is shared; NaN passes the gradient to both: as in PyTorch
        return where(beats(b, a), 0, gy), where(beats(a, b), 0, gy)

    return backward


maximum = binary(
    "maximum",
    "the larger of a and b; a tie shares the gradient",
    lambda self, a, b: lib(a if hasattr(a, "ndim") else b).maximum(a, b),
    _extremum_backward(operator.gt),
)
minimum = binary(
    "minimum",
    "the smaller of a and b; a tie shares the gradient",
    lambda self, a, b: lib(a if hasattr(a, "ndim") else b).minimum(a, b),
    _extremum_backward(operator.lt),
)


class Clamp(Elementwise):
    """y = min(max(x, low), high), for numbers or None."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def dtype_rule(self, arrays):
        return promote([*arrays, *(n for n in (self.low, self.high) if n is not None)])

    def forward(self, x):
        xp = lib(x)
        y = x if self.low is None else xp.maximum(x, self.low)
        return y if self.high is None else xp.minimum(y, self.high)

    def backward(self, gy, x):
        if self.low is not None:
            gy = where(x >= self.low, gy, 0)
        return gy if self.high is None else where(x <= self.high, gy, 0)


def clamp(x, min=None, max=None):
    """x, moved into [min, max]. The gradient passes inside and on the borders.

    Args:   min, max - numbers, Variables that broadcast with x, or None for no border. max wins where min > max.
    Raises: TypeError if both are None.
    """
    if min is None and max is None:
        raise TypeError("clamp: give min, max or both")
    if not any(hasattr(limit, "ndim") and not isinstance(limit, np.generic) for limit in (min, max)):
        return Clamp(number(min), number(max))(x)
    if min is not None:
        x = where((x < min) | (min != min), min, x)  # NaN is handed on
    return x if max is None else where((x > max) | (max != max), max, x)


# --- comparisons and logic: bools, without gradients --------------------------------------------------------------


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
