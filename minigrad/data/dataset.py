"""Datasets: a length, and an item for each index. And how to split one at random."""

import math
import warnings
from collections.abc import Sequence

import numpy as np

from ..backend import backend
from ..errors import IndexRangeError, ShapeError
from ..ops.index import getitem
from ..ops.random import generator as host_generator
from ..tape import Variable, as_array


class Dataset:
    """Items by index. A subclass defines `__len__` and `__getitem__`; any object that has both serves as well."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} is a Dataset and must define __len__(self)")

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} is a Dataset and must define __getitem__(self, index)")


class TensorDataset(Dataset):
    """Tensors side by side: item i is the tuple of their rows i.

    Args:   tensors - Variables or arrays (not copied) of equal length along their first axis.
    Raises: ShapeError if there is none, one has no axes, or the lengths differ.
    """

    tensors: tuple[Variable, ...]

    def __init__(self, *tensors):
        self.tensors = tuple(x if isinstance(x, Variable) else Variable(x) for x in tensors)
        if not tensors:
            raise ShapeError("TensorDataset: expected at least one tensor, got none")
        if any(x.ndim == 0 for x in self.tensors):
            shapes = ", ".join(str(x.shape) for x in self.tensors)
            raise ShapeError(f"TensorDataset: every tensor needs a first axis to index; the shapes are {shapes}")
        lengths = [x.shape[0] for x in self.tensors]
        if len(set(lengths)) > 1:
            shapes = ", ".join(str(x.shape) for x in self.tensors)
            raise ShapeError(f"TensorDataset: the tensors differ in length: {lengths}; their shapes are {shapes}")

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index) -> tuple[Variable, ...]:
        return tuple([_rows(x, index) for x in self.tensors])


def _rows(x, index):
    if x.tracked:
        return x[index]  # recorded, so that gradients reach a dataset that is learned
    if isinstance(index, Variable):
        index = index.data
    if not backend[type(x.data)].host:
        return getitem(x, index)  # which takes the index to the device
    return Variable(x.data[index])


class Subset(Dataset):
    """The items of `dataset` at `indices`, in that order.

    Args:   dataset - the whole.
            indices - integers; negative ones count from the end.
    Raises: IndexRangeError for an index outside of the dataset; ShapeError unless indices are a flat list of integers.
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        array = as_array(list(indices) if isinstance(indices, range) else indices)
        array = backend[type(array)].to_numpy(array)
        if array.size == 0:
            array = array.astype(np.int64)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ShapeError(
                f"Subset: indices must be a flat list of integers, got {array.dtype} {array.shape}; "
                "of a mask, take np.flatnonzero(mask)"
            )
        n = len(dataset)
        outside = array[(array >= n) | (array < -n)]
        if outside.size:
            raise IndexRangeError(f"Subset: index {outside[0]} is outside of the dataset, which has {n} items")
        self.indices = array

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index):
        if isinstance(index, Variable):
            index = index.numpy()
        at = self.indices[index]
        return self.dataset[int(at) if at.ndim == 0 else at]


def columns(dataset, indices, new=None):
    """A whole batch by one fancy index per tensor, or None where items must be fetched one by one.

    A subclass that has its own `__getitem__` (to augment, say) is asked item by item.
    Args: new - new(shape, dtype) gives the memory on the host in which the batch is wanted.
    """
    chain = [dataset]
    while type(chain[-1]).__getitem__ is Subset.__getitem__:
        chain.append(chain[-1].dataset)
    *subsets, tensors = chain
    if type(tensors).__getitem__ is not TensorDataset.__getitem__:
        return None
    indices = np.asarray(indices, np.int64)
    for subset in subsets:
        indices = subset.indices[indices]
    return list(tensors[indices]) if new is None else [_taken(x, indices, new) for x in tensors.tensors]


def _taken(x, indices, new):
    """The rows of `x` in memory that `new` gives; elsewhere where x is no plain array, or an index out of range."""
    n = len(x.data)
    inside = indices.size and -n <= indices.min() and indices.max() < n
    if x.tracked or not inside or type(x.data) is not np.ndarray:
        return _rows(x, indices)
    y = new((*indices.shape, *x.shape[1:]), x.dtype)
    return Variable(x.data.take(indices, 0, out=y, mode="wrap"))  # mode "raise" would go by way of a copy


def random_split(dataset, lengths: Sequence[int | float], generator=None) -> list[Subset]:
    """Disjoint random subsets that make up the whole dataset.

    Args:    lengths - whole numbers that sum to len(dataset), or fractions that sum to 1: floor(fraction * len) each,
                 and what is left over one by one from the first on.
             generator - numpy.random.Generator or an integer seed. Default: minigrad's, which mg.manual_seed seeds.
    Returns: list of Subset.
    Raises:  ValueError if the lengths do not add up.
    """
    n = len(dataset)
    sizes = _sizes(n, list(lengths))
    order = as_generator("random_split", generator).permutation(n)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(sizes)[:-1])]


def _sizes(n, lengths):
    if not lengths or any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must be numbers of at least 0, got {lengths}")
    if math.isclose(sum(lengths), 1):
        sizes = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
        if 0 in sizes:
            warnings.warn(f"random_split: fractions {lengths} of {n} items make empty splits: {sizes}", stacklevel=3)
        return sizes
    if any(length != int(length) for length in lengths) or sum(lengths) != n:
        raise ValueError(
            f"random_split: lengths {lengths} sum to {sum(lengths)}, and the dataset has {n} items; "
            f"give whole numbers that sum to {n}, or fractions that sum to 1"
        )
    return [int(length) for length in lengths]


def as_generator(caller: str, generator) -> np.random.Generator:
    """The host generator that was meant: itself, a new one from a seed, or minigrad's for None."""
    if generator is None:
        return host_generator()
    if isinstance(generator, (int, np.integer)):
        return np.random.default_rng(generator)
    if isinstance(generator, np.random.Generator):
        return generator
    raise TypeError(
        f"{caller}: generator must be a numpy.random.Generator, an integer seed or None, "
        f"got {type(generator).__name__}; write np.random.default_rng(seed)"
    )
