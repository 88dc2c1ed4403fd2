"""The bundle of `tiny` for colour pictures of 4 x 5 pixels, and what it answers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from PIL import Image

PREPROCESSING = {"scale": 255, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
LABELS = ("a", "b", "c")


def parts() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Manifest and tensors."""
    document, values = tiny.manifest(), tiny.tensors()
    document["inputs"][0].update(shape=[1, 3, 5, 4], preprocessing=PREPROCESSING)
    document["tensors"][0]["dims"] = [1, 5, 4, 3]
    document["weights"][0]["dims"][3] = [{"inner": 3}]
    document["nodes"][0]["attributes"][8] = [8, "long", 3]
    values["weight/w0"] = np.random.default_rng(1).standard_normal((8, 3, 3, 3)).astype(np.float16)
    return document, values


def write(path: Path) -> Path:
    return tiny.write(path, *parts())


def pixels(seed: int) -> np.ndarray:
    """(5, 4, 3), bytes."""
    return np.random.default_rng(seed).integers(0, 256, (5, 4, 3), np.uint8)


def png(seed: int) -> bytes:
    """The same as a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels(seed)).save(stream, format="PNG")
    return stream.getvalue()


def shares(seed: int, size: float) -> dict[str, float]:
    """The share of each class, by plain NumPy."""
    mean, std = (np.array(PREPROCESSING[key], np.float32) for key in ("mean", "std"))
    image = (pixels(seed).astype(np.float32) / 255 - mean) / std
    scores = tiny.reference(parts()[1], size, image.transpose(2, 0, 1)[None])[0]
    powers = np.exp(scores - scores.max())
    return dict(zip(LABELS, powers / powers.sum()))
