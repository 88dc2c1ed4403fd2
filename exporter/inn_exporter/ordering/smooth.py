"""Orders by weights alone: of small total variation (the paper's), and by L1 norm (the baseline)."""

from __future__ import annotations

import numpy as np

from ..graph.channels import Channels
from ..graph.graph import Graph
from .consumers import group_segments


def _weight_features(graph: Graph, channels: Channels) -> list[np.ndarray]:
    """Per group, (N, features): the slices of all member weights (no biases), each weight scaled alike."""
    features: list[list[np.ndarray]] = [[np.zeros((size, 1))] for size in channels.sizes]
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name] if values.ndim > 1 else ()):
            for segment, rows in group_segments(dimension, channels.sizes, values, axis):
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
