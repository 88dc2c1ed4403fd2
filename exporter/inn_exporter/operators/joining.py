"""Tensors put side by side, and cut apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backend import ops
from ..graph import Node
from ..primitives import NHWC
from ..structure import Structure, fixed
from .base import Operator
from .registry import imports, register

if TYPE_CHECKING:
    from ..importers.node import OnnxNode
    from ..lowering import Lowering


@register
class Concat(Operator):
    """Activations along one axis; the stretches of its inputs follow one another."""

    def axes(self, node: Node, structure: Structure) -> None:
        axis, result = node.attributes["axis"], []
        for index, dims in enumerate(zip(*(structure.dims[name] for name in node.inputs))):
            if index == axis:
                result.append(tuple(part for dim in dims for part in dim))
                continue
            for other in dims[1:]:
                structure.unite(dims[0], other)
            result.append(dims[0])
        structure.set(node.output, result)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().cat(list(inputs), node.attributes["axis"])

    def lower(self, node: Node, lowering: Lowering) -> None:
        sources = [lowering.variable(name) for name in node.inputs]
        lowering.emit("Concat", node, sources, axis=_engine_axis(node, lowering, node.attributes["axis"]))


@register
class Slice(Operator):
    """From ``starts`` to ``ends`` of one axis (each a tuple of one), which keeps its size."""

    onnx_inputs = ("starts", "ends", "axes")

    def axes(self, node: Node, structure: Structure) -> None:
        ((start, stop, axis),) = _cuts(node)
        dims = list(structure.dims[node.inputs[0]])
        structure.pin(dims[axis])
        dims[axis] = fixed(stop - start)
        structure.set(node.output, dims)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        ((start, stop, axis),) = _cuts(node)
        return inputs[0][(slice(None),) * axis + (slice(start, stop),)]

    def lower(self, node: Node, lowering: Lowering) -> None:
        ((start, stop, axis),) = _cuts(node)
        place = _engine_axis(node, lowering, axis)
        numbers = {"begin": start, "end": stop, "axes": place, "strides": 1}
        operands = [lowering.integers(f"{node.name}.{name}", [value]) for name, value in numbers.items()]
        lowering.emit("StridedSlice", node, [lowering.variable(node.inputs[0]), *operands])


def _cuts(node: Node) -> list[tuple[int, int, int]]:
    return list(zip(*(node.attributes[name] for name in ("starts", "ends", "axes"))))


def _engine_axis(node: Node, lowering: Lowering, axis: int) -> int:
    return NHWC.index(axis) if len(lowering.shape(node.output)) == 4 else axis


@imports("Concat")
def _concat(node: OnnxNode) -> Node:
    axis = node.integer("axis", 1) % len(node.output_shape)
    if axis == 0:
        raise node.unsupported("joining images of a batch")
    if constants := [index for index in range(node.input_count) if node.is_constant(index)]:
        raise node.unsupported(f"joining with a constant (input {constants[0]})")
    names = [node.input(index) for index in range(node.input_count)]
    return node.canonical("Concat", names, axis=axis) if len(names) > 1 else node.identity()


@imports("Slice")
def _slice(node: OnnxNode) -> Node:
    shape = node.shape(0)
    starts, ends = (node.weight(index).reshape(-1) for index in (1, 2))
    axes = node.weight(3).reshape(-1) if node.has(3) else range(len(starts))
    steps = node.weight(4).reshape(-1) if node.has(4) else [1] * len(starts)
    if any(step != 1 for step in steps):
        raise node.unsupported(f"a slice with steps {[int(step) for step in steps]}")
    cuts = []
    for start, end, axis in zip(starts, ends, axes):
        place = int(axis) % len(shape)
        first, last, _ = slice(int(start), int(end)).indices(shape[place])
        if (first, last) != (0, shape[place]):
            cuts.append((place, first, last))
    if any(first >= last for _, first, last in cuts):
        raise node.unsupported("a slice of nothing")
    if any(axis == 0 for axis, _, _ in cuts):
        raise node.unsupported("a slice of the batch")
    return _sliced(node, node.input(0), shape, cuts)


def _sliced(node: OnnxNode, x: str, shape: tuple[int, ...], cuts: list[tuple[int, int, int]]) -> Node:
    """One canonical slice for every axis."""
    for index, (axis, first, last) in enumerate(cuts):
        attributes = {"starts": (first,), "ends": (last,), "axes": (axis,)}
        if index == len(cuts) - 1:
            return node.canonical("Slice", [x], **attributes)
        shape = (*shape[:axis], last - first, *shape[axis + 1 :])
        x = node.insert("Slice", [x], shape, **attributes)
    return node.identity()


@imports("Split", several_outputs=True)
def _split(node: OnnxNode) -> Node:
    """A slice for every output."""
    shape = node.shape(0)
    axis = node.integer("axis", 0) % len(shape)
    if axis == 0:
        raise node.unsupported("a split of the batch")
    lengths = [int(n) for n in node.weight(1).reshape(-1)] if node.has(1) else node.integers("split", ())
    if not lengths:
        count = node.output_count
        each = -(-shape[axis] // count)
        lengths = [min(each, shape[axis] - each * index) for index in range(count)]
    if sum(lengths) != shape[axis] or min(lengths) < 1 or len(lengths) != node.output_count:
        raise node.unsupported(f"pieces of {lengths} from {shape[axis]}")
    stops = [sum(lengths[: index + 1]) for index in range(len(lengths))]
    cuts = [{"starts": (stop - n,), "ends": (stop,), "axes": (axis,)} for n, stop in zip(lengths, stops)]
    for index, cut in enumerate(cuts[1:], 1):
        node.write(index, "Slice", [node.input(0)], **cut)
    return node.canonical("Slice", [node.input(0)], **cuts[0])
