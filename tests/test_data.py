"""Datasets, batches and the digits that come with the package."""

import hashlib

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import DataLoader, Dataset, Subset, TensorDataset, load_digits, random_split
from minigrad.errors import DeviceError, IndexRangeError, ShapeError
from minigrad.tape import Variable


def pairs(n):
    """Items i: the row (i, -i) and the label i."""
    rows = np.stack([np.arange(n), -np.arange(n)], axis=1).astype(np.float32)
    return TensorDataset(Variable(rows), np.arange(n))


class Squares(Dataset):
    """A dataset that counts which items were asked for."""

    def __init__(self, n):
        self.n, self.asked = n, []

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        self.asked.append(index)
        return np.float32(index**2), index


class Negated(TensorDataset):
    """Changes its items, and knows one index at a time."""

    def __getitem__(self, index):
        assert isinstance(index, int)
        return tuple(-x.data for x in super().__getitem__(index))


def labels(loader):
    return [y.data.tolist() for *_, y in loader]


# Datasets


def test_a_dataset_must_define_its_two_methods():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty is a Dataset and must define __len__"):
        len(Empty())
    with pytest.raises(NotImplementedError, match=r"must define __getitem__\(self, index\)"):
        Empty()[0]


def test_tensor_dataset_gives_rows_and_shares_memory():
    array = np.arange(6.0).reshape(3, 2)
    data = TensorDataset(array, Variable(np.arange(3, dtype=np.int32)))
    assert len(data) == 3
    row, label = data[-1]
    assert isinstance(row, Variable) and row.dtype == np.float64 and row.data.tolist() == [4.0, 5.0]
    assert isinstance(label, Variable) and label.dtype == np.int32 and label.shape == () and label.data == 2
    assert data.tensors[0].data is array
    assert len(list(data)) == 3, "a loop over the dataset ends"


@pytest.mark.parametrize(
    "index", [[2, 0], np.array([2, 0]), Variable(np.array([2, 0])), slice(2, None, -2), np.array([True, False, True])]
)
def test_tensor_dataset_takes_many_indices(index):
    (rows,) = TensorDataset(np.arange(3) * 10)[index]
    assert sorted(rows.data.tolist()) == [0, 20]


def test_tensor_dataset_lets_gradients_through():
    codes = Variable(np.zeros((3, 2)), requires_grad=True)
    (rows,) = TensorDataset(codes)[np.array([1, 1])]
    rows.backward(np.ones((2, 2)))
    assert codes.grad.data.tolist() == [[0, 0], [2, 2], [0, 0]]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ((), "expected at least one tensor, got none"),
        ((np.zeros((3, 2)), np.zeros(4)), r"differ in length: \[3, 4\]; their shapes are \(3, 2\), \(4,\)"),
        ((np.zeros(3), np.float32(1)), r"needs a first axis to index; the shapes are \(3,\), \(\)"),
    ],
)
def test_tensor_dataset_refuses(tensors, message):
    with pytest.raises(ShapeError, match=message):
        TensorDataset(*tensors)


def test_subset_gives_the_chosen_items():
    asked = Squares(10)
    subset = Subset(asked, [7, -1, 3])
    assert len(subset) == 3
    assert [subset[i][1] for i in range(3)] == [7, -1, 3]
    assert all(type(i) is int for i in asked.asked), "a dataset gets Python ints"
    assert [y for _, y in Subset(subset, range(1, 3))] == [-1, 3]
    assert len(Subset(asked, [])) == 0
    for index in ([1, 0], Variable(np.array([1, 0]))):
        assert Subset(pairs(5), np.array([4, 2]))[index][1].data.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, 5], IndexRangeError, "index 5 is outside of the dataset, which has 5 items"),
        ([-6], IndexRangeError, "index -6 is outside"),
        ([[0, 1]], ShapeError, r"flat list of integers, got int64 \(1, 2\)"),
        ([True, False], ShapeError, r"got bool \(2,\); of a mask, take np.flatnonzero\(mask\)"),
        ([0.5], ShapeError, "got float32"),
    ],
)
def test_subset_refuses(indices, error, message):
    with pytest.raises(error, match=message):
        Subset(pairs(5), indices)


@pytest.mark.parametrize(
    ("n", "lengths", "sizes"),
    [
        (10, [7, 3], [7, 3]),
        (10, (0.75, 0.25), [8, 2]),
        (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
        (11, [0.5, 0.3, 0.2], [6, 3, 2]),
        (10, [10, 0], [10, 0]),
        (1, [1], [1]),
        (0, [0, 0], [0, 0]),
    ],
)
def test_random_split_is_a_partition(n, lengths, sizes):
    parts = random_split(range(n), lengths, generator=0)
    assert [len(part) for part in parts] == sizes
    assert sorted(i for part in parts for i in part) == list(range(n))


def test_random_split_is_random_and_reproducible():
    def split(generator):
        return random_split(pairs(50), [25, 25], generator=generator)[0].indices.tolist()

    assert split(3) == split(np.random.default_rng(3)) != split(4)
    assert split(3) != sorted(split(3))
    mg.manual_seed(0)
    first = split(None)
    assert split(None) != first
    mg.manual_seed(0)
    assert split(None) == first


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 5], r"lengths \[3, 5\] sum to 8, and the dataset has 10 items; give whole numbers that sum to 10"),
        ([0.5, 0.4], "sum to 0.9"),
        ([5.5, 4.5], "give whole numbers"),
        ([11, -1], "numbers of at least 0"),
        ([], "numbers of at least 0"),
    ],
)
def test_random_split_refuses(lengths, message):
    with pytest.raises(ValueError, match=message):
        random_split(range(10), lengths)


def test_random_split_warns_of_an_empty_split():
    with pytest.warns(UserWarning, match=r"of 2 items make empty splits: \[2, 0\]"):
        random_split(range(2), [0.9, 0.1])


# DataLoader


@pytest.mark.parametrize("make", [pairs, Squares], ids=["whole batches", "single items"])
@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (3, 5, False, [3]),
        (3, 5, True, []),
        (0, 4, False, []),
        (2, 1, False, [1, 1]),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_loader_batches_every_item_once(make, n, batch_size, drop_last, sizes, shuffle):
    loader = DataLoader(make(n), batch_size, shuffle, drop_last=drop_last, generator=0)
    batches = labels(loader)
    assert [len(batch) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    seen = [i for batch in batches for i in batch]
    assert len(set(seen)) == len(seen) and set(seen) <= set(range(n))
    assert shuffle or seen == list(range(len(seen)))


def test_loader_batches_are_variables_of_the_items_dtypes():
    for data in (pairs(5), Squares(5)):
        x, y = next(iter(DataLoader(data, 3)))
        assert isinstance(x, Variable) and x.dtype == np.float32
        assert isinstance(y, Variable) and y.dtype == np.int64


def test_loader_keeps_rows_and_labels_together():
    for x, y in DataLoader(pairs(20), 6, shuffle=True):
        np.testing.assert_array_equal(x.data, np.stack([y.data, -y.data], axis=1))


def test_loader_gives_a_tensor_dataset_and_single_items_alike():
    items = [tuple(pairs(10)[i]) for i in range(10)]
    whole, single = (DataLoader(data, 4, shuffle=True, generator=1) for data in (pairs(10), items))
    for a, b in zip(whole, single, strict=True):
        assert type(a) is type(b) is list
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x.data, y.data, strict=True)


@pytest.mark.parametrize(
    "wrap",
    [lambda data: data, lambda data: Subset(data, range(4)), lambda data: Subset(Subset(data, range(5)), range(4))],
)
def test_loader_batches_are_copies(wrap):
    data = pairs(6)
    for x, y in DataLoader(wrap(data), 2):
        x.data[...] = 7
        y.data[...] = 7
    assert data.tensors[1].data.tolist() == list(range(6)) and 7 not in data.tensors[0].data


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, [0, 1, 2])])
def test_loader_does_not_bypass_an_overridden_getitem(wrap):
    (batch,) = DataLoader(wrap(Negated(np.arange(3))), 3)
    assert batch[0].data.tolist() == [0, -1, -2]


def test_loader_asks_an_overridden_subset():
    class Shifted(Subset):
        def __getitem__(self, index):
            return super().__getitem__(index)[0].data + 100

    (batch,) = DataLoader(Shifted(TensorDataset(np.arange(5)), [3, 1]), 2)
    assert batch.data.tolist() == [103, 101]


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, range(6))])
def test_loader_takes_a_batch_of_tensors_by_one_index(monkeypatch, wrap):
    asked, getitem = [], TensorDataset.__getitem__
    monkeypatch.setattr(TensorDataset, "__getitem__", lambda self, index: asked.append(index) or getitem(self, index))
    assert labels(DataLoader(wrap(pairs(6)), 4)) == [[0, 1, 2, 3], [4, 5]]
    assert len(asked) == 2


def test_loader_of_nested_subsets_follows_the_indices():
    inner = Subset(pairs(10), [9, 8, 7, 6])
    assert labels(DataLoader(Subset(inner, [3, 0, -2]), 2)) == [[6, 9], [7]]


def test_loader_of_a_list_of_numbers():
    assert [x.data.tolist() for x in DataLoader([5, 6, 7], 2)] == [[5, 6], [7]]


def test_each_epoch_has_its_own_permutation():
    loader = DataLoader(pairs(30), 30, shuffle=True, generator=0)
    epochs = [labels(loader)[0] for _ in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    again = DataLoader(pairs(30), 30, shuffle=True, generator=np.random.default_rng(0))
    assert [labels(again)[0] for _ in range(3)] == epochs


def test_manual_seed_makes_the_order_reproducible():
    loader = DataLoader(pairs(30), 30, shuffle=True)
    mg.manual_seed(1)
    first, second = labels(loader), labels(loader)
    mg.manual_seed(1)
    assert labels(loader) == first != second


def test_own_generator_leaves_the_global_one_alone():
    mg.manual_seed(1)
    expected = labels(DataLoader(pairs(30), 30, shuffle=True))
    mg.manual_seed(1)
    labels(DataLoader(pairs(30), 30, shuffle=True, generator=5))
    assert labels(DataLoader(pairs(30), 30, shuffle=True)) == expected


def test_two_iterators_at_once_do_not_disturb_each_other():
    loader = DataLoader(pairs(4), 2)
    assert [[a[1].data.tolist(), b[1].data.tolist()] for a in loader for b in loader] == [
        [[0, 1], [0, 1]],
        [[0, 1], [2, 3]],
        [[2, 3], [0, 1]],
        [[2, 3], [2, 3]],
    ]


def test_items_are_fetched_when_their_batch_is_due():
    data = Squares(6)
    batches = iter(DataLoader(data, 2))
    next(batches)
    assert data.asked == [0, 1]
    next(batches)
    assert data.asked == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [pairs, Squares])
def test_collate_fn_gets_the_items(make):
    loader = DataLoader(make(5), 2, collate_fn=lambda items: [int(y) for _, y in items])
    assert list(loader) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("make", [pairs, Squares])
def test_sampler_and_batch_sampler(make):
    loader = DataLoader(make(9), 2, sampler=[8, 0, 3])
    assert labels(loader) == [[8, 0], [3]] and len(loader) == 2
    loader = DataLoader(make(9), 2, sampler=[8, 0, 3], drop_last=True)
    assert labels(loader) == [[8, 0]] and len(loader) == 1
    loader = DataLoader(make(9), batch_sampler=[[1], (2, 3, 4)])
    assert labels(loader) == [[1], [2, 3, 4]] and len(loader) == 2


def test_a_sampler_may_give_keys():
    (batch,) = DataLoader({"a": 1, "b": 2, "c": 3}, 2, sampler=["c", "a"])
    assert batch.data.tolist() == [3, 1]


def test_num_workers_is_accepted_as_far_as_it_means_nothing():
    assert len(DataLoader(pairs(3), num_workers=0)) == 3


@pytest.mark.parametrize("device", ["cpu", mg.device("cpu")])
@pytest.mark.parametrize("make", [pairs, Squares])
def test_loader_for_the_cpu_is_the_plain_one(make, device):
    data = make(5)
    batches = iter(DataLoader(data, 2, shuffle=True, generator=0, device=device))
    x, y = next(batches)
    assert type(x) is Variable and x.device == y.device == "cpu"
    assert len(getattr(data, "asked", (0, 1))) == 2, "nothing is fetched ahead"
    assert [y.tolist(), *([y.tolist() for _, y in batches])] == labels(DataLoader(data, 2, shuffle=True, generator=0))


def test_loader_for_a_device_makes_variables_of_arrays():
    (batch,) = DataLoader([1, 2], 2, collate_fn=lambda items: (np.array(items), "text", items), device="cpu")
    assert type(batch[0]) is Variable and batch[1:] == ("text", [1, 2])
    learned = Variable(np.ones(2), requires_grad=True)
    ((x,),) = DataLoader(TensorDataset(learned), 2, device="cpu")
    x.sum().backward()
    assert learned.grad.tolist() == [1, 1]


@pytest.mark.skipif(mg.cuda.is_available(), reason="there is a GPU")
def test_loader_without_a_gpu_says_that_it_pins_no_memory():
    loader = DataLoader(pairs(3), 2, pin_memory=True)
    with pytest.warns(UserWarning, match="DataLoader: pin_memory=True, but no GPU is found") as caught:
        assert labels(loader) == [[0, 1], [2]]
    assert len(caught) == 1
    assert DataLoader(pairs(3), pin_memory=True, device="cpu").pin_memory


def test_loader_ignores_the_device_to_pin_memory_for_and_says_so():
    with pytest.warns(UserWarning, match="pin_memory_device='cuda:1' is ignored, as page-locked memory serves every"):
        DataLoader(pairs(3), pin_memory=True, pin_memory_device="cuda:1")
    DataLoader(pairs(3), pin_memory_device="cuda:1")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1, got 0"),
        ({"batch_size": -2}, ValueError, "got -2"),
        ({"batch_size": 2.0}, ValueError, "got 2.0"),
        ({"batch_size": None}, ValueError, "got None"),
        ({"num_workers": 4}, ValueError, "num_workers=4, but minigrad has no worker processes"),
        ({"generator": "seed"}, TypeError, r"DataLoader: generator must be .* got str; write np.random.default_rng"),
        ({"shuffle": True, "sampler": [0]}, ValueError, "sampler decides the order, and so does shuffle=True"),
        ({"batch_size": 2, "batch_sampler": [[0]]}, ValueError, "batch_sampler excludes batch_size"),
        ({"drop_last": True, "batch_sampler": [[0]]}, ValueError, "batch_sampler excludes"),
        ({"device": "tpu"}, DeviceError, r'device: expected "cpu", "cuda" or "cuda:1", got \'tpu\''),
        ({"device": 1.5}, DeviceError, "got 1.5"),
        ({"dataset": iter([1])}, TypeError, r"__len__ and __getitem__, and list_iterator lacks one"),
    ],
)
def test_loader_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(**{"dataset": pairs(3)} | arguments)


# The digits


@pytest.mark.parametrize(("train", "n"), [(None, 1797), (True, 1437), (False, 360)])
def test_digits_shapes_and_range(train, n):
    images, targets = load_digits(train).tensors
    assert images.shape == (n, 1, 8, 8) and images.dtype == np.float32
    assert targets.shape == (n,) and targets.dtype == np.int64
    assert images.data.min() == 0 and images.data.max() == 1
    assert set(targets.data.tolist()) == set(range(10))


def test_digits_are_the_published_ones():
    images, targets = load_digits().tensors
    raw = (images.data * 16).astype(np.uint8).tobytes() + targets.data.astype(np.uint8).tobytes()
    assert hashlib.sha256(raw).hexdigest() == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    first = (images.data[0, 0] * 16).astype(int).tolist()
    assert targets.data[0] == 0 and first[:2] == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]


def test_digits_split_is_a_fixed_and_balanced_partition():
    train, test, whole = (load_digits(part).tensors for part in (True, False, None))
    assert np.bincount(test[1].data).tolist() == [36] * 10
    both = np.concatenate([train[0].data, test[0].data]).reshape(-1, 64)
    np.testing.assert_array_equal(both[np.lexsort(both.T)], (rows := whole[0].data.reshape(-1, 64))[np.lexsort(rows.T)])
    digest = hashlib.sha256((test[0].data * 16).astype(np.uint8).tobytes()).hexdigest()
    assert digest == "42757207ff35e614f551e60c9681616ec11435c5235fdff3c2effa3133e732fd"


def test_digits_feed_a_loader():
    x, y = next(iter(DataLoader(load_digits(train=True), 32, shuffle=True)))
    assert x.shape == (32, 1, 8, 8) and y.shape == (32,)
