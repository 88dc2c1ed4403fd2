"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph import expressions
from ..graph.graph import Node
from ..graph.view import View
from .base import OnnxStep
from .recurrent import Direction, Recurrent, in_turn, part, projected, recurrent_layer
from .registry import imports, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode

GATES = 4
"""Input, output, forget and cell, in ONNX's order, which is the engine's."""
BLOCK = 8
"""The engine's layers of other widths than multiples of this answer garbage to a batch of 1, or crash."""


@register
class LSTM(Recurrent):
    """Inputs are x (batch, steps, I), W (1, 4 · H, I), R (1, 4 · H, H), both biases, (1, 8 · H), and the
    hidden and cell states before the first step, (batch, 1, H) or "".

    The output is (batch, steps, H); with ``cell``, the cells after the last step are a row behind it. With
    i, o, f, c the rows of W x + R h + b:

        C = σ(f) · C + σ(i) · tanh(c),  h = σ(o) · tanh(C)
    """

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, weight, recurrent, bias, hidden, cell = inputs
        width = recurrent.shape[2]
        gates = projected(x, weight[0], bias[0, : GATES * width] + bias[0, GATES * width :])
        zero = ops().zeros_like(gates[:, 0, :width])
        hidden, cell = (zero if state is None else state[:, 0] for state in (hidden, cell))
        steps = x.shape[1]
        outputs: list[Any] = [None] * steps
        for step in in_turn(node, steps):
            rows = gates[:, step] + ops().matmul(hidden, recurrent[0].T)
            let_in, let_out, keep = (
                ops().sigmoid(rows[:, gate * width : (gate + 1) * width]) for gate in range(3)
            )
            cell = keep * cell + let_in * ops().tanh(rows[:, 3 * width :])
            hidden = let_out * ops().tanh(cell)
            outputs[step] = hidden
        return ops().stack([*outputs, *([cell] if node.attributes["cell"] else [])], 1)

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        """ONNX's has the batch second, and a dimension for directions."""
        x, weight, recurrent, bias, *states = node.inputs
        y = node.output
        names = [state and f"{y}.state{index}" for index, state in enumerate(states)]
        starts = [
            OnnxStep("Transpose", [state], name, {"perm": [1, 0, 2]}, {})
            for state, name in zip(states, names)
            if state
        ]
        turned, raw, cells = f"{y}.turned", f"{y}.directions", f"{y}.cells"
        with_cell = node.attributes["cell"]
        inputs = [turned, weight, recurrent, bias, "", *names]
        while not inputs[-1]:
            inputs.pop()
        attributes = {
            "hidden_size": node.attributes["hidden"],
            "direction": "reverse" if node.attributes["reverse"] else "forward",
        }
        rows = f"{y}.rows" if with_cell else y
        steps = [
            OnnxStep("Transpose", [x], turned, {"perm": [1, 0, 2]}, {}),
            *starts,
            OnnxStep("LSTM", inputs, raw, attributes, {}, (raw, "", cells) if with_cell else (raw,)),
            OnnxStep("Squeeze", [raw], f"{raw}.one", {}, {"axes": (1,)}),
            OnnxStep("Transpose", [f"{raw}.one"], rows, {"perm": [1, 0, 2]}, {}),
        ]
        if with_cell:
            last = f"{cells}.row"
            steps.append(OnnxStep("Transpose", [cells], last, {"perm": [1, 0, 2]}, {}))
            steps.append(OnnxStep("Concat", [rows, last], y, {"axis": 1}, {}))
        return steps

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """The engine's has the batch second, no direction of its own but forward, and needs its states."""
        x, weight, recurrent, bias, *states = node.inputs
        steps, hidden = lowering.shape(x)[1], node.attributes["hidden"]
        source = lowering.transpose(node, lowering.plain(x), (1, 0, 2))
        zero = -1 if all(states) else _zero_state(node, lowering, source, hidden)
        starts = [
            _given_state(node, lowering, state, f"state{index}") if state else zero
            for index, state in enumerate(states)
        ]
        kernels = [lowering.weight(name) for name in (weight, recurrent, bias)]
        if node.attributes["reverse"]:
            source = _mirrored(node, lowering, source, "mirrored")
        raw, last, cells = (lowering.temporary(node, name) for name in ("steps", "last", "cells"))
        lowering.emit(
            "LSTM",
            node,
            [source, *kernels, *starts],
            output=raw,
            further=(last, cells),
            bidirectional=False,
            has_bias=True,
            input_size=lowering.length(x, 2),
            hidden_size=hidden,
            num_layers=1,
            num_directions=1,
        )
        if node.attributes["reverse"]:
            raw = _mirrored(node, lowering, raw, "in_order")
        _emit_rows(node, lowering, raw, cells)
        size = expressions.add(lowering.length(x, 2), expressions.constant(hidden))
        lowering.count_macs(expressions.constant(steps * GATES * hidden), size)


def _mirrored(node: Node, lowering: LoweringContext, tensor: int, name: str) -> int:
    """The steps of a tensor (steps, …) from the last to the first."""
    steps = lowering.shape(node.inputs[0])[1]
    places = lowering.integers(f"{node.name}.{name}_steps", range(steps)[::-1])
    axis = lowering.integers(f"{node.name}.{name}_axis", [0])
    return lowering.emit("Gather", node, [tensor, places, axis], output=lowering.temporary(node, name))


def _given_state(node: Node, lowering: LoweringContext, state: str, name: str) -> int:
    """A state (batch, 1, H) as (1, batch, H)."""
    shape = lowering.integers(f"{node.name}.{name}_shape", [1, -1, node.attributes["hidden"]])
    output = lowering.temporary(node, name)
    return lowering.emit("Reshape", node, [lowering.plain(state), shape], output=output)


def _zero_state(node: Node, lowering: LoweringContext, source: int, hidden: int) -> int:
    """Zeros (1, batch, H) for the images of (steps, batch, I): a value of each, repeated, less itself."""
    numbers = {"begin": [0], "end": [1], "axes": [0], "strides": [1]}
    operands = [lowering.integers(f"{node.name}.{name}", values) for name, values in numbers.items()]
    one, wide, zero = (lowering.temporary(node, name) for name in ("one", "repeated", "zero"))
    lowering.emit("StridedSlice", node, [source, *operands], output=one)
    places = lowering.integers(f"{node.name}.repeats", [0] * hidden)
    axis = lowering.integers(f"{node.name}.repeats_axis", [2])
    lowering.emit("Gather", node, [one, places, axis], output=wide)
    return lowering.emit("SubFusion", node, [wide, wide], output=zero)


def _emit_rows(node: Node, lowering: LoweringContext, raw: int, cells: int) -> None:
    """(steps, 1, batch, H) as (batch, rows, H), through a dimension of length 1: see
    `LoweringContext.plain_for_reshape`."""
    steps, hidden = lowering.shape(node.inputs[0])[1], node.attributes["hidden"]

    def reshaped(tensor: int, name: str, shape: list[int]) -> list[int]:
        return [tensor, lowering.integers(f"{node.name}.{name}_shape", shape)]

    wide = lowering.temporary(node, "wide")
    lowering.emit("Reshape", node, reshaped(raw, "wide", [steps, -1, hidden, 1]), output=wide)
    turned = lowering.transpose(node, wide, (1, 3, 0, 2))
    rows = reshaped(turned, "rows", [-1, steps, hidden])
    if not node.attributes["cell"]:
        lowering.emit("Reshape", node, rows)
        return
    parts = [lowering.temporary(node, name) for name in ("rows", "cell")]
    lowering.emit("Reshape", node, rows, output=parts[0])
    lowering.emit("Reshape", node, reshaped(cells, "cell", [-1, 1, hidden]), output=parts[1])
    lowering.emit("Concat", node, parts, axis=1)


@imports("LSTM", several_outputs=True)
def _lstm(node: OnnxNode) -> View:
    if node.integer("input_forget", 0):
        raise node.unsupported("input and forget gates that are coupled")
    if node.has(7) and not (node.is_constant(7) and not node.weight(7).any()):
        raise node.unsupported("peepholes")
    return recurrent_layer(node, ("Sigmoid", "Tanh", "Tanh"), (5, 6), _build)


def _build(node: OnnxNode, layer: Direction) -> tuple[str, str]:
    hidden, steps, cell = layer.hidden, layer.steps, node.writes(2)
    width = -(-hidden // BLOCK) * BLOCK
    rows = steps + cell
    recurrent = np.pad(layer.recurrent, ((0, 0), (0, width - hidden)))
    parts = {"W": layer.kernel, "R": recurrent, "B": layer.bias}
    kernels = [
        node.new_constant(name, _padded(values, hidden, width)[None], of=index)
        for index, (name, values) in enumerate(parts.items(), 1)
    ]
    states = tuple(state and _padded_state(node, state, hidden, width) for state in layer.states)
    layer = replace(layer, states=states)
    tensor = layer.added(node, "LSTM", kernels, (rows, width), cell=cell, hidden=width)
    tensor = part(node, tensor, (1, rows, width), 2, 0, hidden)
    if not cell:
        return tensor, ""
    shape = (1, rows, hidden)
    return part(node, tensor, shape, 1, 0, steps), part(node, tensor, shape, 1, steps, rows)


def _padded(values: np.ndarray, hidden: int, width: int) -> np.ndarray:
    """Rows (G · H, …) as (G · width, …): what is added to each gate is zero, and so stay its states."""
    blocks = values.reshape(-1, hidden, *values.shape[1:])
    pads = ((0, 0), (0, width - hidden), *[(0, 0)] * (values.ndim - 1))
    return np.pad(blocks, pads).reshape(-1, *values.shape[1:])


def _padded_state(node: OnnxNode, state: str, hidden: int, width: int) -> str:
    if width == hidden:
        return state
    pads = (0, 0, 0, 0, 0, width - hidden)
    return node.insert("Pad", [state], (1, 1, width), mode="constant", pads=pads, value=0.0)
