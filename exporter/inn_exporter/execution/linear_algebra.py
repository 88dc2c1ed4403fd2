"""Ridge solutions and roots of second moments."""

from __future__ import annotations

import numpy as np
import scipy.linalg

WHITENING_IMAGES = 256
"""Images, at most, by which a layer's inputs are decorrelated."""
LARGEST_WHITENED = 2048
"""Features up to which a layer's inputs are decorrelated; beyond, that costs more than it saves."""


def roots(gram: np.ndarray, ridge: float, largest: int = LARGEST_WHITENED) -> tuple[np.ndarray, np.ndarray]:
    """G^½ and G^(-½) of second moments, (blocks, features, features).

    ``ridge``, relative to their mean diagonal, is added. Of more than ``largest`` features only their mean
    power is looked at.
    """
    features = gram.shape[1]
    powers = np.einsum("bff->b", gram)[:, None, None] / features
    level = max(ridge * float(powers.mean()), 1e-12)
    if features > largest:
        lengths = np.sqrt(powers + level)
        return lengths * np.eye(features), np.eye(features) / lengths
    squares, vectors = np.linalg.eigh(gram + level * np.eye(features))
    lengths, across = np.sqrt(np.maximum(squares, level))[:, None], vectors.transpose(0, 2, 1)
    return vectors * lengths @ across, vectors / lengths @ across


def ridge_solution(gram: np.ndarray, cross: np.ndarray, ridge: float) -> np.ndarray | None:
    """cross · (gram + ridge · mean(diag gram) · I)⁻¹ in float64; None where the gram is zero."""
    level = float(np.mean(np.diagonal(gram)))
    if level <= 0.0:
        return None
    return scipy.linalg.solve(gram + ridge * level * np.eye(len(gram)), cross.T, assume_a="pos").T
