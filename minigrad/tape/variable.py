"""Variable: an array on the tape. What one can do with it is bound in `minigrad/methods.py`."""

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import backend
from ..dtypes import get_default_dtype
from ..errors import DTypeError, GraphError, ShapeError
from .versions import tick


class Variable:
    """An array on the tape.

    Args:   data - NumPy array (kept as it is, not copied), number or nested list (float32; int64 for integers).
            requires_grad - record what is computed from it, so that `backward()` can fill `grad`.
            name - for pictures and messages.
    Holds:  data (array), grad (Variable or None), creator (the Function that made it; None for a leaf), name.
    Raises: DTypeError if requires_grad is asked for an integer or bool array, or the data is no numbers.
    """

    __slots__ = ("__dict__", "__weakref__", "creator", "data", "grad", "tracked")

    name = None
    hooks = None  # of a leaf; those of another Variable hang on its creator
    order = 0  # a leaf ends the walk: nodes are numbered from 1

    def __init__(self, data, requires_grad=False, name=None):
        self.data = as_array(data)
        self.grad = None
        self.creator = None
        self.tracked = False
        if requires_grad:
            self.requires_grad = True
        if name is not None:
            self.name = name

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    is_leaf = property(lambda self: self.creator is None)
    grad_fn = property(lambda self: self.creator, doc="PyTorch's name for `creator`.")

    @property
    def edge(self):
        """Where the gradient of this Variable goes: the node that made it, or the leaf itself."""
        return self if self.creator is None else self.creator

    @property
    def requires_grad(self) -> bool:
        """True if operations on this Variable are recorded. Only a leaf's can be set."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, wanted):
        if self.creator is not None and not wanted:
            raise GraphError("requires_grad: only a leaf's can be switched off; write y = x.detach()")
        if wanted and self.data.dtype.kind != "f":
            raise DTypeError(
                f"requires_grad: only floats have gradients, and this is {self.data.dtype}; "
                "write mg.tensor([1.0, 2.0]) with decimal points, or x.float()"
            )
        self.tracked = bool(wanted)

    def detach(self):
        """The same array without its history: gradients stop here."""
        return Variable(self.data)

    def retain_grad(self) -> None:
        """Make backward fill `grad` here too, though this is no leaf."""
        if not self.tracked:
            raise GraphError("retain_grad: this Variable does not require grad")
        if self.creator is not None:
            self.creator.retained = weakref.ref(self)
            self.creator.hooks = self.creator.hooks or Hooks()

    def register_hook(self, hook):
        """Call `hook(grad)` when the gradient here is complete; what it returns, unless None, takes its place.

        Args:    hook - function of a Variable of this shape.
        Returns: a handle whose `remove()` takes the hook off.
        """
        if not self.tracked:
            raise GraphError("register_hook: this Variable does not require grad, so no gradient comes by")
        if self.edge.hooks is None:
            self.edge.hooks = Hooks()
        return HookHandle(self.edge.hooks, hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Call `hook(self)` at the end of each backward that has added to the `grad` of this leaf.

        All leaves have their gradients by then. For an optimizer in backward: step, and set `grad` to None.

        Args:    hook - function of this Variable; what it returns is ignored.
        Returns: a handle whose `remove()` takes the hook off.
        Raises:  GraphError for what is no leaf that requires grad.
        """
        if not self.tracked or self.creator is not None:
            raise GraphError(
                "register_post_accumulate_grad_hook: only a leaf that requires grad has a gradient added; "
                "for other Variables write x.register_hook(hook)"
            )
        if self.hooks is None:
            self.hooks = Hooks()
        Hooks.late = True
        return HookHandle(self.hooks.accumulated, hook)

    __hash__ = object.__hash__  # by identity: == compares elements

    if TYPE_CHECKING:  # what methods.py binds, which type checkers cannot see
        grad: "Variable | None"
        creator: Any

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> "Variable": ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __len__(self) -> int: ...
        def __float__(self) -> float: ...
        def __int__(self) -> int: ...
        def __index__(self) -> int: ...
        def __neg__(self) -> "Variable": ...
        def __add__(self, other: Any) -> "Variable": ...

        __abs__ = __invert__ = __neg__
        __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = __add__
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = __add__
        __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __ifloordiv__ = __imod__ = __add__
        __iand__ = __ior__ = __ixor__ = __ilshift__ = __irshift__ = __add__
        __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = __add__
        __lshift__ = __rshift__ = __rlshift__ = __rrshift__ = __add__
        __lt__ = __le__ = __gt__ = __ge__ = __add__
        __eq__ = __ne__ = __add__  # type: ignore[assignment]


class Hooks(dict):
    """The hooks of a node or leaf by number, in their order; apart, those of a leaf that wait for its `grad`."""

    late = False  # whether anybody has ever registered one of the latter: a backward asks this once, not each leaf

    def __init__(self):
        super().__init__()
        self.accumulated: dict = {}


class HookHandle:
    """What registering a hook returns. Also a context manager."""

    def __init__(self, hooks: dict, hook):
        self.hooks, self.key = hooks, tick()
        hooks[self.key] = hook

    def remove(self) -> None:
        """Take the hook off; a second time does nothing."""
        self.hooks.pop(self.key, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


new = Variable.__new__


def untracked(array):
    """A Variable on `array` without a history: `Variable(array)`, without its checks."""
    out = new(Variable)
    out.data = array
    out.grad = None
    out.creator = None
    out.tracked = False
    return out


def as_array(data, dtype=None):
    """`data` as an array: arrays as they are, numbers and lists in the default float, int64 or bool.

    Raises: DTypeError for what is not bools, integers or floats; ShapeError for lists of unequal lengths;
            DeviceError for arrays of a library that minigrad does not compute with.
    """
    if isinstance(data, Variable):
        data = data.data
    fresh = not hasattr(data, "dtype")
    if fresh or isinstance(data, np.generic):
        try:
            data = np.asarray(data)
        except ValueError as error:
            raise ShapeError(f"tensor: the lists differ in length: {error}") from None
        if fresh and dtype is None and (data.dtype.kind == "f" or data.size == 0):
            dtype = get_default_dtype()
    elif type(data) is not np.ndarray:
        backend[type(data)]  # raises where this is no array that we know
    if data.dtype.kind not in "fiub":
        raise DTypeError(f"tensor: expected floats, integers or bools, got {data.dtype}")
    return data if dtype is None else data.astype(dtype, copy=False)


def raw(x):
    """The array of a Variable; anything else as it is."""
    return x.data if isinstance(x, Variable) else x
