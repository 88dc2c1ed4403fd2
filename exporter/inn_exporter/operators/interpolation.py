"""Interpolation that the engine does not do as ONNX does: each pixel is a sum of chosen ones, by shares that
are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..graph.view import View
from .choosing import chosen
from .conditions import total, weighted

if TYPE_CHECKING:
    from .onnx_node import OnnxNode

Shares = Callable[[np.ndarray, int], list[tuple[np.ndarray, np.ndarray]]]
"""Of places in a dimension, and its length: pixels, and the share that each has."""


def interpolated(node: OnnxNode, scales: Sequence[float], coordinates: str, shares: Shares) -> View:
    """Rows, then columns, each a sum of its neighbours."""
    shape, target, view = node.shape(0), node.output_shape, node.view(0)
    for dim in range(2, len(shape)):
        places = _places(shape[dim], target[dim], np.float32(scales[dim]), coordinates)
        if places is None:
            raise node.unsupported(f"interpolation by {scales[2:]} with {coordinates}")
        if len(places) == shape[dim] and np.array_equal(places, np.arange(shape[dim])):
            continue
        parts = []
        for pixels, share in shares(places, shape[dim]):
            if share.any():
                spread = share.astype(np.float32).reshape(-1, *[1] * (len(shape) - 1 - dim))
                parts.append(weighted(node, chosen(node, view, dim, pixels), spread))
        view = parts[0]
        for part in parts[1:]:
            view = total(node, view, part)
    return view


def linear_shares(places: np.ndarray, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two pixels around each place; beyond the border, the last."""
    inside = np.clip(places, 0, size - 1)
    below = np.floor(inside).astype(np.int64)
    share = inside - below
    return [(below, 1 - share), (np.minimum(below + 1, size - 1), share)]


def cubic_shares(a: float) -> Shares:
    """The four pixels around each place, by Keys' kernel; beyond the border, the last again."""

    def near(d: np.ndarray) -> np.ndarray:
        found: np.ndarray = ((a + 2) * d - (a + 3)) * d * d + 1
        return found

    def far(d: np.ndarray) -> np.ndarray:
        found: np.ndarray = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return found

    def shares(places: np.ndarray, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
        below = np.floor(places).astype(np.int64)
        d = places - below
        parts = ((-1, far(1 + d)), (0, near(d)), (1, near(1 - d)), (2, far(2 - d)))
        return [(np.clip(below + step, 0, size - 1), share) for step, share in parts]

    return shares


def nearest(node: OnnxNode, scales: Sequence[float], coordinates: str, rounding: str) -> View:
    """Rows and columns as ONNX Runtime chooses them, in its precision; the engine chooses others."""
    shape, target, view = node.shape(0), node.output_shape, node.view(0)
    for dim in range(2, len(shape)):
        places = _places(shape[dim], target[dim], np.float32(scales[dim]), coordinates)
        if places is None or rounding not in _ROUNDINGS:
            raise node.unsupported(f"nearest neighbours by {scales[2:]}, {coordinates}, {rounding}")
        indices = np.clip(_ROUNDINGS[rounding](places), 0, shape[dim] - 1).astype(np.int64)
        if not np.array_equal(indices, np.arange(shape[dim])):
            view = chosen(node, view, dim, indices)
    return view


_HALF = np.float32(0.5)
_CLOSE = 1e-6
"""How near to the middle between two pixels ONNX Runtime takes for the middle."""


def _rounded(places: np.ndarray, at_half: int) -> np.ndarray:
    """To the nearest pixel; from the middle down (0) or up (1)."""
    exact = places.astype(np.float64)
    below = np.floor(exact)
    found: np.ndarray = np.where(
        np.abs(exact - below - 0.5) <= _CLOSE, below + at_half, np.floor(exact + 0.5)
    )
    return found


_ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda places: _rounded(places, 0),
    "round_prefer_ceil": lambda places: _rounded(places, 1),
}


def _places(size: int, target: int, scale: np.float32, coordinates: str) -> np.ndarray | None:
    """Where in a dimension of ``size`` each of the output's ``target`` pixels lies."""
    pixels = np.arange(target, dtype=np.float32)
    if scale == 1:
        return pixels
    if coordinates == "asymmetric":
        return pixels / scale
    if coordinates == "align_corners":
        return pixels * np.float32(size - 1) / np.float32(max(1, target - 1))
    if coordinates == "pytorch_half_pixel" and target == 1:
        return np.zeros(1, np.float32)
    if coordinates in ("half_pixel", "pytorch_half_pixel"):
        return (pixels + _HALF) / scale - _HALF
    if coordinates == "tf_half_pixel_for_nn":
        return (pixels + _HALF) / scale
    return None
