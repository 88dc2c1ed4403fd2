"""Packed odd integers, written from docs/reference/bundle-format.md, and bundles that have them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import tiny


def pack(integers: np.ndarray, bits: int, left_over: int = 0) -> np.ndarray:
    """From the format page, as one long number: value i is its digit i."""
    codes = [(int(v) + (1 << bits) - 1) // 2 for v in integers.ravel()]
    number = sum(code << (i * bits) for i, code in enumerate([*codes, left_over]))
    length = math.ceil(len(codes) * bits / 8)
    return np.frombuffer((number & ((1 << 8 * length) - 1)).to_bytes(length, "little"), np.uint8)


def integers(bits: int, *shape: int) -> np.ndarray:
    """Every value that fits ``bits`` bits may occur."""
    codes = np.random.default_rng(bits).integers(0, 1 << bits, shape)
    return (2 * codes - ((1 << bits) - 1)).astype(np.int8)


def corrected(path: Path) -> Path:
    """tiny whose w1, that has a table, and w2 are corrected at .5, in three and two bits."""
    document, values = tiny.manifest(), tiny.tensors()
    del document["sizes"][0]["overrides"]["4"], values["override/w2@0.5"]
    document["sizes"][0]["corrections"] = {"2": "correction/w1@0.5", "4": "correction/w2@0.5"}
    for name, bits, step, shape in (("w1", 3, 0.5, (3, 3, 3, 4)), ("w2", 2, 0.25, (3, 3))):
        key = f"correction/{name}@0.5"
        values[key] = pack(integers(bits, *shape), bits)
        values[key + ".scale"] = np.full((1,) * len(shape), step, np.float32)
    return tiny.write(path, document, values)
