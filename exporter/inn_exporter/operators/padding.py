"""Padding by itself; layers with windows have their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph.dimensions import Dim, fixed, is_variable, length_of
from ..graph.graph import Node
from ..graph.structure import Structure
from .base import Operator
from .choosing import chosen
from .primitives import NHWC, PAD_CONSTANT, PAD_REFLECT
from .registry import imports, register

if TYPE_CHECKING:
    from ..graph.view import View
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


@register
class Pad(Operator):
    """Dimensions padded by a constant value, or height and width by reflection.

    ``pads`` are ONNX's: what comes before each dimension, then what comes after.
    """

    onnx_inputs = ("pads", "value")

    mixes = True

    def mixes_along(self, node: Node, along: Mapping[str, int]) -> bool:
        return super().mixes_along(node, along) and not node.attributes["value"]

    def axes(self, node: Node, structure: Structure) -> None:
        pads, dims = _pairs(node.attributes["pads"]), structure.dims[node.inputs[0]]
        for axis, (dim, pair) in enumerate(zip(dims, pads)):
            if any(pair) and (node.attributes["mode"] != "constant" or (len(dims) == 4 and axis > 1)):
                structure.pin(dim)
        structure.set(node.output, [_around(dim, *pair) for dim, pair in zip(dims, pads)])
        moved = any(is_variable(dim) and any(pair) for dim, pair in zip(dims, pads))
        if not moved and not node.attributes["value"]:
            structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        pairs = _pairs(node.attributes["pads"])
        mode, value = node.attributes["mode"], node.attributes["value"]
        fewest = 1 if mode == "constant" else len(pairs) - 2  # what MindSpore takes
        while len(pairs) > fewest and not any(pairs[0]):
            pairs = pairs[1:]
        value = value if mode == "constant" else None
        pads = tuple(n for pair in reversed(pairs) for n in pair)
        return ops().pad(inputs[0], pads, mode=mode, value=value)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        attributes = node.attributes
        order = lowering.order(node.inputs[0])
        source = lowering.arranged(node.inputs[0], order)
        mode, value = attributes["mode"], attributes["value"]
        emit_pad(node, lowering, source, attributes["pads"], order=order, mode=mode, value=value)


def _pairs(pads: Sequence[int]) -> list[tuple[int, int]]:
    """What comes before and after each dimension."""
    return list(zip(pads, pads[len(pads) // 2 :]))


def _around(dim: Dim, before: int, after: int) -> Dim:
    if not is_variable(dim):
        return fixed(before + length_of(dim) + after)
    return (*(fixed(before) if before else ()), *dim, *(fixed(after) if after else ()))


def emit_pad(
    node: Node,
    lowering: LoweringContext,
    source: int,
    pads: Sequence[int],
    step: str | None = None,
    order: Sequence[int] = NHWC,
    mode: str = "constant",
    value: float = 0.0,
) -> int:
    """Append a padding; it writes the node's output or, with ``step``, a new tensor of that name."""
    pairs = [n for axis in order for n in _pairs(pads)[axis]]
    return lowering.emit(
        "PadFusion",
        node,
        [source, lowering.integers(f"{node.name}.pads", pairs, shape=[len(order), 2])],
        output=None if step is None else lowering.temporary(node, step),
        order=tuple(order),
        padding_mode=PAD_REFLECT if mode == "reflect" else PAD_CONSTANT,
        constant_value=value,
    )


def _repeated(node: OnnxNode, mode: Any, pads: Sequence[int]) -> View:
    """Each dimension padded by some of its own elements, in a choice of them."""
    view = node.view(0)
    for axis, (size, pair) in enumerate(zip(node.shape(0), _pairs(pads))):
        if any(pair):
            view = chosen(node, view, axis, np.pad(np.arange(size), pair, mode=mode))
    return view


@imports("Pad")
def _pad(node: OnnxNode) -> Node | View:
    shape, mode = node.shape(0), node.text("mode", "constant")
    given = [int(length) for length in node.weight(1).reshape(-1)]
    axes = [int(a) for a in node.weight(3).reshape(-1)] if node.has(3) else list(range(len(shape)))
    pads = [0] * (2 * len(shape))
    for index, axis in enumerate(axes):
        axis %= len(shape)
        pads[axis], pads[len(shape) + axis] = given[index], given[len(axes) + index]
    if not any(pads):
        return node.identity()
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise node.unsupported(f"padding of mode {mode!r}")
    if pads[0] or pads[len(shape)]:
        raise node.unsupported("padding of the batch")
    if min(pads) < 0:
        raise node.unsupported(f"padding by less than nothing, {pads}")
    if mode == "reflect" and any(pad >= size for pad, size in zip(pads, shape * 2)):
        raise node.unsupported("a reflection larger than its image")
    value = node.scalar(2) if node.has(2) and mode == "constant" else 0.0
    if not math.isfinite(value):
        raise node.unsupported(f"padding with {value}")
    of_images = len(shape) in (3, 4) and not pads[1] and not pads[len(shape) + 1]
    if mode != "constant" and (mode != "reflect" or not of_images):
        return _repeated(node, mode, pads)
    if mode == "reflect" and len(shape) == 3:  # rows of one pixel
        x, target = node.in_one_row()
        return node.computed(
            "Pad", [x], target, mode=mode, pads=(0, 0, 0, pads[2], 0, 0, 0, pads[5]), value=0.0
        )
    return node.canonical("Pad", [node.input(0)], mode=mode, pads=tuple(pads), value=value)
