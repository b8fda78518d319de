"""Stochastic gradient descent, with momentum."""

from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

        g = grad + weight_decay p
        b = momentum b + (1 - dampening) g,  at first b = g
        p -= lr b;  without momentum p -= lr g;  with nesterov p -= lr (g + momentum b)

    Args:   params - iterable of parameters, of pairs (name, parameter), or of groups.
            lr - step size, default 1e-3.
            momentum, dampening, weight_decay - default 0.
            nesterov - look ahead along the momentum, default False.
            maximize - ascend the objective, default False.
    Raises: ValueError for a negative setting, or Nesterov without momentum or with dampening.
    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
    """

    kernel = "sgd"
    entries = ("momentum_buffer",)
    nonnegative = ("lr", "momentum", "weight_decay")

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "nesterov": nesterov, "maximize": maximize})

    def check(self, group):
        super().check(group)
        if group["nesterov"] and not (group["momentum"] > 0 and group["dampening"] == 0):
            raise ValueError(
                "SGD: nesterov needs momentum > 0 and dampening 0, "
                f"got momentum {group['momentum']!r}, dampening {group['dampening']!r}"
            )

    def counts(self, group):
        return bool(group["momentum"] and group["dampening"])  # the first step is not dampened

    def prepare(self, group, state):
        lr, momentum = float(group["lr"]), float(group["momentum"])
        if not momentum:
            return (), (lr,)
        share = 1.0 - float(group["dampening"]) if "momentum_buffer" in state else 1.0
        return ("momentum_buffer",), (lr, momentum, share, group["nesterov"])

    @staticmethod
    def update(xp, p, g, t, lr, momentum=0.0, share=1.0, nesterov=False, b=None):
        if b is not None:
            b *= momentum
            b += g if share == 1.0 else xp.multiply(g, share, out=t)
            g = b if not nesterov else xp.add(g, xp.multiply(b, momentum, out=t), out=t)
        xp.multiply(g, lr, out=t)
        p -= t
