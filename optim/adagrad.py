"""Adagrad: step sizes that shrink with the squared gradients so far."""

from .optimizer import Optimizer


class Adagrad(Optimizer):
    """Each element's step is divided by the root of the sum of its squared gradients.

        g = grad + weight_decay p
        s += g^2
        p -= lr / (1 + (step - 1) lr_decay)  g / (sqrt(s) + eps)

    Args:   params - iterable of parameters, of pairs (name, parameter), or of groups.
            lr - step size, default 1e-2.
            lr_decay, weight_decay - default 0.
            initial_accumulator_value - what s begins with, default 0.
            eps - default 1e-10.
            maximize - ascend the objective, default False.
    Raises: ValueError for a negative setting.
    Source: Duchi, Hazan and Singer 2011, "Adaptive Subgradient Methods".
    """

    kernel = "adagrad"
    entries = ("step", "sum")
    nonnegative = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def __init__(
        self,
        params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        more = {"initial_accumulator_value": initial_accumulator_value, "maximize": maximize}
        super().__init__(params, defaults | more)

    def start(self, xp, p, group):
        return xp.full_like(p, group["initial_accumulator_value"])

    def counts(self, group):
        return bool(group["lr_decay"])

    def prepare(self, group, state):
        step = state["step"] = state.get("step", 0) + 1
        return ("sum",), (float(group["lr"]) / (1 + (step - 1) * float(group["lr_decay"])), float(group["eps"]))

    @staticmethod
    def update(xp, p, g, t, lr, eps, s):
        s += xp.multiply(g, g, out=t)
        xp.sqrt(s, out=t)
        t += eps
        xp.divide(g, t, out=t)
        t *= lr
        p -= t
