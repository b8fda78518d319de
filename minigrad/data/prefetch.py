"""Batches in page-locked memory, and batches that are on a GPU when their turn comes.

A batch is whatever a collate_fn returns: Variables and arrays in dictionaries, lists and tuples. `mapped` reaches them.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from ..backend import backend, gpu, place
from ..protocols import to
from ..tape import Variable, raw

# make(indices, new) is the batch of those indices; new(shape, dtype) gives memory on the host, to put it there.
Make = Callable[[Any, Any], Any]


def delivered(batches, make: Make, device) -> Iterator:
    """The batches as Variables on `device`. To a GPU they are copied one ahead, while the last one is used."""
    with place(device) as library:
        device = library.here()
    if library.host:
        for indices in batches:
            yield mapped(make(indices, None), lambda x: to(_variable(x), device=device))
        return
    flights = library.prefetcher(device.index)
    batches = iter(batches)
    try:
        coming = _departed(flights, batches, make, device)
        while coming is not None:
            if isinstance(coming, Exception):
                raise coming
            # The next batch departs before this one is given out: its arrays are allocated, and its copies begin,
            # before what this one is used for is queued.
            (batch, flight), coming = coming, _departed(flights, batches, make, device)
            flights.arrive(flight)
            yield batch
    finally:
        coming = None  # an exception would hold this frame, and this frame the exception
        flights.close()


def _departed(flights, batches, make, device):
    """(the next batch, its flight), None after the last one, or what it raised: that is for when it is due."""
    try:
        indices = next(batches, None)
        if indices is None:
            return None
        flights.begin()
        memory = _Memory(flights.buffer)

        def sent(x):
            x = _variable(x)
            if x.tracked or not backend[type(x.data)].host:  # a dataset that is learned, or lies on a GPU
                return to(x, device=device)
            return Variable(flights.array(memory.holding(x.data)))

        return mapped(make(indices, memory.new), sent), flights.depart()
    except Exception as error:  # noqa: BLE001 - raised where the batch would have come
        return error


def pinned(batches, make: Make, library) -> Iterator:
    """The batches in page-locked memory of `library`, a GPU's. What lies on a GPU, or has a history, stays."""

    def locked(x):
        array = raw(x)
        if not backend[type(array)].host or getattr(x, "tracked", False):
            return x
        array = memory.holding(array)
        return Variable(array) if isinstance(x, Variable) else array

    for indices in batches:
        memory = _Memory(library.pinned)
        yield mapped(make(indices, memory.new), locked)


class _Memory:
    """Page-locked memory for one batch, and what of it was given out."""

    def __init__(self, allocate):
        self.allocate, self.given = allocate, []

    def new(self, shape, dtype):
        """An uninitialized array, in the byte order of this machine."""
        dtype = np.dtype(dtype).newbyteorder("=")
        array = self.allocate(shape, dtype) if 0 not in shape else np.empty(shape, dtype)
        self.given.append(array)
        return array

    def holding(self, x):
        """`x` itself if it lies here, or a copy that does."""
        if any(x is array for array in self.given):
            return x
        y = self.new(x.shape, x.dtype)
        y[...] = x
        return y


def _variable(x):
    return x if isinstance(x, Variable) else Variable(x)


def mapped(batch, function):
    """The batch with function(x) in place of each Variable or array of numbers x. Containers keep their types."""
    if isinstance(batch, (Variable, np.ndarray)) or (gpu and type(batch) is gpu[0].array):
        return function(batch) if batch.dtype.kind in "fiub" else batch
    if isinstance(batch, Mapping):
        entries = {key: mapped(value, function) for key, value in batch.items()}
        if not isinstance(batch, MutableMapping):
            return entries
        out = copy.copy(batch)  # not type(batch)(): a defaultdict, say, has more to it than its entries
        out.update(entries)
        return out
    if isinstance(batch, tuple):
        values = [mapped(value, function) for value in batch]
        return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)
    if isinstance(batch, list):
        twin = copy.copy(batch)
        twin[:] = [mapped(value, function) for value in batch]
        return twin
    return batch
