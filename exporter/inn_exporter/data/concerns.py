"""What is wrong with calibration images that can be used all the same."""

from __future__ import annotations

import math

import numpy as np

from ..execution.moments import POSITIONS
from ..graph.channels import Channels
from ..graph.graph import Graph
from .samples import Samples

NORMALISED = 30.0
"""Images prepared for a network hardly ever hold larger values; pixels from 0 to 255 do."""
FEWEST_SAMPLES = 2
"""Samples per channel below which a quadrature follows the calibration images rather than the data."""


def concerns(samples: Samples, graph: Graph, channels: Channels) -> list[str]:
    """What is wrong with calibration images that can be used all the same, and what will suffer."""
    found = []
    for name, array in samples.inputs.items():
        flat = array.reshape(len(array), -1)
        constant = int((flat.max(1) == flat.min(1)).sum())
        repeated = len(array) - len({row.tobytes() for row in flat})
        largest = float(np.abs(flat).max())
        if constant:
            found.append(
                f"{name!r}: {constant} of {len(array)} images are of one colour; they say nothing of the data"
            )
        if repeated:
            found.append(
                f"{name!r}: {repeated} of {len(array)} images occur more than once; accuracy will be that of "
                f"{len(array) - repeated} images"
            )
        if largest > NORMALISED:
            found.append(
                f"{name!r}: values reach {largest:g}; if these are pixels, all sizes are fitted to inputs "
                "that the network never sees: give images as the network takes them"
            )
    poor: dict[int, tuple[float, str]] = {}
    for key, group in channels.quadratures:
        shape = graph.shapes[key.tensor]
        positions = math.prod(shape) // shape[key.dim]
        share = len(samples) * min(positions, POSITIONS) / channels.sizes[group]
        poor[group] = min(poor.get(group, (share, key.tensor)), (share, key.tensor))
    scarce = [group for group, (share, _) in poor.items() if share < FEWEST_SAMPLES]
    if scarce:
        share, tensor = min(poor[group] for group in scarce)
        found.append(
            f"{len(samples)} images are few for {len(scarce)} of {len(channels.sizes)} channel groups "
            f"(tensor {tensor!r} gives {share:.1f} samples a channel): sizes below one half will suffer; "
            f"give {math.ceil(len(samples) * FEWEST_SAMPLES / share):,} or more"
        )
    return found
