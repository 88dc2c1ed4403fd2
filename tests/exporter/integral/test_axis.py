"""Continuous axes and partitions of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from inn_exporter.backend import mindspore, tensor
from inn_exporter.integral import (
    ContinuousAxis,
    IntegralDense,
    Partition,
)
from inn_runtime import UsageError
from networks import images


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

    gradient = mindspore().grad(loss, None, [partition.steps])(tensor(images(2, 3)))
    assert np.abs(gradient[0].asnumpy()).max() > 0
    with pytest.raises(UsageError, match="at least 2 nodes"):
        Partition(9, 1)
