"""Devices, streams and events: where work is put, and which work has waited for which.

A Lane is one queue of work on one device. The memory of an array knows on which lane, and when, it was last written;
who uses it on another lane must have waited for an event recorded after that, or the program has a race. Time is a
number that grows with each event and synchronization.
"""

import threading

from .records import synchronized

DEVICES = 8  # at most
STATUS = {
    2: "cudaErrorMemoryAllocation: out of memory",
    101: "cudaErrorInvalidDevice: invalid device ordinal",
    400: "cudaErrorInvalidResourceHandle: invalid resource handle",
}


class CUDARuntimeError(RuntimeError):
    """An error of the CUDA runtime, by its number."""

    def __init__(self, status):
        self.status = status
        super().__init__(STATUS[status])


class Lane:
    """A queue of work on one device."""

    __slots__ = ("blocking", "device", "done", "null", "number", "pending", "seen")

    def __init__(self, device, number, null=False, blocking=False):
        self.device, self.number, self.null, self.blocking = device, number, null, blocking
        self.done = -1  # the host has waited for what was put here up to then
        self.seen: dict[Lane, int] = {}  # other lanes -> what was put there up to then comes before what is put here
        self.pending: list = []  # (time, function): copies to the host, which end when somebody waits for them

    def __repr__(self):
        return f"stream {self.number} of device {self.device}"

    def finish(self, until=None):
        """The host has waited for the work up to a time; by default, for all of it."""
        until = clock.tick() if until is None else until
        self.done = max(self.done, until)
        due = [function for time, function in self.pending if time <= until]
        self.pending = [(time, function) for time, function in self.pending if time > until]
        for function in due:
            function()
        for lane, time in self.seen.items():
            if time > lane.done:
                lane.finish(time)
        if self.null:
            for lane in [lane for lane in lanes if lane.blocking and lane.device == self.device]:
                lane.done = max(lane.done, until)

    def put(self, function):
        """Put a copy to the host here, which ends when somebody waits for it."""
        self.pending.append((clock.now, function))

    def comes_after(self, other, time) -> bool:
        """True if what is put here now comes after what was put on another lane at that time."""
        if other is self or time <= max(other.done, self.seen.get(other, -1)):
            return True
        return other.device == self.device and ((other.null and self.blocking) or (other.blocking and self.null))


class _Clock:
    now = 0

    def tick(self):
        """The time; it is later afterwards."""
        self.now += 1
        return self.now - 1


clock = _Clock()
count = 1  # of devices; set by install
null_lanes = [Lane(device, 0, null=True) for device in range(DEVICES)]
lanes = list(null_lanes)


class _Current(threading.local):
    """Of this thread: the device, the lane of each device, and the lane of the device."""

    def __init__(self):
        self.device, self.lanes, self.lane, self.left = 0, list(null_lanes), null_lanes[0], []

    def go(self, device):
        """Make a device the current one."""
        if not 0 <= device < count:
            raise CUDARuntimeError(101)
        self.device, self.lane = device, self.lanes[device]

    def follow(self, lane):
        """Make a lane that of the current device."""
        self.lanes[lane.device] = lane
        self.lane = self.lanes[self.device]


current = _Current()


def meet(memory, lane=None):
    """Complain if work of a lane, by default the current one, may not use the memory now.

    Raises: ValueError where it lies on another device; RuntimeError where it is being written on another stream.
    """
    lane = lane or current.lane
    if memory.lane is not lane:
        if memory.lane.device != lane.device:
            raise ValueError(
                "Array device must be same as the current device: "
                f"array device = {memory.lane.device} while current = {lane.device}"
            )
        come_after(memory, lane)


def come_after(memory, lane):
    """Complain if a lane has not waited for the last write to the memory. Raises: RuntimeError."""
    if memory.lane is not lane and not lane.comes_after(memory.lane, memory.time):
        raise RuntimeError(
            f"race: {lane} uses an array that {memory.lane} writes, and has not waited for it: record an event there "
            "after the write and wait_event() for it here, or synchronize"
        )


def cross(memory):
    """Complain if the current lane may not copy the memory to its device now. Raises: RuntimeError.

    A copy between devices on the null stream comes after all that was put on either: CUDA Programming Guide,
    Peer-to-Peer Memory Copy.
    """
    if not (current.lane.null and current.lane.device != memory.lane.device):
        come_after(memory, current.lane)


class Device:
    """cupy.cuda.Device."""

    def __init__(self, device=None):
        self.id = current.device if device is None else int(device)
        self._left = []

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return self.id == other.id if isinstance(other, Device) else NotImplemented

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __enter__(self):
        before = current.device
        current.go(self.id)
        current.left.append(before)
        return self

    def __exit__(self, *exc):
        current.go(current.left.pop())

    def use(self):
        """Make it the current one."""
        current.go(self.id)

    def synchronize(self):
        """Wait for all of its work."""
        if not 0 <= self.id < count:
            raise CUDARuntimeError(101)
        synchronized("Device.synchronize")
        for lane in [lane for lane in lanes if lane.device == self.id]:
            lane.finish()

    @property
    def compute_capability(self):
        return "90"

    @property
    def mem_info(self):
        from .memory import pools

        return pools[self.id].info()


class Stream:
    """cupy.cuda.Stream."""

    null: "Stream"

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        if ptds:
            raise NotImplementedError("the double has no per-thread default streams")
        self._lane = None if null else Lane(current.device, len(lanes), blocking=not non_blocking)
        if self._lane:
            lanes.append(self._lane)
        self._left = []

    def _here(self):
        """Its lane: the null stream is that of the current device."""
        return self._lane or null_lanes[current.device]

    def __eq__(self, other):
        return self._lane is other._lane if isinstance(other, Stream) else NotImplemented

    def __hash__(self):
        return hash(self.ptr)

    def __repr__(self):
        return f"<Stream {self.ptr} (device {self.device_id})>"

    @property
    def ptr(self):
        return self._lane.number if self._lane else 0

    @property
    def device_id(self):
        return self._lane.device if self._lane else -1

    @property
    def is_non_blocking(self):
        return bool(self._lane) and not self._lane.blocking

    @property
    def done(self):
        return not self._here().pending

    def use(self):
        """Put the work of this thread on it."""
        lane = self._here()
        if lane.device != current.device:
            raise RuntimeError(f"{lane} is not of the current device, {current.device}: enter Device({lane.device})")
        current.follow(lane)
        return self

    def __enter__(self):
        before = current.lane
        self.use()
        self._left.append(before)
        return self

    def __exit__(self, *exc):
        current.follow(self._left.pop())

    def record(self, event=None):
        """Note in an event, by default a new one, what has been put here."""
        event = event or Event()
        event._lane = self._here()
        event._time, event._seen = clock.tick(), dict(event._lane.seen)
        return event

    def wait_event(self, event):
        """Put nothing here that would run before what the event noted."""
        if event._lane:
            seen = self._here().seen
            for lane, time in [*event._seen.items(), (event._lane, event._time)]:
                seen[lane] = max(time, seen.get(lane, -1))

    def synchronize(self):
        """Wait for what has been put here."""
        synchronized("Stream.synchronize")
        self._here().finish()


class Event:
    """cupy.cuda.Event."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._lane, self._time, self._seen = None, -1, {}

    @property
    def done(self):
        return not self._lane or self._lane.done >= self._time

    def record(self, stream=None):
        """Note what has been put on a stream, by default the current one."""
        (stream or get_current_stream()).record(self)

    def synchronize(self):
        """Wait for what it noted."""
        synchronized("Event.synchronize")
        if self._lane:
            self._lane.finish(self._time)


Stream.null = Stream(null=True)


def get_current_stream(device_id=-1):
    """cupy.cuda.get_current_stream."""
    lane = current.lanes[current.device if device_id == -1 else device_id]
    if lane.null:
        return Stream.null
    stream = Stream.__new__(Stream)
    stream._lane, stream._left = lane, []
    return stream


def lane_of(stream, device) -> Lane:
    """The lane that a stream argument means for an array on `device`; None is the current one there."""
    if stream is None:
        return current.lanes[device]
    lane = stream._lane or null_lanes[device]
    if lane.device != device:
        raise CUDARuntimeError(400)
    return lane


def reset(devices=None):
    """Back to the first device and the null streams, with nothing waited for or pending."""
    global count  # noqa: PLW0603 - one machine, one number of devices
    count = devices or count
    lanes[:] = null_lanes
    for lane in null_lanes:
        lane.pending.clear()
        lane.seen.clear()
    current.__init__()
