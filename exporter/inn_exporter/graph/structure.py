"""Which tensor axes are tied: the structure of every dimension, and the channel groups it implies.

Operators' axis rules create variables (`dimensions`) and unite them; where one dimension is finer than the
other, the coarser variable becomes a product. What is never united with a fixed length becomes a group.

A bundle's dimension follows at most one group per stretch. Of a product of several free variables (heads,
and the width of each) only the innermost is resized, unless it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from inn_runtime.format.manifest import Segment

from .channels import ChannelGroup, Channels
from .dimensions import (
    Dim,
    Factor,
    Part,
    QuadratureKey,
    Variable,
    fixed,
    free_variables,
    is_variable,
    leaves_of,
    length_of,
    runs,
)
from .graph import Graph


@dataclass
class Structure:
    """Filled by the operators' axis rules, in topological order."""

    graph: Graph
    dims: dict[str, tuple[Dim, ...]] = field(default_factory=dict)
    _variables: list[Variable] = field(default_factory=list)
    _sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shared = [layer for layer in self.graph.layers().values() if len(layer) > 1]
        self._read_by_shared = {name for layer in shared for node in layer for name in node.inputs}

    # ------------------------------------------------------------------ for axis rules
    def new_axis(self, size: int, name: str) -> Dim:
        """A dimension along a new axis variable of ``size`` channels."""
        return (Part((self._new(size, name),)),)

    def _new(self, size: int, name: str) -> Variable:
        self._variables.append(Variable(size, name, len(self._variables)))
        return self._variables[-1]

    def set(self, name: str, dims: Sequence[Dim]) -> None:
        """Record the structure of a tensor.

        A constant that is set twice belongs to layers that share it: its variables are united, and a
        quadrature is that of all their inputs.
        """
        if name in self.dims:
            for old, new in zip(self.dims[name], dims):
                self.unite(old, new)
            dims = [_shared_quadratures(old, new) for old, new in zip(self.dims[name], dims)]
        self.dims[name] = tuple(dims)

    def integrated(self, tensor: str, dim: int) -> Dim:
        """The structure of a weight's dimension that is contracted with dimension ``dim`` of ``tensor``."""
        source = self._sources.get(tensor, tensor)
        return tuple(
            replace(part, quadrature=QuadratureKey(source, dim, index)) if is_variable((part,)) else part
            for index, part in enumerate(self.dims[tensor][dim])
        )

    def same_source(self, output: str, tensor: str) -> None:
        """``output`` is linear in ``tensor``, channel by channel: its consumers share the quadrature.

        Not where it is read by layers that share their kernel: that has a quadrature of its own, which is
        fitted when all their inputs are there, and ``tensor`` is needed no more.
        """
        if output not in self._read_by_shared:
            self._sources[output] = self._sources.get(tensor, tensor)

    def unite(self, first: Dim, second: Dim) -> None:
        """Tie two dimensions; where their stretches do not correspond, none of them may be resized."""
        if [part.length for part in first] != [part.length for part in second]:
            self.pin(first)
            self.pin(second)
            return
        for a, b in zip(first, second):
            self._tie(a.factors, b.factors)

    def refined(self, dim: Dim, outer: int = 1, inner: int = 1) -> Dim:
        """One channel in ``outer * inner`` of a dimension, which from now on is resized in whole blocks:
        ``outer`` blocks one after the other, in each of which a channel is a run of ``inner``.

        Where the dimension is not made of such blocks, it keeps its size.
        """
        block = self.new_axis(length_of(dim) // (outer * inner), self._name(dim))
        if len(dim) == 1:
            self._tie(dim[0].factors, block[0].times(inner, outer).factors)
        elif len(dim) == outer and inner == 1 and len({part.length for part in dim}) == 1:
            for part in dim:
                self._tie(part.factors, block[0].factors)
        else:
            self.pin(dim)
            self.pin(block)
        return block

    def repeated(self, dim: Dim, times: int) -> Dim:
        """A dimension several times over, one after the other."""
        return (dim[0].times(outer=times),) if len(dim) == 1 else dim * times

    def reshaped(self, dims: Sequence[Dim], shape: Sequence[int]) -> list[Dim]:
        """Dimensions of a tensor of ``dims`` that is read as one of ``shape``."""
        left = [dim for dim in dims if length_of(dim) != 1]
        wide: list[Dim] = []
        for ins, outs in runs([length_of(dim) for dim in left], [length for length in shape if length != 1]):
            joined = self._joined(left[: len(ins)])
            wide += [joined] if len(outs) == 1 else self._cut(joined, outs)
            del left[: len(ins)]
        found = iter(wide)
        return [fixed(1) if length == 1 else next(found) for length in shape]

    def _joined(self, dims: Sequence[Dim]) -> Dim:
        """Several dimensions as one."""
        first, *others = dims
        if len(first) > 1 and all(len(dim) == 1 for dim in others):
            extent = prod(length_of(dim) for dim in others)
            for dim in others:
                self.pin(dim)
            return tuple(part.times(inner=extent) for part in first)
        if any(len(dim) > 1 for dim in dims):
            for dim in dims:
                self.pin(dim)
            return fixed(prod(length_of(dim) for dim in dims))
        return (Part(tuple(factor for (part,) in (first, *others) for factor in part.factors)),)

    def _cut(self, dim: Dim, lengths: Sequence[int]) -> list[Dim]:
        """A dimension as several, the outermost first: heads, and the width of each."""
        name, last = self._name(dim), len(lengths) - 1
        parts = [
            self.new_axis(length, name if index == last else f"{name}.heads")
            for index, length in enumerate(lengths)
        ]
        if len(dim) == 1:
            self._tie(dim[0].factors, [factor for (part,) in parts for factor in part.factors])
        elif len(dim) == lengths[0] and len({part.length for part in dim}) == 1:
            self.pin(parts[0])
            for part in dim:
                self._tie(part.factors, [factor for (other,) in parts[1:] for factor in other.factors])
        else:
            for each in (dim, *parts):
                self.pin(each)
        return parts

    def read_as_positions(self, tensor: str) -> Sequence[Dim]:
        """The dimensions of a tensor (batch, channels, …), all behind the channels kept as they are: an
        operator reads neighbours there, or all of them, and would see another picture."""
        dims = self.dims[tensor]
        for dim in dims[2:]:
            self.pin(dim)
        return dims

    def pin(self, dim: Iterable[Part]) -> None:
        """Forbid that a dimension is resized."""
        for part in dim:
            for leaf in part.leaves():
                if isinstance(leaf, Variable):
                    leaf.pinned = True

    def _name(self, dim: Dim) -> str:
        """What a dimension's finer variables are called after."""
        named = (leaf.name for part in dim for leaf in part.leaves() if isinstance(leaf, Variable))
        return next(named, "fixed")

    def _tie(self, first: Iterable[Factor], second: Iterable[Factor]) -> None:
        """Make two products of the same length agree factor by factor."""
        left, right = [*leaves_of(first)], [*leaves_of(second)]
        while left and right:
            sizes = [f.size if isinstance(f, Variable) else f for f in (left[0], right[0])]
            if sizes[0] == sizes[1]:
                self._join(left.pop(0), right.pop(0))
                continue
            if max(sizes) % min(sizes):
                self.pin((Part((*left, *right)),))
                return
            larger = left if sizes[0] > sizes[1] else right
            larger[:1] = self._split(larger[0], min(sizes))
            left, right = [*leaves_of(left)], [*leaves_of(right)]  # either may hold what was split elsewhere

    def _split(self, factor: Factor, outer: int) -> list[Factor]:
        """A factor as a product of two, the first of size ``outer``."""
        if not isinstance(factor, Variable):
            return [outer, factor // outer]
        factor.factors = self._new(outer, factor.name), self._new(factor.size // outer, factor.name)
        for part in factor.factors:
            part.pinned = factor.pinned
        return [*factor.factors]

    def _join(self, one: Factor, other: Factor) -> None:
        """Make two factors of the same size, which are products of nothing, the same."""
        if not isinstance(one, Variable) or not isinstance(other, Variable):
            self.pin((Part((one, other)),))
        elif one is not other:
            first, second = sorted((one, other), key=lambda variable: variable.number)
            second.parent = first
            first.pinned |= second.pinned

    # ------------------------------------------------------------------ for the result
    def channels(self, keep: Callable[[str], bool]) -> Channels:
        """Number the groups and quadratures, and give every dimension in terms of them."""
        leaves = [v for v in self._variables if v.parent is None and not v.factors]
        _name_apart(variable for variable in leaves if not variable.pinned and variable.size != 1)
        for variable in leaves:
            variable.pinned |= variable.size == 1 or keep(variable.name)
        outer = []
        for part in (part for tensor in self.dims.values() for dim in tensor for part in dim):
            for factor in free_variables(part)[:-1]:
                factor.pinned = True
                outer.append(factor)
        free = [variable for variable in leaves if not variable.pinned]
        group_of = {variable.number: index for index, variable in enumerate(free)}
        quadratures: dict[QuadratureKey, int] = {}
        groups_of_quadratures: list[int] = []

        def resolve(part: Part) -> Segment:
            found = free_variables(part)
            if not found:
                return Segment(None, 1, part.length, None)
            factors, group = part.leaves(), group_of[found[0].number]
            place = factors.index(found[0])
            outer, inner = (Part(tuple(f)).length for f in (factors[:place], factors[place + 1 :]))
            if part.quadrature is None:
                return Segment(group, outer, inner, None)
            if part.quadrature not in quadratures:
                quadratures[part.quadrature] = len(quadratures)
                groups_of_quadratures.append(group)
            return Segment(group, outer, inner, quadratures[part.quadrature])

        dims = {
            name: tuple(tuple(resolve(part) for part in dim) for dim in dims)
            for name, dims in self.dims.items()
        }
        members: list[dict[str, None]] = [{} for _ in free]
        for name in self.graph.constants:
            for axis, dimension in enumerate(dims[name]):
                for segment in dimension:
                    if segment.group is not None:
                        members[segment.group][f"{name}:{axis}"] = None
        groups = [ChannelGroup(variable.name, variable.size, tuple(m)) for variable, m in zip(free, members)]
        alternatives = [ChannelGroup(variable.name, variable.size, ()) for variable in outer]
        return Channels(groups, list(zip(quadratures, groups_of_quadratures)), dims, alternatives)


def _shared_quadratures(first: Dim, second: Dim) -> Dim:
    """A dimension of a constant, integrated over whatever either layer that reads it integrates over."""
    return tuple(
        replace(one, quadrature=one.quadrature.joined(other.quadrature))
        if one.quadrature is not None and other.quadrature is not None
        else one
        for one, other in zip(first, second)
    )


def _name_apart(variables: Iterable[Variable]) -> None:
    """Number what has the name of another: patterns and messages speak of groups by their names."""
    taken: set[str] = set()
    for variable in variables:
        stem, number = variable.name, 2
        while variable.name in taken:
            variable.name, number = f"{stem}.{number}", number + 1
        taken.add(variable.name)
