"""Elementwise operations as one launch each, where the plain formula takes several, in the order of the memory."""

from typing import NamedTuple

import cupy


class Fused(NamedTuple):
    """C++ expressions in x, y, gy and a number of the operation, all of type A: T, but float for half precision.

    `saved` is what backward names: "x" or "y".
    """

    forward: str
    saved: str
    backward: str
    number: str | None = None


_SIGMOID = "(x >= 0 ? A(1) : exp(-fabs(x))) / (A(1) + exp(-fabs(x)))"  # at most 1 is added: no overflow
_BELOW = "erfc(x * A(-0.7071067811865476)) * A(0.5)"  # P(X < x) for a standard normal X, exact in its tail

# Operation -> its expressions. The formulas are those of ops/elementwise.py and ops/activation.py. Integers come to
# the forward expressions of abs and relu alone.
ELEMENTWISE = {
    "exp": Fused("exp(x)", "y", "gy * y"),
    "expm1": Fused("expm1(x)", "y", "gy * (y + A(1))"),
    "log": Fused("log(x)", "x", "gy / x"),
    "log1p": Fused("log1p(x)", "x", "gy / (x + A(1))"),
    "sqrt": Fused("sqrt(x)", "y", "gy / (y + y)"),
    "sin": Fused("sin(x)", "x", "gy * cos(x)"),
    "cos": Fused("cos(x)", "x", "-(gy * sin(x))"),
    "tanh": Fused("tanh(x)", "y", "gy * (A(1) - y * y)"),
    "sigmoid": Fused(_SIGMOID, "y", "gy * (A(1) - y) * y"),
    "erf": Fused("erf(x)", "x", "gy * A(1.1283791670955126) * exp(-(x * x))"),  # 2 / sqrt(pi)
    "erfc": Fused("erfc(x)", "x", "-(gy * A(1.1283791670955126) * exp(-(x * x)))"),
    "erfinv": Fused("erfinv(x)", "y", "gy * A(0.886226925452758) * exp(y * y)"),  # sqrt(pi) / 2
    "softplus": Fused("(x > 0 || x != x ? x : A(0)) + log1p(exp(-fabs(x)))", "x", f"gy * ({_SIGMOID})"),
    "abs": Fused("x < 0 ? -x : x + A(0)", "x", "x > 0 ? gy : x < 0 ? -gy : gy * A(0)"),
    "relu": Fused("x > 0 || x != x ? x : A(0)", "y", "y != 0 ? gy : A(0)"),
    "leaky_relu": Fused("x > 0 ? x : x * A(slope)", "x", "x > 0 ? gy : gy * A(slope)", "slope"),
    "gelu": Fused(
        f"x * {_BELOW}",
        "x",
        f"gy * ({_BELOW} + x * exp(x * x * A(-0.5)) * A(0.3989422804014327))",  # 1 / sqrt(2 pi)
    ),
}

_PREAMBLE = """
template <typename X> struct Acc { typedef X type; };
template <> struct Acc<float16> { typedef float type; };
"""


class Kernel(cupy.ElementwiseKernel):  # type: ignore[misc] # where CuPy is not installed, it is Any
    """An ElementwiseKernel that goes through arrays as they lie in memory, and whose result lies as its last array.

    CuPy's own calls go through arrays in the order of their axes, and lay the result out so: images, which lie as
    (c, h, w, n) under other axes, would be read with long strides, and copied by the next convolution.
    """

    def __call__(self, *operands):
        last = [x for x in operands if isinstance(x, cupy.ndarray)][-1]
        if last.flags.c_contiguous:
            return super().__call__(*operands)
        order = sorted(range(last.ndim), key=lambda axis: -last.strides[axis])
        inverse = sorted(range(last.ndim), key=order.__getitem__)
        moved = [x.transpose(*order) if isinstance(x, cupy.ndarray) else x for x in operands]
        return super().__call__(*moved).transpose(*inverse)


def _kernel(name, inputs, out, expression, number):
    params = [f"T {v}_" for v in inputs] + ([f"float64 {number}"] if number else [])
    body = "typedef Acc<T>::type A; " + " ".join(f"const A {v} = (A){v}_;" for v in inputs)
    operation = f"{body} {out} = (T)({expression});"
    return Kernel(", ".join(params), f"T {out}", operation, f"minigrad_{name}", preamble=_PREAMBLE)


def kernels() -> dict:
    """Operation -> (forward(x[, number]), backward(gy, saved[, number])), as kernels of CuPy."""
    return {
        name: (
            _kernel(name, ["x"], "y", forward, number),
            _kernel(f"{name}_backward", ["gy", saved], "gx", backward, number),
        )
        for name, (forward, saved, backward, number) in ELEMENTWISE.items()
    }


def forward(name):
    """A method of the backend: the kernel of an operation, for arrays."""
    return lambda self, x: self.elementwise[name][0](x)
