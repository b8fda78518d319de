"""Dtypes under PyTorch's names, and PyTorch's promotion rule.

NumPy promotes float32 with int64 to float64; PyTorch keeps float32, and so do we: a silent float64 costs
twice the memory on a CPU and thirty times the time on a GPU. `promote` is the rule, `default` the float of
numbers and lists.
"""

import numpy as np

from .backend import backend
from .errors import DTypeError

float16 = np.dtype("float16")
float32 = np.dtype("float32")
float64 = np.dtype("float64")
uint8 = np.dtype("uint8")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
bool_ = np.dtype("bool")

_default = float32


def get_default_dtype() -> np.dtype:
    """The dtype that Python floats, lists of floats and creation functions take: float32 unless set."""
    return _default


def set_default_dtype(dtype) -> None:
    """Make `dtype` (float16, float32 or float64) the default.

    Raises: DTypeError if `dtype` is no floating dtype.
    """
    global _default  # noqa: PLW0603 - one setting for the whole process, as in PyTorch
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise DTypeError(f"set_default_dtype: expected float16, float32 or float64, got {dtype}")
    _default = dtype


RANK = {"b": 0, "u": 1, "i": 1, "f": 2}  # of a dtype's kind


def promote(operands) -> np.dtype:
    """The dtype of an operation on `operands` (arrays and Python numbers), by PyTorch's rule.

    Arrays with axes decide; a 0-d array, and then a number, counts only if its kind is higher (bool < int < float).
    NumPy's scalars are numbers where an array is there, as np.float64 is a Python float; alone they keep their dtype.
    Raises: DTypeError for complex numbers and other dtypes that minigrad does not know.
    Source: PyTorch, "Tensor Attributes", type promotion.
    """
    widest: dict[int, np.dtype] = {}  # by class of operand: 2 arrays with axes, 1 0-d arrays, 0 numbers
    alone = not any(hasattr(x, "dtype") and not isinstance(x, np.generic) for x in operands)
    for x in operands:
        if hasattr(x, "dtype") and (alone or not isinstance(x, np.generic)):
            group, dtype = (2 if x.ndim else 1), x.dtype
        else:
            group, dtype = 0, np.asarray(x).dtype
            dtype = _default if dtype.kind == "f" else int64 if dtype.kind in "iu" else dtype
        if dtype.kind not in RANK:
            raise DTypeError(f"dtype {dtype} is not supported: minigrad knows bools, integers and floats")
        widest[group] = _wider(widest.get(group, dtype), dtype)
    first, *rest = sorted(widest, reverse=True)
    result = widest[first]
    for group in rest:
        if RANK[widest[group].kind] > RANK[result.kind]:
            result = widest[group]
    return result


def _wider(a: np.dtype, b: np.dtype) -> np.dtype:
    if RANK[a.kind] == RANK[b.kind]:
        return np.promote_types(a, b)
    return a if RANK[a.kind] > RANK[b.kind] else b


def promote_float(operands) -> np.dtype:
    """`promote`, with integers and bools raised to the default float: the rule of division and of exp and its like."""
    dtype = promote(operands)
    return dtype if dtype.kind == "f" else _default


def number(x):
    """A NumPy scalar as a Python number, which takes the dtype of the array beside it; anything else as it is."""
    return x.item() if isinstance(x, np.generic) else x


def require_floats(name: str, x) -> None:
    """Raise DTypeError unless `x` holds floats."""
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: expected floats, got {x.dtype}; write x.float()")


def out_of_range(name: str, error: OverflowError) -> DTypeError:
    """What to raise where a Python number does not fit into the dtype of the array beside it."""
    return DTypeError(f"{name}: {error}; convert the operand to a dtype that holds it, as with x.long() or x.float()")


def cast(operands, dtype) -> list:
    """The operands of an operation in `dtype`. A number beside an array stays one, and takes the array's dtype."""
    for x in operands:
        if hasattr(x, "dtype") and not isinstance(x, np.generic):
            return [_cast(y, dtype, type(x)) for y in operands]
    return [np.asarray(x, dtype) for x in operands]


def _cast(x, dtype, kind):
    if isinstance(x, (list, tuple)):
        return backend[kind].xp.asarray(x, dtype)
    return x.astype(dtype, copy=False) if hasattr(x, "ndim") and not isinstance(x, np.generic) else number(x)
