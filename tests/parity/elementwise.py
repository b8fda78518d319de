"""Element by element: every function and method, with integers, numbers and keywords; in place; at ties, kinks, NaN."""

import numpy as np

rng = np.random.default_rng(1)
inf, nan = np.inf, np.nan
ARRAYS = {
    "r": rng.uniform(-0.9, 0.9, (3, 4)),
    "q": rng.uniform(0.1, 0.9, (3, 4)),
    "g": rng.uniform(1.1, 3, (3, 4)),
    "n": rng.integers(-5, 6, (3, 4)),
    "k": rng.integers(1, 6, 4),
    "byte": rng.integers(1, 100, (3, 4)).astype("u1"),
    "single": rng.normal(size=(3, 4)).astype("f4"),
    "halves": np.array([-2.5, -1.5, -0.5, -0.2, 0.5, 1.5, 2.5, 25.0, 35.0, 0.25]),
    "close": np.array([1.0, 1 + 1e-6, 1e-9, nan, inf, -inf, 1000]),
    "close2": np.array([1 + 1e-9, 1, 0, nan, inf, inf, 1000.02]),
    # each of 0, inf, NaN with each; and what lies at the ends of domains
    "first": np.array([0.0, 0, 0, 1, inf, inf, -inf, nan, 1, nan, 2, 2, -0.0, 0]),
    "second": np.array([0.0, 1, -1, 0, inf, -inf, -inf, 1, nan, nan, 2, 3, 0, nan]),
    "finite": np.array([0.0, -0.0, 1, -1, 2, 0.5]),
    "finite2": np.array([-1.0, 1, -2, 0, -0.0, 3]),
    "domain": np.array([nan, inf, -inf, 0, -0.0, 1, -1, 0.01, 0.99, 2]),
    "number": np.array([inf, -inf, 0, 1, 0.01, 0.99, 0.5, 2, -1]),
}

ANYWHERE = """sin cos sinh cosh tanh asinh arcsinh atan arctan exp exp2 expm1 sigmoid erf erfc sinc sign abs absolute
    relu neg negative square deg2rad rad2deg positive ceil floor round trunc fix frac nan_to_num"""
INSIDE = "tan asin arcsin acos arccos atanh arctanh erfinv"
POSITIVE = "log log2 log10 log1p sqrt rsqrt reciprocal"
ABOVE = "acosh arccosh"
NO_GRADIENT_IN_PLACE = "asinh arcsinh atanh arctanh acosh arccosh"  # in PyTorch
BOTH = "maximum minimum fmax fmin logaddexp logaddexp2 hypot atan2 arctan2 copysign sub subtract add mul multiply rsub"
OVER = "div divide true_divide remainder fmod"
COMPARE = """eq ne lt le gt ge not_equal less less_equal greater greater_equal logical_and logical_or logical_xor
    isclose allclose equal"""
BITS = "bitwise_and bitwise_or bitwise_xor"
SHIFTS = "bitwise_left_shift bitwise_right_shift"
ASKED = "isnan isinf isposinf isneginf isfinite signbit logical_not"

WITHOUT_INTEGERS = "relu frac erfinv acosh arccosh positive"  # relu: beyond; frac: PyTorch has none; domains
WITHOUT_METHOD = "rsub"
NOT_IN_PLACE = "positive maximum minimum fmax fmin logaddexp logaddexp2 rsub isclose allclose equal"


def calls(form, names, without=""):
    """One call of each name, as a line."""
    return " | ".join(form.format(name) for name in names.split() if name not in without.split()) + "\n"


CALLS = (
    calls("lib.{}(a)", ANYWHERE)
    + calls("lib.{}(r)", INSIDE)
    + calls("lib.{}(p)", POSITIVE)
    + calls("lib.{}(g)", ABOVE)
    + calls("lib.{}(a, b)", BOTH)
    + calls("lib.{}(a, v)", BOTH)
    + calls("lib.{}(a, g)", OVER)
    + calls("lib.{}(a, b)", COMPARE)
    + calls("lib.{}(n, k)", BOTH, "hypot logaddexp logaddexp2")
    + calls("lib.{}(n, k)", OVER + " floor_divide " + COMPARE + " " + BITS + " " + SHIFTS)
    + calls("lib.{}(m, m)", COMPARE + " " + BITS, "isclose allclose")
    + calls("lib.{}(byte, 3)", "add sub mul div remainder fmod floor_divide bitwise_and bitwise_left_shift eq lt pow")
    + calls("lib.{}(n)", ANYWHERE, WITHOUT_INTEGERS)
    + calls("lib.{}(k)", POSITIVE + " acosh acos tan")
    + calls("lib.{}(m)", "sin exp sigmoid sinc sign square nan_to_num isnan signbit logical_not bitwise_not")
    + calls("lib.{}(single, b)", "add maximum fmax hypot xlogy")
    + calls("lib.{}(single)", "exp2 atan sinc erfc frac rsqrt square")
    + calls("lib.{}(odd)", ASKED)
    + calls("lib.{}(n)", ASKED + " bitwise_not")
    + """
lib.div(n, k, rounding_mode="floor") | lib.div(n, k, rounding_mode="trunc") | lib.divide(a, p, rounding_mode="floor")
lib.add(input=a, other=b, alpha=0.5) | lib.add(n, k, alpha=2) | lib.rsub(a, b, alpha=3) | lib.rsub(a, 2)
lib.rsub(n, 2) | lib.pow(n, 2) | lib.pow(2, k) | lib.pow(p, 2.5) | lib.pow(input=p, exponent=b) | lib.pow(k, 0.5)
lib.fmod(a, 0.3) | lib.fmod(n, 2) | lib.fmod(n, 1.5) | lib.fmod(a, -p) | lib.remainder(n, -2) | lib.floor_divide(n, 2)
lib.floor_divide(n, -2) | lib.floor_divide(n, 1.5) | lib.addcmul(a, b, v) | lib.addcmul(a, b, p, value=0.3)
lib.addcmul(n, n, k, value=2) | lib.addcmul(a, n, b) | lib.addcdiv(a, b, p) | lib.addcdiv(a, v, p, value=-2)
lib.addcmul(input=a, tensor1=b, tensor2=p, value=2) | lib.lerp(a, b, 0.3) | lib.lerp(a, b, 0.7) | lib.lerp(a, b, q)
lib.lerp(a, v, b) | lib.lerp(input=a, end=b, weight=2.0) | lib.lerp(a, b, 1) | lib.copysign(a, -1)
lib.copysign(n, 2.0) | lib.xlogy(a, p) | lib.xlogy(2.0, p) | lib.xlogy(a, 0.5) | lib.xlogy(n, k) | lib.xlogy(2, k)
lib.logit(q) | lib.logit(r, 0.1) | lib.logit(q, eps=0.3) | lib.erfinv(m) | lib.round(a * 10, decimals=1)
lib.round(input=a * 100, decimals=-1) | lib.round(a, decimals=3) | lib.nan_to_num(a, nan=1.0)
lib.nan_to_num(odd, 1.0, 2.0, -2.0) | lib.nan_to_num(odd, posinf=5) | lib.nan_to_num(n, nan=3.0)
lib.clamp_min(a, 0.1) | lib.clamp_max(a, 0.1) | lib.clamp_min(a, b) | lib.clamp_max(a, max=v) | lib.clamp_min(n, 0)
lib.clamp_min(n, 0.5) | lib.clip(a, -0.5, 0.5) | lib.clip(a, max=b) | lib.clamp(n, -1, 2) | lib.clamp(n, 0.5)
lib.clamp(input=n, max=2, min=1) | lib.clamp(n, k) | lib.where(m) | lib.where(n) | lib.where(a[0, 0])
lib.where(condition=m, input=a, other=b) | lib.where(m, n, 1.5) | lib.where(m, 1, 2.5) | lib.where(m, n, a)
lib.isclose(close, close2) | lib.isclose(close, close2, equal_nan=True) | lib.isclose(close, close2, 1e-4)
lib.isclose(close, close2, rtol=0.0, atol=1e-5) | lib.isclose(n, n + 1) | lib.allclose(p, p + 1e-9)
lib.allclose(close, close, equal_nan=True) | lib.allclose(close, close) | lib.allclose(n, n)
lib.allclose(p, p, 0.0, 0.0) | lib.equal(a, a) | lib.equal(a, v) | lib.equal(n, n.double()) | lib.equal(close, close)
lib.equal(none, none) | lib.bitwise_and(n, 3) | lib.bitwise_or(n, True) | lib.bitwise_xor(m, m[0])
lib.bitwise_left_shift(n, 1) | lib.bitwise_right_shift(byte, 2) | lib.eq(n, 2.0) | lib.lt(n, a)
lib.logical_and(a, n) | lib.logical_xor(n, m) | lib.logical_or(odd, odd2) | lib.sign(byte) | lib.abs(n)
lib.neg(byte) | lib.true_divide(n, 2) | lib.atan2(n, k) | lib.hypot(a, n) | lib.logaddexp(a, n) | lib.fmax(n, a)
lib.sub(n, 2.5) | lib.mul(m, 2) | lib.add(m, m)
"""
)

METHODS = (
    calls("a.{}()", ANYWHERE)
    + calls("r.{}()", INSIDE)
    + calls("p.{}()", POSITIVE)
    + calls("g.{}()", ABOVE)
    + calls("a.{}(b)", BOTH + " " + COMPARE, WITHOUT_METHOD)
    + calls("a.{}(g)", OVER)
    + calls("n.{}(k)", BITS + " " + SHIFTS + " floor_divide")
    + calls("odd.{}()", ASKED)
    + calls("(a * 1).{}_()", ANYWHERE, NOT_IN_PLACE + " " + NO_GRADIENT_IN_PLACE)
    + calls("(r * 1).{}_()", INSIDE, NO_GRADIENT_IN_PLACE)
    + calls("(p * 1).{}_()", POSITIVE)
    + calls("p.log().detach().{}_()", "asinh arcsinh")
    + calls("r.detach().clone().{}_()", "atanh arctanh")
    + calls("g.detach().clone().{}_()", ABOVE)
    + calls("(a * 1).{}_(b)", BOTH, NOT_IN_PLACE)
    + calls("(a * 1).{}_(g)", OVER)
    + calls("a.detach().clone().{}_(b.detach())", COMPARE, NOT_IN_PLACE)
    + calls("n.clone().{}_(k)", BITS + " " + SHIFTS + " floor_divide remainder fmod")
    + """
a.logit(0.1) | q.logit() | a.xlogy(p) | a.xlogy(0.5) | a.lerp(b, 0.3) | a.lerp(b, q) | a.addcmul(b, v, value=2)
a.addcdiv(b, p) | a.clip(0, 1) | a.clip(min=b) | a.clamp_min(0) | a.clamp_max(b) | a.round(decimals=1)
a.nan_to_num(nan=1.0) | a.copysign(-1) | p.pow(2.5) | n.pow(2) | n.bitwise_not() | a.div(p, rounding_mode="trunc")
a.where(m, b) | a.where(a > 0, 0.5) | a.isclose(b, rtol=1.0) | a.allclose(b, atol=9.0) | a.add(b, alpha=2)
(a * 1).logit_(0.1) | (a * 1).xlogy_(p) | (a * 1).lerp_(b, 0.3) | (a * 1).addcmul_(b, v, value=2) | (p * 1).pow_(b)
(a * 1).addcdiv_(b, p) | (a * 1).clip_(0, 1) | (a * 1).clamp_(min=b) | (a * 1).clamp_min_(0) | (a * 1).clamp_max_(b)
(a * 1).round_(decimals=1) | (a * 1).nan_to_num_(nan=1.0) | n.clone().bitwise_not_() | m.clone().logical_not_()
(a * 1).div_(p, rounding_mode="floor") | (a * 1).add_(b, alpha=2) | (a * 1).mul_(2) | n.clone().mul_(2) | n << 1
1 << k | n >> k | 20 >> k | n & 3 | m ^ True | n // k | n % k | n // 2 | n / k | 7 // k | 7 % k | n**2 | 2**k
a.detach().clone().logical_not_() | (a * 1).fmod_(0.3) | (a * 1).remainder_(0.3) | (a * 1).copysign_(-1)
"""
)

EDGES = (
    calls(
        "lib.{}(domain)",
        ANYWHERE + " tan " + INSIDE + " " + POSITIVE + " " + ABOVE,
        "relu abs absolute nan_to_num sign",
    )
    + calls("lib.{}(number)", "abs sign relu")
    + calls("lib.{}(first, second)", BOTH + " remainder fmod xlogy isclose", "copysign div")
    + calls("lib.{}(finite, finite2)", BOTH + " remainder fmod xlogy div")
    + calls("lib.{}(tie, tie2)", "fmax fmin maximum minimum eq ne le isclose")
    + calls("lib.{}(halves)", "round ceil floor trunc frac fix")
    + calls("lib.{}(first, second)", "eq ne lt le gt ge logical_and logical_or logical_xor")
    + calls("lib.{}(huge)", "exp2 sinh cosh asinh atan erfc sinc")
    + """
lib.round(halves, decimals=1) | lib.round(halves, decimals=-1) | lib.logit(number) | lib.logit(number, 0.01)
lib.nan_to_num(odd) | lib.nan_to_num(odd, nan=float("nan"), posinf=7) | lib.nan_to_num(odd.float())
lib.xlogy(0.0, second) | lib.xlogy(first, 0.0) | lib.addcdiv(finite, finite2, zero) | lib.addcmul(odd, odd2, zero)
lib.lerp(first, second, 0.3) | lib.lerp(first, second, second) | lib.clamp_min(zero, low) | lib.clamp_max(zero, low)
lib.clamp(low, zero, zero) | lib.clamp(zero, low, -low) | lib.clamp_min(odd, odd2)
lib.clamp_min(zero, 0) | lib.clamp_max(zero, 0.0) | lib.clamp_min(odd, 0) | lib.clamp_max(odd, 0)
lib.hypot(huge * 1e300, huge) | lib.logaddexp(huge, -huge) | lib.logaddexp2(huge, huge)
lib.div(zero, low, rounding_mode="trunc") | lib.div(zero, zero, rounding_mode="floor") | lib.fmod(odd, 2.0)
lib.fmod(low, 0.7) | lib.fmod(low, -0.7) | lib.rsub(odd, odd2) | lib.copysign(zero, low)
lib.copysign(odd[:1], 1.0).detach() | lib.reciprocal(zero) | lib.rsqrt(base) | lib.square(odd) | lib.erfinv(number)
lib.pow(zero, 3) | lib.pow(low, 3) | lib.isclose(odd, odd2)
"""
)

EMPTY = (
    calls("lib.{}(none)", ANYWHERE + " " + INSIDE + " " + POSITIVE + " " + ABOVE + " " + ASKED)
    + calls("lib.{}(none, none)", BOTH + " " + OVER + " " + COMPARE)
    + calls("lib.{}(scalar)", ANYWHERE + " " + INSIDE + " " + POSITIVE + " " + ASKED)
    + calls("lib.{}(scalar, scalar)", BOTH + " " + OVER + " " + COMPARE)
    + calls("lib.{}(scalar, a)", BOTH + " " + COMPARE, "allclose")
    + """
lib.addcmul(none, none, none) | lib.addcdiv(none, none, none, value=2) | lib.lerp(none, none, 0.5)
lib.where(none > 0) | lib.lerp(none, none, none) | lib.logit(none) | lib.xlogy(none, 2.0) | lib.nan_to_num(none)
lib.round(none, decimals=1) | lib.clamp_min(none, 0) | lib.clamp_max(none, none) | lib.where(scalar > 0)
lib.where(scalar < 0) | lib.logit(scalar) | lib.lerp(scalar, scalar, 0.2) | lib.lerp(a, scalar, scalar)
lib.addcmul(scalar, a, b) | lib.equal(none, cols)
"""
)
