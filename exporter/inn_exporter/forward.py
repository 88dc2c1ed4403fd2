"""Running a graph in MindSpore, node by node over all images, in micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from .backend import tensor
from .graph import Graph, Node
from .operators import operator

MICRO_BATCH = 64


def run_node(
    node: Node, activations: Mapping[str, np.ndarray], constants: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The node's output for all images, float32."""
    fixed = {name: tensor(constants[name]) for name in node.inputs if name in constants}
    images = len(next(activations[name] for name in node.inputs if name in activations))
    parts = []
    for start in range(0, images, MICRO_BATCH):
        chosen = slice(start, start + MICRO_BATCH)
        inputs = [
            fixed[name] if name in fixed else tensor(activations[name][chosen]) if name else None
            for name in node.inputs
        ]
        parts.append(operator(node).forward(node, inputs).asnumpy())
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def walk(
    graph: Graph,
    activations: dict[str, np.ndarray],
    step: Callable[[Node], np.ndarray],
    kept: frozenset[str] = frozenset(),
) -> Iterator[Node]:
    """Fill ``activations`` in topological order with ``step(node)``; yields each node after its turn.

    A tensor is dropped after its last reader unless it is in ``kept``, which bounds memory.
    """
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    for index, node in enumerate(graph.nodes):
        activations[node.output] = step(node)
        yield node
        for name in node.inputs:
            if last.get(name) == index and name not in kept:
                activations.pop(name, None)


def run(
    graph: Graph, inputs: Mapping[str, np.ndarray], constants: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """The network's outputs.

    Parameters
    ----------
    inputs : arrays keyed by input name, (images, …)
    constants : replaces the graph's own, for a resized network
    """
    weights = graph.constants if constants is None else constants
    images = len(next(iter(inputs.values())))
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, images, 8 * MICRO_BATCH):
        activations = {name: array[start : start + 8 * MICRO_BATCH] for name, array in inputs.items()}
        outputs = frozenset(graph.outputs)
        for _ in walk(graph, activations, lambda n: run_node(n, activations, weights), outputs):  # noqa: B023
            pass
        parts.append({name: activations[name] for name in graph.outputs})
    return {name: np.concatenate([part[name] for part in parts]) for name in graph.outputs}
