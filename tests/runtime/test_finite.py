"""Whether numbers are numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from inn_runtime.finite import all_finite


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_is_enough(dtype: type, value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = np.ones((3, 50, 7), dtype)
        assert all_finite(array)
        array[1, 33, 2] = value
        assert not all_finite(array)
        assert not all_finite(array.transpose(2, 0, 1))
        assert not all_finite(np.array([np.inf, -np.inf], dtype))


def test_large_values_are_finite() -> None:
    assert all_finite(np.full(1000, np.finfo(np.float32).max, np.float32))
    assert all_finite(np.empty(0, np.float32))
    assert all_finite(np.array(1.0, np.float32))
