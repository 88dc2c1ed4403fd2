"""Random networks by the thousand: is any that is accepted wrong?

    python -m benchmarks.studies.random_networks --networks 5000

Each is exported without calibration or with quadratures, and compared at sizes 1, .6 and .25: the full size
with the source file in ONNX Runtime (by the export itself), the others with the resized ONNX there. Every
tenth has neighbouring channels that are equal: at half width it must lose nothing. Writes
``benchmarks/results/random_networks.json`` as it goes, and says which seeds are wrong or refused (a network
none of whose widths can change, for one).
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import inn_exporter
import numpy as np
import onnxruntime
from inn_exporter.bundling.onnx_writer import export_onnx
from inn_runtime.errors import InnError
from inn_runtime.source import SourceModel, relative_difference

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.networks.random_networks import random_network

SIZES = (0.25, 0.6, 1.0)
TOLERANCE = 1e-3
LOST_BY_TWINS = 1e-3
"""Of an output's variance."""


def judged(seed: int, folder: Path) -> tuple[str, str]:
    """``accepted``, ``refused`` or ``wrong``, and what was said or found, in one line."""
    twins = seed % 10 == 0
    model, shapes = random_network(seed, twins)
    random = np.random.default_rng(seed)
    data = {name: random.standard_normal((48, *shape)).astype(np.float32) for name, shape in shapes.items()}
    plain = {"quadrature": "none"} if seed % 4 == 1 else {"effort": "fast"}
    sizes = (0.5,) if twins else SIZES
    try:
        bundle = inn_exporter.export(model, folder / "a.inn", data, sizes=sizes, storage="float32", **plain)
        few = data if twins else {name: array[:3] for name, array in data.items()}
        with bundle.resample(1.0).session() as session:
            for size in (0.5,) if twins else (0.6, 0.25):
                session.resize(size)
                oracle = SourceModel(model.SerializeToString() if twins else export_onnx(bundle, size))
                expected, found = oracle.run(few), session.run(few)
                outputs = found if isinstance(found, dict) else dict(zip(expected, [found]))
                for name, values in expected.items():
                    lost = float(np.square(outputs[name] - values).mean() / max(values.var(), 1e-12))
                    apart = relative_difference(outputs[name], values)
                    if lost > LOST_BY_TWINS if twins else not apart <= TOLERANCE:
                        return "wrong", f"size {size:g}: {name}: {lost if twins else apart:.1e}"
    except InnError as error:
        return "refused", str(error).splitlines()[0]
    except Exception as error:  # a traceback is what this looks for
        return "wrong", f"{type(error).__name__}: {error}"
    return "accepted", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--networks", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="of the first network")
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "random_networks.json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(4)
    start, found = time.perf_counter(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.networks):
            seed = arguments.first + number
            verdict, what = judged(seed, Path(folder))
            found[verdict] += 1
            if verdict != "accepted":
                print(f"seed {seed} {verdict}: {what}", flush=True)
            if (number + 1) % 50 == 0 or number + 1 == arguments.networks:
                minutes = (time.perf_counter() - start) / 60
                counts = ", ".join(f"{found[name]} {name}" for name in ("accepted", "refused", "wrong"))
                print(f"{number + 1} networks: {counts} ({minutes:.0f} min)", flush=True)
                results = Results("random", arguments.first)
                for name in ("accepted", "refused", "wrong"):
                    results.add("export", 1.0, name, found[name], number + 1)
                results.write(arguments.output)


if __name__ == "__main__":
    main()
