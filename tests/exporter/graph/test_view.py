"""Views: what transpositions and reshapes do to a tensor of ONNX, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inn_exporter.graph.view import View, length

SIZES = (1, 6, 4, 5)


def shown(view: View, base: np.ndarray) -> np.ndarray:
    """What a view shows of the tensor's values (1, …)."""
    factors = [factor for axis in view.axes for factor in axis]
    order = [factor for dim in view.dims for factor in dim]
    split = base.reshape([factor.size for factor in factors])
    return split.transpose([factors.index(factor) for factor in order]).reshape(view.shape)


@given(st.lists(st.sampled_from(["swap", "cut", "join", "one", "turn"]), max_size=6), st.integers(0, 99))
def test_a_view_is_what_numpy_makes(steps: list[str], seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=SIZES)
    view, expected = View.whole("x", SIZES), values
    for step in steps:
        place = int(random.integers(expected.ndim - 1)) if expected.ndim > 1 else 0
        shape = list(expected.shape)
        if step in ("swap", "turn"):
            order = random.permutation(len(shape)) if step == "turn" else np.arange(len(shape))
            if step == "swap" and len(shape) > 1:
                order[[place, place + 1]] = order[[place + 1, place]]
            view, expected = view.transposed([*map(int, order)]), expected.transpose(order)
            continue
        if step == "cut" and shape[place] % 2 == 0:
            shape[place : place + 1] = [2, shape[place] // 2]
        elif step == "join" and len(shape) > 1:
            shape[place : place + 2] = [shape[place] * shape[place + 1]]
        elif step == "one":
            shape.insert(place, 1)
        found = view.reshaped(shape)
        if found is None:  # a cut through the middle of something
            continue
        view, expected = found, expected.reshape(shape)
    assert view.shape == expected.shape
    assert np.array_equal(shown(view, values), expected)
    constant = random.normal(size=[n if random.random() < 0.5 else 1 for n in view.shape])
    assert np.allclose(shown(view, values + view.to_base(constant)), expected + constant)


def test_a_cut_that_goes_through_factors_is_none() -> None:
    view = View.whole("x", SIZES)
    assert view.reshaped((1, 4, 6, 5)) is None
    assert view.transposed((0, 2, 1, 3)).reshaped((1, 24, 5)) is not None


def test_whole_axes_are_found() -> None:
    view = View.whole("x", SIZES).transposed((2, 0, 1, 3))
    assert [view.axis(dim) for dim in range(4)] == [2, None, 1, 3]
    joined = view.reshaped((4, 6, 5))
    assert joined is not None
    assert [joined.axis(dim) for dim in range(3)] == [2, 1, 3]
    flat = view.reshaped((24, 5))
    assert flat is not None
    assert [flat.axis(dim) for dim in range(2)] == [None, 3]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_views_alike(order: tuple[int, ...]) -> None:
    one, other = (View.whole(name, SIZES).transposed(order) for name in "xy")
    assert one.arranged_as(other)
    assert one.is_whole == (order == (0, 1, 2, 3))
    assert not one.arranged_as(View.whole("z", SIZES).transposed((0, 2, 1, 3)))
    assert length(one.axes[0]) == 6
