"""Leaving out of a bundle what a device does not need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from ..errors import BundleError, UsageError
from .container import Container
from .hasher import digest
from .stores import METADATA_KEY, SCALE_SUFFIX, SOURCE_KEY, FileStore


def strip(
    bundle: Container,
    min_size: float = 0.0,
    max_size: float = 1.0,
    *,
    keep_check: bool = False,
    keep_source: bool = False,
) -> bytes:
    """A smaller bundle: fewer calibrated sizes, no self-check, no source network.

    Size 1 always stays: its weights are what every other size is made of. Presets of sizes that go, go too.

    Parameters
    ----------
    min_size, max_size : sizes from here to there stay
    keep_check, keep_source : also keep the outputs that `inn verify` expects, and the source network that
        the exporter writes as ONNX

    Returns
    -------
    The bytes of an `.inn` file.

    Raises
    ------
    UsageError : no size but 1 would stay
    BundleError : a tensor is damaged
    """
    store = FileStore(Path(bundle.source))
    document: dict[str, Any] = json.loads(store.metadata[METADATA_KEY])
    kept = [size for size in document["sizes"] if size["size"] == 1.0 or min_size <= size["size"] <= max_size]
    if len(kept) == 1 < len(document["sizes"]):  # what is left would no longer say how to make smaller ones
        sizes = ", ".join(f"{size['size']:g}" for size in document["sizes"])
        raise UsageError(
            f"{bundle.source}: no size below 1 is from {min_size:g} to {max_size:g}: the bundle has {sizes}"
        )
    if not keep_check:
        for size in kept:
            size["check"] = {}
    numbers = {size["size"] for size in kept}
    names = {f"weight/{weight['name']}" for weight in document["weights"]}
    for size in kept:
        for part in ("tables", "overrides", "corrections", "grids", "check"):
            names.update(size.get(part, {}).values())
    names.update([key + SCALE_SUFFIX for key in names])
    if keep_source:
        names.add(SOURCE_KEY)
    document["sizes"] = kept
    document["presets"] = {name: size for name, size in document["presets"].items() if size in numbers}
    document["digests"] = {key: value for key, value in document["digests"].items() if key in names}
    tensors = {key: _stored(store, key, document["digests"][key]) for key in document["digests"]}
    return save(tensors, {METADATA_KEY: json.dumps(document, separators=(",", ":"), allow_nan=False)})


def _stored(store: FileStore, key: str, expected: str) -> npt.NDArray[np.generic]:
    """A tensor as it lies in the file."""
    shape = store.layout()[key][1]
    array = store.read(key, 0, shape[0] if shape else 1).reshape(shape)
    if digest(array) != expected:
        raise BundleError(f"{store.path}: tensor {key!r} is damaged")
    return array
