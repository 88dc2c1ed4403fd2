"""Recurrent layers between resizable ones, as PyTorch writes them: the batch is second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from networks import Network
from operator_networks import CHANNELS, on_tokens, on_vector

GATES = {"LSTM": 4, "GRU": 3}
STATES = {"LSTM": 2, "GRU": 1}
COLUMNS = 6


def recurrent(
    n: Network, op: str, x: str, inputs: int, hidden: int, *states: str, bias: bool = True, **attributes: Any
) -> list[str]:
    """A layer on (steps, batch, inputs): names of all its outputs."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = GATES[op] * hidden
    operands = [x, n.weight(directions, rows, inputs), n.weight(directions, rows, hidden)]
    operands.append(n.weight(directions, 2 * rows) if bias else "")
    n.node(op, *operands, "", *states, hidden_size=hidden, outputs=1 + STATES[op], **attributes)
    return list(n.nodes[-1].output)


def batch_first(n: Network, y: str) -> str:
    """(steps, directions, batch, H) as (batch, steps, directions · H)."""
    return n.node("Reshape", n.node("Transpose", y, perm=[2, 0, 1, 3]), n.integers(0, 0, -1))


def on_steps(op: str, hidden: int = 8, **attributes: Any) -> Network:
    """A layer between dense layers on 7 steps."""

    def build(n: Network, x: str) -> str:
        turned = n.node("Transpose", x, perm=[1, 0, 2])
        return batch_first(n, recurrent(n, op, turned, CHANNELS, hidden, **attributes)[0])

    return on_tokens(build, hidden * (2 if attributes.get("direction") == "bidirectional" else 1))


def last_state(op: str, direction: str) -> Network:
    """What a layer knows after its last step, of a sequence that each image's channels are; no other output
    is named."""

    def build(n: Network, x: str) -> str:
        steps = n.node(
            "Transpose", n.node("Reshape", n.dense(x, CHANNELS, 12), n.integers(0, 3, 4)), perm=[1, 0, 2]
        )
        state = recurrent(n, op, steps, 4, 5, direction=direction)[1]
        n.nodes[-1].output[0] = ""
        return n.node("Reshape", n.node("Transpose", state, perm=[1, 0, 2]), n.integers(0, -1))

    return on_vector(build, 10 if direction == "bidirectional" else 5)


def streaming(op: str, hidden: int, steps: int = 1, **attributes: Any) -> Network:
    """States come in and go out, (batch, directions, H): voice detectors, a frame at a time."""
    n = Network()
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    x = n.input(3, steps)
    names = ("h", "c")[: STATES[op]]
    states = [n.node("Transpose", n.input(directions, hidden, name=name), perm=[1, 0, 2]) for name in names]
    y = n.relu(n.node("Conv", x, n.weight(10, 3, 3), n.weight(10), pads=[1, 1]))
    turned = n.node("Transpose", y, perm=[2, 0, 1])
    y, *after = recurrent(n, op, turned, 10, hidden, *states, **attributes)
    y = n.relu(n.token_dense(batch_first(n, y), directions * hidden, 6))
    n.output(n.token_dense(y, 6, 2), rank=3)
    for state in after:
        n.output(n.node("Transpose", state, perm=[1, 0, 2]), rank=3)
    return n


def on_columns(op: str, hidden: int = 12, **attributes: Any) -> Network:
    """Two bidirectional layers read an image's columns, as those of text recognisers do."""
    n = Network()
    y = n.relu(n.conv(n.input(1, 8, 2 * COLUMNS), 1, 8))
    y = n.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = n.relu(n.conv(y, 8, 12, kernel_shape=[4, 1], pads=[0] * 4))
    y, inputs = n.node("Transpose", n.node("Squeeze", y, n.integers(2)), perm=[2, 0, 1]), 12
    for _ in range(2):
        y = recurrent(n, op, y, inputs, hidden, direction="bidirectional", **attributes)[0]
        y = n.node("Reshape", n.node("Transpose", y, perm=[0, 2, 1, 3]), n.integers(0, 0, -1))
        inputs = 2 * hidden
    y = n.node("Transpose", n.relu(n.token_dense(y, inputs, 7)), perm=[1, 0, 2])
    n.output(n.token_dense(y, 7, 4), rank=3)
    return n


LSTM: dict[str, Callable[[], Network]] = {
    "forward": lambda: on_steps("LSTM"),
    "a width that the engine cannot": lambda: on_steps("LSTM", 5, bias=False),
    "reverse": lambda: on_steps("LSTM", 9, direction="reverse"),
    "bidirectional": lambda: on_steps(
        "LSTM", 5, direction="bidirectional", activations=["Sigmoid", "Tanh", "tanh"] * 2
    ),
    "last state": lambda: last_state("LSTM", "forward"),
    "last states": lambda: last_state("LSTM", "bidirectional"),
    "streaming": lambda: streaming("LSTM", 12),
    "streaming, bidirectional": lambda: streaming("LSTM", 8, 5, direction="bidirectional"),
    "columns": lambda: on_columns("LSTM"),
}
GRU: dict[str, Callable[[], Network]] = {
    "forward": lambda: on_steps("GRU"),
    "linear before reset": lambda: on_steps("GRU", 5, linear_before_reset=1),
    "reverse": lambda: on_steps("GRU", 9, direction="reverse", linear_before_reset=1, bias=False),
    "bidirectional": lambda: on_steps("GRU", 5, direction="bidirectional"),
    "last state": lambda: last_state("GRU", "reverse"),
    "streaming": lambda: streaming("GRU", 12, linear_before_reset=1),
    "streaming, bidirectional": lambda: streaming("GRU", 8, 5, direction="bidirectional"),
    "columns": lambda: on_columns("GRU", linear_before_reset=1),
}
