"""Larger and smaller images: interpolation, and channels turned into pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from .base import Operator
from .interpolation import cubic_shares, interpolated, linear_shares, nearest
from .primitives import FORMAT_NHWC
from .registry import imports, register

if TYPE_CHECKING:
    from ..graph.view import View
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode

METHODS = {"linear": 0, "nearest": 1}
COORDINATES = {"asymmetric": 0, "align_corners": 1, "half_pixel": 2}
FLOOR = 3


@register
class Resize(Operator):
    """Height and width interpolated, each channel by itself; ``scales`` are those of all four axes.

    ``mode`` is ``nearest``, by whole factors, or ``linear``.
    """

    mixes = True
    onnx_inputs = ("scales",)

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, _, _ = structure.read_as_positions(node.inputs[0])
        height, width = structure.graph.shape(node.output)[2:]
        structure.set(node.output, [batch, channels, fixed(height), fixed(width)])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x = inputs[0]
        *_, height, width = node.attributes["scales"]
        if node.attributes["mode"] == "nearest":
            images, channels, rows, columns = x.shape
            spread = ops().reshape(x, (images, channels, rows, 1, columns, 1))
            spread = ops().tile(spread, (1, 1, 1, int(height), 1, int(width)))
            return ops().reshape(spread, (images, channels, rows * int(height), columns * int(width)))
        extent = tuple(int(length * scale + 1e-4) for length, scale in zip(x.shape[2:], (height, width)))
        aligned = node.attributes["coordinate_transformation_mode"] == "align_corners"
        return ops().interpolate(x, size=extent, mode="bilinear", align_corners=aligned)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        sizes = lowering.integers(f"{node.name}.sizes", lowering.shape(node.output)[2:])
        nearest: dict[str, Any] = {"nearest_mode": FLOOR} if node.attributes["mode"] == "nearest" else {}
        lowering.emit(
            "Resize",
            node,
            [lowering.variable(node.inputs[0]), sizes],
            format=FORMAT_NHWC,
            method=METHODS[node.attributes["mode"]],
            coordinate_transform_mode=COORDINATES[node.attributes["coordinate_transformation_mode"]],
            **nearest,
        )


class _Shuffle(Operator):
    """Channels and pixels exchanged in blocks of ``blocksize`` b, b² channels for one."""

    primitive: str

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        lowering.emit(
            self.primitive,
            node,
            [lowering.variable(node.inputs[0])],
            block_size=node.attributes["blocksize"],
            format=FORMAT_NHWC,
            **({"mode": node.attributes["mode"]} if "mode" in node.attributes else {}),
        )


@register
class DepthToSpace(_Shuffle):
    """(batch, b² C, h, w) to (batch, C, b h, b w): pixel shuffle.

    ``mode`` says what varies faster along the channels: C (``DCR``) or b² (``CRD``, PyTorch's).
    """

    primitive = "DepthToSpace"

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, _, _ = structure.read_as_positions(node.inputs[0])
        _, _, height, width = structure.graph.shape(node.output)
        square = node.attributes["blocksize"] ** 2
        blocks = {"outer": square} if node.attributes["mode"] == "DCR" else {"inner": square}
        channel = structure.refined(channels, **blocks)
        structure.set(node.output, [batch, channel, fixed(height), fixed(width)])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        (images, channels, height, width), b = inputs[0].shape, node.attributes["blocksize"]
        depth = channels // b**2
        if node.attributes["mode"] == "DCR":
            split, order = (images, b, b, depth, height, width), (0, 3, 4, 1, 5, 2)
        else:
            split, order = (images, depth, b, b, height, width), (0, 1, 4, 2, 5, 3)
        spread = ops().transpose(ops().reshape(inputs[0], split), order)
        return ops().reshape(spread, (images, depth, height * b, width * b))


@register
class SpaceToDepth(_Shuffle):
    """(batch, C, b h, b w) to (batch, b² C, h, w): C varies fastest."""

    primitive = "SpaceToDepth"

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, _, _ = structure.read_as_positions(node.inputs[0])
        _, _, height, width = structure.graph.shape(node.output)
        repeated = structure.repeated(channels, node.attributes["blocksize"] ** 2)
        structure.set(node.output, [batch, repeated, fixed(height), fixed(width)])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        (images, channels, height, width), b = inputs[0].shape, node.attributes["blocksize"]
        split = ops().reshape(inputs[0], (images, channels, height // b, b, width // b, b))
        joined = ops().transpose(split, (0, 3, 5, 1, 2, 4))
        return ops().reshape(joined, (images, channels * b * b, height // b, width // b))


@imports("Resize")
def _resize(node: OnnxNode) -> Node | View:
    shape, target = node.shape(0), node.output_shape
    if len(shape) not in (3, 4) or target[:2] != shape[:2]:
        raise node.unsupported(f"only of height and width, found {shape} to {target}")
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("an image in the ratio of the input's sides; give both sizes")
    if node.integer("exclude_outside", 0) or node.integer("antialias", 0):
        raise node.unsupported("interpolation that is smoothed, or excludes what is outside")
    mode = node.text("mode", "nearest")
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    factors = [out / size for out, size in zip(target, shape)]
    given = _scales(node, factors)
    exact = np.allclose(given, factors)
    if mode == "nearest":
        rounding = node.text("nearest_mode", "round_prefer_floor")
        whole = exact and all(factor == int(factor) for factor in factors)
        # For whole factors all of these read the pixel that covers the output's.
        usual = (coordinates, rounding) == ("asymmetric", "floor") or (
            coordinates in ("half_pixel", "pytorch_half_pixel") and rounding.startswith("round_prefer")
        )
        if not whole or not usual or len(shape) == 3:
            return nearest(node, given, coordinates, rounding)
        attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    elif mode == "linear":
        coordinates = (
            "half_pixel" if coordinates == "pytorch_half_pixel" and min(target[2:]) > 1 else coordinates
        )
        if coordinates not in ("half_pixel", "align_corners") or not exact or len(shape) == 3:
            return interpolated(node, given, coordinates, linear_shares)
        attributes = {"coordinate_transformation_mode": coordinates}
    elif mode == "cubic":
        return interpolated(node, given, coordinates, cubic_shares(node.number("cubic_coeff_a", -0.75)))
    else:
        raise node.unsupported(f"interpolation of mode {mode!r}")
    scales = tuple(_scale(size, out) for size, out in zip(shape, target))
    return node.canonical("Resize", [node.input(0), ""], mode=mode, scales=scales, **attributes)


def _scale(size: int, target: int) -> float:
    """The float32 next to target / size of which ONNX makes ``target``: it rounds the product down."""
    scale = np.float32(target / size)
    while int(np.float32(size) * scale) < target or int(size * float(scale)) < target:
        scale = np.nextafter(scale, np.float32(np.inf))
    return float(scale)


def _scales(node: OnnxNode, factors: Sequence[float]) -> list[float]:
    """By how much each dimension grows, as the file says it, or as its sizes do."""
    if not node.has(2) or not (given := node.weight(2).reshape(-1)).size:
        return [*factors]
    scales = [1.0] * len(factors)
    for axis, scale in zip(node.integers("axes", range(len(scales))), given):
        scales[axis] = float(scale)
    return scales


@imports("DepthToSpace")
def _depth_to_space(node: OnnxNode) -> Node:
    mode = node.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise node.unsupported(f"mode {mode!r}")
    return node.canonical("DepthToSpace", [node.input(0)], blocksize=node.integer("blocksize", 1), mode=mode)


@imports("SpaceToDepth")
def _space_to_depth(node: OnnxNode) -> Node:
    return node.canonical("SpaceToDepth", [node.input(0)], blocksize=node.integer("blocksize", 1))
