"""What layers of a residual block aim at."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.targets import Targets
from inn_exporter.graph.graph import Node
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import ContinuousNetwork, axis_for
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from networks import Network, images

NONE = (-np.inf, np.inf)
RELU = (0.0, np.inf)


@pytest.fixture(scope="module")
def block() -> tuple[ContinuousNetwork, Node, Node]:
    """A block whose second layer completes a residual sum; its layers."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 8))
    y = n.conv(n.relu(n.conv(x, 8, 10)), 10, 8)
    n.output(n.conv(n.relu(n.node("Add", y, x)), 8, 4), rank=4)
    graph, channels = analyse(fold(import_onnx(n.model())))
    axes = [axis_for("nested", size, "calibrated") for size in channels.sizes]
    _, first, second, _ = (node for node in graph.nodes if node.op == "Conv")
    return ContinuousNetwork(graph, channels, axes), first, second


@pytest.mark.parametrize("feedback", [True, False])
def test_a_layer_makes_up_for_the_shortcut_it_is_added_to(
    feedback: bool, block: tuple[ContinuousNetwork, Node, Node]
) -> None:
    network, first, second = block
    discretisation = CalibratedSize(network.channels.widths(0.5)).discretisation(network.axes)
    (total,) = (node for node in network.graph.nodes if node.op == "Add")
    (shortcut,) = set(total.inputs) - {second.output}
    full = {shortcut: images(5, 8, 6, 6), second.output: images(5, 8, 6, 6, seed=2)}
    full[first.output] = images(5, 10, 6, 6, seed=3)
    resized = {shortcut: images(5, 4, 6, 6, seed=4)}
    targets = Targets(network, feedback=feedback)
    part = slice(1, 4)
    target, other = targets.aim(second, discretisation, full, resized)(part)
    kept = full[second.output][part, :4]
    if feedback:
        missing = full[shortcut][part, :4] - resized[shortcut][part]
        np.testing.assert_allclose(target, kept + missing, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(other, resized[shortcut][part])
    else:
        np.testing.assert_array_equal(target, kept)
        assert not other.any()
    target, other = targets.aim(first, discretisation, full, resized)(part)  # is added to nothing
    np.testing.assert_array_equal(target, full[first.output][part, :5])
    assert not other.any()


@pytest.mark.parametrize(
    ("feedback", "limits", "of_first", "of_second"),
    [(True, True, RELU, RELU), (False, True, RELU, NONE), (True, False, NONE, NONE)],
)
def test_limits_are_those_of_the_activation_that_follows(
    feedback: bool,
    limits: bool,
    of_first: tuple[float, float],
    of_second: tuple[float, float],
    block: tuple[ContinuousNetwork, Node, Node],
) -> None:
    network, first, second = block
    targets = Targets(network, feedback=feedback, limits=limits)
    assert (targets.limits(first), targets.limits(second)) == (of_first, of_second)
