"""CudaBackend: arrays on NVIDIA GPUs, by CuPy. Imported when a CUDA device is first asked for.

Everything that CuPy's namespace can do is inherited, in plain `xp`. What is overridden: where arrays are made, how they
come and go, and the kernels of backend/kernels/, whose inherited versions say what they mean.
"""

import os
from contextlib import nullcontext

import cupy
import cupyx

from ..errors import DeviceError
from . import cudnn, libcudnn
from .base import Backend
from .device import Device
from .kernels import elementwise, index, multi, random, rows, scatter, windows
from .kernels import normalize as normalization
from .prefetch import Prefetcher


class CudaBackend(Backend):
    """The GPUs of this machine. Raises: DeviceError where CuPy finds none."""

    host = False
    array = cupy.ndarray
    checks_indices = os.environ.get("MINIGRAD_CHECK_INDICES", "0") == "1"
    piece_bytes = 1 << 28  # of unfolded images at a time: memory is not short here, and one large GEMM is fastest

    def __init__(self):
        super().__init__(cupy)
        self.count = _device_count()
        self.devices = [Device("cuda", i) for i in range(self.count)]
        self.elementwise = elementwise.kernels()
        if self.tf32:
            self.set_tf32(True)

    # --- where arrays lie ----------------------------------------------------------------------------------------

    def current(self) -> int:
        """The number of the GPU on which CuPy makes arrays now."""
        return cupy.cuda.runtime.getDevice()

    def here(self):
        return self.devices[self.current()]

    def number_of(self, x) -> int:
        """The number of the GPU on which `x` lies."""
        return x.data.device_id

    def device_of(self, x):
        return self.devices[x.data.device_id]

    def place(self, index):
        """A context that makes arrays on GPU number `index`; None is the current one."""
        index = self.current() if index is None else index
        if index >= self.count:
            there = "is only cuda:0" if self.count == 1 else f"are cuda:0 to cuda:{self.count - 1}"
            raise DeviceError(f'device "cuda:{index}": there {there}')
        return _Place(self, index)

    def around(self, x):
        """A context that makes arrays where `x` lies."""
        index = x.data.device_id
        return nullcontext() if index == self.current() else cupy.cuda.Device(index)

    def follow(self, x) -> None:
        """Make the GPU on which `x` lies the current one."""
        cupy.cuda.Device(x.data.device_id).use()

    # --- to and from the host ------------------------------------------------------------------------------------

    def to_numpy(self, x, non_blocking=False):
        with self.around(x):
            if not non_blocking:
                return cupy.asnumpy(x)
            return x.get(out=cupyx.empty_pinned(x.shape, x.dtype), blocking=False)

    def take(self, x, library, non_blocking=False):
        """`x`, an array of `library`, on the current GPU; x itself where it lies there."""
        if library is not self:
            # From ordinary memory the copy goes by way of a buffer of CuPy's, and x can be overwritten at once.
            pinned = x.ndim > 0 and cupy.cuda.pinned_memory.is_memory_pinned(x.ctypes.data)
            return cupy.asarray(x, blocking=pinned and not non_blocking)
        here = self.current()
        if x.data.device_id == here:
            return x
        # The copy runs on this GPU's stream. It must come after what the other one is about to write to x, and
        # before what that one will do with the memory when x is gone.
        with cupy.cuda.Device(x.data.device_id):
            x = x if x.flags.c_contiguous else cupy.ascontiguousarray(x)  # only where needed: it gives 0-d an axis
            there = cupy.cuda.get_current_stream()
            written = there.record()
        stream = cupy.cuda.get_current_stream()
        stream.wait_event(written)
        y = cupy.array(x)
        copied = stream.record()
        with cupy.cuda.Device(x.data.device_id):
            there.wait_event(copied)
        return y

    def pinned(self, shape, dtype):
        """A NumPy array in page-locked memory, from which the GPU copies while the host goes on."""
        return cupyx.empty_pinned(shape, dtype)

    def prefetcher(self, index) -> Prefetcher:
        """What copies batches to GPU number `index` while it computes."""
        return Prefetcher(index)

    # --- the GPU itself ------------------------------------------------------------------------------------------

    def set_current(self, index) -> None:
        """Make arrays on GPU number `index` from now on, in this thread."""
        cupy.cuda.Device(index).use()

    def synchronize(self) -> None:
        """Wait for the current GPU."""
        cupy.cuda.Device().synchronize()

    def properties(self) -> dict:
        """Of the current GPU."""
        facts = cupy.cuda.runtime.getDeviceProperties(self.current())
        names = {"major": "major", "minor": "minor", "multi_processor_count": "multiProcessorCount"}
        wanted = {"name": facts["name"].decode(), "total_memory": facts["totalGlobalMem"]}
        return wanted | {name: facts[theirs] for name, theirs in names.items()}

    def memory(self) -> dict:
        """Of the current GPU, in bytes."""
        pool = cupy.get_default_memory_pool()
        free, total = cupy.cuda.runtime.memGetInfo()
        return {"free": free, "total": total, "allocated": pool.used_bytes(), "reserved": pool.total_bytes()}

    def empty_cache(self) -> None:
        """Give memory that no array uses back to the GPUs."""
        for device in range(self.count):
            with cupy.cuda.Device(device):
                cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()

    def set_tf32(self, wanted: bool) -> None:
        """Let products of float32 matrices round their operands to 10 bits, which tensor cores multiply faster."""
        types = cupy._core._routines_linalg
        cupy._core.set_compute_type(cupy.float32, types.COMPUTE_TYPE_TF32 if wanted else types.COMPUTE_TYPE_DEFAULT)

    def holdings(self) -> str:
        """What CuPy's memory pool holds on the current GPU, in words."""
        held = self.memory()
        kept = held["reserved"] - held["allocated"]
        return (
            f"cuda:{self.current()} has {held['total']:,} bytes, {held['free']:,} of them free; arrays hold "
            f"{held['allocated']:,}, and {kept:,} are kept for new ones (mg.cuda.empty_cache() gives those back)"
        )

    # --- what the generic methods ask ----------------------------------------------------------------------------

    def is_writable(self, x):
        if x.flags.c_contiguous:
            return True
        reach = x.itemsize  # of what lies closer together in memory
        for step, n in sorted((abs(step), n) for step, n in zip(x.strides, x.shape, strict=True) if n > 1):
            if step < reach:
                return False
            reach += step * (n - 1)
        return True

    def scratch(self, shape, dtype):
        return cupy.empty(shape, dtype)

    def operands(self, numbers, dtype):
        return numbers

    def along_memory(self, function, a, b):
        """function(a, b), an elementwise one, with the result in the order in which `a` and `b` lie, if they lie alike.

        CuPy lays results out in the order of the axes.
        """
        if not isinstance(a, cupy.ndarray) or a.flags.c_contiguous or a.ndim < 2:
            return function(a, b)
        if isinstance(b, cupy.ndarray) and (b.strides != a.strides or b.shape != a.shape):
            return function(a, b)
        order, inverse = _memory_order(a)
        y = function(a.transpose(order), b.transpose(order) if isinstance(b, cupy.ndarray) else b)
        return y.transpose(inverse)

    def sum(self, x, axes, dtype=None, keepdims=False):
        if axes is None or x.flags.c_contiguous or x.ndim < 2:
            return x.sum(axes, dtype, None, keepdims)
        order, inverse = _memory_order(x)  # CuPy would read it in the order of the axes
        y = x.transpose(order).sum(tuple(inverse[axis] for axis in axes), dtype, None, True).transpose(inverse)
        return y if keepdims else y.reshape([n for axis, n in enumerate(y.shape) if axis not in axes])

    def sliding(self, x, axis, size, step):
        y = cupy.lib.stride_tricks.sliding_window_view(x, size, axis)
        # A copy: of the view CuPy does not tell whose memory it is, and the tape must know what is overwritten.
        return y[(slice(None),) * axis + (slice(None, None, step),)].copy()

    def products(self, a, b, out=None):
        if len(a) > 1:
            y = cupy.matmul(a, b)
        elif out is not None and out.flags.c_contiguous:
            cupy.matmul(a[0], b[0], out=out[0])
            return out
        else:  # matrices rather than a stack of one, which CuPy would convert from float16 to float32
            y = cupy.matmul(a[0], b[0])[None]
        if out is None:
            return y
        out[...] = y
        return out

    def lapack(self, name, *arrays, known=False):
        with cupyx.errstate(linalg="ignore" if known else "raise"):  # cuSOLVER's reports lie on the device
            return getattr(cupy.linalg, name)(*arrays)

    # --- kernels -------------------------------------------------------------------------------------------------

    erf = elementwise.forward("erf")
    erfc = elementwise.forward("erfc")
    erfinv = elementwise.forward("erfinv")

    add_at = index.add_at
    reduce_at = scatter.reduce_at
    dropout_mask = random.dropout_mask

    softmax = rows.softmax
    softmax_backward = rows.softmax_backward
    log_softmax = rows.log_softmax
    log_softmax_backward = rows.log_softmax_backward
    cross_entropy = rows.cross_entropy
    cross_entropy_backward = rows.cross_entropy_backward
    normalize = normalization.normalize
    normalize_backward = normalization.normalize_backward

    unfold = windows.unfold
    fold = windows.fold
    max_pool2d = windows.max_pool2d
    max_pool2d_scatter = windows.max_pool2d_scatter
    max_pool2d_gather = windows.max_pool2d_gather
    sum_pool2d = windows.sum_pool2d
    sum_pool2d_scatter = windows.sum_pool2d_scatter

    if libcudnn.asked_for():
        conv2d = cudnn.conv2d
        conv2d_weight = cudnn.conv2d_weight
        conv2d_input = cudnn.conv2d_input

    step = multi.step
    sum_of_squares = multi.sum_of_squares
    max_abs = multi.max_abs
    scale = multi.scale
    unscale = multi.unscale


def _memory_order(x):
    """(the axes of `x` from the outermost in memory on, and the transposition that undoes this order)."""
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    return order, sorted(range(x.ndim), key=order.__getitem__)


class _Place:
    """`with place as library`: arrays are made on one GPU."""

    __slots__ = ("context", "library")

    def __init__(self, library, index):
        self.library, self.context = library, cupy.cuda.Device(index)

    def __enter__(self):
        self.context.__enter__()
        return self.library

    def __exit__(self, kind, error, traceback):
        try:
            self.library.explain(error)
        finally:
            self.context.__exit__(kind, error, traceback)


def _device_count():
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(
            f"CuPy is installed, but cannot use a GPU: {error}; `nvidia-smi` shows the driver and its CUDA version, "
            f"which must be at least that of the CuPy package ({cupy.__version__})"
        ) from None
    if not count:
        raise DeviceError(
            "CuPy is installed, but sees no GPU; the environment variable CUDA_VISIBLE_DEVICES hides those that it "
            "does not name"
        )
    return count
