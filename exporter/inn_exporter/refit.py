"""Refitting a kernel: least squares toward what the full network does, over the resized layer's patches.

With y the outputs of the resampled layer W0 on the resized network's patches u, and T the targets,

    W' = W0 + E[(T - y)(u - ū)ᵀ] (E[(u - ū)(u - ū)ᵀ] + ρ · mean(diag) · I)⁻¹

ridge toward W0, which is itself the quadrature's solution. Patches hold the padding's zeros, so centring
is exact at borders too.

Where an activation with limits follows (ReLU, clips), only what passes it matters: an output that should
be below the limit may lie anywhere below. So where a target lies beyond a limit, and the output too, the
output becomes the target, and the same system is solved again, a few times. Each round brings the outputs
nearer to where they may lie (majorisation; after Zhang et al., 2015, "nonlinear response").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg

RIDGES = (0.003, 0.01, 0.03, 0.1)
"""Ridges that are tried, relative to the mean diagonal."""
HELD_OUT = 0.25
"""Share of the samples, the last ones, by which the ridge is chosen."""
ROUNDS = 8


@dataclass(frozen=True)
class Observed:
    """What a layer sees and should do, at some positions of some images; float32.

    Attributes
    ----------
    patches : (blocks, features, samples), see `Operator.unfold`
    output : of the layer in the resized network, (channels, samples)
    target : what it should be, (channels, samples)
    other : what is added before the activation, (channels, samples)
    """

    patches: np.ndarray
    output: np.ndarray
    target: np.ndarray
    other: np.ndarray

    @staticmethod
    def joined(parts: Sequence[Observed]) -> Observed:
        """Samples of several chunks of images."""
        names = ("patches", "output", "target", "other")
        return Observed(*(np.concatenate([getattr(part, name) for part in parts], -1) for name in names))


class Refit(NamedTuple):
    """What refitting found.

    Attributes
    ----------
    kernel : W' - W0, (channels, features), float32
    bias : b' - b0, (channels,), float32
    error : the mean squared error that is left, summed over channels
    mean : of the patches, (blocks, features)
    gram : their second moments about it, (blocks, features, features)
    """

    kernel: np.ndarray
    bias: np.ndarray
    error: float
    mean: np.ndarray
    gram: np.ndarray

    def rounding_error(self, kernel: np.ndarray) -> float:
        """The mean squared error that an error of the kernel makes, its mean taken care of by the bias."""
        rows = kernel.reshape(len(self.gram), -1, self.gram.shape[1])
        return float(np.einsum("bcf,bcf->", rows @ self.gram, rows))


def refit_step(
    seen: Observed, limits: tuple[float, float], ridge: float | None = None, rounds: int = ROUNDS
) -> Refit | None:
    """The ridge solution; None where all patches are alike.

    Parameters
    ----------
    limits : of the activation that follows, infinite where there is none
    ridge : ρ; None: what is best for samples that were not fitted
    rounds : of moving the targets, where there are limits
    """
    blocks, features, samples = seen.patches.shape
    if ridge is None:
        ridge = best_ridge(seen)
    mean = seen.patches.mean(2, dtype=np.float64)
    gram = _product(seen.patches, seen.patches) - mean[:, :, None] * mean[:, None]
    level = ridge * np.einsum("bff->b", gram) / features
    if not level.max() > 0.0:
        return None
    level = np.maximum(level, 1e-6 * level.max())  # of blocks that are constant
    factors = [scipy.linalg.cho_factor(g + v * np.eye(features)) for g, v in zip(gram, level)]
    channels = len(seen.output)
    kernel, bias = np.zeros((blocks, channels // blocks, features)), np.zeros(channels)
    total = seen.output + seen.other
    for number in range(rounds if np.isfinite(limits).any() else 1):
        error = _error(total, seen.target + seen.other, limits if number else (-np.inf, np.inf))
        rows = error.reshape(blocks, -1, samples)
        middle = rows.mean(2, dtype=np.float64)
        cross = _product(rows, seen.patches) - middle[:, :, None] * mean[:, None]
        cross -= level[:, None, None] * kernel
        step = np.stack([scipy.linalg.cho_solve(f, c.T).T for f, c in zip(factors, cross)])
        shift = (middle - np.einsum("bcf,bf->bc", step, mean)).reshape(-1)
        kernel += step
        bias += shift
        change = np.matmul(step.astype(np.float32), seen.patches).reshape(channels, samples)
        total += change + shift[:, None].astype(np.float32)
    left = _error(total, seen.target + seen.other, limits)
    return Refit(
        kernel.reshape(channels, features).astype(np.float32),
        bias.astype(np.float32),
        float(np.square(left).mean(1, dtype=np.float64).sum()),
        mean,
        gram,
    )


def best_ridge(seen: Observed) -> float:
    """Which of `RIDGES` leaves the least error in the last samples, fitted to the others."""
    cut = seen.patches.shape[2] - int(HELD_OUT * seen.patches.shape[2])
    fitted, judged = (_moments(seen, part) for part in (slice(cut), slice(cut, None)))
    gram, cross = fitted
    blocks, features, _ = gram.shape
    level = np.maximum(np.einsum("bff->b", gram) / features, 1e-30)
    errors = []
    for ridge in RIDGES:
        error = 0.0
        for block in range(blocks):
            factor = scipy.linalg.cho_factor(gram[block] + ridge * level[block] * np.eye(features))
            kernel = scipy.linalg.cho_solve(factor, cross[block].T).T
            error += float(np.sum((kernel @ judged[0][block] - 2 * judged[1][block]) * kernel))
        errors.append(error)
    return RIDGES[int(np.argmin(errors))]


def _moments(seen: Observed, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Of some samples: E[(u - ū)(u - ū)ᵀ] and E[(T - y)(u - ū)ᵀ], per block."""
    patches = seen.patches[:, :, part]
    missing = (seen.target - seen.output)[:, part].reshape(len(patches), -1, patches.shape[2])
    mean, middle = (a.mean(2, dtype=np.float64) for a in (patches, missing))
    gram = _product(patches, patches) - mean[:, :, None] * mean[:, None]
    return gram, _product(missing, patches) - middle[:, :, None] * mean[:, None]


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """E[a bᵀ] over samples, per block."""
    result: np.ndarray = np.matmul(a, b.transpose(0, 2, 1)).astype(np.float64) / a.shape[2]
    return result


def _error(value: np.ndarray, target: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """What is missing to the nearest value that is as good as the target."""
    low, high = limits
    aim = np.where(target <= low, np.minimum(value, low), target)
    aim = np.where(target >= high, np.maximum(value, high), aim)
    return aim - value
