"""The workloads of gpu.py, written once for minigrad and PyTorch. Each makes `step`, as in workloads.py.

Both begin with the same numbers (`begin`), so that the first loss tells whether they compute the same thing. Arrays
and models are made in the device's context: `with lib.device("cuda"):` means the same to both libraries.
"""

import importlib
import math
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
from workloads import chain, images, lenet_model, mlp_model
from workloads import library as cpu_library


def library(name):
    """minigrad or torch: what workloads.library has, and what a GPU takes."""
    lib, module = cpu_library(name), importlib.import_module(name)
    lib.module, lib.device, lib.no_grad = module, module.device, module.no_grad
    return lib


def synchronize(lib, device):
    """Wait until all that was asked of the device is done."""
    if device != "cpu":
        lib.module.cuda.synchronize()


def set_tf32(lib, wanted):
    """Whether products and convolutions of float32 may use TF32. PyTorch lets convolutions unless told not to."""
    lib.module.set_float32_matmul_precision("high" if wanted else "highest")
    if lib.module.__name__ == "torch":
        lib.module.backends.cudnn.allow_tf32 = wanted


def begin(lib, model):
    """The same initial values in both libraries. Norms keep their ones and zeros. Returns the model."""
    draw = np.random.default_rng(0)
    with lib.no_grad():
        for name, p in model.named_parameters():
            if len(p.shape) > 1:
                values = draw.uniform(-1, 1, tuple(p.shape)) / math.sqrt(math.prod(p.shape[1:]))
                p.copy_(lib.tensor(values.astype("f")))
            elif name.endswith("bias"):
                p.zero_()
    return model


# --- training steps ----------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "adam": lambda lib, params: lib.optim.Adam(params, lr=1e-3),
    "sgd": lambda lib, params: lib.optim.SGD(params, lr=1e-2, momentum=0.9),
}


def training(lib, device, model, loss_of, x, t, optimizer="adam", amp=False):
    begin(lib, model)
    x, t = lib.tensor(x), lib.tensor(t)
    updates = OPTIMIZERS[optimizer](lib, list(model.parameters()))
    if not amp:

        def step():
            updates.zero_grad()
            loss = loss_of(model(x), t)
            loss.backward()
            updates.step()
            return loss

        return step

    scaler = lib.module.amp.GradScaler(device)
    autocast, half = lib.module.amp.autocast, lib.module.float16

    def mixed_step():
        updates.zero_grad()
        with autocast(device, dtype=half):
            loss = loss_of(model(x), t)
        scaler.scale(loss).backward()
        scaler.step(updates)
        scaler.update()
        return loss

    return mixed_step


def mlp(lib, device, sizes, batch, **options):
    return training(lib, device, mlp_model(lib, sizes), lib.F.cross_entropy, *images(batch, sizes[:1]), **options)


def lenet(lib, device, batch, **options):
    return training(lib, device, lenet_model(lib), lib.F.cross_entropy, *images(batch, (1, 28, 28)), **options)


def convolutions(lib, device, batch, channels, size, **options):
    """3x3 convolutions with batch normalization and ReLU, pooled once."""
    nn = lib.nn
    layers = []
    for i, o in zip((3, *channels), channels, strict=False):
        layers += [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
    layers[6:6] = [nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], 10))
    return training(lib, device, model, lib.F.cross_entropy, *images(batch, (3, size, size)), **options)


def residual(lib, device, batch, channels, blocks, size, **options):
    """He et al. (2016), section 4.2: `blocks` blocks of two convolutions on each of the scales."""
    nn, F = lib.nn, lib.F

    class Block(nn.Module):
        def __init__(self, i, o):
            super().__init__()
            stride = 1 if i == o else 2
            self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(o)
            self.conv2 = nn.Conv2d(o, o, 3, padding=1, bias=False)
            self.norm2 = nn.BatchNorm2d(o)
            self.short = nn.Identity() if i == o else nn.Conv2d(i, o, 1, stride, bias=False)

        def forward(self, x):
            y = F.relu(self.norm1(self.conv1(x)))
            return F.relu(self.norm2(self.conv2(y)) + self.short(x))

    layers = [nn.Conv2d(3, channels[0], 3, padding=1, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()]
    i = channels[0]
    for o in channels:
        for _ in range(blocks):
            layers.append(Block(i, o))
            i = o
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, 10))
    return training(lib, device, model, F.cross_entropy, *images(batch, (3, size, size)), **options)


def transformer(lib, device, batch, length, width, heads, **options):
    """One block, normalized before: attention of matmul and softmax, and a perceptron with GELU."""
    nn, F = lib.nn, lib.F

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def attention(self, x):
            n, s, _ = x.shape
            q, k, v = self.qkv(x).reshape(n, s, 3, heads, width // heads).permute(2, 0, 3, 1, 4).unbind(0)
            weights = F.softmax((q * (width // heads) ** -0.5) @ k.transpose(-2, -1), dim=-1)
            return self.out((weights @ v).transpose(1, 2).reshape(n, s, width))

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    draw = np.random.default_rng(0)
    x, t = (draw.standard_normal((batch, length, width)).astype("f") for _ in range(2))
    return training(lib, device, Block(), F.mse_loss, x, t, **options)


# --- parts of a step ---------------------------------------------------------------------------------------------


def elementwise(lib, device, n):
    return chain(lib, n)


def small_parameters(lib, count, shape):
    draw = np.random.default_rng(0)
    params = [lib.nn.Parameter(lib.tensor(draw.standard_normal(shape).astype("f"))) for _ in range(count)]
    for p in params:
        p.grad = lib.tensor(draw.standard_normal(shape).astype("f"))
    return params


def optimizer_only(lib, device, count, shape, optimizer):
    params = small_parameters(lib, count, shape)
    updates = OPTIMIZERS[optimizer](lib, params)

    def step():
        updates.step()
        return params[-1]

    return step


def clipping(lib, device, count, shape):
    params = small_parameters(lib, count, shape)
    clip = lib.nn.utils.clip_grad_norm_
    return lambda: clip(params, 1.0)


# --- the table ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Workload:
    make: object
    sizes: dict  # arguments of make
    small: dict = field(default_factory=dict)  # those that a test without a GPU replaces
    tf32: bool = False
    tolerance: float = 1e-4  # of the first losses, relative: float32 is added up in other orders

    def step(self, lib, device, small=False):
        """The workload's step on `device`; with `small`, in a size for tests."""
        set_tf32(lib, self.tf32)
        with nullcontext() if device is None else lib.device(device):
            return self.make(lib, device, **(self.sizes | self.small if small else self.sizes))


LITTLE, MIDDLE, LARGE = ((64, 64, 32, 10), 32), ((784, 512, 512, 10), 128), ((784, 2048, 2048, 10), 256)


def _mlp(size, optimizer, small=((8, 6, 5, 10), 4)):
    names = "sizes", "batch"
    return Workload(mlp, dict(zip(names, size, strict=True), optimizer=optimizer), dict(zip(names, small, strict=True)))


def _amp(workload):
    return replace(workload, sizes=workload.sizes | {"amp": True}, tolerance=2e-2)


def _tf32(workload):
    return replace(workload, tf32=True, tolerance=2e-2)


CONVOLUTIONS = Workload(
    convolutions, {"batch": 64, "channels": (32, 64, 128), "size": 32}, {"batch": 2, "channels": (4, 5, 6), "size": 6}
)
RESIDUAL = Workload(
    residual,
    {"batch": 128, "channels": (16, 32, 64), "blocks": 3, "size": 32},
    {"batch": 2, "channels": (3, 4), "blocks": 1, "size": 6},
)
TRANSFORMER = Workload(
    transformer,
    {"batch": 16, "length": 256, "width": 512, "heads": 8},
    {"batch": 2, "length": 5, "width": 8, "heads": 2},
)
PARAMETERS = {"count": 100, "shape": (32, 32)}
FEW = {"count": 3, "shape": (4, 5)}

WORKLOADS = {
    "chain of 10 ops, 10 elements": Workload(elementwise, {"n": 10}),
    "chain of 10 ops, 1000 elements": Workload(elementwise, {"n": 1000}, {"n": 100}),
    "chain of 10 ops, 1e6 elements": Workload(elementwise, {"n": 1_000_000}, {"n": 1000}),
    "mlp 64-64-32-10, Adam": _mlp(LITTLE, "adam"),
    "mlp 64-64-32-10, SGD": _mlp(LITTLE, "sgd"),
    "mlp 784-512-512-10, Adam": _mlp(MIDDLE, "adam"),
    "mlp 784-512-512-10, SGD": _mlp(MIDDLE, "sgd"),
    "mlp 784-2048-2048-10, Adam": _mlp(LARGE, "adam"),
    "mlp 784-2048-2048-10, SGD": _mlp(LARGE, "sgd"),
    "mlp 784-2048-2048-10, Adam, TF32": _tf32(_mlp(LARGE, "adam")),
    "lenet": Workload(lenet, {"batch": 64}, {"batch": 2}),
    "3 convolutions": CONVOLUTIONS,
    "3 convolutions, TF32": _tf32(CONVOLUTIONS),
    "resnet of 20 layers": RESIDUAL,
    "resnet of 20 layers, TF32": _tf32(RESIDUAL),
    "transformer block": TRANSFORMER,
    "transformer block, TF32": _tf32(TRANSFORMER),
    "transformer block, float16": _amp(TRANSFORMER),
    "100 parameters, Adam alone": Workload(optimizer_only, PARAMETERS | {"optimizer": "adam"}, FEW),
    "100 parameters, SGD alone": Workload(optimizer_only, PARAMETERS | {"optimizer": "sgd"}, FEW),
    "100 parameters, clip_grad_norm_": Workload(clipping, PARAMETERS, FEW),
}
