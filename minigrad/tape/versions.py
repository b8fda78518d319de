"""When was memory overwritten? The tape asks before it uses a saved value.

One counter, `tick`, stamps both the birth of nodes and the overwriting of memory. A value that a node saved has
been overwritten exactly if its memory carries a later stamp than the node. So nothing is counted per array, and
while nothing has been overwritten since (`memory.last < node.order`) the question costs one comparison.
"""

import itertools
import weakref

tick = itertools.count(1).__next__


class _Memory:
    __slots__ = ("_alive", "last", "stamps")

    def __init__(self):
        self.last = 0  # the latest stamp of all
        self.stamps: dict[int, int] = {}  # id of the array that owns the memory -> its latest stamp
        self._alive: dict[int, weakref.ref] = {}

    def overwritten(self, array) -> None:
        """Note that the memory under `array` has just been overwritten."""
        owner = owner_of(array)
        key = id(owner)
        if key not in self.stamps:
            self._alive[key] = weakref.ref(owner, lambda _: self._forget(key))
        self.stamps[key] = self.last = tick()

    def stamp(self, array) -> int:
        """When the memory under `array` was last overwritten; 0: never."""
        return self.stamps.get(id(owner_of(array)), 0)

    def _forget(self, key: int) -> None:
        del self.stamps[key], self._alive[key]


memory = _Memory()


def owner_of(array):
    """The array that owns the memory that `array` looks at: views share their owner."""
    while hasattr(array.base, "base"):  # an array, not a file or a buffer
        array = array.base
    return array
