"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph import Node
from ..structure import Structure, fixed
from .base import Operator
from .registry import imports, register

if TYPE_CHECKING:
    from ..importers.node import OnnxNode
    from ..lowering import Lowering


@register
class Gemm(Operator):
    """y = x · Wᵀ + b with x (batch, I), W (O, I), b (O): ONNX's Gemm with transB = 1."""

    fuses_activation = True
    linear = True

    def axes(self, node: Node, structure: Structure) -> None:
        x, weight, bias = node.inputs
        channels = structure.new_axis(structure.graph.shape(weight)[0], node.name)
        structure.set(weight, [channels, structure.integrated(x, 1)])
        structure.set(bias, [channels])
        structure.set(node.output, [fixed(1), channels])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, weight, bias = inputs
        return ops().matmul(x, weight.T) + bias

    def unfold(self, node: Node, x: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        return x.T[None]

    def lower(self, node: Node, lowering: Lowering) -> None:
        x, weight, bias = node.inputs
        lowering.emit(
            "MatMulFusion",
            node,
            [lowering.variable(x), lowering.weight(weight), lowering.weight(bias)],
            transpose_a=False,
            transpose_b=True,
            **lowering.fused_activation(node),
        )
        lowering.count_macs(lowering.length(weight, 0), lowering.length(weight, 1))


@imports("Gemm")
def _gemm(node: OnnxNode) -> Node:
    if node.integer("transA", 0):
        raise node.unsupported("Gemm with a transposed first operand")
    weight = node.weight(1) * np.float32(node.number("alpha", 1.0))
    weight = weight if node.integer("transB", 0) else weight.T
    bias = np.zeros(len(weight), np.float32)
    if node.has(2):
        given = node.weight(2) * np.float32(node.number("beta", 1.0))
        if given.size not in (1, len(weight)) or given.size != (given.shape or (1,))[-1]:
            raise node.unsupported(f"Gemm with a bias of shape {given.shape}")
        bias = bias + given.reshape(-1)
    return _dense(node, weight, bias)


@imports("MatMul")
def _matmul(node: OnnxNode) -> Node:
    weight = node.weight(1)
    if len(node.shape(0)) != 2 or weight.ndim != 2:
        raise node.unsupported(f"MatMul of shapes {node.shape(0)} and {weight.shape}")
    return _dense(node, weight.T, np.zeros(weight.shape[1], np.float32))


def _dense(node: OnnxNode, weight: np.ndarray, bias: np.ndarray) -> Node:
    names = [node.new_constant("weight", weight, of=1), node.new_constant("bias", bias, of=2)]
    return node.canonical("Gemm", [node.input(0), *names], transB=1)
