"""`mg.func`: functions that take a function and return another one, its derivative. PyTorch's torch.func.

    slope = mg.func.grad(lambda x: mg.sin(x))
    slope(0.0)                                  # Variable(1.)
    mg.func.grad(slope)(0.0)                    # Variable(-0.): transforms compose

    def loss(params, x, y):
        return F.mse_loss(mg.func.functional_call(net, params, x), y)

    grads = mg.func.grad(loss)(dict(net.named_parameters()), x, y)      # a dict with the names of the parameters

Arguments and results may be Variables in tuples, lists, dicts and named tuples; arrays and numbers are taken as
Variables. Nothing that came in is changed: no `grad` is filled, and no `requires_grad` switched.

A result is recorded where recording is on and something that requires grad outside went in: a closure's parameters
count. Where you do not mean to differentiate it again, call the transform under `mg.no_grad()`, which is cheaper.

Files: call.py runs the function, ../containers.py takes apart what goes in and comes out; gradients.py and jacobians.py
are the transforms, modules.py is functional_call.
"""

from .gradients import grad as grad
from .gradients import grad_and_value as grad_and_value
from .gradients import hvp as hvp
from .gradients import jvp as jvp
from .gradients import value_and_grad as value_and_grad
from .gradients import vjp as vjp
from .jacobians import hessian as hessian
from .jacobians import jacfwd as jacfwd
from .jacobians import jacobian as jacobian
from .jacobians import jacrev as jacrev
from .modules import functional_call as functional_call
