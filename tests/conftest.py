"""What holds for all tests: no screen, no deadlines, the same draws in every run, and modes left as they were found."""

import os
import shutil

import numpy as np
import pytest
from double import HOST, installed, reading
from fakecupy import emulator
from hypothesis import settings

import minigrad as mg
from minigrad.tape.modes import recording

os.environ.setdefault("MPLBACKEND", "Agg")  # read when matplotlib is imported

# No deadline, as no test is timed; and a failure of one run is a failure of the next.
settings.register_profile("minigrad", deadline=None, derandomize=True)
settings.load_profile("minigrad")


def pytest_addoption(parser):
    parser.addoption(
        "--on-gpu",
        action="store_true",
        help="run every test with a GPU, or its double, as the default device; those of tests/double.py's HOST are "
        "about arrays of the host, and are left out",
    )


REAL = mg.cuda.is_available()  # a GPU is there: what asks for the fixture `cuda` runs on it


def pytest_collection_modifyitems(items):
    for item in items:
        if item.config.getoption("on_gpu") and {item.originalname, item.path.stem} & HOST:
            item.add_marker(pytest.mark.skip(reason="is about arrays of the host"))
        if REAL and "cuda" in getattr(item, "fixturenames", ()):
            item.add_marker("gpu")


def pytest_runtest_setup(item):
    if item.get_closest_marker("torch"):
        pytest.importorskip("torch")
    if item.get_closest_marker("gpu") and not REAL:
        pytest.skip("needs a CUDA device")


@pytest.fixture
def double():
    """The strict double of CuPy, with two GPUs: the module fakecupy, which counts synchronizations."""
    if not emulator.available():
        pytest.skip("needs a C++ compiler, to run the CUDA kernels on the CPU")
    with installed() as fakecupy:
        yield fakecupy


@pytest.fixture(autouse=True)
def _everywhere(request, monkeypatch):
    """With --on-gpu, what a test makes lies on the GPU, and its comparisons read it back."""
    if not request.config.getoption("on_gpu"):
        yield
        return
    for name in ("assert_allclose", "assert_array_equal", "assert_equal"):
        monkeypatch.setattr(np.testing, name, reading(getattr(np.testing, name)))
    with mg.device(request.getfixturevalue("cuda")):
        yield


@pytest.fixture
def cuda(request):
    """The name of a CUDA device: of the machine's, or of the double's."""
    if not REAL:
        request.getfixturevalue("double")
    return "cuda"


@pytest.fixture(autouse=True)
def _as_it_was():
    """Every test begins with the same random numbers, and must leave the process's settings alone."""
    mg.manual_seed(0)
    yield
    left = mg.is_grad_enabled(), mg.get_default_dtype(), mg.is_anomaly_enabled()
    recording.set(True)
    mg.set_default_dtype(mg.float32)
    mg.set_detect_anomaly(False)
    assert left == (True, mg.float32, False), f"the test left (grad mode, default dtype, anomaly mode) as {left}"


# --- a browser -------------------------------------------------------------------------------------------------------

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1300,900"),
)
SECONDS = 120  # until a page that hangs is given up


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A headless Chromium that takes orders."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the extra `browser`")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    chromium = webdriver.Chrome(options=options, service=service)
    chromium.set_page_load_timeout(SECONDS)
    chromium.set_script_timeout(SECONDS)
    yield chromium
    chromium.quit()
