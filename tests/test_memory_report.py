"""memory_report: its total is what becomes free when the graph is dropped, and its parts are where that lies."""

import gc
import re
import tracemalloc

import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn


def mlp():
    layers = [nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 200), nn.Tanh(), nn.Dropout(), nn.LayerNorm(200)]
    model = nn.Sequential(*layers, nn.Linear(200, 10))
    x, y = mg.randn(300, 100), mg.randint(10, (300,))
    return model, lambda: F.cross_entropy(model(x), y)


def conv():
    first = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3)]
    model = nn.Sequential(*first, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * 3 * 3, 10))
    x, y = mg.randn(32, 3, 16, 16), mg.randint(10, (32,))
    return model, lambda: F.cross_entropy(model(x), y)


def with_checkpoint():
    model, _ = conv()
    x, y = mg.randn(128, 3, 16, 16), mg.randint(10, (128,))
    return model, lambda: F.cross_entropy(mg.checkpoint(model, x * 1.0), y)


def shared_arrays():
    """One array saved by many, in views and under several names."""
    x = mg.randn(200, 300)

    def loss():
        h = mg.exp(x * weight)
        return (mg.sin(h) * mg.cos(h[10:]).sum() + h.t().reshape(300, 200).square().t()).mean()

    weight = nn.Parameter(mg.ones(300))
    return None, loss


def held(make):
    """Bytes that tracemalloc sees freed when what `make` returns is dropped, and the total and rest of the report."""
    model, loss = make()
    loss()
    gc.collect()
    tracemalloc.start()
    try:
        y = loss()
        report = mg.memory_report(y, model)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        del y
        gc.collect()
        return before - tracemalloc.get_traced_memory()[0], report
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make", [mlp, conv, with_checkpoint, shared_arrays])
def test_the_total_is_what_is_freed(make):
    freed, report = held(make)
    assert freed > 3e5  # large beside the objects of Python that hold the arrays
    assert report.total == pytest.approx(freed, rel=0.05)


def test_backward_frees_it_too():
    model, loss = conv()
    y = loss()
    before = mg.memory_report(y, model)
    assert before.total > 5e5 and before.gradients == 0 and not before.used_up
    y.backward()
    after = mg.memory_report(y, model)
    assert after.total == y.data.nbytes and after.used_up and "; a backward has freed" in after.headline()
    assert after.gradients == sum(p.data.nbytes for p in model.parameters())
    assert after.parameters == sum(x.data.nbytes for x in (*model.parameters(), *model.buffers()))


def test_a_checkpoint_keeps_its_arguments():
    model, loss = with_checkpoint()
    report = mg.memory_report(loss, model)
    assert report.entries[0].what == "argument of a checkpoint" and report.entries[0].bytes == 128 * 3 * 256 * 4
    plain = mg.memory_report(lambda: model(mg.randn(128, 3, 16, 16)).sum(), model)
    assert report.total < plain.total / 5


# --- what is counted, and for whom --------------------------------------------------------------------------------


def leaf(*shape):
    return mg.ones(*shape, requires_grad=True)


def parts(report):
    return [(e.operation, e.what, e.shape, e.bytes, e.elsewhere) for e in report.entries]


def test_each_array_once():
    x = leaf(10)

    def f():
        y = mg.exp(x)  # saves its output,
        return y * y[::2].sum() * mg.sin(y)  # which others save too, or a view of it

    report = mg.memory_report(f)
    assert [p for p in parts(report) if p[0] == "exp"] == [("exp", "output", (10,), 40, False)]
    assert not any("getitem" in p for p in parts(report))
    assert report.parameters == 40


def test_what_others_hold_stands_apart():
    x, factor = leaf(10), mg.ones(10)
    y = mg.exp(x)
    z = y * factor
    report = mg.memory_report(z.sum())
    assert sorted(parts(report)) == [
        ("exp", "output", (10,), 40, True),
        ("mul", "input b", (10,), 40, True),
        ("sum", "result", (), 4, False),
    ]
    assert (report.total, report.elsewhere) == (4, 80)
    z = z.sum()
    del y
    assert mg.memory_report(z).total == 44
    view = factor[:3]
    del factor
    assert mg.memory_report(z).elsewhere == 40 and view.shape == (3,)
    del view
    assert mg.memory_report(z).total == 84


def test_a_view_keeps_all_of_its_memory():
    x = leaf(10)

    def f():
        large = mg.ones(1000)
        return x * large[:10]

    (entry,) = [e for e in mg.memory_report(f).entries if e.what == "input b"]
    assert (entry.shape, entry.bytes) == ((10,), 4000)


def test_results_count():
    x = leaf(10)
    y = x + 1.0
    assert parts(mg.memory_report(y)) == [("add", "result", (10,), 40, False)]
    assert parts(mg.memory_report([y, y])) == [("add", "result", (10,), 40, False)]
    assert parts(mg.memory_report(mg.ones(3))) == [("leaf", "result", (3,), 12, False)]


def test_modules():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(10, 20)

        def forward(self, x):
            return mg.tanh(self.fc(x))

    model = nn.Sequential(Net(), nn.Sequential(nn.Sigmoid()))
    x = mg.ones(5, 10)

    def loss():
        return mg.exp(model(x * 1.0)).sum()

    seen = mg.memory_report(loss, model)
    assert seen.by_module == {"model.0": 400, "model.1.0": 400, "(outside)": 404, "model.0.fc": 200}
    assert seen.by_operation == {"tanh": 400, "sigmoid": 400, "exp": 400, "linear": 200, "sum": 4}
    assert sum(seen.by_module.values()) == sum(seen.by_operation.values()) == seen.total
    by_graph = mg.memory_report(loss(), model)
    assert by_graph.by_module == {"(outside)": 1204, "model.0.fc": 200} and by_graph.total == seen.total
    assert mg.memory_report(loss).total == seen.total
    two = mg.memory_report(loss, {"a": model[0], "b": model[1]})
    assert set(two.by_module) == {"model['a']", "model['a'].fc", "model['b'].0", "(outside)"}
    assert [len(m._hooks) for m in model.modules()] == [0] * 5


def test_the_run_leaves_everything_as_it_was():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout())
    state, mean = mg.get_rng_state(), model[0].running_mean
    mg.memory_report(lambda: model(mg.randn(4, 3)).sum(), model)
    assert mg.get_rng_state() == state and model[0].running_mean is mean and not mean.data.any()

    def fails():
        model(mg.randn(4, 3))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mg.memory_report(fails, model)
    assert not any(m._hooks for m in model.modules())


def test_the_place():
    x = leaf(10)
    report = mg.memory_report(lambda: mg.exp(x))
    assert "test_memory_report.py:" in report.entries[0].place and "mg.exp(x)" in report.entries[0].place
    assert mg.memory_report(mg.exp(x)).entries[0].place == ""


# --- text ---------------------------------------------------------------------------------------------------------


def test_the_text():
    model, loss = conv()
    report = mg.memory_report(loss, model, top=3)
    text = str(report)
    lines = text.splitlines()
    assert lines[0].startswith("memory of Sequential: ") and re.search("kept by 1[45] operations", lines[0])
    assert text.count("operation") > 1 and re.fullmatch(r"  and 1\d more", lines[-1]) and repr(report) == text
    largest = [line for line in lines if line.startswith("  normalize: input x")]
    assert len(largest) == 1 and "(32, 8, 16, 16)" in largest[0] and "262 kB" in largest[0] and "model.1" in largest[0]
    html = report._repr_html_()
    assert html.count("<table>") == 3 and "262 kB" in html and "&lt;" not in text
    assert str(mg.memory_report(mg.ones(1))).startswith("memory of the graph: 4 B kept by 0 operations")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12345, "12.3 kB"),
        (999_999, "1000 kB"),
        (5e6, "5 MB"),
        (2e9, "2 GB"),
    ],
)
def test_sizes(count, text):
    from minigrad.memory_report import shown

    assert shown(count) == text


@pytest.mark.parametrize(
    ("outputs", "model", "message"),
    [(3, None, "outputs must be a Variable, .* not a int"), (mg.ones(1), 3, "the model must be a module .* not a int")],
)
def test_wrong_arguments(outputs, model, message):
    with pytest.raises(TypeError, match=f"memory_report: {message}"):
        mg.memory_report(outputs, model)


def test_on_a_gpu(cuda):
    model, _ = mlp()
    model.to(cuda)
    x = mg.randn(300, 100, device=cuda)
    report = mg.memory_report(lambda: model(x).square().mean(), model)
    host, _ = mlp()
    there = mg.randn(300, 100)
    assert report.by_module == mg.memory_report(lambda: host(there).square().mean(), host).by_module
