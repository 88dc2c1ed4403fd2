"""Mathematical functions of each element, and softmax."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..backend import ops
from ..graph.graph import Node
from ..graph.structure import Structure
from .activations import Activation, imports_as_is
from .base import OnnxStep, Operator
from .primitives import SOFTPLUS, TANH
from .registry import imports, register

if TYPE_CHECKING:
    from ..graph.view import View
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


class Function(Activation):
    """A function that is a primitive of its own, without attributes."""

    def parameters(self, node: Node) -> dict[str, Any]:
        return {}


@register
class Erf(Function):
    """The error function"""

    primitive = "Erf"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().erf(inputs[0])


@register
class Sqrt(Function):
    """√x"""

    primitive = "Sqrt"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().sqrt(inputs[0])


@register
class Exp(Function):
    """e to the power of x"""

    primitive = "ExpFusion"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().exp(inputs[0])

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"base": -1.0, "scale": 1.0, "shift": 0.0}


@register
class Log(Function):
    """The natural logarithm"""

    primitive = "Log"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().log(inputs[0])


@register
class Abs(Function):
    """|x|"""

    primitive = "Abs"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().abs(inputs[0])


@register
class Neg(Function):
    """-x"""

    primitive = "Neg"
    mixes = True

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return -inputs[0]


@register
class Reciprocal(Function):
    """1 / x"""

    primitive = "Reciprocal"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().reciprocal(inputs[0])


@register
class Mish(Activation):
    """x · tanh(softplus(x))"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return inputs[0] * ops().tanh(ops().softplus(inputs[0]))

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        x, y = node.inputs[0], node.output
        return [
            OnnxStep("Softplus", [x], f"{y}.softplus", {}, {}),
            OnnxStep("Tanh", [f"{y}.softplus"], f"{y}.tanh", {}, {}),
            OnnxStep("Mul", [x, f"{y}.tanh"], y, {}, {}),
        ]

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        order = lowering.order(node.inputs[0])
        x = lowering.arranged(node.inputs[0], order)
        steps = [lowering.temporary(node, name) for name in ("softplus", "tanh")]
        lowering.emit("Activation", node, [x], output=steps[0], activation_type=SOFTPLUS)
        lowering.emit("Activation", node, steps[:1], output=steps[1], activation_type=TANH)
        lowering.emit("MulFusion", node, [x, steps[1]], order=order)


@register
class Softmax(Operator):
    """Softmax over one axis (opset 13's meaning); that axis keeps its size."""

    gives_probabilities = True

    def axes(self, node: Node, structure: Structure) -> None:
        dims = structure.dims[node.inputs[0]]
        structure.pin(dims[node.attributes["axis"]])
        structure.set(node.output, dims)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().softmax(inputs[0], node.attributes["axis"])

    def onnx_since(self, node: Node, shape: Sequence[int]) -> int:
        """Before opset 13 it is over that axis and all after it."""
        return 0 if prod(shape[node.attributes["axis"] + 1 :]) == 1 else 13

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        order = lowering.order(node.inputs[0])
        source = lowering.arranged(node.inputs[0], order)
        lowering.emit("Softmax", node, [source], order=order, axis=[order.index(node.attributes["axis"])])


for _op in ("Erf", "Sqrt", "Exp", "Log", "Abs", "Neg", "Reciprocal", "Mish"):
    imports_as_is(_op)


@imports("Softmax")
def _softmax(node: OnnxNode) -> Node | View:
    shape, view = node.shape(0), node.view(0)
    axis = node.integer("axis", -1 if node.opset >= 13 else 1) % len(shape)
    if axis == 0 and shape[0] == 1:
        raise node.unsupported("softmax over the batch")
    if node.opset < 13 and prod(shape[axis + 1 :]) != 1:
        raise node.unsupported("opset 11's softmax over several axes at once")
    place = view.axis(axis)
    if place is None:
        return node.canonical("Softmax", [node.input(0)], axis=axis)
    return node.computed("Softmax", [view.tensor], view, axis=place)
