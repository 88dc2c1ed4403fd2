"""Linear streams in a basis of their own: where that is possible, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from inn_exporter.execution.forward import run
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.consumers import ConsumerMoments
from inn_exporter.ordering.nested import nested_order
from inn_exporter.ordering.order import order_channels
from inn_exporter.ordering.rotation import nested_rotation, rotatable_groups
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.layer_norms import with_free_streams
from moments import prefix_error, random_gram
from networks import Network, images, relative_error


def test_rotated_prefixes_explain_outputs_better_than_selected_ones() -> None:
    random = np.random.default_rng(6)
    factor = random.standard_normal((24, 24)) * np.geomspace(1, 0.1, 24)  # correlated
    gram, kernel = factor @ factor.T, random_gram(random, 24, 16)
    consumers = [ConsumerMoments(gram, kernel)]
    order, basis = nested_order(consumers), nested_rotation(consumers)
    assert basis.T @ basis == pytest.approx(np.eye(24))
    assert np.array_equal(basis, nested_rotation(consumers))
    rotated = basis.T @ gram @ basis, basis.T @ kernel @ basis
    total = np.trace(kernel @ gram)
    for width in range(1, 24):
        error = prefix_error(*rotated, np.arange(24), width)
        assert error <= prefix_error(gram, kernel, order, width) + 1e-9 * total
        spectrum = np.linalg.eigvals(kernel @ gram).real  # no n numbers tell more of the outputs
        assert error == pytest.approx(np.sort(spectrum)[: 24 - width].sum(), abs=1e-9 * total)


def _linear_stream(n: Network, extra: Callable[[str], str] = lambda x: x) -> str:
    """An inverted residual block: conv_2 and conv_7 write into a linear stream; ``extra`` follows it."""
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 8))
    x = n.conv(x, 8, 6, kernel=1)
    y = n.relu(n.conv(x, 6, 12, kernel=1))
    y = n.relu(n.conv(y, 12, 12, group=12))
    return extra(n.node("Add", n.conv(y, 12, 6, kernel=1), x))


def test_linear_streams_are_rotated_and_the_function_stays() -> None:
    n = Network()
    x = _linear_stream(n, lambda x: n.node("Add", x, n.weight(1, 6, 1, 1)))
    y = n.node("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4)
    y = n.node("GlobalAveragePool", n.relu(n.conv(y, 6, 10)))
    stream = n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), 6, 4)
    n.output(n.node("Add", n.dense(n.node("Flatten", y), 10, 4), stream))
    graph = fold(import_onnx(n.model()))
    graph, channels = analyse(graph)
    assert [channels.groups[group].name for group in rotatable_groups(graph, channels)] == ["conv_2"]
    inputs = {"x": images(20, 3, 8, 8)}
    ordered = order_channels(graph, channels, "nested", inputs)
    expected, found = run(graph, inputs), run(ordered, inputs)
    for name, values in expected.items():
        assert relative_error(found[name], values) <= 1e-5
    (weight,) = (node.inputs[1] for node in graph.nodes if node.name == "conv_2")
    assert not set(np.abs(ordered.constants[weight]).ravel()) & set(np.abs(graph.constants[weight]).ravel())
    assert {name: value.dtype for name, value in ordered.constants.items()} == dict.fromkeys(
        graph.constants, np.dtype(np.float32)
    )


_SPOILERS: dict[str, Callable[[Network, str], str]] = {
    "activation": lambda n, x: n.relu(x),
    "depthwise": lambda n, x: n.conv(x, 6, 6, group=6),
    "scale": lambda n, x: n.node("Mul", x, n.weight(1, 6, 1, 1)),
    "product": lambda n, x: n.node("Mul", x, x),
    "maximum": lambda n, x: n.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4),
    "shift of all channels": lambda n, x: n.node("Add", x, n.weight(1, 1, 8, 8)),
    "one of two readers": lambda n, x: n.node("Add", x, n.relu(x)),
}


@pytest.mark.parametrize("spoiler", list(_SPOILERS))
def test_streams_whose_channels_are_told_apart_are_not_rotated(spoiler: str) -> None:
    n = Network()
    x = n.conv(_linear_stream(n, lambda x: _SPOILERS[spoiler](n, x)), 6, 5)
    n.output(n.dense(n.node("Flatten", n.node("GlobalAveragePool", n.relu(x))), 5, 4))
    graph = fold(import_onnx(n.model()))
    assert not rotatable_groups(*analyse(graph))


@pytest.mark.parametrize(("size", "expected"), [(1, {"conv_2"}), (2, set())])
def test_a_flattened_stream_is_rotated_where_each_channel_is_one_value(size: int, expected: set[str]) -> None:
    n = Network()
    x = _linear_stream(n, lambda x: n.node("AveragePool", x, kernel_shape=[9 - size] * 2))
    n.output(n.dense(n.node("Flatten", x), 6 * size**2, 4))
    graph = fold(import_onnx(n.model()))
    graph, channels = analyse(graph)
    assert {channels.groups[group].name for group in rotatable_groups(graph, channels)} == expected


@pytest.mark.parametrize("normed", [False, True])
def test_positions_are_not_mixed_where_each_is_treated_by_itself(normed: bool) -> None:
    """A dense layer over features adds its bias to every position, and a norm knows the length of each."""
    n = Network()
    between = n.token_dense(n.node("MatMul", n.weight(9, 7), n.input(7, 5)), 5, 6)
    if normed:
        between = n.node("LayerNormalization", between, n.weight(6), n.weight(6))
    n.output(n.node("MatMul", n.weight(4, 9), n.token_dense(between, 6, 3)), rank=3)
    graph = with_free_streams(fold(import_onnx(n.model())))
    graph, channels = analyse(graph)
    x = {"x": images(30, 7, 5)}
    ordered = order_channels(graph, channels, "nested", x)
    (expected,), (found,) = (run(form, x).values() for form in (graph, ordered))
    assert 9 in channels.sizes
    assert relative_error(found, expected) <= 1e-5
