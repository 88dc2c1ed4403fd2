"""What operators are lowered to is what the runtime has rules for."""

from __future__ import annotations

from inn_exporter.operators.primitives import PRIMITIVES
from inn_runtime.format.primitives import table


def test_the_exporters_primitives_are_in_the_runtimes_table() -> None:
    ours = {name: (number, slots) for name, (number, slots) in PRIMITIVES.items()}
    theirs = {
        rule.name: (number, {a.name: (a.slot, a.type) for a in rule.attributes.values()})
        for number, rule in table().items()
    }
    assert ours == theirs
