"""What a network gives: by it outputs are compared, learned and judged."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from .graph import Graph


class OutputKind(Enum):
    """What an output is.

    Attributes
    ----------
    SCORES : of classes, (batch, classes); a softmax makes probabilities of them
    VALUES : all else: pictures, coordinates, features
    """

    SCORES = "scores"
    VALUES = "values"


def kind_of(shape: Sequence[int]) -> OutputKind:
    """The kind of an output of a shape, batch first."""
    return OutputKind.SCORES if len(shape) == 2 else OutputKind.VALUES


def output_kinds(graph: Graph) -> dict[str, OutputKind]:
    """Output → its kind, in the network's order."""
    return {name: kind_of(graph.shapes[name]) for name in graph.outputs}


def gives_scores(graph: Graph) -> bool:
    """Whether all outputs are scores of classes."""
    return set(output_kinds(graph).values()) == {OutputKind.SCORES}


def is_classifier(graph: Graph) -> bool:
    """Whether the only output are scores of classes."""
    return len(graph.outputs) == 1 and gives_scores(graph)
