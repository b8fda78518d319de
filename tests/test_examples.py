"""The examples as a user runs them, and the documents: their code runs and prints what they say."""

import ast
import gzip
import hashlib
import io
import os
import re
import signal
import struct
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import data, nn, optim
from minigrad.data import MNIST
from minigrad.data.mnist import IdxFile, Split
from minigrad.nn import functional

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PAGES = "README.md", "docs/tape.md", "docs/gradcheck.md", "docs/func.md", "docs/debugging.md", "docs/viz.md"
DOCUMENTS = [ROOT / name for name in PAGES]
needs_extras = pytest.mark.usefixtures("extras")


@pytest.fixture
def extras():
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """A function that runs an example's main in this process, with results in tmp_path, and returns what it printed."""
    monkeypatch.syspath_prepend(EXAMPLES)

    def run(script, *arguments, out="out"):
        from _common import start

        module = __import__(script)
        start(module.main, module.command_line(), ["--smoke", "--out", str(tmp_path / out), *map(str, arguments)])
        return capsys.readouterr().out.splitlines()

    return run


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120, **options
    )


# The digits


@needs_extras
def test_digits_learn_and_leave_checkpoint_and_picture(train, tmp_path):
    lines = train("train_digits", "--epochs", 5)
    assert [line[:9] for line in lines] == [f"epoch  {n}:" for n in range(1, 6)] + [lines[-1][:9]]
    loss, right = (re.findall(pattern, lines[-2])[-1] for pattern in (r"loss ([\d.]+)", r"accuracy ([\d.]+)%"))
    assert float(loss) < 1 and float(right) > 80  # of 256 images, five times; guessing is right in 10 %
    assert lines[-1].startswith(f"{right}% of the held-back digits right")
    checkpoint = mg.load(tmp_path / "out" / "checkpoint.npz")
    assert checkpoint["epoch"] == 5 and len(checkpoint["history"]["loss"]) == 5
    assert set(checkpoint) == {"settings", "epoch", "history", "model", "optimizer", "random"}
    assert (tmp_path / "out" / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@needs_extras
def test_the_same_seed_gives_the_same_numbers(train):
    first, again, other = (train("train_digits", "--epochs", 2, "--seed", seed)[:2] for seed in (3, 3, 4))
    assert first == again
    assert first[0] != other[0] and first[1] != other[1]


@needs_extras
def test_resuming_gives_the_numbers_of_an_unbroken_run(train):
    unbroken = train("train_digits", "--epochs", 4, "--seed", 5, out="unbroken")
    before = train("train_digits", "--epochs", 2, "--seed", 5)
    after = train("train_digits", "--epochs", 4, "--resume")
    assert before[:2] + after[:2] == unbroken[:4]
    assert after[2].split(",")[0] == unbroken[4].split(",")[0]


def _without_key(folder):
    checkpoint = mg.load(folder / "checkpoint.npz")
    del checkpoint["random"]
    mg.save(checkpoint, folder / "checkpoint.npz")


def _other_network(folder):
    checkpoint = mg.load(folder / "checkpoint.npz")
    checkpoint["model"]["features.0.weight"] = mg.zeros(2, 1, 3, 3)
    mg.save(checkpoint, folder / "checkpoint.npz")


def _truncated(folder):
    content = (folder / "checkpoint.npz").read_bytes()
    (folder / "checkpoint.npz").write_bytes(content[:1000])


REFUSALS = {
    "wrong device": (None, ["--device", "tpu"], 'device: expected "cpu", "cuda" or "cuda:1", got \'tpu\''),
    "no checkpoint": (lambda folder: (folder / "checkpoint.npz").unlink(), ["--resume"], r"there is no .*npz; begin"),
    "all epochs done": (None, ["--resume", "--epochs", "1"], "has 1 epochs already; ask for more with --epochs"),
    "another seed": (None, ["--resume", "--seed", "1"], "was made with seed=0, and this run has seed=1"),
    "another file": (_without_key, ["--resume"], "was not written by this example"),
    "another network": (_other_network, ["--resume"], r"features\.0\.weight is \(32, 1, 3, 3\) here, \(2, 1, 3, 3\)"),
    "a damaged file": (_truncated, ["--resume"], "checkpoint.npz is damaged"),
}


@needs_extras
@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_user_can_mend_is_a_message(train, tmp_path, case):
    spoil, arguments, message = REFUSALS[case]
    train("train_digits", "--epochs", 1)
    if spoil:
        spoil(tmp_path / "out")
    with pytest.raises(SystemExit, match=message) as stopped:
        train("train_digits", *arguments)
    assert str(stopped.value).startswith("train_digits.py: ")


@needs_extras
@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--seed", "-1"], ["--epochs", "many"]])
def test_wrong_numbers_are_refused(train, capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        train("train_digits", *arguments)
    assert stopped.value.code == 2 and arguments[0] in capsys.readouterr().err


@needs_extras
def test_as_a_program_a_wrong_device_shows_no_traceback(tmp_path):
    done = process(EXAMPLES / "train_digits.py", "--device", "cuda:x", "--out", tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("train_digits.py: device") and "Traceback" not in done.stderr


@needs_extras
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_keeps_the_checkpoint_and_says_how_to_go_on(tmp_path):
    out = tmp_path / "with space"
    command = [sys.executable, "-u", EXAMPLES / "train_digits.py", "--smoke", "--epochs", "100000", "--out", out]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore SIGINT,
    try:  # and what they start inherits it
        running = subprocess.Popen(command, **options)
    finally:
        signal.signal(signal.SIGINT, heard)
    with running:
        lines = [running.stdout.readline() for _ in range(2)]  # the second is printed after the first was saved
        running.send_signal(signal.SIGINT)
        _, messages = running.communicate(timeout=120)
    assert lines[1].startswith("epoch  2:")
    assert running.returncode == 130 and "Traceback" not in messages
    advice = f"--smoke --epochs 100000 --out '{out}' --resume"
    assert "Stopped. To go on from the last complete epoch: python " in messages and advice in messages
    assert mg.load(out / "checkpoint.npz")["epoch"] >= 1


@needs_extras
def test_ctrl_c_before_the_first_epoch(train, monkeypatch, capsys):
    import train_digits

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_digits, "train", interrupted)
    with pytest.raises(SystemExit) as stopped:
        train("train_digits")
    assert stopped.value.code == 130 and "No epoch was complete" in capsys.readouterr().err


def test_without_the_extras_the_command_to_install_them_is_told(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here', name='matplotlib')")
    done = process(EXAMPLES / "train_digits.py", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr == 'matplotlib is not installed: pip install -e ".[examples]"\n'


@needs_extras
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(("arguments", "device"), [([], "cuda"), (["--device", "cpu"], "cpu")])
def test_it_trains_on_the_gpu_if_there_is_one(train, tmp_path, arguments, device):
    unbroken = train("train_digits", *arguments, "--epochs", 2, out="unbroken")
    assert f" s on {device}; see " in unbroken[-1]
    before = train("train_digits", *arguments, "--epochs", 1)
    after = train("train_digits", *arguments, "--epochs", 2, "--resume")
    assert before[:1] + after[:1] == unbroken[:2]  # dropout goes on too
    assert ("random_there" in mg.load(tmp_path / "out" / "checkpoint.npz")) == (device == "cuda")


@needs_extras
def test_a_checkpoint_goes_on_on_another_device(train, cuda):
    train("train_digits", "--epochs", 4, "--device", "cpu")
    line, end = train("train_digits", "--epochs", 5, "--device", cuda, "--resume")
    assert " on cuda;" in end and float(re.findall(r"accuracy ([\d.]+)%", line)[-1]) > 70
    assert len(train("train_digits", "--epochs", 6, "--device", "cpu", "--resume")) == 2


@needs_extras
def test_an_epoch_waits_for_the_gpu_only_to_show_numbers(monkeypatch, double):
    monkeypatch.syspath_prepend(EXAMPLES)
    import train_digits
    from tqdm import tqdm

    model = train_digits.Net().to("cuda")
    optimizer = optim.Adam(model.parameters())
    loader = data.DataLoader(data.Subset(data.load_digits(), range(96)), batch_size=32, device="cuda")
    with tqdm(disable=True) as bar:
        train_digits.train(model, loader, optimizer, bar)
        double.synchronizations.clear()
        train_digits.train(model, loader, optimizer, bar)
        train_digits.evaluate(model, loader)
    assert [reason for reason in double.synchronizations if "vent" not in reason and "item" not in reason] == []
    assert sum("item" in reason for reason in double.synchronizations) == 4


# MNIST


def _idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small_mnist(tmp_path):
    """A class like MNIST of 512 and 128 images: the bundled digits, three times as large; and its folder."""
    digits = data.load_digits()
    images = np.zeros((640, 28, 28), np.uint8)
    enlarged = np.kron(digits.tensors[0].data[:640, 0], np.ones((3, 3)))
    images[:, 2:26, 2:26] = 255 * enlarged
    labels = digits.tensors[1].data[:640].astype(np.uint8)
    arrays = {
        "train-images-idx3-ubyte": images[:512],
        "train-labels-idx1-ubyte": labels[:512],
        "t10k-images-idx3-ubyte": images[512:],
        "t10k-labels-idx1-ubyte": labels[512:],
    }
    files = []
    for name, array in arrays.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(_idx(array)))
        files.append(IdxFile(name, array.shape, hashlib.sha256(_idx(array)).hexdigest()))

    class SmallMNIST(MNIST):
        splits = (Split(*files[:2]), Split(*files[2:]))

    return SmallMNIST, tmp_path


@needs_extras
def test_mnist_learns_and_resumes(train, small_mnist, monkeypatch):
    import train_mnist

    kind, folder = small_mnist
    monkeypatch.setattr(train_mnist, "MNIST", kind)
    unbroken = train("train_mnist", "--data", folder, "--epochs", 3, out="unbroken")
    assert float(re.findall(r"accuracy ([\d.]+)%", unbroken[2])[-1]) > 70
    before = train("train_mnist", "--data", folder, "--epochs", 1)
    after = train("train_mnist", "--data", folder, "--resume")
    assert before[:1] + after[:2] == unbroken[:3]


@needs_extras
def test_mnist_in_mixed_precision(train, small_mnist, monkeypatch, cuda):
    import train_mnist

    kind, folder = small_mnist
    monkeypatch.setattr(train_mnist, "MNIST", kind)
    monkeypatch.setattr(train_mnist, "Subset", lambda dataset, chosen: data.Subset(dataset, range(32)))
    command = "train_mnist", "--data", folder, "--device", cuda
    unbroken = train(*command, "--amp", "--epochs", 2, out="unbroken")
    float32 = train(*command, "--epochs", 1, out="float32")
    losses = [float(re.search(r"loss ([\d.]+)", lines[0])[1]) for lines in (unbroken, float32)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02) and unbroken[0] != float32[0]
    before = train(*command, "--amp", "--epochs", 1)
    after = train(*command, "--amp", "--epochs", 2, "--resume")
    assert before[:1] + after[:1] == unbroken[:2]  # the scaler goes on too
    with pytest.raises(SystemExit, match="was made with amp=True, and this run has amp=False"):
        train(*command, "--epochs", 3, "--resume")


@needs_extras
def test_mnist_without_its_files(train, tmp_path):
    with pytest.raises(SystemExit, match=r"train_mnist\.py: MNIST: train-images-idx3-ubyte\[\.gz\] is neither in"):
        train("train_mnist", "--data", tmp_path)


@needs_extras
@pytest.mark.skipif("MINIGRAD_MNIST" not in os.environ, reason="MINIGRAD_MNIST names no folder of the MNIST files")
def test_mnist_itself(train):
    assert len(train("train_mnist", "--data", os.environ["MINIGRAD_MNIST"])) == 4


# The documents


def blocks(text):
    """Pairs (number of the line before, code) of the Python blocks of a Markdown text."""
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in found]


def promised(code):
    """What the comments say that the print calls of `code` print: at the end of the call, or in the lines below it."""
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
    }
    lines = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print":
            number = node.end_lineno if node.end_lineno in comments else node.end_lineno + 1
            assert number in comments, f"line {node.lineno}: print without what it prints"
            while number in comments:
                lines[number] = comments[number]
                number += 1
    return " ".join(lines[number] for number in sorted(lines))


def compare(expected, printed):
    """Equal but for white space, and for numbers that differ by less than two in a hundred."""
    number = r"(?<![\w.])-?\d+\.?\d*"
    words = [re.sub(number, "#", text).split() for text in (expected, printed)]
    assert "".join(words[0]) == "".join(words[1]), printed
    numbers = [[float(n) for n in re.findall(number, text)] for text in (expected, printed)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02), printed


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_code_in_documents_runs_and_prints_what_is_said(document, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "document"}
    found = blocks(document.read_text())
    assert len(found) >= 2
    for before, code in found:
        exec(compile("\n" * before + code, document, "exec"), names)
        compare(promised(code), capsys.readouterr().out)


def test_the_check_of_documents_can_fail():
    text = "words\n```python\nprint(3 * 2.0)  # 6.0\nfor i in range(2):\n    print(i)\n    # 0\n    # 1\n```\n"
    [(before, code)] = blocks(text)
    assert before == 2 and promised(code) == "6.0 0 1"
    compare("Variable([6., 100.])", "Variable([  6.00,\n 101.])")
    for printed in ("Variable([6., 103.])", "Variable([6.])", "Variable([6., 100.], dtype=float64)", ""):
        with pytest.raises(AssertionError):
            compare("Variable([6., 100.])", printed)
    with pytest.raises(AssertionError, match="print without"):
        promised("print(1)\n\n# 1")


def test_names_in_the_table_of_the_readme_exist():
    table = re.search(r"\| area \| names \|.*?\n\n", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    places = {
        "nn": nn,
        "F": functional,
        "optim": optim,
        "data": data,
        "testing": mg.testing,
        "linalg": mg.linalg,
        "func": mg.func,
        "viz": mg.viz,
    }
    names = re.findall(r"`([A-Za-z_0-9.]+)`", table)
    assert len(names) > 60
    others = {"create_graph", "retain_grad", "state_dict", ".npz", ".safetensors"}
    for name in names:
        if name not in others:
            place, _, attribute = name.rpartition(".")
            assert hasattr(places.get(place, mg), attribute), name


def test_files_that_documents_name_exist():
    others = "docs/gpu.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"
    documents = [*DOCUMENTS, *(ROOT / name for name in others)]
    for document in documents:
        text = document.read_text()
        links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
        missing = [link for link in links if not (document.parent / link).exists()]
        paths = re.findall(r"\b(?:minigrad|nn|optim|examples|tests|benchmarks|docs)/[\w/]*\w\.\w+", text)
        missing += [path for path in paths if not (ROOT / path).exists() and "http" not in path]
        assert not missing, f"{document.name} names {missing}"
