"""benchmarks/gpu.py where there is no GPU: its workloads in small, what it prints, and how it takes failures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    import gpu as benchmark
    import gpu_workloads
finally:
    sys.path.remove(str(BENCHMARKS))

names = pytest.mark.parametrize("name", gpu_workloads.WORKLOADS)


@pytest.fixture(autouse=True)
def _float32_as_it_was():
    yield
    mg.set_float32_matmul_precision("highest")


def losses(library, device, name):
    worker = benchmark.Worker(library, device, small=True)
    return worker.start(name)


@names
def test_a_workload_computes_on_the_gpu_what_it_does_on_the_cpu(name, cuda):
    expected = losses("minigrad", "cpu", name)
    assert len(set(expected)) == (1 if "chain" in name else 3), "a step must change what the next one sees"
    assert losses("minigrad", cuda, name) == pytest.approx(expected, rel=gpu_workloads.WORKLOADS[name].tolerance)


@names
def test_a_timed_step_waits_for_nothing(name, double):
    step = gpu_workloads.WORKLOADS[name].step(gpu_workloads.library("minigrad"), "cuda", small=True)
    step()
    double.synchronizations.clear()
    step()
    assert double.synchronizations == []


@names
@pytest.mark.torch
def test_a_workload_computes_what_pytorch_does(name):
    mine, theirs = losses("minigrad", "cpu", name), losses("torch", "cpu", name)
    benchmark.agree(name, {"minigrad": mine, "torch": theirs})
    with pytest.raises(benchmark.WorkloadError, match="the losses of the first steps differ: minigrad"):
        benchmark.agree(name, {"minigrad": mine, "torch": [1.1 * loss + 0.1 for loss in theirs]})


# --- without a GPU -----------------------------------------------------------------------------------------------


class Contestant:
    """Answers at once: made-up seconds, to see how they are worked up."""

    def __init__(self, seconds, failing=()):
        self.seconds, self.failing, self.closed, self.asked = iter(seconds), failing, False, []

    def ask(self, method, *arguments):
        self.asked.append(method)
        if method == "versions":
            return {"GPU": "none"}
        if method == "start":
            if arguments[0] in self.failing:
                raise benchmark.WorkloadError(f"{arguments[0]}: out of luck")
            return [1.0, 2.0, 3.0]
        step = next(self.seconds)
        return step, step / 2

    def close(self):
        self.closed = True


WARM = [1e-4, 1e-4]  # the two blocks before the rounds


def test_ratios_are_taken_round_by_round(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "REST", 0)
    pair = {"minigrad": Contestant([*WARM, 1e-4, 2e-4, 3e-4]), "torch": Contestant([*WARM, 1e-4, 1e-4, 1e-4])}
    report = benchmark.run(lambda: pair, ["lenet"], rounds=3, seconds=1)
    row = report["results"]["lenet"]
    assert row["ratio"] == {"median": pytest.approx(2), "quartiles": [pytest.approx(1), pytest.approx(3)]}
    assert row["minigrad"]["seconds"]["median"] == pytest.approx(2e-4)
    assert row["minigrad"]["host"]["median"] == pytest.approx(1e-4)
    assert all(c.closed for c in pair.values()) and report["failures"] == {}
    assert capsys.readouterr().out.splitlines()[-1].split() == "lenet 2.00 (1.00..3.00) 200 100 100".split()
    assert "| lenet | 2.00 (1.00..3.00) | 200 | 100 | 100 |" in benchmark.markdown(report)
    assert "GPU none" in benchmark.markdown(report)
    json.dumps(report)


def test_without_pytorch_there_are_times_and_no_ratio(monkeypatch):
    monkeypatch.setattr(benchmark, "REST", 0)
    report = benchmark.run(lambda: {"minigrad": Contestant([*WARM, 1e-4, 2e-4])}, ["lenet"], rounds=2, seconds=1)
    assert "| lenet | - | 150 | 75 | - |" in benchmark.markdown(report)


def test_a_failure_costs_one_workload_and_brings_new_contestants(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "REST", 0)
    made = []

    def start():
        made.append(Contestant([*WARM, 1e-4, 1e-4], failing=["3 convolutions"]))
        return {"minigrad": made[-1]}

    report = benchmark.run(start, ["3 convolutions", "lenet"], rounds=2, seconds=1)
    assert list(report["results"]) == ["lenet"]
    assert report["failures"] == {"3 convolutions": "3 convolutions: out of luck"}
    assert "failed: 3 convolutions: out of luck" in capsys.readouterr().out
    assert len(made) == 2 and all(c.closed for c in made)


def test_contestants_answer_from_processes_of_their_own():
    contestant = benchmark.Contestant("minigrad", "cpu")
    try:
        assert len(contestant.ask("start", "chain of 10 ops, 10 elements")) == 3
        step, host = contestant.ask("block", 2)
        assert 0 < host <= step
        with pytest.raises(benchmark.WorkloadError, match="minigrad: KeyError: 'no such'"):
            contestant.ask("start", "no such")
        assert contestant.ask("start", "chain of 10 ops, 10 elements")
    finally:
        contestant.close()


def test_a_loss_that_is_not_finite_is_no_figure():
    worker = benchmark.Worker("minigrad", "cpu", small=True)
    worker.step = lambda: mg.tensor(float("nan"))
    with pytest.raises(ArithmeticError, match="no longer finite"):
        worker.block(2)


@pytest.mark.skipif(mg.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_exits_with_2():
    done = subprocess.run([sys.executable, BENCHMARKS / "gpu.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "DeviceError: device 'cuda'" in done.stderr and "is_available" in done.stderr and "Trace" not in done.stderr


@pytest.mark.parametrize(("arguments", "message"), [("--only nothing", "there are chain"), ("--rounds 1", "quartiles")])
def test_options_without_sense_are_refused(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments.split()])
    with pytest.raises(SystemExit) as stopped:
        benchmark.main()
    assert stopped.value.code == 2 and message in capsys.readouterr().err
