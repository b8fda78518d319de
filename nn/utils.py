"""What training loops do with all parameters at once: clip their gradients, and see them as one vector.

    scaler.unscale_(optimizer)              # where there is a GradScaler
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

On a GPU all gradients take one launch, and nobody waits for the result.
"""

import math
import types
import warnings

from ..backend import around, backend, device_of, moved
from ..dtypes import float32
from ..errors import DTypeError, ShapeError
from ..ops.join import cat
from ..ops.shape import reshape
from ..tape import Variable, no_grad, raw
from ..tape.versions import memory


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Shrink the gradients, in place, so that the norm of all of them together is at most `max_norm`.

        grad *= min(1, max_norm / (norm + 1e-6))

    Args:    parameters - a Variable or an iterable of them; those without a gradient do not count.
             norm_type - p of the p-norm, default 2; float("inf") is the largest absolute value.
             error_if_nonfinite - look whether the norm is finite, which waits for the device. Default: gradients that
             are not finite are left to who looks at the norm.
             foreach - without effect.
    Returns: the norm before clipping, a Variable of shape (), on the device of the first gradient.
    Raises:  RuntimeError where the norm is not finite, if that was asked for.
    """
    parameters = _listed("clip_grad_norm_", parameters)
    norm = get_total_norm([p.grad for p in parameters if p.grad is not None], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None) -> None:
    """The second half of `clip_grad_norm_`, by a norm that is known: grad *= min(1, max_norm / (total_norm + 1e-6))."""
    grads = _gradients("clip_grads_with_norm_", parameters)
    if not grads:
        return
    norm = raw(total_norm)
    with around(norm):
        xp = backend[type(norm)].xp
        factor = xp.asarray(xp.minimum(float(max_norm) / (norm + 1e-6), 1.0))  # NaN is handed on
    if backend[type(norm)].host and factor >= 1:
        return
    for device, arrays in _by_device(grads).items():
        there = moved(factor, device)
        with around(arrays[0]):
            backend[type(arrays[0])].scale(arrays, there)
        for g in arrays:
            memory.overwritten(g)


def clip_grad_value_(parameters, clip_value, foreach=None) -> None:
    """Move every element of the gradients, in place, into [-clip_value, clip_value]."""
    limit = float(clip_value)
    for g in _gradients("clip_grad_value_", parameters):
        with around(g):
            backend[type(g)].xp.clip(g, -limit, limit, out=g)
        memory.overwritten(g)


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The p-norm of all elements of `tensors`, as of one vector.

    Args:    as of `clip_grad_norm_`.
    Returns: a Variable of shape (), on the device of the first; 0 for none. It is float32 for float16.
    Raises:  RuntimeError where the norm is not finite, if that was asked for.
    """
    arrays = [raw(x) for x in ([tensors] if isinstance(tensors, Variable) else tensors)]
    if not arrays:
        return Variable(0.0)
    p = float(norm_type)
    device = device_of(arrays[0])
    norms = [moved(n, device) for same in _by_device(arrays).values() for n in _norms(same, p)]
    xp = backend[type(norms[0])].xp
    with around(norms[0]):
        norm = _norm(xp, xp.stack(norms), p)
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise RuntimeError(
            f"get_total_norm: the norm of order {p} is {norm.item()}, so the gradients cannot be clipped by it; find "
            "where they become inf or NaN, or write error_if_nonfinite=False"
        )
    return Variable(norm)


def _norms(arrays, p):
    """0-d arrays, whose p-norm is that of all elements of `arrays`, which lie on one device."""
    library = backend[type(arrays[0])]
    with around(arrays[0]):
        if p == 2:
            return [library.xp.sqrt(library.sum_of_squares(arrays))]
        if p == math.inf:
            return [library.max_abs(arrays)]
        return [_norm(library.xp, a, p) for a in arrays]


def _norm(xp, a, p):
    a = xp.abs(a if a.dtype.itemsize > 2 else a.astype(float32))
    if p == math.inf:
        return a.max()
    if p == -math.inf:
        return a.min()
    if p == 0:  # so that of several arrays, it counts those that are not 0: as in PyTorch
        return (a != 0).sum().astype(a.dtype)
    return (a**p).sum() ** (1 / p)


def parameters_to_vector(parameters):
    """All elements of the parameters, one after another: a Variable of one axis. It is recorded.

    Raises: DeviceError where they lie on different devices.
    """
    return cat([reshape(p, -1) for p in _listed("parameters_to_vector", parameters)])


def vector_to_parameters(vec, parameters) -> None:
    """Write the elements of `vec` into the parameters, one after another: the inverse of `parameters_to_vector`.

    They keep their memory, device and dtype; in PyTorch they become views of `vec`.
    Raises: ShapeError unless there are as many elements as in the parameters; then nothing has been written.
    """
    parameters = _listed("vector_to_parameters", parameters)
    if not isinstance(vec, Variable):
        raise DTypeError(f"vector_to_parameters: expected a Variable, got a {type(vec).__name__}")
    count = sum(p.data.size for p in parameters)
    if vec.shape != (count,):
        raise ShapeError(f"vector_to_parameters: the parameters have {count} elements, and vec has shape {vec.shape}")
    with no_grad():
        end = 0
        for p in parameters:
            start, end = end, end + p.data.size
            p.copy_(vec[start:end].reshape(p.shape))


def _listed(caller, parameters):
    if isinstance(parameters, Variable):
        return [parameters]
    found = list(parameters)
    if not found and isinstance(parameters, types.GeneratorType):
        warnings.warn(
            f"{caller}: the generator of parameters is empty; was it used up before? Write model.parameters() anew",
            stacklevel=3,
        )
    return found


def _gradients(caller, parameters):
    return [p.grad.data for p in _listed(caller, parameters) if p.grad is not None]


def _by_device(arrays):
    """{device: the arrays that lie there}, in the order in which they come."""
    found: dict = {}
    for a in arrays:
        found.setdefault(device_of(a), []).append(a)
    return found
