"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View
from .base import OnnxStep, Operator
from .registry import imports, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


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

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        x, weight, _ = node.inputs
        lowering.emit(
            "MatMulFusion",
            node,
            [lowering.variable(x), *lowering.kernel_and_bias(node)],
            transpose_a=False,
            transpose_b=True,
            **lowering.fused_activation(node),
        )
        lowering.count_macs(lowering.length(weight, 0), lowering.length(weight, 1))


@register
class Linear(Operator):
    """y = x · Wᵀ + b along the last dimension, with x (batch, …, I), W (O, I), b (O)."""

    fuses_activation = True
    linear = True
    channel_axis = -1

    def axes(self, node: Node, structure: Structure) -> None:
        x, weight, bias = node.inputs
        channels = structure.new_axis(structure.graph.shape(weight)[0], node.name)
        *others, _ = structure.dims[x]
        structure.set(weight, [channels, structure.integrated(x, len(others))])
        structure.set(bias, [channels])
        structure.set(node.output, [*others, channels])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, weight, bias = inputs
        rows = ops().matmul(ops().reshape(x, (-1, x.shape[-1])), weight.T) + bias
        return ops().reshape(rows, (*x.shape[:-1], weight.shape[0]))

    def unfold(self, node: Node, x: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        rows = x.reshape(len(x), -1, x.shape[-1])
        chosen = rows if positions is None else rows[:, positions]
        return chosen.reshape(-1, x.shape[-1]).T[None]

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        """ONNX has no such layer; its MatMul takes Wᵀ."""
        x, weight, bias = node.inputs
        product = f"{node.output}.product"
        return [
            OnnxStep("MatMul", [x, weight], product, {}, {}),
            OnnxStep("Add", [product, bias], node.output, {}, {}),
        ]

    def onnx_permutation(self, node: Node, name: str) -> tuple[int, ...] | None:
        return (1, 0) if name == node.inputs[1] else None

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        x, weight, _ = node.inputs
        order = last_in_place(lowering.order(x))
        lowering.emit(
            "MatMulFusion",
            node,
            [lowering.arranged(x, order), *lowering.kernel_and_bias(node)],
            order=order,
            transpose_a=False,
            transpose_b=True,
            **lowering.fused_activation(node),
        )
        rows = [lowering.length(x, axis) for axis in range(1, len(lowering.shape(x)) - 1)]
        lowering.count_macs(*rows, lowering.length(weight, 0), lowering.length(weight, 1))


def last_in_place(order: tuple[int, ...]) -> tuple[int, ...]:
    """The order if the last dimension is last in it, else the graph's own."""
    return order if order[-1] == len(order) - 1 else tuple(range(len(order)))


@register
class MatMul(Operator):
    """Products of matrices that are both activations: (batch, …, M, K) times (batch, …, K, N).

    Nothing is integrated over K: the channels of both, queries and keys say, are reduced together.
    """

    is_contraction = True

    def axes(self, node: Node, structure: Structure) -> None:
        first, second = (structure.dims[name] for name in node.inputs)
        for one, other in zip(first[:-2], second[:-2]):
            structure.unite(one, other)
        structure.unite(first[-1], second[-2])
        structure.set(node.output, [*first[:-1], second[-1]])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().matmul(*inputs)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        first, second = node.inputs
        rank = len(lowering.shape(first))
        plain = tuple(range(rank))
        turned = (*plain[:-2], rank - 1, rank - 2)
        transposed = lowering.order(second) == turned  # keys, which the engine holds as they were computed
        operands = [lowering.plain(first), lowering.arranged(second, turned if transposed else plain)]
        lowering.emit("MatMulFusion", node, operands, order=plain, transpose_a=False, transpose_b=transposed)
        lengths = [lowering.length(first, axis) for axis in range(1, rank)]
        lowering.count_macs(*lengths, lowering.length(second, rank - 1))


@imports("Gemm")
def _gemm(node: OnnxNode) -> Node | View:
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
    return _dense(node, node.view(0), weight, bias)


@imports("MatMul")
def _matmul(node: OnnxNode) -> Node | View:
    if node.is_constant(0) and not node.is_constant(1):  # W · x = (xᵀ · Wᵀ)ᵀ
        weight, rank = node.weight(0), len(node.shape(1))
        if rank == 2:
            raise node.unsupported("a product over the batch")
        if weight.ndim > 2:
            return _matrix_by_matrix(node, weight, node.view(1), of=0)
        if weight.ndim != 2:
            raise node.unsupported(f"MatMul of shapes {weight.shape} and {node.shape(1)}")
        turned = (*range(rank - 2), rank - 1, rank - 2)
        names = [node.new_constant("weight", weight, of=0), node.new_constant("bias", np.zeros(len(weight)))]
        x, target = along_last(node, node.view(1).transposed(turned), weight)
        return node.between("Linear", [x.tensor, *names], target).transposed(turned)
    if node.is_constant(1):
        weight, rank = node.weight(1), len(node.shape(0))
        if weight.ndim > 2 and rank > 2:  # x · W = (Wᵀ · xᵀ)ᵀ
            turned = (*range(rank - 2), rank - 1, rank - 2)
            x = node.view(0).transposed(turned)
            return _matrix_by_matrix(node, weight.swapaxes(-1, -2), x, of=1).transposed(turned)
        if weight.ndim != 2 or rank < 2:
            raise node.unsupported(f"MatMul of shapes {node.shape(0)} and {weight.shape}")
        return _dense(node, node.view(0), weight.T, np.zeros(weight.shape[1], np.float32))
    return _product(node)


def _matrix_by_matrix(node: OnnxNode, weight: np.ndarray, x: View, of: int) -> View:
    """W · x of as many matrices W (…, M, K) as there are matrices x (…, K, N), such as learned queries times
    keys: a convolution of N pixels, which has a block of channels for each of them."""
    *before, features, length = x.shape
    *given, outputs, inputs = weight.shape
    given = [1] * (len(before) - len(given)) + given
    fits = len(given) == len(before) and all(n in (1, size) for n, size in zip(given, before))
    if inputs != features or not fits:
        raise node.unsupported(f"MatMul of shapes {node.shape(0)} and {node.shape(1)}")
    count = prod(before)
    kernel = np.broadcast_to(weight.reshape(*given, outputs, inputs), (*before, outputs, inputs))
    kernel = kernel.reshape(count * outputs, inputs, 1, 1)
    pixels = node.whole(node.seen_as(x.reshaped((1, count * features, 1, length))))
    names = [node.new_constant("weight", kernel, of=of), node.new_constant("bias", np.zeros(len(kernel)))]
    window: dict[str, Any] = {"kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1)}
    window["pads"] = (0, 0, 0, 0)
    target = View.whole("", (1, len(kernel), 1, length))
    kind, groups = ("GroupedConv", {"groups": count}) if count > 1 else ("Conv", {"group": 1})
    if count > 1 and inputs == 1 == outputs:
        kind, groups = "Conv", {"group": count}  # depthwise
    product = node.between(kind, [pixels.tensor, *names], target, **window, **groups)
    return node.seen_as(product.reshaped((*before, outputs, length)))


def _product(node: OnnxNode) -> Node | View:
    """Of two activations."""
    shapes = node.shape(0), node.shape(1)
    if len(shapes[0]) != len(shapes[1]) or shapes[0][:-2] != shapes[1][:-2] or len(shapes[0]) < 3:
        raise node.unsupported(f"the product of activations of shapes {shapes[0]} and {shapes[1]}")
    shape = node.output_shape
    whole = View.whole("", shape if shape[0] == 1 else (1, *shape))
    view = whole if shape[0] == 1 else replace(whole, dims=whole.axes)
    return node.computed("MatMul", [node.stacked(0), node.stacked(1)], view)


def _dense(node: OnnxNode, x: View, weight: np.ndarray, bias: np.ndarray) -> Node | View:
    """A layer along the last dimension of ``x``."""
    names = [node.new_constant("weight", weight, of=1), node.new_constant("bias", bias, of=2)]
    x, target = along_last(node, x, weight)
    if len(x.axes) == 1:
        return node.computed("Gemm", [x.tensor, *names], target, transB=1)
    return node.computed("Linear", [x.tensor, *names], target)


def along_last(node: OnnxNode, x: View, weight: np.ndarray) -> tuple[View, View]:
    """``x`` as a view of a tensor whose last axis is its last dimension, and what a layer makes of it."""
    if x.shape[-1] != weight.shape[1]:  # ONNX's shape inference does not look
        raise node.unsupported(f"a weight of shape {weight.shape} for an input of shape {x.shape}")
    if x.dims[-1] != x.axes[-1]:
        x = node.whole(x)
    return x, x.with_axis(len(x.axes), len(x.dims) - 1, len(weight))
