"""The order of channels along each axis: nested (ours), smooth (the paper's), by L1 norm (the baseline), or
as given (a network that was trained as an integral one).

Where everything along an axis is linear, nested order is free to mix channels too: the axis is rotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Callable

import numpy as np
from inn_runtime.format.manifest import Dimension

from ..graph.channels import Channels
from ..graph.graph import Graph
from ..passes import attention
from .consumers import consumer_moments, head_moments
from .nested import nested_order
from .rotation import nested_rotation, rotatable_groups, rotate
from .smooth import _weight_features, largest_first, smooth_path


def order_channels(
    graph: Graph,
    channels: Channels,
    order: str,
    images: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> Graph:
    """Lay out every group's channels in the given order; the network's function does not change.

    Nested order rotates the groups that allow it. ``given`` leaves all as they are.
    """
    if order == "given":
        return graph
    if order == "nested":
        seen_by = consumer_moments(graph, channels, images, progress)
        rotations = {group: nested_rotation(seen_by[group]) for group in rotatable_groups(graph, channels)}
        for group in attention.rotatable_heads(graph, channels):
            by_head = zip(*(consumer.heads for consumer in seen_by[group]))
            rotations[group] = np.stack([nested_rotation(seen) for seen in by_head])
        products = {
            contraction.group: [head_moments(consumer) for consumer in seen_by[contraction.group]]
            for contraction in attention.contractions(graph, channels)
        }
        graph, balanced = attention.balanced(rotate(graph, channels, rotations), channels, products)
        orders = [
            np.arange(size) if group in rotations or group in balanced else nested_order(seen_by[group])
            for group, size in enumerate(channels.sizes)
        ]
    else:
        features = _weight_features(graph, channels)
        rule: Callable[[np.ndarray], np.ndarray] = smooth_path if order == "smooth" else largest_first
        orders = [rule(f) for f in features]
    return permute(graph, channels, orders)


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
