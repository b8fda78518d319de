"""Borders around a tensor: filled with a value, reflected, repeated, or wrapped around."""

from ..backend import backend
from ..errors import ShapeError
from ..tape.function import Function


class Pad(Function):
    """y = x with borders of `value`; widths are ((before, after), ...) for every axis."""

    def __init__(self, widths, value):
        self.widths, self.value = widths, value

    def forward(self, x):
        shape = tuple(n + a + b for n, (a, b) in zip(x.shape, self.widths, strict=True))
        y = backend[type(x)].xp.full(shape, self.value, x.dtype)
        y[self.inside(x.shape)] = x
        self.full = x.shape
        return y

    def backward(self, gy):
        return gy[self.inside(self.full)]

    def inside(self, shape):
        """Where x lies in the padded array."""
        return tuple(slice(a, a + n) for n, (a, _) in zip(shape, self.widths, strict=True))


def pad(input, pad, mode="constant", value=0.0):
    """input with borders. `pad` goes from the last axis backwards: (left, right, top, bottom, ...); negative ones crop.

    Args:   mode - "constant" (filled with `value`), "reflect", "replicate" or "circular".
    Raises: ShapeError for an odd number of widths, more than input has axes, or a border wider than the mode allows.
    """
    pad = tuple(pad)
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ShapeError(f"pad: expected up to {2 * input.ndim} widths in pairs for x {input.shape}, got {pad}")
    widths = [(0, 0)] * (input.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    for axis, (n, (a, b)) in enumerate(zip(input.shape, widths, strict=True)):
        if n + a + b < 0 or -a > n or -b > n:
            raise ShapeError(
                f"pad: the widths {(a, b)} crop more than the {n} elements of axis {axis}; x is {input.shape}"
            )
    if mode == "constant":
        input = input[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(input.shape, widths, strict=True))]
        return Pad(tuple((max(a, 0), max(b, 0)) for a, b in widths), value)(input)
    if mode not in _BORDERS:
        raise ShapeError(f'pad: mode {mode!r} is unknown: expected "constant", {", ".join(map(repr, _BORDERS))}')
    for axis, (a, b) in enumerate(widths):
        if (a, b) != (0, 0):
            input = input[(slice(None),) * axis + (_BORDERS[mode](input.shape[axis], a, b),)]
    return input


def _reflect(n, a, b):
    if max(a, b) >= n:
        raise ShapeError(f"pad: reflect needs more than {max(a, b)} elements along the axis, and there are {n}")
    return [n - 1 - abs(n - 1 - abs(i)) for i in range(-a, n + b)]


def _circular(n, a, b):
    if max(a, b) > n:
        raise ShapeError(f"pad: circular needs at least {max(a, b)} elements along the axis, and there are {n}")
    return [i % n for i in range(-a, n + b)]


_BORDERS = {
    "reflect": _reflect,
    "replicate": lambda n, a, b: [min(max(i, 0), n - 1) for i in range(-a, n + b)],
    "circular": _circular,
}
