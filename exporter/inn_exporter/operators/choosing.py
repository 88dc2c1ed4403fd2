"""Elements of a dimension in any order: mirrored images, windows, channels exchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops, tensor
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View, length
from .base import Operator
from .registry import OPERATORS, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


@register
class Gather(Operator):
    """The elements ``indices`` of one axis, each as often as it is there; the axis keeps its size.

    ``rank`` is that of the input.
    """

    mixes = True
    onnx_inputs = ("indices",)

    def mixes_along(self, node: Node, along: Mapping[str, int]) -> bool:
        return super().mixes_along(node, along) and _not_chosen(node, along)

    def axes(self, node: Node, structure: Structure) -> None:
        axis, dims = node.attributes["axis"], list(structure.dims[node.inputs[0]])
        structure.pin(dims[axis])
        dims[axis] = fixed(len(node.attributes["indices"]))
        structure.set(node.output, dims)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        indices = tensor(np.array(node.attributes["indices"], np.int32))
        return ops().gather(inputs[0], indices, node.attributes["axis"])

    def onnx_attributes(self, node: Node) -> dict[str, Any]:
        return {name: value for name, value in node.attributes.items() if name != "rank"}

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        order = lowering.order(node.inputs[0])
        operands = [
            lowering.integers(f"{node.name}.indices", node.attributes["indices"]),
            lowering.integers(f"{node.name}.axis", [order.index(node.attributes["axis"])]),
        ]
        lowering.emit("Gather", node, [lowering.arranged(node.inputs[0], order), *operands], order=order)


def _not_chosen(node: Node, along: Mapping[str, int]) -> bool:
    """Whether the channels are another dimension than the one that is chosen from; both are counted from
    the end."""
    return along[node.output] != node.attributes["axis"] - node.attributes["rank"]


def chosen(node: OnnxNode, view: View, dim: int, indices: np.ndarray) -> View:
    """Elements of one dimension of a view, in any order.

    Where they are channels that a layer made, another layer copies them: those before it and those after it
    are groups of their own. Of other dimensions nothing is resized.
    """
    axis = view.axis(dim)
    if axis is None:
        view = node.whole(view)
        axis = dim + (view.shape[0] != 1)
    target = view.with_axis(axis, dim, len(indices))
    if axis == 1 and len(view.axes) in (1, 3) and _has_channels(node, view.tensor):
        return _copied(node, view, target, indices)
    shape = (1, *map(length, target.axes))
    attributes = {"axis": axis, "indices": tuple(map(int, indices)), "rank": len(shape)}
    return View(node.insert("Gather", [view.tensor], shape, **attributes), target.axes, target.dims)


def _copied(node: OnnxNode, view: View, target: View, indices: np.ndarray) -> View:
    count = length(view.axes[0])
    choice, bias = np.eye(count, dtype=np.float32)[indices], np.zeros(len(indices), np.float32)
    if len(view.axes) == 1:
        names = [node.new_constant("choice", choice), node.new_constant("bias", bias)]
        return node.between("Gemm", [view.tensor, *names], target, transB=1)
    names = [node.new_constant("choice", choice[:, :, None, None]), node.new_constant("bias", bias)]
    window = {"kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    return node.between("Conv", [view.tensor, *names], target, group=1, **window)


def _has_channels(node: OnnxNode, name: str) -> bool:
    """Whether dimension 1 of a tensor may be what a layer made, or one of its inputs'."""
    seen, left = set(), [name]
    while left:
        name = left.pop()
        made = node.maker(name)
        if made is None or name in seen:
            continue
        if OPERATORS[made.op].linear:
            return True
        seen.add(name)
        left += made.inputs
    return False
