"""DataLoader(device=..., pin_memory=...): the same batches as on the CPU, one ahead, and nobody waits for the GPU.

Without a GPU this runs on the strict double of CuPy, which complains where one stream uses what another still writes.
"""

import gc
import weakref
from collections import OrderedDict, namedtuple
from contextlib import suppress

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.backend import device_of, gpu
from minigrad.data import DataLoader, Dataset, Subset, TensorDataset, load_digits
from minigrad.data.prefetch import mapped
from minigrad.errors import DeviceError, ShapeError
from minigrad.tape import Variable

Pair = namedtuple("Pair", ["x", "y"])


class Items(Dataset):
    """Items by a function of their number; remembers which were asked for."""

    def __init__(self, n, item=lambda i: (np.full(3, i, np.float32), i)):
        self.n, self.item, self.asked = n, item, []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.asked.append(i)
        return self.item(i)


def tensors(n=10):
    return TensorDataset(np.arange(n * 6, dtype=np.float32).reshape(n, 2, 3), np.arange(n))


def fails_at(bad):
    def item(i):
        if i == bad:
            raise KeyError(f"item {i}")
        return i

    return item


def flat(batch):
    """The values of a batch, in order: Variables as (dtype, list), anything else as it is."""
    found = []
    mapped(batch, lambda x: found.append((x.dtype, x.shape, x.cpu().data.tolist())) or x)
    return found


@pytest.fixture(params=["cuda", "cuda:1"])
def device(request, cuda):
    if request.param == "cuda:1" and mg.cuda.device_count() < 2:
        pytest.skip("there is one GPU only")
    return request.param


@pytest.fixture
def late(double, monkeypatch):
    """The double's copies to the device happen as late as they may: when somebody waits for them. Gives the queue."""
    import cupy

    class Copy(list):  # [stream, array, source]
        __eq__, __hash__ = object.__eq__, object.__hash__

    Stream, Event = cupy.cuda.Stream, cupy.cuda.Event  # noqa: N806
    queue: list[Copy] = []
    noted = {}  # event -> what had been queued when it was recorded
    begin, record, wait, synchronize = cupy.ndarray.set, Stream.record, Stream.wait_event, Event.synchronize

    def queued(x, source, stream=None):
        begin(x, np.ones_like(source), stream)
        queue.append(Copy([stream, x, source]))

    def note(stream, event=None):
        event = record(stream, event)
        noted[event] = [copy for copy in queue if copy[0] == stream]
        return event

    def finish(event):
        for copy in noted.pop(event, ()):
            if copy in queue:
                queue.remove(copy)
                copy[1]._a[...] = copy[2]

    monkeypatch.setattr(cupy.ndarray, "set", queued)
    monkeypatch.setattr(Stream, "record", note)
    monkeypatch.setattr(Stream, "wait_event", lambda stream, event: (finish(event), wait(stream, event))[1])
    monkeypatch.setattr(Event, "synchronize", lambda event: (finish(event), synchronize(event))[1])
    return queue


@pytest.fixture
def quick(double, monkeypatch):
    """A GPU that has always done everything already."""
    import cupy

    monkeypatch.setattr(cupy.cuda.Event, "done", True)


# --- on a GPU ----------------------------------------------------------------------------------------------------

DATASETS = {
    "tensors": tensors,
    "a subset": lambda: Subset(tensors(), [7, -1, 3, 3, 0]),
    "items": lambda: Items(7),
    "dictionaries": lambda: Items(5, lambda i: {"x": np.full((2, 2), i, np.float16), "id": f"item {i}", "n": [i, 0.5]}),
    "named tuples": lambda: Items(5, lambda i: Pair(np.float64(i), np.array([i > 2, False]))),
    "Variables": lambda: Items(5, lambda i: Variable(np.full(3, i, np.int8))),
    "items that differ in dtype": lambda: Items(4, lambda i: np.ones(2, np.float64 if i % 2 else np.float32)),
    "another byte order": lambda: Items(4, lambda i: np.full(3, i, ">f4")),
    "tensors in another byte order": lambda: TensorDataset(np.arange(6, dtype=">i4")),
    "no elements": lambda: TensorDataset(np.zeros((4, 0, 2), np.float32), np.arange(4)),
    "no items": lambda: tensors(0),
    "one item": lambda: tensors(1),
}


@pytest.mark.parametrize("make", DATASETS.values(), ids=DATASETS.keys())
@pytest.mark.parametrize("arguments", [{"batch_size": 2}, {"batch_size": 3, "shuffle": True}, {"drop_last": True}])
def test_batches_are_those_of_the_cpu(make, arguments, device):
    expected = [flat(batch) for batch in DataLoader(make(), **arguments, generator=0)]
    loader = DataLoader(make(), **arguments, generator=0, device=device)
    found = []
    for batch in loader:
        mapped(batch, lambda x: found.append(x.device) or x)
        assert len(set(found)) == 1 and found[0] == ("cuda:0" if device == "cuda" else device)
        assert flat(batch) == [(d.newbyteorder("="), *rest) for d, *rest in expected.pop(0)]
    assert not expected


def test_containers_keep_their_types_and_what_is_no_number_passes(cuda):
    class Batch(OrderedDict):
        note = "mine"

    class Row(list):
        pass

    def collate(items):
        batch = Batch(pair=Pair(np.array(items), Row([Variable(np.array(items))])), text=("a", b"b", None))
        batch["names"] = np.array(["x", "y"])
        return batch

    (batch,) = DataLoader([1.5, 2.5], 2, collate_fn=collate, device=cuda)
    assert type(batch) is Batch and type(batch["pair"]) is Pair and type(batch["pair"].y) is Row
    x, (y,) = batch["pair"]
    assert type(x) is Variable and x.device.type == y.device.type == "cuda" and x.tolist() == y.tolist() == [1.5, 2.5]
    assert batch["text"] == ("a", b"b", None) and type(batch["names"]) is np.ndarray


def test_items_are_fetched_one_batch_ahead(cuda):
    data = Items(6)
    batches = iter(DataLoader(data, 2, device=cuda))
    assert data.asked == []
    next(batches)
    assert data.asked == [0, 1, 2, 3]
    next(batches)
    assert data.asked == [0, 1, 2, 3, 4, 5]
    next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_an_error_comes_when_its_batch_is_due(cuda):
    data = Items(6, fails_at(3))
    batches = iter(DataLoader(data, 2, device=cuda))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(KeyError, match="item 3"):
        next(batches)
    assert data.asked == [0, 1, 2, 3], "what comes after it is not asked for"
    with pytest.raises(StopIteration):
        next(batches)
    with pytest.raises(KeyError, match="item 0"):
        next(iter(DataLoader(Items(6, fails_at(0)), 2, device=cuda)))


def test_an_interruption_comes_at_once(cuda):
    def item(i):
        if i == 2:
            raise KeyboardInterrupt
        return i

    with pytest.raises(KeyboardInterrupt):
        next(iter(DataLoader(Items(4, item), 2, device=cuda)))


def test_an_error_of_the_sampler_comes_when_it_is_due(cuda):
    def sampler():
        yield [0, 1]
        raise OSError("the list is lost")

    batches = iter(DataLoader(tensors(), batch_sampler=sampler(), device=cuda))
    assert next(batches)[1].tolist() == [0, 1]
    with pytest.raises(OSError, match="the list is lost"):
        next(batches)


def test_breaking_off_and_two_iterators_at_once(device):
    loader = DataLoader(tensors(6), 2, device=device)
    for _, y in loader:
        assert y.tolist() == [0, 1]
        break
    pairs = [(a[1].tolist(), b[1].tolist()) for a in loader for b in loader]
    steps = [[0, 1], [2, 3], [4, 5]]
    assert pairs == [(a, b) for a in steps for b in steps]
    batches = [y for _, y in loader]
    assert [y.tolist() for y in batches] == steps, "a batch that is kept stays as it is"


def test_an_error_leaves_nothing_behind(cuda):
    data = Items(4, fails_at(2))
    left = weakref.ref(data)
    gc.disable()
    try:
        with suppress(KeyError):
            for _ in DataLoader(data, 2, device=cuda):
                pass
        del data
        assert left() is None, "the error, the frames where it came by and what they know are a circle"
    finally:
        gc.enable()


@pytest.mark.parametrize("index", [10, -11])
def test_an_index_out_of_range(index, cuda):
    batches = iter(DataLoader(tensors(10), 2, sampler=[-10, 9, index], device=cuda))
    assert next(batches)[1].tolist() == [0, 9]
    with pytest.raises(IndexError, match="out of bounds"):
        next(batches)


def test_an_empty_batch(cuda):
    with pytest.raises(ShapeError, match="the batch is empty"):
        next(iter(DataLoader(Items(4), batch_sampler=[[]], device=cuda)))


def test_data_on_a_gpu_stay_there(cuda):
    data = TensorDataset(mg.arange(6, device=cuda))
    assert [x.tolist() for (x,) in DataLoader(data, 4, device=cuda)] == [[0, 1, 2, 3], [4, 5]]
    (x,) = next(iter(DataLoader(data, 4, device="cpu")))
    assert x.device == "cpu" and x.tolist() == [0, 1, 2, 3]
    if mg.cuda.device_count() > 1:
        (x,) = next(iter(DataLoader(data, 4, device="cuda:1")))
        assert x.device == "cuda:1" and x.tolist() == [0, 1, 2, 3]


def test_gradients_reach_a_dataset_that_is_learned(cuda):
    codes = Variable(np.zeros((4, 2), np.float32), requires_grad=True)
    for (x,) in DataLoader(TensorDataset(codes), 3, device=cuda):
        x.sum().backward()
    assert codes.grad.device == "cpu" and codes.grad.tolist() == [[1, 1]] * 4


def test_training_is_that_of_batches_moved_by_hand(device):
    def losses(batches):
        mg.manual_seed(1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)).to(device)
        optimizer = optim.Adam(model.parameters(), 1e-2)
        found = []
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            found.append(loss)
        return [loss.item() for loss in found]

    digits = Subset(load_digits(train=True), range(100))
    by_hand = ((x.to(device), y.to(device)) for x, y in DataLoader(digits, 16, shuffle=True, generator=3))
    assert losses(DataLoader(digits, 16, shuffle=True, generator=3, device=device)) == losses(by_hand)


def test_a_gpu_that_is_not_there(cuda):
    with pytest.raises(DeviceError, match=r'"cuda:97": there (is only|are) cuda:0'):
        DataLoader(tensors(), device="cuda:97")


# --- streams, buffers and waiting, on the double -----------------------------------------------------------------


def test_the_host_waits_for_nobody(quick, double):
    double.synchronizations.clear()
    total = sum(x.sum() for x, _ in DataLoader(tensors(12), 2, device="cuda"))
    assert double.synchronizations == []
    assert total.item() == sum(range(12 * 6))
    assert len(double.synchronizations) == 1, "the test can fail"


def test_the_host_waits_for_the_copy_of_a_buffer_that_it_needs_again(double):
    double.synchronizations.clear()  # by the double's clock the GPU has done nothing until the host waits for it
    for _ in DataLoader(tensors(12), 2, device="cuda"):
        pass
    assert len(double.synchronizations) == 4, "of six batches the first two find their buffers free"
    assert all("Event.synchronize" in s and "backend/prefetch.py" in s for s in double.synchronizations)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
@pytest.mark.parametrize("make", [tensors, lambda: Items(10)], ids=["tensors", "items"])
def test_no_buffer_is_overwritten_before_its_copy(make, device, late):
    batches = [y for _, y in DataLoader(make(), 2, device=device)]
    assert not late
    assert [y.tolist() for y in batches] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_the_last_buffers_outlive_their_copies(late):
    batches = iter(DataLoader(Items(4), 2, device="cuda"))
    first = next(batches)
    assert len(late) == 2, "the second batch is on its way"
    buffers = [weakref.ref(entry[2].base) for entry in late]
    second = next(batches)
    assert list(batches) == []
    del batches
    gc.collect()
    arrays = [weakref.ref(batch.pop(0).data) for batch in (first, second)]
    assert all(array() is None for array in arrays), "the device's memory is not held"
    assert not late and all(ref() is not None for ref in buffers)  # the double cannot tell whether the GPU has read it
    mg.cuda.synchronize()
    list(DataLoader(Items(0), device="cuda"))
    gc.collect()
    assert all(ref() is None for ref in buffers)
    assert first[0].tolist() == [0, 1] and second[0].tolist() == [2, 3]


def test_a_batch_that_was_not_completed_is_not_held(double):
    prefetcher = gpu[0].prefetcher(0)
    assert prefetcher.stream.is_non_blocking
    prefetcher.begin()
    array = weakref.ref(prefetcher.array(prefetcher.buffer((3,), np.float32)))
    assert array() is not None
    prefetcher.close()
    assert array() is None


def test_an_array_that_never_arrives_is_not_freed_before_its_copy(late):
    for _ in DataLoader(tensors(), 2, device="cuda"):
        assert len(late) == 2
        break
    gc.collect()
    assert not late, "the computing stream waited for the copies when the loop was left"


def test_two_buffers_for_each_tensor_of_the_batch(double, monkeypatch):
    import cupyx

    sizes, make = [], cupyx.empty_pinned
    monkeypatch.setattr(cupyx, "empty_pinned", lambda shape, dtype: sizes.append(shape[0]) or make(shape, dtype))
    for _ in DataLoader(tensors(11), 2, device="cuda"):
        pass
    assert sizes == [48, 16, 48, 16]


@pytest.mark.parametrize("make", [tensors, lambda: Items(10)], ids=["tensors", "items"])
def test_a_batch_is_collated_in_the_buffer(make, double, monkeypatch):
    from minigrad.data import prefetch

    copies = []
    monkeypatch.setattr(prefetch._Memory, "holding", lambda self, x, old=prefetch._Memory.holding: spy(self, x, old))

    def spy(memory, x, old):
        y = old(memory, x)
        copies.append(y is not x)
        return y

    for _ in DataLoader(make(), 2, device="cuda"):
        pass
    whole = make is tensors
    assert copies == ([False, False] if whole else [False, True]) * 5  # the numbers of Items are made by a list


def test_a_loop_on_a_stream_of_its_own(double):
    import cupy

    with cupy.cuda.Stream(non_blocking=True) as stream:
        batches = iter(DataLoader(tensors(6), 2, device="cuda"))
        sums = [next(batches)[0].sum(), next(batches)[0].sum()]
        stream.synchronize()
    sums.append(next(batches)[0].sum())
    assert [s.item() for s in sums] == [sum(range(12 * i, 12 * i + 12)) for i in range(3)]


# --- page-locked memory ------------------------------------------------------------------------------------------


@pytest.fixture
def locked(cuda, monkeypatch):
    """What the library gave out of page-locked memory."""
    given, pinned = [], type(gpu[0]).pinned
    monkeypatch.setattr(type(gpu[0]), "pinned", lambda self, *args: given.append(pinned(self, *args)) or given[-1])
    return given


@pytest.mark.parametrize("make", DATASETS.values(), ids=DATASETS.keys())
def test_pinned_batches_are_the_same_and_in_page_locked_memory(make, locked):
    expected = [flat(batch) for batch in DataLoader(make(), 2)]
    for batch in DataLoader(make(), 2, pin_memory=True):
        parts = []
        mapped(batch, lambda x, parts=parts: parts.append(x.data) or x)
        assert all(any(x is y for y in locked) for x in parts if x.size) and all(y.size for y in locked)
        assert flat(batch) == [(d.newbyteorder("="), *rest) for d, *rest in expected.pop(0)]
    assert not expected


def test_pinned_arrays_stay_arrays_and_those_elsewhere_stay(cuda, locked):
    there, learned = mg.ones(2, device=cuda), Variable(np.ones(2), requires_grad=True)
    loader = DataLoader([1, 2], 2, collate_fn=lambda items: (np.array(items), there, learned), pin_memory=True)
    ((x, y, z),) = loader
    assert type(x) is np.ndarray and x is locked[0] and y is there and z is learned


def test_pinned_batches_move_without_waiting(cuda, request):
    batches = [y.to(cuda, non_blocking=True) for _, y in DataLoader(tensors(6), 2, pin_memory=True)]
    if "double" in request.fixturenames:
        assert request.getfixturevalue("double").synchronizations == []
    assert [y.tolist() for y in batches] == [[0, 1], [2, 3], [4, 5]]
    assert all(device_of(y.data).type == "cuda" for y in batches)
