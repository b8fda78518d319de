"""How long `import minigrad` takes beside `import numpy`, of which it is a part: fresh processes, taking turns.

python benchmarks/import_time.py [rounds]
"""

import statistics
import subprocess
import sys

STATEMENTS = ("import numpy", "import minigrad", "import minigrad, minigrad.nn, minigrad.optim")


def seconds(statement: str) -> float:
    """The time that `statement` takes in a process of its own, the start of Python left out."""
    code = f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main(rounds: int) -> None:
    times = {statement: [] for statement in STATEMENTS}
    for _ in range(rounds + 1):
        for statement in STATEMENTS:
            times[statement].append(seconds(statement))
    numpy = statistics.median(times[STATEMENTS[0]][1:])  # the first round wrote bytecode and filled the disk's cache
    for statement in STATEMENTS:
        median = statistics.median(times[statement][1:])
        print(f"{statement:<50}{median * 1e3:8.1f} ms {median / numpy:6.2f} x numpy")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
