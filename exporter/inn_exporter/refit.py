"""Refitting a kernel: least squares toward the full network's outputs, over the resized layer's patches.

With y the outputs of the resampled layer W0 on the resized network's patches u, and T the targets,

    W' = W0 + E[(T - y)(u - ū)ᵀ] (E[(u - ū)(u - ū)ᵀ] + ρ · mean(diag) · I)⁻¹

ridge toward W0, which is itself the quadrature's solution. Patches hold the padding's zeros, so centring
is exact at borders too.
"""

from __future__ import annotations

import numpy as np

from .graph import Node
from .operators import operator
from .statistics import CHUNK, ridge_solution

RIDGE = 0.01


def refit_step(node: Node, x: np.ndarray, error: np.ndarray, ridge: float = RIDGE) -> np.ndarray | None:
    """The step W' - W0, shaped like W; None where the operator has no patches, or they are zero.

    Parameters
    ----------
    x : the layer's input in the resized network, (images, I, …)
    error : T - y, (images, O, …)
    """
    sums: list[np.ndarray] | None = None
    count = 0
    for first in range(0, len(x), CHUNK):
        patches = operator(node).unfold(node, x[first : first + CHUNK])
        if patches is None:
            return None
        part = error[first : first + CHUNK]
        e = np.moveaxis(part, 1, 0).reshape(part.shape[1], -1)
        terms = [
            patches @ patches.T,
            e @ patches.T,
            patches.sum(1, dtype=np.float64),
            e.sum(1, dtype=np.float64),
        ]
        sums = [t.astype(np.float64) + s for t, s in zip(terms, sums if sums else [np.float64(0)] * 4)]
        count += patches.shape[1]
    assert sums is not None
    gram, cross, mean_u, mean_e = (total / count for total in sums)
    gram = gram - np.outer(mean_u, mean_u)
    cross = cross - np.outer(mean_e, mean_u)
    step = ridge_solution(gram, cross, ridge)
    return None if step is None else step.astype(np.float32)
