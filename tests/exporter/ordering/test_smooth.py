"""Orders by the channels' own values: smooth, and largest first."""

from __future__ import annotations

import numpy as np
from inn_exporter.ordering.smooth import largest_first, smooth_path


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
