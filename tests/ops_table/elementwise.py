"""Element by element."""

import math

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.protocols import Move

from .row import E, Row, positive, rng

ROWS = [
    E("add", lambda a, b: a + b, np.add, (3, 4), (3, 4)),
    E("sub", lambda a, b: a - b, np.subtract, (3, 4), (3, 4)),
    E("mul", lambda a, b: a * b, np.multiply, (3, 4), (3, 4)),
    E("div", lambda a, b: a / b, np.divide, (3, 4), positive(3, 4)),
    E("add alpha", lambda a, b: mg.add(a, b, alpha=2), lambda a, b: a + 2 * b, (3, 4), (3, 4)),
    E("sub alpha", lambda a, b: mg.sub(a, b, alpha=0.5), lambda a, b: a - 0.5 * b, (3, 4), (3, 4)),
    E(
        "div floor",
        lambda a, b: a * mg.div(a, b, rounding_mode="floor"),
        lambda a, b: a * (a // b),
        (3, 4),
        positive(3, 4),
    ),
    E(
        "div trunc",
        lambda a, b: a * mg.div(a, b, rounding_mode="trunc"),
        lambda a, b: a * np.trunc(a / b),
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
]
