"""A machine that only looks as if it could compute on a GPU: CuPy without a driver, without a GPU, or damaged.

Each is a small package `cupy` in front of the path of a fresh interpreter; the first is real CuPy's own behavior there.
"""

import re
import subprocess
import sys
import textwrap

import pytest

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
    for path, text in {
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


def run(code, cwd):
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


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
