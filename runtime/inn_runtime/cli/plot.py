"""Drawing the measured curve; the only part that needs matplotlib."""

from __future__ import annotations

import io
from typing import Any

from ..errors import UsageError

_AXES = (("size", "size", 1.0), ("parameters", "parameters (thousands)", 1e3), ("macs", "MFLOPs", 0.5e6))


def plot_curve(summary: dict[str, Any]) -> bytes:
    """A PNG of every measured metric against size, parameters and FLOPs.

    Raises
    ------
    UsageError : matplotlib is not installed, or the bundle holds no measurements
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("--plot needs matplotlib: pip install 'innlite[plot]'") from None
    sizes = [entry for entry in summary["sizes"] if entry["measured"]]
    metrics = [m for m in (sizes[0]["measured"] if sizes else ()) if m not in ("parameters", "macs")]
    if not metrics:
        raise UsageError(f"{summary['file']}: --plot: the bundle holds no measured curve")
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
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
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
