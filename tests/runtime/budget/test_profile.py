"""What is kept of the measurements on a device."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import inn_runtime as inn
import pytest
from inn_runtime.budget import profile
from inn_runtime.budget.profile import DeviceProfile
from inn_runtime.engine.library import cache_folder
from inn_runtime.network import choose

Pretend = Callable[[Callable[[float], float]], list[float]]


def test_measurements_serve_the_next_process(bundle: inn.Bundle, profiles: Path, pretend: Pretend) -> None:
    measured = pretend(lambda size: 10 * size)
    assert bundle.resample(inn.Budget(latency_ms=5)).size == 0.5
    count = len(measured)
    assert count > 0
    again = inn.open(bundle.source)
    assert again.resample(inn.Budget(latency_ms=5)).size == 0.5
    assert len(measured) == count
    assert len(list(profiles.iterdir())) == 1
    assert bundle.resample(inn.Budget(latency_ms=5), threads=2).size == 0.5
    assert len(list(profiles.iterdir())) == 2
    choose(bundle, inn.Budget(latency_ms=5), remeasure=True)
    assert len(measured) > 2 * count


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (lambda text: "[]", "is damaged"),
        (lambda text: text.replace("5.0", "-5.0"), "is damaged"),
        (lambda text: text.replace("5.0", "NaN"), "is damaged"),
        (lambda text: text.replace(profile.device_name(), "a phone"), "is of another device"),
        (lambda text: text.replace('"2.0.0"', '"2.1.0"'), "is of another engine version"),
    ],
)
def test_a_profile_that_will_not_do_is_measured_anew_and_that_is_said_once(
    bundle: inn.Bundle,
    profiles: Path,
    pretend: Pretend,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[str], str],
    message: str,
) -> None:
    measured = pretend(lambda size: 10 * size)
    bundle.resample(inn.Budget(latency_ms=5))
    (path,) = profiles.iterdir()
    text = path.read_text()
    path.write_text(damage(text))
    assert path.read_text() != text
    measured.clear()
    with caplog.at_level(logging.WARNING):
        assert bundle.resample(inn.Budget(latency_ms=5)).size == 0.5
        assert measured
        assert bundle.resample(inn.Budget(latency_ms=5)).size == 0.5
    assert [message in record.getMessage() for record in caplog.records] == [True]
    assert json.loads(path.read_text()) == json.loads(text)


def test_a_disk_that_cannot_be_written_to_is_no_error(
    bundle: inn.Bundle, tmp_path: Path, pretend: Pretend, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(lambda size: 10 * size)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert bundle.resample(inn.Budget(latency_ms=5)).size == 0.5
    assert ["measurements are not kept" in record.getMessage() for record in caplog.records] == [True]


def test_nothing_is_read_before_it_is_needed(bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("asked the engine")

    monkeypatch.setattr(profile, "engine_version", fail)
    assert choose(bundle, inn.Budget(flops=1e9)).size == 1.0
    with pytest.raises(AssertionError, match="asked the engine"):
        choose(bundle, inn.Budget(memory_mb=1e9))


def test_each_cost_is_measured_in_its_own_way(bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(profile.MEASURES, 1):
        monkeypatch.setitem(profile.MEASURES, name, lambda model, threads, engine, n=number: n * model.size)
    found = DeviceProfile(bundle, engine="native")
    assert {name: found.measure(name, 0.5) for name in profile.MEASURES} == {
        "latency_ms": 0.5,
        "memory_mb": 1,
    }
    assert [found.known(name) for name in profile.MEASURES] == [{0.5: 0.5}, {0.5: 1}]


def test_the_profile_lies_in_the_users_cache(bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "cache_folder", cache_folder)
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.sep + "elsewhere")
    assert DeviceProfile(bundle, remeasure=True).path.parent == Path("/elsewhere/innlite/profiles")


def test_on_the_engine(bundle: inn.Bundle) -> None:
    choice = choose(bundle, inn.Budget(latency_ms=1000, memory_mb=1000))
    assert choice.size == 1.0
    full = choice.candidates[-1].values
    assert 0 < full["latency_ms"] <= 1000
    assert 0 <= full["memory_mb"] <= 1000
    with bundle.resample(0.5).session() as session:
        session.resize(inn.Budget(latency_ms=1000))
        assert session.model.size == 1.0
        with pytest.raises(inn.UsageError, match="no size keeps latency_ms"):
            session.resize(inn.Budget(latency_ms=1e-6))
        assert session.model.size == 1.0
