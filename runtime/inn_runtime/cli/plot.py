"""Drawing what was measured; the only part that needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from ..bench.bench import BenchResult
from ..errors import UsageError

_AXES = (("size", "size", 1.0), ("parameters", "parameters (thousands)", 1e3), ("macs", "MFLOPs", 0.5e6))


def plot_curve(summary: dict[str, Any]) -> bytes:
    """A PNG of every measured metric against size, parameters and FLOPs.

    Raises
    ------
    UsageError : matplotlib is not installed, or the bundle holds no measurements
    """
    sizes = [entry for entry in summary["sizes"] if entry["measured"]]
    metrics = [m for m in (sizes[0]["measured"] if sizes else ()) if m not in ("parameters", "macs")]
    if not metrics:
        raise UsageError(f"{summary['file']}: --plot: the bundle holds no measured curve")
    figure = new_figure(12, 3.6)
    for axes, (key, label, unit) in zip(figure.subplots(1, len(_AXES), sharey=True), _AXES):
        for metric in metrics:
            factor, suffix = (1.0, "dB") if metric == "psnr" else (100.0, "%")
            values = [factor * entry["measured"][metric] for entry in sizes]
            axes.plot(
                [entry[key] / unit for entry in sizes], values, marker="o", label=f"{metric} ({suffix})"
            )
        if key == "size" and summary["safe_from"]:
            axes.axvspan(0, summary["safe_from"], color="tab:red", alpha=0.08, label="below the safe range")
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.suptitle(f"{summary['name']}, measured on {summary['n']} images")
    return _png(figure)


def plot_bench(name: str, results: Sequence[BenchResult]) -> bytes:
    """A PNG of median latency, with the 95th percentile above it, and of memory against size.

    Raises
    ------
    UsageError : matplotlib is not installed
    """
    figure = new_figure(9, 3.6)
    times, memory = figure.subplots(1, 2)
    for threads in dict.fromkeys(result.threads for result in results):
        chosen = [result for result in results if result.threads == threads]
        sizes = [result.size for result in chosen]
        label = f"{threads} thread{'' if threads == 1 else 's'}"
        (line,) = times.plot(sizes, [result.p50 for result in chosen], marker="o", label=f"p50, {label}")
        times.plot(
            sizes, [result.p95 for result in chosen], ":", color=line.get_color(), label=f"p95, {label}"
        )
    chosen = [result for result in results if result.threads == results[0].threads]
    sizes = [result.size for result in chosen]
    memory.plot(sizes, [result.model_bytes / 1e6 for result in chosen], marker="o", label=".ms file")
    if all(result.model_memory is not None for result in chosen):
        added = [(result.model_memory or 0) / 1e6 for result in chosen]
        memory.plot(sizes, added, marker="o", label="added to the engine")
    for axes, label in ((times, "ms"), (memory, "MB")):
        axes.set_xlabel("size")
        axes.set_ylabel(label)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"{name} on {results[0].device}")
    return _png(figure)


def new_figure(width: float, height: float) -> Any:
    """An empty figure, inches. UsageError where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("--plot needs matplotlib: pip install 'innlite[plot]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
