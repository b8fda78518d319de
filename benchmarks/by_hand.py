"""The workloads in NumPy by hand, forward and backward: what is left when there is no framework."""

from itertools import pairwise

import numpy as np
from workloads import CHAINS, LENET, MLPS, chain_data, images


class Adam:
    def __init__(self, params):
        self.params, self.t = params, 0
        self.m, self.v, self.scratch = ([np.zeros_like(p) for p in params] for _ in range(3))

    def step(self, grads):
        self.t += 1
        size, root = 1e-3 / (1 - 0.9**self.t), (1 - 0.999**self.t) ** 0.5
        for p, g, m, v, s in zip(self.params, grads, self.m, self.v, self.scratch, strict=True):
            m *= 0.9
            np.multiply(g, 0.1, out=s)
            m += s
            v *= 0.999
            np.multiply(g, g, out=s)
            s *= 0.001
            v += s
            np.sqrt(v, out=s)
            s /= root
            s += 1e-8
            np.divide(m, s, out=s)
            s *= size
            p -= s


def chain(n):
    x, w = chain_data(n)

    def step():
        a = x * w
        b = a + x
        c = np.tanh(b)
        d = c * 0.5
        e = d - w
        f = np.exp(e)
        g = f / w
        h = g + 1.0
        y = np.sqrt(h)
        z = y * x
        z.sum()
        gx = y
        gh = x * 0.5 / y
        gf = gh / w
        gw = -(gf * g)
        ge = gf * f
        gw = gw - ge
        gb = ge * 0.5 * (1 - c * c)
        gw += gb * x
        gx = gx + gb * w + gb
        return gx, gw

    return step


def cross_entropy_gradient(scores, t):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    -np.log(e[np.arange(len(t)), t]).mean()
    e[np.arange(len(t)), t] -= 1
    e /= len(t)
    return e


def mlp(sizes, batch):
    rng = np.random.default_rng(0)
    pairs = list(pairwise(sizes))
    weights = [(rng.uniform(-1, 1, (o, i)) / i**0.5).astype("f") for i, o in pairs]
    biases = [np.zeros(o, "f") for _, o in pairs]
    x, t = images(batch, sizes[:1])
    adam = Adam(weights + biases)

    def step():
        hidden = [x]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            h = hidden[-1] @ w.T
            h += b
            hidden.append(np.maximum(h, 0, out=h))
        scores = hidden[-1] @ weights[-1].T
        scores += biases[-1]
        g = cross_entropy_gradient(scores, t)
        gw, gb = [], []
        for k in range(len(weights) - 1, -1, -1):
            gw.insert(0, g.T @ hidden[k])
            gb.insert(0, g.sum(axis=0))
            if k:
                g = g @ weights[k]
                g *= hidden[k] > 0
        adam.step(gw + gb)

    return step


def unfold(x, k):
    c, h, w, n = x.shape
    columns = np.empty((c, k, k, h - k + 1, w - k + 1, n), x.dtype)
    for i in range(k):
        for j in range(k):
            columns[:, i, j] = x[:, i : i + h - k + 1, j : j + w - k + 1]
    return columns.reshape(c * k * k, -1)


def fold(columns, shape, k):
    c, h, w, n = shape
    columns = columns.reshape(c, k, k, h - k + 1, w - k + 1, n)
    x = np.zeros(shape, columns.dtype)
    for i in range(k):
        for j in range(k):
            x[:, i : i + h - k + 1, j : j + w - k + 1] += columns[:, i, j]
    return x


QUARTERS = [(slice(None), slice(i, None, 2), slice(j, None, 2)) for i in (0, 1) for j in (0, 1)]


def pool(x):
    y = np.maximum(x[QUARTERS[0]], x[QUARTERS[1]])
    for q in QUARTERS[2:]:
        np.maximum(y, x[q], out=y)
    return y


def pool_gradient(x, y, g):
    gx, free = np.zeros_like(x), np.ones(y.shape, bool)
    for q in QUARTERS:
        mine = (x[q] == y) & free
        np.multiply(g, mine, out=gx[q])
        free ^= mine
    return gx


def lenet():
    rng = np.random.default_rng(0)
    shapes = [(16, 25), (32, 400), (128, 512), (10, 128)]
    weights = [(rng.uniform(-1, 1, s) / s[1] ** 0.5).astype("f") for s in shapes]
    biases = [np.zeros(s[0], "f") for s in shapes]
    x, t = images(64, (1, 28, 28))
    adam = Adam(weights + biases)

    def step():
        w1, w2, w3, w4 = weights
        b1, b2, b3, b4 = biases
        columns1 = unfold(np.ascontiguousarray(x.transpose(1, 2, 3, 0)), 5)
        h1 = w1 @ columns1
        h1 += b1[:, None]
        h1 = np.maximum(h1, 0, out=h1).reshape(16, 24, 24, 64)
        p1 = pool(h1)
        columns2 = unfold(p1, 5)
        h2 = w2 @ columns2
        h2 += b2[:, None]
        h2 = np.maximum(h2, 0, out=h2).reshape(32, 8, 8, 64)
        p2 = pool(h2)
        flat = p2.reshape(512, 64).T
        h3 = flat @ w3.T
        h3 += b3
        np.maximum(h3, 0, out=h3)
        scores = h3 @ w4.T
        scores += b4
        g = cross_entropy_gradient(scores, t)
        gw4, gb4 = g.T @ h3, g.sum(axis=0)
        g = g @ w4
        g *= h3 > 0
        gw3, gb3 = g.T @ flat, g.sum(axis=0)
        g = (g @ w3).T.reshape(p2.shape)
        g = pool_gradient(h2, p2, g)
        g *= h2 > 0
        g = g.reshape(32, -1)
        gw2, gb2 = g @ columns2.T, g.sum(axis=1)
        g = fold(w2.T @ g, p1.shape, 5)
        g = pool_gradient(h1, p1, g)
        g *= h1 > 0
        g = g.reshape(16, -1)
        gw1, gb1 = g @ columns1.T, g.sum(axis=1)
        adam.step([gw1, gw2, gw3, gw4, gb1, gb2, gb3, gb4])

    return step


def make(name):
    """The step of workload `name`."""
    if name in CHAINS:
        return chain(CHAINS[name])
    return lenet() if name == LENET else mlp(*MLPS[name])
