"""A continuous axis that layers share, and partitions that can be trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from inn_runtime import UsageError
from inn_runtime.format.axis import CUBIC_A, KERNELS, Axis, Grid
from inn_runtime.sampling.axes import prior, quadrature_weights, sampling_matrix

from ..backend import mindspore, ops, tensor
from .quadrature import RULES, conversion, grid
from .sampling import sampling_tensor


class ContinuousAxis:
    """Channels as an interval [0, N-1]; layers that are tied share one axis and are resized with it.

    Parameters
    ----------
    size : N, the number of control points
    kernel : ``selection``, ``nearest``, ``linear`` or ``cubic`` (with ``a``)
    rule : one of `quadrature.RULES`
    smoothness : of random control grids along this axis: the deviation, in control points, of the Gaussian
        that they are smoothed with. Samples of white noise have nothing in common with it, so that
        networks trained from scratch hardly learn to be resized; 0 for those that never are
    """

    def __init__(
        self,
        size: int,
        kernel: str = "cubic",
        rule: str = "trapezoid",
        a: float = CUBIC_A,
        smoothness: float = 1.0,
    ) -> None:
        if kernel not in KERNELS:
            raise UsageError(f"kernel: expected one of {', '.join(KERNELS)}, found {kernel!r}")
        if rule not in RULES:
            raise UsageError(f"quadrature: expected one of {', '.join(RULES)}, found {rule!r}")
        if kernel == "selection" and rule != "none":
            raise UsageError(f"quadrature: a selected axis has rule none, found {rule!r}")
        self.axis = Axis(size, kernel, conversion(rule), a)
        self.rule = rule
        self.smoothness = 0.0 if kernel == "selection" else smoothness
        self.width = size
        self.sampling: Any = None
        """S (n, N), None at full size."""
        self.integration: Any = None
        """B (N, n), None at full size."""

    @property
    def size(self) -> int:
        """N"""
        return self.axis.size

    def resize(self, width: int) -> None:
        """Sample at ``width`` nodes from now on.

        Raises
        ------
        UsageError : fewer than one node, more than a selection has, or an even number for Simpson's rule
        """
        most = self.size if self.axis.kernel == "selection" else 2 * self.size
        if not 1 <= width <= most:
            raise UsageError(f"width: expected 1 to {most}, found {width}")
        self.width = width
        if width == self.size:
            self.sampling = self.integration = None
        else:
            at = width if self.axis.kernel == "selection" else grid(self.rule, self.size, width)
            self.sampling = tensor(sampling_matrix(self.axis, at).astype(np.float32))
            self.integration = tensor(prior(self.axis, at).astype(np.float32))

    def resize_to(self, partition: Partition) -> None:
        """Sample at the nodes of a partition, through which gradients flow."""
        self.width = partition.width
        self.sampling = sampling_tensor(self.axis, partition.nodes())
        self.integration = partition.integration(self.axis, self.sampling)


class Partition:
    """Trainable nodes: u = (N-1) · cumulative sum of δ² / Σ δ², so that they stay in order whatever δ is.

    The first node is at 0 and the last at N-1 (paper, section 3.3). Weights are those of the trapezoid rule
    on these nodes. δ starts at 1: uniform nodes.

    Parameters
    ----------
    size : N
    width : n, at least 2
    """

    def __init__(self, size: int, width: int, name: str = "partition") -> None:
        if width < 2:
            raise UsageError(f"width: a partition has at least 2 nodes, found {width}")
        self.size, self.width = size, width
        self.steps = mindspore().Parameter(tensor(np.ones(width - 1, np.float32)), name=name)

    def nodes(self) -> Any:
        """(n,), float64"""
        squares = ops().cast(self.steps, mindspore().float64) ** 2
        inner = ops().cumsum(squares, 0) / ops().reduce_sum(squares)
        return (self.size - 1) * ops().cat((ops().zeros_like(inner[:1]), inner))

    def weights(self, positions: Any) -> Any:
        """(n,): half of each neighbouring interval."""
        gaps = positions[1:] - positions[:-1]
        nought = ops().zeros_like(gaps[:1])
        return (ops().cat((nought, gaps)) + ops().cat((gaps, nought))) / 2

    def integration(self, axis: Axis, sampling: Any) -> Any:
        """B (N, n), float32: diag(1/q_N) · Sᵀ · diag(q_n)."""
        weights = ops().cast(self.weights(self.nodes()), sampling.dtype)
        full = tensor(quadrature_weights(axis, axis.size).astype(np.float32))
        return sampling.T * weights / ops().reshape(full, (-1, 1))

    def grid(self) -> Grid:
        """The nodes and weights as they are now."""
        positions = self.nodes()
        return Grid(positions.asnumpy(), self.weights(positions).asnumpy())
