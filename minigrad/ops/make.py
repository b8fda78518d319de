"""Elementwise operations in one line each: `unary` and `binary` make an operation from two formulas."""

from ..dtypes import promote, promote_float
from ..errors import ShapeError
from ..tape.function import Function


class Elementwise(Function):
    """An operation on broadcast operands; its message for shapes that do not fit."""

    dtype_rule = staticmethod(promote)

    def check(self, *arrays):
        shapes = [getattr(a, "shape", ()) for a in arrays]
        for axis in range(1, max(map(len, shapes), default=0) + 1):
            sizes = sorted({s[-axis] for s in shapes if len(s) >= axis and s[-axis] != 1})
            if len(sizes) > 1:
                raise ShapeError(
                    f"{self.name}: shapes {' and '.join(map(str, shapes))} do not broadcast: "
                    f"axis -{axis} is {' and '.join(map(str, sizes))}, and must be equal or 1"
                )


def unary(name, formula, forward, backward, rule=promote_float):
    """An operation of one operand: forward(self, x), backward(self, gy[, x][, y]). By default integers become floats."""
    cls = _function(name, formula, forward, backward, rule)

    def operation(x):
        return cls()(x)

    return _described(operation, name, formula)


def binary(name, formula, forward, backward, rule=promote):
    """An operation of two operands: forward(self, a, b), backward(self, gy[, a][, b][, y])."""
    cls = _function(name, formula, forward, backward, rule)

    def operation(a, b):
        return cls()(a, b)

    return _described(operation, name, formula)


def _function(name, formula, forward, backward, rule):
    body = {"__doc__": f"y = {formula}.", "__module__": forward.__module__, "name": name}
    body |= {"forward": forward, "backward": backward, "dtype_rule": staticmethod(rule)}
    return type(name.title().replace("_", ""), (Elementwise,), body)


def _described(operation, name, formula):
    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{formula}, element by element."
    return operation
