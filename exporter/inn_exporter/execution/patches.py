"""What a linear layer's kernel multiplies, at some positions of the images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..graph.graph import Graph, Node
from ..operators import operator

CHUNK = 32
"""Images per step: bounds the memory of unfolded activations."""
PATCHES = 64
"""Positions of an image at which patches are looked at: there are many more values in each, …"""
PATCH_VALUES = 2**28
"""… and fewer positions where there are many images: no more values than this in all."""


def chosen_positions(random: np.random.Generator, shape: Sequence[int], most: int) -> np.ndarray | None:
    """At most ``most`` positions of a channel of ``shape``, as indices into it flattened; None for all."""
    count = math.prod(shape)
    return None if count <= most else np.sort(random.choice(count, most, replace=False))


def sampled_patches(
    graph: Graph, node: Node, x: np.ndarray, seed: int, values: int = PATCH_VALUES
) -> Iterator[tuple[slice, np.ndarray | None, np.ndarray]]:
    """What a linear layer's kernel multiplies, at some positions: the images, the positions (None: all)
    and the patches (blocks, features, samples), a chunk of images at a time, of about ``values`` in all."""
    random = np.random.default_rng(seed)
    extent = _positions(graph, node, x)
    one = operator(node).unfold(node, x[:1], chosen_positions(np.random.default_rng(seed), extent, 1))
    most = max(1, min(PATCHES, values // (one.size * len(x))))
    for first in range(0, len(x), CHUNK):
        part = slice(first, first + CHUNK)
        at = chosen_positions(random, extent, most)
        yield part, at, operator(node).unfold(node, x[part], at)


def _positions(graph: Graph, node: Node, x: np.ndarray) -> Sequence[int]:
    """The dimensions of a linear layer's output besides images and channels, where its input is ``x``."""
    if operator(node).channel_axis == -1:  # along the last dimension; others may be resized, too
        return x.shape[1:-1]
    _, _, *extent = graph.shapes[node.output]
    return extent


def patch_moments(
    graph: Graph, layer: Sequence[Node], activations: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, int]:
    """E[u uᵀ], (blocks, features, features), and E[u], (blocks, features), of what the kernel of a layer, one
    node or several that share it, multiplies, and how many samples they are from."""
    parts = [
        patches
        for node in layer
        for _, _, patches in sampled_patches(
            graph, node, activations[node.inputs[0]], 0, PATCH_VALUES // len(layer)
        )
    ]
    samples = sum(u.shape[2] for u in parts)
    gram = sum((u @ u.transpose(0, 2, 1)).astype(np.float64) for u in parts)
    mean = sum(u.sum(2, dtype=np.float64) for u in parts)
    return np.asarray(gram / samples), np.asarray(mean / samples), samples


def channels_second(node: Node, activation: np.ndarray) -> np.ndarray:
    """A view of a linear layer's output with its channels in the second dimension."""
    return np.moveaxis(activation, operator(node).channel_axis, 1)
