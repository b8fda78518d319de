"""Modes: is the tape recording, and in which dtype are operations computed? ContextVars, so each thread and each async
task has its own answer.
"""

import functools
import inspect
from contextvars import ContextVar
from typing import Any, NamedTuple

recording: ContextVar[bool] = ContextVar("recording", default=True)
# True while a checkpoint computes for the second time: what counts how often it ran, as batch norm does, looks away.
recomputing: ContextVar[bool] = ContextVar("recomputing", default=False)
_left: ContextVar[tuple[bool, ...]] = ContextVar("left", default=())  # the modes to come back to, innermost last


class Region(NamedTuple):
    """An autocast region (minigrad/amp.py) that is open here; ops/autocast.py asks it."""

    devices: frozenset[str]  # types of the devices on which it computes in float16
    caching: bool
    cache: dict  # parameter -> what it is in float16; one for all regions inside of another
    outer: Any  # the Region around, or None


casting: ContextVar[Region | None] = ContextVar("casting", default=None)
# One entry for each region that is open in any thread. While it is empty, asking it costs an operation 4 ns.
regions: list[None] = []


class Decorator:
    """A context manager that decorates functions too. It may be entered again inside itself, and in several threads."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def __call__(self, function):
        """Decorate `function`; of a generator, the body runs in this mode, and who iterates over it in their own."""
        if inspect.isgeneratorfunction(function):
            return self._generator(function)

        @functools.wraps(function)
        def inside(*args, **options):
            with self:
                return function(*args, **options)

        return inside

    def _generator(self, function):
        @functools.wraps(function)
        def inside(*args, **options):
            running = function(*args, **options)
            resume, value = running.send, None
            try:
                while True:
                    try:
                        with self:
                            item = resume(value)
                    except StopIteration as end:
                        return end.value
                    try:
                        resume, value = running.send, (yield item)
                    except Exception as error:  # noqa: BLE001 - thrown in by the caller: it is the body's
                        resume, value = running.throw, error
            finally:
                with self:
                    running.close()

        return inside


class _Mode(Decorator):
    """Sets `recording`. It holds no state."""

    mode: bool

    def __new__(cls, function=None):
        self = super().__new__(cls)
        return self if function is None else self(function)  # `@no_grad` is `@no_grad()`

    def __enter__(self):
        self._enter(recording.get())
        return self

    def _enter(self, before):
        _left.set((*_left.get(), before))
        recording.set(self.mode)

    def __exit__(self, *exc):
        *left, before = _left.get()
        _left.set(tuple(left))
        recording.set(before)


class no_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Record nothing inside: for evaluation and for updating parameters. `with no_grad():` or `@no_grad()`."""

    mode = False


class enable_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Record again inside of a `no_grad` block."""

    mode = True


class set_grad_enabled(_Mode):  # noqa: N801 - PyTorch's name
    """Record or not, by the value of `mode`: from now on, in a `with` block, or in a decorated function."""

    before: bool

    def __new__(cls, mode: bool):
        self = object.__new__(cls)
        self.mode = bool(mode)
        self.before = recording.get()
        recording.set(self.mode)
        return self

    def __enter__(self):
        self._enter(self.before)
        return self

    def __call__(self, function):
        recording.set(self.before)
        return (enable_grad if self.mode else no_grad)()(function)


def is_grad_enabled() -> bool:
    """True where operations are recorded for backward."""
    return recording.get()
