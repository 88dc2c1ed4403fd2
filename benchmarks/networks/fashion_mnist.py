"""Fashion-MNIST as NumPy arrays, from Debian's package ``dataset-fashion-mnist``, and networks trained on it.

python -m benchmarks.networks.fashion_mnist out/samples    # two test pictures of each class, as PNG files
"""

from __future__ import annotations

import gzip
import os
import struct
import sys
from pathlib import Path

import numpy as np

DEFAULT_FOLDER = "/usr/share/datasets/fashion-mnist"
MODELS = Path(__file__).parents[1] / "models"
RESNET20 = MODELS / "fashion-resnet20.onnx"
"""Written by `resnet20`."""
TRANSFORMER = MODELS / "fashion-transformer.onnx"
"""Written by `vision_transformer`."""
MEAN, STD = 0.2860, 0.3530
PREPROCESSING = {"size": [28, 28], "scale": 255, "mean": [MEAN], "std": [STD], "layout": "NCHW"}
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def _read_idx(path: Path) -> np.ndarray:
    """Read one gzip-compressed IDX file of unsigned bytes."""
    with gzip.open(path) as stream:
        content = stream.read()
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of ``"train"`` (60,000) or ``"test"`` (10,000).

    Returns
    -------
    images : float32, (n, 1, 28, 28), normalised to mean 0 and deviation 1
    labels : int64, (n,)

    The folder is Debian's, or the environment variable ``FASHION_MNIST``.
    """
    folder = Path(os.environ.get("FASHION_MNIST", DEFAULT_FOLDER))
    prefix = {"train": "train", "test": "t10k"}[split]
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; install the Debian package dataset-fashion-mnist "
            "or set FASHION_MNIST to a folder with the four .gz files"
        )
    pixels = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    images = ((pixels.astype(np.float32) / 255 - MEAN) / STD)[:, None]
    return images, labels.astype(np.int64)


def write_samples(folder: Path, each: int = 2) -> list[Path]:
    """Write the first test pictures of each class as grey PNG files named after it."""
    from PIL import Image

    images, labels = load("test")
    pixels = np.rint((images[:, 0] * STD + MEAN) * 255).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, name in enumerate(CLASSES):
        for copy, index in enumerate(np.flatnonzero(labels == number)[:each]):
            plain = name.lower().replace("/", "-").replace(" ", "-")
            paths.append(folder / f"{copy}{number}-{plain}.png")
            Image.fromarray(pixels[index]).save(paths[-1])
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.networks.fashion_mnist FOLDER")
    print(f"{len(write_samples(Path(sys.argv[1])))} pictures in {sys.argv[1]}")
