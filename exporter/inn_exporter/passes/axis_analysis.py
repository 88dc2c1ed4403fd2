"""From a graph to its channel groups, by the axis rules of its operators."""

from __future__ import annotations

from collections.abc import Callable

from ..graph.channels import Channels
from ..graph.dimensions import fixed
from ..graph.graph import Graph
from ..graph.structure import Structure


def analyse(graph: Graph, keep: Callable[[str], bool] = lambda name: False) -> Channels:
    """Channel groups of a graph, and the structure of every tensor in terms of them.

    The network's inputs and outputs keep their size, and so does every group whose name ``keep`` accepts.
    The graph's nodes learn what they must know of the groups (`Operator.settled`).
    """
    from ..operators import operator

    structure = Structure(graph)
    for name in graph.inputs:
        structure.set(name, [fixed(length) for length in graph.shapes[name]])
    for node in graph.nodes:
        operator(node).axes(node, structure)
    for name in graph.outputs:
        for dim in structure.dims[name]:
            structure.pin(dim)
    channels = structure.channels(keep)
    graph.nodes = [operator(node).settled(node, channels.dims) for node in graph.nodes]
    return channels
