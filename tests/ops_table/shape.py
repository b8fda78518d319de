"""The same elements in other shapes: reshaped, joined, cut, repeated, in another order; diagonals and triangles."""

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.ops.cut import unfold  # which are methods
from minigrad.ops.repeat import repeat

from .row import Row


def weighed(pieces):
    """Several outputs as one: squares, so that second derivatives are not 0, with a weight each."""
    return sum((i + 1) * (p * p).sum() for i, p in enumerate(pieces))


def windows(x, axis, size, step):
    y = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return y[(slice(None),) * axis + (slice(None, None, step),)]


def replaced(x, src, index):
    y = x.copy()
    y[index] = src
    return y


def embedded(x, offset):
    return np.stack([np.diag(row, offset) for row in x])


COUNTS = np.array([1, 0, 3])  # on the host, on whatever device x lies

ROWS = [
    # --- reshape ---
    Row("reshape", lambda x: mg.reshape(x, 2, -1), ((3, 4),), lambda x: x.reshape(2, 6)),
    Row("reshape by name", lambda x: mg.reshape(x, shape=(2, 6)), ((3, 4),), lambda x: x.reshape(2, 6)),
    Row("ravel", mg.ravel, ((3, 2),), np.ravel),
    Row("flatten", lambda x: mg.flatten(x, 1), ((3, 2, 2),), lambda x: x.reshape(3, 4)),
    Row("unflatten", lambda x: mg.unflatten(x, 1, (2, -1)), ((3, 4),), lambda x: x.reshape(3, 2, 2)),
    Row("squeeze", lambda x: mg.squeeze(x, 1), ((3, 1, 2, 1),), lambda x: x[:, 0]),
    Row("unsqueeze", lambda x: mg.unsqueeze(x, -1), ((3, 2),), lambda x: x[..., None]),
    Row("atleast_1d", mg.atleast_1d, ((),), np.atleast_1d),
    Row("atleast_2d", lambda a, b: weighed(mg.atleast_2d(a, b)), ((3,), ()), lambda a, b: (a * a).sum() + 2 * b * b),
    Row("atleast_3d", mg.atleast_3d, ((3, 2),), np.atleast_3d),
    Row("permute", lambda x: mg.permute(x, 2, 0, 1), ((3, 4, 2),), lambda x: x.transpose(2, 0, 1)),
    Row("permute a tuple", lambda x: mg.permute(x, (2, 0, 1)), ((3, 4, 2),), lambda x: x.transpose(2, 0, 1)),
    Row("transpose", lambda x: mg.transpose(x, 0, -1), ((3, 4, 2),), lambda x: x.swapaxes(0, 2)),
    Row("swapaxes", lambda x: mg.swapaxes(x, 0, -1), ((3, 4, 2),), lambda x: x.swapaxes(0, 2)),
    Row("movedim", lambda x: mg.movedim(x, (0, -1), (2, 0)), ((3, 4, 2),), lambda x: x.transpose(2, 1, 0)),
    Row("adjoint", mg.adjoint, ((2, 3, 4),), lambda x: x.swapaxes(1, 2)),
    Row("expand", lambda x: mg.expand(x, 2, -1, 4), ((3, 1),), lambda x: np.broadcast_to(x, (2, 3, 4))),
    Row("expand to its own shape", lambda x: mg.expand(x, (3, -1)), ((3, 2),), lambda x: x),
    Row("broadcast_to", lambda x: mg.broadcast_to(x, (2, 3)), ((3,),), lambda x: np.broadcast_to(x, (2, 3))),
    Row("clone", mg.clone, ((2, 3),), np.copy),
    # --- join ---
    Row("cat", lambda a, b, c: mg.cat([a, b, c], 1), ((2, 1), (2, 3), (2, 2)), lambda *x: np.concatenate(x, 1)),
    Row("cat with nothing", lambda a, b: mg.cat([a, b], 1), ((0,), (2, 3)), lambda a, b: b),
    Row("stack", lambda a, b: mg.stack([a, b], -1), ((2, 3), (2, 3)), lambda a, b: np.stack([a, b], -1)),
    Row("hstack", lambda a, b: mg.hstack([a, b]), ((2, 3), (2, 1)), lambda *x: np.hstack(x)),
    Row("hstack vectors", lambda a, b: mg.hstack([a, b]), ((3,), ()), lambda *x: np.hstack(x)),
    Row("vstack", lambda a, b: mg.vstack([a, b]), ((3,), (2, 3)), lambda *x: np.vstack(x)),
    Row("dstack", lambda a, b: mg.dstack([a, b]), ((2, 3), (2, 3)), lambda *x: np.dstack(x)),
    Row("column_stack", lambda a, b: mg.column_stack([a, b]), ((3,), (3, 2)), lambda *x: np.column_stack(x)),
    # --- cut ---
    Row("split", lambda x: mg.split(x, 2)[1] * mg.split(x, [2, 3])[0], ((5, 2),), lambda x: x[2:4] * x[:2]),
    Row(
        "split, all of it",
        lambda x: weighed(mg.split(x, [2, 0, 1], 1)),
        ((2, 3),),
        lambda x: (x[:, :2] ** 2).sum() + 3 * (x[:, 2:] ** 2).sum(),
    ),
    Row("chunk", lambda x: mg.chunk(x, 2, 1)[1], ((2, 5),), lambda x: x[:, 3:]),
    Row("tensor_split", lambda x: mg.tensor_split(x, 3)[1], ((5, 2),), lambda x: x[2:4]),
    Row("tensor_split at", lambda x: mg.tensor_split(x, [1, -1], 1)[1], ((2, 4),), lambda x: x[:, 1:3]),
    Row(
        "tensor_split overlapping",
        lambda x: weighed(mg.tensor_split(x, [3, 1])),
        ((4,),),
        lambda x: (x[:3] ** 2).sum() + 3 * (x[1:] ** 2).sum(),
    ),
    Row("hsplit", lambda x: mg.hsplit(x, 2)[1], ((2, 4),), lambda x: x[:, 2:]),
    Row("vsplit", lambda x: mg.vsplit(x, (1,))[1], ((3, 2),), lambda x: x[1:]),
    Row("dsplit", lambda x: mg.dsplit(x, 2)[0], ((1, 2, 4),), lambda x: x[..., :2]),
    Row("unbind", lambda x: mg.unbind(x, 1)[2], ((2, 3),), lambda x: x[:, 2]),
    Row("unbind all", lambda x: weighed(mg.unbind(x)), ((2, 3),), lambda x: (x[0] ** 2 + 2 * x[1] ** 2).sum()),
    Row("unbind a vector", lambda x: mg.unbind(x)[1] * mg.unbind(x)[0], ((2,),), lambda x: x[0] * x[1]),
    Row("select", lambda x: mg.select(x, 1, -1), ((2, 3),), lambda x: x[:, -1]),
    Row("narrow", lambda x: mg.narrow(x, 1, -2, 2), ((2, 4),), lambda x: x[:, 2:]),
    Row(
        "select_scatter",
        lambda x, s: mg.select_scatter(x, s, 1, -1),
        ((2, 3), (2,)),
        lambda x, s: replaced(x, s, np.s_[:, -1]),
    ),
    Row(
        "slice_scatter",
        lambda x, s: mg.slice_scatter(x, s, 1, 0, 9, 2),
        ((2, 3), (2, 2)),
        lambda x, s: replaced(x, s, np.s_[:, ::2]),
    ),
    Row("unfold", lambda x: unfold(x, 1, 2, 1), ((2, 4, 2),), lambda x: windows(x, 1, 2, 1)),
    Row("unfold apart", lambda x: unfold(x, 0, 2, 3), ((6, 2),), lambda x: windows(x, 0, 2, 3)),
    Row("unfold, few windows", lambda x: unfold(x, 1, 3, 2), ((2, 5, 3),), lambda x: windows(x, 1, 3, 2)),
    # --- repeat ---
    Row(
        "broadcast_tensors",
        lambda a, b: mg.broadcast_tensors(a, b)[0] * mg.broadcast_tensors(a, b)[1],
        ((3, 1), (4,)),
        lambda a, b: a * b,
    ),
    Row("meshgrid", lambda a, b: weighed(mg.meshgrid(a, b)), ((2,), (3,)), lambda a, b: 3 * (a @ a) + 2 * 2 * (b @ b)),
    Row(
        "meshgrid xy",
        lambda a, b: mg.meshgrid([a, b], indexing="xy")[0] * mg.meshgrid(a, b, indexing="xy")[1],
        ((2,), (3,)),
        lambda a, b: np.outer(b, a),
    ),
    Row("repeat", lambda x: repeat(x, 2, 1, 3), ((2, 3),), lambda x: np.tile(x, (2, 1, 3))),
    Row("tile", lambda x: mg.tile(x, (2,)), ((2, 3),), lambda x: np.tile(x, 2)),
    Row("repeat_interleave", lambda x: mg.repeat_interleave(x, 2, 1), ((2, 3),), lambda x: np.repeat(x, 2, 1)),
    Row("repeat_interleave flat", lambda x: mg.repeat_interleave(x, 2), ((2, 3),), lambda x: np.repeat(x, 2)),
    Row(
        "repeat_interleave counts",
        lambda x: mg.repeat_interleave(x, COUNTS, 0),
        ((3, 2),),
        lambda x: np.repeat(x, COUNTS, 0),
    ),
    # --- another order ---
    Row("flip", lambda x: mg.flip(x, (0, -1)), ((3, 2, 2),), lambda x: x[::-1, :, ::-1]),
    Row("fliplr", mg.fliplr, ((2, 3),), np.fliplr),
    Row("flipud", mg.flipud, ((2, 3),), np.flipud),
    Row("rot90", mg.rot90, ((2, 3),), np.rot90),
    Row("rot90 three times", lambda x: mg.rot90(x, -1, [1, 2]), ((2, 2, 3),), lambda x: np.rot90(x, -1, (1, 2))),
    Row("roll", lambda x: mg.roll(x, (1, -2), (0, 1)), ((3, 4),), lambda x: np.roll(x, (1, -2), (0, 1))),
    Row("roll flat", lambda x: mg.roll(x, 2), ((2, 3),), lambda x: np.roll(x, 2)),
    # --- diagonals and triangles ---
    Row("diagonal", lambda x: mg.diagonal(x, 1, 0, 2), ((3, 2, 4),), lambda x: x.diagonal(1, 0, 2)),
    Row("diag of a vector", lambda x: mg.diag(x, -1), ((3,),), lambda x: np.diag(x, -1)),
    Row("diag of a matrix", lambda x: mg.diag(x, 1), ((3, 4),), lambda x: np.diag(x, 1)),
    Row("diag_embed", lambda x: mg.diag_embed(x, 1), ((2, 3),), lambda x: embedded(x, 1)),
    Row(
        "diag_embed first", lambda x: mg.diag_embed(x, 0, 0, -2), ((2, 3),), lambda x: np.moveaxis(embedded(x, 0), 0, 2)
    ),
    Row("diagflat", lambda x: mg.diagflat(x, -1), ((2, 2),), lambda x: np.diagflat(x, -1)),
    Row(
        "diagonal_scatter",
        lambda x, s: mg.diagonal_scatter(x, s, 1),
        ((2, 3), (2,)),
        lambda x, s: replaced(x, s, ([0, 1], [1, 2])),
    ),
    Row("trace", mg.trace, ((3, 4),), np.trace),
    Row("tril", lambda x: mg.tril(x, 1), ((2, 3, 4),), lambda x: np.tril(x, 1)),
    Row("triu", lambda x: mg.triu(x, -1), ((3, 4),), lambda x: np.triu(x, -1)),
    # --- pad ---
    Row(
        "pad",
        lambda x: F.pad(x, (1, 2, 0, 1), value=0.5),
        ((2, 3),),
        lambda x: np.pad(x, ((0, 1), (1, 2)), constant_values=0.5),
    ),
    Row("pad crop", lambda x: F.pad(x, (-1, 1)), ((2, 3),), lambda x: np.pad(x, ((0, 0), (0, 1)))[:, 1:]),
    Row(
        "pad reflect",
        lambda x: F.pad(x, (2, 1), "reflect"),
        ((2, 3),),
        lambda x: np.pad(x, ((0, 0), (2, 1)), "reflect"),
    ),
    Row(
        "pad replicate",
        lambda x: F.pad(x, (2, 1), "replicate"),
        ((2, 3),),
        lambda x: np.pad(x, ((0, 0), (2, 1)), "edge"),
    ),
    Row(
        "pad circular", lambda x: F.pad(x, (2, 1), "circular"), ((2, 3),), lambda x: np.pad(x, ((0, 0), (2, 1)), "wrap")
    ),
    # --- filled ---
    Row("fill", lambda x, v: mg.fill(x, v), ((2, 3), ()), lambda x, v: np.full_like(x, v)),
]
