"""How far a resized network's outputs are from the original's, by what they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import log_softmax

from ..graph.outputs import OutputKind


def output_divergence(
    found: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    kinds: Mapping[str, OutputKind],
) -> float:
    """Mean of the `score_divergences` of class scores, (images, classes); of values, squared error relative
    to the reference's. Several outputs add up."""
    total = 0.0
    for name, expected in reference.items():
        if kinds[name] is OutputKind.SCORES:
            total += float(np.mean(score_divergences(found[name], expected)))
        else:
            p, q = expected.astype(np.float64), found[name].astype(np.float64)
            total += float(np.sum((p - q) ** 2) / max(np.sum(p**2), 1e-30))
    return total


def score_divergences(found: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Kullback–Leibler divergence of each image's class scores from the reference's, in nats, (images,)."""
    p, q = (log_softmax(scores.astype(np.float64), 1) for scores in (reference, found))
    return np.asarray(np.sum(np.exp(p) * (p - q), 1))
