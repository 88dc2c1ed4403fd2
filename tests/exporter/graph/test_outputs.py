"""What a network's outputs are taken for."""

from __future__ import annotations

import pytest
from inn_exporter.graph.graph import Graph
from inn_exporter.graph.outputs import OutputKind, gives_scores, is_classifier, output_kinds

SCORES, VALUES = OutputKind.SCORES, OutputKind.VALUES


@pytest.mark.parametrize(
    ("shapes", "kinds", "scores", "classifier"),
    [
        ({"y": (1, 10)}, [SCORES], True, True),
        ({"y": (1, 3, 8, 8)}, [VALUES], False, False),
        ({"y": (1, 7, 10)}, [VALUES], False, False),
        ({"y": (1, 10), "z": (1, 2)}, [SCORES, SCORES], True, False),
        ({"z": (1, 3, 8, 8), "y": (1, 10)}, [VALUES, SCORES], False, False),
    ],
)
def test_vectors_are_scores_and_all_else_values(
    shapes: dict[str, tuple[int, ...]], kinds: list[OutputKind], scores: bool, classifier: bool
) -> None:
    graph = Graph("g", ["x"], list(shapes), [], {}, {"x": (1, 3, 8, 8), **shapes})
    assert list(output_kinds(graph).items()) == list(zip(shapes, kinds))
    assert gives_scores(graph) == scores
    assert is_classifier(graph) == classifier
