"""When was memory overwritten? The tape asks before it uses a saved value.

One counter, `tick`, stamps both the birth of nodes and the overwriting of memory. A value that a node saved has
been overwritten exactly if its memory carries a later stamp than the node. So nothing is counted per array, and
while nothing has been overwritten since (`memory.last < node.order`) the question costs one comparison.
"""

import itertools
import weakref

from ..backend import detours
from .observers import observing
from .provenance import caller

tick = itertools.count(1).__next__


class _Memory:
    __slots__ = ("_alive", "_places", "last", "stamps")

    def __init__(self):
        self.last = 0  # the latest stamp of all
        self.stamps: dict[int, int] = {}  # id of the array that owns the memory -> its latest stamp
        self._alive: dict[int, weakref.ref] = {}
        self._places: dict[int, tuple] = {}  # id of the array -> (stamp, the line that overwrote it), where observed

    def overwritten(self, array) -> None:
        """Note that the memory under `array` has just been overwritten."""
        owner = owner_of(array)
        key = id(owner)
        if key not in self.stamps:
            self._alive[key] = weakref.ref(owner, lambda _: self._forget(key))
        self.stamps[key] = self.last = tick()
        if detours and observing.get():
            self._places[key] = self.last, caller()

    def stamp(self, array) -> int:
        """When the memory under `array` was last overwritten; 0: never."""
        return self.stamps.get(id(owner_of(array)), 0)

    def place(self, array):
        """Which line overwrote the memory under `array` last (see provenance.py); None where that is not known."""
        key = id(owner_of(array))
        stamp, place = self._places.get(key, (0, None))
        return place if stamp == self.stamps.get(key) else None

    def _forget(self, key: int) -> None:
        del self.stamps[key], self._alive[key]
        self._places.pop(key, None)


memory = _Memory()


def owner_of(array):
    """The array that owns the memory that `array` looks at: views share their owner."""
    while hasattr(array.base, "base"):  # an array, not a file or a buffer
        array = array.base
    return array
