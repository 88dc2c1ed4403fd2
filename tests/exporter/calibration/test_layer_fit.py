"""Layers fitted one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

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


def _content(size: CalibratedSize) -> dict[str, dict[Any, bytes]]:
    """All values in a size, as they are now."""
    stored = {"tables": size.tables, "changed": size.changed, "corrections": size.corrections}
    found = {kind: {key: s.read().tobytes() for key, s in values.items()} for kind, values in stored.items()}
    return {**found, "constants": {key: values.tobytes() for key, values in size.constants.items()}}


@pytest.mark.parametrize("fit", [Calibration, Calibration.rescaling])
def test_sizes_and_images_are_never_changed_in_place(
    fit: Callable[[ContinuousNetwork], Calibration], small: ContinuousNetwork
) -> None:
    inputs = {"x": images(40, 3, 20, 20)}
    before, grids = inputs["x"].copy(), copy.deepcopy(small.graph.constants)
    empty = [CalibratedSize(small.channels.widths(size), refit=True) for size in (0.4, 0.7)]
    found = fit(small).run(empty, inputs)
    assert not any(any(_content(size).values()) for size in empty)
    content = [_content(size) for size in found]
    again = fit(small).run(found, {"x": images(40, 3, 20, 20, seed=2)})
    assert [_content(size) for size in found] == content
    assert [_content(size) for size in again] != content
    np.testing.assert_array_equal(inputs["x"], before)
    np.testing.assert_equal(small.graph.constants, grids)
