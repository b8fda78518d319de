"""The rules of the house: who imports whom, what is in the package, what is documented.

A rule is a function of a root folder that returns its complaints. Each is run on this repository, and on a small
wrong tree where it must complain: a checker that cannot find a fault proves nothing.
"""

import ast
import fnmatch
import functools
import graphlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import methods

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"minigrad": "minigrad", "minigrad.nn": "nn", "minigrad.optim": "optim"}

# An import goes down, or stays on its floor without closing a circle. minigrad/__init__.py stands above them all.
FLOORS = (
    ("errors", "dtypes", "backend"),
    ("tape",),
    ("ops",),
    (
        *("methods", "protocols", "containers", "serialization", "data", "cuda", "amp", "info", "linalg"),
        *("autograd", "func", "checkpoint", "models", "gradcheck", "testing", "lint", "memory_report", "viz"),
    ),
    ("nn", "optim"),
)
LONGEST = 400  # lines of a file

# On these floors arrays may lie on a device: np. is for types, for drawing on the host and for taking in numbers.
ON_DEVICE = ("tape", "ops", "methods", "protocols", "amp", "nn", "optim")
HOST_NAMES = re.compile(
    r"ndarray|generic|integer|dtype|u?int\d+|float\d+|bool_|promote_types|random|asarray|array2string"
)
HOST_ONLY = {
    ("minigrad.tape.function", "zeros"),  # the gradient of an output that was not used
    ("minigrad.protocols", "broadcast_to"),  # fill_
    ("minigrad.methods", "matmul"),  # is this ufunc np.matmul?
}

HEAVY = ("cupy", "graphviz", "matplotlib", "safetensors", "scipy", "torch", "tqdm")


class Source(NamedTuple):
    """One file of the package."""

    name: str  # of the module, as minigrad.nn.linear
    path: Path
    tree: ast.Module

    @property
    def part(self):
        """What is on the floor: minigrad.ops.conv is a room of ops; minigrad itself is of none."""
        return part(self.name)

    def __str__(self):
        return self.name


def part(name):
    return name.split(".")[1] if "." in name else ""


parse = functools.cache(ast.parse)


def sources(root):
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted((root / folder).rglob("*.py")):
            inner = path.relative_to(root / folder).with_suffix("").parts
            name = ".".join((package, *(inner[:-1] if inner[-1] == "__init__" else inner)))
            found.append(Source(name, path, parse(path.read_text(encoding="utf-8"))))
    return found


def at_runtime(node):
    """Every node below, but for what is under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from at_runtime(child)


def imported(source, names):
    """Pairs (line, module of this project that is imported there), imports inside functions too.

    Importing a.b.c runs a and a.b as well, which is no news inside of them.
    """
    for node in at_runtime(source.tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = node.level - (source.path.name == "__init__.py")
            start = source.name.rsplit(".", above)[0] if node.level else ""
            base = ".".join(filter(None, (start, node.module)))
            inner = [f"{base}.{alias.name}" for alias in node.names]
            targets = {name if name in names else base for name in inner}
        else:
            continue
        for target in targets:
            rooms = target.split(".")
            whole = [".".join(rooms[: i + 1]) for i in range(len(rooms))] if rooms[0] == "minigrad" else []
            yield from ((node.lineno, m) for m in whole if m == target or not f"{source.name}.".startswith(f"{m}."))


# --- rules -------------------------------------------------------------------------------------------------------


def imports_go_down(root):
    floors = {room: i for i, floor in enumerate(FLOORS) for room in floor} | {"": len(FLOORS)}
    found = sources(root)
    names = {source.name for source in found}
    complaints = [f"{s} has no floor; add it to FLOORS" for s in found if s.part not in floors]
    for source in found:
        for line, target in imported(source, names):
            here, there = source.part, part(target)
            if here not in floors or there not in floors:
                continue
            if floors[there] > floors[here]:
                complaints.append(f"{source}:{line} imports {target}: from floor {floors[here]} up to {floors[there]}")
            elif {here, there} == {"nn", "optim"}:
                complaints.append(f"{source}:{line} imports {target}: nn and optim do not know each other")
            elif here == "optim" and there != "optim" and floors[there] > floors["tape"]:
                complaints.append(f"{source}:{line} imports {target}: optim knows the tape and what is below it only")
    return complaints


def imports_make_no_circle(root):
    found = sources(root)
    names = {source.name for source in found}
    graph = {source.name: {target for _, target in imported(source, names)} - {source.name} for source in found}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [f"a circle of imports: {' -> '.join(reversed(error.args[1]))}"]
    return []


def nn_and_optim_have_one_name(root):
    """`import nn` would load a second copy of every class."""
    complaints = []
    for folder in (*PACKAGES.values(), "tests", "examples", "benchmarks", "docs"):
        for path in sorted((root / folder).rglob("*.py")):
            for node in ast.walk(parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                complaints += [
                    f"{path.relative_to(root)}:{node.lineno} imports {name}, which is minigrad.{name}"
                    for name in names
                    if name.split(".")[0] in ("nn", "optim")
                ]
    return complaints


def everything_is_packaged(root):
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    complaints = []
    if settings["package-dir"] != PACKAGES:
        complaints.append(f"package-dir is {settings['package-dir']}")
    present = {}
    for package, folder in PACKAGES.items():
        for path in (root / folder).rglob("*"):
            inner = path.parent.relative_to(root / folder).parts
            if path.is_file() and not any(name.startswith((".", "__")) for name in inner):  # caches of tools
                present.setdefault(".".join((package, *inner)), []).append(path.name)
    listed = settings["packages"]
    complaints += [f"{name} is not listed in packages" for name in present if name not in listed]
    complaints += [f"{name} is listed in packages, and is not there" for name in listed if name not in present]
    for name, files in present.items():
        if "__init__.py" not in files:
            complaints.append(f"{name} has no __init__.py")
        patterns = ["*.py", *settings["package-data"].get(name, ())]
        complaints += [
            f"{name}: {file} is not in package-data"
            for file in files
            if not any(fnmatch.fnmatch(file, pattern) for pattern in patterns)
        ]
    return complaints


def files_are_short(root):
    lengths = {source: len(source.path.read_text(encoding="utf-8").splitlines()) for source in sources(root)}
    return [f"{source} has {n} lines, more than {LONGEST}" for source, n in lengths.items() if n > LONGEST]


def docstring_nodes(tree):
    """The ids of the nodes that are docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, owners) and node.body]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def only_the_backend_names_cupy(root):
    complaints = []
    for source in sources(root):
        prose = docstring_nodes(source.tree)
        for node in ast.walk(source.tree):
            fields = [value for _, value in ast.iter_fields(node) if isinstance(value, str)]
            if source.part != "backend" and id(node) not in prose and any("cupy" in text.lower() for text in fields):
                complaints.append(f"{source} names CuPy: {ast.unparse(node)}")
    return complaints


def device_code_asks_the_backend(root):
    """`np.exp(x)` in an operation fails on a device's array, or copies it to the host and back."""
    return [
        f"{source}:{node.lineno} uses np.{node.attr}; take backend[type(x)].xp.{node.attr}, an operator or a method"
        for source in sources(root)
        if source.part in ON_DEVICE
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
        if not HOST_NAMES.fullmatch(node.attr) and (source.name, node.attr) not in HOST_ONLY
    ]


def the_public_is_documented(root):
    """Functions, classes and methods; a method that overrides another is documented there."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found, methods_with = [], {"definition", "dtype_rule"}  # Function says what these two are
    for source in sources(root):
        if not ast.get_docstring(source.tree):
            found.append((source, "the module", ""))
        for node in source.tree.body:
            if isinstance(node, (*functions, ast.ClassDef)) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    found.append((source, node.name, ""))
                inner = [n for n in node.body if isinstance(n, functions) and not n.name.startswith("_")]
                methods_with |= {n.name for n in inner if isinstance(node, ast.ClassDef) and ast.get_docstring(n)}
                if isinstance(node, ast.ClassDef):
                    found += [(source, f"{node.name}.{n.name}", n.name) for n in inner if not ast.get_docstring(n)]
    return [f"{source}: {name} has no docstring" for source, name, method in found if method not in methods_with]


# --- the rules here, and on trees with a fault -------------------------------------------------------------------

PARTS = (*PACKAGES.values(), "minigrad/backend", "minigrad/tape", "minigrad/ops")
HOUSE = {f"{folder}/__init__.py": '"""A part."""' for folder in PARTS} | {
    "minigrad/errors.py": '"""Errors: cupy may be named in prose."""',
    "minigrad/tape/engine.py": '"""The engine."""\nimport numpy as np\nfrom ..errors import X\nnp.asarray(1)',
    "minigrad/ops/conv.py": '"""Convolution."""\nfrom ..tape import engine\nimport numpy.random\n',
    "minigrad/py.typed": "",
    "nn/linear.py": '"""Linear."""\nfrom . import __doc__\nfrom ..ops import conv\n',
    "pyproject.toml": """
        [tool.setuptools]
        packages = ["minigrad", "minigrad.backend", "minigrad.nn", "minigrad.ops", "minigrad.optim", "minigrad.tape"]
        package-dir = { "minigrad" = "minigrad", "minigrad.nn" = "nn", "minigrad.optim" = "optim" }
        [tool.setuptools.package-data]
        minigrad = ["py.typed"]
    """,
}

FAULTS = [
    (imports_go_down, "minigrad/tape/x.py", "from ..ops.conv import y", "x:1 imports minigrad.ops.conv: from floor 1"),
    (imports_go_down, "minigrad/tape/x.py", "def f():\n    from .. import ops", "tape.x:2 imports minigrad.ops"),
    (imports_go_down, "minigrad/ops/x.py", "import minigrad.nn.linear", "minigrad.nn.linear: from floor 2 up to 4"),
    (imports_go_down, "minigrad/ops/x.py", "from .. import zeros", "minigrad: from floor 2 up to 5"),
    (imports_go_down, "minigrad/ops/__init__.py", "from ..nn import x", "minigrad.ops:1 imports minigrad.nn"),
    (imports_go_down, "optim/x.py", "from ..nn.linear import y", "nn and optim do not know each other"),
    (imports_go_down, "nn/x.py", "from .. import optim", "nn and optim do not know each other"),
    (imports_go_down, "optim/x.py", "from ..ops import conv", "optim knows the tape and what is below it"),
    (imports_go_down, "minigrad/cellar.py", "", "minigrad.cellar has no floor"),
    (imports_make_no_circle, "minigrad/errors.py", "from .tape import engine", "errors -> minigrad.tape.engine -> "),
    (imports_make_no_circle, "minigrad/tape/__init__.py", "from ..ops import conv", "-> minigrad.tape -> minigrad"),
    (nn_and_optim_have_one_name, "tests/test_x.py", "import nn.linear as x", r"test_x.py:1 imports nn.linear"),
    (nn_and_optim_have_one_name, "nn/x.py", "def f():\n    from optim import x", "nn/x.py:2 imports optim"),
    (everything_is_packaged, "minigrad/attic/__init__.py", "", "minigrad.attic is not listed in packages"),
    (everything_is_packaged, "nn/attic/x.py", "", "minigrad.nn.attic has no __init__.py"),
    (everything_is_packaged, "minigrad/ops/table.csv", "", "minigrad.ops: table.csv is not in package-data"),
    (everything_is_packaged, "pyproject.toml", HOUSE["pyproject.toml"].replace(".ops", ".op"), "op is listed in pack"),
    (files_are_short, "nn/x.py", "x = 1\n" * (LONGEST + 1), "minigrad.nn.x has 401 lines"),
    (only_the_backend_names_cupy, "nn/x.py", "def f():\n    import cupy as cp", "nn.x names CuPy: cupy as cp"),
    (only_the_backend_names_cupy, "nn/x.py", "f = __import__('cupy')", "names CuPy: 'cupy'"),
    (only_the_backend_names_cupy, "nn/x.py", "from minigrad.backend import x\nx.has_cupy()", "names CuPy: x.has_cupy"),
    (device_code_asks_the_backend, "minigrad/ops/x.py", "y = lambda x: np.exp(x)", r"x:1 uses np.exp; take backend"),
    (the_public_is_documented, "nn/x.py", "", "minigrad.nn.x: the module has no docstring"),
    (the_public_is_documented, "nn/x.py", "'x'\ndef f(): pass", "minigrad.nn.x: f has no docstring"),
    (the_public_is_documented, "nn/x.py", "'x'\nclass A:\n    'A'\n    def f(self): pass", "A.f has no docstring"),
]  # fmt: skip
RULES = list(dict.fromkeys(rule for rule, *_ in FAULTS))


def build(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_is_kept(rule):
    assert rule(ROOT) == []


@pytest.mark.parametrize(("rule", "file", "text", "complaint"), FAULTS, ids=lambda x: getattr(x, "__name__", None))
def test_the_rule_sees_a_fault(tmp_path, rule, file, text, complaint):
    assert rule(build(tmp_path, HOUSE)) == []
    complaints = rule(build(tmp_path, {file: text}))
    assert complaints
    assert any(re.search(complaint, c) for c in complaints), complaints


def test_imports_for_type_checkers_do_not_count(tmp_path):
    text = "if TYPE_CHECKING:\n    from ..ops.conv import x"
    assert imports_go_down(build(tmp_path, HOUSE | {"minigrad/tape/x.py": text})) == []


def heavy_imports(statement, folder):
    """Which of the HEAVY libraries `statement` imports."""
    code = f"{statement}\nimport sys\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.parametrize("module", [*PACKAGES, "minigrad.nn.functional", "minigrad.data"])
def test_importing_it_imports_nothing_heavy(module, tmp_path):
    assert heavy_imports(f"import {module}", tmp_path) == []


def test_heavy_imports_are_seen(tmp_path):
    assert heavy_imports("import minigrad\nimport graphviz", tmp_path) == ["graphviz"]


@pytest.mark.parametrize("namespace", [mg, F, mg.cuda], ids=lambda m: m.__name__)
def test_public_functions_are_documented(namespace):
    """Those that are made by other functions too, which the rule above cannot see."""
    functions = {name: f for name, f in vars(namespace).items() if inspect.isfunction(f) and not name.startswith("_")}
    assert functions
    assert [name for name, f in functions.items() if not inspect.getdoc(f)] == []


def test_type_checkers_are_told_of_the_operators():
    tree = parse((ROOT / "minigrad/tape/variable.py").read_text(encoding="utf-8"))
    block = next(n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    told = {n.name for n in block.body if isinstance(n, ast.FunctionDef)}
    told |= {target.id for n in block.body if isinstance(n, ast.Assign) for target in n.targets}
    bound = {f"__{side}{name}__" for name in methods.OPERATORS for side in ("", "r")}
    bound |= {f"__i{name}__" for name in methods.UPDATES} | {f"__{name}__" for name in methods.COMPARISONS}
    assert bound - told == set()
    assert told - vars(mg.Variable).keys() == {"__getattr__"}
