"""Accuracy of the ResNet-20 at every size and effort, on all 10,000 test images, through MindSpore Lite.

    python benchmarks/accuracy.py

Writes ``benchmarks/results/accuracy.json`` and prints the table of docs/accuracy.md: losses against the
same network at full size, in points, with the paired standard error. About half an hour on two cores,
most of it distillation; ``--methods`` chooses.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import fashion_mnist
import inn_exporter
import numpy as np
from demo import MODEL, scores
from inn_runtime.cli.table import format_table
from results import Results

SIZES = (0.25, 0.3, 0.4, 0.5, 0.7, 0.85)
METHODS: dict[str, dict[str, Any]] = {
    "l1": {"quadrature": "none"},
    "inn": {"quadrature": "trapezoid"},
    "calibrated": {"effort": "fast"},
    "refit": {"effort": "refit"},
    "distilled": {"effort": "distill"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--images", type=int, default=1024, help="unlabelled images to calibrate with")
    parser.add_argument("--pool", type=int, default=20_000, help="unlabelled images to distil on")
    parser.add_argument("--storage", default="float16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/accuracy.json"))
    arguments = parser.parse_args()

    train, _ = fashion_mnist.load("train")
    images, labels = fashion_mnist.load("test")
    chosen = np.random.default_rng(arguments.seed).permutation(len(train))
    pool = train[chosen[: arguments.pool]]
    held_out = {"x": train[chosen[arguments.pool : arguments.pool + 500]]}

    results = Results("fashion-resnet20", arguments.seed)
    table, full = [], None
    for method in arguments.methods:
        path = Path("out") / f"accuracy-{method}.inn"
        path.parent.mkdir(exist_ok=True)
        start = time.perf_counter()
        bundle = inn_exporter.export(
            MODEL,
            path,
            pool,
            evaluate=held_out,
            sizes=SIZES,
            images=arguments.images,
            storage=arguments.storage,
            seed=arguments.seed,
            progress=True,
            **METHODS[method],
        )
        seconds = time.perf_counter() - start
        if full is None:
            full = scores(bundle, 1.0, images, "full").argmax(1) == labels
            results.add("full", 1.0, "accuracy", float(full.mean()), len(images))
        results.add(method, 1.0, "export_seconds", seconds, 1)
        results.add(method, 1.0, "bundle_over_fp32_onnx", path.stat().st_size / MODEL.stat().st_size, 1)
        cells = []
        for size in SIZES:
            right = scores(bundle, size, images, f"{method} {size:g}").argmax(1) == labels
            difference = right.astype(np.float64) - full
            error = float(difference.std() / np.sqrt(len(images)))
            results.add(
                method, size, "accuracy", float(right.mean()), len(images), paired_standard_error=error
            )
            cells.append(f"{100 * difference.mean():+.2f} ±{100 * error:.2f}")
        table.append([method, *cells, f"{path.stat().st_size / MODEL.stat().st_size:.2f}", f"{seconds:.0f}"])
        print(f"{method}: {', '.join(cells)} ({seconds:.0f} s)", flush=True)
    results.write(arguments.output)
    assert full is not None
    print(f"\nfull size: {100 * full.mean():.2f} % of {len(images)} test images; points lost, by width:\n")
    print(format_table(["method", *(f"{s:g}" for s in SIZES), "bytes / ONNX", "export s"], table))


if __name__ == "__main__":
    main()
