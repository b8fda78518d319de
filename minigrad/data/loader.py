"""DataLoader: the batches of a dataset, epoch after epoch. And default_collate, which makes one batch of many items."""

import copy
import warnings
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from itertools import islice

import numpy as np

from ..backend import HERE, Device, backend, cuda_is_available, gpu, load_cuda, place, together
from ..dtypes import promote
from ..errors import DTypeError, ShapeError
from ..ops.join import stack
from ..tape import Variable
from .dataset import as_generator, columns
from .prefetch import delivered, pinned


class DataLoader:
    """Batches of a dataset; each `for` over it is one epoch, with a new permutation if `shuffle`.

    Items are fetched in this process, when their batch is due: there are no worker processes. A TensorDataset, or a
    Subset of one, is not fetched item by item at all: a batch is one fancy index per tensor.

    Args:   dataset - anything with `__len__` and `__getitem__`.
            batch_size - items per batch, default 1.
            shuffle - a new random order each epoch, default False.
            sampler - iterable of indices, each epoch's order, instead of shuffle.
            batch_sampler - iterable of lists of indices, instead of batch_size, shuffle, sampler and drop_last.
            num_workers - 0.
            collate_fn - function of a list of items, makes the batch. Default: default_collate.
            pin_memory - put the batches into page-locked memory, from which `x.to("cuda", non_blocking=True)` copies
                while the host goes on. Without a GPU: a warning, and ordinary memory. Default False.
            drop_last - leave out a last batch that is not full, default False.
            generator - numpy.random.Generator or an integer seed. Default: minigrad's, which mg.manual_seed seeds.
            pin_memory_device - ignored, as in PyTorch: page-locked memory serves every GPU.
            device - where the batches shall be, as Variables; PyTorch lacks this. Those for a GPU are fetched one
                batch ahead, and are copied (from page-locked memory) while the GPU computes; nothing waits for it.
                Default None: where the dataset has them.
    Raises: ValueError for a batch_size below 1, num_workers other than 0, or arguments that exclude each other;
            TypeError for a dataset without length or index; DeviceError for a device that is not there.
    """

    def __init__(
        self,
        dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler=None,
        batch_sampler=None,
        num_workers: int = 0,
        collate_fn=None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        generator=None,
        pin_memory_device: str = "",
        device: "str | Device | None" = None,
    ):
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                f"DataLoader: a dataset has __len__ and __getitem__, and {type(dataset).__name__} lacks one; "
                "of something that can only be iterated over, take list(...)"
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be an integer of at least 1, got {batch_size!r}")
        if num_workers != 0:
            raise ValueError(
                f"DataLoader: num_workers={num_workers!r}, but minigrad has no worker processes: items are fetched in "
                "this one; leave it out, or write num_workers=0"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler decides the order, and so does shuffle=True; give one of them")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if pin_memory and pin_memory_device:
            warnings.warn(
                f"DataLoader: pin_memory_device={pin_memory_device!r} is ignored, as page-locked memory serves every "
                "GPU; leave it out",
                stacklevel=2,
            )
        if device is not None:
            device = device if isinstance(device, Device) else Device(device)
            with place(device):  # a device that is not there is refused here
                pass
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.num_workers, self.pin_memory, self.pin_memory_device = num_workers, pin_memory, pin_memory_device
        self.device = device
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.generator = generator if generator is None else as_generator("DataLoader", generator)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        n = len(self.dataset if self.sampler is None else self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator:
        if self.device is not None:
            yield from delivered(self._batches(), self._batch, self.device)
        elif self.pin_memory and cuda_is_available():
            yield from pinned(self._batches(), self._batch, load_cuda())
        else:
            if self.pin_memory:
                warnings.warn(
                    "DataLoader: pin_memory=True, but no GPU is found: the batches are in ordinary memory", stacklevel=2
                )
            for indices in self._batches():
                yield self._batch(indices)

    def _batch(self, indices, new=None):
        """The batch of these items; in memory that new(shape, dtype) gives, as far as that saves a copy."""
        if self.collate_fn is default_collate:
            batch = columns(self.dataset, indices, new)
            if batch is not None:
                return batch
        items = [self.dataset[i] for i in (indices.tolist() if isinstance(indices, np.ndarray) else indices)]
        if items and new is not None and self.collate_fn is default_collate:
            return _collate(items, "item", new)
        return self.collate_fn(items)

    def _batches(self):
        """The indices of one epoch, batch by batch."""
        if self.batch_sampler is not None:
            yield from self.batch_sampler
        elif self.sampler is not None:
            indices = iter(self.sampler)
            while batch := list(islice(indices, self.batch_size)):
                if len(batch) == self.batch_size or not self.drop_last:
                    yield batch
        else:
            n = len(self.dataset)
            order = as_generator("DataLoader", self.generator).permutation(n) if self.shuffle else np.arange(n)
            for i in range(len(self)):
                yield order[i * self.batch_size : (i + 1) * self.batch_size]


def default_collate(batch):
    """One batch of a list of equal items: numbers and arrays become Variables with a new first axis.

    Arrays, Variables and NumPy numbers keep their dtype. Python ints become int64, bools bool, and Python floats the
    default float (float32; PyTorch makes float64 of them). Strings stay as they are. Mappings, named tuples, tuples
    and lists are collated entry by entry; as in PyTorch, a batch of tuples is a list.

    Args:   batch - list of items, not empty.
    Raises: ShapeError if shapes, lengths or keys differ between the items; TypeError for what cannot be batched.
    """
    if not batch:
        raise ShapeError("default_collate: the batch is empty, so there is no item to go by")
    return _collate(batch, "item")


def _collate(batch, where, new=None):
    """`batch` holds one entry of each item; `where` tells which, as `item["image"][0]`; `new` as in `_batch`."""
    first = batch[0]
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Variable) or hasattr(first, "dtype"):
        return _stack(batch, where, new)
    if isinstance(first, (float, int)):
        return Variable(list(batch))
    if isinstance(first, Mapping):
        return _mapping(batch, where, new)
    if isinstance(first, Sequence):
        for i, entry in enumerate(batch):
            if len(entry) != len(first):
                raise ShapeError(
                    f"default_collate: {where} has {len(first)} entries in item 0 and {len(entry)} in item {i}; "
                    "pass a collate_fn that pads them"
                )
        entries = [_collate(column, f"{where}[{i}]", new) for i, column in enumerate(zip(*batch, strict=True))]
        return type(first)(*entries) if hasattr(first, "_fields") else entries
    raise TypeError(
        f"default_collate: expected arrays, Variables, numbers, strings, dicts, tuples or lists, and {where} is "
        f"{type(first).__name__}; return one of these from the dataset, or pass a collate_fn"
    )


def _stack(batch, where, new):
    arrays = [x.data if isinstance(x, Variable) else x for x in batch]
    shape = arrays[0].shape
    for i, x in enumerate(arrays):
        if getattr(x, "dtype", arrays[0].dtype).kind not in "fiub":
            raise DTypeError(f"default_collate: {where} holds {x.dtype}; expected floats, integers or bools")
        if getattr(x, "shape", ()) != shape:
            raise ShapeError(
                f"default_collate: {where} has shape {shape} in item 0 and {getattr(x, 'shape', ())} in item {i}; "
                "pass a collate_fn that pads or crops them"
            )
    if any(isinstance(x, Variable) and x.tracked for x in batch):
        return stack(list(batch))
    library = backend[type(arrays[0])]
    if new is not None and library.host and all(getattr(x, "dtype", None) == arrays[0].dtype for x in arrays):
        return Variable(np.stack(arrays, out=new((len(arrays), *shape), arrays[0].dtype)))
    with together("default_collate", arrays) if gpu else HERE:
        y = library.xp.stack(arrays)
        if y.dtype != arrays[0].dtype:  # NumPy's promotion of items that differ; PyTorch's keeps float32
            y = y.astype(promote(arrays))
    return Variable(y)


def _mapping(batch, where, new):
    first = batch[0]
    for i, entry in enumerate(batch):
        if missing := [key for key in first if key not in entry]:
            raise ShapeError(f"default_collate: {where} has keys {list(first)} in item 0, and item {i} lacks {missing}")
    collated = {key: _collate([entry[key] for entry in batch], f"{where}[{key!r}]", new) for key in first}
    if not isinstance(first, MutableMapping):
        return collated
    out = copy.copy(first)  # not type(first)(): a defaultdict, say, has more to it than its entries
    out.update(collated)
    return out
