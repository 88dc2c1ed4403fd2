"""Padding of images by itself; layers with windows have their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backend import ops
from ..graph import Node
from ..primitives import NHWC, PAD_CONSTANT, PAD_REFLECT
from ..structure import Structure, fixed
from .base import Operator
from .registry import imports, register

if TYPE_CHECKING:
    from ..importers.node import OnnxNode
    from ..lowering import Lowering


@register
class Pad(Operator):
    """Height and width padded by a constant value or by reflection.

    ``pads`` are ONNX's: what comes before each of the four axes, then what comes after.
    """

    onnx_inputs = ("pads", "value")

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, _, _ = structure.dims[node.inputs[0]]
        _, _, height, width = structure.graph.shape(node.output)
        structure.set(node.output, [batch, channels, fixed(height), fixed(width)])
        if not node.attributes["value"]:
            structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        _, _, top, left, _, _, bottom, right = node.attributes["pads"]
        mode, value = node.attributes["mode"], node.attributes["value"]
        value = value if mode == "constant" else None
        return ops().pad(inputs[0], (left, right, top, bottom), mode=mode, value=value)

    def lower(self, node: Node, lowering: Lowering) -> None:
        attributes = node.attributes
        source = lowering.variable(node.inputs[0])
        emit_pad(
            node, lowering, source, attributes["pads"], mode=attributes["mode"], value=attributes["value"]
        )


def emit_pad(
    node: Node,
    lowering: Lowering,
    source: int,
    pads: Sequence[int],
    step: str | None = None,
    mode: str = "constant",
    value: float = 0.0,
) -> int:
    """Append a padding; it writes the node's output or, with ``step``, a new tensor of that name."""
    pairs = [pads[axis + after] for axis in NHWC for after in (0, 4)]
    return lowering.emit(
        "PadFusion",
        node,
        [source, lowering.integers(f"{node.name}.pads", pairs, shape=[4, 2])],
        output=None if step is None else lowering.temporary(node, step),
        padding_mode=PAD_REFLECT if mode == "reflect" else PAD_CONSTANT,
        constant_value=value,
    )


@imports("Pad")
def _pad(node: OnnxNode) -> Node:
    shape, mode = node.shape(0), node.text("mode", "constant")
    given = [int(length) for length in node.weight(1).reshape(-1)]
    axes = [int(a) for a in node.weight(3).reshape(-1)] if node.has(3) else list(range(len(shape)))
    pads = [0] * (2 * len(shape))
    for index, axis in enumerate(axes):
        axis %= len(shape)
        pads[axis], pads[len(shape) + axis] = given[index], given[len(axes) + index]
    if not any(pads):
        return node.identity()
    if mode not in ("constant", "reflect"):
        raise node.unsupported(f"padding of mode {mode!r}")
    if len(shape) != 4 or any(pads[axis] for axis in (0, 1, 4, 5)):
        raise node.unsupported(f"only the padding of height and width, found {pads} around {shape}")
    if min(pads) < 0:
        raise node.unsupported(f"padding by less than nothing, {pads}")
    if mode == "reflect" and any(pad >= size for pad, size in zip(pads, shape * 2)):
        raise node.unsupported("a reflection larger than its image")
    value = node.scalar(2) if node.has(2) and mode == "constant" else 0.0
    if not math.isfinite(value):
        raise node.unsupported(f"padding with {value}")
    return node.canonical("Pad", [node.input(0)], mode=mode, pads=tuple(pads), value=value)
