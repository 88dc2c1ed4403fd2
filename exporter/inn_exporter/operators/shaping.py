"""Operators that only rearrange.

In ONNX, reshapings and transpositions are views (`view`); what is here is what is left of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from inn_runtime.format.manifest import Dimension, Expression
from onnx import TensorProto

from ..backend import ops
from ..errors import UnsupportedGraphError
from ..graph.dimensions import fixed, is_variable
from ..graph.graph import Node
from ..graph.structure import Structure
from .base import OnnxStep, Operator
from .primitives import NHWC
from .registry import imports, register

if TYPE_CHECKING:
    from ..graph.view import View
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


@register
class Flatten(Operator):
    """(batch, C, …) to (batch, C · …); a channel becomes a run of neighbours."""

    mixes = True
    only_moves = True

    def axes(self, node: Node, structure: Structure) -> None:
        batch, *dims = structure.dims[node.inputs[0]]
        structure.set(node.output, [batch, *structure.reshaped(dims, structure.graph.shape(node.output)[1:])])
        if not any(map(is_variable, dims[1:])):
            structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().flatten(inputs[0])

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        source = lowering.plain(node.inputs[0])
        lowering.emit("Flatten", node, [source], axis=1)


@register
class Unsqueeze(Operator):
    """(batch, C) to (batch, C, 1, 1); ``axes`` are (2, 3)."""

    mixes = True
    only_moves = True
    onnx_inputs = ("axes",)

    def axes(self, node: Node, structure: Structure) -> None:
        structure.set(node.output, [*structure.dims[node.inputs[0]], fixed(1), fixed(1)])
        structure.same_source(node.output, node.inputs[0])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().reshape(inputs[0], (*inputs[0].shape, 1, 1))

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        shape = lowering.integers(f"{node.name}.shape", [-1, 1, 1, lowering.length(node.output, 1)])
        lowering.emit("Reshape", node, [lowering.variable(node.inputs[0]), shape])


@register
class Reshape(Operator):
    """The same elements as ``shape``, in which 0 stands for the batch.

    Once groups are known, -1 stands for a dimension that follows one, or 0 where it is the input's at the
    same place.
    """

    mixes = True
    only_moves = True
    onnx_inputs = ("shape",)

    def axes(self, node: Node, structure: Structure) -> None:
        batch, *dims = structure.dims[node.inputs[0]]
        shape = structure.graph.shape(node.output)
        structure.set(node.output, [batch, *structure.reshaped(dims, shape[1:])])

    def settled(self, node: Node, dims: Mapping[str, tuple[Dimension, ...]]) -> Node:
        before, after = dims[node.inputs[0]], dims[node.output]
        shape: list[int] = []
        for place, dimension in enumerate(after):
            if all(segment.group is None for segment in dimension):
                shape.append(sum(segment.inner for segment in dimension) if place else 0)
            elif before[place : place + 1] == (dimension,):
                shape.append(0)
            elif -1 not in shape:
                shape.append(-1)
            else:
                raise UnsupportedGraphError(
                    f"{node.name}: a reshape with two dimensions that are resized; keep one of their groups"
                )
        return node.rewired(attributes={**node.attributes, "shape": tuple(shape)})

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        shape = node.attributes["shape"]
        return ops().reshape(
            inputs[0], tuple(inputs[0].shape[i] if n == 0 else n for i, n in enumerate(shape))
        )

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        before, after = lowering.shape(node.inputs[0]), lowering.shape(node.output)
        held = lowering.order(node.inputs[0])
        order, plain = _order_after(held, before, after), tuple(range(len(after)))
        # The engine takes a transposition from yet other orders to NHWC for one from NHWC.
        if order is None or (len(after) == 4 and order not in (plain, NHWC)):
            order, source = plain, lowering.plain_for_reshape(node)
        else:
            source = lowering.arranged(node.inputs[0], held)
        lengths: list[int | Expression] = [-1, *(lowering.length(node.output, axis) for axis in order[1:])]
        shape = lowering.integers(f"{node.name}.shape", lengths)
        lowering.emit("Reshape", node, [source, shape], order=order)


def _order_after(
    order: tuple[int, ...], before: Sequence[int], after: Sequence[int]
) -> tuple[int, ...] | None:
    """In which order the engine holds a reshaped tensor's dimensions, if it need not move any element.

    It must hold those that are joined or cut next to each other. None: it must move them first.
    """
    starts = {0: (1, 0, 1)}  # first dimension of a run → how many, the first of its new ones, how many
    place = target = 1
    for ins, outs in _joint_runs(before[1:], after[1:]):
        starts[place] = ins, target, outs
        place, target = place + ins, target + outs
    result: list[int] = []
    index = 0
    while index < len(order):
        first = order[index]
        ins, target, outs = starts.get(first, (0, 0, 0))
        if not ins or order[index : index + ins] != tuple(range(first, first + ins)):
            return None
        result += range(target, target + outs)
        index += ins
    return tuple(result)


def _joint_runs(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[int, int]]:
    """How many dimensions of each of two shapes hold the same elements, run by run; ones join a run."""
    left, right = list(before), list(after)
    while left or right:
        ins, outs = min(1, len(left)), min(1, len(right))
        while prod(left[:ins]) != prod(right[:outs]):
            ins, outs = (ins + 1, outs) if prod(left[:ins]) < prod(right[:outs]) else (ins, outs + 1)
        while ins < len(left) and left[ins] == 1 and right[outs : outs + 1] != [1]:
            ins += 1
        while outs < len(right) and right[outs] == 1 and left[ins : ins + 1] != [1]:
            outs += 1
        yield ins, outs
        del left[:ins], right[:outs]


@register
class Transpose(Operator):
    """Dimensions in another order ``perm``; the batch stays first."""

    mixes = True
    only_moves = True

    def axes(self, node: Node, structure: Structure) -> None:
        dims = structure.dims[node.inputs[0]]
        structure.set(node.output, [dims[axis] for axis in node.attributes["perm"]])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().transpose(inputs[0], node.attributes["perm"])

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """Nothing moves: the same tensor is known in another order."""
        perm = node.attributes["perm"]
        order = tuple(perm.index(axis) for axis in lowering.order(node.inputs[0]))
        lowering.alias(node.output, node.inputs[0], order)


@register
class ChannelShuffle(Operator):
    """(batch, g C, h, w) to the same: what were ``groups`` g blocks of C channels are C blocks of g."""

    def axes(self, node: Node, structure: Structure) -> None:
        batch, channels, height, width = structure.dims[node.inputs[0]]
        count = node.attributes["groups"]
        (block,) = structure.refined(channels, outer=count)
        structure.set(node.output, [batch, (block.times(inner=count),), height, width])

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

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """Through a dimension of length 1, see `LoweringContext.plain_for_reshape`."""
        _, _, *extent = lowering.shape(node.output)
        count = node.attributes["groups"]
        channels = lowering.length(node.output, 1)
        each = tuple((coefficient // count, *groups) for coefficient, *groups in channels)
        split = lowering.integers(f"{node.name}.split", [-1, prod(extent), count, each, 1])
        joined = lowering.integers(f"{node.name}.joined", [-1, *extent, channels])
        blocks = lowering.temporary(node, "blocks")
        lowering.emit("Reshape", node, [lowering.variable(node.inputs[0]), split], output=blocks)
        lowering.emit("Reshape", node, [lowering.transpose(node, blocks, (0, 1, 3, 4, 2)), joined])


@imports("Flatten")
def _flatten(node: OnnxNode) -> View:
    if node.integer("axis", 1) % len(node.shape(0)) == 0:
        raise node.unsupported("a flattening that joins the batch with the rest")
    return node.seen_as(node.view(0).reshaped(node.output_shape))


@imports("Squeeze")
def _squeeze(node: OnnxNode) -> View:
    axes = node.weight(1).reshape(-1) if node.has(1) else node.integers("axes", ())
    if not len(axes):
        raise node.unsupported("a squeeze that may drop the batch; name the other axes")
    return node.seen_as(node.view(0).reshaped(node.output_shape))


@imports("Reshape")
@imports("Unsqueeze")
def _reshape(node: OnnxNode) -> View:
    return node.seen_as(node.view(0).reshaped(node.output_shape))


@imports("Transpose")
def _transpose(node: OnnxNode) -> View:
    return node.view(0).transposed(node.integers("perm", range(len(node.shape(0)))[::-1]))


@imports("Identity")
def _identity(node: OnnxNode) -> View:
    return node.identity()


@imports("Dropout")
def _dropout(node: OnnxNode) -> View:
    if node.has(2) and node.scalar(2) and (not node.has(1) or node.scalar(1)):
        raise node.unsupported("dropout in training mode")
    return node.identity()


@imports("Cast")
def _cast(node: OnnxNode) -> View:
    if node.integer("to", 0) != TensorProto.FLOAT or node.kind(0) != "float32":
        raise node.unsupported("only of float32 to itself")
    return node.identity()
