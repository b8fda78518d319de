"""Handwritten digits that come with the package: 1797 images of 8x8, enough to learn on without a download."""

from importlib.resources import files

import numpy as np

from ..tape import Variable
from .dataset import TensorDataset


def load_digits(train: bool | None = None) -> TensorDataset:
    """The test set of "Optical Recognition of Handwritten Digits", 1797 gray images of 0 to 9.

    The split is fixed: the 360 images held back, 36 of each digit, were drawn once (numpy's default_rng(0)) and are
    stored beside the images. The same 13 people wrote both parts, so this tests for new images, not for new hands.

    Args:    train - True: 1437 images to train on; False: the other 360; None (default): all.
    Returns: TensorDataset; its `tensors` are images (n, 1, 8, 8) float32 from 0 to 1, and labels (n,) int64.
    Source:  E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning Repository, doi 10.24432/C50P49; CC BY 4.0.
             DIGITS.md beside this file says more.
    """
    with files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        images, labels, held_back = stored["images"], stored["labels"], stored["held_back"]
    chosen = np.full(len(images), train is not False)
    if train is not None:
        chosen[held_back] = not train
    x = images[chosen, None].astype(np.float32) / 16
    return TensorDataset(Variable(x), Variable(labels[chosen].astype(np.int64)))
