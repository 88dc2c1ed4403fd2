"""The table of primitives (``primitives.json``): what nodes may say, checked before the engine sees them.

MindSpore Lite believes what it is told: a dilation of 0 or a slot of another type ends the process. A row of
the table holds a primitive's number, its attributes (slot, type, and which values they may have), its inputs,
and the name of its shape rule in `inn_runtime.format.shapes`. The C++ core reads the same file.

Inputs are kinds: ``variable`` (a network's input, or what a node writes), ``weight``, ``float`` (one of
both), ``integers`` (constants). ``?`` behind a kind: it may be missing; ``+``: one or more of it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from ..errors import BundleError, shown
from .manifest import Attribute, Expression, GraphNode, GraphTensor, evaluate

Value = Union[bool, int, float, str, tuple[int, ...], tuple[float, ...]]
"""An attribute's value at some widths."""

_KINDS = {
    "variable": ("variable",),
    "weight": ("weight",),
    "float": ("variable", "weight"),
    "integers": ("integers",),
}


@dataclass(frozen=True)
class AttributeRule:
    """What an attribute may be: slot and type, how many entries a vector has, values or a range of them."""

    name: str
    slot: int
    type: str
    length: int | None = None
    values: tuple[bool | int | float | str, ...] | None = None
    range: tuple[float, float] | None = None
    optional: bool = False

    def expected(self, value: Value) -> str | None:
        """What a value should have been, None where it is good."""
        entries = value if isinstance(value, tuple) else (value,)
        if self.length is not None and len(entries) != self.length:
            return f"{self.length} entries"
        if self.values is not None and any(entry not in self.values for entry in entries):
            return f"one of {', '.join(map(_plain, self.values))}"
        if self.range is not None:
            low, high = self.range
            for entry in entries:
                if not low <= entry <= high:  # type: ignore[operator]  # only numbers have ranges
                    return f"{low} to {high}"
        return None


@dataclass(frozen=True)
class PrimitiveRule:
    """A row of the table; ``inputs`` are kinds without their ``?`` and ``+``.

    ``moves`` is said of what may leave its values where they are: the output can be the input's memory.
    """

    name: str
    shape: str
    inputs: tuple[str, ...]
    least_inputs: int
    repeats: bool
    moves: bool
    attributes: Mapping[int, AttributeRule]
    outputs: int = 1

    def kind(self, position: int) -> str:
        """Of the input at a position."""
        return self.inputs[min(position, len(self.inputs) - 1)]


@functools.cache
def table() -> Mapping[int, PrimitiveRule]:
    """The rules, by the primitives' numbers."""
    text = (Path(__file__).parent / "primitives.json").read_text(encoding="utf-8")
    return {row["number"]: _rule(name, row) for name, row in json.loads(text).items()}


def _rule(name: str, row: Mapping[str, Any]) -> PrimitiveRule:
    attributes = {}
    for key, given in row["attributes"].items():
        entries: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        attributes[given["slot"]] = AttributeRule(key, **entries)
    inputs = row["inputs"]
    return PrimitiveRule(
        name,
        row["shape"],
        tuple(kind.rstrip("?+") for kind in inputs),
        sum(not kind.endswith("?") for kind in inputs),
        inputs[-1].endswith("+"),
        row.get("moves", False),
        attributes,
        row.get("outputs", 1),
    )


def rule_of(
    node: GraphNode, tensors: tuple[GraphTensor, ...], allowed: Collection[int], where: str
) -> PrimitiveRule | None:
    """The rule that a node is under, after a check of what does not depend on widths.

    Parameters
    ----------
    allowed : numbers of primitives that may be there though there is no rule for them
    where : the beginning of messages

    Returns
    -------
    None where an allowed primitive has none

    Raises
    ------
    BundleError : an unknown primitive; inputs or attributes that it does not have, or has of another kind
    """
    rule = table().get(node.primitive)
    if rule is None:
        if node.primitive in allowed:
            return None
        raise BundleError(
            f"{where}: primitive {node.primitive} is not known to this runtime, and not allowed"
        )
    _check_inputs(rule, node, tensors, where)
    for attribute in node.attributes:
        wanted = rule.attributes.get(attribute.slot)
        if wanted is None:
            raise BundleError(f"{where}: {rule.name} has no attribute in slot {attribute.slot}")
        if attribute.type != wanted.type:
            raise BundleError(f"{where}: {wanted.name}: expected type {wanted.type}, found {attribute.type}")
    found = {attribute.slot for attribute in node.attributes}
    for slot, wanted in rule.attributes.items():
        if slot not in found and not wanted.optional:
            raise BundleError(f"{where}: {wanted.name} is missing")
    return rule


def _check_inputs(rule: PrimitiveRule, node: GraphNode, tensors: tuple[GraphTensor, ...], where: str) -> None:
    most, count = len(rule.inputs), len(node.inputs)
    if count < rule.least_inputs or (count > most and not rule.repeats):
        wanted = (
            f"{most} or more" if rule.repeats else " or ".join(map(str, range(rule.least_inputs, most + 1)))
        )
        raise BundleError(f"{where}: {rule.name}: expected {wanted} inputs, found {count}")
    if len(node.outputs) != rule.outputs:
        wanted = f"{rule.outputs} output{'s' * (rule.outputs != 1)}"
        raise BundleError(f"{where}: {rule.name}: expected {wanted}, found {len(node.outputs)}")
    kinds = [kind_of(tensors[index]) for index in node.inputs]
    if "variable" not in kinds:  # the engine would wait for it for ever
        raise BundleError(f"{where}: {rule.name}: expected a variable among its inputs, found none")
    for position, found in enumerate(kinds):
        if found not in _KINDS[rule.kind(position)]:
            wanted = " or ".join(_KINDS[rule.kind(position)])
            raise BundleError(f"{where}: input {position}: expected {wanted}, found {found}")


def kind_of(tensor: GraphTensor) -> str:
    """``weight``, ``integers`` or ``variable``."""
    return "weight" if tensor.weight is not None else "integers" if tensor.values is not None else "variable"


def shares_memory(inputs: Collection[int], outputs: Collection[int], nodes: Sequence[GraphNode]) -> bool:
    """Whether an output of a graph may lie where an input does, because all on the way only moves values.

    MindSpore Lite 2.0 frees such memory twice when it is resized to another batch.
    """
    moved = set(inputs)
    for node in nodes:
        rule = table().get(node.primitive)
        if (rule is None or rule.moves) and not moved.isdisjoint(node.inputs):
            moved.update(node.outputs)
    return not moved.isdisjoint(outputs)


def value_at(attribute: Attribute, widths: tuple[int, ...]) -> Value:
    """What an attribute is at these widths."""
    value: Any = attribute.value
    if attribute.type in ("byte", "int", "long"):
        return evaluate(value, widths)
    if attribute.type == "longs":
        return tuple(evaluate(entry, widths) for entry in value)
    return value  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=4096, typed=True)
def fixed_value(primitive: int, attribute: Attribute) -> Value | None:
    """An attribute's value where it is the same at all widths and good, None otherwise.

    The table must have the primitive, the slot and the type. Most attributes of a network are alike.
    """
    if not is_fixed(attribute):
        return None
    value = value_at(attribute, ())
    return None if table()[primitive].attributes[attribute.slot].expected(value) else value


def is_fixed(attribute: Attribute) -> bool:
    """Whether it is the same at all widths."""
    value: Any = attribute.value
    if attribute.type == "longs":
        return all(is_constant(entry) for entry in value)
    return attribute.type not in ("byte", "int", "long") or is_constant(value)


def is_constant(expression: Expression) -> bool:
    """Whether it has the same value at all widths."""
    return all(len(term) == 1 for term in expression)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown_value(value: Value) -> str:
    """For messages, as the manifest writes it."""
    if isinstance(value, tuple):
        return shown(list(value))
    return _plain(value) if isinstance(value, bool) else shown(value)
