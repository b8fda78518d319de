"""Gradients of functions, and products with their Jacobians: no matrix is built here."""

import functools

from ..containers import paths, rebuilt
from ..errors import DTypeError, ShapeError
from ..tape import Variable, enable_grad, is_grad_enabled
from .call import Call, derivatives, matched


def grad(func, argnums=0, has_aux=False):
    """The function that returns the gradient of `func`, which returns one number, where `func` would be called.

    Args:    argnums - the position of the argument, default the first; a tuple for several.
             has_aux - func returns (output, aux): return (gradient, aux).
    Returns: a function of func's arguments; its result is built as the argument is, or a tuple of these for several.
             Zeros where func does not depend on it.
    Raises:  (then) ShapeError if func returns several numbers; DTypeError for integers; IndexRangeError for argnums.
    """

    @functools.wraps(func, updated=())
    def gradient(*args, **kwargs):
        g, _, aux = _gradient("grad", func, args, kwargs, argnums, has_aux)
        return (g, aux) if has_aux else g

    return gradient


def grad_and_value(func, argnums=0, has_aux=False):
    """As `grad`, with the value: (gradient, value), or with has_aux (gradient, (value, aux))."""

    @functools.wraps(func, updated=())
    def gradient(*args, **kwargs):
        g, value, aux = _gradient("grad_and_value", func, args, kwargs, argnums, has_aux)
        return g, ((value, aux) if has_aux else value)

    return gradient


def value_and_grad(func, argnums=0, has_aux=False):
    """As `grad`, with the value before it: (value, gradient), or with has_aux ((value, aux), gradient).

    PyTorch has it as `grad_and_value`, the other way round.
    """

    @functools.wraps(func, updated=())
    def gradient(*args, **kwargs):
        g, value, aux = _gradient("value_and_grad", func, args, kwargs, argnums, has_aux)
        return ((value, aux) if has_aux else value), g

    return gradient


def _gradient(name, func, args, kwargs, argnums, has_aux):
    call = _of_one_number(Call(name, func, args, kwargs, argnums, has_aux))
    gs = call.pulled([None], call.connected, retain_graph=call.connected or has_aux)
    return call.released(rebuilt(call.chosen, gs)), call.released(call.output), call.released(call.aux)


def _of_one_number(call):
    if not isinstance(call.output, Variable):
        raise DTypeError(f"{call.name}: func must return one Variable, and returned a {type(call.output).__name__}")
    if call.output.ndim:
        raise ShapeError(
            f"{call.name}: the gradient of one number is meant, and func returned shape {call.output.shape}; reduce "
            "it, as in y.sum(), or take mg.func.vjp or mg.func.jacobian"
        )
    return call


def vjp(func, *primals, has_aux=False):
    """The value of `func` at `primals`, and the function v -> transposed Jacobian times v.

    Returns: (output, vjp_fn), or (output, vjp_fn, aux). vjp_fn takes what is built as the output and returns a tuple
             built as the primals; it may be called again.
    Raises:  DTypeError for primals or outputs that are not floats; vjp_fn ShapeError or DTypeError for what is not
             built as the output is.
    """
    call = Call("vjp", func, primals, has_aux=has_aux)
    for y, path in zip(call.ys, paths(call.output, "the output"), strict=True):
        if y.dtype.kind != "f":
            raise DTypeError(
                f"vjp: {path} of func is {y.dtype}, which has no derivative; return it as aux (has_aux=True)"
            )

    def vjp_fn(cotangents):
        seeds = matched("vjp_fn", cotangents, call.output, call.ys, "the cotangent")
        create_graph = is_grad_enabled() and (call.connected or any(s.tracked for s in seeds))
        return rebuilt(call.chosen, call.pulled(seeds, create_graph, retain_graph=True))

    output, aux = call.released(call.output), call.released(call.aux)
    call.close()
    return (output, vjp_fn, aux) if has_aux else (output, vjp_fn)


def jvp(func, primals, tangents, *, has_aux=False):
    """The value of `func` at `primals`, and its derivative along `tangents`: the Jacobian times v.

        u -> J^T u is linear; its own transposed product is v -> J v

    So it takes two backward passes, both recorded, where forward differentiation would take one forward: about three
    times the gradient, and the memory of a backward.

    Args:    primals, tangents - tuples, built alike. Tangents have the primals' shapes and dtypes.
    Returns: (output, derivative), built alike, or (output, derivative, aux).
    Raises:  ShapeError or DTypeError, which names the place, for a tangent that does not fit.
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise DTypeError("jvp: primals and tangents must be tuples, with one entry for each argument of func")
    call = Call("jvp", func, primals, has_aux=has_aux)
    along = matched("jvp", tangents, call.chosen, call.xs, "tangents")
    us, gs = call.transposed()
    create_graph = call.recorded and (call.connected or any(t.tracked for t in along))
    derivative = rebuilt(call.output, call.pushed(us, zip(gs, along, strict=True), create_graph))
    results = call.output, derivative, *([call.aux] if has_aux else [])
    return tuple(map(call.released, results))


def hvp(func, inputs, v):
    """The value of `func`, which returns one number, at `inputs`, and the product of its Hessian with `v`.

    No Hessian is built: it is the gradient of (gradient * v). torch.autograd.functional has it under this name.

    Args:    inputs - func's argument, or a tuple of its arguments. v - built alike.
    Returns: (value, product), the product built as the inputs are.
    Raises:  as `grad` and `jvp`.
    """
    args = inputs if type(inputs) is tuple else (inputs,)
    call = _of_one_number(Call("hvp", func, args))
    along = matched("hvp", v, inputs, call.xs, "v")
    with enable_grad():
        gs = call.pulled([None], create_graph=True)
    create_graph = call.recorded and (call.connected or any(t.tracked for t in along))
    product = derivatives(zip(gs, along, strict=True), call.xs, create_graph)
    return call.released(call.output), call.released(rebuilt(inputs, product))
