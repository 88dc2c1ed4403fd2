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
from inn_exporter.bundling.draft import assemble
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.calibration.layer_fit import LayerFit, LayerProblem, Refit
from inn_exporter.calibration.targets import Targets
from inn_exporter.defaults import LARGEST_REFIT, SPAN_STEPS
from inn_exporter.graph.channels import Channels
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.consumers import consumer_moments
from inn_exporter.ordering.continuous import ContinuousNetwork, axis_for, laid_out
from inn_exporter.ordering.nested import nested_order
from inn_exporter.ordering.order import permute
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.lower import lower
from inn_runtime.cli.table import format_table

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.harness.scoring import scores, standard_error
from benchmarks.networks import fashion_mnist

SIZES = (0.25, 0.3, 0.5, 0.7)


def one_shot(network: ContinuousNetwork, targets: Targets) -> LayerFit:
    """Quadratures fitted to the full network's own activations: x' = S x, no bias."""

    def fit(problem: LayerProblem) -> tuple[CalibratedSize, np.ndarray]:
        name, discretisation = problem.node.output, problem.size.discretisation(network.axes)
        return problem.size, targets.sampled(name, problem.full[name], discretisation)

    return fit


def as_sampled(network: ContinuousNetwork, targets: Targets) -> LayerFit:
    """Quadratures alone: biases are sampled, not corrected."""
    return lambda problem: (problem.size, problem.output)


def by_cholesky(graph: Graph, channels: Channels, images: Mapping[str, np.ndarray]) -> Graph:
    """Nested order by pivoted Cholesky of the inputs' Grams, whatever the consumers do with them."""
    seen_by = consumer_moments(graph, channels, images)
    plain = [[replace(c, kernel=np.eye(len(c.gram))) for c in group] for group in seen_by]
    return permute(graph, channels, [nested_order(group) for group in plain])


@dataclass(frozen=True)
class Setting:
    """One row; the defaults are the exporter's, with 256 images, every layer fitted alone."""

    order: str = "nested"
    refit: bool = True
    fit: Callable[[ContinuousNetwork, Targets], LayerFit] = Refit
    feedback: bool = True
    limits: bool = True
    images: int = 256
    ridge: float = 1e-3
    storage: str = "float16"
    data: str = "train"
    steps: int = 0


SETTINGS = {
    "refit": Setting(),
    "fast": Setting(refit=False),
    "fast, one-shot": Setting(refit=False, fit=one_shot),
    "fast, no bias": Setting(refit=False, fit=as_sampled),
    "fast, no residual feedback": Setting(refit=False, feedback=False),
    "fast, uniform cubic nodes": Setting("smooth", refit=False),
    "fast, L1 order": Setting("l1", refit=False),
    "fast, pivoted Cholesky": Setting("cholesky", refit=False),
    "refit, spans": Setting(steps=SPAN_STEPS),
    **{f"refit, spans, {n} images": Setting(images=n, steps=SPAN_STEPS) for n in (16, 64, 1024)},
    "refit, uniform cubic nodes": Setting("smooth"),
    "refit, L1 order": Setting("l1"),
    "refit, pivoted Cholesky": Setting("cholesky"),
    "refit, blind to ReLU": Setting(limits=False),
    "refit, no residual feedback": Setting(feedback=False),
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
    graph, channels = analyse(graph)
    inputs = {"x": calibration_images(setting, seed)}
    if setting.order == "cholesky":
        graph = by_cholesky(graph, channels, inputs)
    order = "given" if setting.order == "cholesky" else setting.order
    network = laid_out(graph, channels, inputs, order, storage=setting.storage)
    if setting.order == "cholesky":
        network = replace(network, axes=[axis_for("nested", size, "calibrated") for size in channels.sizes])
    refitted = LARGEST_REFIT if setting.refit else 0.0
    start = [CalibratedSize(channels.widths(n), n <= refitted, setting.storage) for n in SIZES]
    targets = Targets(network, setting.feedback, setting.limits)
    fit = Refit(network, targets, seed) if setting.fit is Refit else setting.fit(network, targets)
    solver = Calibration(network, targets=targets, fit=fit, ridge=setting.ridge, steps=setting.steps)
    sizes = dict(zip(SIZES, solver.run(start, inputs)))
    lowered = lower(network.graph, channels.dims)
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
