"""Whole matrices of derivatives: by rows (jacrev), by columns (jacfwd), and of second order (hessian).

For an output of shape S and an input of shape T, the Jacobian has shape (*S, *T). Where these are in containers, the
result is built as the output is, with containers like the input's in the place of each leaf.
"""

import functools
import math

from ..containers import paths, rebuilt
from ..errors import DTypeError
from ..ops.create import zeros
from ..ops.join import stack
from ..ops.shape import reshape
from .call import Call, derivatives, unit


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None):
    """The function that returns the Jacobian of `func`, by rows: one backward for each element of the output.

    Args:    argnums - the position of the argument, default the first; a tuple for several.
             has_aux - func returns (output, aux): return (Jacobian, aux).
             chunk_size - without effect.
    Returns: a function of func's arguments. Zeros where an output does not depend on an input.
    Raises:  (then) DTypeError for inputs and outputs that are not floats; IndexRangeError for argnums.
    """
    return _transform("jacrev", func, argnums, has_aux, lambda call: _rows)


def jacfwd(func, argnums=0, has_aux=False, *, chunk_size=None, randomness="error"):
    """The function that returns the Jacobian of `func`, by columns: one backward for each element of the input.

    What is walked back is a recorded backward, see `jvp`: it pays where inputs are fewer than outputs.

    Args, Returns, Raises: as `jacrev`. randomness - without effect.
    """
    return _transform("jacfwd", func, argnums, has_aux, lambda call: _columns)


def jacobian(func, argnums=0, *, has_aux=False):
    """The function that returns the Jacobian of `func`, by rows or by columns, whichever are fewer.

    Args, Returns, Raises: as `jacrev`.
    """

    def fewer(call):
        outputs, inputs = (sum(math.prod(v.shape) for v in variables) for variables in (call.ys, call.xs))
        return _columns if 2 * inputs < outputs else _rows  # a column takes longer

    return _transform("jacobian", func, argnums, has_aux, fewer)


def hessian(func, argnums=0):
    """The function that returns the second derivatives of `func`: the Jacobian of its Jacobian.

    For an output of shape S and inputs of shapes T and U, (*S, *T, *U); several argnums give a tuple of tuples.

    Args, Raises: as `jacrev`.
    """
    return jacrev(jacrev(func, argnums), argnums)


def _transform(name, func, argnums, has_aux, way):
    @functools.wraps(func, updated=())
    def matrix(*args, **kwargs):
        call = Call(name, func, args, kwargs, argnums, has_aux)
        for y, path in zip(call.ys, paths(call.output, "the output"), strict=True):
            if y.dtype.kind != "f":
                raise DTypeError(
                    f"{name}: {path} of func is {y.dtype}, which has no derivative; return it as aux (has_aux=True)"
                )
        found = rebuilt(call.output, [rebuilt(call.chosen, row) for row in way(call)(call)])
        return (call.released(found), call.released(call.aux)) if has_aux else call.released(found)

    return matrix


def _rows(call):
    """For each output, for each input: the derivatives, one row at a time."""
    blocks = []
    for y in call.ys:
        count = math.prod(y.shape) if y.tracked else 0
        rows = [derivatives([(y, unit(y, k))], call.xs, call.connected, retain_graph=True) for k in range(count)]
        blocks.append([_stacked([row[j] for row in rows], 0, y, x, x.dtype) for j, x in enumerate(call.xs)])
    return blocks


def _columns(call):
    """The same, one column at a time."""
    us, gs = call.transposed()
    columns: list = []
    for j, x in enumerate(call.xs):
        count = math.prod(x.shape) if gs[j].tracked else 0
        columns.append([call.pushed(us, [(gs[j], unit(x, k))], call.connected, True) for k in range(count)])
    return [
        [_stacked([c[i] for c in columns[j]], -1, y, x, y.dtype) for j, x in enumerate(call.xs)]
        for i, y in enumerate(call.ys)
    ]


def _stacked(parts, dim, y, x, dtype):
    shape = (*y.shape, *x.shape)
    return reshape(stack(parts, dim), shape) if parts else zeros(shape, dtype=dtype, device=x.device)
