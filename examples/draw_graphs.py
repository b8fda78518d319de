"""Draw computational graphs: networks, their repeats, gradients that vanish, the birth of a NaN.

    python examples/draw_graphs.py                       all of them, as SVG, into runs/graphs
    python examples/draw_graphs.py digits transformer --format png html
    python examples/draw_graphs.py lstm --unrolled --format html

The names of graphs come first. Graphviz draws SVG, PNG and PDF: `apt install graphviz`, or pip install "graphviz-pure".
HTML of a graph needs nothing; that of `steps` needs Graphviz too.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from train_digits import Net
from train_mnist import LeNet

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz


class Attention(nn.Module):
    """Self-attention. (n, length, width) -> the same."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = F.softmax(q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5, dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    """A block of a transformer, with normalization first. Source: R. Xiong et al., arXiv:2002.04745, figure 1(b)."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """(n, length, width) -> (n, classes)."""

    def __init__(self, width=64, heads=4, blocks=12, classes=10):
        super().__init__()
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class LSTMCell(nn.Module):
    """Source: S. Hochreiter, J. Schmidhuber, Neural Computation 9 (1997); with the forget gate of F. Gers (2000)."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.input = nn.Linear(inputs, 4 * hidden)
        self.hidden = nn.Linear(hidden, 4 * hidden)

    def forward(self, x, h, c):
        i, f, g, o = (self.input(x) + self.hidden(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class LSTM(nn.Module):
    """Reads the rows of an image one by one. (n, rows, columns) -> (n, 10)."""

    def __init__(self, columns=28, hidden=32):
        super().__init__()
        self.cell = LSTMCell(columns, hidden)
        self.head = nn.Linear(hidden, 10)

    def forward(self, x):
        h = c = mg.zeros(len(x), self.cell.hidden.weight.shape[1])
        for row in x.unbind(1):
            h, c = self.cell(row, h, c)
        return self.head(h)


class Careless(nn.Module):
    """Takes the logarithm of what may be negative, deep inside."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16))
        self.decoder = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x):
        return self.decoder(self.encoder(x).log())


def classifier(model, *shape):
    """A function that computes the loss of `model` on random inputs of `shape`, and the model."""
    x, y = mg.randn(16, *shape), mg.arange(16) % 10
    return lambda: F.cross_entropy(model(x), y), model


def digits(options):
    return viz.graph(*classifier(Net(), 1, 8, 8), **options)


def lenet(options):
    return viz.graph(*classifier(LeNet(), 1, 28, 28), **options)


def transformer(options):
    return viz.graph(*classifier(Transformer(), 10, 64), **options)


def lstm(options):
    return viz.graph(*classifier(LSTM(), 28, 28), **options)


def second(options):
    """The gradient of the norm of a gradient, as in a gradient penalty."""
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    x = mg.randn(4, 2, requires_grad=True)

    def penalty():
        (g,) = mg.grad(model(x).sum(), x, create_graph=True)
        return ((g * g).sum(1).sqrt() - 1).square().mean()

    return viz.graph(penalty, model, names={"x": x}, **options)


def vanishing(options):
    """Ten sigmoids in a row: each takes a share of the gradient."""
    layers = [layer for _ in range(10) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    options = {"color": "grad_norm", "roll": False, **options}
    return viz.graph(*classifier(nn.Sequential(*layers), 16), **options)


def nan(options):
    model, x = Careless(), mg.randn(16, 8)
    with np.errstate(invalid="ignore"):  # it is what shall be seen
        return viz.graph(lambda: model(x).square().mean(), model, names={"x": x}, **options)


def steps(options):
    """Not a graph, but its backward, step by step. It takes no options: see refused_by_steps."""
    x, y = (mg.tensor(value, requires_grad=True) for value in (2.0, 3.0))
    return viz.backward_steps(lambda: x * y + mg.sin(x), names={"x": x, "y": y})


GRAPHS = {f.__name__: f for f in (digits, lenet, transformer, lstm, second, vanishing, nan, steps)}
FORMATS_OF_STEPS = "svg", "html", "txt"


def command_line():
    p = argparse.ArgumentParser("draw_graphs.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("graphs", nargs="*", metavar="graph", help=f"of {', '.join(GRAPHS)}; default all; names come first")
    p.add_argument("--format", nargs="+", default=["svg"], choices=["svg", "png", "pdf", "html", "dot", "json", "txt"])
    p.add_argument("--out", type=Path, default=Path("runs", "graphs"), help="folder, default runs/graphs")
    p.add_argument("--unrolled", action="store_true", help="draw every one of identical blocks")
    p.add_argument("--depth", type=int, help="collapse modules below this depth")
    p.add_argument("--color", choices=sorted(viz.STATISTICS), help="colour by a statistic")
    return p


def refused_by_steps(options):
    """Why `steps` cannot be drawn with these options, or ""."""
    if options.unrolled or options.depth is not None or options.color:
        return "steps are drawn as they are: without --depth, --color and --unrolled"
    formats = [f for f in options.format if f not in FORMATS_OF_STEPS]
    return f"steps can be {', '.join(FORMATS_OF_STEPS)}, not {', '.join(formats)}" if formats else ""


def main(arguments=None):
    p = command_line()
    options = p.parse_args(arguments)
    unknown = [name for name in options.graphs if name not in GRAPHS]
    if unknown:
        p.error(f"no graph is called {', '.join(unknown)}; there are {', '.join(GRAPHS)}")
    names = options.graphs or list(GRAPHS)
    refused = refused_by_steps(options)
    if refused and "steps" in options.graphs:
        p.error(refused)
    if refused and not options.graphs:
        names.remove("steps")
        print(f"draw_graphs.py: without steps: {refused}", file=sys.stderr)
    if options.out.exists() and not options.out.is_dir():
        p.error(f"--out: {options.out} is a file, not a folder")
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = {"depth": options.depth, "color": options.color, "roll": False if options.unrolled else None}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if options.unrolled:
        wanted["max_nodes"] = 1000
    for name in names:
        mg.manual_seed(0)
        drawing = GRAPHS[name](wanted)
        for format in options.format:
            print(drawing.save(options.out / f"{name}{'-unrolled' if options.unrolled else ''}.{format}"))


if __name__ == "__main__":
    try:
        main()
    except (mg.MinigradError, OSError) as error:
        sys.exit(f"draw_graphs.py: {error}")
    except KeyboardInterrupt:
        print("draw_graphs.py: stopped", file=sys.stderr)
        sys.exit(130)
