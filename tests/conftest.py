"""What holds for all tests: no screen, no deadlines, the same draws in every run, and modes left as they were found."""

import os

import pytest
from hypothesis import settings

import minigrad as mg
from minigrad.tape.modes import recording

os.environ.setdefault("MPLBACKEND", "Agg")  # read when matplotlib is imported

# No deadline, as no test is timed; and a failure of one run is a failure of the next.
settings.register_profile("minigrad", deadline=None, derandomize=True)
settings.load_profile("minigrad")


def pytest_runtest_setup(item):
    if item.get_closest_marker("torch"):
        pytest.importorskip("torch")
    if item.get_closest_marker("gpu") and not mg.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True)
def _as_it_was():
    """Every test begins with the same random numbers, and must leave the process's settings alone."""
    mg.manual_seed(0)
    yield
    left = mg.is_grad_enabled(), mg.get_default_dtype()
    recording.set(True)
    mg.set_default_dtype(mg.float32)
    assert left == (True, mg.float32), f"the test left (grad mode, default dtype) as {left}"
