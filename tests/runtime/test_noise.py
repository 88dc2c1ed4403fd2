"""Seeded noise, against SplitMix64 in plain integers."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inn_runtime.noise import noise

MASK = (1 << 64) - 1


def split_mix_64(seed: int, count: int) -> list[int]:
    """The generator as published, one state and one output at a time."""
    state, outputs = seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        outputs.append(z ^ (z >> 31))
    return outputs


def test_the_plain_generator_gives_the_published_values() -> None:
    # The first outputs for seed 1234567, as in other implementations' tests.
    assert split_mix_64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_golden_values() -> None:
    # (z >> 40) / 2²³ - 1 of 0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F for seed 0
    expected = [0xE220A8 / 2**23 - 1, 0x6E789E / 2**23 - 1, 0x06C45D / 2**23 - 1]
    assert noise(0, (3,)).tolist() == expected
    assert noise(0, (3,)).tobytes() == struct.pack("<3f", *expected)


@pytest.mark.filterwarnings("error")
@given(st.integers(0, (1 << 63) + 8), st.integers(1, 40))
def test_equals_plain_integers(seed: int, count: int) -> None:
    expected = [(z >> 40) / 2**23 - 1 for z in split_mix_64(seed, count)]
    assert noise(seed, (count,)).tolist() == expected


def test_shape_order_and_range() -> None:
    values = noise(3, (2, 3, 50, 7))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values.reshape(-1), noise(3, (2 * 3 * 50 * 7,)))
    assert values.min() >= -1
    assert values.max() < 1
    assert abs(values.mean()) < 0.05
    assert noise(0, ()).shape == ()
    assert noise(0, (0, 3)).shape == (0, 3)
