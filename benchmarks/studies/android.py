"""The offline APK: how large it is, what it is made of, how long its build takes.

python -m benchmarks.studies.android out/fashion-resnet20.inn --samples out/samples
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

from benchmarks.harness.results import RESULTS_FOLDER, Results

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "device_demo" / "android" / "build.sh"
PARTS = {"assets/": "bundle_and_samples", "lib/": "native_libraries", "classes.dex": "classes"}


def build(arguments: argparse.Namespace, output: Path) -> float:
    """Seconds."""
    start = time.perf_counter()
    command = [BUILD, arguments.bundle, "--samples", arguments.samples, "--output", output]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS_FOLDER / "android.json")
    arguments = parser.parse_args()
    results = Results(arguments.bundle.stem, 0)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "innlite.apk"
        results.add("apk", 1.0, "build_seconds", build(arguments, output), 1)
        results.add("apk", 1.0, "rebuild_seconds", build(arguments, output), 1)
        total = output.stat().st_size
        results.add("apk", 1.0, "bytes", total, 1)
        parts = dict.fromkeys(PARTS.values(), 0)
        with zipfile.ZipFile(output) as archive:
            for entry in archive.infolist():
                for prefix, part in PARTS.items():
                    parts[part] += entry.compress_size if entry.filename.startswith(prefix) else 0
        parts["resources_and_signature"] = total - sum(parts.values())
        for part, size in parts.items():
            results.add("apk", 1.0, f"{part}_bytes", size, 1)
    results.write(arguments.out)
    for row in results.rows:
        print(f"{row['metric']}: {row['value']:,.1f}")


if __name__ == "__main__":
    main()
