"""A small network that can be resized."""

from __future__ import annotations

from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import ContinuousNetwork, axis_for
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from networks import Network


def resizable(pooled: bool) -> ContinuousNetwork:
    """A network of two convolutions and a dense layer or a third one, and what can be resized in it."""
    network = Network()
    x = network.relu(network.conv(network.input(3, 20, 20), 3, 12))
    x = network.relu(network.conv(x, 12, 10))
    if pooled:
        network.output(network.dense(network.node("Flatten", network.node("GlobalAveragePool", x)), 10, 5))
    else:
        network.output(network.conv(x, 10, 5), rank=4)
    graph = fold(import_onnx(network.model()))
    graph, channels = analyse(graph)
    axes = [axis_for("nested", size, "calibrated") for size in channels.sizes]
    return ContinuousNetwork(graph, channels, axes)
