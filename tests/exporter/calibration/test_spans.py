"""Layers of a span, fitted together, bring unseen images nearer to the original than layers fitted alone."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.calibration.spans import fit_span, images_seen, spans
from inn_exporter.execution import forward
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.operators import operator
from inn_exporter.ordering.continuous import laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from networks import Network, images
from places import RESNET20


def linear_layers(graph: Graph) -> int:
    return sum(operator(node).linear for node in graph.nodes)


def test_spans_follow_each_other_and_hold_whole_blocks() -> None:
    graph = fold(import_onnx(RESNET20))
    found = spans(graph)
    assert [linear_layers(span) for span in found.values()] == [7, 7, 7]
    nodes = [node for span in found.values() for node in span.nodes]
    assert nodes == graph.nodes[: len(nodes)]
    assert [span.inputs for span in found.values()] == [graph.inputs, *([end] for end in list(found)[:-1])]
    for end, span in found.items():
        assert span.outputs == [end]
        assert span.nodes[-1].op == "Relu"  # behind a residual sum, not before its activation


def test_a_span_ends_where_all_that_follows_depends_on_one_tensor() -> None:
    """The sum over everything is the first such place, though there are layers enough before it, and what
    follows it has more values."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 8))
    y = x
    for _ in range(14):
        y = n.relu(n.conv(y, 8, 8))
    total = n.node("Add", x, y)
    n.output(n.node("Flatten", n.node("GlobalAveragePool", n.conv(total, 8, 64))))
    graph = fold(import_onnx(n.model()))
    first, *_ = spans(graph).values()
    assert linear_layers(first) == 15


def test_without_positions_there_is_no_span() -> None:
    n = Network()
    x = n.relu(n.dense(n.input(12), 12, 20))
    n.output(n.dense(n.relu(n.dense(x, 20, 20)), 20, 5))
    assert not spans(fold(import_onnx(n.model())))


def test_of_large_images_fewer_are_looked_at() -> None:
    assert images_seen((16, 14, 14), 1024) == 1024
    assert images_seen((64, 14, 14), 1024) == 334
    assert images_seen((3, 80, 80), 512) == 64
    assert images_seen((3, 80, 80), 20) == 20


@pytest.mark.parametrize("storage", ["float16", "float32"])
def test_unseen_images_come_nearer_to_the_original(storage: str, train: np.ndarray) -> None:
    seen, other = {"x": train[:96]}, {"x": train[96:]}
    graph = fold(import_onnx(RESNET20))
    network = laid_out(*analyse(graph), seen, storage=storage)
    graph = network.graph
    before = {name: values.copy() for name, values in graph.constants.items()}
    target = forward.run(graph, other)[graph.outputs[0]]
    errors = []
    for steps in (0, 15):
        size = CalibratedSize(network.channels.widths(0.3), refit=True, storage=storage)
        (size,) = Calibration(network, steps=steps).run([size], seen)
        errors.append(np.square(forward.run(graph, other, size.constants)[graph.outputs[0]] - target).mean())
        for name, values in before.items():  # the control grids stay
            assert np.array_equal(graph.constants[name], values)
        fitted = size.constants
        size = size.sampled(network)  # from what is stored
        for name, values in fitted.items():
            assert np.array_equal(size.constants[name], values), name
    assert errors[1] < 0.9 * errors[0]


def calibrated(refit: bool) -> tuple[Calibration, CalibratedSize, dict[str, np.ndarray]]:
    n = Network()
    x = n.input(3, 6, 6)
    for before, after in ((3, 10), (10, 10), (10, 10)):
        x = n.relu(n.conv(x, before, after))
    n.output(n.conv(x, 10, 4), 4)
    inputs = {"x": images(40, 3, 6, 6)}
    graph = fold(import_onnx(n.model()))
    network = laid_out(*analyse(graph), inputs)
    size = CalibratedSize(network.channels.widths(0.5), refit=refit)
    solver = Calibration(network, steps=0)
    (size,) = solver.run([size], inputs)
    return solver, size, inputs


def _fitted(refit: bool, steps: int, rounding: float) -> tuple[CalibratedSize, CalibratedSize]:
    """A size before and after its only span is fitted."""
    solver, size, inputs = calibrated(refit)
    (span,) = spans(solver.graph).values()
    target = solver.targets.sampled(
        span.outputs[0],
        forward.run(span, inputs)[span.outputs[0]],
        size.discretisation(solver.network.axes),
    )
    return size, fit_span(solver.network, span, size, inputs, target, steps, rounding)


def test_sizes_without_kernels_of_their_own_stay_as_they_are() -> None:
    before, after = _fitted(refit=False, steps=5, rounding=0.1)
    assert after is before


def test_a_fit_that_rounding_spoils_is_not_kept() -> None:
    before, after = _fitted(refit=True, steps=1, rounding=1e9)
    assert after is before
    before, after = _fitted(refit=True, steps=5, rounding=0.1)
    assert after is not before
