"""Second moments of activations along a channel group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..graph.channels import Channels
from ..graph.dimensions import QuadratureKey
from ..graph.graph import Graph, Node
from ..operators import operator
from .patches import CHUNK, chosen_positions

POSITIONS = 256
"""Positions of an image that statistics are taken from, drawn anew for each chunk of images."""
SPREAD = 0.01
"""Weight of the statistics before pooling in those of a pooled tensor."""


def channel_rows(
    activation: np.ndarray, channels: Channels, key: QuadratureKey, widths: Sequence[int]
) -> Iterator[np.ndarray]:
    """Chunks of (N, samples): the stretch's channels against images, positions and repeats."""
    dimension = channels.dims[key.tensor][key.dim]
    segment = dimension[key.part]
    assert segment.group is not None
    start = sum(before.length(widths) for before in dimension[: key.part])
    stop, width = start + segment.length(widths), widths[segment.group]
    random = np.random.default_rng(0)
    for first in range(0, len(activation), CHUNK):
        part = np.moveaxis(activation[first : first + CHUNK], key.dim, 0)[start:stop]
        at = chosen_positions(random, part.shape[2:], POSITIONS)
        part = part if at is None else part.reshape(*part.shape[:2], -1)[:, :, at]
        blocks = part.reshape(segment.outer, width, segment.inner * part[0].size)
        yield blocks.transpose(1, 0, 2).reshape(width, -1)


def table_moments(
    activations: Mapping[str, np.ndarray], channels: Channels, key: QuadratureKey, widths: Sequence[int]
) -> np.ndarray:
    """E[x xᵀ] of what a quadrature integrates, (1, n, n); of several tensors, the sum."""
    grams = []
    for each in key.each:
        rows = np.concatenate(list(channel_rows(activations[each.tensor], channels, each, widths)), 1)
        grams.append((rows @ rows.T / rows.shape[1]).astype(np.float64))
    return np.sum(grams, 0)[None]


def second_moments(
    full: np.ndarray, resized: np.ndarray, channels: Channels, key: QuadratureKey, widths: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, float]:
    """C = E[x x'ᵀ], (N, n), G = E[x' x'ᵀ], (n, n), in float64, and E|x|².

    x are the tensor's channels in the full network, x' those in the resized one, over all images and
    positions. Not centred: a mean moved into the bias would be wrong where a consumer pads with zeros.
    """
    group = channels.group_of(key)
    n = widths[group]
    cross, gram, power, count = np.zeros((channels.sizes[group], n)), np.zeros((n, n)), 0.0, 0
    pairs = zip(
        channel_rows(full, channels, key, channels.sizes), channel_rows(resized, channels, key, widths)
    )
    for x, y in pairs:
        cross += x @ y.T
        gram += y @ y.T
        power += float(np.vdot(x, x))
        count += y.shape[1]
    return cross / count, gram / count, power / count


def block_moments(rows: np.ndarray, blocks: int) -> np.ndarray:
    """Σ x xᵀ of each block of (N, blocks · samples), (blocks, N, N)."""
    apart = rows.reshape(len(rows), blocks, -1).transpose(1, 0, 2)
    return np.asarray(apart @ apart.transpose(0, 2, 1))


def head_grams(values: np.ndarray, channels: Channels, key: QuadratureKey, blocks: int) -> np.ndarray:
    """E[x xᵀ] of every block of a tensor's stretch, (blocks, N, N)."""
    chunks = list(channel_rows(values, channels, key, channels.sizes))
    count = sum(chunk.shape[1] for chunk in chunks)
    total = sum(block_moments(chunk.astype(np.float64), blocks) for chunk in chunks)
    return np.asarray(total * blocks / count)


def row_moments(rows: np.ndarray) -> np.ndarray:
    """E[x xᵀ] over images and rows of (images, …, rows, N), (blocks, N, N)."""
    images, count, width = len(rows), *rows.shape[-2:]
    apart = rows.reshape(images, -1, count, width)
    total = sum(np.einsum("bmd,bme->bde", part, part, optimize=True) for part in apart.astype(np.float64))
    return np.asarray(total / (images * count))


class Moments:
    """Second moments as the readers of each tensor see them."""

    def __init__(self, graph: Graph, channels: Channels) -> None:
        self._channels = channels
        self._pooled = set()
        producers = graph.producers()
        for index, nodes in _users(graph, channels).items():
            key, _ = channels.quadratures[index]
            if not key.others and all(_through_mean(producers, node, key.tensor) for node in nodes):
                self._pooled.add(key)

    def __call__(
        self,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
        key: QuadratureKey,
        widths: Sequence[int],
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """C, G and E|x|² of one quadrature, from the activations of both networks; of several tensors, the
        sums.

        Where it integrates over a global mean alone, the tensor is judged by its means; those are few (one
        per image), so a little of what lies behind them keeps the solution determined.
        """
        parts = [
            second_moments(full[each.tensor], resized[each.tensor], self._channels, each, widths)
            for each in key.each
        ]
        crosses, grams, powers = zip(*parts)
        cross, gram, power = np.sum(crosses, 0), np.sum(grams, 0), sum(powers)
        if key not in self._pooled:
            return cross, gram, power
        both = full[key.tensor], resized[key.tensor]
        full_mean, resized_mean = (a.mean((2, 3), keepdims=True) for a in both)
        means = second_moments(full_mean, resized_mean, self._channels, key, widths)
        return means[0] + SPREAD * cross, means[1] + SPREAD * gram, means[2] + SPREAD * power


def _users(graph: Graph, channels: Channels) -> dict[int, list[Node]]:
    """Quadrature → the layers that integrate by it."""
    found: dict[int, list[Node]] = {}
    for node in graph.nodes:
        dimensions = (dimension for name in graph.constant_inputs(node) for dimension in channels.dims[name])
        segments = (segment for dimension in dimensions for segment in dimension)
        for index in {s.quadrature for s in segments if s.quadrature is not None}:
            found.setdefault(index, []).append(node)
    return found


def _through_mean(producers: Mapping[str, Node], node: Node, tensor: str) -> bool:
    """Whether a layer reads a tensor, or what shares its quadrature, through a global mean."""
    name = node.inputs[0]
    while name != tensor:
        if operator(producers[name]).is_global_mean:
            return True
        name = producers[name].inputs[0]
    return False
