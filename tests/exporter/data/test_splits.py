"""Which images do what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from inn_exporter.data.splits import Splits
from inn_exporter.graph.graph import Graph
from networks import images


def loaded(count: int, chosen: int, evaluate: Any = None) -> tuple[set[bytes], set[bytes], Splits]:
    """Images that calibrate, and images that are held out, as bytes."""
    graph = Graph("g", ["x"], ["y"], [], {}, {"x": (1, 3, 2, 2), "y": (1, 4)})
    data = {"x": images(count, 3, 2, 2), "labels": np.zeros(count, np.int64)}
    splits = Splits.load(graph, {}, data, evaluate, chosen, 0)
    first, second = ({x.tobytes() for x in s.inputs["x"]} for s in (splits.calibration, splits.held_out))
    return first, second, splits


@pytest.mark.parametrize(
    ("count", "chosen", "calibrates", "held_out"),
    [(40, 256, 32, 8), (100, 60, 60, 40), (100, 90, 80, 20), (2500, 50, 50, 2000)],
)
def test_what_is_spare_is_held_out_a_fifth_at_least(
    count: int, chosen: int, calibrates: int, held_out: int
) -> None:
    calibration, others, splits = loaded(count, chosen)
    assert (len(calibration), len(others)) == (calibrates, held_out)
    assert not calibration & others
    assert len(splits.training) == count - held_out
    assert splits.training.labels is None
    assert splits.held_out.labels is not None


def test_with_images_to_evaluate_all_others_may_calibrate() -> None:
    evaluate = {"x": images(30, 3, 2, 2, seed=2)}
    calibration, others, splits = loaded(40, 256, evaluate)
    assert (len(calibration), len(others), len(splits.training)) == (40, 30, 40)
    assert others == {x.tobytes() for x in evaluate["x"]}
