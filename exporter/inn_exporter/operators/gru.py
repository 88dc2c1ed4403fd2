"""Gated recurrent units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backend import ops
from ..graph import expressions
from ..graph.graph import Node
from ..graph.view import View
from .base import OnnxStep
from .primitives import SIGMOID, TANH
from .recurrent import Direction, Recurrent, in_turn, projected, recurrent_layer
from .registry import imports, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode

MOST_STEPS = 128
"""Of which a layer is written out step by step, fourteen of the engine's nodes for each."""


@register
class GRU(Recurrent):
    """Inputs are x (batch, steps, I), W (3 · H, I) and its bias, the rows of R for the two gates, (2 · H, H),
    and their bias, those for the candidate, (H, H), and their bias, and the state before the first step,
    (batch, 1, H) or "".

    The output is (batch, steps, H). With z, r, n the rows of W x + b and z', r', n' those of R h + b':

        h = (1 - σ(z + z')) · tanh(n + σ(r + r') · n') + σ(z + z') · h

    Without ``linear_before_reset``, n' are rows of R (σ(r + r') · h) + b' instead.
    """

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, weight, bias, gate, gate_bias, candidate, candidate_bias, hidden = inputs
        width = candidate.shape[0]
        rows = projected(x, weight, bias)
        hidden = ops().zeros_like(rows[:, 0, :width]) if hidden is None else hidden[:, 0]
        steps = x.shape[1]
        outputs: list[Any] = [None] * steps
        for step in in_turn(node, steps):
            gates = rows[:, step, : 2 * width] + ops().matmul(hidden, gate.T) + gate_bias
            keep, reset = ops().sigmoid(gates[:, :width]), ops().sigmoid(gates[:, width:])
            if node.attributes["linear_before_reset"]:
                seen = reset * (ops().matmul(hidden, candidate.T) + candidate_bias)
            else:
                seen = ops().matmul(reset * hidden, candidate.T) + candidate_bias
            new = ops().tanh(rows[:, step, 2 * width :] + seen)
            hidden = new + keep * (hidden - new)
            outputs[step] = hidden
        return ops().stack(outputs, 1)

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        """ONNX's has the batch second, a dimension for directions, and all rows of R together."""
        x, weight, bias, gate, gate_bias, candidate, candidate_bias, hidden = node.inputs
        y = node.output
        turned, raw = f"{y}.turned", f"{y}.directions"
        joined = {"W": [weight], "R": [gate, candidate], "B": [bias, gate_bias, candidate_bias]}
        steps = [OnnxStep("Transpose", [x], turned, {"perm": [1, 0, 2]}, {})]
        for name, parts in joined.items():
            steps.append(OnnxStep("Concat", parts, f"{y}.{name}.rows", {"axis": 0}, {}))
            one = {"axes": (0,)}
            steps.append(OnnxStep("Unsqueeze", [f"{y}.{name}.rows"], f"{y}.{name}", {}, one))
        inputs = [turned, *(f"{y}.{name}" for name in joined)]
        if hidden:
            steps.append(OnnxStep("Transpose", [hidden], f"{y}.state", {"perm": [1, 0, 2]}, {}))
            inputs += ["", f"{y}.state"]
        attributes = {
            "hidden_size": node.attributes["hidden"],
            "direction": "reverse" if node.attributes["reverse"] else "forward",
            "linear_before_reset": int(node.attributes["linear_before_reset"]),
        }
        return [
            *steps,
            OnnxStep("GRU", inputs, raw, attributes, {}),
            OnnxStep("Squeeze", [raw], f"{raw}.one", {}, {"axes": (1,)}),
            OnnxStep("Transpose", [f"{raw}.one"], y, {"perm": [1, 0, 2]}, {}),
        ]

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """Step by step. The engine's own answers garbage to some batches, crashes when they change, and knows
        no ``linear_before_reset``."""
        x, weight, bias, *_, hidden = node.inputs
        steps, width = lowering.shape(x)[1], node.attributes["hidden"]
        rows = lowering.temporary(node, "rows")
        operands = [lowering.plain(x), lowering.weight(weight), lowering.weight(bias)]
        lowering.emit("MatMulFusion", node, operands, output=rows, transpose_a=False, transpose_b=True)
        unrolled = _Steps(node, lowering, rows)
        if hidden:
            state = lowering.plain(hidden)
        else:
            first = unrolled.piece(rows, 0, (0, width), "first")
            state = unrolled.emit("SubFusion", [first, first], "zero")
        outputs = [state] * steps
        for step in in_turn(node, steps):
            outputs[step] = state = unrolled.step(step, state)
        lowering.emit("Concat", node, outputs, axis=1)
        size = expressions.add(lowering.length(x, 2), expressions.constant(width))
        lowering.count_macs(expressions.constant(steps * 3 * width), size)


class _Steps:
    """A layer's steps as the engine's nodes; ``rows`` are those of W x + b, (batch, steps, 3 · H)."""

    def __init__(self, node: Node, lowering: LoweringContext, rows: int) -> None:
        self._node, self._lowering, self._rows = node, lowering, rows
        self._width = node.attributes["hidden"]
        self._gate, self._candidate = (
            [lowering.weight(name) for name in node.inputs[place : place + 2]] for place in (3, 5)
        )
        self._axes = lowering.integers(f"{node.name}.axes", [1, 2])
        self._strides = lowering.integers(f"{node.name}.strides", [1, 1])

    def step(self, number: int, state: int) -> int:
        """The state after a step from the one before it, both (batch, 1, H)."""
        width = self._width

        def emit(primitive: str, inputs: list[int], name: str, **attributes: Any) -> int:
            return self.emit(primitive, inputs, f"{name}{number}", **attributes)

        def layer(x: int, weights: list[int], name: str) -> int:
            return emit("MatMulFusion", [x, *weights], name, transpose_a=False, transpose_b=True)

        gates, new = (
            self.piece(self._rows, number, ends, f"{name}{number}")
            for name, ends in (("gates", (0, 2 * width)), ("new", (2 * width, 3 * width)))
        )
        gates = emit("AddFusion", [gates, layer(state, self._gate, "seen")], "sum")
        gates = emit("Activation", [gates], "open", activation_type=SIGMOID)
        keep, reset = (
            self.piece(gates, 0, ends, f"{name}{number}")
            for name, ends in (("keep", (0, width)), ("reset", (width, 2 * width)))
        )
        if self._node.attributes["linear_before_reset"]:
            seen = emit("MulFusion", [reset, layer(state, self._candidate, "recalled")], "left")
        else:
            seen = layer(emit("MulFusion", [reset, state], "left"), self._candidate, "recalled")
        new = emit("AddFusion", [new, seen], "proposed")
        new = emit("Activation", [new], "candidate", activation_type=TANH)
        change = emit("MulFusion", [keep, emit("SubFusion", [state, new], "difference")], "kept")
        return emit("AddFusion", [new, change], "state")

    def piece(self, tensor: int, step: int, ends: tuple[int, int], name: str) -> int:
        """Some columns of one step."""
        begin, end = (
            self._lowering.integers(f"{self._node.name}.{name}.{side}", [place, column])
            for side, place, column in (("begin", step, ends[0]), ("end", step + 1, ends[1]))
        )
        return self.emit("StridedSlice", [tensor, begin, end, self._axes, self._strides], name)

    def emit(self, primitive: str, inputs: list[int], name: str, **attributes: Any) -> int:
        """Append a node, which writes a new tensor."""
        output = self._lowering.temporary(self._node, name)
        return self._lowering.emit(primitive, self._node, inputs, output=output, **attributes)


@imports("GRU", several_outputs=True)
def _gru(node: OnnxNode) -> View:
    return recurrent_layer(node, ("Sigmoid", "Tanh"), (5,), _build)


def _build(node: OnnxNode, layer: Direction) -> tuple[str, str]:
    hidden, steps = layer.hidden, layer.steps
    if steps > MOST_STEPS:
        raise node.unsupported(
            f"a sequence of {steps} steps, of which at most {MOST_STEPS} are written out one by one, as the "
            "engine's GRU is wrong: use a shorter one, or an LSTM"
        )
    gates, rows = 2 * hidden, 3 * hidden
    parts = {
        "W": layer.kernel,
        "Wb": layer.bias[:rows],
        "R": layer.recurrent[:gates],
        "Rb": layer.bias[rows : rows + gates],
        "Rh": layer.recurrent[gates:],
        "Rbh": layer.bias[rows + gates :],
    }
    kernels = [node.new_constant(name, values) for name, values in parts.items()]
    before = bool(node.integer("linear_before_reset", 0))
    return layer.added(node, "GRU", kernels, (steps, hidden), linear_before_reset=before, hidden=hidden), ""
