"""Pooling and means over space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops, tensor
from ..graph import Node
from ..lowering import NHWC
from ..primitives import FORMAT_NHWC, PAD_EXPLICIT, REDUCE_MEAN, ROUND_CEIL, ROUND_FLOOR
from ..structure import Structure, fixed
from .base import Operator
from .registry import imports, register

if TYPE_CHECKING:
    from ..importers.node import OnnxNode
    from ..lowering import Lowering


class Pool(Operator):
    """A window that slides over each channel by itself; pads are top, left, bottom, right."""

    primitive: str

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, _, _ = structure.dims[node.inputs[0]]
        _, _, height, width = structure.graph.shape(node.output)
        structure.set(node.output, [batch, channels, fixed(height), fixed(width)])

    def lower(self, node: Node, lowering: Lowering) -> None:
        top, left, bottom, right = node.attributes["pads"]
        source = lowering.variable(node.inputs[0])
        lowering.emit(
            self.primitive,
            node,
            [source],
            kernel_size=list(node.attributes["kernel_shape"]),
            strides=list(node.attributes["strides"]),
            pad=[top, bottom, left, right],
            pad_mode=PAD_EXPLICIT,
            round_mode=ROUND_CEIL if node.attributes["ceil_mode"] else ROUND_FLOOR,
            format=FORMAT_NHWC,
        )

    def _padded(self, node: Node, x: Any, value: float) -> Any:
        """x with explicit padding, and as much more below and right as the last (ceil) window needs."""
        top, left, bottom, right = node.attributes["pads"]
        extra = []
        for axis, before, after in ((2, top, bottom), (3, left, right)):
            kernel = node.attributes["kernel_shape"][axis - 2]
            stride = node.attributes["strides"][axis - 2]
            span = x.shape[axis] + before + after - kernel
            extra.append(-span % stride if node.attributes["ceil_mode"] else 0)
        pads = (left, right + extra[1], top, bottom + extra[0])
        return ops().pad(x, pads, value=value) if any(pads) else x


@register
class MaxPool(Pool):
    """Largest value of each window."""

    primitive = "MaxPoolFusion"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x = self._padded(node, inputs[0], float(np.finfo(np.float32).min))
        return ops().max_pool2d(x, node.attributes["kernel_shape"], node.attributes["strides"])


@register
class AveragePool(Pool):
    """Mean of each window, over the values inside the image (count_include_pad = 0)."""

    primitive = "AvgPoolFusion"

    def axes(self, node: Node, structure: Structure) -> None:
        super().axes(node, structure)
        structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x = inputs[0]
        window = (node.attributes["kernel_shape"], node.attributes["strides"])
        inside = tensor(np.ones((1, 1, *x.shape[2:]), np.float32))
        share = ops().avg_pool2d(self._padded(node, inside, 0.0), *window)
        return ops().avg_pool2d(self._padded(node, x, 0.0), *window) / share


@register
class GlobalAveragePool(Operator):
    """Mean over height and width, which stay as length 1."""

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, *_ = structure.dims[node.inputs[0]]
        structure.set(node.output, [batch, channels, fixed(1), fixed(1)])
        structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().mean(inputs[0], (2, 3), True)

    def lower(self, node: Node, lowering: Lowering) -> None:
        lowering.emit(
            "AvgPoolFusion",
            node,
            [lowering.variable(node.inputs[0])],
            kernel_size=[1, 1],
            strides=[1, 1],
            pad=[0, 0, 0, 0],
            format=FORMAT_NHWC,
            **{"global": True},
        )


@register
class ReduceMean(Operator):
    """Mean over some axes, which stay as length 1 (keepdims = 1) and are never resized."""

    def axes(self, node: Node, structure: Structure) -> None:
        dims = list(structure.dims[node.inputs[0]])
        for axis in node.attributes["axes"]:
            structure.pin(dims[axis])
            dims[axis] = fixed(1)
        structure.set(node.output, dims)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().mean(inputs[0], tuple(node.attributes["axes"]), True)

    def lower(self, node: Node, lowering: Lowering) -> None:
        axes = list(node.attributes["axes"])
        if len(lowering.shape(node.inputs[0])) == 4:
            axes = sorted(NHWC.index(axis) for axis in axes)
        source = lowering.variable(node.inputs[0])
        lowering.emit(
            "ReduceFusion",
            node,
            [source, lowering.integers(f"{node.name}.axes", axes)],
            keep_dims=True,
            mode=REDUCE_MEAN,
            coeff=1.0,
        )


def _pool(node: OnnxNode, op: str) -> Node:
    if len(node.shape(0)) != 4:
        raise node.unsupported(f"only 2-D pooling, found input shape {node.shape(0)}")
    kernel = tuple(node.integers("kernel_shape", ()))
    attributes = node.window(kernel, node.shape(0)[2:])
    if set(attributes.pop("dilations")) != {1}:
        raise node.unsupported("dilated pooling")
    return node.canonical(
        op, [node.input(0)], kernel_shape=kernel, ceil_mode=node.integer("ceil_mode", 0), **attributes
    )


@imports("MaxPool")
def _max_pool(node: OnnxNode) -> Node:
    return _pool(node, "MaxPool")


@imports("AveragePool")
def _average_pool(node: OnnxNode) -> Node:
    if node.integer("count_include_pad", 0) and any(node.integers("pads", (0,))):
        raise node.unsupported("average pooling that counts the padding (count_include_pad = 1)")
    return _pool(node, "AveragePool")


@imports("GlobalAveragePool")
def _global_average_pool(node: OnnxNode) -> Node:
    return node.canonical("GlobalAveragePool", [node.input(0)])


@imports("ReduceMean")
def _reduce_mean(node: OnnxNode) -> Node:
    rank = len(node.shape(0))
    axes = node.weight(1).astype(int).reshape(-1) if node.has(1) else node.integers("axes", range(rank))
    reduced = sorted(int(axis) % rank for axis in axes)
    if 0 in reduced:
        raise node.unsupported("a mean over the batch")
    keep = node.integer("keepdims", 1)
    if rank == 4 and reduced == [2, 3]:
        op, attributes = "GlobalAveragePool", {}
    else:
        op, attributes = "ReduceMean", {"axes": reduced, "keepdims": 1}
    if keep:
        return node.canonical(op, [node.input(0)], **attributes)
    if len(node.output_shape) != 2 or reduced != list(range(2, rank)):
        raise node.unsupported(f"a mean over axes {reduced} of {rank} that drops them")
    return node.canonical("Flatten", [node.insert_node(op, node.input(0), **attributes)], axis=1)
