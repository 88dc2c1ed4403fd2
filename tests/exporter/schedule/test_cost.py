"""What widths cost."""

from __future__ import annotations

import numpy as np
from inn_exporter.passes.lower import lower
from inn_exporter.schedule.cost import Cost
from inn_runtime.format.manifest import evaluate
from unequal import Prepared


def test_costs_are_those_of_the_bundle(prepared: Prepared) -> None:
    network, _ = prepared
    graph, channels = network.graph, network.channels
    lowered = lower(graph, channels.dims)
    widths = [5, 12, 31]
    assert Cost.of("flops", lowered)(np.array(widths)) == evaluate(lowered.macs, widths)
    assert Cost.of("latency", lowered)(np.array(widths)) == evaluate(lowered.macs, [8, 16, 32])
    values = 3 * 9 * 5 + 5 + 5 * 9 * 12 + 12 + 12 * 9 * 31 + 31 + 31 * 5 + 5
    assert Cost.of("params", lowered)(np.array([widths, channels.sizes]))[0] == values
