"""Which group gives up how much: least loss per cost saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable

import numpy as np

Ladder = Sequence[int]
"""The widths that a group may take, from full down."""


def ladder(full: int, least: int, align: int, block: int = 1) -> list[int]:
    """Widths of a group from ``full`` to ``least``: multiples of ``align``, each cheaper than the last."""
    rungs = [full]
    while (width := (rungs[-1] - 1) // block * block // align * align) >= least:
        rungs.append(width)
    return rungs


def loss_curve(rungs: Ladder, measured: Mapping[int, float]) -> np.ndarray:
    """Divergence at every width of a ladder, (rungs,): the lower convex hull of what was measured.

    At the full width it is nought. On convex curves the greedy choice is the best one, and a hull that
    touches nought at its end nowhere rises with the width.
    """
    hull: list[tuple[int, float]] = []
    for x, y in sorted({**measured, rungs[0]: 0.0}.items()):
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append((x, y))
    widths, values = np.array(hull).T
    return np.interp(rungs, widths, values)


def spend(
    ladders: Sequence[Ladder],
    losses: Sequence[np.ndarray],
    cost: Callable[[np.ndarray], np.ndarray],
    budgets: Mapping[float, int],
    floors: Mapping[float, Sequence[int]],
    additive: float = 0.0,
) -> dict[float, list[int]]:
    """Widths for every size: least loss per cost, first down to the budget, then back into what is left.

    Parameters
    ----------
    ladders, losses : per group, its widths from full down, and what each of them loses
    cost : (…, groups) widths → (…)
    budgets : size → the most it may cost
    floors : size → the least width of every group
    additive : floors do not bind where all groups together lose less than this without them
    """
    longest = max(len(rungs) for rungs in ladders)
    # Beyond a ladder's end a step saves nothing and loses without limit.
    widths = np.array([[*rungs, *[rungs[-1]] * (longest + 1 - len(rungs))] for rungs in ladders])
    loss = np.array([[*curve, *[np.inf] * (longest + 1 - len(curve))] for curve in losses])
    groups = np.arange(len(ladders))

    def trials(rungs: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Cost saved and loss added, each (groups,), when one group alone takes a step."""
        here = widths[groups, rungs]
        there = np.tile(here, (len(groups), 1))
        there[groups, groups] = widths[groups, rungs + step]
        return cost(here) - cost(there), loss[groups, rungs + step] - loss[groups, rungs]

    def narrowed(widest: np.ndarray, budget: int, floor: np.ndarray) -> np.ndarray:
        """Rungs that meet the budget."""
        rungs = widest.copy()
        while (over := cost(widths[groups, rungs]) - budget) > 0:
            saved, lost = trials(rungs, 1)
            lost[widths[groups, rungs + 1] < floor] = np.inf
            rungs[np.argmin(lost / np.maximum(saved, 1e-9))] += 1
        while True:
            saved, lost = trials(rungs, -1)
            fits = (rungs > widest) & (-saved <= -over)
            if not fits.any():
                return rungs
            gain = np.where(fits, -lost / np.maximum(-saved, 1e-9), -np.inf)
            rungs[np.argmax(gain)] -= 1
            over = cost(widths[groups, rungs]) - budget

    rungs, result = np.zeros(len(ladders), int), {}
    for size in sorted(budgets, reverse=True):
        free = narrowed(rungs, budgets[size], widths[:, -1])
        small = loss[groups, free].sum() < additive
        rungs = free if small else narrowed(rungs, budgets[size], np.array(floors[size]))
        result[size] = [int(width) for width in widths[groups, rungs]]
    return dict(sorted(result.items()))
