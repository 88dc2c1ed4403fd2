"""Layers fitted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.execution.forward import run, run_node
from inn_exporter.ordering.continuous import ContinuousNetwork
from networks import images
from resizable import resizable


def test_a_kernel_that_does_not_carry_over_is_left_as_the_rules_sample_it() -> None:
    network = resizable(pooled=True)
    (dense,) = (node.inputs[1] for node in network.graph.nodes if node.op == "Gemm")

    def calibrated(count: int) -> CalibratedSize:
        size = CalibratedSize([6, 9], refit=True)
        (size,) = Calibration(network, steps=0).run([size], {"x": images(count, 3, 20, 20)})
        return size

    few, many = calibrated(12), calibrated(100)
    assert many.corrections[dense].read().any()
    assert not few.corrections[dense].read().any()
    np.testing.assert_array_equal(few.constants[dense], few.base(network, dense))


def test_rescaling_restores_means_and_deviations(small: ContinuousNetwork) -> None:
    inputs = {"x": images(40, 3, 20, 20)}
    size = CalibratedSize(small.channels.widths(0.5), refit=True, storage="float32")
    (size,) = Calibration.rescaling(small).run([size], inputs)
    assert not size.tables
    first = small.graph.nodes[0]
    full = run_node(first, inputs, small.graph.constants)[:, : size.widths[0]]
    found = run_node(first, inputs, size.constants)
    assert found == pytest.approx(full, abs=1e-4)
    output = small.graph.outputs[0]
    full, found = (run(small.graph, inputs, constants)[output] for constants in (None, size.constants))
    assert found.mean(0) == pytest.approx(full.mean(0), abs=1e-4)
    assert found.std(0) == pytest.approx(full.std(0), abs=1e-4)
