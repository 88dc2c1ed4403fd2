"""Means, sums and largest values over some dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backend import ops
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View, length
from .base import Operator
from .primitives import REDUCE_MAX, REDUCE_MEAN, REDUCE_SUM
from .registry import imports, register

if TYPE_CHECKING:
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


class Reduction(Operator):
    """Over some axes, which stay as length 1 (keepdims = 1) and are never resized."""

    mode: int

    def axes(self, node: Node, structure: Structure) -> None:
        dims = list(structure.dims[node.inputs[0]])
        for axis in node.attributes["axes"]:
            structure.pin(dims[axis])
            dims[axis] = fixed(1)
        structure.set(node.output, dims)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        order = lowering.order(node.inputs[0])
        axes = sorted(order.index(axis) for axis in node.attributes["axes"])
        source = lowering.arranged(node.inputs[0], order)
        lowering.emit(
            "ReduceFusion",
            node,
            [source, lowering.integers(f"{node.name}.axes", axes)],
            order=order,
            keep_dims=True,
            mode=self.mode,
            coeff=1.0,
        )


@register
class ReduceMean(Reduction):
    """Mean"""

    mixes = True
    mode = REDUCE_MEAN

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().mean(inputs[0], tuple(node.attributes["axes"]), True)


@register
class ReduceSum(Reduction):
    """Sum"""

    mixes = True
    mode = REDUCE_SUM
    onnx_inputs = ("axes",)

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().sum(inputs[0], tuple(node.attributes["axes"]), True)


@register
class ReduceMax(Reduction):
    """Largest value over one axis"""

    mode = REDUCE_MAX

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        return ops().amax(inputs[0], tuple(node.attributes["axes"]), True)

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        """MindSpore Lite 2.0 takes 0 for a largest value below 0, except over the last axis."""
        (axis,) = node.attributes["axes"]
        rank = len(lowering.shape(node.output))
        order = (*(a for a in range(rank) if a != axis), axis)
        lowering.emit(
            "ReduceFusion",
            node,
            [
                lowering.arranged(node.inputs[0], order),
                lowering.integers(f"{node.name}.axes", [rank - 1]),
            ],
            order=order,
            keep_dims=True,
            mode=self.mode,
            coeff=1.0,
        )


def reduced(node: OnnxNode, op: str, view: View, axes: list[int], keep: bool) -> Node | View:
    """A reduction over ``axes`` of a view of the file's tensor, which stay as length 1 or go."""
    shape = node.shape(0)
    if any(shape[axis] == 1 and axis == 0 for axis in axes):
        raise node.unsupported("a mean over the batch" if op == "ReduceMean" else "a reduction of the batch")
    axes = [axis for axis in axes if shape[axis] != 1]
    if not axes:
        return node.seen_as(view.reshaped(node.output_shape))
    if any(view.axis(axis) is None for axis in axes):
        view = node.whole(view)
    places = sorted(place for axis in axes if (place := view.axis(axis)) is not None)
    single = [place for place, axis in enumerate(view.axes, 1) if not axis]
    space = op == "ReduceMean" and len(view.axes) == 3 and {2, 3} - {*single} == {*places}
    steps = [places] if op != "ReduceMax" else [[place] for place in places]
    for number, step in enumerate(steps):
        lengths = [() if place in step else axis for place, axis in enumerate(view.axes, 1)]
        dims = [
            () if any(view.axis(dim) == place for place in step) else view.dims[dim]
            for dim in range(len(shape))
        ]
        attributes = {} if space else {"axes": tuple(step), "keepdims": 1}
        target = View("", tuple(lengths), tuple(dims))
        name = "GlobalAveragePool" if space else op
        last = number == len(steps) - 1
        if last and keep and target.is_whole:
            return node.canonical(name, [view.tensor], **attributes)
        tensor = node.insert(name, [view.tensor], (1, *map(length, lengths)), **attributes)
        view = View(tensor, target.axes, target.dims)
    return node.seen_as(view.reshaped(node.output_shape))


def reduction(node: OnnxNode, op: str, view: View) -> Node | View:
    """The reduction that the node says, of a view of its input."""
    rank = len(node.shape(0))
    axes = node.weight(1).reshape(-1) if node.has(1) else node.integers("axes", ())
    if not len(axes) and node.integer("noop_with_empty_axes", 0):
        return view
    places = sorted(int(axis) % rank for axis in axes) or list(range(rank))
    return reduced(node, op, view, places, keep=bool(node.integer("keepdims", 1)))


def _imports_reduction(op: str) -> None:
    @imports(op)
    def same(node: OnnxNode) -> Node | View:
        return reduction(node, op, node.view(0))


@imports("ReduceSumSquare")
def _reduce_sum_square(node: OnnxNode) -> Node | View:
    view = node.view(0)
    return reduction(node, "ReduceSum", node.between("Mul", [view.tensor] * 2, view))


for _op in ("ReduceMean", "ReduceSum", "ReduceMax"):
    _imports_reduction(_op)
