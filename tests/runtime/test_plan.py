"""From a requested size to the widths of all channel groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from inn_runtime.axes import round_width
from inn_runtime.manifest import Manifest
from inn_runtime.manifest_parser import parse
from inn_runtime.plan import make_plan


def calibrated() -> Manifest:
    return parse({**tiny.manifest(), "digests": {}}, "test")


def by_rule(**changes: Any) -> Manifest:
    """The same network without calibrated data: a rule serves every size."""
    document = {**tiny.manifest(), "digests": {}, **changes}
    for size in document["sizes"]:
        size["tables"], size["overrides"] = {}, {}
    return parse(document, "test")


@pytest.mark.parametrize("request_", ["small", 0.5, "0.5", " .5 ", np.float32(0.5)])
def test_presets_and_numbers_mean_the_same(request_: Any) -> None:
    plan = make_plan(calibrated(), request_)
    assert (plan.size, plan.requested, plan.preset, plan.widths) == (0.5, 0.5, "small", (4, 3))
    assert plan.calibrated is not None
    assert plan.calibrated.tables


@pytest.mark.parametrize("request_", ["full", 1, 1.0, "1"])
def test_full_size_has_neither_tables_nor_overrides(request_: Any) -> None:
    plan = make_plan(calibrated(), request_)
    assert plan.widths == tiny.CHANNELS
    assert plan.calibrated is not None
    assert not plan.calibrated.tables
    assert not plan.calibrated.overrides


@given(st.floats(0.5, 1, exclude_max=True))
def test_between_calibrated_sizes_the_one_below_serves(size: float) -> None:
    plan = make_plan(calibrated(), size)
    assert (plan.size, plan.requested, plan.widths) == (0.5, size, (4, 3))


@given(st.floats(1e-6, 0.5, exclude_max=True))
def test_below_the_smallest_calibrated_size_is_refused(size: float) -> None:
    with pytest.raises(inn.UsageError, match=r"the smallest size of this bundle is 0\.5"):
        make_plan(calibrated(), size)


@given(st.floats(1e-6, 1), st.integers(1, 4))
def test_a_rule_serves_every_size(size: float, align: int) -> None:
    plan = make_plan(by_rule(align=align), size)
    if size == 1.0:
        assert plan.widths == tiny.CHANNELS
    else:
        assert plan.widths == tuple(round_width(size, full, align) for full in tiny.CHANNELS)
    assert plan.size == plan.requested == size


def test_interpolated_networks_may_be_larger_than_full() -> None:
    document = {**tiny.manifest(), "digests": {}}
    document["sizes"][0] |= {"tables": {}, "overrides": {}}
    for group in document["groups"]:
        group |= {"kernel": "cubic", "quadrature": "trapezoid"}
    manifest = parse(document, "test")
    assert make_plan(manifest, 1.5).widths == (12, 9)
    with pytest.raises(inn.UsageError, match=r"expected a number in \(0, 1.5\]"):
        make_plan(manifest, 1.6)


def test_a_rule_keeps_the_measured_entry_of_an_exact_size() -> None:
    assert make_plan(by_rule(), 0.5).calibrated is not None
    assert make_plan(by_rule(), 0.51).calibrated is None


@pytest.mark.parametrize(
    "request_",
    [
        "huge",
        "",
        "Small",
        0,
        0.0,
        -0.5,
        1.0000001,
        2,
        "nan",
        "inf",
        float("nan"),
        None,
        [0.5],
        "1e400",
        "0x1",
    ],
)
def test_wrong_sizes_are_quoted_beside_the_presets(request_: Any) -> None:
    with pytest.raises(inn.UsageError) as caught:
        make_plan(calibrated(), request_)
    assert str(caught.value) == (
        f"size {request_!r}: expected a number in (0, 1] or one of small (0.5), full (1)"
    )


@pytest.mark.parametrize("schedule", ["flops", "params", "latency"])
def test_widths_by_another_schedule_are_those_listed(schedule: str) -> None:
    document = {**tiny.manifest(), "digests": {}, "schedule": schedule}
    document["sizes"][0]["widths"] = [7, 1]
    manifest = parse(document, "test")
    assert manifest.schedule == schedule
    assert make_plan(manifest, 0.6).widths == (7, 1)
    with pytest.raises(inn.BundleError, match=r"schedule: expected uniform, as no size has calibrated data"):
        by_rule(schedule=schedule)


def test_a_preset_between_calibrated_sizes_takes_the_one_below(tmp_path: Path) -> None:
    document = {**tiny.manifest(), "presets": {"medium": 0.7, "full": 1.0}}
    model = inn.open(tiny.write(tmp_path / "a.inn", document)).resample("medium")
    assert (model.name, model.size, model.plan.requested) == ("medium", 0.5, 0.7)
