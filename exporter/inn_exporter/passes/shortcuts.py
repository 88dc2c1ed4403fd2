"""Projection shortcuts, run as soon as their input is there."""

from __future__ import annotations

from dataclasses import replace

from ..graph.graph import Graph
from ..operators import operator


def graph_with_early_shortcuts(graph: Graph) -> Graph:
    """The same graph with projection shortcuts run as soon as their input is there.

    The last layer to write into a residual sum can repair what the other branch gets wrong; that should be
    the branch with the larger kernel.
    """
    producers = graph.producers()
    early = set()
    for node in graph.nodes:
        branches = [producers[name] for name in node.inputs if name in producers]
        if operator(node).is_sum and len(branches) == 2 and all(operator(b).linear for b in branches):
            early.add(min(branches, key=lambda b: graph.constants[b.inputs[1]].size).output)
    ready = {*graph.inputs, *graph.constants, ""}
    waiting, nodes = list(graph.nodes), []
    while waiting:
        possible = [node for node in waiting if ready.issuperset(node.inputs)]
        node = next((n for n in possible if n.output in early), possible[0])
        waiting.remove(node)
        nodes.append(node)
        ready.update(node.outputs)
    return replace(graph, nodes=nodes)
