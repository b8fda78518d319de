"""Grad modes: nested, decorating, left by exceptions, in threads and generators; and that nothing is recorded."""

import asyncio
import threading

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.errors import GraphError
from minigrad.tape import Function

x = mg.tensor([1.0, 2.0], requires_grad=True)


def recorded():
    """Whether an operation is recorded here; the mode must say the same."""
    answer = (x * 2).requires_grad
    assert mg.is_grad_enabled() is answer
    return answer


@pytest.fixture(autouse=True)
def the_mode_is_left_as_it_was_found():
    assert recorded()
    yield
    assert recorded()


# --- nesting -----------------------------------------------------------------------------------------------------


def test_inference_mode_is_no_grad():
    with mg.inference_mode():
        assert not recorded()
        with mg.inference_mode(mode=False):
            assert recorded()
    with mg.inference_mode(False):
        assert recorded()


def test_nested():
    with mg.no_grad():
        assert not recorded()
        with mg.enable_grad():
            assert recorded()
            with mg.no_grad():
                assert not recorded()
            assert recorded()
        assert not recorded()
        with mg.no_grad():
            pass
        assert not recorded()


@pytest.mark.parametrize("mode", [True, False, 1, 0])
def test_set_grad_enabled(mode):
    with mg.set_grad_enabled(mode):
        assert recorded() == bool(mode)
        with mg.set_grad_enabled(not mode):
            assert recorded() != bool(mode)
        assert recorded() == bool(mode)


def test_set_grad_enabled_is_also_a_plain_call():
    """PyTorch: "can be used as a context-manager or as a function"."""
    try:
        mg.set_grad_enabled(False)
        assert not recorded()
    finally:
        mg.set_grad_enabled(True)


def test_the_same_object_again_inside_of_itself():
    off, on = mg.no_grad(), mg.enable_grad()
    with off:
        with on:
            with off:
                assert not recorded()
                with on:
                    assert recorded()
                assert not recorded()
            assert recorded()
        assert not recorded()
    with off:
        assert not recorded()


def test_an_exception_passes_and_restores():
    off = mg.no_grad()
    with pytest.raises(ZeroDivisionError), off, mg.enable_grad(), off:
        raise ZeroDivisionError
    assert recorded()

    @mg.no_grad()
    def fails():
        assert not recorded()
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails()
        assert recorded()


def test_a_failing_backward_restores_the_mode():
    class Fails(Function):
        def forward(self, x):
            return x

        def backward(self, gy):
            assert mg.is_grad_enabled() is create_graph
            raise ZeroDivisionError

    for create_graph in (False, True):
        with pytest.raises(ZeroDivisionError):
            Fails()(x).sum().backward(create_graph=create_graph)
        assert recorded()


# --- decorators --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decorator",
    [mg.no_grad(), lambda f: mg.set_grad_enabled(False)(f), mg.no_grad, mg.inference_mode(), mg.inference_mode],
)
def test_decorators(decorator):
    @decorator
    def f(n, *, key=1):
        """Doc."""
        inner = f(n - 1) if n else []
        assert not recorded()
        return [n * key, *inner]

    assert f(2, key=5) == [10, 1, 0] and recorded()
    assert f.__name__ == "f" and f.__doc__ == "Doc."
    with mg.enable_grad():
        assert f(0) == [0] and recorded()


def test_decorated_methods_and_enable_grad():
    class Model:
        @mg.no_grad()
        def evaluate(self):
            return recorded(), self.train()

        @mg.enable_grad()
        def train(self):
            return recorded()

    assert Model().evaluate() == (False, True) and recorded()


def test_a_decorated_generator_runs_its_body_in_the_mode_and_its_caller_outside():
    @mg.no_grad()
    def numbers():
        sent = []
        try:
            for n in range(3):
                assert not recorded()
                sent.append((yield n))
        except ZeroDivisionError:
            assert not recorded()
            yield "caught"
        return sent

    assert [(n, recorded()) for n in numbers()] == [(0, True), (1, True), (2, True)]
    running = numbers()
    next(running)
    assert recorded() and running.send("a") == 1
    assert running.throw(ZeroDivisionError) == "caught" and recorded()
    running.close()


def test_a_block_inside_of_a_generator_ends_with_it():
    def batches():
        with mg.no_grad():
            yield recorded()

    running = batches()
    assert next(running) is False
    running.close()
    assert recorded()


# --- threads and tasks -------------------------------------------------------------------------------------------


def in_thread(function):
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0] if result else None


def test_a_thread_begins_recording_and_keeps_its_mode_to_itself():
    with mg.no_grad():
        assert in_thread(recorded) is True
        assert not recorded()
    inside, go_on = threading.Event(), threading.Event()

    def other():
        with mg.no_grad():
            inside.set()
            go_on.wait(5)
            answers.append(recorded())

    answers = []
    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(5) and recorded()
    go_on.set()
    thread.join()
    assert answers == [False] and recorded()


@pytest.mark.parametrize("decorated", [False, True])
def test_one_object_in_two_threads(decorated):
    off = mg.no_grad()
    entered, leave, answers = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()], {}

    def body(i):
        entered[i].set()
        leave[i].wait(5)
        return not recorded()

    def run(i):
        try:
            if decorated:
                inside = off(body)(i)
            else:
                with off:
                    inside = body(i)
            answers[i] = inside, recorded()
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            answers[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in (0, 1)]
    for i in (0, 1):
        threads[i].start()
        assert entered[i].wait(5)
    for i in (0, 1):  # the first in is the first out
        leave[i].set()
        threads[i].join()
    assert answers == {0: (True, True), 1: (True, True)}


def test_tasks_have_their_own_mode():
    async def task(mode, turns):
        with mg.set_grad_enabled(mode):
            for _ in range(turns):
                await asyncio.sleep(0)
                assert recorded() is mode

    async def main():
        await asyncio.gather(task(False, 5), task(True, 3), task(False, 2))

    asyncio.run(main())


# --- nothing is recorded -----------------------------------------------------------------------------------------


class TwoOutputs(Function):
    def forward(self, x):
        return x * 1, x * 2

    def backward(self, gy):
        return gy[0] + gy[1] * 2


OPERATIONS = {
    "operator": lambda x: x + x,
    "number": lambda x: 2 * x,
    "unary": lambda x: x.exp(),
    "reduction": lambda x: x.sum(),
    "fused": lambda x: F.layer_norm(x, 2),
    "index": lambda x: x[0],
    "view": lambda x: x.reshape(-1, 1),
    "several outputs": lambda x: TwoOutputs()(x)[0],
    "cast": lambda x: x.double(),
    "loss": lambda x: F.cross_entropy(x, np.array(1)),
    "iterated": lambda x: next(iter(x)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_recorded(name):
    operation = OPERATIONS[name]
    with mg.no_grad():
        y = operation(x)
        assert not y.requires_grad and y.creator is None and y.is_leaf
    assert not operation(y if y.shape == x.shape else y * mg.ones(2)).requires_grad  # nor later from what came of it
    with pytest.raises(GraphError, match=r"does not require grad.*or it was computed under no_grad"):
        y.backward(np.ones(y.shape))
    recorded = operation(x)
    assert recorded.requires_grad and recorded.creator is not None
    np.testing.assert_array_equal(recorded.data, y.data)


def test_a_leaf_made_inside_of_no_grad_works_outside():
    with mg.no_grad():
        w = mg.tensor([3.0], requires_grad=True)
    assert w.requires_grad
    (w * w).backward()
    assert w.grad.item() == 6


def test_backward_inside_of_no_grad():
    w = mg.tensor([3.0], requires_grad=True)
    y = w**3
    with mg.no_grad():
        y.backward(retain_graph=True)
        (g,) = mg.grad(y, w, create_graph=True)  # asks for a recording
        assert not recorded()
    assert w.grad.item() == 27 and mg.grad(g, w)[0].item() == 18
