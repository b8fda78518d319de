"""Operations on a GPU: the same values and gradients as on the CPU, in each dtype, and nobody waits for the device.

Without a GPU this runs on the strict double of CuPy, whose CUDA kernels are compiled for the CPU.
"""

import numpy as np
import pytest
from ops_table import ROWS

import minigrad as mg
import minigrad.backend as floor
from minigrad.backend import moved

# What must wait: how many elements a mask on the device chooses is the shape of the result.
WAITS = ("mask", "inverse", "solve", "cholesky")
TOLERANCE = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2}

rows = pytest.mark.parametrize("row", [r for r in ROWS if r.name != "move"], ids=lambda row: row.name)


@pytest.fixture(params=["the only GPU", "the second GPU"])
def gpu(request, cuda):
    """The name of a GPU: of the only one, or of one that is not the current one."""
    if request.param == "the only GPU":
        held = floor.many_gpus.copy()
        floor.many_gpus.clear()
        yield "cuda:0"
        floor.many_gpus.extend(held)
    elif not floor.many_gpus:
        pytest.skip("there is one GPU only")
    else:
        yield "cuda:1"


def results(row, device, dtype):
    """Values and derivatives to the second order, by both worlds of the formulas, where they were computed."""
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in row.arrays()]
    arrays = [moved(a, device) for a in arrays]
    xs = [mg.Variable(a, requires_grad=True) if a.dtype.kind == "f" else a for a in arrays]
    leaves = [x for x in xs if isinstance(x, mg.Variable)]

    def seeds(ys):
        return [moved(np.random.default_rng(1).uniform(0.5, 1.5, y.shape).astype(y.dtype), device) for y in ys]

    y = row.function(*xs)
    y.backward(seeds([y])[0], retain_graph=True)
    firsts = [x.grad for x in leaves]
    again = mg.grad(y, leaves, seeds([y]), create_graph=True)
    heads = [g for g in again if g.requires_grad]
    seconds = mg.grad(heads, leaves, seeds(heads), allow_unused=True) if heads else []
    return [y, *firsts, *again, *(g for g in seconds if g is not None)]


@rows
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_as_on_the_cpu(row, dtype, gpu, request):
    expected = results(row, "cpu", dtype)
    if "double" in request.fixturenames:
        counted = request.getfixturevalue("double").synchronizations
        counted.clear()
    found = results(row, gpu, dtype)
    if "double" in request.fixturenames and not any(word in row.name for word in WAITS):
        assert counted == []
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.device, a.dtype, a.shape) == (gpu, b.dtype, b.shape)
        scale = max(1.0, float(abs(b.data.astype("f8")).max(initial=0)))
        np.testing.assert_allclose(
            a.numpy(force=True).astype("f8"), b.data.astype("f8"), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale
        )
