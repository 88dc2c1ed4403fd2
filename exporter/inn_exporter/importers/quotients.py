"""Quotients that are 0 where the divisor is 0, as TensorFlow guards them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from onnx import NodeProto, helper

from .prepare import Prepared

_SMALLEST = np.float32(1e-30)
"""What the square of a divisor is taken for where it is less; of less, engines lose digits."""


def with_finite_quotients(prepared: Prepared) -> Prepared:
    """The model with a · d / max(d², 10⁻³⁰) for Where(d = 0, 0, a / d): no condition, and 0 where d is 0."""
    makers = {name: node for node in prepared.nodes for name in node.output}
    shapes, kinds, values = dict(prepared.shapes), dict(prepared.kinds), dict(prepared.values)
    nodes: list[NodeProto] = []
    replaced: set[str] = set()
    for node in prepared.nodes:
        quotient = _guarded(node, makers, values)
        if quotient is None or any(name not in shapes for name in (*quotient.input, *node.output)):
            nodes.append(node)
            continue
        above, below = quotient.input
        stem, smallest = f"{node.output[0]}:quotient", f"{node.output[0]}:smallest"
        values[smallest] = np.array(_SMALLEST)
        for part, like in (("above", node.output[0]), ("square", below), ("below", below)):
            shapes[f"{stem}.{part}"], kinds[f"{stem}.{part}"] = shapes[like], kinds[like]
        nodes += [
            helper.make_node("Mul", [above, below], [f"{stem}.above"], name=f"{stem}.above"),
            helper.make_node("Mul", [below, below], [f"{stem}.square"], name=f"{stem}.square"),
            helper.make_node("Max", [f"{stem}.square", smallest], [f"{stem}.below"], name=f"{stem}.below"),
            helper.make_node("Div", [f"{stem}.above", f"{stem}.below"], node.output, name=node.name),
        ]
        replaced.update((node.input[0], node.input[2]))
    read = {name for node in nodes for name in node.input} | set(prepared.outputs)
    kept = [node for node in nodes if not replaced.intersection(node.output) or read & set(node.output)]
    return replace(prepared, nodes=kept, values=values, shapes=shapes, kinds=kinds)


def _guarded(
    node: NodeProto, makers: Mapping[str, NodeProto], values: Mapping[str, np.ndarray]
) -> NodeProto | None:
    """The quotient that a choice replaces by 0 where its divisor is 0."""
    if node.op_type != "Where":
        return None
    test, quotient = (makers.get(node.input[place]) for place in (0, 2))
    if test is None or quotient is None or (test.op_type, quotient.op_type) != ("Equal", "Div"):
        return None
    below = quotient.input[1]
    if below not in test.input:
        return None
    other = test.input[1] if test.input[0] == below else test.input[0]
    noughts = all(name in values and not values[name].any() for name in (other, node.input[1]))
    return quotient if noughts else None
