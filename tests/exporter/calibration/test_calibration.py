"""The loop over a network's nodes that calibrates."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.ordering.continuous import ContinuousNetwork
from networks import images


def _sizes(network: ContinuousNetwork) -> list[CalibratedSize]:
    return [CalibratedSize(network.channels.widths(size), refit=True) for size in (0.3, 0.5, 0.8)]


def test_memory_only_decides_how_many_sizes_are_calibrated_at_a_time(
    small: ContinuousNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"x": images(40, 3, 20, 20)}
    done: list[float] = []
    together = Calibration(small).run(_sizes(small), inputs, done.append)
    assert done == sorted(done)
    assert done[-1] == 1.0
    monkeypatch.setattr("inn_exporter.execution.forward.SPILLED", 1000)  # activations in temporary files
    apart = Calibration(small, memory=1).run(_sizes(small), inputs)
    for a, b in zip(together, apart):
        for name, values in a.constants.items():
            assert np.array_equal(values, b.constants[name]), name
