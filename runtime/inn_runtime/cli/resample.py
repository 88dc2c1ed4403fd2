"""`inn resample`: from a size, or a budget, to a `.ms` file."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..budget.budget import BOUNDS, LOWER, UPPER, Bound, Budget, value_text
from ..budget.search import Candidate, Choice
from ..errors import UsageError
from ..network import choose
from .json_text import to_json
from .options import SIZE_HELP, command, engine_options, opened, resampled, weights_option
from .table import format_table

MOST_ROWS = 16
"""Of the table of candidates; where there are more, those of which nothing costly is known are left out."""


def register(subparsers: Any) -> None:
    parser = command(subparsers, "resample", _resample, "write a MindSpore Lite model (.ms) of a size")
    parser.add_argument("--size", help=f"{SIZE_HELP}; or give a budget:")
    for name, bound in _options().items():
        kind = "at most this" if bound.upper else "at least this"
        text = f"{kind} {bound.help}"
        parser.add_argument(bound.option, dest=name, type=float, metavar=bound.metavar, help=text)
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
    engine_options(parser, guarded=True)


def _options() -> dict[str, Bound]:
    """The bounds in the order of their options: costs, then qualities."""
    return dict(sorted(BOUNDS.items(), key=lambda item: not item[1].upper))


def _resample(options: argparse.Namespace) -> None:
    bounds = {name: getattr(options, name) for name in _options()}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    if (options.size is None) == (not bounds):
        names = ", ".join(bound.option for bound in _options().values())
        raise UsageError(f"expected --size or a budget ({names}), found {'both' if bounds else 'neither'}")
    if options.explain and not bounds:
        raise UsageError("--explain: expected a budget, found --size")
    if options.output is None and not options.explain:
        raise UsageError("the following arguments are required: -o/--output")
    bundle = opened(options)
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
        print(to_json(summary))
        return
    if options.explain and choice is not None:
        print(_explanation(choice))
    if options.output is not None:
        known = _chosen(choice).values if choice is not None else {}
        measured = "".join(
            f", {value_text(name, known[name])} {bound.said}"
            for name, bound in BOUNDS.items()
            if bound.said and name in known
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
    names = [name for name in (*UPPER, *LOWER) if any(name in c.values for c in choice.candidates)]
    costly = {name for name in UPPER if not BOUNDS[name].at_once}
    rows = []
    for index, candidate in enumerate(choice.candidates):
        neighbour = abs(index - at) <= 1
        if len(choice.candidates) > MOST_ROWS and costly.isdisjoint(candidate.values) and not neighbour:
            continue
        cells = []
        for name in names:
            value = candidate.values.get(name, math.nan) * BOUNDS[name].scale
            cells.append("-" if math.isnan(value) else f"{value:.4g}")
        verdict = "breaks " + ", ".join(candidate.breaks) if candidate.breaks else "fits"
        verdict = "chosen" if index == at else verdict
        rows.append([f"{candidate.size:.4g}", *cells, verdict])
    return format_table(["size", *(BOUNDS[name].column for name in names), ""], rows)
