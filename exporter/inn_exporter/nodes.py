"""The order of channels along each axis: nested (ours), smooth (the paper's), or by L1 norm (the baseline)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

import numpy as np
from inn_runtime.axes import Axis
from inn_runtime.manifest import Dimension

from . import forward
from .graph import Graph
from .statistics import second_moments
from .structure import Channels

ORDERS = ("nested", "smooth", "l1")


def order_channels(
    graph: Graph, channels: Channels, order: str, images: Mapping[str, np.ndarray]
) -> Graph:
    """Lay out every group's channels in the given order; the network's function does not change."""
    if order == "nested":
        orders = [pivoted_cholesky(gram) for gram in consumer_grams(graph, channels, images)]
    else:
        features = _weight_features(graph, channels)
        rule: Callable[[np.ndarray], np.ndarray] = smooth_path if order == "smooth" else largest_first
        orders = [rule(f) for f in features]
    return permute(graph, channels, orders)


def axis_for(order: str, size: int, quadrature: str) -> Axis:
    """The continuous axis that goes with an order: nested ones are selected from, smooth ones interpolated."""
    rule = "trapezoid" if order == "smooth" and quadrature != "none" else "none"
    return Axis(size, "cubic" if order == "smooth" else "selection", rule)


def permute(graph: Graph, channels: Channels, orders: list[np.ndarray]) -> Graph:
    """Reorder every group's channels in all constants."""
    constants = {}
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            values = np.take(values, _positions(dimension, channels.sizes, orders), axis)
        constants[name] = np.ascontiguousarray(values)
    return Graph(graph.name, graph.inputs, graph.outputs, graph.nodes, constants, graph.shapes)


def _positions(dimension: Dimension, sizes: list[int], orders: list[np.ndarray]) -> np.ndarray:
    """Where each element of a dimension comes from."""
    parts, start = [], 0
    for segment in dimension:
        length = segment.length(sizes)
        index = np.arange(start, start + length)
        if segment.group is not None:
            index = index.reshape(segment.outer, -1, segment.inner)[:, orders[segment.group]].reshape(-1)
        parts.append(index)
        start += length
    return np.concatenate(parts)


def consumer_grams(
    graph: Graph, channels: Channels, images: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Per group: the sum of its consumers' input Gram matrices, each scaled to trace 1."""
    grams = [np.zeros((size, size)) for size in channels.sizes]
    wanted = {key.tensor for key, _ in channels.quadratures}
    activations = dict(images)
    for node in forward.walk(graph, activations, lambda n: forward.run_node(n, activations, graph.constants)):
        if node.output not in wanted:
            continue
        values = activations[node.output]
        for key, group in channels.quadratures:
            if key.tensor == node.output:
                _, gram = second_moments(values, values, channels, key, channels.sizes)
                grams[group] += gram / max(np.trace(gram), 1e-30)
    return grams


def pivoted_cholesky(gram: np.ndarray) -> np.ndarray:
    """An order whose every prefix spans the rest best: each step takes the largest remaining variance.

    Parameters
    ----------
    gram : (N, N), symmetric, positive semidefinite

    Returns
    -------
    order : (N,)
    """
    size = len(gram)
    remaining = np.diagonal(gram).astype(np.float64).copy()
    factor = np.zeros((size, size))
    order = np.zeros(size, np.int64)
    for step in range(size):
        remaining[order[:step]] = -np.inf
        pivot = order[step] = int(np.argmax(remaining))
        column = gram[:, pivot] - factor[:, :step] @ factor[pivot, :step]
        factor[:, step] = column / np.sqrt(max(column[pivot], 1e-30))
        remaining = remaining - factor[:, step] ** 2
    return order


def _weight_features(graph: Graph, channels: Channels) -> list[np.ndarray]:
    """Per group, (N, features): the slices of all member weights (biases left out), each weight scaled alike."""
    features: list[list[np.ndarray]] = [[] for _ in channels.groups]
    for name, values in graph.constants.items():
        if values.ndim < 2:
            continue
        for axis, dimension in enumerate(channels.dims[name]):
            if len(dimension) == 1 and (group := dimension[0].group) is not None:
                segment = dimension[0]
                stacked = np.moveaxis(values, axis, 0).reshape(segment.outer, channels.sizes[group], -1)
                rows = stacked.transpose(1, 0, 2).reshape(channels.sizes[group], -1)
                features[group].append(rows / max(float(np.linalg.norm(rows)), 1e-30))
    return [
        np.concatenate(parts, axis=1) if parts else np.zeros((size, 1))
        for parts, size in zip(features, channels.sizes)
    ]


def largest_first(features: np.ndarray) -> np.ndarray:
    """Channels by decreasing L1 norm of their weights."""
    return np.argsort(-np.abs(features).sum(1), kind="stable")


def smooth_path(features: np.ndarray) -> np.ndarray:
    """An order of small total variation: nearest neighbours, then 2-opt until no exchange helps.

    The total variation along an axis is Σ ‖w(i+1) - w(i)‖ (the paper's permutation problem).
    """
    squares = (features**2).sum(1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0))
    size = len(distance)
    order = [int(np.argmax(squares))]
    left = np.ones(size, bool)
    left[order[0]] = False
    while len(order) < size:
        order.append(int(np.argmin(np.where(left, distance[order[-1]], np.inf))))
        left[order[-1]] = False
    return _two_opt(np.array(order), distance)


def _two_opt(order: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Reverse stretches of an open path while that shortens it."""
    size = len(order)
    improved = size > 3
    while improved:
        improved = False
        for i in range(size - 1):
            # Reversing order[i+1 .. j] replaces the edges (i, i+1) and (j, j+1); the last has no successor.
            j = np.arange(i + 2, size)
            if not len(j):
                continue
            ahead = np.append(order[i + 3 :], order[-1])
            outgoing = np.append(np.ones(len(j) - 1), 0.0)
            old = distance[order[i], order[i + 1]] + outgoing * distance[order[j], ahead]
            new = distance[order[i], order[j]] + outgoing * distance[order[i + 1], ahead]
            best = int(np.argmin(new - old))
            if new[best] - old[best] < -1e-12:
                stop = i + 2 + best
                order[i + 1 : stop + 1] = order[i + 1 : stop + 1][::-1].copy()
                improved = True
    return order
