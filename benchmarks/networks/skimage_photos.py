"""Photos of scikit-image's wheel, tiles of them, and how well a network restores them.

The wheel is BSD-3-Clause, each photo with its own source. None of them is part of this repository.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.networks import packages

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
"""Everyday photos of scikit-image's wheel, to judge by."""
OTHER_PHOTOS = ("hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg")
"""Its other colour photos: unlike the first, so a poor choice to calibrate with alone."""


def read(names: Sequence[str] = PHOTOS) -> list[Image.Image]:
    """Colour photos of scikit-image."""
    contents = packages.read("scikit-image", *(f"skimage/data/{name}" for name in names))
    return [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    """Peak signal to noise in dB, peak 1, over everything at once; what was found is clipped to [0, 1]."""
    error = np.mean((np.clip(found, 0, 1) - expected) ** 2, dtype=np.float64)
    return float(-10 * np.log10(error))


def tiles(values: np.ndarray, size: int, step: int) -> np.ndarray:
    """Squares of ``size`` every ``step`` pixels, (n, 3, size, size), of (3, height, width)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, (3, size, size))[0, ::step, ::step]
    return windows.reshape(-1, 3, size, size)


def pixels(image: Image.Image) -> np.ndarray:
    """RGB from 0 to 1, float32, (3, height, width)."""
    return (np.asarray(image, np.float32) / np.float32(255)).transpose(2, 0, 1)


def compare(model: Path, tiles_of: Callable[[Image.Image], Sequence[np.ndarray]], other: str) -> None:
    """Print the PSNR of a network on each photo, in ONNX Runtime, beside that of a simpler method.

    Parameters
    ----------
    tiles_of : a photo → the network's inputs, what they should become, what the other method makes of them
    other : name of that method
    """
    import onnxruntime

    print(f"{model}: {model.stat().st_size / 1e6:.2f} MB")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    figures = []
    for name, photo in zip(PHOTOS, read()):
        inputs, expected, simple = tiles_of(photo)
        found = session.run(None, {"x": inputs})[0]
        figures.append((psnr(found, expected), psnr(simple, expected)))
        print(f"{name}: {figures[-1][0]:.2f} dB, {other} {figures[-1][1]:.2f} dB, {len(inputs)} tiles")
    ours, theirs = np.mean(figures, axis=0)
    print(f"mean: {ours:.2f} dB, {other} {theirs:.2f} dB")
