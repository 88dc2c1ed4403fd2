"""Operators that only rearrange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from ..backend import ops
from ..graph import Node
from ..lowering import NCHW
from ..structure import Structure
from .base import Operator
from .registry import imports, register

if TYPE_CHECKING:
    from ..importers.node import OnnxNode
    from ..lowering import Lowering


@register
class Flatten(Operator):
    """(batch, C, …) to (batch, C · …); a channel becomes a run of neighbours."""

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


def _flatten(node: OnnxNode) -> Node:
    """A reshape that keeps the batch and joins everything else."""
    shape = node.shape(0)
    if node.output_shape != (1, prod(shape[1:])):
        raise node.unsupported(f"only flattening to (batch, features), found {shape} to {node.output_shape}")
    if len(shape) == 2:
        return node.identity()
    return node.canonical("Flatten", [node.input(0)], axis=1)


for _op in ("Flatten", "Reshape", "Squeeze"):
    imports(_op)(_flatten)


@imports("Identity")
def _identity(node: OnnxNode) -> Node:
    return node.identity()


@imports("Dropout")
def _dropout(node: OnnxNode) -> Node:
    if node.has(2) and bool(node.weight(2).item()):
        raise node.unsupported("dropout in training mode")
    return node.identity()
