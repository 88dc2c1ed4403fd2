"""The quadrature of a tensor, fitted to data: ridge regression toward what the rule says."""

from __future__ import annotations

import numpy as np

from ..execution.linear_algebra import ridge_solution

QUADRATURE_RIDGE = 1e-3


DETERMINED = 2
"""Images per channel from which a quadrature is fitted where all channels are kept."""


def solve(
    cross: np.ndarray, gram: np.ndarray, start: np.ndarray, ridge: float = QUADRATURE_RIDGE
) -> np.ndarray:
    """B, (N, n), from C (N, n), G (n, n) and the prior B0 (N, n); float64."""
    correction = ridge_solution(gram, cross - start @ gram, ridge)
    return start if correction is None else start + correction
