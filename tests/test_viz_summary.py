"""viz.summary: what it counts, by hand and with PyTorch; what its rows say; that nothing has happened afterwards."""

import math
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import Function, MinigradError, ShapeError, nn, viz
from minigrad.viz.summaries.flops import MULT_ADDS

MG = SimpleNamespace(nn=nn, F=F, lib=mg)


def module_of(function, **members):
    """A module whose forward is `function(self, ...)`, in which these modules and parameters are."""
    made = type("Net", (nn.Module,), {"forward": function})()
    for name, member in members.items():
        setattr(made, name, member)
    return made


def count(function, *shapes):
    """The multiply-adds of a function of arguments in these shapes."""
    made = module_of(lambda self, *args: function(*args))
    return viz.summary(made, tuple(mg.rand(s) for s in shapes)).total_mult_adds


# --- networks, written for minigrad and PyTorch alike ----------------------------------------------------------------


def lenet(to):
    n = to.nn
    features = n.Sequential(
        *(n.Conv2d(1, 6, 5, padding=2), n.ReLU(), n.AvgPool2d(2)),
        *(n.Conv2d(6, 16, 5), n.ReLU(), n.AvgPool2d(2)),
    )
    classifier = n.Sequential(n.Flatten(), n.Linear(400, 120), n.ReLU(), n.Linear(120, 84), n.ReLU(), n.Linear(84, 10))
    return n.Sequential(features, classifier)


def convolutions(to):
    n = to.nn
    return n.Sequential(
        n.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=False),
        n.BatchNorm2d(8),
        n.Conv2d(8, 8, (3, 2), dilation=2, groups=8),
        n.Conv2d(8, 3, 1),
        n.AdaptiveAvgPool2d(1),
    )


def transformer(to, width=8, heads=2, words=11, blocks=2, classes=None):
    """A small one, whose output layer has the weight of the embedding."""
    n = to.nn

    class Attention(n.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.proj = n.Linear(width, 3 * width), n.Linear(width, width)

        def forward(self, x):
            b, t, d = x.shape
            q, k, v = (y.reshape(b, t, heads, d // heads).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
            weights = to.F.softmax(q @ k.transpose(-1, -2) * (d // heads) ** -0.5, -1)
            return self.proj((weights @ v).transpose(1, 2).reshape(b, t, d))

    class Block(n.Module):
        def __init__(self):
            super().__init__()
            self.ln1, self.attn, self.ln2 = n.LayerNorm(width), Attention(), n.LayerNorm(width)
            self.mlp = n.Sequential(n.Linear(width, 4 * width), n.GELU(), n.Linear(4 * width, width))

        def forward(self, x):
            x = x + self.attn(self.ln1(x))
            return x + self.mlp(self.ln2(x))

    class Transformer(n.Module):
        def __init__(self):
            super().__init__()
            self.words = n.Parameter(to.lib.zeros(words, width))
            self.blocks = n.ModuleList([Block() for _ in range(blocks)])
            self.ln, self.head = n.LayerNorm(width), n.Linear(width, words, bias=False)
            self.head.weight = self.words

        def forward(self, i):
            x = self.words[i]
            for block in self.blocks:
                x = block(x)
            return self.head(self.ln(x))

    return Transformer()


def products(to):
    """What PyTorch counts of functional calls."""
    n = to.nn

    class Products(n.Module):
        def forward(self, a, b):
            lib = to.lib
            y = lib.einsum("bij,bjk->bik", a, b) + lib.bmm(a, b)
            y = lib.baddbmm(y, a, b) + lib.matmul(a[0], b) + lib.tensordot(a, b[0], 1)
            return lib.addmm(y[0], a[0], b[0]) + lib.einsum("ij,jk,kl->il", a[0], b[0], lib.mm(b[0].T, b[0]))

    return Products()


class Cell(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.ih, self.hh = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, x, h):
        return mg.tanh(self.ih(x) + self.hh(h))


class Recurrent(nn.Module):
    """A cell and an activation, called in turns."""

    def __init__(self, steps=5):
        super().__init__()
        self.steps, self.cell, self.act, self.out = steps, Cell(3, 4), nn.Tanh(), nn.Linear(4, 2)

    def forward(self, x):
        h, states = mg.zeros(x.shape[0], 4), []
        for t in range(self.steps):
            h = self.act(self.cell(x[:, t], h))
            states.append(h)
        return {"out": self.out(h), "states": states, "none": None}


class Tied(nn.Module):
    """The same module under two names, a weight in two modules, a list, a module that is not called."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.again = self.fc
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.fc.weight
        self.unused = nn.Linear(2, 2)
        self.scale = nn.Parameter(mg.ones(3))
        self.list = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.act = nn.ReLU()

    def forward(self, x):
        for layer in self.list:
            x = self.act(layer(x))
        return self.tied(self.again(self.fc(self.fc(x))))


# --- multiply-adds by hand -------------------------------------------------------------------------------------------

BY_HAND = [
    (F.linear, [(2, 3), (5, 3)], 2 * 3 * 5),
    (F.linear, [(2, 3), (5, 3), (5,)], 2 * 3 * 5),  # the bias is added, not multiplied
    (F.linear, [(4, 2, 3), (5, 3), (5,)], 4 * 2 * 3 * 5),
    (F.linear, [(3,), (5, 3)], 3 * 5),
    (F.linear, [(0, 3), (5, 3)], 0),
    (mg.matmul, [(2, 3), (3, 4)], 2 * 3 * 4),
    (mg.matmul, [(6, 1, 2, 3), (5, 3, 4)], 6 * 5 * 2 * 3 * 4),
    (mg.matmul, [(7, 2, 3), (3, 4)], 7 * 2 * 3 * 4),
    (mg.matmul, [(3,), (3,)], 3),
    (lambda a, b: a @ b, [(2, 3), (3,)], 2 * 3),
    (mg.mm, [(2, 3), (3, 4)], 2 * 3 * 4),
    (mg.bmm, [(5, 2, 3), (5, 3, 4)], 5 * 2 * 3 * 4),
    (mg.mv, [(2, 3), (3,)], 2 * 3),
    (mg.dot, [(3,), (3,)], 3),
    (mg.addmm, [(4,), (2, 3), (3, 4)], 2 * 3 * 4),
    (lambda *args: mg.addmm(*args, beta=0.5, alpha=2.0), [(4,), (2, 3), (3, 4)], 2 * 3 * 4),
    (mg.addmv, [(2,), (2, 3), (3,)], 2 * 3),
    (mg.addbmm, [(2, 4), (5, 2, 3), (5, 3, 4)], 5 * 2 * 3 * 4),
    (mg.baddbmm, [(2, 4), (5, 2, 3), (5, 3, 4)], 5 * 2 * 3 * 4),
    (mg.inner, [(2, 3), (4, 3)], 2 * 3 * 4),
    (lambda a, b: mg.tensordot(a, b, 2), [(2, 3, 4), (3, 4, 5)], 2 * 3 * 4 * 5),
    (lambda a, b: mg.einsum("bqd,bkd->bqk", a, b), [(2, 3, 4), (2, 5, 4)], 2 * 3 * 5 * 4),
    (lambda a, b, c: mg.einsum("ij,jk,kl->il", a, b, c), [(2, 3), (3, 4), (4, 50)], 2 * 3 * 4 + 2 * 4 * 50),
    (lambda a, b, c: mg.linalg.multi_dot([a, b, c]), [(9, 2), (2, 9), (9, 1)], 2 * 9 + 9 * 2),
    (lambda a: mg.linalg.matrix_power(a, 2), [(3, 3)], 27),
    (mg.cdist, [(30, 2), (4, 2)], 30 * 4 * 2),  # one product of matrices for more than 25 points
    (mg.cdist, [(3, 2), (4, 2)], 0),
    (mg.outer, [(3,), (4,)], 0),  # element by element
    (lambda a: mg.einsum("ii->", a), [(3, 3)], 0),
    (lambda a, b: (a * b + mg.exp(a)).sum(), [(3, 4), (3, 4)], 0),
    (F.conv2d, [(2, 3, 8, 8), (5, 3, 3, 3)], 2 * 5 * 6 * 6 * 3 * 9),
    (F.conv2d, [(2, 3, 8, 8), (5, 3, 3, 3), (5,)], 2 * 5 * 6 * 6 * 3 * 9),
    (F.conv2d, [(3, 8, 8), (5, 3, 3, 3)], 5 * 6 * 6 * 3 * 9),
    (lambda x, w: F.conv2d(x, w, stride=2, padding=1), [(2, 3, 8, 8), (5, 3, 3, 3)], 2 * 5 * 4 * 4 * 3 * 9),
    (lambda x, w: F.conv2d(x, w, dilation=(2, 1)), [(2, 3, 8, 8), (5, 3, 3, 2)], 2 * 5 * 4 * 7 * 3 * 6),
    (lambda x, w: F.conv2d(x, w, groups=3), [(2, 3, 8, 8), (6, 1, 3, 3)], 2 * 6 * 6 * 6 * 1 * 9),
    (lambda x, w: F.conv2d(x, w, padding="same"), [(1, 4, 5, 7), (2, 4, 3, 3)], 2 * 5 * 7 * 4 * 9),
]


@pytest.mark.parametrize(("function", "shapes", "expected"), BY_HAND)
def test_multiply_adds_by_hand(function, shapes, expected):
    assert count(function, *shapes) == expected


def test_a_second_use_counts_again_and_backward_does_not():
    def twice(a, b):
        b.requires_grad_()
        with mg.enable_grad():
            (g,) = mg.grad((a @ b).sum(), [b])
        return a @ b + g.sum()

    assert count(twice, (2, 3), (3, 4)) == 2 * 24


class Attend(Function):
    """Made of others."""

    def forward(self, q, k):
        return mg.matmul(q, k.swapaxes(-1, -2))

    def backward(self, gy, q, k):
        return gy @ k, gy.swapaxes(-1, -2) @ q


class Number(Function):
    """Whose result is no array."""

    def forward(self, x):
        return float(x.sum())


class Around(Function):
    """Whose part is made of others."""

    def forward(self, q, k):
        return Attend()(q, k) * 2

    def backward(self, gy):
        return None, None


@pytest.mark.parametrize("cls", [Attend, Around])
def test_the_parts_of_an_operation_count(cls):
    assert count(lambda a, b: cls()(a, b), (5, 2, 3), (5, 4, 3)) == 5 * 2 * 4 * 3


def test_the_parts_of_an_operation_that_is_counted_itself_do_not(monkeypatch):
    monkeypatch.setitem(MULT_ADDS, Attend, lambda node, y, q, k: 1000)
    assert count(lambda a, b: Attend()(a, b), (5, 2, 3), (5, 4, 3)) == 1000


def test_subclasses_are_counted_as_their_base(monkeypatch):
    monkeypatch.setitem(MULT_ADDS, Attend, lambda node, y, q, k: 1000)
    assert count(lambda a, b: type("Mine", (Attend,), {})()(a, b), (5, 2, 3), (5, 4, 3)) == 1000


def test_lenet_by_hand():
    found = viz.summary(lenet(MG), input_size=(32, 1, 28, 28), depth=None)
    layers = {row.path: row.mult_adds for row in found.summary_list if row.mult_adds}
    by_hand = {"0.0": 6 * 28 * 28 * 25, "0.3": 16 * 10 * 10 * 6 * 25, "1.1": 400 * 120, "1.3": 120 * 84, "1.5": 840}
    sums = {"0": by_hand["0.0"] + by_hand["0.3"], "1": 400 * 120 + 120 * 84 + 840, "": sum(by_hand.values())}
    assert layers == {path: 32 * n for path, n in (by_hand | sums).items()}
    assert found.total_mult_adds == 32 * sum(by_hand.values())
    assert found.total_params == 61_706


NETWORKS = {
    "lenet": (lenet, [(2, 1, 28, 28)], "f"),
    "convolutions": (convolutions, [(2, 4, 13, 12)], "f"),
    "transformer": (transformer, [(3, 5)], "i"),
    "products": (products, [(4, 3, 3), (4, 3, 3)], "f"),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", NETWORKS)
def test_torch_counts_the_same(name):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    make, shapes, kind = NETWORKS[name]
    theirs = make(SimpleNamespace(nn=torch.nn, F=torch.nn.functional, lib=torch)).eval()
    inputs = [torch.rand(s) if kind == "f" else torch.zeros(s, dtype=torch.int64) for s in shapes]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(*inputs)
    found = viz.summary(make(MG), input_size=shapes, dtypes="float32" if kind == "f" else "int64")
    assert 2 * found.total_mult_adds == counter.get_total_flops() > 0
    assert found.total_params == sum(p.numel() for p in theirs.parameters())


# --- the rows --------------------------------------------------------------------------------------------------------


def test_the_table():
    net = nn.Sequential({"conv": nn.Conv2d(1, 2, 3), "act": nn.ReLU()})
    net.conv.requires_grad_(False)
    net.register_buffer("steps", mg.zeros(3))
    found = viz.summary(nn.Sequential(net, nn.Flatten(), nn.Linear(72, 10)), input_size=(5, 1, 8, 8))
    assert str(found) == repr(found) == TABLE.strip("\n")


TABLE = """
===================================================================
Layer (type (var_name):depth-idx)  Output Shape  Param #  Mult-Adds
===================================================================
Sequential                         [5, 10]            --         --
├─Sequential (0): 1-1              [5, 2, 6, 6]       --         --
│    ├─Conv2d (0.conv): 2-1        [5, 2, 6, 6]     (20)      3,240
│    └─ReLU (0.act): 2-2           [5, 2, 6, 6]       --         --
├─Flatten (1): 1-2                 [5, 72]            --         --
└─Linear (2): 1-3                  [5, 10]           730      3,600
===================================================================
Total params: 750
Trainable params: 730
Non-trainable params: 20
Buffers: 3
Total mult-adds (k): 6.84
===================================================================
Input size (kB): 1.28
Forward/backward pass size (kB): 6.16
Params size (kB): 3.00
Buffers size (B): 12
Estimated Total Size (kB): 10.45
===================================================================
"""  # 6.16 kB: 2 * 4 * (360 + 360 + 50) bytes


def lines(found):
    """The lines of the layers, without runs of spaces."""
    text = str(found).split("=\n")[2]
    return [re.sub(r"  +", "  ", line).strip() for line in text.splitlines() if not line.startswith("=")]


def test_reused_tied_and_unused():
    net = Tied()
    found = viz.summary(net, mg.ones(2, 4))
    assert lines(found) == [
        "Tied  [2, 4]  3  --",
        "├─ModuleList (list): 1-1  --  --  --",
        "│  ├─Linear (list.0): 2-1  [2, 4]  20  32",
        "│  └─Linear (list.1): 2-2  [2, 4]  20  32",
        "├─ReLU (act): 1-2  [2, 4]  --  --",
        "├─ReLU (act): 1-3  [2, 4]  (recursive)  --",
        "├─Linear (fc): 1-4  [2, 4]  20  32",
        "├─Linear (fc): 1-5 × 2  [2, 4]  (recursive)  64",
        "├─Linear (tied): 1-6  [2, 4]  4 + 16 shared  32",
        "└─Linear (unused): 1-7  (not called)  6  --",
    ]
    assert found.total_params == sum(p.data.size for p in net.parameters()) == 3 + 20 + 4 + 6 + 40


def test_recurrent_steps_are_one_period():
    found = viz.summary(Recurrent(steps=28), input_size=(5, 28, 3))
    assert lines(found) == [
        "Recurrent  {out: [5, 2], states: (28 × [5, 4]), none: None}  --  --",
        "├─Cell (cell): 1-1  [5, 4]  --  --",
        "│  ├─Linear (cell.ih): 2-1  [5, 4]  16  60",
        "│  └─Linear (cell.hh): 2-2  [5, 4]  20  80",
        "├─Tanh (act): 1-2  [5, 4]  --  --",
        "├─Cell (cell): 1-3 × 27  [5, 4]  (recursive)  3,780",
        "├─Tanh (act): 1-4 × 27  [5, 4]  (recursive)  --",
        "└─Linear (out): 1-5  [5, 2]  10  40",
    ]


def test_calls_that_differ_are_shown_each():
    def forward(self, x):
        return self.fc(x), self.fc(x[:1]), self.fc(x)

    found = viz.summary(module_of(forward, fc=nn.Linear(3, 3)), input_size=(2, 3))
    assert [(r.output_size, r.own_mult_adds, r.is_recursive) for r in found.summary_list[1:]] == [
        ((2, 3), 18, False),
        ((1, 3), 9, True),
        ((2, 3), 18, True),
    ]


def test_a_block_that_is_reused_shows_once_what_is_in_it():
    block = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    block.add_module("aside", module_of(None))
    block.forward = lambda x: block[1](block[0](x))
    net = module_of(lambda self, x: self.block(self.block(self.block(x))), block=block)
    found = viz.summary(net, input_size=(2, 3))
    assert lines(found) == [
        "Net  [2, 3]  --  --",
        "├─Sequential (block): 1-1  [2, 3]  --  --",
        "│  ├─Linear (block.0): 2-1  [2, 3]  12  18",
        "│  ├─ReLU (block.1): 2-2  [2, 3]  --  --",
        "│  └─Net (block.aside): 2-3  (not called)  --  --",
        "└─Sequential (block): 1-2 × 2  [2, 3]  (recursive)  36",
    ]


def test_a_block_that_is_reused_with_other_shapes_shows_what_is_in_it():
    def forward(self, x):
        return self.block(x).sum() + self.block(x[:1]).sum() + self.block(x[:1]).sum()

    found = viz.summary(module_of(forward, block=nn.Sequential(nn.Linear(3, 3))), input_size=(2, 3))
    names = [(r.path, r.output_size, r.repeats) for r in found.summary_list[1:]]
    assert names == [("block", (2, 3), 1), ("block.0", (2, 3), 1)] + [("block", (1, 3), 1), ("block.0", (1, 3), 1)] * 2


def test_the_transformer_counts_attention_where_it_runs():
    found = viz.summary(transformer(MG), input_size=(3, 5), dtypes="int64", depth=None)
    rows = {row.path: row for row in found.summary_list}
    attention = 2 * 3 * 2 * 5 * 5 * 4  # scores and values: batch 3, 2 heads, 5 x 5, 4 each
    assert rows["blocks.0.attn"].own_mult_adds == attention
    assert rows["blocks.0.attn"].mult_adds == attention + 3 * 5 * (8 * 24 + 8 * 8)
    assert rows["head"].shared_params == 88 and rows["head"].own_params == 0 and rows[""].own_params == 88
    assert [r.class_name for r in found.summary_list[:4]] == ["Transformer", "ModuleList", "Block", "LayerNorm"]
    assert not rows["blocks"].executed and rows["blocks"].reached


@pytest.mark.parametrize("depth", [0, 1, 2, 3, None])
def test_what_is_deeper_counts_for_the_layer_around(depth):
    net, names = transformer(MG), ("num_params", "mult_adds")
    found = viz.summary(net, input_size=(3, 5), dtypes="int64", depth=depth, col_names=names)
    cells = [line.rsplit("  ", 2)[1:] for line in lines(found)]
    numbers = [[0 if not x[0].isdigit() or "shared" in x else int(x.replace(",", "")) for x in row] for row in cells]
    assert [sum(column) for column in zip(*numbers, strict=True)] == [found.total_params, found.total_mult_adds]
    assert len(cells) == {0: 1, 1: 4, 2: 6, 3: 14, None: 24}[depth]


EVERYTHING = {
    "lenet": lambda: (lenet(MG), mg.ones(2, 1, 28, 28)),
    "transformer": lambda: (transformer(MG), mg.zeros(3, 5, dtype="int64")),
    "recurrent": lambda: (Recurrent(), mg.ones(2, 5, 3)),
    "tied": lambda: (Tied(), {"x": mg.ones(2, 4)}),
}


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_rows_add_up(name):
    net, inputs = EVERYTHING[name]()
    next(net.parameters()).requires_grad = False
    found = viz.summary(net, inputs)
    rows = found.summary_list
    assert sum(r.own_params for r in rows) == found.total_params == sum(p.data.size for p in net.parameters())
    assert not any(r.own_params or r.shared_params for r in rows if r.is_recursive)
    assert sum(r.own_trainable for r in rows) == found.trainable_params < found.total_params
    assert found.non_trainable_params == next(net.parameters()).data.size
    assert sum(r.own_mult_adds for r in rows) == found.total_mult_adds == rows[0].mult_adds
    assert rows[0].num_params == found.total_params
    assert {path for path, _ in net.named_modules()} == {r.path for r in rows}
    assert len({(r.depth, r.depth_index) for r in rows}) == len(rows)
    assert asdict(rows[0])["class_name"] == found.name == type(net).__name__


def test_lists_and_dicts_of_modules():
    def forward(self, x):
        return self.heads["b"](self.layers[1](self.layers[0](x)))

    net = module_of(forward, layers=nn.ModuleList([nn.Linear(2, 2), nn.ReLU()]), empty=nn.ModuleList())
    net.heads = nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.Linear(2, 4)})
    assert lines(viz.summary(net, input_size=(1, 2))) == [
        "Net  [1, 4]  --  --",
        "├─ModuleList (layers): 1-1  --  --  --",
        "│  ├─Linear (layers.0): 2-1  [1, 2]  6  4",
        "│  └─ReLU (layers.1): 2-2  [1, 2]  --  --",
        "├─ModuleDict (heads): 1-2  --  --  --",
        "│  ├─Linear (heads.b): 2-3  [1, 4]  12  8",
        "│  └─Linear (heads.a): 2-4  (not called)  9  --",
        "└─ModuleList (empty): 1-3  (not called)  --  --",
    ]


def test_a_module_called_from_elsewhere_than_what_holds_it():
    net = module_of(lambda self, x: self.user(x))
    net.holder = nn.Sequential(nn.Linear(3, 3))
    net.user = module_of(lambda self, x: self.borrowed[0](x))
    net.user.borrowed = [net.holder[0]]  # in a plain list: not registered there
    assert lines(viz.summary(net, input_size=(2, 3))) == [
        "Net  [2, 3]  --  --",
        "├─Net (user): 1-1  [2, 3]  --  --",
        "│  └─Linear (holder.0): 2-1  [2, 3]  12  18",
        "└─Sequential (holder): 1-2  (not called)  --  --",
    ]


def test_a_part_called_past_the_module_around_it_before_and_after():
    def forward(self, x):
        x = self.block[0](x)
        x = self.block(x)
        return self.block[0](x)

    found = viz.summary(module_of(forward, block=nn.Sequential(nn.Linear(3, 3))), input_size=(2, 3))
    assert [(r.path, r.executed, r.repeats) for r in found.summary_list] == [
        ("", True, 1),
        ("block", True, 1),
        ("block.0", True, 1),
        ("block.0", True, 2),
    ]
    assert found.total_mult_adds == sum(r.own_mult_adds for r in found.summary_list) == 3 * 18


def test_a_module_that_calls_itself():
    def forward(self, x, n=3):
        return self.fc(x) if n == 0 else self(x, n - 1)

    found = viz.summary(module_of(forward, fc=nn.Linear(2, 2)), input_size=(1, 2))
    assert [r.depth for r in found.summary_list] == [0, 1, 2, 3, 4]
    assert found.total_mult_adds == 4 and found.total_params == 6


def test_a_shared_module_stands_under_the_name_it_has_where_it_is_called():
    net = module_of(lambda self, x: self.decoder(self.encoder(x)))
    net.encoder, net.decoder = nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.ReLU(), nn.Linear(2, 2))
    net.decoder.add_module("1", net.encoder[0])
    rows = viz.summary(net, input_size=(1, 2)).summary_list
    assert [(r.path, r.is_recursive) for r in rows[1:]] == [
        *(("encoder", False), ("encoder.0", False)),
        *(("decoder", False), ("decoder.0", False), ("decoder.1", True)),
    ]


OUTPUTS = [
    (lambda x: None, None, "None"),
    (lambda x: (x, x.sum()), [(2, 3), ()], "([2, 3], [])"),
    (lambda x: {"a": x, 1: [x, None]}, {"a": (2, 3), "1": [(2, 3), None]}, "{a: [2, 3], 1: ([2, 3], None)}"),
    (lambda x: 3.5, "float", "float"),
    (lambda x: [], [], "()"),
    (lambda x: x[:0], (0, 3), "[0, 3]"),
    (lambda x: (x,) * 9, [(2, 3)] * 9, "(9 × [2, 3])"),
    (lambda x: [x[:, :n] for n in (0, 1, 2, 3, 0, 1)], [(2, n) for n in (0, 1, 2, 3, 0, 1)], "[2, 2], and 3 more)"),
]


@pytest.mark.parametrize(("function", "size", "text"), OUTPUTS)
def test_outputs(function, size, text):
    found = viz.summary(module_of(lambda self, x: function(x)), input_size=(2, 3))
    assert found.summary_list[0].output_size == size
    assert text in lines(found)[0]


def test_layers_that_the_forward_makes_when_it_first_runs():
    def forward(self, x):
        if not hasattr(self, "fc"):
            self.fc = nn.Linear(x.shape[1], 2)
        return self.fc(x)

    found = viz.summary(module_of(forward), input_size=(4, 3))
    assert [(r.path, r.output_size, r.mult_adds) for r in found.summary_list] == [("", (4, 2), 24), ("fc", (4, 2), 24)]


def test_a_model_that_calls_others_before_itself():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.fc = nn.Linear(2, 2), nn.Linear(2, 2)

        def __call__(self, x):
            return super().__call__(self.before(x) @ x.T @ x)

        def forward(self, x):
            return self.fc(x)

    found = viz.summary(Wrapped(), input_size=(3, 2))
    assert [(r.path, r.executed) for r in found.summary_list] == [("", True), ("before", True), ("fc", True)]
    assert found.summary_list[0].own_mult_adds == 2 * 3 * 3 * 2


def test_no_parameters_no_layers():
    found = viz.summary(module_of(lambda self: mg.ones(2)), ())
    assert lines(found) == ["Net  [2]  --  --"]
    assert found.total_params == found.total_mult_adds == found.total_input == 0
    assert "Input size (B): 0" in str(found)


def test_without_an_input_nothing_runs():
    def forward(self, x):
        raise AssertionError("was called")

    found = viz.summary(module_of(forward, fc=nn.Linear(2, 3), list=nn.ModuleList([nn.ReLU()])))
    assert lines(found) == [
        "Net  --",
        "├─Linear (fc): 1-1  9",
        "└─ModuleList (list): 1-2  --",
        "└─ReLU (list.0): 2-1  --",
    ]
    assert found.total_mult_adds is found.total_input is found.input_size is None
    assert "Mult-Adds" not in str(found) and "Params size (B): 36" in str(found)


def test_memory_by_hand():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Flatten())
    net.register_buffer("steps", mg.zeros(3, dtype="int64"))
    found = viz.summary(net, mg.ones(2, 2, 4))
    assert found.total_input == 2 * 2 * 4 * 4
    assert found.total_param_bytes == (4 * 8 + 8) * 4
    assert found.total_buffer_bytes == 3 * 8 and found.total_buffers == 3
    assert found.total_output_bytes == 2 * 2 * (2 * 2 * 8) * 4  # a view, as flatten's, is no memory of its own
    assert found.total_bytes == 64 + 160 + 24 + 512


RESULTS = [
    (lambda a, b: Around()(a, b), [(5, 2, 3), (5, 4, 3)], 5 * 2 * 4),  # its parts are gone when it ends
    (lambda a: F.layer_norm(a, (3,)), [(2, 3)], 6),
    (lambda a: a.chunk(3, 1), [(2, 3)], 0),
    (lambda a: Number()(a), [(2, 3)], 0),
    (lambda a: mg.linalg.qr(a), [(3, 2)], 6 + 4),  # two outputs
    (lambda a: a.reshape(3, 2).T[1:] + 1, [(2, 3)], 3),
    (lambda a: a + a, [()], 1),
]


@pytest.mark.parametrize(("function", "shapes", "numbers"), RESULTS)
def test_memory_of_results(function, shapes, numbers):
    net = module_of(lambda self, *args: function(*args))
    assert viz.summary(net, input_size=list(shapes)).total_output_bytes == 2 * 4 * numbers


# --- columns and texts -----------------------------------------------------------------------------------------------


def test_all_columns():
    net = nn.Sequential(nn.Conv2d(1, 2, (3, 2)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 1))
    net[0].bias.requires_grad = False
    names = "input_size output_size num_params params_percent kernel_size mult_adds trainable".split()
    assert lines(viz.summary(net, input_size=(1, 1, 6, 8), col_names=names)) == [
        "Sequential  [1, 1, 6, 8]  [1, 1]  --  --  --  --  Partial",
        "├─Conv2d (0): 1-1  [1, 1, 6, 8]  [1, 2, 4, 7]  14  51.85%  [3, 2]  336  Partial",
        "├─MaxPool2d (1): 1-2  [1, 2, 4, 7]  [1, 2, 2, 3]  --  --  [2]  --  --",
        "├─Flatten (2): 1-3  [1, 2, 2, 3]  [1, 12]  --  --  --  --  --",
        "└─Linear (3): 1-4  [1, 12]  [1, 1]  13  48.15%  --  12  True",
    ]


def test_ascii_only():
    made = module_of(lambda self, x: (self.fc(self.fc(self.fc(x))), x, x), fc=nn.Linear(2, 2))
    made.add_module("größe", nn.ReLU())
    text = str(viz.summary(made, input_size=(1, 2), row_settings=["ascii_only", "var_names"]))
    assert text.isascii()
    assert r"+-ReLU (gr\xf6\xdfe)" in text and "Linear (fc) x 2" in text and "(3 x [1, 2])" in text


@pytest.mark.parametrize("name", ["<b>&\"'", "名前", "a\nb\tc\x1b[31m", "'; --", "😀"])
def test_any_name(name):
    net = nn.Sequential({name: nn.Linear(2, 2), "plain": nn.ReLU()})
    found = viz.summary(net, input_size=(1, 2))
    rows = str(found).splitlines()[3:6]
    assert len(rows) == 3 and all(c.isprintable() for row in rows for c in row)
    page = found._repr_html_()
    assert "<b>" not in page and page.count("<tr>") == 4 == page.count("</tr>")
    if name == "名前":  # two columns of a terminal each
        assert rows[1].index("[1, 2]") == rows[2].index("[1, 2]") - 2


def test_html_has_what_the_text_has():
    found = viz.summary(Tied(), mg.ones(2, 4))
    page = re.sub(r"<[^>]*>", "|", found._repr_html_())
    for text in ("Layer (type (var_name):depth-idx)", "└─Linear (unused): 1-7", "4 + 16 shared", "Total params: 73"):
        assert text in page


def test_sizes_in_their_units():
    net = nn.Linear(2000, 1000)
    text = str(viz.summary(net, input_size=(1000, 2000)))
    for line in ("Total mult-adds (G): 2.00", "Params size (MB): 8.00", "Total params: 2,001,000"):
        assert line in text


# --- the input -------------------------------------------------------------------------------------------------------


def seen(*args, net=None, **options):
    """What the forward was given."""
    given = []

    def forward(self, *args, **kwargs):
        given.append((args, kwargs))
        return self.fc.weight

    made = net or module_of(forward, fc=nn.Linear(2, 2))
    viz.summary(made, *args, **options)
    return given[-1]


def described(x):
    if isinstance(x, mg.Variable):
        return f"{x.dtype}{x.shape}"
    if isinstance(x, (tuple, list)):
        return [described(y) for y in x]
    return {k: described(y) for k, y in x.items()} if isinstance(x, dict) else x


INPUTS = [
    (lambda: [mg.ones(2, 3)], {}, ["float32(2, 3)"], {}),
    (lambda: [(mg.ones(2), mg.ones(3))], {}, ["float32(2,)", "float32(3,)"], {}),
    (lambda: [[mg.ones(2), None, "text", 2.5]], {}, ["float32(2,)", None, "text", 2.5], {}),
    (lambda: [{"x": mg.ones(2), "n": 3}], {}, [], {"x": "float32(2,)", "n": 3}),
    (lambda: [([mg.ones(2), mg.ones(3)],)], {}, [["float32(2,)", "float32(3,)"]], {}),
    (lambda: [np.ones((2, 3))], {}, ["float32(2, 3)"], {}),  # in the parameters' dtype
    (lambda: [np.ones((2, 3), "int32")], {}, ["int32(2, 3)"], {}),
    (lambda: [mg.ones(2, dtype="float64")], {}, ["float64(2,)"], {}),  # a Variable is taken at its word
    (lambda: [mg.ones(2)], {"n": 3}, ["float32(2,)"], {"n": 3}),
    (list, {"n": 3}, [], {"n": 3}),
    (lambda: [()], {}, [], {}),
    (lambda: [(4, 2)], {}, ["float32(4, 2)"], {}),  # a shape, as torchinfo takes it
    (lambda: [[(4, 2), (3,)]], {}, ["float32(4, 2)", "float32(3,)"], {}),
    (list, {"input_size": (4, 2)}, ["float32(4, 2)"], {}),
    (list, {"input_size": [4, 2]}, ["float32(4, 2)"], {}),
    (list, {"input_size": [(4, 2), ()]}, ["float32(4, 2)", "float32()"], {}),
    (list, {"input_size": (0, 2)}, ["float32(0, 2)"], {}),
    (list, {"input_size": {"x": (4, 2)}}, [], {"x": "float32(4, 2)"}),
    (list, {"input_size": (4, 2), "dtypes": "int64"}, ["int64(4, 2)"], {}),
    (list, {"input_size": [(1,), (2,)], "dtypes": [mg.int64, "float64"]}, ["int64(1,)", "float64(2,)"], {}),
    (list, {"input_size": (np.int64(4), 2), "dtypes": bool}, ["bool(4, 2)"], {}),
]


@pytest.mark.parametrize(("positional", "options", "args", "kwargs"), INPUTS)
def test_inputs(positional, options, args, kwargs):
    given = seen(*positional(), **options)
    assert [described(x) for x in given[0]] == args and described(given[1]) == kwargs


def test_what_is_made_lies_where_the_parameters_are_and_is_the_same_each_time():
    nets = [nn.Linear(2, 2).double(), nn.BatchNorm1d(2, affine=False).half(), nn.ReLU()]
    kinds = [viz.summary(net, input_size=(3, 2), col_names=["input_size"]).total_input for net in nets]
    assert kinds == [3 * 2 * 8, 3 * 2 * 2, 3 * 2 * 4]
    (a,), (b,) = seen(input_size=(3, 2))[0], seen(input_size=(3, 2))[0]
    np.testing.assert_array_equal(a, b)
    assert a.data.min() >= 0 and a.data.max() < 1 and a.data.std() > 0


def test_the_parameters_device(cuda):
    net = nn.Linear(2, 2).to(cuda)
    assert viz.summary(net, input_size=(3, 2)).total_mult_adds == 12
    assert viz.summary(net, np.ones((3, 2))).total_mult_adds == 12


def test_what_is_given_twice_stays_one_and_what_is_given_is_not_written():
    x = mg.ones(3)

    def forward(self, a, b):
        assert a is b and a is not x
        a += 1
        return a * self.scale

    viz.summary(module_of(forward, scale=nn.Parameter(mg.ones(3))), (x, x))
    np.testing.assert_array_equal(x, np.ones(3))


def test_an_input_that_requires_grad_does():
    (x,), _ = seen(mg.ones(2, requires_grad=True))
    assert x.requires_grad and x.grad is None


WRONG = [
    (lambda: viz.summary(lambda x: x, (2, 3)), TypeError, "the model must be a module, and is a function"),
    *(
        (lambda x=x: viz.summary(nn.Linear(2, 3), x), TypeError, f"a Variable, an array, or input_size=.*not a {said}")
        for x, said in [(8, "int"), ([[1.0, 2.0]], "list of float"), (([1.5],), "tuple of float"), ("x", "str")]
    ),
    (lambda: viz.summary(nn.Linear), TypeError, "the model must be a module, and is a type"),
    (lambda: viz.summary([nn.Linear(1, 1)]), TypeError, "must be a module, and is a list"),
    (lambda: viz.summary(nn.ReLU(), mode="test"), MinigradError, "mode: 'test' is none of 'eval', 'train', 'same'"),
    (lambda: viz.summary(nn.ReLU(), depth=-1), MinigradError, "depth must be a number of at least 0, or None, and is"),
    (lambda: viz.summary(nn.ReLU(), depth="all"), MinigradError, "depth must be a number .* and is 'all'"),
    (lambda: viz.summary(nn.ReLU(), col_names=["size"]), MinigradError, "col_names: 'size' is none of 'input_size'"),
    (lambda: viz.summary(nn.ReLU(), row_settings=["x"]), MinigradError, "row_settings: 'x' is none of 'depth'"),
    (lambda: viz.summary(nn.ReLU(), mg.ones(1), input_size=(1,)), MinigradError, "input_data and input_size are both"),
    (lambda: viz.summary(nn.ReLU(), (1, 2), input_size=(1,)), MinigradError, "input_data and input_size are both"),
    (lambda: viz.summary(nn.ReLU(), mg.ones(1), dtypes="int64"), MinigradError, "input_size makes, which is not given"),
    (lambda: viz.summary(nn.ReLU(), input_size=()), ShapeError, "input_size must be a shape as .*, got \\(\\)"),
    (lambda: viz.summary(nn.ReLU(), input_size=7), ShapeError, "input_size must be a shape .*, got 7"),
    (lambda: viz.summary(nn.ReLU(), input_size=(2, 3.0)), ShapeError, r"must be a shape .*, got \(2, 3.0\)"),
    (lambda: viz.summary(nn.ReLU(), input_size=(2, -1)), ShapeError, "no negative sizes"),
    (lambda: viz.summary(nn.ReLU(), input_size=[(1,), (2,)], dtypes=["int64"]), ShapeError, "1 dtypes for the 2"),
    (lambda: viz.summary(nn.Linear(1, 1), col_name=["x"]), TypeError, "'col_name' is no option of summary, and no arg"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_options(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- errors in the forward -------------------------------------------------------------------------------------------


def notes_of(net, *args, **options):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each test says which
        viz.summary(net, *args, **options)
    return caught.value, "\n".join(getattr(caught.value, "__notes__", []))


def test_an_error_says_where_and_what_ran():
    error, notes = notes_of(lenet(MG), input_size=(32, 1, 20, 28))
    assert isinstance(error, ShapeError) and "linear: x has 240 features, weight expects 400" in str(error)
    assert notes.endswith(
        "viz.summary: the error came in 1.1 (Linear), given [32, 240]; before it ran\n"
        "    (1 more)\n"
        "    0.1 (ReLU): [32, 6, 20, 28] -> [32, 6, 20, 28]\n"
        "    0.2 (AvgPool2d): [32, 6, 20, 28] -> [32, 6, 10, 14]\n"
        "    0.3 (Conv2d): [32, 6, 10, 14] -> [32, 16, 6, 10]\n"
        "    0.4 (ReLU): [32, 16, 6, 10] -> [32, 16, 6, 10]\n"
        "    0.5 (AvgPool2d): [32, 16, 6, 10] -> [32, 16, 3, 5]\n"
        "    1.0 (Flatten): [32, 16, 3, 5] -> [32, 240]"
    )
    assert notes.count("viz.summary") == 1


def raising(self, x):
    raise KeyError("here")


def caught_and_other(self, x):
    try:
        self.bad(x)
    except KeyError:
        x = self.fc(x)
    raise ValueError("later")


def turned_into_another(self, x):
    try:
        self.bad(x)
    except KeyError as error:
        raise ValueError("turned") from error


def from_below(self, x):
    return self.bad(self.fc(x))


FAILING = [
    (raising, KeyError, r"came in Net, given \[1, 2\]; before it ran nothing"),
    (from_below, KeyError, r"came in bad \(Net\), given \[1, 2\]; before it ran\n    fc \(Linear\): .* -> \[1, 2\]$"),
    (caught_and_other, ValueError, r"came in Net, given \[1, 2\]; before it ran\n    fc \(Linear\)"),
    (turned_into_another, ValueError, r"came in Net, given \[1, 2\]; before it ran nothing"),
    (lambda self, x, y: x, TypeError, r"came in Net, given \[1, 2\]"),
]


@pytest.mark.parametrize(("forward", "kind", "expected"), FAILING)
def test_which_layer_failed(forward, kind, expected):
    error, notes = notes_of(module_of(forward, fc=nn.Linear(2, 2), bad=module_of(raising)), input_size=(1, 2))
    assert type(error) is kind
    assert re.search(expected, notes), notes


def test_an_error_of_a_hook():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net[1].register_forward_pre_hook(raising)
    error, notes = notes_of(net, input_size=(1, 2))
    assert type(error) is KeyError
    assert re.search(r"came in 1 \(ReLU\), given \[1, 2\]; before it ran\n    0 \(Linear\)", notes)


def test_an_error_before_the_forward_has_no_place():
    class Stubborn(nn.Linear):
        def train(self, mode=True):
            raise RuntimeError("I stay as I am")

    error, notes = notes_of(Stubborn(2, 2), input_size=(1, 2))
    assert type(error) is RuntimeError and notes == ""


def test_an_error_that_the_model_handles_is_none():
    def forward(self, x):
        try:
            return self.bad(x)
        except KeyError:
            return self.fc(x)

    found = viz.summary(module_of(forward, fc=nn.Linear(2, 2), bad=module_of(raising)), input_size=(1, 2))
    assert [(r.path, r.depth, r.output_size) for r in found.summary_list] == [
        ("", 0, (1, 2)),
        ("bad", 1, None),
        ("fc", 1, (1, 2)),
    ]


# --- nothing has happened --------------------------------------------------------------------------------------------


def state_of(net):
    """What must be the same afterwards, as plain values."""
    return {
        "training": [m.training for m in net.modules()],
        "arrays": [(id(x), id(x.data), x.tolist()) for x in (*net.parameters(), *net.buffers())],
        "grads": [(id(p.grad), p.grad if p.grad is None else p.grad.tolist()) for p in net.parameters()],
        "hooks": [len(m._hooks) for m in net.modules()],
        "names": [name for name, _ in net.named_modules()],
        "random": str(mg.get_rng_state()),
        "mode": mg.is_grad_enabled(),
    }


def busy(fails):
    """A network that draws, counts, and takes gradients of its own, in which some modules are in training mode."""

    def forward(self, x):
        y = self.body(x) + mg.rand_like(x)
        with mg.enable_grad():
            self.body[0](x).sum().backward()
        self.steps += 1
        if fails:
            raise KeyError("late")
        return y

    net = module_of(forward, body=nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)))
    net.register_buffer("steps", mg.zeros(1))
    net.body[0].weight.grad = mg.ones(3, 3)
    net.body[1].eval()
    net.body[0].register_forward_hook(lambda *_: None)
    return net


@pytest.mark.parametrize("mode", ["eval", "train", "same"])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_has_happened(mode, fails):
    net = busy(fails)
    before = state_of(net)
    if fails:
        with pytest.raises(KeyError):
            viz.summary(net, input_size=(4, 3), mode=mode)
    else:
        viz.summary(net, input_size=(4, 3), mode=mode)
    assert state_of(net) == before


MODES = {"eval": [False] * 3, "train": [True] * 3, "same": [True, True, False]}


@pytest.mark.parametrize(("mode", "expected"), MODES.items())
def test_modes(mode, expected):
    flags = []

    def forward(self, x):
        flags.append([m.training for m in self.modules()])
        assert not mg.is_grad_enabled()
        return self.b(self.a(x))

    net = module_of(forward, a=nn.Linear(2, 2), b=nn.ReLU())
    net.b.eval()
    viz.summary(net, input_size=(1, 2), mode=mode)
    assert flags == [expected]


def test_the_summary_does_not_hold_the_model():
    import gc
    import weakref

    net = Tied()
    alive = weakref.ref(net)
    found = viz.summary(net, mg.ones(2, 4))
    del net
    gc.collect()
    assert alive() is None and found.total_params == 73


def test_the_same_text_in_every_process():
    code = (
        "import test_viz_summary as t; from minigrad import viz\n"
        "print(*(viz.summary(net, x) for net, x in (make() for make in t.EVERYTHING.values())), sep='\\n')"
    )
    folder = Path(__file__).parent
    texts = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1] and texts[0].count(b"Total params") == 4


def test_many_calls_stay_a_short_table():
    found = viz.summary(Recurrent(steps=400), mg.ones(1, 400, 3))
    assert len(found.summary_list) == 8
    assert found.total_mult_adds == 400 * (12 + 16) + 8
    assert math.isclose(found.summary_list[0].mult_adds, found.total_mult_adds)
