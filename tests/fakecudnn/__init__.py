"""A strict double of libcudnn (cudnn.cpp), for machines without a GPU: it computes on the host memory in which the
arrays of the double of CuPy lie. It is built where there is a C++ compiler.

    fake = fakecudnn.load()
    fake.reset()                            # forget everything; CuPy's double is asked where it is
    fake.plan("cudnnCreate", 1001)          # what a function answers next
    fake.notes.runs, fake.notes.math        # what happened (struct Notes in cudnn.cpp)
"""

import ctypes
import functools
from pathlib import Path

from fakecupy import emulator

SOURCE = Path(__file__).parent / "cudnn.cpp"
_WHERE = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_void_p))


class Notes(ctypes.Structure):
    """What the library noted, and `version` and `microseconds`, which tests set."""

    _fields_ = tuple(
        (name, ctypes.c_long)
        for name in "descriptors handles runs format math algorithm stream version microseconds".split()
    )


@_WHERE
def _where(device, stream):
    import cupy

    device[0] = cupy.cuda.runtime.getDevice()
    stream[0] = cupy.cuda.get_current_stream().ptr


class Fake:
    """The library: its `path`, and what tests ask and tell it."""

    def __init__(self):
        self.path = emulator._load(SOURCE.read_text())._name
        self._library = ctypes.CDLL(self.path)
        self._library.fake_notes.restype = ctypes.POINTER(Notes)
        self.notes = self._library.fake_notes().contents

    def reset(self):
        """Forget handles, descriptors, plans and notes."""
        self._library.fake_reset(_where)

    def plan(self, name, status):
        """Let the next call of a function answer so."""
        self._library.fake_plan(name.encode(), status)


load = functools.cache(Fake)
