"""Resampled models against what the vendor's own converter makes of the same network.

    python -m benchmarks.studies.against_converter --python37 PYTHON37

PYTHON37 is a CPython 3.7 that has mindspore-lite 2.0.0, whose converter makes the other ``.ms`` from the
resized network as ONNX. Both run in MindSpore Lite, in turns, on the same input. Besides the sizes of a
bundle, a network of ResNet-18's shape with random weights at half width and 224x224 pixels.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import inn_runtime as inn
import numpy as np
import onnx
from inn_exporter.bundling.onnx_writer import export_onnx
from inn_runtime.cli.table import format_table
from inn_runtime.engine import Engine, EngineModel, load_engine
from inn_runtime.noise import noise

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.networks.resnet18 import resnet18

TARGET = 1.02
ROUND_SECONDS = 0.02
WARMUP_SECONDS = 0.3
RESAMPLES = 2000

CONVERT = """
import sys
import mindspore_lite
converter = mindspore_lite.Converter()
converter.save_type = mindspore_lite.ModelType.MINDIR_LITE
converter.convert(mindspore_lite.FmkType.ONNX, sys.argv[1], sys.argv[2])
"""

# MindSpore cannot share a process with the engine that is measured here.
EXPORT = """
import sys
import inn_exporter
import numpy as np
images = np.random.default_rng(0).standard_normal((32, 3, 224, 224), dtype=np.float32)
inn_exporter.export(sys.argv[1], sys.argv[2], images, quadrature="none", sizes=(0.5, 1.0), images=16)
"""


def convert(python37: str, model: bytes, folder: Path) -> bytes:
    """The official converter's ``.ms`` of an ONNX network, its batch fixed to 1 as ours is."""
    proto = onnx.load_from_string(model)
    for value in [*proto.graph.input, *proto.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(proto, folder / "model.onnx")
    command = [python37, "-c", CONVERT, str(folder / "model.onnx"), str(folder / "model")]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "model.ms").read_bytes()


def outputs_differ(bundle: inn.Bundle, engine: Engine, contents: tuple[bytes, bytes]) -> float:
    """Largest difference of any output over its scale."""
    manifest = bundle.manifest
    inputs = {port.name: noise(index, port.engine_shape) for index, port in enumerate(manifest.inputs)}
    found, expected = (engine.build(content).run(inputs) for content in contents)
    return max(
        float(np.abs(found[port.name] - expected[port.name]).max() / np.abs(expected[port.name]).max())
        for port in manifest.outputs
    )


def alternate(models: list[EngineModel], rounds: int) -> tuple[np.ndarray, int]:
    """Milliseconds of one run, (rounds, 2), and runs per round and model; A B B A within a round."""
    inputs = {spec.name: noise(0, spec.shape) for spec in models[0].inputs}
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < WARMUP_SECONDS:
        for model in models:
            model.run(inputs)
        count += 2
    repeats = max(1, round(ROUND_SECONDS * count / WARMUP_SECONDS / 4))
    times = np.empty((rounds, 2, 2 * repeats))
    for round_ in range(rounds):
        first = round_ % 2
        for turn, which in enumerate((first, 1 - first, 1 - first, first)):
            for repeat in range(repeats):
                start = time.perf_counter()
                models[which].run(inputs)
                times[round_, which, (turn // 2) * repeats + repeat] = time.perf_counter() - start
    return 1e3 * np.median(times, axis=2), 2 * repeats


def compare(
    engine: Engine, contents: tuple[bytes, bytes], threads: int, builds: int, rounds: int
) -> tuple[np.ndarray, int]:
    """Milliseconds of one run, (builds, rounds, 2), and the number of timed runs of each model.

    Where a model's memory and threads happen to lie changes its time: each is built many times, and takes
    turns at being built and timed first. (A model against itself showed up to 1 % without that.)
    """
    parts, runs = [], 0
    for build in range(builds):
        order = (0, 1) if build % 2 == 0 else (1, 0)
        models = [engine.build(contents[which], threads) for which in order]
        times, per_round = alternate(models, rounds)
        parts.append(times[:, order])
        runs += rounds * per_round
        for model in models:
            model.close()
    return np.stack(parts), runs


def ratio_of_medians(times: np.ndarray, random: np.random.Generator) -> tuple[float, float, float]:
    """Ratio of medians over all rounds, and its bootstrap 95 % interval; builds are what is drawn."""
    chosen = times[random.integers(len(times), size=(RESAMPLES, len(times)))]
    medians = np.median(chosen, axis=(1, 2))
    low, high = np.percentile(medians[:, 0] / medians[:, 1], [2.5, 97.5])
    ours, theirs = np.median(times, axis=(0, 1))
    return float(ours / theirs), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--python37", required=True, help="a Python 3.7 that has mindspore-lite 2.0.0")
    parser.add_argument("--bundle", type=Path, default=Path("out/fashion-resnet20.inn"))
    parser.add_argument("--sizes", nargs="+", default=["tiny", "small", "full"], help="sizes of the bundle")
    parser.add_argument("--builds", type=int, default=60, help="times that each model is built")
    parser.add_argument("--rounds", type=int, default=10, help="rounds A B B A per build")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS_FOLDER / "converter.json")
    arguments = parser.parse_args()

    if arguments.threads == 1:
        # The engine hands every run to a thread of the model's own. Where the scheduler put that on another,
        # sleeping core, waking it cost 0.1 ms of 0.15, for whole builds and either model.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    random = np.random.default_rng(arguments.seed)
    engine = load_engine("native")
    results = Results("", arguments.seed)
    table = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(resnet18(random), folder / "resnet18.onnx")
        command = [sys.executable, "-c", EXPORT, str(folder / "resnet18.onnx"), str(folder / "resnet18.inn")]
        subprocess.run(command, check=True)
        bundle, large = inn.open(arguments.bundle), inn.open(folder / "resnet18.inn")
        cases = [(bundle, "calibrated", size) for size in arguments.sizes] + [(large, "l1", "0.5")]
        for source, method, size in cases:
            model = source.resample(size)
            onnx_model = export_onnx(source, size)
            contents = bytes(model.to_bytes()), convert(arguments.python37, onnx_model, folder)
            difference = outputs_differ(source, engine, contents)
            times, runs = compare(engine, contents, arguments.threads, arguments.builds, arguments.rounds)
            ratio, low, high = ratio_of_medians(times, random)
            medians = np.median(times, axis=(0, 1))
            network = {"model": source.manifest.name, "threads": arguments.threads}
            method = "full" if model.size == 1.0 else method
            results.add(
                method, model.size, "latency_over_converter", ratio, runs, low=low, high=high, **network
            )
            results.add(method, model.size, "p50_ms", float(medians[0]), runs, **network)
            results.add(method, model.size, "converter_p50_ms", float(medians[1]), runs, **network)
            results.add(method, model.size, "max_output_difference", difference, 1, **network)
            table.append(
                [
                    f"{source.manifest.name} {model.name}",
                    *(f"{value:.3f}" for value in medians),
                    f"{ratio:.3f}",
                    f"{low:.3f} to {high:.3f}",
                    f"{difference:.1e}",
                ]
            )
    results.write(arguments.out)
    header = ["network", "ours ms", "converter ms", "ratio", "95 %", "difference"]
    print(format_table(header, table))
    print(f"\nmedians of {arguments.builds} builds, each {arguments.rounds} rounds; target: at most {TARGET}")


if __name__ == "__main__":
    main()
