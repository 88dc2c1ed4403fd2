"""Choosing a size within a budget: which candidates there are, what is measured, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anysize
import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_runtime.budget.search import Choice, candidate_sizes, monotone, search
from inn_runtime.format.manifest import Manifest
from inn_runtime.format.parser import parse

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


# Choosing by what is measured


class Formula:
    """Latencies by formula instead of by clock; notes the sizes that get measured."""

    def __init__(self, latency: Callable[[float], float]) -> None:
        self.latency = latency
        self.measured: list[float] = []
        self.found: dict[float, list[float]] = {}

    def known(self, name: str) -> dict[float, list[float]]:
        assert name == "latency_ms"
        return self.found

    def measure(self, name: str, size: float, times: int = 1) -> float:
        found = self.known(name).setdefault(size, [])
        while len(found) < times:
            self.measured.append(size)
            found.append(self.latency(size))
        return min(found)


def manifest(width: int = 8) -> Manifest:
    """As many candidates as the first group is wide; a search needs neither tensors nor a file."""
    document = {**anysize.manifest(), "digests": {}}
    document["groups"][0]["size"] = width
    for size, channels in zip(document["sizes"], ([width // 2, 3], [width, 6])):
        size["widths"] = channels
    return parse(document, "a.inn")


def latency_choice(latency: Callable[[float], float], bound: float) -> Choice:
    return search(manifest(), inn.Budget(latency_ms=bound), Formula(latency), "a.inn")


@settings(deadline=None)
@given(
    bounds=st.lists(st.floats(0.5, 40), min_size=1, max_size=4),
    steps=st.lists(st.floats(0, 9), min_size=32, max_size=32),
)
def test_the_next_larger_size_breaks_the_budget(bounds: list[float], steps: list[float]) -> None:
    """Any latencies that grow with the size, in steps, noise-free; the answer is that of a full search."""
    latencies = np.cumsum(steps)
    costs = Formula(lambda size: float(latencies[round(32 * size) - 1]))
    for bound in bounds:
        count = int((latencies <= bound).sum())
        budget = inn.Budget(latency_ms=bound)
        if count == 0:
            with pytest.raises(inn.UsageError, match=r"the smallest size, 0\.03125, has latency_ms"):
                search(manifest(32), budget, costs, "a.inn")
        else:
            assert search(manifest(32), budget, costs, "a.inn").size == count / 32


def test_few_sizes_are_measured() -> None:
    costs = Formula(lambda size: 10 * size * size)
    choice = search(manifest(), inn.Budget(latency_ms=4), costs, "a.inn")
    assert choice.size == 0.625
    assert len(costs.measured) - 1 == len(set(costs.measured)) <= 6  # one twice: what ends the search
    breaking = [c.size for c in choice.candidates if "latency_ms" in c.breaks]
    assert breaking == [0.75, 0.875, 1.0]


def test_what_is_known_is_not_measured_again() -> None:
    costs = Formula(lambda size: 10 * size * size)
    search(manifest(), inn.Budget(latency_ms=4), costs, "a.inn")
    costs.measured.clear()
    assert search(manifest(), inn.Budget(latency_ms=4), costs, "a.inn").size == 0.625
    assert costs.measured == []


def test_noise_never_chooses_a_size_that_was_measured_beyond_the_budget() -> None:
    random = np.random.default_rng(0)
    for _ in range(40):
        choice = latency_choice(lambda size: 10 * size * size * random.uniform(0.6, 1.6), 4)
        values = {c.size: c.values.get("latency_ms") for c in choice.candidates}
        chosen = values.pop(choice.size)
        assert chosen is not None
        assert chosen <= 4
        larger = min(size for size in values if size > choice.size)
        assert values[larger] is not None
        assert values[larger] > 4


def test_a_moment_in_which_the_device_was_busy_does_not_shrink_the_choice() -> None:
    """The first measurement of every size but the smallest takes thrice as long as it should."""
    seen: set[float] = set()

    def latency(size: float) -> float:
        busy = size not in seen and size > 0.125
        seen.add(size)
        return (3 if busy else 1) * 10 * size

    assert latency_choice(latency, 5).size == 0.5


def test_impossible_latency_says_the_nearest() -> None:
    with pytest.raises(inn.UsageError) as caught:
        latency_choice(lambda size: 10 * size, 1)
    text = str(caught.value)
    assert "a.inn: no size keeps latency_ms ≤ 1 ms: the smallest size, 0.125, has latency_ms 1.25 ms" in text
    assert "the nearest bound that holds" in text


def test_what_is_computed_is_never_measured() -> None:
    def fail(size: float) -> float:
        raise AssertionError("measured")

    full = manifest()
    budget = inn.Budget(flops=1e9, model_mb=1, agreement=0.5)
    assert search(full, budget, Formula(fail), "a.inn").size == 1.0


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_monotone_fit(values: list[float]) -> None:
    fit = monotone(np.array(values))
    assert len(fit) == len(values)
    assert (np.diff(fit) >= 0).all()
    assert fit.sum() == pytest.approx(sum(values), abs=1e-6)
    ordered = np.sort(values)
    np.testing.assert_allclose(monotone(ordered), ordered)
