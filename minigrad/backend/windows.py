"""Kernels over sliding windows: convolution and pooling, in plain `xp`.

Arrays come and go with PyTorch's axes (n, c, h, w), but lie in memory as (c, h, w, n), the batch innermost: a window
position is then a slice whose rows are long and contiguous, a convolution is one wide GEMM whose result needs no
rearranging, and pooling and normalization run along whole rows. The axes are put back by a free transposition, and
flattening to (n, c*h*w) is free too. Input that lies otherwise is copied once.

Measured, forward and backward of a 5x5 convolution (64, 16, 12, 12) -> 32: 2.5 ms, with images outermost 4.6 ms.
"""

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """The geometry of sliding windows. Pairs are (height, width); padding is (top, bottom, left, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def output(self, h: int, w: int) -> tuple[int, int]:
        """How many windows fit into an image of (h, w), by rows and columns; at most 0 where none fits."""
        top, bottom, left, right = self.padding
        (sh, sw), (dh, dw), (kh, kw) = self.stride, self.dilation, self.kernel
        return (h + top + bottom - dh * (kh - 1) - 1) // sh + 1, (w + left + right - dw * (kw - 1) - 1) // sw + 1

    def positions(self, first: int, rows: int, cols: int):
        """(i, j, rows, columns) of each kernel element: the slices of a padded image that it meets, window by window.

        The windows are those of `rows` output rows from row `first` on, and of all `cols` columns.
        """
        (sh, sw), (dh, dw) = self.stride, self.dilation
        for i in range(self.kernel[0]):
            top = i * dh + first * sh
            for j in range(self.kernel[1]):
                yield i, j, slice(top, top + (rows - 1) * sh + 1, sh), slice(j * dw, j * dw + (cols - 1) * sw + 1, sw)


# Columns are unfolded piece by piece into one reused buffer: 4 MB stay in the cache next to a GEMM's other operands.
# Measured on 3x3 convolutions of (64, 32, 32, 32): 13.3 ms so, 16.0 ms unfolded as a whole.
PIECE_BYTES = 1 << 22
_scratch = threading.local()


def reused(xp, shape, dtype):
    """Uninitialized memory that the next call reuses: for values that do not outlive the caller."""
    size = dtype.itemsize
    for n in shape:
        size *= n
    pool = _scratch.__dict__.setdefault("pool", {})
    if xp not in pool or pool[xp].size < size:
        pool[xp] = xp.empty(size, "uint8")
    return pool[xp][:size].view(dtype).reshape(shape)


def _inward(x, xp):
    """(n, c, h, w) -> contiguous (c, h, w, n)."""
    return xp.ascontiguousarray(x.transpose(1, 2, 3, 0))


def _outward(x):
    return x.transpose(3, 0, 1, 2)


def _padded(xp, x, padding, value=0):
    """(c, h, w, n) with a border of `value`."""
    if not any(padding):
        return x
    top, bottom, left, right = padding
    c, h, w, n = x.shape
    out = xp.full((c, h + top + bottom, w + left + right, n), value, x.dtype)
    out[:, top : top + h, left : left + w] = x
    return out


def _cropped(x, padding):
    top, bottom, left, right = padding
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def unfold(self, x, windows, first, rows, cols, columns):
    """Copy to columns (c, kh, kw, rows, cols, n) what the windows of output rows `first` ... see of x (c, h, w, n)."""
    for i, j, down, across in windows.positions(first, rows, cols):
        columns[:, i, j] = x[:, down, across]


def fold(self, columns, windows, first, rows, cols, x):
    """Add the columns to where `unfold` would have taken them from."""
    for i, j, down, across in windows.positions(first, rows, cols):
        x[:, down, across] += columns[:, i, j]


class _Columns:
    """Images unfolded to the columns of a GEMM: (groups, c/groups * kh * kw, rows * ow * n), piece by piece."""

    def __init__(self, library, windows, groups, shape, rows, cols, dtype):
        c, _, _, n = shape
        self.library, self.windows, self.groups, self.cols, self.dtype = library, windows, groups, cols, dtype
        self.c, self.n = c, n
        per_row = c * windows.kernel[0] * windows.kernel[1] * cols * n * dtype.itemsize
        step = max(1, min(rows, library.piece_bytes // max(1, per_row)))
        self.pieces = [(first, min(step, rows - first)) for first in range(0, rows, step)]

    def room(self, rows):
        return self.library.scratch((self.c, *self.windows.kernel, rows, self.cols, self.n), self.dtype)

    def unfold(self, x, first, rows):
        columns = self.room(rows)
        self.library.unfold(x, self.windows, first, rows, self.cols, columns)
        return self.matrix(columns)

    def fold(self, columns, first, rows, x):
        self.library.fold(columns, self.windows, first, rows, self.cols, x)

    def matrix(self, columns):
        kh, kw = self.windows.kernel
        return columns.reshape(self.groups, self.c // self.groups * kh * kw, -1)


def _by_group(y, groups, first, rows):
    """Rows of (o, oh, ow, n) as the matrices (groups, o/groups, rows * ow * n)."""
    o, _, ow, n = y.shape
    return y.reshape(groups, o // groups, -1)[:, :, first * ow * n : (first + rows) * ow * n]


def conv2d(self, x, weight, bias, windows, groups):
    """y[n, o, a, b] = sum over c, i, j of x[n, c, a*s + i*d, b*s + j*d] weight[o, c, i, j] + bias[o]."""
    xp = self.xp
    rows, cols = windows.output(*x.shape[2:])
    x = _padded(xp, _inward(x, xp), windows.padding)
    y = xp.empty((weight.shape[0], rows, cols, x.shape[3]), x.dtype)
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    columns = _Columns(self, windows, groups, x.shape, rows, cols, x.dtype)
    for first, count in columns.pieces:
        self.products(matrix, columns.unfold(x, first, count), _by_group(y, groups, first, count))
    if bias is not None:
        y += bias.reshape(-1, 1, 1, 1)
    return _outward(y)


def conv2d_weight(self, x, gy, windows, groups, weight_shape):
    """The gradient of conv2d's weight: gy times the unfolded images."""
    xp = self.xp
    x = _padded(xp, _inward(x, xp), windows.padding)
    gy = _inward(gy, xp)
    rows, cols = gy.shape[1:3]
    columns = _Columns(self, windows, groups, x.shape, rows, cols, x.dtype)
    total = None
    for first, count in columns.pieces:
        part = self.products(_by_group(gy, groups, first, count), columns.unfold(x, first, count).swapaxes(1, 2))
        total = part if total is None else total + part
    return xp.zeros(weight_shape, x.dtype) if total is None else total.reshape(weight_shape)


def conv2d_input(self, gy, weight, windows, groups, x_shape):
    """The gradient of conv2d's input, which is also the transposed convolution of gy."""
    xp = self.xp
    n, c, h, w = x_shape
    top, bottom, left, right = windows.padding
    gy = _inward(gy, xp)
    rows, cols = gy.shape[1:3]
    gx = xp.zeros((c, h + top + bottom, w + left + right, n), gy.dtype)
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1).swapaxes(1, 2)
    columns = _Columns(self, windows, groups, gx.shape, rows, cols, gy.dtype)
    for first, count in columns.pieces:
        room = columns.room(count)
        self.products(matrix, _by_group(gy, groups, first, count), columns.matrix(room))
        columns.fold(room, first, count, gx)
    return _outward(_cropped(gx, windows.padding))


def _lowest(dtype):
    return -float("inf") if dtype.kind == "f" else -(2 ** (8 * dtype.itemsize - 1))


def _slices(windows, y):
    """The window positions over a whole (c, oh, ow, n), as indices into (c, h, w, n)."""
    return [(slice(None), down, across) for _, _, down, across in windows.positions(0, *y.shape[1:3])]


def max_pool2d(self, x, windows):
    """The largest element of each window."""
    xp = self.xp
    rows, cols = windows.output(*x.shape[2:])
    x = _padded(xp, _inward(x, xp), windows.padding, _lowest(x.dtype))
    y = None
    for _, _, down, across in windows.positions(0, rows, cols):
        part = x[:, down, across]
        y = part.copy() if y is None else xp.maximum(y, part, out=y)
    return _outward(y)


def _claims(self, x, y, windows):
    """For each window position: which windows have their maximum there, and at no earlier position, as PyTorch.

    `x` has a border of what equals no maximum; NaN is the maximum of its window, and equals nothing.
    """
    free = inside = None
    if not self.host or bool((y != y).any()):
        top, bottom, left, right = windows.padding
        inside = self.xp.zeros((1, *x.shape[1:3], 1), bool)
        inside[:, top : x.shape[1] - bottom, left : x.shape[2] - right] = True
    for place in _slices(windows, y):
        part = x[place]
        claim = part == y
        if inside is not None:
            claim |= (part != part) & (y != y) & inside[place]
        if free is None:
            free = ~claim
        else:
            claim &= free
            free ^= claim
        yield place, claim


def _unlike(dtype):
    """What the border is filled with where maxima are looked for: equal to nothing, or to the smallest integer."""
    return float("nan") if dtype.kind == "f" else _lowest(dtype)


def max_pool2d_scatter(self, gy, x, y, windows):
    """The gradient of max_pool2d: gy put where the maxima came from."""
    xp = self.xp
    x = _padded(xp, _inward(x, xp), windows.padding, _unlike(x.dtype))
    y, gy = _inward(y, xp), _inward(gy, xp)
    overlap = any(k > s for k, s in zip(windows.kernel, windows.stride, strict=True)) or windows.dilation != (1, 1)
    gx = xp.zeros(x.shape, gy.dtype)
    for place, claim in _claims(self, x, y, windows):
        if overlap:
            gx[place] += self.select(claim, gy)
        else:
            gx[place] = self.select(claim, gy)
    return _outward(_cropped(gx, windows.padding))


def max_pool2d_gather(self, g, x, y, windows):
    """From `g`, of the input's shape, what lies where the maxima came from: the transpose of max_pool2d_scatter."""
    xp = self.xp
    x = _padded(xp, _inward(x, xp), windows.padding, _unlike(x.dtype))
    g = _padded(xp, _inward(g, xp), windows.padding)
    y = _inward(y, xp)
    out = xp.zeros(y.shape, g.dtype)
    for place, claim in _claims(self, x, y, windows):
        out += self.select(claim, g[place])
    return _outward(out)


def sum_pool2d(self, x, windows):
    """The sum of each window."""
    xp = self.xp
    rows, cols = windows.output(*x.shape[2:])
    x = _padded(xp, _inward(x, xp), windows.padding)
    y = xp.zeros((x.shape[0], rows, cols, x.shape[3]), x.dtype)
    for place in _slices(windows, y):
        y += x[place]
    return _outward(y)


def sum_pool2d_scatter(self, gy, windows, x_shape):
    """The gradient of sum_pool2d: gy added to each element of its window."""
    n, c, h, w = x_shape
    top, bottom, left, right = windows.padding
    gy = _inward(gy, self.xp)
    gx = self.xp.zeros((c, h + top + bottom, w + left + right, n), gy.dtype)
    for place in _slices(windows, gy):
        gx[place] += gy
    return _outward(_cropped(gx, windows.padding))
