"""Running a graph in MindSpore."""

from __future__ import annotations

from inn_exporter.execution.forward import live_values
from inn_exporter.ordering.continuous import ContinuousNetwork


def test_live_values_are_the_most_that_a_walk_keeps(small: ContinuousNetwork) -> None:
    # The first convolution's output and the same after its activation, 12 channels each.
    assert live_values(small.graph) == 2 * 12 * 20 * 20
