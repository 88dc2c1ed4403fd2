"""Importers of operators that are made of others: no class of their own, nothing to lower."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..graph.graph import Node
from ..graph.view import View
from .registry import imports

if TYPE_CHECKING:
    from .onnx_node import OnnxNode


@imports("Gelu")
def _gelu(node: OnnxNode) -> Node | View:
    if node.text("approximate", "none") == "none":
        return node.pointwise("Gelu")
    # x / 2 · (1 + tanh(√(2 / π) · x · (1 + 0.044715 · x²)))
    shape, x = node.shape(0), node.input(0)
    square = node.insert("Mul", [x, x], shape)
    bent = node.insert("Mul", [square, _number(node, "cubic", 0.044715)], shape)
    factor = node.insert("Add", [bent, _number(node, "one", 1.0)], shape)
    inside = node.insert(
        "Mul", [node.insert("Mul", [x, factor], shape), _number(node, "root", 0.7978845608)], shape
    )
    shifted = node.insert("Add", [node.insert("Tanh", [inside], shape), _number(node, "one", 1.0)], shape)
    return node.canonical("Mul", [node.insert("Mul", [x, _number(node, "half", 0.5)], shape), shifted])


@imports("Selu")
def _selu(node: OnnxNode) -> Node | View:
    """gamma · Elu(x)"""
    alpha, gamma = (
        node.number("alpha", 1.67326319217681884765625),
        node.number("gamma", 1.05070102214813232421875),
    )
    return _scaled_elu(node, 1.0, alpha, gamma)


@imports("Celu")
def _celu(node: OnnxNode) -> Node | View:
    """alpha · Elu(x / alpha)"""
    alpha = node.number("alpha", 1.0)
    if alpha <= 0:
        raise node.unsupported(f"alpha {alpha:g}, which is not above 0")
    return _scaled_elu(node, 1 / alpha, 1.0, alpha)


def _scaled_elu(node: OnnxNode, inner: float, alpha: float, outer: float) -> Node:
    shape, x = node.shape(0), node.input(0)
    if inner != 1.0:
        x = node.insert("Mul", [x, _number(node, "inner", inner)], shape)
    x = node.insert("Elu", [x], shape, alpha=alpha)
    return node.canonical("Mul", [x, _number(node, "outer", outer)])


def _number(node: OnnxNode, name: str, value: float) -> str:
    """A constant that is broadcast to the node's first input."""
    return node.new_constant(name, np.full([1] * len(node.shape(0)), value, np.float32))


@imports("Softsign")
def _softsign(node: OnnxNode) -> Node:
    """x / (1 + |x|)"""
    shape, x = node.shape(0), node.input(0)
    size = node.insert("Abs", [x], shape)
    return node.canonical("Div", [x, node.insert("Add", [size, _number(node, "one", 1.0)], shape)])


@imports("LogSoftmax")
def _log_softmax(node: OnnxNode) -> Node | View:
    """y - log Σ exp(y) with y = x - max x."""
    shape, x = node.shape(0), node.input(0)
    axis = node.integer("axis", -1 if node.opset >= 13 else 1) % len(shape)
    if axis == 0 or (node.opset < 13 and prod(shape[axis + 1 :]) != 1):
        raise node.unsupported("over the batch, or over several axes at once")
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    largest = node.insert("ReduceMax", [x], one, axes=(axis,), keepdims=1)
    lower = node.insert("Sub", [x, largest], shape)
    powers = node.insert("Exp", [lower], shape)
    total = node.insert("ReduceSum", [powers], one, axes=(axis,), keepdims=1)
    return node.canonical("Sub", [lower, node.insert("Log", [total], one)])


@imports("ReduceL2")
def _reduce_l2(node: OnnxNode) -> Node | View:
    """√ Σ x²"""
    axes = node.weight(1).reshape(-1) if node.has(1) else node.integers("axes", ())
    return _norm(node, [int(axis) for axis in axes] or list(range(len(node.shape(0)))))


@imports("LpNormalization")
def _lp_normalisation(node: OnnxNode) -> Node | View:
    """x / √ Σ x²"""
    if node.integer("p", 2) != 2:
        raise node.unsupported("a norm other than the second")
    shape = node.shape(0)
    axis = node.integer("axis", -1) % len(shape)
    if axis == 0:
        raise node.unsupported("a norm over the batch")
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    return node.canonical("Div", [node.input(0), _root_of_squares(node, [axis], one)])


def _norm(node: OnnxNode, axes: list[int]) -> Node | View:
    shape = node.shape(0)
    places = sorted(axis % len(shape) for axis in axes)
    if 0 in places:
        raise node.unsupported("a reduction of the batch")
    one = tuple(1 if axis in places else size for axis, size in enumerate(shape))
    root = View.whole(_root_of_squares(node, places, one), one)
    return node.seen_as(root.reshaped(node.output_shape))


def _root_of_squares(node: OnnxNode, axes: list[int], shape: tuple[int, ...]) -> str:
    x = node.input(0)
    squares = node.insert("Mul", [x, x], node.shape(0))
    total = node.insert("ReduceSum", [squares], shape, axes=tuple(axes), keepdims=1)
    return node.insert("Sqrt", [total], shape)
