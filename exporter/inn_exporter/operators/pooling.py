"""Pooling, and normalisation over neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops, tensor
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from .base import Operator
from .primitives import FORMAT_NHWC, PAD_EXPLICIT, ROUND_FLOOR
from .reductions import reduced
from .registry import imports, register

if TYPE_CHECKING:
    from ..graph.view import View
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


class Pool(Operator):
    """A window that slides over each channel by itself; pads are top, left, bottom, right."""

    primitive: str

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, _, _ = structure.read_as_positions(node.inputs[0])
        _, _, height, width = structure.graph.shape(node.output)
        structure.set(node.output, [batch, channels, fixed(height), fixed(width)])

    def lower(self, node: Node, lowering: LoweringContext) -> None:
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
            round_mode=ROUND_FLOOR,
            format=FORMAT_NHWC,
        )

    def _padded(self, node: Node, x: Any, value: float) -> Any:
        top, left, bottom, right = node.attributes["pads"]
        pads = (left, right, top, bottom)
        return ops().pad(x, pads, value=value) if any(pads) else x


@register
class MaxPool(Pool):
    """Largest value of each window."""

    primitive = "MaxPoolFusion"

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x = self._padded(node, inputs[0], float(np.finfo(np.float32).min))
        # The gradient of `max_pool2d` takes a hundred times as long.
        return ops().MaxPool(node.attributes["kernel_shape"], node.attributes["strides"], "valid")(x)


@register
class AveragePool(Pool):
    """Mean of each window, over the values inside the image (count_include_pad = 0)."""

    primitive = "AvgPoolFusion"
    mixes = True

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

    mixes = True
    is_global_mean = True

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, *_ = structure.read_as_positions(node.inputs[0])
        structure.set(node.output, [batch, channels, fixed(1), fixed(1)])
        structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().mean(inputs[0], (2, 3), True)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        _emit_global(node, lowering, "AvgPoolFusion")


_GLOBAL: dict[str, Any] = {"global": True}


def _emit_global(node: Node, lowering: LoweringContext, primitive: str) -> None:
    lowering.emit(
        primitive,
        node,
        [lowering.variable(node.inputs[0])],
        kernel_size=[1, 1],
        strides=[1, 1],
        pad=[0, 0, 0, 0],
        format=FORMAT_NHWC,
        **_GLOBAL,
    )


@register
class GlobalMaxPool(Operator):
    """Largest value over height and width, which stay as length 1."""

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, *_ = structure.read_as_positions(node.inputs[0])
        structure.set(node.output, [batch, channels, fixed(1), fixed(1)])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().amax(inputs[0], (2, 3), True)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        _emit_global(node, lowering, "MaxPoolFusion")


@register
class LRN(Operator):
    """Local response normalisation over ``size`` neighbouring channels, which keep their number."""

    def axes(self, node: Node, structure: Structure) -> None:
        dims = structure.dims[node.inputs[0]]
        structure.pin(dims[1])
        structure.set(node.output, dims)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, size = inputs[0], node.attributes["size"]
        channels = x.shape[1]
        # Each channel's neighbours as a banded matrix.
        distance = np.subtract.outer(np.arange(channels), np.arange(channels))
        band = (distance <= (size - 1) // 2) & (distance >= -(size // 2))
        squares = ops().reshape(x * x, (x.shape[0], channels, -1))
        sums = ops().reshape(ops().matmul(tensor(band.astype(np.float32)), squares), x.shape)
        scale = node.attributes["bias"] + node.attributes["alpha"] / size * sums
        return x / ops().pow(scale, node.attributes["beta"])

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        size = node.attributes["size"]
        lowering.emit(
            "LRN",
            node,
            [lowering.variable(node.inputs[0])],
            depth_radius=size // 2,
            bias=node.attributes["bias"],
            alpha=node.attributes["alpha"] / size,
            beta=node.attributes["beta"],
            norm_region="ACROSS_CHANNELS",
        )


def _window(node: OnnxNode) -> dict[str, tuple[int, ...]]:
    """``kernel_shape``, ``strides`` and ``pads`` of a pooling window that rounds down.

    With ceil_mode the last window reaches beyond the padding: as much padding more says the same.
    """
    if len(node.shape(0)) not in (3, 4):
        raise node.unsupported(f"only 1-D and 2-D pooling, found input shape {node.shape(0)}")
    kernel = tuple(node.integers("kernel_shape", ()))
    size, window = node.shape(0)[2:], node.window(kernel, node.shape(0)[2:])
    if set(window.pop("dilations")) != {1}:
        raise node.unsupported("dilated pooling")
    if node.integer("ceil_mode", 0):
        before = window["pads"][: len(kernel)]
        spans = zip(node.output_shape[2:], window["strides"], kernel, size, before)
        after = (max(0, (count - 1) * stride + k - n - first) for count, stride, k, n, first in spans)
        window["pads"] = (*before, *after)
    if any(pad >= k for pad, k in zip(window["pads"], kernel * 2)):
        raise node.unsupported("a window that lies in the padding")
    return {"kernel_shape": kernel, **window}


def _pooled(node: OnnxNode, op: str, window: dict[str, tuple[int, ...]], **more: Any) -> Node | View:
    """A pooling of images, or of sequences as images one pixel high."""
    if len(node.shape(0)) == 4:
        return node.canonical(op, [node.input(0)], **window, **more)
    x, target = node.in_one_row()
    return node.computed(op, [x], target, **_of_one_row(window), **more)


def _of_one_row(window: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    if not window:
        return window
    before, after = window["pads"]
    return {
        "kernel_shape": (1, *window["kernel_shape"]),
        "strides": (1, *window["strides"]),
        "pads": (0, before, 0, after),
    }


@imports("MaxPool")
def _max_pool(node: OnnxNode) -> Node | View:
    return _pooled(node, "MaxPool", _window(node))


@imports("AveragePool")
def _average_pool(node: OnnxNode) -> Node | View:
    window = _window(node)
    if not node.integer("count_include_pad", 0) or not any(window["pads"]):
        return _pooled(node, "AveragePool", window)
    # A mean over the whole window is the mean over what lies inside the image, times its share.
    share = _share_inside(node, window)
    if (share == 1).all():
        return _pooled(node, "AveragePool", window)
    factors = node.new_constant("share", share)
    if len(node.shape(0)) == 4:
        inside = node.insert("AveragePool", [node.input(0)], node.output_shape, **window)
        return node.canonical("Mul", [inside, factors])
    x, target = node.in_one_row()
    shape = (*node.output_shape[:2], 1, node.output_shape[2])
    inside = node.insert("AveragePool", [x], shape, **_of_one_row(window))
    return node.computed("Mul", [inside, factors], target)


def _share_inside(node: OnnxNode, window: dict[str, tuple[int, ...]]) -> np.ndarray:
    """(1, 1, height, width): each window's values inside the image against those in the padded image.

    What ceil_mode adds to the padding does not count.
    """
    kernel, sizes = window["kernel_shape"], node.shape(0)[2:]
    declared = node.window(kernel, sizes)["pads"]
    shares = []
    for axis, (length, size) in enumerate(zip(kernel, sizes)):
        start = np.arange(node.output_shape[2 + axis]) * window["strides"][axis] - window["pads"][axis]
        inside = np.minimum(start + length, size) - np.maximum(start, 0)
        counted = np.minimum(start + length, size + declared[len(kernel) + axis]) - start
        shares.append(inside / counted)
    rows, columns = shares if len(shares) == 2 else (np.ones(1), shares[0])
    share: np.ndarray = np.multiply.outer(rows, columns)[None, None]
    return share.astype(np.float32)


@imports("GlobalMaxPool")
def _global_max_pool(node: OnnxNode) -> Node | View:
    if len(node.shape(0)) not in (3, 4):
        raise node.unsupported(f"only 1-D and 2-D pooling, found input shape {node.shape(0)}")
    return _pooled(node, "GlobalMaxPool", {})


@imports("LRN")
def _lrn(node: OnnxNode) -> Node:
    if len(node.shape(0)) != 4 or node.integer("size", 1) % 2 == 0:
        raise node.unsupported("only over an odd number of channels of images")
    numbers = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    attributes = {name: node.number(name, default) for name, default in numbers.items()}
    return node.canonical("LRN", [node.input(0)], size=node.integer("size", 1), **attributes)


@imports("GlobalAveragePool")
def _global_average_pool(node: OnnxNode) -> Node | View:
    return reduced(node, "ReduceMean", node.view(0), list(range(2, len(node.shape(0)))), keep=True)
