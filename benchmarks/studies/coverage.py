"""Networks that nobody here wrote: which import, how many channel groups they have, and parity when resized.

    python -m benchmarks.studies.coverage [--group light | torch | keras | trained | packages …]
                                          [--only NAME …] [--torch-python python3]

The networks are those of ``networks/zoo.py``. Each is exported by plain selection and run at full size, .75
and .5: MindSpore Lite against ONNX Runtime on the original and on the resized ONNX, largest difference
relative to the largest output. Adds to ``benchmarks/results/coverage.json``, from which
``reports/coverage.py`` writes ``docs/results/coverage.md``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import inn_exporter
import inn_runtime as inn
import numpy as np
import onnxruntime
from inn_exporter.bundling.onnx_writer import resized_onnx
from inn_exporter.importers import import_onnx
from inn_exporter.passes.folding import fold
from inn_exporter.passes.groups import chosen_groups
from onnx import ModelProto

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.networks import zoo

SIZES = (1.0, 0.75, 0.5)
IMAGES = 16


def oracle(model: ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers)
    return list(session.run(None, inputs))


def measure(name: str, source: Callable[[int], ModelProto], seed: int, results: Results) -> None:
    """What the table says of one network."""
    start = time.perf_counter()
    model = source(seed)
    shapes = zoo.SHAPES.get(name, {})
    graph = import_onnx(model, shapes)
    _, channels = chosen_groups(fold(graph), (), ())
    random = np.random.default_rng(seed)
    strength = np.float32(zoo.STRENGTH.get(name, 1.0))
    data = {
        port: strength * random.standard_normal((IMAGES, *graph.shapes[port][1:]), np.float32)
        for port in graph.inputs
    }
    options = {"quadrature": "none", "sizes": SIZES, "images": IMAGES, "storage": "float32", "seed": seed}
    options |= {"input_shapes": shapes}
    bundle = inn_exporter.export(model, zoo.OUT / f"{name}.inn", data, **options)
    one = {port: array[:1] for port, array in data.items()}
    cells = []
    for size in SIZES:
        resized = bundle.resample(size)
        expected = oracle(model if size == 1.0 else resized_onnx(resized), one)
        with resized.session() as session:
            found = session.run(one)
        outputs = list(found.values()) if isinstance(found, dict) else [found]
        if not all(np.abs(e).max() > 0 for e in expected):
            raise RuntimeError(f"{name}: an output is all noughts")
        parity = max(float(np.abs(f - e).max() / np.abs(e).max()) for f, e in zip(outputs, expected))
        results.add(name, size, "parity", parity, 1, parameters=resized.parameters, macs=resized.macs)
        cells.append(f"{parity:.0e}")
    kept = bundle.resample(0.5).parameters / bundle.resample(1.0).parameters
    results.add(name, 1.0, "groups", len(channels.groups), 1)
    results.add(name, 1.0, "nodes", len(graph.nodes), 1)
    results.add(name, 0.5, "parameters_kept", kept, 1)
    seconds = time.perf_counter() - start
    print(f"{name}: {len(channels.groups)} groups, {', '.join(cells)} ({seconds:.0f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--group", nargs="+", choices=zoo.groups(), default=list(zoo.groups()))
    parser.add_argument(
        "--only", nargs="+", choices=zoo.names(), metavar="NAME", help="and no others of a group"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "coverage.json")
    parser.add_argument(
        "--torch-python",
        default="python3",
        metavar="PYTHON",
        help="a Python with torchvision (default: python3)",
    )
    arguments = parser.parse_args()
    groups = zoo.groups(arguments.torch_python)
    sources = {name: source for group in groups.values() for name, source in group.items()}
    zoo.OUT.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or [name for group in arguments.group for name in groups[group]]:
        results = Results("coverage", arguments.seed)
        try:
            measure(name, sources[name], arguments.seed, results)
        except inn.UsageError as error:
            reason = " ".join(line.strip() for line in str(error).splitlines()[:3])
            results.add(name, 1.0, "refused", 1.0, 1, reason=reason)
            print(f"{name}: refused: {reason}", flush=True)
        except inn.InnError as error:  # a bundle that is not what the source is, say
            reason = str(error).splitlines()[0]
            results.add(name, 1.0, "refused", 1.0, 1, reason=reason)
            print(f"{name}: no bundle: {reason}", flush=True)
        except RuntimeError as error:
            print(f"{name}: failed: {str(error).splitlines()[0]}", flush=True)
            continue
        results.write(arguments.output, keep_others=True)


if __name__ == "__main__":
    main()
