"""Prefetcher: copies batches from the host to a GPU on a stream of their own, while that GPU computes.

    p = Prefetcher(0)
    p.begin()                           # the next batch
    host = p.buffer((64, 784), dtype)   # page-locked memory, for NumPy to fill
    x = p.array(host)                   # a device array, which will have the values of `host`
    flight = p.depart()                 # the copies are queued
    p.arrive(flight)                    # what is computed from now on finds them done; the host does not wait

Two flights take turns, so that one is filled while the other is copied.
"""

import math

import cupy
import cupyx
import numpy as np

# Prefetchers that were closed while copies were under way: their buffers must outlive those. The next one looks.
_leaving: set = set()


class Prefetcher:
    """Of GPU number `index`, for the batches of one iteration."""

    def __init__(self, index):
        _dismiss()
        self.index = index
        with cupy.cuda.Device(index):
            self.stream = cupy.cuda.Stream(non_blocking=True)
            self.flights = [Flight(), Flight()]
        self.under_way: list = []

    def begin(self) -> None:
        """Prepare for the next batch: its buffers are those of the last but one, whose copies are done by now.

        Only a host that has put the work of two batches before the GPU may have to wait for them, and that keeps the
        GPU busy meanwhile.
        """
        flight = self.flights[0]
        if not flight.copied.done:
            flight.copied.synchronize()
        flight.used = 0
        flight.load.clear()

    def buffer(self, shape, dtype) -> np.ndarray:
        """Page-locked memory on the host, uninitialized, for the batch that is prepared."""
        flight, dtype = self.flights[0], np.dtype(dtype)
        k, size = flight.used, math.prod(shape) * dtype.itemsize
        flight.used += 1
        if k == len(flight.buffers):
            flight.buffers.append(np.empty(0, np.uint8))
        if flight.buffers[k].size < size:
            with cupy.cuda.Device(self.index):
                flight.buffers[k] = cupyx.empty_pinned((size,), np.uint8)
        return flight.buffers[k][:size].view(dtype).reshape(shape)

    def array(self, host):
        """A new device array, which is to have the values of `host`, an array in a `buffer`."""
        with cupy.cuda.Device(self.index):
            x = cupy.empty(host.shape, host.dtype)
        if host.size:
            self.flights[0].load.append((x, host))
        return x

    def depart(self) -> "Flight":
        """Queue the copies of this batch, and turn to the other buffers."""
        flight = self.flights[0]
        with cupy.cuda.Device(self.index):
            # CuPy keeps freed memory for the stream on which it was allocated, and hands it out again without waiting.
            # So the arrays are allocated on the computing stream, which alone orders their old use, this one, and the
            # next: the copies wait for what was queued before the allocation (another array's last use, perhaps), and
            # the computing stream waits for the copies, in `arrive` or else in `close`, before the memory is free.
            flight.home = cupy.cuda.get_current_stream()
            flight.allocated.record(flight.home)
            self.stream.wait_event(flight.allocated)
            for x, host in flight.load:
                x.set(host, stream=self.stream)
            flight.copied.record(self.stream)
        flight.load.clear()
        self.under_way.append(flight)
        self.flights.reverse()
        return flight

    def arrive(self, flight) -> None:
        """Let the computing stream wait for the copies of `flight`."""
        with cupy.cuda.Device(self.index):
            here = cupy.cuda.get_current_stream()
            flight.home.wait_event(flight.copied)
            if here != flight.home:  # the loop was entered under one stream, and goes on under another
                here.wait_event(flight.copied)
        self.under_way.remove(flight)

    def close(self) -> None:
        """No more batches; those that did not arrive are given up."""
        for flight in tuple(self.under_way):
            self.arrive(flight)
        self.flights[0].load.clear()  # of a batch that was not completed
        _leaving.add(self)
        _dismiss()


class Flight:
    """One batch on its way: page-locked buffers, which are used again, and the events between the streams."""

    def __init__(self):
        self.buffers: list[np.ndarray] = []
        self.used = 0  # how many of them this batch has
        self.load: list = []  # pairs (device array, its values on the host)
        self.home = None  # the stream on which its arrays were allocated
        self.allocated = cupy.cuda.Event(disable_timing=True)
        self.copied = cupy.cuda.Event(disable_timing=True)


def _dismiss():
    """Let go of those whose copies are done."""
    for p in tuple(_leaving):
        if all(flight.copied.done for flight in p.flights):
            _leaving.discard(p)
