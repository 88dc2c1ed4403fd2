"""Traits by which operators are known instead of by their names."""

from __future__ import annotations

import pytest
from inn_exporter.operators import OPERATORS
from inn_exporter.operators.base import Operator

TRAITS = [name for name, kind in Operator.__annotations__.items() if kind == "ClassVar[bool]"]


def test_traits_are_yes_or_no() -> None:
    assert {"linear", "is_sum", "only_moves", "own_rows"} <= set(TRAITS)
    for name, operator in OPERATORS.items():
        for trait in TRAITS:
            assert isinstance(getattr(operator, trait), bool), f"{name}.{trait}"


@pytest.mark.parametrize(
    ("trait", "names"),
    [
        ("is_sum", {"Add"}),
        ("is_product", {"Mul"}),
        ("is_contraction", {"MatMul"}),
        ("is_global_mean", {"GlobalAveragePool"}),
        ("gives_probabilities", {"Softmax"}),
        ("only_moves", {"Flatten", "Reshape", "Transpose", "Unsqueeze"}),
        ("linear", {"Conv", "ConvTranspose", "Gemm", "GroupedConv", "Linear"}),
    ],
)
def test_who_has_a_trait(trait: str, names: set[str]) -> None:
    assert {name for name, operator in OPERATORS.items() if getattr(operator, trait)} == names


def test_an_operator_is_called_as_its_class() -> None:
    assert all(type(operator).__name__ == name for name, operator in OPERATORS.items())
