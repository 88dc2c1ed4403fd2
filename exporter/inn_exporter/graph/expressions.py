"""Sums of products of group widths (`inn_runtime.format.manifest.Expression`)."""

from __future__ import annotations

from collections.abc import Iterable

from inn_runtime.format.manifest import Dimension, Expression


def constant(value: int) -> Expression:
    """An expression without widths."""
    return ((int(value),),)


def length(dimension: Dimension) -> Expression:
    """Length of a dimension."""
    return _collect(
        (segment.outer * segment.inner, *(() if segment.group is None else (segment.group,)))
        for segment in dimension
    )


def add(*expressions: Expression) -> Expression:
    """Σ of expressions."""
    return _collect(term for expression in expressions for term in expression)


def multiply(*expressions: Expression) -> Expression:
    """Π of expressions."""
    result = constant(1)
    for expression in expressions:
        result = _collect((a[0] * b[0], *sorted((*a[1:], *b[1:]))) for a in result for b in expression)
    return result


def _collect(terms: Iterable[tuple[int, ...]]) -> Expression:
    sums: dict[tuple[int, ...], int] = {}
    for coefficient, *groups in terms:
        key = tuple(groups)
        sums[key] = sums.get(key, 0) + coefficient
    return tuple((coefficient, *groups) for groups, coefficient in sums.items() if coefficient) or ((0,),)
