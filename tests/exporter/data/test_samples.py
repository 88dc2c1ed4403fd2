"""Images as arrays: which are refused, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inn_exporter
import numpy as np
import pytest
from inn_exporter.data.samples import Samples
from places import RESNET20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((20, 3, 28, 28), np.float32), r"expected shape \(n, 1, 28, 28\), found \(20, 3, 28, 28\)"),
        (np.zeros((20, 28, 28), np.float32), "expected shape"),
        (
            np.zeros((20, 1, 28, 28), np.uint8),
            "expected float32 values as the network takes them, found uint8",
        ),
        (np.zeros((20, 1, 28, 28), np.float32), "all 20 images are the same"),
        (np.full((20, 1, 28, 28), np.nan, np.float32), "not finite"),
        (np.random.default_rng(0).random((20, 1, 28, 28)) * 1e7, "normalised image"),
        (np.random.default_rng(0).random((5, 1, 28, 28)), "at least 16 images, found 5"),
        ({"y": np.zeros((20, 1, 28, 28)), "z": np.zeros(3)}, "expected an array 'x', found y, z"),
        (
            {"x": np.random.default_rng(0).random((20, 1, 28, 28)), "labels": np.zeros(3, int)},
            "'labels': expected 20 integers",
        ),
    ],
)
def test_unusable_calibration_data_is_refused(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(inn_exporter.CalibrationDataError, match=message):
        inn_exporter.export(RESNET20, tmp_path / "a.inn", data)
    assert not list(tmp_path.iterdir())


def test_mirror_images_follow_the_images() -> None:
    images = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
    found = Samples({"x": images}, np.array([7, 8])).with_mirror_images()
    assert found.inputs["x"][2:].tolist() == images[..., ::-1].tolist()
    assert found.labels is not None
    assert found.labels.tolist() == [7, 8, 7, 8]
