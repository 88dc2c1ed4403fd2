"""Quadrature rules on a continuous axis [0, N-1]: where they put n nodes, and what each weighs."""

from __future__ import annotations

import numpy as np
from inn_runtime import UsageError
from inn_runtime.format.axis import Axis, Grid
from inn_runtime.sampling.axes import nodes, quadrature_weights

RULES = ("none", "riemann", "trapezoid", "simpson", "gauss-legendre")


def grid(rule: str, size: int, width: int) -> Grid:
    """The nodes and weights of a rule.

    Parameters
    ----------
    rule : ``none`` (uniform nodes, each counts once), ``riemann`` (uniform nodes of equal weights),
        ``trapezoid``, ``simpson`` (both composite, on uniform nodes) or ``gauss-legendre``
    size : N
    width : n, how many nodes; odd for ``simpson``

    Returns
    -------
    Grid with the weights of a function that the full size integrates by `conversion`

    Raises
    ------
    UsageError : an unknown rule, or an even number of nodes for Simpson's
    """
    if rule not in RULES:
        raise UsageError(f"quadrature: expected one of {', '.join(RULES)}, found {rule!r}")
    uniform = Axis(size, "linear", conversion(rule))
    positions, weights = nodes(uniform, width), quadrature_weights(uniform, width)
    if rule == "riemann":
        weights = np.full(width, size / width)
    elif rule == "simpson" and width > 1:
        if width % 2 == 0:
            raise UsageError(f"quadrature: Simpson's rule needs an odd number of nodes, found {width}")
        weights = np.full(width, 2.0)
        weights[1::2] = 4.0
        weights[[0, -1]] = 1.0
        weights *= (size - 1) / (width - 1) / 3
    elif rule == "gauss-legendre" and width > 1:
        points, factors = np.polynomial.legendre.leggauss(width)  # type: ignore[no-untyped-call]
        positions, weights = (points + 1) * (size - 1) / 2, factors * (size - 1) / 2
    return Grid(positions, weights)


def conversion(rule: str) -> str:
    """By which of the runtime's rules a discrete network's weights, at all N control points, become values
    of a function: by the same where the rule has nodes there, else by the trapezoid rule."""
    return "none" if rule in ("none", "riemann") else "trapezoid"
