"""minigrad's time beside PyTorch's (CUDA, eager) on a GPU, as ratios from one alternating run of some minutes.

    python benchmarks/gpu.py                         all workloads
    python benchmarks/gpu.py --only transformer      those whose name contains "transformer"
    python benchmarks/gpu.py --json gpu.json         also as a file
    python benchmarks/gpu.py --markdown              as the table of docs/gpu.md

Each contestant lives in a process of its own, with its own CUDA context and memory pool, and they work strictly in
turn: a block of steps begins and ends with a device that has nothing to do. Before anything is timed, both do three
steps from the same numbers, and their losses must agree: a fast wrong answer is no figure.

Exits with 1 if a workload failed, and with 2 where there is no GPU.
"""

import argparse
import datetime
import json
import math
import platform
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

from gpu_workloads import WORKLOADS, library, synchronize
from run import Contestant as CPUContestant

REST = 0.05  # seconds between contestants


# --- a contestant's process --------------------------------------------------------------------------------------


class Worker:
    """One library on one device: what a contestant's process answers to requests."""

    def __init__(self, name, device, small=False):
        self.lib, self.device, self.small, self.step = library(name), device, small, None

    def versions(self):
        if self.lib.module.__name__ == "torch":
            cudnn = self.lib.module.backends.cudnn.version()
            return {"PyTorch": f"{self.lib.module.__version__} (CUDA {self.lib.module.version.cuda}, cuDNN {cudnn})"}
        import cupy  # noqa: PLC0415 - a contestant imports what it needs only

        runtime = cupy.cuda.runtime
        return {
            "GPU": self.lib.module.cuda.get_device_name(),
            "minigrad": self.lib.module.__version__,
            "CuPy": cupy.__version__,
            "CUDA runtime": cuda_version(runtime.runtimeGetVersion()),
            "CUDA driver": cuda_version(runtime.driverGetVersion()),
        }

    def start(self, workload):
        """Make it, and return the first three losses."""
        self.step = None  # the arrays of the workload before go first
        self.step = WORKLOADS[workload].step(self.lib, self.device, self.small)
        return [self.value(self.step()) for _ in range(3)]

    def block(self, count):
        """(seconds a step, of which the host was busy): `count` steps, and nothing that waits in between."""
        synchronize(self.lib, self.device)
        start = time.perf_counter()
        for _ in range(count):
            result = self.step()
        queued = time.perf_counter()
        synchronize(self.lib, self.device)
        done = time.perf_counter()
        if not math.isfinite(self.value(result)):
            raise ArithmeticError("the loss is no longer finite")
        return (done - start) / count, (queued - start) / count

    @staticmethod
    def value(result):
        return float(result.detach().cpu().numpy().mean())


def cuda_version(number):
    return f"{number // 1000}.{number % 1000 // 10}"


def work(name, device):
    """Read requests {"method": arguments} a line, and answer each with {"answer": ...} or {"error": ...}."""
    worker = Worker(name, device)
    for line in sys.stdin:
        [(method, arguments)] = json.loads(line).items()
        try:
            answer = {"answer": getattr(worker, method)(*arguments)}
        except Exception as error:  # noqa: BLE001 - one workload that fails must not cost the others their figures
            traceback.print_exc()
            answer = {"error": f"{name}: {type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


# --- the measurement ---------------------------------------------------------------------------------------------


class WorkloadError(RuntimeError):
    """A workload has no figure."""


class Contestant(CPUContestant):
    def __init__(self, name, device="cuda"):
        command = [sys.executable, str(Path(__file__).resolve()), "--work", name, device]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, method, *arguments):
        answer = super().ask(**{method: arguments})
        if "error" in answer:
            raise WorkloadError(answer["error"])
        return answer["answer"]

    def close(self):
        with self.process:  # closes its pipes, and waits
            pass


def agree(workload, losses):
    """Raise WorkloadError unless all contestants computed the same."""
    mine, tolerance = losses["minigrad"], WORKLOADS[workload].tolerance
    for name, theirs in losses.items():
        if not all(math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) for a, b in zip(mine, theirs, strict=True)):
            raise WorkloadError(f"the losses of the first steps differ: minigrad {mine}, {name} {theirs}")


def measure(workload, contestants, rounds, seconds):
    """{name: [(seconds a step, of which the host was busy), ...]}, a pair each round."""
    agree(workload, {name: contestant.ask("start", workload) for name, contestant in contestants.items()})
    counts = {}
    for name, contestant in contestants.items():
        once, _ = contestant.ask("block", 5)
        counts[name] = max(2, min(2000, int(seconds / once)))
        contestant.ask("block", counts[name])
    names, times = list(contestants), {name: [] for name in contestants}
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:  # nobody is always first
            time.sleep(REST)
            times[name].append(contestants[name].ask("block", counts[name]))
    return times


def quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "quartiles": [low, high]}


def summary(times):
    """What the JSON file says of a workload."""
    row = {
        name: {"seconds": quartiles([t for t, _ in pairs]), "host": quartiles([h for _, h in pairs])}
        for name, pairs in times.items()
    }
    if "torch" in times:
        pairs = zip(times["minigrad"], times["torch"], strict=True)
        row["ratio"] = quartiles([mine / theirs for (mine, _), (theirs, _) in pairs])
    return row


# --- what is printed ---------------------------------------------------------------------------------------------

HEADERS = ("workload", "minigrad / PyTorch", "minigrad, us", "of which host", "PyTorch, us")


def cells(workload, row):
    def microseconds(name, what="seconds"):
        return f"{row[name][what]['median'] * 1e6:.0f}" if name in row else "-"

    ratio = "-"
    if "ratio" in row:
        low, high = row["ratio"]["quartiles"]
        ratio = f"{row['ratio']['median']:.2f} ({low:.2f}..{high:.2f})"
    return workload, ratio, microseconds("minigrad"), microseconds("minigrad", "host"), microseconds("torch")


def columns(values):
    return f"{values[0]:36}" + "".join(f"{value:>22}" for value in values[1:])


def markdown(report):
    """The table of docs/gpu.md."""
    lines = [HEADERS, ("---",) * len(HEADERS), *(cells(name, row) for name, row in report["results"].items())]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\nMedians and quartiles of {report['rounds']} rounds, {report['date']}: {versions}."


def missing():
    """Why there is nothing to measure, or None. Asked in a process of its own: this one shall not hold the GPU."""
    code = "import minigrad; minigrad.zeros(1, device='cuda').sum().item()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def rivals():
    """["torch"] if PyTorch is installed and finds the GPU, else []."""
    code = "import torch; assert torch.cuda.is_available(), f'PyTorch {torch.__version__} finds no GPU'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"without PyTorch: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    return [] if done.returncode else ["torch"]


def run(start, workloads, rounds, seconds):
    """Measure and print workload by workload. Returns what is written to the JSON file.

    Args: start - function that gives {name: a new contestant}. A failure may leave a GPU's context unusable: after
          one, the others get new contestants.
    """
    contestants = start()
    try:
        versions = {"Python": platform.python_version()}
        for contestant in contestants.values():
            versions |= contestant.ask("versions")
        for name, version in versions.items():
            print(f"{name:14}{version}", flush=True)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        report = {"date": today, "versions": versions, "rounds": rounds, "results": {}, "failures": {}}
        print(columns(HEADERS))
        for workload in workloads:
            try:
                row = summary(measure(workload, contestants, rounds, seconds))
            except RuntimeError as failure:
                report["failures"][workload] = str(failure)
                print(f"{workload:36}failed: {failure}", flush=True)
                close(contestants)
                contestants = start()
            else:
                report["results"][workload] = row
                print(columns(cells(workload, row)), flush=True)
        return report
    finally:
        close(contestants)


def close(contestants):
    for contestant in contestants.values():
        contestant.close()


def command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="measure the workloads whose name contains this")
    parser.add_argument("--rounds", type=int, default=15, help="rounds per workload (default 15)")
    parser.add_argument("--seconds", type=float, default=0.15, help="seconds per contestant and round (default 0.15)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/gpu.md at the end")
    return parser


def main():
    parser = command_line()
    options = parser.parse_args()
    names = [name for name in WORKLOADS if options.only in name]
    if not names:
        parser.error(f"--only {options.only}: there are {', '.join(WORKLOADS)}")
    if options.rounds < 2:
        parser.error(f"--rounds {options.rounds}: quartiles take 2 at least")
    if reason := missing():
        print(reason, file=sys.stderr)
        sys.exit(2)
    present = "minigrad", *rivals()
    report = run(lambda: {name: Contestant(name) for name in present}, names, options.rounds, options.seconds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    if options.markdown:
        print(f"\n{markdown(report)}")
    sys.exit(bool(report["failures"]))


if __name__ == "__main__":
    work(*sys.argv[2:]) if sys.argv[1:2] == ["--work"] else main()
