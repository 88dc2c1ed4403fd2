"""A complete small bundle, written by hand from docs/reference/bundle-format.md: conv, conv, mean, dense."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

CHANNELS = (8, 6)
WIDTHS = {0.5: (4, 3), 1.0: CHANNELS}
CONVOLUTION, MEAN, TRANSPOSE, FLATTEN, DENSE = 35, 17, 162, 61, 89


def _convolution(name: str, inputs: list[int], output: int, channels: tuple[Any, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "primitive": CONVOLUTION,
        "attributes": [
            [0, "int", 1], [1, "longs", [3, 3]], [2, "longs", [1, 1]], [3, "longs", [1, 1]],
            [4, "byte", 0], [5, "longs", [1, 1, 1, 1]], [6, "long", 0], [7, "long", 1],
            [8, "long", channels[0]], [9, "long", channels[1]], [10, "byte", 1],
        ],
        "inputs": inputs,
        "outputs": [output],
    }  # fmt: skip


def manifest() -> dict[str, Any]:
    """The manifest, without its digests."""
    taps = [{"inner": 3}]
    return {
        "format_version": 2,
        "name": "tiny",
        "producer": {"innlite": "0.1.0"},
        "inputs": [{"name": "image", "tensor": 0, "shape": [1, 2, 5, 4], "preprocessing": None}],
        "outputs": [{"name": "scores", "tensor": 13, "shape": [1, 3]}],
        "labels": ["a", "b", "c"],
        "groups": [
            {"name": f"g{i}", "size": n, "kernel": "selection", "quadrature": "none", "members": []}
            for i, n in enumerate(CHANNELS)
        ],
        "quadratures": [{"name": "first", "group": 0}, {"name": "second", "group": 1}],
        "weights": [
            {"name": "w0", "dims": [[{"group": 0}], taps, taps, [{"inner": 2}]]},
            {"name": "b0", "dims": [[{"group": 0}]]},
            {"name": "w1", "dims": [[{"group": 1}], taps, taps, [{"group": 0, "quadrature": 0}]]},
            {"name": "b1", "dims": [[{"group": 1}]]},
            {"name": "w2", "dims": [[{"inner": 3}], [{"group": 1, "quadrature": 1}]]},
            {"name": "b2", "dims": [[{"inner": 3}]]},
        ],
        "tensors": [
            {"name": "image", "dims": [1, 5, 4, 2]},
            *[{"name": n, "weight": i} for i, n in enumerate(("w0", "b0", "w1", "b1", "w2", "b2"))],
            {"name": "first"}, {"name": "second"}, {"name": "mean"},
            {"name": "order", "values": [0, 3, 1, 2], "shape": [4]},
            {"name": "nchw"}, {"name": "flat"}, {"name": "scores"},
        ],
        "nodes": [
            _convolution("c0", [0, 1, 2], 7, (2, [[1, 0]])),
            _convolution("c1", [7, 3, 4], 8, ([[1, 0]], [[1, 1]])),
            {
                "name": "mean",
                "primitive": MEAN,
                "attributes": [
                    [0, "longs", [1, 1]], [1, "longs", [1, 1]], [2, "longs", [0, 0, 0, 0]],
                    [5, "int", 1], [6, "bool", True],
                ],
                "inputs": [8],
                "outputs": [9],
            },
            {"name": "t", "primitive": TRANSPOSE, "attributes": [], "inputs": [9, 10], "outputs": [11]},
            {
                "name": "f", "primitive": FLATTEN, "attributes": [[0, "long", 1]],
                "inputs": [11], "outputs": [12],
            },
            {
                "name": "d",
                "primitive": DENSE,
                "attributes": [[0, "bool", False], [1, "bool", True]],
                "inputs": [12, 5, 6],
                "outputs": [13],
            },
        ],
        "macs": [[360, 0], [180, 0, 1], [3, 1]],
        "align": 1,
        "schedule": "uniform",
        "sizes": [
            {
                "size": 0.5,
                "widths": list(WIDTHS[0.5]),
                "tables": {"0": "table/0@0.5"},
                "overrides": {"3": "override/b1@0.5", "4": "override/w2@0.5"},
                "measured": {"agreement": 0.9},
                "check": {},
            },
            {
                "size": 1.0, "widths": list(CHANNELS), "tables": {}, "overrides": {},
                "measured": {}, "check": {},
            },
        ],
        "presets": {"small": 0.5, "full": 1.0},
        "curve": {"metrics": ["agreement"], "n": 10},
        "check_seed": 0,
    }  # fmt: skip


def tensors() -> dict[str, np.ndarray]:
    """Seeded values of every tensor."""
    random = np.random.default_rng(0)
    shapes = {
        "weight/w0": (8, 3, 3, 2), "weight/b0": (8,), "weight/w1": (6, 3, 3, 8), "weight/b1": (6,),
        "weight/w2": (3, 6), "weight/b2": (3,), "table/0@0.5": (8, 4), "override/b1@0.5": (3,),
        "override/w2@0.5": (3, 3),
    }  # fmt: skip
    return {
        name: (random.standard_normal(shape) * 0.3).astype(np.float32 if len(shape) == 1 else np.float16)
        for name, shape in shapes.items()
    }


def digest(array: np.ndarray) -> str:
    """The first 128 bits of a tensor's sha256, in hexadecimal."""
    return hashlib.sha256(array.tobytes()).digest()[:16].hex()


def write(
    path: Path, document: dict[str, Any] | None = None, values: dict[str, np.ndarray] | None = None
) -> Path:
    """Write a bundle; digests are filled in where the manifest has none."""
    document = deepcopy(manifest() if document is None else document)
    values = tensors() if values is None else values
    document.setdefault("digests", {k: digest(v) for k, v in values.items()})
    path.write_bytes(save(values, {"innlite": json.dumps(document)}))
    return path


def reference(values: dict[str, np.ndarray], size: float, images: np.ndarray) -> np.ndarray:
    """The network's output by plain NumPy, (n, 3)."""
    v = {k: a.astype(np.float64) for k, a in values.items()}
    w0, b0, w1, b1, w2, b2 = (v[f"weight/{k}"] for k in ("w0", "b0", "w1", "b1", "w2", "b2"))
    if size == 0.5:
        w0, b0 = w0[:4], b0[:4]
        w1 = w1[:3] @ (np.eye(8, 4) + v["table/0@0.5"])
        b1, w2 = v["override/b1@0.5"], v["override/w2@0.5"]
    x = images.transpose(0, 2, 3, 1)
    for w, b in ((w0, b0), (w1, b1)):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = np.maximum(
            sum(
                padded[:, i : i + x.shape[1], j : j + x.shape[2]] @ w[:, i, j].T
                for i in range(3)
                for j in range(3)
            )
            + b,
            0,
        )
    return x.mean((1, 2)) @ w2.T + b2
