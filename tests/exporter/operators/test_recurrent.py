"""Recurrent layers in ONNX's other forms, and what is refused of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inn_exporter.errors import UnsupportedGraphError
from inn_exporter.execution.forward import run
from inn_exporter.execution.moments import Moments
from inn_exporter.importers import import_onnx
from inn_exporter.operators.gru import MOST_STEPS
from inn_exporter.passes.axis_analysis import analyse
from networks import Network, images, relative_error
from onnx import reference
from operator_networks import CHANNELS, TOKENS, on_tokens
from parity import TOLERANCE, Parity
from recurrent_networks import GATES, STATES, batch_first, on_steps, recurrent

HIDDEN = 5


def on_turned(build: Callable[[Network, str], str]) -> Network:
    """``build`` on (7, batch, 6), between dense layers; it leaves 5 features."""
    return on_tokens(
        lambda n, x: batch_first(n, build(n, n.node("Transpose", x, perm=[1, 0, 2]))), features=HIDDEN
    )


def operands(n: Network, op: str) -> list[str]:
    rows = GATES[op] * HIDDEN
    return [n.weight(1, rows, CHANNELS), n.weight(1, rows, HIDDEN), n.weight(1, 2 * rows)]


def zero_state(n: Network, x: str) -> str:
    """As PyTorch writes it: zeros for as many images as there are."""
    count = n.node("Gather", n.node("Shape", x), n.integers(1))
    return n.node("ConstantOfShape", n.node("Concat", n.integers(1), count, n.integers(HIDDEN), axis=0))


@pytest.mark.parametrize("op", GATES)
def test_states_of_zeros_and_lengths_of_all_steps(op: str, assert_import_parity: Parity) -> None:
    def build(n: Network, x: str) -> str:
        zeros = [zero_state(n, x)] * STATES[op]
        return n.node(op, x, *operands(n, op), "", *zeros, hidden_size=HIDDEN)

    graph = assert_import_parity(on_turned(build).model())
    (layer,) = [node for node in graph.nodes if node.op == op]
    assert set(layer.inputs[-STATES[op] :]) == {""}


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_batch_first(op: str, direction: str) -> None:
    """ONNX Runtime has no layers of this layout, but the official reference has."""
    n, directions = Network(), 2 if direction == "bidirectional" else 1
    x = n.relu(n.token_dense(n.input(TOKENS, 4), 4, CHANNELS))
    states = [n.input(directions, HIDDEN, name=name) for name in ("h", "c")[: STATES[op]]]
    y, *after = recurrent(n, op, x, CHANNELS, HIDDEN, *states, layout=1, direction=direction)
    n.output(n.relu(n.node("Reshape", y, n.integers(0, 0, -1))), rank=3)
    for state in after:
        n.output(n.relu(state), rank=3)
    model = n.model(check=False)
    graph = import_onnx(model)
    inputs = {name: images(3, *graph.shapes[name][1:]) for name in graph.inputs}
    expected = reference.ReferenceEvaluator(model).run(None, inputs)
    found = run(graph, inputs)
    assert list(found) == [output.name for output in n.outputs]
    for name, values in zip(found, expected):
        assert relative_error(found[name], values) <= TOLERANCE


def refusal(n: Network) -> str:
    with pytest.raises(UnsupportedGraphError) as caught:
        import_onnx(n.model(check=False))
    return str(caught.value)


def with_input(op: str, place: int, values: Any, kind: Any = np.float32) -> Network:
    """A layer with a constant as its input ``place``."""

    def build(n: Network, x: str) -> str:
        inputs = [x, *operands(n, op), "", "", "", ""][:place]
        return n.node(op, *inputs, n.constant(values, kind), hidden_size=HIDDEN)

    return on_turned(build)


REFUSED: dict[str, tuple[Callable[[], Network], str]] = {
    "activations": (
        lambda: on_steps("GRU", activations=["HardSigmoid", "Tanh"]),
        "other activations than Sigmoid, Tanh",
    ),
    "clip": (lambda: on_steps("LSTM", clip=1.0), "gates that are clipped"),
    "direction": (lambda: on_steps("LSTM", direction="sideways"), "direction 'sideways'"),
    "coupled": (lambda: on_steps("LSTM", input_forget=1), "input and forget gates that are coupled"),
    "peepholes": (lambda: with_input("LSTM", 7, np.ones((1, 3 * HIDDEN))), "peepholes"),
    "lengths": (
        lambda: with_input("GRU", 4, [TOKENS - 1], np.int32),
        "sequences of different lengths",
    ),
    "a learned state": (
        lambda: with_input("LSTM", 5, np.ones((1, 1, HIDDEN))),
        "a constant first state (input 5) that is not zero: make it an input",
    ),
    "kernel": (
        lambda: on_turned(
            lambda n, x: n.node("GRU", x, n.weight(1, 9, 3), n.weight(1, 15, 5), hidden_size=5)
        ),
        "input 1 of shape (1, 9, 3), expected (1, 15, 6)",
    ),
    "batch": (
        lambda: on_tokens(
            lambda n, x: n.node(
                "Squeeze", n.node("LSTM", x, *operands(n, "LSTM"), hidden_size=5), n.integers(1)
            ),
            HIDDEN,
        ),
        "a sequence of shape (1, 7, 6), whose batch is elsewhere",
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_refused(form: str) -> None:
    build, reason = REFUSED[form]
    assert reason in refusal(build())


@pytest.mark.parametrize("steps", [MOST_STEPS, MOST_STEPS + 1])
def test_long_sequences(steps: int) -> None:
    """An LSTM may be as long as it likes."""
    for op in GATES:
        n = Network()
        x = n.node("Transpose", n.token_dense(n.input(steps, 4), 4, CHANNELS), perm=[1, 0, 2])
        n.output(batch_first(n, recurrent(n, op, x, CHANNELS, HIDDEN)[0]), rank=3)
        if op == "GRU" and steps > MOST_STEPS:
            assert f"a sequence of {steps} steps, of which at most {MOST_STEPS} are written out" in refusal(n)
        else:
            assert op in {node.op for node in import_onnx(n.model()).nodes}


@pytest.mark.parametrize("op", GATES)
def test_what_is_resized(op: str) -> None:
    """The columns of the input kernel alone; the layer's own width is kept."""
    graph, channels = analyse(import_onnx(on_steps(op, direction="bidirectional").model()))
    layers = [node for node in graph.nodes if node.op == op]
    assert len(layers) == 2
    (before, _) = channels.groups
    for layer in layers:
        kernel = layer.inputs[1]
        assert channels.along(kernel, 0) == [graph.shape(kernel).index(CHANNELS)]
        assert f"{kernel}:{graph.constants[kernel].ndim - 1}" in before.members
        for name in (*layer.inputs[2:], layer.output):
            assert not name or not any(channels.along(name, group) for group in range(2))


def test_shared_quadrature_with_what_reads_a_mean() -> None:
    """A tensor that is read step by step, too, is not judged by its means alone."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 1, TOKENS), 3, CHANNELS, kernel_shape=[1, 1], pads=[0] * 4))
    n.output(n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), CHANNELS, 4))
    steps = n.node("Transpose", n.node("Squeeze", x, n.integers(2)), perm=[2, 0, 1])
    n.output(batch_first(n, recurrent(n, "LSTM", steps, CHANNELS, HIDDEN)[0]), rank=3)
    graph, channels = analyse(import_onnx(n.model()))
    moments = Moments(graph, channels)
    assert {key.tensor for key, _ in channels.quadratures} - {key.tensor for key in moments._pooled}
