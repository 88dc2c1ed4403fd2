"""The order of channels along each axis: nested (ours), smooth (the paper's), by L1 norm (the baseline)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable

import numpy as np
from inn_runtime.axes import Axis
from inn_runtime.manifest import Dimension, Segment

from . import forward
from .graph import Graph
from .statistics import Moments
from .structure import Channels

ORDERS = ("nested", "smooth", "l1")


def order_channels(
    graph: Graph,
    channels: Channels,
    order: str,
    images: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> Graph:
    """Lay out every group's channels in the given order; the network's function does not change."""
    if order == "nested":
        orders = [nested_order(seen_by) for seen_by in consumers(graph, channels, images, progress)]
    else:
        features = _weight_features(graph, channels)
        rule: Callable[[np.ndarray], np.ndarray] = smooth_path if order == "smooth" else largest_first
        orders = [rule(f) for f in features]
    return permute(graph, channels, orders)


def axis_for(order: str, size: int, quadrature: str) -> Axis:
    """The continuous axis that goes with an order: nested ones are selected, smooth interpolated."""
    rule = "trapezoid" if order == "smooth" and quadrature != "none" else "none"
    return Axis(size, "cubic" if order == "smooth" else "selection", rule)


def permute(graph: Graph, channels: Channels, orders: list[np.ndarray]) -> Graph:
    """Reorder every group's channels in all constants."""
    constants = {}
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            values = np.take(values, _positions(dimension, channels.sizes, orders), axis)
        constants[name] = np.ascontiguousarray(values)
    return replace(graph, constants=constants)


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


@dataclass(frozen=True)
class Consumer:
    """What one tensor's readers see of a group: ``gram`` E[x xᵀ] of the tensor, ``kernel`` Σ WᵀW of their
    weights, both (N, N)."""

    gram: np.ndarray
    kernel: np.ndarray


def consumers(
    graph: Graph,
    channels: Channels,
    images: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> list[list[Consumer]]:
    """Per group, the consumers of every tensor that runs along it."""
    kernels = [np.zeros((channels.sizes[group],) * 2) for _, group in channels.quadratures]
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            for segment, part in _segments(dimension, channels.sizes, values, axis):
                if segment.quadrature is not None:
                    kernels[segment.quadrature] += part @ part.T
    result: list[list[Consumer]] = [[] for _ in channels.groups]
    moments = Moments(graph, channels)
    activations = dict(images)
    nodes = forward.walk(graph, activations, lambda n: forward.run_node(n, activations, graph.constants))
    for done, node in enumerate(nodes):
        progress((done + 1) / len(graph.nodes))
        for index in channels.quadratures_of.get(node.output, ()):
            key, group = channels.quadratures[index]
            values = activations[node.output]
            _, gram = moments(values, values, key, channels.sizes)
            result[group].append(Consumer(gram, kernels[index]))
    return result


def nested_order(seen_by: Sequence[Consumer]) -> np.ndarray:
    """An order whose every prefix explains the consumers' *outputs* best.

    Greedy: with R the Gram of what the chosen channels leave unexplained and L'L = Σ WᵀW, each step takes
    the channel j with the largest Σ ‖L R_j‖² / R_jj (the drop of the outputs' error, each consumer's scaled
    to 1) and deflates R. With L = I this is pivoted Cholesky.

    Returns
    -------
    order : (N,)
    """
    states = []
    for consumer in seen_by:
        values, vectors = np.linalg.eigh(consumer.kernel)
        root = (vectors * np.sqrt(np.maximum(values, 0))).T
        residual = consumer.gram / max(float(np.sum(consumer.kernel * consumer.gram)), 1e-30)
        floor = max(1e-9 * float(np.diagonal(residual).mean()), 1e-30)
        states.append([residual, root @ residual, floor])
    size = len(seen_by[0].gram)
    order: list[int] = []
    for _ in range(size):
        gains = np.zeros(size)
        for residual, outputs, floor in states:
            gains += (outputs**2).sum(0) / np.maximum(np.diagonal(residual), floor)
        gains[order] = -np.inf
        chosen = int(np.argmax(gains))
        order.append(chosen)
        for state in states:
            residual, outputs, floor = state
            row = residual[chosen] / max(float(residual[chosen, chosen]), floor)
            state[1] = outputs - np.outer(outputs[:, chosen], row)
            state[0] = residual - np.outer(residual[:, chosen], row)
    return np.array(order)


def _segments(
    dimension: Dimension, sizes: list[int], values: np.ndarray, axis: int
) -> Iterator[tuple[Segment, np.ndarray]]:
    """The segments of one dimension that follow a group, with their values as (N, everything else)."""
    start = 0
    for segment in dimension:
        length = segment.length(sizes)
        if segment.group is not None:
            part = np.moveaxis(values, axis, 0)[start : start + length]
            blocks = part.reshape(segment.outer, sizes[segment.group], -1).astype(np.float64)
            yield segment, blocks.transpose(1, 0, 2).reshape(sizes[segment.group], -1)
        start += length


def _weight_features(graph: Graph, channels: Channels) -> list[np.ndarray]:
    """Per group, (N, features): the slices of all member weights (no biases), each weight scaled alike."""
    features: list[list[np.ndarray]] = [[np.zeros((size, 1))] for size in channels.sizes]
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name] if values.ndim > 1 else ()):
            for segment, rows in _segments(dimension, channels.sizes, values, axis):
                assert segment.group is not None
                features[segment.group].append(rows / max(float(np.linalg.norm(rows)), 1e-30))
    return [np.concatenate(parts, axis=1) for parts in features]


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
