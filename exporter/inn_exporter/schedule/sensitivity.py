"""What the outputs lose when one channel group alone shrinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Callable

import numpy as np
from inn_runtime.sampling.axes import prior, sampling_matrix
from inn_runtime.sampling.resample import Discretisation

from ..calibration.quadrature import solve
from ..execution import forward
from ..execution.divergence import output_divergence
from ..execution.moments import Moments
from ..graph.graph import Node
from ..graph.outputs import output_kinds
from ..ordering.continuous import ContinuousNetwork
from ..passes.scoring import scoring


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
    network = network.with_graph(scoring(network.graph))
    graph, channels = network.graph, network.channels
    kinds = output_kinds(graph)
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
                result[group][width] = output_divergence(outputs, reference, kinds)
        return forward.run_node(node, full, graph.constants)

    total = sum(map(len, widths))
    for _ in forward.walk(graph, full, step, kept):
        progress(sum(map(len, result)) / max(total, 1))
    return result


def full_grams(network: ContinuousNetwork, images: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    """The Gram (N, N) of every quadrature's tensor in the full network."""
    graph, channels = network.graph, network.channels
    moments, grams, full = Moments(graph, channels), {}, dict(images)
    for node in forward.walk(graph, full, lambda n: forward.run_node(n, full, graph.constants)):
        for index in channels.complete(node.output, full):
            key, _ = channels.quadratures[index]
            _, grams[index], _ = moments(full, full, key, channels.sizes)
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
