"""Sums of products of widths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from inn_exporter.graph.expressions import add, constant, length, multiply
from inn_runtime.format.manifest import Expression, Segment, evaluate

GROUPS = 3
TERMS = st.lists(st.tuples(st.integers(-9, 9), st.lists(st.integers(0, GROUPS - 1), max_size=3).map(sorted)))
EXPRESSIONS = TERMS.map(lambda terms: add(*(((c, *groups),) for c, groups in terms)))
WIDTHS = st.lists(st.integers(1, 50), min_size=GROUPS, max_size=GROUPS)


@given(EXPRESSIONS, EXPRESSIONS, WIDTHS)
def test_sums_and_products_are_those_of_the_values(a: Expression, b: Expression, widths: list[int]) -> None:
    x, y = evaluate(a, widths), evaluate(b, widths)
    assert evaluate(add(a, b), widths) == x + y
    assert evaluate(multiply(a, b), widths) == x * y
    assert multiply(a, constant(0)) == constant(0)


@given(EXPRESSIONS, EXPRESSIONS)
def test_like_terms_are_collected(a: Expression, b: Expression) -> None:
    for found in (add(a, b), multiply(a, b)):
        products = [term[1:] for term in found]
        assert len(set(products)) == len(products)
        assert found == constant(0) or all(term[0] for term in found)


def test_a_dimension_is_as_long_as_its_stretches() -> None:
    dimension = (Segment(0, 2, 3, None), Segment(None, 1, 5, None), Segment(0, 1, 1, None))
    assert length(dimension) == ((7, 0), (5,))
    assert evaluate(length(dimension), [4]) == 33
    assert length(()) == constant(0)
