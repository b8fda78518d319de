"""Device: the name of a place where arrays lie, and the choice of where new ones are made."""

import operator
from contextvars import ContextVar

from ..errors import DeviceError

_chosen: ContextVar[tuple["Device", ...]] = ContextVar("device", default=())


class Device:
    """Where arrays lie: `Device("cpu")`, `Device("cuda:1")` or `Device(1)`; `Device("cuda")` is the current GPU.

    As a context manager, it is where creation functions and new modules put what is given no device of its own, and
    "cuda" without a number means it. Contexts nest, and each thread has its own.

    Equal to its own name: `x.device == "cuda:0"`.
    Raises: DeviceError for another name or a negative number.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, device, index: int | None = None):
        if hasattr(device, "__index__") and not isinstance(device, bool) and index is None:
            device, index = "cuda", operator.index(device)  # as PyTorch reads a number
        kind, colon, number = str(device).partition(":")
        if index is None and colon:
            index = int(number) if number.isdecimal() else -1
        if kind not in ("cpu", "cuda") or (index is not None and (index < 0 or (kind == "cpu" and index > 0))):
            shown = repr(device) if index is None or colon else f"{device!r}, {index}"
            raise DeviceError(f'device: expected "cpu", "cuda" or "cuda:1", got {shown}')
        self.type, self.index = kind, index if kind == "cuda" else None

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        return f"device({str(self)!r})"

    def __eq__(self, other):
        return str(self) == str(other) if isinstance(other, (Device, str)) else NotImplemented

    def __hash__(self):
        return hash(str(self))

    def __enter__(self):
        _chosen.set((*_chosen.get(), self))
        return self

    def __exit__(self, *exc):
        _chosen.set(_chosen.get()[:-1])


CPU = Device("cpu")


def chosen() -> Device:
    """Where new arrays go that are given no device: that of the innermost `with`, else the CPU."""
    stack = _chosen.get()
    return stack[-1] if stack else CPU


def chosen_gpu() -> int | None:
    """The number of the GPU that "cuda" means in the contexts around, or None."""
    return next((d.index for d in reversed(_chosen.get()) if d.index is not None), None)
