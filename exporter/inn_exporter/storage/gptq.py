"""Rounding that makes up for itself: what one value's rounding does wrong, the values after it repair.

Rows w of a matrix multiply inputs x whose second moments are G = E[x xᵀ], so that an error e of w makes the
squared error eᵀ G e. Values are rounded one after the other, each after it has moved to where it is best
given the errors of those before it (GPTQ: Frantar et al., ICLR 2023; the same as Babai's nearest plane on the
lattice of the Cholesky factor). Inputs that correlate make a coarse grid several times finer so.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ROUNDING_RIDGE = 0.01
"""Relative to G's mean diagonal, with samples without end: features per sample are added to it, so that
errors do not all go where few samples happened not to be."""
FEATURES_AT_ONCE = 64
"""Features whose errors are passed on together to the others."""


def nonzero(step: np.ndarray) -> np.ndarray:
    """Steps to divide by: 1 instead of 0."""
    return np.where(step == 0, np.float32(1), step)


class Sensitivity:
    """How much errors of a matrix's values matter.

    Parameters
    ----------
    gram : G, (blocks, features, features): of the inputs of each block of rows
    samples : how many of them G is from
    """

    def __init__(self, gram: np.ndarray, samples: float = np.inf) -> None:
        self.gram = gram
        self._ridge = ROUNDING_RIDGE + gram.shape[1] / samples
        self._factor: np.ndarray | None = None

    def error(self, wrong: np.ndarray) -> float:
        """The squared error that errors of the values, (blocks · rows, features …), make."""
        rows = wrong.reshape(len(self.gram), -1, self.gram.shape[1])
        return float(np.einsum("bcf,bcf->", rows @ self.gram, rows))

    def rounded(
        self, values: np.ndarray, step: np.ndarray, round_to_grid: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Integers for ``values``, (blocks · rows, features …).

        Parameters
        ----------
        step : of the grid; broadcasts over values; where it is 0 all values become 0
        round_to_grid : multiples of the step → integers
        """
        blocks, features, _ = self.gram.shape
        factor, order = self._cholesky()
        shape = (blocks, -1, features)

        def columns(array: np.ndarray) -> np.ndarray:
            rows = array.reshape(shape).transpose(0, 2, 1)
            return np.take_along_axis(rows, order[:, :, None], 1).astype(np.float32)

        wanted, steps = columns(values), columns(np.broadcast_to(step, values.shape))
        divisors = nonzero(steps)
        integers, wrong = np.empty_like(wanted), np.zeros_like(wanted)
        for stop in range(features, 0, -FEATURES_AT_ONCE):
            start = max(0, stop - FEATURES_AT_ONCE)
            passed = factor[:, stop:, start:stop].transpose(0, 2, 1) @ wrong[:, stop:]
            for i in range(stop - 1, start - 1, -1):
                near = factor[:, None, i + 1 : stop, i] @ wrong[:, i + 1 : stop]
                aim = wanted[:, i] + (passed[:, i - start] + near[:, 0]) / factor[:, i, i, None]
                integers[:, i] = round_to_grid(aim / divisors[:, i])
                wrong[:, i] = wanted[:, i] - integers[:, i] * steps[:, i]
        result = np.empty_like(integers)
        np.put_along_axis(result, order[:, :, None], integers, 1)
        return result.transpose(0, 2, 1).reshape(values.shape)

    def _cholesky(self) -> tuple[np.ndarray, np.ndarray]:
        """L with G = L Lᵀ, and its features' order: the last is rounded first, and matters most."""
        power = np.einsum("bff->bf", self.gram)
        order = np.argsort(power, 1, kind="stable")
        if self._factor is None:
            gram = np.take_along_axis(self.gram, order[:, :, None], 1)
            gram = np.take_along_axis(gram, order[:, None, :], 2)
            level = np.maximum(self._ridge * power.mean(1), 1e-9 * max(power.max(), 1e-30))
            gram += level[:, None, None] * np.eye(gram.shape[1])
            self._factor = np.linalg.cholesky(gram).astype(np.float32)
        return self._factor, order
