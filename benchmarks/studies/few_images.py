"""What distillation is worth with few images: the ResNet-20, learning its streams or its scores.

    python -m benchmarks.studies.few_images                       # half an hour

With every number of unlabelled images, sizes with uniform widths are calibrated, and then learn the
original's residual streams, its class scores, or first the one and then the other. Judged by the 10,000 test
images. Writes ``benchmarks/results/few_images.json`` and prints the points lost.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.data.samples import Samples
from inn_exporter.execution import forward
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.training.distill import distill
from inn_exporter.training.residual_streams import learn_streams
from inn_runtime.cli.table import format_table

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.harness.scoring import standard_error
from benchmarks.networks import fashion_mnist

SIZES = (0.25, 0.5, 0.7)
METHODS = ("calibrated", "streams", "scores", "streams, scores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[64, 256, 1024, 4096, 30_000])
    parser.add_argument(
        "--seen", type=int, default=19_200, help="images, with repetition, all sizes together"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "few_images.json")
    arguments = parser.parse_args()
    train, _ = fashion_mnist.load("train")
    test, labels = fashion_mnist.load("test")
    chosen = np.random.default_rng(arguments.seed).permutation(len(train))
    held_out = Samples({"x": train[chosen[30_000:30_500]]})
    graph = fold(import_onnx(fashion_mnist.RESNET20))
    graph, channels = analyse(graph)
    results = Results("fashion-resnet20", arguments.seed)

    def right(constants: dict[str, np.ndarray]) -> np.ndarray:
        return forward.run(graph, {"x": test}, constants)[graph.outputs[0]].argmax(1) == labels

    full, table = right(graph.constants), []
    results.add("full", 1.0, "accuracy", float(full.mean()), len(full))
    for count in arguments.images:
        samples = Samples({"x": train[chosen[:count]]})
        few = samples.take(np.arange(min(count, 1024)))
        network = laid_out(graph, channels, few.inputs)
        solver = Calibration(network, seed=arguments.seed)
        widths = [CalibratedSize(channels.widths(size), refit=True) for size in SIZES]
        calibrated = dict(zip(SIZES, solver.run(widths, few.inputs)))
        for method in METHODS:
            sizes = calibrated
            steps = [step for step in ("streams", "scores") if step in method]
            seen = arguments.seen // max(len(steps), 1)
            if "streams" in steps:
                sizes = learn_streams(network, solver, sizes, few, samples, seen, arguments.seed, held_out)
            if "scores" in steps:
                sizes = distill(network, sizes, samples, seen, arguments.seed, held_out=held_out)
            cells = []
            for size, found in sizes.items():
                kept = right(found.constants)
                error = standard_error(kept.astype(float) - full)
                name = f"{method}, {count} images"
                results.add(
                    name, size, "accuracy", float(kept.mean()), len(kept), paired_standard_error=error
                )
                cells.append(f"{100 * (full.mean() - kept.mean()):.2f} ± {100 * error:.2f}")
            table.append([str(count), method, *cells])
            print(*table[-1], sep=" | ", flush=True)
            results.write(arguments.output)
    print(format_table(["images", "method", *(f"{size:g}" for size in SIZES)], table))


if __name__ == "__main__":
    main()
