"""How many bits calibration data get."""

from __future__ import annotations

import numpy as np
from inn_exporter.storage.bits import fewest_bits
from inn_exporter.storage.gptq import Sensitivity
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
