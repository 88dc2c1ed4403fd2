"""Quadrature rules."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.integral.quadrature import RULES, grid
from inn_runtime import UsageError
from inn_runtime.format.axis import Axis
from inn_runtime.sampling.axes import prior


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "none"])
@pytest.mark.parametrize(("size", "width"), [(9, 5), (33, 9), (64, 21)])
def test_rules_integrate_polynomials(rule: str, size: int, width: int) -> None:
    at = grid(rule, size, width)
    length = size - 1
    degree = {"riemann": 0, "trapezoid": 1, "simpson": 3, "gauss-legendre": 2 * 5 - 1}[rule]
    scale = size / length if rule == "riemann" else 1.0  # relative to N equal weights of 1
    for power in range(degree + 1):
        found = float(at.weights @ (at.nodes / length) ** power) / length / scale
        assert found == pytest.approx(1 / (power + 1), rel=1e-9)


def test_trapezoid_grids_are_the_axis_rule() -> None:
    axis = Axis(11, "cubic", "trapezoid")
    np.testing.assert_allclose(prior(axis, grid("trapezoid", 11, 6)), prior(axis, 6))


def test_simpsons_rule_takes_odd_numbers_of_nodes() -> None:
    with pytest.raises(UsageError, match=r"Simpson.* odd number of nodes, found 4"):
        grid("simpson", 9, 4)
    with pytest.raises(UsageError, match="expected one of none, riemann"):
        grid("boole", 9, 4)
