"""Parameter: a Variable that a Module owns and an optimizer updates."""

from ..backend import around, place
from ..dtypes import get_default_dtype
from ..errors import GraphError
from ..tape import Variable


class Parameter(Variable):
    """A Variable that is listed in `parameters()` of the Module to which it is assigned.

    Args:   data - array (kept as it is, not copied), Variable (its array), number or nested list.
            requires_grad - record what is computed from it, default True; False freezes it.
    Raises: DTypeError for integers and bools, unless requires_grad=False.
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True, name=None):
        super().__init__(data, requires_grad, name)

    def __repr__(self):
        return f"Parameter containing:\n{Variable(self.data, self.tracked, self.name)!r}"

    def __deepcopy__(self, memo):
        """A Parameter with a copy of the values, and like PyTorch's without the gradient."""
        if self.creator is not None:
            raise GraphError("deepcopy: only a leaf can be copied, and this was computed; copy x.detach()")
        with around(self.data):
            return type(self)(self.data.copy(), self.tracked, self.name)


def empty(shape, device=None, dtype=None) -> Parameter:
    """A Parameter whose values are not set yet: for constructors, which go on to initialize it.

    Raises: DeviceError for a device that is not there.
    """
    with place(device) as library:
        return Parameter(library.xp.empty(shape, dtype=get_default_dtype() if dtype is None else dtype))
