"""Roots of second moments."""

from __future__ import annotations

import numpy as np
from inn_exporter.execution.linear_algebra import roots


def test_roots_take_inputs_to_coordinates_that_do_not_correlate() -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 50)) * np.array([1.0, 3.0]).reshape(2, 1, 1)
    gram = x @ x.transpose(0, 2, 1) / 50
    to, back = roots(gram, ridge=1e-9)
    np.testing.assert_allclose(to @ to, gram, atol=1e-6)
    np.testing.assert_allclose(back @ gram @ back, np.broadcast_to(np.eye(6), gram.shape), atol=1e-6)
    to, back = roots(gram, ridge=1e-9, largest=5)
    np.testing.assert_allclose(to @ back, np.broadcast_to(np.eye(6), gram.shape), atol=1e-12)
    for matrix, moments in zip(to, gram):
        np.testing.assert_allclose(matrix, np.sqrt(np.trace(moments) / 6) * np.eye(6), rtol=1e-6)
