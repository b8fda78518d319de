"""docs/gpu.md: its code runs, what it says of waiting is counted, its messages and tables are printed as they stand."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from test_cuda_missing import RUNTIME, WITHOUT_A_DEVICE, fake_cupy
from test_examples import blocks, compare, promised

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gpu.md"
TEXT = PAGE.read_text()


def between(name):
    return re.search(rf"<!-- {name}: begin.*?-->\n(.*?)<!-- {name}: end -->", TEXT, re.DOTALL)[1]


def test_the_code_runs_and_prints_what_is_said(cuda, capsys):
    names = {"__name__": "document"}
    found = blocks(TEXT)
    assert len(found) >= 6
    for before, code in found:
        exec(compile("\n" * before + code, PAGE, "exec"), names)
        compare(promised(code), capsys.readouterr().out)


# --- what waits --------------------------------------------------------------------------------------------------


def waits():
    """Pairs (a line of code, whether the page says that it waits)."""
    rows = re.findall(r"^\| (`.*) \| (yes|no) \|$", between("waits"), re.MULTILINE)
    return [(code, answer == "yes") for cell, answer in rows for code in re.findall(r"`([^`]+)`", cell) if code != "i"]


def names():
    """What the table's code is about: a model on the GPU in the middle of a training step."""
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.5), nn.Linear(7, 3)).to("cuda")
    sgd, adam = optim.SGD(model.parameters(), lr=0.1, momentum=0.9), optim.Adam(model.parameters())
    scaler = mg.amp.GradScaler("cuda")
    x, t = mg.randn(4, 5, device="cuda"), mg.tensor([0, 2, 1, 1], device="cuda")
    total = mg.zeros((), device="cuda")
    for _ in range(2):  # the second step is like all later ones
        sgd.zero_grad()
        loss = F.cross_entropy(model(x), t)
        scaler.scale(loss).backward()
        for optimizer in (sgd, adam):
            scaler.step(optimizer)
        scaler.update()
    scaler.unscale_(sgd)
    i, mask, array = mg.tensor([1, 1, 3], device="cuda"), x > 0, np.ones(3, "f")
    return {"mg": mg, "nn": nn, "F": F} | {
        key: value for key, value in locals().items() if key not in ("_", "mg", "nn", "F")
    }


@pytest.mark.parametrize(("code", "expected"), waits(), ids=lambda x: x if isinstance(x, str) else "")
def test_the_table_says_what_waits(code, expected, double, capsys):
    variables = names()
    double.synchronizations.clear()
    exec(code, variables)
    assert bool(double.synchronizations) == expected, double.synchronizations


def test_the_table_is_read():
    assert len(waits()) > 25 and {answer for _, answer in waits()} == {True, False}


# --- messages ----------------------------------------------------------------------------------------------------


def quoted():
    """The messages on the page, each in one line."""
    found = re.findall(r"(?:^    .*\n)+", between("messages"), re.MULTILINE)
    return [" ".join(text.split()) for text in found]


def told(action):
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which message, is what the test is about
        action()
    return str(raised.value)


def on_a_machine_with(cupy, tmp_path):
    """What asking for a GPU raises in a process that finds this CuPy."""
    code = textwrap.dedent("""
        import sys
        sys.path.insert(0, ".")
        {hide}
        import minigrad as mg
        try:
            mg.zeros(2, device="cuda")
        except mg.DeviceError as error:
            print(error)
    """)
    root = tmp_path.resolve() / "site-packages"
    root.mkdir()
    if cupy is not None:
        fake_cupy(root, *cupy)
    code = code.format(hide="sys.modules['cupy'] = None" if cupy is None else "")
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip().replace(str(root.parent), "...")


OLD_DRIVER = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
MACHINES = {
    "without CuPy": None,
    "without a driver": (WITHOUT_A_DEVICE, RUNTIME.format(body=f"raise CUDARuntimeError('{OLD_DRIVER}')")),
    "without a GPU": (WITHOUT_A_DEVICE, RUNTIME.format(body="return 0")),
    "damaged": ("raise ImportError('libcudart.so.13: cannot open shared object file')",),
}


def mixed():
    nn.Linear(64, 32).to("cuda")(mg.ones(5, 64))


def wrong_label():
    mg.cuda.check_indices()
    try:
        F.cross_entropy(mg.ones(3, 10, device="cuda"), mg.tensor([1, 10, 3], device="cuda"))
    finally:
        mg.cuda.check_indices(False)


def out_of_memory():
    x = mg.ones(2048, 2048, device="cuda")
    return [x * 2.0 for _ in range(4)]


MISTAKES = {
    "a GPU that is not there": lambda: mg.zeros(2, device="cuda:7"),
    "two devices": mixed,
    "NumPy": lambda: np.asarray(mg.ones(2, device="cuda")),
    "a class number": wrong_label,
    "memory": out_of_memory,
}


@pytest.mark.parametrize("machine", MACHINES)
def test_messages_of_machines(machine, tmp_path):
    assert on_a_machine_with(MACHINES[machine], tmp_path) in quoted()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_messages_of_mistakes(mistake, double, monkeypatch):
    monkeypatch.setattr(double.memory, "TOTAL", 64 << 20)
    assert told(MISTAKES[mistake]) in quoted()


def test_each_message_on_the_page_is_one_of_these():
    assert len(quoted()) == len(set(quoted())) == len(MACHINES) + len(MISTAKES)


@pytest.mark.usefixtures("double")
def test_raw_arrays_of_both_kinds_are_refused_by_cupy_as_the_page_says():
    message = told(lambda: mg.ones(2, device="cuda").data * np.ones(2, "f"))
    assert message == re.search(r"`(Unsupported type [^`]*)`", TEXT)[1]


# --- tables and tools --------------------------------------------------------------------------------------------


def broken_rows(text):
    """Lines that begin a table's row and do not end it: Markdown ends the row there all the same."""
    return [line for line in text.splitlines() if line.startswith("|") and not line.rstrip().endswith("|")]


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(PAGE.parent.glob("*.md"))], ids=lambda path: path.name)
def test_a_row_of_a_table_is_one_line(path):
    assert broken_rows(path.read_text()) == []


def test_a_row_over_two_lines_is_found():
    assert broken_rows("| a | b |\n| T1 | what it\ncatches |\n") == ["| T1 | what it"]


@pytest.mark.parametrize("tool", ["snapshot_cupy_api.py", "compile_kernels.py"])
def test_the_tools_say_that_cupy_is_missing(tool):
    assert f"python tools/{tool}" in TEXT
    code = "import runpy, sys; sys.modules['cupy'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    path = ROOT / "tools" / tool
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"{re.escape(tool)}: cupy is not installed: pip install .*cupy-cuda13x.*\n", done.stderr)
