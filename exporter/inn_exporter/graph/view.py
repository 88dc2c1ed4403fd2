"""ONNX tensors as rearrangements of canonical ones.

Transpositions and reshapes move nothing at first: what they make is a view of the tensor they start from.
Operators that treat all elements alike, and layers along one whole axis, work on that tensor itself. So the
batch, which is 1 here, may stand where it likes in the ONNX file, also joined with another axis: in the
canonical graph it is always first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np


@dataclass(eq=False)
class ViewFactor:
    """A part of an axis: with the axis's other factors it is what the axis's index is made of."""

    size: int


ViewAxis = tuple[ViewFactor, ...]
"""The factors that a length is the product of, the outermost first, without ones."""


@dataclass(frozen=True)
class View:
    """An ONNX tensor as a rearrangement of a canonical one.

    Attributes
    ----------
    tensor : the canonical tensor
    axes : its axes after the batch
    dims : the ONNX tensor's dimensions, of the same factors
    """

    tensor: str
    axes: tuple[ViewAxis, ...]
    dims: tuple[ViewAxis, ...]

    @staticmethod
    def whole(tensor: str, shape: Sequence[int]) -> View:
        """A canonical tensor, batch first, as it is."""
        axes = tuple(map(new_axis, shape[1:]))
        return View(tensor, axes, ((), *axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """The ONNX tensor's."""
        return tuple(map(length, self.dims))

    @property
    def is_whole(self) -> bool:
        """Whether it is the canonical tensor as it is."""
        return self.dims == ((), *self.axes)

    def axis(self, dim: int) -> int | None:
        """The canonical axis that a dimension is, as it is; None where it is none or more than one."""
        found = [index for index, axis in enumerate(self.axes, 1) if axis and axis == self.dims[dim]]
        return found[0] if found else None

    def transposed(self, order: Sequence[int]) -> View:
        """The dimensions in another order."""
        return replace(self, dims=tuple(self.dims[dim] for dim in order))

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """The same elements as ``shape``; None where it cuts through factors, or holds another number."""
        view, rest, dims = self, [factor for dim in self.dims for factor in dim], []
        for size in shape:
            dim: ViewAxis = ()
            while size != 1:
                if not rest:
                    return None
                factor = rest.pop(0)
                if size % factor.size:
                    if factor.size % size:
                        return None
                    outer, inner = ViewFactor(size), ViewFactor(factor.size // size)
                    view, factor = view._split(factor, (outer, inner)), outer
                    rest.insert(0, inner)
                dim, size = (*dim, factor), size // factor.size
            dims.append(dim)
        return None if rest else replace(view, dims=tuple(dims))

    def _split(self, factor: ViewFactor, parts: ViewAxis) -> View:
        axes = tuple(_put(axis, factor, parts) for axis in self.axes)
        return replace(self, axes=axes, dims=tuple(_put(dim, factor, parts) for dim in self.dims))

    def with_axis(self, axis: int, dim: int, size: int) -> View:
        """A whole axis, which is dimension ``dim``, with another length."""
        new = new_axis(size)
        axes, dims = list(self.axes), list(self.dims)
        axes[axis - 1], dims[dim] = new, new
        return replace(self, axes=tuple(axes), dims=tuple(dims))

    def arranged_as(self, other: View) -> bool:
        """Whether both are the same rearrangement of canonical tensors of the same shape."""

        def pattern(view: View) -> list[list[tuple[int, int]]]:
            number = {f: index for index, f in enumerate(f for axis in view.axes for f in axis)}
            return [[(number[f], f.size) for f in dim] for dim in (*view.axes, *view.dims)]

        return len(self.axes) == len(other.axes) and pattern(self) == pattern(other)

    def to_base(self, values: np.ndarray) -> np.ndarray:
        """A constant that is broadcast to the ONNX tensor as one that is broadcast to the canonical one."""
        values = values.reshape([1] * (len(self.dims) - values.ndim) + list(values.shape))
        order = [factor for dim in self.dims for factor in dim]
        sizes = [f.size if n > 1 else 1 for dim, n in zip(self.dims, values.shape) for f in dim]
        size_of = dict(zip(order, sizes))
        target = [factor for axis in self.axes for factor in axis]
        spread = values.reshape(sizes).transpose([order.index(factor) for factor in target])
        shape = []
        for axis in self.axes:
            used = any(size_of[factor] != 1 for factor in axis)
            shape.append(length(axis) if used else 1)
            for factor in axis if used else ():
                size_of[factor] = factor.size
        return np.broadcast_to(spread, [size_of[factor] for factor in target]).reshape([1, *shape])


def new_axis(size: int) -> ViewAxis:
    """An axis of which nothing finer is known."""
    return () if size == 1 else (ViewFactor(size),)


def length(axis: ViewAxis) -> int:
    """The product of its factors."""
    return prod(factor.size for factor in axis)


def _put(axis: ViewAxis, factor: ViewFactor, parts: ViewAxis) -> ViewAxis:
    return tuple(new for old in axis for new in (parts if old is factor else (old,)))


def joined_runs(before: Sequence[ViewFactor], after: Sequence[ViewFactor]) -> list[ViewAxis]:
    """Factors that follow one another in both orders, joined; in the first order."""
    follows = dict(zip(after, after[1:]))
    result: list[list[ViewFactor]] = []
    for factor in before:
        if result and follows.get(result[-1][-1]) is factor:
            result[-1].append(factor)
        else:
            result.append([factor])
    return [tuple(run) for run in result]
