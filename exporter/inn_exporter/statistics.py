"""Second moments of activations along a channel group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import scipy.linalg

from .dimensions import QuadratureKey
from .graph import Graph, Node
from .operators import operator
from .structure import Channels

CHUNK = 32
"""Images per step: bounds the memory of unfolded activations."""

POSITIONS = 256
"""Positions of an image that statistics are taken from, drawn anew for each chunk of images."""

PATCHES = 64
"""Positions of an image at which patches are looked at: there are many more values in each, …"""

PATCH_VALUES = 2**28
"""… and fewer positions where there are many images: no more values than this in all."""

WHITENING_IMAGES = 256
"""Images, at most, by which a layer's inputs are decorrelated."""

LARGEST_WHITENED = 2048
"""Features up to which a layer's inputs are decorrelated; beyond, that costs more than it saves."""

SPREAD = 0.01
"""Weight of the statistics before pooling in those of a pooled tensor."""


def channel_rows(
    activation: np.ndarray, channels: Channels, key: QuadratureKey, widths: list[int]
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


def chosen_positions(random: np.random.Generator, shape: Sequence[int], most: int) -> np.ndarray | None:
    """At most ``most`` positions of a channel of ``shape``, as indices into it flattened; None for all."""
    count = math.prod(shape)
    return None if count <= most else np.sort(random.choice(count, most, replace=False))


def sampled_patches(
    graph: Graph, node: Node, x: np.ndarray, seed: int
) -> Iterator[tuple[slice, np.ndarray | None, np.ndarray]]:
    """What a linear layer's kernel multiplies, at some positions: the images, the positions (None: all)
    and the patches (blocks, features, samples), a chunk of images at a time."""
    random = np.random.default_rng(seed)
    _, *extent = graph.shapes[node.output]
    del extent[operator(node).channel_axis % len(graph.shapes[node.output]) - 1]
    one = operator(node).unfold(node, x[:1], chosen_positions(np.random.default_rng(seed), extent, 1))
    most = max(1, min(PATCHES, PATCH_VALUES // (one.size * len(x))))
    for first in range(0, len(x), CHUNK):
        part = slice(first, first + CHUNK)
        at = chosen_positions(random, extent, most)
        yield part, at, operator(node).unfold(node, x[part], at)


def patch_moments(graph: Graph, node: Node, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """E[u uᵀ], (blocks, features, features), and E[u], (blocks, features), of what a layer's kernel
    multiplies, and how many samples they are from."""
    parts = [patches for _, _, patches in sampled_patches(graph, node, x, seed=0)]
    samples = sum(u.shape[2] for u in parts)
    gram = sum((u @ u.transpose(0, 2, 1)).astype(np.float64) for u in parts)
    mean = sum(u.sum(2, dtype=np.float64) for u in parts)
    return np.asarray(gram / samples), np.asarray(mean / samples), samples


def channels_second(node: Node, activation: np.ndarray) -> np.ndarray:
    """A view of a linear layer's output with its channels in the second dimension."""
    return np.moveaxis(activation, operator(node).channel_axis, 1)


def table_moments(x: np.ndarray, channels: Channels, key: QuadratureKey, widths: list[int]) -> np.ndarray:
    """E[x xᵀ] of what a quadrature integrates, (1, n, n)."""
    rows = np.concatenate(list(channel_rows(x, channels, key, widths)), 1)
    return (rows @ rows.T / rows.shape[1]).astype(np.float64)[None]


def roots(gram: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """G^½ and G^(-½) of second moments, (blocks, features, features).

    ``ridge``, relative to their mean diagonal, is added. Of more than `LARGEST_WHITENED` features only
    their mean power is looked at.
    """
    features = gram.shape[1]
    powers = np.einsum("bff->b", gram)[:, None, None] / features
    level = max(ridge * float(powers.mean()), 1e-12)
    if features > LARGEST_WHITENED:
        lengths = np.sqrt(powers + level)
        return lengths * np.eye(features), np.eye(features) / lengths
    squares, vectors = np.linalg.eigh(gram + level * np.eye(features))
    lengths, across = np.sqrt(np.maximum(squares, level))[:, None], vectors.transpose(0, 2, 1)
    return vectors * lengths @ across, vectors / lengths @ across


def second_moments(
    full: np.ndarray, resized: np.ndarray, channels: Channels, key: QuadratureKey, widths: list[int]
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


def ridge_solution(gram: np.ndarray, cross: np.ndarray, ridge: float) -> np.ndarray | None:
    """cross · (gram + ridge · mean(diag gram) · I)⁻¹ in float64; None where the gram is zero."""
    level = float(np.mean(np.diagonal(gram)))
    if level <= 0.0:
        return None
    return scipy.linalg.solve(gram + ridge * level * np.eye(len(gram)), cross.T, assume_a="pos").T


class Moments:
    """Second moments as the readers of each tensor see them."""

    def __init__(self, graph: Graph, channels: Channels) -> None:
        self._channels = channels
        self._pooled = set()
        producers = graph.producers()
        for index, nodes in _users(graph, channels).items():
            key, _ = channels.quadratures[index]
            if all(_through_mean(producers, node, key.tensor) for node in nodes):
                self._pooled.add(key)

    def __call__(
        self, full: np.ndarray, resized: np.ndarray, key: QuadratureKey, widths: list[int]
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """C, G and E|x|² of one quadrature.

        Where it integrates over a global mean alone, the tensor is judged by its means; those are few (one
        per image), so a little of what lies behind them keeps the solution determined.
        """
        cross, gram, power = second_moments(full, resized, self._channels, key, widths)
        if key not in self._pooled:
            return cross, gram, power
        full_mean, resized_mean = (a.mean((2, 3), keepdims=True) for a in (full, resized))
        means = second_moments(full_mean, resized_mean, self._channels, key, widths)
        return means[0] + SPREAD * cross, means[1] + SPREAD * gram, means[2] + SPREAD * power


def _users(graph: Graph, channels: Channels) -> dict[int, list[Node]]:
    """Quadrature → the linear layers that integrate by it."""
    found: dict[int, list[Node]] = {}
    for node in graph.nodes:
        if operator(node).linear:
            segments = (s for dimension in channels.dims[node.inputs[1]] for s in dimension)
            for index in {s.quadrature for s in segments if s.quadrature is not None}:
                found.setdefault(index, []).append(node)
    return found


def _through_mean(producers: Mapping[str, Node], node: Node, tensor: str) -> bool:
    """Whether a linear layer reads a tensor, or what shares its quadrature, through a global mean."""
    name = node.inputs[0]
    while name != tensor:
        if producers[name].op == "GlobalAveragePool":
            return True
        name = producers[name].inputs[0]
    return False
