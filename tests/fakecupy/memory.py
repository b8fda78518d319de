"""Memory: what arrays hold on each device, in blocks of 512 bytes that the pool keeps when they are freed."""

import threading
import weakref

import numpy as np

from . import lanes
from .lanes import clock, current
from .records import poisoned

TOTAL = 16 << 30  # bytes of a device
BLOCK = 512
_lock = threading.RLock()  # taken again by a Memory that the garbage collector finds within


class OutOfMemoryError(MemoryError):
    """cupy.cuda.memory.OutOfMemoryError."""

    def __init__(self, size, total, limit=0):
        limited = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{limited}).")


class Pool:
    """The bytes of one device: in use by arrays, and free but kept."""

    def __init__(self):
        self.used, self.free, self.limit = 0, 0, 0

    def admit(self, size):
        """Complain if there is no room for `size` bytes. Raises: OutOfMemoryError."""
        if self.used + size > (self.limit or TOTAL):
            raise OutOfMemoryError(size, self.used + self.free, self.limit)

    def take(self, size):
        """Use `size` bytes."""
        with _lock:
            self.admit(size)
            self.used += size
            self.free = max(0, min(self.free - size, (self.limit or TOTAL) - self.used))

    def give(self, size):
        """Use them no longer."""
        with _lock:
            self.used -= size
            self.free += size

    def info(self):
        """(free, total) bytes of the device."""
        return TOTAL - self.used - self.free, TOTAL


pools = [Pool() for _ in range(lanes.DEVICES)]


def reset():
    """Count from zero, without limits. Arrays that are there already are no longer counted."""
    pools[:] = [Pool() for _ in pools]


class Memory:
    """What one array and the views of it share. `lane` and `time` tell where and when it was last written."""

    __slots__ = ("__weakref__", "array", "lane", "pool", "size", "time")

    def __init__(self, array, lane):
        self.pool = None  # __del__ runs also where there is no room
        self.array = array  # the NumPy array that owns it
        self.lane, self.time = lane, clock.now
        self.size = -(-array.nbytes // BLOCK) * BLOCK
        pool = pools[lane.device]
        pool.take(self.size)
        self.pool = pool

    def __del__(self):
        if self.pool is not None:
            self.pool.give(self.size)

    def __repr__(self):
        return f"<{self.size} bytes on device {self.device_id}>"

    @property
    def device_id(self):
        return self.lane.device

    @property
    def device(self):
        return lanes.Device(self.lane.device)

    @property
    def ptr(self):
        return self.array.ctypes.data

    def written(self, lane=None):
        """It is written on a lane, by default the current one, now."""
        self.lane, self.time = lane or current.lane, clock.now


class MemoryPointer:
    """cupy.cuda.MemoryPointer: an array's `data`. Its address is that of the NumPy array inside."""

    __slots__ = ("_address", "mem")

    def __init__(self, mem, address):
        self.mem, self._address = mem, address

    @property
    def ptr(self):
        return self._address

    @property
    def device_id(self):
        return self.mem.lane.device

    @property
    def device(self):
        return self.mem.device


class MemoryPool:
    """cupy.cuda.MemoryPool: of the current device, as all its methods."""

    def used_bytes(self):
        return pools[current.device].used

    def free_bytes(self):
        return pools[current.device].free

    def total_bytes(self):
        pool = pools[current.device]
        return pool.used + pool.free

    def n_free_blocks(self):
        return int(pools[current.device].free > 0)

    def free_all_blocks(self, stream=None):
        """Give what is free back to the device."""
        pools[current.device].free = 0

    def get_limit(self):
        return pools[current.device].limit

    def set_limit(self, size=None, fraction=None):
        """Of what arrays may use; 0 is none."""
        if (size is None) == (fraction is None):
            raise ValueError("size and fraction: exactly one of them must be given")
        pools[current.device].limit = int(TOTAL * fraction) if size is None else size


class PinnedMemoryPool:
    """cupy.cuda.PinnedMemoryPool."""

    def free_all_blocks(self):
        """Nothing is kept."""

    def n_free_blocks(self):
        return 0


class PinnedMemoryPointer(bytearray):
    """Page-locked memory, for np.frombuffer."""


_pool, _pinned_pool = MemoryPool(), PinnedMemoryPool()


def get_default_memory_pool():
    """cupy.get_default_memory_pool."""
    return _pool


def get_default_pinned_memory_pool():
    """cupy.get_default_pinned_memory_pool."""
    return _pinned_pool


def alloc_pinned_memory(size):
    """cupy.cuda.alloc_pinned_memory."""
    return PinnedMemoryPointer(poisoned((size,), np.uint8).tobytes())


_page_locked: dict = {}  # first address -> (the one after the last, a weak reference to the array)


def _locked(array):
    first = array.ctypes.data
    _page_locked[first] = first + array.nbytes, weakref.ref(array)
    return array


def is_memory_pinned(data):
    """cupy.cuda.pinned_memory.is_memory_pinned."""
    for first, (end, array) in list(_page_locked.items()):
        if array() is None:
            del _page_locked[first]
        elif first <= data < end:
            return True
    return False


def empty_pinned(shape, dtype=float, order="C"):
    """cupyx.empty_pinned."""
    return _locked(poisoned(shape, dtype, order))


def zeros_pinned(shape, dtype=float, order="C"):
    """cupyx.zeros_pinned."""
    return _locked(np.zeros(shape, dtype, order))


def empty_like_pinned(a, dtype=None, order="K", subok=None, shape=None):
    """cupyx.empty_like_pinned."""
    return poisoned(a.shape if shape is None else shape, dtype or a.dtype)


def zeros_like_pinned(a, dtype=None, order="K", subok=None, shape=None):
    """cupyx.zeros_like_pinned."""
    return np.zeros(a.shape if shape is None else shape, dtype or a.dtype)
