"""The same elements in other shapes."""

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F

from .row import Row

ROWS = [
    Row("reshape", lambda x: mg.reshape(x, 2, -1), ((3, 4),), lambda x: x.reshape(2, 6)),
    Row("flatten", lambda x: mg.flatten(x, 1), ((3, 2, 2),), lambda x: x.reshape(3, 4)),
    Row("squeeze", lambda x: mg.squeeze(x, 1), ((3, 1, 2, 1),), lambda x: x[:, 0]),
    Row("unsqueeze", lambda x: mg.unsqueeze(x, -1), ((3, 2),), lambda x: x[..., None]),
    Row("permute", lambda x: mg.permute(x, 2, 0, 1), ((3, 4, 2),), lambda x: x.transpose(2, 0, 1)),
    Row("transpose", lambda x: mg.transpose(x, 0, -1), ((3, 4, 2),), lambda x: x.swapaxes(0, 2)),
    Row("expand", lambda x: mg.expand(x, 2, -1, 4), ((3, 1),), lambda x: np.broadcast_to(x, (2, 3, 4))),
    Row("cat", lambda a, b, c: mg.cat([a, b, c], 1), ((2, 1), (2, 3), (2, 2)), lambda *x: np.concatenate(x, 1)),
    Row("stack", lambda a, b: mg.stack([a, b], -1), ((2, 3), (2, 3)), lambda a, b: np.stack([a, b], -1)),
    Row("split", lambda x: mg.split(x, 2)[1] * mg.split(x, [2, 3])[0], ((5, 2),), lambda x: x[2:4] * x[:2]),
    Row("chunk", lambda x: mg.chunk(x, 2, 1)[1], ((2, 5),), lambda x: x[:, 3:]),
    Row("unbind", lambda x: mg.unbind(x, 1)[2], ((2, 3),), lambda x: x[:, 2]),
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
    Row("clone", mg.clone, ((2, 3),), np.copy),
]
