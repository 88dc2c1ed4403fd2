"""Storing what was learned in few bits, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from inn_runtime.axes import prior

from . import forward
from .calibrated_size import CalibratedSize
from .continuous import ContinuousNetwork
from .graph import Graph, Node
from .operators import operator
from .rounding import Sensitivity
from .statistics import channels_second, patch_moments, table_moments
from .storage import store

NOISES = tuple(0.1 * 2.0 ** (-place / 2) for place in range(28))
"""What rounding may add to a layer's outputs, relative to their power: the first that keeps the loss."""


def coarsest(
    stored: Callable[[float], tuple[CalibratedSize, float]], enough: float
) -> tuple[CalibratedSize, float]:
    """The size and its loss with the largest of `NOISES` whose loss is ``enough``, else with the least.

    Parameters
    ----------
    stored : noise → the size rounded so, and its loss
    """
    low, high = 0, len(NOISES) - 1  # places; at ``high`` the loss is enough, as far as is known
    best: tuple[CalibratedSize, float] | None = None
    while low < high or best is None:
        place = (low + high) // 2
        found = stored(NOISES[place])
        if found[1] <= enough or place == len(NOISES) - 1:
            high, best = place, found
        else:
            low = place + 1
    return best


def rounded(
    network: ContinuousNetwork,
    graph: Graph,
    size: CalibratedSize,
    images: Mapping[str, np.ndarray],
    exact: Mapping[str, np.ndarray],
    noise: float,
    tables: Mapping[int, np.ndarray] | None = None,
) -> CalibratedSize:
    """A size with learned values, in as few bits as add ``noise`` to layers' outputs at most, relative to
    their power.

    Each layer's bias makes up for what rounding, its own and that of layers before, does to the mean of
    its outputs: these errors are alike in all images, and add up.

    Parameters
    ----------
    graph : the network, or the part of it that was learned
    images : inputs of ``graph`` that are looked at
    exact : constant → values as they were learned; those of ``graph``
    tables : quadrature → B - B0 as it was learned
    """
    size = replace(
        size,
        tables=dict(size.tables),
        changed=dict(size.changed),
        corrections=dict(size.corrections),
        constants=dict(size.constants),
    )
    wanted, found = dict(images), dict(images)

    def step(node: Node) -> np.ndarray:
        return forward.run_node(node, wanted, exact)

    for node in forward.walk(graph, wanted, step):
        _round_constants(network, graph, size, node, exact, found, noise)
        found[node.output] = output = forward.run_node(node, found, size.constants)
        if operator(node).linear:
            bias = node.inputs[2]
            output = channels_second(node, output)
            missing = channels_second(node, wanted[node.output]) - output
            moved = missing.mean((0, *range(2, output.ndim)), np.float64).astype(np.float32)
            size.changed[bias] = store(exact[bias] + moved, "float32")
            size.constants[bias] = size.changed[bias].read()
            output += moved.reshape(1, -1, *[1] * (output.ndim - 2))
        for index in network.channels.quadratures_of.get(node.output, ()):
            if tables is not None:
                _round_table(network, size, index, tables[index], found[node.output], noise)
        for name in [name for name in found if name not in wanted]:
            del found[name]
    return size


def _round_table(
    network: ContinuousNetwork,
    size: CalibratedSize,
    index: int,
    table: np.ndarray,
    x: np.ndarray,
    noise: float,
) -> None:
    key, group = network.channels.quadratures[index]
    sensitivity = Sensitivity(table_moments(x, network.channels, key, size.widths), len(x))
    budget = noise * sensitivity.error(prior(network.axes[group], size.widths[group]) + table)
    storage = size.tables[index].values.dtype.name
    size.set_table(network, index, table, storage, sensitivity, budget)


def _round_constants(
    network: ContinuousNetwork,
    graph: Graph,
    size: CalibratedSize,
    node: Node,
    exact: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    noise: float,
) -> None:
    """Fill in what a node reads, from the tables as they were rounded; its bias is exact yet."""
    discretisation = size.discretisation(network.axes)
    for name in graph.constant_inputs(node):
        if name in size.corrections:
            gram, mean, samples = patch_moments(graph, node, found[node.inputs[0]])
            sensitivity = Sensitivity(gram - mean[:, :, None] * mean[:, None, :], samples)
            budget = noise * sensitivity.error(exact[name])
            storage = size.corrections[name].values.dtype.name
            size.correct(network, name, exact[name], storage, sensitivity, budget)
        elif name in size.changed:
            size.constants[name] = exact[name]
        else:
            size.constants[name] = network.constant(name, discretisation)
