"""Sampling matrices, quadratures and widths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inn_runtime.format.axis import KERNELS, QUADRATURES, Axis
from inn_runtime.sampling.axes import nodes, prior, quadrature_weights, sampling_matrix

kernels = st.sampled_from(KERNELS)


interpolating = st.sampled_from(("linear", "cubic"))


rules = st.sampled_from(QUADRATURES)


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """A full size and a width."""
    full = draw(st.integers(1, 70))
    return full, draw(st.integers(1, full))


@given(kernels, rules, sizes())
def test_samples_of_a_constant_are_that_constant(kernel: str, rule: str, size: tuple[int, int]) -> None:
    matrix = sampling_matrix(Axis(size[0], kernel, rule), size[1])
    assert matrix.shape == (size[1], size[0])
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)


@given(sizes(), st.floats(-3, 3), st.floats(-3, 3))
def test_linear_kernel_reproduces_linear_functions(
    size: tuple[int, int], slope: float, offset: float
) -> None:
    axis = Axis(size[0], "linear", "none")
    samples = sampling_matrix(axis, size[1]) @ (slope * np.arange(size[0]) + offset)
    np.testing.assert_allclose(samples, slope * nodes(axis, size[1]) + offset, atol=1e-10)


@given(interpolating, sizes())
def test_kernels_read_control_points_exactly(kernel: str, size: tuple[int, int]) -> None:
    axis = Axis(size[0], kernel, "none")
    positions = nodes(axis, size[1])
    on_grid = np.isclose(positions, np.round(positions), atol=1e-12)
    expected = np.eye(size[0])[np.round(positions[on_grid]).astype(int)]
    np.testing.assert_allclose(sampling_matrix(axis, size[1])[on_grid], expected, atol=1e-9)


def test_cubic_kernel_halfway() -> None:
    # Keys' kernel with a = -0.75 at distances 1.5, 0.5, 0.5, 1.5.
    matrix = sampling_matrix(Axis(6, "cubic", "none"), 3)
    np.testing.assert_allclose(matrix[1], [0, -0.09375, 0.59375, 0.59375, -0.09375, 0], atol=1e-15)


def test_cubic_kernel_is_symmetric_and_smooth() -> None:
    dense = sampling_matrix(Axis(9, "cubic", "none"), 8001)
    np.testing.assert_allclose(dense, dense[::-1, ::-1], atol=1e-9)
    assert np.abs(np.diff(dense, axis=0)).max() < 2e-3


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_taps_beyond_the_border_read_the_border(kernel: str) -> None:
    # Nodes 1/3 apart on 3 control points, and on the same points in the middle of 9.
    axis = Axis(3, kernel, "none")
    inner = sampling_matrix(Axis(9, kernel, "none"), 25)[9:16]
    clamped = np.stack([inner[:, :4].sum(1), inner[:, 4], inner[:, 5:].sum(1)], axis=1)
    np.testing.assert_allclose(sampling_matrix(axis, 7), clamped, atol=1e-12)


def test_uniform_nodes_span_the_axis() -> None:
    axis = Axis(10, "cubic", "none")
    np.testing.assert_allclose(nodes(axis, 4), [0, 3, 6, 9])
    np.testing.assert_allclose(nodes(axis, 1), [4.5])
    np.testing.assert_allclose(nodes(Axis(10, "selection", "none"), 3), [0, 1, 2])


def test_selection_takes_the_first_channels() -> None:
    matrix = sampling_matrix(Axis(5, "selection", "none"), 3)
    np.testing.assert_array_equal(matrix, np.eye(3, 5))


@given(kernels, rules, st.integers(1, 70))
def test_full_width_is_the_original_network(kernel: str, rule: str, full: int) -> None:
    axis = Axis(full, kernel, rule)
    np.testing.assert_array_equal(sampling_matrix(axis, full), np.eye(full))
    np.testing.assert_array_equal(prior(axis, full), np.eye(full))


@given(kernels, rules, sizes())
def test_prior_is_the_sampling_matrix_weighed(kernel: str, rule: str, size: tuple[int, int]) -> None:
    full, width = size
    axis = Axis(full, kernel, rule)
    matrix, sampling = prior(axis, width), sampling_matrix(axis, width)
    q_n, q_full = quadrature_weights(axis, width), quadrature_weights(axis, full)
    expected = [[sampling[j, i] * q_n[j] / q_full[i] for j in range(width)] for i in range(full)]
    np.testing.assert_allclose(matrix, expected, rtol=1e-12, atol=1e-15)


@given(sizes())
def test_trapezoid_integrates_linear_functions_exactly(size: tuple[int, int]) -> None:
    full, width = size
    axis = Axis(full, "linear", "trapezoid")
    weights, positions = quadrature_weights(axis, width), nodes(axis, width)
    length = max(1, full - 1)
    assert math.isclose(weights.sum(), length)
    assert math.isclose(float(weights @ positions), (full - 1) ** 2 / 2, abs_tol=1e-9)


def test_trapezoid_halves_the_ends() -> None:
    np.testing.assert_allclose(quadrature_weights(Axis(9, "cubic", "trapezoid"), 5), [1, 2, 2, 2, 1])
    np.testing.assert_allclose(quadrature_weights(Axis(9, "cubic", "trapezoid"), 1), [8])
    np.testing.assert_allclose(quadrature_weights(Axis(1, "cubic", "trapezoid"), 1), [1])
    np.testing.assert_allclose(quadrature_weights(Axis(9, "selection", "none"), 5), [1] * 5)
