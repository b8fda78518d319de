"""`python -m minigrad.info`: it tells what is there, gives the command for what is not, and survives what is broken."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from importlib import metadata
from importlib.util import find_spec

import numpy as np
import pytest
from test_cuda_missing import CASES, RUNTIME, WITHOUT_A_DEVICE, fake_cupy

import minigrad as mg
from minigrad import info
from minigrad.backend import installed, report

SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 580.65.06              Driver Version: 580.65.06      CUDA Version: {cuda:<10} |
"""
NEWER_SMI = "| NVIDIA-SMI 595.10   KMD Version: 595.10   CUDA UMD Version: 13.2 |"
WHEELS = {"cuda12": {"cupy-cuda12x": "14.2.0"}, "cuda13": {"cupy-cuda13x": "14.2.0"}}
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
DEVICE = {"name": "NVIDIA H200", "capability": "9.0", "total_memory": 150 << 30, "free_memory": 149 << 30}


def run(folder, *arguments, packages=(), hidden=(), smi=None, environment=()):
    """What the command prints in a fresh interpreter that finds `folder` first, and this nvidia-smi or none."""
    (folder / "bin").mkdir()
    if smi is not None:
        (folder / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\n{smi}")
        (folder / "bin" / "nvidia-smi").chmod(0o755)
    code = f"""
        import sys
        sys.path.insert(0, ".")
        sys.modules.update(dict.fromkeys({list(hidden)}))
        from minigrad import info
        from minigrad.backend import report
        report.cupy_packages = lambda: {dict(packages)}
        report.SECONDS = 1
        info.main({list(arguments)})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}/bin"} | dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def told(text):
    """The lines by their labels."""
    lines = {}
    for line in text.splitlines():
        label, _, rest = line.partition(" ")
        lines.setdefault(label, []).append(rest.strip())
    return lines


def known(**facts):
    """The facts of a GPU that works, but for some."""
    there = {"driver": "580.65.06", "cuda": "13.0", "version": "14.2.0", "runtime": "13.0", "nvrtc": "13.0"}
    there |= {"place": "/lib/site-packages/cupy", "cublas": True, "hidden": False}
    there |= {"usable": True, "installed": True, "packages": WHEELS["cuda13"], "devices": [DEVICE], "problems": []}
    return there | {"remedies": []} | facts


def test_the_command():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minigrad.info"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    lines = told(done.stdout)
    assert lines["minigrad"][0].startswith(f"{mg.__version__} in ")
    assert lines["NumPy"][0].startswith(f"{np.__version__} with ")
    assert lines["Python"] and lines["threads"] and lines["GPU"] and lines["driver"]
    starts = {len(line) - len(line.split(maxsplit=1)[1]) for line in done.stdout.splitlines()}
    assert len(starts) == 1, "the texts begin in one column"


def test_json_has_the_same_facts():
    command = [sys.executable, "-m", "minigrad.info", "--json"]
    facts = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert facts["minigrad"]["version"] == mg.__version__ and facts["numpy"]["version"] == np.__version__
    assert facts["python"]["executable"] == sys.executable
    assert set(facts["libraries"]) == set(info.OPTIONAL)
    assert set(facts["gpu"]) == set(known())


def test_importing_minigrad_does_not_import_it():
    code = "import sys, minigrad.nn, minigrad.optim; sys.exit('minigrad.info' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, "3, as OPENBLAS_NUM_THREADS says"),
        ({"OMP_NUM_THREADS": "5"}, "5, as OMP_NUM_THREADS says"),
        ({"OMP_NUM_THREADS": ""}, f"{CORES}, one for each core that this process may use"),
    ],
)
def test_threads(environment, expected, monkeypatch):
    monkeypatch.setattr(np, "show_config", lambda mode: {"Build Dependencies": {"blas": {"name": "scipy-openblas"}}})
    for variable in info.THREADS["openblas"]:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert told(info.report())["threads"] == [expected]


def test_what_is_missing_or_broken_is_told_with_the_remedy(tmp_path):
    (tmp_path / "tqdm.py").write_text("raise ValueError('of another\\n Python')")
    (tmp_path / "matplotlib.py").write_text("import matplotlib_parts")
    text = run(tmp_path, hidden=["safetensors", "graphviz", "cupy"], environment={"PATH": str(tmp_path / "bin")})
    lines = told(text)
    assert lines["safetensors"] == ['missing; pip install "minigrad-tape[safetensors]"']
    assert lines["graphviz"] == ["missing; pip install graphviz"]
    pure = shutil.which("graphviz-pure", path=sysconfig.get_path("scripts"))  # beside Python it is found anyway
    assert lines["dot"] == [pure or 'missing; `apt install graphviz`, or pip install "minigrad-tape[viz]"']
    assert lines["tqdm"] == ["ValueError: of another Python"]
    assert lines["matplotlib"] == ["ModuleNotFoundError: No module named 'matplotlib_parts'"]
    assert lines["CuPy"] == ["not installed"] and lines["driver"] == ["no driver of NVIDIA's is found"]
    assert lines["GPU"] == ["minigrad computes on the CPU only"] and "problem" not in lines


def test_numpy_that_does_not_know_itself(monkeypatch):
    monkeypatch.setattr(np, "show_config", lambda mode: {}["Build Dependencies"])
    lines = told(info.report())
    assert lines["NumPy"] == ["KeyError: 'Build Dependencies'"] == lines["threads"]


# --- the GPU -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="the nvidia-smi of the test is a shell script")
@pytest.mark.parametrize(
    ("smi", "driver", "remedy"),
    [
        (SMI.format(cuda="13.0"), "580.65.06, serves CUDA up to 13.0", 'pip install "minigrad-tape[cuda13]"'),
        (SMI.format(cuda="12.4"), "580.65.06, serves CUDA up to 12.4", 'pip install "minigrad-tape[cuda12]"'),
        (SMI.format(cuda="11.8"), "580.65.06, serves CUDA up to 11.8", "update NVIDIA's driver: this one serves "),
        (NEWER_SMI, "595.10, serves CUDA up to 13.2", 'pip install "minigrad-tape[cuda13]"'),
        ("what is this", "no driver of NVIDIA's is found", "a GPU needs NVIDIA's driver"),
    ],
)  # fmt: skip
def test_the_driver_decides_what_to_install(smi, driver, remedy, tmp_path):
    lines = told(run(tmp_path, hidden=["cupy"], smi=f"cat <<'END'\n{smi}\nEND"))
    assert lines["driver"] == [driver] and lines["CuPy"] == ["not installed"]
    assert lines["remedy"][0].startswith(remedy) and "problem" not in lines


@pytest.mark.skipif(os.name != "posix", reason="the nvidia-smi of the test is a shell script")
@pytest.mark.parametrize(
    ("smi", "problem"),
    [
        ("echo NVIDIA-SMI has failed because it couldn\\'t communicate; exit 9", "nvidia-smi: OSError: NVIDIA-SMI has"),
        ("exit 3", "nvidia-smi: OSError: it ended with 3"),
        ("exec sleep 60", "nvidia-smi: TimeoutExpired: "),
    ],
)  # fmt: skip
def test_an_nvidia_smi_that_fails_or_hangs(smi, problem, tmp_path):
    lines = told(run(tmp_path, hidden=["cupy"], smi=smi))
    assert lines["problem"][0].startswith(problem) and lines["CuPy"] == ["not installed"]


@pytest.mark.skipif(os.name != "posix", reason="the nvidia-smi of the test is a shell script")
@pytest.mark.parametrize("arguments", [(), ("--json",)])
@pytest.mark.parametrize(
    ("case", "state", "problem", "remedy"),
    [
        ("no driver", "14.2.0 (cupy-cuda13x), ", "GPUs: CUDARuntimeError: cudaErrorInsufficientDriver", "[ctk]"),
        ("no GPU", "14.2.0 (cupy-cuda13x), ", "NVRTC, which compiles kernels: ", 'pip install "cupy-cuda13x[ctk]"'),
        ("damaged", "installed, and cannot be imported", "/cupy: ImportError: libcudart.so.13", "uninstall"),
        ("half removed", "installed, and cannot be imported", "No module named 'cupy._core'", "uninstall"),
    ],
)
def test_a_cupy_that_does_not_work(case, state, problem, remedy, arguments, tmp_path):
    init, runtime, _ = CASES[case]
    fake_cupy(tmp_path, init, runtime)
    smi = f"cat <<'END'\n{SMI.format(cuda='13.0')}\nEND"
    text = run(tmp_path, *arguments, packages=WHEELS["cuda13"], smi=smi)
    if arguments:
        facts = json.loads(text)["gpu"]
        assert not facts["usable"] and facts["installed"] and facts["devices"] == [] and facts["cuda"] == "13.0"
        assert any(problem in p for p in facts["problems"]) and remedy in facts["remedies"][0]
    else:
        lines = told(text)
        assert lines["CuPy"][0].startswith(state) and lines["GPU"] == ["minigrad computes on the CPU only"]
        assert any(problem in p for p in lines["problem"]) and remedy in lines["remedy"][0]


def test_a_device_that_cannot_be_asked(tmp_path):
    runtime = RUNTIME.format(body="return 1") + "    def getDeviceProperties(i): raise CUDARuntimeError('it is lost')\n"
    fake_cupy(tmp_path, WITHOUT_A_DEVICE, runtime)
    lines = told(run(tmp_path, packages=WHEELS["cuda13"]))
    assert "cuda:0: CUDARuntimeError: it is lost" in lines["problem"] and "cuda:0" not in lines


def test_the_gpus_of_this_machine(cuda, request, monkeypatch):
    if "double" in request.fixturenames:
        monkeypatch.setitem(vars(sys.modules["cupy.cuda"]), "cublas", object())
    facts = report.facts()
    assert facts["usable"] and len(facts["devices"]) == mg.cuda.device_count()
    lines = dict(report.lines(facts))
    assert lines["GPU"] == "minigrad can compute there"
    assert lines["cuda:0"].startswith(f"{mg.cuda.get_device_name()}, capability ") and "GiB free" in lines["cuda:0"]
    if "double" in request.fixturenames:
        assert lines["cuda:1"] == "Fake GPU 1, capability 9.0, 16.0 of 16.0 GiB free"
        assert facts["runtime"] == facts["cuda"] == "13.0"


EITHER = 'pip install "minigrad-tape[cuda13]" or "minigrad-tape[cuda12]", as the driver\'s CUDA version is'
DRIVER = "a GPU needs NVIDIA's driver: `nvidia-smi` is not there"
BOTH = {"problems": ["several"], "packages": WHEELS["cuda12"] | WHEELS["cuda13"]}
UNINSTALL = "pip uninstall --yes cupy-cuda13x; then "
REMEDIES = [
    ({}, []),
    ({"problems": ["CuPy is old"], "version": "13.1"}, [UNINSTALL + 'pip install "minigrad-tape[cuda13]"']),
    ({"cuda": None, "usable": False}, [DRIVER]),
    ({"cuda": None, "usable": False, "installed": False, "version": None, "packages": {}}, [DRIVER, EITHER]),
    ({"cuda": None, "usable": False} | BOTH, [f"pip uninstall --yes cupy-cuda12x cupy-cuda13x; then {EITHER}", DRIVER]),
    ({"cuda": None, "usable": False, "version": None}, [UNINSTALL + EITHER, DRIVER]),
    ({"cuda": None, "usable": False, "version": "13.1"}, [UNINSTALL + EITHER, DRIVER]),
    (
        {"cuda": "11.8", "usable": False},
        ["update NVIDIA's driver: this one serves CUDA 11.8, and CuPy 14 needs 12 or newer"],
    ),
    ({"cuda": "12.4", "usable": False}, [UNINSTALL + 'pip install "minigrad-tape[cuda12]"']),
    ({"usable": False, "installed": False, "packages": {}}, ['pip install "minigrad-tape[cuda13]"']),
    ({"usable": False, "version": None, "place": None}, [UNINSTALL + 'pip install "minigrad-tape[cuda13]"']),
    ({"nvrtc": None, "problems": ["NVRTC"]}, ['pip install "cupy-cuda13x[ctk]"']),
    ({"cublas": False, "usable": False}, ['pip install "cupy-cuda13x[ctk]"']),
    (
        {"nvrtc": None, "usable": False, "cuda": "12.8", "packages": WHEELS["cuda12"]},
        ['pip install "cupy-cuda12x[ctk]"'],
    ),
    ({"cublas": False, "usable": False, "cuda": None, "devices": []}, ['pip install "cupy-cuda13x[ctk]"', DRIVER]),
    (
        {"usable": False, "devices": []},
        ["see whether `nvidia-smi` shows a GPU that the environment variable CUDA_VISIBLE_DEVICES hides"],
    ),
    (BOTH, ['pip uninstall --yes cupy-cuda12x cupy-cuda13x; then pip install "minigrad-tape[cuda13]"']),
    (
        {"usable": False, "version": None, "packages": {}},
        ['delete /lib/site-packages/cupy; then pip install "minigrad-tape[cuda13]"'],
    ),
    (
        {"usable": False, "version": None, "place": "/home/ada/cupy.py", "hidden": True},
        ["rename /home/ada/cupy.py, which hides CuPy"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "remedies"), REMEDIES)
def test_remedies(facts, remedies, monkeypatch):
    monkeypatch.setattr(report.shutil, "which", lambda command: None)
    assert report._remedies(known(**facts)) == remedies
    assert [text for label, text in report.lines(known(remedies=remedies)) if label == "remedy"] == remedies


def test_a_driver_that_nvidia_smi_does_not_see(monkeypatch):
    monkeypatch.setattr(report.shutil, "which", lambda command: "/usr/bin/nvidia-smi")
    found = report._remedies(known(cuda=None, usable=False))
    assert found == ["a GPU needs NVIDIA's driver: see whether `nvidia-smi` finds it"]


@pytest.mark.skipif(find_spec("cupy") is not None, reason="there is a CuPy")
def test_a_cupy_that_is_listed_and_gone(tmp_path):
    lines = told(run(tmp_path, hidden=["cupy"], packages=WHEELS["cuda13"]))
    assert lines["CuPy"] == ["installed, and cannot be imported"]
    assert lines["problem"] == ["pip lists cupy-cuda13x, but there is no cupy to import"]
    assert lines["remedy"] == [UNINSTALL + EITHER, DRIVER]


def test_a_file_that_hides_cupy(tmp_path):
    (tmp_path / "cupy.py").write_text("")
    place = tmp_path.resolve() / "cupy.py"
    lines = told(run(tmp_path, packages=WHEELS["cuda13"]))
    assert lines["problem"][0].startswith(f"importing CuPy from {place}: AttributeError: module 'cupy' has no ")
    assert lines["remedy"] == [f"rename {place}, which hides CuPy", DRIVER]


def test_without_cublas_there_is_no_gpu(double, monkeypatch):
    import cupy

    monkeypatch.setattr(report, "cupy_packages", lambda: WHEELS["cuda13"])
    monkeypatch.setitem(vars(cupy.cuda), "cublas", object())
    facts = report.facts()
    assert facts["usable"] and facts["cublas"] and facts["remedies"] == []
    assert dict(report.lines(facts))["CuPy"].endswith("NVRTC 13.0, cuBLAS found")

    monkeypatch.delitem(vars(cupy.cuda), "cublas")
    monkeypatch.setitem(sys.modules, "cupy.cuda.cublas", None)
    facts = report.facts()
    assert not facts["usable"] and not facts["cublas"] and len(facts["devices"]) == 2
    assert facts["problems"][0].startswith("cuBLAS, which multiplies matrices: ")
    assert facts["remedies"] == ['pip install "cupy-cuda13x[ctk]"']
    assert dict(report.lines(facts))["GPU"] == "minigrad computes on the CPU only"
    assert dict(report.lines(facts))["CuPy"].endswith("NVRTC 13.0, cuBLAS not found")


def test_several_packages_an_old_one_and_a_lame_nvidia_smi(double, monkeypatch):
    import cupy

    def lame():
        raise OSError("no permission")

    monkeypatch.setattr(report, "_driver", lame)
    monkeypatch.setattr(report, "cupy_packages", lambda: WHEELS["cuda12"] | WHEELS["cuda13"])
    monkeypatch.setitem(vars(cupy.cuda), "cublas", object())
    monkeypatch.setattr(cupy, "__version__", "13.6.0")
    problems = report.facts()["problems"]
    assert problems[:2] == [
        "several packages of CuPy are installed, which disturb each other",
        "CuPy is 13.6.0, and minigrad needs 14 or newer",
    ], "and nothing about nvidia-smi, where CuPy reaches the GPU"
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    assert report.facts()["problems"][0] == "nvidia-smi: OSError: no permission"


def test_packages_are_found_by_their_metadata(tmp_path, monkeypatch):
    for name in ("cupy_cuda12x-13.6.0", "cupy_xarray-0.1.4", "other-1.0"):
        (tmp_path / f"{name}.dist-info").mkdir()
        project, version = name.replace("_", "-").rsplit("-", 1)
        (tmp_path / f"{name}.dist-info" / "METADATA").write_text(f"Name: {project}\nVersion: {version}\n")
    (tmp_path / "broken-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert installed.cupy_packages() == {"cupy-cuda12x": "13.6.0"}
    nothing = type("Nothing", (), {"metadata": None})  # as later Pythons have it of a broken one
    monkeypatch.setattr(metadata, "distributions", lambda: [nothing])
    assert installed.cupy_packages() == {}
