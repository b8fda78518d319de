"""viz.record: what is noted while operations run, births of NaN and infinity, and that nothing is left behind."""

import gc
import re
import sys
import threading
import warnings
import weakref

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.backend import detours
from minigrad.errors import AnomalyError
from minigrad.tape.observers import observing


def model_of(width=3):
    return nn.Sequential(nn.Linear(width, 4), nn.Tanh(), nn.Linear(4, 2))


def marked(graph, mark):
    return [n.id for n in graph.nodes.values() if mark in n.marks]


def leaf(*values, dtype=None):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


# --- births ------------------------------------------------------------------------------------------------------


class Deep(nn.Module):
    """Some layers, in the middle of them an operation that makes a NaN."""

    def __init__(self, middle):
        super().__init__()
        self.before, self.after, self.middle = nn.Linear(3, 4), nn.Linear(4, 2), middle

    def forward(self, x):
        return self.after(self.middle(self.before(x).tanh())).sum()


def deep(middle):
    net = Deep(middle)
    x = mg.randn(5, 3)
    return net, lambda: net(x)


def nan_in_the_data():
    net = model_of()
    x = mg.randn(5, 3)
    x[1, 2] = float("nan")
    return net, lambda: net(x).sum()


def nan_in_a_parameter():
    net = model_of()
    with mg.no_grad():
        net[2].weight[0, 1] = float("nan")
    x = mg.randn(5, 3)
    return net, lambda: net(x).sum()


def written_later():
    def loss():
        h = x * 2
        with mg.no_grad():
            h[0] = float("nan")
        return h.exp().sum()

    x = leaf(1.0, 2.0)
    return None, loss


def of(function, *values, dtype=None):
    def make():
        x = leaf(*values, dtype=dtype)
        x.name = "x"
        return None, lambda: function(x)

    return make


# name -> (makes model and loss, where it is born, some ids that are infected, words of the mark)
FORWARD = {
    "log of a negative number, deep": (
        lambda: deep(lambda h: mg.log(h - 2)),
        "Deep/log:1",
        ["after/linear:1", "Deep/sum:1"],
        "NaN born here, in 20 of 20 elements",
    ),
    "0 / 0": (of(lambda x: (x / x).sum(), 0.0, 1.0), "div:1", ["sum:1"], r"NaN born here, in 1 of 2 elements.*\(0,\)"),
    "1 / 0": (of(lambda x: (1 / x).sum(), 1.0, 0.0), "div:1", ["sum:1"], r"inf born here.*first at \(1,\)"),
    "exp, float32": (of(lambda x: x.exp().sum(), 1.0, 100.0, dtype="float32"), "exp:1", ["sum:1"], "inf born"),
    "exp, float16": (of(lambda x: x.exp().sum(), 1.0, 12.0, dtype="float16"), "exp:1", ["sum:1"], "inf born"),
    "a conversion": (of(lambda x: (x.half() * 2).sum(), 1e5, dtype="float32"), "cast:1", ["mul:1"], "inf born"),
    "inf becomes NaN": (of(lambda x: (x.exp() - x.exp()).sum(), 1000.0), None, ["sub:1", "sum:1"], "inf born"),
    "NaN in the data": (nan_in_the_data, "input", ["0/linear:1", "2/linear:1"], "NaN came in here"),
    "NaN in a parameter": (nan_in_a_parameter, "2.weight", ["2/linear:1"], "NaN came in here"),
    "a leaf": (of(lambda x: x.exp().sum(), 1.0, float("nan")), "x", ["exp:1", "sum:1"], "NaN came in here"),
    "infinity in a leaf": (of(lambda x: (x * 2).sum(), float("inf")), "x", ["mul:1"], "inf came in here"),
    "written in place": (written_later, "mul:1", ["exp:1", "sum:1"], "NaN was written into its result later"),
}


@pytest.mark.parametrize("name", FORWARD)
def test_births_forward(name):
    make, where, infected, words = FORWARD[name]
    model, loss = make()
    with np.errstate(all="ignore"):
        graph = viz.graph(loss, model, names={}).graph
    born = marked(graph, "born")
    if where is None:
        assert len(born) == 2 and {graph.nodes[b].label for b in born} == {"exp"}  # two of them, each by itself
    else:
        assert born == [where if where != "input" else "x"]
    assert re.search(words, graph.nodes[born[0]].marks["born"])
    assert set(infected) <= set(marked(graph, "infected"))
    assert not set(born) & set(marked(graph, "infected"))


def attention():
    """A mask of infinities, which softmax makes zeros of; and a row that is masked as a whole."""
    mask = mg.tensor([[0.0, float("-inf")], [0.0, 0.0]])
    x = leaf(1.0, 2.0)
    return x, mask


# what log is of -> words of the mark
COUNTS = {
    "one of each": ((-1.0, 0.0, 3.0), "NaN born here, in 1 of 3 elements, first at (0,); and inf in 1"),
    "infinity first": ((0.0, -1.0, 0.0), "NaN born here, in 1 of 3 elements, first at (1,); and inf in 2"),
    "NaN alone": ((2.0, -1.0, -1.0), "NaN born here, in 2 of 3 elements, first at (1,)"),
    "infinity alone": ((1.0, 0.0, 3.0), "inf born here, in 1 of 3 elements, first at (1,)"),
}


@pytest.mark.parametrize("name", COUNTS)
def test_nan_and_infinity_are_counted_apart(name):
    values, words = COUNTS[name]
    with np.errstate(all="ignore"):
        graph = viz.graph(lambda: leaf(*values).log()).graph
    assert graph.nodes["log:1"].marks["born"] == words


@pytest.mark.parametrize("make", ["masked_fill", "operand"])
def test_infinities_that_are_masks_are_left_alone(make):
    x, mask = attention()
    scores = (lambda: x.masked_fill(mask != 0, float("-inf"))) if make == "masked_fill" else (lambda: x + mask)
    graph = viz.graph(lambda: (F.softmax(scores(), 1) * x).sum(), color="grad_norm").graph
    assert [n.marks for n in graph.nodes.values() if n.marks] == [{"output": "output"}]


def test_a_row_that_is_masked_as_a_whole_is_where_the_nan_is_born():
    x, mask = attention()
    mask[0] = float("-inf")
    with np.errstate(all="ignore"):
        graph = viz.graph(lambda: F.softmax(x + mask, 1).sum()).graph
    assert marked(graph, "born") == ["softmax:1"] and "out of the inf of add" in graph.nodes["softmax:1"].marks["born"]


def test_an_infinity_that_goes_all_the_way_was_no_mask():
    x, data = leaf(1.0, 2.0), mg.tensor([1.0, float("inf")])
    graph = viz.graph(lambda: (x * data).sum(), names={"data": data}).graph
    assert marked(graph, "born") == ["data"] and marked(graph, "infected") == ["mul:1", "sum:1"]


# name -> (the function that makes the loss, where it is born in backward, what is infected)
BACKWARD = {
    "sqrt at 0": (lambda x: (x * 2).sqrt().sum(), (0.0, 1.0), "sqrt:1", ["mul:1", "x"]),
    "log at 0": (lambda x: (x * 2).log().sum(), (0.0, 1.0), "log:1", ["mul:1", "x"]),
    "inf times 0": (lambda x: ((x * 0.0).sqrt() + x).sum(), (0.0, 1.0), "sqrt:1", ["mul:1", "x"]),
    "norm at 0": (lambda x: (x * x).sum() ** 0.5, (0.0, 0.0), "pow:1", ["sum:1", "mul:1", "x"]),
    "0 / 0 in the forward": (lambda x: (x / x * 2).exp().sum(), (0.0, 1.0), None, ["exp:1", "mul:1", "div:1", "x"]),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_births_in_backward(name):
    function, values, where, infected = BACKWARD[name]
    x = leaf(*values)
    x.name = "x"
    with np.errstate(all="ignore"):
        graph = viz.graph(lambda: function(x), color="grad_norm").graph
    assert marked(graph, "born in backward") == ([where] if where else [])
    assert set(marked(graph, "infected in backward")) == set(infected)
    assert x.grad is None


def test_sums_of_gradients_that_overflow():
    x = leaf(1.0, dtype="float16")

    def loss():
        h = x * 1.0
        return (h * 40000.0).sum() + (h * 40000.0).sum()

    with np.errstate(all="ignore"):
        graph = viz.graph(loss, color="grad_norm").graph
    (born,) = marked(graph, "born in backward")
    assert born == "mul:1" and "adding up" in graph.nodes[born].marks["born in backward"]


def test_a_gradient_that_is_bad_to_begin_with():
    x = leaf(1.0, 2.0)
    with viz.record():
        y = x * 2
        y.backward(mg.tensor([1.0, float("nan")]))
    graph = viz.graph(y).graph
    assert marked(graph, "born in backward") == ["mul:1"] and marked(graph, "infected in backward") == ["leaf"]


def test_a_hook_that_makes_a_nan():
    x = leaf(1.0, 2.0)

    def loss():
        h = x * 2
        h.register_hook(lambda g: g * float("nan"))
        return h.exp().sum()

    graph = viz.graph(loss, color="grad_norm").graph
    assert marked(graph, "born in backward") == ["mul:1"]
    assert "a hook of" in graph.nodes["mul:1"].marks["born in backward"]


PROGRAMS = {
    **{name: of(f, *v) for name, (f, v, _, _) in BACKWARD.items()},
    # Of what was written off the tape it knows nothing, and an infinity in a leaf it leaves alone.
    **{k: make for k, (make, _, _, _) in FORWARD.items() if k not in ("written in place", "infinity in a leaf")},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_detect_anomaly_finds_the_same_operation(name):
    model, loss = PROGRAMS[name]()
    with np.errstate(all="ignore"):
        graph = viz.graph(loss, model, color="grad_norm").graph
        with pytest.raises(AnomalyError) as error, mg.detect_anomaly():
            loss().backward()
    text = str(error.value)
    born = [n for n in graph.nodes.values() if "born" in n.marks]
    if born and born[0].kind == "operation":
        assert text.startswith(f"{born[0].label}:") or f"{born[0].label}, converting" in text
    elif born:  # it came in: anomalies are told of operations
        first = next(n for n in graph.nodes.values() if "infected" in n.marks)
        assert text.startswith(f"{first.label}:")
    else:
        late = [n for n in graph.nodes.values() if "born in backward" in n.marks]
        assert text.startswith(f"{late[-1].label}.backward:")


def test_no_birth_where_all_is_finite_or_nobody_looks():
    x = leaf(0.0, 1.0)
    graph = viz.graph(lambda: x.exp().sum(), color="grad_norm").graph
    assert not any(n.marks.keys() - {"output"} for n in graph.nodes.values())
    with np.errstate(all="ignore"), viz.record(statistics=False):
        y = (1 / x).sum()
    graph = viz.graph(y).graph
    assert not marked(graph, "born") and not any("mean" in n.statistics for n in graph.nodes.values() if n.shape == ())


def test_warnings_are_those_of_the_program():
    x = mg.tensor([1e38, float("inf"), float("nan"), -3e38], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(all="warn"):
            graph = viz.graph(lambda: x.clone().reshape(2, 2), color="grad_norm").graph
    assert np.isnan(graph.nodes["clone:1"].statistics["max"])


# --- statistics --------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_arrays():
    x = mg.randn(6, 3, requires_grad=True)
    with viz.record():
        h = x.half() * 3
        h.retain_grad()
        a, b = mg.split(h, [2, 4])
        loss = (a.sum() + b.square().sum()).float()
        loss.backward()
    nodes = viz.graph(loss).graph.nodes
    value, g = (y.numpy(force=True).astype("float64") for y in (h.detach(), h.grad))
    found = nodes["mul:1"].statistics
    for name, expected in {
        "mean": value.mean(),
        "std": value.std(),
        "max": abs(value).max(),
        "grad_norm": np.sqrt((g**2).sum()),
        "grad_mean": abs(g).mean(),
    }.items():
        assert found[name] == pytest.approx(expected, rel=1e-6)
    assert found["time"] > 0
    both = nodes["split:1"].statistics
    assert both["mean"] == pytest.approx(value.mean(), rel=1e-6) and both["max"] == pytest.approx(abs(value).max())
    assert both["grad_norm"] == pytest.approx(found["grad_norm"], rel=1e-6)
    edge = next(e for e in viz.graph(loss).graph.edges if e.target == "mul:1")
    assert edge.grad_norm == pytest.approx(3 * found["grad_norm"], rel=1e-3) and edge.dtype == "float16"
    assert nodes["leaf"].statistics["grad_norm"] == pytest.approx(edge.grad_norm, rel=1e-3)


def gradients(graph):
    return {n.id: n.statistics["grad_norm"] for n in graph.nodes.values() if "grad_norm" in n.statistics}


def test_gradients_of_leaves_are_those_of_the_recorded_backward():
    net, x = model_of(), mg.randn(5, 3)
    with viz.record(net):
        net(x).sum().backward()  # of an earlier step: it is in the grad too
        loss, other = net(x).square().sum(), net(x).exp().sum()
        loss.backward()
    expected = {"2.bias": mg.grad(net(x).square().sum(), net[2].bias)[0].norm().item()}
    graph = viz.graph(loss).graph
    assert gradients(graph)["2.bias"] == pytest.approx(expected["2.bias"], rel=1e-5)
    weight = next(e for e in graph.edges if e.source == "0.weight")
    assert gradients(graph)["0.weight"] == weight.grad_norm
    before = gradients(graph)
    net(x).sum().backward()  # unrecorded
    assert gradients(viz.graph(loss).graph) == before
    net.zero_grad()
    assert gradients(viz.graph(loss).graph) == before and len(before) >= 8
    assert gradients(viz.graph(other).graph) == {}  # it had no backward


def test_gradients_of_leaves_in_a_function_that_goes_backward_itself():
    x = leaf(3.0, 4.0)
    x.grad = mg.ones(2) * 100  # of before: the grad holds the sum in the end

    def loss():
        y = (x * x.detach()).sum()
        y.backward()
        return y

    assert gradients(viz.graph(loss, color="grad_norm").graph)["leaf"] == 5.0


def test_a_sum_that_is_left_to_the_walk_is_in_the_gradient_of_an_edge():
    b, x = leaf(1.0, 2.0), mg.ones(8, 2)
    with viz.record():
        y = (x + b).sum()
        y.backward()
    graph = viz.graph(y).graph
    (edge,) = (e for e in graph.edges if e.source == "leaf")
    assert edge.grad_norm == gradients(graph)["leaf"] == pytest.approx(128**0.5)


def test_of_a_leaf_that_several_took_the_sum_is_known_of_a_function():
    x = leaf(1.0, 2.0)
    loss = lambda: (x * 3.0).sum() - (x * 3.0).sum()  # noqa: E731
    with viz.record():
        y = loss()
        y.backward()
    assert "leaf" not in gradients(viz.graph(y).graph)
    assert gradients(viz.graph(loss, color="grad_norm").graph)["leaf"] == 0


def test_without_a_recording_gradients_are_what_grad_holds():
    x = leaf(3.0, 4.0)
    assert gradients(viz.graph(x.exp().sum()).graph) == {}
    x.grad = x.detach()
    graph = viz.graph(x.exp().sum()).graph
    assert gradients(graph) == {"leaf": 5.0} and "gradients of leaves are what their grad holds now" in graph.notes


def test_without_statistics_nothing_is_looked_through(monkeypatch):
    def refuse(*_):
        raise RuntimeError

    for name in ("looked_forward", "looked_backward", "statistics_of", "statistics_of_gradients"):
        monkeypatch.setattr(sys.modules["minigrad.viz.recording.record"], name, refuse)
    net, x = model_of(), mg.randn(2, 3)
    with viz.record(net, statistics=False):
        loss = net(x).sum()
        loss.backward()
    graph = viz.graph(loss).graph
    found = graph.nodes["0/linear:1"]
    assert found.statistics.keys() == {"time", "bytes"} and "net(x).sum()" in found.place and found.group == "0"


def test_the_function_is_run_once_and_leaves_everything_as_it_was():
    net, x, calls = model_of(), mg.randn(2, 3, requires_grad=True), []
    before = net[0].weight.grad = mg.ones(4, 3)
    stepped = []
    handle = net[2].weight.register_post_accumulate_grad_hook(stepped.append)

    def loss():
        calls.append(1)
        return F.dropout(net(x)).sum()

    mg.manual_seed(1)
    expected = mg.randn(3).numpy(force=True)
    mg.manual_seed(1)
    graph = viz.graph(loss, net, color="grad_norm", gradients=True).graph
    handle.remove()
    np.testing.assert_array_equal(mg.randn(3).numpy(force=True), expected)
    assert calls == [1] and stepped == [] and x.grad is None and net[2].weight.grad is None
    assert net[0].weight.grad is before
    assert graph.nodes["2.weight"].statistics["grad_norm"] > 0 and graph.nodes["x"].statistics["grad_norm"] > 0


WRONG = {
    "a Variable": (mg.ones(1), "the model must be a module or a list of modules, not a Variable"),
    "a number in a list": ([3], "and has a int"),
    "a function": (model_of, "the model must be a module, not model_of; a decorator is @viz.record"),
    "a class": (nn.Linear, "not Linear"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_model_is_refused_at_once(name):
    wrong, message = WRONG[name]
    with pytest.raises(TypeError, match=message):
        viz.record(wrong)


def test_a_decorator_records_each_call():
    net = model_of()

    @viz.record(net)
    def loss():
        return net(mg.randn(2, 3)).sum()

    for _ in range(2):
        assert viz.graph(loss()).graph.nodes["0/linear:1"].group == "0"


# --- nothing is left behind --------------------------------------------------------------------------------------


def raising(net):
    with viz.record(net):
        net(mg.randn(2, 5))


def nested(net):
    with viz.record(net), viz.record(net, statistics=False):
        loss = net(mg.randn(2, 3)).sum()
    assert viz.graph(loss).graph.nodes["0/linear:1"].group == "0"


def interrupted(net):
    with viz.record(net):
        raise KeyboardInterrupt


LEAVING = {"an error in forward": (raising, mg.errors.ShapeError), "nested": (nested, None)}
LEAVING["an interrupt"] = (interrupted, KeyboardInterrupt)


@pytest.mark.parametrize("name", LEAVING)
def test_hooks_and_observers_are_gone(name):
    run, error = LEAVING[name]
    net, before = model_of(), list(detours)
    if error is None:
        run(net)
    else:
        with pytest.raises(error):
            run(net)
    assert observing.get() == () and not any(m._hooks for m in net.modules())
    gc.collect()
    assert detours == before
    y = net(mg.randn(2, 3)).sum()
    assert y.creator.noted is None and y.creator.called_at is None


def test_after_an_error_in_a_forward_modules_are_known_again():
    net = model_of()
    with viz.record(net):
        with pytest.raises(mg.errors.ShapeError):
            net(mg.randn(2, 5))
        loss = net(mg.randn(2, 3)).sum()
    assert [n for n in viz.graph(loss).graph.nodes if ":" in n] == ["0/linear:1", "1/tanh:1", "2/linear:1", "sum:1"]


def test_a_recording_inside_of_another_goes_on_with_its_modules():
    net, x = model_of(), mg.randn(2, 3)
    with viz.record(net):
        with viz.record(statistics=False):
            loss = net(x).sum()
        more = net(x).sum()
    nodes = viz.graph([loss, more]).graph.nodes
    assert nodes["0/linear:1"].group == "0" and "mean" not in nodes["0/linear:1"].statistics
    assert "mean" in nodes["0@2/linear:1"].statistics and nodes["0/linear:1"].statistics["time"] > 0


def test_notes_keep_nothing_alive():
    """With the collector off, what a step made is gone when the step is, and the next needs no more memory."""
    net = model_of()
    seen, counts = [], []
    gc.collect()
    gc.disable()
    try:
        with viz.record(net):
            for _ in range(6):
                x = mg.randn(4, 3)
                loss = net(x).square().sum()
                loss.backward()
                held = loss.detach() * 2
                seen += [weakref.ref(y) for y in (x.data, loss.data, loss.creator, held)]
                net.zero_grad()
                del x, loss, held
                counts.append(len(gc.get_objects()))
        assert [ref() for ref in seen] == [None] * len(seen)
        assert counts[-1] - counts[2] < 20
    finally:
        gc.enable()


def test_the_memory_that_is_known_does_not_grow():
    from minigrad.viz.recording import notes

    data = mg.randn(3000, 2)
    w = mg.randn(2, requires_grad=True)
    gc.collect()
    before = len(notes._known)
    with viz.record(statistics=False):
        for i in range(1000):
            (data[i : i + 1] * w).sum().backward()
    assert len(notes._known) - before <= 8
    assert len(notes.memory_of(data.data).makers) <= notes.PARTS


def test_a_model_is_not_kept_alive():
    net = model_of()
    with viz.record(net):
        loss = net(mg.randn(2, 3)).sum()
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
    assert viz.graph(loss).graph.nodes["model.0/linear:1"].group == "model.0"  # as recorded: the model is not there


def test_other_threads_are_not_recorded():
    net, x, found = model_of(), mg.randn(2, 3), []

    def work():
        found.extend(net(x).sum().creator.noted for _ in range(20))

    with viz.record(net):
        thread = threading.Thread(target=work)
        thread.start()
        losses = [net(x).sum() for _ in range(20)]
        thread.join()
    assert found == [None] * 20
    for loss in losses:
        assert [n for n in viz.graph(loss).graph.nodes if ":" in n] == [
            "0/linear:1",
            "1/tanh:1",
            "2/linear:1",
            "sum:1",
        ]
