"""Orders of channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from inn_exporter.execution.forward import run
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.consumers import ConsumerMoments
from inn_exporter.ordering.continuous import axis_for
from inn_exporter.ordering.nested import nested_order
from inn_exporter.ordering.order import order_channels
from inn_exporter.ordering.rotation import nested_rotation, rotatable_groups
from inn_exporter.ordering.smooth import largest_first, smooth_path
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.layer_norms import with_free_streams
from networks import Network, images, relative_error


def _prefix_error(gram: np.ndarray, kernel: np.ndarray, order: np.ndarray, width: int) -> float:
    """Error of the outputs when the first channels of an order predict all of them by least squares."""
    chosen = order[:width]
    cross = gram[:, chosen]
    residual = gram - cross @ np.linalg.pinv(gram[np.ix_(chosen, chosen)]) @ cross.T
    return float(np.trace(kernel @ residual))


def _random_gram(random: np.random.Generator, size: int, rank: int) -> np.ndarray:
    factor = random.standard_normal((size, rank)) * random.exponential(1, (size, 1))
    return factor @ factor.T


def test_nested_order_is_pivoted_cholesky_where_the_consumer_weighs_all_channels_alike() -> None:
    gram = _random_gram(np.random.default_rng(0), 12, 12)
    order = nested_order([ConsumerMoments(gram, np.eye(12))])
    assert sorted(order) == list(range(12))
    residual = gram.copy()
    for chosen in order[:6]:  # each pivot leaves the least behind
        left = [
            np.trace(residual) - (residual[j] @ residual[j]) / residual[j, j]
            if residual[j, j] > 1e-9
            else np.inf
            for j in range(12)
        ]
        assert left[chosen] == pytest.approx(min(left))
        residual = residual - np.outer(residual[:, chosen], residual[chosen]) / residual[chosen, chosen]


def test_nested_prefixes_explain_outputs_better_than_random_ones() -> None:
    random = np.random.default_rng(1)
    gram, kernel = _random_gram(random, 24, 16), _random_gram(random, 24, 24)
    order = nested_order([ConsumerMoments(gram, kernel)])
    for width in (4, 8, 12):
        ours = _prefix_error(gram, kernel, order, width)
        others = [_prefix_error(gram, kernel, random.permutation(24), width) for _ in range(50)]
        assert ours < min(others)


def test_nested_order_survives_dead_and_duplicate_channels() -> None:
    gram = np.ones((6, 6))
    gram[5] = gram[:, 5] = 0
    order = nested_order(
        [ConsumerMoments(gram, np.eye(6)), ConsumerMoments(np.zeros((6, 6)), np.zeros((6, 6)))]
    )
    assert sorted(order) == list(range(6))
    assert order[0] != 5


@pytest.mark.parametrize("size", [30, 600])
def test_nested_order_explains_everything_in_as_many_steps_as_the_rank(size: int) -> None:
    random = np.random.default_rng(4)
    consumers = [
        ConsumerMoments(_random_gram(random, size, 5), _random_gram(random, size, size)) for _ in range(2)
    ]
    with np.errstate(all="raise", under="ignore"):
        order = nested_order(consumers)
    assert sorted(order) == list(range(size))
    for consumer in consumers:
        gram, kernel = consumer.gram, consumer.kernel
        assert _prefix_error(gram, kernel, order, 10) < 1e-9 * np.sum(gram * kernel)


def test_nested_order_is_the_same_in_blocks_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    consumers = [
        ConsumerMoments(_random_gram(random, 40, 60), _random_gram(random, 40, 20)) for _ in range(3)
    ]
    order = nested_order(consumers)
    monkeypatch.setattr("inn_exporter.ordering.nested.REFRESH_STEPS", 7)
    assert list(nested_order(consumers)) == list(order)


def test_explained_channels_come_last_by_the_size_of_their_outputs() -> None:
    x = np.diag([3.0, 2.0, 0.0, 0.0, 0.0])
    x[0, 2:], x[2:, 2:] = [0.5, 2.0, 1.0], 0.0  # the last three are fractions of the first
    assert list(nested_order([ConsumerMoments(x.T @ x, np.eye(5))])) == [0, 1, 3, 4, 2]


@pytest.mark.parametrize("gram", [np.zeros((4, 4)), np.ones((4, 4)), np.diag([1.0, 0.0, 1e-40, 1.0])])
@pytest.mark.parametrize("kernel", [np.zeros((4, 4)), np.ones((4, 4)), 1e-40 * np.eye(4)])
def test_degenerate_moments_make_an_order_and_a_rotation(gram: np.ndarray, kernel: np.ndarray) -> None:
    with np.errstate(all="raise", under="ignore"):
        assert sorted(nested_order([ConsumerMoments(gram, kernel)])) == [0, 1, 2, 3]
        basis = nested_rotation([ConsumerMoments(gram, kernel)])
    assert basis.T @ basis == pytest.approx(np.eye(4))


def test_rotated_prefixes_explain_outputs_better_than_selected_ones() -> None:
    random = np.random.default_rng(6)
    factor = random.standard_normal((24, 24)) * np.geomspace(1, 0.1, 24)  # correlated
    gram, kernel = factor @ factor.T, _random_gram(random, 24, 16)
    consumers = [ConsumerMoments(gram, kernel)]
    order, basis = nested_order(consumers), nested_rotation(consumers)
    assert basis.T @ basis == pytest.approx(np.eye(24))
    assert np.array_equal(basis, nested_rotation(consumers))
    rotated = basis.T @ gram @ basis, basis.T @ kernel @ basis
    total = np.trace(kernel @ gram)
    for width in range(1, 24):
        error = _prefix_error(*rotated, np.arange(24), width)
        assert error <= _prefix_error(gram, kernel, order, width) + 1e-9 * total
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


def test_smooth_path_finds_the_order_of_points_on_a_line() -> None:
    line = np.linspace(0, 1, 40)[:, None] * np.array([[3.0, 1.0, -2.0]])
    shuffled = np.random.default_rng(2).permutation(40)
    order = shuffled[smooth_path(line[shuffled])]
    assert list(order) in (list(range(40)), list(range(39, -1, -1)))


def test_two_opt_shortens_the_nearest_neighbour_path() -> None:
    features = np.random.default_rng(3).standard_normal((60, 5))

    def variation(order: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(features[order], axis=0), axis=1).sum())

    order = smooth_path(features)
    assert sorted(order) == list(range(60))
    best = variation(order)
    for i in range(59):  # no single reversal helps any more
        for j in range(i + 2, 60):
            other = np.concatenate([order[: i + 1], order[i + 1 : j + 1][::-1], order[j + 1 :]])
            assert variation(other) > best - 1e-9


def test_largest_first_is_by_l1_norm() -> None:
    assert list(largest_first(np.array([[1.0, -1.0], [3.0, 0.0], [0.5, 0.0]]))) == [1, 0, 2]


def test_axes_follow_the_order() -> None:
    assert axis_for("nested", 8, "calibrated").kernel == "selection"
    assert (axis_for("smooth", 8, "trapezoid").kernel, axis_for("smooth", 8, "trapezoid").quadrature) == (
        "cubic",
        "trapezoid",
    )
    assert axis_for("l1", 8, "none").quadrature == "none"


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
