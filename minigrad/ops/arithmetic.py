"""Arithmetic, element by element: sums, products, quotients and their remainders, powers, and some sums of three.

Each `binary` gives: name, formula, forward on arrays, gradient. The gradient names what it needs after gy (a, b, or
the output y), and may be a formula of Variables as well; the engine undoes broadcasting.
"""

import math

from ..dtypes import bool_, float32, number, promote, promote_float
from ..errors import DTypeError
from ..tape.modes import regions
from ..tape.variable import as_array, raw
from .autocast import is_half, wide
from .choose import by_name, where
from .compare import floor_divide
from .elementwise import log, sign
from .make import Elementwise, binary, lib, unary
from .rounding import flat

__all__ = ["add", "sub", "subtract", "rsub", "mul", "multiply", "div", "divide", "true_divide", "neg", "negative"]
__all__ += ["positive", "remainder", "fmod", "pow", "copysign", "addcmul", "addcdiv", "lerp"]


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


def _fmod_backward(self, gy, a, b):
    return gy, None if self.wants[1] is None else -gy * _cut(a, b)


def _both_flat(self, gy):
    return flat(self, gy), flat(self, gy)


def _division_rule(operands):
    """`promote_float`; but number / x is a multiple of x's reciprocal, which autocast has in float32."""
    dividend, divisor = operands
    if regions and not hasattr(dividend, "dtype") and is_half(divisor):
        return float32
    return promote_float(operands)


plus = binary("add", "a + b", lambda self, a, b: a + b, lambda self, gy: (gy, gy))
minus = binary("sub", "a - b", lambda self, a, b: a - b, _sub_backward)
mul = multiply = binary("mul", "a * b", lambda self, a, b: a * b, _mul_backward, serves={0: 1, 1: 0})
quotient = true_divide = binary(
    "div", "a / b; floats also from integers", lambda self, a, b: a / b, _div_backward, _division_rule, {-1: 1}
)
remainder = binary("remainder", "a - b floor(a / b), which has b's sign", lambda self, a, b: a % b, _remainder_backward)
fmod = binary("fmod", "a - b trunc(a / b), which has a's sign", by_name("fmod"), _fmod_backward)
# At inf and NaN the gradient is that of abs, 1 and 0, where PyTorch has NaN.
copysign = binary(
    "copysign",
    "a with the sign of b; gradient 0 for b, and at a = 0",
    by_name("copysign"),
    lambda self, gy, a, y: (gy * (sign(a) * sign(y)), flat(self, gy)),
    promote_float,
)
neg = negative = unary("neg", "-x", lambda self, x: -x, lambda self, gy: -gy, promote)


def _truncated(self, a, b):
    y = a / b
    y = lib(y).trunc(y)
    dtype = a.dtype if hasattr(a, "dtype") else b.dtype
    if dtype.kind != "f" and (isinstance(a, float) or isinstance(b, float)):
        return y  # integers and a decimal number: floats, as the dtype rule will have it
    return y.astype(dtype, copy=False)


_floored = binary("div", "floor(a / b)", lambda self, a, b: a // b, _both_flat)
_cut = binary("div", "a / b without its fraction", _truncated, _both_flat)


def add(input, other, *, alpha=1):
    """input + alpha * other, element by element."""
    return plus(input, other if alpha == 1 else mul(other, alpha))


def sub(input, other, *, alpha=1):
    """input - alpha * other, element by element."""
    return minus(input, other if alpha == 1 else mul(other, alpha))


subtract = sub


def rsub(input, other, *, alpha=1):
    """other - alpha * input, element by element."""
    return sub(other, input, alpha=alpha)


def div(input, other, *, rounding_mode=None):
    """input / other, element by element; floats also from integers.

    Args: rounding_mode - None, "floor" (down) or "trunc" (towards 0): the gradient is then 0, and integers stay.
    """
    try:
        return {None: quotient, "floor": _floored, "trunc": _cut}[rounding_mode](input, other)
    except KeyError:
        raise ValueError(f'div: rounding_mode must be None, "floor" or "trunc", got {rounding_mode!r}') from None


divide = div


def positive(input):
    """input itself. Raises: DTypeError for bools, which have no sign."""
    if getattr(raw(input), "dtype", None) == bool_:
        raise DTypeError("positive: expected numbers, got bool; write x.int()")
    return input


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


def pow(input, exponent):
    """input ** exponent. Gradients at input = 0 and at exponent = 0 are PyTorch's: 0 where the limit is."""
    a, b = number(input), number(exponent)
    if regions:
        a, b = wide(a), wide(b)
    if isinstance(b, (int, float)):
        return PowNumber(b)(a)
    if isinstance(a, (int, float)):
        return NumberPow(a)(b)
    a, b = (as_array(x) if isinstance(x, (list, tuple)) else x for x in (a, b))
    return Pow()(a, b)


# --- of three operands -------------------------------------------------------------------------------------------


class AddCMul(Elementwise):
    """y = input + value a b."""

    name = "addcmul"
    serves = {1: 2, 2: 1}

    def __init__(self, value):
        self.value = value

    def dtype_rule(self, arrays):
        return promote([*arrays, self.value])

    def forward(self, input, a, b):
        return input + (a * b if self.value == 1 else a * b * self.value)

    def backward(self, gy, a, b):
        _, wants_a, wants_b = self.wants
        g = gy if self.value == 1 else gy * self.value
        return gy, None if wants_a is None else g * b, None if wants_b is None else g * a


class AddCDiv(Elementwise):
    """y = input + value a / b."""

    name = "addcdiv"
    serves = {1: 2}

    def __init__(self, value):
        self.value = value

    dtype_rule = staticmethod(promote_float)

    def forward(self, input, a, b):
        return input + (a / b if self.value == 1 else a / b * self.value)

    def backward(self, gy, a, b):
        g = gy / b if self.value == 1 else gy / b * self.value
        return gy, g, None if self.wants[2] is None else -(g * (a / b))


class Lerp(Elementwise):
    """y = a + weight (b - a), exact at both ends."""

    dtype_rule = staticmethod(promote)
    serves = {0: 2, 1: 2}

    def forward(self, a, b, weight):
        if not hasattr(weight, "ndim"):
            return a + (b - a) * weight if abs(weight) < 0.5 else b - (b - a) * (1 - weight)
        step = b - a
        return lib(weight).where(abs(weight) < 0.5, a + step * weight, b - step * (1 - weight))

    def backward(self, gy, a, b, weight):
        return gy * (1 - weight), gy * weight, None if self.wants[2] is None else gy * (b - a)


def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 * tensor2, element by element."""
    return AddCMul(number(value))(input, tensor1, tensor2)


def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 / tensor2, element by element; floats also from integers."""
    return AddCDiv(number(value))(input, tensor1, tensor2)


def lerp(input, end, weight):
    """input + weight * (end - input), element by element: input at weight 0, end at weight 1.

    Args: weight - a number or a Variable.
    """
    return Lerp()(input, end, number(weight))
