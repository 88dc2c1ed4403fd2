"""What can be resized in a graph: channel groups, and every dimension in terms of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from inn_runtime.format.manifest import Dimension
from inn_runtime.sampling.plan import round_width

from .dimensions import QuadratureKey


@dataclass(frozen=True)
class ChannelGroup:
    """Tensor axes that must keep the same length; ``members`` are ``weight:axis``."""

    name: str
    size: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Channels:
    """What can be resized in a graph.

    Attributes
    ----------
    groups : the channel groups
    quadratures : (key, group) of every quadrature
    dims : structure of every dimension of every activation and constant
    alternatives : what would be a group if that of which it is a multiple were kept: heads
    """

    groups: list[ChannelGroup]
    quadratures: list[tuple[QuadratureKey, int]]
    dims: dict[str, tuple[Dimension, ...]]
    alternatives: list[ChannelGroup] = field(default_factory=list)

    @property
    def sizes(self) -> list[int]:
        """Full width of every group."""
        return [group.size for group in self.groups]

    def widths(self, size: float, align: int = 1) -> list[int]:
        """The width of every group where all shrink alike."""
        return [round_width(size, group.size, align) for group in self.groups]

    def shape(self, name: str, widths: Sequence[int]) -> tuple[int, ...]:
        """Of an activation, batch 1, or a constant at some widths."""
        return tuple(sum(s.length(widths) for s in dimension) for dimension in self.dims[name])

    def along(self, name: str, group: int) -> list[int]:
        """The dimensions of a tensor that follow a group."""
        return [axis for axis, dim in enumerate(self.dims[name]) if any(s.group == group for s in dim)]

    def plain_axes(self, name: str, group: int) -> list[int] | None:
        """The dimensions of a tensor that are a group's channels; None where one is more than these."""
        axes, dims = self.along(name, group), self.dims[name]
        plain = all([(s.outer, s.inner) for s in dims[axis]] == [(1, 1)] for axis in axes)
        return axes if plain else None

    def group_of(self, key: QuadratureKey) -> int:
        """The group that a stretch of a tensor runs along."""
        group = self.dims[key.tensor][key.dim][key.part].group
        assert group is not None
        return group

    @cached_property
    def quadratures_of(self) -> dict[str, list[int]]:
        """Tensor → the quadratures over its stretches, alone or with those of other tensors."""
        result: dict[str, list[int]] = {}
        for index, (key, _) in enumerate(self.quadratures):
            for name in {each.tensor for each in key.each}:
                result.setdefault(name, []).append(index)
        return result

    def complete(self, name: str, activations: Mapping[str, object]) -> list[int]:
        """The quadratures all of whose tensors are there with ``name``, the last of them."""
        found = self.quadratures_of.get(name, [])
        return [i for i in found if all(e.tensor in activations for e in self.quadratures[i][0].each)]
