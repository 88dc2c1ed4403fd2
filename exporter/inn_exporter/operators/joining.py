"""Tensors put side by side, repeated, and cut apart again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from inn_runtime.format.manifest import Dimension, Expression

from ..backend import ops
from ..graph import expressions
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View, length, new_axis
from .base import OnnxStep, Operator
from .choosing import chosen
from .registry import imports, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


@register
class Concat(Operator):
    """Activations along one axis; the stretches of its inputs follow one another."""

    mixes = True

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

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        order = lowering.order(node.inputs[0])
        sources = [lowering.arranged(name, order) for name in node.inputs]
        lowering.emit("Concat", node, sources, order=order, axis=order.index(node.attributes["axis"]))


@register
class Slice(Operator):
    """From ``starts`` to ``ends`` of one axis (each a tuple of one), every one of ``steps``.

    Where that is one of several equally long blocks, all of them are resized alike; else the axis keeps its
    size.
    """

    mixes = True
    onnx_inputs = ("starts", "ends", "axes", "steps")

    def axes(self, node: Node, structure: Structure) -> None:
        start, stop, axis, step = _cut(node)
        dims = list(structure.dims[node.inputs[0]])
        blocks = _blocks(node, structure.graph.shape(node.inputs[0])[axis])
        if blocks is None:
            structure.pin(dims[axis])
            dims[axis] = fixed(len(range(start, stop, step)))
        else:
            dims[axis] = structure.refined(dims[axis], outer=blocks[0])
        structure.set(node.output, dims)

    def slice_of(self, node: Node, axis: int) -> range | None:
        start, stop, found, step = _cut(node)
        return range(start, stop) if found == axis and step == 1 else None

    def settled(self, node: Node, dims: Mapping[str, tuple[Dimension, ...]]) -> Node:
        """``blocks`` and ``block``: of how many it is which, where their length is not fixed."""
        _, _, axis, _ = _cut(node)
        attributes = {name: node.attributes[name] for name in self.onnx_inputs}
        if any(segment.group is not None for segment in dims[node.output][axis]):
            blocks = _blocks(node, node.attributes["length"])
            assert blocks is not None
            attributes.update(blocks=blocks[0], block=blocks[1])
        return node.rewired(attributes={**attributes, "length": node.attributes["length"]})

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        start, stop, axis, step = _cut(node)
        if "blocks" in node.attributes:
            each = inputs[0].shape[axis] // node.attributes["blocks"]
            start, stop = node.attributes["block"] * each, (node.attributes["block"] + 1) * each
        return inputs[0][(slice(None),) * axis + (slice(start, stop, step),)]

    def onnx_nodes(self, node: Node) -> list[OnnxStep]:
        attributes = node.attributes
        if "blocks" in attributes:  # equal parts
            outputs = [f"{node.output}.block{index}" for index in range(attributes["blocks"])]
            outputs[attributes["block"]] = node.output
            cut = {"axis": attributes["axes"][0], "num_outputs": attributes["blocks"]}
            return [OnnxStep("Split", list(node.inputs), node.output, cut, {}, tuple(outputs))]
        constants = {name: attributes[name] for name in self.onnx_inputs}
        return [OnnxStep("Slice", list(node.inputs), node.output, {}, constants)]

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        start, stop, axis, step = _cut(node)
        begin, end = expressions.constant(start), expressions.constant(stop)
        if "blocks" in node.attributes:
            each, block = lowering.length(node.output, axis), node.attributes["block"]
            begin, end = (expressions.multiply(expressions.constant(n), each) for n in (block, block + 1))
        order = lowering.order(node.inputs[0])
        numbers: dict[str, int | Expression] = {
            "begin": begin,
            "end": end,
            "axes": order.index(axis),
            "strides": step,
        }
        operands = [lowering.integers(f"{node.name}.{name}", [value]) for name, value in numbers.items()]
        lowering.emit(
            "StridedSlice", node, [lowering.arranged(node.inputs[0], order), *operands], order=order
        )


def _cut(node: Node) -> tuple[int, int, int, int]:
    """Start, end, axis and step."""
    start, stop, axis, step = (node.attributes[name][0] for name in Slice.onnx_inputs)
    return start, stop, axis, step


def _blocks(node: Node, length: int) -> tuple[int, int] | None:
    """Of how many equally long blocks of the axis it is which; None where it is none."""
    start, stop, _, step = _cut(node)
    if step != 1 or length % (stop - start) or start % (stop - start):
        return None
    return length // (stop - start), start // (stop - start)


@imports("Concat")
def _concat(node: OnnxNode) -> Node | View:
    axis = node.integer("axis", 1) % len(node.output_shape)
    if axis == 0:
        raise node.unsupported("joining images of a batch")
    indices = range(node.input_count)
    if any(node.is_constant(index) for index in indices):
        return _with_constants(node, axis)
    names = [node.input(index) for index in indices]
    return node.canonical("Concat", names, axis=axis) if len(names) > 1 else node.identity()


def _with_constants(node: OnnxNode, axis: int) -> Node:
    """Constants before or after an activation, a class token say: zeros there, to which they are added."""
    activations = [index for index in range(node.input_count) if not node.is_constant(index)]
    if len(activations) != 1:
        raise node.unsupported("joining several activations and constants")
    shape, lengths = node.output_shape, [node.shape(index)[axis] for index in range(node.input_count)]
    (index,) = activations
    rank = len(shape)
    pads = [0] * (2 * rank)
    pads[axis], pads[rank + axis] = sum(lengths[:index]), sum(lengths[index + 1 :])
    padded = node.insert("Pad", [node.input(index)], shape, mode="constant", pads=tuple(pads), value=0.0)
    parts = [
        np.zeros(node.shape(i), np.float32) if i == index else node.weight(i) for i in range(node.input_count)
    ]
    return node.canonical("Add", [padded, node.new_constant("joined", np.concatenate(parts, axis))])


@imports("Tile")
def _tile(node: OnnxNode) -> View:
    return _repeated(node, node.view(0), [int(times) for times in node.weight(1).reshape(-1)])


@imports("Expand")
def _expand(node: OnnxNode) -> View:
    """Lengths of 1 repeated, after further ones where the output has more dimensions."""
    shape, target = node.shape(0), node.output_shape
    view = node.seen_as(node.view(0).reshaped((*[1] * (len(target) - len(shape)), *shape)))
    return _repeated(node, view, [new // old for old, new in zip(view.shape, target)])


def _repeated(node: OnnxNode, view: View, repeats: Sequence[int]) -> View:
    """Each dimension as often as ``repeats`` says: joined with itself."""
    if repeats[0] != 1 or min(repeats) < 1:
        raise node.unsupported(f"repeating, from {view.shape} to {node.output_shape}")
    for dim, times in enumerate(repeats):
        if times == 1:
            continue
        view = node.whole(view)
        place, joined = dim + (view.shape[0] != 1), new_axis(view.shape[dim] * times)
        axes, dims = list(view.axes), list(view.dims)
        axes[place - 1], dims[dim] = joined, joined
        shape = (1, *map(length, axes))
        tensor = node.insert("Concat", [view.tensor] * times, shape, axis=place)
        view = View(tensor, tuple(axes), tuple(dims))
    return view


@imports("Slice")
def _slice(node: OnnxNode) -> Node | View:
    shape = node.shape(0)
    starts, ends = (node.weight(index).reshape(-1) for index in (1, 2))
    axes = node.weight(3).reshape(-1) if node.has(3) else range(len(starts))
    steps = node.weight(4).reshape(-1) if node.has(4) else [1] * len(starts)
    cuts = []
    for start, end, axis, step in zip(starts, ends, axes, steps):
        place = int(axis) % len(shape)
        cut = range(*slice(int(start), int(end), int(step)).indices(shape[place]))
        if cut != range(shape[place]):
            cuts.append((place, cut))
    if not all(cut for _, cut in cuts):
        raise node.unsupported("a slice of nothing")
    if any(dim == 0 for dim, _ in cuts) and shape[0] == 1:
        raise node.unsupported("a slice of the batch")
    view = node.view(0)
    for dim, cut in cuts:
        if cut.step > 0:
            view = sliced(node, view, dim, cut.start, cut.stop, cut.step)
        else:
            view = chosen(node, view, dim, np.array(cut))
    return view


def sliced(node: OnnxNode, view: View, dim: int, start: int, stop: int, step: int = 1) -> View:
    """Part of one dimension of a view."""
    axis, inner = view.axis(dim), 1
    if axis is None and step == 1 and len(view.dims[dim]) == 1:  # the outermost factor of an axis
        found = [index for index, axis in enumerate(view.axes, 1) if axis[:1] == view.dims[dim]]
        if found:
            (axis,) = found
            inner = length(view.axes[axis - 1][1:])
    if axis is None:
        view = node.whole(view)
        axis = dim + (view.shape[0] != 1)
    full = length(view.axes[axis - 1])
    kept = new_axis(len(range(start, stop, step)))
    axes, dims = list(view.axes), list(view.dims)
    axes[axis - 1] = kept if inner == 1 else (*kept, *axes[axis - 1][1:])
    dims[dim] = kept
    shape = (1, *map(length, axes))
    numbers = {"starts": (start * inner,), "ends": (stop * inner,), "axes": (axis,), "steps": (step,)}
    tensor = node.insert("Slice", [view.tensor], shape, **numbers, length=full)
    return View(tensor, tuple(axes), tuple(dims))


@imports("Split", several_outputs=True)
def _split(node: OnnxNode) -> Node | View:
    """A slice for every output."""
    shape = node.shape(0)
    axis = node.integer("axis", 0) % len(shape)
    if axis == 0 and shape[0] == 1:
        raise node.unsupported("a split of the batch")
    lengths = [int(n) for n in node.weight(1).reshape(-1)] if node.has(1) else node.integers("split", ())
    if not lengths:
        count = node.output_count
        each = -(-shape[axis] // count)
        lengths = [min(each, shape[axis] - each * index) for index in range(count)]
    if sum(lengths) != shape[axis] or min(lengths) < 1 or len(lengths) != node.output_count:
        raise node.unsupported(f"pieces of {lengths} from {shape[axis]}")
    stops = [sum(lengths[: index + 1]) for index in range(len(lengths))]
    views = [sliced(node, node.view(0), axis, stop - n, stop) for n, stop in zip(lengths, stops)]
    for index, view in enumerate(views[1:], 1):
        node.write(index, view)
    return views[0]


@imports("Gather")
def _gather(node: OnnxNode) -> View:
    """Elements of a dimension: neighbours (a class token, one of queries, keys and values), or any others."""
    shape, axis = node.shape(0), node.integer("axis", 0)
    axis %= len(shape)
    if axis == 0 and shape[0] == 1:
        raise node.unsupported("a choice from the batch")
    indices = node.weight(1).reshape(-1) % shape[axis]
    if not len(indices):
        raise node.unsupported(f"a choice of nothing from {shape}")
    if np.array_equal(indices, np.arange(len(indices)) + indices[0]):
        view = sliced(node, node.view(0), axis, int(indices[0]), int(indices[-1]) + 1)
    else:
        view = chosen(node, node.view(0), axis, indices)
    return node.seen_as(view.reshaped(node.output_shape))
