"""Resampling a weight: W' = S_out · W · B_in, per spatial tap, one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .axes import Axis, prior, sampling_matrix
from .manifest import Dimension, Segment

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Discretisation:
    """One size of a network.

    Attributes
    ----------
    axes : the axis of every channel group
    widths : the width of every channel group
    table : quadrature → its calibrated correction B - B0, (N, n), or None where the rule B0 applies
    """

    axes: Sequence[Axis]
    widths: Sequence[int]
    table: Callable[[int], Array | None]

    def operation(self, segment: Segment) -> int | Array | None:
        """What happens to a segment: nothing, the first n are kept, or a product with a matrix (N, n)."""
        if segment.group is None:
            return None
        axis, width = self.axes[segment.group], self.widths[segment.group]
        if segment.quadrature is not None:
            table = self.table(segment.quadrature)
            if table is not None:
                return _calibrated(axis, width, table)
        if width == axis.size:
            return None
        if axis.kernel == "selection" and (segment.quadrature is None or axis.quadrature == "none"):
            return width
        if segment.quadrature is not None:
            return prior(axis, width).astype(np.float32)
        return sampling_matrix(axis, width).T.astype(np.float32)


def _calibrated(axis: Axis, width: int, table: Array) -> Array:
    """B = B0 + table."""
    if axis.kernel != "selection" or axis.quadrature != "none":
        return prior(axis, width).astype(np.float32) + table
    # B0 is the identity's first columns: no need to hold it beside the table.
    matrix = table.copy()
    matrix[np.arange(width), np.arange(width)] += 1
    return matrix


def resize(array: Array, dims: Sequence[Dimension], discretisation: Discretisation) -> Array:
    """A weight at a size; ``dims`` gives the structure of each of its dimensions."""
    # Sampled dimensions first: they shrink the tensor before the matrix products of the others.
    order = sorted(range(len(dims)), key=lambda d: any(s.quadrature is not None for s in dims[d]))
    for axis in order:
        segments = dims[axis]
        if len(segments) == 1:
            array = _resize_segment(array, axis, segments[0], discretisation)
            continue
        parts, start = [], 0
        for segment in segments:
            stop = start + segment.length([a.size for a in discretisation.axes])
            part = array[(slice(None),) * axis + (slice(start, stop),)]
            parts.append(_resize_segment(part, axis, segment, discretisation))
            start = stop
        array = np.concatenate(parts, axis=axis)
    return np.asarray(array, order="C")  # np.ascontiguousarray would give a scalar a dimension


def _resize_segment(array: Array, axis: int, segment: Segment, discretisation: Discretisation) -> Array:
    operation = discretisation.operation(segment)
    if operation is None:
        return array
    if not isinstance(operation, int):
        return _multiply(array, axis, operation, segment)
    if segment.outer == segment.inner == 1:
        return array[(slice(None),) * axis + (slice(0, operation),)]
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    blocks = array.reshape(*before, segment.outer, -1, segment.inner, *after)
    kept = blocks[(slice(None),) * (axis + 1) + (slice(0, operation),)]
    return kept.reshape(*before, segment.outer * operation * segment.inner, *after)


def _multiply(array: Array, axis: int, matrix: Array, segment: Segment) -> Array:
    """Multiply one dimension, seen as (outer, N, inner), by ``matrix`` (N, n) on its N."""
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    size, width = matrix.shape
    if segment.outer == segment.inner == 1 and not after:
        return (array.reshape(-1, size) @ matrix).reshape(*before, width)
    lead = int(np.prod(before, dtype=np.int64)) * segment.outer
    stacked = array.reshape(lead, size, segment.inner * int(np.prod(after, dtype=np.int64)))
    result: Array = np.matmul(matrix.T, stacked)
    return result.reshape(*before, segment.outer * width * segment.inner, *after)
