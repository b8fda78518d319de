"""RMSprop: step sizes by the recent size of the gradients."""

from .optimizer import Optimizer


class RMSprop(Optimizer):
    """Each element's step is divided by the root of the running mean of its squared gradients.

        g = grad + weight_decay p
        v = alpha v + (1 - alpha) g^2
        d = g / (sqrt(v) + eps);  centered: m = alpha m + (1 - alpha) g,  d = g / (sqrt(v - m^2) + eps)
        p -= lr d;  with momentum: b = momentum b + d,  p -= lr b

    Args:   params - iterable of parameters, of pairs (name, parameter), or of groups.
            lr - step size, default 1e-2.
            alpha - how much of the running means is kept, default 0.99.
            eps - default 1e-8.
            weight_decay, momentum - default 0.
            centered - divide by the standard deviation instead, default False.
            maximize - ascend the objective, default False.
    Raises: ValueError for a negative setting.
    Source: Hinton, "Neural Networks for Machine Learning", lecture 6; centered: Graves, arXiv:1308.0850.
    """

    kernel = "rmsprop"
    entries = ("step", "square_avg", "momentum_buffer", "grad_avg")
    nonnegative = ("lr", "alpha", "eps", "weight_decay", "momentum")

    def __init__(
        self,
        params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered}
        super().__init__(params, {**defaults, "weight_decay": weight_decay, "maximize": maximize})

    def counts(self, group):
        return False

    def prepare(self, group, state):
        state["step"] = state.get("step", 0) + 1
        lr, alpha, eps, momentum = (float(group[name]) for name in ("lr", "alpha", "eps", "momentum"))
        centered = bool(group["centered"])
        names = ("square_avg",) + ("grad_avg",) * centered + ("momentum_buffer",) * (momentum > 0)
        return names, (lr, alpha, 1.0 - alpha, eps, momentum, centered)

    @staticmethod
    def update(xp, p, g, t, lr, alpha, rest, eps, momentum, centered, v, *more):
        xp.multiply(g, g, out=t)
        t *= rest
        v *= alpha
        v += t
        if centered:
            m = more[0]
            m *= alpha
            m += xp.multiply(g, rest, out=t)
            xp.multiply(m, m, out=t)
            xp.subtract(v, t, out=t)
            xp.sqrt(t, out=t)
        else:
            xp.sqrt(v, out=t)
        t += eps
        xp.divide(g, t, out=t)
        if momentum:
            b = more[-1]
            b *= momentum
            b += t
            xp.multiply(b, lr, out=t)
        else:
            t *= lr
        p -= t
