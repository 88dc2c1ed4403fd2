"""The same networks at the same widths in other engines: latency, cold start, memory, as ratios in one run.

    python -m benchmarks.studies.other_engines --prepare    # converts
    python -m benchmarks.studies.other_engines              # measures

Converters are pnnx (ncnn), mnnconvert (MNN) and ``networks/tflite.py`` (LiteRT). Needs onnxruntime, ncnn,
pnnx, MNN and ai-edge-litert beside the exporter, and the bundles of ``performance.py``. Each engine runs in a
process of its own (``harness/engines.py``); all take turns. Rows go to
``benchmarks/results/performance.json``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import inn_runtime as inn
import numpy as np
import onnx
from inn_runtime.cli.table import format_table
from inn_runtime.noise import noise

from benchmarks.harness.engine_process import EngineProcess
from benchmarks.harness.engines import ENGINES
from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.networks.bundles import BUNDLES

FOLDER = Path("out/other-engines")
SUFFIXES = {"ONNX Runtime": ".onnx", "LiteRT": ".tflite", "MNN": ".mnn"}
BLOCK_SECONDS = 0.06
OURS = "MindSpore Lite"


def prepare(name: str, bundle: inn.Bundle, size: float) -> None:
    """Convert a network at a size for every engine."""
    from inn_exporter.bundling.onnx_writer import export_onnx

    from benchmarks.networks import tflite

    stem = FOLDER / f"{name}-{size:g}"
    model = onnx.load_from_string(export_onnx(bundle, size))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    path = Path(f"{stem}.onnx")
    onnx.save(model, path)
    Path(f"{stem}.tflite").write_bytes(tflite.from_onnx(model))
    (port,) = bundle.manifest.inputs
    np.save(f"{stem}.npy", noise(0, port.shape))
    shape = ",".join(map(str, port.shape))
    _convert("pnnx", path.name, f"inputshape=[{shape}]", "fp16=0")
    _convert(
        "mnnconvert",
        "-f",
        "ONNX",
        "--modelFile",
        path.name,
        "--MNNModel",
        f"{stem.name}.mnn",
        "--bizCode",
        "x",
    )


def _convert(command: str, *arguments: str) -> None:
    program = Path(sys.executable).parent / command
    subprocess.run([program.absolute(), *arguments], cwd=FOLDER, check=True, capture_output=True)


def measure(
    name: str, path: Path, size: float, arguments: argparse.Namespace, results: Results
) -> list[list[str]]:
    """All engines on one network; a table's rows."""
    stem = FOLDER / f"{name}-{size:g}"
    models = {OURS: f"{path}@{size:g}", **{engine: f"{stem}{suffix}" for engine, suffix in SUFFIXES.items()}}
    models["ncnn"] = str(FOLDER / f"{stem.name.replace('-', '_')}.ncnn")  # as pnnx names it
    source = Path(f"{stem}.npy")
    starts: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for _ in range(arguments.starts):
        processes = {}
        for engine in ENGINES:
            processes[engine] = EngineProcess(engine, models[engine], source, arguments.threads)
            starts[engine].append(processes[engine].start)
            if len(starts[engine]) < arguments.starts:
                processes[engine].close()
    counts = {}
    for engine, process in processes.items():
        process.run(10)
        counts[engine] = max(3, round(BLOCK_SECONDS * 1e3 / process.run(10)))
    times: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for round_ in range(arguments.rounds):
        order = list(processes) if round_ % 2 == 0 else list(processes)[::-1]
        for engine in order:
            times[engine].append(processes[engine].run(counts[engine]))
    expected = np.load(processes["ONNX Runtime"].output)
    rows = []
    for engine, process in processes.items():
        process.close()
        found = np.load(process.output).reshape(expected.shape)
        difference = float(np.abs(found - expected).max() / np.abs(expected).max())
        ratio = float(np.median(np.array(times[engine]) / np.array(times[OURS])))
        figures = {
            "p50_ms": float(np.median(times[engine])),
            "latency_over_mindspore_lite": ratio,
            "first_answer_s": float(np.median(starts[engine])),
            "resident_bytes": process.memory,
            "max_output_difference": difference,
        }
        for metric, value in figures.items():
            runs = arguments.starts if metric == "first_answer_s" else arguments.rounds * counts[engine]
            results.add(engine, size, metric, value, runs, model=name, threads=arguments.threads)
        rows.append(
            [
                f"{name} {size:g}",
                engine,
                f"{figures['p50_ms']:.3f}",
                f"{ratio:.2f}",
                f"{figures['first_answer_s']:.2f}",
                f"{process.memory / 1e6:.0f}",
                f"{difference:.0e}",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--networks", nargs="+", default=list(BUNDLES))
    parser.add_argument("--sizes", nargs="+", type=float, default=[0.5, 1.0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--starts", type=int, default=3)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = Results("", 0)
    table = []
    for name in arguments.networks:
        for size in arguments.sizes:
            if arguments.prepare:
                prepare(name, inn.open(BUNDLES[name]), size)
                print(f"{name} at {size:g}: {time.process_time():.0f} s", flush=True)
            else:
                table += measure(name, BUNDLES[name], size, arguments, results)
    if not arguments.prepare:
        results.write(RESULTS_FOLDER / "performance.json", keep_others=True)
        print(format_table(["network", "engine", "ms", "ratio", "start s", "MB", "difference"], table))


if __name__ == "__main__":
    main()
