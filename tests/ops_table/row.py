"""A row of the table of operations, and what draws its inputs."""

import math
from dataclasses import dataclass, field

import numpy as np

rng = np.random.default_rng(12345)


@dataclass
class Row:
    name: str
    function: object
    inputs: tuple
    reference: object = None  # a function of arrays; None where a test of its own compares with PyTorch only
    elementwise: bool = False  # also run on 0-d, empty and broadcast inputs
    constants: dict = field(default_factory=dict)

    def arrays(self):
        """The inputs as float64 arrays, always the same for a row."""
        draw = np.random.default_rng(sum(map(ord, self.name)))
        return [distinct(draw, x) if isinstance(x, tuple) else np.array(x) for x in self.inputs]


def distinct(draw, shape):
    """Values in about -2..2, all at least 1/40 apart and away from 0: no ties, and no kink within reach of eps."""
    n = math.prod(shape)
    values = (np.arange(n) - n / 2 + 0.37) * (4 / max(n, 4))
    return draw.permutation(values).reshape(shape)


def positive(*shape):
    return rng.uniform(0.5, 2.0, shape)


def E(name, function, reference, *inputs):  # noqa: N802 - it makes a Row, and stands where Row stands
    return Row(name, function, inputs or ((3, 4),), reference, elementwise=True)
