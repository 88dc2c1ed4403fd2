"""What an export is recorded as, and how two records are compared.

On the kind of machine on which a record was made (`fingerprint`), bytes must be equal. On others the last
digits of sums differ, and with them now and then a rounded value, or how many bits a kernel gets: there only
what does not depend on them must be equal (`portable`).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import inn_exporter
import numpy as np
from inn_runtime import Bundle
from safetensors import safe_open

from tests.golden.cases import SIZES, Case, images

FOLDER = Path(__file__).parent / "records"
TOLERANCE = 1e-3
"""Relative, of numbers on another machine."""


def fingerprint() -> dict[str, str]:
    """What the last digits of an export depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": processor or platform.processor(),
        "blas": os.environ.get("OPENBLAS_CORETYPE", ""),
        "cores": str(os.cpu_count()),
        **{name: version(name) for name in ("mindspore", "numpy", "scipy")},
    }


def export(case: Case, folder: Path) -> Bundle:
    """The bundle of a case, made anew."""
    options: dict[str, Any] = {"sizes": SIZES, "images": case.images // 2, "seed": 3, **case.options}
    if options.get("tune"):
        options["tune"] = images(case.shape, case.images, seed=2)
    data = images(case.shape, case.images)
    return inn_exporter.export(case.network(), folder / "golden.inn", data, **options)


def record(bundle: Bundle) -> dict[str, Any]:
    """A bundle as JSON: its manifest without dates, versions and digests, a line for each tensor, and the
    digest of the `.ms` model of each size."""
    with safe_open(bundle.source, "np") as file:
        manifest = json.loads(file.metadata()["innlite"])
        tensors = {name: _tensor(file.get_tensor(name)) for name in sorted(file.keys())}
    for name in ("producer", "digests"):
        del manifest[name]
    models = {
        f"{size.size:g}": hashlib.sha256(bundle.resample(size.size).to_bytes()).hexdigest()
        for size in bundle.manifest.sizes
    }
    return {"manifest": manifest, "tensors": tensors, "models": models}


def _tensor(values: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
    norm = float(np.linalg.norm(values.astype(np.float64)))
    return {"type": values.dtype.name, "shape": list(values.shape), "norm": norm, "digest": digest}


def portable(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record is the same on every machine, but for the last digits of its numbers."""
    manifest = {name: value for name, value in record["manifest"].items() if name not in ("sizes", "curve")}
    sizes = [{"size": size["size"], "widths": size["widths"]} for size in record["manifest"]["sizes"]]
    tensors = {name: t for name, t in record["tensors"].items() if name.startswith("weight/")}
    without_digests = {name: {k: v for k, v in t.items() if k != "digest"} for name, t in tensors.items()}
    return {"manifest": manifest, "sizes": sizes, "tensors": without_digests}


def differences(found: Any, expected: Any, tolerance: float = 0.0, path: str = "") -> Iterator[str]:
    """Where two records differ, one line each."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            if key not in found or key not in expected:
                yield f"{path}.{key}: only {'expected' if key in expected else 'found'}"
            else:
                yield from differences(found[key], expected[key], tolerance, f"{path}.{key}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for index, pair in enumerate(zip(found, expected)):
            yield from differences(*pair, tolerance, f"{path}[{index}]")
    elif isinstance(found, float) and isinstance(expected, float):
        if abs(found - expected) > tolerance * max(abs(expected), 1.0):
            yield f"{path}: expected {expected!r:.80}, found {found!r:.80}"
    elif found != expected:
        yield f"{path}: expected {expected!r:.80}, found {found!r:.80}"
