"""The larger or smaller of several tensors, and the smallest value over dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..graph.graph import Node
from ..graph.view import View
from .activations import LARGEST, limited
from .elementwise import binary
from .reductions import reduction
from .registry import imports

if TYPE_CHECKING:
    from .onnx_node import OnnxNode


@imports("Max")
def _max(node: OnnxNode) -> Node | View:
    """A limit below (PyTorch, not optimised), max(alpha · x, x) (MindSpore's leaky ReLU), or the largest."""
    if (place := _limit(node)) is not None:
        return limited(node, node.scalar(place), LARGEST, of=1 - place)
    return _leaky_relu(node) or _of_all(node)


@imports("Min")
def _min(node: OnnxNode) -> Node | View:
    """A limit above, or the smallest: -max(-a, -b)."""
    if (place := _limit(node)) is not None:
        return limited(node, -LARGEST, node.scalar(place), of=1 - place)
    if node.input_count == 1:
        return node.identity()
    if any(node.is_constant(index) for index in range(node.input_count)):
        raise node.unsupported("the smallest of a tensor and several constant values")
    shape = node.output_shape
    negatives = [node.insert("Neg", [node.input(i)], node.shape(i)) for i in range(node.input_count)]
    return node.canonical("Neg", [_chain(node, negatives, shape)])


@imports("ReduceMin")
def _reduce_min(node: OnnxNode) -> Node | View:
    """-max(-x)"""
    view = node.view(0)
    found = reduction(node, "ReduceMax", node.between("Neg", [view.tensor], view))
    if isinstance(found, View):
        return node.between("Neg", [found.tensor], found)
    return node.canonical("Neg", [node.insert(found.op, found.inputs, node.output_shape, **found.attributes)])


def _limit(node: OnnxNode) -> int | None:
    """Which of two operands is one constant value that the other is bounded by."""
    if node.input_count != 2:
        return None
    for place in (0, 1):
        if node.is_constant(place) and not node.is_constant(1 - place) and _is_one(node, place):
            return place
    return None


def _is_one(node: OnnxNode, place: int) -> bool:
    return node.shape(1 - place) == node.output_shape and all(n == 1 for n in node.shape(place))


def _leaky_relu(node: OnnxNode) -> Node | None:
    if node.input_count != 2 or node.is_constant(0) or node.is_constant(1):
        return None
    if node.shape(0) != node.shape(1):
        return None
    for index, other in ((0, 1), (1, 0)):
        product, x = node.producer(index), node.input(other)
        if product is not None and product.op == "Mul" and product.inputs[0] == x:
            alpha = node.constant_value(product.inputs[1])
            if alpha is not None and alpha.size == 1 and 0 <= alpha.item() <= 1:
                return node.canonical("LeakyRelu", [x], alpha=alpha.item())
    return None


def _of_all(node: OnnxNode) -> Node | View:
    if node.input_count == 1:
        return node.identity()
    if node.input_count == 2:
        return binary(node, "Max")
    if any(node.is_constant(index) for index in range(node.input_count)):
        raise node.unsupported("the largest of more than two tensors, constants among them")
    tensors = [node.input(index) for index in range(node.input_count)]
    return node.canonical("Max", [_chain(node, tensors[:-1], node.output_shape), tensors[-1]])


def _chain(node: OnnxNode, tensors: list[str], shape: tuple[int, ...]) -> str:
    if any(node.shape(index) != shape for index in range(node.input_count)) and node.input_count > 2:
        raise node.unsupported("more than two tensors of different shapes")
    largest, *others = tensors
    for other in others:
        largest = node.insert("Max", [largest, other], shape)
    return largest
