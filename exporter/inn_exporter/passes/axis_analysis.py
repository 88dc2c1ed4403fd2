"""From a graph to its channel groups, by the axis rules of its operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..graph.channels import Channels
from ..graph.dimensions import fixed
from ..graph.graph import Graph
from ..graph.structure import Structure
from ..operators import operator


def analyse(graph: Graph, keep: Callable[[str], bool] = lambda name: False) -> tuple[Graph, Channels]:
    """The graph, whose nodes know what they must of its channel groups (`Operator.settled`), and these.

    The network's inputs and outputs keep their size, and so does every group whose name ``keep`` accepts.
    """
    structure = Structure(graph)
    for name in graph.inputs:
        structure.set(name, [fixed(length) for length in graph.shapes[name]])
    for node in graph.nodes:
        operator(node).axes(node, structure)
    for name in graph.outputs:
        for dim in structure.dims[name]:
            structure.pin(dim)
    channels = structure.channels(keep)
    nodes = [operator(node).settled(node, channels.dims) for node in graph.nodes]
    return replace(graph, nodes=nodes), channels
