"""Choices by conditions that are known: products with what each side of them keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..graph.graph import Node
from ..graph.view import View
from .registry import imports

if TYPE_CHECKING:
    from .onnx_node import OnnxNode


@imports("Where")
def _where(node: OnnxNode) -> Node | View:
    """c · x + (1 - c) · y, where c is a constant of zeros and ones."""
    if not node.is_constant(0):
        raise node.unsupported("a choice by a condition that is computed; cut the network before it")
    shape, condition = node.output_shape, node.weight(0)
    shares = condition.astype(np.float32), 1 - condition.astype(np.float32)
    found: View | None = None
    offset = np.zeros([1] * len(shape), np.float32)
    for index, share in zip((1, 2), shares):
        if node.is_constant(index):
            offset = np.where(share != 0, node.weight(index), offset).astype(np.float32)
            continue
        if node.shape(index) != shape:
            raise node.unsupported(f"a choice from {node.shape(index)} that is broadcast to {shape}")
        kept = weighted(node, node.view(index), share)
        found = kept if found is None else total(node, found, kept)
    assert found is not None  # else the node is a constant
    if not offset.any():
        return found
    view, values = _for(node, found, offset)
    return node.computed("Add", [view.tensor, node.new_constant("offset", values)], view)


@imports("IsNaN")
def _is_nan(node: OnnxNode) -> Node | View:
    """Guards of a softmax are gone by now (`importers.masks`)."""
    raise node.unsupported("a test of values that are computed, other than of a softmax; leave it out")


def weighted(node: OnnxNode, view: View, share: np.ndarray) -> View:
    """The product of a view with a constant that is broadcast to it."""
    if (share == 1).all():
        return view
    view, values = _for(node, view, share)
    return node.between("Mul", [view.tensor, node.new_constant("share", values)], view)


def total(node: OnnxNode, first: View, second: View) -> View:
    """The sum of two views of one shape."""
    if not first.arranged_as(second):
        first, second = node.whole(first), node.whole(second)
    return node.between("Add", [first.tensor, second.tensor], first)


def _for(node: OnnxNode, view: View, values: np.ndarray) -> tuple[View, np.ndarray]:
    """A view of a tensor, and a constant that is broadcast to this tensor as ``values`` are to the view."""
    if view.to_base(values).size > values.size:  # it would be repeated
        view = node.whole(view)
    return view, view.to_base(values)
