"""How many bits a kernel, a table or a correction gets: every share and list, and the one decision.

Control grids are stored in the type that the user chose. What a size has beside them, calibration data, is
rounded to as few bits as its share of an error allows.
"""

from __future__ import annotations

import math

import numpy as np

from ..graph.graph import Graph
from ..graph.outputs import OutputKind, output_kinds
from .gptq import Sensitivity
from .stored import Stored, store

COARSE_BITS = (1, 2, 3, 4, 5, 6, 8)
"""Of integers of calibration data."""
MOST_PER_BIT = 5.0
"""By what one bit more divides rounding's squared error, at most; four, about."""

LAYER_ROUNDING = {OutputKind.SCORES: 0.1, OutputKind.VALUES: 0.02}
"""Squared error that the rounding of a layer's calibration data may add, relative to what is left without it;
less where outputs are values, in which the errors of all layers add up."""
SPAN_ROUNDING = 2.0
"""Times that, for all layers of a span together; what is left is less there."""
DISTILLED_ROUNDING = 0.05
"""What the rounding of what was distilled may add to the loss, relative to it."""
LARGEST_SHARE = 4.0
"""Times that a kernel's rounding may make the error that one of average size may."""
NOISES = tuple(0.1 * 2.0 ** (-place / 2) for place in range(28))
"""What the rounding of learned values may add to a layer's outputs, relative to their power: the first that
keeps the loss."""


def layer_rounding(graph: Graph) -> float:
    """The entry of `LAYER_ROUNDING` for a network: the least of its outputs'."""
    return min(LAYER_ROUNDING[kind] for kind in output_kinds(graph).values())


def share_of_error(values: int, average: float) -> float:
    """What a kernel of so many values may make of the error that one of average size may.

    Errors of all layers add up, and each bit divides one layer's by four: bytes are least where every layer's
    error is in proportion to how many values it has.
    """
    return min(values / average, LARGEST_SHARE)


def calibration_storage(storage: str) -> str:
    """Storage of finished weights beside grids stored as ``storage``."""
    return "float32" if storage == "float32" else "int8"


def nothing(shape: tuple[int, ...], storage: str, channel: int) -> Stored:
    """Calibration data of zeros beside grids stored as ``storage``."""
    return store(np.zeros(shape), "float32" if storage == "float32" else f"int{COARSE_BITS[0]}", channel)


def fewest_bits(
    values: np.ndarray, storage: str, error: Sensitivity, budget: float, channel: int = 0
) -> Stored:
    """Calibration data beside grids stored as ``storage``: with the fewest bits, 1 to 8, whose rounding makes
    an ``error`` of ``budget`` at most; all zeros, which need not be stored, if these make no more."""
    if storage == "float32":
        return store(values, storage)
    if error.error(values) <= budget:
        values = np.zeros_like(values)
    enough = 0.0  # bits, less than these are not
    for bits in COARSE_BITS[:-1]:
        if bits >= enough:
            stored = store(values, f"int{bits}", channel, error)
            left = error.error(stored.read() - values)
            if left <= budget:
                return stored
            enough = bits + math.log(left / budget, MOST_PER_BIT) if budget > 0 else math.inf
    return store(values, "int8", channel, error)
