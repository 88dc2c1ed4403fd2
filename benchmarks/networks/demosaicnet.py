"""demosaicnet's Bayer network as ONNX; mosaics to calibrate it with and to judge it by.

    python -m benchmarks.networks.demosaicnet [--tile 96]

Writes ``out/demosaicnet.onnx`` and prints its PSNR in ONNX Runtime beside bilinear interpolation's. The
weights (MIT; Gharbi et al., Deep Joint Demosaicking and Denoising, 2016) come from the Python package
``demosaicnet``, the photos from ``scikit-image``. None of them is part of this repository.

A convolution packs 2 x 2 pixels into one position of four channels; fifteen more follow. Half of the last
one's channels multiply the other half; a grouped transposed convolution brings what they predict back to
full resolution, where it is concatenated with the mosaic. Nothing is padded, so that `BORDER` pixels on each
side of a tile are context only: (1, 3, tile, tile) becomes (1, 3, tile - 62, tile - 62).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.networks import packages, skimage_photos
from benchmarks.networks.torch_weights import read_state

DEPTH, WIDTH = 15, 64
PIXELS = ("main_processor.pack_mosaic", "residual_predictor", "upsampler")
"""Layers whose few channels are 2 x 2 pixels or colours: none can be spared, and they cost nothing."""
BORDER = 31
WEIGHTS = "demosaicnet/data/bayer.pth"


# ---------------------------------------------------------------------- the network
def write_model(path: Path, tile: int = 96) -> None:
    """Write the network: ``x`` (batch, 3, tile, tile), from `mosaic`, to ``y``, RGB from 0 to 1, cropped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_Network(read_state(packages.read("demosaicnet", WEIGHTS)[0])).model(tile), path)


class _Network:
    """The ONNX model in the making."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        self._state = state
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, TensorProto] = {}

    def model(self, tile: int) -> ModelProto:
        x = self._layer("Conv", "main_processor.pack_mosaic", "x", strides=[2, 2])
        for index in range(1, DEPTH + 1):
            x = self._rectified(f"main_processor.conv{index}", x)
        filters = self._slice(x, "filters", [0], [WIDTH], [1])
        masks = self._slice(x, "masks", [WIDTH], [2 * WIDTH], [1])
        x = self._layer("Conv", "residual_predictor", self._node("Mul", [filters, masks], "filtered"))
        x = self._layer("ConvTranspose", "upsampler", x, strides=[2, 2], group=3)
        inner = BORDER - 1  # the last 3 x 3 convolution is still to come
        cropped = self._slice("x", "cropped", [inner] * 2, [tile - inner] * 2, [2, 3])
        x = self._node("Concat", [cropped, x], "packed", axis=1)
        x = self._rectified("fullres_processor.post_conv", x)
        self._layer("Conv", "fullres_processor.output", x, output="y")
        size = tile - 2 * BORDER
        graph = helper.make_graph(
            self._nodes,
            "demosaicnet-bayer",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, tile, tile])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3, size, size])],
            list(self._weights.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _rectified(self, name: str, x: str) -> str:
        return self._node("Relu", [self._layer("Conv", name, x)], f"{name}.relu")

    def _layer(self, op: str, name: str, x: str, output: str = "", **attributes: Any) -> str:
        """A convolution with the weights of a PyTorch module; its output is called like it by default."""
        kernel = list(self._state[f"{name}.weight"].shape[2:])
        weights = [
            self._constant(f"{name}.{part}", self._state[f"{name}.{part}"]) for part in ("weight", "bias")
        ]
        return self._node(op, [x, *weights], output or name, kernel_shape=kernel, **attributes)

    def _slice(self, x: str, name: str, starts: list[int], ends: list[int], axes: list[int]) -> str:
        bounds = {"starts": starts, "ends": ends, "axes": axes}
        inputs = [self._constant(f"{name}.{part}", np.array(v, np.int64)) for part, v in bounds.items()]
        return self._node("Slice", [x, *inputs], name)

    def _constant(self, name: str, values: np.ndarray) -> str:
        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def _node(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


# ---------------------------------------------------------------------- images
class Pairs(NamedTuple):
    """Mosaics and what should become of them, float32 RGB from 0 to 1.

    Attributes
    ----------
    mosaic : (n, 3, tile, tile), `BORDER` pixels of context on each side
    whole : (n, 3, tile - 62, tile - 62), the original
    """

    mosaic: np.ndarray
    whole: np.ndarray


def mosaic(images: np.ndarray) -> np.ndarray:
    """Of each pixel the one colour that a sensor sees, noughts for the others; (…, 3, height, width).

    Rows alternate between green, red, … and blue, green, …
    """
    seen = np.zeros_like(images)
    for channel, row, column in ((0, 0, 1), (1, 0, 0), (1, 1, 1), (2, 1, 0)):
        at = (..., channel, slice(row, None, 2), slice(column, None, 2))
        seen[at] = images[at]
    return seen


def pairs(images: Sequence[Image.Image], tile: int = 96) -> Pairs:
    """Tiles side by side over each image; what is left over at the right and the bottom is not used.

    Beyond an image's edge it is reflected.
    """
    step = tile - 2 * BORDER
    edges = ((0, 0), (BORDER, BORDER), (BORDER, BORDER))
    padded = [np.pad(skimage_photos.pixels(image), edges, mode="reflect") for image in images]
    whole = np.concatenate([skimage_photos.tiles(image, tile, step) for image in padded])
    inner = slice(BORDER, tile - BORDER)
    return Pairs(mosaic(whole), np.ascontiguousarray(whole[..., inner, inner]))


def bilinear(mosaics: np.ndarray) -> np.ndarray:
    """The mean of the nearest pixels that have the colour, cropped as the network crops."""
    import scipy.ndimage

    green = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    other = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    kernels = np.stack([other, green, other])
    found = [scipy.ndimage.convolve(mosaics[:, c], kernels[c][None]) for c in range(3)]
    inner = slice(BORDER, mosaics.shape[-1] - BORDER)
    return np.stack(found, 1)[..., inner, inner]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tile", type=int, default=96, help="height and width of the network's input")
    parser.add_argument("--output", type=Path, default=Path("out/demosaicnet.onnx"))
    arguments = parser.parse_args()

    write_model(arguments.output, arguments.tile)

    def tiles(photo: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        mosaics, whole = pairs([photo], arguments.tile)
        return mosaics, whole, bilinear(mosaics)

    skimage_photos.compare(arguments.output, tiles, "bilinear")


if __name__ == "__main__":
    main()
