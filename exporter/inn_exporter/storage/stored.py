"""How values are stored: float32, float16, or integers with a scale per channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from inn_runtime.format.packed import LEAST, packed_length
from inn_runtime.format.stores import SCALE_SUFFIX

from .gptq import Sensitivity, nonzero

LOST_IN_FLOAT16 = 1e-3
"""Of a channel's root mean square: what the rounding of normal float16 values loses is a third of it."""
HIDDEN_SHARE = 1e-3
"""Of what hides, at most, are values that are added to scores."""
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
_CLIPS = np.geomspace(1.0, 0.1, 24, dtype=np.float32)
"""Where the range of packed integers may end, relative to a channel's largest value."""


@dataclass(frozen=True)
class Stored:
    """Values as they lie in the bundle; ``scale`` broadcasts over them where they are integers.

    Attributes
    ----------
    values : int8 also where they have fewer bits: these are packed when added to a bundle
    scale : float16 or float32, as many dimensions
    bits : of each integer, where these are packed
    """

    values: np.ndarray
    scale: np.ndarray | None = None
    bits: int | None = None

    @property
    def nbytes(self) -> int:
        """Bytes in the bundle, without the scale's."""
        return self.values.nbytes if self.bits is None else packed_length(self.values.size, self.bits)

    def read(self) -> np.ndarray:
        """What the runtime will read, float32."""
        values = self.values.astype(np.float32)
        return values if self.scale is None else values * self.scale

    def transpose(self, permutation: Sequence[int]) -> Stored:
        """The same values with their dimensions permuted."""
        scale = None if self.scale is None else _c_order(self.scale.transpose(permutation))
        return Stored(_c_order(self.values.transpose(permutation)), scale, self.bits)

    def add_to(self, tensors: dict[str, np.ndarray], key: str) -> None:
        """Add to a bundle's tensors."""
        tensors[key] = self.values if self.bits is None else pack(self.values, self.bits)
        if self.scale is not None:
            tensors[key + SCALE_SUFFIX] = self.scale


def store(
    values: np.ndarray, storage: str, channel: int = 0, sensitivity: Sensitivity | None = None
) -> Stored:
    """Values in a storage type; integers have one scale per index of dimension ``channel``.

    With a ``sensitivity``, integers make up for each other's rounding.
    Vectors are always float32: a bias is a few bytes, and δ is worth nothing once it is rounded. Values
    that float16 cannot hold stay float32 (`fits_float16`), and too few to be packed are int8. Masks that
    hide scores are float32, too: a scale for what hides leaves nothing of the rest.
    """
    if values.ndim < 2 or storage == "float32" or _hides(values):
        return Stored(np.ascontiguousarray(values, np.float32))
    if storage == "float16":
        return Stored(_c_order(values.astype(np.float16 if fits_float16(values, channel) else np.float32)))
    bits = 8 if values.size < LEAST else int(storage[len("int") :])
    integers, scale = _quantise(values, bits, channel, sensitivity)
    return Stored(integers, scale, None if bits == 8 else bits)


def fits_float16(values: np.ndarray, channel: int = 0) -> bool:
    """Whether float16 holds values, index by index of dimension ``channel``, to its own precision: none is
    too large, and no channel is so small that it is rounded to few digits or to nought."""
    if np.abs(values).max(initial=0.0) > _LARGEST_FLOAT16:
        return False
    others = tuple(axis for axis in range(values.ndim) if axis != channel)
    error = np.square(values.astype(np.float16).astype(np.float32) - values).sum(others, np.float64)
    power = np.square(values, dtype=np.float64).sum(others)
    return bool((error <= LOST_IN_FLOAT16**2 * power).all())


def _hides(values: np.ndarray) -> bool:
    """Whether some values are too large for float16, and all others smaller by orders of magnitude."""
    sizes = np.abs(values)
    large = sizes > _LARGEST_FLOAT16
    if not large.any() or large.all():
        return False
    return bool(sizes[~large].max() < HIDDEN_SHARE * sizes[large].min())


def _quantise(
    values: np.ndarray, bits: int, channel: int, sensitivity: Sensitivity | None
) -> tuple[np.ndarray, np.ndarray]:
    """Integers and their scale: those of 8 bits reach a channel's largest value; fewer bits are packed, odd,
    and have the scale with the least squared error."""
    most = 127 if bits == 8 else (1 << bits) - 1
    others = tuple(axis for axis in range(values.ndim) if axis != channel)
    largest = np.abs(values).max(others, keepdims=True, initial=0.0).astype(np.float32)

    def total(terms: np.ndarray) -> np.ndarray:
        return terms.sum(others, np.float64, keepdims=True)

    def nearest(steps: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(steps) if bits == 8 else 2 * np.floor(steps / 2) + 1, -most, most)

    def rounded(scale: np.ndarray) -> np.ndarray:
        return nearest(values / nonzero(scale))

    scale = largest / most
    if bits < 8:
        smallest, best = np.full(scale.shape, np.inf), scale
        for clip in _CLIPS:
            error = total(np.square(rounded(clip * scale) * clip * scale - values))
            best = np.where(error < smallest, clip * scale, best)
            smallest = np.minimum(error, smallest)
        integers = rounded(best)
        scale = (total(integers * values) / total(np.square(integers))).astype(np.float32)
    scale = _compact(scale)
    integers = rounded(scale) if sensitivity is None else sensitivity.rounded(values, scale, nearest)
    return np.ascontiguousarray(integers, np.int8), scale


def _compact(scale: np.ndarray) -> np.ndarray:
    """float16 where all of it is 0 or has all digits so."""
    limits = np.finfo(np.float16)
    fits = (scale == 0) | ((scale >= limits.smallest_normal) & (scale <= limits.max))
    return scale.astype(np.float16) if fits.all() else scale


def _c_order(values: np.ndarray) -> np.ndarray:
    """As safetensors needs it: it writes memory as it lies."""
    return np.ascontiguousarray(values).reshape(values.shape)


def pack(integers: np.ndarray, bits: int) -> np.ndarray:
    """Odd integers in C order as bytes, (bytes,), value i at bits i · ``bits`` and following."""
    codes = ((integers.reshape(-1, 1).astype(np.int16) + ((1 << bits) - 1)) // 2).astype(np.uint8)
    return np.packbits(np.unpackbits(codes, axis=1, count=bits, bitorder="little"), bitorder="little")
