"""The difference of two graphs: what was added, removed and changed is told and marked, and nothing else."""

import copy
import itertools

import pytest

import minigrad as mg
from minigrad import nn, viz
from minigrad.viz.comparing.matching import match, sequence
from minigrad.viz.model import MODULE, Edge, Graph, Node


class Net(nn.Module):
    """A layer for each name, called in turn; `extra` is done with the result."""

    def __init__(self, extra=lambda x: x, **layers):
        super().__init__()
        self.extra = extra
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.names = list(layers)

    def forward(self, x):
        for name in self.names:
            x = getattr(self, name)(x)
        return self.extra(x)


class Other(Net):
    pass


def drawn(model, size=8, **options):
    return viz.graph(lambda: model(mg.ones(4, size)).sum(), model, **options)


def sequential(*layers):
    return nn.Sequential(*layers)


def mlp():
    return [nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)]


def lines(difference):
    return str(difference).splitlines()[1:]


def marked(graph, mark):
    return [n.id for n in graph.nodes.values() if mark in n.marks]


def consistent(graph):
    assert {id for e in graph.edges for id in (e.source, e.target)} <= graph.nodes.keys()
    assert {n.group for n in graph.nodes.values()} - {""} <= graph.groups.keys()
    assert {g.parent for g in graph.groups.values()} - {""} <= graph.groups.keys()
    assert set(graph.outputs) <= graph.nodes.keys() and all(id == n.id for id, n in graph.nodes.items())
    return True


# Made in the tests, since networks lie on the device of the test.
TABLE = {
    "identical": lambda: (sequential(*mlp()), sequential(*mlp()), []),
    "a layer in the middle": lambda: (
        sequential(*mlp()),
        sequential(*mlp()[:2], nn.Tanh(), *mlp()[2:]),
        [
            "  + 2 Tanh: 1 operation",
            "  > 3: moved, was 2",
            "  > 4: moved, was 3",
            "  > 5: moved, was 4",
            "  - edge 1/relu:1 to 3/linear:1: x",
        ],
    ),
    "a layer less": lambda: (
        sequential(*mlp()),
        sequential(*mlp()[:2], *mlp()[4:]),
        [
            "  > 2: moved, was 4",
            "  - 2 Linear: 1 operation, 272 parameters",
            "  - 3 ReLU: 1 operation",
            "  + edge 1/relu:1 to 2/linear:1: x",
        ],
    ),
    "another width": lambda: (
        sequential(*mlp()),
        sequential(*mlp()[:2], nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)),
        [
            "  ~ 2/linear:1: shape 4×16 to 4×32",
            "  ~ 2.weight: shape 16×16 to 32×16",
            "  ~ 2.bias: shape 16 to 32",
            "  ~ 3/relu:1: shape 4×16 to 4×32",
            "  ~ 4.weight: shape 4×16 to 4×32",
        ],
    ),
    "another activation": lambda: (
        sequential(*mlp()),
        sequential(mlp()[0], nn.GELU(), *mlp()[2:]),
        ["  ~ 1: class ReLU to GELU", "  ~ 1/gelu:1: relu to gelu"],
    ),
    "another function": lambda: (
        Net(lambda x: x.tanh(), fc=nn.Linear(8, 4)),
        Net(lambda x: x.sigmoid(), fc=nn.Linear(8, 4)),
        ["  ~ Net/sigmoid:1: tanh to sigmoid"],
    ),
    "another fact": lambda: (
        Net(norm=nn.LayerNorm(8)),
        Net(norm=nn.LayerNorm(8, eps=1e-3)),
        ["  ~ norm/normalize:1: eps 1e-05 to 0.001"],
    ),
    "no bias": lambda: (
        Net(fc=nn.Linear(8, 4)),
        Net(fc=nn.Linear(8, 4, bias=False)),
        ["  - fc.bias: parameter 4 float32"],
    ),
    "an input twice": lambda: (
        Net(lambda x: x + 1.0, fc=nn.Linear(8, 8)),
        Net(lambda x: x + x, fc=nn.Linear(8, 8)),
        None,
    ),
    "a new name": lambda: (
        Net(fc=nn.Linear(8, 4)),
        Net(dense=nn.Linear(8, 4)),
        ["  > dense: moved, was fc"],
    ),
    "a new class": lambda: (Net(fc=nn.Linear(8, 4)), Other(fc=nn.Linear(8, 4)), ["  ~ Other: class Net to Other"]),
    "another order": lambda: (
        Net(a=nn.Tanh(), b=nn.LayerNorm(8), c=nn.Linear(8, 4)),
        Net(b=nn.LayerNorm(8), a=nn.Tanh(), c=nn.Linear(8, 4)),
        None,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_told(name):
    before, after, told = TABLE[name]()
    graphs = drawn(before), drawn(after)
    difference = viz.diff(*graphs)
    if told is not None:
        assert lines(difference) == told and difference.equal == (not told)
    else:
        assert not difference.equal
    assert consistent(difference.graph) and consistent(difference.view)
    # Backwards, what was added is removed.
    back = viz.diff(*graphs[::-1])
    counts = [[c.what for c in d.changes] for d in (difference, back)]
    assert counts[0].count("added") == counts[1].count("removed") and counts[0].count("changed") == counts[1].count(
        "changed"
    )


def test_what_is_marked():
    difference = viz.diff(*map(drawn, TABLE["a layer in the middle"]()[:2]))
    graph = difference.graph
    assert marked(graph, "added") == ["2/tanh:1"] and not marked(graph, "removed") and not marked(graph, "changed")
    assert "added" in graph.groups["2"].marks
    assert [(e.source, e.target) for e in graph.edges if "added" in e.marks] == [
        ("1/relu:1", "2/tanh:1"),
        ("2/tanh:1", "3/linear:1"),
    ]
    assert [(e.source, e.target) for e in graph.edges if "removed" in e.marks] == [("1/relu:1", "3/linear:1")]
    assert graph.nodes["3/linear:1"].facts["was"] == "2/linear:1"


def test_what_did_not_change_is_one_node():
    models = TABLE["a layer in the middle"]()[:2]
    difference = viz.diff(*map(drawn, models))
    kinds = {n.id: n.kind for n in difference.view.nodes.values()}
    assert kinds["3"] == MODULE and kinds["2/tanh:1"] == "operation"
    assert "3/linear:1" in viz.diff(*map(drawn, models), whole=True, roll=False).view.nodes
    same = viz.diff(drawn(models[0]), drawn(models[0]))
    assert [n.kind for n in same.view.nodes.values()].count(MODULE) == 1
    assert str(same) == "Sequential and Sequential: no difference" and not same.changes


def test_removed_nodes_stand_where_they_were():
    difference = viz.diff(drawn(sequential(*mlp())), drawn(sequential(*mlp()[:2], *mlp()[4:])))
    graph = difference.graph
    assert marked(graph, "removed") == [
        *("2/linear:1 (removed)", "2.weight (removed)", "2.bias (removed)"),
        "3/relu:1",
    ]
    order = list(graph.nodes)
    assert order.index("1/relu:1") < order.index("3/relu:1") < order.index("2/linear:1")
    assert graph.groups["2 (removed)"].parent == "Sequential" and graph.nodes["3/relu:1"].group == "3"


def test_nothing_in_common():
    difference = viz.diff(drawn(sequential(*mlp())), drawn(Other(norm=nn.LayerNorm(8), soft=nn.Softmax(-1))))
    counts = [c.what for c in difference.changes]
    assert counts.count("removed") >= 5 and counts.count("added") == 2 and consistent(difference.graph)
    assert str(difference).startswith("Sequential and Other: ")


def test_a_block_more_in_twelve():
    def stack(n, size=8):
        return sequential(*[sequential(nn.LayerNorm(size), nn.Linear(size, size), nn.Tanh()) for _ in range(n)])

    difference = viz.diff(drawn(stack(12)), drawn(stack(13)))
    [added] = [c for c in difference.changes if c.what == "added"]
    assert added.text == "3 operations, 88 parameters" and added.id == "12 Sequential"
    assert len(difference.changes) == 2 and len(difference.view.nodes) < 30  # the other: sum takes from another


def test_weights_that_are_shared_now():
    def nets(shared):
        a, b = nn.Linear(8, 8), nn.Linear(8, 8)
        return Net(a=a, between=nn.Tanh(), b=a if shared else b)

    difference = viz.diff(drawn(nets(False)), drawn(nets(True)))
    assert not difference.equal and consistent(difference.graph)
    assert not viz.diff(drawn(nets(True)), drawn(nets(False))).equal
    assert viz.diff(drawn(nets(True)), drawn(nets(True))).equal


def test_a_history_that_is_cut():
    nets = [Net(lambda x: x + x.tanh(), fc=nn.Linear(8, 4)), Net(lambda x: x + x.detach().tanh(), fc=nn.Linear(8, 4))]
    difference = viz.diff(*map(drawn, nets))
    assert not difference.equal and consistent(difference.graph)


def test_graphs_without_modules():
    x = mg.ones(3, requires_grad=True)
    before, after = viz.graph((x.sin() * 2).sum()), viz.graph((x.sin().cos() * 2).sum())
    difference = viz.diff(before, after.graph)
    assert lines(difference) == ["  + cos:1: operation 3 float32", "  - edge sin:1 to mul:1: a"]
    assert viz.diff(Graph(), Graph()).equal
    empty = viz.diff(Graph(), after)
    assert {c.what for c in empty.changes} == {"added"} and empty.view.nodes


def test_the_graphs_are_not_changed_and_the_report_is_the_same():
    drawings = [drawn(m) for m in TABLE["another width"]()[:2]]
    before = copy.deepcopy([d.graph for d in drawings])
    first, second = viz.diff(*drawings), viz.diff(*drawings)
    assert [d.graph for d in drawings] == before
    assert str(first) == str(second) and first.graph.to_json() == second.graph.to_json()
    assert first.source == second.source


def test_it_is_saved_as_a_drawing(tmp_path):
    difference = viz.diff(*(drawn(m) for m in TABLE["another width"]()[:2]), direction="LR")
    text = difference.save(tmp_path / "d.txt").read_text(encoding="utf-8")
    assert text == str(difference) and "rankdir=LR" in difference.source.replace('"', "")
    assert "changes" in repr(difference)


def test_true_if_there_are_differences_as_a_report_is():
    before, after, _ = TABLE["another width"]()
    a, b = drawn(before), drawn(after)
    assert not viz.diff(a, a) and viz.diff(a, b) and viz.diff(b, a)


@pytest.mark.parametrize(
    ("name", "hint"), [("hole", "did you mean 'whole'"), ("dept", "did you mean 'depth'"), ("zzz", "there are depth")]
)
def test_what_is_no_argument(name, hint):
    with pytest.raises(TypeError, match=rf"viz\.diff: there is no argument '{name}'; {hint}"):
        viz.diff(Graph(), Graph(), **{name: True})


def test_modules_without_a_change_say_so():
    before, after, _ = TABLE["a layer in the middle"]()
    difference = viz.diff(drawn(before), drawn(after))
    modules = [n for n in difference.view.nodes.values() if n.kind == "module"]
    assert modules and all("unchanged" in n.marks for n in modules)
    assert "module without a change" in difference.source and "module, collapsed" not in difference.source


@pytest.mark.parametrize("wrong", [None, 3, "net", mg.ones(2)])
def test_what_is_no_drawing(wrong):
    with pytest.raises(TypeError, match=r"viz\.diff: after must be a Drawing, as viz\.graph returns, or its graph"):
        viz.diff(Graph(), wrong)
    with pytest.raises(TypeError, match=r"viz\.diff: before must be"):
        viz.diff(wrong, Graph())


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ("", "abc", []),
        ("abc", "abc", [(0, 0), (1, 1), (2, 2)]),
        ("abc", "axbc", [(0, 0), (1, 2), (2, 3)]),
        ("abcd", "bcda", [(1, 0), (2, 1), (3, 2)]),
        ("aaaa", "aaa", [(0, 0), (1, 1), (2, 2)]),
    ],
)
def test_sequences(a, b, found):
    assert sequence(a, b) == found


def test_long_sequences():
    a = list(range(3000))
    b = [x for x in a if x % 500] + [-1]
    assert sequence(a, b) == [(x, i) for i, x in enumerate(b) if x >= 0]
    assert sequence([0, 1] * 1000, [1, 2, 0] * 1000) == sequence([0, 1] * 1000, [1, 2, 0] * 1000)


def test_long_chains_are_matched_without_recursion():
    def chain(extra):
        ids = [f"n{i}" for i in range(5000)]
        nodes = {id: Node(id, "operation", f"op{i % 7}", shape=(i % 5,)) for i, id in enumerate(ids)}
        if extra:
            nodes = dict(list(nodes.items())[:2500]) | {"x": Node("x", "operation", "new")} | nodes
        order = list(nodes)
        return Graph(nodes, [Edge(a, b, "x") for a, b in itertools.pairwise(order)], outputs=[order[-1]])

    pairs = match(chain(False), chain(True))
    assert len(pairs.nodes) == 5000 and all(a == b for a, b in pairs.nodes.items())
    assert len(viz.diff(chain(False), chain(True), max_nodes=20).view.nodes) <= 20
