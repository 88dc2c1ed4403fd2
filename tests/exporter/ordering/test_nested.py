"""Nested order: every prefix says most about the outputs."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.ordering.consumers import ConsumerMoments
from inn_exporter.ordering.nested import nested_order
from inn_exporter.ordering.rotation import nested_rotation
from moments import prefix_error, random_gram


def test_nested_order_is_pivoted_cholesky_where_the_consumer_weighs_all_channels_alike() -> None:
    gram = random_gram(np.random.default_rng(0), 12, 12)
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
    gram, kernel = random_gram(random, 24, 16), random_gram(random, 24, 24)
    order = nested_order([ConsumerMoments(gram, kernel)])
    for width in (4, 8, 12):
        ours = prefix_error(gram, kernel, order, width)
        others = [prefix_error(gram, kernel, random.permutation(24), width) for _ in range(50)]
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
        ConsumerMoments(random_gram(random, size, 5), random_gram(random, size, size)) for _ in range(2)
    ]
    with np.errstate(all="raise", under="ignore"):
        order = nested_order(consumers)
    assert sorted(order) == list(range(size))
    for consumer in consumers:
        gram, kernel = consumer.gram, consumer.kernel
        assert prefix_error(gram, kernel, order, 10) < 1e-9 * np.sum(gram * kernel)


def test_nested_order_is_the_same_in_blocks_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    consumers = [ConsumerMoments(random_gram(random, 40, 60), random_gram(random, 40, 20)) for _ in range(3)]
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
