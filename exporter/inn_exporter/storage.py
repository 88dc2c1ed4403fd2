"""How values are stored: float32, float16, or int8 with a float32 scale per channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STORAGES = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Stored:
    """Values as they lie in the bundle; ``scale`` broadcasts over them where they are int8."""

    values: np.ndarray
    scale: np.ndarray | None = None

    def read(self) -> np.ndarray:
        """What the runtime will read, float32."""
        values = self.values.astype(np.float32)
        return values if self.scale is None else values * self.scale

    def add_to(self, tensors: dict[str, np.ndarray], key: str) -> None:
        """Add to a bundle's tensors."""
        tensors[key] = self.values
        if self.scale is not None:
            tensors[f"{key}.scale"] = self.scale


def store(values: np.ndarray, storage: str, channel: int = 0) -> Stored:
    """Values in a storage type; int8 has one scale per index of dimension ``channel``.

    Vectors are always float32: a bias is a few bytes, and δ is worth nothing once it is rounded. Values
    too large for float16 stay float32.
    """
    if values.ndim < 2 or storage == "float32":
        return Stored(np.ascontiguousarray(values, np.float32))
    if storage == "float16":
        fits = np.abs(values).max(initial=0.0) <= np.finfo(np.float16).max
        # C order: safetensors writes memory as it lies.
        return Stored(np.ascontiguousarray(values, np.float16 if fits else np.float32))
    others = tuple(axis for axis in range(values.ndim) if axis != channel)
    scale = np.abs(values).max(others, keepdims=True, initial=0.0).astype(np.float32) / 127
    scale[scale == 0] = 1.0
    return Stored(np.ascontiguousarray(np.rint(values / scale), np.int8), scale)


def table_storage(storage: str) -> str:
    """Storage of calibration data beside grids stored as ``storage``: int8 costs no accuracy there."""
    return "float32" if storage == "float32" else "int8"
