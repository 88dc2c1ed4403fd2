"""Which tensor axes are tied: the structure of every dimension, and the channel groups it implies.

Each dimension of each tensor is a list of stretches. A stretch is of fixed length or follows an axis
variable: length outer · N · inner, so that concatenation, flattening and the like stay exact. Operators'
axis rules create variables and unite them; what is never united with a fixed length becomes a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from inn_runtime.manifest import Dimension, Segment

from .graph import Graph


@dataclass(frozen=True)
class QuadratureKey:
    """Consumers of the same stretch of the same dimension of a tensor share a quadrature."""

    tensor: str
    dim: int
    part: int


@dataclass(frozen=True)
class Part:
    """A stretch of one dimension: ``outer · N(variable) · inner`` long, or ``inner`` where there is none."""

    variable: int | None
    inner: int = 1
    outer: int = 1
    quadrature: QuadratureKey | None = None


Dim = tuple[Part, ...]


def fixed(length: int) -> Dim:
    """A dimension that never changes."""
    return (Part(None, inner=length),)


@dataclass
class _Variable:
    size: int
    name: str
    pinned: bool = False
    form: Part | None = None
    """What the variable is in terms of a smaller one, where it runs in blocks."""


@dataclass
class Structure:
    """Filled by the operators' axis rules, in topological order."""

    graph: Graph
    dims: dict[str, tuple[Dim, ...]] = field(default_factory=dict)
    _variables: list[_Variable] = field(default_factory=list)
    _parents: list[int] = field(default_factory=list)
    _sources: dict[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------------ for axis rules
    def new_axis(self, size: int, name: str) -> Dim:
        """A dimension along a new axis variable of ``size`` channels."""
        self._variables.append(_Variable(size, name))
        self._parents.append(len(self._parents))
        return (Part(len(self._parents) - 1),)

    def set(self, name: str, dims: Sequence[Dim]) -> None:
        """Record the structure of a tensor.

        A weight shared by layers with different inputs has been duplicated by then, so a constant that
        is set twice must agree; its variables are united.
        """
        if name in self.dims:
            for old, new in zip(self.dims[name], dims):
                self.unite(old, new)
        else:
            self.dims[name] = tuple(dims)

    def integrated(self, tensor: str, dim: int) -> Dim:
        """The structure of a weight's dimension that is contracted with dimension ``dim`` of ``tensor``."""
        source = self._sources.get(tensor, tensor)
        return tuple(
            part if part.variable is None else replace(part, quadrature=QuadratureKey(source, dim, index))
            for index, part in enumerate(self.dims[tensor][dim])
        )

    def same_source(self, output: str, tensor: str) -> None:
        """``output`` is linear in ``tensor``, channel by channel: its consumers share the quadrature."""
        self._sources[output] = self._sources.get(tensor, tensor)

    def unite(self, first: Dim, second: Dim) -> None:
        """Tie two dimensions; where their stretches do not correspond, none of them may be resized."""
        first, second = (tuple(map(self._formed, dim)) for dim in (first, second))
        if [(p.outer, p.inner) for p in first] != [(p.outer, p.inner) for p in second]:
            self.pin(first)
            self.pin(second)
            return
        for a, b in zip(first, second):
            if a.variable is None or b.variable is None:
                self.pin((a, b))
            else:
                self._join(a.variable, b.variable)

    def refined(self, dim: Dim, outer: int = 1, inner: int = 1) -> Dim:
        """One channel in ``outer * inner`` of a dimension, which from now on is resized in whole blocks:
        ``outer`` blocks one after the other, in each of which a channel is a run of ``inner``.

        Where the dimension is not made of such blocks, it keeps its size.
        """
        count = outer * inner
        if len(dim) == 1 and dim[0].variable is not None:
            part = self._formed(dim[0])
            assert part.variable is not None
            variable = self._variables[self._root(part.variable)]
            if part.outer == part.inner == 1 and variable.size % count == 0:
                block = self.new_axis(variable.size // count, variable.name)
                variable.form = replace(block[0], outer=outer, inner=inner)
                self._variables[block[0].variable or 0].pinned = variable.pinned
                return block
            if (part.outer, part.inner) == (outer, inner):
                return (Part(part.variable),)
        self.pin(dim)
        return fixed(sum(self._length(part) for part in dim) // count)

    def repeated(self, dim: Dim, times: int) -> Dim:
        """A dimension several times over, one after the other."""
        if len(dim) == 1:
            return (replace(dim[0], outer=dim[0].outer * times),)
        return dim * times

    def _formed(self, part: Part) -> Part:
        """The part in terms of the smallest variable."""
        while part.variable is not None:
            form = self._variables[self._root(part.variable)].form
            if form is None:
                break
            part = replace(
                part, variable=form.variable, outer=part.outer * form.outer, inner=part.inner * form.inner
            )
        return part

    def _length(self, part: Part) -> int:
        count = 1 if part.variable is None else self._variables[self._root(part.variable)].size
        return part.outer * count * part.inner

    def pin(self, dim: Iterable[Part]) -> None:
        """Forbid that a dimension is resized."""
        for part in dim:
            if part.variable is not None:
                self._variables[self._root(self._formed(part).variable or 0)].pinned = True

    def _join(self, first: int, second: int) -> None:
        a, b = sorted((self._root(first), self._root(second)))
        if a == b:
            return
        one, other = self._variables[a], self._variables[b]
        if one.size != other.size:
            self.pin((Part(a), Part(b)))
            return
        self._parents[b] = a
        one.pinned |= other.pinned
        forms = [form for form in (one.form, other.form) if form is not None]
        one.form = forms[0] if forms else None
        if one.pinned:
            self.pin(forms)
        if len(forms) == 2:
            self.unite((forms[0],), (forms[1],))

    def _root(self, variable: int) -> int:
        while self._parents[variable] != variable:
            variable = self._parents[variable]
        return variable

    # ------------------------------------------------------------------ for the result
    def channels(self, keep: Callable[[str], bool]) -> Channels:
        """Number the groups and quadratures, and give every dimension in terms of them."""
        roots = [
            i for i, variable in enumerate(self._variables) if self._root(i) == i and variable.form is None
        ]
        for root in roots:
            if keep(self._variables[root].name):
                self._variables[root].pinned = True
        free = [r for r in roots if not self._variables[r].pinned and self._variables[r].size > 1]
        group_of = {root: index for index, root in enumerate(free)}
        quadratures: dict[QuadratureKey, int] = {}
        groups_of_quadratures: list[int] = []

        def resolve(part: Part) -> Segment:
            part = self._formed(part)
            if part.variable is None:
                return Segment(None, 1, part.inner, None)
            root = self._root(part.variable)
            if root not in group_of:
                return Segment(None, 1, part.outer * self._variables[root].size * part.inner, None)
            if part.quadrature is None:
                return Segment(group_of[root], part.outer, part.inner, None)
            if part.quadrature not in quadratures:
                quadratures[part.quadrature] = len(quadratures)
                groups_of_quadratures.append(group_of[root])
            return Segment(group_of[root], part.outer, part.inner, quadratures[part.quadrature])

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
        groups = [
            ChannelGroup(self._variables[root].name, self._variables[root].size, tuple(m))
            for root, m in zip(free, members)
        ]
        return Channels(groups, list(zip(quadratures, groups_of_quadratures)), dims)


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
    """

    groups: list[ChannelGroup]
    quadratures: list[tuple[QuadratureKey, int]]
    dims: dict[str, tuple[Dimension, ...]]

    @property
    def sizes(self) -> list[int]:
        """Full width of every group."""
        return [group.size for group in self.groups]

    def group_of(self, key: QuadratureKey) -> int:
        """The group that a quadrature integrates over."""
        return dict(self.quadratures)[key]

    @cached_property
    def quadratures_of(self) -> dict[str, list[int]]:
        """Tensor → the quadratures over its stretches."""
        result: dict[str, list[int]] = {}
        for index, (key, _) in enumerate(self.quadratures):
            result.setdefault(key.tensor, []).append(index)
        return result


def analyse(graph: Graph, keep: Callable[[str], bool] = lambda name: False) -> Channels:
    """Channel groups of a graph, and the structure of every tensor in terms of them.

    The network's inputs and outputs keep their size, and so does every group whose name ``keep`` accepts.
    """
    from .operators import operator

    structure = Structure(graph)
    for name in graph.inputs:
        structure.set(name, [fixed(length) for length in graph.shapes[name]])
    for node in graph.nodes:
        operator(node).axes(node, structure)
    for name in graph.outputs:
        for dim in structure.dims[name]:
            structure.pin(dim)
    return structure.channels(keep)
