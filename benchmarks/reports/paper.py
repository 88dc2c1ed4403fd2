"""The tables and the figure of docs/results/paper.md, from the results.

    python -m benchmarks.reports.paper

Reads ``benchmarks/results/paper.json``; prints accuracy or PSNR of every method by size, as Markdown, and
writes ``docs/results/paper-curves.svg``: the same against the size, a panel for each network.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.harness.results import RESULTS_FOLDER
from benchmarks.harness.scoring import METRICS

Row = dict[str, Any]
TITLES = {"paper-resnet": "ResNet-14", "paper-nin": "NIN", "paper-vgg": "VGG-11", "paper-srcnn": "SRCNN"}
DRAWN = ("l1", "l1+bn", "inn", "calibrated", "refit", "inn-from-scratch", "inn, tuned", "tuned")


def measured(rows: list[Row]) -> list[Row]:
    """Those that hold accuracy or PSNR."""
    return [row for row in rows if row["metric"] in METRICS]


def table(rows: list[Row]) -> str:
    """A method a line, a size a column, the full one first; what it learned from, and how long it took."""
    costs = {row["method"]: row for row in rows if row["metric"] == "export_seconds"}
    rows = measured(rows)
    _, scale = METRICS[rows[0]["metric"]]
    sizes = sorted({row["size"] for row in rows}, key=lambda size: (size != 1, -size))
    names = ("full" if size == 1 else f"{size:g}" for size in sizes)
    lines = [["method", *names, "images seen", "minutes"]]
    lines.append(["---"] * len(lines[0]))
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = {row["size"]: scale * row["value"] for row in rows if row["method"] == method}
        cells = [f"{mine[size]:.2f}" if size in mine else "" for size in sizes]
        cost = costs.get(method, {})
        cells.append(f"{cost['seen']:,}" if cost.get("seen") else "")
        exported = cost and "scratch" not in method  # else most of the time went into training
        cells.append(f"{cost['value'] / 60:.1f}" if exported else "")
        lines.append([method, *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def table_1(networks: dict[str, list[Row]]) -> str:
    """The paper's Table 1: each network as it was trained, an integral one from scratch, and the first one
    converted and tuned, at full size."""
    lines = [["network", "discrete", "INN from scratch", "INN from conversion"], ["---"] * 4]
    for network, rows in networks.items():
        _, scale = METRICS[measured(rows)[0]["metric"]]
        full = {row["method"]: scale * row["value"] for row in measured(rows) if row["size"] == 1.0}
        found = (full.get(method) for method in ("l1", "inn-from-scratch", "inn, tuned"))
        lines.append([TITLES[network], *("" if value is None else f"{value:.2f}" for value in found)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(networks: dict[str, list[Row]], path: Path) -> None:
    """A panel for each network: what every method keeps, against the size."""
    figure, panels = plt.subplots(1, len(networks), figsize=(4 * len(networks), 4), layout="constrained")
    for panel, (network, rows) in zip(panels, networks.items()):
        label, scale = METRICS[measured(rows)[0]["metric"]]
        for index, method in enumerate(DRAWN):
            points = sorted((r["size"], scale * r["value"]) for r in measured(rows) if r["method"] == method)
            if points:
                panel.plot(*zip(*points), "o-", color=f"C{index}", ms=3.5, lw=1.2, label=method)
        panel.set_title(TITLES[network])
        panel.set_xlabel("size (share of all channels)")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    panels[-1].legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER / "paper.json")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    plt.rcParams["svg.hashsalt"] = "innlite"  # the same file from the same figures
    rows = json.loads(arguments.results.read_text())["rows"]
    networks: dict[str, list[Row]] = {}
    for row in rows:
        networks.setdefault(row["model"], []).append(row)
    for network, found in networks.items():
        n = measured(found)[0]["n"]
        print(f"\n{TITLES.get(network, network)}, {n:,} images\n\n{table(found)}")
    shown = {name: networks[name] for name in TITLES if name in networks}
    print(f"\nTable 1\n\n{table_1(shown)}")
    draw(shown, arguments.output / "paper-curves.svg")


if __name__ == "__main__":
    main()
