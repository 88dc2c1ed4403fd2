"""A channel group's continuous axis as a bundle describes it; `inn_runtime.sampling.axes` samples it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CUBIC_A = -0.75
"""Free parameter of the cubic convolution kernel (Keys 1981); the paper's implementation uses this one."""

KERNELS = ("selection", "nearest", "linear", "cubic")
QUADRATURES = ("none", "trapezoid")


@dataclass(frozen=True)
class Axis:
    """One channel group's continuous axis.

    Attributes
    ----------
    size : N, the number of control points (channels of the full network)
    kernel : how nodes read the control grid. ``selection``: the axis is nested, width n takes the
        first n control points. ``nearest``, ``linear``, ``cubic``: n nodes on [0, N-1], uniform unless a
        `Grid` says otherwise, interpolated.
    quadrature : the rule by which consumers integrate where the bundle holds no calibrated table:
        ``none`` (every node counts once) or ``trapezoid`` (composite, as in the paper).
    a : of the cubic kernel
    """

    size: int
    kernel: str
    quadrature: str
    a: float = CUBIC_A


@dataclass(frozen=True, eq=False)
class Grid:
    """Nodes of an axis of their own, instead of the rule's, with their weights in the quadrature.

    Attributes
    ----------
    nodes : positions on [0, N-1], (n,)
    weights : (n,); those of the full size's rule add up to its integral of 1
    """

    nodes: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
