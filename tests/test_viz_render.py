"""Renderers: which one is found, that it is ended in time with its children, what is said when it fails; files."""

import io
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ET
from importlib import metadata
from pathlib import Path

import pytest
from test_viz_labels import PROGRAMS, renderers

import minigrad as mg
from minigrad import info, nn, viz
from minigrad.viz.drawing import FORMATS, Drawing, Options
from minigrad.viz.model import OPERATION, Edge, Graph, Node
from minigrad.viz.pictures import render as rendering
from minigrad.viz.pictures.render import VARIABLE, FormatError, RenderError, render, renderer
from minigrad.viz.pictures.svg import FONTS, anonymous, dark, themed
from minigrad.viz.pictures.titles import moved

posix = pytest.mark.skipif(os.name != "posix", reason="the renderers of the test are shell scripts")
SOURCE = "digraph { a -> b }"
SVG = '<svg width="10pt" height="20pt" xmlns="http://www.w3.org/2000/svg"><g id="a"/></svg>'


@pytest.fixture
def drawing():
    nodes = {name: Node(name, OPERATION, name, shape=(2, 3)) for name in ("sin", "cos")}
    return Drawing(Graph(nodes, [Edge("sin", "cos")], outputs=["cos"], title="two"), Options())


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a renderer of a shell script, and lets it be the one that is found."""

    def make(script):
        program = tmp_path / "fake"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv(VARIABLE, str(program))
        return program

    return make


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without renderers."""
    (tmp_path / "empty").mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(rendering, "_scripts", lambda: str(tmp_path / "empty"))


def is_alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid):
    """Whether a process ends within some seconds: the kernel takes its time after a kill."""
    for _ in range(200):
        if not is_alive(pid):
            return True
        time.sleep(0.02)
    return False


in_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc which processes run")


# --- finding -----------------------------------------------------------------------------------------------------


def programs(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return str(folder)


@posix
@pytest.mark.parametrize(
    ("variable", "path", "scripts", "found"),
    [
        ("mine", ["dot"], ["graphviz-pure"], "mine"),
        ("", ["dot"], ["graphviz-pure"], "path/dot"),
        (None, ["dot", "graphviz-pure"], ["graphviz-pure"], "path/dot"),
        (None, ["graphviz-pure"], ["graphviz-pure"], "scripts/graphviz-pure"),
        (None, ["graphviz-pure"], [], "path/graphviz-pure"),
    ],
)
def test_which_one_is_found(variable, path, scripts, found, tmp_path, monkeypatch):
    programs(tmp_path, "mine")
    monkeypatch.setenv("PATH", programs(tmp_path / "path", *path))
    monkeypatch.setattr(rendering, "_scripts", lambda: programs(tmp_path / "scripts", *scripts))
    if variable is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, str(tmp_path / variable) if variable else "")
    assert renderer() == str(tmp_path / found)
    assert info.facts()["dot"] == {"path": str(tmp_path / found)}


@posix
def test_the_variable_may_begin_at_home(tmp_path, monkeypatch):
    programs(tmp_path, "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "~/mine")
    assert renderer() == str(tmp_path / "mine")


def test_a_variable_that_names_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "dort"))
    with pytest.raises(RenderError, match=r"MINIGRAD_DOT is '.*dort', and there is no such program"):
        renderer()
    assert "MINIGRAD_DOT" in info.facts()["dot"]["error"]


def test_the_scripts_of_this_python_are_searched():
    try:
        metadata.distribution("graphviz-pure")
    except metadata.PackageNotFoundError:
        pytest.skip("graphviz-pure is not installed for this Python")
    assert shutil.which("graphviz-pure", path=rendering._scripts())


def test_without_a_renderer(nowhere, drawing, tmp_path):
    both = r"`apt install graphviz`.*pip install \"minigrad-tape\[viz\]\".*\.dot, \.json, \.html and \.txt work"
    with pytest.raises(RenderError, match=both):
        drawing.save(tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()
    for format in ("dot", "json", "html", "txt"):
        assert drawing.save(tmp_path / f"x.{format}").stat().st_size
    shown = drawing._repr_mimebundle_()
    assert list(shown) == ["text/plain"] and "sin" in shown["text/plain"] and "apt install" in shown["text/plain"]
    assert info.facts()["dot"] == {"path": None}


# --- running -----------------------------------------------------------------------------------------------------


@posix
@in_proc
def test_a_slow_renderer_is_ended_with_its_children(fake, tmp_path):
    fake(f"trap '' TERM INT\necho $$ > {tmp_path}/own\nsleep 100 &\necho $! > {tmp_path}/child\nsleep 100")
    with pytest.raises(RenderError, match=r"fake did not draw this graph within 1 s; draw less of it: .*timeout="):
        render(SOURCE, "svg", timeout=1)
    assert gone((tmp_path / "own").read_text().strip()) and gone((tmp_path / "child").read_text().strip())


@posix
@in_proc
def test_ctrl_c_leaves_no_child(fake, tmp_path):
    fake(f"echo $$ > {tmp_path}/pid\nexec sleep 100")
    hears = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # in background jobs too
    code = f"{hears}from minigrad.viz.pictures.render import render\nrender('digraph {{}}', 'svg')"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        for _ in range(500):
            if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=30)[1]
    assert gone((tmp_path / "pid").read_text().strip())


@posix
@in_proc
def test_a_grandchild_that_keeps_the_output_open_does_not_block(fake, tmp_path):
    fake(f"echo '{SVG}'\nsleep 20 &\necho $! > {tmp_path}/pid")
    assert b"<svg" in render(SOURCE, "svg")
    pid = (tmp_path / "pid").read_text().strip()
    assert is_alive(pid)
    os.kill(int(pid), signal.SIGKILL)


@posix
def test_output_without_an_end(fake, monkeypatch):
    monkeypatch.setattr(rendering, "LARGEST", 1 << 20)
    fake("exec yes")
    with pytest.raises(RenderError, match="fake wrote more than 1 MiB"):
        render(SOURCE, "svg", timeout=30)


@posix
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'Error: no\n  such layout' >&2; exit 3",
            r"fake failed with 3: Error: no such layout; MINIGRAD_DOT names",
        ),
        ("exit 1", r"fake failed with 1: it said nothing"),
        ("exit 0", r"fake failed with 0: it said nothing"),
        ("kill -9 $$", r"fake failed with -9"),
        ("echo hello", r"what .*fake wrote is no SVG: syntax error"),
        ("echo '<html/>'", r"what .*fake wrote is no SVG: there is no <svg>"),
        (f"printf '%s' '{SVG[:40]}'", r"what .*fake wrote is no SVG: "),
        ("cat >/dev/null; printf '\\377' >&2; yes | head -c 2000000 >&2; exit 2", r"failed with 2: …[y ]{500};"),
    ],
)
def test_a_renderer_that_fails(script, message, fake):
    fake(script)
    with pytest.raises(RenderError, match=message):
        render(SOURCE, "svg", timeout=30)


@posix
def test_a_program_that_cannot_be_run(tmp_path, monkeypatch):
    (tmp_path / "text").write_bytes(b"\0 no program")
    (tmp_path / "text").chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "text"))
    with pytest.raises(RenderError, match=r"text cannot be run: .*Exec format error"):
        render(SOURCE, "svg")


@posix
def test_a_renderer_that_reads_nothing_may_have_a_lot_to_read(fake):
    fake(f"echo '{SVG}'")
    assert b"<svg" in render(f"digraph {{ {'a' * 3_000_000} }}", "svg")


@renderers
def test_bad_dot_is_told_with_what_the_renderer_says(program, monkeypatch):
    monkeypatch.setenv(VARIABLE, program)
    with pytest.raises(RenderError, match=r"failed with \d+: .*syntax error"):
        render("digraph { a -> ", "svg")


@renderers
def test_pictures(program, drawing, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, program)
    assert drawing.save(tmp_path / "x.PNG").read_bytes().startswith(b"\x89PNG")
    ET.parse(drawing.save(tmp_path / "x.svg"))
    if "pure" in program:
        with pytest.raises(RenderError, match="graphviz-pure makes no PDF: `apt install graphviz`"):
            drawing.save(tmp_path / "x.pdf")
        assert not (tmp_path / "x.pdf").exists()
    else:
        assert drawing.save(tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


@renderers
def test_a_png_that_cannot_be_read_warns(program, monkeypatch):
    monkeypatch.setenv(VARIABLE, program)
    wide = f"digraph {{ rankdir=LR node [width=9 shape=box] {' -> '.join(f'n{i}' for i in range(40))} }}"
    with pytest.warns(UserWarning, match=r"\d+×\d+ points this graph is too large for a PNG that can be read"):
        png = render(wide, "png")
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    assert 15_000 < width <= 16_100 and height < 2000


def test_a_png_has_the_dots_of_a_fine_screen(drawing, monkeypatch):
    program = next((p for p in PROGRAMS.values() if p), None)
    if program is None:
        pytest.skip("no renderer is here")
    monkeypatch.setenv(VARIABLE, program)
    picture = ET.fromstring(drawing.render("svg"))
    width = float(picture.get("width").removesuffix("pt"))
    assert int.from_bytes(drawing.render("png")[16:20], "big") == pytest.approx(2 * width, rel=0.05)


# --- SVG ---------------------------------------------------------------------------------------------------------


def test_an_svg_follows_the_theme_and_fits_its_page():
    found = themed(b'<?xml version="1.0"?>\n' + SVG.encode())
    root = ET.fromstring(found)
    assert root.get("class") == "minigrad-graph" and root.get("style") == "max-width:100%;height:auto"
    assert root[0].text == FONTS + dark() and "prefers-color-scheme:dark" in dark() and found.startswith(b"<?xml")
    assert not re.search("[<&]", dark())


TITLED = (
    'subgraph "cluster_x" {\n'
    '\tstyle="rounded" labeljust="l" label=<<table><tr><td align="left">the name</td><td width="90" rowspan="2"></td>'
    '</tr><tr><td align="left">5 parameters</td></tr></table>> id="cluster_x" class="module"\n}'
)


@pytest.mark.parametrize(
    ("arrows", "right"),
    [
        (["M30,-120C30,-100 30,-80 30,-50"], True),
        (["M100,-120C100,-100 100,-80 100,-50"], False),  # in the middle
        (["M170,-120C170,-100 170,-80 170,-50"], False),
        (["M30,-120C30,-100 30,-80 30,-50", "M170,-120C170,-100 170,-80 170,-50"], False),  # no better there
        (["M0,-95C60,-95 60,-95 60,-95"], True),  # from the side
        (["M30,-60C30,-50 30,-40 30,-30"], False),  # below it
        ([], False),
    ],
)
def test_titles_stand_where_fewer_arrows_run_through_them(arrows, right):
    edges = "".join(f'<g class="edge"><path d="{path}"/></g>' for path in arrows)
    box = (
        '<polygon points="0,-110 200,-110 200,-10 0,-10 0,-110"/><text x="8" y="-95" font-size="11.00">the name</text>'
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><g id="cluster_x" class="cluster module">{box}</g>{edges}</svg>'
    found = moved(TITLED, svg.encode())
    assert (found != TITLED) == right
    if right:
        assert 'labeljust="r"' in found and '"></td><td align="right">the name</td></tr>' in found


@renderers
def test_nothing_but_the_title_moves(program, monkeypatch):
    monkeypatch.setenv(VARIABLE, program)
    wide, deep = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    net = nn.Sequential(wide, deep)
    source = viz.graph(lambda: net(mg.ones(4, 2)), net).source
    other = "\n".join(x.replace('labeljust="l"', 'labeljust="r"') for x in source.splitlines())
    # graphviz-pure and dot write the outlines of boxes and arrows as paths and polygons.
    boxes = [re.findall(rb' (?:d|points)="[^"]*"', render(x, "svg")) for x in (source, other)]
    assert boxes[0] == boxes[1] and len(boxes[0]) > 10


def test_titles_need_an_svg():
    with pytest.raises(ValueError, match="no element found"):
        moved(SOURCE, b"")
    assert moved(SOURCE, SVG.encode()) == SOURCE


def test_several_on_a_page_have_no_ids():
    svg = SVG.replace('<g id="a"/>', '<g id="a" class="x"><text x="1"> id="kept" &lt;g id="kept"</text></g>')
    found = anonymous(b'<?xml version="1.0"?>\n<!-- a -->' + themed(svg.encode()))
    assert found.startswith("<svg ") and "<style>" in found
    root = ET.fromstring(found)
    assert all("id" not in element.attrib for element in root.iter())
    assert root[1][0].text == ' id="kept" <g id="kept"'


# --- Drawing -----------------------------------------------------------------------------------------------------


@posix
def test_in_a_notebook(drawing, fake):
    fake(f"echo '{SVG}'")
    shown = drawing._repr_mimebundle_()
    assert set(shown) == {"image/svg+xml", "text/plain"} and shown["text/plain"] == repr(drawing)
    assert "id=" not in shown["image/svg+xml"]
    assert set(drawing._repr_mimebundle_(include={"text/plain", "text/html"})) == {"text/plain"}
    assert set(drawing._repr_mimebundle_(exclude=["text/plain"])) == {"image/svg+xml"}
    assert set(drawing._repr_mimebundle_(include=None, exclude=None)) == set(shown)
    fake("exit 1")
    assert set(drawing._repr_mimebundle_(include=["text/plain"])) == {"text/plain"}, "and nothing is drawn"
    assert drawing._repr_mimebundle_(exclude=["text/plain"]) == {}


@pytest.mark.parametrize(
    ("name", "format"), [("x.dot", "dot"), ("x.DOT", "dot"), ("x.y.Txt", "txt"), ("é ü.json", "json")]
)
def test_files_by_their_suffix(name, format, drawing, tmp_path):
    class Named(os.PathLike):
        def __fspath__(self):
            return str(tmp_path / name)

    for path in (tmp_path / name, str(tmp_path / name), Named()):
        assert drawing.save(path) == tmp_path / name
    expected = {"dot": drawing.source, "txt": str(drawing), "json": drawing.graph.to_json()}[format]
    assert (tmp_path / name).read_text(encoding="utf-8") == expected
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["x", "x.jpg", ".svg", "x.svg.gz", "x.svg~", ""])
def test_other_suffixes(name, drawing, tmp_path):
    with pytest.raises(FormatError, match=r"must end in \.dot, \.svg, \.png, \.pdf, \.html, \.json, \.txt, and is "):
        drawing.save(name)
    assert issubclass(FormatError, ValueError) and len(FORMATS) == 7
    with pytest.raises(FormatError, match=r"format must be one of 'svg', 'png', 'pdf', and is 'html'"):
        drawing.render("html")


def test_a_folder_that_is_not_there(drawing, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"viz: there is no folder {re.escape(str(tmp_path / 'a'))}; make it"):
        drawing.save(tmp_path / "a" / "x.dot")


@posix
def test_a_file_that_cannot_be_written(drawing, tmp_path):
    (tmp_path / "x.dot").mkdir()
    with pytest.raises(IsADirectoryError, match=r"viz: .*x\.dot cannot be written: Is a directory"):
        drawing.save(tmp_path / "x.dot")
    assert [p.name for p in tmp_path.iterdir()] == ["x.dot"]
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError, match=r"viz: .*y\.dot cannot be written: Permission denied"):
            drawing.save(tmp_path / "y.dot")
        tmp_path.chmod(0o700)


@posix
def test_a_file_is_complete_or_as_it_was(drawing, fake, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "x.svg"
    path.write_text("old")
    fake("echo half; exit 1")
    with pytest.raises(RenderError):
        drawing.save(path)

    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("minigrad.viz.drawing.open", lambda *_: Full(), raising=False)
    fake(f"echo '{SVG}'")
    with pytest.raises(OSError, match=r"x\.svg cannot be written: No space left on device"):
        drawing.save(path)
    assert path.read_text() == "old" and [p.name for p in path.parent.iterdir()] == ["x.svg"]


@posix
def test_a_link_stays_one(drawing, tmp_path):
    (tmp_path / "real.dot").write_text("old")
    (tmp_path / "link.dot").symlink_to("real.dot")
    assert drawing.save(tmp_path / "link.dot") == tmp_path / "link.dot"
    assert (tmp_path / "link.dot").is_symlink() and (tmp_path / "real.dot").read_text() == drawing.source
    assert (tmp_path / "real.dot").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_lone_surrogates_can_be_saved(tmp_path):
    drawing = Drawing(Graph({"\udc80": Node("\udc80", OPERATION, "\udc80")}), Options())
    for format in ("dot", "txt", "json", "html"):
        drawing.save(tmp_path / f"x.{format}").read_text(encoding="utf-8")
    assert list(json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["nodes"]) == ["\udc80"]


def test_a_drawing_is_plain_values():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    drawing = viz.graph(lambda: model(mg.ones(2, 3)), model)
    copy = pickle.loads(pickle.dumps(drawing))
    assert copy.source == drawing.source and str(copy) == str(drawing)
    assert (
        repr(drawing) == f"<Drawing of Sequential: {len(drawing.graph.nodes)} nodes, {len(drawing.view.nodes)} drawn>"
    )


def test_the_text_is_the_same_in_every_process(tmp_path):
    code = """
        import minigrad as mg, minigrad.nn.functional as F
        from minigrad import nn, viz
        mg.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
        x, y = mg.randn(5, 1, 8, 8), mg.arange(5) % 3
        options = {"saved": True, "gradients": True, "lines": True, "dtypes": True, "color": "grad_norm"}
        drawing = viz.graph(lambda: F.cross_entropy(model(x), y), model, names={"x": x, "y": y}, **options)
        print(drawing.source + str(drawing))
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(code))
    command = [sys.executable, str(tmp_path / "program.py")]
    texts = []
    for hashes in ("0", "1"):
        done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": hashes}, capture_output=True, check=True)
        texts.append(done.stdout)
    assert texts[0] == texts[1] and b"digraph" in texts[0]
