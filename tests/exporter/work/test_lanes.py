"""Sizes calibrated side by side, and taken up again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from inn_exporter.backend import cores
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.work import lanes
from inn_exporter.work.folder import WorkFolder
from inn_exporter.work.lanes import CalibrationJob, calibrated, processes_for
from inn_exporter.work.sizes import size_from_bytes, size_to_bytes
from inn_runtime.errors import InnError
from networks import images
from resizable import resizable

COSTS = {0.3: 1.0, 0.6: 2.0}


@pytest.fixture(scope="module")
def job() -> CalibrationJob:
    network, inputs = resizable(pooled=True), {"x": images(48, 3, 20, 20)}
    sizes = {s: CalibratedSize(network.channels.widths(s), True, "float32") for s in COSTS}
    return CalibrationJob(network, sizes, inputs, 0, 2)


def assert_equal(found: CalibratedSize, expected: CalibratedSize, tolerance: float = 0.0) -> None:
    assert found.constants.keys() == expected.constants.keys()
    for name, values in expected.constants.items():
        assert np.abs(found.constants[name] - values).max() <= tolerance * np.abs(values).max(), name


def test_a_size_is_the_same_again(job: CalibrationJob) -> None:
    expected = job.calibrated(0.3, lambda share: None)
    found = size_from_bytes(size_to_bytes(expected)).sampled(job.network)
    assert_equal(found, expected)
    assert (list(found.widths), found.refit, found.storage) == (list(expected.widths), True, "float32")


@pytest.mark.parametrize("processes", [1, 2])
def test_sizes_are_as_each_by_itself(processes: int, job: CalibrationJob, tmp_path: Path) -> None:
    shares: list[float] = []
    found = calibrated(job, COSTS, WorkFolder(tmp_path / "w", "a"), processes, shares.append)
    assert list(found) == list(COSTS)
    for size, each in found.items():
        # Sums are made in another order by another number of threads.
        assert_equal(each, job.calibrated(size, lambda share: None), 1e-3)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_finished_sizes_are_taken_up(
    job: CalibrationJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = WorkFolder(tmp_path / "w", "a")
    expected = calibrated(job, COSTS, folder, 1)
    (folder.path / "size-0.6.work").unlink()
    done: list[float] = []
    whole = CalibrationJob.calibrated

    def noted(self: CalibrationJob, size: float, progress: Callable[[float], None]) -> CalibratedSize:
        done.append(size)
        return whole(self, size, progress)

    monkeypatch.setattr(CalibrationJob, "calibrated", noted)
    found = calibrated(job, COSTS, folder, 1)
    assert done == [0.6]
    for size in COSTS:
        assert_equal(found[size], expected[size])


def test_a_process_that_is_killed_is_an_error(
    job: CalibrationJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes._Lane, "take", lambda self, size: self._process.kill())
    with pytest.raises(InnError, match=r"a process ended with code -9 \(is memory short"):
        calibrated(job, COSTS, WorkFolder(tmp_path / "w", "a"), 2)


def test_small_networks_are_not_worth_processes() -> None:
    assert processes_for(1e6, 5) == 1
    assert processes_for(1e12, 5) == min(5, len(cores()))
    assert processes_for(1e12, 1) == 1
