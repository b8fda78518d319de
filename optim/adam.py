"""Adam and AdamW: momentum, and step sizes by the recent size of the gradients."""

from .optimizer import Optimizer


class Adam(Optimizer):
    """Running means of the gradient and of its square, both corrected for having begun at zero.

        g = grad + weight_decay p
        m = b1 m + (1 - b1) g
        v = b2 v + (1 - b2) g^2;  amsgrad: the largest v so far takes its place below
        p -= lr (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)

    Args:   params - iterable of parameters, of pairs (name, parameter), or of groups.
            lr - step size, default 1e-3.
            betas - (b1, b2), default (0.9, 0.999).
            eps - default 1e-8.
            weight_decay - default 0.
            amsgrad - default False.
            maximize - ascend the objective, default False.
    Raises: ValueError for a negative setting, or a beta outside of [0, 1).
    Source: Kingma and Ba, arXiv:1412.6980, algorithm 1 and end of section 2; amsgrad: Reddi et al., arXiv:1904.09237.
    """

    kernel = "adam"
    entries = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    nonnegative = ("lr", "eps", "weight_decay")

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad, "maximize": maximize})

    def check(self, group):
        super().check(group)
        try:
            b1, b2 = group["betas"]
            fine = 0 <= b1 < 1 and 0 <= b2 < 1
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise ValueError(f"{type(self).__name__}: betas must be two numbers in [0, 1), got {group['betas']!r}")

    def counts(self, group):
        return False  # the kernel knows

    def prepare(self, group, state):
        step = state["step"] = state.get("step", 0) + 1
        lr, eps, (b1, b2) = float(group["lr"]), float(group["eps"]), map(float, group["betas"])
        root = (1.0 - b2**step) ** 0.5  # both corrections in two numbers: m / (sqrt(v) / root + eps)
        kept = 1.0 - lr * float(group["weight_decay"]) if self.decoupled else 1.0
        names = ("exp_avg", "exp_avg_sq") + ("max_exp_avg_sq",) * bool(group["amsgrad"])
        return names, (kept, b1, 1.0 - b1, b2, 1.0 - b2, eps * root, lr * root / (1.0 - b1**step))

    @staticmethod
    def update(xp, p, g, t, kept, b1, rest1, b2, rest2, eps, lr, m, v, top=None):
        m *= b1
        m += xp.multiply(g, rest1, out=t)
        v *= b2
        xp.multiply(g, g, out=t)
        t *= rest2
        v += t
        if top is not None:
            v = xp.maximum(top, v, out=top)
        xp.sqrt(v, out=t)
        t += eps
        xp.divide(m, t, out=t)
        t *= lr
        if kept != 1.0:
            p *= kept
        p -= t


class AdamW(Adam):
    """Adam whose weight decay stays out of the running means: p *= 1 - lr weight_decay, before the step.

    Args:   as Adam's; weight_decay - default 1e-2.
    Raises: ValueError as Adam.
    Source: Loshchilov and Hutter, arXiv:1711.05101, algorithm 2, without its schedule multiplier.
    """

    decoupled = True

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
