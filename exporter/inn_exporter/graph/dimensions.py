"""Dimensions as products of fixed lengths and axis variables.

Each dimension of each tensor is a list of stretches. A stretch is a product of factors, fixed lengths and
axis variables, the outermost first: 3 · N · 4 is three blocks of N channels, each a run of four.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Union


@dataclass(frozen=True)
class QuadratureKey:
    """Consumers of the same stretch of the same dimension of a tensor share a quadrature.

    Attributes
    ----------
    others : stretches of other tensors that are read by the same kernel, and so share the quadrature, too
    """

    tensor: str
    dim: int
    part: int
    others: tuple[QuadratureKey, ...] = ()

    @property
    def each(self) -> tuple[QuadratureKey, ...]:
        """The stretches one by one."""
        return (replace(self, others=()), *self.others)

    @property
    def name(self) -> str:
        """The tensors and, unless it is the first, the stretch."""
        return "+".join(key.tensor if not key.part else f"{key.tensor}:{key.part}" for key in self.each)

    def joined(self, other: QuadratureKey) -> QuadratureKey:
        """The quadrature of what either integrates over."""
        first, *others = dict.fromkeys((*self.each, *other.each))
        return replace(first, others=tuple(others))


@dataclass(eq=False)
class Variable:
    """A length that may change.

    Attributes
    ----------
    size : at full size
    pinned : it must not change after all
    parent : the variable that it is united with
    factors : what it is a product of, the outermost first; empty: nothing finer is known
    """

    size: int
    name: str
    number: int
    pinned: bool = False
    parent: Variable | None = None
    factors: tuple[Variable, ...] = ()

    @property
    def root(self) -> Variable:
        """The one that stands for all that are united."""
        return self if self.parent is None else self.parent.root


Factor = Union[int, Variable]


@dataclass(frozen=True)
class Part:
    """A stretch of one dimension: the product of its factors, the outermost first."""

    factors: tuple[Factor, ...]
    quadrature: QuadratureKey | None = None

    def times(self, inner: int = 1, outer: int = 1) -> Part:
        """``outer`` stretches one after the other, in which every element is a run of ``inner``."""
        return replace(self, factors=(outer, *self.factors, inner))

    @property
    def length(self) -> int:
        """At full size."""
        return prod(f.size if isinstance(f, Variable) else f for f in self.factors)

    def leaves(self) -> list[Factor]:
        """The finest factors that are known, without ones."""
        return [*leaves_of(self.factors)]


def leaves_of(factors: Iterable[Factor]) -> Iterator[Factor]:
    for factor in factors:
        if isinstance(factor, Variable):
            root = factor.root
            yield from leaves_of(root.factors) if root.factors else (root,)
        elif factor != 1:
            yield factor


Dim = tuple[Part, ...]


def fixed(length: int) -> Dim:
    """A dimension that never changes."""
    return (Part((length,)),)


def length_of(dim: Dim) -> int:
    """Length of a dimension at full size."""
    return sum(part.length for part in dim)


def is_variable(dim: Dim) -> bool:
    """Whether a dimension may be resized, as far as is known."""
    return any(isinstance(leaf, Variable) for part in dim for leaf in part.leaves())


def free_variables(part: Part) -> list[Variable]:
    """The variables of a stretch that may be resized, the innermost last."""
    return [leaf for leaf in part.leaves() if isinstance(leaf, Variable) and not leaf.pinned]


def runs(first: Sequence[int], second: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The shortest runs of two shapes without ones that have equally many elements."""
    left, right = list(first), list(second)
    while left:
        ins, outs = 1, 1
        while (a := prod(left[:ins])) != (b := prod(right[:outs])):
            ins, outs = (ins + 1, outs) if a < b else (ins, outs + 1)
        yield left[:ins], right[:outs]
        del left[:ins], right[:outs]
