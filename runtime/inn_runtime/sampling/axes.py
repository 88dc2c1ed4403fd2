"""Continuous axes: where an axis is sampled, how, and how a consumer integrates over the samples.

A channel group of N channels is one continuous axis on [0, N-1]. Width n samples it at n nodes:
``S`` (n, N) maps the control grid to the samples, ``B`` (N, n) is the quadrature with
full input ≈ B · sampled input, so that a layer resizes as ``W' = S_out · W · B_in``.
"""

from __future__ import annotations

from typing import Union

import numpy as np
import numpy.typing as npt

from ..format.axis import Axis, Grid

Matrix = npt.NDArray[np.float64]
Taps = tuple[npt.NDArray[np.int64], Matrix]
"""Control point and factor of every tap, (taps, n); the taps of one sample add up."""

At = Union[int, Grid]
"""Where an axis is sampled: a width, for the nodes and weights of the axis's own rule, or a grid."""


def nodes(axis: Axis, at: At) -> npt.NDArray[np.float64]:
    """Positions of the nodes on [0, N-1]."""
    if isinstance(at, Grid):
        return at.nodes
    if axis.kernel == "selection":
        return np.arange(at, dtype=np.float64)
    if at == 1:
        return np.array([(axis.size - 1) / 2])
    return np.linspace(0.0, axis.size - 1.0, at)


def _cubic(distance: npt.NDArray[np.float64], a: float) -> npt.NDArray[np.float64]:
    """Cubic convolution kernel at |distance| (Keys 1981)."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _linear(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(distance))


def sampling_taps(axis: Axis, at: At) -> Taps:
    """S by its few entries in each row. Taps beyond the border read the border's value."""
    positions = nodes(axis, at)
    if axis.kernel in ("selection", "nearest"):
        points = np.floor(positions + 0.5).astype(np.int64)[None]
        return np.clip(points, 0, axis.size - 1), np.ones(points.shape)
    points = np.floor(positions).astype(np.int64) + np.arange(-1, 3)[:, None]
    distances = positions - points
    factors = _cubic(distances, axis.a) if axis.kernel == "cubic" else _linear(distances)
    return np.clip(points, 0, axis.size - 1), factors


def sampling_matrix(axis: Axis, at: At) -> Matrix:
    """S, (n, N): control grid to samples."""
    return np.ascontiguousarray(dense(sampling_taps(axis, at), axis.size).T)


def dense(taps: Taps, size: int) -> Matrix:
    """Taps as a matrix (N, n), N being ``size``."""
    points, factors = taps
    matrix = np.zeros((size, points.shape[1]))
    np.add.at(matrix, (points, np.arange(matrix.shape[1])), factors)
    return matrix


def quadrature_weights(axis: Axis, at: At) -> npt.NDArray[np.float64]:
    """Weight of each node, (n,). Trapezoid: nodes h apart weigh h · (1/2, 1, …, 1, 1/2)."""
    if isinstance(at, Grid):
        return at.weights
    if axis.quadrature == "none":
        return np.ones(at)
    if at == 1:
        return np.array([float(max(1, axis.size - 1))])
    weights = np.full(at, (axis.size - 1) / (at - 1))
    weights[[0, -1]] /= 2
    return weights


def prior_taps(axis: Axis, at: At) -> Taps:
    """B0 by its few entries in each column: the quadrature where nothing is known about the data.

    The continuous function is the full network's weights divided by the full size's own rule, so that
    the full size is exactly the original network: B0 = diag(1/q_N) · Sᵀ · diag(q_n).
    """
    points, factors = sampling_taps(axis, at)
    full = quadrature_weights(axis, axis.size)
    return points, factors / full[points] * quadrature_weights(axis, at)


def prior(axis: Axis, at: At) -> Matrix:
    """B0, (N, n)."""
    return dense(prior_taps(axis, at), axis.size)
