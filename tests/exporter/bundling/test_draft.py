"""What a bundle holds is, bit for bit, what was calibrated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
from inn_exporter.bundling.draft import Draft, assemble
from inn_exporter.bundling.onnx_writer import resized_constants
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.graph.lowered import LoweredGraph
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.lower import lower
from inn_exporter.storage.bits import COARSE_BITS, nothing
from inn_exporter.storage.stored import Stored, store
from networks import Network, images

STORAGES = tuple(f"int{bits}" for bits in COARSE_BITS)


def drafted(
    schedule: str = "uniform", without_last: bool = False
) -> tuple[Draft, CalibratedSize, LoweredGraph]:
    """A calibrated network whose kernels are refitted, the last of them to no avail if so wanted."""
    network = Network()
    x = network.relu(network.conv(network.input(3, 6, 6), 3, 12))
    x = network.relu(network.conv(x, 12, 10))
    x = network.node("Flatten", network.node("GlobalAveragePool", x))
    network.output(network.dense(network.relu(network.dense(x, 10, 30)), 30, 5))
    graph = fold(import_onnx(network.model()))
    graph, channels = analyse(graph)
    inputs = {"x": images(40, 3, 6, 6)}
    resizable = laid_out(graph, channels, inputs)
    size = CalibratedSize(channels.widths(0.5), refit=True)
    (size,) = Calibration(resizable).run([size], inputs)
    if without_last:
        *_, (last, correction) = size.corrections.items()
        zeros = nothing(correction.values.shape, size.storage, 0)
        size = replace(size, corrections={**size.corrections, last: zeros}).sampled(resizable)
    lowered = lower(resizable.graph, channels.dims)
    draft = assemble(
        resizable, lowered, {0.5: size}, storage="float16", align=1, source=b"onnx", labels=(),
        preprocessing={}, seed=0, schedule=schedule,
    )  # fmt: skip
    return draft, size, lowered


@pytest.mark.parametrize("storage", STORAGES)
def test_the_runtime_builds_the_network_that_was_calibrated(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored_so(values: np.ndarray, grids: str, by: Any, budget: float, channel: int = 0) -> Stored:
        return store(values, storage, channel, by)

    monkeypatch.setattr("inn_exporter.calibration.calibrated_size.fewest_bits", stored_so)
    draft, size, lowered = drafted()
    bits = None if storage == "int8" else int(storage[len("int") :])
    assert {stored.bits for stored in size.corrections.values()} == {bits}
    layouts = {weight.name: weight.permutation for weight in lowered.weights}
    (tmp_path / "a.inn").write_bytes(draft.to_bytes())
    for bundle in (draft.bundle("memory"), inn.open(tmp_path / "a.inn")):
        assert list(bundle.verify())
        found = resized_constants(bundle.resample(0.5), layouts)
        for name in [*size.changed, *size.corrections]:
            np.testing.assert_array_equal(found[name], size.constants[name])


def test_corrections_of_zero_are_not_written() -> None:
    draft, size, lowered = drafted(without_last=True)
    (last,) = (name for name, correction in size.corrections.items() if not correction.read().any())
    assert not any(key.startswith(f"correction/{last}") for key in draft.tensors)
    layouts = {weight.name: weight.permutation for weight in lowered.weights}
    found = resized_constants(draft.bundle("memory").resample(0.5), layouts)
    for name in size.constants:
        np.testing.assert_array_equal(found[name], size.constants[name])


def test_the_schedule_is_written() -> None:
    assert drafted()[0].bundle("memory").manifest.schedule == "uniform"
    assert drafted("flops")[0].bundle("memory").manifest.schedule == "flops"
