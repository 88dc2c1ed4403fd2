"""The quadrature of a tensor, fitted to data: ridge regression toward what the rule says.

With x a tensor of the full network and x' the same tensor of the resized one, all earlier layers already
resized, C = E[x x'ᵀ] and G = E[x' x'ᵀ], the quadrature is the ridge solution toward the prior B0:

    B = B0 + (C - B0 G) (G + λ · mean(diag G) · I)⁻¹
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from inn_runtime.format.manifest import Segment
from inn_runtime.sampling.axes import prior
from inn_runtime.sampling.resample import resize

from ..execution.linear_algebra import ridge_solution
from ..execution.moments import Moments
from ..graph.dimensions import QuadratureKey
from ..ordering.continuous import ContinuousNetwork
from ..storage.bits import layer_rounding, nothing
from ..storage.gptq import Sensitivity
from .calibrated_size import CalibratedSize

QUADRATURE_RIDGE = 1e-3
"""λ"""
DETERMINED = 2
"""Images per channel from which a quadrature is fitted where all channels are kept."""


class QuadratureFit:
    """Fits the quadratures of a network, one at a time."""

    def __init__(self, network: ContinuousNetwork, ridge: float = QUADRATURE_RIDGE) -> None:
        self._network = network
        self._ridge = ridge
        self._moments = Moments(network.graph, network.channels)
        self._rounding = layer_rounding(network.graph)

    def __call__(
        self,
        size: CalibratedSize,
        index: int,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> CalibratedSize:
        """The size with the table of quadrature ``index``, from the activations of both networks."""
        channels = self._network.channels
        key, group = channels.quadratures[index]
        images, width = len(full[key.tensor]), size.widths[group]
        start = prior(self._network.axes[group], width)
        if width == channels.sizes[group] and images < DETERMINED * width:
            # Nothing is missing, and images are too few to say what went wrong before.
            table = nothing(start.shape, size.storage, channel=1)
            return replace(size, tables={**size.tables, index: table})
        values = {each.tensor: self._sampled_beside(full[each.tensor], each, size) for each in key.each}
        cross, gram, power = self._moments(values, resized, key, size.widths)
        matrix = solve(cross, gram, start, self._ridge)
        sensitivity = Sensitivity(gram[None], images)
        left = power - 2 * float(np.sum(matrix * cross)) + sensitivity.error(matrix)
        return size.with_table(self._network, index, matrix - start, sensitivity, self._rounding * left)

    def _sampled_beside(self, values: np.ndarray, key: QuadratureKey, size: CalibratedSize) -> np.ndarray:
        """A tensor of the full network at what the resized one keeps of its other dimensions."""
        dims = list(self._network.channels.dims[key.tensor])
        others = (segment for dim in dims[: key.dim] + dims[key.dim + 1 :] for segment in dim)
        if all(segment.group is None for segment in others):
            return values
        for dim in (0, key.dim):
            dims[dim] = (Segment(None, 1, values.shape[dim], None),)
        return resize(values, dims, size.discretisation(self._network.axes))


def solve(
    cross: np.ndarray, gram: np.ndarray, start: np.ndarray, ridge: float = QUADRATURE_RIDGE
) -> np.ndarray:
    """B, (N, n), from C (N, n), G (n, n) and the prior B0 (N, n); float64."""
    correction = ridge_solution(gram, cross - start @ gram, ridge)
    return start if correction is None else start + correction
