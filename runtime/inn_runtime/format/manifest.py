"""The bundle's manifest as frozen dataclasses (docs/reference/bundle-format.md); `parser` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from .axis import Axis

Expression = tuple[tuple[int, ...], ...]
"""Σ cᵢ · Π width(g): one (coefficient, group, group, …) per term."""

AttributeValue = Union[bool, float, str, Expression, tuple[Expression, ...], tuple[float, ...]]


def evaluate(expression: Expression, widths: Sequence[int]) -> int:
    """Value of an expression at the given group widths."""
    total = 0
    for coefficient, *groups in expression:
        for group in groups:
            coefficient *= widths[group]
        total += coefficient
    return total


@dataclass(frozen=True)
class Group:
    """A channel group: tensor axes that keep the same length, and its continuous axis."""

    name: str
    axis: Axis
    members: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A stretch of one weight dimension, of length outer · width(group) · inner.

    ``group`` is None for a stretch of fixed length ``inner``. ``quadrature`` names the quadrature that
    a consumer integrates with; None means that the weight produces this axis, and it is sampled.
    """

    group: int | None
    outer: int
    inner: int
    quadrature: int | None

    def length(self, widths: Sequence[int]) -> int:
        return self.inner if self.group is None else self.outer * widths[self.group] * self.inner


Dimension = tuple[Segment, ...]


@dataclass(frozen=True)
class Weight:
    """A weight tensor of the lowered graph; its control grid is the bundle tensor ``weight/NAME``."""

    name: str
    dims: tuple[Dimension, ...]

    def shape(self, widths: Sequence[int]) -> tuple[int, ...]:
        return tuple(sum(s.length(widths) for s in dimension) for dimension in self.dims)


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of the lowered graph: a weight, an int32 constant, or a variable."""

    name: str
    weight: int | None = None
    values: tuple[Expression, ...] | None = None
    shape: tuple[int, ...] = ()
    dims: tuple[int, ...] = ()


@dataclass(frozen=True)
class Attribute:
    """One attribute of a primitive: the field's slot in the schema, its type and its value."""

    slot: int
    type: str
    value: AttributeValue


@dataclass(frozen=True)
class GraphNode:
    """One node in MindSpore Lite's terms; ``primitive`` is the member number of the schema's union."""

    name: str
    primitive: int
    attributes: tuple[Attribute, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Port:
    """An input or output of the network, in the source model's layout (NCHW), at batch 1."""

    name: str
    tensor: int
    shape: tuple[int, ...]
    preprocessing: dict[str, Any] | None = None

    @property
    def engine_shape(self) -> tuple[int, ...]:
        """The shape in the engine's layout: four dimensions are NHWC."""
        if len(self.shape) != 4:
            return self.shape
        batch, channels, height, width = self.shape
        return batch, height, width, channels


@dataclass(frozen=True)
class Size:
    """A size for which the bundle holds calibrated data, and its measured place on the curve.

    ``tables``: quadrature index → bundle tensor holding the correction B - B0, (N, n). ``overrides``:
    weight index → bundle tensor that replaces the sampled weight outright. ``corrections``: weight index →
    bundle tensor that is added to the weight as the rules alone sample it, without tables. ``grids``: group
    index → bundle tensor, (2, n), of the nodes and weights that the group has at this size. ``measured``:
    metric → value.
    """

    size: float
    widths: tuple[int, ...]
    tables: dict[int, str] = field(default_factory=dict)
    overrides: dict[int, str] = field(default_factory=dict)
    corrections: dict[int, str] = field(default_factory=dict)
    grids: dict[int, str] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    check: dict[str, str] = field(default_factory=dict)

    @property
    def is_calibrated(self) -> bool:
        """Whether it has data of its own."""
        return bool(self.tables or self.overrides or self.corrections or self.grids)


@dataclass(frozen=True)
class Quadrature:
    """How the consumers of one tensor integrate over one channel group."""

    name: str
    group: int


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says about itself, apart from its tensors' values."""

    name: str
    producer: dict[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    labels: tuple[str, ...]
    groups: tuple[Group, ...]
    quadratures: tuple[Quadrature, ...]
    weights: tuple[Weight, ...]
    tensors: tuple[GraphTensor, ...]
    nodes: tuple[GraphNode, ...]
    macs: Expression
    one_image: bool
    align: int
    schedule: str
    sizes: tuple[Size, ...]
    presets: dict[str, float]
    curve: dict[str, Any]
    check_seed: int
    source_difference: float
    """Of the full size from the source file, relative to the outputs' scale, as measured at export."""
    digests: dict[str, str]

    @property
    def full_widths(self) -> tuple[int, ...]:
        return tuple(group.axis.size for group in self.groups)

    @property
    def is_calibrated(self) -> bool:
        """Whether only the sizes listed can be built: they have data of their own."""
        return any(size.is_calibrated for size in self.sizes)
