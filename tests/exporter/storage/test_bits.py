"""How many bits calibration data get."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.graph.graph import Graph
from inn_exporter.graph.outputs import OutputKind
from inn_exporter.storage.bits import (
    COARSE_BITS,
    LARGEST_SHARE,
    LAYER_ROUNDING,
    calibration_storage,
    fewest_bits,
    layer_rounding,
    nothing,
    share_of_error,
)
from inn_exporter.storage.gptq import Sensitivity
from inn_exporter.storage.stored import store
from moments import correlated


def test_calibration_data_have_as_few_bits_as_do() -> None:
    random = np.random.default_rng(0)
    values, sensitivity = (
        random.normal(size=(20, 90)).reshape(20, 10, 3, 3),
        Sensitivity(correlated(random, 1, 90)),
    )
    bits, everything = [], sensitivity.error(values)
    for budget in (0.0, 0.02, 0.1, 0.5, 0.4 * everything):
        stored = fewest_bits(values, "float16", sensitivity, budget)
        assert budget == 0.0 or sensitivity.error(stored.read() - values) <= budget
        bits.append(stored.bits)
    assert bits == sorted(bits, key=lambda b: -(b or 8))
    assert {1, 5, None} < set(bits)
    assert fewest_bits(values, "float16", sensitivity, 0.99 * everything).read().any()
    assert not fewest_bits(values, "float16", sensitivity, 1.01 * everything).read().any()
    np.testing.assert_array_equal(
        fewest_bits(values, "float32", sensitivity, 1e9).values, values.astype("f4")
    )


def test_a_kernel_may_make_a_share_of_the_error_by_how_many_values_it_has() -> None:
    assert share_of_error(50, 100.0) == 0.5
    assert share_of_error(100, 100.0) == 1.0
    assert share_of_error(10**6, 100.0) == LARGEST_SHARE


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ({"y": (1, 10)}, OutputKind.SCORES),
        ({"y": (1, 3, 8, 8)}, OutputKind.VALUES),
        ({"y": (1, 10), "z": (1, 3, 8, 8)}, OutputKind.VALUES),
    ],
)
def test_values_are_rounded_more_finely_than_scores(
    shapes: dict[str, tuple[int, ...]], kind: OutputKind
) -> None:
    assert layer_rounding(Graph("g", ["x"], list(shapes), [], {}, shapes)) == LAYER_ROUNDING[kind]
    assert LAYER_ROUNDING[OutputKind.VALUES] < LAYER_ROUNDING[OutputKind.SCORES]


@pytest.mark.parametrize(
    ("storage", "beside"), [("float32", "float32"), ("float16", "int8"), ("int8", "int8")]
)
def test_nothing_is_rounded_beside_exact_grids(storage: str, beside: str) -> None:
    assert calibration_storage(storage) == beside
    zeros = nothing((4, 5, 3, 3), storage, 0)
    assert zeros.values.dtype == ("float32" if beside == "float32" else "int8")
    assert not zeros.read().any()


def test_bits_are_the_fewest_that_do_or_one_more() -> None:
    """One more where the step from one to two bits gains more than it mostly does."""
    random = np.random.default_rng(1)
    values, sensitivity = random.normal(size=(20, 40)), Sensitivity(correlated(random, 1, 40))
    for fewest, more in zip(COARSE_BITS, (*COARSE_BITS[1:], 8)):
        error = sensitivity.error(store(values, f"int{fewest}", 0, sensitivity).read() - values)
        found = fewest_bits(values, "float16", sensitivity, 1.0001 * error)
        assert (found.bits or 8) in (fewest, more)
        assert sensitivity.error(found.read() - values) <= 1.0001 * error
