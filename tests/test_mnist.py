"""MNIST: reading its files, refusing wrong ones, and downloads that break, on a server of our own."""

import gzip
import hashlib
import os
import socket
import struct
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest

from minigrad.data import MNIST, DataLoader
from minigrad.data.mnist import IdxFile, Split
from minigrad.errors import DataError
from minigrad.tape import Variable


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


rng = np.random.default_rng(0)
ARRAYS = {
    "train-images-idx3-ubyte": rng.integers(0, 256, (50, 4, 3), np.uint8),
    "train-labels-idx1-ubyte": rng.integers(0, 10, 50, np.uint8),
    "t10k-images-idx3-ubyte": rng.integers(0, 256, (7, 4, 3), np.uint8),
    "t10k-labels-idx1-ubyte": rng.integers(0, 10, 7, np.uint8),
}
PACKED = {name + ".gz": gzip.compress(idx(array)) for name, array in ARRAYS.items()}
IMAGES = "train-images-idx3-ubyte"
TABLE = [IdxFile(name, array.shape, hashlib.sha256(idx(array)).hexdigest()) for name, array in ARRAYS.items()]


class Tiny(MNIST):
    splits = (Split(*TABLE[:2]), Split(*TABLE[2:]))


@pytest.fixture
def folder(tmp_path):
    for name, content in PACKED.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


# Reading


@pytest.mark.parametrize("train", [True, False])
def test_reads_images_and_labels(folder, train):
    data = Tiny(folder, train=train)
    images, labels = list(ARRAYS.values())[:2] if train else list(ARRAYS.values())[2:]
    assert len(data) == len(images)
    assert isinstance(data.data, Variable) and isinstance(data.targets, Variable)
    np.testing.assert_array_equal(data.data.data, images, strict=True)
    np.testing.assert_array_equal(data.targets.data, labels.astype(np.int64), strict=True)


def test_items_are_scaled_images_and_int_labels(folder):
    data = Tiny(folder)
    image, label = data[-2]
    assert isinstance(image, Variable) and type(label) is int
    assert label == ARRAYS["train-labels-idx1-ubyte"][-2]
    np.testing.assert_array_equal(image.data, ARRAYS[IMAGES][-2, None] / np.float32(255), strict=True)
    assert len(list(data)) == 50, "a loop over the dataset ends"


def test_transforms_are_applied(folder):
    data = Tiny(folder, transform=lambda x: x.data * 2, target_transform=lambda y: y + 100)
    image, label = data[3]
    np.testing.assert_array_equal(image, Tiny(folder)[3][0].data * 2)
    assert label == ARRAYS["train-labels-idx1-ubyte"][3] + 100
    with pytest.raises(ValueError, match="as_tensors: this Tiny has a transform, which works on single items"):
        data.as_tensors()


def test_as_tensors_equals_the_items(folder):
    data = Tiny(folder)
    for single, whole in zip(DataLoader(data, 8), DataLoader(data.as_tensors(), 8), strict=True):
        for a, b in zip(single, whole, strict=True):
            np.testing.assert_array_equal(a.data, b.data, strict=True)
    images = data.as_tensors(mean=0.25, std=0.5).tensors[0]
    assert images.dtype == np.float32
    np.testing.assert_allclose(images.data[:, 0], (ARRAYS[IMAGES] / 255 - 0.25) / 0.5, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="std must not be 0"):
        data.as_tensors(std=0)


@pytest.mark.parametrize("place", [".", "Tiny/raw"])
@pytest.mark.parametrize(
    ("suffix", "unpack"),
    [(".gz", False), ("", True), (".gz", True), ("", False)],
    ids=["gz", "plain", "named gz", "unnamed gz"],
)
def test_files_are_found_in_either_place_and_form(tmp_path, place, suffix, unpack):
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name, content in PACKED.items():
        path = tmp_path / place / (name.removesuffix(".gz") + suffix)
        path.write_bytes(gzip.decompress(content) if unpack else content)
    np.testing.assert_array_equal(Tiny(str(tmp_path)).data.data, ARRAYS[IMAGES])


# Refusing


def test_missing_files_are_explained(tmp_path):
    with pytest.raises(DataError) as caught:
        Tiny(tmp_path / "nowhere")
    message = str(caught.value)
    for part in (*PACKED, str(tmp_path / "nowhere" / "Tiny" / "raw"), "download=True", "https://ossci-datasets"):
        assert part in message
    assert not (tmp_path / "nowhere").exists(), "reading makes no folders"


A, PACKED_A = ARRAYS[IMAGES], PACKED[IMAGES + ".gz"]


def changed(content, at, flip):
    """`content` with some bits flipped at one place."""
    return content[:at] + bytes((content[at] ^ flip,)) + content[at + 1 :]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic number: expected 00000803, found an empty file"),
        (b"<html>", "magic number: expected 00000803, found 3c68746d"),
        (changed(idx(A), 3, 2), "magic number: expected 00000803, found 00000801"),
        (idx(A)[:10], "size unpacked: expected 616 bytes, found 10 bytes: truncated"),
        (idx(A)[:-1], "size unpacked: expected 616 bytes, found 615 bytes: truncated"),
        (idx(A) + b"!", "size unpacked: expected 616 bytes, found 617 bytes: too long"),
        (changed(idx(A), 7, 50 ^ 49), r"shape in its header: expected \(50, 4, 3\), found \(49, 4, 3\)"),
        (changed(idx(A), 100, 1), r"SHA-256 unpacked: expected [0-9a-f]{64}, found [0-9a-f]{64}"),
        (PACKED_A[:-20], r"expected a whole gzip file, found \d+ bytes, truncated or damaged"),
        (PACKED_A[:5], "expected a whole gzip file, found 5 bytes"),
        (PACKED_A[:50] + bytes(30) + PACKED_A[80:], "truncated or damaged"),
    ],
)
def test_a_wrong_file_is_refused_by_name(folder, content, message):
    (folder / (IMAGES + ".gz")).write_bytes(content)
    with pytest.raises(DataError, match=rf"Tiny: .*{IMAGES}.gz: .*{message}.*; delete the file and pass download=True"):
        Tiny(folder)


# Downloading


class Server(ThreadingHTTPServer):
    """Serves `files`; `cuts` are the bytes after which the next responses break off."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/{name}": content for name, content in PACKED.items()}
        self.ranges, self.cuts, self.requests, self.span = True, [], [], None

    @property
    def mirror(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def asked(self, name):
        """The Range headers with which a file was asked for."""
        return [span for path, span in self.requests if path.endswith(name)]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, span = self.server, self.headers["Range"]
        server.requests.append((self.path, span))
        content = server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        begin = int(span[len("bytes=") : -1]) if span and server.ranges else 0
        if begin and begin >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", server.span or f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin:][: server.cuts.pop(0) if server.cuts else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def serve(monkeypatch):
    """A function that starts a server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start():
        server = Server()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def offline(monkeypatch):
    """The address of a server that is not there."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def fetched(root, *mirrors):
    data = Tiny(root, download=True, mirrors=mirrors)
    np.testing.assert_array_equal(data.data.data, ARRAYS[IMAGES])
    raw = root / "Tiny" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == PACKED, "four whole files and no .part"


def test_downloads_all_four_files_once(tmp_path, server):
    fetched(tmp_path, server.mirror)
    assert len(server.requests) == 4
    fetched(tmp_path, server.mirror)
    assert len(server.requests) == 4, "what is there is not fetched again"
    assert len(Tiny(tmp_path, train=False)) == 7


def test_a_file_that_is_there_is_not_fetched(folder, server):
    (folder / (IMAGES + ".gz")).unlink()
    Tiny(folder, download=True, mirrors=server.mirror.rstrip("/"))
    assert server.requests == [(f"/{IMAGES}.gz", None)]


def test_a_broken_connection_is_resumed(tmp_path, server):
    server.cuts = [100, 50]
    fetched(tmp_path, server.mirror)
    assert server.asked(IMAGES + ".gz") == [None, "bytes=100-", "bytes=150-"]


def test_a_later_call_resumes(tmp_path, server):
    server.cuts = [100, 0]
    with pytest.raises(DataError, match=r"the connection ended after 100 of \d+ bytes"):
        fetched(tmp_path, server.mirror)
    part = tmp_path / "Tiny" / "raw" / (IMAGES + ".gz.part")
    assert part.read_bytes() == PACKED_A[:100]
    with pytest.raises(DataError, match="neither in"):
        Tiny(tmp_path)
    fetched(tmp_path, server.mirror)
    assert server.asked(IMAGES + ".gz") == [None, "bytes=100-", "bytes=100-"]


def test_another_mirror_goes_on_where_the_first_broke(tmp_path, serve):
    first, second = serve(), serve()
    first.cuts = [100, 0]
    fetched(tmp_path, first.mirror, second.mirror)
    assert second.asked(IMAGES + ".gz") == ["bytes=100-"]


def test_a_server_without_ranges_begins_anew(tmp_path, server):
    server.ranges, server.cuts = False, [100]
    fetched(tmp_path, server.mirror)
    assert server.asked(IMAGES + ".gz") == [None, "bytes=100-"]


def test_a_server_without_ranges_that_always_breaks_is_given_up(tmp_path, server):
    server.ranges, server.cuts = False, [100] * 5
    with pytest.raises(DataError, match="ended after 100 of"):
        fetched(tmp_path, server.mirror)
    assert len(server.asked(IMAGES + ".gz")) == 2


def test_a_wrong_range_is_refused(tmp_path, serve):
    first, second = serve(), serve()
    first.cuts, first.span = [100], "bytes 7-9/10"
    fetched(tmp_path, first.mirror, second.mirror)
    first.cuts = [100]
    with pytest.raises(DataError, match="asked for the bytes from 100 on, the server sent 'bytes 7-9/10'"):
        fetched(tmp_path / "other", first.mirror)


def test_a_complete_part_needs_no_more_bytes(tmp_path, server):
    raw = tmp_path / "Tiny" / "raw"
    raw.mkdir(parents=True)
    (raw / (IMAGES + ".gz.part")).write_bytes(PACKED_A)
    fetched(tmp_path, server.mirror)
    assert len(server.asked(IMAGES + ".gz")) == 1


@pytest.mark.parametrize("size", [100, 10_000], ids=["shorter", "longer"])
def test_a_part_of_something_else_is_thrown_away(tmp_path, server, size):
    raw = tmp_path / "Tiny" / "raw"
    raw.mkdir(parents=True)
    (raw / (IMAGES + ".gz.part")).write_bytes(b"?" * size)
    fetched(tmp_path, server.mirror)
    assert server.asked(IMAGES + ".gz") == [f"bytes={size}-", None]


def test_a_wrong_digest_is_not_put_into_place(tmp_path, server):
    server.files[f"/{IMAGES}.gz"] = gzip.compress(changed(idx(A), 100, 1))
    with pytest.raises(DataError, match=r"what it delivered is not the file: .*SHA-256 unpacked: expected"):
        fetched(tmp_path, server.mirror)
    assert list((tmp_path / "Tiny" / "raw").iterdir()) == []
    assert len(server.asked(IMAGES + ".gz")) == 1, "the same wrong file is not fetched twice"


def test_the_next_mirror_is_tried_after_each_kind_of_failure(tmp_path, serve, offline):
    missing, wrong, right = serve(), serve(), serve()
    missing.files = {}
    wrong.files = dict.fromkeys(wrong.files, b"<html>Please log in</html>")
    fetched(tmp_path, offline, missing.mirror, wrong.mirror, right.mirror)
    assert len(missing.requests) == len(wrong.requests) == len(right.requests) == 4


def test_when_all_mirrors_fail_each_is_reported_with_what_to_do(tmp_path, server, offline):
    server.files = {}
    with pytest.raises(DataError) as caught:
        Tiny(tmp_path, download=True, mirrors=(offline, server.mirror))
    message = str(caught.value)
    for part in (
        f"Tiny: no mirror delivered {IMAGES}.gz",
        f"{offline}{IMAGES}.gz: [Errno",
        f"{server.mirror}{IMAGES}.gz: HTTP 404 Not Found",
        "try again with download=True when online",
        f"get the four files {', '.join(PACKED)} from {offline} or {server.mirror} and put them into {tmp_path}",
    ):
        assert part in message


class Bar:
    """What tqdm is asked to show; interrupts after `last` updates."""

    made: ClassVar[list] = []
    last = None

    def __init__(self, **arguments):
        self.arguments, self.shown = arguments, 0
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def update(self, n):
        self.shown += n
        if self.last is not None and self.shown >= self.last:
            raise KeyboardInterrupt


@pytest.fixture
def bar(monkeypatch):
    kind = type("tqdm", (Bar,), {"made": []})
    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=kind))
    return kind


def test_ctrl_c_leaves_a_part_to_resume_from(tmp_path, server, bar, monkeypatch):
    monkeypatch.setattr(sys.modules["minigrad.data.download"], "CHUNK", 40)
    bar.last = 120
    with pytest.raises(KeyboardInterrupt):
        fetched(tmp_path, server.mirror)
    (part,) = (tmp_path / "Tiny" / "raw").iterdir()
    have = part.stat().st_size
    assert part.name == IMAGES + ".gz.part" and 120 <= have < len(PACKED_A)
    bar.last = None
    fetched(tmp_path, server.mirror)
    assert server.asked(IMAGES + ".gz") == [None, f"bytes={have}-"]


def test_the_bar_shows_what_was_resumed(tmp_path, server, bar):
    server.cuts = [100]
    fetched(tmp_path, server.mirror)
    size = len(PACKED_A)
    first, second = (b for b in bar.made if b.arguments["desc"] == IMAGES + ".gz")
    assert (first.arguments["initial"], first.arguments["total"], first.shown) == (0, size, 100)
    assert (second.arguments["initial"], second.arguments["total"], second.shown) == (100, size, size - 100)


def test_without_tqdm_it_is_silent(tmp_path, server, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fetched(tmp_path, server.mirror)
    assert capsys.readouterr() == ("", "")


def test_a_failure_of_the_own_disk_is_not_blamed_on_a_mirror(tmp_path, server):
    (tmp_path / "Tiny").write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="Tiny") as caught:
        Tiny(tmp_path, download=True, mirrors=server.mirror)
    assert not isinstance(caught.value, DataError) and not server.requests


# The real files


@pytest.mark.skipif("MINIGRAD_MNIST" not in os.environ, reason="MINIGRAD_MNIST names no folder with the real files")
@pytest.mark.parametrize(("train", "n", "first"), [(True, 60000, [5, 0, 4]), (False, 10000, [7, 2, 1])])
def test_the_real_files(train, n, first):
    data = MNIST(os.environ["MINIGRAD_MNIST"], train=train)
    assert data.data.shape == (n, 28, 28) and data.targets.data[:3].tolist() == first
    if train:
        images = data.as_tensors(mean=0.1307, std=0.3081).tensors[0].data
        assert abs(images.mean()) < 1e-3 and abs(images.std() - 1) < 1e-3
