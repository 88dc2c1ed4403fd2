"""Where a softmax at the end is left out."""

from __future__ import annotations

from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.passes.folding import fold
from inn_exporter.passes.scoring import scoring
from networks import Network


def imported(network: Network) -> Graph:
    return fold(import_onnx(network.model()))


def test_a_softmax_of_class_scores_at_the_end_is_left_out() -> None:
    n = Network()
    scores = n.dense(n.input(6), 6, 4)
    n.output(n.node("Softmax", scores, axis=-1))
    n.output(n.dense(n.relu(scores), 4, 3))
    graph = imported(n)
    found = scoring(graph)
    assert [node.op for node in graph.nodes].count("Softmax") == 1
    assert not any(node.op == "Softmax" for node in found.nodes)
    assert found.outputs == [scores, graph.outputs[1]]
    assert graph.outputs[0] != scores  # the graph that was given stays


def test_other_softmaxes_stay() -> None:
    n = Network()
    probabilities = n.output(n.node("Softmax", n.dense(n.input(6), 6, 4), axis=-1))  # read by a layer, too
    n.output(n.dense(probabilities, 4, 3))
    graph = imported(n)
    assert (scoring(graph).nodes, scoring(graph).outputs) == (graph.nodes, graph.outputs)
    n = Network()
    n.output(n.node("Softmax", n.conv(n.input(3, 6, 6), 3, 4), axis=1), rank=4)  # of a map
    graph = imported(n)
    assert (scoring(graph).nodes, scoring(graph).outputs) == (graph.nodes, graph.outputs)
