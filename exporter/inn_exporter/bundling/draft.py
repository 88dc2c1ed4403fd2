"""Putting a bundle together: manifest and tensors (docs/reference/bundle-format.md)."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
from inn_runtime.format.hasher import digest
from inn_runtime.format.manifest import Dimension
from inn_runtime.format.parser import FORMAT_VERSION, parse
from inn_runtime.format.stores import METADATA_KEY, SOURCE_KEY, MemoryStore
from inn_runtime.network import Bundle
from safetensors.numpy import save

from ..calibration.calibrated_size import CalibratedSize
from ..defaults import PRESETS
from ..graph.lowered import LoweredGraph
from ..ordering.continuous import ContinuousNetwork
from ..storage.bits import calibration_storage
from ..storage.stored import Stored, store


@dataclass
class Draft:
    """A bundle in the making: the manifest as JSON-ready values, and the tensors."""

    manifest: dict[str, Any]
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    def bundle(self, label: str) -> Bundle:
        """The bundle as the runtime sees it."""
        return Bundle(parse(json.loads(self._json()), label), MemoryStore(self.tensors), label)

    def to_bytes(self) -> bytes:
        """The `.inn` file."""
        return save(self.tensors, {METADATA_KEY: self._json()})

    def _json(self) -> str:
        digests = {key: digest(array) for key, array in sorted(self.tensors.items())}
        return json.dumps({**self.manifest, "digests": digests}, separators=(",", ":"), allow_nan=False)


def assemble(
    network: ContinuousNetwork,
    lowered: LoweredGraph,
    sizes: Mapping[float, CalibratedSize],
    *,
    storage: str,
    align: int,
    source: bytes,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    seed: int,
    schedule: str = "uniform",
    made: Mapping[str, str] | None = None,
) -> Draft:
    """A bundle without its measured curve and self-check; ``sizes`` maps each size below 1 to its data.

    ``schedule`` is the cost by which the widths of the sizes were chosen, see `OBJECTIVES`; ``made`` says how
    the bundle was made, see `Options.recorded`.
    """
    channels = network.channels
    draft = Draft(
        {
            "format_version": FORMAT_VERSION,
            "producer": {
                "innlite": version("innlite"),
                "mindspore": version("mindspore"),
                "python": platform.python_version(),
                "date": date.today().isoformat(),
                **(made or {}),
            },
            **_network(network, lowered, labels, preprocessing),
            "align": align,
            "schedule": schedule,
            "sizes": [],
            "presets": PRESETS,
            "curve": {},
            "check_seed": seed,
        }
    )
    for weight in lowered.weights:
        # The output channel comes first in a graph's constant, wherever the engine wants it.
        channel = weight.permutation.index(0)
        values = network.graph.constants[weight.name].transpose(weight.permutation)
        store(values, storage, channel).add_to(draft.tensors, f"weight/{weight.name}")
    for size, calibrated in sorted(sizes.items()):
        draft.manifest["sizes"].append(_size(draft, lowered, size, calibrated, storage))
    full = {"size": 1.0, "widths": channels.sizes, "tables": {}, "overrides": {}, "measured": {}, "check": {}}
    draft.manifest["sizes"].append(full)
    draft.tensors[SOURCE_KEY] = np.frombuffer(source, np.uint8)
    return draft


def _network(
    network: ContinuousNetwork,
    lowered: LoweredGraph,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
) -> dict[str, Any]:
    """What the manifest says of the network, whatever its sizes."""
    graph, channels = network.graph, network.channels
    return {
        "name": graph.name,
        "inputs": [
            {
                "name": name,
                "tensor": index,
                "shape": list(graph.shapes[name]),
                "preprocessing": preprocessing.get(name),
            }
            for name, index in zip(graph.inputs, lowered.inputs)
        ],
        "outputs": [
            {"name": name, "tensor": index, "shape": list(graph.shapes[name])}
            for name, index in zip(graph.outputs, lowered.outputs)
        ],
        "labels": list(labels),
        "groups": [
            {
                "name": group.name,
                "size": group.size,
                "kernel": axis.kernel,
                "quadrature": axis.quadrature,
                "members": list(group.members),
            }
            for group, axis in zip(channels.groups, network.axes)
        ],
        "quadratures": [{"name": key.name, "group": group} for key, group in channels.quadratures],
        "weights": [{"name": w.name, "dims": [_dimension(d) for d in w.dims]} for w in lowered.weights],
        "tensors": lowered.tensors,
        "nodes": lowered.nodes,
        "macs": lowered.macs,
        **({"one_image": True} if lowered.one_image else {}),
    }


def _dimension(dimension: Dimension) -> list[dict[str, int]]:
    names = ("group", "outer", "inner", "quadrature")
    return [
        {n: v for n in names if (v := getattr(s, n)) is not None and not (n in ("outer", "inner") and v == 1)}
        for s in dimension
    ]


def _size(
    draft: Draft, lowered: LoweredGraph, size: float, calibrated: CalibratedSize, storage: str
) -> dict[str, Any]:
    """Store what a size needs: changed constants, and each table or, if smaller, its readers' weights."""
    overrides: dict[str, str] = {}
    corrections: dict[str, str] = {}
    tables: dict[str, str] = {}

    def add(kind: str, references: dict[str, str], index: int, stored: Stored) -> None:
        weight = lowered.weights[index]
        key = references[str(index)] = f"{kind}/{weight.name}@{size:g}"
        stored.transpose(weight.permutation).add_to(draft.tensors, key)

    consumers: dict[int, list[int]] = {}
    for index, weight in enumerate(lowered.weights):
        if weight.name in calibrated.changed:
            add("override", overrides, index, calibrated.changed[weight.name])
        elif weight.name not in calibrated.corrections:
            for quadrature in _quadratures(weight.dims):
                consumers.setdefault(quadrature, []).append(index)
    for quadrature, indices in sorted(consumers.items()):
        table = calibrated.tables.get(quadrature)
        if table is None or not table.read().any():  # the rule is right as it is
            continue
        # Calibration took a finished weight for the product of grid and table: it may not move much.
        kind = calibration_storage(storage)
        weights = [lowered.weights[i] for i in indices]
        finished = sum(calibrated.constants[w.name].size for w in weights) * np.dtype(kind).itemsize
        alone = all(len(_quadratures(w.dims)) == 1 for w in weights)
        if alone and finished < table.nbytes:
            for index, weight in zip(indices, weights):
                add("override", overrides, index, store(calibrated.constants[weight.name], kind))
        else:
            key = tables[str(quadrature)] = f"table/{quadrature}@{size:g}"
            table.add_to(draft.tensors, key)
    for index, weight in enumerate(lowered.weights):
        correction = calibrated.corrections.get(weight.name)
        # Beside tables, one of zeros says that they are not for this weight.
        if correction is not None and (correction.read().any() or tables):
            add("correction", corrections, index, correction)
    grids = {str(group): f"grid/{group}@{size:g}" for group in calibrated.grids}
    for group, grid in calibrated.grids.items():
        draft.tensors[grids[str(group)]] = np.stack([grid.nodes, grid.weights]).astype(np.float32)
    return {
        "size": size,
        "widths": calibrated.widths,
        "tables": tables,
        "overrides": overrides,
        **({"corrections": corrections} if corrections else {}),
        **({"grids": grids} if grids else {}),
        "measured": {},
        "check": {},
    }


def _quadratures(dims: Sequence[Dimension]) -> list[int]:
    return [s.quadrature for dimension in dims for s in dimension if s.quadrature is not None]
