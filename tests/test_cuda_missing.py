"""A machine that only looks as if it could compute on a GPU: CuPy without a driver, without a GPU, or damaged.

Each is a small package `cupy` in front of the path of a fresh interpreter; the first is real CuPy's own behavior there.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest

from minigrad.backend.installed import cupy_place, in_one_line

# Where a whole CuPy is installed, Python finds that one behind what is left of another.
alone = pytest.mark.skipif(find_spec("cupy") is not None, reason="there is a CuPy")

RUNTIME = """
    class CUDARuntimeError(RuntimeError): pass
    def getDeviceCount():
        {body}
"""
WITHOUT_A_DEVICE = """
    __version__ = "14.2.0"
    class ndarray: pass
    class ElementwiseKernel:
        def __init__(self, *args, **options): pass
    from . import cuda
"""


def fake_cupy(root, init, runtime=""):
    """A package of CuPy that pip has installed into `root`, as far as the import system and `pip list` know."""
    for path, text in {
        "cupy_cuda13x-14.2.0.dist-info/METADATA": "Name: cupy-cuda13x\nVersion: 14.2.0\n",
        "cupy/__init__.py": init,
        "cupy/cuda/__init__.py": "from . import runtime",
        "cupy/cuda/runtime.py": runtime,
        "cupyx/__init__.py": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(textwrap.dedent(text))
    return root


CASES = {
    "no driver": (
        WITHOUT_A_DEVICE,
        RUNTIME.format(body="raise CUDARuntimeError('cudaErrorInsufficientDriver: the driver is older')"),
        r"CuPy is installed, but cannot use a GPU: cudaErrorInsufficientDriver.*nvidia-smi.*is_available",
    ),
    "no GPU": (WITHOUT_A_DEVICE, RUNTIME.format(body="return 0"), r"sees no GPU.*CUDA_VISIBLE_DEVICES.*is_available"),
    "damaged": (
        "raise ImportError('libcudart.so.13: cannot open shared object file')",
        "",
        r"importing it fails: ImportError: libcudart.*uninstall every cupy package.*pip install.*is_available",
    ),
    "half removed": ("import cupy._core", "", r"importing it fails: ModuleNotFoundError: No module named 'cupy._core'"),
}


# What CuPy 14.2 prints where cupy/_core/core.*.so is missing.
BANNER = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX or cupy-rocm-X-X), make sure that the package matches with the version \
of CUDA or ROCm installed.

Original error:
  ImportError: cannot import name 'core' from partially initialized module 'cupy._core' (most likely due to a circular \
import) (/site-packages/cupy/_core/__init__.py)
================================================================
"""


def run(code, cwd):
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def message_of(folder):
    """What asking for a GPU raises in an interpreter that finds `folder` first."""
    code = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[1])
        import minigrad as mg
        assert mg.cuda.is_available() is False
        try:
            mg.zeros(2, device="cuda")
        except mg.DeviceError as error:
            print(error)
    """)
    command = [sys.executable, "-c", code, os.fspath(folder)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


@pytest.mark.parametrize("case", CASES)
def test_minigrad_works_and_asking_for_cuda_gives_the_remedy(case, tmp_path):
    init, runtime, message = CASES[case]
    fake_cupy(tmp_path, init, runtime)
    code = textwrap.dedent("""
        import sys
        sys.path.insert(0, ".")
        import minigrad as mg
        assert "cupy" not in sys.modules
        x = mg.ones(2, requires_grad=True)
        (x * x).sum().backward()
        assert mg.cuda.is_available() is False
        assert mg.cuda.device_count() == 0
        for ask in (lambda: x.cuda(), lambda: mg.zeros(2, device="cuda:1"), lambda: mg.cuda.synchronize()):
            try:
                ask()
            except mg.DeviceError as error:
                print(error)
        (x * x).sum().backward()
    """)
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and "device 'cuda:1'" in lines[1]
    for line in lines:
        assert re.search(message, line), line


@alone
def test_a_cupy_that_is_listed_and_gone(tmp_path):
    fake_cupy(tmp_path, "")
    shutil.rmtree(tmp_path / "cupy")  # as after `pip uninstall` of one package of two
    assert re.search(
        r"CuPy is installed, but importing it fails: ModuleNotFoundError: No module named 'cupy'; uninstall every cupy "
        r"package that `pip list` shows, then pip install.*is_available",
        message_of(tmp_path),
    )


def test_a_cupy_that_is_hidden_on_purpose_is_not_installed(tmp_path):
    fake_cupy(tmp_path, "")
    code = "import sys; sys.path.insert(0, '.'); sys.modules['cupy'] = None; import minigrad as mg; mg.zeros(2).cuda()"
    assert "needs CuPy, which is not installed" in run(code, tmp_path).stderr


@pytest.mark.parametrize("path", ["cupy.py", "cupy/__init__.py"])
def test_a_file_that_hides_cupy(path, tmp_path):
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("")
    place = tmp_path.resolve() / path.split("/")[0]
    message = message_of(tmp_path)
    assert f"{place} hides CuPy: rename it; or choose by" in message and "uninstall" not in message


@pytest.mark.parametrize("files", [pytest.param(["cupy/_core/core.py"], marks=alone), ["cupy/__init__.py"]])
def test_what_was_left_behind_in_site_packages(files, tmp_path):
    folder = tmp_path / "site-packages"
    for file in files:
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text("")
    message = message_of(folder)
    assert "hides" not in message
    assert f"`pip list` shows, delete what is left of it ({folder.resolve() / 'cupy'}), then pip install" in message


def test_where_cupy_lies(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert cupy_place() == (None, False)
    fake_cupy(tmp_path, "")
    assert cupy_place() == (str(tmp_path.resolve() / "cupy"), False)


def test_the_banner_of_cupy_is_left_out(tmp_path):
    fake_cupy(tmp_path, f"raise ImportError({BANNER!r})")
    message = message_of(tmp_path)
    assert "\n" not in message and "====" not in message and "wheels" not in message
    assert "importing it fails: ImportError: cannot import name 'core' from partially initialized" in message
    assert "/_core/__init__.py); uninstall every cupy package" in message


def test_an_error_in_one_line():
    assert in_one_line(ValueError("of another\n   Python")) == "ValueError: of another Python"
    chained = ImportError("a banner")
    chained.__cause__ = OSError("libcudart.so.13 is not there")
    assert in_one_line(chained) == "OSError: libcudart.so.13 is not there"
    long = in_one_line(ValueError("x" * 1000))
    assert len(long) == 200 and long.startswith("ValueError: xxx") and long.endswith("xxx...")
