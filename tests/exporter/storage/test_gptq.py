"""Rounding in which later values make up for earlier ones."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.storage import gptq
from inn_exporter.storage.gptq import ROUNDING_RIDGE, Sensitivity
from inn_exporter.storage.stored import store
from moments import correlated

RANDOM = np.random.default_rng(0)


def one_after_the_other(row: np.ndarray, gram: np.ndarray, step: float) -> np.ndarray:
    """The definition: each value rounded, those left moved to where they are best (optimal brain surgeon)."""
    gram = gram + ROUNDING_RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    row, integers = row.astype(np.float64).copy(), np.zeros(len(row))
    left = sorted(range(len(row)), key=lambda i: -gram[i, i])
    while left:
        i, rest = left[0], left[1:]
        integers[i] = np.rint(row[i] / step)
        wrong = integers[i] * step - row[i]
        if rest:
            row[rest] -= np.linalg.solve(gram[np.ix_(rest, rest)], gram[rest, i] * wrong)
        left = rest
    return integers


@pytest.mark.parametrize("block", [64, 3])
def test_it_follows_its_definition(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gptq, "FEATURES_AT_ONCE", block)
    gram, values = correlated(RANDOM, 2, 10), RANDOM.normal(size=(2 * 4, 5, 2)).astype(np.float32)
    step = np.linspace(0.2, 0.4, 8, dtype=np.float32).reshape(8, 1, 1)
    found = Sensitivity(gram).rounded(values, step, np.rint)
    expected = [one_after_the_other(values[i].ravel(), gram[i // 4], step.ravel()[i]) for i in range(8)]
    np.testing.assert_array_equal(found.reshape(8, 10), expected)


def test_the_error_is_that_of_the_outputs() -> None:
    inputs, wrong = RANDOM.normal(size=(6, 500)), RANDOM.normal(size=(4, 6))
    gram = inputs @ inputs.T / 500
    expected = np.square(wrong @ inputs).mean(1).sum()
    assert Sensitivity(gram[None]).error(wrong) == pytest.approx(expected)


@pytest.mark.parametrize("storage", ["int8", "int4"])
@pytest.mark.parametrize("channel", [0, 1])
def test_errors_are_a_fraction_of_the_nearest_values(storage: str, channel: int) -> None:
    values, sensitivity = RANDOM.normal(size=(20, 40)), Sensitivity(correlated(RANDOM, 1, 40))
    nearest = sensitivity.error(store(values, storage, channel).read() - values)
    found = store(values, storage, channel, sensitivity)
    assert sensitivity.error(found.read() - values) < 0.3 * nearest
    assert np.abs(found.values).max() <= (127 if storage == "int8" else 15)


def test_inputs_that_do_not_correlate_are_rounded_to_the_nearest() -> None:
    values, gram = RANDOM.normal(size=(5, 9)), np.diag(RANDOM.random(9))[None]
    np.testing.assert_array_equal(
        store(values, "int5", 0, Sensitivity(gram)).values, store(values, "int5").values
    )


def test_what_few_samples_say_by_chance_is_not_trusted() -> None:
    """Rounded by fewer samples than there are inputs, other samples see no larger errors than of nearest
    values."""
    inputs, values = RANDOM.normal(size=(60, 2000)), RANDOM.normal(size=(20, 60))
    seen, others = inputs[:, :40], inputs[:, 40:]
    gram = (seen @ seen.T / 40)[None]

    def error(sensitivity: Sensitivity | None) -> float:
        return float(np.square((store(values, "int5", 0, sensitivity).read() - values) @ others).mean())

    assert error(Sensitivity(gram, 40)) < 1.1 * error(None) < 0.8 * error(Sensitivity(gram))


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    values = RANDOM.normal(size=(6, 4)).astype(np.float32)
    for gram in (np.zeros((3, 4, 4)), np.zeros((1, 4, 4)), np.diag([1.0, 0, 0, 1])[None]):
        found = store(values, "int8", 0, Sensitivity(gram)).read()
        np.testing.assert_allclose(found, values, atol=0.02)


def test_what_is_all_zeros_stays_so() -> None:
    """Odd integers are none of them 0: their scale is, whichever way scales go."""
    for channel, zeros in ((0, np.s_[2]), (1, np.s_[:, 5])):
        values = RANDOM.normal(size=(20, 40))
        values[zeros] = 0
        found = store(values, "int2", channel, Sensitivity(correlated(RANDOM, 1, 40))).read()
        assert not found[zeros].any()
        assert np.isfinite(found).all()
