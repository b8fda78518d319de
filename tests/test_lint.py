"""lint: each kind of mistake is found in a wrong script, and not in its healthy twin or in other healthy scripts."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


class Net(nn.Module):
    """Two layers; `between` is what a script does between them."""

    def __init__(self, between=lambda h: h):
        super().__init__()
        self.fc1, self.fc2, self.between = nn.Linear(4, 5), nn.Linear(5, 3), between

    def forward(self, x):
        h = mg.tanh(self.fc1(x))
        h = self.between(h)
        return self.fc2(h)


def batch():
    return mg.randn(6, 4), mg.tensor([0, 1, 2, 0, 1, 2])


def loss_of(model):
    x, y = batch()
    return F.cross_entropy(model(x), y)


def kinds(report):
    return [finding.kind for finding in report.findings]


def only(report):
    assert len(report.findings) == 1 and not report, report
    return report.findings[0]


def both(model, loss, **options):
    """The reports for a function and for its Variable."""
    return mg.lint(model, loss, **options), mg.lint(model, loss(), **options)


# --- parameters that are not reached ------------------------------------------------------------------------------


def under_no_grad(h):
    with mg.no_grad():
        return h * 2.0


FC1 = "model.fc1.weight, model.fc1.bias"
BREAKS = {  # what stands between the layers: (its twin, what is told, in which line)
    "detach": (
        lambda h: h.detach(),
        lambda h: h,
        r"what tanh at .*h = mg.tanh.* is taken .* by linear at",
        "self.fc2(h)",
    ),
    "data": (
        lambda h: mg.Variable(h.data),
        lambda h: h,
        r"taken without its history .* \.detach\(\) or \.data",
        "self.fc2",
    ),
    "a view": (lambda h: h.detach()[:], lambda h: h[:], "taken without its history by getitem", "lambda h"),
    "no_grad": (under_no_grad, lambda h: h * 2.0, "mul at .*ran under no_grad", "return h * 2.0"),
    "numpy": (
        lambda h: mg.tensor(np.tanh(h.detach().numpy())),
        np.tanh,
        r"the last operation with their history is tanh at .*; its result is not used, or by nothing",
        "h = mg.tanh",
    ),
    "integers": (lambda h: h.long().float(), lambda h: h.float(), "the last operation .* is tanh", "h = mg.tanh"),
    "argmax": (lambda h: h.argmax(1, keepdim=True).expand(-1, 5).float(), mg.relu, "the last operation", "h = mg.tanh"),
    "item": (lambda h: mg.full((6, 5), h.sum().item()), lambda h: h.sum().expand(6, 5), "last .* sum at", "lambda h"),
    "not used": (
        lambda h: mg.ones(6, 5),
        lambda h: h * 1.0,
        "the last operation with their history is tanh",
        "h = mg.",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_where_the_path_breaks(name):
    wrong, healthy, text, line = BREAKS[name]
    model = Net(wrong)
    report = mg.lint(model, lambda: loss_of(model))
    finding = only(report)
    assert finding.kind == "unreached" and finding.path == FC1
    assert re.search(text, finding.text), finding.text
    assert "test_lint.py:" in finding.place and line in finding.place
    by_tape = mg.lint(model, loss_of(model))
    assert only(by_tape).path == FC1 and only(by_tape).place == ""
    assert by_tape.notes == ["given a function, as lint(model, lambda: ...), it can tell the line"]
    twin = Net(healthy)
    assert all(both(twin, lambda: loss_of(twin)))


def test_a_layer_that_is_not_called():
    class Forgets(Net):
        def forward(self, x):
            return self.fc2(mg.ones(6, 5))

    model = Forgets()
    finding = only(mg.lint(model, lambda: loss_of(model)))
    assert (finding.kind, finding.path, finding.place) == ("unreached", FC1, "")
    assert "no operation takes them: their layer is not called" in finding.text


def test_the_numbers_of_a_parameter():
    class Reads(Net):
        def forward(self, x):
            return F.linear(mg.tanh(self.fc1(x)), self.fc2.weight.data, self.fc2.bias)

    model = Reads()
    finding = only(mg.lint(model, lambda: loss_of(model)))
    assert finding.path == "model.fc2.weight" and "they are taken without their history by linear at" in finding.text


@pytest.mark.parametrize("name", ["detached", "item", "no_grad"])
def test_a_loss_without_history(name):
    model = Net()

    def loss():
        with mg.set_grad_enabled(name != "no_grad"):
            y = loss_of(model)
        return {"detached": y.detach, "item": lambda: mg.tensor(y.item()), "no_grad": lambda: y}[name]()

    for report in both(model, loss):
        assert not report and set(kinds(report)) == {"unreached"}
        assert set(", ".join(f.path for f in report.findings).split(", ")) == {
            f"model.{path}" for path, _ in model.named_parameters()
        }
    assert "return F.cross_entropy" in str(mg.lint(model, loss)) or name == "no_grad"


def test_breaks_beside_the_path_are_passed_over():
    """What a script prints has no history, and is not to blame."""

    class Prints(Net):
        def forward(self, x):
            h = mg.tanh(self.fc1(x))
            with mg.no_grad():
                self.size = (h * h).mean()
            self.seen = h.detach() + 1.0
            return self.fc2(mg.Variable(h.data * 1.0))  # here

    model = Prints()
    finding = only(mg.lint(model, lambda: loss_of(model)))
    assert "the last operation with their history is tanh" in finding.text and finding.path == FC1
    healthy = Prints()
    healthy.forward = lambda x: (Prints.forward(healthy, x), Net.forward(healthy, x))[1]
    assert mg.lint(healthy, lambda: loss_of(healthy))


def test_a_loss_of_another_model():
    one, other = Net(), Net()
    finding = only(mg.lint(one, lambda: loss_of(other)))
    assert len(finding.path.split(", ")) == 4 and str(finding).count("model.") == 4
    assert not mg.lint([one, other], lambda: loss_of(other))
    assert mg.lint([one, other], lambda: loss_of(one) + loss_of(other))
    assert mg.lint({"a": one, "b": other}, lambda: [loss_of(one), loss_of(other)])


def test_many_names_are_shortened_in_text_only():
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(5)))
    finding = only(mg.lint(model, mg.zeros(1).sum()))
    assert len(finding.path.split(", ")) == 10 and str(finding).count("model.") == 6 and "and 4 more" in str(finding)


# --- what is hidden ----------------------------------------------------------------------------------------------


class Layers(nn.Module):
    def __init__(self, kind, layers):
        super().__init__()
        self.layers = kind(layers)

    def forward(self, x):
        for layer in self.layers.values() if isinstance(self.layers, dict) else self.layers:
            x = layer(x)
        return x


def numbered(layers):
    return {"a": layers[0], "b": layers[1]}


HIDDEN = {
    "list": (list, "model.layers[0]"),
    "tuple": (tuple, "model.layers[0]"),
    "dict": (numbered, "model.layers['a']"),
    "nested": (lambda layers: [layers[0], *layers[1:]], "model.layers[0]"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_modules_in_plain_containers(name):
    kind, path = HIDDEN[name]
    model = Layers(kind, [nn.Linear(4, 3), nn.Linear(3, 3)])
    report = mg.lint(model, lambda: loss_of(model))
    assert kinds(report) == ["hidden", "hidden"] and report.findings[0].path == path
    assert "(Linear) is a module in a plain container, so its parameters are not in parameters()" in str(report)
    twin = Layers(nn.ModuleList, [nn.Linear(4, 3), nn.Linear(3, 3)])
    assert mg.lint(twin, lambda: loss_of(twin))


def test_containers_in_containers():
    model = Net()
    model.extra = {"deep": [(nn.Linear(2, 2),)]}
    model.extra["itself"] = model.extra
    assert [f.path for f in mg.lint(model, loss_of(model)).findings] == ["model.extra['deep'][0][0]"]


@pytest.mark.parametrize(
    ("attribute", "path", "text"),
    [
        (lambda: [nn.Parameter(mg.ones(1))], "model.extra[0]", "is a Parameter in a plain container"),
        (lambda: mg.ones(2, requires_grad=True), "model.extra", "requires grad and is no Parameter"),
        (lambda: {"a": mg.ones(2, requires_grad=True)}, "model.extra['a']", "requires grad and is no Parameter"),
        (lambda: [nn.Dropout()], "model.extra[0]", r"train\(\) and eval\(\) do not reach it"),
        (lambda: [nn.BatchNorm1d(2, affine=False)], "model.extra[0]", r"train\(\) and eval\(\) do not reach it"),
    ],
)
def test_other_hidden_things(attribute, path, text):
    model = Net()
    model.extra = attribute()
    finding = only(mg.lint(model, loss_of(model)))
    assert (finding.kind, finding.path) == ("hidden", path) and re.search(text, finding.text)


@pytest.mark.parametrize(
    "attribute",
    [
        lambda m: [m.fc1, m.fc2],  # registered too
        lambda m: [m.fc1.weight],
        lambda m: [nn.ReLU(), nn.Tanh()],  # nothing to lose
        lambda m: [Net().requires_grad_(False)],  # a teacher
        lambda m: {"widths": [1, 2, 3], "name": "x", "cache": [mg.ones(2)]},
        lambda m: [loss_of(m)],  # kept from the last forward
        lambda m: m,  # itself
    ],
)
def test_what_may_lie_in_containers(attribute):
    model = Net()
    model.__dict__["extra"] = attribute(model)
    assert mg.lint(model, loss_of(model))


def test_a_leaf_that_the_optimizer_has_is_trained():
    model = Net()
    model.scale = mg.ones(1, requires_grad=True)
    loss = loss_of(model) * model.scale.sum()
    assert only(mg.lint(model, loss)).path == "model.scale"
    assert mg.lint(model, loss, optimizer=optim.SGD([*model.parameters(), model.scale], lr=0.1))


# --- parameters that are made on the way --------------------------------------------------------------------------


class Makes(Net):
    def forward(self, x):
        return super().forward(x) * nn.Parameter(mg.ones(3))


def test_a_parameter_made_in_forward():
    model = Makes()
    for report in both(model, lambda: loss_of(model)):
        finding = only(report)
        assert finding.kind == "made" and finding.path == "a Parameter (3,)" and "is mul" in finding.text
    assert "nn.Parameter(mg.ones(3" in mg.lint(model, lambda: loss_of(model)).findings[0].place
    model.register_parameter("scale", nn.Parameter(mg.ones(3)))
    model.forward = lambda x: Net.forward(model, x) * model.scale
    assert all(both(model, lambda: loss_of(model)))


def test_a_parameter_made_anew_in_each_forward():
    class Replaces(Net):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(mg.ones(1))

        def forward(self, x):
            self.scale = nn.Parameter(mg.ones(1))
            return super().forward(x) * self.scale

    model = Replaces()
    finding = only(mg.lint(model, lambda: loss_of(model)))
    assert (finding.kind, finding.path) == ("made", "model.scale") and "was replaced while the loss" in finding.text


def test_leaves_that_somebody_has():
    model, x, scale = Net(), mg.randn(6, 4, requires_grad=True), nn.Parameter(mg.ones(1))
    for report in both(model, lambda: (model(x) * scale).sum()):
        assert report and report.notes == []


def test_a_leaf_that_nobody_has_is_a_note():
    """A gradient penalty makes one, and rightly."""
    model = Net()

    def penalty():
        x = mg.randn(6, 4, requires_grad=True)
        (g,) = mg.grad(model(x).sum(), x, create_graph=True)
        return (g * g).sum() + loss_of(model)

    for report in both(model, penalty):
        assert report and "a leaf that requires grad was made" in report.notes[0] and "(6, 4)" in report.notes[0]


# --- optimizers and gradients from before -------------------------------------------------------------------------


def test_the_optimizer_misses_parameters():
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert mg.lint(model, loss_of(model), optimizer=optimizer)
    old, model.fc2 = model.fc2, nn.Linear(5, 3)
    report = mg.lint(model, loss_of(model), optimizer=optimizer)
    assert kinds(report) == ["optimizer", "optimizer"]
    assert report.findings[0].path == "model.fc2.weight, model.fc2.bias"
    assert "require grad, and no optimizer that was given has them" in report.findings[0].text
    assert report.findings[1].path == "a parameter (3, 5), a parameter (3,)"
    assert "neither the model nor the loss has them" in report.findings[1].text
    more = optim.SGD(model.fc2.parameters(), lr=0.1)
    assert len(mg.lint(model, loss_of(model), optimizer=[optimizer, more]).findings) == 1
    old.requires_grad_(False)
    model.fc2.requires_grad_(False)
    assert kinds(mg.lint(model, loss_of(model), optimizer=optimizer)) == ["optimizer"]


def test_a_parameter_of_the_loss_alone():
    model, weight = Net(), nn.Parameter(mg.ones(1))
    optimizer = optim.SGD([*model.parameters(), weight], lr=0.1)
    assert mg.lint(model, loss_of(model) * weight.sum(), optimizer=optimizer)


def steps(zero, count=3, accumulate=1, clip=False, optimizer=optim.SGD):
    """Reports of a training loop, one before each backward."""
    model = Net()
    optimizer = optimizer(model.parameters(), lr=0.01)
    reports = []
    for _ in range(count):
        for _ in range(accumulate):
            loss = loss_of(model)
            reports.append(mg.lint(model, loss))
            with_optimizer = mg.lint(model, loss, optimizer=optimizer)
            assert kinds(with_optimizer) == kinds(reports[-1])
            loss.backward()
            assert mg.lint(model, loss)
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        optimizer.step()
        if zero is not None:
            optimizer.zero_grad(set_to_none=zero)
    return reports


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_zero_grad_is_forgotten(optimizer):
    found = [kinds(report) for report in steps(None, 4, optimizer=optimizer)]
    assert found == [[], [], ["zero_grad"], ["zero_grad"]]
    assert [kinds(report) for report in steps(None, 3, clip=True)] == [[], ["zero_grad"], ["zero_grad"]]
    finding = steps(None)[-1].findings[0]
    assert len(finding.path.split(", ")) == 4 and "optimizer.zero_grad() before each backward" in finding.text


@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("clip", [True, False])
def test_gradients_may_be_accumulated(zero, accumulate, clip):
    assert all(steps(zero, 3, accumulate, clip))


def test_a_function_that_clears_gradients_itself():
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        loss_of(model).backward()
        optimizer.step()

    def loss():
        optimizer.zero_grad()
        return loss_of(model)

    assert mg.lint(model, loss)
    assert kinds(mg.lint(model, lambda: loss_of(model))) == ["zero_grad"]


def test_gradients_from_before_are_a_note_for_the_optimizer():
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss_of(model).backward()
    report = mg.lint(model, loss_of(model), optimizer=optimizer)
    assert report and re.search("there are gradients from before, .*model.fc1.weight.*right for acc", report.notes[0])
    optimizer.zero_grad(set_to_none=False)
    assert mg.lint(model, loss_of(model), optimizer=optimizer).notes == []


# --- operations that do not go together, losses, dtypes -----------------------------------------------------------

PAIRS = {
    "softmax": (lambda s, y: F.cross_entropy(s.softmax(1), y), lambda s, y: F.cross_entropy(s, y)),
    "softmax, moved": (
        lambda s, y: F.cross_entropy(s.softmax(1).reshape(3, 2, 3).flatten(0, 1)[:], y),
        lambda s, y: F.cross_entropy(s.reshape(3, 2, 3).flatten(0, 1)[:], y),
    ),
    "probabilities": (
        lambda s, y: F.cross_entropy(s.softmax(1), mg.full((6, 3), 1 / 3)),
        lambda s, y: F.cross_entropy(s, mg.full((6, 3), 1 / 3)),
    ),
    "twice": (lambda s, y: s.softmax(1).softmax(1)[:, 0].sum(), lambda s, y: s.softmax(1)[:, 0].sum()),
    "log": (lambda s, y: -s.softmax(1).log()[:, 0].sum(), lambda s, y: F.nll_loss(s.log_softmax(1), y)),
    "chosen log": (
        lambda s, y: -s.softmax(1).gather(1, y.reshape(-1, 1)).log().mean(),
        lambda s, y: -s.log_softmax(1).gather(1, y.reshape(-1, 1)).mean(),
    ),
    "sigmoid": (
        lambda s, y: F.binary_cross_entropy_with_logits(s.sigmoid(), mg.ones(6, 3)),
        lambda s, y: F.binary_cross_entropy_with_logits(s, mg.ones(6, 3)),
    ),
    "sigmoid, weighted": (
        lambda s, y: F.binary_cross_entropy_with_logits(s.sigmoid(), mg.ones(6, 3), pos_weight=mg.ones(3)),
        lambda s, y: F.binary_cross_entropy_with_logits(s, mg.ones(6, 3), pos_weight=mg.ones(3)),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_operations_that_do_not_go_together(name):
    model, (x, y) = Net(), batch()
    wrong, healthy = PAIRS[name]
    for report in both(model, lambda: wrong(model(x), y)):
        assert only(report).kind == "softmax"
    assert "lambda s, y" in only(mg.lint(model, lambda: wrong(model(x), y))).place or "lambda" in str(report)
    assert all(both(model, lambda: healthy(model(x), y)))


def test_log_softmax_before_cross_entropy_is_a_note():
    model, (x, y) = Net(), batch()
    report = mg.lint(model, lambda: F.cross_entropy(model(x).log_softmax(1), y))
    assert report and report.notes[0].startswith("cross_entropy of log_softmax is right, and computes it twice at ")


def test_softmax_and_sigmoid_where_they_belong():
    model, x = Net(), batch()[0]

    def loss():
        s = model(x)
        attention = (s @ s.t()).softmax(1) @ s
        return (attention.sigmoid() * F.softplus(s.sigmoid() + s)).sum() + mg.log(s.softmax(1) + 1e-6).sum()

    assert all(both(model, loss))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda y: y.reshape(1, 1).expand(2, 2), r"is \(2, 2\) and not one number; write loss.mean\(\)"),
        (lambda y: y * float("nan"), r"is NaN; mg.detect_anomaly\(\) finds where it was born"),
        (lambda y: y * float("inf"), "is infinite"),
    ],
)
def test_values_of_losses(change, text):
    model = Net()
    for report in both(model, lambda: change(loss_of(model))):
        finding = only(report)
        assert (finding.kind, finding.path) == ("loss", "the loss") and re.search(text, finding.text)
    assert mg.lint(model, lambda: loss_of(model).reshape(1, 1))


def test_dtypes():
    model = Net()
    model.scale = nn.Parameter(mg.ones(3, dtype=mg.float64))
    model.forward = lambda x: Net.forward(model, x) * model.scale
    finding = only(mg.lint(model, lambda: loss_of(model)))
    assert (finding.kind, finding.path) == ("dtype", "model.scale") and "write model.float()" in finding.text
    other = Net()
    assert kinds(mg.lint([model.double(), other], lambda: model(batch()[0].double()).sum() + loss_of(other))) == []
    model.half()
    model.fc1.float()
    assert kinds(mg.lint(model, mg.add(model.fc1.weight.sum(), model.scale.sum()))) == ["unreached"]


def test_data_in_float64_is_a_note():
    model = Net()
    report = mg.lint(model, lambda: (model(batch()[0]) - mg.ones(6, 3, dtype=mg.float64)).square().mean())
    note = "the loss is float64 though what is trained is float32: the data is; write x.float()"
    assert report and report.notes == [note]


# --- healthy scripts ---------------------------------------------------------------------------------------------


def lenet():
    conv = [nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
    model = nn.Sequential(*conv, nn.Flatten(), nn.Linear(16 * 25, 20), nn.Tanh(), nn.Linear(20, 10))
    return model, lambda: F.cross_entropy(model(mg.randn(2, 1, 28, 28)), mg.tensor([3, 7]))


def example(name, net):
    def made():
        model = getattr(importlib.import_module(name), net)()
        size = 8 if name == "train_digits" else 28
        return model, lambda: F.cross_entropy(model(mg.randn(3, 1, size, size)), mg.tensor([3, 7, 1]))

    return made


def batch_norm():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(144, 2), nn.LayerNorm(2)
    )
    return model, lambda: F.cross_entropy(model(mg.randn(4, 1, 8, 8)), mg.tensor([0, 1, 1, 0]))


def shared_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
            self.decode.weight = self.encode.weight
            self.again = self.encode

        def forward(self, x):
            return self.again(self.decode(self.encode(x)))

    model = Tied()
    return model, lambda: model(mg.randn(2, 4)).square().mean()


def frozen():
    model = Net()
    model.fc1.requires_grad_(False)
    return model, lambda: loss_of(model)


def checkpointed():
    model = Net(lambda h: mg.checkpoint(lambda h: mg.sin(h) * h, h))
    return model, lambda: loss_of(model)


def hooked():
    model = Net()
    model.fc2.register_full_backward_hook(lambda *_: None)
    return model, lambda: loss_of(model)


def in_place():
    def between(h):
        h = h.clone()
        h[0] = h[1] * 2.0
        h.mul_(2.0)
        return h

    model = Net(between)
    return model, lambda: loss_of(model)


def half_precision():
    model = Net()

    def loss():
        with mg.autocast("cpu", dtype=mg.float16):
            return loss_of(model)

    return model, loss


def generator_step():
    generator, critic = Net(), nn.Linear(3, 1)
    return generator, lambda: -F.softplus(critic(generator(mg.randn(6, 4)))).mean()


def critic_step():
    generator, critic = Net(), nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))

    def loss():
        fake = generator(mg.randn(6, 4)).detach()
        return F.softplus(critic(fake)).mean() + F.softplus(-critic(mg.randn(6, 3))).mean()

    return critic, loss


HEALTHY = [
    lenet, example("train_digits", "Net"), example("train_mnist", "LeNet"), batch_norm, shared_weights, frozen,
    checkpointed, hooked, in_place, half_precision, generator_step, critic_step,
]  # fmt: skip


@pytest.mark.parametrize("script", HEALTHY, ids=lambda f: f.__name__)
def test_healthy_scripts(script, monkeypatch):
    if script.__name__ == "made":
        pytest.importorskip("tqdm"), pytest.importorskip("matplotlib")
        monkeypatch.syspath_prepend(EXAMPLES)
    model, loss = script()
    optimizer = optim.Adam(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        for report in both(model, loss, optimizer=optimizer):
            assert report, report
            assert [note for note in report.notes if not note.startswith("frozen: ")] == []
        y = loss()
        y.backward()
        assert mg.lint(model, y, optimizer=optimizer)
        optimizer.step()
        assert mg.lint(model, y, optimizer=optimizer)


def test_notes():
    model = Net(nn.Dropout())
    model.fc1.requires_grad_(False)
    model.eval()
    report = mg.lint(model, loss_of(model))
    assert report.notes == [
        "frozen: model.fc1.weight, model.fc1.bias",
        "model is in evaluation mode; model.train() is for training",
    ]
    assert len(mg.lint(Net().eval(), loss_of(Net())).notes) == 1  # nothing in it depends on the mode


# --- the run ------------------------------------------------------------------------------------------------------


def test_the_run_leaves_everything_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3))
    model[0].register_buffer("calls", mg.zeros(1))
    loss_of(model).backward()
    buffers = {name: (b, b.data, b.data.copy()) for name, b in model.named_buffers()}
    grads = {name: (p.grad, p.grad.data.copy()) for name, p in model.named_parameters()}
    calls = []

    def loss():
        calls.append(1)
        model[0].calls += 1
        model[1].running_mean.fill_(5.0)
        model[1].running_var = mg.ones(4) * 7
        y = loss_of(model)
        y.backward(retain_graph=True)
        model[3].bias.grad = None
        return y

    state = mg.get_rng_state()
    first = mg.lint(model, loss)
    assert calls == [1] and first and mg.get_rng_state() == state
    for name, b in model.named_buffers():
        before, array, values = buffers[name]
        assert b is before and b.data is array
        np.testing.assert_array_equal(array, values)
    for name, p in model.named_parameters():
        g, values = grads[name]
        np.testing.assert_array_equal(p.grad.data, values)
        assert p.grad is g


def test_an_error_of_the_function_is_the_users():
    model = nn.Sequential(nn.BatchNorm1d(4))
    array = model[0].running_mean.data

    def loss():
        model(mg.randn(6, 4))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mg.lint(model, loss)
    assert model[0].running_mean.data is array and not array.any()


def test_it_runs_recorded():
    model = Net()
    with mg.no_grad():
        assert mg.lint(model, lambda: loss_of(model))


@pytest.mark.parametrize(
    ("model", "loss", "options", "message"),
    [
        (3, mg.ones(1), {}, "the model must be a module or a list of modules, not a int"),
        ([Net], mg.ones(1), {}, "and has a type"),
        (Net(), 3.0, {}, "the loss must be a Variable, a function that returns one, or several in a list, not a float"),
        (Net(), lambda: None, {}, "not a NoneType"),
        (Net(), [], {}, "not a list"),
        (Net(), mg.ones(1), {"optimizer": [3]}, "expected an optimizer or a list of them, got a int"),
    ],
)
def test_wrong_arguments(model, loss, options, message):
    with pytest.raises(TypeError, match=f"lint: .*{message}"):
        mg.lint(model, loss, **options)


def test_the_report():
    model = Net(lambda h: h.detach())
    model.extra = [nn.Linear(1, 1)]
    report = mg.lint(model, lambda: loss_of(model))
    lines = str(report).splitlines()
    assert lines[0] == "lint of Net: 2 findings" == report.headline() and repr(report) == str(report)
    assert lines[1].startswith("  unreached: model.fc1.weight, model.fc1.bias get no gradient from the loss: what tanh")
    assert lines[2].startswith("  hidden: model.extra[0] (Linear) is a module")
    html = report._repr_html_()
    assert html.count("<tr>") == 3 and "model.fc1.weight" in html and "&lt;" not in str(report)
    healthy = mg.lint(Net(), loss_of(Net()) * 0 + 1)
    assert not healthy
    model = Net()
    assert str(mg.lint(model, loss_of(model))) == "lint of Net: no findings"
    assert "<table>" not in mg.lint(model, loss_of(model))._repr_html_()


def test_on_a_gpu(cuda):
    model = Net(lambda h: h.detach()).to(cuda)
    x, y = (v.to(cuda) for v in batch())
    finding = only(mg.lint(model, lambda: F.cross_entropy(model(x), y)))
    assert "is taken without its history by linear" in finding.text and finding.path == FC1
    model.between = lambda h: h
    assert all(both(model, lambda: F.cross_entropy(model(x), y)))
