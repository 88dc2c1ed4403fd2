"""What each part of the method is worth: the ResNet-20 with one thing changed at a time.

    python -m benchmarks.studies.ablation

Every row calibrates anew and is run through MindSpore Lite; differences are against the row ``refit`` on the
same test images, in points with the paired standard error. Writes ``benchmarks/results/ablation.json``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from inn_exporter import forward
from inn_exporter.assemble import assemble
from inn_exporter.calibrate import Calibration
from inn_exporter.calibrated_size import CalibratedSize
from inn_exporter.continuous import laid_out
from inn_exporter.defaults import LARGEST_REFIT, SPAN_STEPS
from inn_exporter.folding import fold
from inn_exporter.graph import Graph, Node
from inn_exporter.importers import import_onnx
from inn_exporter.lowering import Lowering
from inn_exporter.nodes import axis_for, consumers, nested_order, permute
from inn_exporter.structure import Channels, analyse
from inn_runtime.cli.table import format_table

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.harness.scoring import scores, standard_error
from benchmarks.networks import fashion_mnist

SIZES = (0.25, 0.3, 0.5, 0.7)


class OneShot(Calibration):
    """Quadratures fitted to the full network's own activations: x' = S x, no bias."""

    def _calibrate_node(
        self,
        size: CalibratedSize,
        node: Node,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        super()._calibrate_node(size, node, full, resized)
        for name in self.graph.constant_inputs(node):
            size.changed.pop(name, None)
        return self.sampled(node.output, full[node.output], size.discretisation(self.axes))


class WithoutBias(Calibration):
    """Quadratures alone: biases are sampled, not corrected."""

    def _calibrate_node(
        self,
        size: CalibratedSize,
        node: Node,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        output = super()._calibrate_node(size, node, full, resized)
        for name in self.graph.constant_inputs(node):
            if size.changed.pop(name, None) is not None:
                size.constants[name] = self.network.constant(name, size.discretisation(self.axes))
                output = forward.run_node(node, resized, size.constants)
        return output


class WithoutFeedback(Calibration):
    """Layers aim at their own output, whatever the stream that they are added to got wrong."""

    def _partners(self, node: Node) -> list[str]:
        return []


class WithoutLimits(Calibration):
    """Refit toward pre-activations, whether they pass the ReLU or not."""

    def _limits(self, node: Node) -> tuple[float, float]:
        return -np.inf, np.inf


def by_cholesky(graph: Graph, channels: Channels, images: Mapping[str, np.ndarray]) -> Graph:
    """Nested order by pivoted Cholesky of the inputs' Grams, whatever the consumers do with them."""
    seen_by = consumers(graph, channels, images)
    plain = [[replace(c, kernel=np.eye(len(c.gram))) for c in group] for group in seen_by]
    return permute(graph, channels, [nested_order(group) for group in plain])


@dataclass(frozen=True)
class Setting:
    """One row; the defaults are the exporter's, with 256 images, every layer fitted alone."""

    order: str = "nested"
    refit: bool = True
    solver: Callable[..., Calibration] = Calibration
    images: int = 256
    ridge: float = 1e-3
    storage: str = "float16"
    data: str = "train"
    steps: int = 0


SETTINGS = {
    "refit": Setting(),
    "fast": Setting(refit=False),
    "fast, one-shot": Setting(refit=False, solver=OneShot),
    "fast, no bias": Setting(refit=False, solver=WithoutBias),
    "fast, no residual feedback": Setting(refit=False, solver=WithoutFeedback),
    "fast, uniform cubic nodes": Setting("smooth", refit=False),
    "fast, L1 order": Setting("l1", refit=False),
    "fast, pivoted Cholesky": Setting("cholesky", refit=False),
    "refit, spans": Setting(steps=SPAN_STEPS),
    **{f"refit, spans, {n} images": Setting(images=n, steps=SPAN_STEPS) for n in (16, 64, 1024)},
    "refit, uniform cubic nodes": Setting("smooth"),
    "refit, L1 order": Setting("l1"),
    "refit, pivoted Cholesky": Setting("cholesky"),
    "refit, blind to ReLU": Setting(solver=WithoutLimits),
    "refit, no residual feedback": Setting(solver=WithoutFeedback),
    "refit, float32 calibration data": Setting(storage="float32"),
    **{f"refit, {n} images": Setting(images=n) for n in (16, 32, 64, 128, 512, 1024, 4096)},
    **{f"refit, λ = {ridge:g}": Setting(ridge=ridge) for ridge in (1e-5, 1e-4, 1e-2, 1e-1)},
    "refit, on noise": Setting(data="noise"),
    "refit, on negatives": Setting(data="negatives"),
    "refit, on two classes of ten": Setting(data="two classes"),
}


def calibration_images(setting: Setting, seed: int) -> np.ndarray:
    """Images of the kind that a row asks for, (n, 1, 28, 28)."""
    train, labels = fashion_mnist.load("train")
    random = np.random.default_rng(seed)
    if setting.data == "two classes":
        train = train[labels < 2]
    chosen = train[np.sort(random.permutation(len(train))[: setting.images])]
    if setting.data == "negatives":
        return chosen.max() + chosen.min() - chosen
    if setting.data == "noise":
        return random.standard_normal(chosen.shape).astype(np.float32)
    return chosen


def measured(setting: Setting, test: np.ndarray, labels: np.ndarray, seed: int) -> dict[float, np.ndarray]:
    """Which test images are right at each size."""
    graph = fold(import_onnx(fashion_mnist.RESNET20))
    channels = analyse(graph)
    inputs = {"x": calibration_images(setting, seed)}
    if setting.order == "cholesky":
        graph = by_cholesky(graph, channels, inputs)
    order = "given" if setting.order == "cholesky" else setting.order
    network = laid_out(graph, channels, inputs, order, storage=setting.storage)
    if setting.order == "cholesky":
        network = replace(network, axes=[axis_for("nested", size, "calibrated") for size in channels.sizes])
    refitted = LARGEST_REFIT if setting.refit else 0.0
    sizes = {size: CalibratedSize(channels.widths(size), size <= refitted) for size in SIZES}
    solver = setting.solver(network, setting.storage, setting.ridge, seed, steps=setting.steps)
    solver.run(list(sizes.values()), inputs)
    lowered = Lowering(network.graph, channels.dims).run()
    draft = assemble(
        network, lowered, sizes, storage=setting.storage, align=1, source=b"none", labels=(),
        preprocessing={}, seed=seed,
    )  # fmt: skip
    bundle = draft.bundle("ablation")
    return {size: scores(bundle, size, test, f"{size:g}").argmax(1) == labels for size in SIZES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="ROW")
    parser.add_argument("--test", type=int, default=10_000, help="test images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "ablation.json")
    arguments = parser.parse_args()
    test, labels = (array[: arguments.test] for array in fashion_mnist.load("test"))
    results, table = Results("fashion-resnet20", arguments.seed), []
    reference = measured(SETTINGS["refit"], test, labels, arguments.seed)
    for name in arguments.rows:
        start = time.perf_counter()
        found = measured(SETTINGS[name], test, labels, arguments.seed)
        cells = []
        for size, right in found.items():
            difference = right.astype(np.float64) - reference[size]
            error = standard_error(difference)
            value = float(right.mean())
            results.add(name, size, "accuracy", value, len(test), paired_standard_error=error)
            cells.append(f"{100 * value:.2f} ({100 * difference.mean():+.2f} ±{100 * error:.2f})")
        table.append([name, *cells])
        print(f"{name}: {', '.join(cells)} ({time.perf_counter() - start:.0f} s)", flush=True)
        results.write(arguments.output)
    print(format_table(["", *(f"{size:g}" for size in SIZES)], table))


if __name__ == "__main__":
    main()
