"""Quadratures fitted to second moments."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.calibration.quadrature import solve
from networks import images
from resizable import resizable


def test_solve_finds_the_exact_map_where_there_is_one() -> None:
    random = np.random.default_rng(0)
    truth = random.standard_normal((10, 4))
    x = random.standard_normal((4, 1000))
    gram, cross = x @ x.T / 1000, truth @ x @ x.T / 1000
    assert solve(cross, gram, np.eye(10, 4), 1e-9) == pytest.approx(truth, abs=1e-5)


def test_solve_stays_at_the_prior_where_the_data_agree_or_say_nothing() -> None:
    prior = np.eye(6, 3)
    x = np.random.default_rng(0).standard_normal((3, 50))
    gram = x @ x.T
    assert solve(prior @ gram, gram, prior) == pytest.approx(prior, abs=1e-12)
    assert solve(np.zeros((6, 3)), np.zeros((3, 3)), prior) == pytest.approx(prior)


def test_solve_survives_singular_grams() -> None:
    x = np.random.default_rng(0).standard_normal((3, 2))  # two samples, three channels, one of them dead
    x[2] = 0
    table = solve(np.ones((6, 2)) @ x.T, x @ x.T, np.eye(6, 3))
    assert np.isfinite(table).all()
    assert table[:, 2] == pytest.approx(np.eye(6, 3)[:, 2])


@pytest.mark.parametrize("pooled", [True, False])
def test_too_few_images_leave_a_full_quadrature_as_it_is(pooled: bool) -> None:
    network = resizable(pooled)
    full = network.channels.sizes.index(10)

    def table(count: int, narrowed: int) -> np.ndarray:
        widths = [6, 6]
        widths[full] = 10 - narrowed
        size = CalibratedSize(widths)
        (size,) = Calibration(network).run([size], {"x": images(count, 3, 20, 20)})
        indices = [i for i, (_, group) in enumerate(network.channels.quadratures) if group == full]
        return np.concatenate([size.tables[index].read() for index in indices])

    assert not table(19, narrowed=0).any()
    assert table(20, narrowed=0).any()
    assert table(19, narrowed=1).any()
