"""Nested order: every prefix of the channels says most about the outputs of what reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .consumers import TINY, ConsumerMoments

EXPLAINED = 1e-7
"""Share of a channel's second moment below which it counts as explained by the chosen ones."""
REFRESH_STEPS = 256
"""Steps of nested order before the residuals are worked out anew."""
_ALIKE = 1e-9


def nested_order(seen_by: Sequence[ConsumerMoments]) -> np.ndarray:
    """An order whose every prefix explains the consumers' *outputs* best.

    Greedy: with R the Gram of what the chosen channels leave unexplained and K = Σ WᵀW, each step takes the
    channel j with the largest Σ (RKR)_jj / R_jj (the drop of the outputs' error, each consumer's scaled to
    1) and deflates R. With K = I this is pivoted Cholesky. Channels that the chosen ones explain come last,
    those with the largest outputs first.

    Returns
    -------
    order : (N,)
    """
    size = len(seen_by[0].gram)
    scales = [float(np.sum(consumer.kernel * consumer.gram)) for consumer in seen_by]
    residuals = [_Residual(c.gram / scale, c.kernel) for c, scale in zip(seen_by, scales) if scale > TINY]
    outputs = sum((r.gram.diagonal() * r.kernel.diagonal() for r in residuals), np.zeros(size))
    order: list[int] = []
    while len(order) < size:
        unexplained = np.any([np.zeros(size, bool), *(r.left > r.floor for r in residuals)], axis=0)
        unexplained[order] = False
        if not unexplained.any():
            break
        gains = np.where(unexplained, sum(r.gains() for r in residuals), -1.0)
        # Of channels that are multiples of each other the largest, whatever the rounding of this machine.
        alike = gains >= (1 - _ALIKE) * gains.max()
        order.append(int(np.argmax(np.where(alike, outputs, -1.0))))
        for residual in residuals:
            residual.explain(order[-1])
    rest = np.setdiff1d(np.arange(size), order)
    return np.array([*order, *rest[np.argsort(-outputs[rest], kind="stable")]])


class _Residual:
    """What the chosen channels leave unexplained of one consumer.

    The diagonals of R and RKR are always up to date. R is so once in a block of steps; each step since
    then takes a factor r rᵀ off it, as in pivoted Cholesky, and r, Kr and RKr give everything else.

    Attributes
    ----------
    gram, kernel : R at the start of the block and K, (N, N)
    left, energy : diagonals of R and RKR, (N,)
    floor : what is left of a channel that counts as explained, (N,)
    """

    def __init__(self, gram: np.ndarray, kernel: np.ndarray) -> None:
        self.gram, self.kernel = gram, kernel
        self.left = gram.diagonal().copy()
        self.floor = EXPLAINED * self.left
        self._start_block()

    def _start_block(self) -> None:
        read = self.kernel @ self.gram
        self._matrices = np.stack([self.gram, read, self.gram @ read])
        self.energy = self._matrices[2].diagonal().copy()
        self.left = np.minimum(self.left, self.gram.diagonal())
        self._factors = np.zeros((3, len(self.gram), min(REFRESH_STEPS, len(self.gram))))
        self._steps = 0

    def gains(self) -> np.ndarray:
        """The drop of the outputs' error for each channel that might be chosen, (N,)."""
        return np.where(self.left > self.floor, self.energy / np.maximum(self.left, TINY), 0.0)

    def explain(self, chosen: int) -> None:
        """Take away what a channel explains; nothing where it is explained itself."""
        if self.left[chosen] <= self.floor[chosen]:
            return
        if self._steps == self._factors.shape[2]:
            self.gram = self.gram - self._factors[0] @ self._factors[0].T
            self._start_block()
        before = self._factors[..., : self._steps]
        factor = (self._matrices[:, :, chosen] - before @ before[0, chosen]) / np.sqrt(self.left[chosen])
        r, read, energies = factor
        drop = 2 * (energies - before[0] @ (before[1].T @ r)) - r * (r @ read)
        self.energy = np.maximum(self.energy - r * drop, 0.0)
        self.left = np.maximum(self.left - r**2, 0.0)
        self.left[chosen] = 0.0
        self._factors[..., self._steps] = factor
        self._steps += 1
