"""MNIST: 70 000 handwritten digits of 28x28, read from the four files it is published as, or downloaded."""

import gzip
import hashlib
import math
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..tape import Variable
from .dataset import Dataset, TensorDataset
from .download import download as download_file

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


class IdxFile(NamedTuple):
    """What a file must be: its name, the shape of its bytes, and the SHA-256 of its unpacked content."""

    name: str
    shape: tuple[int, ...]
    sha256: str


class Split(NamedTuple):
    """The two files of the training or of the test set."""

    images: IdxFile
    labels: IdxFile


TRAIN = Split(
    IdxFile(
        "train-images-idx3-ubyte",
        (60000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        (60000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
)
TEST = Split(
    IdxFile(
        "t10k-images-idx3-ubyte",
        (10000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        (10000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


class MNIST(Dataset):
    """The MNIST digits: item i is (image, label), a float32 Variable (1, 28, 28) from 0 to 1 and an int.

    The files may lie, gzipped or not, in `root` or in `root`/MNIST/raw, where torchvision puts them. Whatever their
    origin, their content is checked against its SHA-256. For full speed, train on `as_tensors()`.

    Args:   root - folder of the files.
            train - True (default): the 60 000 training images; False: the 10 000 test images.
            download - fetch into `root`/MNIST/raw those of the four files that are not there. Default: False.
            transform, target_transform - functions of an image and of a label, called whenever an item is fetched.
            mirrors - addresses of folders to download from, tried in this order.
    Holds:  data (n, 28, 28) uint8 and targets (n,) int64, Variables.
    Raises: DataError if a file is missing, truncated or not what its name says, or no mirror delivers it.
    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-Based Learning Applied to Document
            Recognition, Proc. IEEE 86 (1998).
    """

    splits = (TRAIN, TEST)  # a data set of the same form is a subclass with files of its own

    def __init__(
        self, root, train: bool = True, download: bool = False, transform=None, target_transform=None, mirrors=MIRRORS
    ):
        self.root = Path(root).expanduser()
        self.train, self.transform, self.target_transform = train, transform, target_transform
        self.mirrors = (mirrors,) if isinstance(mirrors, str) else tuple(mirrors)
        if download:
            self._download()
        split = self.splits[0 if train else 1]
        self.data = Variable(self._read(split.images))
        self.targets = Variable(self._read(split.labels).astype(np.int64))

    @property
    def raw_folder(self) -> Path:
        """Where downloads go: `root`/MNIST/raw, or a subclass's name for MNIST."""
        return self.root / type(self).__name__ / "raw"

    def __len__(self) -> int:
        return len(self.data.data)

    def __getitem__(self, index: int):
        image = Variable(self.data.data[index, None].astype(np.float32) / 255)
        label = int(self.targets.data[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def as_tensors(self, mean: float = 0.0, std: float = 1.0) -> TensorDataset:
        """Everything at once, for batches at full speed: images (n, 1, 28, 28) float32, labels (n,) int64.

        Args:   mean, std - the images become (image - mean) / std. Of the training images they are 0.1307 and 0.3081.
        Raises: ValueError if there is a transform, for it works on items, or std is 0.
        """
        if self.transform is not None or self.target_transform is not None:
            raise ValueError(
                f"as_tensors: this {type(self).__name__} has a transform, which works on single items; "
                "make one without, and give mean and std here or transform the tensors"
            )
        if std == 0:
            raise ValueError("as_tensors: std must not be 0")
        images = self.data.data[:, None].astype(np.float32)
        images /= 255
        if mean != 0:
            images -= mean
        if std != 1:
            images /= std
        return TensorDataset(Variable(images), self.targets)

    def _find(self, name):
        places = (folder / (name + suffix) for folder in (self.root, self.raw_folder) for suffix in ("", ".gz"))
        return next((place for place in places if place.is_file()), None)

    def _read(self, file):
        path = self._find(file.name)
        if path is None:
            raise DataError(
                f"{type(self).__name__}: {file.name}[.gz] is neither in {self.root} nor in {self.raw_folder}; "
                + self._advice("pass download=True, or get")
            )
        try:
            return read_idx(path, file)
        except DataError as error:
            raise DataError(
                f"{type(self).__name__}: {error}; delete the file and pass download=True, or put the right one there"
            ) from None

    def _download(self):
        for file in (file for split in self.splits for file in split if self._find(file.name) is None):
            name = file.name + ".gz"
            urls = [f"{mirror.rstrip('/')}/{name}" for mirror in self.mirrors]
            try:
                download_file(urls, self.raw_folder / name, check=partial(read_idx, file=file))
            except DataError as error:
                raise DataError(
                    f"{type(self).__name__}: {error}\n"
                    + self._advice("try again with download=True when online (it goes on where it stopped), or get")
                ) from None

    def _advice(self, beginning):
        names = ", ".join(f"{file.name}.gz" for split in self.splits for file in split)
        sources = " or ".join(self.mirrors) or "a mirror of your choice"
        return f"{beginning} the four files {names} from {sources} and put them into {self.root}"


def read_idx(path: Path, file: IdxFile) -> np.ndarray:
    """The bytes of an idx file, gzipped or not, as an array of `file.shape`.

    Raises: DataError if the content is not that of `file`, with what was expected and found.
    Source: "The IDX file format", Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST Database.
    """
    content = _unpacked(path)
    rank = len(file.shape)
    magic = bytes((0, 0, 8, rank))  # 8: unsigned bytes
    size = 4 + 4 * rank + math.prod(file.shape)
    if content[:4] != magic:
        raise _wrong(path, "magic number", magic.hex(), content[:4].hex() or "an empty file")
    if len(content) < 4 + 4 * rank:
        raise _wrong(path, "size unpacked", f"{size} bytes", f"{len(content)} bytes: truncated")
    shape = struct.unpack_from(f">{rank}I", content, 4)
    if shape != file.shape:
        raise _wrong(path, "shape in its header", file.shape, shape)
    if len(content) != size:
        how = "truncated" if len(content) < size else "too long"
        raise _wrong(path, "size unpacked", f"{size} bytes", f"{len(content)} bytes: {how}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise _wrong(path, "SHA-256 unpacked", file.sha256, digest)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()  # bytes are read-only


def _unpacked(path):
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":  # by content: browsers unpack a .gz and leave its name
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _wrong(path, "content", "a whole gzip file", f"{len(content)} bytes, truncated or damaged") from error


def _wrong(path, what, expected, found):
    return DataError(f"{path}: {what}: expected {expected}, found {found}")
