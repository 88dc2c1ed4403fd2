"""The tables and figures of docs/results/accuracy.md, from the results.

    python -m benchmarks.reports.accuracy

Reads ``benchmarks/results/accuracy.json``; prints what every method loses against the full size, as Markdown,
and writes ``docs/results/accuracy-NETWORK.svg``: accuracy or PSNR against the share of FLOPs and parameters.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.harness.results import RESULTS_FOLDER
from benchmarks.harness.scoring import METRICS

NOT_DRAWN = ("images", "aligned", "latency")
"""Ends of the names of methods that the figures leave to the tables."""


def curves(rows: list[dict[str, Any]], metric: str, cost: str) -> dict[str, list[tuple[float, float]]]:
    """Method → (cost, value) by increasing cost, the full size last."""
    full = next(row["value"] for row in rows if row["method"] == "full")
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["metric"] == metric and cost in row and row["size"] < 1:
            found.setdefault(row["method"], [(1.0, full)]).append((row[cost], row["value"]))
    return {method: sorted(points) for method, points in found.items()}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One network: a panel for each cost."""
    rows = [row for row in rows if not row["method"].endswith(NOT_DRAWN)]
    metric = next(row["metric"] for row in rows if row["method"] == "full")
    label, scale = METRICS[metric]
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for panel, cost in zip(panels, ("macs", "parameters")):
        for index, (method, points) in enumerate(curves(rows, metric, cost).items()):
            costs, values = (
                [factor * n for n in column] for factor, column in zip((100, scale), zip(*points))
            )
            panel.plot(costs, values, "o-", color=plt.get_cmap("tab20")(index), ms=3.5, lw=1.2, label=method)
        panel.set_xlabel({"macs": "FLOPs", "parameters": "parameters"}[cost] + ", % of the full size")
        panel.grid(alpha=0.3)
        panel.set_xscale("log")
        least = 100 * min(row[cost] for row in rows if cost in row)
        ticks = [t for t in (5, 10, 25, 50, 75, 100) if t > 0.8 * least]
        panel.set_xticks(ticks, [str(t) for t in ticks])
        panel.minorticks_off()
    panels[0].set_ylabel(label)
    # So that the best method is seen at all sizes.
    found = [[scale * value for _, value in points] for points in curves(rows, metric, "macs").values()]
    most = max(len(values) for values in found)
    low = max(min(values) for values in found if len(values) == most)
    best = max(map(max, found))
    panels[0].set_ylim(min(low, best - (12 if metric == "accuracy" else 4)), best + 0.02 * (best - low) + 0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside right upper")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    print(path)


def table(rows: list[dict[str, Any]]) -> str:
    """Losses in points or dB with the paired standard error, by size."""
    reference = next(row for row in rows if row["method"] == "full")
    metric, scale = reference["metric"], 100 if reference["metric"] == "accuracy" else 1
    sizes = sorted({row["size"] for row in rows if row["metric"] == metric and row["method"] != "full"})
    lines = [
        ["method", *(f"{size:g}" for size in sizes), "bundle / fp32 ONNX", "export"],
        ["---"] * (len(sizes) + 3),
    ]
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] != "full"):
        mine = {(row["metric"], row["size"]): row for row in rows if row["method"] == method}
        cells = []
        for size in sizes:
            row = mine.get((metric, size))
            lost = row and scale * (reference["value"] - row["value"])
            cells.append(f"{lost:.2f} ± {scale * row['paired_standard_error']:.2f}" if row else "")
        share, seconds = (mine[name, 1.0]["value"] for name in ("bundle_over_fp32_onnx", "export_seconds"))
        lines.append([method, *cells, f"{share:.2f}", f"{seconds:.0f} s"])
        for (name, size), row in mine.items():
            if name == "worst_gap_between_sizes":
                print(f"{method}: worst of {row['n']} sizes between: {100 * row['value']:+.2f} at {size:.3f}")
    head = (
        f"{reference['model']}: {metric} {scale * reference['value']:.2f} at full size, n = {reference['n']}"
    )
    return "\n".join([head, "", *("| " + " | ".join(line) + " |" for line in lines), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER / "accuracy.json")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    plt.rcParams["svg.hashsalt"] = "innlite"  # the same file from the same figures
    rows = json.loads(arguments.results.read_text())["rows"]
    for network in dict.fromkeys(row["model"] for row in rows):
        chosen = [row for row in rows if row["model"] == network]
        print(table(chosen))
        if len({row["method"] for row in chosen}) > 2:  # something to compare
            draw(chosen, arguments.output / f"accuracy-{network}.svg")


if __name__ == "__main__":
    main()
