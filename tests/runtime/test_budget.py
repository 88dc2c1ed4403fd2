"""Budgets: what they may be, which size they choose, what is kept of the measurements, refusals."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anysize
import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_runtime import device_profile, solver
from inn_runtime.device_profile import DeviceProfile, monotone
from inn_runtime.engine.library import cache_folder
from inn_runtime.solver import candidate_sizes, choose

Costs = Callable[[float], float]


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and no warnings said before."""
    monkeypatch.setattr(device_profile, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(device_profile, "_said", set())
    return tmp_path / "cache" / "profiles"


@pytest.fixture
def bundle(tmp_path: Path) -> inn.Bundle:
    return anysize.write(tmp_path / "a.inn")


def pretend(monkeypatch: pytest.MonkeyPatch, latency: Costs) -> list[float]:
    """Latencies by formula instead of by clock; returns the list of sizes that get measured."""
    measured: list[float] = []

    def measure(model: inn.Model, threads: int, engine: str) -> float:
        measured.append(model.size)
        return latency(model.size)

    monkeypatch.setattr(device_profile, "measure_latency", measure)
    return measured


# What a budget may be


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "8"])
@pytest.mark.parametrize("name", ["latency_ms", "memory_mb", "model_mb", "flops"])
def test_upper_bounds_are_positive_numbers(name: str, value: Any) -> None:
    with pytest.raises(inn.UsageError, match=f"budget: {name}: expected a positive number, found "):
        inn.Budget(**{name: value})


@pytest.mark.parametrize("value", [0, -0.5, 1.01, math.nan])
@pytest.mark.parametrize("name", ["accuracy", "agreement"])
def test_lower_bounds_are_shares(name: str, value: float) -> None:
    with pytest.raises(inn.UsageError, match=rf"budget: {name}: expected a number in \(0, 1\], found "):
        inn.Budget(**{name: value})


def test_a_budget_bounds_something() -> None:
    with pytest.raises(inn.UsageError, match="expected at least one of latency_ms"):
        inn.Budget()


# Candidates


def test_calibrated_bundles_have_their_own_sizes(tmp_path: Path) -> None:
    assert candidate_sizes(inn.open(tiny.write(tmp_path / "a.inn")).manifest) == [0.5, 1.0]


@pytest.mark.parametrize(("align", "sizes"), [(1, [i / 8 for i in range(1, 9)]), (4, [0.5, 1.0])])
def test_other_bundles_have_one_size_for_each_width_on_the_grid(
    tmp_path: Path, align: int, sizes: list[float]
) -> None:
    bundle = anysize.write(tmp_path / "b.inn", align)
    assert candidate_sizes(bundle.manifest) == sizes
    for size in sizes[:-1]:
        assert all(width % align == 0 or width == 6 for width in bundle.resample(size).plan.widths)


# Choosing


def test_model_size_is_found_without_sampling(bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {s: len(bundle.resample(s).to_bytes()) for s in candidate_sizes(bundle.manifest)}
    half = {s: len(bundle.resample(s, weights="float16").to_bytes()) for s in sizes}
    monkeypatch.setattr(inn.Model, "blocks", None)
    for size, count in sizes.items():
        assert bundle.resample(size).model_bytes == count
        assert bundle.resample(inn.Budget(model_mb=count / 1e6)).model_bytes <= count
        assert bundle.resample(size, weights="float16").model_bytes == half[size]
    assert bundle.resample(inn.Budget(model_mb=sizes[1.0] / 1e6)).size == 1.0
    assert bundle.resample(inn.Budget(model_mb=(sizes[1.0] - 1) / 1e6)).size == 0.875


def test_flops(bundle: inn.Bundle) -> None:
    for size in candidate_sizes(bundle.manifest):
        assert bundle.resample(inn.Budget(flops=2 * bundle.resample(size).macs)).size == size


def test_agreement_between_measured_sizes_is_that_of_the_smaller(bundle: inn.Bundle) -> None:
    small = 2 * bundle.resample(0.75).macs
    assert bundle.resample(inn.Budget(agreement=0.9, flops=small)).size == 0.75
    with pytest.raises(inn.UsageError) as caught:
        bundle.resample(inn.Budget(agreement=0.95, flops=small))
    assert "the smallest size with agreement ≥ 0.95, 1, has flops" in str(caught.value)


def test_unmeasured_quality(tmp_path: Path, bundle: inn.Bundle) -> None:
    with pytest.raises(inn.UsageError, match="the bundle holds no measured accuracy; export with --evaluate"):
        bundle.resample(inn.Budget(accuracy=0.5))
    calibrated = inn.open(tiny.write(tmp_path / "b.inn"))
    with pytest.raises(inn.UsageError, match=r"no size keeps agreement ≥ 0\.95: the best has 0\.9"):
        calibrated.resample(inn.Budget(agreement=0.95))


@settings(deadline=None)
@given(
    bounds=st.lists(st.floats(0.5, 40), min_size=1, max_size=4),
    steps=st.lists(st.floats(0, 9), min_size=32, max_size=32),
)
def test_the_next_larger_size_breaks_the_budget(bounds: list[float], steps: list[float]) -> None:
    """Any latencies that grow with the size, in steps, noise-free; the answer is that of a full search."""
    costs = dict(zip(range(32), np.cumsum(steps)))

    class Profile:
        def __init__(self) -> None:
            self.seen: dict[float, float] = {}

        def known(self, what: str) -> dict[float, float]:
            return self.seen

        def measure(self, what: str, size: float, times: int) -> float:
            return self.seen[size]

        predict = DeviceProfile.predict

    profile: Any = Profile()
    for bound in bounds:
        candidates = [solver.Candidate(float(i), str(i), {"flops": float(i * i)}) for i in range(32)]

        def cost(candidate: solver.Candidate) -> float:
            value = profile.seen[candidate.size] = costs[int(candidate.size)]
            candidate.values["latency_ms"] = value
            return float(value)

        count = solver._within_measured(candidates, "latency_ms", bound, cost, profile)
        assert count == sum(value <= bound for value in costs.values())


def test_few_sizes_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = anysize.write(tmp_path / "b.inn")
    measured = pretend(monkeypatch, lambda size: 10 * size * size)
    choice = choose(bundle, inn.Budget(latency_ms=4))
    assert choice.size == 0.625
    assert len(measured) - 1 == len(set(measured)) <= 6  # one of them twice: what ends the search
    breaking = [c.size for c in choice.candidates if "latency_ms" in c.breaks]
    assert breaking == [0.75, 0.875, 1.0]


def test_noise_never_chooses_a_size_that_was_measured_beyond_the_budget(
    bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    for _ in range(40):
        pretend(monkeypatch, lambda size: 10 * size * size * random.uniform(0.6, 1.6))
        choice = choose(bundle, inn.Budget(latency_ms=4), remeasure=True)
        values = {c.size: c.values.get("latency_ms") for c in choice.candidates}
        chosen = values.pop(choice.size)
        assert chosen is not None
        assert chosen <= 4
        larger = min(size for size in values if size > choice.size)
        assert values[larger] is not None
        assert values[larger] > 4


def test_a_moment_in_which_the_device_was_busy_does_not_shrink_the_choice(
    bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first measurement of every size but the smallest takes thrice as long as it should."""
    seen: set[float] = set()

    def latency(size: float) -> float:
        busy = size not in seen and size > 0.125
        seen.add(size)
        return (3 if busy else 1) * 10 * size

    pretend(monkeypatch, latency)
    assert bundle.resample(inn.Budget(latency_ms=5)).size == 0.5


def test_impossible_latency_says_the_nearest(bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, lambda size: 10 * size)
    with pytest.raises(inn.UsageError) as caught:
        bundle.resample(inn.Budget(latency_ms=1))
    text = str(caught.value)
    assert "no size keeps latency_ms ≤ 1 ms: the smallest size, 0.125, has latency_ms 1.25 ms" in text
    assert "the nearest bound that holds" in text


# What is kept


def test_measurements_serve_the_next_process(
    bundle: inn.Bundle, profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = pretend(monkeypatch, lambda size: 10 * size)
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
        (lambda text: text.replace(device_profile.device_name(), "a phone"), "is of another device"),
        (lambda text: text.replace('"2.0.0"', '"2.1.0"'), "is of another engine version"),
    ],
)
def test_a_profile_that_will_not_do_is_measured_anew_and_that_is_said_once(
    bundle: inn.Bundle,
    profiles: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[str], str],
    message: str,
) -> None:
    measured = pretend(monkeypatch, lambda size: 10 * size)
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
    bundle: inn.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(monkeypatch, lambda size: 10 * size)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert bundle.resample(inn.Budget(latency_ms=5)).size == 0.5
    assert ["measurements are not kept" in record.getMessage() for record in caplog.records] == [True]


def test_the_profile_lies_in_the_users_cache(bundle: inn.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_profile, "cache_folder", cache_folder)
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.sep + "elsewhere")
    assert DeviceProfile(bundle, remeasure=True).path.parent == Path("/elsewhere/innlite/profiles")


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_monotone_fit(values: list[float]) -> None:
    fit = monotone(np.array(values))
    assert len(fit) == len(values)
    assert (np.diff(fit) >= 0).all()
    assert fit.sum() == pytest.approx(sum(values), abs=1e-6)
    ordered = np.sort(values)
    np.testing.assert_allclose(monotone(ordered), ordered)


# On the engine


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
