"""default_collate: one batch of many items, as PyTorch makes it."""

import collections
import types

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import default_collate
from minigrad.errors import DTypeError, ShapeError
from minigrad.tape import Variable

Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("batch", "dtype", "values"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1.5, 2.5], "float32", [1.5, 2.5]),
        ([1, 2.5], "float32", [1.0, 2.5]),
        ([True, False], "bool", [True, False]),
        ([np.float64(1.5), np.float64(2)], "float64", [1.5, 2.0]),
        ([np.uint8(3), np.uint8(4)], "uint8", [3, 4]),
        ([np.array([1, 2], np.int32)] * 2, "int32", [[1, 2], [1, 2]]),
        ([Variable(np.array(1.0)), Variable(np.array(2.0))], "float64", [1.0, 2.0]),
        ([np.zeros(1, np.float16), Variable(np.ones(1, np.float16))], "float16", [[0.0], [1.0]]),
        ([np.zeros(1, np.float32), np.ones(1, np.int64)], "float32", [[0.0], [1.0]]),
        ([np.ones(1, np.int64), np.zeros(1, np.float32)], "float32", [[1.0], [0.0]]),
        ([np.float32(1), 2.5], "float32", [1.0, 2.5]),
    ],
)
def test_numbers_and_arrays_become_variables(batch, dtype, values):
    out = default_collate(batch)
    assert isinstance(out, Variable) and out.dtype == dtype
    assert out.data.tolist() == values


def test_python_floats_follow_the_default_dtype():
    mg.set_default_dtype(mg.float64)
    try:
        assert default_collate([0.5, 1.5]).dtype == np.float64
    finally:
        mg.set_default_dtype(mg.float32)


def as_lists(out):
    """The structure with every tensor, ours or PyTorch's, as (dtype, values)."""
    if hasattr(out, "tolist") or isinstance(out, Variable):
        array = np.asarray(out.data if isinstance(out, Variable) else out)
        return str(array.dtype), array.tolist()
    if isinstance(out, collections.abc.Mapping):
        return type(out), {key: as_lists(value) for key, value in out.items()}
    if isinstance(out, (list, tuple)):
        return type(out), [as_lists(value) for value in out]
    return out


class Config(dict):
    pass


NESTED = [
    ["a", "b"],
    [b"a", b"b"],
    [(1, "a"), (2, "b")],
    [[1, True], [2, False]],
    [Point(1, [np.zeros(2), 3]), Point(2, [np.ones(2), 4])],
    [{"x": np.float32(1), "y": (1, "u")}, {"x": np.float32(2), "y": (2, "v")}],
    [Config(x=1), Config(x=2)],
    [collections.defaultdict(list, x=1), collections.defaultdict(list, x=2)],
    [(), ()],
    [{}, {}],
    [((1, 2), {"p": Point(3, 4)}), ((5, 6), {"p": Point(7, 8)})],
]


@pytest.mark.torch
@pytest.mark.parametrize("batch", NESTED, ids=str)
def test_collate_agrees_with_pytorch(batch):
    torch_data = pytest.importorskip("torch.utils.data")
    assert as_lists(default_collate(batch)) == as_lists(torch_data.default_collate(batch))


def test_collate_keeps_structures():
    out = default_collate([{"p": Point(1, "a"), "q": (2, [0.5])}, {"p": Point(3, "b"), "q": (4, [1.5])}])
    assert type(out["p"]) is Point and out["p"].x.data.tolist() == [1, 3] and out["p"].y == ("a", "b")
    assert type(out["q"]) is list and out["q"][0].data.tolist() == [2, 4]
    assert out["q"][1][0].data.tolist() == [0.5, 1.5]
    config = default_collate([Config(x=1), Config(x=2)])
    assert type(config) is Config and config["x"].data.tolist() == [1, 2]
    assert default_collate([types.MappingProxyType({"x": 1})])["x"].data.tolist() == [1]


def test_collate_does_not_change_the_items():
    batch = [{"x": 1}, {"x": 2}]
    default_collate(batch)
    assert batch == [{"x": 1}, {"x": 2}]


def test_collate_lets_gradients_through():
    items = [Variable(np.ones(2), requires_grad=True), Variable(np.ones(2))]
    default_collate(items).backward(np.full((2, 2), 3.0))
    assert items[0].grad.data.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], ShapeError, "the batch is empty"),
        ([None, None], TypeError, "and item is NoneType; return one of these from the dataset, or pass a collate_fn"),
        ([{"tags": (1, {2})}] * 2, TypeError, r"item\['tags'\]\[1\] is set"),
        ([1j, 2j], TypeError, "item is complex"),
        ([np.array(["a"])] * 2, DTypeError, "item holds <U1; expected floats, integers or bools"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], ShapeError, r"item has shape \(2, 3\) in item 0 and \(2, 4\) in item 1"),
        ([np.zeros(2), 1.0], ShapeError, r"\(2,\) in item 0 and \(\) in item 1"),
        ([(1, 2), (1, 2), (3,)], ShapeError, "item has 2 entries in item 0 and 1 in item 2; pass a collate_fn"),
        ([{"a": 1, "b": 2}, {"a": 1}], ShapeError, r"keys \['a', 'b'\] in item 0, and item 1 lacks \['b'\]"),
    ],
)
def test_collate_refuses(batch, error, message):
    with pytest.raises(error, match=message):
        default_collate(batch)
