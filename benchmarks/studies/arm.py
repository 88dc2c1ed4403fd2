"""The same bundle in Python and C++, here and on aarch64 under emulation; and what resampling costs.

    python -m benchmarks.studies.arm            # writes benchmarks/results/arm.json

Resamples ``out/fashion-resnet20.inn`` (made by ``scripts/demo.sh``) at two sizes and runs 100 test images
with `inn` and `inn-device`, each here and on aarch64 under qemu with the real aarch64 MindSpore Lite. All is
compared with `inn` on this machine. No time is taken under emulation. Resampling in C++ and Python is timed
here, in processes that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from flatbuffers.table import Table

from benchmarks.harness.results import RESULTS_FOLDER, Results
from benchmarks.networks import fashion_mnist

ROOT = Path(__file__).parents[2]
ARM = ROOT / "device_demo" / "arm"
HERE = os.uname().machine

# Where FlatBuffers' tables keep the offsets of slots 7 (MetaGraph's allTensors), 1 and 6 (Tensor's).
TENSORS, DATA_TYPE, DATA = 18, 6, 16
FLOAT32 = 43

INN = [sys.executable, "-m", "inn_runtime.cli"]
DEVICE = [str(ROOT / "out" / f"device-{HERE}" / "inn-device")]
PROGRAMS = {
    f"inn, {HERE}": INN,
    f"inn-device, {HERE}": DEVICE,
    "inn, aarch64 emulated": [str(ARM / "emulate_python.sh")],
    "inn-device, aarch64 emulated": [str(ARM / "emulate.sh")],
}


def run(command: list[str], *arguments: str | Path) -> str:
    """The command's output; the end of this program where it fails."""
    environment = {**os.environ, "PYTHON": sys.executable}
    result = subprocess.run(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=False, env=environment
    )
    if result.returncode != 0:
        sys.exit(f"arm: {command[0]} failed")
    return result.stdout


def tensors(content: bytes) -> list[np.ndarray]:
    """The float32 constants of a `.ms` file."""
    meta = Table(bytearray(content), struct.unpack_from("<I", content)[0])
    start, found = meta.Vector(meta.Offset(TENSORS)), []
    for index in range(meta.VectorLen(meta.Offset(TENSORS))):
        tensor = Table(meta.Bytes, meta.Indirect(start + 4 * index))
        kind = struct.unpack_from("<i", content, tensor.Pos + tensor.Offset(DATA_TYPE))[0]
        if kind == FLOAT32 and tensor.Offset(DATA):
            count = tensor.VectorLen(tensor.Offset(DATA)) // 4
            found.append(np.frombuffer(content, "<f4", count, tensor.Vector(tensor.Offset(DATA))))
    return found


def tensor_difference(found: bytes, expected: bytes) -> float:
    """Largest difference of a tensor over its scale; infinite where the graphs differ."""
    pairs = list(zip(tensors(found), tensors(expected)))
    if len(found) != len(expected) or any(ours.shape != theirs.shape for ours, theirs in pairs):
        return float("inf")
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in pairs)


def answers(
    command: list[str], bundle: Path, size: str, images: Path, folder: Path
) -> tuple[bytes, np.ndarray]:
    """The `.ms` file and the scores of the images, by one program."""
    run(command, "resample", bundle, "--size", size, "-o", folder / "a.ms")
    run(command, "run", bundle, "--size", size, "--input", images, "-o", folder / "a.npz")
    with np.load(folder / "a.npz") as outputs:
        (name,) = outputs.files
        return (folder / "a.ms").read_bytes(), outputs[name]


def resample_times(command: list[str], bundle: Path, size: str) -> float:
    """Milliseconds to resample once, in a process of its own: digests are checked, as at any first use."""
    text = run(command, "bench", bundle, "--sizes", size, "--runs", "1", "--warmup", "0", "--json")
    return float(json.loads(text)[0]["resample"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bundle", type=Path, default=ROOT / "out" / "fashion-resnet20.inn")
    parser.add_argument("--sizes", default="small,medium")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--runs", type=int, default=15, help="timed resamplings of each kind")
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "arm.json")
    arguments = parser.parse_args()
    if not arguments.bundle.is_file():
        sys.exit(f"arm: {arguments.bundle} is missing: run scripts/demo.sh")
    for machine in {HERE, "aarch64"}:
        run([str(ARM / "build.sh")], machine)

    images, labels = (array[: arguments.images] for array in fashion_mnist.load("test"))
    results = Results(arguments.bundle.stem, seed=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", images)
        for size in arguments.sizes.split(","):
            compare(arguments.bundle, size, folder, labels, results)
            time_resampling(arguments.bundle, size, arguments.runs, results)
    results.write(arguments.output)


def compare(bundle: Path, size: str, folder: Path, labels: np.ndarray, results: Results) -> None:
    """Every program's model and answers at a size against those of `inn` on this machine."""
    reference: tuple[bytes, np.ndarray] | None = None
    fraction = json.loads(run(INN, "resample", bundle, "--size", size, "-o", os.devnull, "--json"))["size"]
    for method, command in PROGRAMS.items():
        model, scores = answers(command, bundle, size, folder / "x.npy", folder)
        reference = reference or (model, scores)
        expected = reference[1]
        difference = float(np.abs(scores - expected).max() / np.abs(expected).max())
        same = float(np.mean(scores.argmax(1) == expected.argmax(1)))
        accuracy = float(np.mean(scores.argmax(1) == labels))
        count = len(labels)
        tensor = tensor_difference(model, reference[0])
        results.add(method, fraction, "tensor_difference", tensor, 1)
        results.add(method, fraction, "output_difference", difference, count)
        results.add(method, fraction, "same_predictions", same, count)
        results.add(method, fraction, "accuracy", accuracy, count)
        print(
            f"{size:8}{method:32}tensors {tensor:.1e}, outputs {difference:.1e}, "
            f"predictions {same:.0%} the same, accuracy {accuracy:.2%}",
            flush=True,
        )


def time_resampling(bundle: Path, size: str, runs: int, results: Results) -> None:
    """Medians of both programs, taking turns, and of their ratio."""
    fraction = json.loads(run(INN, "resample", bundle, "--size", size, "-o", os.devnull, "--json"))["size"]
    pairs = np.array([[resample_times(c, bundle, size) for c in (DEVICE, INN)] for _ in range(runs)])
    ratio = float(np.median(pairs[:, 0] / pairs[:, 1]))
    for method, time in zip((f"inn-device, {HERE}", f"inn, {HERE}"), np.median(pairs, axis=0)):
        results.add(method, fraction, "resample_ms", float(time), runs)
    results.add(f"inn-device, {HERE}", fraction, "resample_ratio", ratio, runs)
    print(f"{size:8}resampling takes inn-device {ratio:.2f} of the time of inn", flush=True)


if __name__ == "__main__":
    main()
