"""Layers as they are resized best: constant scales and shifts moved into the layer before them, and one layer
for each piece that is cut from an output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..graph.graph import Graph, Node
from ..operators import operator

COPY = "@"
"""Between a constant's name and that of the node whose copy it is."""


def lineage(name: str) -> str:
    """The name of the constant that one is a copy of."""
    return name.split(COPY)[0]


def fold(graph: Graph) -> Graph:
    """Fold scales and shifts into layers, and take layers apart whose output is cut into pieces.

    Queries, keys and values of one layer thus become three, whose channels are groups of their own.
    """
    return _folded(_separated(_folded(graph)))


def _separated(graph: Graph) -> Graph:
    """One layer for each slice of the channels of a layer that is read in no other way."""
    consumers = graph.consumers()
    constants, gone, nodes = dict(graph.constants), set(), []
    for node in graph.nodes:
        if node.output in gone:
            continue
        readers = consumers.get(node.output, [])
        pieces = _pieces(graph, node, readers)
        if not pieces:
            nodes.append(node)
        for index, (reader, piece) in enumerate(zip(readers, pieces)):
            names = []
            for name in node.inputs[1:]:
                names.append(replace(graph, constants=constants).unused_name(f"{name}.{index}"))
                constants[names[-1]] = graph.constants[name][piece.start : piece.stop]
            inputs = (node.inputs[0], *names)
            nodes.append(node.rewired(name=f"{node.name}.{index}", inputs=inputs, outputs=reader.outputs))
            gone.add(reader.output)
    result = replace(graph, nodes=nodes, constants=constants)
    result.drop_unused_constants()
    return result


def _pieces(graph: Graph, node: Node, readers: list[Node]) -> list[range]:
    """The channels that each reader of a dense layer takes, where all are slices of which none overlap."""
    layer = operator(node)
    if not layer.linear or node.depthwise or not layer.own_rows or node.output in graph.outputs:
        return []
    channels = layer.channel_axis % len(graph.shape(node.output))
    found = [operator(reader).slice_of(reader, channels) for reader in readers]
    pieces = [piece for piece in found if piece is not None]
    kept = [channel for piece in pieces for channel in piece]
    apart = len(pieces) == len(found) > 1 and len(kept) == len(set(kept))
    return pieces if apart else []


def _folded(graph: Graph) -> Graph:
    """Fold every product with and sum of a constant that follows a layer which nothing else reads.

    Batch normalisation arrives as such a pair. Works in float64 and rounds once at the end.
    """
    consumers = graph.consumers()
    constants = {name: value.astype(np.float64) for name, value in graph.constants.items()}
    layers: dict[str, int] = {}  # output of a layer → its place in `nodes`
    nodes: list[Node] = []
    for node in graph.nodes:
        place = layers.get(node.inputs[0]) if node.inputs else None
        operand = None if place is None else _channel_constant(graph, node, nodes[place])
        if place is None or operand is None:
            nodes.append(_own_constants(node, constants, consumers))
            read_once = len(consumers.get(node.output, ())) == 1 and node.output not in graph.outputs
            if operator(node).linear and read_once:
                layers[node.output] = len(nodes) - 1
            continue
        layer = nodes[place]
        _, weight, bias = layer.inputs
        if operator(node).is_product:
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


def _channel_constant(graph: Graph, node: Node, layer: Node) -> np.ndarray | None:
    """The constant of an elementwise node as one value per channel of a layer (or one for all), if it is
    that."""
    scales_or_shifts = operator(node).is_product or operator(node).is_sum
    if not scales_or_shifts or node.inputs[1] not in graph.constants:
        return None
    values = graph.constants[node.inputs[1]]
    if graph.shape(node.output) != graph.shape(node.inputs[0]):
        return None
    if values.size not in (1, values.shape[operator(layer).channel_axis]):
        return None
    return values.astype(np.float64).reshape(-1)


def _own_constants(node: Node, constants: dict[str, np.ndarray], consumers: dict[str, list[Node]]) -> Node:
    """Give a node copies of constants that it shares with others: folding and calibration change them, and
    what a constant is combined with is one group."""
    inputs = list(node.inputs)
    for index, name in enumerate(inputs):
        if name in constants and len(consumers[name]) > 1:
            inputs[index] = f"{name}{COPY}{node.name}"
            constants[inputs[index]] = constants[name].copy()
    return node.rewired(inputs=tuple(inputs))
