"""The table of primitives is whole: every row has a shape rule, and values of the types that it names."""

from __future__ import annotations

import json
from pathlib import Path

import inn_runtime.format.primitives as primitives
from inn_runtime.format.parser import ATTRIBUTE_TYPES
from inn_runtime.format.primitives import table
from inn_runtime.format.shape_rules import RULES


def test_every_row_is_read() -> None:
    rows = json.loads((Path(primitives.__file__).parent / "primitives.json").read_text())
    assert {number: rule.name for number, rule in table().items()} == {
        row["number"]: name for name, row in rows.items()
    }
    assert {row["shape"] for row in rows.values()} == set(RULES)


def test_rows_make_sense() -> None:
    for rule in table().values():
        assert {a.slot for a in rule.attributes.values()} == set(rule.attributes)
        assert len({a.name for a in rule.attributes.values()}) == len(rule.attributes)
        assert 1 <= rule.least_inputs <= len(rule.inputs)
        for attribute in rule.attributes.values():
            assert attribute.type in ATTRIBUTE_TYPES
            assert attribute.values is None or attribute.range is None
            if attribute.type in (
                "byte",
                "int",
                "long",
                "longs",
            ):  # no number that the engine reads is unbounded
                assert attribute.values or attribute.range, (rule.name, attribute.name)
