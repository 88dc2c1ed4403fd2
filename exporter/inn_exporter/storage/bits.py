"""How many bits a kernel, a table or a correction gets: every share and list, and the one decision."""

from __future__ import annotations

import math

import numpy as np

from .gptq import Sensitivity
from .stored import Stored, store

ROUNDING = 0.1
"""Squared error that the rounding of calibration data may add, relative to what is left without it …"""


ROUNDING_OF_VALUES = 0.02
"""… and where outputs are not scores of classes, but values in which the errors of all layers add up."""


SPAN_ROUNDING = 2.0
"""Times that, for all layers of a span together; what is left is less there."""


LARGEST_SHARE = 4.0
"""Times that a kernel's rounding may make the error that one of average size may."""


NOISES = tuple(0.1 * 2.0 ** (-place / 2) for place in range(28))
"""What rounding may add to a layer's outputs, relative to their power: the first that keeps the loss."""


COARSE_BITS = (1, 2, 3, 4, 5, 6, 8)
"""Of integers of calibration data."""


MOST_PER_BIT = 5.0
"""By what one bit more divides rounding's squared error, at most; four, about."""


def calibration_storage(storage: str) -> str:
    """Storage of finished weights beside grids stored as ``storage``."""
    return "float32" if storage == "float32" else "int8"


def store_coarsely(
    values: np.ndarray, storage: str, sensitivity: Sensitivity, budget: float, channel: int = 0
) -> Stored:
    """Calibration data beside grids stored as ``storage``: with the fewest bits, 1 to 8, whose rounding makes
    a squared error of ``budget`` at most; all zeros, which need not be stored, if these make no more."""
    if storage == "float32":
        return store(values, storage)
    if sensitivity.error(values) <= budget:
        values = np.zeros_like(values)
    enough = 0.0  # bits, less than these are not
    for bits in COARSE_BITS[:-1]:
        if bits >= enough:
            stored = store(values, f"int{bits}", channel, sensitivity)
            error = sensitivity.error(stored.read() - values)
            if error <= budget:
                return stored
            enough = bits + math.log(error / budget, MOST_PER_BIT) if budget > 0 else math.inf
    return store(values, "int8", channel, sensitivity)


DISTILLED_ROUNDING = 0.05
"""What rounding may add to the loss, relative to it."""
