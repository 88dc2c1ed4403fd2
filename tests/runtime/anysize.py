"""tiny without calibrated data: it can be built at any size."""

from __future__ import annotations

from pathlib import Path

import inn_runtime as inn
import tiny


def write(path: Path, align: int = 1, measured: bool = True) -> inn.Bundle:
    document, values = tiny.manifest(), tiny.tensors()
    for size in document["sizes"]:
        size.update(tables={}, overrides={})
    document["sizes"][0]["measured"] = {"agreement": 0.9} if measured else {}
    document["sizes"][1]["measured"] = {"agreement": 1.0} if measured else {}
    document["align"] = align
    values = {key: value for key, value in values.items() if key.startswith("weight/")}
    return inn.open(tiny.write(path, document, values))
