"""Time and memory of calibrating one size of a network of ResNet-18's shape with 256 images of 64x64.

    python -m benchmarks.studies.calibration_cost

Random weights and images: the work is the same. Writes ``benchmarks/results/calibration.json``.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.networks.resnet18 import resnet18


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--size", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "calibration.json")
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    model = resnet18(random)
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = arguments.pixels
    graph = fold(import_onnx(model))
    graph, channels = analyse(graph)
    shape = (arguments.images, 3, arguments.pixels, arguments.pixels)
    inputs = {graph.inputs[0]: random.standard_normal(shape).astype(np.float32)}
    results = Results("resnet18", arguments.seed)

    def add(step: str, start: float) -> None:
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        results.add(step, arguments.size, "seconds", seconds, arguments.images, peak_resident_bytes=peak)
        print(f"{step}: {seconds:.1f} s, {peak / 1e9:.2f} GB resident at most")

    start = time.perf_counter()
    network = laid_out(graph, channels, inputs)
    add("ordering", start)
    for method, refit in (("calibrated", False), ("refit", True)):
        size = CalibratedSize(channels.widths(arguments.size), refit)
        start = time.perf_counter()
        Calibration(network).run([size], inputs)
        add(method, start)
    results.write(arguments.output)


if __name__ == "__main__":
    main()
