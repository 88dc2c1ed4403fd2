"""Continuous axes: where an axis is sampled, how, and how a consumer integrates over the samples.

A channel group of N channels is one continuous axis on [0, N-1]. Width n samples it at n nodes:
``S`` (n, N) maps the control grid to the samples, ``B`` (N, n) is the quadrature with
full input ≈ B · sampled input, so that a layer resizes as ``W' = S_out · W · B_in``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Taps = tuple[npt.NDArray[np.int64], Matrix]
"""Control point and factor of every tap, (taps, n); the taps of one sample add up."""

CUBIC_A = -0.75
"""Free parameter of the cubic convolution kernel (Keys 1981); the paper's implementation uses this one."""

KERNELS = ("selection", "linear", "cubic")
QUADRATURES = ("none", "trapezoid")


@dataclass(frozen=True)
class Axis:
    """One channel group's continuous axis.

    Attributes
    ----------
    size : N, the number of control points (channels of the full network)
    kernel : how nodes read the control grid. ``selection``: the axis is nested, width n takes the
        first n control points. ``linear``, ``cubic``: n uniform nodes on [0, N-1], interpolated.
    quadrature : the rule by which consumers integrate where the bundle holds no calibrated table:
        ``none`` (every node counts once) or ``trapezoid`` (composite, as in the paper).
    """

    size: int
    kernel: str
    quadrature: str


def nodes(axis: Axis, width: int) -> npt.NDArray[np.float64]:
    """Positions of the ``width`` nodes on [0, N-1]."""
    if axis.kernel == "selection":
        return np.arange(width, dtype=np.float64)
    if width == 1:
        return np.array([(axis.size - 1) / 2])
    return np.linspace(0.0, axis.size - 1.0, width)


def _cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cubic convolution kernel at |distance| (Keys 1981, with a = `CUBIC_A`)."""
    d, a = np.abs(distance), CUBIC_A
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _linear(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(distance))


def sampling_taps(axis: Axis, width: int) -> Taps:
    """S by its few entries in each row. Taps beyond the border read the border's value."""
    if axis.kernel == "selection":
        return np.arange(width)[None], np.ones((1, width))
    positions = nodes(axis, width)
    kernel = _cubic if axis.kernel == "cubic" else _linear
    points = np.floor(positions).astype(np.int64) + np.arange(-1, 3)[:, None]
    return np.clip(points, 0, axis.size - 1), kernel(positions - points)


def sampling_matrix(axis: Axis, width: int) -> Matrix:
    """S, (width, N): control grid to samples."""
    matrix = np.zeros((width, axis.size))
    points, factors = sampling_taps(axis, width)
    np.add.at(matrix, (np.arange(width), points), factors)
    return matrix


def quadrature_weights(axis: Axis, width: int) -> npt.NDArray[np.float64]:
    """Weight of each node, (width,). Trapezoid: nodes h apart weigh h · (1/2, 1, …, 1, 1/2)."""
    if axis.quadrature == "none":
        return np.ones(width)
    if width == 1:
        return np.array([float(max(1, axis.size - 1))])
    weights = np.full(width, (axis.size - 1) / (width - 1))
    weights[[0, -1]] /= 2
    return weights


def prior_taps(axis: Axis, width: int) -> Taps:
    """B0 by its few entries in each column: the quadrature where nothing is known about the data.

    The continuous function is the full network's weights divided by the full size's own rule, so that
    the full size is exactly the original network: B0 = diag(1/q_N) · Sᵀ · diag(q_n).
    """
    points, factors = sampling_taps(axis, width)
    full = quadrature_weights(axis, axis.size)
    return points, factors / full[points] * quadrature_weights(axis, width)


def prior(axis: Axis, width: int) -> Matrix:
    """B0, (N, width)."""
    matrix = np.zeros((axis.size, width))
    points, factors = prior_taps(axis, width)
    np.add.at(matrix, (points, np.arange(width)), factors)
    return matrix


def round_width(size: float, full: int, align: int) -> int:
    """Width of a group of ``full`` channels at ``size``: half up to ``align``, from 1 unit to ``full``."""
    units = int(np.floor(size * full / align + 0.5))
    return min(full, max(1, units) * align)
