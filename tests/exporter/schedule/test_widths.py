"""Widths chosen by sensitivity."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.defaults import OBJECTIVES
from inn_exporter.passes.lower import lower
from inn_exporter.schedule.cost import Cost
from inn_exporter.schedule.widths import schedule
from inn_runtime.format.parser import SCHEDULES
from unequal import Prepared

SIZES = (0.2, 0.5, 0.7)


def test_a_bundle_knows_every_objective() -> None:
    assert tuple(OBJECTIVES) == SCHEDULES


@pytest.mark.parametrize("objective", ["flops", "params", "latency"])
@pytest.mark.parametrize("align", [1, 3, 8])
def test_schedules_meet_the_budget_and_shrink_the_useless_group_first(
    prepared: Prepared, objective: str, align: int
) -> None:
    network, inputs = prepared
    channels = network.channels
    lowered = lower(network.graph, channels.dims)
    uniform = {size: channels.widths(size, align) for size in SIZES}
    found = schedule(objective, network, lowered, uniform, align, inputs, inputs)
    cost = Cost.of(objective, lowered)
    assert list(found) == sorted(SIZES)
    for size, widths in found.items():
        assert cost(np.array(widths)) <= cost(np.array(uniform[size]))
        assert all(width % align == 0 or width == n for width, n in zip(widths, channels.sizes))
    for smaller, larger in zip(SIZES, SIZES[1:]):
        assert all(a <= b for a, b in zip(found[smaller], found[larger]))
    first, useless, last = found[0.7]
    assert useless < min(first, last)
    assert first + last > sum(uniform[0.7][::2])
    assert found == schedule(objective, network, lowered, uniform, align, inputs, inputs)
