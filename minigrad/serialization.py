"""save and load: nested dictionaries, lists and tuples of arrays and plain values, in files without pickle.

A file holds the arrays under flat dotted names, and one JSON text that says how they nest:

    {"model": {"0.weight": w}, "epochs": (1, 2)}   ->   model.0.weight: w,   and the text
    {"dict": [["model", {"dict": [["0.weight", {"array": "model.0.weight"}]]}], ["epochs", {"tuple": [1, 2]}]]}

.npz: the arrays as NumPy's own members, the text as the member structure.json. .safetensors: the text as metadata.
"""

import json
import math
import os
import secrets
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .backend import Device, backend, place
from .errors import DataError, DeviceError, DTypeError, MinigradError
from .protocols import to
from .tape import Variable

VERSION = 1
MEMBER = "structure.json"  # of a .npz; arrays end in .npy, so no array can have this name
KEY = "minigrad"  # of the metadata of a .safetensors


def save(obj, path) -> None:
    """Write `obj` to the file `path`: a model's or optimizer's state_dict, or a dictionary of several.

        mg.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, "last.npz")

    The file is complete or absent: whatever happens on the way, an older file of this name stays as it was.

    Args:   obj - dictionaries (keys: str or int), lists and tuples of Variables, arrays, None, bool, int, float, str.
            path - ends in .npz (NumPy) or .safetensors (PyTorch reads it by safetensors.torch.load_file).
            Subclasses and NumPy scalars come back as the plain type.
    Raises: DTypeError for any other value, with its place in `obj`; ValueError for another ending.
    """
    write = _format("save", Path(path))[0]
    text, arrays = _flatten(obj)
    path = Path(os.path.realpath(path))  # of a link: what it points to
    if not path.parent.is_dir():
        raise FileNotFoundError(f"save: there is no folder {path.parent}")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file, text, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def load(path, map_location=None, *, weights_only: bool = True) -> Any:
    """What `save` wrote to the file `path`, with every array as a Variable, on the CPU unless map_location says more.

    A file of arrays alone, as NumPy's savez or safetensors' save_file write, comes as a flat dictionary.
    Nothing in the file is executed.

    Args:   path - ends in .npz or .safetensors.
            map_location - a device: "cuda:1". Or, as for PyTorch, a dictionary or a function; a file does not record
                devices, so every array in it is taken to come from "cpu": {"cpu": "cuda:1"} moves them, an entry for
                "cuda:0" never applies, and function(variable, "cpu") returns the Variable to take, or None for the CPU.
            weights_only - accepted for PyTorch's signature: nothing else can be in the file.
    Raises: DataError for a file that is missing, damaged, or holds what minigrad has no dtype for; ValueError for
            another ending; DeviceError for a device that is not there.
    """
    path = Path(path)
    read = _format("load", path)[1]
    located = _located(map_location)
    if not path.is_file():
        raise DataError(f"load: there is no file {path}")
    with _errors_of(path):
        text, arrays = read(path)
        variables = {name: Variable(array) for name, array in arrays.items()}
    variables = {name: located(x) for name, x in variables.items()}
    if text is None:
        return variables
    with _errors_of(path):
        return _restored(text, variables)


@contextmanager
def _errors_of(path):
    """Let what goes wrong in reading the bytes of a file be a DataError that names it."""
    try:
        yield
    except (ImportError, MemoryError, PermissionError):
        raise
    except MinigradError as error:
        raise DataError(f"load: {path}: {error}") from None
    except Exception as error:  # whatever reading bytes of unknown origin may raise
        raise DataError(f"load: {path} is damaged, or no {path.suffix} file: {error}") from error


def _located(map_location):
    """The function of a Variable on the CPU that gives it where `map_location` wants it."""
    if callable(map_location):

        def chosen(x):
            y = map_location(x, "cpu")
            if not isinstance(y, Variable | None):
                raise DTypeError(f"load: map_location returned a {type(y).__name__}; expected a Variable, or None")
            return x if y is None else y

        return chosen
    device = map_location.get("cpu") if isinstance(map_location, Mapping) else map_location
    if device is None:
        return lambda x: x
    with place(device if isinstance(device, Device) else Device(device)) as library:  # before any bytes are read
        there = library.here()
    return lambda x: to(x, device=there)


def _format(caller, path):
    formats = {".npz": (_write_npz, _read_npz), ".safetensors": (_write_safetensors, _read_safetensors)}
    try:
        return formats[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{caller}: expected a name that ends in .npz or .safetensors, got {str(path)!r}") from None


# --- the tree, and its arrays under flat names -------------------------------------------------------------------


def _flatten(obj):
    """The JSON text, and {flat name: array on the host}."""
    arrays: dict[str, np.ndarray] = {}

    def visit(x, path):
        if isinstance(x, np.generic) and x.dtype.kind in "fiubU":
            x = x.item()  # a NumPy scalar is a plain value
        if x is None or isinstance(x, (bool, int, str)):
            return x
        if isinstance(x, float):
            return float(x) if math.isfinite(x) else {"float": str(float(x))}
        if isinstance(x, dict):
            for key in x:
                if type(key) not in (str, int):
                    raise DTypeError(f"save: {_place(path)} has the key {key!r}; keys are str or int")
            return {"dict": [[key, visit(value, (*path, key))] for key, value in x.items()]}
        if isinstance(x, (list, tuple)):
            values = [visit(value, (*path, i)) for i, value in enumerate(x)]
            return values if isinstance(x, list) else {"tuple": values}
        name = _free_name(path, arrays)
        arrays[name] = _host_array(x, path)
        return {"array": name}

    try:
        return json.dumps({"version": VERSION, "tree": visit(obj, ())}, allow_nan=False), arrays
    except RecursionError:
        raise ValueError("save: nested too deeply, or something contains itself") from None


def _place(path):
    """How messages call a value: model.layers[2]."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".") or "the object"


def _host_array(x, path):
    x = x.data if isinstance(x, Variable) else x
    try:
        array = backend[type(x)].to_numpy(x)
    except DeviceError:
        raise DTypeError(
            f"save: {_place(path)} is a {type(x).__name__}; expected a dict, list, tuple, Variable, array, None, bool, "
            "int, float or str"
        ) from None
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"save: {_place(path)} is an array of {array.dtype}; expected floats, integers or bools")
    return array


def _free_name(path, taken):
    """A flat name. What zip or UTF-8 cannot hold is replaced, and `{"a.b": x, "a": {"b": y}}` needs two names."""
    name = ".".join(map(str, path)) or "array"
    name = name.replace("\0", "_").replace("\\", "_").encode("utf-8", "replace").decode()
    free, n = name, 2
    while free in taken or free == "__metadata__":  # safetensors has that one for itself
        free, n = f"{name}~{n}", n + 1
    return free


def _restored(text, variables):
    """The inverse of `_flatten`."""
    unused = set(variables)

    def visit(x):
        if isinstance(x, list):
            return [visit(value) for value in x]
        if not isinstance(x, dict):
            return x
        ((kind, content),) = x.items()
        if kind == "dict":
            return {key: visit(value) for key, value in content}
        if kind == "tuple":
            return tuple(visit(value) for value in content)
        if kind == "float":
            return float(content)
        if kind == "array" and content in variables:
            unused.discard(content)
            return variables[content]
        raise DataError(f"its structure names {kind} {content!r:.60}, which is not there")

    structure = json.loads(text)
    if structure["version"] != VERSION:
        raise DataError(f"its structure has version {structure['version']!r:.60}, and this minigrad reads {VERSION}")
    tree = visit(structure["tree"])
    if unused:
        raise DataError(f"it holds arrays that its structure does not name: {', '.join(sorted(unused)):.200}")
    return tree


# --- the two formats: write(file, text, arrays), read(path) -> text or None, arrays --------------------------------


def _write_npz(file, text, arrays):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MEMBER, text)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read_npz(path):
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()  # the checksums, before any content is believed
        if damaged is not None:
            raise DataError(f"{damaged} is damaged")
        text, arrays = None, {}
        for member in archive.namelist():
            if member == MEMBER:
                text = archive.read(member)
            else:
                with archive.open(member) as file:
                    arrays[member.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    return text, arrays


DTYPES = {
    np.dtype(name).newbyteorder("<"): code
    for name, code in {
        "bool": "BOOL", "float16": "F16", "float32": "F32", "float64": "F64",
        "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
        "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    }.items()
}  # fmt: skip


def _write_safetensors(file, text, arrays):
    numpy = _safetensors("save").numpy
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("<")
        if dtype not in DTYPES:
            raise DTypeError(f"save: safetensors cannot hold {name}, an array of {array.dtype}; write a .npz")
        arrays[name] = np.asarray(array, dtype, order="C")
    file.write(numpy.save(arrays, metadata={KEY: text}))


def _read_safetensors(path):
    with _safetensors("load").safe_open(path, framework="np") as file:
        arrays = {}
        for name in file.keys():  # noqa: SIM118 - this is no dict, and cannot be iterated over
            dtype = file.get_slice(name).get_dtype()
            if dtype not in DTYPES.values():
                dtype = {"BF16": "bfloat16"}.get(dtype, dtype)
                raise DataError(
                    f"{name} is {dtype}, which NumPy does not have; convert it first, as by PyTorch's .float()"
                )
            arrays[name] = file.get_tensor(name).copy()  # it looks at bytes, which are not for writing
        return (file.metadata() or {}).get(KEY), arrays


def _safetensors(caller):
    try:
        import safetensors.numpy  # noqa: PLC0415 - optional
    except ImportError:
        raise ImportError(
            f'{caller}: .safetensors needs a library that is not installed: pip install "minigrad-tape[safetensors]"'
        ) from None
    return safetensors
