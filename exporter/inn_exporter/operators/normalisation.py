"""Layer and instance normalisation; group normalisation is the latter, between reshapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View
from .base import OnnxStep, Operator
from .dense import last_in_place
from .primitives import REDUCE_MEAN
from .registry import imports, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


@register
class LayerNormalization(Operator):
    """(x - mean) / √(variance + epsilon) · γ + β over the last dimension, which keeps its size."""

    def axes(self, node: Node, structure: Structure) -> None:
        x, scale, shift = node.inputs
        dims = structure.dims[x]
        structure.pin(dims[-1])
        for name in (scale, shift):
            structure.set(name, [dims[-1]])
        structure.set(node.output, dims)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, scale, shift = inputs
        centred = x - ops().mean(x, -1, True)
        variance = ops().mean(centred * centred, -1, True)
        return centred * ops().rsqrt(variance + node.attributes["epsilon"]) * scale + shift

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        x, scale, shift = node.inputs
        order = last_in_place(lowering.order(x))
        lowering.emit(
            "LayerNormFusion",
            node,
            [lowering.arranged(x, order), lowering.weight(scale), lowering.weight(shift)],
            order=order,
            begin_norm_axis=-1,
            begin_params_axis=-1,
            epsilon=node.attributes["epsilon"],
            elementwise_affine=True,
        )


@register
class RMSNormalization(Operator):
    """x · (mean of x² + epsilon)^power over the last dimension, whatever its width.

    The power is a constant of one element, -1/2, which is not learned.
    """

    def mixes_along(self, node: Node, along: Mapping[str, int]) -> bool:
        return along == {node.inputs[0]: -1, node.output: -1}

    def axes(self, node: Node, structure: Structure) -> None:
        x, power = node.inputs
        structure.set(power, [fixed(1)])
        structure.set(node.output, structure.dims[x])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, power = inputs
        mean = ops().mean(x * x, -1, True) + node.attributes["epsilon"]
        return x * ops().pow(mean, ops().stop_gradient(power))

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        """ONNX has such a layer from opset 23 on."""
        x, power = node.inputs
        squares, mean, shifted, factor = (
            f"{node.output}.{step}" for step in ("squares", "mean", "shifted", "factor")
        )
        return [
            OnnxStep("Mul", [x, x], squares, {}, {}),
            OnnxStep("ReduceMean", [squares], mean, {"axes": [-1]}, {}),
            OnnxStep("Add", [mean], shifted, {}, {"epsilon": node.attributes["epsilon"]}),
            OnnxStep("Pow", [shifted, power], factor, {}, {}),
            OnnxStep("Mul", [x, factor], node.output, {}, {}),
        ]

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """The engine has no such layer."""
        x, power = node.inputs
        order = last_in_place(lowering.order(x))
        source = lowering.arranged(x, order)
        squares, mean, factor = (lowering.temporary(node, step) for step in ("squares", "mean", "factor"))
        last = lowering.integers(f"{node.name}.axes", [len(order) - 1])
        lowering.emit("MulFusion", node, [source, source], output=squares)
        numbers: dict[str, Any] = {"keep_dims": True, "mode": REDUCE_MEAN, "coeff": 1.0}
        lowering.emit("ReduceFusion", node, [squares, last], output=mean, **numbers)
        numbers = {"scale": 1.0, "shift": node.attributes["epsilon"]}
        lowering.emit("PowFusion", node, [mean, lowering.weight(power)], output=factor, **numbers)
        lowering.emit("MulFusion", node, [source, factor], order=order)


@register
class InstanceNormalization(Operator):
    """(x - mean) / √(variance + epsilon) · γ + β over the pixels of each channel by itself."""

    def axes(self, node: Node, structure: Structure) -> None:
        x, scale, shift = node.inputs
        dims = structure.read_as_positions(x)
        for name in (scale, shift):
            structure.set(name, [dims[1]])
        structure.set(node.output, dims)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, scale, shift = inputs
        centred = x - ops().mean(x, (2, 3), True)
        variance = ops().mean(centred * centred, (2, 3), True)
        normal = centred * ops().rsqrt(variance + node.attributes["epsilon"])
        return normal * scale.reshape((1, -1, 1, 1)) + shift.reshape((1, -1, 1, 1))

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        x, scale, shift = node.inputs
        operands = [lowering.variable(x), lowering.weight(scale), lowering.weight(shift)]
        lowering.emit("InstanceNorm", node, operands, epsilon=node.attributes["epsilon"])


@imports("LayerNormalization")
def _layer_normalization(node: OnnxNode) -> Node | View:
    view = node.view(0)
    last = len(view.dims) - 1
    first = node.integer("axis", -1) % len(view.dims)
    if first != last:
        return _over_several(node, first)
    if view.axis(last) != len(view.axes):
        view = node.whole(view)
    names = [node.constant_name(1)]
    width = view.shape[last]
    names.append(node.constant_name(2) if node.has(2) else node.new_constant("shift", np.zeros(width)))
    epsilon = node.number("epsilon", 1e-5)
    return node.computed("LayerNormalization", [view.tensor, *names], view, axis=-1, epsilon=epsilon)


def _over_several(node: OnnxNode, first: int) -> View:
    """Over the dimensions from ``first`` on, as one."""
    shape = node.shape(0)
    if first == 0:
        raise node.unsupported("normalisation over the batch")
    flat = node.whole(node.seen_as(node.view(0).reshaped((*shape[:first], prod(shape[first:])))))
    names = []
    for place, name, default in ((1, "scale", np.ones(1)), (2, "shift", np.zeros(1))):
        values = node.weight(place) if node.has(place) else default
        spread = np.broadcast_to(values, shape[first:]).reshape(-1)
        names.append(node.new_constant(name, spread, of=place if values.size == spread.size else None))
    epsilon = node.number("epsilon", 1e-5)
    normal = node.between("LayerNormalization", [flat.tensor, *names], flat, axis=-1, epsilon=epsilon)
    return node.seen_as(normal.reshaped(shape))


@imports("InstanceNormalization")
def _instance_normalization(node: OnnxNode) -> Node | View:
    shape, view = node.shape(0), node.view(0)
    if len(shape) not in (3, 4):
        raise node.unsupported(f"only of images and sequences, found input shape {shape}")
    tensor = node.input(0)
    if len(shape) == 3:
        pixels = view.reshaped((*shape, 1))
        assert pixels is not None
        tensor = node.arranged(pixels, pixels.dims[1:])
    view = View.whole(tensor, (*shape, 1)[:4])
    names = [node.constant_name(1), node.constant_name(2)]
    epsilon = node.number("epsilon", 1e-5)
    target = View("", view.axes, view.dims[: len(shape)])
    return node.computed("InstanceNormalization", [tensor, *names], target, epsilon=epsilon)


@imports("GroupNormalization")
def _group_normalization(node: OnnxNode) -> Node:
    """Instance normalisation of groups of channels, then a scale and a shift for each channel."""
    shape, count = node.shape(0), node.integer("num_groups", 0)
    if len(shape) < 3 or count < 1 or shape[1] % count:
        raise node.unsupported(f"the channels of input shape {shape} in {count} groups")
    per_channel = []
    for index in (1, 2):
        if (values := node.weight(index)).shape != shape[1:2]:
            raise node.unsupported(f"input {index} of shape {values.shape}, expected {shape[1:2]}")
        per_channel.append(values.reshape(1, -1, *[1] * (len(shape) - 2)))
    groups = node.seen_as(node.view(0).reshaped((1, count, prod(shape[1:]) // count, 1)))
    names = [node.new_constant("ones", np.ones(count)), node.new_constant("zeros", np.zeros(count))]
    normal = node.between(
        "InstanceNormalization",
        [node.arranged(groups, groups.dims[1:]), *names],
        View.whole("", groups.shape),
        epsilon=node.number("epsilon", 1e-5),
    )
    channels = node.whole(node.seen_as(normal.reshaped(shape)))
    scaled = node.insert("Mul", [channels.tensor, node.new_constant("scale", per_channel[0])], shape)
    return node.canonical("Add", [scaled, node.new_constant("shift", per_channel[1])])
