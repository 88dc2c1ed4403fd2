"""The schedule: which channel group shrinks how much at the cost of a uniform size.

The sensitivity of a group is the divergence of the outputs when it alone shrinks, the readers of its
tensors making up for it by one-shot quadratures: with G the tensor's Gram in the full network and
x' = S x, C = G Sᵀ and G' = S G Sᵀ. From the full widths on, the step that costs least divergence per cost
saved is taken until the cost of the uniform widths is met; smaller sizes go on from there, so that no
group is ever wider at a smaller size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable

import numpy as np
from inn_runtime.axes import prior, sampling_matrix
from inn_runtime.manifest import Expression
from inn_runtime.resample import Discretisation
from scipy.special import log_softmax

from . import expressions, forward
from .calibrate import solve
from .continuous import ContinuousNetwork
from .graph import Node
from .lowering import LoweredGraph
from .statistics import Moments

OBJECTIVES = {"uniform": 1, "flops": 8, "params": 1, "latency": 8}
"""What widths may be chosen for, and what they are then multiples of unless the user says otherwise."""

ENGINE_BLOCK = 8
"""MindSpore Lite computes channels in blocks: its latency follows ceil(C/8) · 8 on every axis."""

JUDGED, FITTED = 256, 256
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

Ladder = Sequence[int]
"""The widths that a group may take, from full down."""


@dataclass(frozen=True)
class Cost:
    """Σ cᵢ · Π width(g), each width rounded up to a multiple of ``block``, for many widths at once.

    Attributes
    ----------
    coefficients : (terms,)
    factors : the groups of every term, (terms, most); -1 where a term has fewer
    """

    coefficients: np.ndarray
    factors: np.ndarray
    block: int = 1

    @classmethod
    def of(cls, objective: str, lowered: LoweredGraph) -> Cost:
        """What an objective counts.

        ``flops``: multiply-accumulates. ``params``: weights and biases. ``latency``: multiply-accumulates of
        the blocks that MindSpore Lite computes, widths rounded up to 8; on a CPU its latency was measured
        to be about 0.57 + 11.1 ms per 10⁹ of these.
        """
        expression: Expression = lowered.macs
        if objective == "params":
            shapes = [[expressions.length(d) for d in weight.dims] for weight in lowered.weights]
            expression = expressions.add(*(expressions.multiply(*shape) for shape in shapes))
        most = max(len(term) for term in expression) - 1
        factors = [[*term[1:], *[-1] * (most + 1 - len(term))] for term in expression]
        block = ENGINE_BLOCK if objective == "latency" else 1
        return cls(np.array([term[0] for term in expression]), np.array(factors, np.int64), block)

    def __call__(self, widths: np.ndarray) -> np.ndarray:
        """(…, groups) → (…)"""
        blocks = -(-widths // self.block) * self.block
        padded = np.concatenate([blocks, np.ones((*widths.shape[:-1], 1), np.int64)], axis=-1)
        return padded[..., self.factors].prod(-1) @ self.coefficients


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
    objective : one of `OBJECTIVES`, not ``uniform``
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
    few = {name: array[:JUDGED] for name, array in held_out.items()}
    wanted = [_measured(rungs) for rungs in ladders]
    measured = sensitivities(network, grams, wanted, few, progress)
    losses = [loss_curve(rungs, found) for rungs, found in zip(ladders, measured)]
    budgets = {size: int(cost(np.array(widths))) for size, widths in uniform.items()}
    additive = ADDITIVE if network.graph.gives_scores() else 0.0
    return spend(ladders, losses, cost, budgets, floors, additive)


def ladder(full: int, least: int, align: int, block: int = 1) -> list[int]:
    """Widths of a group from ``full`` to ``least``: multiples of ``align``, each cheaper than the last."""
    rungs = [full]
    while (width := (rungs[-1] - 1) // block * block // align * align) >= least:
        rungs.append(width)
    return rungs


def _measured(rungs: Ladder) -> list[int]:
    """About eight of a ladder's widths below the full one, its lowest among them."""
    below = np.array(rungs[1:])
    if not len(below):
        return []
    nearest = {int(below[np.abs(below - share * rungs[0]).argmin()]) for share in _MEASURED}
    return sorted(nearest | {rungs[-1]})


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


# ---------------------------------------------------------------------- measuring
def sensitivities(
    network: ContinuousNetwork,
    grams: Mapping[int, np.ndarray],
    widths: Sequence[Sequence[int]],
    images: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> list[dict[int, float]]:
    """Per group, width → divergence of the outputs when it alone shrinks to that width.

    One walk over the full network: where a group begins, the rest of the network runs at each of its widths.
    ``grams`` are those of `full_grams`.
    """
    network = network.with_graph(network.graph.scoring())
    graph, channels = network.graph, network.channels
    reference = forward.run(graph, images)
    members = [_members(network, group) for group in range(len(channels.groups))]
    starts: dict[str, list[int]] = {}
    for group, names in enumerate(members):
        first = next(node for node in graph.nodes if not names.isdisjoint(node.inputs))
        starts.setdefault(first.output, []).append(group)
    result: list[dict[int, float]] = [{} for _ in channels.groups]
    full, kept = dict(images), frozenset(graph.outputs)
    position = {node.output: index for index, node in enumerate(graph.nodes)}

    def step(node: Node) -> np.ndarray:
        rest = replace(graph, nodes=graph.nodes[position[node.output] :])
        for group in starts.get(node.output, ()):
            for width in widths[group]:
                discretisation = _shrunk(network, grams, group, width)
                changed = {name: network.constant(name, discretisation) for name in members[group]}
                outputs = forward.run(rest, full, {**graph.constants, **changed})
                result[group][width] = divergence(outputs, reference)
        return forward.run_node(node, full, graph.constants)

    total = sum(map(len, widths))
    for _ in forward.walk(graph, full, step, kept):
        progress(sum(map(len, result)) / max(total, 1))
    return result


def divergence(found: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> float:
    """Mean of the `divergences` of class scores, (images, classes); for other outputs, squared error relative
    to the reference's. Several outputs add up."""
    total = 0.0
    for name, expected in reference.items():
        if expected.ndim == 2:
            total += float(np.mean(divergences(found[name], expected)))
        else:
            p, q = expected.astype(np.float64), found[name].astype(np.float64)
            total += float(np.sum((p - q) ** 2) / max(np.sum(p**2), 1e-30))
    return total


def divergences(found: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Kullback–Leibler divergence of each image's class scores from the reference's, in nats, (images,)."""
    p, q = (log_softmax(scores.astype(np.float64), 1) for scores in (reference, found))
    return np.asarray(np.sum(np.exp(p) * (p - q), 1))


def full_grams(network: ContinuousNetwork, images: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    """The Gram (N, N) of every quadrature's tensor in the full network."""
    graph, channels = network.graph, network.channels
    moments, grams, full = Moments(graph, channels), {}, dict(images)
    for node in forward.walk(graph, full, lambda n: forward.run_node(n, full, graph.constants)):
        for index in channels.quadratures_of.get(node.output, ()):
            key, _ = channels.quadratures[index]
            values = full[node.output]
            _, grams[index], _ = moments(values, values, key, channels.sizes)
    return grams


def _members(network: ContinuousNetwork, group: int) -> set[str]:
    """Constants that change with a group."""
    return {name for name in network.graph.constants if network.channels.along(name, group)}


def _shrunk(
    network: ContinuousNetwork, grams: Mapping[int, np.ndarray], group: int, width: int
) -> Discretisation:
    """The network with one group at ``width`` and one-shot quadratures for its tensors."""
    channels, axis = network.channels, network.axes[group]
    start, sampling = prior(axis, width), sampling_matrix(axis, width)

    def table(index: int) -> np.ndarray | None:
        if channels.quadratures[index][1] != group:
            return None
        cross = grams[index] @ sampling.T
        return (solve(cross, sampling @ cross, start) - start).astype(np.float32)

    widths = [width if other == group else full for other, full in enumerate(channels.sizes)]
    return Discretisation(network.axes, widths, table)
