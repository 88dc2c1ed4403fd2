"""Continuous layers: MindSpore samples what the runtime samples, for every kernel, rule and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_exporter.backend import mindspore, tensor
from inn_exporter.integral import (
    ContinuousAxis,
    IntegralBatchNorm2d,
    IntegralConv1d,
    IntegralConv2d,
    IntegralConv2dTranspose,
    IntegralDense,
    Partition,
)
from inn_exporter.integral.quadrature import RULES, grid
from inn_exporter.integral.sampling import Sampling, sampling_tensor
from inn_runtime import UsageError
from inn_runtime.format.axis import KERNELS, Axis, Grid
from inn_runtime.format.manifest import Segment
from inn_runtime.sampling.axes import prior, sampling_matrix
from inn_runtime.sampling.resample import Discretisation, resize

random = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


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
    table = values(axes[1].size, widths[1]) if draw(st.booleans()) else None
    return Discretisation(axes, widths, lambda quadrature: table, grids), [axis.size for axis in axes]


@settings(deadline=None, max_examples=60)
@given(discretisations(), st.integers(1, 3), st.integers(1, 3))
def test_mindspore_samples_the_runtimes_weights(
    drawn: tuple[Discretisation, list[int]], inner: int, outer: int
) -> None:
    discretisation, (rows, columns) = drawn
    weight = values(rows, outer * columns * inner + 2, 3)
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
    positions = np.sort(random.uniform(0, size - 1, width))
    at = Grid(positions, np.ones(width))
    found = sampling_tensor(axis, tensor(positions)).asnumpy()
    np.testing.assert_allclose(found, sampling_matrix(axis, at), atol=1e-6)


def test_selected_axes_have_no_gradient_in_their_nodes() -> None:
    with pytest.raises(ValueError, match="selection kernel"):
        sampling_tensor(Axis(3, "selection", "none"), tensor(np.zeros(2)))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "none"])
@pytest.mark.parametrize(("size", "width"), [(9, 5), (33, 9), (64, 21)])
def test_rules_integrate_polynomials(rule: str, size: int, width: int) -> None:
    at = grid(rule, size, width)
    length = size - 1
    degree = {"riemann": 0, "trapezoid": 1, "simpson": 3, "gauss-legendre": 2 * 5 - 1}[rule]
    scale = size / length if rule == "riemann" else 1.0  # relative to N equal weights of 1
    for power in range(degree + 1):
        found = float(at.weights @ (at.nodes / length) ** power) / length / scale
        assert found == pytest.approx(1 / (power + 1), rel=1e-9)


def test_trapezoid_grids_are_the_axis_rule() -> None:
    axis = Axis(11, "cubic", "trapezoid")
    np.testing.assert_allclose(prior(axis, grid("trapezoid", 11, 6)), prior(axis, 6))


def test_simpsons_rule_takes_odd_numbers_of_nodes() -> None:
    with pytest.raises(UsageError, match=r"Simpson.* odd number of nodes, found 4"):
        grid("simpson", 9, 4)
    with pytest.raises(UsageError, match="expected one of none, riemann"):
        grid("boole", 9, 4)


# ---------------------------------------------------------------------- layers
def _layers() -> list[tuple[str, Any, np.ndarray]]:
    a, b = ContinuousAxis(8), ContinuousAxis(12, "linear")
    return [
        ("conv2d", IntegralConv2d(a, b, 3, stride=2, padding=1, seed=0), values(2, 8, 7, 7)),
        ("depthwise", IntegralConv2d(a, a, (3, 1), depthwise=True, seed=0), values(2, 8, 7, 7)),
        ("conv1d", IntegralConv1d(a, b, 3, padding=1, dilation=2, seed=0), values(2, 8, 9)),
        ("deconv", IntegralConv2dTranspose(a, b, 4, stride=2, padding=1, seed=0), values(2, 8, 5, 5)),
        ("dense", IntegralDense(a, b, seed=0), values(2, 8)),
    ]


@pytest.mark.parametrize("name", ["conv2d", "depthwise", "conv1d", "deconv", "dense"])
def test_layers_resize_as_their_sampled_weights_say(name: str) -> None:
    layer, x = next((layer, x) for n, layer, x in _layers() if n == name)
    full = layer(tensor(x)).asnumpy()
    layer.inputs.resize(5)
    if layer.outputs is not layer.inputs:
        layer.outputs.resize(7)
    rows, columns = layer.outputs.axis, layer.inputs.axis
    channel = 1 if name == "deconv" else 0
    weight = np.moveaxis(layer.weight.asnumpy(), channel, 0)
    expected = np.tensordot(sampling_matrix(rows, layer.outputs.width), weight, (1, 0))
    if name != "depthwise":
        moved = np.tensordot(expected, prior(columns, 5), (1, 0))
        expected = np.moveaxis(moved, -1, 1)
    expected = np.moveaxis(expected, 0, channel)
    np.testing.assert_allclose(layer.sampled_weight().asnumpy(), expected, atol=1e-6)
    y = layer(tensor(np.ascontiguousarray(x[:, :5]))).asnumpy()
    assert y.shape == (2, layer.outputs.width, *full.shape[2:])
    layer.inputs.resize(8)
    if layer.outputs is not layer.inputs:
        layer.outputs.resize(12)
    np.testing.assert_array_equal(layer(tensor(x)).asnumpy(), full)


def test_layers_accept_fixed_channels_and_need_one_axis_for_depthwise() -> None:
    assert IntegralConv2d(3, 4, 1)(tensor(values(1, 3, 2, 2))).shape == (1, 4, 2, 2)
    with pytest.raises(ValueError, match="one axis"):
        IntegralConv2d(ContinuousAxis(4), ContinuousAxis(4), 3, depthwise=True)


def test_gradients_reach_the_control_grid() -> None:
    a, b = ContinuousAxis(8), ContinuousAxis(12)
    layer = IntegralDense(a, b)
    a.resize(5)
    b.resize(7)
    x = tensor(values(4, 5))
    gradient = mindspore().grad(lambda x: (layer(x) ** 2).sum(), None, layer.trainable_params())
    assert all(np.abs(g.asnumpy()).max() > 0 for g in gradient(x))


def test_batch_norm_is_a_function_of_the_channel() -> None:
    channels = ContinuousAxis(8, "linear")
    norm = IntegralBatchNorm2d(channels)
    norm.set_train()
    norm(tensor(3 + 2 * values(16, 8, 4, 4)))
    moved = norm.moving_mean.asnumpy()
    assert moved.min() > 0.2
    channels.resize(5)
    y = norm(tensor(3 + 2 * values(16, 5, 4, 4))).asnumpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 2, 3)), 1, atol=1e-3)
    np.testing.assert_array_equal(norm.moving_mean.asnumpy(), moved)
    norm.set_train(False)
    x = values(2, 5, 3, 3)
    mean, variance = (
        (sampling_matrix(channels.axis, 5) @ p.asnumpy()).reshape(1, -1, 1, 1)
        for p in (norm.moving_mean, norm.moving_variance)
    )
    np.testing.assert_allclose(
        norm(tensor(x)).asnumpy(), (x - mean) / np.sqrt(variance + norm.epsilon), atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, "spline"), "kernel: expected one of"),
        ((8, "cubic", "boole"), "quadrature: expected one of"),
        ((8, "selection", "trapezoid"), "a selected axis has rule none"),
    ],
)
def test_unknown_axes_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ContinuousAxis(*arguments)


def test_widths_are_checked_and_interpolated_axes_grow() -> None:
    axis = ContinuousAxis(8)
    axis.resize(12)
    assert axis.sampling.shape == (12, 8)
    for width in (0, 17):
        with pytest.raises(UsageError, match="expected 1 to 16"):
            axis.resize(width)
    with pytest.raises(UsageError, match="expected 1 to 8, found 9"):
        ContinuousAxis(8, "selection", "none").resize(9)


# ---------------------------------------------------------------------- partitions
def test_partitions_begin_uniform_and_stay_in_order() -> None:
    partition = Partition(9, 5)
    np.testing.assert_allclose(partition.nodes().asnumpy(), [0, 2, 4, 6, 8])
    partition.steps.set_data(tensor(np.array([-3.0, 0.1, 2.0, -0.5])))
    found = partition.grid()
    assert (np.diff(found.nodes) > 0).all()
    assert found.nodes[[0, -1]].tolist() == [0, 8]
    assert found.weights.sum() == pytest.approx(8)


def test_gradients_reach_a_partition() -> None:
    axis = ContinuousAxis(9)
    layer, partition = IntegralDense(3, axis), Partition(9, 5)

    def loss(x: Any) -> Any:
        axis.resize_to(partition)
        return (layer(x) ** 2).sum()

    gradient = mindspore().grad(loss, None, [partition.steps])(tensor(values(2, 3)))
    assert np.abs(gradient[0].asnumpy()).max() > 0
    with pytest.raises(UsageError, match="at least 2 nodes"):
        Partition(9, 1)


def test_random_control_grids_are_smooth_along_their_axes() -> None:
    def grid(smoothness: float) -> np.ndarray:
        a, b = (ContinuousAxis(64, smoothness=smoothness) for _ in range(2))
        return IntegralConv2d(a, b, 3, seed=0).weight.asnumpy()

    def likeness(values: np.ndarray, dimension: int) -> float:
        """Correlation of neighbouring channels."""
        first, second = (np.delete(values, i, dimension).ravel() for i in (-1, 0))
        return float(np.corrcoef(first, second)[0, 1])

    white, smooth = grid(0.0), grid(1.0)
    for dimension in (0, 1):
        assert abs(likeness(white, dimension)) < 0.05
        assert likeness(smooth, dimension) > 0.6
    for values in (white, smooth):
        assert values.std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.02)
    assert np.isfinite(IntegralConv2d(1, ContinuousAxis(1), 1, seed=0).weight.asnumpy()).all()
