"""Does memory grow? Training steps with the garbage collector off, so that only reference counts free anything.

    python benchmarks/memory.py [--steps 10000]

Prints the resident memory and the number of Variables and Functions alive after the first tenth of the steps and at
the end, for a small convolutional network (first order) and for a gradient penalty (create_graph). Exits with 1 if
either grows.
"""

import argparse
import gc
import resource
import sys

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim


def resident():
    """Resident memory in MiB, now where the system tells, else at its highest."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def alive():
    return sum(isinstance(x, (mg.Variable, mg.Function)) for x in gc.get_objects())


def training():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(36, 10),
    )
    optimizer = optim.Adam(model.parameters())
    x, t = mg.randn(16, 1, 8, 8), mg.randint(10, (16,))

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), t).backward()
        optimizer.step()

    return step


def penalty():
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    x = mg.randn(16, 8, requires_grad=True)

    def step():
        optimizer.zero_grad()
        (g,) = mg.grad(model(x).sum(), x, create_graph=True)
        (g * g).sum().backward()
        x.grad = None
        optimizer.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    steps = parser.parse_args().steps
    gc.disable()
    grew = False
    for name, make in (("training", training), ("gradient penalty", penalty)):
        step = make()
        for _ in range(steps // 10):
            step()
        before = resident(), alive()
        for _ in range(steps - steps // 10):
            step()
        after = resident(), alive()
        print(
            f"{name}: {before[0]:.1f} MiB, {before[1]} Variables and Functions after {steps // 10} steps; "
            f"{after[0]:.1f} MiB, {after[1]} after {steps}"
        )
        grew |= after[1] > before[1] or after[0] > before[0] + 1
    sys.exit(grew)


if __name__ == "__main__":
    main()
