"""Networks that nobody thought of: right at full size, by the source file, and below, by the resized ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inn_exporter import export
from networks import images, run_onnx
from parity import assert_lite_parity

from benchmarks.networks.random_networks import random_network

SIZES = (0.25, 0.6, 1.0)


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_are_right_at_every_size(seed: int, tmp_path: Path) -> None:
    """`export` compares the full size with the source itself, in MindSpore Lite, too."""
    model, shapes = random_network(seed)
    data = {name: images(32, *shape) for name, shape in shapes.items()}
    quadrature = {"quadrature": "none"} if seed % 4 == 0 else {"effort": "fast"}
    bundle = export(model, tmp_path / "a.inn", data, sizes=SIZES, storage="float32", **quadrature)
    assert bundle.manifest.source_difference < 1e-4
    assert_lite_parity(bundle, SIZES)


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_channels_lose_nothing_where_they_are_twins(seed: int, tmp_path: Path) -> None:
    model, shapes = random_network(seed, twins=True)
    data = {name: images(64, *shape) for name, shape in shapes.items()}
    bundle = export(model, tmp_path / "a.inn", data, sizes=(0.5,), effort="fast", storage="float32")
    with bundle.resample(0.5).session() as session:
        found = session.run(data)
    expected = run_onnx(model, data)
    outputs = found if isinstance(found, dict) else dict(zip(expected, [found]))
    for name, values in expected.items():
        error = np.square(outputs[name] - values).mean() / values.var()
        assert error < 1e-3, name
