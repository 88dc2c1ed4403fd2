"""What an export costs: time, memory, and how far off the forecast was.

    python -m benchmarks.studies.export_cost                      # the demo's network
    python -m benchmarks.studies.export_cost --case cifar10-resnet20 --data FOLDER

Each export runs in a process of its own, on an otherwise idle machine; its time is that of `export`, its
memory what all its processes hold together (proportional set size, looked at every half second). Adds to
``benchmarks/results/export_cost.json`` (rows of the same network and method are replaced). ``before`` as a
method is the default effort, too: with an older checkout's packages on the path, to compare with.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.results import RESULTS_FOLDER, Results

EFFORTS = {"refit": "refit", "fast": "fast", "before": "refit"}
INTERVAL = 0.5


def demo(data: Path | None, seed: int) -> dict[str, Any]:
    """The export of ``scripts/demo.sh``."""
    from benchmarks.networks import fashion_mnist

    train, _ = fashion_mnist.load("train")
    chosen = np.random.default_rng(seed).permutation(len(train))
    return {
        "model": fashion_mnist.RESNET20,
        "data": train[np.sort(chosen[:256])],
        "evaluate": {"x": train[np.sort(chosen[256:1256])]},
        "images": 256,
    }


def cifar10_resnet20(data: Path | None, seed: int) -> dict[str, Any]:
    """Six sizes at equal FLOPs, 1,024 images."""
    from benchmarks.networks import cifar10

    if data is None:
        raise SystemExit("export_cost: cifar10-resnet20 needs --data, see benchmarks/networks/cifar10.py")
    train, _ = cifar10.load(data, "train")
    chosen = np.random.default_rng(seed).permutation(len(train))
    return {
        "model": cifar10.resnet20(data),
        "data": train[chosen[:1024]],
        "evaluate": {"x": train[chosen[1024:2024]]},
        "images": 1024,
        "sizes": (0.25, 0.3, 0.4, 0.5, 0.7, 0.85, 1.0),
        "optimise": "flops",
        "align": 1,
        "refit_up_to": 1.0,
    }


CASES = {"demo": demo, "cifar10-resnet20": cifar10_resnet20}


def run_here(case: str, data: Path | None, seed: int, effort: str) -> None:
    """Export, and print what it took, as JSON in the last line of standard output."""
    import inn_exporter

    arguments = CASES[case](data, seed)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        arguments.update(effort=effort, seed=seed, progress=True)
        bundle = inn_exporter.export(arguments.pop("model"), Path(folder) / "a.inn", **arguments)
        seconds = time.perf_counter() - start
        size = (Path(folder) / "a.inn").stat().st_size
    kept = {f"{s.size:g}": s.measured.get("agreement") for s in bundle.manifest.sizes}
    print(json.dumps({"seconds": seconds, "bytes": size, "kept": kept}))


def measured(command: list[str]) -> tuple[dict[str, Any], int, str]:
    """What `run_here` printed, the most memory at a time, and what went to standard error."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=said, stderr=told)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_proportional_bytes, _with_children(process.pid))))
            time.sleep(INTERVAL)
        said.seek(0)
        told.seek(0)
        out, errors = said.read(), told.read()
    if process.returncode:
        raise SystemExit(f"export_cost: {command} failed:\n{errors}")
    return json.loads(out.splitlines()[-1]), peak, errors


def _with_children(process: int) -> list[int]:
    found, waiting = [], [process]
    while waiting:
        found.append(waiting.pop())
        for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                waiting += map(int, task.read_text().split())
            except OSError:  # it has ended
                continue
    return found


def _proportional_bytes(process: int) -> int:
    """Memory of a process, what it shares with others by halves; 0 where it has ended."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def forecast_seconds(errors: str) -> float | None:
    """What the export said that it would take; None where that was less than a minute."""
    match = re.search(r"about (\d+) min", errors)
    return 60.0 * int(match[1]) if match else None


def add(results: Results, method: str, found: Mapping[str, Any], peak: int, forecast: float | None) -> None:
    """One export's rows, and a line for people."""
    results.add(method, 1.0, "export_seconds", found["seconds"], 1)
    results.add(method, 1.0, "peak_bytes", peak, 1)
    results.add(method, 1.0, "bundle_bytes", found["bytes"], 1)
    if forecast is not None:
        results.add(method, 1.0, "forecast_over_measured", forecast / found["seconds"], 1)
    for size, kept in found["kept"].items():
        results.add(method, float(size), "agreement", kept, 1000)
    said = "" if forecast is None else f", forecast {forecast / 60:.0f} min"
    shares = ", ".join(f"{size}: {100 * kept:.1f} %" for size, kept in found["kept"].items())
    print(f"{results.model}, {method}: {found['seconds']:.0f} s{said}, {peak / 1e9:.2f} GB", flush=True)
    print(f"  agreement {shares}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--case", choices=CASES, default="demo")
    parser.add_argument("--data", type=Path, help="folder of what is not in this repository")
    parser.add_argument("--method", choices=EFFORTS, action="append", help="(default: refit and fast)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "export_cost.json")
    parser.add_argument("--here", metavar="EFFORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        run_here(arguments.case, arguments.data, arguments.seed, arguments.here)
        return
    results = Results(arguments.case, arguments.seed)
    for method in arguments.method or ("refit", "fast"):
        command = [sys.executable, "-m", "benchmarks.studies.export_cost", "--case", arguments.case]
        command += ["--data", str(arguments.data)] if arguments.data else []
        command += ["--seed", str(arguments.seed), "--here", EFFORTS[method]]
        found, peak, errors = measured(command)
        add(results, method, found, peak, forecast_seconds(errors))
        results.write(arguments.output, keep_others=True)


if __name__ == "__main__":
    main()
