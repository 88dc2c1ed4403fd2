"""`inn bench`: latency, memory and node times at several sizes, as tables, JSON and a plot."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..bench.bench import BenchResult, bench
from ..bench.comparison import compare
from ..engine import NodeTime
from ..errors import UsageError
from ..files import write_atomically
from ..network import Model
from .json_text import to_json
from .options import SIZE_HELP, command, engine_options, opened, resampled, weights_option
from .table import format_table


def register(subparsers: Any) -> None:
    parser = command(subparsers, "bench", _bench, "measure latency and memory at several sizes")
    parser.add_argument(
        "--sizes", default="", help=f"comma-separated, each {SIZE_HELP} (default: all presets)"
    )
    parser.add_argument("--runs", type=int, default=100, metavar="N", help="timed runs (default: 100)")
    parser.add_argument("--warmup", type=int, default=10, metavar="N", help="runs before (default: 10)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images per run (default: 1)")
    parser.add_argument(
        "--cool", type=float, default=0.0, metavar="SECONDS", help="pause before each size (default: 0)"
    )
    parser.add_argument("--layers", action="store_true", help="also the time of every node")
    parser.add_argument("--no-memory", action="store_true", help="leave out memory: it takes a process each")
    parser.add_argument(
        "--compare",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also time a .ms, or an .onnx in ONNX Runtime, in turns with each size (batch 1); repeatable",
    )
    weights_option(parser)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="write the JSON to a file too")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the curve (needs matplotlib: innlite[plot])"
    )
    parser.add_argument(
        "--threads",
        type=_thread_counts,
        default="1",
        metavar="N[,N]",
        help="engine threads; several for a sweep: 1,2,4 (default: 1)",
    )
    engine_options(parser, threads=False, guarded=True)


def _bench(options: argparse.Namespace) -> None:
    bundle = opened(options)
    named = options.sizes.split(",") if options.sizes else list(bundle.manifest.presets)
    if not named:
        raise UsageError(f"{options.bundle}: the bundle has no presets; give --sizes")
    if not 0 <= options.cool < 1e6:
        raise UsageError(f"--cool: expected seconds, found {options.cool:g}")
    if options.plot:
        from .plot import new_figure, plot_bench

        new_figure(1, 1)  # what it needs is missed now, not after the measurements
    models = {
        model.size: model for model in (resampled(bundle, size, weights=options.weights) for size in named)
    }
    rows: list[dict[str, Any]] = []
    results: list[BenchResult] = []
    for count in options.threads:
        for index, size in enumerate(sorted(models)):
            time.sleep(options.cool)
            result = bench(
                bundle,
                size,
                weights=options.weights,
                threads=count,
                batch=options.batch,
                warmup=options.warmup,
                runs=options.runs,
                engine=options.engine,
                nodes=options.layers,
                memory=not options.no_memory,
            )
            compared = [_compare(models[size], path, count, options) for path in options.compare]
            if not options.json:
                if index == 0:
                    print(("\n" if rows else "") + format_title(bundle.manifest.name, result))
                print(format_result(result), flush=True)
                for entry in compared:
                    print(format_comparison(entry), flush=True)
            results.append(result)
            rows.append({**result.to_json(), "compare": compared})
    document = to_json(rows)
    if options.json:
        print(document)
    elif options.layers:
        for result in results:
            print(f"\n{result.name}, threads {result.threads}\n{format_nodes(result.nodes)}")
    if options.output:
        write_atomically(options.output, (document + "\n").encode())
    if options.plot:
        write_atomically(options.plot, plot_bench(bundle.manifest.name, results))


def _thread_counts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid int value: {text!r}") from None


def _compare(model: Model, path: Path, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    return compare(model, path, threads=threads, engine=options.engine, runs=options.runs)


# ---------------------------------------------------------------------- tables
_COLUMNS = (
    *("size", "", "min", "mean", "p50", "p95", "max", "std"),
    *("first", "build", "resample", "model", "memory", "peak"),
)
_WIDTHS = (8, 5, *(8,) * 12)


def format_title(name: str, result: BenchResult) -> str:
    """What all lines of a table have in common, and the table's header."""
    threads = f"{result.threads} thread{'' if result.threads == 1 else 's'}"
    weights = "" if result.weights == "float32" else f"{result.weights} weights, "
    alone = ""
    if result.engine_memory is not None:
        alone = f"; engine alone: {result.engine_memory / 1e6:.0f} MB"
    return (
        f"{name} on {result.device}\n"
        f"MindSpore Lite {result.engine_version} ({result.engine}), {weights}{threads}, "
        f"batch {result.batch}, {result.warmup} warm-up and {result.runs} timed runs\n"
        "times in ms; first: first inference; in MB: model: .ms file, memory: what it adds to the engine, "
        f"peak: of the process{alone}\n\n"
        f"{_line(_COLUMNS)}"
    )


def format_result(result: BenchResult) -> str:
    """A result as a line of the table, in the manner of ncnn's and LiteRT's benchmarks."""
    times = (result.min, result.mean, result.p50, result.p95, result.max, result.std)
    steps = (result.first, result.build, result.resample)
    sizes = (result.model_bytes, result.model_memory, result.peak_memory)
    name = result.name if result.name != f"{result.size:g}" else ""
    return _line(
        [
            name,
            f"{result.size:g}",
            *(f"{value:.3f}" if value < 1000 else f"{value:.0f}" for value in times),
            *(f"{value:.2f}" if value < 1000 else f"{value:.0f}" for value in steps),
            *("-" if value is None else f"{value / 1e6:.2f}" for value in sizes),
        ]
    )


def format_comparison(entry: dict[str, Any]) -> str:
    """Another model's time beside ours, both from the same turns."""
    return (
        f"  {entry['file']} in {entry['with']}: p50 {entry['other_p50']:.3f}, ours {entry['p50']:.3f}, "
        f"ratio {entry['ratio']:.3f}"
    )


def format_nodes(nodes: Sequence[NodeTime]) -> str:
    """The nodes in order of execution, with their share of the sum."""
    total = sum(node.milliseconds for node in nodes)
    rows = [
        [
            node.name,
            node.type,
            f"{node.milliseconds:.4f}",
            f"{100 * node.milliseconds / max(total, 1e-9):.1f}",
        ]
        for node in nodes
    ]
    return format_table(["node", "type", "ms", "%"], [*rows, ["all nodes", "", f"{total:.4f}", "100.0"]])


def _line(cells: Sequence[str]) -> str:
    """Cells in columns of fixed width, so that a line can be printed as soon as it is known."""
    first, *others = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, _WIDTHS))
    )
    return " ".join([first, *others])
