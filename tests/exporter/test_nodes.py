"""Orders of channels."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.nodes import Consumer, axis_for, largest_first, nested_order, smooth_path


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
    order = nested_order([Consumer(gram, np.eye(12))])
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
    order = nested_order([Consumer(gram, kernel)])
    for width in (4, 8, 12):
        ours = _prefix_error(gram, kernel, order, width)
        others = [_prefix_error(gram, kernel, random.permutation(24), width) for _ in range(50)]
        assert ours < min(others)


def test_nested_order_survives_dead_and_duplicate_channels() -> None:
    gram = np.ones((6, 6))
    gram[5] = gram[:, 5] = 0
    order = nested_order([Consumer(gram, np.eye(6)), Consumer(np.zeros((6, 6)), np.zeros((6, 6)))])
    assert sorted(order) == list(range(6))
    assert order[0] != 5


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
