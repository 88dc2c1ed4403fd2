"""Resampling a weight: W' = S_out · W · B_in, per spatial tap, one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from ..format.axis import Axis, Grid
from ..format.manifest import Dimension, Segment
from .axes import At, Taps, prior_taps, sampling_taps

Array = npt.NDArray[np.float32]
Operation = Union[int, Taps, Array, None]
"""What happens to a segment: the first n are kept, n are sums of some of the N, a product with a matrix
(N, n), or nothing. A matrix is as large as a table of the bundle, never as large as N and n may be."""


@dataclass(frozen=True)
class Discretisation:
    """One size of a network.

    Attributes
    ----------
    axes : the axis of every channel group
    widths : the width of every channel group
    table : quadrature → its calibrated correction B - B0, (N, n), or None where the rule B0 applies
    grids : group → nodes and weights that this size has of its own
    """

    axes: Sequence[Axis]
    widths: Sequence[int]
    table: Callable[[int], Array | None]
    grids: Mapping[int, Grid] = field(default_factory=dict)

    def without_tables(self) -> Discretisation:
        """The same size by the rules alone."""
        return replace(self, table=lambda quadrature: None)

    def operation(self, segment: Segment) -> Operation:
        """What happens to a segment at these widths."""
        if segment.group is None:
            return None
        axis, at = self.axes[segment.group], self.grids.get(segment.group, self.widths[segment.group])
        if segment.quadrature is not None:
            table = self.table(segment.quadrature)
            if table is not None:
                return _calibrated(axis, at, table)
        if at == axis.size:
            return None
        plain = segment.quadrature is None or axis.quadrature == "none"
        if isinstance(at, int) and axis.kernel == "selection" and plain:
            return at
        if segment.quadrature is not None:
            return prior_taps(axis, at)
        return sampling_taps(axis, at)


def _calibrated(axis: Axis, at: At, table: Array) -> Array:
    """B = B0 + table."""
    matrix = table.copy()
    points, factors = prior_taps(axis, at)
    with _quietly():
        np.add.at(matrix, (points, np.arange(matrix.shape[1])), factors.astype(np.float32))
    return matrix


def resize(array: Array, dims: Sequence[Dimension], discretisation: Discretisation) -> Array:
    """A weight at a size; ``dims`` gives the structure of each of its dimensions."""
    operations = _operations(dims, discretisation)
    with _quietly():
        resized = _apply(array, dims, operations, discretisation)
    return np.asarray(_widened(resized), order="C")  # np.ascontiguousarray would give a scalar a dimension


def rows_needed(dims: Sequence[Dimension], discretisation: Discretisation) -> int | None:
    """How many first rows of a weight make the resized one, each row on its own.

    None where rows are interpolated, integrated over, or not the first ones.
    """
    if not dims or any(segment.quadrature is not None for segment in dims[0]):
        return None
    operations = [discretisation.operation(segment) for segment in dims[0]]
    if all(operation is None for operation in operations):
        full = [axis.size for axis in discretisation.axes]
        return sum(segment.length(full) for segment in dims[0])
    segment, operation = dims[0][0], operations[0]
    if len(operations) == 1 and isinstance(operation, int) and segment.outer == 1:
        return operation * segment.inner
    return None


def resize_blocks(
    blocks: Iterable[Array], dims: Sequence[Dimension], discretisation: Discretisation
) -> Iterator[Array]:
    """Blocks of the rows that `rows_needed` counts, each resized in all other dimensions.

    Where channels are only selected, a block is a view of what came in, of its type.
    """
    operations: list[list[Operation]] = [[None], *_operations(dims[1:], discretisation)]
    for block in blocks:
        rows = (Segment(group=None, outer=1, inner=len(block), quadrature=None),)
        with _quietly():
            resized = _apply(block, [rows, *dims[1:]], operations, discretisation)
        yield resized


def sums_of_rows(blocks: Iterable[Array], others: Iterator[Array]) -> Iterator[Array]:
    """The sum of two weights that come in blocks of rows; blocks are those of the first."""
    left: Array = np.empty(0, np.float32)
    for block in blocks:
        total, start = np.array(block, np.float32, ndmin=1), 0
        while start < len(total):
            if not len(left):
                left = next(others)
            added = left[: len(total) - start]
            with _quietly():
                total[start : start + len(added)] += added
            start, left = start + len(added), left[len(added) :]
        yield total
    for _ in others:  # it is checked after its last block
        pass


def _quietly() -> AbstractContextManager[Any]:
    """What is not finite any more is found, and said with the weight's name, by who asked for it."""
    return np.errstate(over="ignore", invalid="ignore")


def _operations(dims: Sequence[Dimension], discretisation: Discretisation) -> list[list[Operation]]:
    # Segments of one group and quadrature share their matrix.
    found: dict[tuple[int | None, int | None], Operation] = {}
    for segment in (s for segments in dims for s in segments):
        key = segment.group, segment.quadrature
        if key not in found:
            found[key] = discretisation.operation(segment)
    return [[found[s.group, s.quadrature] for s in segments] for segments in dims]


def _apply(
    array: Array,
    dims: Sequence[Dimension],
    operations: Sequence[Sequence[Operation]],
    discretisation: Discretisation,
) -> Array:
    # Sampled dimensions first: they shrink the tensor before the matrix products of the others.
    order = sorted(range(len(dims)), key=lambda d: any(s.quadrature is not None for s in dims[d]))
    full = [axis.size for axis in discretisation.axes]
    for axis in order:
        segments = dims[axis]
        if len(segments) == 1:
            array = _resize_segment(array, axis, segments[0], operations[axis][0])
            continue
        parts, start = [], 0
        for segment, operation in zip(segments, operations[axis]):
            stop = start + segment.length(full)
            part = array[(slice(None),) * axis + (slice(start, stop),)]
            parts.append(_resize_segment(part, axis, segment, operation))
            start = stop
        array = np.concatenate(parts, axis=axis)
    return array


def _widened(array: Array) -> Array:
    """Stored float16 as what products are computed in."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _resize_segment(array: Array, axis: int, segment: Segment, operation: Operation) -> Array:
    if operation is None:
        return array
    if isinstance(operation, tuple):
        return _interpolate(array, axis, operation, segment)
    if not isinstance(operation, int):
        return _multiply(array, axis, operation, segment)
    if segment.outer == segment.inner == 1:
        return array[(slice(None),) * axis + (slice(0, operation),)]
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    blocks = array.reshape(*before, segment.outer, -1, segment.inner, *after)
    kept = blocks[(slice(None),) * (axis + 1) + (slice(0, operation),)]
    return kept.reshape(*before, segment.outer * operation * segment.inner, *after)


def _interpolate(array: Array, axis: int, taps: Taps, segment: Segment) -> Array:
    """Sums of one dimension's elements, seen as (outer, N, inner), along its N."""
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    lead = int(np.prod(before, dtype=np.int64)) * segment.outer
    rest = segment.inner * int(np.prod(after, dtype=np.int64))
    stacked = _widened(array).reshape(lead, -1, rest)
    points, factors = taps
    width = points.shape[1]
    result = np.zeros((lead, width, rest), np.float32)
    for columns, factor in zip(points, factors.astype(np.float32)):
        result += stacked[:, columns] * factor[:, None]
    return result.reshape(*before, segment.outer * width * segment.inner, *after)


def _multiply(array: Array, axis: int, matrix: Array, segment: Segment) -> Array:
    """Multiply one dimension, seen as (outer, N, inner), by ``matrix`` (N, n) on its N."""
    array = _widened(array)
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    size, width = matrix.shape
    if segment.outer == segment.inner == 1 and not after:
        return (array.reshape(-1, size) @ matrix).reshape(*before, width)
    lead = int(np.prod(before, dtype=np.int64)) * segment.outer
    stacked = array.reshape(lead, size, segment.inner * int(np.prod(after, dtype=np.int64)))
    result: Array = np.matmul(matrix.T, stacked)
    return result.reshape(*before, segment.outer * width * segment.inner, *after)
