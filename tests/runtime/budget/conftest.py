"""What the tests of budgets share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anysize
import inn_runtime as inn
import pytest
from inn_runtime.budget import profile


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and no warnings said before."""
    monkeypatch.setattr(profile, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(profile, "_said", set())
    return tmp_path / "cache" / "profiles"


@pytest.fixture
def bundle(tmp_path: Path) -> inn.Bundle:
    return anysize.write(tmp_path / "a.inn")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[float], float]], list[float]]:
    """A function that has latencies come by formula instead of by clock; it returns the sizes measured so."""

    def replace(latency: Callable[[float], float]) -> list[float]:
        measured: list[float] = []

        def measure(model: inn.Model, threads: int, engine: str) -> float:
            measured.append(model.size)
            return latency(model.size)

        monkeypatch.setitem(profile.MEASURES, "latency_ms", measure)
        return measured

    return replace
