"""Second moments, as the readers of a tensor see them."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.execution.moments import SPREAD, Moments, second_moments
from inn_exporter.importers import import_onnx
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from networks import Network, images


def test_what_is_integrated_over_a_mean_is_judged_by_means() -> None:
    """The squeeze of squeeze and excitation reads means; the convolution behind the product does not."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 8))
    squeezed = n.relu(n.conv(n.node("GlobalAveragePool", x), 8, 4, kernel=1))
    product = n.node("Mul", x, n.node("Sigmoid", n.conv(squeezed, 4, 8, kernel=1)))
    n.output(n.conv(product, 8, 2), 4)
    graph = fold(import_onnx(n.model()))
    graph, channels = analyse(graph)
    moments = Moments(graph, channels)
    by_means = {}
    for key, group in channels.quadratures:
        values = np.abs(images(20, channels.sizes[group], *graph.shapes[key.tensor][2:]))
        _, gram, power = second_moments(values, values, channels, key, channels.sizes)
        found = moments({key.tensor: values}, {key.tensor: values}, key, channels.sizes)
        if by_means.setdefault(key.tensor, not np.allclose(found[1], gram)):
            means = values.mean((2, 3))
            assert found[1] == pytest.approx(means.T @ means / 20 + SPREAD * gram, rel=1e-5)
            assert found[0] == pytest.approx(found[1], rel=1e-5)
            assert found[2] == pytest.approx(np.square(means).sum(1).mean() + SPREAD * power, rel=1e-5)
    assert [tensor for tensor, judged in by_means.items() if judged] == [x]
    assert product in by_means
