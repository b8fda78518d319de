"""The tape under the names of torch.autograd: `from minigrad.autograd import Function, grad`."""

from .tape import (
    Function,
    Variable,
    detect_anomaly,
    enable_grad,
    grad,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)
from .tape.engine import backward_from, listed, one_each

__all__ = ["Function", "Variable", "backward", "grad"]
__all__ += ["enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"]
__all__ += ["detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_detect_anomaly"]


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradients of `tensors`, a Variable or a sequence of them, to the `grad` of the leaves in one walk.

    Args:   grad_tensors - one gradient per tensor, of its shape; None is 1 for a tensor of one element.
            retain_graph, create_graph, inputs - as for `Variable.backward`.
    Raises: GraphError as there, and where there are not as many gradients as tensors.
    """
    tensors = listed(tensors)
    gradients = one_each("backward", tensors, grad_tensors, "grad_tensors")
    backward_from(tensors, gradients, retain_graph, create_graph, inputs)


def inference_mode(mode=True):
    """`no_grad` under this name: `with inference_mode():` or `@inference_mode()`; `enable_grad` where mode is False."""
    return no_grad(mode) if callable(mode) else no_grad() if mode else enable_grad()
