"""Activations: functions of each element that networks put between layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..backend import ops
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from .base import OnnxStep, Operator
from .primitives import (
    ELU,
    GELU,
    HARD_SIGMOID,
    HARD_SWISH,
    HARD_TANH,
    LEAKY_RELU,
    RELU,
    RELU6,
    SIGMOID,
    SOFTPLUS,
    TANH,
)
from .registry import imports, register

if TYPE_CHECKING:
    from ..graph.view import View
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode

LARGEST = float(np.finfo(np.float32).max)


class Activation(Operator):
    """A function of each element by itself."""

    def axes(self, node: Node, structure: Structure) -> None:
        structure.set(node.output, structure.dims[node.inputs[0]])

    def parameters(self, node: Node) -> dict[str, Any]:
        """Attributes of MindSpore Lite's ``Activation``."""
        raise NotImplementedError

    primitive: ClassVar[str] = "Activation"

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        order = lowering.order(node.inputs[0])
        source = lowering.arranged(node.inputs[0], order)
        lowering.emit(self.primitive, node, [source], order=order, **self.parameters(node))


@register
class Relu(Activation):
    """max(x, 0)"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().relu(inputs[0])

    def limits(self, node: Node) -> tuple[float, float]:
        return 0.0, math.inf

    def engine_activation(self, node: Node) -> int | None:
        return RELU

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": RELU}


@register
class LeakyRelu(Activation):
    """x where positive, else alpha · x"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().leaky_relu(inputs[0], node.attributes["alpha"])

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": LEAKY_RELU, "alpha": node.attributes["alpha"]}


@register
class Sigmoid(Activation):
    """1 / (1 + exp(-x))"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().sigmoid(inputs[0])

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": SIGMOID}


@register
class Clip(Activation):
    """x limited to [min, max]; ReLU6 is Clip(0, 6)."""

    onnx_inputs = ("min", "max")

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        low, high = self.limits(node)
        if (low, high) == (0.0, 6.0):
            return ops().relu6(inputs[0])  # twice as fast
        return ops().clamp(inputs[0], low, high)

    def limits(self, node: Node) -> tuple[float, float]:
        return node.attributes["min"], node.attributes["max"]

    def engine_activation(self, node: Node) -> int | None:
        return RELU6 if self.limits(node) == (0.0, 6.0) else None

    def parameters(self, node: Node) -> dict[str, Any]:
        low, high = self.limits(node)
        if (low, high) == (0.0, 6.0):
            return {"activation_type": RELU6}
        return {"activation_type": HARD_TANH, "min_val": low, "max_val": high}


@register
class Elu(Activation):
    """x where positive, else alpha · (exp(x) - 1)"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        below = ops().exp(ops().minimum(inputs[0], 0.0)) - 1.0
        return ops().relu(inputs[0]) + node.attributes["alpha"] * below

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": ELU, "alpha": node.attributes["alpha"]}


@register
class Softplus(Activation):
    """log(1 + exp(x))"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().softplus(inputs[0])

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": SOFTPLUS}


@register
class Tanh(Activation):
    """Hyperbolic tangent; MindSpore Lite's is off by up to 1e-4."""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().tanh(inputs[0])

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": TANH}


@register
class HardSwish(Activation):
    """x · clip(x / 6 + 1/2, 0, 1)"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return inputs[0] * ops().relu6(inputs[0] + 3.0) / 6.0

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": HARD_SWISH}


@register
class HardSigmoid(Activation):
    """clip(x / 6 + 1/2, 0, 1): ``alpha`` is 1/6, ``beta`` 1/2; importers write others in full."""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().relu6(inputs[0] + 3.0) / 6.0

    def limits(self, node: Node) -> tuple[float, float]:
        return -3.0, 3.0

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": HARD_SIGMOID}


@register
class Gelu(Activation):
    """x · Φ(x), with Φ the normal distribution: x / 2 · (1 + erf(x / √2))"""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return inputs[0] * 0.5 * (1.0 + ops().erf(inputs[0] * math.sqrt(0.5)))

    def parameters(self, node: Node) -> dict[str, Any]:
        return {"activation_type": GELU, "approximate": False}

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        """ONNX has such a layer from opset 20 on."""
        x, stem = node.inputs[0], node.output
        return [
            OnnxStep("Mul", [x], f"{stem}.scaled", {}, {"root": math.sqrt(0.5)}),
            OnnxStep("Erf", [f"{stem}.scaled"], f"{stem}.erf", {}, {}),
            OnnxStep("Add", [f"{stem}.erf"], f"{stem}.shifted", {}, {"one": 1.0}),
            OnnxStep("Mul", [x], f"{stem}.half", {}, {"half": 0.5}),
            OnnxStep("Mul", [f"{stem}.half", f"{stem}.shifted"], stem, {}, {}),
        ]


@register
class PRelu(Activation):
    """x where positive, else slope · x, with a slope for all, (1, 1, 1), or for each channel, (C, 1, 1)."""

    def axes(self, node: Node, structure: Structure) -> None:
        x, slope = node.inputs
        channels = structure.dims[x][1]
        shared = structure.graph.shape(slope)[0] == 1 != structure.graph.shape(x)[1]
        structure.set(slope, [fixed(1) if shared else channels, fixed(1), fixed(1)])
        super().axes(node, structure)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, slope = inputs
        return ops().relu(x) + slope * ops().minimum(x, 0.0)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        x, slope = node.inputs
        shared = lowering.shape(slope)[0] == 1
        operands = [lowering.variable(x), lowering.weight(slope)]
        lowering.emit("PReLUFusion", node, operands, channel_shared=shared)


def imports_as_is(op: str) -> None:
    """Functions of one input, without attributes."""

    @imports(op)
    def same(node: OnnxNode) -> Node | View:
        return node.pointwise(op)


for _op in ("Relu", "Sigmoid", "Softplus", "Tanh", "HardSwish"):
    imports_as_is(_op)


@imports("LeakyRelu")
def _leaky_relu(node: OnnxNode) -> Node | View:
    return node.pointwise("LeakyRelu", alpha=node.number("alpha", 0.01))


@imports("Elu")
def _elu(node: OnnxNode) -> Node | View:
    return node.pointwise("Elu", alpha=node.number("alpha", 1.0))


@imports("HardSigmoid")
def _hard_sigmoid(node: OnnxNode) -> Node | View:
    alpha, beta = node.number("alpha", 0.2), node.number("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return node.pointwise("HardSigmoid", alpha=alpha, beta=beta)
    shape, one = node.shape(0), [1] * len(node.shape(0))
    factor, shift = (
        node.new_constant(name, np.full(one, value, np.float32))
        for name, value in (("alpha", alpha), ("beta", beta))
    )
    scaled = node.insert("Mul", [node.input(0), factor], shape)
    shifted = node.insert("Add", [scaled, shift], shape)
    return node.canonical("Clip", [shifted], min=0.0, max=1.0)


@imports("PRelu")
def _prelu(node: OnnxNode) -> Node | View:
    """A slope for all, for each channel of images or sequences, or along whatever it is broadcast to."""
    shape, slope = node.shape(0), node.weight(1)
    given = [1] * (len(shape) - slope.ndim) + list(slope.shape)
    if len(given) != len(shape) or any(n not in (1, size) for n, size in zip(given, shape)):
        raise node.unsupported(f"a slope of shape {slope.shape} for an input of shape {shape}")
    if len(shape) not in (3, 4) and slope.size == 1:
        return node.pointwise("LeakyRelu", alpha=float(slope.reshape(-1)[0]))
    if len(shape) in (3, 4) and slope.size == given[1]:
        name = node.new_constant("slope", slope.reshape(-1, 1, 1), of=1)
        if len(shape) == 4:
            return node.canonical("PRelu", [node.input(0), name])
        x, target = node.in_one_row()
        return node.computed("PRelu", [x, name], target)
    x = node.input(0)
    slopes = node.new_constant("slope", slope.reshape(given), of=1)
    below = node.insert("Relu", [node.insert("Neg", [x], shape)], shape)
    return node.canonical(
        "Sub", [node.insert("Relu", [x], shape), node.insert("Mul", [below, slopes], shape)]
    )


@imports("Clip")
def _clip(node: OnnxNode) -> Node | View:
    low = node.scalar(1) if node.has(1) else -LARGEST
    high = node.scalar(2) if node.has(2) else LARGEST
    return limited(node, low, high)


def limited(node: OnnxNode, low: float, high: float, of: int = 0) -> Node | View:
    """Input ``of``, no value below ``low`` or above ``high``."""
    # MindSpore Lite takes no infinities.
    view = node.view(of)
    return node.computed("Clip", [view.tensor], view, min=max(low, -LARGEST), max=min(high, LARGEST))
