"""Timing runs: how many there are, and what is taken of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
from inn_runtime.format.parser import parse
from inn_runtime.measuring import timing
from inn_runtime.measuring.timing import measure_latency, timed
from inn_runtime.noise import noise


class Clock:
    """Seconds that pass only while something runs: as long as each run is said to take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
        self.now = 0.0
        self.seconds = list(seconds)
        self.inputs: list[Any] = []
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def run(self, inputs: Any) -> None:
        self.inputs.append(inputs)
        self.now += self.seconds.pop(0)


def test_runs_at_least_so_often_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 1, 2, 3, 4)
    assert timed(clock, "x", least=3, seconds=0.5).tolist() == [1000, 2000, 3000]
    assert clock.inputs == ["x"] * 3


def test_runs_as_long_as_it_may_but_not_more_often_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(timed(Clock(monkeypatch, *[0.25] * 9), None, seconds=1)) == 4
    assert len(timed(Clock(monkeypatch, *[0.25] * 9), None, most=3, seconds=1)) == 3


def test_latency_is_the_median_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 9, 9, 9, *np.linspace(1, 2, 10))
    asked: list[tuple[int, str]] = []

    @contextmanager
    def session(threads: int, engine: str) -> Iterator[Clock]:
        asked.append((threads, engine))
        yield clock

    manifest = parse({**tiny.manifest(), "digests": {}}, "none")
    model: Any = SimpleNamespace(manifest=manifest, session=session)
    assert measure_latency(model, 2, "worker") == pytest.approx(1500)
    assert asked == [(2, "worker")]
    np.testing.assert_array_equal(clock.inputs[0]["image"], noise(0, (1, 2, 5, 4)))
