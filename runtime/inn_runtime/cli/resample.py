"""`inn resample`: from a size, or a budget, to a `.ms` file."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..budget import LOWER, Budget, value_text
from ..bundle import open_bundle
from ..errors import UsageError
from ..solver import Candidate, Choice, choose
from .options import SIZE_HELP, command, engine_options, resampled, weights_option
from .table import format_table

BOUNDS = {
    "--max-ms": ("latency_ms", "MS", "median time of one call at batch 1 on this device, in ms"),
    "--max-mb": ("memory_mb", "MB", "memory that the model adds to a running engine on this device, in MB"),
    "--max-model-mb": ("model_mb", "MB", "size of the .ms file, in MB"),
    "--max-flops": ("flops", "N", "floating-point operations of one image, for instance 30e6"),
    "--min-accuracy": ("accuracy", "SHARE", "accuracy by the bundle's measured curve, in (0, 1]"),
    "--min-agreement": ("agreement", "SHARE", "agreement with the full network, likewise"),
}

COLUMNS = {
    **{"flops": ("MFLOPs", 1e-6), "model_mb": (".ms MB", 1), "memory_mb": ("memory MB", 1)},
    **{"latency_ms": ("ms", 1), "accuracy": ("accuracy %", 100), "agreement": ("agreement %", 100)},
}


_MEASURED = {"latency_ms": "measured", "memory_mb": "of memory"}


def register(subparsers: Any) -> None:
    parser = command(subparsers, "resample", _resample, "write a MindSpore Lite model (.ms) of a size")
    parser.add_argument("--size", help=f"{SIZE_HELP}; or give a budget:")
    for option, (name, metavar, text) in BOUNDS.items():
        kind = "at least this" if name in LOWER else "at most this"
        parser.add_argument(option, dest=name, type=float, metavar=metavar, help=f"{kind} {text}")
    parser.add_argument(
        "--explain", action="store_true", help="print the candidates of a budget; then -o may be left out"
    )
    parser.add_argument(
        "--remeasure", action="store_true", help="measure anew what is known of this device from before"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.ms", help="the .ms file to write")
    weights_option(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse sizes at which the network has been measured to collapse",
    )
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")
    engine_options(parser)


def _resample(options: argparse.Namespace) -> None:
    bounds = {name: getattr(options, name) for name, _, _ in BOUNDS.values()}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    if (options.size is None) == (not bounds):
        raise UsageError(
            f"expected --size or a budget ({', '.join(BOUNDS)}), found {'both' if bounds else 'neither'}"
        )
    if options.explain and not bounds:
        raise UsageError("--explain: expected a budget, found --size")
    if options.output is None and not options.explain:
        raise UsageError("the following arguments are required: -o/--output")
    bundle = open_bundle(options.bundle)
    choice = None
    if bounds:
        choice = choose(
            bundle,
            Budget(**bounds),
            weights=options.weights,
            threads=options.threads,
            engine=options.engine,
            remeasure=options.remeasure,
        )
    size = options.size if choice is None else repr(choice.size)
    model = resampled(bundle, size, options.strict, options.weights)
    summary: dict[str, Any] = {
        "size": model.size,
        "name": model.name,
        "weights": model.weights,
        "bytes": model.model_bytes,
        "parameters": model.parameters,
        "macs": model.macs,
        "widths": dict(zip((g.name for g in bundle.manifest.groups), model.plan.widths)),
    }
    if options.output is not None:
        summary = {"output": str(options.output), **summary, "bytes": model.save(options.output)}
    if choice is not None:
        summary["budget"] = bounds
        summary["measured"] = _chosen(choice).values
        if options.explain:
            summary["candidates"] = [asdict(candidate) for candidate in choice.candidates]
    if options.json:
        print(json.dumps(summary, indent=1))
        return
    if options.explain and choice is not None:
        print(_explanation(choice))
    if options.output is not None:
        known = _chosen(choice).values if choice is not None else {}
        measured = "".join(
            f", {value_text(name, known[name])} {text}" for name, text in _MEASURED.items() if name in known
        )
        print(
            f"{options.output}: size {model.size:g}, {model.parameters:,} parameters, "
            f"{2 * model.macs / 1e6:.2f} MFLOPs, {summary['bytes'] / 1e6:.2f} MB{measured}"
        )


def _chosen(choice: Choice) -> Candidate:
    return next(candidate for candidate in choice.candidates if candidate.size == choice.size)


def _explanation(choice: Choice) -> str:
    """The candidates as a table: the chosen one, its neighbours, and all of which something was measured."""
    at = choice.candidates.index(_chosen(choice))
    names = [name for name in COLUMNS if any(name in c.values for c in choice.candidates)]
    rows = []
    for index, candidate in enumerate(choice.candidates):
        costly = {"latency_ms", "memory_mb", "model_mb"} & set(candidate.values)
        if len(choice.candidates) > 16 and not costly and abs(index - at) > 1:
            continue
        cells = []
        for name in names:
            value = candidate.values.get(name, math.nan) * COLUMNS[name][1]
            cells.append("-" if math.isnan(value) else f"{value:.4g}")
        verdict = "breaks " + ", ".join(candidate.breaks) if candidate.breaks else "fits"
        verdict = "chosen" if index == at else verdict
        rows.append([f"{candidate.size:.4g}", *cells, verdict])
    return format_table(["size", *(COLUMNS[name][0] for name in names), ""], rows)
