"""Budgets: what they may be, and how they are said."""

from __future__ import annotations

import math
from typing import Any

import inn_runtime as inn
import pytest
from inn_runtime.budget.budget import BOUNDS, LOWER, UPPER


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


def test_what_is_cheap_to_find_out_comes_first() -> None:
    assert UPPER == ("flops", "model_mb", "memory_mb", "latency_ms")
    assert LOWER == ("accuracy", "agreement")


@pytest.mark.parametrize("name", BOUNDS)
def test_every_bound_is_computed_measured_or_on_the_curve(name: str) -> None:
    bound = BOUNDS[name]
    assert bound.upper == ((bound.compute is None) != (bound.measure is None))
    assert bool(bound.said) == (bound.measure is not None)


def test_a_budget_in_words() -> None:
    assert str(inn.Budget(latency_ms=8, memory_mb=1.5, model_mb=4)) == (
        "latency_ms ≤ 8 ms, memory_mb ≤ 1.5 MB, model_mb ≤ 4 MB"
    )
    assert str(inn.Budget(accuracy=0.7, agreement=0.9, flops=30e6)) == (
        "accuracy ≥ 0.7, agreement ≥ 0.9, flops ≤ 30,000,000 FLOPs"
    )
