"""The workloads, written once for minigrad and PyTorch: `lib` is either, with the names that both have.

Each function returns `step`, a function without arguments that does one forward, backward and (where there is a
model) optimizer step, and returns the loss. gpu_workloads.py runs these and others on a GPU.
"""

import importlib
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

MLPS = {
    "mlp 64-64-32-10, batch 32": ((64, 64, 32, 10), 32),
    "mlp 784-512-512-10, batch 128": ((784, 512, 512, 10), 128),
    "mlp 784-2048-2048-10, batch 256": ((784, 2048, 2048, 10), 256),
}
CHAINS = {"chain of 10 ops, 10 elements": 10, "chain of 10 ops, 1000 elements": 1000}
LENET = "lenet, batch 64"


def library(name):
    """minigrad or torch, with nn, optim and functional."""
    lib = importlib.import_module(name)
    return SimpleNamespace(
        tensor=lib.tensor,
        tanh=lib.tanh,
        exp=lib.exp,
        sqrt=lib.sqrt,
        sigmoid=lib.sigmoid,
        nn=importlib.import_module(f"{name}.nn"),
        F=importlib.import_module(f"{name}.nn.functional"),
        optim=importlib.import_module(f"{name}.optim"),
    )


def chain_data(n):
    rng = np.random.default_rng(0)
    return rng.uniform(0.5, 1.5, n).astype("f"), rng.uniform(0.5, 1.5, n).astype("f")


def images(batch, shape):
    rng = np.random.default_rng(0)
    return rng.standard_normal((batch, *shape)).astype("f"), rng.integers(0, 10, batch)


def chain(lib, n):
    """Ten elementwise operations and a sum."""
    x, w = (lib.tensor(a, requires_grad=True) for a in chain_data(n))

    def step():
        x.grad = w.grad = None
        y = lib.tanh(x * w + x)
        y = lib.exp(y * 0.5 - w)
        y = lib.sqrt(y / w + 1.0)
        loss = (y * x).sum()
        loss.backward()
        return loss

    return step


def training(lib, model, x, t):
    optimizer = lib.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        loss = lib.F.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step


def mlp_model(lib, sizes):
    layers = []
    for i, o in pairwise(sizes):
        layers += [lib.nn.Linear(i, o), lib.nn.ReLU()]
    return lib.nn.Sequential(*layers[:-1])


def mlp(lib, sizes, batch):
    x, t = images(batch, sizes[:1])
    return training(lib, mlp_model(lib, sizes), lib.tensor(x), lib.tensor(t))


def lenet_model(lib):
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def lenet(lib):
    x, t = images(64, (1, 28, 28))
    return training(lib, lenet_model(lib), lib.tensor(x), lib.tensor(t))


def make(name, lib):
    """The step of workload `name` with `lib`."""
    if name in CHAINS:
        return chain(lib, CHAINS[name])
    return lenet(lib) if name == LENET else mlp(lib, *MLPS[name])


NAMES = [*CHAINS, *MLPS, LENET]
