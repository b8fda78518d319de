"""viz.summary: the layers of a model as a table, from one run of its forward.

    print(viz.summary(model, x))                                  # or input_size=(32, 1, 28, 28)

    Layer (type (var_name):depth-idx)     Output Shape    Param #  Mult-Adds
    Net                                   [32, 10]             --         --
    ├─Sequential (features): 1-1          [32, 64, 2, 2]       --         --
    │    ├─Conv2d (features.0): 2-1       [32, 32, 8, 8]      320    589,824

This file makes the input; calls.py runs the forward and looks on; flops.py counts; summary_table.py writes the table.
"""

import inspect

import numpy as np

from ...backend import device_of
from ...containers import leaves, rebuilt
from ...dtypes import get_default_dtype
from ...errors import MinigradError, ShapeError
from ...models import is_module
from ...ops.create import tensor, zeros
from ...ops.random import rand
from ...tape import Variable
from .calls import Calls, bytes_in, is_array, numbers, run, sizes_of_call
from .summary_table import COLUMNS, ROW_SETTINGS, ModelSummary

MODES = ("eval", "train", "same")
_PLAIN = (int, float, complex, str, bytes, np.generic)


def summary(
    model,
    input_data=None,
    *,
    input_size=None,
    dtypes=None,
    depth: int | None = 3,
    mode: str = "eval",
    col_names=None,
    row_settings=("depth", "var_names"),
    **kwargs,
) -> ModelSummary:
    """The layers of `model` in a table: output shapes, parameters, multiply-adds and memory, as torchinfo gives them.

        viz.summary(model, x)       viz.summary(model, input_size=(32, 1, 28, 28))       viz.summary(model)

    The forward runs once, under no_grad; training flags, buffers, random numbers, gradients and the input are put back,
    also after an error, which says in which layer it came and what ran before. Without an input, nothing runs.

    Multiply-adds are those of the whole batch, counted from the operations that ran: see viz/flops.py. The memory of
    the forward/backward pass is that of all results, twice: with their gradients. It is an estimate from above; steps
    of training a convolutional network and a transformer took half to four fifths of it at their peak. What a graph
    really keeps, mg.memory_report measures. torchinfo takes only layers with parameters, twice.

    Args:    input_data - a Variable or array; several arguments in a tuple or list; a dict of them by name. Arrays go
                 where the parameters are, floats in their dtype. A tuple of ints, or a list of such, is an input_size.
             input_size - a shape, or several in a list or dict, of inputs to make where the parameters are: of random
                 numbers, the same each time, or of zeros in dtypes of integers.
             dtypes - of these inputs, one for all or one for each; default: that of the parameters.
             depth - how deep layers are shown, default 3; what is deeper counts for the layer around it. None: all.
             mode - "eval", "train", or "same": as the model is.
             col_names - of "input_size", "output_size", "num_params", "params_percent", "kernel_size", "mult_adds" and
                 "trainable"; default output_size, num_params, mult_adds; without an input, those that need none.
             row_settings - of "depth" (numbers as 2-1), "var_names" (paths) and "ascii_only".
             kwargs - are passed to the forward.
    Returns: a ModelSummary: its text is the table; `summary_list` has the rows, `total_params` and others the totals.
    Raises:  TypeError for what is no module, and for numbers in place of arrays; MinigradError for other values of the
             options; what the forward raises.
    """
    if not is_module(model):
        raise TypeError(f"viz.summary: the model must be a module, and is a {type(model).__name__}")
    _check_names("mode", [mode], MODES)
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise MinigradError(f"viz.summary: depth must be a number of at least 0, or None, and is {depth!r}")
    if input_data is not None and _is_size(input_data, several=True):
        input_data, input_size = _only_one(input_data, input_size)
    if input_size is not None:
        _only_one(input_data, input_size)
        input_data = _made(model, input_size, dtypes)
    elif dtypes is not None:
        raise MinigradError("viz.summary: dtypes are those of what input_size makes, which is not given")
    columns = _check_names("col_names", col_names or ("output_size", "num_params", "mult_adds"), COLUMNS)
    settings = _check_names("row_settings", row_settings, ROW_SETTINGS)

    if input_data is None and not kwargs:
        calls, found = Calls(model), {}
        columns = tuple(name for name in columns if not COLUMNS[name].needs_input) or ("num_params",)
    else:
        _check_arguments(model, kwargs)
        args, kwargs = _arguments(model, input_data, kwargs)
        found = {"input_size": sizes_of_call(args, kwargs), "total_input": bytes_in((args, kwargs))}
        calls = run(model, args, kwargs, mode)
        found |= {"total_mult_adds": calls.root.total(), "total_output_bytes": 2 * calls.bytes}
    parameters, buffers = list(model.parameters()), list(model.buffers())
    return ModelSummary(
        name=type(model).__name__,
        summary_list=calls.rows(),
        depth=depth,
        col_names=columns,
        row_settings=settings,
        total_params=numbers(parameters),
        trainable_params=numbers(p for p in parameters if p.requires_grad),
        total_buffers=numbers(buffers),
        total_param_bytes=bytes_in(parameters),
        total_buffer_bytes=bytes_in(buffers),
        **found,
    )


def _check_names(option, names, allowed):
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in allowed:
            raise MinigradError(f"viz.summary: {option}: {name!r} is none of {', '.join(map(repr, allowed))}")
    return names


# --- the input ---------------------------------------------------------------------------------------------------


def _is_size(x, several=False):
    """Is it a shape, or with `several` a list of such?"""
    if not isinstance(x, (tuple, list)) or not x:
        return False
    if all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in x):
        return True
    return several and all(_is_size(each) for each in x)


def _only_one(input_data, input_size):
    if input_data is not None and input_size is not None:
        raise MinigradError("viz.summary: input_data and input_size are both given; one says it all")
    return input_size, input_data


def _like(model):
    """(device, dtype) of the first parameter or buffer of floats; of what is new, where there is none."""
    for x in (*model.parameters(), *model.buffers()):
        if x.dtype.kind == "f":
            return device_of(x.data), x.dtype
    return None, np.dtype(get_default_dtype())


def _made(model, size, dtypes):
    """Inputs of these sizes, as a tuple or dict."""
    device, default = _like(model)
    sizes = [size] if _is_size(size) else list(size.values()) if isinstance(size, dict) else size
    if not isinstance(sizes, (tuple, list)) or not sizes or not all(_is_size(s) or s in ((), []) for s in sizes):
        raise ShapeError(f"viz.summary: input_size must be a shape as (32, 1, 28, 28), or a list of such, got {size!r}")
    if any(n < 0 for s in sizes for n in s):
        raise ShapeError(f"viz.summary: input_size must have no negative sizes, got {size!r}")
    if isinstance(dtypes, (tuple, list)):
        if len(dtypes) != len(sizes):
            raise ShapeError(f"viz.summary: {len(dtypes)} dtypes for the {len(sizes)} inputs of input_size")
        kinds = [np.dtype(d) for d in dtypes]
    else:
        kinds = [default if dtypes is None else np.dtype(dtypes)] * len(sizes)
    numbers = np.random.default_rng(0)
    made = [
        rand(tuple(s), generator=numbers, dtype=d, device=device)
        if d.kind == "f"
        else zeros(tuple(s), dtype=d, device=device)
        for s, d in zip(sizes, kinds, strict=True)
    ]
    return dict(zip(size, made, strict=True)) if isinstance(size, dict) else tuple(made)


def _check_arguments(model, kwargs):
    """Refuse what is neither an option of ours nor an argument of the forward's, as a misspelt option."""
    known = inspect.signature(model.forward).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in known):
        return
    for name in kwargs:
        if name not in {p.name for p in known}:
            raise TypeError(
                f"viz.summary: {name!r} is no option of summary, and no argument of {type(model).__name__}.forward"
            )


def _arguments(model, data, kwargs):
    """(args, kwargs) of the forward: arrays as Variables, and Variables copied, since a forward may write into them."""
    args: tuple = ()
    if not isinstance(data, dict) and (plain := leaves(data)) and all(isinstance(x, _PLAIN) for x in plain):
        raise TypeError(
            "viz.summary: input_data must be a Variable, an array, or input_size=(32, 8), not a "
            f"{type(data).__name__}{'' if plain == [data] else f' of {type(plain[0]).__name__}'}"
        )
    if isinstance(data, dict):
        kwargs = {**data, **kwargs}
    elif data is not None:
        args = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    device, dtype = _like(model)

    def taken(x):
        if isinstance(x, Variable):
            return tensor(x, requires_grad=x.requires_grad)
        if not is_array(x):
            return x
        return tensor(x, dtype=dtype if x.dtype.kind == "f" else None, device=device)

    given = leaves((args, kwargs))
    copies = {id(x): taken(x) for x in given}  # what is given twice stays one
    return rebuilt((args, kwargs), [copies[id(x)] for x in given])
