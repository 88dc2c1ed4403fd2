"""The network as it is learned and judged: by class scores rather than probabilities."""

from __future__ import annotations

from dataclasses import replace

from ..graph.graph import Graph
from ..operators import operator


def scoring(graph: Graph) -> Graph:
    """The network up to its class scores: a softmax over classes that ends it is left out."""
    readers = graph.consumers()
    scores = {
        node.output: node.inputs[0]
        for node in graph.nodes
        if operator(node).gives_probabilities and node.output in graph.outputs and node.output not in readers
        if len(graph.shapes[node.output]) == 2
    }
    nodes = [node for node in graph.nodes if node.output not in scores]
    return replace(graph, outputs=[scores.get(name, name) for name in graph.outputs], nodes=nodes)
