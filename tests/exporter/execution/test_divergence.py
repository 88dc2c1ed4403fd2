"""How far outputs are from the original's."""

from __future__ import annotations

import pytest
from inn_exporter.execution.divergence import output_divergence
from inn_exporter.graph.outputs import OutputKind
from networks import images


def test_divergence_is_relative_where_the_network_is_no_classifier() -> None:
    values, classes = {"y": OutputKind.VALUES}, {"y": OutputKind.SCORES}
    reference = {"y": images(4, 3, 5, 5)}
    assert output_divergence(reference, reference, values) == 0.0
    assert output_divergence({"y": 0.9 * reference["y"]}, reference, values) == pytest.approx(0.01, rel=1e-5)
    scores = {"y": images(6, 4)}
    assert output_divergence({"y": scores["y"] + 7}, scores, classes) == pytest.approx(0.0, abs=1e-9)
    assert output_divergence({"y": -scores["y"]}, scores, classes) > 0.1
