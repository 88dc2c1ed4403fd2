"""Axes of ordered channels."""

from __future__ import annotations

from inn_exporter.ordering.continuous import axis_for


def test_axes_follow_the_order() -> None:
    assert axis_for("nested", 8, "calibrated").kernel == "selection"
    assert (axis_for("smooth", 8, "trapezoid").kernel, axis_for("smooth", 8, "trapezoid").quadrature) == (
        "cubic",
        "trapezoid",
    )
    assert axis_for("l1", 8, "none").quadrature == "none"
