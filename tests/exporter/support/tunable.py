"""A small network, untrained, that learns Fashion-MNIST at half resolution."""

from __future__ import annotations

import numpy as np
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.data.samples import Samples
from inn_exporter.execution import forward
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import ContinuousNetwork, laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from networks import Network
from onnx import ModelProto

SIZES = (0.3, 0.6)


def model() -> ModelProto:
    """Three convolutions, untrained."""
    net = Network()
    x = net.input(1, 14, 14)
    for inputs, outputs in ((1, 8), (8, 16), (16, 16)):
        x = net.node("Relu", net.conv(x, inputs, outputs, strides=[2, 2]))
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    net.output(net.node("Gemm", x, net.weight(10, 16), net.weight(10), transB=1))
    return net.model()


def prepare(samples: Samples, order: str = "nested") -> tuple[ContinuousNetwork, dict[float, CalibratedSize]]:
    """The network, ordered and calibrated."""
    graph = fold(import_onnx(model()))
    graph, channels = analyse(graph)
    inputs = {"x": samples.inputs["x"][:128]}
    quadrature = "calibrated" if order == "nested" else "trapezoid"
    network = laid_out(graph, channels, inputs, order, quadrature)
    sizes = {s: CalibratedSize(channels.widths(s)) for s in SIZES}
    if order != "nested":
        return network, {}
    calibrated = Calibration(network).run(list(sizes.values()), inputs)
    return network, dict(zip(sizes, calibrated))


def right(graph: Graph, samples: Samples, constants: dict[str, np.ndarray] | None = None) -> float:
    found = forward.run(graph, samples.inputs, constants)[graph.outputs[0]]
    assert samples.labels is not None
    return float((found.argmax(1) == samples.labels).mean())
