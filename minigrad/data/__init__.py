"""Data: what a training loop iterates over. PyTorch's `torch.utils.data`, and two data sets to learn on.

    train, test = load_digits(train=True), load_digits(train=False)
    for x, y in DataLoader(train, batch_size=64, shuffle=True):
        ...                                    # x (64, 1, 8, 8) float32, y (64,) int64

dataset.py says what items there are, loader.py makes batches of them; digits.py and mnist.py are data.
"""

from .dataset import Dataset as Dataset
from .dataset import Subset as Subset
from .dataset import TensorDataset as TensorDataset
from .dataset import random_split as random_split
from .digits import load_digits as load_digits
from .loader import DataLoader as DataLoader
from .loader import default_collate as default_collate
from .mnist import MNIST as MNIST
