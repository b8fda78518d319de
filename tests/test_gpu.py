"""What only a GPU can show: races, waiting, memory, sizes at which grids are full, and CuPy itself beside its double.

Runs where there is a GPU (`pytest -m gpu`, T3). So do all tests that ask for the fixture `cuda`, which elsewhere run on
the double: above all test_devices.py, the table of operations beside the CPU, and test_kernels.py, each kernel beside
the generic method of Backend that it overrides.
"""

import contextlib
import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import minigrad.backend as floor
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.backend import Backend, moved
from minigrad.backend.philox import philox
from minigrad.backend.windows import Windows
from minigrad.data import DataLoader, TensorDataset

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).resolve().parent.parent
cpu = Backend(np)


@pytest.fixture
def gpu():
    return floor.load_cuda()


@pytest.fixture
def workloads(monkeypatch):
    """benchmarks/gpu_workloads.py, and float32 products as they were afterwards."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu_workloads

    yield gpu_workloads
    mg.set_float32_matmul_precision("highest")


def draw(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def there(x):
    return moved(x, "cuda") if isinstance(x, np.ndarray) else x


def here(x):
    return floor.backend[type(x)].to_numpy(x)


def network():
    """Every family of kernels: convolution, overlapping pools, batch, layer and group norm, dropout, cross entropy."""
    return nn.Sequential(
        nn.Conv2d(3, 17, 3, padding=1),
        nn.BatchNorm2d(17),
        nn.GELU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(17, 32, 3, stride=2),
        nn.GroupNorm(4, 32),
        nn.ReLU(),
        nn.AvgPool2d(2, 1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * 6 * 6, 65),
        nn.LayerNorm(65),
        nn.Tanh(),
        nn.Linear(65, 10),
    )


# --- large arrays ------------------------------------------------------------------------------------------------

# Full grids, several blocks to a row, rows beyond 65535, and sizes that are no multiple of anything: operation ->
# (the method of Backend, its arguments). The oracle is NumPy's, in float64.
LARGE = {
    "softmax, many rows": ("softmax", lambda d: (draw(100_003, 33, dtype=d), 1)),
    "softmax, long rows": ("softmax", lambda d: (draw(3, 1_000_003, dtype=d), 1)),
    "softmax, first axis": ("softmax", lambda d: (draw(513, 1025, dtype=d), 0)),
    "log_softmax": ("log_softmax", lambda d: (draw(70_001, 65, dtype=d), 1)),
    "softmax_backward": ("softmax_backward", lambda d: (draw(70_001, 65, dtype=d), draw(70_001, 65, dtype=d) / 9, 1)),
    "log_softmax_backward": (
        "log_softmax_backward",
        lambda d: (draw(5, 99_991, dtype=d) / 99, draw(5, 99_991) - 11, 1),
    ),
    "batch norm": ("normalize", lambda d: (draw(67, 31, 33, 29, dtype=d), None, None, (0, 2, 3), 1e-5)),
    "layer norm": (
        "normalize",
        lambda d: (draw(70_001, 37, dtype=d), draw(37, dtype=d), draw(37, dtype=d), (1,), 1e-5),
    ),
    "max_pool2d": ("max_pool2d", lambda d: (draw(65, 33, 31, 37, dtype=d), Windows((3, 2), (2, 1), (1, 1, 0, 1)))),
    "sum_pool2d": ("sum_pool2d", lambda d: (draw(65, 33, 31, 37, dtype=d), Windows((3, 3), (2, 2), (1, 1, 1, 1)))),
}
TOLERANCE = {"float16": 4e-3, "float32": 2e-5, "float64": 1e-11}


def assert_close(actual, expected, dtype):
    actual = here(actual)
    assert actual.shape == expected.shape
    error = abs(actual.astype("f8") - expected) / np.maximum(1, abs(expected))
    assert error.max(initial=0) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", LARGE)
def test_large_arrays(gpu, case, dtype):
    name, make = LARGE[case]
    arguments = [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in make(dtype)]
    actual = getattr(gpu, name)(*map(there, arguments))
    expected = getattr(cpu, name)(*(a.astype("f8") if isinstance(a, np.ndarray) else a for a in arguments))
    for a, e in zip(*(y if isinstance(y, tuple) else (y,) for y in (actual, expected)), strict=True):
        assert_close(a, e, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_many_losses_and_their_gradient(dtype):
    x, t = draw(70_001, 130, dtype=dtype), np.random.default_rng(1).integers(0, 130, 70_001)
    seed, results = draw(70_001, dtype=dtype, seed=2), []
    for device, kind in (("cpu", "float64"), ("cuda", dtype)):
        v = mg.tensor(x.astype(kind), device=device, requires_grad=True)
        losses = F.cross_entropy(v, mg.tensor(t, device=device), reduction="none", label_smoothing=0.1)
        losses.backward(mg.tensor(seed.astype(kind), device=device))
        results.append((losses.data, v.grad.data))
    for expected, actual in zip(*results, strict=True):
        assert_close(actual, expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_large_convolution_and_its_gradients(dtype, stride):
    arrays = draw(33, 17, 61, 67, dtype=dtype), draw(65, 17, 3, 3, dtype=dtype) / 12, draw(65, dtype=dtype)
    results = []
    for device, kind in (("cpu", "f8"), ("cuda", dtype)):
        leaves = [mg.tensor(a.astype(kind), device=device, requires_grad=True) for a in arrays]
        y = F.conv2d(*leaves, stride=stride, padding=1)
        (y * y).mean().backward()
        results.append([y, *(leaf.grad for leaf in leaves)])
    for expected, actual in zip(*results, strict=True):
        scale = abs(expected.data).max()
        assert_close(actual.data / float(scale), expected.data / scale, dtype)


def test_sums_over_many_tensors(gpu):
    arrays = [draw(n, seed=n) for n in (5_000_011, 1, 1_048_577, *range(2, 200))]
    total = sum((a.astype("f8") ** 2).sum() for a in arrays)
    assert float(gpu.sum_of_squares([there(a) for a in arrays])) == pytest.approx(total, rel=1e-5)
    assert float(gpu.max_abs([there(a) for a in arrays])) == max(abs(a).max() for a in arrays)


def test_a_large_dropout_mask_is_that_of_the_cpu(gpu):
    shape, settings = (3_000_017,), (0.3, np.dtype("float32"), 12345, 67)
    keep = (philox(12345, 67, shape[0]) >> 8).astype("float32") * np.float32(2**-24) >= np.float32(0.3)
    expected = keep * np.float32(1 / 0.7)
    np.testing.assert_array_equal(here(gpu.dropout_mask(shape, *settings)), expected)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_adding_to_few_rows_from_many_threads_loses_nothing(gpu, dtype):
    rows = np.random.default_rng(0).integers(0, 1000, 20_000)
    x = there(np.zeros((1000, 33), dtype))
    gpu.add_at(x, (there(rows),), there(np.ones((20_000, 33), dtype)))  # small integers: exact in every order
    np.testing.assert_array_equal(here(x), np.bincount(rows, minlength=1000)[:, None].repeat(33, 1))


# --- the same again ----------------------------------------------------------------------------------------------


def problem(seed):
    """(model, images, labels) on the GPU, from a seed."""
    mg.manual_seed(seed)
    model = network().to("cuda")
    x, t = mg.randn(33, 3, 31, 29, device="cuda"), mg.randint(10, (33,), device="cuda")
    return model, x, t


def test_a_hundred_runs_are_equal_bit_for_bit():
    model, x, t = problem(0)
    first = None
    for _ in range(100):
        mg.cuda.manual_seed(1)  # the same dropout
        model.zero_grad()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        bits = [loss.numpy(force=True).tobytes(), *(p.grad.numpy().tobytes() for p in model.parameters())]
        first = first or bits
        assert bits == first


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
def test_training_twice_gives_the_same_weights(kind):
    ends = []
    for _ in range(2):
        model, x, t = problem(3)
        optimizer = kind(model.parameters(), lr=1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        ends.append([p.numpy(force=True).tobytes() for p in model.parameters()])
    assert ends[0] == ends[1]


# --- waiting -----------------------------------------------------------------------------------------------------

GATE = r"""
extern "C" __global__ void gate(const volatile int* open, unsigned long long limit) {
    unsigned long long start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (!*open && now - start < limit);
}
"""


@contextlib.contextmanager
def gate(seconds=10.0):
    """Hold the GPU's queue up. Gives a function that is True once somebody has waited for it in vain.

    A kernel spins until the host opens the gate; what is queued behind it cannot be done before. If the block ends and
    the kernel is still spinning, then no call in it can have waited for the GPU. If one has, the kernel gives up
    after `seconds`, and the event behind it has passed.
    """
    import cupy
    import cupyx

    kernel, opened = cupy.RawKernel(GATE, "gate"), cupyx.zeros_pinned(1, np.int32)
    passed = cupy.cuda.Event(disable_timing=True)
    cupy.cuda.Device().synchronize()
    kernel((1,), (1,), (np.intp(opened.ctypes.data), np.uint64(seconds * 1e9)))
    passed.record()
    try:
        yield lambda: passed.done
    finally:
        opened[0] = 1
        cupy.cuda.Device().synchronize()


def test_the_gate_notices_who_waits():
    x = mg.ones(3, device="cuda")
    (x + x).sum().item()  # kernels are loaded at their first use, which waits
    with gate() as waited:
        y = (x + x).sum()
        assert not waited()
    with gate(0.2) as waited:
        assert y.item() == 6
        assert waited()


def test_a_step_of_a_workload_waits_for_nothing(workloads):
    waiting = []
    lib = workloads.library("minigrad")
    for name, workload in workloads.WORKLOADS.items():
        step = workload.step(lib, "cuda", small=True)
        for _ in range(3):
            step()
        with gate() as waited:
            step()
            if waited():
                waiting.append(name)
    assert waiting == []


def test_copies_from_pinned_memory_do_not_wait():
    pinned = floor.load_cuda().pinned((1000, 1000), np.float32)
    pinned[...] = 3
    mg.Variable(pinned).to("cuda", non_blocking=True)
    with gate() as waited:
        y = mg.Variable(pinned).to("cuda", non_blocking=True)
        back = y.to("cpu", non_blocking=True)
        assert not waited()
    assert (back.data == 3).all()


def test_batches_fetched_ahead_are_the_loaders():
    values = draw(64, 1 << 18)
    dataset = TensorDataset(mg.Variable(values), mg.arange(64))
    for _ in range(5):  # buffers are used again while copies and products are under way
        batches = []
        for x, i in DataLoader(dataset, batch_size=3, device="cuda"):
            batches.append((x * 1.0, i * 1))
        np.testing.assert_array_equal(np.concatenate([x.numpy() for x, _ in batches]), values)
        assert np.concatenate([i.numpy() for _, i in batches]).tolist() == list(range(64))


# --- memory ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clean():
    """Nothing held on the GPU."""
    gc.collect()
    mg.cuda.empty_cache()


def train(steps):
    """Returns the bytes in use after each step but the first three."""
    model, x, t = problem(0)
    optimizer = optim.Adam(model.parameters())
    held = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        held.append(mg.cuda.memory_allocated())
    return held[3:]


@pytest.mark.usefixtures("clean")
def test_training_gives_its_memory_back():
    def held():
        gc.collect()
        mg.cuda.empty_cache()
        return mg.cuda.memory_allocated(), mg.cuda.memory_reserved()

    train(4)  # what libraries keep for good, they have taken now
    before = held()
    assert len(set(train(30))) == 1, "a step leaves memory in use"
    assert held() == before


@pytest.mark.usefixtures("clean")
def test_out_of_memory_is_told_and_survived():
    x = mg.ones(1, device="cuda")
    with pytest.raises(mg.OutOfMemoryError, match=r"mul\(.*: Out of memory allocating .* cuda:0 has .*empty_cache"):
        x.expand(10**7, 10**7) * 2.0
    assert (x + 1).item() == 2


# --- precision ---------------------------------------------------------------------------------------------------


def test_tf32_rounds_to_10_bits_and_is_off_unless_asked_for():
    x = mg.tensor(np.full((256, 256), 1 + 2**-13, "float32"), device="cuda")
    exact = 256 * (1 + 2**-13) ** 2
    assert (x @ x).numpy() == pytest.approx(exact, rel=1e-6)
    if mg.cuda.get_device_properties().major < 8:
        pytest.skip("this GPU has no TF32")
    mg.set_float32_matmul_precision("high")
    try:
        assert (x @ x).numpy() == pytest.approx(256, rel=1e-6)
    finally:
        mg.set_float32_matmul_precision("highest")
    assert (x @ x).numpy() == pytest.approx(exact, rel=1e-6)


def test_float16_products_are_summed_in_float32():
    x = mg.ones(64, 4096, device="cuda", dtype=mg.float16)
    assert ((x @ x.T).numpy() == 4096).all()  # counting in float16 ends at 2048, for 2048 + 1 is 2048 there


# --- several GPUs ------------------------------------------------------------------------------------------------


def test_between_two_gpus():
    if mg.cuda.device_count() < 2:
        pytest.skip("there is one GPU only")
    values = draw(1 << 22)
    x = mg.tensor(values, device="cuda:0", requires_grad=True)
    for _ in range(20):  # the copy must come after what writes x, and before what takes its memory
        y = (x * 2.0).to("cuda:1")
        z = (y + 1.0).to("cuda:0")
        np.testing.assert_array_equal(z.numpy(force=True), values * 2 + 1)
    z.sum().backward()
    assert y.device == "cuda:1" and x.grad.device == "cuda:0" and (x.grad.numpy() == 2).all()
    assert mg.cuda.current_device() == 0


# --- other libraries ---------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_memory_is_shared_with_pytorch():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no GPU")
    x = mg.arange(6.0, device="cuda")
    for t in (torch.from_dlpack(x), torch.as_tensor(x, device="cuda")):
        assert t.data_ptr() == x.data.data.ptr
        t += 1
        torch.cuda.synchronize()
    assert x.tolist() == [2, 3, 4, 5, 6, 7]
    import cupy

    t = torch.arange(4.0, device="cuda")
    y = mg.Variable(cupy.from_dlpack(t), requires_grad=True)
    (y * y).sum().backward()
    assert y.data.data.ptr == t.data_ptr() and y.grad.tolist() == [0, 2, 4, 6]


# --- the benchmark -----------------------------------------------------------------------------------------------


def test_the_benchmark_runs(tmp_path):
    file = tmp_path / "gpu.json"
    command = [sys.executable, ROOT / "benchmarks/gpu.py", "--only", "chain", "--rounds", "2", "--seconds", "0.01"]
    done = subprocess.run([*command, "--json", file, "--markdown"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text())
    assert report["versions"]["GPU"] == mg.cuda.get_device_name() and len(report["results"]) == 3
    assert done.stdout.splitlines()[0].startswith("Python") and "| workload | minigrad / PyTorch" in done.stdout
