"""Continuous layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from inn_exporter.backend import mindspore, tensor
from inn_exporter.integral import (
    ContinuousAxis,
    IntegralBatchNorm2d,
    IntegralConv1d,
    IntegralConv2d,
    IntegralConv2dTranspose,
    IntegralDense,
)
from inn_runtime.sampling.axes import prior, sampling_matrix
from networks import images


def _layers() -> list[tuple[str, Any, np.ndarray]]:
    a, b = ContinuousAxis(8), ContinuousAxis(12, "linear")
    return [
        ("conv2d", IntegralConv2d(a, b, 3, stride=2, padding=1, seed=0), images(2, 8, 7, 7)),
        ("depthwise", IntegralConv2d(a, a, (3, 1), depthwise=True, seed=0), images(2, 8, 7, 7)),
        ("conv1d", IntegralConv1d(a, b, 3, padding=1, dilation=2, seed=0), images(2, 8, 9)),
        ("deconv", IntegralConv2dTranspose(a, b, 4, stride=2, padding=1, seed=0), images(2, 8, 5, 5)),
        ("dense", IntegralDense(a, b, seed=0), images(2, 8)),
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
    assert IntegralConv2d(3, 4, 1)(tensor(images(1, 3, 2, 2))).shape == (1, 4, 2, 2)
    with pytest.raises(ValueError, match="one axis"):
        IntegralConv2d(ContinuousAxis(4), ContinuousAxis(4), 3, depthwise=True)


def test_gradients_reach_the_control_grid() -> None:
    a, b = ContinuousAxis(8), ContinuousAxis(12)
    layer = IntegralDense(a, b)
    a.resize(5)
    b.resize(7)
    x = tensor(images(4, 5))
    gradient = mindspore().grad(lambda x: (layer(x) ** 2).sum(), None, layer.trainable_params())
    assert all(np.abs(g.asnumpy()).max() > 0 for g in gradient(x))


def test_batch_norm_is_a_function_of_the_channel() -> None:
    channels = ContinuousAxis(8, "linear")
    norm = IntegralBatchNorm2d(channels)
    norm.set_train()
    norm(tensor(3 + 2 * images(16, 8, 4, 4)))
    moved = norm.moving_mean.asnumpy()
    assert moved.min() > 0.2
    channels.resize(5)
    y = norm(tensor(3 + 2 * images(16, 5, 4, 4))).asnumpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 2, 3)), 1, atol=1e-3)
    np.testing.assert_array_equal(norm.moving_mean.asnumpy(), moved)
    norm.set_train(False)
    x = images(2, 5, 3, 3)
    mean, variance = (
        (sampling_matrix(channels.axis, 5) @ p.asnumpy()).reshape(1, -1, 1, 1)
        for p in (norm.moving_mean, norm.moving_variance)
    )
    np.testing.assert_allclose(
        norm(tensor(x)).asnumpy(), (x - mean) / np.sqrt(variance + norm.epsilon), atol=1e-5
    )


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
