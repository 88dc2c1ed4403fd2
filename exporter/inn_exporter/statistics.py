"""Second moments of activations along a channel group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from inn_runtime.manifest import Dimension

from .structure import Channels, QuadratureKey

_CHUNK = 32


def _locate(channels: Channels, key: QuadratureKey, widths: list[int]) -> tuple[int, int, Dimension]:
    dimension = channels.dims[key.tensor][key.dim]
    start = sum(segment.length(widths) for segment in dimension[: key.part])
    return start, start + dimension[key.part].length(widths), dimension


def channel_rows(
    activation: np.ndarray, channels: Channels, key: QuadratureKey, widths: list[int]
) -> Iterator[np.ndarray]:
    """Chunks of (N, samples): the stretch's channels against images, positions and repeats."""
    start, stop, dimension = _locate(channels, key, widths)
    segment = dimension[key.part]
    assert segment.group is not None
    width = widths[segment.group]
    for first in range(0, len(activation), _CHUNK):
        part = np.moveaxis(activation[first : first + _CHUNK], key.dim, 0)[start:stop]
        blocks = part.reshape(segment.outer, width, segment.inner * part[0].size)
        yield blocks.transpose(1, 0, 2).reshape(width, -1)


def second_moments(
    full: np.ndarray,
    resized: np.ndarray,
    channels: Channels,
    key: QuadratureKey,
    widths: list[int],
) -> tuple[np.ndarray, np.ndarray]:
    """C = E[x x'ᵀ], (N, n), and G = E[x' x'ᵀ], (n, n), in float64.

    x are the tensor's channels in the full network, x' those in the resized one, over all images and
    positions. Not centred: a mean moved into the bias would be wrong where a consumer pads with zeros.
    """
    cross, gram, count = 0.0, 0.0, 0
    pairs = zip(channel_rows(full, channels, key, channels.sizes), channel_rows(resized, channels, key, widths))
    for x, y in pairs:
        cross = cross + (x @ y.T).astype(np.float64)
        gram = gram + (y @ y.T).astype(np.float64)
        count += y.shape[1]
    return np.asarray(cross) / count, np.asarray(gram) / count
