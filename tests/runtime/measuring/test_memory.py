"""Memory that a model takes, measured in a process of its own."""

from __future__ import annotations

from pathlib import Path

import inn_runtime as inn
import pytest
import tiny
from inn_runtime.measuring import memory
from inn_runtime.measuring.memory import measure_memory


@pytest.fixture
def model(tmp_path: Path) -> inn.Model:
    return inn.open(tiny.write(tmp_path / "a.inn")).resample("full")


def test_a_model_is_apart_from_the_engine(model: inn.Model) -> None:
    use = measure_memory(model)
    assert 0 <= use.model < 50e6 < use.engine <= use.peak


def test_the_vendors_engine_has_no_process_to_measure(model: inn.Model) -> None:
    with pytest.raises(inn.UsageError, match="the engine 'vendor' cannot be measured"):
        measure_memory(model, engine="vendor")


def test_a_system_that_tells_nothing_is_said(model: inn.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "Path", lambda name: Path("/nowhere"))
    with pytest.raises(inn.EngineError, match="this system does not tell a process's memory"):
        measure_memory(model)
