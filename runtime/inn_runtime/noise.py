"""Seeded noise that any language can make again: the input of a bundle's self-check."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def noise(seed: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Uniform in [-1, 1): element i is SplitMix64's output number i + 1 for ``seed``, its upper 24 bits."""
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    values = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    return values.reshape(shape)
