"""Element by element."""

import math
from statistics import NormalDist

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.protocols import Move

from .row import E, Row, positive, rng


def inside(*shape):
    """Values in (-1, 1), away from its ends and from 0."""
    return rng.uniform(0.1, 0.9, shape) * rng.choice([-1, 1], shape)


def each(function):
    return np.vectorize(function, otypes=[float])


ROWS = [
    E("add", lambda a, b: a + b, np.add, (3, 4), (3, 4)),
    E("sub", lambda a, b: a - b, np.subtract, (3, 4), (3, 4)),
    E("mul", lambda a, b: a * b, np.multiply, (3, 4), (3, 4)),
    E("div", lambda a, b: a / b, np.divide, (3, 4), positive(3, 4)),
    E("add alpha", lambda a, b: mg.add(a, b, alpha=2), lambda a, b: a + 2 * b, (3, 4), (3, 4)),
    E("sub alpha", lambda a, b: mg.sub(a, b, alpha=0.5), lambda a, b: a - 0.5 * b, (3, 4), (3, 4)),
    E(
        "div floor",
        lambda a, b: a * mg.div(a, b, rounding_mode="floor") + a * b,
        lambda a, b: a * (a // b) + a * b,
        (3, 4),
        positive(3, 4),
    ),
    E(
        "div trunc",
        lambda a, b: a * mg.div(a, b, rounding_mode="trunc") + a * b,
        lambda a, b: a * np.trunc(a / b) + a * b,
        (3, 4),
        positive(3, 4),
    ),
    E("remainder", lambda a, b: a % b, np.remainder, (3, 4), positive(3, 4)),
    E("add number", lambda a: 2.5 + a + 1, lambda a: a + 3.5),
    E("sub from number", lambda a: 2.5 - a, lambda a: 2.5 - a),
    E("mul number", lambda a: a * -3, lambda a: a * -3),
    E("number div", lambda a: 2 / a, lambda a: 2 / a, positive(3, 4)),
    E("pow", lambda a, b: a**b, np.power, positive(3, 4), (3, 4)),
    E("pow number", lambda a: a**3, lambda a: a**3),
    E("pow 0", lambda a: a**0 + a, lambda a: 1 + a),
    E("pow root", lambda a: a**0.5, np.sqrt, positive(3, 4)),
    E("number pow", lambda a: 2.0**a, lambda a: 2.0**a),
    E("neg", mg.neg, np.negative),
    E("abs", mg.abs, np.abs),
    E("sign", lambda a: mg.sign(a) * a, np.abs),
    E("exp", mg.exp, np.exp),
    E("expm1", mg.expm1, np.expm1),
    E("log", mg.log, np.log, positive(3, 4)),
    E("log1p", mg.log1p, np.log1p, positive(3, 4)),
    E("sqrt", mg.sqrt, np.sqrt, positive(3, 4)),
    E("sin", mg.sin, np.sin),
    E("cos", mg.cos, np.cos),
    E("tanh", mg.tanh, np.tanh),
    E("sigmoid", mg.sigmoid, lambda a: 1 / (1 + np.exp(-a))),
    E("softplus", F.softplus, lambda a: np.log1p(np.exp(a))),
    E("erf", mg.erf, np.vectorize(math.erf, otypes=[float])),
    E("relu", mg.relu, lambda a: np.maximum(a, 0)),
    E("leaky_relu", lambda a: F.leaky_relu(a, 0.2), lambda a: np.where(a > 0, a, 0.2 * a)),
    E("gelu", F.gelu, lambda a: a * (1 + np.vectorize(math.erf, otypes=[float])(a / math.sqrt(2))) / 2),
    E(
        "gelu tanh",
        lambda a: F.gelu(a, approximate="tanh"),
        lambda a: a * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))),
    ),
    E("maximum", mg.maximum, np.maximum, (3, 4), rng.uniform(-2, 2, (3, 4))),
    E("minimum", mg.minimum, np.minimum, (3, 4), rng.uniform(-2, 2, (3, 4))),
    E("where", lambda a, b: mg.where(a > b, a * a, b), lambda a, b: np.where(a > b, a * a, b), (3, 4), positive(3, 4)),
    E("where zero", lambda a: mg.where(a > 0, a * a, 0), lambda a: np.where(a > 0, a * a, 0)),
    E("clamp", lambda a: mg.clamp(a, -1, 1.001), lambda a: np.clip(a, -1, 1.001)),
    E("clamp min", lambda a: mg.clamp(a, min=-0.51), lambda a: np.maximum(a, -0.51)),
    Row("clamp by tensors", lambda a, b: mg.clamp(a, b, b + 1), ((3, 4), (4,)), lambda a, b: np.clip(a, b, b + 1)),
    Row("move", lambda x: Move(mg.device("cpu"))(x) * 1, ((3, 4),), lambda x: x),
    # roots, powers and logarithms
    E("exp2", mg.exp2, np.exp2),
    E("log2", mg.log2, np.log2, positive(3, 4)),
    E("log10", mg.log10, np.log10, positive(3, 4)),
    E("rsqrt", mg.rsqrt, lambda a: a**-0.5, positive(3, 4)),
    E("square", mg.square, np.square),
    E("reciprocal", mg.reciprocal, np.reciprocal, positive(3, 4)),
    # circular and hyperbolic
    E("tan", mg.tan, np.tan, inside(3, 4)),
    E("asin", mg.asin, np.arcsin, inside(3, 4)),
    E("acos", mg.acos, np.arccos, inside(3, 4)),
    E("atan", mg.atan, np.arctan),
    E("sinh", mg.sinh, np.sinh),
    E("cosh", mg.cosh, np.cosh),
    E("asinh", mg.asinh, np.arcsinh),
    E("acosh", mg.acosh, np.arccosh, positive(3, 4) + 1),
    E("atanh", mg.atanh, np.arctanh, inside(3, 4)),
    E("deg2rad", lambda a: mg.deg2rad(a) * a, lambda a: np.deg2rad(a) * a),
    E("rad2deg", lambda a: mg.rad2deg(a) * a, lambda a: np.rad2deg(a) * a),
    E("atan2", mg.atan2, np.arctan2, (3, 4), positive(3, 4)),
    E("hypot", mg.hypot, np.hypot, (3, 4), positive(3, 4)),
    # special functions
    E("erfc", mg.erfc, each(math.erfc)),
    E("erfinv", mg.erfinv, each(lambda a: NormalDist().inv_cdf((a + 1) / 2) / math.sqrt(2)), inside(3, 4)),
    E("erfinv tails", mg.erfinv, each(lambda a: NormalDist().inv_cdf((a + 1) / 2) / math.sqrt(2)), [-0.995, 0.93]),
    E("sinc", mg.sinc, np.sinc),
    E("sinc near 0", mg.sinc, np.sinc, [0.0, 1e-3, -0.02, 0.4, 0.999, 1.001]),
    E("logit", mg.logit, lambda a: np.log(a / (1 - a)), abs(inside(3, 4))),
    E("logit eps", lambda a: mg.logit(a, 0.2), lambda a: np.log(1 / (1 / np.clip(a, 0.2, 0.8) - 1)), abs(inside(3, 4))),
    E("xlogy", mg.xlogy, lambda a, b: a * np.log(b), (3, 4), positive(3, 4)),
    E("xlogy number", lambda a: mg.xlogy(2.5, a), lambda a: 2.5 * np.log(a), positive(3, 4)),
    E("xlogy by number", lambda a: mg.xlogy(a, 2.5) * a, lambda a: a * a * np.log(2.5)),
    E("logaddexp", mg.logaddexp, np.logaddexp, (3, 4), (3, 4)),
    E("logaddexp2", mg.logaddexp2, np.logaddexp2, (3, 4), rng.uniform(-2, 2, (3, 4))),
    # rounding and remainders
    E("ceil", lambda a: mg.ceil(a) * a, lambda a: np.ceil(a) * a),
    E("floor", lambda a: mg.floor(a) * a, lambda a: np.floor(a) * a),
    E("round", lambda a: mg.round(a) * a, lambda a: np.round(a) * a),
    E("round decimals", lambda a: mg.round(a, decimals=1) * a, lambda a: np.round(a, 1) * a),
    E("round tens", lambda a: mg.round(a * 17, decimals=-1) * a, lambda a: np.round(a * 17, -1) * a),
    E("trunc", lambda a: mg.trunc(a) * a, lambda a: np.trunc(a) * a),
    E("frac", lambda a: mg.frac(a) * a, lambda a: (a - np.trunc(a)) * a),
    E("fmod", mg.fmod, np.fmod, (3, 4), positive(3, 4)),
    E("fmod number", lambda a: mg.fmod(a, -0.7) * a, lambda a: np.fmod(a, -0.7) * a),
    # choices and signs
    E("fmax", mg.fmax, np.fmax, (3, 4), rng.uniform(-2, 2, (3, 4))),
    E("fmin", mg.fmin, np.fmin, (3, 4), rng.uniform(-2, 2, (3, 4))),
    E("clamp_min", lambda a: mg.clamp_min(a, -0.51), lambda a: np.maximum(a, -0.51)),
    E("clamp_max", mg.clamp_max, np.minimum, (3, 4), rng.uniform(-2, 2, (3, 4))),
    E("nan_to_num", lambda a: mg.nan_to_num(a) * a, lambda a: a * a),
    E("copysign", lambda a, b: mg.copysign(a, b) * a, lambda a, b: np.copysign(a, b) * a, (3, 4), (3, 4)),
    E("positive", lambda a: mg.positive(a) * 1, lambda a: a),
    # sums of several
    E("rsub", lambda a, b: mg.rsub(a, b, alpha=2), lambda a, b: b - 2 * a, (3, 4), (3, 4)),
    E("addcmul", mg.addcmul, lambda a, b, c: a + b * c, (3, 4), (3, 4), (3, 4)),
    Row("addcmul value", lambda *x: mg.addcmul(*x, value=0.3), ((3, 4), (4,), (3, 1)), lambda a, b, c: a + 0.3 * b * c),
    E("addcdiv", mg.addcdiv, lambda a, b, c: a + b / c, (3, 4), (3, 4), positive(3, 4)),
    Row(
        "addcdiv value",
        lambda *x: mg.addcdiv(*x, value=2),
        ((3, 4), (4,), positive(3, 1)),
        lambda a, b, c: a + 2 * b / c,
    ),
    E("lerp", mg.lerp, lambda a, b, w: a + w * (b - a), (3, 4), (3, 4), (3, 4)),
    E("lerp number", lambda a, b: mg.lerp(a, b, 0.2) * a, lambda a, b: (a + 0.2 * (b - a)) * a, (3, 4), (3, 4)),
    E("lerp far", lambda a, b: mg.lerp(a, b, 0.8) * a, lambda a, b: (a + 0.8 * (b - a)) * a, (3, 4), (3, 4)),
]
