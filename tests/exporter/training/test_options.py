"""Tuning's options are checked."""

from __future__ import annotations

from typing import Any

import pytest
from inn_exporter.training import Tuning
from inn_runtime import UsageError


@pytest.mark.parametrize("change", [{"seen": 0}, {"batch": -1}, {"rate": 0.0}, {"most": float("nan")}])
def test_tuning_options_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"tuning: {next(iter(change))}: expected a number above 0"):
        Tuning(**change)


@pytest.mark.parametrize("change", [{"least": 1.1}, {"most": 0.9}, {"most": 1.6}])
def test_sizes_drawn_are_around_the_full_one(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"expected least up to 1 and most from 1 to 1\.5, found"):
        Tuning(**change)
