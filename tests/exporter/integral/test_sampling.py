"""MindSpore samples what the runtime samples, for every kernel, rule and size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_exporter.backend import tensor
from inn_exporter.integral import (
    ContinuousAxis,
)
from inn_exporter.integral.quadrature import RULES, grid
from inn_exporter.integral.sampling import Sampling, sampling_tensor
from inn_runtime.format.axis import KERNELS, Axis, Grid
from inn_runtime.format.manifest import Segment
from inn_runtime.sampling.axes import sampling_matrix
from inn_runtime.sampling.resample import Discretisation, resize
from networks import images


@st.composite
def discretisations(draw: st.DrawFn) -> tuple[Discretisation, list[int]]:
    """Two axes of any kernel and rule at any widths, with or without a table and nodes of their own."""
    axes, widths, grids = [], [], {}
    for group in range(2):
        size = draw(st.integers(2, 20))
        kernel = draw(st.sampled_from(KERNELS))
        rule = "none" if kernel == "selection" else draw(st.sampled_from(RULES))
        width = draw(st.integers(1, size))
        width -= rule == "simpson" and width % 2 == 0
        axes.append(ContinuousAxis(size, kernel, rule, draw(st.sampled_from((-0.5, -0.75)))).axis)
        widths.append(width)
        if width < size and kernel != "selection":
            grids[group] = grid(rule, size, width)
    table = images(axes[1].size, widths[1]) if draw(st.booleans()) else None
    return Discretisation(axes, widths, lambda quadrature: table, grids), [axis.size for axis in axes]


@settings(deadline=None, max_examples=60)
@given(discretisations(), st.integers(1, 3), st.integers(1, 3))
def test_mindspore_samples_the_runtimes_weights(
    drawn: tuple[Discretisation, list[int]], inner: int, outer: int
) -> None:
    discretisation, (rows, columns) = drawn
    weight = images(rows, outer * columns * inner + 2, 3, seed=2)
    dims = (
        (Segment(0, 1, 1, None),),
        (Segment(1, outer, inner, 0), Segment(None, 1, 2, None)),
        (Segment(None, 1, 3, None),),
    )
    expected = resize(weight, dims, discretisation)
    found = Sampling(discretisation).weight(tensor(weight), dims).asnumpy()
    np.testing.assert_allclose(found, expected, atol=1e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize(("size", "width"), [(2, 2), (7, 3), (12, 12), (40, 17), (200, 90)])
def test_sampling_from_node_tensors_is_the_runtimes(kernel: str, size: int, width: int) -> None:
    axis = Axis(size, kernel, "trapezoid")
    positions = np.sort(np.random.default_rng(0).uniform(0, size - 1, width))
    at = Grid(positions, np.ones(width))
    found = sampling_tensor(axis, tensor(positions)).asnumpy()
    np.testing.assert_allclose(found, sampling_matrix(axis, at), atol=1e-6)


def test_selected_axes_have_no_gradient_in_their_nodes() -> None:
    with pytest.raises(ValueError, match="selection kernel"):
        sampling_tensor(Axis(3, "selection", "none"), tensor(np.zeros(2)))
