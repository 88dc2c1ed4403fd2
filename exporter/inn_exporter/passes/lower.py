"""From the exporter's graph to MindSpore Lite's terms; operators know how (`Operator.lower`)."""

from __future__ import annotations

from collections.abc import Mapping

from inn_runtime.format.manifest import Dimension

from ..graph.graph import Graph, Node
from ..graph.lowered import LoweredGraph
from ..operators import operator
from ..operators.lowering import LoweringContext


def lower(graph: Graph, dims: Mapping[str, tuple[Dimension, ...]]) -> LoweredGraph:
    """A network as nodes of the engine's, which do not depend on the values of its constants.

    Parameters
    ----------
    dims : structure of every dimension of its tensors, see `Channels.dims`
    """
    fused = _fusible_activations(graph)
    absorbed = {activation.output for activation, _ in fused.values()}
    context = LoweringContext(graph, dims, fused)
    inputs = [context.input(name) for name in graph.inputs]
    for node in graph.nodes:
        if node.output not in absorbed:
            operator(node).lower(node, context)
    return context.lowered(inputs, [context.output(name) for name in graph.outputs])


def _fusible_activations(graph: Graph) -> dict[str, tuple[Node, int]]:
    """Tensor → the activation that alone reads it and that its producer can apply itself, and its number."""
    consumers = graph.consumers()
    result: dict[str, tuple[Node, int]] = {}
    for node in graph.nodes:
        readers = consumers.get(node.output, [])
        alone = len(readers) == 1 and node.output not in graph.outputs
        if alone and operator(node).fuses_activation:
            (reader,) = readers
            number = operator(reader).engine_activation(reader)
            if number is not None:
                result[node.output] = reader, number
    return result
