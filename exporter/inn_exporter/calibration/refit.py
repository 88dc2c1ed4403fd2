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

from ..execution.linear_algebra import ridge_solution
from ..storage.gptq import Sensitivity

REFIT_RIDGE = 0.01
"""Relative to the mean diagonal, with samples without end: features per sample are added to it."""
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

    def through(self, kernel: np.ndarray) -> np.ndarray:
        """A kernel, (channels, …), times the patches: (channels, samples)."""
        rows = kernel.reshape(len(self.patches), -1, self.patches.shape[1])
        return np.matmul(rows, self.patches).reshape(self.output.shape)


class Refit(NamedTuple):
    """What refitting found.

    Attributes
    ----------
    kernel : W' - W0, (channels, features), float32
    bias : b' - b0, (channels,), float32
    error : the mean squared error that is left, summed over channels
    mean : of the patches, (blocks, features)
    sensitivity : to errors of the kernel, their mean taken care of by the bias
    """

    kernel: np.ndarray
    bias: np.ndarray
    error: float
    mean: np.ndarray
    sensitivity: Sensitivity


def refit_step(
    seen: Observed, limits: tuple[float, float], ridge: float | None = None, rounds: int = ROUNDS
) -> Refit | None:
    """The ridge solution; None where all patches are alike.

    Parameters
    ----------
    limits : of the activation that follows, infinite where there is none
    ridge : ρ, relative to the mean diagonal; default: `REFIT_RIDGE` + features / samples, so that what few
        samples say by chance is not learned
    rounds : of moving the targets, where there are limits
    """
    blocks, features, samples = seen.patches.shape
    centred, mean = _centred(seen.patches)  # a large mean would hide a small variance
    gram = _product(centred, centred)
    if ridge is None:
        ridge = REFIT_RIDGE + features / samples
    level = ridge * np.einsum("bff->b", gram) / features
    if not level.max() > 0.0:
        return None
    # Of blocks that are constant, but for the rounding of float32.
    level = np.maximum(level, np.maximum(1e-6 * level.max(), 1e-12 * np.square(mean).mean(1)))
    factors = [scipy.linalg.cho_factor(g + v * np.eye(features)) for g, v in zip(gram, level)]
    channels = len(seen.output)
    kernel, bias = np.zeros((blocks, channels // blocks, features)), np.zeros(channels)
    total = seen.output + seen.other
    for number in range(rounds if np.isfinite(limits).any() else 1):
        error = _error(total, seen.target + seen.other, limits if number else (-np.inf, np.inf))
        rows, middle = _centred(error.reshape(blocks, -1, samples))
        cross = _product(rows, centred)
        cross -= level[:, None, None] * kernel
        step = np.stack([scipy.linalg.cho_solve(f, c.T).T for f, c in zip(factors, cross)])
        kernel += step
        bias += (middle - np.einsum("bcf,bf->bc", step, mean)).reshape(-1)
        change = np.matmul(step.astype(np.float32), centred) + middle[:, :, None].astype(np.float32)
        total += change.reshape(channels, samples)
    left = _error(total, seen.target + seen.other, limits)
    return Refit(
        kernel.reshape(channels, features).astype(np.float32),
        bias.astype(np.float32),
        float(np.square(left).mean(1, dtype=np.float64).sum()),
        mean,
        Sensitivity(gram, samples),
    )


def held_out_gain(patches: np.ndarray, wrong: np.ndarray) -> float:
    """How much nearer to nothing the ridge solution of one half of samples brings what is wrong in the other.

    Parameters
    ----------
    patches : (blocks, features, samples)
    wrong : (channels, samples)

    Returns
    -------
    Mean squared error, summed over channels, that is taken away; both ways, on average.
    """
    blocks, features, samples = patches.shape
    x, _ = _centred(patches)
    y, _ = _centred(wrong.reshape(blocks, -1, samples))
    halves = [(x[:, :, half], y[:, :, half]) for half in (slice(samples // 2), slice(samples // 2, None))]
    moments = [(_product(x, x), _product(y, x)) for x, y in halves]
    ridge, gain = REFIT_RIDGE + features / (samples // 2), 0.0
    for half, other in (moments, moments[::-1]):
        for gram, cross, other_gram, other_cross in zip(*half, *other):
            solution = ridge_solution(gram, cross, ridge)
            if solution is not None:
                gain += float(np.sum(solution * (2 * other_cross - solution @ other_gram))) / 2
    return gain


def _centred(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(blocks, rows, samples) without their means, and the means, (blocks, rows), in float64."""
    mean = values.mean(2, dtype=np.float64)
    return values - mean[:, :, None].astype(np.float32), mean


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
