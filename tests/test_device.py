"""Devices: their names, where new arrays go, what moves them, and what is refused."""

import copy
import pickle
import threading

import numpy as np
import pytest

import minigrad as mg
import minigrad.data
import minigrad.nn.functional as F
from minigrad import DeviceError, IndexRangeError, OutOfMemoryError, nn

# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "name", "kind", "index"),
    [
        (("cpu",), "cpu", "cpu", None),
        (("cpu", 0), "cpu", "cpu", None),
        (("cuda",), "cuda", "cuda", None),
        (("cuda:1",), "cuda:1", "cuda", 1),
        (("cuda", 2), "cuda:2", "cuda", 2),
        ((mg.device("cuda:3"),), "cuda:3", "cuda", 3),
        ((1,), "cuda:1", "cuda", 1),
        ((np.int64(0),), "cuda:0", "cuda", 0),
    ],
)
def test_names(args, name, kind, index):
    device = mg.device(*args)
    assert (str(device), device.type, device.index) == (name, kind, index)
    assert device == name and name == device and device == mg.device(name) and hash(device) == hash(mg.device(name))
    assert repr(device) == f"device('{name}')"
    assert pickle.loads(pickle.dumps(device)) == copy.deepcopy(device) == device


def test_devices_differ():
    assert mg.device("cuda:0") != mg.device("cuda:1") and mg.device("cuda") != "cpu" and mg.device("cpu") != 3
    assert len({mg.device("cpu"), mg.device("cuda:0"), mg.device("cuda", 0)}) == 2


@pytest.mark.parametrize("args", [("tpu",), ("cuda:",), ("cuda:x",), ("cuda:-1",), ("cuda", -1), ("cpu:1",), (None,)])
def test_other_names_are_refused(args):
    with pytest.raises(DeviceError, match='expected "cpu", "cuda" or "cuda:1", got'):
        mg.device(*args)


def test_a_gpu_that_is_not_there(cuda):
    there = mg.cuda.device_count()
    for ask in (
        lambda: mg.zeros(2, device=f"cuda:{there}"),
        lambda: mg.ones(2).to(f"cuda:{there}"),
        lambda: mg.ones(2).cuda(there),
        lambda: nn.Linear(2, 2).to(f"cuda:{there}"),
        lambda: mg.cuda.synchronize(there),
    ):
        with pytest.raises(DeviceError, match=rf"cuda:{there}.*there (is only cuda:0|are cuda:0 to cuda:{there - 1})"):
            ask()


def test_a_module_that_cannot_go_stays(cuda):
    net = nn.Linear(2, 2)
    with pytest.raises(DeviceError):
        net.to("cuda:9", mg.float64)
    assert net.weight.device == "cpu" and net.weight.dtype == mg.float32


# --- where new arrays go -----------------------------------------------------------------------------------------

MAKERS = [
    "mg.zeros(2, 3, device=d)",
    "mg.ones((2,), device=d)",
    "mg.empty(2, device=d)",
    "mg.full((2,), 1.5, device=d)",
    "mg.arange(3, device=d)",
    "mg.linspace(0, 1, 3, device=d)",
    "mg.eye(2, device=d)",
    "mg.rand(2, device=d)",
    "mg.randn(2, device=d)",
    "mg.randint(3, (2,), device=d)",
    "mg.randperm(4, device=d)",
    "mg.tensor([1.0], device=d)",
    "mg.as_tensor([1.0], device=d)",
]


@pytest.mark.parametrize("line", MAKERS)
def test_makers(line, cuda):
    mg.manual_seed(3)
    here = eval(line, {"mg": mg, "d": "cpu"})
    mg.manual_seed(3)
    there = eval(line, {"mg": mg, "d": cuda})
    assert there.device == "cuda:0" and here.device == "cpu" and here.dtype == there.dtype
    if "empty" not in line:
        np.testing.assert_allclose(there.numpy(), here.numpy(), rtol=1e-6)
    with mg.device(cuda):
        assert eval(line.replace(", device=d", ""), {"mg": mg}).device == "cuda:0"
        assert eval(line, {"mg": mg, "d": "cpu"}).device == "cpu"


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "rand_like", "randn_like"])
def test_likes_go_where_their_model_is(name, cuda):
    x = mg.ones(2, 3, device=cuda, dtype=mg.float64)
    y = getattr(mg, name)(x)
    assert (y.device, y.dtype, y.shape) == (x.device, x.dtype, x.shape)
    assert getattr(mg, name)(x, device="cpu", dtype=mg.float32).device == "cpu"
    assert mg.full_like(x, 2).device == x.device


def test_contexts_nest_and_end(cuda):
    with mg.device(cuda), mg.device("cpu"):
        assert mg.zeros(1).device == "cpu"
    with pytest.raises(KeyError), mg.device(cuda):
        raise KeyError
    assert mg.zeros(1).device == "cpu"
    device = mg.device(cuda)
    with device, device:
        assert mg.zeros(1).is_cuda
    seen = []
    with device:
        thread = threading.Thread(target=lambda: seen.append(str(mg.zeros(1).device)))
        thread.start()
        thread.join()
    assert seen == ["cpu"]


def test_a_number_is_taken_from_the_context(double):
    with mg.device("cuda:1"):
        assert mg.zeros(1, device="cuda").device == "cuda:1" and mg.ones(1).device == "cuda:1"
        assert mg.Variable(np.zeros(1)).cuda().device == "cuda:1"
    with mg.cuda.device(1) as device:
        assert mg.zeros(1).device == device == "cuda:1"
    mg.cuda.set_device(1)
    assert mg.zeros(1, device="cuda").device == "cuda:1" and mg.cuda.current_device() == 1
    mg.cuda.set_device(0)


# --- moving ------------------------------------------------------------------------------------------------------


def test_moves(cuda):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x.to(cuda)
    assert y.is_cuda and not x.is_cuda and y.to("cuda:0") is y and x.to("cpu") is x
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2, 4])
    assert y.cpu().device == x.cuda().cpu().device == "cpu"
    assert x.to(0).is_cuda and x.cuda(0).is_cuda and nn.Linear(1, 1).to(0).weight.is_cuda
    assert y.to("cpu", mg.float64).dtype == mg.float64 and x.to(y).is_cuda
    np.testing.assert_array_equal(y.detach().numpy(), [1, 2])
    assert y.to(cuda, copy=True) is not y
    assert mg.tensor(y.data).device == y.device and mg.as_tensor(y.detach()).is_cuda
    (first,) = mg.grad((x.to(cuda) ** 3).sum(), x, create_graph=True)
    (second,) = mg.grad(first.sum(), x)
    np.testing.assert_allclose(second.data, [6, 12])


def test_between_two_gpus(double):
    x = mg.tensor([1.0, 2.0], device="cuda:0", requires_grad=True)
    y = (x * 2).to("cuda:1")
    z = (y * y).cpu().to("cuda:0")
    z.sum().backward()
    assert (x.grad.device, y.device, z.device) == ("cuda:0", "cuda:1", "cuda:0")
    np.testing.assert_allclose(x.grad.numpy(), [8, 16])
    with pytest.raises(DeviceError, match=r"mul: argument 0 \(2,\) is on cuda:0, argument 1 \(2,\) is on cuda:1; "):
        x * y
    with pytest.raises(DeviceError, match="matmul: argument 0"):
        mg.ones(2, 2, device="cuda:0") @ mg.ones(2, 2, device="cuda:1")


@pytest.mark.parametrize(
    "call",
    [
        "x + y", "y - x", "x @ y", "mg.where(x > 0, x, y)", "x > y", "mg.maximum(x, y)", "mg.cat([x, y])", "x ** y",
        "F.linear(x, y)", "F.cross_entropy(x, mg.tensor([0, 1]))", "F.mse_loss(x, y)", "x.add_(y)", "y.mul_(x)",
        "F.nll_loss(x, mg.tensor([0, 1]))", "F.conv2d(x.reshape(1, 1, 2, 2), y.reshape(1, 1, 2, 2))",
        "F.cross_entropy(x, mg.tensor([0, 1], device='cuda'), mg.ones(2))", "F.layer_norm(x, 2, mg.ones(2))",
        "mg.take_along_dim(x, mg.tensor([[0], [1]]), 1)", "x.__setitem__(0, y[0])", "y.__setitem__(0, x[0])",
        "y[mg.tensor([0], device='cuda')]",
    ],
)  # fmt: skip
def test_arrays_of_two_devices_are_refused(call, cuda):
    names = {"mg": mg, "F": F, "x": mg.ones(2, 2, device=cuda), "y": mg.ones(2, 2)}
    with pytest.raises(
        DeviceError, match=r"is on (cpu|cuda:0), .* is on (cpu|cuda:0); all must be on one device: write"
    ):
        eval(call, names)
    assert (names["x"].numpy() == 1).all() and (names["y"].data == 1).all()


def test_numbers_and_lists_go_anywhere(cuda):
    x = mg.ones(3, device=cuda)
    for y in (
        x + 1,
        2 * x,
        x + np.float64(1),
        mg.add(x, [1, 2, 3]),
        x**2,
        x > 0,
        mg.where(x > 0, 1.0, 0.0),
        mg.clamp(x, 0, 1),
    ):
        assert y.device == x.device
    x[0] = 5
    x[[1, 2]] = [7.0, 8.0]
    assert x.tolist() == [5, 7, 8]
    assert x[np.array([0, 2])].tolist() == [5, 8] and x[[True, False, True]].tolist() == [5, 8]
    assert x[x > 6].tolist() == [7, 8]


# --- what a Variable on a GPU is to others -----------------------------------------------------------------------


def test_conversions(cuda):
    x = mg.tensor([[1.0, 2.0]], device=cuda)
    assert float(x[0, 1]) == 2 and x.tolist() == [[1, 2]] and x.sum().item() == 3 and bool((x > 0).all())
    assert repr(x) == "Variable([[1., 2.]], device='cuda:0')"
    with pytest.raises(TypeError, match=r"this Variable is on cuda:0, .* write x\.numpy\(\) or x\.cpu\(\)"):
        np.asarray(x)
    with pytest.raises(TypeError):
        np.concatenate([x.data])
    twin = copy.deepcopy(x)
    assert twin.device == x.device and twin.data is not x.data
    assert x.__cuda_array_interface__["shape"] == (1, 2)
    assert not hasattr(mg.ones(1), "__cuda_array_interface__")
    assert x.__dlpack_device__() == (2, 0)


def test_written_in_place(cuda):
    x = mg.zeros(2, 3, device=cuda)
    x.fill_(2).add_(1).copy_(mg.ones(3) * 4)
    assert x.tolist() == [[4] * 3] * 2
    x.uniform_()
    x.normal_()
    x.zero_()
    with pytest.raises(mg.GraphError, match="read-only memory"):
        mg.ones(1, device=cuda).expand(3).fill_(0)


# --- what goes wrong there ---------------------------------------------------------------------------------------


def test_a_class_number_out_of_range(cuda):
    x, wrong = mg.zeros(2, 3, device=cuda), mg.tensor([0, 3], device=cuda)
    assert np.isnan(F.cross_entropy(x, wrong, reduction="none").numpy()).tolist() == [False, True]
    mg.cuda.check_indices()
    try:
        with pytest.raises(IndexRangeError, match="target 3 is outside of the 3 classes"):
            F.cross_entropy(x, wrong)
        with pytest.raises(IndexRangeError, match="index 3 is outside of the 2 elements of axis 0"):
            x[wrong]
    finally:
        mg.cuda.check_indices(False)


@pytest.mark.parametrize("index", [[0, 2], np.array([0, -3]), [[True, False, True]]])
def test_an_index_of_the_host_is_always_checked(index, cuda):
    x = mg.zeros(2, 3, device=cuda)
    with pytest.raises(IndexRangeError, match=r"(index|mask)"):
        x[index]
    with pytest.raises(IndexRangeError, match=r"(index|mask)"):
        x[index] = 1


def test_ignored_targets(cuda):
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("f")
    for target in ([0, -100, 2, 1], [-100] * 4):
        for weight in (None, [1.0, 2.0, 0.5]):
            for smoothing in (0.0, 0.1):
                ran = []
                for device in ("cpu", cuda):
                    v = mg.tensor(x, device=device, requires_grad=True)
                    w = None if weight is None else mg.tensor(weight, device=device)
                    loss = F.cross_entropy(v, mg.tensor(target, device=device), w, label_smoothing=smoothing)
                    loss.backward()
                    ran.append((loss.numpy(force=True), v.grad.numpy()))
                np.testing.assert_allclose(*(r[0] for r in ran), rtol=1e-5)
                np.testing.assert_allclose(*(r[1] for r in ran), rtol=1e-4, atol=1e-6)


def test_out_of_memory_says_what_was_asked_and_what_is_held(double):
    import cupy

    pool = cupy.get_default_memory_pool()
    x = mg.ones(1000, 8, device="cuda", requires_grad=True)
    pool.set_limit(size=40_000)
    try:
        message = r"mul\(float32 \(1000, 8\)\): Out of memory allocating 32,.* cuda:0 has .* bytes.*empty_cache.*batch"
        with pytest.raises(OutOfMemoryError, match=message) as caught:
            x * 2
        assert isinstance(caught.value, MemoryError)
    finally:
        pool.set_limit(size=0)
    y = (x * 2 * x).sum()
    pool.set_limit(size=pool.used_bytes() + 512)
    try:
        with pytest.raises(OutOfMemoryError, match=r"backward.*Out of memory"):
            y.backward()
    finally:
        pool.set_limit(size=0)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mg.zeros(100_000, device="cuda:1"),
        lambda x: mg.ones(100_000).to("cuda:1"),
        lambda x: mg.tensor(np.zeros(100_000), device="cuda:1"),
        lambda x: nn.Linear(1000, 1000).to("cuda:1"),
        lambda x: F.dropout(x),
        lambda x: x.clone(),
        lambda x: x[mg.zeros(100_000, dtype=mg.int64).numpy()],
    ],
)
def test_out_of_memory_wherever_arrays_are_made(call, double):
    import cupy

    x = mg.ones(10_000, device="cuda:1")
    with cupy.cuda.Device(1):
        pool = cupy.get_default_memory_pool()
        pool.set_limit(size=60_000)
    try:
        with pytest.raises(OutOfMemoryError, match=r"Out of memory allocating .*cuda:1 has .* bytes, .*empty_cache"):
            call(x)
        assert mg.cuda.current_device() == 0
    finally:
        with cupy.cuda.Device(1):
            pool.set_limit(size=0)


def test_out_of_memory_on_the_host(monkeypatch):
    with pytest.raises(
        OutOfMemoryError, match=r"add\(float32 \(1, 4194304\), float32 \(4194304, 1\)\): Unable to allocate"
    ):
        mg.zeros(1, 1 << 22) + mg.zeros(1 << 22, 1)


def test_memory_comes_back(cuda):
    before = mg.cuda.memory_allocated()
    x = mg.ones(1000, device=cuda, requires_grad=True)
    assert mg.cuda.memory_allocated() - before == 4096
    (x * x).sum().backward()
    del x
    assert mg.cuda.memory_allocated() == before
    mg.cuda.empty_cache()
    free, total = mg.cuda.mem_get_info()
    assert 0 < free <= total and mg.cuda.memory_reserved() >= 0
    assert isinstance(mg.cuda.get_device_name(), str) and mg.cuda.get_device_properties().total_memory == total


# --- random numbers ----------------------------------------------------------------------------------------------


def test_dropout_is_seeded_and_its_state_kept(cuda):
    x = mg.ones(1000, device=cuda)
    mg.manual_seed(1)
    first, second = F.dropout(x).numpy(), F.dropout(x).numpy()
    assert (first != second).any() and set(np.unique(first)) == {0, 2}
    assert 400 < (first == 0).sum() < 600
    mg.manual_seed(1)
    np.testing.assert_array_equal(F.dropout(x).numpy(), first)
    state = mg.cuda.get_rng_state()
    np.testing.assert_array_equal(F.dropout(x).numpy(), second)
    mg.cuda.set_rng_state(state)
    np.testing.assert_array_equal(F.dropout(x).numpy(), second)
    mg.cuda.manual_seed(1)
    np.testing.assert_array_equal(F.dropout(x).numpy(), first)


def test_gpus_draw_different_numbers(double):
    mg.manual_seed(1)
    a, b = (F.dropout(mg.ones(1000, device=d)).numpy() for d in ("cuda:0", "cuda:1"))
    assert (a != b).any()


# --- precision ---------------------------------------------------------------------------------------------------


def test_tf32_is_a_switch(double):
    import cupy

    assert mg.get_float32_matmul_precision() == "highest"
    mg.set_float32_matmul_precision("high")
    types = cupy._core._routines_linalg
    assert cupy._core.get_compute_type(np.dtype("f")) == types.COMPUTE_TYPE_TF32
    mg.set_float32_matmul_precision("highest")
    assert cupy._core.get_compute_type(np.dtype("f")) == types.COMPUTE_TYPE_DEFAULT
    with pytest.raises(ValueError, match='"highest", "high" or "medium", got \'low\''):
        mg.set_float32_matmul_precision("low")
