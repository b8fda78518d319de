"""Numerical gradient checks: the tape's gradients against central differences, to any order."""

from itertools import compress

import numpy as np

from .backend import device_of, moved
from .errors import DTypeError, GraphError, MinigradError
from .tape import Variable, enable_grad, grad


class GradientError(MinigradError, AssertionError):
    """A gradient of the tape that central differences contradict: names the input, the element and both values."""


def gradcheck(fn, *inputs, order=1, eps=1e-6, atol=1e-6, rtol=1e-5, seed=0):
    """Compare the gradients of `fn` with central differences, element by element.

        (s(x + eps) - s(x - eps)) / (2 eps)  against  ds/dx,   s = the sum of the outputs times random weights

    Args:    fn - function of `inputs` that returns a Variable or several. It must be deterministic.
             inputs - those that require grad are checked, and must be float64; the others are handed on.
             order - 2 also checks the gradients of the gradients, with respect to inputs and weights; and so on.
             eps - the step. atol, rtol - a gradient g passes if it is within atol + rtol * |g| of the difference.
             seed - of the random weights.
    Returns: True.
    Raises:  GradientError where a gradient is wrong; DTypeError for a float32 input; GraphError if nothing can be
             checked, or the gradient under create_graph is another one than without.
    """
    return _check(fn, inputs, order, eps, atol, rtol, seed, differentiable=True)


def _check(fn, inputs, order, eps, atol, rtol, seed, differentiable):
    """`gradcheck`. Unless `differentiable`, an output without a history counts in the differences: it must not vary."""
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Variable) and x.requires_grad]
    if not checked:
        raise GraphError("gradcheck: none of the inputs requires grad, so there is nothing to check")
    for i in checked:
        if inputs[i].dtype != np.float64:
            raise DTypeError(
                f"gradcheck: input {i} is {inputs[i].dtype}, too coarse for differences; write x.detach().double()"
            )
    rng = np.random.default_rng(seed)
    points = [np.array(_values(inputs[i])) for i in checked]
    devices = [device_of(inputs[i].data) for i in checked]

    def run(arrays):
        """fn at `arrays`: fresh inputs, and the outputs that have gradients."""
        args = list(inputs)
        for i, array, device in zip(checked, arrays, devices, strict=True):
            args[i] = Variable(moved(array.copy(), device), requires_grad=True)
        with enable_grad():
            return args, _outputs(fn(*args), differentiable)

    args, ys = run(points)
    recorded = [y.requires_grad for y in ys]
    if not any(recorded):
        raise GraphError("gradcheck: no output of fn depends on an input that requires grad")
    # Signs and sizes between 0.5 and 1.5: no weight is small enough to hide an error.
    weights = [rng.choice([-1.0, 1.0], y.shape) * rng.uniform(0.5, 1.5, y.shape) for y in ys]
    seeds = [moved(w, device_of(y.data)) for w, y in zip(weights, ys, strict=True)]
    heads, seeds = (list(compress(items, recorded)) for items in (ys, seeds))
    gradients = grad(heads, [args[i] for i in checked], seeds, allow_unused=True)

    def total(arrays):
        return sum(float((w * _values(y)).sum()) for w, y in zip(weights, run(arrays)[1], strict=True))

    for k, (i, g) in enumerate(zip(checked, gradients, strict=True)):
        analytic = np.zeros(points[k].shape) if g is None else _values(g)
        for at in np.ndindex(points[k].shape):
            numeric = _difference(total, points, k, at, eps)
            if not abs(analytic[at] - numeric) <= atol + rtol * abs(numeric):
                raise GradientError(
                    f"gradcheck: the gradient of input {i} {points[k].shape} at {list(at)} is {analytic[at]:.9g}, and "
                    f"central differences give {numeric:.9g}"
                )
    if order > 1:
        _check_replay(run(points), checked, seeds, gradients)
        arguments = [*run(points)[0], *(Variable(w, requires_grad=True) for w in seeds)]
        further = _gradients_of(fn, checked, len(inputs))
        _check(further, arguments, order - 1, eps, atol, rtol, seed + 1, differentiable=False)
    return True


def _values(x):
    return x.numpy(force=True)


def gradgradcheck(fn, *inputs, **options):
    """`gradcheck` to the second order."""
    return gradcheck(fn, *inputs, order=2, **options)


def _difference(total, points, k, at, eps):
    values = []
    for step in (eps, -eps):
        moved = [p.copy() for p in points]
        moved[k][at] += step
        values.append(total(moved))
    return (values[0] - values[1]) / (2 * eps)


def _gradients_of(fn, checked, count):
    """The function (inputs, weights) -> gradients of fn: what the next order checks."""

    def gradients(*args):
        args, weights = args[:count], args[count:]
        xs = [args[i] for i in checked]
        return [
            g for g in grad(_outputs(fn(*args)), xs, weights, create_graph=True, allow_unused=True) if g is not None
        ]

    return gradients


def _outputs(ys, differentiable=True):
    """The outputs that have gradients, or that could."""
    ys = [ys] if isinstance(ys, Variable) else list(ys)
    return [y for y in ys if isinstance(y, Variable) and (y.requires_grad if differentiable else y.dtype.kind == "f")]


def _check_replay(fresh, checked, weights, gradients):
    """The formulas must give on Variables what they gave on arrays."""
    args, ys = fresh
    heads = [y for y in ys if y.requires_grad]
    replayed = grad(heads, [args[i] for i in checked], weights, create_graph=True, allow_unused=True)
    for i, a, b in zip(checked, gradients, replayed, strict=True):
        if (a is None) != (b is None) or (
            a is not None and not np.allclose(_values(a), _values(b), rtol=1e-9, atol=1e-12)
        ):
            raise GradientError(f"gradcheck: under create_graph the gradient of input {i} is another than without")
