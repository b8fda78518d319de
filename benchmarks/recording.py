"""What drawing costs a training step: ratios to the same step in a process state where nothing has been recorded.

    OPENBLAS_NUM_THREADS=1 python benchmarks/recording.py --rounds 40

The network is the small one of run.py, 64-64-32-10 with a batch of 32. "after" is the step once a recording has ended,
alternating with the step before any: it must cost nothing.
"""

import argparse
import statistics
import subprocess
import sys
import time

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim, viz

STEPS = 300


def steps(kind, count=STEPS):
    """Seconds for `count` training steps: "before" any recording, "after" one, or inside of one."""
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = mg.randn(32, 64), mg.arange(32) % 10

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    def timed(count):
        began = time.perf_counter()
        for _ in range(count):
            step()
        return time.perf_counter() - began

    timed(50)
    if kind == "before":
        return timed(count)
    if kind == "after":
        with viz.record(model):
            step()
        return timed(count)
    with viz.record(model, statistics=kind == "with statistics"):
        return timed(count // 10) * 10


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=20, help="pairs of processes, default 20")
    p.add_argument("--kind", help=argparse.SUPPRESS)
    options = p.parse_args()
    if options.kind:
        print(steps(options.kind))
        return
    print(f"Python {sys.version.split()[0]}, rounds {options.rounds}; median (quartiles) of the ratios to `before`")
    kinds = ("after", "without statistics", "with statistics")
    ratios = {kind: [] for kind in kinds}
    for i in range(options.rounds):
        order = ("before", *kinds) if i % 2 else (*reversed(kinds), "before")
        seconds = {kind: _in_a_process(kind) for kind in order}
        for kind in kinds:
            ratios[kind].append(seconds[kind] / seconds["before"])
    for kind, found in ratios.items():
        low, middle, high = statistics.quantiles(found, n=4)
        print(f"{kind:20} {middle:6.3f} ({low:.3f}..{high:.3f})")


def _in_a_process(kind):
    done = subprocess.run([sys.executable, __file__, "--kind", kind], capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
