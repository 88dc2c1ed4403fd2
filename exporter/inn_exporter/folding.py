"""Moving constant scales and shifts into the convolution or dense layer before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .graph import Graph, Node
from .operators import operator


def fold(graph: Graph) -> Graph:
    """Fold every ``Mul`` and ``Add`` by a constant that follows a layer which nothing else reads.

    Batch normalisation arrives as such a pair. Works in float64 and rounds once at the end.
    """
    consumers = graph.consumers()
    constants = {name: value.astype(np.float64) for name, value in graph.constants.items()}
    layers: dict[str, int] = {}  # output of a layer → its place in `nodes`
    nodes: list[Node] = []
    for node in graph.nodes:
        place = layers.get(node.inputs[0]) if node.inputs else None
        operand = _channel_constant(graph, node)
        if place is None or operand is None:
            if operator(node).linear:
                node = _own_constants(node, constants, consumers)
                if len(consumers.get(node.output, ())) == 1 and node.output not in graph.outputs:
                    layers[node.output] = len(nodes)
            nodes.append(node)
            continue
        layer = nodes[place]
        _, weight, bias = layer.inputs
        if node.op == "Mul":
            constants[weight] *= operand.reshape(-1, *[1] * (constants[weight].ndim - 1))
            constants[bias] *= operand
        else:
            constants[bias] = constants[bias] + operand
        nodes[place] = layer.rewired(outputs=node.outputs)
        if len(consumers.get(node.output, ())) == 1 and node.output not in graph.outputs:
            layers[node.output] = place
    rounded = {name: value.astype(np.float32) for name, value in constants.items()}
    result = replace(graph, nodes=nodes, constants=rounded)
    result.drop_unused_constants()
    return result


def _channel_constant(graph: Graph, node: Node) -> np.ndarray | None:
    """The constant of an elementwise node as one value per channel (or one for all), if it is that."""
    if node.op not in ("Mul", "Add") or node.inputs[1] not in graph.constants:
        return None
    values = graph.constants[node.inputs[1]]
    if graph.shape(node.output) != graph.shape(node.inputs[0]) or values.size != values.shape[1]:
        return None
    return values.astype(np.float64).reshape(-1)


def _own_constants(node: Node, constants: dict[str, np.ndarray], consumers: dict[str, list[Node]]) -> Node:
    """Give a layer copies of constants that it shares with others: folding and calibration change them."""
    inputs = list(node.inputs)
    for index, name in enumerate(inputs):
        if name in constants and len(consumers[name]) > 1:
            inputs[index] = f"{name}@{node.name}"
            constants[inputs[index]] = constants[name].copy()
    return node.rewired(inputs=tuple(inputs))
