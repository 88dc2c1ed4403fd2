"""Layers that are one function of several inputs stay one: Siamese branches, a head on several levels.

Folding gives every node constants of its own, as what is folded into one may differ from what is folded
into the other. Where it turned out alike, layers share their kernel and bias again: one group structure, one
kernel a size, fitted once to what all of them see. Layers of which one depends on the other (a block that is
run twice) would have to be fitted before what they see is known; they keep constants of their own.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..graph.graph import Graph, Node
from ..operators import operator
from .folding import lineage


def with_shared_layers(graph: Graph) -> Graph:
    """The same network in which layers with equal constants, copies of one another, share them.

    Layers that share follow one another, see `side_by_side`.
    """
    alike: dict[tuple[object, ...], list[Node]] = {}
    for node in graph.nodes:
        if operator(node).linear:
            _, weight, bias = node.inputs
            values = (graph.constants[name].tobytes() for name in (weight, bias))
            form = node.op, repr(sorted(node.attributes.items())), graph.constants[weight].shape
            alike.setdefault((*form, lineage(weight), *values), []).append(node)
    for layers in alike.values():
        for independent in _by_depth(graph, layers) if len(layers) > 1 else ():
            together = _sharing(graph, independent)
            graph = side_by_side(together) or graph
    graph.drop_unused_constants()
    return graph


def _by_depth(graph: Graph, layers: Sequence[Node]) -> list[list[Node]]:
    """Layers in lists of which no one depends on another: by how many of them each lies behind."""
    outputs = {layer.output for layer in layers}
    depth: dict[str, int] = {}
    found: dict[int, list[Node]] = {}
    for node in graph.nodes:
        behind = max((depth.get(name, 0) for name in node.inputs), default=0)
        if node.output in outputs:
            found.setdefault(behind, []).append(node)
            behind += 1
        depth.update(dict.fromkeys(node.outputs, behind))
    return [together for together in found.values() if len(together) > 1]


def _sharing(graph: Graph, layers: Sequence[Node]) -> Graph:
    """The graph with the first layer's constants in all of them."""
    outputs, (_, *constants) = {layer.output for layer in layers}, layers[0].inputs
    nodes = [
        node.rewired(inputs=(node.inputs[0], *constants)) if node.output in outputs else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=nodes)


def side_by_side(graph: Graph) -> Graph | None:
    """The same graph with nodes that share constants one after the other; None where each waits for another.

    Otherwise the order stays as far as it can.
    """
    layers = list({layer[0].output: layer for layer in graph.layers().values()}.values())
    if len(layers) == len(graph.nodes):
        return graph
    place = {node.output: index for index, node in enumerate(graph.nodes)}
    made_by = {name: index for index, layer in enumerate(layers) for node in layer for name in node.outputs}
    before = [{made_by[n] for node in layer for n in node.inputs if n in made_by} for layer in layers]
    after: dict[int, list[int]] = {}
    for index, needed in enumerate(before):
        for other in needed:
            after.setdefault(other, []).append(index)
    missing = Counter({index: len(needed) for index, needed in enumerate(before)})
    first = [place[layer[0].output] for layer in layers]
    ready = [(first[index], index) for index in range(len(layers)) if not missing[index]]
    heapq.heapify(ready)
    nodes: list[Node] = []
    while ready:
        _, done = heapq.heappop(ready)
        nodes += layers[done]
        for index in after.get(done, ()):
            missing[index] -= 1
            if not missing[index]:
                heapq.heappush(ready, (first[index], index))
    return replace(graph, nodes=nodes) if len(nodes) == len(graph.nodes) else None
