"""Results files: one JSON form for every figure (command, seed, date, machine, versions, rows)."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS_FOLDER = Path("benchmarks/results")
"""Where the results files are, from the repository's root, where all is run."""
_PACKAGES = ("innlite", "mindspore", "numpy", "onnx", "onnxruntime", "safetensors", "scipy")


class Results:
    """Collects rows and writes them."""

    def __init__(self, model: str, seed: int) -> None:
        self.model = model
        self.seed = seed
        self.rows: list[dict[str, Any]] = []

    def add(self, method: str, size: float, metric: str, value: float, n: int, **more: Any) -> None:
        """One figure; sizes and accuracies as fractions of 1, ``n`` the number of samples or runs."""
        row = {"model": self.model, "method": method, "size": size, "metric": metric}
        self.rows.append({**row, "value": value, "n": n, **more})

    def value(self, method: str, size: float, metric: str) -> float:
        """A figure that was added before."""
        wanted = (method, size, metric)
        return next(r["value"] for r in self.rows if (r["method"], r["size"], r["metric"]) == wanted)

    def write(self, path: Path, keep_others: bool = False) -> None:
        """Write all rows with what is needed to make them again.

        ``keep_others`` keeps the file's rows of other networks and methods, with the commands that made them.
        """
        others = []
        if keep_others and path.exists():
            mine = {(row["model"], row["method"]) for row in self.rows}
            before = json.loads(path.read_text())
            rows = [{"command": before["command"], **row} for row in before["rows"]]
            others = [row for row in rows if (row["model"], row["method"]) not in mine]
        document = {
            "command": command(),
            "seed": self.seed,
            "date": date.today().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "versions": {"python": platform.python_version(), **_versions()},
            "rows": [*others, *self.rows],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")


def command() -> str:
    """The command that started this program, ``python -m benchmarks.studies.…``."""
    module = sys.modules["__main__"].__spec__
    program = [sys.argv[0]] if module is None else ["-m", module.name]
    return shlex.join(["python", *program, *sys.argv[1:]])


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
