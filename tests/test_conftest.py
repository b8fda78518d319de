"""What conftest.py promises: a test that leaves a setting behind is told so, and the next one begins afresh."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
    import pytest
    import minigrad as mg
    from minigrad.tape.modes import recording

    drawn = []

    def test_that_forgets_the_dtype():
        mg.set_default_dtype(mg.float64)
        drawn.append(mg.rand(1).item())

    def test_that_forgets_the_mode():
        recording.set(False)

    def test_after_them():
        assert mg.get_default_dtype() == mg.float32 and mg.is_grad_enabled()
        assert drawn == pytest.approx([mg.rand(1).item()])

    @pytest.mark.gpu
    def test_on_a_device():
        assert mg.cuda.is_available()

    @pytest.mark.torch
    def test_of_torch():
        import torch
"""


def test_settings_do_not_leak_from_test_to_test(pytester, monkeypatch):
    here = Path(__file__)
    monkeypatch.setenv("PYTHONPATH", str(here.parent))
    pytester.makeconftest((here.parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyprojecttoml((here.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", pytester.path)
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] == 2 and "failed" not in outcomes
    assert outcomes["passed"] + outcomes.get("skipped", 0) == 5
    result.stdout.fnmatch_lines(
        ["*the test left (grad mode, default dtype, anomaly mode) as (True, dtype('float64'), False)"]
    )
    result.stdout.fnmatch_lines(
        ["*the test left (grad mode, default dtype, anomaly mode) as (False, dtype('float32'), False)"]
    )


def test_unknown_marks_are_refused(pytester):
    pytester.makepyprojecttoml((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    pytester.makepyfile("import pytest\n@pytest.mark.tourch\ndef test(): pass")
    assert pytester.runpytest_subprocess(pytester.path).ret == pytest.ExitCode.INTERRUPTED
