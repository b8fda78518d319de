"""minigrad's time beside PyTorch's (CPU, eager) and hand-written NumPy's, as ratios from one alternating run.

    python benchmarks/run.py                      all workloads
    python benchmarks/run.py --only lenet         those whose name contains "lenet"
    python benchmarks/run.py --json ratios.json   also as a file

Each contestant lives in a process of its own, as it would at home: threads that one leaves spinning would slow the
others, and each would profit from the others' memory. The processes work strictly in turn. A round measures all
three, one after the other; the ratio is taken round by round, and its median over the rounds is printed.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

# Seconds between contestants. With 0.02 the quartiles of the middle MLP beside NumPy were 1.04 and 1.67, with this 1.00
# and 1.10: who comes next has to share the cores with threads that are still winding down.
REST = 0.25


def work():
    """A contestant: reads "workload" or "count" lines, answers with the seconds per step."""
    name = sys.argv[2]
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        if "workload" in request:
            if name == "numpy":
                from by_hand import make  # noqa: PLC0415 - a contestant imports what it needs only

                step = make(request["workload"])
            else:
                from workloads import library, make  # noqa: PLC0415

                step = make(request["workload"], library(name))
            version = __import__(name).__version__
            print(json.dumps(version), flush=True)
        else:
            start = time.perf_counter()
            for _ in range(request["count"]):
                step()
            print(json.dumps((time.perf_counter() - start) / request["count"]), flush=True)


class Contestant:
    def __init__(self, name):
        command = [sys.executable, str(Path(__file__).resolve()), "--work", name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("a contestant stopped; its error is printed above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(workload, rivals, rounds, seconds):
    """{rival: list of ratios}, and minigrad's list of seconds per step."""
    names = ["minigrad", *rivals]
    contestants = {name: Contestant(name) for name in names}
    try:
        for contestant in contestants.values():
            contestant.ask(workload=workload)
        times = {name: [] for name in names}
        counts = {}
        for name, contestant in contestants.items():
            contestant.ask(count=3)
            counts[name] = max(2, int(seconds / contestant.ask(count=5)))
            contestant.ask(count=counts[name])
        for i in range(rounds):
            for name in names[i % len(names) :] + names[: i % len(names)]:  # nobody is always first
                time.sleep(REST)
                times[name].append(contestants[name].ask(count=counts[name]))
    finally:
        for contestant in contestants.values():
            contestant.close()
    mine = times["minigrad"]
    return {name: [a / b for a, b in zip(mine, times[name], strict=True)] for name in rivals}, mine


def main():
    from workloads import NAMES  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="measure the workloads whose name contains this")
    parser.add_argument("--rounds", type=int, default=25, help="rounds per workload (default 25)")
    parser.add_argument("--seconds", type=float, default=0.1, help="seconds per contestant and round (default 0.1)")
    parser.add_argument("--json", type=Path, help="write the ratios to this file")
    options = parser.parse_args()
    rivals = ["torch", "numpy"]
    try:
        versions = subprocess.run(
            [sys.executable, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True, check=True
        )
        torch_version = versions.stdout.strip()
    except subprocess.CalledProcessError:
        rivals, torch_version = ["numpy"], "not installed: pip install torch"
    print(f"Python {platform.python_version()}, PyTorch {torch_version}, {platform.machine()}, rounds {options.rounds}")
    print(f"{'minigrad / ...':34}" + "".join(f"{name:>24}" for name in rivals))
    results = {}
    for workload in NAMES:
        if options.only not in workload:
            continue
        ratios, _ = measure(workload, rivals, options.rounds, options.seconds)
        row = {}
        for name, values in ratios.items():
            low, middle, high = statistics.quantiles(values, n=4)
            row[name] = {"median": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}
        cells = "".join(f"{r['median']:12.2f} ({r['quartiles'][0]:.2f}..{r['quartiles'][1]:.2f})" for r in row.values())
        print(f"{workload:34}{cells}", flush=True)
        results[workload] = row
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--work"] else main()
