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
from inn_runtime.format.manifest import Manifest
from inn_runtime.format.parser import parse
from inn_runtime.sampling.plan import make_plan, round_width


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


@pytest.mark.parametrize(
    ("size", "full", "align", "width"),
    [
        (0.5, 5, 1, 3),  # 2.5 rounds up
        (0.5, 20, 4, 12),  # 2.5 units of 4
        (0.49, 20, 4, 8),
        (0.01, 64, 1, 1),  # at least one unit
        (0.01, 64, 8, 8),
        (0.01, 6, 8, 6),  # never more than there are
        (1.0, 30, 8, 30),  # full widths need not be aligned
        (0.9, 30, 8, 24),
        (0.95, 30, 8, 30),
        (1.0, 1, 1, 1),
    ],
)
def test_widths_round_half_up_to_the_alignment(size: float, full: int, align: int, width: int) -> None:
    assert round_width(size, full, align) == width


@given(st.floats(1e-6, 1), st.floats(1e-6, 1), st.integers(1, 5000), st.integers(1, 64))
def test_widths_are_allowed_and_grow_with_the_size(one: float, other: float, full: int, align: int) -> None:
    small, large = (round_width(size, full, align) for size in sorted((one, other)))
    assert 1 <= small <= large <= full
    assert round_width(1.0, full, align) == full or full % align
    for width in (small, large):
        assert width == full or width % align == 0
