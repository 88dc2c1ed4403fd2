"""Operators that only rearrange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from ..backend import ops
from ..graph import Node
from ..primitives import NCHW
from ..structure import Structure, fixed
from .base import OnnxStep, Operator
from .registry import imports, register

if TYPE_CHECKING:
    from ..importers.node import OnnxNode
    from ..lowering import Lowering


@register
class Flatten(Operator):
    """(batch, C, …) to (batch, C · …); a channel becomes a run of neighbours."""

    mixes = True

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, *_ = structure.dims[node.inputs[0]]
        extent = prod(structure.graph.shape(node.inputs[0])[2:])
        flat = tuple(replace(part, inner=part.inner * extent) for part in channels)
        structure.set(node.output, [batch, flat])
        structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().flatten(inputs[0])

    def lower(self, node: Node, lowering: Lowering) -> None:
        shape = lowering.shape(node.inputs[0])
        source = lowering.variable(node.inputs[0])
        if len(shape) == 4:
            source = lowering.transpose(node, source, NCHW)
        lowering.emit("Flatten", node, [source], axis=1)


@register
class Unsqueeze(Operator):
    """(batch, C) to (batch, C, 1, 1); ``axes`` are (2, 3)."""

    mixes = True
    onnx_inputs = ("axes",)

    def axes(self, node: Node, structure: Structure) -> None:
        structure.set(node.output, [*structure.dims[node.inputs[0]], fixed(1), fixed(1)])
        structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().reshape(inputs[0], (*inputs[0].shape, 1, 1))

    def lower(self, node: Node, lowering: Lowering) -> None:
        shape = lowering.integers(f"{node.name}.shape", [-1, 1, 1, lowering.length(node.output, 1)])
        lowering.emit("Reshape", node, [lowering.variable(node.inputs[0]), shape])


@register
class ChannelShuffle(Operator):
    """(batch, g C, h, w) to the same: what were ``groups`` g blocks of C channels are C blocks of g."""

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, height, width = structure.dims[node.inputs[0]]
        count = node.attributes["groups"]
        (block,) = structure.refined(channels, outer=count)
        structure.set(node.output, [batch, (replace(block, inner=block.inner * count),), height, width])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        shape, count = inputs[0].shape, node.attributes["groups"]
        split = ops().reshape(inputs[0], (shape[0], count, shape[1] // count, *shape[2:]))
        return ops().reshape(ops().transpose(split, (0, 2, 1, 3, 4)), shape)

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        _, _, *extent = node.attributes["shape"]
        split, swapped = f"{node.output}.split", f"{node.output}.swapped"
        blocks = {"shape": (0, node.attributes["groups"], -1, *extent)}
        return [
            OnnxStep("Reshape", [node.inputs[0]], split, {}, blocks),
            OnnxStep("Transpose", [split], swapped, {"perm": [0, 2, 1, 3, 4]}, {}),
            OnnxStep("Reshape", [swapped], node.output, {}, {"shape": (0, -1, *extent)}),
        ]

    def lower(self, node: Node, lowering: Lowering) -> None:
        _, _, *extent = lowering.shape(node.output)
        count = node.attributes["groups"]
        channels = lowering.length(node.output, 1)
        each = tuple((coefficient // count, *groups) for coefficient, *groups in channels)
        split = lowering.integers(f"{node.name}.split", [-1, *extent, count, each])
        joined = lowering.integers(f"{node.name}.joined", [-1, *extent, channels])
        blocks = lowering.temporary(node, "blocks")
        lowering.emit("Reshape", node, [lowering.variable(node.inputs[0]), split], output=blocks)
        lowering.emit("Reshape", node, [lowering.transpose(node, blocks, (0, 1, 2, 4, 3)), joined])


@imports("Flatten")
def _flatten(node: OnnxNode) -> Node:
    if node.integer("axis", 1) % len(node.shape(0)) == 0:
        raise node.unsupported("a flattening that joins the batch with the rest")
    return _joined(node)


@imports("Squeeze")
def _squeeze(node: OnnxNode) -> Node:
    axes = node.weight(1).reshape(-1) if node.has(1) else node.integers("axes", ())
    if not len(axes) or any(axis % len(node.shape(0)) == 0 for axis in axes):
        raise node.unsupported("a squeeze that may drop the batch; name the other axes")
    return _joined(node)


@imports("Unsqueeze")
def _unsqueeze(node: OnnxNode) -> Node:
    return _joined(node)


@imports("Reshape")
def _reshape(node: OnnxNode) -> Node:
    shape, target, x = node.shape(0), node.output_shape, node.producer(0)
    if len(shape) == 4 and len(target) == 5 and target[3:] == shape[2:]:
        return node.part(
            "blocks", [node.input(0)], "channels in blocks that are not shuffled", groups=target[1]
        )
    exchanged = x is not None and x.attributes.get("kind") == "exchanged"
    if x is not None and exchanged and len(target) == 4 and target[2:] == shape[3:]:
        groups = x.attributes["groups"]
        return node.canonical("ChannelShuffle", [x.inputs[0]], groups=groups, shape=target)
    return _joined(node)


@imports("Transpose")
def _transpose(node: OnnxNode) -> Node:
    order, x = node.integers("perm", range(len(node.shape(0)))[::-1]), node.producer(0)
    if order == list(range(len(order))):
        return node.identity()
    if order == [0, 2, 1, 3, 4] and x is not None and x.attributes.get("kind") == "blocks":
        reason = "channels in blocks that are not joined again"
        return node.part("exchanged", [x.inputs[0]], reason, groups=x.attributes["groups"])
    raise node.unsupported("only between the reshapings of a channel shuffle")


def _joined(node: OnnxNode) -> Node:
    """A change of shape that keeps the batch, and either keeps or joins everything else, or makes pixels of
    vectors."""
    shape = node.shape(0)
    if node.output_shape == shape:
        return node.identity()
    if node.output_shape == (*shape, 1, 1) and len(shape) == 2:
        return node.canonical("Unsqueeze", [node.input(0)], axes=(2, 3))
    if node.output_shape != (1, prod(shape[1:])):
        raise node.unsupported(f"only flattening to (batch, features), found {shape} to {node.output_shape}")
    return node.canonical("Flatten", [node.input(0)], axis=1)


@imports("Identity")
def _identity(node: OnnxNode) -> Node:
    return node.identity()


@imports("Dropout")
def _dropout(node: OnnxNode) -> Node:
    if node.has(2) and node.scalar(2):
        raise node.unsupported("dropout in training mode")
    return node.identity()
