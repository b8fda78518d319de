"""Grad modes: is the tape recording? One ContextVar, so each thread and each async task has its own answer."""

from contextlib import ContextDecorator
from contextvars import ContextVar

recording: ContextVar[bool] = ContextVar("recording", default=True)


class _Mode(ContextDecorator):
    """A context manager and decorator that sets `recording`, whatever way the block is left."""

    def __init__(self, mode: bool):
        self.mode = mode
        self._tokens: list = []  # a stack: the same object may be entered again inside itself

    def __enter__(self):
        self._tokens.append(recording.set(self.mode))
        return self

    def __exit__(self, *exc):
        recording.reset(self._tokens.pop())

    def _recreate_cm(self):  # ContextDecorator: a decorated function gets a fresh manager per call, also in threads
        return type(self)(self.mode) if type(self) in (_Mode, set_grad_enabled) else type(self)()


class no_grad(_Mode):
    """Record nothing inside: for evaluation and for updating parameters. `with no_grad():` or `@no_grad()`."""

    def __init__(self):
        super().__init__(False)


class enable_grad(_Mode):
    """Record again inside of a `no_grad` block."""

    def __init__(self):
        super().__init__(True)


class set_grad_enabled(_Mode):
    """Record or not, by the value of `mode`: `with set_grad_enabled(training):`."""

    def __init__(self, mode: bool):
        super().__init__(bool(mode))


def is_grad_enabled() -> bool:
    """True where operations are recorded for backward."""
    return recording.get()
