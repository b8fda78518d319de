"""Dropout: noise in training, nothing in evaluation."""

from . import functional as F
from .module import Module


class Dropout(Module):
    """In training, zero each element with probability p and divide the others by 1 - p; in evaluation y = x.

    Shapes: x (any) -> y like x.
    Args:   p - probability of zeroing an element, default 0.5.
            inplace - accepted for PyTorch's signature; the result is a new array in any case.
    Raises: ValueError for p outside of 0..1.
    Source: Srivastava et al. 2014, JMLR 15:1929.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: expected a probability p from 0 to 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, x):
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
