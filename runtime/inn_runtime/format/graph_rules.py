"""Whether a bundle's graph is one that the engine can be trusted with: every node's attributes and shapes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BundleError
from .manifest import Attribute, GraphNode, Manifest, evaluate
from .primitives import (
    AttributeRule,
    PrimitiveRule,
    fixed_value,
    is_constant,
    is_fixed,
    rule_of,
    shown_value,
    value_at,
)
from .shape_rules import shapes_of
from .shapes import MAX_ELEMENTS, MAX_RANK, MisfitError, Operands, Shape

MAX_VISITS = 1 << 16
"""Nodes, times sizes, that are looked at as a bundle is opened; further sizes are when they are asked for."""


@dataclass(frozen=True)
class _Checked:
    """A node under a rule: its attributes that are the same at all widths, and those that are not."""

    node: GraphNode
    rule: PrimitiveRule | None
    fixed: Mapping[str, Any]
    varying: Sequence[tuple[AttributeRule, Attribute]]


class GraphRules:
    """The rules over one graph.

    Parameters
    ----------
    allowed : numbers of primitives that are let through though there is no rule for them

    Raises
    ------
    BundleError : a node breaks a rule that does not depend on widths
    """

    def __init__(self, manifest: Manifest, source: str, allowed: Collection[int] = ()) -> None:
        self._manifest, self._source = manifest, source
        self._good: set[tuple[tuple[int, ...], int]] = set()
        self._nodes = [self._checked(node, allowed) for node in manifest.nodes]
        self._fixed_integers = {
            index: tuple(evaluate(value, ()) for value in tensor.values)
            for index, tensor in enumerate(manifest.tensors)
            if tensor.values is not None and all(map(is_constant, tensor.values))
        }

    def _checked(self, node: GraphNode, allowed: Collection[int]) -> _Checked:
        where = f"{self._source}: node {node.name!r}"
        rule = rule_of(node, self._manifest.tensors, allowed, where)
        if rule is None:
            return _Checked(node, None, {}, ())
        fixed, varying = {}, []
        for attribute in node.attributes:
            wanted = rule.attributes[attribute.slot]
            value = fixed_value(node.primitive, attribute)
            if value is not None:
                fixed[wanted.name] = value
            elif is_fixed(attribute):
                _value(wanted, attribute, (), where)  # says what is wrong
            else:
                varying.append((wanted, attribute))
        return _Checked(node, rule, fixed, varying)

    def check_sizes(self) -> None:
        """Check the full size, and the others that the manifest lists as far as `MAX_VISITS` goes."""
        for size in reversed(self._manifest.sizes):
            if (len(self._good) + 1) * len(self._nodes) > MAX_VISITS and self._good:
                break
            self.check(size.widths)

    def check(self, widths: tuple[int, ...], batch: int = 1) -> None:
        """Check every node's attributes and shapes at these widths. What was good once is not checked again.

        Parameters
        ----------
        widths : of every group
        batch : how many images the network is to take at a time

        Raises
        ------
        BundleError : a rule is broken; names the node, what was expected and what was found
        """
        if (widths, batch) in self._good:
            return
        tensors = self._manifest.tensors
        shapes: dict[int, Shape | None] = {
            index: self._manifest.weights[tensor.weight].shape(widths)
            if tensor.weight is not None
            else tensor.shape
            for index, tensor in enumerate(tensors)
            if tensor.weight is not None or tensor.values is not None
        }
        for port in self._manifest.inputs:
            shapes[port.tensor] = _bounded(
                (batch, *port.engine_shape[1:]), f"{self._source}: input {port.name!r}"
            )
        for checked in self._nodes:
            where = f"{self._source}: node {checked.node.name!r}"
            written = self._shapes(checked, shapes, widths, batch, where)
            for index, shape in zip(checked.node.outputs, written):
                declared = tensors[index].dims
                if declared and batch == 1 and shape is not None and declared != shape:
                    raise BundleError(f"{where}: output: expected {list(declared)}, found {list(shape)}")
                shapes[index] = shape
        full = batch == 1 and widths == self._manifest.full_widths  # of what is resized, outputs say the full
        for port in self._manifest.outputs if full else ():
            found = shapes[port.tensor]
            if found is not None and found != port.shape:
                raise BundleError(
                    f"{self._source}: output {port.name!r}: expected {list(port.shape)}, found {list(found)}"
                )
        self._good.add((widths, batch))

    def _shapes(
        self,
        checked: _Checked,
        shapes: Mapping[int, Shape | None],
        widths: tuple[int, ...],
        batch: int,
        where: str,
    ) -> Sequence[Shape | None]:
        """Of what a node writes; None where that is not known, after a primitive without a rule."""
        attributes = checked.fixed
        if checked.varying:
            attributes = dict(attributes)
            for wanted, attribute in checked.varying:
                attributes[wanted.name] = _value(wanted, attribute, widths, where)
        found = [shapes[index] for index in checked.node.inputs]
        known = [shape for shape in found if shape is not None]
        if checked.rule is None or len(known) < len(found):
            return [None] * len(checked.node.outputs)
        integers = [self._integers(index, widths) for index in checked.node.inputs]
        operands = Operands(known, integers, attributes, batch > 1 or not self._manifest.one_image)
        try:
            return [_bounded(shape, where) for shape in shapes_of(checked.rule.shape, operands)]
        except MisfitError as error:
            raise BundleError(f"{where}: {checked.rule.name}: {error}") from None

    def _integers(self, index: int, widths: tuple[int, ...]) -> Sequence[int] | None:
        """A constant's values, None where the tensor is none."""
        fixed = self._fixed_integers.get(index)
        values = self._manifest.tensors[index].values
        if fixed is not None or values is None:
            return fixed
        return tuple(evaluate(value, widths) for value in values)


def _value(wanted: AttributeRule, attribute: Attribute, widths: tuple[int, ...], where: str) -> Any:
    value = value_at(attribute, widths)
    expected = wanted.expected(value)
    if expected is not None:
        raise BundleError(f"{where}: {wanted.name}: expected {expected}, found {shown_value(value)}")
    return value


def _bounded(shape: Shape, where: str) -> Shape:
    """A shape that the engine can count in 32 bits."""
    if len(shape) > MAX_RANK or math.prod(shape) > MAX_ELEMENTS:
        raise BundleError(
            f"{where}: expected a tensor of at most {MAX_RANK} dimensions and {MAX_ELEMENTS} elements, "
            f"found {list(shape)}"
        )
    return shape
