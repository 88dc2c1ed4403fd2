"""Images that may be used, but not without a word."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from inn_exporter.data.concerns import concerns
from inn_exporter.data.samples import Samples
from inn_exporter.importers import import_onnx
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from places import RESNET20


def _warnings(images: np.ndarray) -> list[str]:
    graph = fold(import_onnx(RESNET20))
    return concerns(Samples({"x": images}), *analyse(graph))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x, None),
        (
            lambda x: np.where(np.arange(len(x))[:, None, None, None] < 3, 0.5, x),
            "3 of 64 images are of one colour",
        ),
        (lambda x: np.concatenate([x[:40], x[:24]]), "24 of 64 images occur more than once"),
        (lambda x: 255 * x, "values reach .*; if these are pixels"),
        (lambda x: x[:8], r"8 images are few for .* of 12 channel groups .* give 1\d or more"),
    ],
)
def test_poor_calibration_images_are_warned_of(
    spoil: Callable[[np.ndarray], np.ndarray], message: str | None, train: np.ndarray
) -> None:
    found = _warnings(spoil(train[:64]).astype(np.float32))
    if message is None:
        assert not found
    else:
        assert any(re.search(message, text) for text in found), found
