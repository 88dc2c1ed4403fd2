"""What the device pays: resampling, building, memory, start-up, live resizes, budgets.

    python -m benchmarks.studies.performance PART

``prepare``: exports the networks; the ResNet-20 comes from ``scripts/demo.sh``, and EfficientNet-Lite0 needs
its ONNX (``networks/efficientnet_lite0.py``) and a folder of photos.
``cost``: resampling against a copy and the engine's build, memory, …
``live``: 1,000 live resizes under four calling threads.
``budgets``: 20 random latency budgets, each checked by measuring again.
``schedules``: latency of the widths that the schedules of ``accuracy.py`` chose.

Rows go to ``benchmarks/results/performance.json``, where each part replaces its own; ``other_engines.py``
adds other engines.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import inn_runtime as inn
import numpy as np
from inn_exporter.bundling.onnx_writer import export_onnx
from inn_runtime.budget.search import candidate_sizes
from inn_runtime.cli.table import format_table
from inn_runtime.engine import Engine, load_engine
from inn_runtime.measuring.memory import measure_memory
from inn_runtime.measuring.timing import measure_latency
from inn_runtime.model_cache import ModelCache
from inn_runtime.network import choose
from inn_runtime.noise import noise

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.networks.bundles import ANY_SIZE, BUNDLES, prepare

SCHEDULES = ("refit", "refit, aligned", "refit, flops", "refit, flops, aligned", "refit, latency")
"""Methods of ``accuracy.py``, which leaves their bundles in ``out``."""
CALLS, WARM = 220, 20

START = """
import time
start = time.perf_counter()
import inn_runtime
loaded = time.perf_counter()
bundle = inn_runtime.open({path!r})
opened = time.perf_counter()
print(loaded - start, opened - loaded)
"""

PEAK = """
import sys
import inn_runtime

def status(key):
    for line in open("/proc/self/status"):
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024

bundle = inn_runtime.open({path!r})
model = bundle.resample({size!r})
model.to_bytes()  # the mapped file's pages are no memory of ours, but count as resident
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = status("VmRSS")
content = model.to_bytes()
print(status("VmHWM") - before, len(content))
"""


def milliseconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - start)


def python(code: str) -> list[float]:
    """Numbers that a fresh interpreter prints."""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [float(value) for value in ended.stdout.split()]


# ---------------------------------------------------------------------- cost
def cost(arguments: argparse.Namespace, results: Results) -> None:
    engine = load_engine("native")
    table = []
    for name, path in BUNDLES.items():
        for size in (0.5, 1.0):
            figures = _cost_of(name, path, size, engine, arguments.rounds)
            for metric, value in figures.items():
                results.add("resampled", size, metric, value, arguments.rounds, model=name)
            table.append([f"{name} {size:g}", *(f"{value:.3g}" for value in figures.values())])
        table_header = ["network", *figures]
        opened = inn.open(path)
        start = np.median([python(START.format(path=str(path))) for _ in range(5)], axis=0)
        rows = {"import_s": start[0], "open_s": start[1], "bundle_bytes": path.stat().st_size}
        rows["bundle_over_fp32_onnx"] = path.stat().st_size / len(export_onnx(opened, 1.0))
        stripped = len(inn_strip(opened))
        rows["stripped_over_bundle"] = stripped / path.stat().st_size
        for metric, value in rows.items():
            results.add("bundle", 1.0, metric, float(value), 5, model=name)
        print(name, {key: round(float(value), 4) for key, value in rows.items()})
    print(format_table(table_header, table))


def inn_strip(bundle: inn.Bundle) -> bytes:
    from inn_runtime.format.strip import strip

    return strip(bundle)


def _cost_of(name: str, path: Path, size: float, engine: Engine, rounds: int) -> dict[str, float]:
    bundle = inn.open(path)
    model = bundle.resample(size)
    first = milliseconds(model.to_bytes)  # digests are checked at the first use
    content = model.to_bytes()
    half = bundle.resample(size, weights="float16")
    folder = Path("out/model-cache")
    cached = inn.open(path, cache=ModelCache(folder, 512)).resample(size)
    cached.to_bytes()
    source = np.frombuffer(content, np.uint8).copy()
    steps = {
        "resample_ms": lambda: bundle.resample(size).to_bytes(),
        "copy_ms": lambda: source.copy(),
        "build_ms": lambda: engine.build(content, 1).close(),
        "cached_ms": cached.to_bytes,
    }
    times: dict[str, list[float]] = {step: [] for step in steps}
    for _ in range(rounds):
        for step, run in steps.items():
            times[step].append(milliseconds(run))
    medians = {step: float(np.median(values)) for step, values in times.items()}
    peak, length = python(PEAK.format(path=str(path), size=size))
    use = measure_memory(model)
    return {
        **medians,
        "first_resample_ms": first,
        "resample_over_engine_build": medians["resample_ms"] / medians["build_ms"],
        "first_resample_over_engine_build": first / medians["build_ms"],
        "resample_over_copy": medians["resample_ms"] / medians["copy_ms"],
        "peak_memory_over_model": peak / length,
        "model_bytes": float(length),
        "float16_over_model": half.model_bytes / length,
        "engine_memory_bytes": float(use.engine),
        "model_memory_over_model": use.model / length,
    }


# ---------------------------------------------------------------------- live
def live(arguments: argparse.Namespace, results: Results) -> None:
    """Resizes while threads call; every answer is compared with those of the sizes that it may come from."""
    path = BUNDLES["fashion-resnet20"]
    bundle = inn.open(path)
    image = noise(3, bundle.manifest.inputs[0].shape)
    sizes = [size.size for size in bundle.manifest.sizes]
    references = []
    for size in sizes:
        with bundle.resample(size).session() as session:
            references.append(np.asarray(session.run(image)))
    counts, failed, wrong = [0] * 4, [], []
    stop = threading.Event()
    with bundle.resample(1.0).session() as session:

        def call(index: int) -> None:
            while not stop.is_set():
                try:
                    scores = np.asarray(session.run(image))
                except Exception as error:
                    failed.append(repr(error))
                    continue
                counts[index] += 1
                if not any(np.allclose(scores, r, atol=1e-5 * float(np.abs(r).max())) for r in references):
                    wrong.append(scores)

        threads = [threading.Thread(target=call, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        memory, times = [], []
        random = np.random.default_rng(arguments.seed)
        for _ in range(arguments.resizes):
            size = sizes[int(random.integers(len(sizes)))]
            start = time.perf_counter()
            session.resize(size)
            times.append(1e3 * (time.perf_counter() - start))
            memory.append(_resident())
        stop.set()
        for thread in threads:
            thread.join()
    tenth = len(memory) // 10
    growth = float(np.median(memory[-tenth:]) - np.median(memory[tenth : 2 * tenth]))
    figures = {
        "calls": float(sum(counts)),
        "failed_calls": float(len(failed)),
        "wrong_answers": float(len(wrong)),
        "resize_p50_ms": float(np.median(times)),
        "resize_max_ms": max(times),
        "memory_growth_bytes": growth,
        "memory_spread_bytes": float(max(memory[tenth:]) - min(memory[tenth:])),
    }
    for metric, value in figures.items():
        results.add("live", 1.0, metric, value, arguments.resizes, model="fashion-resnet20")
    print(json.dumps(figures, indent=1), failed[:3])


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# ---------------------------------------------------------------------- budgets
def budgets(arguments: argparse.Namespace, results: Results) -> None:
    """Random latencies between those of the smallest size and of the full one, and some that cannot be."""
    bundle = inn.open(ANY_SIZE)
    grid = candidate_sizes(bundle.manifest)
    least, most = (measure_latency(bundle.resample(size), 1, "native") for size in (grid[0], 1.0))
    random = np.random.default_rng(arguments.seed)
    rows, refused, held, tight, again_held, again_tight = [], 0, 0, 0, 0, 0
    measured = 0
    for index in range(arguments.budgets):
        bound = float(random.uniform(0.5 * least, 1.02 * most))
        start = time.perf_counter()
        try:
            choice = choose(bundle, inn.Budget(latency_ms=bound), remeasure=index == 0)
        except inn.UsageError as error:
            refused += 1
            rows.append([f"{bound:.2f}", "refused", "", "", "", "", str(error)[-60:]])
            continue
        seconds = time.perf_counter() - start
        known = {c.size: c.values.get("latency_ms") for c in choice.candidates}
        measured = sum(value is not None for value in known.values())
        at = grid.index(choice.size)
        larger = grid[at + 1] if at + 1 < len(grid) else None
        here, above = known[choice.size], None if larger is None else known[larger]
        assert here is not None
        held += here <= bound
        tight += larger is None or (above is not None and above > bound)
        again = measure_latency(bundle.resample(choice.size), 1, "native")
        beyond = None if larger is None else measure_latency(bundle.resample(larger), 1, "native")
        again_held += again <= bound
        again_tight += beyond is None or beyond > bound
        texts = [f"{value:.2f}" if value is not None else "-" for value in (here, above, again, beyond)]
        rows.append([f"{bound:.2f}", f"{choice.size:.4f}", *texts, f"{seconds:.1f}"])
    solved = arguments.budgets - refused
    figures = {
        "budgets": arguments.budgets,
        "refused": refused,
        "within_budget": held,
        "next_larger_is_not": tight,
        "within_budget_measured_again": again_held,
        "next_larger_is_not_measured_again": again_tight,
        "sizes_measured": measured,
        "sizes_on_the_grid": len(grid),
    }
    for metric, value in figures.items():
        results.add("budgets", 1.0, metric, float(value), solved, model="resnet18")
    print(format_table(["budget", "size", "ms", "next larger", "again", "next again", "s"], rows))
    print(json.dumps(figures, indent=1))


# ---------------------------------------------------------------------- schedules
def schedules(arguments: argparse.Namespace, results: Results) -> None:
    """Every size against the full one, call by call in turn, so that drifts of the machine cancel; in rounds
    over all sizes, since what disturbs a whole second does not."""
    pairs = {}
    for schedule in SCHEDULES:
        bundle = inn.open(Path(f"out/accuracy-fashion-resnet20-{schedule.replace(', ', '-')}.inn"))
        full, sizes = bundle.resample(1.0), [s.size for s in bundle.manifest.sizes if s.size < 1.0]
        pairs.update({(schedule, size): (bundle.resample(size), full) for size in sizes})
    image = noise(0, bundle.manifest.inputs[0].shape)
    ratios: dict[tuple[str, float], list[float]] = {key: [] for key in pairs}
    for _ in range(arguments.rounds):
        for key, (model, full) in pairs.items():
            with full.session(threads=1) as whole, model.session(threads=1) as session:
                times = np.array([_in_turn((session, whole), image) for _ in range(CALLS)])
            ratios[key].append(float(np.median(times[WARM:, 0] / times[WARM:, 1])))
    table: dict[str, list[str]] = {schedule: [schedule] for schedule in SCHEDULES}
    for (schedule, size), (model, full) in pairs.items():
        ratio, macs = float(np.median(ratios[schedule, size])), model.macs / full.macs
        results.add(
            schedule, size, "latency_over_full", ratio, arguments.rounds, model="fashion-resnet20", macs=macs
        )
        table[schedule].append(f"{100 * ratio:.1f} ({100 * macs:.1f})")
    print(format_table(["latency (FLOPs), % of full", *(f"{size:g}" for size in sizes)], [*table.values()]))


def _in_turn(sessions: Sequence[inn.Session], image: np.ndarray) -> list[float]:
    return [milliseconds(partial(session.run, image)) for session in sessions]


PARTS = {"cost": cost, "live": live, "budgets": budgets, "schedules": schedules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("part", choices=("prepare", *PARTS))
    parser.add_argument("--photos", type=Path, default=Path("out/photos"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--resizes", type=int, default=1000)
    parser.add_argument("--budgets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.part == "prepare":
        prepare(arguments.photos, arguments.seed)
        return
    results = Results("", arguments.seed)
    PARTS[arguments.part](arguments, results)
    results.write(RESULTS_FOLDER / "performance.json", keep_others=True)


if __name__ == "__main__":
    main()
