"""Losses as layers: CrossEntropyLoss, NLLLoss, MSELoss, BCEWithLogitsLoss. The weights are buffers: they move along.

Everywhere reduction is "mean" (default), "sum", or "none" for one value per sample.
"""

from ..tape import Variable
from . import functional as F
from .module import Module


class _Loss(Module):
    def __init__(self, reduction, **weights):
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'{type(self).__name__}: expected reduction "mean", "sum" or "none", got {reduction!r}')
        self.reduction = reduction
        for name, weight in weights.items():
            known = weight is None or isinstance(weight, Variable)
            self.register_buffer(name, weight if known else Variable(weight))


class CrossEntropyLoss(_Loss):
    """-log softmax(x)[target], from logits.

    Shapes: x (n, classes, ...), target (n, ...) of class numbers, or like x of probabilities.
    Args:   weight - one factor per class.
            ignore_index - targets of this number count for nothing, default -100.
            label_smoothing - share of the target that is spread evenly over all classes, default 0.
    Raises: ValueError for an unknown reduction, or label_smoothing outside of 0..1.
    """

    def __init__(self, weight=None, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0):
        super().__init__(reduction, weight=weight)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: expected label_smoothing from 0 to 1, got {label_smoothing}")
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, x, target):
        return F.cross_entropy(x, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class NLLLoss(_Loss):
    """-x[target], from log-probabilities, as LogSoftmax gives them.

    Shapes: x (n, classes, ...), target (n, ...) of class numbers.
    Args:   weight - one factor per class.
            ignore_index - targets of this number count for nothing, default -100.
    Raises: ValueError for an unknown reduction.
    """

    def __init__(self, weight=None, *, ignore_index: int = -100, reduction: str = "mean"):
        super().__init__(reduction, weight=weight)
        self.ignore_index = ignore_index

    def forward(self, x, target):
        return F.nll_loss(x, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(_Loss):
    """(x - target)^2.

    Shapes: x (any), target like x.
    Raises: ValueError for an unknown reduction.
    """

    def __init__(self, *, reduction: str = "mean"):
        super().__init__(reduction)

    def forward(self, x, target):
        return F.mse_loss(x, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """-(pos_weight * target * log sigmoid(x) + (1 - target) * log(1 - sigmoid(x))), from logits.

    Shapes: x (any), target like x, from 0 to 1.
    Args:   weight - factor of each element, broadcast.
            pos_weight - factor of the positive examples, broadcast: more than 1 where they are rare.
    Raises: ValueError for an unknown reduction.
    """

    def __init__(self, weight=None, *, reduction: str = "mean", pos_weight=None):
        super().__init__(reduction, weight=weight, pos_weight=pos_weight)

    def forward(self, x, target):
        return F.binary_cross_entropy_with_logits(x, target, self.weight, self.reduction, self.pos_weight)
