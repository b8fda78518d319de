"""What a user gets from the wheel: its contents, and that they work with nothing installed but what it requires.

To be run as `python smoke.py WHEEL REPOSITORY`, in a virtual environment with the wheel and outside of the repository.
"""

import importlib.util
import sys
import zipfile
from importlib.metadata import metadata
from importlib.resources import files
from pathlib import Path

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.data import DataLoader, load_digits

REQUIRED = ("graphviz", "numpy")
OPTIONAL = ("cupy", "matplotlib", "safetensors", "torch", "tqdm")
FOLDERS = {"minigrad": "minigrad", "nn": "minigrad/nn", "optim": "minigrad/optim"}  # here -> in the wheel


def check(holds, what):
    if not holds:
        raise SystemExit(f"smoke: not true: {what}")
    print(f"  {what}")


def contents(wheel, repository):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    inside = {name for name in names if ".dist-info/" not in name}
    expected = {
        f"{place}/{path.relative_to(repository / folder).as_posix()}"
        for folder, place in FOLDERS.items()
        for path in (repository / folder).rglob("*")
        if path.is_file() and not any(p.startswith((".", "__pycache__")) for p in path.relative_to(repository).parts)
    }
    check(inside == expected, f"the wheel has the package's {len(expected)} files; not in both: {inside ^ expected}")
    data = {f"minigrad/{name}" for name in ("py.typed", "data/digits.npz", "data/DIGITS.md")}
    check(data <= inside, f"among them are {', '.join(sorted(data))}")
    licenses = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
    dagre = "minigrad/viz/pictures/page/dagre.LICENSE.txt"
    check(licenses == {"LICENSE", "minigrad/data/DIGITS.md", dagre}, f"the licenses: {sorted(licenses)}")


def installed(repository):
    place = Path(mg.__file__).resolve()
    check("site-packages" in place.parts and repository not in place.parents, f"imported from {place.parent}")
    found = [name for name in OPTIONAL if importlib.util.find_spec(name)]
    check(not found, f"no optional library is installed: {found or 'none'}")
    about = metadata("minigrad-tape")
    check(about["Version"] == mg.__version__, f"the version is {mg.__version__}")
    required = [line for line in about.get_all("Requires-Dist") if "extra" not in line]
    check(len(required) == len(REQUIRED), f"it requires {' and '.join(required)}")
    check(files("minigrad").joinpath("py.typed").is_file(), "type checkers find its hints")


def works(folder):
    mg.manual_seed(0)
    digits = load_digits(train=True)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        for x, y in DataLoader(digits, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            losses.append(F.cross_entropy(model(x), y))
            losses[-1].backward()
            optimizer.step()
    first, last = losses[0].item(), losses[-1].item()
    check(last < first / 2, f"5 epochs on the {len(digits)} digits bring the loss from {first:.2f} to {last:.2f}")
    x = mg.randn(3, 4, dtype=mg.float64, requires_grad=True)
    check(mg.gradgradcheck(lambda x: (F.softmax(x, 1) * x.sin()).sum(), x), "gradgradcheck")
    drawing = mg.viz.graph(lambda: model(digits[:2][0]).sum(), model)
    drawn = [drawing.save(folder / f"net.{suffix}") for suffix in ("dot", "html", "json", "txt")]
    check(all(path.stat().st_size > 200 for path in drawn), "its graph is drawn where there is no renderer")
    mg.viz.backward_steps(mg.sin(x).sum()).save(folder / "steps.txt")
    mg.save({"model": model.state_dict()}, folder / "model.npz")
    twin = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    twin.load_state_dict(mg.load(folder / "model.npz")["model"])
    same = all(np.array_equal(p.data, q.data) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    check(same, "weights are saved and loaded")
    try:
        mg.save(model.state_dict(), folder / "model.safetensors")
    except ImportError as error:
        check("minigrad-tape[safetensors]" in str(error), f"a missing library is named: {error}")
    else:
        check(False, "safetensors is missing, and saving says so")


if __name__ == "__main__":
    contents(Path(sys.argv[1]), Path(sys.argv[2]).resolve())
    installed(Path(sys.argv[2]).resolve())
    works(Path.cwd())
