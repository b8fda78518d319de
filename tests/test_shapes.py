"""What shares memory with what, and what is refused, where tensors are reshaped, joined, cut and made."""

import re

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.errors import DTypeError, GraphError, IndexRangeError, ShapeError

OVERWRITTEN = "a value .* that mul saved for its gradient.* has been overwritten in place since"

# --- views -------------------------------------------------------------------------------------------------------

VIEWS = {
    "reshape": lambda x: x.reshape(3, 2),
    "view": lambda x: x.view(-1),
    "ravel": mg.ravel,
    "flatten": mg.flatten,
    "unflatten": lambda x: x.unflatten(1, (3, 1)),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "atleast_3d": mg.atleast_3d,
    "permute": lambda x: x.permute(1, 0),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "movedim": lambda x: x.movedim(0, 1),
    "expand": lambda x: x.expand(2, 3),
    "expand, a new axis": lambda x: x.expand(1, -1, -1),
    "expand, one number": lambda x: x.select(0, 0).select(0, 0).expand(1, 1),
    "broadcast_to": lambda x: x.broadcast_to((2, 3)),
    "split": lambda x: x.split(2, 1)[0],
    "chunk": lambda x: x.chunk(2)[1],
    "tensor_split": lambda x: x.tensor_split([1])[0],
    "tensor_split, overlapping": lambda x: x.tensor_split([2, 1], 1)[2],
    "hsplit": lambda x: x.hsplit(3)[2],
    "unbind": lambda x: x.unbind()[1],
    "an element": lambda x: x.unbind()[0].unbind()[0],
    "iteration": lambda x: next(iter(x)),
    "select": lambda x: x.select(1, 0),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "diagonal": lambda x: x.diagonal(1),
    "meshgrid": lambda x: mg.meshgrid(x[0], mg.ones(1))[0],
}

COPIES = {
    "clone": mg.clone,
    "flip": lambda x: x.flip(()),
    "flipud": mg.flipud,
    "roll": lambda x: x.roll(0),
    "rot90": lambda x: x.rot90(0),
    "repeat": lambda x: x.repeat(1, 1),
    "tile": lambda x: x.tile(1),
    "repeat_interleave": lambda x: x.repeat_interleave(1, 0),
    "repeat_interleave counts": lambda x: x.repeat_interleave(mg.tensor([1, 1]), 0),
    "cat": lambda x: mg.cat([x]),
    "stack": lambda x: mg.stack([x]),
    "diag": mg.diag,
    "diag_embed": mg.diag_embed,
    "tril": lambda x: x.tril(9),
    "triu": lambda x: x.triu(-9),
    "select_scatter": lambda x: x.select_scatter(x[0], 0, 0),
    "slice_scatter": lambda x: x.slice_scatter(x),
    "diagonal_scatter": lambda x: x.diagonal_scatter(x.diagonal()),
    "fill": lambda x: mg.fill(x, 1),
    "contiguous": lambda x: x.T.contiguous(),
}


@pytest.fixture(params=["cpu", "gpu"])
def device(request):
    """The name of a device, of each kind."""
    return "cpu" if request.param == "cpu" else request.getfixturevalue("cuda")


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_the_tape_knows(name, device):
    x = mg.ones(2, 3, device=device, requires_grad=True)
    y = (x * x).sum()
    with mg.no_grad():
        part = VIEWS[name](x)
        part.fill_(7)
    assert (x == 7).sum().item() == part.numel()
    with pytest.raises(GraphError, match=OVERWRITTEN):
        y.backward()


@pytest.mark.parametrize("name", COPIES)
def test_copies_do_not_share_memory(name, device):
    x = mg.ones(2, 3, device=device, requires_grad=True)
    y = (x * x).sum()
    with mg.no_grad():
        COPIES[name](x).fill_(7)
    assert (x == 1).all().item()
    y.backward()


@pytest.mark.parametrize("spread", [lambda x: x.expand(4, 3), lambda x: mg.meshgrid(x[0], x[0])[1]])
def test_what_stands_for_several_elements_is_not_written(spread, device):
    x = mg.ones(1, 3, device=device)
    with pytest.raises(GraphError, match=r"read-only memory \(as after expand\)"):
        spread(x).add_(1)
    assert x.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize(
    "part", [lambda x: x.T[1:], lambda x: x[:, ::2], lambda x: x.flip(0).T, lambda x: x.diagonal()]
)
def test_strided_memory_is_written(part, device):
    x = mg.zeros(4, 4, device=device)
    part(x).add_(1)


def test_windows_on_the_host_are_a_view():
    x = mg.zeros(7, device="cpu")
    assert x.unfold(0, 2, 3).fill_(1).shape == (2, 2) and x.tolist() == [1, 1, 0, 1, 1, 0, 0]
    with pytest.raises(GraphError, match="read-only memory"):
        x.unfold(0, 3, 2).fill_(1)
    with pytest.raises(GraphError, match="read-only memory"):
        mg.Variable(np.broadcast_to(0.0, (4,))).unfold(0, 2, 2).fill_(1)


def test_windows_on_a_gpu_are_a_copy(cuda):
    x = mg.zeros(4, device=cuda)
    assert x.unfold(0, 2, 2).fill_(1).tolist() == [[1, 1], [1, 1]] and x.tolist() == [0] * 4


@pytest.mark.parametrize("cut", [lambda h: h.split(1), lambda h: h.unbind(), lambda h: h.chunk(2), iter])
def test_a_recorded_write_into_a_piece(cut):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    first, second = cut(x * 2)
    first.mul_(3)
    first.sum().backward()
    assert x.grad.tolist() == [6, 0]
    with pytest.raises(GraphError, match="shares memory with a Variable that has been overwritten"):
        second * 2


@pytest.mark.parametrize(("cut", "name"), [(lambda h: h.split(1), "split"), (lambda h: h.unbind(), "unbind")])
def test_pieces_have_one_node(cut, name):
    """A gradient for each piece, as large as all of them, would make n pieces cost n * n."""
    pieces = cut(mg.ones(5, requires_grad=True) * 1)
    assert {piece.creator.edges[0] for piece in pieces} == {pieces[0].creator.edges[0]}
    assert pieces[0].creator.edges[0].name == name


# --- in place ----------------------------------------------------------------------------------------------------

RESHAPED = {
    "squeeze_": lambda x: x.squeeze_(0),
    "unsqueeze_": lambda x: x.unsqueeze_(-1),
    "transpose_": lambda x: x.transpose_(0, 1),
    "swapaxes_": lambda x: x.swapaxes_(axis0=0, axis1=1),
    "swapdims_": lambda x: x.swapdims_(0, 2),
}


@pytest.mark.parametrize("name", RESHAPED)
@pytest.mark.parametrize("recorded", [True, False])
def test_reshaping_in_place(name, recorded):
    x = mg.tensor([[[1.0, 2.0], [3.0, 4.0]]], requires_grad=True)
    h = x * x
    h.retain_grad()
    memory = h.data
    with mg.set_grad_enabled(recorded):
        assert RESHAPED[name](h) is h
    expected = getattr(mg.Tensor, name[:-1])
    assert h.shape != x.shape and h.requires_grad and callable(expected)
    weights = mg.arange(4.0).reshape(h.shape)
    (h * weights).sum().backward()
    assert h.grad.tolist() == weights.tolist()
    h.data[...] = 0
    assert (memory == 0).all()  # the same memory
    assert sorted((x.grad / x / 2).flatten().tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", RESHAPED)
def test_a_leaf_with_a_gradient_keeps_its_shape(name):
    x = mg.ones(1, 2, 3, requires_grad=True)
    for mode in (mg.enable_grad(), mg.no_grad()):
        with mode, pytest.raises(GraphError, match="_: a leaf that requires grad keeps its shape"):
            RESHAPED[name](x)
    assert x.shape == (1, 2, 3)
    assert RESHAPED[name](x.detach()).is_leaf


def test_t_in_place():
    x = mg.zeros(2, 3)
    assert x.t_() is x and x.shape == (3, 2)


@pytest.mark.parametrize("fill", [lambda h: h.zero_(), lambda h: h.fill_(3), lambda h: h.fill_(mg.tensor(3.0))])
def test_what_is_filled_stays_on_the_tape(fill):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    h = x * x
    fill(h)
    assert h.requires_grad
    (h * x).sum().backward()
    assert x.grad.tolist() == h.tolist()


def test_a_gradient_of_zero_is_zero_beside_inf():
    x = mg.ones(2, requires_grad=True)
    y = mg.fill(x, 2.0)
    y.backward(mg.tensor([np.inf, np.nan]))
    assert x.grad.tolist() == [0, 0]


def test_gradients_flow_to_what_is_filled_in():
    v = mg.tensor(3.0, requires_grad=True)
    h = mg.zeros(2, 3)
    assert h.fill_(v) is h and h.requires_grad
    h.sum().backward()
    assert v.grad.item() == 6
    assert mg.zeros(2).fill_(mg.tensor([[4]])).tolist() == [4, 4]


def test_filled_with_a_number_from_elsewhere(cuda):
    assert mg.zeros(2).fill_(mg.tensor(2.0, device=cuda)).tolist() == [2, 2]
    x = mg.zeros(2, device=cuda)
    assert x.fill_(mg.tensor(2.0)).tolist() == [2, 2] and x.fill_(mg.tensor(3, device=cuda)).tolist() == [3, 3]


# --- made --------------------------------------------------------------------------------------------------------


def test_numbers_in_float32_are_counted_exactly():
    """NumPy's own arange in float32 ends at 1001.03 here."""
    x = mg.arange(1000, 1001, 0.001)
    np.testing.assert_array_equal(x.data, np.arange(1000, 1001, 0.001).astype("f4"))
    assert mg.arange(0, 1, 0.25, dtype=mg.float16).tolist() == [0, 0.25, 0.5, 0.75]
    assert mg.arange(mg.tensor(1), np.float32(2.5)).tolist() == [1, 2]


@pytest.mark.parametrize("make", ["zeros", "ones", "full", "empty", "tensor"])
def test_new_ones_take_dtype_and_device(make, device):
    like = mg.ones(3, dtype=mg.float16, device=device)
    args = {"full": ((2,), 1), "tensor": ([1, 2],)}.get(make, (2,))
    y = getattr(like, f"new_{make}")(*args)
    assert (y.dtype, y.device, y.shape) == (mg.float16, like.device, (2,))
    y = getattr(like, f"new_{make}")(*args, dtype=mg.int32, device="cpu")
    assert (y.dtype, y.device) == (mg.int32, "cpu")
    assert getattr(like, f"new_{make}")(*args, requires_grad=True).requires_grad


@pytest.mark.parametrize("make", [mg.zeros_like, mg.ones_like, mg.empty_like, lambda x, **o: mg.full_like(x, 2, **o)])
def test_likenesses_take_shape_dtype_and_device(make, device):
    like = mg.ones(2, 3, dtype=mg.int32, device=device)
    y = make(like)
    assert (y.dtype, y.device, y.shape) == (mg.int32, like.device, (2, 3))
    y = make(like, dtype=mg.float32, device="cpu", requires_grad=True)
    assert (y.dtype, y.device, y.requires_grad) == (mg.float32, "cpu", True)


def test_triangles_of_indices_index(device):
    x = mg.arange(9, device=device).reshape(3, 3)
    rows, columns = mg.tril_indices(3, 3, device=device)
    assert rows.device == x.device and x[rows, columns].tolist() == [0, 3, 4, 6, 7, 8]
    assert mg.triu_indices(2, 3, 1).tolist() == [[0, 0, 1], [1, 2, 2]]


def test_what_is_a_tensor():
    assert mg.is_tensor(mg.ones(1)) and not mg.is_tensor(np.ones(1)) and mg.numel(mg.ones(2, 3)) == 6


def test_repeats_are_read_on_the_host(cuda):
    x, counts = mg.arange(3.0, device=cuda), mg.tensor([2, 0, 1], device=cuda)
    assert mg.repeat_interleave(x, counts).tolist() == [0, 0, 2]
    y = mg.repeat_interleave(counts)
    assert y.tolist() == [0, 0, 2] and y.device == counts.device


def test_arrays_in_arrays_out():
    a, b = np.arange(3.0), np.ones(3)
    for y in (mg.repeat_interleave(np.array([1, 2])), mg.meshgrid(a, b)[0], mg.hsplit(a, 3)[0], mg.hstack([a, b])):
        assert type(y) is np.ndarray


# --- refused -----------------------------------------------------------------------------------------------------

REFUSED = {
    "x.view(mg.int32)": (ShapeError, r"view: expected sizes, got int32; x\.to\(dtype\) converts"),
    "x.unflatten(1, (2, 2))": (ShapeError, r"unflatten: the sizes \(2, 2\) do not make the 3 of dim 1; x is \(2, 3\)"),
    "x.unflatten(1, ())": (ShapeError, "unflatten"),
    "x.unflatten(1, (-1, 2))": (ShapeError, "unflatten"),
    "x.unflatten(1, (-1, 0))": (ShapeError, "unflatten"),
    "x.unflatten(1, (-3, -1))": (ShapeError, "unflatten"),
    "x.unflatten(2, (3,))": (IndexRangeError, r"unflatten: dim 2 is outside of -2\.\.1"),
    "x.permute(dims=(0,))": (ShapeError, r"permute: \(0,\) does not name each axis"),
    "x.movedim((0, 1), 0)": (ShapeError, r"movedim: \(0, 1\) to 0 does not move each axis to a place of its own"),
    "x.movedim((0, 0), (0, 1))": (ShapeError, "movedim"),
    "x.movedim((0, 1), (1, 1))": (ShapeError, "movedim"),
    "x.movedim(0, 2)": (IndexRangeError, "movedim: dim 2"),
    "v.adjoint()": (ShapeError, r"adjoint: expected a matrix, or several, and x is \(3,\)"),
    "v.mT": (ShapeError, "adjoint"),
    "x.broadcast_to((2, 4))": (ShapeError, r"expand: x \(2, 3\) does not broadcast to \(2, 4\)"),
    "mg.cat([mg.zeros(0), mg.tensor(1.0)])": (ShapeError, "cat: tensors without axes"),
    "mg.cat([mg.zeros(0), x, v])": (ShapeError, r"cat: shapes may differ along dim 0 only"),
    "mg.cat([mg.zeros(0), x], 2)": (IndexRangeError, "cat: dim 2"),
    "mg.hstack([])": (ShapeError, "hstack: expected at least one tensor, got none"),
    "mg.vstack([x, mg.ones(2)])": (ShapeError, r"cat: shapes may differ along dim 0 only: \(2, 3\), \(1, 2\)"),
    "mg.stack([x, v])": (ShapeError, r"stack: the shapes differ: \(2, 3\), \(3,\)"),
    "s.split(1)": (IndexRangeError, r"split: x has no axes to take parts along; write x\.reshape\(1\)"),
    "s.unbind()": (IndexRangeError, "unbind: x has no axes"),
    "x.split([4, -2])": (ShapeError, r"split: the sizes \[4, -2\] add up to 2"),
    "x.chunk(0)": (ShapeError, "chunk: chunks must be at least 1, got 0"),
    "x.tensor_split(0)": (ShapeError, r"tensor_split: 2 elements along dim 0 cannot be cut into 0; x is \(2, 3\)"),
    "x.hsplit(2)": (ShapeError, "hsplit: 3 elements along dim 1 cannot be cut into 2"),
    "v.vsplit(1)": (ShapeError, r"vsplit: expected at least 2 axes, and x is \(3,\)"),
    "x.dsplit(1)": (ShapeError, "dsplit: expected at least 3 axes"),
    "x.select(1, 3)": (IndexRangeError, r"select: index 3 is outside of the 3 elements along dim 1; x is \(2, 3\)"),
    "x.select(2, 0)": (IndexRangeError, "select: dim 2"),
    "x.narrow(1, 2, 2)": (IndexRangeError, "narrow: 2 elements from 2 on are not in the 3 along dim 1"),
    "x.narrow(1, -4, 1)": (IndexRangeError, "narrow"),
    "x.narrow(1, 1, -1)": (IndexRangeError, "narrow"),
    "x.select_scatter(s, 0, 0)": (ShapeError, r"select_scatter: src must have the shape .*, \(3,\), and has \(\)"),
    "x.slice_scatter(x[:1])": (ShapeError, r"slice_scatter: src must have the shape .*, \(2, 3\), and has \(1, 3\)"),
    "x.slice_scatter(x, step=0)": (ShapeError, "slice_scatter: step must be at least 1, got 0"),
    "x.unfold(1, 4, 1)": (ShapeError, r"unfold: size must be 0 to the 3 elements along dim 1, .*; got 4 and 1, x is"),
    "x.unfold(1, 1, 0)": (ShapeError, "unfold"),
    "mg.broadcast_shapes((2,), 3)": (ShapeError, r"broadcast_shapes: \(2,\), 3 do not fit"),
    "mg.broadcast_tensors(x, mg.ones(2))": (ShapeError, r"broadcast_shapes: \(2, 3\), \(2,\) do not fit"),
    "mg.meshgrid()": (ShapeError, "meshgrid: expected tensors with one axis at most, got none"),
    "mg.meshgrid(v, x)": (ShapeError, r"meshgrid: expected tensors with one axis at most, got \(3,\), \(2, 3\)"),
    "mg.meshgrid(v, n)": (DTypeError, r"meshgrid: expected one dtype, got float32, int64; write x\.to\(dtype\)"),
    "mg.meshgrid(v, indexing='yx')": (ShapeError, 'meshgrid: indexing is "ij" or "xy", got \'yx\''),
    "x.repeat(2)": (
        ShapeError,
        r"repeat: expected a count, at least 0, for each of the 2 axes, got \(2,\); x is \(2, 3\)",
    ),
    "x.repeat(1, -1)": (ShapeError, "repeat"),
    "x.tile(-1)": (ShapeError, "tile: expected a count"),
    "x.repeat_interleave(-1)": (ShapeError, "repeat_interleave: repeats must not be negative, got -1"),
    "x.repeat_interleave(n - 2, 0)": (ShapeError, "repeat_interleave: repeats must not be negative"),
    "x.repeat_interleave(n, 1)": (
        ShapeError,
        r"repeat_interleave: expected one repeat for each of the 3 slices, got \(2",
    ),
    "x.repeat_interleave(v, 1)": (DTypeError, "repeat_interleave: repeats must be integers, got float32"),
    "x.repeat_interleave(1.5, 1)": (DTypeError, r"repeat_interleave: repeats must be integers, got 1\.5"),
    "x.repeat_interleave(2, 0, output_size=3)": (ShapeError, "repeat_interleave: output_size is 3, and .* make 4"),
    "x.flip(2)": (IndexRangeError, "flip: dim 2"),
    "x.flip(0, 0)": (IndexRangeError, "flip: an axis occurs twice"),
    "v.fliplr()": (ShapeError, r"fliplr: expected at least 2 axes, and x is \(3,\)"),
    "s.flipud()": (ShapeError, "flipud: expected at least 1 axis"),
    "x.rot90(1, (0,))": (ShapeError, r"rot90: expected two axes to turn in, got \(0,\); x is \(2, 3\)"),
    "v.rot90()": (IndexRangeError, "rot90: dim 1"),
    "x.roll((1, 2), 0)": (ShapeError, r"roll: 2 shifts for 1 axes of x \(2, 3\); expected one for each"),
    "x.roll((1, 2))": (ShapeError, "roll: 2 shifts for 0 axes"),
    "s.roll(1, 0)": (ShapeError, "roll: 1 shifts for 1 axes"),
    "v.diagonal()": (IndexRangeError, "diagonal: dim 1 is outside"),
    "x.diagonal(0, 1, -1)": (ShapeError, r"diagonal: dim1 1 and dim2 -1 are one axis of x \(2, 3\), expected two"),
    "s.diag()": (ShapeError, r"diag: expected a vector or a matrix, and x is \(\); write diagonal or diag_embed"),
    "s.diag_embed()": (IndexRangeError, "diag_embed: dim -2"),
    "x.diagonal_scatter(v)": (
        ShapeError,
        r"diagonal_scatter: src must have the shape of the diagonal, \(2,\), and has",
    ),
    "v.trace()": (ShapeError, r"trace: expected a matrix, and x is \(3,\)"),
    "v.tril()": (ShapeError, r"tril: expected at least 2 axes, and x is \(3,\)"),
    "x.fill_(v)": (ShapeError, r"fill_: expected one number, got shape \(3,\); write x\.copy_\(values\)"),
    "mg.fill(x, v)": (ShapeError, "fill: expected one number"),
    "mg.arange(5, 2)": (ShapeError, "arange: steps of 1 do not lead from 5 to 2"),
    "mg.arange(0, 2, 0)": (ShapeError, "arange: steps of 0"),
    "mg.linspace(0, 1, -1)": (ShapeError, "linspace: steps must not be negative, got -1"),
    "mg.logspace(0, 1, -1)": (ShapeError, "logspace: steps"),
    "F.pad(x, (1, 1, 1, 1, 1, 1))": (ShapeError, "pad: expected up to 4 widths"),
}


@pytest.mark.parametrize("call", REFUSED)
def test_refusals(call):
    error, message = REFUSED[call]
    space = {"x": mg.ones(2, 3), "v": mg.ones(3), "s": mg.tensor(1.0), "n": mg.tensor([1, 2]), "mg": mg, "F": F}
    with pytest.raises(error, match=message):
        eval(call, space)
    assert re.match(r"[a-z0-9_]+: ?" if ":" in message else "[a-z]", message)


# --- drawn, and asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mg.randn(2, 3)", "mg.randn(size=(2, 3))"),
        ("mg.rand((2, 3))", "mg.rand(size=[2, 3])"),
        ("mg.rand(3, dtype=mg.float16)", "mg.rand_like(input=mg.zeros(3, dtype=mg.float16))"),
        ("mg.randn(3)", "mg.randn_like(input=mg.zeros(3))"),
        ("mg.randint(9, (20,))", "mg.randint(high=9, size=(20,))"),
        ("mg.randint(9, (20,))", "mg.randint(9, size=(20,))"),
        ("mg.randint(9, (20,))", "mg.randint(0, 9, (20,))"),
        ("mg.randint(5, 9, (20,))", "mg.randint(low=5, high=9, size=(20,))"),
        ("mg.randperm(9).to(mg.int32)", "mg.randperm(9, dtype=mg.int32)"),
    ],
)
def test_random_numbers_are_asked_for_in_several_ways(one, other):
    results = []
    for text in (one, other):
        mg.manual_seed(3)
        results.append(eval(text))
    assert results[0].tolist() == results[1].tolist() and len(results[0]) > 1
    assert results[0].dtype == results[1].dtype


@pytest.mark.torch
def test_strides_and_promotion_as_in_torch():
    torch = pytest.importorskip("torch")
    for look in (
        lambda x: x,
        lambda x: x.permute(2, 0, 1),
        lambda x: x[:, 1, ::2],
        lambda x: x.expand(5, 2, 3, 4),
        lambda x: x[0, 0, 0],
    ):
        mine, theirs = look(mg.zeros(2, 3, 4)), look(torch.zeros(2, 3, 4))
        assert mine.stride() == theirs.stride()
        if mine.ndim:
            assert mine.stride(-1) == theirs.stride(-1) and mine.stride(dim=0) == theirs.stride(dim=0)
    with pytest.raises(IndexRangeError, match=r"stride: dim 3 is outside of -3\.\.2"):
        mg.zeros(2, 3, 4).stride(3)

    def operands(lib):
        whole, half = lib.zeros(2, dtype=lib.int32), lib.zeros(2, dtype=lib.float16)
        return [whole, half, lib.zeros((), dtype=lib.float64), whole > 0, 2, 2.0, True]

    for i in range(7):
        for j in range(7):
            (a, b), (t, u) = ([operands(lib)[k] for k in (i, j)] for lib in (mg, torch))
            assert str(mg.result_type(a, b)) == str(torch.result_type(t, u)).removeprefix("torch."), (i, j)


def test_limits_of_dtypes():
    assert mg.finfo(mg.float16).max == 65504 and mg.iinfo(mg.zeros(1).byte().dtype).max == 255
    assert mg.inf > mg.finfo(mg.float64).max and mg.nan != mg.nan and mg.zeros(2)[mg.newaxis].shape == (1, 2)
