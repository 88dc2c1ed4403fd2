"""The main job, end to end: a trained ResNet-20 becomes one file, and that file a model of any width.

    python -m benchmarks.demo

Exports the network with 256 unlabelled training images, resamples the presets, runs the test images
through MindSpore Lite and prints a table, beside plain L1 pruning and the paper's INN without tuning
at the same widths. Leaves ``out/fashion-resnet20.inn`` and ``out/demo.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import inn_exporter
import inn_runtime as inn
import numpy as np
from inn_runtime.cli.table import format_table

from benchmarks.harness.results import Results
from benchmarks.harness.scoring import scores
from benchmarks.networks import fashion_mnist

METHODS = {"calibrated": "calibrated", "l1": "none", "inn": "trapezoid"}


def latencies(path: Path, runs: int) -> list[dict[str, Any]]:
    """`inn bench` in a process of its own: here, MindSpore is loaded and the engine behind a pipe."""
    command = [sys.executable, "-m", "inn_runtime.cli", "bench", str(path), "--runs", str(runs), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(
    method: str,
    bundle: inn.Bundle,
    images: np.ndarray,
    labels: np.ndarray,
    full: np.ndarray | None,
    results: Results,
) -> np.ndarray:
    """Accuracy and cost of every preset; returns ``full``, the first bundle's logits at full size."""
    for preset, size in sorted(bundle.manifest.presets.items(), key=lambda p: -p[1]):
        if method != "calibrated" and size == 1.0:
            continue
        logits = scores(bundle, preset, images, f"{method} {preset}")
        if full is None:
            full = logits
        model, n = bundle.resample(preset), len(images)
        label = "full" if size == 1.0 else method
        results.add(label, size, "accuracy", float(np.mean(logits.argmax(1) == labels)), n)
        results.add(label, size, "agreement", float(np.mean(logits.argmax(1) == full.argmax(1))), n)
        results.add(label, size, "parameters", model.parameters, 1)
        results.add(label, size, "flops", 2 * model.macs, 1)
    assert full is not None
    return full


def table_row(row: dict[str, Any], runs: int, results: Results) -> list[str]:
    """What the table says of a size that `latencies` timed; its figures are added to the results."""
    size = row["size"]
    method = "full" if size == 1.0 else "calibrated"
    for metric, key in (
        ("ms_bytes", "model_bytes"),
        ("resample_ms", "resample"),
        ("build_ms", "build"),
        ("p50_ms", "p50"),
    ):
        results.add(method, size, metric, row[key], runs if key == "p50" else 1)
    accuracies = [
        f"{100 * results.value(method if size == 1.0 else m, size, 'accuracy'):.2f}"
        for m in ("calibrated", "l1", "inn")
    ]
    return [
        row["name"],
        f"{100 * size:g} %",
        f"{row['parameters']:,}",
        f"{2 * row['macs'] / 1e6:.1f}",
        accuracies[0],
        f"{100 * results.value(method, size, 'agreement'):.2f}",
        f"{row['model_bytes'] / 1e6:.2f}",
        f"{row['resample']:.1f}",
        f"{row['build']:.1f}",
        f"{row['p50']:.2f}",
        *accuracies[1:],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=10_000, help="test images (default: all 10,000)")
    parser.add_argument("--calibration", type=int, default=256, help="unlabelled training images")
    parser.add_argument("--runs", type=int, default=200, help="timed runs per size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    arguments.out.mkdir(parents=True, exist_ok=True)
    train, _ = fashion_mnist.load("train")
    images, labels = (array[: arguments.images] for array in fashion_mnist.load("test"))
    chosen = np.random.default_rng(arguments.seed).permutation(len(train))
    calibration = train[np.sort(chosen[: arguments.calibration])]
    held_out = {"x": train[np.sort(chosen[arguments.calibration : arguments.calibration + 1000])]}

    results = Results("fashion-resnet20", arguments.seed)
    full: np.ndarray | None = None
    for method, quadrature in METHODS.items():
        name = "fashion-resnet20" if method == "calibrated" else f"fashion-resnet20-{method}"
        path = arguments.out / f"{name}.inn"
        print(f"exporting {path} ({quadrature} quadrature)", flush=True)
        bundle = inn_exporter.export(
            fashion_mnist.RESNET20,
            path,
            calibration,
            evaluate=held_out,
            quadrature=quadrature,
            images=len(calibration),
            labels=fashion_mnist.CLASSES,
            preprocessing={"x": fashion_mnist.PREPROCESSING},
            seed=arguments.seed,
            progress=True,
        )
        full = measure(method, bundle, images, labels, full, results)

    path = arguments.out / "fashion-resnet20.inn"
    table = [table_row(row, arguments.runs, results) for row in latencies(path, arguments.runs)]
    size, onnx_size = (file.stat().st_size for file in (path, fashion_mnist.RESNET20))
    results.add("float16", 1.0, "bundle_over_fp32_onnx", size / onnx_size, 1)
    results.write(arguments.out / "demo.json")
    header = [
        "size", "channels", "parameters", "MFLOPs", "accuracy %", "agreement %", ".ms MB",
        "resample ms", "build ms", "p50 ms", "L1 %", "INN %",
    ]  # fmt: skip
    print(f"\n{path}: {size / 1e6:.2f} MB; the fp32 ONNX is {onnx_size / 1e6:.2f} MB")
    print(f"{len(images)} test images, MindSpore Lite, no labels, no training after export\n")
    print(format_table(header, table))
    print("\nL1: plain magnitude pruning; INN: the paper's, untuned; both at the same widths")


if __name__ == "__main__":
    main()
