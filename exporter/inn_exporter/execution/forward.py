"""Running a graph in micro-batches: in ONNX Runtime on a processor, in MindSpore on an accelerator.

What gradients flow through is MindSpore's (`outputs`).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import on_accelerator, tensor
from ..graph.graph import Graph, Node
from ..operators import operator
from .onnx_runtime import OnnxSession

MICRO_BATCH = 32
SPILLED = 1 << 30
"""Bytes from which an activation lies in a temporary file."""


def run_node(
    node: Node, activations: Mapping[str, np.ndarray], constants: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The node's output for all images, float32."""
    graph = Graph("node", [], list(node.outputs), [node], {}, {})
    return run(graph, activations, constants)[node.output]


def _fill(
    activations: dict[str, np.ndarray], name: str, part: np.ndarray, chosen: slice, images: int
) -> None:
    """Put what was found for some images into the activation of all."""
    if len(part) == images:
        activations[name] = part
        return
    if name not in activations:
        activations[name] = _empty((images, *part.shape[1:]))
    activations[name][chosen] = part


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
    last, most = _last_readers(graph), 0
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
    """Fill ``activations`` in topological order with ``step(node)``, all images at a time; yields each node
    after its turn.

    A tensor is dropped after its last reader unless it is in ``kept``, which bounds memory; where that shares
    constants with others, after the last of these, so that all their inputs are there then.
    """
    unneeded = _unneeded(graph)
    for node, names in zip(graph.nodes, unneeded):
        activations[node.output] = step(node)
        yield node
        for name in names:
            if name not in kept:
                activations.pop(name, None)


def run(
    graph: Graph,
    inputs: Mapping[str, np.ndarray],
    constants: Mapping[str, np.ndarray] | None = None,
    in_mindspore: bool = False,
) -> dict[str, np.ndarray]:
    """The network's outputs.

    Parameters
    ----------
    inputs : arrays keyed by name, (images, …), of whatever the graph's nodes read and do not produce, and of
        outputs that are known already
    constants : replaces the graph's own, for a resized network
    in_mindspore : on a processor, too
    """
    if constants is not None:
        graph = replace(graph, constants=dict(constants))
    made = {name for node in graph.nodes for name in node.outputs}
    names = dict.fromkeys(name for node in graph.nodes for name in node.inputs if name not in made)
    read = {name: inputs[name] for name in names if name in inputs}
    images = len(next(iter(read.values())))
    if in_mindspore or on_accelerator():
        step = _mindspore(graph)
    else:
        step = OnnxSession(graph, {name: array.ndim for name, array in read.items()}).run
    results = {name: inputs[name] for name in graph.outputs if name not in made}
    for start in range(0, images, MICRO_BATCH):
        chosen = slice(start, start + MICRO_BATCH)
        for name, part in step({name: array[chosen] for name, array in read.items()}).items():
            _fill(results, name, part, chosen, images)
    return {name: results[name] for name in graph.outputs}


def _mindspore(graph: Graph) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """Inputs of a batch → the outputs that the graph's nodes make of them, in MindSpore."""
    unneeded = _unneeded(graph)
    fixed = {
        name: tensor(graph.constants[name]) for node in graph.nodes for name in graph.constant_inputs(node)
    }
    made = [name for node in graph.nodes for name in node.outputs if name in graph.outputs]

    def step(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = {name: tensor(array) for name, array in inputs.items()}
        for node, names in zip(graph.nodes, unneeded):
            values[node.output] = run_tensors(node, values, fixed)
            for name in names:
                if name not in graph.outputs:
                    values.pop(name, None)
        return {name: values[name].asnumpy() for name in made}

    return step


def outputs(graph: Graph, inputs: Sequence[Any], constant: Callable[[str], Any]) -> list[Any]:
    """The network's outputs for one batch of tensors, through which gradients flow to the constants."""
    values = dict(zip(graph.inputs, inputs))
    for node in graph.nodes:
        constants = {name: constant(name) for name in graph.constant_inputs(node)}
        values[node.output] = run_tensors(node, values, constants)
    return [values[name] for name in graph.outputs]


def run_tensors(node: Node, values: Mapping[str, Any], constants: Mapping[str, Any]) -> Any:
    """The node's output, everything being MindSpore's tensors."""
    inputs = [constants[n] if n in constants else values[n] if n else None for n in node.inputs]
    return operator(node).forward(node, inputs)


def _last_readers(graph: Graph) -> dict[str, int]:
    """Tensor → the position of its last reader or, where that shares constants, of the last that does."""
    layers, last = graph.layers(), dict[str, int]()
    place = {node.output: index for index, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        end = place[layers[node.output][-1].output]
        last.update({name: max(end, last.get(name, end)) for name in node.inputs})
    return last


def _unneeded(graph: Graph) -> list[list[str]]:
    """What no node needs any more behind each node."""
    result: list[list[str]] = [[] for _ in graph.nodes]
    for name, index in _last_readers(graph).items():
        result[index].append(name)
    return result
