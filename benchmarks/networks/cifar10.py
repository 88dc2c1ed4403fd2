"""The usual CIFAR-10 ResNet-20 (16/32/64 channels), from a public state dict, and CIFAR-10 as JPEG files.

Neither is part of this repository. The folder that functions take holds ``resnet20.th``
(akamaster/pytorch_resnet_cifar10, BSD-2), and ``train.zip`` and ``test.zip`` with ``CLASS/NAME.jpg``,
classes as numbers. The pictures were compressed anew, so accuracy on them is not that on the original ones.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.networks.torch_weights import read_state

CLASSES = 10
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
WIDTHS, BLOCKS, SIDE = (16, 32, 64), 3, 32


def resnet20(folder: Path) -> ModelProto:
    """``x`` (batch, 3, 32, 32), normalised, to ``logits`` (batch, 10); shortcuts without weights (option A):
    every other position, and zeros for the channels that are missing."""
    state = {
        k.removeprefix("module."): v for k, v in read_state((folder / "resnet20.th").read_bytes()).items()
    }
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, TensorProto] = {}

    def node(op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op}{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def constant(name: str, values: np.ndarray) -> str:
        weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def convolution(x: str, name: str, norm: str, stride: int) -> str:
        x = node(
            "Conv", x, constant(f"{name}.weight", state[f"{name}.weight"]), pads=[1] * 4, strides=[stride] * 2
        )
        parts = ("weight", "bias", "running_mean", "running_var")
        return node("BatchNormalization", x, *(constant(f"{norm}.{p}", state[f"{norm}.{p}"]) for p in parts))

    def shortcut(x: str, channels: int) -> str:
        slices = {"starts": [0, 0], "ends": [SIDE, SIDE], "axes": [2, 3], "steps": [2, 2]}
        ends = [constant(f"{x}.{name}", np.array(values, np.int64)) for name, values in slices.items()]
        pads = constant(f"{x}.pads", np.array([0, channels // 4, 0, 0] * 2, np.int64))
        return node("Pad", node("Slice", x, *ends), pads)

    x, inputs = node("Relu", convolution("x", "conv1", "bn1", 1)), WIDTHS[0]
    for stage, width in enumerate(WIDTHS):
        for block in range(BLOCKS):
            name, stride = f"layer{stage + 1}.{block}", 2 if stage and not block else 1
            y = node("Relu", convolution(x, f"{name}.conv1", f"{name}.bn1", stride))
            y = convolution(y, f"{name}.conv2", f"{name}.bn2", 1)
            x = node("Relu", node("Add", y, x if width == inputs else shortcut(x, width)))
            inputs = width
    x = node("Flatten", node("GlobalAveragePool", x))
    operands = [constant(f"linear.{part}", state[f"linear.{part}"]) for part in ("weight", "bias")]
    nodes.append(helper.make_node("Gemm", [x, *operands], ["logits"], name="logits", transB=1))
    graph = helper.make_graph(
        nodes,
        "cifar10-resnet20",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        list(weights.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def load(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as the network takes them, float32 (n, 3, 32, 32), and labels (n,), in the files' order.

    Parameters
    ----------
    split : ``train`` (some of the training images) or ``test``
    """
    images, labels = [], []
    with zipfile.ZipFile(folder / f"{split}.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"), np.float64)
            images.append(((pixels / 255 - MEAN) / STD).transpose(2, 0, 1).astype(np.float32))
            labels.append(int(Path(name).parent.name))
    return np.stack(images), np.array(labels)
