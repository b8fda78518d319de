"""The graphs of examples/draw_graphs.py show what they are there to show."""

import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    monkeypatch.syspath_prepend(EXAMPLES)
    mg.manual_seed(0)
    return __import__("draw_graphs")


def drawn(drawing):
    return {group.id: group.repeat for group in drawing.view.groups.values() if group.repeat > 1}


def test_blocks_of_a_transformer_are_drawn_once(example):
    drawing = example.transformer({})
    assert drawn(drawing) == {"blocks.0": 12}
    assert len(drawing.view.nodes) < 60 and len(drawing.graph.nodes) > 300
    unrolled = example.transformer({"roll": False, "max_nodes": 1000})
    assert drawn(unrolled) == {} and unrolled.view.nodes.keys() == unrolled.graph.nodes.keys()
    for i in range(12):
        assert f"blocks.{i}.attn/matmul:1" in unrolled.source


def test_the_steps_of_an_lstm_are_drawn_once(example):
    drawing = example.lstm({})
    assert drawn(drawing) == {"cell": 28}
    assert "cell@28/tanh:1" in drawing.graph.nodes


@pytest.mark.parametrize("name", ["digits", "lenet"])
def test_layers_have_their_names(example, name):
    drawing = getattr(example, name)({})
    assert {n.label for n in drawing.graph.nodes.values()} >= {"conv2d", "relu", "linear", "cross_entropy", "normalize"}
    for path in ("features.0", "features.4", "classifier.2"):
        assert f"{path}.weight" in drawing.graph.nodes
        assert f"cluster_{path}" in drawing.source or path in drawing.source


def test_a_gradient_that_vanishes_is_seen(example):
    drawing = example.vanishing({})
    norms = [drawing.view.nodes[f"{2 * i + 1}/sigmoid:1"].statistics["grad_norm"] for i in range(10)]
    assert norms == sorted(norms) and norms[-1] > 1e6 * norms[0] > 0
    fills = {drawing.source.partition(f'"{2 * i + 1}/sigmoid:1"')[2].partition('fillcolor="')[2][:7] for i in range(10)}
    assert len(fills) == 10


def test_the_birth_of_a_nan_is_where_the_logarithm_is(example):
    drawing = example.nan({})
    assert [n.id for n in drawing.view.nodes.values() if "born" in n.marks] == ["Careless/log:1"]
    infected = {n.id for n in drawing.view.nodes.values() if "infected" in n.marks}
    assert infected == {"decoder.0/linear:1", "decoder.1/relu:1", "decoder.2/linear:1", "square:1", "mean:1"}


def test_the_second_order_is_there(example):
    drawing = example.second({})
    assert {n.level for n in drawing.graph.nodes.values()} == {0, 1}
    assert "backward/1/mul:1" in drawing.graph.nodes


def test_files_are_written(example, tmp_path, capsys):
    example.main(["digits", "steps", "--format", "txt", "--out", str(tmp_path / "new")])
    assert capsys.readouterr().out.split() == [str(tmp_path / "new" / f"{name}.txt") for name in ("digits", "steps")]
    example.main(["lenet", "--format", "dot", "json", "--depth", "1", "--color", "bytes", "--out", str(tmp_path)])
    assert (tmp_path / "lenet.dot").read_text().startswith("digraph") and (tmp_path / "lenet.json").stat().st_size
    example.main(["lstm", "--unrolled", "--format", "dot", "--out", str(tmp_path)])
    assert "cell@28" in (tmp_path / "lstm-unrolled.dot").read_text()


@pytest.mark.parametrize("arguments", [["--format", "dot"], ["--format", "txt", "--depth", "1"]])
def test_all_means_all_that_can_be(example, monkeypatch, tmp_path, capsys, arguments):
    monkeypatch.setattr(example, "GRAPHS", {name: example.GRAPHS[name] for name in ("digits", "steps")})
    example.main([*arguments, "--out", str(tmp_path)])
    assert [path.stem for path in tmp_path.iterdir()] == ["digits"]
    assert "draw_graphs.py: without steps: steps " in capsys.readouterr().err
    example.main(["--format", "txt", "--out", str(tmp_path)])
    assert (tmp_path / "steps.txt").exists() and not capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_says_so(example, tmp_path):
    code = (
        "import runpy, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # in background jobs too
        "import minigrad.viz as viz\n"
        "viz.graph = lambda *_, **__: signal.raise_signal(signal.SIGINT)\n"
        "sys.path.insert(0, sys.argv[1])\n"
        f"sys.argv = ['draw_graphs.py', 'digits', '--out', {str(tmp_path)!r}]\n"
        f"runpy.run_path({str(EXAMPLES / 'draw_graphs.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(EXAMPLES)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "draw_graphs.py: stopped\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digit"], "no graph is called digit; there are digits, lenet"),
        (["steps", "--depth", "1"], "steps are drawn as they are"),
        (["steps", "--unrolled"], "steps are drawn as they are"),
        (["steps", "--format", "txt", "png"], "steps can be svg, html, txt, not png"),
        (["digits", "--out", __file__], "test_viz_examples.py is a file, not a folder"),
        (["digits", "--depth", "-1"], "depth"),
        (["digits", "--format", "gif"], "invalid choice: 'gif'"),
    ],
)
def test_mistakes_end_in_a_sentence(example, arguments, said, tmp_path):
    command = [sys.executable, str(EXAMPLES / "draw_graphs.py"), "--out", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode and said in done.stderr and "Traceback" not in done.stderr, done.stderr
