"""A network in MindSpore Lite's terms, ready for a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inn_runtime.format.manifest import Dimension, Expression


@dataclass(frozen=True)
class LoweredWeight:
    """A weight in the engine's layout: ``permutation`` of the graph's constant, its control grid."""

    name: str
    permutation: tuple[int, ...]
    dims: tuple[Dimension, ...]


@dataclass(frozen=True)
class LoweredGraph:
    """JSON-ready nodes and tensors, and the weights they refer to."""

    tensors: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    weights: list[LoweredWeight]
    inputs: list[int]
    outputs: list[int]
    macs: Expression
    one_image: bool
