"""Where sizes sample their axes is tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inn_exporter import export
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.data.samples import Samples
from inn_exporter.execution import forward
from inn_exporter.execution.divergence import output_divergence
from inn_exporter.graph.outputs import output_kinds
from inn_exporter.training import Tuning
from inn_exporter.training.partitions import tune_partitions
from inn_runtime.format.axis import Grid
from tunable import model, prepare


def test_tuned_partitions_bring_the_outputs_closer(labelled: Samples) -> None:
    network, _ = prepare(labelled, "smooth")
    graph, widths = network.graph, network.channels.widths(0.5)
    original = forward.run(graph, labelled.inputs)

    def error(grids: dict[int, Grid]) -> float:
        size = CalibratedSize(widths, grids=grids).discretisation(network.axes)
        constants = {name: network.constant(name, size) for name in graph.constants}
        return output_divergence(
            forward.run(graph, labelled.inputs, constants), original, output_kinds(graph)
        )

    tuning = Tuning(seen=3_200, batch=64, rate=1e-2, partitions=True)
    found = tune_partitions(network, widths, Samples(labelled.inputs), tuning)
    assert error(found) < 0.5 * error({})


def test_partitions_are_tuned_alone_and_stored(labelled: Samples, tmp_path: Path) -> None:
    data = {"x": labelled.inputs["x"], "labels": labelled.labels}
    trained = tmp_path / "trained.inn"
    options: dict[str, Any] = {"quadrature": "trapezoid", "sizes": (0.5,), "storage": "float32"}
    before = export(model(), trained, data, evaluate=data, **options)
    after = export(
        model(),
        tmp_path / "partitions.inn",
        data,
        evaluate=data,
        tune=labelled.inputs,
        tuning=Tuning(seen=1_280, batch=64, rate=1e-2, partitions=True),
        **options,
    )
    size = after.manifest.sizes[0]
    assert sorted(size.grids) == [0, 1, 2]
    grid = after.tensor(size.grids[1])
    assert not np.allclose(np.diff(grid[0]), np.diff(grid[0])[0], rtol=0.01)
    assert grid[1].sum() == pytest.approx(15, rel=1e-5)
    for name in before.manifest.weights:
        key = f"weight/{name.name}"
        np.testing.assert_array_equal(after.tensor(key), before.tensor(key))
