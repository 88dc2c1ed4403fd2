"""Sums and products of two tensors, or of a tensor and a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..backend import ops
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View
from .base import Operator
from .registry import imports, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


class Elementwise(Operator):
    """Both inputs have the output's rank, and a constant comes second (importers see to it).

    Dimensions of length 1 are broadcast.
    """

    primitive: str

    def axes(self, node: Node, structure: Structure) -> None:
        shape = structure.graph.shape(node.output)
        activations = [name for name in node.inputs if name not in structure.graph.constants]
        result = []
        for axis, size in enumerate(shape):
            # Only activations that are not broadcast along this axis decide its structure.
            dims = [structure.dims[n][axis] for n in activations if structure.graph.shape(n)[axis] == size]
            for other in dims[1:]:
                structure.unite(dims[0], other)
            result.append(dims[0] if dims else fixed(size))
        for name in structure.graph.constant_inputs(node):
            lengths = structure.graph.shape(name)
            structure.set(name, [d if n == s else fixed(n) for d, n, s in zip(result, lengths, shape)])
        structure.set(node.output, result)

    attributes: ClassVar[dict[str, Any]] = {}

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """In the order of the activation that has the output's shape, or of the first."""
        activations = [name for name in node.inputs if name not in lowering.graph.constants]
        whole = [name for name in activations if lowering.shape(name) == lowering.shape(node.output)]
        order = lowering.order((whole or activations)[0])
        operands = [lowering.arranged(name, order) for name in node.inputs]
        fused = lowering.fused_activation(node) if self.fuses_activation else {}
        lowering.emit(self.primitive, node, operands, order=order, **self.attributes, **fused)


@register
class Add(Elementwise):
    """a + b"""

    primitive = "AddFusion"
    fuses_activation = True
    mixes = True
    is_sum = True

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return inputs[0] + inputs[1]


@register
class Mul(Elementwise):
    """a · b"""

    primitive = "MulFusion"
    is_product = True

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return inputs[0] * inputs[1]


@register
class Sub(Elementwise):
    """a - b"""

    primitive = "SubFusion"
    mixes = True

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return inputs[0] - inputs[1]


@register
class Div(Elementwise):
    """a / b"""

    primitive = "DivFusion"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return inputs[0] / inputs[1]


@register
class Max(Elementwise):
    """The larger of a and b"""

    primitive = "Maximum"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().maximum(*inputs)


@register
class Pow(Elementwise):
    """a to the power of b"""

    primitive = "PowFusion"
    attributes: ClassVar[dict[str, Any]] = {"scale": 1.0, "shift": 0.0}

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().pow(*inputs)


@imports("Add")
def _add(node: OnnxNode) -> Node | View:
    return binary(node, "Add")


@imports("Sum")
def _sum(node: OnnxNode) -> Node | View:
    """Of tensors of one shape."""
    count, shape = node.input_count, node.output_shape
    if any(node.shape(index) != shape for index in range(count)):
        raise node.unsupported("the sum of tensors of different shapes")
    total = node.input(0)
    for index in range(1, count - 1):
        total = node.insert("Add", [total, node.input(index)], shape)
    return node.canonical("Add", [total, node.input(count - 1)]) if count > 1 else node.identity()


@imports("Mul")
def _mul(node: OnnxNode) -> Node | View:
    return binary(node, "Mul")


@imports("Sub")
def _sub(node: OnnxNode) -> Node | View:
    if node.is_constant(1):
        return binary(node, "Add", -node.weight(1))
    if node.is_constant(0):  # c - x
        sign = node.new_constant("sign", np.full([1] * len(node.shape(1)), -1, np.float32))
        negative = node.insert("Mul", [node.input(1), sign], node.shape(1))
        return node.canonical("Add", [negative, _constant(node, 0, len(node.output_shape))])
    return binary(node, "Sub")


@imports("Div")
def _div(node: OnnxNode) -> Node | View:
    if not node.is_constant(1):
        if node.is_constant(0):  # c / x
            inverse = node.insert("Reciprocal", [node.input(1)], node.shape(1))
            return node.canonical("Mul", [inverse, _constant(node, 0, len(node.output_shape))])
        return binary(node, "Div")
    divisor = node.weight(1)
    if not divisor.all():
        raise node.unsupported("a division by zero")
    return binary(node, "Mul", np.float32(1) / divisor)


@imports("Pow")
def _pow(node: OnnxNode) -> Node | View:
    if not node.is_constant(1):
        raise node.unsupported("a power that is computed")
    exponents = node.weight(1).astype(np.float32)
    if (exponents == 2).all():
        view = node.view(0)
        return node.computed("Mul", [view.tensor] * 2, view)
    if (exponents == 0.5).all():
        return node.pointwise("Sqrt")
    return binary(node, "Pow", exponents)


@imports("BatchNormalization")
def _batch_normalization(node: OnnxNode) -> Node:
    """Scale and shift; the folding pass moves both into the layer before, where there is one."""
    if node.integer("training_mode", 0):
        raise node.unsupported("batch normalisation in training mode")
    gamma, beta, mean, variance = (node.weight(i).astype(np.float64) for i in range(1, 5))
    scale = gamma / np.sqrt(variance + node.number("epsilon", 1e-5))
    shift = beta - mean * scale
    factors = node.new_constant("scale", _per_channel(node, scale))
    scaled = node.insert("Mul", [node.input(0), factors], node.shape(0))
    return node.canonical("Add", [scaled, node.new_constant("shift", _per_channel(node, shift))])


def _per_channel(node: OnnxNode, values: np.ndarray) -> np.ndarray:
    rank = len(node.shape(0))
    return values.astype(np.float32).reshape(1, -1, *[1] * (rank - 2))


def _constant(node: OnnxNode, index: int, rank: int, values: np.ndarray | None = None) -> str:
    """A constant operand, with the output's rank."""
    values = node.weight(index) if values is None else values
    values = values.reshape([1] * (rank - values.ndim) + list(values.shape))
    if values.shape[0] != 1:
        raise node.unsupported("a constant that differs from image to image")
    return node.new_constant("constant", values, of=index)


def binary(node: OnnxNode, op: str, second: np.ndarray | None = None) -> Node | View:
    """An operator of two operands. A constant one comes second and gets the output's rank; ``second``
    replaces its values."""
    shape, rank = node.output_shape, len(node.output_shape)
    constants = [index for index in (0, 1) if node.is_constant(index)]
    views = [node.view(index) for index in (0, 1) if index not in constants]
    if constants and views[0].shape == shape:
        values, view = node.weight(constants[0]) if second is None else second, views[0]
        if view.to_base(values).size > values.size:  # it would be repeated
            view = node.whole(view)
        name = node.new_constant("constant", view.to_base(values), of=constants[0])
        return node.computed(op, [view.tensor, name], view)
    if len(views) == 2 and views[0].arranged_as(views[1]):
        return node.computed(op, [view.tensor for view in views], views[0])
    if any(len(view.shape) != rank for view in views):
        raise node.unsupported("broadcasting between tensors of different ranks")
    if len(views) == 2 and shape[0] != 1 and all(view.shape == shape for view in views):
        whole = View.whole("", (1, *shape))
        return node.computed(op, [node.stacked(0), node.stacked(1)], replace(whole, dims=whole.axes))
    names = [node.input(index) for index in (0, 1) if index not in constants]
    return node.canonical(op, names + [_constant(node, index, rank, second) for index in constants])
