"""The schedule: which channel group shrinks how much at the cost of a uniform size.

The sensitivity of a group is the divergence of the outputs when it alone shrinks, the readers of its
tensors making up for it by one-shot quadratures: with G the tensor's Gram in the full network and
x' = S x, C = G Sᵀ and G' = S G Sᵀ. From the full widths on, the step that costs least divergence per cost
saved is taken until the cost of the uniform widths is met; smaller sizes go on from there, so that no
group is ever wider at a smaller size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable

import numpy as np

from ..graph.lowered import LoweredGraph
from ..graph.outputs import gives_scores
from ..ordering.continuous import ContinuousNetwork
from .cost import Cost
from .sensitivity import full_grams, sensitivities
from .spending import Ladder, ladder, loss_curve, spend

COMPARED, FITTED = 256, 256
"""Images by which outputs are compared, and images to which the quadratures are fitted."""
POWER = 3.0
"""At size s no group becomes narrower than the share s to this power of its channels, whatever that saves:
measured alone, many groups look useless that are not when others shrink too …"""
ADDITIVE = 0.2
"""… unless what class scores lose in all groups, each measured alone, adds up to less than this, in nats:
then that is about what they lose together."""
LEAST = 1 / 8
"""The least share of its channels that a group is tried with, unless a floor is lower."""

_MEASURED = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)


def schedule(
    objective: str,
    network: ContinuousNetwork,
    lowered: LoweredGraph,
    uniform: Mapping[float, Sequence[int]],
    align: int,
    images: Mapping[str, np.ndarray],
    held_out: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> dict[float, list[int]]:
    """Widths of all groups for every size, at no more than the cost of the uniform widths.

    Parameters
    ----------
    objective : one of `defaults.OBJECTIVES`, not ``uniform``
    lowered : the same network
    uniform : size, below 1 → the width of every group if all shrink alike
    align : widths are multiples of this, or full
    images : unlabelled inputs, keyed by input name
    held_out : others, by which outputs are compared: on the images to which the quadratures are fitted, a
        group that these hardly determine would look dispensable
    progress : called with the share of the measurements done
    """
    cost, sizes = Cost.of(objective, lowered), network.channels.sizes
    floors = {size: network.channels.widths(size**POWER, align) for size in uniform}
    least = network.channels.widths(min(LEAST, min(uniform) ** POWER), align)
    ladders = [ladder(full, width, align, cost.block) for full, width in zip(sizes, least)]
    step = max(1, len(next(iter(images.values()))) // FITTED)
    grams = full_grams(network, {name: array[::step][:FITTED] for name, array in images.items()})
    few = {name: array[:COMPARED] for name, array in held_out.items()}
    wanted = [_measured(rungs) for rungs in ladders]
    measured = sensitivities(network, grams, wanted, few, progress)
    losses = [loss_curve(rungs, found) for rungs, found in zip(ladders, measured)]
    budgets = {size: int(cost(np.array(widths))) for size, widths in uniform.items()}
    additive = ADDITIVE if gives_scores(network.graph) else 0.0
    return spend(ladders, losses, cost, budgets, floors, additive)


def _measured(rungs: Ladder) -> list[int]:
    """About eight of a ladder's widths below the full one, its lowest among them."""
    below = np.array(rungs[1:])
    if not len(below):
        return []
    nearest = {int(below[np.abs(below - share * rungs[0]).argmin()]) for share in _MEASURED}
    return sorted(nearest | {rungs[-1]})
