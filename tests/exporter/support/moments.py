"""Second moments made up, and what the first channels of an order say about the outputs."""

from __future__ import annotations

import numpy as np


def prefix_error(gram: np.ndarray, kernel: np.ndarray, order: np.ndarray, width: int) -> float:
    """Error of the outputs when the first channels of an order predict all of them by least squares."""
    chosen = order[:width]
    cross = gram[:, chosen]
    residual = gram - cross @ np.linalg.pinv(gram[np.ix_(chosen, chosen)]) @ cross.T
    return float(np.trace(kernel @ residual))


def random_gram(random: np.random.Generator, size: int, rank: int) -> np.ndarray:
    factor = random.standard_normal((size, rank)) * random.exponential(1, (size, 1))
    return factor @ factor.T


def correlated(random: np.random.Generator, blocks: int, features: int) -> np.ndarray:
    """Second moments of a few factors and a little noise."""
    factors = random.normal(size=(blocks, features, 3))
    return np.asarray(factors @ factors.transpose(0, 2, 1) + 0.05 * np.eye(features))
