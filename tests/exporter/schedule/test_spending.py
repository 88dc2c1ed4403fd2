"""Which group gives up how much: budgets, floors, order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inn_exporter.schedule.spending import ladder, loss_curve, spend
from inn_runtime.sampling.plan import round_width


@pytest.mark.parametrize(
    ("arguments", "rungs"),
    [
        ((10, 4, 1), [10, 9, 8, 7, 6, 5, 4]),
        ((20, 5, 8), [20, 16, 8]),
        ((32, 2, 1, 8), [32, 24, 16, 8]),
        ((30, 3, 3, 8), [30, 24, 15, 6]),
        ((6, 6, 8), [6]),
    ],
)
def test_ladders_hold_aligned_widths_that_are_cheaper_each(
    arguments: tuple[int, ...], rungs: list[int]
) -> None:
    assert ladder(*arguments) == rungs


def test_loss_curves_are_convex_and_never_above_what_was_measured() -> None:
    measured = {2: 1.0, 4: 0.9, 8: 0.2, 12: 0.3, 14: 0.01}
    rungs = list(range(16, 1, -1))
    curve = loss_curve(rungs, measured)
    assert curve[0] == 0.0
    assert curve[-1] == 1.0
    assert (np.diff(curve) >= 0).all()
    assert (np.diff(curve, 2) >= -1e-12).all()
    assert all(curve[rungs.index(width)] <= loss + 1e-12 for width, loss in measured.items())
    assert loss_curve([7], {}) == pytest.approx([0.0])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_budgets_hold_and_smaller_sizes_are_nowhere_wider(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    align = data.draw(st.sampled_from([1, 2, 8]))
    full = data.draw(st.lists(st.integers(1, 40), min_size=count, max_size=count))
    steep = data.draw(st.lists(st.floats(0, 10), min_size=count, max_size=count))
    uniform = {size: np.array([round_width(size, n, align) for n in full]) for size in (0.1, 0.35, 0.8)}
    power = data.draw(st.floats(1, 3))
    floors = {size: [round_width(size**power, n, align) for n in full] for size in uniform}
    ladders = [ladder(n, least, align) for n, least in zip(full, floors[0.1])]
    losses = [scale * (np.array(rungs) / rungs[0] - 1.0) ** 2 for scale, rungs in zip(steep, ladders)]

    def cost(widths: np.ndarray) -> np.ndarray:
        """A chain of dense layers."""
        return widths[..., :-1] @ np.ones(count - 1, int) * 3 + (widths[..., 1:] * widths[..., :-1]).sum(-1)

    budgets = {size: int(cost(widths)) for size, widths in uniform.items()}
    found = spend(ladders, losses, cost, budgets, floors)
    for size, widths in found.items():
        assert cost(np.array(widths)) <= cost(uniform[size])
        assert all(width >= least for width, least in zip(widths, floors[size]))
        assert all(width in rungs for width, rungs in zip(widths, ladders))
    for smaller, larger in ((0.1, 0.35), (0.35, 0.8)):
        assert all(a <= b for a, b in zip(found[smaller], found[larger]))


def test_what_is_left_of_a_budget_is_spent() -> None:
    """One step of the first group overshoots by far; the second group gets what is left."""
    ladders, losses = [[32, 8], [8, 7, 6, 5, 4]], [np.array([0, 0.1]), np.array([0, 0.01, 0.02, 0.03, 0.04])]
    found = spend(ladders, losses, lambda widths: widths.sum(-1), {0.5: 16}, {0.5: [1, 1]})
    assert found == {0.5: [8, 8]}


def test_floors_bind_where_groups_lose_much_together() -> None:
    """The first group loses least and may be narrowed further only while all lose little."""
    ladders = [list(range(8, 0, -1))] * 2
    losses = [scale * np.arange(8) ** 2 for scale in (0.01, 0.1)]
    budgets, floors = {0.5: 8}, {0.5: [4, 4]}

    def found(additive: float) -> list[int]:
        return spend(ladders, losses, lambda widths: widths.sum(-1), budgets, floors, additive)[0.5]

    assert found(0.0) == [4, 4]
    assert found(0.59) == [4, 4]
    assert found(0.6) == [1, 7]
