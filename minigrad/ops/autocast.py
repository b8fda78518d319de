"""Autocast: the dtype in which an operation computes inside of a region. minigrad/amp.py opens the regions.

An operation that asks for it begins with a line like

    if regions:
        a, b = narrow(a), narrow(b)

and from there on is what it always is: gradients come back through the casts, in the dtype of what was cast.
"""

from ..backend import backend
from ..dtypes import float16, float32
from ..tape.function import Alias
from ..tape.modes import casting, recording
from ..tape.variable import Variable, raw
from ..tape.versions import memory
from .shape import Cast


def narrow(x):
    """A float32 operand as float16, for products of matrices and convolutions. Anything else as it is."""
    region = casting.get()
    if region is None or not _is(float32, x, region):
        return x
    if region.caching and isinstance(x, Variable) and x.tracked and x.creator is None:
        return _once(x, region.cache)
    return Cast(float16)(x)


def wide(x):
    """A float16 operand as float32, for what overflows or loses digits in float16. Anything else as it is."""
    return Cast(float32)(x) if is_half(x) else x


def is_half(x) -> bool:
    """True for what is float16 where a region is open."""
    region = casting.get()
    return region is not None and _is(float16, x, region)


def _is(dtype, x, region):
    array = raw(x)
    if getattr(array, "dtype", None) != dtype:
        return False
    return ("cpu" if backend[type(array)].host else "cuda") in region.devices


def _once(x, cache):
    """The parameter `x` in float16; cast when it is first used in the region, or has been overwritten since.

    The array is shared, not the node: a node serves one backward, and where no gradient is recorded there is none.
    The engine casts the gradient back.
    """
    array = x.data
    stamp = memory.stamp(array)
    source, when, half = cache.get(x, (None, 0, None))
    if source is not array or when != stamp:
        half = Cast(float16)(array)
        cache[x] = array, stamp, half
    y = Variable(half)
    if recording.get():
        y.creator, y.tracked = Alias.behind(x, half), True
    return y
