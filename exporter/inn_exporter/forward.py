"""Running a graph in MindSpore, node by node over all images, in micro-batches."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from .backend import tensor
from .graph import Graph, Node
from .operators import operator

MICRO_BATCH = 64
SPILLED = 1 << 30
"""Bytes from which an activation lies in a temporary file."""


def run_node(
    node: Node, activations: Mapping[str, np.ndarray], constants: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The node's output for all images, float32."""
    fixed = {name: tensor(constants[name]) for name in node.inputs if name in constants}
    images = len(next(activations[name] for name in node.inputs if name in activations))
    result: np.ndarray | None = None
    for start in range(0, images, MICRO_BATCH):
        chosen = slice(start, start + MICRO_BATCH)
        inputs = [
            fixed[name] if name in fixed else tensor(activations[name][chosen]) if name else None
            for name in node.inputs
        ]
        part = operator(node).forward(node, inputs).asnumpy()
        if result is None:
            result = _empty((images, *part.shape[1:]))
        result[chosen] = part
    assert result is not None
    return result


def _empty(shape: tuple[int, ...]) -> np.ndarray:
    """Room for an activation, float32: where it is large, in a temporary file that the system may write
    out when memory is short."""
    if 4 * math.prod(shape) < SPILLED:
        return np.empty(shape, np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=shape)


def live_values(graph: Graph) -> int:
    """How many values the activations of one image have that `walk` keeps at a time, at most."""
    sizes = {name: math.prod(graph.shapes[name]) for name in graph.inputs}
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    most = 0
    for index, node in enumerate(graph.nodes):
        sizes.update({name: math.prod(graph.shapes[name]) for name in node.outputs})
        most = max(most, sum(sizes.values()))
        sizes = {name: size for name, size in sizes.items() if last.get(name, index + 1) > index}
    return most


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
