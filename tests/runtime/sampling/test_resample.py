"""Resampled weights against plain dense products."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_runtime.format.axis import KERNELS, QUADRATURES, Axis
from inn_runtime.format.manifest import Dimension, Segment
from inn_runtime.sampling.axes import prior, sampling_matrix
from inn_runtime.sampling.resample import Discretisation, resize, resize_blocks, rows_needed


def dense(segment: Segment, axes: list[Axis], widths: list[int], tables: dict[int, np.ndarray]) -> np.ndarray:
    """What the page of the format multiplies a segment by, (outer · N · inner, outer · n · inner)."""
    if segment.group is None:
        return np.eye(segment.inner)
    axis, width = axes[segment.group], widths[segment.group]
    if segment.quadrature in tables:
        matrix = prior(axis, width) + tables[segment.quadrature]
    elif width == axis.size:
        matrix = np.eye(width)
    elif segment.quadrature is not None:
        matrix = prior(axis, width)
    else:
        matrix = sampling_matrix(axis, width).T
    return np.kron(np.kron(np.eye(segment.outer), matrix), np.eye(segment.inner))


def block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    result = np.zeros([sum(b.shape[i] for b in blocks) for i in (0, 1)])
    row = column = 0
    for block in blocks:
        result[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return result


@st.composite
def problems(
    draw: st.DrawFn,
) -> tuple[list[Axis], list[int], dict[int, np.ndarray], tuple[Dimension, ...], np.ndarray]:
    """Axes, widths, tables (quadrature g is over group g), a weight's dimensions and its values."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    axes = [
        Axis(draw(st.integers(1, 9)), draw(st.sampled_from(KERNELS)), draw(st.sampled_from(QUADRATURES)))
        for _ in range(draw(st.integers(1, 3)))
    ]
    widths = [draw(st.integers(1, axis.size)) for axis in axes]
    tables = {
        group: random.standard_normal((axis.size, width)).astype(np.float32)
        for group, (axis, width) in enumerate(zip(axes, widths))
        if draw(st.booleans())
    }

    def segment() -> Segment:
        if draw(st.integers(0, 3)) == 0:
            return Segment(None, 1, draw(st.integers(1, 4)), None)
        group = draw(st.integers(0, len(axes) - 1))
        repeats = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        return Segment(group, *repeats, group if draw(st.booleans()) else None)

    dims = tuple(
        tuple(segment() for _ in range(draw(st.integers(1, 3)))) for _ in range(draw(st.integers(0, 3)))
    )
    shape = [sum(s.length([a.size for a in axes]) for s in dimension) for dimension in dims]
    return axes, widths, tables, dims, random.standard_normal(shape).astype(np.float32)


@settings(max_examples=300, deadline=None)
@given(problems())
def test_equals_dense_products(
    problem: tuple[list[Axis], list[int], dict[int, np.ndarray], tuple[Dimension, ...], np.ndarray],
) -> None:
    axes, widths, tables, dims, values = problem
    kept = values.copy()
    kept_tables = {key: table.copy() for key, table in tables.items()}
    discretisation = Discretisation(axes, widths, tables.get)
    found = resize(values, dims, discretisation)
    expected = values.astype(np.float64)
    for dimension, segments in enumerate(dims):
        matrix = block_diagonal([dense(s, axes, widths, tables) for s in segments])
        expected = np.moveaxis(np.moveaxis(expected, dimension, -1) @ matrix, -1, dimension)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, atol=1e-4 * scale)
    rows = rows_needed(dims, discretisation)
    if rows is not None:
        blocks = (values[start : min(start + 2, rows)] for start in range(0, rows, 2))
        joined = np.concatenate(list(resize_blocks(blocks, dims, discretisation)))
        np.testing.assert_allclose(joined, expected, atol=1e-4 * scale)
    np.testing.assert_array_equal(values, kept)
    assert all(np.array_equal(tables[key], kept_tables[key]) for key in tables)


@given(problems())
def test_full_widths_without_tables_change_nothing(
    problem: tuple[list[Axis], list[int], dict[int, np.ndarray], tuple[Dimension, ...], np.ndarray],
) -> None:
    axes, _, _, dims, values = problem
    full = Discretisation(axes, [axis.size for axis in axes], lambda quadrature: None)
    np.testing.assert_array_equal(resize(values, dims, full), values)


def test_scalars_stay_scalars() -> None:
    assert resize(np.array(3, np.float32), (), Discretisation([], [], lambda quadrature: None)).shape == ()


def test_rows_that_stand_alone_are_counted() -> None:
    axes = [Axis(8, "selection", "none"), Axis(8, "cubic", "none")]
    discretisation = Discretisation(axes, [3, 5], lambda quadrature: None)

    def rows(*segments: Segment) -> int | None:
        return rows_needed([segments, (Segment(None, 1, 2, None),)], discretisation)

    fixed = Segment(None, 1, 4, None)
    assert rows(fixed) == 4
    assert rows(fixed, fixed) == 8
    assert rows(Segment(0, 1, 1, None)) == 3
    assert rows(Segment(0, 1, 9, None)) == 27
    assert rows(Segment(0, 2, 1, None)) is None  # the first three of either eight
    assert rows(Segment(0, 1, 1, None), fixed) is None
    assert rows(Segment(0, 1, 1, 0)) is None  # integrated over
    assert rows(Segment(1, 1, 1, None)) is None  # interpolated
    assert rows_needed([], discretisation) is None
