"""save and load: exact round trips, files that others wrote, damaged files, and files that are whole or absent."""

import json
import os
import subprocess
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad import nn, optim
from minigrad.errors import DataError, DeviceError, DTypeError
from minigrad.serialization import load, save
from minigrad.tape import Variable
from minigrad.tape.versions import owner_of

SUFFIXES = (".npz", ".safetensors")
both = pytest.mark.parametrize("suffix", SUFFIXES)
DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()


@pytest.fixture(autouse=True)
def _safetensors_installed(request):
    if "safetensors" in request.node.name:
        pytest.importorskip("safetensors")


def same(saved, loaded):
    """Equal in type, structure, order of keys, dtype, shape and bits; arrays came back as Variables."""
    if isinstance(saved, (Variable, np.ndarray)):
        saved = saved.data if isinstance(saved, Variable) else saved
        assert type(loaded) is Variable and loaded.is_leaf and not loaded.requires_grad
        assert loaded.dtype == saved.dtype and loaded.shape == saved.shape
        assert loaded.data.tobytes() == saved.tobytes() and loaded.data.flags.writeable
        assert owner_of(loaded.data).base is None  # memory of NumPy's own, not of a bytes object
        return
    assert type(loaded) is type(saved)
    if isinstance(saved, dict):
        assert [(type(k), k) for k in saved] == [(type(k), k) for k in loaded]
        for k in saved:
            same(saved[k], loaded[k])
    elif isinstance(saved, (list, tuple)):
        assert len(saved) == len(loaded)
        for a, b in zip(saved, loaded, strict=True):
            same(a, b)
    else:
        assert saved == loaded or (saved != saved and loaded != loaded)
        assert repr(saved) == repr(loaded)  # -0.0, nan


def round_trip(obj, folder, suffix):
    path = folder / f"file{suffix}"
    save(obj, path)
    assert [p.name for p in folder.iterdir()] == [path.name]  # no temporary is left
    return load(path)


TREES = {
    "checkpoint": {
        "model": {"0.weight": np.ones((2, 3), "f4"), "0.bias": Variable(np.zeros(2, "f4"), requires_grad=True)},
        "optimizer": {
            "state": {0: {"step": 3, "exp_avg": np.arange(6.0).reshape(2, 3)}, 1: {"step": 3}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "amsgrad": False, "params": [0, 1]}],
        },
        "epoch": 3,
        "name": None,
    },
    "0-d and empty": {
        "a": np.array(2.5),
        "b": np.zeros((0, 3), "f2"),
        "c": np.zeros((2, 0), "i4"),
        "d": np.array(True),
    },
    "strided": [
        np.arange(24.0).reshape(4, 6)[::2, ::-3],
        np.arange(6).reshape(2, 3).T,
        np.broadcast_to(np.float32(1), (3, 2)),
    ],
    "floats": [float("nan"), float("inf"), -float("inf"), -0.0, 0.1, 5e-324, 1e308, np.array([np.nan, np.inf, -0.0])],
    "integers": [0, -1, 2**63, -(2**100), True, False],
    "kinds of keys": {0: 1, "0": 2, -3: {"": {"": np.ones(1)}}, "1": {}, 1: []},
    "names that meet": {
        "a": {"b": np.ones(1)},
        "a.b": np.zeros(1),
        "a.b~2": np.ones(2),
        7: [np.ones(3)],
        "7.0": np.ones(4),
    },
    "names that npz mixes up": {"x": np.ones(1), "x.npy": np.zeros(1), "structure.json": np.ones(2), "/": np.ones(3)},
    "names of the formats": {"__metadata__": np.ones(1), "minigrad": np.ones(2), "array": 0, "dict": {"tuple": ()}},
    "unicode": {
        "gewöhnlich \u2603 \U0001f600": np.ones(1),
        "\ud800": np.zeros(1),
        "a\0b": np.ones(2),
        "a\\b": "\0\ud800\n",
    },
    "nothing": {},
    "a tuple": ((), [], [()], ({},), ([np.ones(1)],)),
    "one array": np.arange(3),
    "one value": "text",
}


@both
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())
def test_comes_back_as_it_was(tree, suffix, tmp_path):
    same(tree, round_trip(tree, tmp_path, suffix))


@both
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_come_back(dtype, suffix, tmp_path):
    x = np.array([[0, 1, 5], [2, 3, 7]]).astype(dtype)
    same({"x": x, "t": x.T}, round_trip({"x": x, "t": x.T}, tmp_path, suffix))


def test_big_endian_arrays(tmp_path):
    x = np.arange(3, dtype=">f4")
    same(x, round_trip(x, tmp_path, ".npz"))


def test_big_endian_arrays_have_their_values_in_safetensors(tmp_path):
    x = np.arange(3, dtype=">f4")
    same(x.astype("<f4"), round_trip(x, tmp_path, ".safetensors"))


@both
def test_subclasses_and_numpy_scalars_become_plain(suffix, tmp_path):
    tree = OrderedDict(a=np.float32(0.1), b=np.int64(3), c=np.bool_(True), d=np.float64("inf"), e=np.str_("x"))
    same(
        {"a": float(np.float32(0.1)), "b": 3, "c": True, "d": float("inf"), "e": "x"},
        round_trip(tree, tmp_path, suffix),
    )


arrays = hnp.arrays(
    dtype=st.sampled_from(DTYPES), shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
)
keys = st.one_of(st.integers(), st.text(max_size=4), st.sampled_from(["a", "b", "a.b", "0", "a.0", "b.npy"]))
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6))
trees = st.recursive(
    st.one_of(plain, arrays, arrays.map(lambda a: a.T[::-1] if a.ndim else a)),
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=4), st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


@both
@settings(max_examples=60, deadline=None)
@given(tree=trees)
def test_any_tree_comes_back(suffix, tmp_path_factory, tree):
    same(tree, round_trip(tree, tmp_path_factory.mktemp("any"), suffix))


# --- others' files -----------------------------------------------------------------------------------------------


def test_numpy_reads_the_arrays(tmp_path):
    save({"model": {"0.weight": np.arange(3.0)}, "epoch": 3}, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["model.0.weight", "structure.json"]
        np.testing.assert_array_equal(archive["model.0.weight"], np.arange(3.0))
        assert json.loads(archive["structure.json"])["version"] == 1


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_file_of_numpy_is_a_flat_dictionary(write, tmp_path):
    given = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.array(1, "i4"), "a.npy": np.ones(2, bool)}
    write(tmp_path / "a.npz", **given)
    same(given, load(tmp_path / "a.npz"))


@pytest.mark.torch
def test_pytorch_reads_and_writes_safetensors(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    ours = {"0.weight": Variable(np.arange(6, dtype="f4").reshape(2, 3).T), "0.num_batches_tracked": np.array(7)}
    save(ours, tmp_path / "ours.safetensors")
    theirs = load_file(tmp_path / "ours.safetensors")
    assert sorted(theirs) == sorted(ours)
    assert torch.equal(theirs["0.weight"], torch.arange(6.0).reshape(2, 3).T)
    assert theirs["0.num_batches_tracked"].item() == 7 and theirs["0.num_batches_tracked"].dtype == torch.int64

    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    save_file(module.state_dict(), tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    loaded = load(tmp_path / "theirs.safetensors")
    assert loaded.keys() == module.state_dict().keys()
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(loaded[name].data, tensor.numpy(), strict=True)


@pytest.mark.torch
def test_bfloat16_is_refused_by_name(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2), "layer.w": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "b.safetensors")
    with pytest.raises(DataError, match=r"b\.safetensors: layer\.w is bfloat16, .*convert it first"):
        load(tmp_path / "b.safetensors")


# --- what cannot be saved ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"model": {"layers": [1, 2, {3}]}}, r"^save: model\.layers\[2\] is a set; expected a dict, list, tuple"),
        ({"state": {0: {"f": len}}}, r"^save: state\[0\]\.f is a builtin_function_or_method"),
        ([1j], r"^save: \[0\] is a complex"),
        (b"bytes", r"^save: the object is a bytes"),
        ({"x": np.array([None])}, r"^save: x is an array of object"),
        ({"x": np.ones(2, complex)}, r"^save: x is an array of complex128; expected floats"),
        ({"x": np.array(["a"])}, r"^save: x is an array of <U1"),
        ({"x": np.datetime64("2020-01-01")}, r"^save: x is an array of datetime64"),
        ({"a": {(1, 2): 3}}, r"^save: a has the key \(1, 2\); keys are str or int"),
        ({True: 3}, r"^save: the object has the key True"),
    ],
)
def test_other_values_are_refused_by_their_place(tree, message, suffix, tmp_path):
    with pytest.raises(DTypeError, match=message):
        save(tree, tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_safetensors_has_no_long_doubles(tmp_path):
    x = np.ones(2, np.longdouble)
    if x.dtype == np.float64:
        pytest.skip("longdouble is float64 here")
    with pytest.raises(DTypeError, match=r"safetensors cannot hold m\.x, an array of \w+; write a \.npz"):
        save({"m": {"x": x}}, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []
    same(x, round_trip(x, tmp_path, ".npz"))


def test_a_tree_that_contains_itself(tmp_path):
    tree = {}
    tree["again"] = [tree]
    with pytest.raises(ValueError, match="nested too deeply, or something contains itself"):
        save(tree, tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.pt", "a", "a.npy", "npz"])
def test_unknown_endings(name, tmp_path):
    with pytest.raises(ValueError, match=r"^save: expected a name that ends in \.npz or \.safetensors, got "):
        save({}, tmp_path / name)
    with pytest.raises(ValueError, match=r"^load: expected a name that ends in \.npz or \.safetensors, got "):
        load(tmp_path / name)
    save({}, tmp_path / "UPPER.NPZ")
    assert load(str(tmp_path / "UPPER.NPZ")) == {}


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (lambda: save({}, tmp_path / "b.safetensors"), lambda: load(tmp_path / "a.safetensors")):
        with pytest.raises(ImportError, match=r'pip install "minigrad-tape\[safetensors\]"'):
            call()
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    save({}, tmp_path / "b.npz")  # needs no library


# --- damaged files -----------------------------------------------------------------------------------------------


@both
def test_missing_files_and_folders(suffix, tmp_path):
    with pytest.raises(DataError, match=rf"^load: there is no file .*none{suffix}"):
        load(tmp_path / f"none{suffix}")
    with pytest.raises(FileNotFoundError, match=r"^save: there is no folder .*nowhere"):
        save({}, tmp_path / "nowhere" / f"a{suffix}")


@both
def test_every_truncation_is_seen(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    save({"w": np.arange(5.0), "epoch": 3}, path)
    whole = path.read_bytes()
    for n in range(0, len(whole), 7):
        path.write_bytes(whole[:n])
        with pytest.raises(DataError, match=rf"^load: .*a{suffix}"):
            load(path)


def test_every_changed_byte_of_npz_is_seen_or_harmless(tmp_path):
    path = tmp_path / "a.npz"
    tree = {"w": np.arange(5.0), "epoch": 3}
    save(tree, path)
    whole = path.read_bytes()
    messages = []
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x15]) + whole[i + 1 :])
        try:
            same(tree, load(path))  # a date, or another field that nobody reads
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > len(whole) / 2
    assert all(str(path) in message for message in messages)


def test_a_damaged_size_is_not_believed(tmp_path):
    path = tmp_path / "a.npz"
    save({"w": np.arange(5.0)}, path)
    whole = path.read_bytes()
    assert whole.count(b"(5,), }" + b" " * 12) == 1
    path.write_bytes(whole.replace(b"(5,), }" + b" " * 12, b"(5000000000000,), }"))
    with pytest.raises(DataError, match=r"a\.npz: w\.npy is damaged"):  # and no MemoryError
        load(path)


def test_every_changed_byte_of_a_safetensors_header_is_seen_or_gives_a_tree(tmp_path):
    path = tmp_path / "a.safetensors"
    save({"w": np.arange(5.0), "epoch": 3}, path)
    whole = path.read_bytes()
    messages = []
    for i in range(len(whole) - 40):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x15]) + whole[i + 1 :])
        try:
            load(path)
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > len(whole) / 4
    assert all(str(path) in message for message in messages)


class Trap:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("trap.npz", a=np.array([Trap()], object))
    with pytest.raises(DataError, match=r"trap\.npz .*allow_pickle=False"):
        load("trap.npz")
    assert os.listdir() == ["trap.npz"]
    np.load("trap.npz", allow_pickle=True)["a"]  # the trap works
    assert "executed" in os.listdir()


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ("{", "is damaged"),
        ('{"version": 2, "tree": 1}', "structure has version 2, and this minigrad reads 1"),
        ('{"version": 1, "tree": {"array": "x"}}', "its structure names array 'x', which is not there"),
        ('{"version": 1, "tree": {"call": "os.mkdir"}}', "its structure names call 'os.mkdir'"),
        ('{"version": 1, "tree": {"array": "w", "dict": []}}', "is damaged"),
        ('{"version": 1, "tree": 3}', "it holds arrays that its structure does not name: w"),
        ('{"version": 1, "tree": ' + "[" * 100_000 + "]" * 100_000 + "}", "is damaged"),
        ("[]", "is damaged"),
    ],
)
def test_a_structure_that_does_not_fit(structure, message, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("structure.json", structure)
        with archive.open("w.npy", "w") as file:
            np.lib.format.write_array(file, np.ones(2))
    with pytest.raises(DataError, match=message):
        load(tmp_path / "a.npz")


def test_arrays_that_minigrad_has_no_dtype_for(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(2, complex))
    with pytest.raises(DataError, match=r"a\.npz: tensor: expected floats, integers or bools, got complex128"):
        load(tmp_path / "a.npz")


# --- complete or absent ------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("where", ["write_array", "fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no space left")])
def test_an_interrupted_save_leaves_the_old_file(error, where, suffix, tmp_path, monkeypatch):
    path = tmp_path / f"a{suffix}"
    save({"old": np.ones(3)}, path)
    before = path.read_bytes()

    def interrupt(*args, **kwargs):
        assert len(list(tmp_path.iterdir())) == 2  # the temporary lies beside it
        raise error

    if where == "write_array" and suffix == ".safetensors":
        monkeypatch.setattr("safetensors.numpy.save", interrupt)
    else:
        monkeypatch.setattr(np.lib.format if where == "write_array" else os, where, interrupt)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        save({"new": np.zeros(4)}, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@both
def test_saving_again_replaces_the_file_and_not_a_link_to_it(suffix, tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / f"link{suffix}"
    try:
        link.symlink_to(tmp_path / "real" / "blob")
    except OSError:
        pytest.skip("no symbolic links here")
    save({"epoch": 1}, link)
    save({"epoch": 2}, link)
    assert link.is_symlink() and load(link) == {"epoch": 2}
    assert sorted(os.listdir(tmp_path / "real")) == ["blob"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@both
def test_a_file_has_ordinary_permissions(suffix, tmp_path):
    (tmp_path / "other").write_bytes(b"")
    save({"x": np.ones(1)}, tmp_path / f"a{suffix}")
    assert (tmp_path / f"a{suffix}").stat().st_mode == (tmp_path / "other").stat().st_mode


# --- devices -----------------------------------------------------------------------------------------------------

ON_THE_CPU = {
    "None": None,
    "a name": "cpu",
    "a Device": mg.device("cpu"),
    "a dictionary without cpu": {"cuda:0": "cuda:1", "cuda:1": "cpu"},
    "a dictionary": {"cpu": "cpu"},
    "a function": lambda storage, location: storage,
    "a function that leaves it": lambda storage, location: None,
}


@both
@pytest.mark.parametrize("location", ON_THE_CPU.values(), ids=ON_THE_CPU.keys())
def test_arrays_come_to_the_cpu(location, suffix, tmp_path):
    tree = TREES["checkpoint"]
    save(tree, tmp_path / f"a{suffix}")
    same(tree, load(tmp_path / f"a{suffix}", map_location=location))


def test_a_function_gets_each_array_and_where_it_is_from(tmp_path):
    save({"a": np.ones(2), "b": [np.zeros(3)]}, tmp_path / "a.npz")
    seen = []
    loaded = load(tmp_path / "a.npz", lambda x, location: seen.append(location) or x + 1)
    assert seen == ["cpu", "cpu"]
    same({"a": np.full(2, 2.0), "b": [np.ones(3)]}, loaded)
    with pytest.raises(DTypeError, match=r"^load: map_location returned a ndarray; expected a Variable, or None"):
        load(tmp_path / "a.npz", lambda x, location: x.data)
    with pytest.raises(ZeroDivisionError):  # not "the file is damaged"
        load(tmp_path / "a.npz", lambda x, location: 1 / 0)


@pytest.mark.parametrize("location", ["cuda:97", "tpu", 3, {"cpu": "cuda:97"}])
def test_a_device_that_is_not_there(location, tmp_path):
    save({"a": np.ones(2)}, tmp_path / "a.npz")
    with pytest.raises(DeviceError, match="device"):
        load(tmp_path / "a.npz", map_location=location)
    with pytest.raises(DeviceError, match="device"):
        load(tmp_path / "none.npz", map_location=location)


@both
@pytest.mark.parametrize("location", ["cuda", "cuda:1", {"cpu": "cuda"}, lambda x, location: x.cuda()])
def test_arrays_of_a_device_are_saved_and_come_to_one(location, suffix, cuda, request, tmp_path):
    if location == "cuda:1" and mg.cuda.device_count() < 2:
        pytest.skip("there is one GPU only")
    tree = {"a": np.arange(6, dtype="f4").reshape(2, 3).T, "b": [np.array(True), np.zeros((0, 2))], "n": 3}
    there = {"a": Variable(tree["a"]).to(cuda), "b": [Variable(x).to(cuda) for x in tree["b"]], "n": 3}
    waits = request.getfixturevalue("double").synchronizations if "double" in request.fixturenames else []
    waits.clear()
    save(there, tmp_path / f"a{suffix}")
    assert len(waits) <= 3, "one transfer for each array"
    same(tree, load(tmp_path / f"a{suffix}"))
    loaded = load(tmp_path / f"a{suffix}", location)
    arrays = [loaded["a"], *loaded["b"]]
    assert {x.device for x in arrays} == {"cuda:1" if location == "cuda:1" else "cuda:0"}
    assert all(x.is_leaf and not x.requires_grad for x in arrays)
    same(tree, {"a": loaded["a"].cpu(), "b": [x.cpu() for x in loaded["b"]], "n": loaded["n"]})


OPTIMIZERS = {
    "SGD": lambda ps: optim.SGD(ps, 0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda ps: optim.Adam(ps, 0.01, amsgrad=True),
    "RMSprop": lambda ps: optim.RMSprop(ps, 0.01, momentum=0.5, centered=True),
}


@both
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("home", ["cuda", "cpu"])
def test_training_goes_on_after_a_detour_by_the_other_device(home, make, suffix, cuda, tmp_path):
    """Bit for bit as without it: files and moves round nothing, and lose nothing of the state."""
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("f4")

    def begun(device):
        mg.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).to(device)
        return model, make(model.parameters())

    def train(model, optimizer, steps):
        batch = Variable(x).to(next(iter(model.parameters())).device)
        for _ in range(steps):
            optimizer.zero_grad()
            (model(batch) ** 2).mean().backward()
            optimizer.step()

    def state(model, optimizer):
        return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}

    def restored(device, path, location=None):
        model, optimizer = begun(device)
        loaded = load(path, location)
        model.load_state_dict(loaded["model"])
        optimizer.load_state_dict(loaded["optimizer"])
        assert {v.device.type for v in model.state_dict().values()} == {device}
        return model, optimizer

    away = "cpu" if home == "cuda" else "cuda"
    straight = begun(home)
    train(*straight, 5)
    there = begun(home)
    train(*there, 2)
    save(state(*there), tmp_path / f"there{suffix}")
    elsewhere = restored(away, tmp_path / f"there{suffix}")
    save(state(*elsewhere), tmp_path / f"elsewhere{suffix}")
    back = restored(home, tmp_path / f"elsewhere{suffix}", location=away)
    train(*back, 3)
    save(state(*straight), tmp_path / f"a{suffix}")
    save(state(*back), tmp_path / f"b{suffix}")
    same(arrays_of(load(tmp_path / f"a{suffix}")), load(tmp_path / f"b{suffix}"))
    train(*elsewhere, 1)  # it can go on there, too


def arrays_of(tree):
    """The tree with arrays in place of Variables."""
    if isinstance(tree, dict):
        return {key: arrays_of(value) for key, value in tree.items()}
    return [arrays_of(value) for value in tree] if isinstance(tree, list) else getattr(tree, "data", tree)


def test_the_optional_library_is_imported_late():
    code = "import sys, minigrad.serialization; sys.exit('safetensors' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = code.replace("minigrad.serialization", "minigrad.serialization, safetensors")  # the test can fail
    pytest.importorskip("safetensors")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
