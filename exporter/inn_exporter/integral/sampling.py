"""Sampling continuous weights in MindSpore, with gradients: what `inn_runtime.sampling` does in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np
from inn_runtime.format.axis import Axis
from inn_runtime.format.manifest import Dimension, Segment
from inn_runtime.sampling.axes import dense
from inn_runtime.sampling.resample import Discretisation, Operation

from ..backend import mindspore, ops, tensor

Matrix = Union[int, None, Any]
"""What happens to a segment: the first n are kept, nothing, or a product with a tensor (N, n)."""


def as_matrix(operation: Operation, size: int) -> Matrix:
    """An operation of the runtime's as a tensor (N, n), where it is not simpler."""
    if operation is None or isinstance(operation, int):
        return operation
    return tensor(dense(operation, size).astype(np.float32) if isinstance(operation, tuple) else operation)


class Sampling:
    """One size of a network as tensors.

    Parameters
    ----------
    discretisation : the size
    learned : what happens to a segment where that is being learned: a tensor (N, n), else None
    """

    def __init__(
        self,
        discretisation: Discretisation,
        learned: Callable[[Segment], Any] = lambda segment: None,
    ) -> None:
        self._discretisation = discretisation
        self._learned = learned
        self._found: dict[tuple[int | None, int | None], Matrix] = {}
        self._sizes = [axis.size for axis in discretisation.axes]

    def weight(self, value: Any, dims: Sequence[Dimension]) -> Any:
        """A weight's tensor at this size; ``dims`` gives the structure of each of its dimensions."""
        # Sampled dimensions first: they shrink the tensor before the matrix products of the others.
        for axis in sorted(range(len(dims)), key=lambda d: any(s.quadrature is not None for s in dims[d])):
            value = along(value, axis, dims[axis], self._matrix, self._sizes)
        return value

    def _matrix(self, segment: Segment) -> Matrix:
        if segment.group is None:
            return None
        learned = self._learned(segment)
        if learned is not None:
            return learned
        key = segment.group, segment.quadrature
        if key not in self._found:
            self._found[key] = as_matrix(self._discretisation.operation(segment), self._sizes[segment.group])
        return self._found[key]


def along(
    value: Any,
    axis: int,
    dimension: Dimension,
    matrix: Callable[[Segment], Matrix],
    sizes: Sequence[int],
) -> Any:
    """Resize one dimension, segment by segment.

    Parameters
    ----------
    value : tensor
    matrix : what happens to each segment
    sizes : the full width of every group
    """
    matrices = [matrix(segment) for segment in dimension]
    if all(m is None for m in matrices):
        return value
    shape, parts, start = value.shape, [], 0
    lead, trail = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    flat = ops().reshape(value, (lead, shape[axis], trail))
    for segment, product in zip(dimension, matrices):
        length = segment.length(sizes)
        part = flat if len(dimension) == 1 else flat[:, start : start + length]
        start += length
        if product is not None and segment.group is not None:
            stacked = ops().reshape(part, (lead * segment.outer, sizes[segment.group], segment.inner * trail))
            stacked = stacked[:, :product] if isinstance(product, int) else ops().matmul(product.T, stacked)
            part = ops().reshape(stacked, (lead, -1, trail))
        parts.append(part)
    joined = ops().cat(parts, 1) if len(parts) > 1 else parts[0]
    return ops().reshape(joined, (*shape[:axis], joined.shape[1], *shape[axis + 1 :]))


def multiply(value: Any, axis: int, matrix: Any) -> Any:
    """Multiply one dimension of a tensor by a matrix (N, n)."""
    size = value.shape[axis]
    whole = (Segment(0, 1, 1, None),)
    return along(value, axis, whole, lambda segment: matrix, [size])


def sampling_tensor(axis: Axis, positions: Any) -> Any:
    """S (n, N), float32, from nodes that are themselves a tensor (n,), float64: gradients flow to them.

    Raises
    ------
    ValueError : the axis's kernel has no gradient (selection, nearest)
    """
    if axis.kernel not in ("linear", "cubic"):
        raise ValueError(f"a {axis.kernel} kernel is not differentiable in its nodes")
    # One column more at either end: taps beyond the border read the border's value.
    points = tensor(np.arange(-1.0, axis.size + 1.0))
    distances = ops().abs(ops().reshape(positions, (-1, 1)) - ops().reshape(points, (1, -1)))
    if axis.kernel == "linear":
        taps = ops().relu(1.0 - distances)
    else:
        near = ((axis.a + 2) * distances - (axis.a + 3)) * distances * distances + 1
        far = axis.a * (((distances - 5) * distances + 8) * distances - 4)
        taps = ops().where(distances <= 1, near, ops().where(distances < 2, far, ops().zeros_like(far)))
    border = np.zeros((axis.size + 2, axis.size))
    border[np.arange(axis.size + 2), np.clip(np.arange(-1, axis.size + 1), 0, axis.size - 1)] = 1
    return ops().cast(ops().matmul(taps, tensor(border)), mindspore().float32)
