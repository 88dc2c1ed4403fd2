"""Accuracy at every size and effort, through MindSpore Lite, beside L1 pruning and the paper's INN.

    python -m benchmarks.studies.accuracy                           # ResNet-20, the main methods
    python -m benchmarks.studies.accuracy --case efficientnet --photos FOLDER --stamps MAP.json
    python -m benchmarks.studies.accuracy --case waifu2x --photos FOLDER
    python -m benchmarks.studies.accuracy --case transformer --output benchmarks/results/architectures.json
    python -m benchmarks.studies.accuracy --case demosaicnet --photos FOLDER --output …
    python -m benchmarks.studies.accuracy --case orientation --output …

Adds to ``benchmarks/results/accuracy.json`` (rows of the same network and method are replaced) and prints the
losses against the same network at full size, with the paired standard error. ``--methods`` chooses.
``networks/cases.py`` has the cases.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inn_exporter
import inn_runtime as inn
import numpy as np
from inn_exporter.schedule import divergences
from inn_runtime.cli.table import format_table

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.harness.scoring import scores, standard_error
from benchmarks.networks import cases

FLOPS = {"optimise": "flops", "align": 1}
PARAMS = {"optimise": "params"}
MANY = {"images": 4096, "refit_up_to": 1.0}
METHODS: dict[str, dict[str, Any]] = {
    "l1": {"quadrature": "none"},
    "l1+bn": {"quadrature": "rescaled"},
    "inn": {"quadrature": "trapezoid"},
    "calibrated": {"effort": "fast"},
    **{
        f"{name}, {schedule}".removesuffix(", "): {**effort, **widths}
        for name, effort in (
            ("refit, layers", {"span_steps": 0}),
            ("refit", {}),
            ("distilled", {"effort": "distill"}),
        )
        for schedule, widths in (
            ("", {}),
            ("flops", FLOPS),
            ("params", PARAMS),
            ("aligned", {"align": 8}),
            ("flops, aligned", {"optimise": "flops", "align": 8}),
            ("latency", {"optimise": "latency", "align": 8}),
            ("4096 images", MANY),
            ("flops, 4096 images", {**FLOPS, **MANY}),
            ("params, 4096 images", {**PARAMS, **MANY}),
            ("flops, int8", {**FLOPS, "storage": "int8"}),
        )
    },
}
"""Of `export`, by method; ``layers``: every layer fitted alone, in closed form."""
DEFAULT = (
    "l1",
    "l1+bn",
    "inn",
    "calibrated",
    "refit, layers",
    "refit, layers, flops",
    "refit, layers, params",
    "refit",
    "refit, flops",
    "refit, params",
    "distilled",
    "distilled, flops",
)
BETWEEN = 40
"""Sizes between the calibrated ones that ``--between`` draws."""


@dataclass(frozen=True)
class Reference:
    """The network at full size in float32.

    Attributes
    ----------
    outputs : for the case's images
    judged : how well each of these is done
    others : the same of the case's other sets, by name
    """

    outputs: np.ndarray
    judged: np.ndarray
    others: dict[str, np.ndarray]


def reference_of(case: cases.Case, results: Results) -> Reference:
    """Exported without a loss, and scored."""
    path = cases.OUT / f"accuracy-{case.name}-full.inn"
    path.parent.mkdir(exist_ok=True)
    exact = {**case.options, "effort": "fast", "storage": "float32", "sizes": (1.0,)}
    original = inn_exporter.export(case.model, path, {case.input: case.held_out}, **exact)
    outputs = scores(original, 1.0, case.images, "full")
    full = case.judge(outputs)
    results.add("full", 1.0, case.metric, case.value(full), len(full))
    others = {name: judge(scores(original, 1.0, x, name)) for name, (x, judge) in case.others.items()}
    for name, found in others.items():
        results.add("full", 1.0, f"{name}_accuracy", float(found.mean()), len(found))
    return Reference(outputs, full, others)


def measure(
    case: cases.Case, method: str, bundle: inn.Bundle, size: float, reference: Reference, results: Results
) -> tuple[np.ndarray, str]:
    """How well each image is done at a size, and the table's cell: the difference from the reference."""
    title, full = f"{method} {size:g}", reference.judged
    model, whole = bundle.resample(size), bundle.resample(1.0)
    found = scores(bundle, size, case.images, title)
    known = case.judge(found)
    value, error = case.value(known), case.standard_error(known, full)
    results.add(
        method,
        size,
        case.metric,
        value,
        len(full),
        paired_standard_error=error,
        macs=model.macs / whole.macs,
        parameters=model.parameters / whole.parameters,
    )
    scale = 100 if case.metric == "accuracy" else 1
    cell = f"{scale * (value - case.value(full)):+.2f} ±{scale * error:.2f}"
    if case.metric == "accuracy":
        apart = divergences(found, reference.outputs)
        error = standard_error(apart)
        results.add(method, size, "divergence", float(apart.mean()), len(apart), standard_error=error)
    for name, (images, judge) in case.others.items():
        right = judge(scores(bundle, size, images, f"{title} {name}"))
        error, metric = standard_error(right - reference.others[name]), f"{name}_accuracy"
        results.add(method, size, metric, float(right.mean()), len(right), paired_standard_error=error)
    return known, cell


def between(
    case: cases.Case, bundle: inn.Bundle, known: dict[float, np.ndarray], seed: int
) -> dict[str, Any]:
    """The largest gap, beyond two standard errors, of `BETWEEN` random sizes below the straight line between
    their calibrated neighbours."""
    drawn = np.random.default_rng(seed).uniform(min(known), 1.0, BETWEEN)
    built: dict[float, np.ndarray] = dict(known)
    worst: dict[str, Any] = {"value": -np.inf}
    for size in sorted(drawn):
        actual = bundle.resample(float(size)).size
        if actual not in built:
            built[actual] = case.judge(scores(bundle, actual, case.images, f"{size:.3f}"))
        low, high = max(s for s in known if s <= size), min(s for s in known if s >= size)
        share = (size - low) / (high - low)
        line = (1 - share) * known[low] + share * known[high]
        gap = float(line.mean() - built[actual].mean())
        error = standard_error(line - built[actual])
        if gap - 2 * error > worst["value"]:
            worst = {"value": gap - 2 * error, "at": float(size), "gap": gap, "paired_standard_error": error}
    return worst


def chosen_case(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> cases.Case:
    """That of ``--case``; some need ``--photos``."""
    if arguments.case == "fashion":
        return cases.fashion(arguments.seed)
    if arguments.case == "transformer":
        return cases.transformer(arguments.seed)
    if arguments.case == "orientation":
        return cases.document_orientation(arguments.seed)
    if arguments.photos is None:
        parser.error("--photos is needed")
    if arguments.case == "efficientnet":
        return cases.efficientnet(arguments.seed, arguments.photos, arguments.stamps)
    if arguments.case == "demosaicnet":
        return cases.demosaicking(arguments.seed, arguments.photos)
    return cases.super_resolution(arguments.seed, arguments.photos)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    names = ("fashion", "transformer", "efficientnet", "waifu2x", "demosaicnet", "orientation")
    parser.add_argument("--case", choices=names, default="fashion")
    parser.add_argument("--photos", type=Path, help="folder of NNNN.jpg, 256 x 256, named after their class")
    parser.add_argument("--stamps", type=Path, help="which stamps show which ImageNet classes, as JSON")
    parser.add_argument("--methods", nargs="+", default=DEFAULT, metavar="METHOD")
    parser.add_argument("--sizes", nargs="+", type=float, help="instead of the case's own")
    parser.add_argument("--images", type=int, help="unlabelled images to calibrate with")
    parser.add_argument("--distill-images", type=int, help="to learn from, with repetition")
    parser.add_argument("--between", action="store_true", help="also measure sizes between calibrated ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "accuracy.json")
    arguments = parser.parse_args()
    case = chosen_case(parser, arguments)
    methods = METHODS | dict(case.methods)
    if unknown := set(arguments.methods) - methods.keys():
        parser.error(f"argument --methods: {', '.join(unknown)}: expected some of {', '.join(methods)}")
    sizes = tuple(arguments.sizes or case.sizes)
    given = {"images": arguments.images, "distill_images": arguments.distill_images}
    options = {**case.options, **{name: value for name, value in given.items() if value is not None}}

    results = Results(case.name, arguments.seed)
    reference = reference_of(case, results)
    table = []
    for method in arguments.methods:
        path = cases.OUT / f"accuracy-{case.name}-{method.replace(', ', '-')}.inn"
        start = time.perf_counter()
        bundle = inn_exporter.export(
            case.model,
            path,
            {case.input: case.pool},
            evaluate={case.input: case.held_out},
            sizes=sizes,
            seed=arguments.seed,
            progress=True,
            **{**options, **methods[method]},
        )
        seconds = time.perf_counter() - start
        share = path.stat().st_size / case.model.stat().st_size
        results.add(method, 1.0, "export_seconds", seconds, 1)
        results.add(method, 1.0, "bundle_over_fp32_onnx", share, 1)
        known, cells = {}, []
        for size in (*sizes, 1.0):  # the last as far as the control grids are rounded
            known[size], cell = measure(case, method, bundle, size, reference, results)
            cells.append(cell)
        if arguments.between:
            worst = between(case, bundle, known, arguments.seed)
            at, value = worst.pop("at"), worst.pop("value")
            results.add(method, at, "worst_gap_between_sizes", value, BETWEEN, **worst)
        table.append([method, *cells, f"{share:.2f}", f"{seconds:.0f}"])
        print(f"{method}: {', '.join(cells)} ({seconds:.0f} s)", flush=True)
        results.write(arguments.output, keep_others=True)
    full = reference.judged
    print(f"\n{case.name}: {case.metric} {case.value(full):.4f} on {len(full)} images; differences:\n")
    print(format_table(["method", *(f"{s:g}" for s in (*sizes, 1.0)), "bytes / ONNX", "export s"], table))


if __name__ == "__main__":
    main()
