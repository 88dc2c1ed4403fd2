"""A calibrated size as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from inn_runtime.format.axis import Grid
from safetensors.numpy import load, save

from ..calibration.calibrated_size import CalibratedSize
from ..storage.stored import Stored

_KEY = "size"
_STORED = ("tables", "changed", "corrections")


def size_to_bytes(size: CalibratedSize) -> bytes:
    """All of it but the constants that follow from the rest (`CalibratedSize.sampled`)."""
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {
        "widths": [int(width) for width in size.widths],
        "refit": size.refit,
        "storage": size.storage,
    }
    for field in _STORED:
        values: Mapping[Any, Stored] = getattr(size, field)
        facts[field] = {}
        for name, stored in values.items():
            key = f"{field}/{name}"
            facts[field][str(name)] = stored.bits
            arrays[key] = np.ascontiguousarray(stored.values)
            if stored.scale is not None:
                arrays[f"{key}.scale"] = np.ascontiguousarray(stored.scale)
    facts["grids"] = [int(group) for group in size.grids]
    for group, grid in size.grids.items():
        arrays[f"grid/{group}"] = np.stack([grid.nodes, grid.weights])
    return save(arrays, {_KEY: json.dumps(facts)})


def size_from_bytes(content: bytes) -> CalibratedSize:
    """What `size_to_bytes` wrote."""
    arrays = load(content)
    facts = json.loads(_metadata(content)[_KEY])

    def stored(field: str) -> dict[str, Stored]:
        return {
            name: Stored(arrays[f"{field}/{name}"], arrays.get(f"{field}/{name}.scale"), bits)
            for name, bits in facts[field].items()
        }

    return CalibratedSize(
        facts["widths"],
        facts["refit"],
        facts["storage"],
        tables={int(index): table for index, table in stored("tables").items()},
        changed=stored("changed"),
        corrections=stored("corrections"),
        grids={group: Grid(*arrays[f"grid/{group}"]) for group in facts["grids"]},
    )


def _metadata(content: bytes) -> dict[str, str]:
    """Of a safetensors file: 8 bytes that say how long its header is, and the header, JSON."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata
